SELECT x.customer_id, x.organization_id, x.seat_id, c.email AS customer_email, x.expires_at
FROM rival.customer_sessions AS x
JOIN rival.customers AS c ON c.id = x.customer_id
WHERE x.token_hash = digest(:token::text, 'sha256')
	AND x.expires_at > clock_timestamp()
