SELECT seats_http.list_seats(:subscription)
