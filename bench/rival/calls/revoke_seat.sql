SELECT * FROM rival.revoke_seat(:seat)
