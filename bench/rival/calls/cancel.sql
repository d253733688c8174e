SELECT rival.cancel(:subscription)
