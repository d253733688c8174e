-- The extension installs as a whole into its schemas, says what everything is for, and gives nothing
-- to PUBLIC. The functions at the end are what the other tests share.
SET client_min_messages = warning;
-- It does not go into a schema that others own or may create in.
\set VERBOSITY terse
CREATE ROLE seats_first;
CREATE SCHEMA seats AUTHORIZATION seats_first;
CREATE EXTENSION seats CASCADE;
ALTER SCHEMA seats OWNER TO CURRENT_USER;
GRANT CREATE ON SCHEMA seats TO PUBLIC;
CREATE EXTENSION seats CASCADE;
REVOKE ALL ON SCHEMA seats FROM PUBLIC;
CREATE SCHEMA seats_http AUTHORIZATION seats_first;
CREATE EXTENSION seats CASCADE;
DROP SCHEMA seats, seats_http;
\set VERBOSITY default
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

-- PUBLIC may do nothing with any of it (types aside).
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
