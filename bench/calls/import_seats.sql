SELECT seats.import_seats(:subscription, emails => :emails)
