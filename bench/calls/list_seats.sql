SELECT * FROM seats.list_seats(:subscription)
