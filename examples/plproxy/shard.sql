-- The functions by which fronts call a shard. Run this as a superuser in each shard's database, after CREATE
-- EXTENSION seats, with the number of shards and the shard's own number, which starts at 0:
--
--   psql -d shop -v shards=4 -v shard=0 -f shard.sql
--
-- Then create the roles that fronts log in as, and give them their rights: SELECT seats_shard.grant_access(...).

\set ON_ERROR_STOP on
BEGIN;

CREATE SCHEMA seats_shard;
COMMENT ON SCHEMA seats_shard IS 'What fronts need beside the extension seats';

CREATE TABLE seats_shard.slice (
	shards integer NOT NULL CONSTRAINT slice_shards_check CHECK (shards > 0 AND shards & (shards - 1) = 0),
	shard integer NOT NULL,
	CONSTRAINT slice_shard_check CHECK (shard >= 0 AND shard < shards)
);
CREATE UNIQUE INDEX slice_one_row ON seats_shard.slice ((true));
COMMENT ON TABLE seats_shard.slice IS
'Which organizations are here, in one row: those with organization_route & (shards - 1) = shard';
COMMENT ON COLUMN seats_shard.slice.shards IS 'Into how many slices, a power of two, organizations are divided';
COMMENT ON COLUMN seats_shard.slice.shard IS 'Which of these is here, from 0';
COMMENT ON CONSTRAINT slice_shards_check ON seats_shard.slice IS 'PL/Proxy takes the last bits of a route';
COMMENT ON CONSTRAINT slice_shard_check ON seats_shard.slice IS 'A slice that there is';
COMMENT ON INDEX seats_shard.slice_one_row IS 'There is one row';
INSERT INTO seats_shard.slice VALUES (:shards, :shard);

