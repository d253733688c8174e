-- grant_access(), and what a customer sees. The whole matrix of rights is compared with the reference's table in TAP.
CREATE ROLE "seats Anonymous";
CREATE ROLE seats_backend;
CREATE ROLE seats_customer;
SELECT seats.grant_access('"seats Anonymous"', 'seats_backend', 'seats_customer');
GRANT USAGE ON SCHEMA test TO seats_backend, seats_customer;

-- The fields of a seat are the same in the type, in the view and in what customers may read, and columns of the table.
CREATE FUNCTION test.fields(relation regclass) RETURNS TABLE (name name, type regtype) LANGUAGE sql AS $$
	SELECT attname, atttypid FROM pg_attribute WHERE attrelid = relation AND attnum > 0 ORDER BY attnum
$$;
SELECT (SELECT count(*) FROM test.fields('seats.customer_seat')) AS fields,
	ARRAY(SELECT test.fields('seats.my_seats')) = ARRAY(SELECT test.fields('seats.customer_seat')) AS in_view,
	ARRAY(SELECT name FROM test.fields('seats.customer_seats') WHERE has_column_privilege('seats_customer', 'seats.customer_seats', name, 'SELECT') ORDER BY name) =
		ARRAY(SELECT name FROM test.fields('seats.customer_seat') ORDER BY name) AS readable,
	ARRAY(SELECT f FROM test.fields('seats.customer_seat') AS f EXCEPT SELECT f FROM test.fields('seats.customer_seats') AS f) AS not_columns;

-- The backend writes the application's records and calls everything; the rest is none of its business.
SET ROLE seats_backend;
SELECT test.make_organization(760);
SELECT test.make_organization(770);
SELECT (i.seat).id AS seat, invitation_token AS token FROM seats.assign_seat(test.id(763), email => 'ann@example.com') AS i \gset
SELECT (i.seat).customer_email FROM seats.assign_seats(NULL, test.id(764), '{ann@example.com,bob@example.com}') AS i;
SELECT (seats.resend_invitation(:'seat')).invitation_token AS token \gset
SELECT available_seats FROM seats.list_seats(test.id(763));
SELECT invitation_token_hash FROM seats.customer_seats;
SELECT id FROM seats.customer_seats;
SELECT token_hash FROM seats.customer_sessions;
SELECT * FROM seats.events;
SELECT * FROM seats.my_seats;
SELECT nextval('seats.events_id_seq');
SELECT seats.grant_access(backend => 'seats_customer');
RESET ROLE;

-- The anonymous one claims.
SET ROLE "seats Anonymous";
SELECT can_claim FROM seats.claim_info(:'token');
SELECT (c.seat).customer_id AS customer, (c.seat).status, customer_session_token AS session FROM seats.claim_seat(:'token') AS c \gset
SELECT :'status' AS status;
SELECT * FROM seats.list_seats('00000000-0000-4000-8000-000000000763');
SELECT seats.authenticate(:'session');
SELECT * FROM seats.my_seats;
RESET ROLE;

-- A customer reads its own seats, of whichever subscription or order, and nothing else, by the view and by the table.
SELECT to_json(ARRAY[:'customer', (SELECT id FROM seats.customers WHERE email = 'bob@example.com')::text,
	gen_random_uuid()::text, upper(:'customer')]) AS subjects \gset
CREATE FUNCTION test.seen_by(claims text, OUT by_view bigint, OUT by_table bigint, OUT of_others bigint) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true);
	SELECT count(*) FROM seats.my_seats INTO by_view;
	SELECT count(*), count(*) FILTER (WHERE customer_id <> seats.current_customer_id()) FROM seats.customer_seats INTO by_table, of_others;
END
$$;
GRANT EXECUTE ON FUNCTION test.seen_by TO seats_customer;
SET ROLE seats_customer;
SELECT n, (test.seen_by(json_build_object('role', 'seats_customer', 'sub', subject)::text)).*
FROM json_array_elements_text(:'subjects') WITH ORDINALITY AS s (subject, n) ORDER BY n;
-- Without a subject, or with something else in its place, it sees none.
SELECT claims, (test.seen_by(claims)).*
FROM unnest(ARRAY['', '{}', 'x', '{"sub": null}', '{"sub": "x"}', '{"sub": ""}', '{"sub": 1}', '{"x": {"sub": "00000000-0000-4000-8000-000000000762"}}',
	'{"sub": "00000000-0000-4000-8000-00000000076"}', '{"sub": "00000000-0000-4000-8000-0000000007622"}', '{"sub": "{00000000-0000-4000-8000-000000000762}"}',
	'{"sub": "''; SELECT"}', '{"sub": "00000000-0000-4000-8000-000000000762"', '[{"sub": "00000000-0000-4000-8000-000000000762"}]']) AS claims;
