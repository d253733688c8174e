SELECT seats.end_session(:token)
