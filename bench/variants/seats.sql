-- The claim as the extension ships it.
SELECT * FROM seats.claim_seat(:token)
