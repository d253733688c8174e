-- The front: functions of the same names as those of the extension, which run where the data is. Run it as a
-- superuser in a database of its own, on a server that has the files of seats, pgcrypto and PL/Proxy:
--
--   psql -d front -f front.sql
--
-- The schemas seats and seats_http have the functions that callers call, and no tables. seats_front has,
-- for each of them, a function that calls the shard. The foreign server seats says where the shards are.

\set ON_ERROR_STOP on
BEGIN;

CREATE EXTENSION pgcrypto;
CREATE EXTENSION plproxy;
CREATE SCHEMA seats;
COMMENT ON SCHEMA seats IS 'The functions of the extension seats, called on the shard that has the organization';
CREATE SCHEMA seats_http;
COMMENT ON SCHEMA seats_http IS 'The functions of seats_http, called on the shard that has the organization';
CREATE SCHEMA seats_front;
COMMENT ON SCHEMA seats_front IS 'How the front calls shards';


-- Types, as the extension has them ----------------------------------------------------------------------

CREATE TYPE seats.seat_status AS ENUM ('pending', 'claimed', 'revoked');
CREATE TYPE seats.customer_seat AS (
	created_at timestamptz,
	modified_at timestamptz,
	id uuid,
	subscription_id uuid,
	order_id uuid,
	status seats.seat_status,
	customer_id uuid,
	customer_email text,
	invitation_token_expires_at timestamptz,
	claimed_at timestamptz,
	revoked_at timestamptz,
	seat_metadata jsonb
);
CREATE TYPE seats.customer_seat_claim_response AS (seat seats.customer_seat, customer_session_token text);
CREATE TYPE seats.seat_invitation AS (seat seats.customer_seat, invitation_token text);
CREATE TYPE seats.seat_claim_info AS (
	product_name text,
	product_id uuid,
	organization_name text,
	organization_slug text,
	customer_email text,
	can_claim boolean
);
CREATE TYPE seats.seats_list AS (seats seats.customer_seat[], available_seats integer, total_seats integer);
CREATE TYPE seats.customer_session AS (
	customer_id uuid,
	organization_id uuid,
	seat_id uuid,
	customer_email text,
	expires_at timestamptz
);
CREATE TYPE seats.opened_session AS (session seats.customer_session, customer_session_token text);
CREATE TYPE seats.join_link AS (
	id uuid,
	created_at timestamptz,
	subscription_id uuid,
	order_id uuid,
	email_domains text[],
	max_uses integer,
	uses integer,
	expires_at timestamptz,
	revoked_at timestamptz
);
CREATE TYPE seats.created_join_link AS (link seats.join_link, join_token text);
CREATE TYPE seats.join_info AS (
	product_name text,
	organization_name text,
	organization_slug text,
	email_domains text[],
	can_join boolean
);
COMMENT ON TYPE seats.seat_status IS 'Life of a seat';
COMMENT ON TYPE seats.customer_seat IS 'A seat as callers see it';
COMMENT ON TYPE seats.customer_seat_claim_response IS 'Answer of claim_seat()';
COMMENT ON TYPE seats.seat_invitation IS 'Answer of assign_seat(), assign_seats() and resend_invitation()';
COMMENT ON TYPE seats.seat_claim_info IS 'Answer of claim_info()';
COMMENT ON TYPE seats.seats_list IS 'Answer of list_seats()';
COMMENT ON TYPE seats.customer_session IS 'Answer of authenticate()';
COMMENT ON TYPE seats.opened_session IS 'Answer of open_session()';
COMMENT ON TYPE seats.join_link IS 'A join link as callers see it';
COMMENT ON TYPE seats.created_join_link IS 'Answer of create_join_link()';
COMMENT ON TYPE seats.join_info IS 'Answer of join_info()';


-- Routes --------------------------------------------------------------------------------------------------

-- The same code as in the extension. It reads no table.
CREATE FUNCTION seats.token_route(token text)
RETURNS integer
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS 'seats', 'seats_token_route';
COMMENT ON FUNCTION seats.token_route(text) IS 'The number by which the shard of a token is found; raises PT400';

CREATE FUNCTION seats.organization_route(organization_id uuid)
RETURNS integer
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS 'seats', 'seats_organization_route';
COMMENT ON FUNCTION seats.organization_route(uuid) IS 'The number by which the shard of an organization is found';

