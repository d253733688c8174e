SELECT seats.check_session()
