SELECT p.name AS product_name, p.id AS product_id, o.name AS organization_name,
	o.slug AS organization_slug, COALESCE(s.customer_email, '') AS customer_email,
	s.status = 'pending' AND s.invitation_token_expires_at > clock_timestamp()
		AND s.suspended_at IS NULL AS can_claim
FROM rival.customer_seats AS s
JOIN rival.organizations AS o ON o.id = s.organization_id
JOIN rival.subscriptions AS b ON b.id = s.subscription_id
JOIN rival.products AS p ON p.id = b.product_id
WHERE s.invitation_token_hash = digest(:token::text, 'sha256')
	AND s.status <> 'revoked'
	AND o.seat_based_pricing_enabled
