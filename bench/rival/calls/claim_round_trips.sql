-- What a web backend with an object-relational mapper sends, as ../../variants/app.sql does to the
-- extension's tables.
BEGIN;

SELECT s.id AS seat_id, s.created_at, s.modified_at, s.status, s.organization_id, s.customer_id,
	s.customer_email, s.subscription_id, s.order_id, s.invitation_token_expires_at, s.claimed_at,
	s.revoked_at, s.seat_metadata, b.status AS subscription_status, p.id AS product_id,
	p.name AS product_name, o.name AS organization_name
FROM rival.customer_seats AS s
JOIN rival.subscriptions AS b ON b.id = s.subscription_id
JOIN rival.products AS p ON p.id = b.product_id
JOIN rival.organizations AS o ON o.id = s.organization_id
WHERE s.invitation_token_hash = :token_hash
	AND s.status = 'pending'
	AND s.invitation_token_expires_at > now()
	AND s.suspended_at IS NULL
FOR NO KEY UPDATE OF s;

SELECT id, created_at, modified_at, name, slug, seat_based_pricing_enabled, invitation_ttl
FROM rival.organizations
WHERE id = :organization_id AND seat_based_pricing_enabled;

SELECT id, created_at, modified_at, organization_id, email, external_id, name
FROM rival.customers
WHERE id = :customer_id;

UPDATE rival.customer_seats
SET status = 'claimed', claimed_at = now(), modified_at = now()
WHERE id = :seat_id;

INSERT INTO rival.customer_sessions
	(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
VALUES (:session_hash, :seat_id, :customer_id, :organization_id, now(), now() + interval '1 hour');

INSERT INTO rival.events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
SELECT 'customer_seat.claimed', id, organization_id, customer_id, now(),
	jsonb_build_object('role', current_user, 'subscription_id', subscription_id),
	ROW(created_at, modified_at, id, subscription_id, order_id, status, customer_id, customer_email,
		invitation_token_expires_at, claimed_at, revoked_at, seat_metadata)::rival.customer_seat
FROM rival.customer_seats
WHERE id = :seat_id;

COMMIT