SELECT set_config('request.jwt.claims', json_build_object('sub', :'customer')::text, false) IS NOT NULL AS signed_in;
SELECT json_object_keys(to_json(m)) AS field FROM (SELECT * FROM seats.my_seats LIMIT 1) AS m;
SELECT status, customer_email, subscription_id = '00000000-0000-4000-8000-000000000763' AS of_the_subscription FROM seats.my_seats ORDER BY created_at;
SELECT (seats.authenticate(:'session')).customer_email;

-- It writes nothing, and reads no hash, not even its own; nor can a function of its own look at rows that it may not see.
UPDATE seats.my_seats SET status = 'pending';
INSERT INTO seats.my_seats (id) VALUES (gen_random_uuid());
DELETE FROM seats.customer_seats;
SELECT * FROM seats.customer_seats;
SELECT invitation_token_hash FROM seats.customer_seats;
SELECT claim_key_hash FROM seats.customer_seats;
SELECT seats.get_seat(:'seat');
SELECT seats.claim_seat(:'token');
SELECT * FROM seats.customers;
SET row_security = off;
SELECT id FROM seats.customer_seats;
RESET row_security;
CREATE FUNCTION pg_temp.look(uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE NOTICE 'saw one'; RETURN true; END$$;
SELECT count(*) FROM seats.my_seats WHERE pg_temp.look(id);
SELECT count(*) FROM seats.customer_seats WHERE pg_temp.look(id);
DROP FUNCTION pg_temp.look;
-- Signing out.
SELECT seats.end_session(:'session') AS ended;
RESET ROLE;

-- The view shows the owner its own seats as well, not everybody's. With the index: not by reading all.
SELECT count(*) FROM seats.my_seats;
CREATE FUNCTION test.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || query; END$$;
SET enable_seqscan = off;
SELECT count(*) FROM test.plan('SELECT id FROM seats.my_seats') AS line WHERE line LIKE '%Scan % customer_seats_customer_id_idx%';
RESET enable_seqscan;
RESET request.jwt.claims;

-- Ids of one organization never work with another's.
SELECT o.statement, o.detail FROM (SELECT statement, (test.outcome(statement)).* FROM unnest(ARRAY[
	'SELECT seats.assign_seat(test.id(773), customer_id => test.id(762))',
	format('SELECT seats.assign_seat(test.id(773), customer_id => (SELECT id FROM seats.customers WHERE email = %L))', 'bob@example.com'),
	'UPDATE seats.subscriptions SET customer_id = test.id(762) WHERE id = test.id(773)',
	'UPDATE seats.subscriptions SET product_id = test.id(761) WHERE id = test.id(773)',
	'UPDATE seats.customer_seats SET subscription_id = test.id(773) WHERE subscription_id = test.id(763)',
	'UPDATE seats.customer_seats SET organization_id = test.id(770)']) AS statement) AS o (statement, state, message, detail, hint);
INSERT INTO seats.customers (organization_id, external_id) VALUES (test.id(760), 'only-here');
SELECT (test.outcome($$SELECT seats.assign_seat(test.id(773), external_customer_id => 'only-here')$$)).detail;
-- The same address or external id is another customer there.
SELECT (a.seat).customer_id = (b.seat).customer_id AS same_customer
FROM seats.assign_seat(test.id(763), external_customer_id => 'payer') AS a, seats.assign_seat(test.id(773), external_customer_id => 'payer') AS b;
SELECT count(DISTINCT (i.seat).customer_id) FROM seats.assign_seats(test.id(773), NULL, '{ANN@example.com}') AS i, seats.customers AS c
WHERE c.email = 'ann@example.com' AND c.organization_id = test.id(760) AND c.id <> (i.seat).customer_id;

-- Who is given what: nothing to null, no role that does not exist, and whoever is not the owner gives nothing.
SELECT seats.grant_access();
SELECT (test.outcome('SELECT seats.grant_access(backend => ''0'')')).*;
SELECT (test.outcome('SELECT seats.grant_access(customer => ''99999999'')')).*;
SELECT (test.outcome('SELECT seats.grant_access(customer => ''nobody_of_that_name'')')).state;
CREATE ROLE seats_other;
GRANT EXECUTE ON FUNCTION seats.grant_access TO seats_backend;
SET ROLE seats_backend;
SELECT seats.grant_access(backend => 'seats_other');
RESET ROLE;
SELECT has_schema_privilege('seats_other', 'seats', 'USAGE') AS schema, has_schema_privilege('seats_other', 'seats_http', 'USAGE') AS http,
	has_function_privilege('seats_other', 'seats.get_seat(uuid)', 'EXECUTE') AS function;

SELECT test.clear();
DROP FUNCTION test.seen_by, test.plan;
DROP OWNED BY "seats Anonymous", seats_backend, seats_customer;
DROP ROLE "seats Anonymous", seats_backend, seats_customer, seats_other;