CREATE FUNCTION seats_front.route(token text)
RETURNS integer
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN coalesce(seats.token_route(token), 0);
EXCEPTION WHEN SQLSTATE 'PT400' THEN
	RETURN hashtext(token);
END
$$;
COMMENT ON FUNCTION seats_front.route(text) IS 'The route of a token; some number for what is no token, since any shard can say what is wrong with it';

CREATE FUNCTION seats_front.route(organization_id uuid)
RETURNS integer
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF organization_id IS NULL THEN
		RAISE SQLSTATE 'PT422' USING MESSAGE = 'Validation Error',
			DETAIL = '[{"loc": ["body", "organization_id"], "msg": "UUID input should be a string, bytes or UUID object", "type": "uuid_type"}]',
			HINT = 'Correct the arguments that the detail names.';
	END IF;
	RETURN seats.organization_route(organization_id);
END
$$;
COMMENT ON FUNCTION seats_front.route(uuid) IS 'The route of an organization; raises PT422 for null';

CREATE FUNCTION seats_front.http_route(organization_id text)
RETURNS integer
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN seats_front.route(organization_id::uuid);
EXCEPTION WHEN invalid_text_representation THEN
	RETURN seats_front.route(NULL::uuid);
END
$$;
COMMENT ON FUNCTION seats_front.http_route(text) IS 'The route of an organization by a request over HTTP; raises PT422 for what is no uuid';

CREATE FUNCTION seats_front.body(body bytea)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN convert_from(body, 'UTF8')::jsonb;
EXCEPTION WHEN data_exception OR statement_too_complex OR program_limit_exceeded THEN
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION seats_front.body(bytea) IS 'A body of a request; null for what is no JSON, as any shard will answer';

CREATE FUNCTION seats_front.claims_route()
RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN seats.organization_route((nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'org')::uuid);
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION seats_front.claims_route() IS
'The route of the organization that the JWT of PostgREST''s request names as org, or null';


-- What calls have in common -------------------------------------------------------------------------------

-- A statement on a shard is a transaction of its own. PostgREST's settings for the request, and whether the
-- transaction is read-only, are passed along: seats_shard.enter() sets them on the shard.
CREATE FUNCTION seats_front.request()
RETURNS text[]
LANGUAGE sql STABLE
RETURN ARRAY[
	pg_catalog.current_setting('request.headers', true),
	pg_catalog.current_setting('request.jwt.claims', true),
	pg_catalog.current_setting('transaction_read_only')];
COMMENT ON FUNCTION seats_front.request() IS 'The settings of this transaction that go to the shard';

CREATE FUNCTION seats_front.set_response(status text, body json)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF status <> '' THEN
		PERFORM set_config('response.status', status, true),
			set_config('response.headers', (jsonb_build_array(jsonb_build_object('Seats-Answer', body::text))
				|| coalesce(nullif(current_setting('response.headers', true), ''), '[]')::jsonb)::text, true);
	END IF;
END
$$;
COMMENT ON FUNCTION seats_front.set_response(text, json) IS 'Gives PostgREST the status and the header that the shard''s transaction had';

-- A shard returns the error of a call as its result; this raises it again.
CREATE FUNCTION seats_front.fail(failure text[])
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	state text := failure[1];
	message text := failure[2];
	detail text := failure[3];
	hint text := failure[4];
BEGIN
	IF detail = '' AND hint = '' THEN
		RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message;
	ELSIF hint = '' THEN
		RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message, DETAIL = detail;
	ELSIF detail = '' THEN
		RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message, HINT = hint;
	END IF;
	RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message, DETAIL = detail, HINT = hint;
END
$$;
COMMENT ON FUNCTION seats_front.fail(text[]) IS 'Raises an error of these SQLSTATE, MESSAGE, DETAIL and HINT';

CREATE FUNCTION seats_front.wait()
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM pg_sleep(0.1);
	-- A session hears of what others have changed when it opens a table anew, as this does.
	PERFORM pg_relation_size('pg_foreign_server');
END
$$;
COMMENT ON FUNCTION seats_front.wait() IS 'Waits a moment, and hears whether a shard has moved meanwhile';

