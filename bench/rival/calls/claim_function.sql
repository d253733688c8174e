SELECT * FROM rival.claim_seat(:token)
