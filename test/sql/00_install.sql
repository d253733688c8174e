-- The extension installs as a whole into its schemas, says what everything is for, and gives nothing
-- to PUBLIC. The functions at the end are what the other tests share.
SET client_min_messages = warning;
CREATE ROLE seats_first;
CREATE VIEW pg_temp.state AS
SELECT nspname, pg_get_userbyid(nspowner) = current_user AS mine, (SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension WHERE extnamespace = n.oid) AS extensions,
	(SELECT string_agg(concat(pg_get_userbyid(nullif(grantee, 0)), ' ', privilege_type), ', ') FROM aclexplode(nspacl) WHERE grantee <> nspowner) AS others,
	(SELECT count(*) FROM pg_default_acl WHERE defaclnamespace <> 0) AS default_privileges
FROM pg_namespace AS n
WHERE nspname ~ '^seats' AND nspname <> 'seats_http';
-- An empty schema that others own or may create in becomes the superuser's alone. Nothing of it stays.
CREATE SCHEMA seats AUTHORIZATION seats_first;
GRANT ALL ON SCHEMA seats TO PUBLIC;
SET ROLE seats_first;
ALTER DEFAULT PRIVILEGES IN SCHEMA seats GRANT ALL ON FUNCTIONS TO seats_first;
RESET ROLE;
ALTER DEFAULT PRIVILEGES IN SCHEMA seats GRANT ALL ON TABLES TO PUBLIC;
COMMENT ON SCHEMA seats IS 'before';
SELECT * FROM pg_temp.state;
CREATE EXTENSION seats CASCADE;
SELECT * FROM pg_temp.state;
DROP EXTENSION seats, pgcrypto;
GRANT CREATE ON SCHEMA seats TO PUBLIC;
CREATE EXTENSION seats CASCADE;
SELECT * FROM pg_temp.state;
DROP EXTENSION seats, pgcrypto;
DROP SCHEMA seats;
-- With pgcrypto in it, which goes along.
CREATE SCHEMA seats AUTHORIZATION seats_first;
CREATE EXTENSION seats SCHEMA seats CASCADE;
SELECT * FROM pg_temp.state;
SELECT pronamespace::regnamespace, count(*) > 1 AS several FROM pg_proc WHERE proname = 'digest' GROUP BY 1;
DROP EXTENSION seats, pgcrypto;
DROP SCHEMA seats;
-- Default privileges of the superuser's own that let others create in new schemas do not count.
ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO PUBLIC;
CREATE EXTENSION seats CASCADE;
SELECT nspname, has_schema_privilege('seats_first', oid, 'CREATE') AS others FROM pg_namespace WHERE nspname ~ '^seats' ORDER BY nspname;
DROP EXTENSION seats, pgcrypto;
DROP SCHEMA seats;
ALTER DEFAULT PRIVILEGES REVOKE CREATE ON SCHEMAS FROM PUBLIC;
-- One that has objects is refused, of whichever kind, whether its owner made them or a superuser. So is an object of
-- another role's in a superuser's schema.
CREATE FUNCTION pg_temp.refused(statement text, as_owner boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF as_owner THEN
		SET LOCAL ROLE seats_first;
	END IF;
	EXECUTE statement;
	RESET ROLE;
	CREATE EXTENSION seats CASCADE;
	RETURN 'installed';
EXCEPTION WHEN insufficient_privilege THEN
	RETURN SQLERRM;
END
$$;
CREATE SCHEMA seats AUTHORIZATION seats_first;
CREATE TEMPORARY TABLE statements (n serial, statement text, as_owner boolean);
INSERT INTO statements (as_owner, statement) VALUES
(true, 'CREATE TABLE seats.orders ()'),
(true, 'CREATE VIEW seats.usage AS SELECT 1'),
(true, 'CREATE MATERIALIZED VIEW seats.usage AS SELECT 1'),
(true, 'CREATE SEQUENCE seats.events_id_seq'),
(true, 'CREATE TYPE seats.customer_seat AS (a int)'),
(true, 'CREATE TYPE seats.seat_status AS ENUM (''pending'')'),
(true, 'CREATE TYPE seats.span AS RANGE (subtype = int)'),
(false, 'CREATE TYPE seats.shell'),
(true, 'CREATE DOMAIN seats.customer_seat AS text'),
(true, 'CREATE FUNCTION seats.claim_seat(text) RETURNS int LANGUAGE sql RETURN 1'),
(true, 'CREATE PROCEDURE seats.claim_seat(text) LANGUAGE sql AS '''''),
(true, 'CREATE AGGREGATE seats.count_seats(int) (sfunc = int4pl, stype = int)'),
(true, 'CREATE OPERATOR seats.= (leftarg = uuid, rightarg = uuid, function = uuid_eq)'),
(true, 'CREATE COLLATION seats.names FROM "C"'),
(true, 'CREATE CONVERSION seats.latin FOR ''LATIN1'' TO ''UTF8'' FROM iso8859_1_to_utf8'),
(true, 'CREATE TEXT SEARCH DICTIONARY seats.words (template = simple)'),
(true, 'CREATE TEXT SEARCH CONFIGURATION seats.words (copy = simple)'),
(false, 'CREATE TEXT SEARCH TEMPLATE seats.words (lexize = dsimple_lexize)'),
(false, 'CREATE TEXT SEARCH PARSER seats.words (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype)'),
(false, 'CREATE OPERATOR FAMILY seats.uuids USING btree'),
(false, 'CREATE STATISTICS seats.many ON n, statement FROM statements'),
(false, 'CREATE FUNCTION seats.claim_seat(text) RETURNS int LANGUAGE sql RETURN 1'),
(false, 'CREATE EXTENSION citext SCHEMA seats'),
(false, 'ALTER SCHEMA seats OWNER TO CURRENT_USER; CREATE FUNCTION seats.claim_seat(text) RETURNS int LANGUAGE sql RETURN 1; ALTER FUNCTION seats.claim_seat OWNER TO seats_first'),
(false, 'CREATE EXTENSION pgcrypto SCHEMA seats; CREATE FUNCTION seats.claim_seat(text) RETURNS int LANGUAGE sql RETURN 1; '
	'ALTER FUNCTION seats.claim_seat OWNER TO seats_first; ALTER EXTENSION pgcrypto ADD FUNCTION seats.claim_seat');
SELECT outcome, string_agg(n::text, ' ' ORDER BY n) AS statements
FROM statements, pg_temp.refused(statement, as_owner) AS outcome GROUP BY outcome ORDER BY outcome;
SELECT * FROM pg_temp.state;
DROP SCHEMA seats;
-- Objects of superusers in a superuser's schema may stay.
CREATE SCHEMA seats;
CREATE TABLE seats.mine ();
CREATE EXTENSION seats CASCADE;
SELECT oid::regclass FROM pg_class WHERE relname = 'mine';
DROP EXTENSION seats, pgcrypto;
DROP TABLE seats.mine, statements;
DROP SCHEMA seats;
-- A schema seats_http must not be there.
\set VERBOSITY terse
CREATE SCHEMA seats_http AUTHORIZATION seats_first;
CREATE EXTENSION seats CASCADE;
DROP SCHEMA seats_http;
\set VERBOSITY default
DROP VIEW pg_temp.state;
DROP FUNCTION pg_temp.refused;
DROP ROLE seats_first;
CREATE EXTENSION seats CASCADE;
RESET client_min_messages;

-- What \dx+ lists, without the types of rows and arrays, which it lists from 17 on.
CREATE TEMPORARY VIEW members AS
SELECT classid, objid
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'seats')
	AND NOT EXISTS (SELECT FROM pg_type LEFT JOIN pg_class ON pg_class.oid = typrelid
		WHERE classid = 'pg_type'::regclass AND pg_type.oid = objid AND (typcategory = 'A' OR relkind IN ('r', 'v')));
SELECT pg_describe_object(classid, objid, 0) AS member FROM members ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C";

-- Everything that belongs to it is in the schema seats or in seats_http, which is its own.
SELECT pg_describe_object(classid, objid, 0) AS elsewhere
FROM members WHERE coalesce((pg_identify_object(classid, objid, 0)).schema NOT IN ('seats', 'seats_http'), classid <> 'pg_namespace'::regclass);

-- Every object has a comment: what is listed above, and the columns, constraints, indexes and triggers.
CREATE TEMPORARY VIEW objects AS
SELECT classid, objid, 0 AS objsubid FROM members
UNION ALL
SELECT 'pg_class'::regclass, attrelid, attnum
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'c', 'v') AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'pg_constraint'::regclass, oid, 0
FROM pg_constraint WHERE connamespace = 'seats'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'pg_class'::regclass, indexrelid, 0
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = 'seats'::regnamespace
	AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
UNION ALL
SELECT 'pg_trigger'::regclass, pg_trigger.oid, 0
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'seats'::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'pg_namespace'::regclass, 'seats'::regnamespace, 0;

SELECT count(*) > 150 AS many_objects FROM objects;
SELECT pg_describe_object(classid, objid, objsubid) AS without_comment
FROM objects
WHERE coalesce(length(CASE objsubid WHEN 0 THEN obj_description(objid, classid::regclass::name)
	ELSE col_description(objid, objsubid) END), 0) < 15;

-- PUBLIC may do nothing with any of it, but call the function of the policy (types aside).
CREATE ROLE seats_stranger;
SELECT oid::regprocedure AS executable
FROM pg_proc
WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace) AND has_function_privilege('seats_stranger', oid, 'EXECUTE');
SELECT oid::regclass AS accessible
FROM pg_class
WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'v')
	AND (has_table_privilege('seats_stranger', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
		OR has_any_column_privilege('seats_stranger', oid, 'SELECT, INSERT, UPDATE, REFERENCES'));
SELECT has_sequence_privilege('seats_stranger', 'seats.events_id_seq', 'USAGE, SELECT, UPDATE') AS sequence,
	has_schema_privilege('seats_stranger', 'seats', 'USAGE') AS schema,
	has_schema_privilege('seats_stranger', 'seats_http', 'USAGE') AS schema_http;
SET ROLE seats_stranger;
SELECT seats.claim_seat('x');
RESET ROLE;
DROP ROLE seats_stranger;

-- Every function pins its search path; those that callers use run with the owner's rights.
SELECT pronamespace::regnamespace AS schema, proname, prosecdef, provolatile, proparallel, proconfig
FROM pg_proc WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace)
ORDER BY pronamespace::regnamespace::text COLLATE "C", proname COLLATE "C";

SELECT name, boot_val, unit, min_val, max_val, context
FROM pg_settings WHERE name LIKE 'seats.%' ORDER BY name COLLATE "C";

-- What the other tests share.
CREATE SCHEMA test;

-- An organization with a product and a payer; ids end in the number given.
CREATE FUNCTION test.id(number integer) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$SELECT ('00000000-0000-4000-8000-' || lpad(number::text, 12, '0'))::uuid$$;

CREATE FUNCTION test.make_organization(number integer, seats integer DEFAULT 3) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled)
	VALUES (test.id(number), 'Organization ' || number, 'org-' || number, true);
	INSERT INTO seats.products (id, organization_id, name)
	VALUES (test.id(number + 1), test.id(number), 'Product ' || number);
	INSERT INTO seats.customers (id, organization_id, email, external_id)
	VALUES (test.id(number + 2), test.id(number), 'payer@org-' || number || '.example', 'payer');
	INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
	VALUES (test.id(number + 3), test.id(number), test.id(number + 1), test.id(number + 2), seats, 'active');
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
	VALUES (test.id(number + 4), test.id(number), test.id(number + 1), test.id(number + 2), seats, 'paid');
$$;

-- Removes all rows.
CREATE FUNCTION test.clear() RETURNS void
LANGUAGE sql AS $$
	DELETE FROM seats.subscriptions;
	DELETE FROM seats.orders;
	DELETE FROM seats.customers;
	DELETE FROM seats.products;
	DELETE FROM seats.organizations;
	DELETE FROM seats.events;
$$;

-- What all tables hold, to tell whether anything changed.
CREATE FUNCTION test.fingerprint() RETURNS text
LANGUAGE sql AS $$
	SELECT md5(string_agg(row::text, E'\n' ORDER BY row::text COLLATE "C"))
	FROM (
		SELECT o::text FROM seats.organizations o UNION ALL
		SELECT p::text FROM seats.products p UNION ALL
		SELECT c::text FROM seats.customers c UNION ALL
		SELECT s::text FROM seats.subscriptions s UNION ALL
		SELECT o::text FROM seats.orders o UNION ALL
		SELECT s::text FROM seats.customer_seats s UNION ALL
		SELECT s::text FROM seats.customer_sessions s UNION ALL
		SELECT l::text FROM seats.join_links l UNION ALL
		SELECT e::text FROM seats.events e
	) AS rows (row)
$$;

-- Executes a statement; returns how it failed, or 00000, and raises if a failure changed anything.
CREATE FUNCTION test.outcome(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
DECLARE
	before text := test.fingerprint();
BEGIN
	EXECUTE statement;
	state := '00000';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	IF test.fingerprint() <> before THEN
		RAISE EXCEPTION 'a failed statement changed something: %', statement;
	END IF;
END
$$;