-- Any other error is PL/Proxy's, when it cannot reach a shard, or one that the shard could not return, for
-- example because its session was ended; PL/Proxy adds words to it. 08P01 is the code of all of PgBouncer's errors.
CREATE FUNCTION seats_front.fail_to_call(state text, message text, detail text, hint text)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	remote text[] := regexp_match(message, '^seats_front\.\w+\(\d+\): \[.*?\] REMOTE [^:]*: (.*)$');
BEGIN
	IF message ~ '^PL/Proxy function .* PQconnect(Start|Poll): ' THEN
		RAISE LOG '%', message;
		PERFORM seats_front.fail(ARRAY['08001', 'Shard not reachable', 'shard_not_reachable',
			'Nothing was done: try again.']);
	ELSIF message ~ '^PL/Proxy function .*(PQ|query timeout)' OR remote[1] = '(null)'
		OR state IN ('57P01', '57P02', '57P03', '08P01')
	THEN
		RAISE LOG '%', message;
		PERFORM seats_front.fail(ARRAY['08006', 'Connection to the shard lost', 'shard_connection_lost',
			'It is not known whether the call was done: ask, or repeat a claim with its idempotency key.']);
	END IF;
	PERFORM seats_front.fail(ARRAY[state, coalesce(remote[1], message),
		regexp_replace(detail, '^Remote detail: ', ''), regexp_replace(hint, '^Remote hint: ', '')]);
END
$$;
COMMENT ON FUNCTION seats_front.fail_to_call(text, text, text, text) IS
'Raises an error that is no answer of a shard: 08001, 08006, or the shard''s own without what PL/Proxy adds';

-- Makes both functions for one of the extension's, from its name, its parameters ("name type" or "name type
-- DEFAULT value"), its result, its volatility, and the expression for the route. If no parameter determines the
-- route, organization_id is added as the first one. ALL is for functions that run on all shards and whose results
-- are added up.
--
-- If a shard answers that it does not have the organization, the organization is just moving. Nothing was done, and
-- the call is repeated for two seconds, in which the front should learn the new place.
CREATE PROCEDURE seats_front.define(
	function text,
	parameters text[],
	result text,
	volatility text,
	comment text,
	route text DEFAULT 'seats_front.route(organization_id)',
	schema text DEFAULT 'seats')
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $define$
DECLARE
	name text := CASE schema WHEN 'seats_http' THEN 'http_' ELSE '' END || function;
	names text[] := ARRAY(SELECT split_part(p, ' ', 1) FROM unnest(parameters) AS p);
	-- A parameter without a name, as PostgREST wants a body, is $1 here.
	inner_signature text := format('seats_front.%I(%s)', name, array_to_string(ARRAY['route integer', 'request text[]']
		|| ARRAY(SELECT replace(split_part(p, ' DEFAULT ', 1), '$1', 'body') FROM unnest(parameters) AS p), ', '));
	is_set boolean := result LIKE 'SETOF %';
	for_all boolean := route = 'ALL';
	call text := format('seats_front.%I(%s)', name, array_to_string(
		ARRAY[CASE WHEN for_all THEN 'NULL' ELSE route END, 'seats_front.request()'] || names, ', '));
	signature text;
BEGIN
	IF route LIKE '%(organization_id)' THEN
		parameters := array_prepend(CASE schema WHEN 'seats_http' THEN 'organization_id text DEFAULT NULL'
			ELSE 'organization_id uuid' END, parameters);
	END IF;
	signature := format('%I.%I(%s)', schema, function, replace(array_to_string(parameters, ', '), '$1 ', ''));
	EXECUTE format($$
		CREATE FUNCTION %1$s, OUT failure text[], OUT result %3$s, OUT status text)
		RETURNS %4$s
		LANGUAGE plproxy
		AS $body$
			CLUSTER 'seats';
			RUN ON %5$s;
			TARGET seats_shard.%2$I;
		$body$
		$$,
		left(inner_signature, -1), name, replace(result, 'SETOF ', ''),
		CASE WHEN is_set OR for_all THEN 'SETOF record' ELSE 'record' END,
		CASE WHEN for_all THEN 'ALL' ELSE 'route' END);
	EXECUTE format('COMMENT ON FUNCTION %s IS %L', inner_signature, format('Calls seats_shard.%I on a shard', name));
	EXECUTE format($$
		CREATE FUNCTION %1$s
		RETURNS %2$s
		LANGUAGE plpgsql %3$s SET search_path = pg_catalog, pg_temp %6$s
		AS $body$
		DECLARE
			answer record;
			message text;
			detail text;
			hint text;
		BEGIN
			FOR attempt IN 1..20 LOOP
				BEGIN
					%4$s
				EXCEPTION WHEN OTHERS OR query_canceled THEN
					GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
					PERFORM seats_front.fail_to_call(SQLSTATE, message, detail, hint);
				END;
				IF answer.failure IS NULL THEN
					%5$s
				ELSIF attempt = 20 OR answer.failure[1] <> 'PT421' THEN
					PERFORM seats_front.fail(answer.failure);
				END IF;
				PERFORM seats_front.wait();
			END LOOP;
		END
		$body$
		$$,
		signature, result, volatility,
		format(CASE
			WHEN is_set THEN
				'FOR answer IN SELECT * FROM %s LOOP EXIT WHEN answer.failure IS NOT NULL; RETURN NEXT answer.result; END LOOP;'
			WHEN for_all THEN
				'SELECT max(a.failure) AS failure, sum(a.result)::integer AS result INTO answer FROM %s AS a;'
			ELSE
				'answer := %s;'
			END, call),
		CASE
			WHEN is_set THEN 'RETURN;'
			WHEN schema = 'seats_http' THEN 'PERFORM seats_front.set_response(answer.status, answer.result); RETURN answer.result;'
			ELSE 'RETURN answer.result;'
		END,
		-- Values travel as text.
		CASE WHEN array_to_string(parameters, ' ') ~ ' (interval|timestamptz)' THEN 'SET IntervalStyle = postgres SET DateStyle = ISO' END);
	EXECUTE format('COMMENT ON FUNCTION %s IS %L', regexp_replace(signature, ' DEFAULT [^,)]*', '', 'g'), comment);
