SELECT * FROM seats.get_seat(:seat)
