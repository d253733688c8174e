SELECT * FROM seats.claim_info(:token)
