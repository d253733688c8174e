SELECT seats.purge_expired_sessions()