END
$define$;


-- The functions of seats ----------------------------------------------------------------------------------

CALL seats_front.define('claim_seat', '{invitation_token text,idempotency_key text DEFAULT NULL}',
	'seats.customer_seat_claim_response', 'VOLATILE',
	'Claims the pending seat that an invitation token opens, and opens a customer session; raises PT400, PT403, PT422',
	route => 'seats_front.route(invitation_token)');
CALL seats_front.define('claim_info', '{invitation_token text}', 'seats.seat_claim_info', 'STABLE',
	'Tells what an invitation token is for and whether it can be claimed; raises PT400, PT403, PT422',
	route => 'seats_front.route(invitation_token)');
CALL seats_front.define('assign_seat',
	'{subscription_id uuid DEFAULT NULL,order_id uuid DEFAULT NULL,email text DEFAULT NULL,'
	'external_customer_id text DEFAULT NULL,customer_id uuid DEFAULT NULL,metadata jsonb DEFAULT NULL,'
	'immediate_claim boolean DEFAULT false}',
	'seats.seat_invitation', 'VOLATILE',
	'Gives a free seat of a subscription or order to a customer and returns the invitation token, once; raises PT400, PT403, PT404, PT422');
CALL seats_front.define('assign_seats',
	'{subscription_id uuid DEFAULT NULL,order_id uuid DEFAULT NULL,emails text[] DEFAULT NULL,metadata jsonb DEFAULT NULL}',
	'SETOF seats.seat_invitation', 'VOLATILE',
	'Gives a free seat to each of some e-mail addresses, all or none, and returns the invitation tokens in their order, once; raises PT400, PT403, PT404, PT422');
CALL seats_front.define('import_seats',
	'{subscription_id uuid DEFAULT NULL,order_id uuid DEFAULT NULL,emails text[] DEFAULT NULL,'
	'external_customer_ids text[] DEFAULT NULL,claimed_at timestamptz[] DEFAULT NULL}',
	'integer', 'VOLATILE',
	'Gives claimed seats of a subscription or order to those who were members before, all or none, and returns how many; raises PT400, PT403, PT404, PT422');
CALL seats_front.define('resend_invitation', '{seat_id uuid}', 'seats.seat_invitation', 'VOLATILE',
	'Gives a pending seat a new invitation token, which is returned once, and a new expiry; raises PT400, PT403, PT404, PT422');
CALL seats_front.define('revoke_seat', '{seat_id uuid}', 'seats.customer_seat', 'VOLATILE',
	'Ends a seat and its sessions; raises PT403, PT404, PT422');
CALL seats_front.define('revoke_seats', '{subscription_id uuid DEFAULT NULL,order_id uuid DEFAULT NULL}',
	'integer', 'VOLATILE',
	'Ends all seats of a subscription or order and their sessions, and returns how many; raises PT404, PT422');
