SELECT * FROM seats.assign_seats(:subscription, NULL, :emails)
