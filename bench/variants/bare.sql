-- The least that any claim must do: no session, no event, no organization, no answer.
UPDATE seats.customer_seats
SET status = 'claimed', claimed_at = now(), modified_at = now()
WHERE invitation_token_hash = :token_hash
	AND status = 'pending'
	AND invitation_token_expires_at > now()
