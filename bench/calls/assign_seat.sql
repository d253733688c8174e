SELECT * FROM seats.assign_seat(:subscription, email => :email)
