-- Odd input gets a clear error and changes nothing. test.outcome() raises if anything changed.
SELECT test.make_organization(500);
SELECT test.make_organization(510);
SELECT invitation_token AS token FROM seats.assign_seat(test.id(503), email => 'a@example.com') \gset
SELECT invitation_token AS other FROM seats.assign_seat(test.id(513), email => 'a@example.com') \gset

CREATE FUNCTION test.reason(function text, token text) RETURNS text
LANGUAGE sql AS $$SELECT o.state || ' ' || o.detail FROM test.outcome(format('SELECT seats.%I(%L)', function, token)) AS o$$;

-- Cut at every position, from the end and from the start.
SELECT test.reason('claim_seat', left(:'token', n)) AS cut, count(*) FROM generate_series(1, 64) AS n GROUP BY 1;
SELECT test.reason('claim_seat', right(:'token', n)) AS cut, count(*) FROM generate_series(1, 64) AS n GROUP BY 1;

-- One character changed, at every position, to other base62 digits and to some characters that are none.
SELECT test.reason('claim_seat', overlay(:'token' PLACING other FROM n FOR 1)) AS changed, count(*) > 700 AS many
FROM generate_series(1, 65) AS n, regexp_split_to_table('09AZazMk_- .', '') AS other
WHERE substr(:'token', n, 1) <> other GROUP BY 1;

-- One character too many or too few, at every position; two neighbours swapped.
SELECT test.reason('claim_seat', overlay(:'token' PLACING '0' FROM n FOR 0)) AS longer, count(*) FROM generate_series(1, 66) AS n GROUP BY 1;
SELECT test.reason('claim_seat', overlay(:'token' PLACING '' FROM n FOR 1)) AS shorter, count(*) FROM generate_series(1, 65) AS n GROUP BY 1;
SELECT test.reason('claim_seat', overlay(:'token' PLACING reverse(substr(:'token', n, 2)) FROM n FOR 2)) AS swapped, count(*) > 50 AS many
FROM generate_series(1, 64) AS n WHERE substr(:'token', n, 1) <> substr(:'token', n + 1, 1) GROUP BY 1;

-- Case, white space, quoting, control characters, other alphabets, sizes.
SELECT what, test.reason('claim_seat', value) AS claim, test.reason('claim_info', value) AS info, test.reason('authenticate', value) AS authenticate,
	(test.outcome(format('SELECT seats.end_session(%L)', value))).state AS end_session
FROM (VALUES
	(1, 'upper case', upper(:'token')), (2, 'lower case', lower(:'token')),
	(3, 'space before', ' ' || :'token'), (4, 'space after', :'token' || ' '), (5, 'new line after', :'token' || E'\n'),
	(6, 'quoted', '"' || :'token' || '"'), (7, 'twice', :'token' || :'token'),
	(8, 'one byte', 'x'), (9, 'one control character', E'\x01'), (10, 'control characters', repeat(E'\x02\x1b', 32) || E'\x7f'),
	(11, '65 of them', repeat(E'\x03', 65)), (12, '65 of two bytes', repeat('ü', 65)), (13, '65 bytes of them', repeat('ü', 32) || 'x'),
	(14, '65 of four bytes', repeat('🪑', 65)), (15, 'full-width digits', translate(:'token', '0123456789', U&'\FF10\FF11\FF12\FF13\FF14\FF15\FF16\FF17\FF18\FF19')),
	(16, 'percent signs', repeat('%s%n', 16)), (17, 'JSON', '{"invitation_token": 1}'), (18, 'SQL', '''; DROP TABLE seats.events; --'),
	(19, 'only the prefix', 'seats_inv_'), (20, 'prefix and zeros', 'seats_inv_' || repeat('0', 55)),
	(21, 'full-width letters', translate(:'token', 'seat', U&'\FF53\FF45\FF41\FF54')),
	(22, '1 MB', repeat('x', 1048576)), (23, '1 MB of a token', :'token' || repeat('x', 1048576 - 65))) AS v (n, what, value)
ORDER BY n;

-- A session token where an invitation belongs, and the other way round.
SELECT customer_session_token AS session FROM seats.claim_seat(:'other') \gset
SELECT test.reason('claim_seat', :'session') AS claim, test.reason('claim_info', :'session') AS info,
	test.reason('authenticate', :'other') AS authenticate;
SELECT seats.end_session(:'other') AS ended;

-- Another organization's token is that organization's: its parts do not fit on this one's.
SELECT test.reason('claim_seat', left(:'token', 10) || substr(:'other', 11, 6) || substr(:'token', 17)) AS other_route,
	test.reason('claim_seat', left(:'other', 59) || right(:'token', 6)) AS other_checksum;
SELECT (i.seat).id AS id FROM seats.assign_seat(test.id(513), email => 'b@example.com', immediate_claim => true) AS i \gset
SELECT (test.outcome(format('SELECT seats.assign_seat(test.id(503), customer_id => %L)', customer_id))).detail
FROM seats.customer_seats WHERE id = :'id';

-- Other odd arguments.
SELECT (test.outcome(format('SELECT seats.assign_seat(test.id(503), email => %L)', repeat('x', 1048576)))).state AS email,
	(test.outcome(format('SELECT seats.assign_seat(test.id(503), external_customer_id => %L)', repeat('x', 1048576)))).detail AS external_id,
	(test.outcome($$SELECT seats.assign_seat(test.id(503), external_customer_id => '')$$)).detail AS empty_external_id,
	(test.outcome(format('SELECT seats.assign_seat(test.id(503), email => %L, metadata => %L)', 'm@example.com',
		jsonb_build_object('k', repeat('x', 1048576))))).state AS metadata,
	(test.outcome(format('SELECT seats.assign_seat(test.id(503), email => %L, metadata => %L)', 'm@example.com',
		(SELECT jsonb_object_agg(k, k) FROM generate_series(1, 10000) AS k)))).state AS many_keys,
	(test.outcome(format('SELECT seats.claim_seat(%L, %L)', :'token', repeat('x', 1048576)))).state AS idempotency_key;

SELECT what, (test.outcome(format('SELECT seats.assign_seats(test.id(503), NULL, %s)', emails))).state
FROM (VALUES (1, 'two dimensions', '''{{a@x,b@x},{c@x,d@x}}'''), (2, 'only nulls', '''{NULL,NULL}'''), (3, 'an empty one', '''{""}'''),
	(4, '1 MB', $$ARRAY[repeat('x', 1048576) || '@y']$$), (5, '20,000 malformed', $$array_fill('x'::text, '{20000}')$$),
	(6, '20,000 the same', $$array_fill('x@y'::text, '{20000}')$$), (7, '20,000 too many', $$ARRAY(SELECT n || '@y' FROM generate_series(1, 20000) AS n)$$),
	(8, 'a token', $$ARRAY['seats_inv_' || repeat('0', 55)]$$)) AS v (n, what, emails)
ORDER BY n;

-- After all that the token is as good as before.
SELECT (c.seat).status FROM seats.claim_seat(:'token') AS c;

SELECT test.clear();
DROP FUNCTION test.reason;
