SELECT * FROM seats.authenticate(:token)
