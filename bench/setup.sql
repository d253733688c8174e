-- What the benchmark adds to a database that has the extension: roles, and the PL/pgSQL
-- function that claim_seat() is compared with.  The names of the roles that claim are as long
-- as each other, since they stand in events.

DO $$
DECLARE
	wanted text;
BEGIN
	FOREACH wanted IN ARRAY ARRAY['caller', 'writer', 'backend', 'customer', 'monitor'] LOOP
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bench_' || wanted) THEN
			EXECUTE format('CREATE ROLE bench_%s LOGIN', wanted);
		END IF;
	END LOOP;
	SET LOCAL client_min_messages = warning;
	GRANT pg_monitor TO bench_monitor;
END
$$;

-- No plan is made anew at a call: so it is for claim_seat()'s own statements.
ALTER ROLE bench_caller SET plan_cache_mode = force_generic_plan;
ALTER ROLE bench_writer SET plan_cache_mode = force_generic_plan;
ALTER ROLE bench_backend SET plan_cache_mode = force_generic_plan;
ALTER ROLE bench_customer SET plan_cache_mode = force_generic_plan;

-- Row security is for customers, and lets nobody else see a seat.
ALTER ROLE bench_writer BYPASSRLS;

SELECT seats.grant_access(anonymous => 'bench_caller');
SELECT seats.grant_access(backend => 'bench_backend');
SELECT seats.grant_access(customer => 'bench_customer');

GRANT USAGE ON SCHEMA seats TO bench_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA seats TO bench_writer;
GRANT UPDATE ON seats.customer_seats TO bench_writer;
GRANT INSERT ON seats.customer_sessions, seats.events TO bench_writer;

CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO bench_caller, bench_writer, bench_backend;

-- Has the kernel map the pages of all tables and indexes into the calling backend, as those of a
-- pool's backends are that have run for a while: a backend's first look at a page costs as
-- much as a good part of a claim. The kernel maps a page's neighbours along with it.
CREATE EXTENSION pageinspect SCHEMA bench;
CREATE FUNCTION bench.touch_pages() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(bench.get_raw_page(format('%s.%I', n.nspname, c.relname), block))
	FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid,
		generate_series(0, pg_relation_size(c.oid) / current_setting('block_size')::bigint - 1, 4) AS block
	WHERE n.nspname IN ('seats', 'rival') AND c.relkind IN ('r', 'i')
$$;
GRANT EXECUTE ON FUNCTION bench.touch_pages TO bench_caller, bench_writer, bench_backend;

CREATE FUNCTION bench.claim_seat(invitation_token text)
RETURNS seats.customer_seat_claim_response
LANGUAGE plpgsql SECURITY DEFINER SET search_path = seats, public, pg_temp
AS $$
DECLARE
	found_seat customer_seats;
	allowed boolean;
	moment timestamptz;
	claimed customer_seat;
	token text;
BEGIN
	SELECT * INTO found_seat FROM customer_seats
	WHERE invitation_token_hash = digest(invitation_token, 'sha256')
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'Invalid, expired, or already claimed token'
			USING ERRCODE = 'PT400', DETAIL = 'invitation_invalid';
	END IF;
	IF found_seat.status = 'revoked' THEN
		RAISE EXCEPTION 'Invalid, expired, or already claimed token'
			USING ERRCODE = 'PT400', DETAIL = 'seat_revoked';
	END IF;
	IF found_seat.status = 'claimed' THEN
		RAISE EXCEPTION 'Invalid, expired, or already claimed token'
			USING ERRCODE = 'PT400', DETAIL = 'seat_already_claimed';
	END IF;
	moment := clock_timestamp();
	IF found_seat.invitation_token_expires_at <= moment THEN
		RAISE EXCEPTION 'Invalid, expired, or already claimed token'
			USING ERRCODE = 'PT400', DETAIL = 'invitation_expired';
	END IF;
	SELECT seat_based_pricing_enabled INTO allowed FROM organizations
	WHERE id = found_seat.organization_id;
	IF allowed IS NOT TRUE THEN
		RAISE EXCEPTION 'Seat-based pricing not enabled for organization'
			USING ERRCODE = 'PT403', DETAIL = 'seat_based_pricing_not_enabled';
	END IF;

	UPDATE customer_seats
	SET status = 'claimed', claimed_at = moment, modified_at = moment
	WHERE id = found_seat.id
	RETURNING created_at, modified_at, id, subscription_id, order_id, status, customer_id,
		customer_email, invitation_token_expires_at, claimed_at, revoked_at, seat_metadata
	INTO claimed;
	token := 'cst_' || encode(gen_random_bytes(32), 'hex');
	INSERT INTO customer_sessions
		(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
	VALUES (digest(token, 'sha256'), found_seat.id, found_seat.customer_id,
		found_seat.organization_id, moment, moment + interval '1 hour');
	INSERT INTO events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
	VALUES ('customer_seat.claimed', found_seat.id, found_seat.organization_id,
		found_seat.customer_id, moment,
		jsonb_build_object('role', session_user, 'subscription_id', found_seat.subscription_id),
		claimed);
	RETURN (claimed, token);
END
$$;
REVOKE ALL ON FUNCTION bench.claim_seat FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bench.claim_seat TO bench_caller;

-- Samples what sessions wait for, while there are clients that claim; returns how many samples
-- it took, and how often a client waited in one: to extend a table or an index, or for any
-- other lock.
CREATE FUNCTION bench.sample_waits(OUT samples integer, OUT for_rows integer, OUT to_extend integer)
LANGUAGE plpgsql
AS $$
DECLARE
	seen record;
	give_up timestamptz := clock_timestamp() + interval '10 seconds';
BEGIN
	samples := 0;
	for_rows := 0;
	to_extend := 0;
	LOOP
		PERFORM pg_sleep(0.001);
		PERFORM pg_stat_clear_snapshot();
		SELECT count(*) AS clients,
			count(*) FILTER (WHERE wait_event_type = 'Lock' AND wait_event <> 'extend') AS for_rows,
			count(*) FILTER (WHERE wait_event_type = 'Lock' AND wait_event = 'extend') AS to_extend
		INTO seen
		FROM pg_stat_activity WHERE usename = 'bench_caller';
		EXIT WHEN seen.clients = 0 AND (samples > 0 OR clock_timestamp() > give_up);
		CONTINUE WHEN seen.clients = 0;
		samples := samples + 1;
		for_rows := for_rows + seen.for_rows;
		to_extend := to_extend + seen.to_extend;
	END LOOP;
END
$$;
