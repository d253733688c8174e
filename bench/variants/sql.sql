-- All of a claim in one hand-written statement.  A token that cannot be claimed gives no row,
-- and why it cannot, the caller is not told.
WITH seat AS (
	UPDATE seats.customer_seats AS s
	SET status = 'claimed', claimed_at = now(), modified_at = now()
	FROM seats.organizations AS o
	WHERE s.invitation_token_hash = digest(:token::text, 'sha256')
		AND s.status = 'pending'
		AND s.invitation_token_expires_at > now()
		AND o.id = s.organization_id
		AND o.seat_based_pricing_enabled
	RETURNING s.*
), opened AS (
	SELECT 'cst_' || encode(gen_random_bytes(32), 'hex') AS token
), session AS (
	INSERT INTO seats.customer_sessions
		(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
	SELECT digest(opened.token, 'sha256'), seat.id, seat.customer_id, seat.organization_id,
		seat.claimed_at, seat.claimed_at + interval '1 hour'
	FROM seat, opened
), event AS (
	INSERT INTO seats.events
		(type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
	SELECT 'customer_seat.claimed', id, organization_id, customer_id, claimed_at,
		jsonb_build_object('role', current_user, 'subscription_id', subscription_id),
		ROW(created_at, modified_at, id, subscription_id, order_id, status, customer_id, customer_email,
			invitation_token_expires_at, claimed_at, revoked_at, seat_metadata)::seats.customer_seat
	FROM seat
)
SELECT seat.created_at, seat.modified_at, seat.id, seat.subscription_id, seat.order_id, seat.status,
	seat.customer_id, seat.customer_email, seat.invitation_token_expires_at, seat.claimed_at,
	seat.revoked_at, seat.seat_metadata, opened.token AS customer_session_token
FROM seat, opened