CALL seats_front.define('set_seats',
	$${subscription_id uuid DEFAULT NULL,order_id uuid DEFAULT NULL,seats integer DEFAULT NULL,surplus text DEFAULT 'refuse'}$$,
	'integer', 'VOLATILE',
	'Sets the number of seats of a subscription or order, and returns how many seats were revoked; raises PT404, PT422');
CALL seats_front.define('list_seats', '{subscription_id uuid DEFAULT NULL,order_id uuid DEFAULT NULL}',
	'seats.seats_list', 'STABLE',
	'Lists the seats of a subscription or order, revoked ones too; raises PT403, PT404, PT422');
CALL seats_front.define('get_seat', '{seat_id uuid}', 'seats.customer_seat', 'STABLE',
	'Returns one seat, in whichever state; raises PT403, PT404, PT422');
CALL seats_front.define('open_session', '{seat_id uuid}', 'seats.opened_session', 'VOLATILE',
	'Opens a further session for whoever holds a claimed seat; raises PT400, PT403, PT404, PT422');
CALL seats_front.define('erase_customer', '{customer_id uuid}', 'integer', 'VOLATILE',
	'Revokes the seats of a customer, clears the person from events and from the customer, and returns how many seats were revoked; raises PT404, PT422');
CALL seats_front.define('create_join_link',
	$${subscription_id uuid DEFAULT NULL,order_id uuid DEFAULT NULL,max_uses integer DEFAULT NULL,expires_in interval DEFAULT '7 days',email_domains text[] DEFAULT NULL}$$,
	'seats.created_join_link', 'VOLATILE',
	'Makes a link by which many people may ask for an invitation to a free seat of a subscription or order, and returns it and its token, once; raises PT403, PT404, PT422');
CALL seats_front.define('join_info', '{join_token text}', 'seats.join_info', 'STABLE',
	'Tells what a join link is for, and whether a new address would be given a seat now; raises PT400, PT403, PT422',
	route => 'seats_front.route(join_token)');
CALL seats_front.define('join_seat', '{join_token text,email text}', 'boolean', 'VOLATILE', 'Joins on the shard of the join link',
	route => 'seats_front.route(join_token)', schema => 'seats_front');
CREATE FUNCTION seats.join_seat(join_token text, email text)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM seats_front.join_seat(join_token, email);
END
$$;
COMMENT ON FUNCTION seats.join_seat(text, text) IS
'Gives an e-mail address a pending seat and leaves it to the application to send the invitation; answers an address that holds a seat in the same way; raises PT400, PT403, PT422';
CALL seats_front.define('list_join_links', '{subscription_id uuid DEFAULT NULL,order_id uuid DEFAULT NULL}',
	'SETOF seats.join_link', 'STABLE',
	'Lists the join links of a subscription or order, revoked ones too; raises PT403, PT404, PT422');
CALL seats_front.define('revoke_join_link', '{link_id uuid}', 'seats.join_link', 'VOLATILE',
	'Ends a join link; raises PT403, PT404, PT422');
CALL seats_front.define('authenticate', '{customer_session_token text}', 'seats.customer_session', 'STABLE',
	'Tells who a customer session token is for; raises PT401, PT422',
	route => 'seats_front.route(customer_session_token)');
CALL seats_front.define('end_session', '{customer_session_token text}', 'boolean', 'VOLATILE',
	'Signs out: ends the session of a token; false when there was none; raises PT422',
	route => 'seats_front.route(customer_session_token)');

-- House-keeping runs on all shards.
CALL seats_front.define('release_expired_seats', $${older_than interval DEFAULT '0'}$$, 'integer', 'VOLATILE',
	'Calls it on all shards; returns how many seats it released; raises PT422', route => 'ALL');
CALL seats_front.define('purge_expired_sessions', '{}', 'integer', 'VOLATILE',
	'Calls it on all shards; returns how many sessions it deleted', route => 'ALL');
CALL seats_front.define('purge_events', '{older_than interval}', 'integer', 'VOLATILE',
	'Calls it on all shards; returns how many events it deleted; raises PT422', route => 'ALL');


-- What customers see: my_seats, has_seat, and the check of their sessions ------------------------------------

CALL seats_front.define('my_seats', '{}', 'SETOF seats.customer_seat', 'STABLE', 'The seats of the customer that the JWT names',
	route => 'seats_front.claims_route()', schema => 'seats_front');
CREATE VIEW seats.my_seats WITH (security_invoker = true, security_barrier = true) AS
SELECT * FROM seats_front.my_seats() WHERE seats_front.claims_route() IS NOT NULL;
COMMENT ON VIEW seats.my_seats IS
'The pending and claimed seats of the customer that request.jwt.claims names as sub, of the organization that it names as org';

