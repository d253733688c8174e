-- PostgREST's settings: how names of claims and headers are compared, and that nothing in them ever raises an error.
SELECT test.make_organization(790, 100);
CREATE FUNCTION test.subject(claims text) RETURNS uuid
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true);
	RETURN seats.current_customer_id();
END
$$;
-- What an event has noted of the headers, beside the role.
CREATE FUNCTION test.noted(headers text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.headers', headers, true), seats.assign_seat(test.id(793), email => gen_random_uuid() || '@example.com');
	RETURN (SELECT metadata - 'role' - 'subscription_id' FROM seats.events ORDER BY id DESC LIMIT 1);
END
$$;

-- Names of claims are compared exactly.
SELECT n, replace(claims, E'\uFEFF', '(BOM)') AS claims, right(test.subject(replace(replace(claims, 'A', test.id(1)::text), 'B', test.id(2)::text))::text, 1) AS subject
FROM (VALUES (1, '{"sub": "A"}'), (2, '{"sub": "A", "SUB": "B"}'), (3, '{"SUB": "B", "sub": "A"}'), (4, '{"Sub": "B"}'), (5, '{"sub ": "B"}'),
	(6, '{"su": "B", "": "B", "subs": "B"}'), (7, '{"\u0073ub": "A"}'), (8, '{"\u0053ub": "A"}'),
-- If a name occurs twice, the last value counts, whatever its type.
	(10, '{"sub": "A", "sub": "B"}'), (11, '{"sub": "A", "sub": ["B"]}'), (12, '{"sub": "A", "sub": {"sub": "B"}}'), (13, '{"sub": "A", "sub": null}'),
	(14, '{"sub": "A", "sub": true}'), (15, '{"sub": "A", "sub": 1}'), (16, '{"sub": "A", "sub": ""}'), (17, '{"sub": "A", "sub": []}'), (18, '{"sub": "A", "sub": {}}'),
	(19, '{"sub": ["B"], "sub": "A"}'), (20, '{"sub": {"sub": "B"}, "sub": "A"}'), (21, '{"sub": "A", "x": {"sub": "B"}}'), (22, '{"sub": "A", "x": [{"sub": "B"}, "B"], "y": "B"}'),
	(23, '{"sub": "A", "\u0073ub": "B"}'), (24, '{"sub": ["A"]}'), (25, '{"sub": [], "x": "A"}'),
-- A value that is not an object in JSON says nothing, wherever the mistake is.
	(30, ' {"sub" :"A" , "x":[1 ,[ ], { },-0.5e+3,true, false,null,"\u00e9\ud83d\ude00"] } '), (31, '{"sub": "A"'), (32, '{"sub": "A"]'), (33, '{"sub": "A"}}'), (34, '{"sub": "A"} x'),
	(35, '{"sub": "A",}'), (36, '{,"sub": "A"}'), (37, '{"sub" "A"}'), (38, '{"sub": "A" "x": 1}'), (39, '{"sub": "A", 1: 1}'), (40, '{"sub": "A", "x"}'), (41, '{"sub": "A", "x":}'),
	(42, '{"sub": "A", "x": [1 2]}'), (43, '{"sub": "A", "x": [1,]}'), (44, '{"sub": "A", "x": [,1]}'), (45, '{"sub": "A", "x": [1}'), (46, '{"sub": "A", "x": {]}'), (47, '{"sub": "A", "x": [}]}'),
	(48, '{"sub": "A", "x": {"y": 1]}'), (49, '{"sub": "A", "x": [1: 2]}'), (50, '{"sub": "A", "x": {"y": 1,}}'), (51, '{"sub": "A", "x": 01}'), (52, '{"sub": "A", "x": +1}'),
	(53, '{"sub": "A", "x": nul}'), (54, '{"sub": "A", "x": NULL}'), (55, '{"sub": "A", "x": "\x"}'), (56, '{"sub": "A", "x": "\ud800"}'), (57, '{"sub": "A", "x": "\ude00"}'),
	(58, '{"sub": "A", "x": "\u0000"}'), (59, '{"sub": "A", "\u0000": 1}'), (60, '{"sub": "A", "x": "\u12g4"}'), (61, E'{"sub": "A", "x": "\t"}'), (62, '{"sub": "A", "x": "y}'),
	(63, '[{"sub": "A"}]'), (64, '"sub"'), (65, '"A"'), (66, '{"sub": "A"}{"sub": "A"}'), (67, '{"sub": "A", "x": ''y''}'), (68, E'\uFEFF{"sub": "A"}'), (69, '{"sub": "A", "x": [[{"y": [}]]}'),
	(70, '{"sub": "A", "x": {"y": {}, []}}'), (71, '{"sub": "A", "x": 1.}'), (72, '{"sub": "A", "x": "y" : 1}'), (73, '{"sub": "A\u0000"}'), (74, '}'), (75, ']'), (76, ','), (77, ':')) AS v (n, claims)
ORDER BY n;

-- Neither nesting nor size is an error: a million objects or arrays, open or closed, or a value of 8 MB.
SELECT n, what, right(test.subject(json)::text, 1) AS subject, test.noted(json)
FROM (SELECT '"sub": "' || test.id(1) || '", "user-agent": "curl"' AS good, 1000000 AS million) AS g, LATERAL (VALUES
	(1, 'arrays', repeat('[', million)), (2, 'objects', repeat('{"sub":', million)), (3, 'arrays within', '{' || good || ', "x": ' || repeat('[', million)),
	(4, 'both within', '{' || good || ', "x": ' || repeat('{"sub":[', million)), (5, 'wrongly closed', '{' || good || ', "x": ' || repeat('[', million) || repeat('}', million) || '}'),
	(6, 'closed arrays', repeat('[', million) || repeat(']', million)), (7, 'closed within', '{' || good || ', "x": ' || repeat('[', million) || repeat(']', million) || '}'),
	(8, 'closed objects', '{' || good || ', "x": ' || repeat('{"sub":', million) || '1' || repeat('}', million + 1)),
	(9, 'the name again', '{' || good || ', "sub": ' || repeat('[', million) || repeat(']', million) || ', "user-agent": ' || repeat('[', million) || repeat(']', million) || '}'),
	(10, 'a large value', '{' || good || ', "x": "' || repeat('[', 8 * million) || '"}'), (11, 'a large number', '{' || good || ', "x": ' || repeat('1', 8 * million) || '}'),
	(12, 'a large subject', '{"sub": "' || repeat('0', 8 * million) || '"}'), (13, 'many fields', '{' || repeat('"x": 1, ', million) || good || '}')) AS v (n, what, json)
ORDER BY n;
-- Nor with the smallest stack that can be set.
SET max_stack_depth = '100kB';
SELECT right(test.subject('{"sub": "' || test.id(1) || '", "x": ' || repeat('[', 1000000) || repeat(']', 1000000) || '}')::text, 1) AS subject;
RESET max_stack_depth;

-- Names of headers are compared without regard to case, and the last one of a name counts, however it is written.
SELECT n, headers, test.noted(headers)
FROM (VALUES (1, '{"User-Agent": "curl", "X-Forwarded-For": "192.0.2.1"}'), (2, '{"USER-AGENT": "curl", "user-agent": "wget"}'), (3, '{"user-agent": "wget", "USER-AGENT": "curl"}'),
	(4, '{"user-agent": "curl", "User-Agent": ["wget"]}'), (5, '{"user-agent": "curl", "User-Agent": null}'), (6, '{"user-agent": "curl", "User-Agent": 5}'), (7, '{"user-agent": "curl", "User-Agent": {}}'),
	(8, '{"user-agent": ["wget"], "User-Agent": "curl"}'), (9, '{"x-forwarded-for": "192.0.2.1", "X-FORWARDED-FOR": "192.0.2.2"}'), (10, '{"x-forwarded-for": "192.0.2.1", "X-Forwarded-For": false}'),
	(11, '{"user-agen": "curl", "user-agents": "curl", "user_agent": "curl"}'), (12, '{"user-agent": "curl", "x": "\ud800"}')) AS v (n, headers)
ORDER BY n;
SELECT test.noted('{"user-agent": "curl", "Idempotency-Key": ["x"]}'), invitation_token AS token FROM seats.assign_seat(test.id(793), email => 'ann@example.com') \gset
SELECT n, headers, set_config('request.headers', headers, true) IS NOT NULL AS set, (test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).detail
FROM (VALUES (1, '{"Idempotency-Key": "x", "idempotency-key": "y"}'), (2, '{"idempotency-key": "y"}'), (3, '{"idempotency-key": "x"}'), (4, '{"idempotency-key": "x", "IDEMPOTENCY-KEY": "y"}'),
	(5, '{"idempotency-key": "y", "IDEMPOTENCY-KEY": ["y"]}'), (6, '{"idempotency-key": "y", "idempotency-key": null}')) AS v (n, headers)
ORDER BY n;

-- A user agent with 43 digits of base62 or base64url in a row, as many as the secret of a token has, is left out. With fewer, or with anything else among them, it is not.
SELECT n, what, test.noted(json_build_object('user-agent', agent)::text) <> '{}' AS kept
FROM (VALUES (1, '42', repeat('x', 42)), (2, '43', repeat('x', 43)), (3, '42 and more', repeat('x', 42) || ' ' || repeat('y', 42)), (4, '43 and more', repeat('x', 43) || ' y'),
	(5, 'y and 43', 'y ' || repeat('x', 43)), (6, '43 in the middle', '(' || repeat('x', 43) || ')'), (7, '44 in the middle', '(' || repeat('x', 44) || ')'),
	(8, 'a hyphen among them', repeat('x', 21) || '-' || repeat('x', 21)), (9, 'an underscore', repeat('x', 21) || '_' || repeat('x', 21)),
	(10, 'underscores', repeat('_', 43)), (11, 'hyphens', repeat('-', 43)), (12, 'digits', repeat('0', 43)), (13, 'capitals', repeat('Z', 43)), (14, '42 underscores', repeat('_', 42)),
	(15, 'a full stop', repeat('x', 21) || '.' || repeat('x', 21)), (16, 'a plus', repeat('x', 21) || '+' || repeat('x', 21)), (17, 'a slash', repeat('x', 42) || '/' || repeat('x', 42)),
	(18, 'nothing but full stops', repeat('.', 43))) AS v (n, what, agent)
ORDER BY n;
-- An address has at most 45 characters.
SELECT length(address), test.noted(json_build_object('x-forwarded-for', address)::text) <> '{}' AS kept FROM (VALUES (repeat('1', 45)), (repeat('1', 46))) AS v (address);

-- A JWT with a claim "seat" is a session's only if it has the other claims, none longer than a session's JWT can be. Otherwise no key is read.
SET seats.session_token_format = 'jwt';
SELECT convert_from(decode(rpad(translate(p, '-_', '+/'), (length(p) + 3) / 4 * 4, '='), 'base64'), 'UTF8') AS claims
FROM seats.assign_seat(test.id(793), email => 'eve@example.com') AS i, seats.claim_seat(i.invitation_token) AS c, split_part(c.customer_session_token, '.', 2) AS p \gset
RESET seats.session_token_format;
-- How often this transaction has scanned the table of keys or an index of it.
CREATE FUNCTION test.key_scans() RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(pg_stat_get_xact_numscans(relation)) FROM (SELECT 'seats.jwt_keys'::regclass UNION SELECT indexrelid FROM pg_index WHERE indrelid = 'seats.jwt_keys'::regclass) AS r (relation)
$$;
CREATE FUNCTION test.checked(claims text, OUT outcome text, OUT keys_read boolean) LANGUAGE plpgsql AS $$
DECLARE
	before bigint := test.key_scans();
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true);
	outcome := (SELECT concat_ws(' ', state, detail) FROM test.outcome('SELECT seats.check_session()'));
	keys_read := test.key_scans() > before;
