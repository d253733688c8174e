-- The rows that import_seats() writes, as plain INSERTs into tables of their own.
WITH p AS (
	SELECT id, organization_id FROM seats.subscriptions WHERE id = :subscription::uuid),
m AS (
	INSERT INTO bench.members (organization_id, email)
	SELECT p.organization_id, email FROM p, unnest(:emails::text[]) AS email
	RETURNING id, organization_id, email),
s AS (
	INSERT INTO bench.members_seats (organization_id, subscription_id, customer_id, customer_email, status, claimed_at, expiry_watched)
	SELECT m.organization_id, p.id, m.id, m.email, 'claimed', now(), false FROM p, m
	RETURNING *)
INSERT INTO bench.members_events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
SELECT 'customer_seat.claimed', s.id, s.organization_id, s.customer_id, now(),
	jsonb_build_object('role', current_user, 'imported', true, 'subscription_id', s.subscription_id),
	ROW(created_at, modified_at, id, subscription_id, order_id, status, customer_id, customer_email,
		invitation_token_expires_at, claimed_at, revoked_at, seat_metadata)::seats.customer_seat
FROM s
