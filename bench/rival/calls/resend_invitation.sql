SELECT * FROM rival.resend_invitation(:seat)