END
$$;
SELECT what, (test.checked(claims)).*
FROM (SELECT :'claims'::jsonb AS p) AS s, LATERAL (VALUES (1, 'the session', :'claims'), (2, 'only a seat', '{"seat": "x"}'), (3, 'a seat that is a number', '{"seat": 1}'),
	(11, 'without sub', (p - 'sub')::text), (12, 'without org', (p - 'org')::text), (13, 'without role', (p - 'role')::text), (14, 'without iat', (p - 'iat')::text),
	(15, 'without exp', (p - 'exp')::text), (16, 'without jti', (p - 'jti')::text), (17, 'without a seat', (p - 'seat')::text),
	(21, 'a claim of 1,024', jsonb_set(p, '{jti}', to_jsonb(repeat('x', 1024)))::text), (22, 'a claim of 1,025', jsonb_set(p, '{jti}', to_jsonb(repeat('x', 1025)))::text),
-- A name in another case is another claim: a foreign JWT with SEAT passes, and EXP and JTI do not spoil a session's.
	(31, 'foreign, with SEAT', '{"SEAT": "x", "Seat": "y", "role": "backend"}'), (32, 'with EXP and JTI', (p || '{"EXP": 1, "JTI": "x", "Sub": "y", "ROLE": null}')::text),
	(33, 'SUB for sub', ((p - 'sub') || jsonb_build_object('SUB', p -> 'sub'))::text),
-- If a name occurs twice, the last value counts.
	(41, 'jti again', overlay(:'claims' PLACING ',"jti":"x"}' FROM length(:'claims'))), (42, 'jti before', overlay(:'claims' PLACING '{"jti":"x",' FROM 1 FOR 1)),
	(43, 'exp again', overlay(:'claims' PLACING ',"exp":[1]}' FROM length(:'claims'))), (44, 'seat again', overlay(:'claims' PLACING ',"seat":["x"]}' FROM length(:'claims'))),
	(51, 'nested', repeat('[', 1000000)), (52, 'nested within', overlay(:'claims' PLACING ',"x":' || repeat('[', 1000000) || repeat(']', 1000000) || '}' FROM length(:'claims')))) AS v (n, what, claims)
ORDER BY n;

DROP FUNCTION test.subject, test.noted, test.checked, test.key_scans;
SELECT test.clear();
-- PostgreSQL does not check the encoding of a setting that comes with a connection.
\set bytes `printf '\377'`
\set options '"options=''-c request.jwt.claims={""sub"":""00000000-0000-4000-8000-000000000791"",""x"":""':bytes'""}''"'
\c -reuse-previous=on :options
SELECT octet_length(current_setting('request.jwt.claims')) AS bytes, seats.current_customer_id() IS NULL AS nobody;
