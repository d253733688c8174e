-- What an application sends that is content with five round trips. It draws and hashes tokens as for
-- the single statement.
BEGIN;

UPDATE rival.customer_seats AS s
SET status = 'claimed', claimed_at = now(), modified_at = now()
FROM rival.organizations AS o
WHERE s.invitation_token_hash = :token_hash
	AND s.status = 'pending'
	AND s.invitation_token_expires_at > clock_timestamp()
	AND s.suspended_at IS NULL
	AND o.id = s.organization_id
	AND o.seat_based_pricing_enabled
RETURNING s.organization_id, s.created_at, s.modified_at, s.id AS seat_id, s.subscription_id,
	s.order_id, s.status, s.customer_id, s.customer_email, s.invitation_token_expires_at, s.claimed_at,
	s.revoked_at, s.seat_metadata;

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
