-- What the rival's application calls, each with its owner's rights. The condition of a statement that
-- changes something is that it may; why it did not, the application asks with another statement.
--
-- Locks are taken in the order subscription, customer, seat, so that no two functions deadlock. All
-- that assign or revoke seats of a subscription change its counter first, and so wait for each other.
-- A statement sees what was committed before it began, and not what its own lock waited for: so what
-- depends on a lock is in the next statement.

-- The answer to a claim, and to whoever sends an invitation.
CREATE TYPE rival.answer AS (seat rival.customer_seat, token text);

CREATE FUNCTION rival.claim_seat(invitation_token text) RETURNS rival.answer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = rival, public, pg_temp
AS $$
DECLARE
	session_token text := 'cst_' || encode(gen_random_bytes(32), 'hex');
	answer answer;
BEGIN
	WITH seat AS (
		UPDATE customer_seats AS s
		SET status = 'claimed', claimed_at = now(), modified_at = now()
		FROM organizations AS o
		WHERE s.invitation_token_hash = digest(invitation_token, 'sha256')
			AND s.status = 'pending'
			AND s.invitation_token_expires_at > clock_timestamp()
			AND s.suspended_at IS NULL
			AND o.id = s.organization_id
			AND o.seat_based_pricing_enabled
		RETURNING s.id, s.organization_id, s.subscription_id, s.customer_id, s.claimed_at,
			ROW(s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status, s.customer_id,
				s.customer_email, s.invitation_token_expires_at, s.claimed_at, s.revoked_at,
				s.seat_metadata)::customer_seat AS seat
	), session AS (
		INSERT INTO customer_sessions
			(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
		SELECT digest(session_token, 'sha256'), id, customer_id, organization_id, claimed_at,
			claimed_at + interval '1 hour'
		FROM seat
	)
	INSERT INTO events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
	SELECT 'customer_seat.claimed', id, organization_id, customer_id, claimed_at,
		jsonb_build_object('role', session_user, 'subscription_id', subscription_id), seat
	FROM seat
	RETURNING seat, session_token INTO answer;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'Invalid, expired, or already claimed token' USING ERRCODE = 'PT400';
	END IF;
	RETURN answer;
END
$$;

-- A seat for an address, whose customer is made if there is none. A second seat for the same customer
-- is refused by the unique index.
CREATE FUNCTION rival.assign_seat(subscription uuid, address text) RETURNS rival.answer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = rival, public, pg_temp
AS $$
DECLARE
	invitation_token text := 'inv_' || encode(gen_random_bytes(32), 'hex');
	purchase record;
	customer record;
	answer answer;
BEGIN
	UPDATE subscriptions AS b
	SET assigned_seats = b.assigned_seats + 1
	FROM organizations AS o
	WHERE b.id = subscription
		AND b.status IN ('trialing', 'active', 'past_due')
		AND b.assigned_seats < b.seats
		AND o.id = b.organization_id
		AND o.seat_based_pricing_enabled
	RETURNING b.organization_id, now() + COALESCE(o.invitation_ttl, interval '1 day') AS expires_at,
		(SELECT r.id FROM customer_seats AS r
		WHERE r.subscription_id = b.id AND r.customer_id IS NULL LIMIT 1) AS revoked
	INTO purchase;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'No seat can be assigned' USING ERRCODE = 'PT400';
	END IF;

	LOOP
		SELECT c.id, c.email INTO customer FROM customers AS c
		WHERE c.organization_id = purchase.organization_id AND lower(c.email) = lower(address);
		EXIT WHEN FOUND;
		INSERT INTO customers AS c (organization_id, email) VALUES (purchase.organization_id, address)
		ON CONFLICT (organization_id, lower(email)) DO NOTHING
		RETURNING c.id, c.email INTO customer;
		EXIT WHEN FOUND;
	END LOOP;

	-- The row of a revoked seat is used again, with another id.
	IF purchase.revoked IS NOT NULL THEN
		WITH seat AS (
			UPDATE customer_seats AS s
			SET id = gen_random_uuid(), created_at = now(), modified_at = NULL, status = 'pending',
				customer_id = customer.id, customer_email = customer.email,
				invitation_token_hash = digest(invitation_token, 'sha256'),
				invitation_token_expires_at = purchase.expires_at, claimed_at = NULL, revoked_at = NULL
			WHERE s.id = purchase.revoked AND s.customer_id IS NULL
			RETURNING s.id,
				ROW(s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status,
					s.customer_id, s.customer_email, s.invitation_token_expires_at, s.claimed_at,
					s.revoked_at, s.seat_metadata)::customer_seat AS seat
		)
		INSERT INTO events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
		SELECT 'customer_seat.assigned', id, purchase.organization_id, customer.id, now(),
			jsonb_build_object('role', session_user, 'subscription_id', subscription), seat
		FROM seat
		RETURNING seat, invitation_token INTO answer;
		IF FOUND THEN
			RETURN answer;
		END IF;
	END IF;

	WITH seat AS (
		INSERT INTO customer_seats AS s (organization_id, status, subscription_id, customer_id,
			customer_email, invitation_token_hash, invitation_token_expires_at)
		VALUES (purchase.organization_id, 'pending', subscription, customer.id, customer.email,
			digest(invitation_token, 'sha256'), purchase.expires_at)
		RETURNING s.id,
			ROW(s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status,
				s.customer_id, s.customer_email, s.invitation_token_expires_at, s.claimed_at,
				s.revoked_at, s.seat_metadata)::customer_seat AS seat
	)
	INSERT INTO events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
	SELECT 'customer_seat.assigned', id, purchase.organization_id, customer.id, now(),
		jsonb_build_object('role', session_user, 'subscription_id', subscription), seat
	FROM seat
	RETURNING seat, invitation_token INTO answer;
	RETURN answer;
END
$$;

-- A seat for each of some addresses, in their order, all or none. The rows that are returned come in
-- the order in which they were inserted.
CREATE FUNCTION rival.assign_seats(subscription uuid, addresses text[]) RETURNS SETOF rival.answer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = rival, public, pg_temp
AS $$
DECLARE
	metadata jsonb := jsonb_build_object('role', session_user, 'subscription_id', subscription);
	purchase record;
	invitation_tokens text[];
BEGIN
	UPDATE subscriptions AS b
	SET assigned_seats = b.assigned_seats + cardinality(addresses)
	FROM organizations AS o
	WHERE b.id = subscription
		AND b.status IN ('trialing', 'active', 'past_due')
		AND b.assigned_seats + cardinality(addresses) <= b.seats
		AND o.id = b.organization_id
		AND o.seat_based_pricing_enabled
	RETURNING b.organization_id, now() + COALESCE(o.invitation_ttl, interval '1 day') AS expires_at
	INTO purchase;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'Not so many seats can be assigned' USING ERRCODE = 'PT400';
	END IF;

	-- In one order, so that two calls cannot deadlock.
	INSERT INTO customers (organization_id, email)
	SELECT purchase.organization_id, a.address FROM unnest(addresses) AS a (address)
	ORDER BY lower(a.address)
	ON CONFLICT (organization_id, lower(email)) DO NOTHING;

	invitation_tokens := ARRAY(
		SELECT 'inv_' || encode(gen_random_bytes(32), 'hex') FROM unnest(addresses));
	RETURN QUERY
	WITH seat AS (
		INSERT INTO customer_seats AS s (organization_id, status, subscription_id, customer_id,
			customer_email, invitation_token_hash, invitation_token_expires_at)
		SELECT purchase.organization_id, 'pending', subscription, c.id, c.email,
			digest(a.token, 'sha256'), purchase.expires_at
		FROM unnest(addresses, invitation_tokens) WITH ORDINALITY AS a (address, token, place)
		JOIN customers AS c
			ON c.organization_id = purchase.organization_id AND lower(c.email) = lower(a.address)
		ORDER BY a.place
		RETURNING s.id, s.customer_id,
			ROW(s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status,
				s.customer_id, s.customer_email, s.invitation_token_expires_at, s.claimed_at,
				s.revoked_at, s.seat_metadata)::customer_seat AS seat
	), event AS (
		INSERT INTO events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
		SELECT 'customer_seat.assigned', s.id, purchase.organization_id, s.customer_id, now(), metadata,
			s.seat
		FROM seat AS s
	)
	SELECT s.seat, invitation_tokens[row_number() OVER ()] FROM seat AS s;
END
$$;

CREATE FUNCTION rival.resend_invitation(seat_id uuid) RETURNS rival.answer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = rival, public, pg_temp
AS $$
DECLARE
	invitation_token text := 'inv_' || encode(gen_random_bytes(32), 'hex');
	answer answer;
BEGIN
	WITH seat AS (
		UPDATE customer_seats AS s
		SET invitation_token_hash = digest(invitation_token, 'sha256'),
			invitation_token_expires_at = now() + COALESCE(o.invitation_ttl, interval '1 day'),
			modified_at = now()
		FROM organizations AS o
		WHERE s.id = resend_invitation.seat_id
			AND s.status = 'pending'
			AND s.suspended_at IS NULL
			AND o.id = s.organization_id
			AND o.seat_based_pricing_enabled
		RETURNING s.id, s.organization_id, s.subscription_id, s.customer_id,
			ROW(s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status,
				s.customer_id, s.customer_email, s.invitation_token_expires_at, s.claimed_at,
				s.revoked_at, s.seat_metadata)::customer_seat AS seat
	)
	INSERT INTO events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
	SELECT 'customer_seat.invitation_resent', id, organization_id, customer_id, now(),
		jsonb_build_object('role', session_user, 'subscription_id', subscription_id), seat
	FROM seat
	RETURNING seat, invitation_token INTO answer;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'No invitation can be sent again' USING ERRCODE = 'PT400';
	END IF;
	RETURN answer;
END
$$;

CREATE FUNCTION rival.revoke_seat(seat_id uuid) RETURNS rival.customer_seat
LANGUAGE plpgsql SECURITY DEFINER SET search_path = rival, public, pg_temp
AS $$
DECLARE
	held record;
	revoked customer_seat;
BEGIN
	UPDATE subscriptions AS b
	SET assigned_seats = b.assigned_seats - 1
	FROM customer_seats AS s, organizations AS o
	WHERE s.id = revoke_seat.seat_id
		AND s.customer_id IS NOT NULL
		AND b.id = s.subscription_id
		AND o.id = s.organization_id
		AND o.seat_based_pricing_enabled
	RETURNING s.customer_id, s.organization_id INTO held;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'No seat can be revoked' USING ERRCODE = 'PT404';
	END IF;

	UPDATE customer_seats AS s
	SET status = 'revoked', customer_id = NULL, customer_email = NULL, seat_metadata = NULL,
		suspended_at = NULL, revoked_at = now(), modified_at = now()
	WHERE s.id = revoke_seat.seat_id AND s.customer_id = held.customer_id
	RETURNING s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status, s.customer_id,
		s.customer_email, s.invitation_token_expires_at, s.claimed_at, s.revoked_at, s.seat_metadata
	INTO revoked;
	-- If somebody else revoked it meanwhile, it does not count twice.
	IF NOT FOUND THEN
		RAISE EXCEPTION 'No seat can be revoked' USING ERRCODE = 'PT404';
	END IF;
	INSERT INTO events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
	VALUES ('customer_seat.revoked', revoked.id, held.organization_id, held.customer_id, now(),
		jsonb_build_object('role', session_user, 'reason', 'revoked', 'subscription_id',
			revoked.subscription_id), revoked);
	IF revoked.claimed_at IS NOT NULL THEN
		DELETE FROM customer_sessions AS x WHERE x.seat_id = revoke_seat.seat_id;
	END IF;
	RETURN revoked;
END
$$;

-- Ends a subscription and revokes its seats; returns how many. The events come first, of locked
-- seats: an UPDATE could not return who held them.
CREATE FUNCTION rival.cancel(subscription uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = rival, public, pg_temp
AS $$
DECLARE
	metadata jsonb := jsonb_build_object('role', session_user, 'reason', 'ended', 'subscription_id',
		subscription);
	revoked integer;
BEGIN
	UPDATE subscriptions AS b
	SET status = 'canceled', assigned_seats = 0, modified_at = now()
	WHERE b.id = subscription;

	INSERT INTO events AS e
		(type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
	SELECT 'customer_seat.revoked', s.id, s.organization_id, s.customer_id, now(), metadata,
		ROW(s.created_at, now(), s.id, s.subscription_id, s.order_id, 'revoked', NULL, NULL,
			s.invitation_token_expires_at, s.claimed_at, now(), NULL)::customer_seat
	FROM (SELECT * FROM customer_seats AS h
		WHERE h.subscription_id = subscription AND h.customer_id IS NOT NULL
		FOR NO KEY UPDATE) AS s;

	UPDATE customer_seats AS s
	SET status = 'revoked', customer_id = NULL, customer_email = NULL, seat_metadata = NULL,
		suspended_at = NULL, revoked_at = now(), modified_at = now()
	WHERE s.subscription_id = subscription AND s.customer_id IS NOT NULL;
	GET DIAGNOSTICS revoked = ROW_COUNT;

	DELETE FROM customer_sessions AS x
	USING customer_seats AS s
	WHERE s.subscription_id = subscription AND s.claimed_at IS NOT NULL AND x.seat_id = s.id;
	RETURN revoked;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA rival FROM PUBLIC;
GRANT USAGE ON SCHEMA rival TO bench_caller, bench_writer, bench_backend;
GRANT EXECUTE ON FUNCTION rival.claim_seat TO bench_caller;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rival TO bench_backend;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA rival TO bench_writer;
