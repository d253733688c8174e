-- The schema seats_http: what each operation answers, to the letter, and with which status.
\pset format unaligned
SELECT test.make_organization(720);
SELECT test.make_organization(725, 1);

-- Calls one of the functions; returns the status and the body of its answer, and raises if one that is no
-- success changed anything. What differs from run to run (times, tokens, ids of seats and customers) is masked.
CREATE FUNCTION test.masked(body text) RETURNS text
LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace(regexp_replace(body, '"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d"', '"<time>"', 'g'),
		'(seats_(inv|cst))_\w{55}\y', '<\1>', 'g'), '(?!00000000-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<uuid>', 'g')
$$;
CREATE FUNCTION test.answer(statement text, OUT status text, OUT body text)
LANGUAGE plpgsql AS $$
DECLARE
	before text := test.fingerprint();
BEGIN
	PERFORM set_config('response.status', '', true);
	EXECUTE statement INTO body;
	body := test.masked(body);
	status := coalesce(nullif(current_setting('response.status'), ''), '200');
	IF status <> '200' AND test.fingerprint() <> before THEN
		RAISE EXCEPTION 'a failed call changed something: %', statement;
	END IF;
END
$$;
CREATE FUNCTION test.claim(token text) RETURNS text
LANGUAGE sql AS $$SELECT format('SELECT seats_http.claim_seat(%L::jsonb)', jsonb_build_object('invitation_token', token))$$;
CREATE FUNCTION test.assign(body text) RETURNS text
LANGUAGE sql AS $$SELECT format('SELECT seats_http.assign_seat(%L::jsonb)', body)$$;

-- A seat as seats.get_seat() returns it, if it is the one that was answered, to the letter: the answer has three more
-- fields, behind customer_id.
CREATE FUNCTION test.is_seat(answer json) RETURNS boolean
LANGUAGE sql AS $$
	SELECT array_agg(a.key || a.value ORDER BY a.n) = (SELECT array_agg(s.key || s.value) FROM json_each(to_json(seats.get_seat((answer ->> 'id')::uuid))) AS s)
		AND array_agg(a.key ORDER BY a.n) FILTER (WHERE n BETWEEN 7 AND 11) = '{customer_id,customer_email,invitation_token_expires_at,claimed_at,revoked_at}'
	FROM (SELECT key, value::text, row_number() OVER () AS n FROM json_each(answer) WHERE key NOT IN ('member_id', 'member', 'email', 'invitation_token')) AS a
$$;

-- The story. Assigning answers with the fields of a seat and the invitation token beside them.
SELECT seats_http.assign_seat('{"subscription_id": "00000000-0000-4000-8000-000000000723", "email": "ann@example.com",
	"metadata": {"team": "a", "n": [1, {"b": null}]}, "immediate_claim": false}'::jsonb) AS assigned \gset
SELECT test.masked(:'assigned');
SELECT :'assigned'::json ->> 'id' AS seat, :'assigned'::json ->> 'invitation_token' AS token \gset
SELECT test.is_seat(:'assigned') AS as_the_seat, string_agg(key, ' ') AS fields FROM json_object_keys(:'assigned') AS key;

SELECT seats_http.get_claim_info(:'token');
SELECT seats_http.get_claim_info(:'token')::text = to_json(seats.claim_info(:'token'))::text AS as_claim_info;

SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', :'token')) AS claimed \gset
SELECT test.masked(:'claimed');
SELECT test.is_seat(:'claimed'::json -> 'seat') AS as_the_seat,
	(seats.authenticate(:'claimed'::json ->> 'customer_session_token')).customer_email;

SELECT * FROM test.answer($$SELECT seats_http.list_seats('00000000-0000-4000-8000-000000000723')$$);
SELECT * FROM test.answer($$SELECT seats_http.list_seats(order_id => '00000000-0000-4000-8000-000000000724')$$);
SELECT bool_and(test.is_seat(seat)) AS as_the_seats, array_agg(seat ->> 'id') = (SELECT array_agg(s.id::text) FROM unnest((seats.list_seats(test.id(723))).seats) AS s) AS in_order
FROM json_array_elements(seats_http.list_seats(test.id(723)::text) -> 'seats') AS seat;

