SELECT * FROM seats.resend_invitation(:seat)