-- Reading the slice locks it until the transaction ends (ACCESS SHARE). split.sh locks it in ACCESS EXCLUSIVE
-- mode; once it has the lock, no call is under way. A call that waited for split.sh sees what was committed by
-- then, since a statement takes its locks before its snapshot.
CREATE FUNCTION seats_shard.enter(route integer, request text[] DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF request[1] <> '' THEN
		PERFORM set_config('request.headers', request[1], true);
	END IF;
	IF request[2] <> '' THEN
		PERFORM set_config('request.jwt.claims', request[2], true);
	END IF;
	IF request[3] = 'on' THEN
		SET LOCAL transaction_read_only = on;
	END IF;
	IF route IS NOT NULL AND NOT EXISTS (SELECT FROM seats_shard.slice WHERE route & (shards - 1) = shard) THEN
		RAISE SQLSTATE 'PT421' USING MESSAGE = 'Misdirected Request', DETAIL = 'other_shard',
			HINT = 'The organization is on another shard.';
	END IF;
	RETURN true;
END
$$;
COMMENT ON FUNCTION seats_shard.enter(integer, text[]) IS
'Begins a call: refuses a route of another shard, and gives this transaction the settings of the front''s: request.headers, request.jwt.claims, transaction_read_only; locks the slice, ACCESS SHARE; raises PT421';

-- PL/Proxy changes the words of a shard's errors, and closes the connection. So the error of a call is returned as
-- a result: SQLSTATE, MESSAGE, DETAIL and HINT. The call's changes and locks are undone, except the slice's lock.
CREATE FUNCTION seats_shard.failure(state text, message text, detail text, hint text)
RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF state !~ '^PT' THEN
		RAISE LOG 'a front''s call failed: % %', state, message;
	END IF;
	RETURN ARRAY[state, message, detail, hint];
END
$$;
COMMENT ON FUNCTION seats_shard.failure(text, text, text, text) IS
'An error as an answer to a front; what is not one of the extension''s own is logged';

-- For each function of the extension, a function of the same name for fronts. It applies the front's settings,
-- returns errors as results, and has no more rights than its caller.
CREATE FUNCTION seats_shard.my_seats()
RETURNS SETOF seats.customer_seat
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT * FROM seats.my_seats;
END;
COMMENT ON FUNCTION seats_shard.my_seats() IS 'The view seats.my_seats as a function';

CREATE PROCEDURE seats_shard.define(function regprocedure)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $define$
DECLARE
	f pg_proc;
	name text;
	signature text;
	call text;
BEGIN
	SELECT * INTO f FROM pg_proc WHERE oid = function;
	name := CASE f.pronamespace WHEN 'seats_http'::regnamespace THEN 'http_' ELSE '' END || f.proname;
	signature := format('seats_shard.%I(%s)', name,
		concat_ws(', ', 'route integer', 'request text[]', nullif(pg_get_function_identity_arguments(function), '')));
	call := format('%s(%s)', function::regproc,
		array_to_string(ARRAY(SELECT '$' || n + 2 FROM generate_series(1, f.pronargs) AS n), ', '));
	EXECUTE format($$
		CREATE FUNCTION %1$s
		RETURNS %2$s
		LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
		AS $body$
		DECLARE
			entered boolean;
			message text;
			detail text;
			hint text;
		BEGIN
			entered := seats_shard.enter($1, $2);
			%3$s;
		EXCEPTION WHEN OTHERS OR query_canceled THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
			failure := seats_shard.failure(SQLSTATE, message, detail, hint);
			%4$s
		END
		$body$
		$$,
		left(signature, -1) || format(', OUT failure text[], OUT result %s, OUT status text)',
			CASE f.prorettype WHEN 'void'::regtype THEN 'boolean'::regtype ELSE f.prorettype::regtype END),
		CASE WHEN f.proretset THEN 'SETOF record' ELSE 'record' END,
		CASE
			WHEN f.proretset THEN format('RETURN QUERY SELECT NULL::text[], r, NULL FROM %s AS r', call)
			WHEN f.prorettype = 'void'::regtype THEN format('PERFORM %s', call)
			ELSE format('result := %s; status := current_setting(''response.status'', true)', call)
		END,
		CASE WHEN f.proretset THEN 'RETURN NEXT;' END);
	EXECUTE format('COMMENT ON FUNCTION %s IS %L', signature, format('Calls %s for a front', function));
END
$define$;

DO $$
DECLARE
	function regprocedure;
BEGIN
	FOR function IN
		SELECT oid FROM pg_proc
		WHERE pronamespace = 'seats'::regnamespace AND proname IN ('claim_seat', 'claim_info', 'assign_seat', 'assign_seats',
				'import_seats', 'resend_invitation', 'revoke_seat', 'revoke_seats', 'set_seats', 'list_seats', 'get_seat', 'has_seat',
				'open_session', 'erase_customer', 'create_join_link', 'join_info', 'join_seat', 'list_join_links', 'revoke_join_link',
				'authenticate', 'end_session', 'check_session', 'release_expired_seats', 'purge_expired_sessions', 'purge_events')
			OR pronamespace = 'seats_http'::regnamespace
			OR oid = 'seats_shard.my_seats()'::regprocedure
	LOOP
		CALL seats_shard.define(function);
	END LOOP;
END
$$;
DROP PROCEDURE seats_shard.define;


-- Rows are where they belong -------------------------------------------------------------------------------

-- The application writes its records on the shard itself. Records of organizations on other shards are rejected,
-- and while an organization moves, its writers wait.
CREATE FUNCTION seats_shard.check_row()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old_row jsonb := to_jsonb(OLD);
	new_row jsonb := to_jsonb(NEW);
	organization text;
BEGIN
	FOREACH organization IN ARRAY ARRAY[old_row ->> TG_ARGV[0], new_row ->> TG_ARGV[0]] LOOP
		PERFORM seats_shard.enter(seats.organization_route(organization::uuid));
	END LOOP;
	RETURN coalesce(NEW, OLD);
END
$$;
COMMENT ON FUNCTION seats_shard.check_row() IS
'Trigger: refuses rows of organizations of another shard, by the column that the argument names; raises PT421';

CREATE TRIGGER check_row BEFORE INSERT OR UPDATE OR DELETE ON seats.organizations
	FOR EACH ROW EXECUTE FUNCTION seats_shard.check_row('id');
CREATE TRIGGER check_row BEFORE INSERT OR UPDATE OR DELETE ON seats.products
	FOR EACH ROW EXECUTE FUNCTION seats_shard.check_row('organization_id');
CREATE TRIGGER check_row BEFORE INSERT OR UPDATE OR DELETE ON seats.customers
	FOR EACH ROW EXECUTE FUNCTION seats_shard.check_row('organization_id');
CREATE TRIGGER check_row BEFORE INSERT OR UPDATE OR DELETE ON seats.subscriptions
	FOR EACH ROW EXECUTE FUNCTION seats_shard.check_row('organization_id');
CREATE TRIGGER check_row BEFORE INSERT OR UPDATE OR DELETE ON seats.orders
	FOR EACH ROW EXECUTE FUNCTION seats_shard.check_row('organization_id');
COMMENT ON TRIGGER check_row ON seats.organizations IS 'Only organizations of this shard';
COMMENT ON TRIGGER check_row ON seats.products IS 'Only those of this shard''s organizations';
COMMENT ON TRIGGER check_row ON seats.customers IS 'Only those of this shard''s organizations';
COMMENT ON TRIGGER check_row ON seats.subscriptions IS 'Only those of this shard''s organizations';
COMMENT ON TRIGGER check_row ON seats.orders IS 'Only those of this shard''s organizations';

CREATE FUNCTION seats_shard.grant_access(
	anonymous regrole DEFAULT NULL,
	backend regrole DEFAULT NULL,
	customer regrole DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	grantee regrole;
	function regprocedure;
BEGIN
	PERFORM seats.grant_access(anonymous, backend, customer);
	FOREACH grantee IN ARRAY array_remove(ARRAY[anonymous, backend, customer], NULL) LOOP
		EXECUTE format('GRANT USAGE ON SCHEMA seats_shard TO %s', grantee);
		-- Whoever has no right to call the extension's function itself gets 42501 from those here.
		FOR function IN
			SELECT oid FROM pg_proc
			WHERE pronamespace = 'seats_shard'::regnamespace
				AND (proargnames[1:2] = '{route,request}' OR proname IN ('failure', 'my_seats'))
		LOOP
			EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', function, grantee);
		END LOOP;
		-- Values travel as text.
		EXECUTE format('ALTER ROLE %s SET DateStyle = %L', grantee, 'ISO, YMD');
		EXECUTE format('ALTER ROLE %s SET IntervalStyle = %L', grantee, 'postgres');
	END LOOP;
END
$$;
COMMENT ON FUNCTION seats_shard.grant_access(regrole, regrole, regrole) IS
'seats.grant_access for the roles that fronts log in as, and what they need of this schema; run it as a superuser';

-- Splitting: split.sh calls these ---------------------------------------------------------------------------

CREATE PROCEDURE seats_shard.hand_over(subscription text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deadline timestamptz;
	until_here pg_lsn;
BEGIN
	LOCK TABLE seats_shard.slice IN ACCESS EXCLUSIVE MODE;
	-- What is sent to subscribers has been flushed, and this flushes all there is.
	PERFORM pg_switch_wal();
	until_here := pg_current_wal_flush_lsn();
	deadline := clock_timestamp() + interval '2 seconds';
	WHILE NOT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = subscription AND flush_lsn >= until_here) LOOP
		IF clock_timestamp() > deadline THEN
			RAISE lock_not_available USING MESSAGE = 'the new shard has not caught up in time';
		END IF;
		PERFORM pg_sleep(0.01);
	END LOOP;
	UPDATE seats_shard.slice SET shards = 2 * shards;
END
$$;
COMMENT ON PROCEDURE seats_shard.hand_over(text) IS
'Keeps the first half of this shard''s slice, when the subscriber has all rows of the other on its disk; holds all calls meanwhile, for at most 2 seconds once none is under way (lock_timeout says how long to wait for that); locks the slice, ACCESS EXCLUSIVE';

-- Triggers and foreign keys are off, because all rows of an organization are deleted. It has no search_path of its
-- own, because it commits.
CREATE PROCEDURE seats_shard.delete_others()
LANGUAGE plpgsql
AS $$
DECLARE
	name text;
	names text[] := ARRAY(
		SELECT c.relname::pg_catalog.text
		FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
		WHERE c.relnamespace OPERATOR(pg_catalog.=) 'seats'::pg_catalog.regnamespace
			AND c.relkind OPERATOR(pg_catalog.=) 'r' AND a.attname OPERATOR(pg_catalog.=) 'organization_id');
BEGIN
	-- The organizations come last: by them it is known what is to go.
	FOREACH name IN ARRAY pg_catalog.array_append(names, 'organizations') LOOP
		PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
			pg_catalog.set_config('session_replication_role', 'replica', true);
		EXECUTE format('DELETE FROM seats.%I WHERE %I IN (SELECT o.id FROM seats.organizations AS o, seats_shard.slice AS s '
			'WHERE seats.organization_route(o.id) & (s.shards - 1) <> s.shard)',
			name, CASE name WHEN 'organizations' THEN 'id' ELSE 'organization_id' END);
		COMMIT;
	END LOOP;
END
$$;
COMMENT ON PROCEDURE seats_shard.delete_others() IS
'Deletes all rows of organizations that are another shard''s, table by table, each in a transaction; can be broken off and called again; run it as a superuser';


-- Nothing to PUBLIC.
REVOKE ALL ON ALL ROUTINES IN SCHEMA seats_shard FROM PUBLIC;

COMMIT;