SELECT seats_http.assign_seat('{"order_id": "00000000-0000-4000-8000-000000000724", "email": "bob@example.com"}'::jsonb) AS assigned \gset
SELECT test.masked(:'assigned');
SELECT :'assigned'::json ->> 'id' AS order_seat, :'assigned'::json ->> 'invitation_token' AS order_token \gset
SELECT seats_http.resend_invitation(:'order_seat') AS resent \gset
SELECT test.masked(:'resent');
SELECT :'resent'::json ->> 'invitation_token' AS new_token \gset
SELECT * FROM test.answer(test.claim(:'order_token'));
SELECT can_claim FROM seats.claim_info(:'new_token');

SELECT * FROM test.answer(format('SELECT seats_http.revoke_seat(%L)', :'seat'));
SELECT * FROM test.answer(format('SELECT seats_http.revoke_seat(%L)', :'seat'));
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'claimed'::json ->> 'customer_session_token'))).detail;
SELECT * FROM test.answer(test.claim(:'token'));
SELECT * FROM test.answer(format('SELECT seats_http.get_claim_info(%L)', :'token'));
SELECT type, metadata - 'reason' = jsonb_build_object('role', current_user, 'subscription_id', test.id(723)) AS by_me, metadata ->> 'reason' AS reason FROM seats.events ORDER BY id;

