SELECT created_at, modified_at, id, subscription_id, order_id, status, customer_id, customer_email,
	invitation_token_expires_at, claimed_at, revoked_at, seat_metadata
FROM rival.customer_seats
WHERE subscription_id = :subscription
ORDER BY created_at, id
