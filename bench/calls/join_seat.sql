SELECT seats.join_seat(:token, :email)
