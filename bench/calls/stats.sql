SELECT * FROM seats.stats()
