SELECT s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status, s.customer_id,
	s.customer_email, s.invitation_token_expires_at, s.claimed_at, s.revoked_at, s.seat_metadata
FROM rival.customer_seats AS s
JOIN rival.organizations AS o ON o.id = s.organization_id
WHERE s.id = :seat
	AND o.seat_based_pricing_enabled
