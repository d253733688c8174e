SELECT * FROM rival.assign_seat(:subscription, :email)