-- Nobody holds a seat of no organization.
CALL seats_front.define('has_seat', '{product_id uuid}', 'boolean', 'STABLE', 'Asks the shard of the customer that the JWT names',
	route => 'seats_front.claims_route()', schema => 'seats_front');
CREATE FUNCTION seats.has_seat(product_id uuid)
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE WHEN seats_front.claims_route() IS NULL THEN false ELSE seats_front.has_seat(product_id) END;
END
$$;
COMMENT ON FUNCTION seats.has_seat(uuid) IS
'Whether the customer that request.jwt.claims names as sub, of the organization that it names as org, holds a claimed seat of a product that can be used';
CALL seats_front.define('has_seat', '{product_id uuid,customer_id uuid}', 'boolean', 'STABLE', 'Asks the shard of the organization',
	schema => 'seats_front');
CREATE FUNCTION seats.has_seat(organization_id uuid, product_id uuid, customer_id uuid)
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE WHEN organization_id IS NULL THEN false ELSE seats_front.has_seat(organization_id, product_id, customer_id) END;
END
$$;
COMMENT ON FUNCTION seats.has_seat(uuid, uuid, uuid) IS
'Whether a customer holds a claimed seat of a product that can be used';

CALL seats_front.define('check_session', '{}', 'boolean', 'STABLE', 'Asks the shard of the session that the JWT is for',
	route => 'seats_front.claims_route()', schema => 'seats_front');
CREATE FUNCTION seats.check_session()
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF seats_front.claims_route() IS NOT NULL THEN
		PERFORM seats_front.check_session();
	END IF;
END
$$;
COMMENT ON FUNCTION seats.check_session() IS
'PostgREST''s db-pre-request: refuses the JWT of a session that was ended or expired; lets any other request pass; raises PT401';


-- The functions of seats_http -----------------------------------------------------------------------------

CALL seats_front.define('claim_seat', '{$1 jsonb}', 'json', 'VOLATILE',
	'POST /v1/customer-seats/claim, by its body: claims the seat of invitation_token; answers 200, 400, 403, 422',
	route => $$seats_front.route($1 ->> 'invitation_token')$$, schema => 'seats_http');
CALL seats_front.define('claim_seat', '{$1 bytea}', 'json', 'VOLATILE',
	'The same, with a body that is parsed here, so that what is no JSON is answered with 422',
	route => $$seats_front.route(seats_front.body($1) ->> 'invitation_token')$$, schema => 'seats_http');
CALL seats_front.define('get_claim_info', '{invitation_token text DEFAULT NULL}', 'json', 'VOLATILE',
	'GET /v1/customer-seats/claim/{invitation_token}: tells what the invitation is for; answers 200, 400, 403, 422',
	route => 'seats_front.route(invitation_token)', schema => 'seats_http');
CALL seats_front.define('assign_seat', '{$1 jsonb}', 'json', 'VOLATILE',
	'POST /v1/customer-seats, by its body, with organization_id: gives a free seat to a customer, and the invitation token beside it; answers 200, 400, 403, 404, 422',
	route => $$seats_front.http_route($1 ->> 'organization_id')$$, schema => 'seats_http');
CALL seats_front.define('assign_seat', '{$1 bytea}', 'json', 'VOLATILE',
	'The same, with a body that is parsed here, so that what is no JSON is answered with 422',
	route => $$seats_front.http_route(seats_front.body($1) ->> 'organization_id')$$, schema => 'seats_http');
CALL seats_front.define('list_seats', '{subscription_id text DEFAULT NULL,order_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'GET /v1/customer-seats: lists the seats of a subscription or order; answers 200, 403, 404, 422',
	route => 'seats_front.http_route(organization_id)', schema => 'seats_http');
CALL seats_front.define('revoke_seat', '{seat_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'DELETE /v1/customer-seats/{seat_id}: ends a seat and its sessions; answers 200, 403, 404, 422',
	route => 'seats_front.http_route(organization_id)', schema => 'seats_http');
CALL seats_front.define('resend_invitation', '{seat_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'POST /v1/customer-seats/{seat_id}/resend: gives a pending seat a new invitation token, beside the seat; answers 200, 400, 403, 404, 422',
	route => 'seats_front.http_route(organization_id)', schema => 'seats_http');

