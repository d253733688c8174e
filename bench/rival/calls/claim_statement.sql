-- The best single statement: the application draws the session's token, hashes both tokens, and
-- asks why only if there is no row.
WITH seat AS (
	UPDATE rival.customer_seats AS s
	SET status = 'claimed', claimed_at = now(), modified_at = now()
	FROM rival.organizations AS o
	WHERE s.invitation_token_hash = :token_hash
		AND s.status = 'pending'
		AND s.invitation_token_expires_at > clock_timestamp()
		AND s.suspended_at IS NULL
		AND o.id = s.organization_id
		AND o.seat_based_pricing_enabled
	RETURNING s.id, s.organization_id, s.subscription_id, s.customer_id, s.claimed_at,
		ROW(s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status, s.customer_id,
			s.customer_email, s.invitation_token_expires_at, s.claimed_at, s.revoked_at,
			s.seat_metadata)::rival.customer_seat AS seat
), session AS (
	INSERT INTO rival.customer_sessions
		(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
	SELECT :session_hash, id, customer_id, organization_id, claimed_at, claimed_at + interval '1 hour'
	FROM seat
)
INSERT INTO rival.events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
SELECT 'customer_seat.claimed', id, organization_id, customer_id, claimed_at,
	jsonb_build_object('role', current_user, 'subscription_id', subscription_id), seat
FROM seat
RETURNING seat
