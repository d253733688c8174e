SELECT to_json(seats.list_seats(:subscription))
