-- Plans are kept in a session and made anew when they go stale; nothing in a caller's search path gets in.
-- The whole life of a seat, so that every kept plan is used: tells how it went.
CREATE FUNCTION test.live() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	invitation seats.seat_invitation := seats.assign_seat(test.id(803), email => 'life@example.com');
	session text;
	answers text[];
BEGIN
	answers := ARRAY[((seats.claim_info(invitation.invitation_token)).can_claim)::text];
	session := (seats.claim_seat(invitation.invitation_token)).customer_session_token;
	answers := answers || (seats.authenticate(session)).customer_email || (seats.end_session(session))::text;
	answers := answers || (seats.revoke_seat((invitation.seat).id)).status::text;
	invitation := seats.assign_seat(order_id => test.id(804), external_customer_id => 'payer');
	invitation := seats.resend_invitation((invitation.seat).id);
	session := (seats.claim_seat(invitation.invitation_token, 'key')).customer_session_token;
	answers := answers || ((seats.claim_seat(invitation.invitation_token, 'key')).seat).status::text;
	PERFORM set_config('seats.session_token_format', 'jwt', true);
	session := (seats.claim_seat(invitation.invitation_token, 'key')).customer_session_token;
	PERFORM seats.rotate_jwt_key(), seats.postgrest_config(), set_config('seats.session_token_format', 'opaque', true),
		set_config('request.jwt.claims', convert_from(decode(rpad(translate(p, '-_', '+/'), (length(p) + 3) / 4 * 4, '='), 'base64'), 'UTF8'), true)
		FROM split_part(session, '.', 2) AS p;
	PERFORM seats.check_session(), set_config('request.jwt.claims', '', true);
	answers := answers || (seats.authenticate(session)).customer_email || (seats.end_session(session))::text;
	SELECT answers || count(*)::text INTO answers FROM seats.assign_seats(NULL, test.id(804), '{one@example.com,two@example.com}');
	UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE status = 'pending' AND order_id = test.id(804);
	answers := answers || (seats.release_expired_seats())::text || (seats.list_seats(order_id => test.id(804))).available_seats::text;
	answers := answers || (seats.get_seat((invitation.seat).id)).status::text || (seats.revoke_seats(order_id => test.id(804)))::text;
	SELECT answers || count(*)::text INTO answers FROM seats.assign_seats(NULL, test.id(804), '{one@example.com,two@example.com}');
	answers := answers || (seats.purge_expired_sessions())::text || (seats.purge_events('1 day'))::text;
	UPDATE seats.orders SET status = 'void' WHERE id = test.id(804);
	UPDATE seats.orders SET status = 'paid' WHERE id = test.id(804);
	RETURN array_to_string(answers, ' ');
END
$$;
SELECT test.make_organization(800);
SELECT test.live(), test.live();

-- After DISCARD PLANS, and DISCARD ALL.
DISCARD PLANS;
SELECT test.live();
DISCARD ALL;
SELECT test.live();

-- After each table was altered: a column, an index, a constraint come and go.
ALTER TABLE seats.customer_seats ADD COLUMN note text DEFAULT 'x';
SELECT test.live();
CREATE INDEX note ON seats.customer_seats (note);
SELECT test.live();
ALTER TABLE seats.customer_seats DROP COLUMN note;
SELECT test.live();
ALTER TABLE seats.customer_sessions ADD COLUMN note text;
ALTER TABLE seats.events ADD COLUMN note text;
ALTER TABLE seats.customers ADD COLUMN note text;
ALTER TABLE seats.subscriptions ADD COLUMN note text;
ALTER TABLE seats.orders ADD COLUMN note text;
ALTER TABLE seats.organizations ADD COLUMN note text;
ALTER TABLE seats.jwt_keys ADD COLUMN note text;
SELECT test.live();
ALTER TABLE seats.customer_sessions DROP COLUMN note;
ALTER TABLE seats.events DROP COLUMN note;
ALTER TABLE seats.customers DROP COLUMN note;
ALTER TABLE seats.subscriptions DROP COLUMN note;
ALTER TABLE seats.orders DROP COLUMN note;
ALTER TABLE seats.organizations DROP COLUMN note;
ALTER TABLE seats.jwt_keys DROP COLUMN note;
SELECT test.live();
ANALYZE;
SELECT test.live();

-- With no search path at all.
SET search_path = '';
SELECT test.live();
RESET search_path;

-- pgcrypto may move; a hostile schema first in the path has look-alikes of functions, operators, types and tables.
CREATE SCHEMA crypto;
ALTER EXTENSION pgcrypto SET SCHEMA crypto;
SELECT test.live();
CREATE SCHEMA hostile;
DO $$
DECLARE
	signature text;
BEGIN
	FOREACH signature IN ARRAY ARRAY['equal(uuid, uuid) RETURNS boolean', 'equal(bytea, bytea) RETURNS boolean',
		'equal(text, text) RETURNS boolean', 'equal(timestamptz, timestamptz) RETURNS boolean',
		'add(integer, integer) RETURNS integer', 'lower(text) RETURNS text', 'digest(bytea, text) RETURNS bytea',
		'gen_random_bytes(integer) RETURNS bytea', 'gen_random_uuid() RETURNS uuid', 'now() RETURNS timestamptz',
		'unnest(uuid[]) RETURNS SETOF uuid', 'unnest(text[]) RETURNS SETOF text', 'unnest(bytea[]) RETURNS SETOF bytea',
		'row_to_json(record) RETURNS json', 'nextval(regclass) RETURNS bigint', 'format(text, regrole) RETURNS text',
		'hmac(bytea, bytea, text) RETURNS bytea', 'max(timestamptz) RETURNS timestamptz', 'min(timestamptz) RETURNS timestamptz',
		'encode(bytea, text) RETURNS text', 'rtrim(text, text) RETURNS text', 'translate(text, text, text) RETURNS text', 'set_config(text, text, boolean) RETURNS text',
		'current_customer_id() RETURNS uuid', 'equal(oid, oid) RETURNS boolean', 'equal(regrole, oid) RETURNS boolean'] LOOP
		EXECUTE format('CREATE FUNCTION hostile.%s LANGUAGE plpgsql AS %L', signature, 'BEGIN RAISE ''hijacked''; END');
	END LOOP;
