SELECT * FROM seats.revoke_seat(:seat)
