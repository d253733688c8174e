-- What claim_info() answers, as a statement.
SELECT p.name AS product_name, p.id AS product_id, o.name AS organization_name,
	o.slug AS organization_slug, COALESCE(s.customer_email, '') AS customer_email,
	s.status = 'pending' AND s.invitation_token_expires_at > clock_timestamp() AS can_claim
FROM seats.customer_seats AS s
JOIN seats.organizations AS o ON o.id = s.organization_id
LEFT JOIN seats.subscriptions AS b ON b.id = s.subscription_id
LEFT JOIN seats.orders AS r ON r.id = s.order_id
JOIN seats.products AS p ON p.id = COALESCE(b.product_id, r.product_id)
WHERE s.invitation_token_hash = digest(:token::text, 'sha256')
	AND s.status <> 'revoked'
	AND o.seat_based_pricing_enabled
