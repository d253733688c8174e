SELECT * FROM rival.assign_seats(:subscription, :emails)