CALL seats_front.define('join_info', '{join_token text DEFAULT NULL}', 'json', 'VOLATILE',
	'GET /v1/customer-seats/join/{join_token}: tells what the join link is for; answers 200, 400, 403, 422',
	route => 'seats_front.route(join_token)', schema => 'seats_http');
CALL seats_front.define('join_seat', '{$1 jsonb}', 'json', 'VOLATILE',
	'POST /v1/customer-seats/join, by its body: gives an e-mail address a pending seat and has the invitation sent; answers 200, 400, 403, 422',
	route => $$seats_front.route($1 ->> 'join_token')$$, schema => 'seats_http');
CALL seats_front.define('join_seat', '{$1 bytea}', 'json', 'VOLATILE',
	'The same, with a body that is parsed here, so that what is no JSON is answered with 422',
	route => $$seats_front.route(seats_front.body($1) ->> 'join_token')$$, schema => 'seats_http');
CALL seats_front.define('create_join_link', '{$1 jsonb}', 'json', 'VOLATILE',
	'POST /v1/customer-seats/join-links, by its body, with organization_id: makes a join link, and returns it with its token; answers 200, 403, 404, 422',
	route => $$seats_front.http_route($1 ->> 'organization_id')$$, schema => 'seats_http');
CALL seats_front.define('create_join_link', '{$1 bytea}', 'json', 'VOLATILE',
	'The same, with a body that is parsed here, so that what is no JSON is answered with 422',
	route => $$seats_front.http_route(seats_front.body($1) ->> 'organization_id')$$, schema => 'seats_http');
CALL seats_front.define('list_join_links', '{subscription_id text DEFAULT NULL,order_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'GET /v1/customer-seats/join-links: lists the join links of a subscription or order; answers 200, 403, 404, 422',
	route => 'seats_front.http_route(organization_id)', schema => 'seats_http');
CALL seats_front.define('revoke_join_link', '{link_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'DELETE /v1/customer-seats/join-links/{link_id}: ends a join link; answers 200, 403, 404, 422',
	route => 'seats_front.http_route(organization_id)', schema => 'seats_http');

