SELECT * FROM seats.my_seats
