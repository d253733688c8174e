SELECT seats.has_seat(:product, :customer)