-- The customer who pays: the JWT says which organization's. Without one, any shard answers 401.
CALL seats_front.define('portal_list_seats', '{subscription_id text DEFAULT NULL,order_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'GET /v1/customer-portal/seats: lists the seats of a subscription or order for the customer who pays for it; answers 200, 401, 403, 404, 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');
CALL seats_front.define('portal_assign_seat', '{$1 jsonb}', 'json', 'VOLATILE',
	'POST /v1/customer-portal/seats, by its body: assigns a free seat for the customer who pays; answers 200, 400, 401, 403, 404, 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');
CALL seats_front.define('portal_assign_seat', '{$1 bytea}', 'json', 'VOLATILE',
	'The same, for an unparsed body: malformed JSON is answered with 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');
CALL seats_front.define('portal_revoke_seat', '{seat_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'DELETE /v1/customer-portal/seats/{seat_id}: revokes a seat for the customer who pays for it; answers 200, 401, 403, 404, 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');
CALL seats_front.define('portal_resend_invitation', '{seat_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'POST /v1/customer-portal/seats/{seat_id}/resend: has a new invitation sent for the customer who pays; answers 200, 400, 401, 403, 404, 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');

CALL seats_front.define('portal_create_join_link', '{$1 jsonb}', 'json', 'VOLATILE',
	'POST /v1/customer-portal/seats/join-links, by its body: makes a join link for the customer who pays; answers 200, 401, 403, 404, 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');
CALL seats_front.define('portal_create_join_link', '{$1 bytea}', 'json', 'VOLATILE',
	'The same, for an unparsed body: malformed JSON is answered with 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');
CALL seats_front.define('portal_list_join_links', '{subscription_id text DEFAULT NULL,order_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'GET /v1/customer-portal/seats/join-links: lists the join links of a subscription or order for the customer who pays for it; answers 200, 401, 403, 404, 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');
CALL seats_front.define('portal_revoke_join_link', '{link_id text DEFAULT NULL}', 'json', 'VOLATILE',
	'DELETE /v1/customer-portal/seats/join-links/{link_id}: ends a join link for the customer who pays; answers 200, 401, 403, 404, 422',
	route => 'coalesce(seats_front.claims_route(), 0)', schema => 'seats_http');

DROP PROCEDURE seats_front.define;


-- For those who write records, and for roles --------------------------------------------------------------

CREATE FUNCTION seats_front.shards()
RETURNS TABLE (shard integer, connection text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT substr(split_part(o, '=', 1), 2)::integer, substr(o, strpos(o, '=') + 1)
	FROM pg_foreign_server, unnest(srvoptions) AS o
	WHERE srvname = 'seats' AND o ~ '^p[0-9]+='
	ORDER BY 1;
END;
COMMENT ON FUNCTION seats_front.shards() IS 'The shards by number, and the connection string of each';

CREATE FUNCTION seats_front.connection(organization_id uuid)
RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT s.connection FROM seats_front.shards() AS s
	WHERE s.shard = seats.organization_route(organization_id) & ((SELECT count(*) FROM seats_front.shards())::integer - 1);
END;
COMMENT ON FUNCTION seats_front.connection(uuid) IS
'The connection string of the shard that has an organization, for whoever writes its records there';

CREATE PROCEDURE seats_front.move(shards integer, shard integer, connection text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old_connections text[] := ARRAY(SELECT s.connection FROM seats_front.shards() AS s);
	old_count integer := cardinality(old_connections);
BEGIN
	EXECUTE 'ALTER SERVER seats OPTIONS (' || (
		SELECT string_agg(format('%s p%s %L', CASE WHEN n < old_count THEN 'SET' ELSE 'ADD' END, n,
			CASE WHEN n & (shards - 1) = shard THEN connection ELSE old_connections[n % old_count + 1] END), ', ')
		FROM generate_series(0, greatest(shards, old_count) - 1) AS n) || ')';
END
$$;
COMMENT ON PROCEDURE seats_front.move(integer, integer, text) IS
'Tells where a slice of the organizations is from now on; the list of shards grows to so many as slices are counted in, each entry standing where it stood';

CREATE FUNCTION seats.grant_access(
	anonymous regrole DEFAULT NULL,
	backend regrole DEFAULT NULL,
	customer regrole DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	grantee regrole;
	functions text[];
	function regprocedure;
BEGIN
	FOR grantee, functions IN VALUES
		(anonymous, '{claim_seat,claim_info,join_seat,join_info,http_claim_seat,http_get_claim_info,http_join_seat,http_join_info}'::text[]),
		(backend, NULL),
		(customer, '{authenticate,end_session,my_seats,has_seat,portal_list_seats,portal_assign_seat,portal_revoke_seat,portal_resend_invitation,'
			'http_portal_list_seats,http_portal_assign_seat,http_portal_revoke_seat,http_portal_resend_invitation,'
			'http_portal_create_join_link,http_portal_list_join_links,http_portal_revoke_join_link}')
	LOOP
		CONTINUE WHEN grantee IS NULL;
		EXECUTE format('GRANT USAGE ON FOREIGN SERVER seats TO %s', grantee);
		EXECUTE format('GRANT USAGE ON SCHEMA seats, seats_http, seats_front TO %s', grantee);
		-- Of each function that is called, the function that calls the shard too; and what all of these call.
		FOR function IN
			SELECT p.oid
			FROM pg_proc AS p, LATERAL (SELECT CASE pronamespace WHEN 'seats_http'::regnamespace THEN 'http_' ELSE '' END || proname) AS n (name)
			WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace, 'seats_front'::regnamespace)
				-- Customers ask about themselves alone.
				AND (name = ANY (functions) AND array_position(proargnames, 'customer_id') IS NULL
					OR name IN ('check_session', 'token_route', 'organization_route', 'route', 'http_route', 'claims_route', 'body',
						'request', 'fail', 'fail_to_call', 'wait', 'set_response')
					OR functions IS NULL AND name NOT IN ('grant_access', 'move'))
		LOOP
			EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', function, grantee);
		END LOOP;
	END LOOP;
	IF customer IS NOT NULL THEN
		EXECUTE format('GRANT SELECT ON seats.my_seats TO %s', customer);
	END IF;
END
$$;
COMMENT ON FUNCTION seats.grant_access(regrole, regrole, regrole) IS
'Gives roles what they need of the front and no more, as on the shards, where their own rights count as well; run it as a superuser, when the server seats is there';

-- Nothing to PUBLIC.
REVOKE ALL ON ALL ROUTINES IN SCHEMA seats, seats_http, seats_front FROM PUBLIC;

-- The text of a statement can contain a token, so errors are logged without it.
ALTER DATABASE :"DBNAME" SET log_min_error_statement = 'fatal';

COMMIT;