-- The seat is claimed at once: no token. A customer by each identifier. An id without hyphens, as pydantic reads it.
SELECT * FROM test.answer(test.assign('{"subscription_id": "00000000000040008000000000000723", "external_customer_id": "payer",
	"email": null, "customer_id": null, "order_id": null, "metadata": null, "immediate_claim": true}'));
SELECT * FROM test.answer(test.assign('{"order_id": "00000000-0000-4000-8000-000000000724", "customer_id": "00000000-0000-4000-8000-000000000722"}'));

-- Who holds a seat. The payer is its owner; another customer is a member. One without an address has an empty one as a
-- member, since clients expect one. Whatever is in a name is written as JSON. A revoked seat has none.
INSERT INTO seats.customers (id, organization_id, external_id, name, modified_at)
VALUES (test.id(999), test.id(720), 'crm "7" \ é', E'Zoë "Z"\n\t\u0001🪑', NULL);
SELECT seats_http.assign_seat(json_build_object('subscription_id', test.id(723), 'customer_id', test.id(999), 'metadata', '{"é": ["\\", 1.50, {}]}'::json)::jsonb)::json AS assigned \gset
SELECT test.masked(:'assigned');
SELECT test.is_seat(:'assigned') AS as_the_seat, (:'assigned'::json #>> '{member,name}') = c.name AS name, (:'assigned'::json #>> '{member,external_id}') = c.external_id AS external_id,
	(:'assigned'::json #>> '{member,created_at}')::timestamptz = c.created_at AS created_at, (:'assigned'::json #>> '{member,customer_id}')::uuid = p.customer_id AS payer
FROM seats.customers AS c, seats.subscriptions AS p WHERE c.id = test.id(999) AND p.id = test.id(723);
UPDATE seats.customers SET email = 'zoe@example.com' WHERE id = test.id(999);
SELECT seat ->> 'status' AS status, seat ->> 'member_id' = seat ->> 'customer_id' AS same_id, seat ->> 'email' AS email, seat #>> '{member,email}' AS member_email,
	seat #>> '{member,modified_at}' IS NOT NULL AS modified, seat #>> '{member,role}' AS role, test.is_seat(seat) AS as_the_seat
FROM json_array_elements(seats_http.list_seats(test.id(723)::text) -> 'seats') WITH ORDINALITY AS s (seat, n) ORDER BY n;
-- Statements write the same as direct access. An empty list is one.
SELECT seats_http.list_seats(test.id(723)::text) AS list \gset
SET seats.direct_access = off;
SELECT seats_http.list_seats(test.id(723)::text)::text = :'list' AS same, seats_http.list_seats(test.id(728)::text) AS empty;
SELECT test.masked(seats_http.revoke_seat(:'assigned'::json ->> 'id')::text);
RESET seats.direct_access;
-- Times as the time zone of the session has them.
SET timezone = 'Asia/Kathmandu';
SELECT test.is_seat(seat) AS as_the_seat, seat #>> '{member,created_at}' ~ '[+]05:45$' AS zone
FROM json_array_elements(seats_http.list_seats(test.id(723)::text) -> 'seats') WITH ORDINALITY AS s (seat, n) WHERE seat ->> 'status' = 'claimed';
RESET timezone;

-- The same by a body that is bytes; keys that nobody knows are ignored, an idempotency key too, which is a header's.
SELECT seats_http.assign_seat(convert_to('{"subscription_id": "00000000-0000-4000-8000-000000000723", "email": "cäcilie@example.com", '
	'"x": 1, "seats": [[]], "checkout_id": null}', 'UTF8')) AS assigned \gset
SELECT test.masked(:'assigned');
SELECT :'assigned'::json ->> 'id' AS bytes_seat, :'assigned'::json ->> 'invitation_token' AS bytes_token \gset
SELECT seats_http.claim_seat(convert_to(format(E'\r\n\t {"y": {"invitation_token": 1}, "invitation_token": "x", "invitation_token": "%s", "idempotency_key": 1}\n',
	:'bytes_token'), 'UTF8')) AS claimed \gset
SELECT test.masked(:'claimed');

-- A retry by the header, and its answer.
SELECT seats_http.resend_invitation(:'order_seat')::json ->> 'invitation_token' AS retried_token \gset
BEGIN;
SELECT set_config('request.headers', '{"idempotency-key": "once"}', true) AS headers;
SELECT * FROM test.answer(test.claim(:'retried_token'));
SELECT * FROM test.answer(test.claim(:'retried_token'));
SELECT set_config('request.headers', '{"idempotency-key": "twice"}', true) AS headers;
SELECT * FROM test.answer(test.claim(:'retried_token'));
COMMIT;

-- 400 of claim and claim info.
SELECT * FROM test.answer(test.claim('no token'));
SELECT * FROM test.answer(test.claim(:'bytes_token'));
SELECT invitation_token AS expired, (i.seat).id AS expired_seat
FROM seats.assign_seat(test.id(723), email => 'dan@example.com') AS i \gset
UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE id = :'expired_seat';
SELECT * FROM test.answer(test.claim(:'expired'));
SELECT * FROM test.answer($$SELECT seats_http.get_claim_info('no token')$$);
SELECT * FROM test.answer(format('SELECT seats_http.get_claim_info(%L)', :'expired'));

-- 400 of assign and resend. What an assign did before it found no free seat, a new customer, is gone.
SELECT * FROM test.answer(test.assign('{"subscription_id": "00000000-0000-4000-8000-000000000723", "email": "payer@org-720.example"}'));
SELECT * FROM test.answer(test.assign('{"subscription_id": "00000000-0000-4000-8000-000000000728", "email": "first@example.com"}'));
SELECT * FROM test.answer(test.assign('{"subscription_id": "00000000-0000-4000-8000-000000000728", "email": "second@example.com"}'));
SELECT count(*) FROM seats.customers WHERE email = 'second@example.com';
UPDATE seats.subscriptions SET status = 'incomplete' WHERE id = test.id(728);
SELECT * FROM test.answer(test.assign('{"subscription_id": "00000000-0000-4000-8000-000000000728", "email": "second@example.com"}'));
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(728);
UPDATE seats.orders SET status = 'pending' WHERE id = test.id(729);
SELECT * FROM test.answer(test.assign('{"order_id": "00000000-0000-4000-8000-000000000729", "email": "second@example.com"}'));
SELECT * FROM test.answer(format('SELECT seats_http.resend_invitation(%L)', :'order_seat'));

-- 404.
SELECT * FROM test.answer(test.assign('{"subscription_id": "00000000-0000-4000-8000-000000000999", "email": "a@example.com"}'));
SELECT * FROM test.answer(test.assign('{"order_id": "00000000-0000-4000-8000-000000000999", "email": "a@example.com"}'));
SELECT * FROM test.answer(test.assign('{"order_id": "00000000-0000-4000-8000-000000000724", "external_customer_id": "nobody"}'));
SELECT * FROM test.answer(test.assign('{"order_id": "00000000-0000-4000-8000-000000000724", "customer_id": "00000000-0000-4000-8000-000000000727"}'));
SELECT * FROM test.answer($$SELECT seats_http.list_seats('00000000-0000-4000-8000-000000000999')$$);
SELECT * FROM test.answer($$SELECT seats_http.list_seats(order_id => '00000000-0000-4000-8000-000000000999')$$);
SELECT * FROM test.answer($$SELECT seats_http.revoke_seat('00000000-0000-4000-8000-000000000999')$$);
SELECT * FROM test.answer($$SELECT seats_http.resend_invitation('00000000-0000-4000-8000-000000000999')$$);

-- 403, of each. A claim finds it out when the seat is changed already.
SELECT invitation_token AS token, (i.seat).id AS seat FROM seats.resend_invitation(:'expired_seat') AS i \gset
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(720);
SELECT n, (test.answer(statement)).* FROM unnest(ARRAY[test.claim(:'token'), format('SELECT seats_http.get_claim_info(%L)', :'token'),
	test.assign('{"order_id": "00000000-0000-4000-8000-000000000724", "email": "a@example.com"}'),
	'SELECT seats_http.list_seats(test.id(723)::text)', format('SELECT seats_http.revoke_seat(%L)', :'seat'),
	format('SELECT seats_http.resend_invitation(%L)', :'seat')]) WITH ORDINALITY AS s (statement, n) ORDER BY n;
UPDATE seats.organizations SET seat_based_pricing_enabled = true WHERE id = test.id(720);

-- 422: bodies that are no object; and none.
SELECT body, (test.answer(format('SELECT seats_http.claim_seat(%L::jsonb)', body))).*,
	(test.answer(format('SELECT seats_http.assign_seat(%L::jsonb)', body))).body = (test.answer(format('SELECT seats_http.claim_seat(%L::jsonb)', body))).body AS assign_too,
	(test.answer(format('SELECT seats_http.claim_seat(convert_to(%L, %L))', body, 'UTF8'))).body = (test.answer(format('SELECT seats_http.claim_seat(%L::jsonb)', body))).body AS bytes_too
FROM (VALUES (1, '[]'), (2, '[{"invitation_token": "x"}]'), (3, '"seats_inv_"'), (4, '1'), (5, 'true'), (6, 'null'), (7, NULL)) AS v (n, body) ORDER BY n;

-- 422: claim.
SELECT body, (test.answer(format('SELECT seats_http.claim_seat(%L::jsonb)', body))).*
FROM (VALUES (1, '{}'), (2, '{"Invitation_token": "x"}'), (3, '{"invitation_token": null}'), (4, '{"invitation_token": 1}'), (5, '{"invitation_token": true}'),
	(6, '{"invitation_token": ["x"]}'), (7, '{"invitation_token": {"invitation_token": "x"}}'), (8, '{"invitation_token": ""}')) AS v (n, body) ORDER BY n;
SELECT * FROM test.answer(test.claim(repeat('ü', 255)));
SELECT * FROM test.answer(test.claim(repeat('ü', 256)));
BEGIN;
SELECT set_config('request.headers', json_build_object('idempotency-key', repeat('k', 256))::text, true) IS NOT NULL AS headers;
SELECT * FROM test.answer('SELECT seats_http.claim_seat(''{}''::jsonb)');
SELECT * FROM test.answer(test.claim(:'token'));
COMMIT;

-- 422: claim info, list, revoke, resend.
SELECT argument, (test.answer(format('SELECT seats_http.get_claim_info(%L)', argument))).*
FROM (VALUES (1, NULL), (2, ''), (3, repeat('x', 256))) AS v (n, argument) ORDER BY n;
SELECT arguments, (test.answer(format('SELECT seats_http.list_seats(%s)', arguments))).*
FROM (VALUES (1, ''), (2, 'NULL, NULL'), (3, 'test.id(723)::text, test.id(724)::text'), (4, '''x'''), (5, 'NULL, '''''), (6, '''eq.'', ''x'''),
	(7, 'test.id(723)::text, ''x'''), (8, '''{'' || test.id(723) || ''}''')) AS v (n, arguments) ORDER BY n;
SELECT argument, (test.answer(format('SELECT seats_http.revoke_seat(%L)', argument))).*,
	(test.answer(format('SELECT seats_http.resend_invitation(%L)', argument))).body = (test.answer(format('SELECT seats_http.revoke_seat(%L)', argument))).body AS resend_too
FROM (VALUES (1, NULL), (2, ''), (3, 'x'), (4, '00000000-0000-4000-8000-00000000072'), (5, '00000000-0000-4000-8000-0000000007234'),
	(6, '0000000000004000800000000000072x'), (7, '00000000-0000-4000-8000_000000000723')) AS v (n, argument) ORDER BY n;

-- 422: assign. Each field of each wrong type, and all faults at once.
SELECT value, string_agg(DISTINCT o.status, ' ') AS status, string_agg((fault ->> 'loc') || ' ' || (fault ->> 'msg') || ' ' || (fault ->> 'type'), E'\n' ORDER BY f.n, o.n) AS faults
FROM unnest('{1,"true",[],"{}","\"x\"","\"\"","null"}'::text[]) WITH ORDINALITY AS v (value, n),
	unnest('{subscription_id,checkout_id,order_id,email,external_customer_id,customer_id,metadata,immediate_claim}'::text[]) WITH ORDINALITY AS f (field, n),
	LATERAL (SELECT status, fault, ordinality FROM test.answer(test.assign((jsonb_build_object('subscription_id', '00000000-0000-4000-8000-000000000999',
		'email', 'a@b') || jsonb_build_object(field, value::jsonb))::text)), json_array_elements(body::json -> 'detail') WITH ORDINALITY AS e (fault, ordinality)
		WHERE status = '422') AS o (status, fault, n)
GROUP BY v.n, value ORDER BY v.n;
SELECT n, (test.answer(test.assign(body))).* FROM (VALUES (1, '{}'),
	(2, '{"subscription_id": 1, "order_id": "x", "email": "malformed", "external_customer_id": 2, "customer_id": true, "metadata": [], "immediate_claim": "perhaps"}'),
	(3, '{"checkout_id": "00000000-0000-4000-8000-000000000999", "email": {}, "metadata": {"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9,"10":10,"11":11}}'),
	(4, '{"subscription_id": "00000000-0000-4000-8000-000000000723", "order_id": "00000000-0000-4000-8000-000000000724", "email": "a@b", "customer_id": "x"}'),
	(5, '{"subscription_id": "00000000-0000-4000-8000-000000000723", "checkout_id": "00000000-0000-4000-8000-000000000999", "email": "a@b"}'),
	(6, json_build_object('order_id', test.id(724), 'email', 'a b@c', 'metadata', json_build_object('k', repeat('x', 1024)))::text)) AS v (n, body) ORDER BY n;

-- What pydantic takes for a boolean. The customer holds a seat already, so that what is valid is 400.
SELECT (test.answer(test.assign(format('{"order_id": "00000000-0000-4000-8000-000000000724", "email": "bob@example.com", "immediate_claim": %s}', value)))).status,
	string_agg(value, ' ' ORDER BY n) AS values
FROM unnest('{true,false,1,0,1.0,0e3,"\"TRUE\"","\"f\"","\"Yes\"","\"n\"","\"on\"","\"off\"","\"0\"","\"1\"",2,-1,0.5,"\"\"","\"tru\"","\"ye\"","\"2\"","\" true\"","null","[]"}'::text[])
	WITH ORDINALITY AS v (value, n)
GROUP BY 1 ORDER BY 1;
SELECT json_array_elements(body::json -> 'detail') ->> 'type' AS type, value
FROM unnest('{2,0.5,"\"tru\"","null",[],"{}"}'::text[]) WITH ORDINALITY AS v (value, n),
	test.answer(test.assign(format('{"order_id": "00000000-0000-4000-8000-000000000724", "email": "bob@example.com", "immediate_claim": %s}', value)))
ORDER BY n;

-- 422: bytes that are no JSON, or none that jsonb can hold. All the same answer.
CREATE TABLE test.bodies (n integer, what text, body bytea);
INSERT INTO test.bodies VALUES (1, 'empty', ''), (2, 'spaces', ' '), (3, 'a word', 'x'), (4, 'not UTF-8', '{"invitation_token": "\377"}'),
	(5, 'overlong UTF-8', '{"invitation_token": "\300\200"}'), (6, 'a surrogate', '{"invitation_token": "\355\240\200"}'),
	(7, 'cut UTF-8', '{"invitation_token": "x"}\303'), (8, 'a zero byte', '{"invitation_token": "\000"}'), (9, 'a zero byte at the end', '{"invitation_token": "x"}\000'),
	(10, 'a byte order mark', '\357\273\277{"invitation_token": "x"}'), (11, 'UTF-16', '\377\376{\000}\000'),
	(12, 'an escaped zero', convert_to('{"invitation_token": "\u0000"}', 'UTF8')), (13, 'one in a key', convert_to('{"\u0000": 1, "invitation_token": "x"}', 'UTF8')),
	(14, 'half a surrogate', convert_to('{"invitation_token": "\ud800"}', 'UTF8')), (15, 'a bad escape', convert_to('{"invitation_token": "\x"}', 'UTF8')),
	(16, 'a control character', '{"invitation_token": "\012"}'), (17, 'not closed', '{"invitation_token": "x"'), (18, 'string not closed', '{"invitation_token": "x'),
	(19, 'more behind', '{"invitation_token": "x"} {}'), (20, 'single quotes', '{''invitation_token'': ''x''}'), (21, 'a comma too many', '{"invitation_token": "x",}'),
	(22, 'a form', 'invitation_token=x'), (23, 'a comment', '{"invitation_token": "x"} // y'), (24, 'NaN', '{"invitation_token": "x", "n": NaN}'),
	(25, 'a number too large', '{"invitation_token": "x", "n": 1e131072}'), (26, 'far too large', '{"invitation_token": "x", "n": 1e2147483648}'),
	(27, 'too small', '{"invitation_token": "x", "n": 1e-16384}'), (28, 'nested arrays', convert_to('{"invitation_token": "x", "n": ' || repeat('[', 1000000), 'UTF8')),
	(29, 'nested and closed', convert_to('{"invitation_token": "x", "n": ' || repeat('[', 1000000) || repeat(']', 1000000) || '}', 'UTF8')),
	(30, 'nested objects', convert_to(repeat('{"invitation_token":', 1000000), 'UTF8')), (31, 'null', NULL);
SELECT status, body, count(*), string_agg(what, ', ' ORDER BY n) FILTER (WHERE what IN ('empty', 'null')) AS among_them
FROM (SELECT n, what, (test.answer(format('SELECT seats_http.claim_seat(%L::bytea)', body))).* FROM test.bodies) AS a GROUP BY 1, 2;
SELECT status, body, count(*) FROM (SELECT (test.answer(format('SELECT seats_http.assign_seat(%L::bytea)', body))).* FROM test.bodies) AS a GROUP BY 1, 2;
-- Their neighbours are read: every escape, astral characters, large numbers, deep nesting, a megabyte.
SELECT what, (test.answer(format('SELECT seats_http.claim_seat(%L::bytea)', body))).status
FROM (VALUES (1, 'escapes', convert_to('{"invitation_token": "\u0001\"\\\/\b\f\n\r\t\ud83e\ude91"}', 'UTF8')), (2, 'UTF-8', convert_to('{"invitation_token": "ü🪑"}', 'UTF8')),
	(3, 'numbers', '{"invitation_token": "x", "n": [1e131071, 1e-16383, -0]}'),
	(4, 'nested', convert_to('{"invitation_token": "x", "n": ' || repeat('[', 500) || repeat(']', 500) || '}', 'UTF8')),
	(5, 'large', convert_to(json_build_object('invitation_token', 'x', 'y', repeat('z', 1048576))::text, 'UTF8'))) AS v (n, what, body) ORDER BY n;
DROP TABLE test.bodies;

-- An error is an answer: the transaction goes on, and keeps the status of the last one that was no success.
BEGIN;
SELECT (seats_http.claim_seat('{"invitation_token": "x"}'::jsonb))::json ->> 'reason' AS reason;
SELECT current_setting('response.status') AS status;
SELECT (seats_http.claim_seat('{"invitation_token": 1}'::jsonb))::json #>> '{detail,0,type}' AS type;
SELECT current_setting('response.status') AS status;
SELECT (seats_http.claim_seat(jsonb_build_object('invitation_token', :'token')))::json #>> '{seat,status}' AS seat;
SELECT current_setting('response.status') AS status;
SELECT (seats_http.get_claim_info('x'))::json ->> 'error' AS error;
COMMIT;
SELECT nullif(current_setting('response.status', true), '') AS status_afterwards, status FROM seats.get_seat(:'seat');
-- What the transaction did before stays, in a savepoint and out of it.
BEGIN;
UPDATE seats.organizations SET name = 'Renamed' WHERE id = test.id(725);
SAVEPOINT one;
SELECT (test.answer(test.assign('{"subscription_id": "00000000-0000-4000-8000-000000000728", "email": "third@example.com"}'))).status;
ROLLBACK TO one;
SELECT (test.answer(test.claim(:'token'))).status;
COMMIT;
SELECT name FROM seats.organizations WHERE id = test.id(725);

-- Its body is in a header, too, in the place of an earlier one, before those that a db-pre-request function has set.
BEGIN;
SELECT set_config('response.headers', '[ {"X-Of-Mine": "1"}, {"Set-Cookie": "a"}]', true);
SELECT seats_http.claim_seat('{"invitation_token": "\"}"}'::jsonb);
SELECT seats_http.claim_seat('{"invitation_token": "x"}'::jsonb);
SELECT current_setting('response.headers');
COMMIT;
SELECT value AS headers, (SELECT current_setting('response.headers')
	FROM (SELECT seats_http.claim_seat('{"invitation_token": 1}'::jsonb)::text FROM set_config('response.headers', value, true) OFFSET 0) AS answer)
FROM unnest(ARRAY['', '[]', '[ ]', 'x', '{}', '[{"Seats-Answer": "', '[{"Seats-Answer": "\']) AS value;
SELECT nullif(current_setting('response.headers', true), '') AS headers_afterwards;
BEGIN;
SELECT (seats_http.list_seats(test.id(723)::text))::json ->> 'total_seats' AS total, nullif(current_setting('response.headers', true), '') AS headers_of_a_success;
ROLLBACK;

-- Errors that the extension did not raise are passed on, such as those of an owner's trigger. If PostgREST would let the
-- SQLSTATE choose the status (PT and PGRST), or blame the caller's rights, it becomes 38000, which PostgREST reports as 500.
CREATE FUNCTION test.interfere() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = current_setting('test.sqlstate'), MESSAGE = 'from the trigger', DETAIL = current_setting('test.detail');
END
$$;
CREATE TRIGGER interfere BEFORE INSERT ON seats.customer_sessions FOR EACH ROW EXECUTE FUNCTION test.interfere();
SELECT invitation_token AS token FROM seats.assign_seat(order_id => test.id(724), email => 'eve@example.com') \gset
SELECT (test.outcome(test.claim(:'token'))).*
FROM unnest('{PT400,PT402,PT422,PT401,PT200,PGRST,42501,28000,40001,40P01,55P03,22P02,54001,22003,XX000}'::text[]) WITH ORDINALITY AS s (sqlstate, n),
	LATERAL (SELECT set_config('test.sqlstate', sqlstate, false), set_config('test.detail', CASE sqlstate WHEN 'PT401' THEN 'session_invalid' WHEN '22003' THEN 'seat_revoked' ELSE 'of mine' END, false) OFFSET 0) AS x
ORDER BY n;
-- PostgREST may run 40001 and 40P01 again without limit. The tenth in a row ends that.
SELECT string_agg((test.outcome(test.claim(:'token'))).state, ' ') AS states
FROM generate_series(1, 12) AS n, LATERAL (SELECT set_config('test.sqlstate', CASE WHEN n % 2 = 0 THEN '40001' ELSE '40P01' END, false) OFFSET 0) AS x;
SET test.sqlstate = '57014';
SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', :'token'));
-- One that says the same as an error of the extension's is answered as that.
SET test.sqlstate = 'PT400';
SET test.detail = 'seat_revoked';
SELECT * FROM test.answer(test.claim(:'token'));
DROP TRIGGER interfere ON seats.customer_sessions;
SELECT (test.answer(test.claim(:'token'))).status;

-- What writes refuses a read-only transaction before anything else, and what reads does not.
BEGIN READ ONLY;
SELECT statement, (test.outcome(statement)).state
FROM unnest(ARRAY['SELECT seats_http.claim_seat(NULL::jsonb)', 'SELECT seats_http.claim_seat(NULL::bytea)', 'SELECT seats_http.claim_seat(''x''::bytea)',
	'SELECT seats_http.claim_seat(''{}''::jsonb)', 'SELECT seats_http.claim_seat(''{"invitation_token": "x"}''::jsonb)',
	'SELECT seats_http.assign_seat(NULL::jsonb)', 'SELECT seats_http.assign_seat(''''::bytea)', 'SELECT seats_http.assign_seat(''{}''::bytea)',
	'SELECT seats_http.revoke_seat()', 'SELECT seats_http.revoke_seat(''x'')', 'SELECT seats_http.resend_invitation()', 'SELECT seats_http.resend_invitation(''x'')'])
	WITH ORDINALITY AS s (statement, n) ORDER BY n;
SELECT message FROM test.outcome('SELECT seats_http.claim_seat(''''::bytea)');
SELECT (test.answer(statement)).status, statement
FROM unnest(ARRAY['SELECT seats_http.get_claim_info()', 'SELECT seats_http.get_claim_info(''x'')', 'SELECT seats_http.list_seats()',
	'SELECT seats_http.list_seats(test.id(723)::text)', 'SELECT seats_http.list_seats(test.id(999)::text)']) WITH ORDINALITY AS s (statement, n) ORDER BY n;
SELECT (test.answer(format('SELECT seats_http.get_claim_info(%L)', :'token'))).*;
COMMIT;

-- Who may call what. An event names the role that called.
CREATE ROLE seats_anonymous;
CREATE ROLE seats_backend;
CREATE ROLE seats_customer;
CREATE ROLE seats_stranger;
SELECT seats.grant_access('seats_anonymous', 'seats_backend', 'seats_customer');
SELECT r.role, has_schema_privilege(r.role, 'seats_http', 'USAGE') AS usage, has_schema_privilege(r.role, 'seats_http', 'CREATE') AS create,
	string_agg(p.oid::regprocedure::text, ' ' ORDER BY p.oid::regprocedure::text COLLATE "C") FILTER (WHERE has_function_privilege(r.role, p.oid, 'EXECUTE')) AS functions
FROM (VALUES ('seats_anonymous'), ('seats_backend'), ('seats_customer'), ('seats_stranger')) AS r (role), pg_proc AS p
WHERE pronamespace = 'seats_http'::regnamespace GROUP BY 1 ORDER BY 1;
SET ROLE seats_backend;
SELECT seats_http.assign_seat('{"order_id": "00000000-0000-4000-8000-000000000724", "external_customer_id": "payer"}'::jsonb)::json ->> 'error' AS error;
SELECT seats_http.revoke_seat(:'order_seat')::json ->> 'status' AS status;
SELECT seats_http.assign_seat('{"order_id": "00000000-0000-4000-8000-000000000724", "email": "fay@example.com"}'::bytea)::json AS assigned \gset
SELECT seats_http.resend_invitation(:'assigned'::json ->> 'id')::json ->> 'invitation_token' AS token \gset
SELECT json_array_length(seats_http.list_seats(order_id => '00000000-0000-4000-8000-000000000724')::json -> 'seats') AS seats;
SET ROLE seats_anonymous;
SELECT seats_http.get_claim_info(:'token')::json ->> 'can_claim' AS can_claim;
SELECT seats_http.claim_seat(convert_to(format('{"invitation_token": "%s"}', :'token'), 'UTF8'))::json #>> '{seat,customer_email}' AS customer;
SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', :'token'))::json ->> 'reason' AS reason;
SELECT seats_http.revoke_seat('00000000-0000-4000-8000-000000000999');
SELECT seats_http.list_seats();
SELECT seats_http.assign_seat('{}'::jsonb);
SET ROLE seats_customer;
SELECT seats_http.get_claim_info('x');
RESET ROLE;
SELECT type, metadata ->> 'role' AS role FROM seats.events ORDER BY id DESC LIMIT 4;
DROP OWNED BY seats_anonymous, seats_backend, seats_customer;
DROP ROLE seats_anonymous, seats_backend, seats_customer, seats_stranger;

SELECT test.clear();
\pset format aligned