END
$$;
CREATE OPERATOR hostile.= (FUNCTION = hostile.equal, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR hostile.= (FUNCTION = hostile.equal, LEFTARG = bytea, RIGHTARG = bytea);
CREATE OPERATOR hostile.= (FUNCTION = hostile.equal, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR hostile.> (FUNCTION = hostile.equal, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE OPERATOR hostile.= (FUNCTION = hostile.equal, LEFTARG = oid, RIGHTARG = oid);
CREATE OPERATOR hostile.<= (FUNCTION = hostile.equal, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE OPERATOR hostile.- (FUNCTION = hostile.add, LEFTARG = integer, RIGHTARG = integer);
CREATE OPERATOR hostile.<> (FUNCTION = hostile.equal, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR hostile.+ (FUNCTION = hostile.add, LEFTARG = integer, RIGHTARG = integer);
CREATE TYPE hostile.text AS (hijacked integer);
CREATE TYPE hostile.seat_status AS ENUM ('hijacked');
CREATE TABLE hostile.customer_seats (hijacked integer);

-- The functions themselves, and the triggers of the caller's own statements, resolve nothing there.
SELECT invitation_token AS token FROM seats.assign_seat(test.id(803), email => 'hostile@example.com') \gset
CREATE ROLE seats_customer;
SET search_path = hostile, pg_catalog;
SELECT lower('A');
SELECT 'a'::pg_catalog.text = 'b', now();
SELECT 1 + 1;
SELECT (c.seat).status, c.customer_session_token AS session FROM seats.claim_seat(:'token') AS c \gset
SELECT :'status' AS claimed;
SELECT can_claim FROM seats.claim_info(:'token');
SELECT (a.seat_id) IS NOT NULL AS authenticated, a.seat_id AS seat FROM seats.authenticate(:'session') AS a \gset
SELECT :'authenticated' AS authenticated;
SELECT status FROM seats.revoke_seat(:'seat');
SELECT seats.end_session(:'session') AS ended;
SELECT (i.seat).status FROM seats.assign_seat('00000000-0000-4000-8000-000000000803', email => 'Hostile@Example.com') AS i;
SELECT (i.seat).customer_email, (seats.resend_invitation((i.seat).id)).invitation_token AS token
FROM seats.assign_seats('00000000-0000-4000-8000-000000000803', NULL, '{many@example.com}') AS i \gset
SELECT (c.seat).status FROM seats.claim_seat(:'token', 'key') AS c;
SELECT (c.seat).customer_email, (seats.get_seat((c.seat).id)).status FROM seats.claim_seat(:'token', 'key') AS c;
SET seats.session_token_format = 'jwt';
SELECT c.customer_session_token AS jwt FROM seats.claim_seat(:'token', 'key') AS c \gset
RESET seats.session_token_format;
SELECT seats.rotate_jwt_key() IS NOT NULL AS rotated, seats.postgrest_config(), seats.check_session();
SELECT a.customer_email FROM seats.authenticate(:'jwt') AS a;
SELECT available_seats FROM seats.list_seats('00000000-0000-4000-8000-000000000803');
SELECT seats.release_expired_seats('1 s'), seats.purge_expired_sessions(), seats.purge_events('1 day');
SET seats.event_sink = 'logical';
SET client_min_messages = error;
SELECT seats.revoke_seats('00000000-0000-4000-8000-000000000803');
RESET client_min_messages;
RESET seats.event_sink;
SELECT seats.grant_access(customer => 'seats_customer');
SET ROLE seats_customer;
SELECT count(*) FROM seats.my_seats;
RESET ROLE;
UPDATE seats.subscriptions SET status = 'canceled';
UPDATE seats.subscriptions SET status = 'active', seats = 4;
DELETE FROM seats.subscriptions;
RESET search_path;
SELECT count(*) AS seats FROM seats.customer_seats WHERE subscription_id IS NOT NULL;
DROP OWNED BY seats_customer;
DROP ROLE seats_customer;
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
RESET client_min_messages;

-- Without pgcrypto's functions there is a clear error.
ALTER FUNCTION crypto.digest(bytea, text) RENAME TO digest_away;
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).*;
ALTER FUNCTION crypto.digest_away(bytea, text) RENAME TO digest;
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).detail;

-- Dropped and created again in the same session, pgcrypto too, in another schema.
DROP FUNCTION test.live;
DROP FUNCTION test.fingerprint CASCADE;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION pgcrypto CASCADE;
CREATE EXTENSION pgcrypto SCHEMA public;
CREATE EXTENSION seats;
RESET client_min_messages;
SELECT test.make_organization(800);
SELECT invitation_token AS token FROM seats.assign_seat(test.id(803), email => 'a@example.com') \gset
SELECT (c.seat).status FROM seats.claim_seat(:'token') AS c;
SELECT assigned_seats FROM seats.subscriptions;
DROP SCHEMA crypto;
