-- Customer sessions that are JWTs: what is in them, to the byte; what is refused; keys and their rotation; and what
-- PostgREST is told and asks.
SELECT extnamespace::regnamespace AS crypto FROM pg_extension WHERE extname = 'pgcrypto' \gset
CREATE FUNCTION test.base64url(bytes bytea) RETURNS text
LANGUAGE sql AS $$SELECT rtrim(translate(encode(bytes, 'base64'), E'+/\n', '-_'), '=')$$;
CREATE FUNCTION test.from_base64url(digits text) RETURNS bytea
LANGUAGE sql AS $$SELECT decode(rpad(translate(digits, '-_', '+/'), (length(digits) + 3) / 4 * 4, '='), 'base64')$$;
-- Signs whatever it is given.
CREATE FUNCTION test.sign(header text, payload text, secret bytea, algorithm text DEFAULT 'sha256') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	signed_part text := test.base64url(convert_to(header, 'UTF8')) || '.' || test.base64url(convert_to(payload, 'UTF8'));
	signature bytea;
BEGIN
	EXECUTE format('SELECT %s.hmac($1, $2, $3)', (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pgcrypto'))
		INTO signature USING signed_part::bytea, secret, algorithm;
	RETURN signed_part || '.' || test.base64url(signature);
END
$$;
CREATE FUNCTION test.payload(token text) RETURNS text
LANGUAGE sql AS $$SELECT convert_from(test.from_base64url(split_part(token, '.', 2)), 'UTF8')$$;

SELECT test.make_organization(780, 100);
-- The extension was made with a key; a known one is put in its place.
SELECT count(*), min(length(secret)), max(created_at) <= now() AS signs FROM seats.jwt_keys;
UPDATE seats.jwt_keys SET kid = test.id(788), secret = decode(repeat('00ff7b', 11), 'hex');
SET seats.session_token_format = 'jwt';
SHOW seats.jwt_role;

-- Header, payload and signature. The token is kept as its hash, like any other.
SELECT (i.seat).id AS seat, invitation_token AS token FROM seats.assign_seat(test.id(783), email => 'a@example.com') AS i \gset
SELECT customer_session_token AS session FROM seats.claim_seat(:'token') \gset
SELECT convert_from(test.from_base64url(split_part(:'session', '.', 1)), 'UTF8') AS header,
	test.payload(:'session')::json ->> 'jti' AS jti, split_part(:'session', '.', 1) AS header_digits \gset
SELECT :'header' AS header, :'header_digits' AS header_digits;
SELECT test.payload(:'session') = format('{"sub":"%s","org":"%s","seat":"%s","role":"customer","iat":%s,"exp":%s,"jti":"%s"}',
		customer_id, organization_id, seat_id, floor(extract(epoch FROM created_at)), floor(extract(epoch FROM expires_at)), :'jti') AS payload,
	seat_id = :'seat' AS seat, expires_at - created_at AS lives, token_hash = sha256(:'session'::bytea) AS found_by_hash
FROM seats.customer_sessions;
SELECT json_object_keys(test.payload(:'session')::json) AS claim;
SELECT :'jti' ~ '^[A-Za-z0-9_-]{43}$' AS jti, length(test.from_base64url(:'jti')) AS bytes;
SELECT :'session' = test.sign(:'header', test.payload(:'session'), decode(repeat('00ff7b', 11), 'hex')) AS signature;
SELECT length(:'session') AS characters, :'session' ~ '^[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]{43}$' AS has_the_form;

-- It is as good as any other: for whom, its route, a retry, signing out.
SELECT customer_email, seat_id = :'seat' AS seat FROM seats.authenticate(:'session');
SELECT seats.token_route(:'session') = seats.organization_route(test.id(780)) AS route;
SELECT invitation_token AS token FROM seats.assign_seat(test.id(783), email => 'b@example.com') \gset
SELECT customer_session_token AS first FROM seats.claim_seat(:'token', 'key') \gset
SELECT customer_session_token AS second FROM seats.claim_seat(:'token', 'key') \gset
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'first'))).detail AS first,
	(seats.authenticate(:'second')).customer_email AS second, test.payload(:'first') <> test.payload(:'second') AS other_claims;
SELECT seats.end_session(:'second') AS ended, (test.outcome(format('SELECT seats.authenticate(%L)', :'second'))).detail AS second;
SELECT seats.end_session(:'second') AS ended_again;
-- Whatever new sessions are, old ones are good; and by statements as by direct access.
SET seats.session_token_format = 'opaque';
SELECT (seats.authenticate(:'session')).customer_email;
SELECT customer_session_token AS opaque FROM seats.claim_seat(:'token', 'key') \gset
SELECT :'opaque' LIKE 'seats\_cst\_%' AS opaque;
SET seats.session_token_format = 'jwt';
SELECT (seats.authenticate(:'opaque')).customer_email;
SET seats.direct_access = off;
SELECT (seats.authenticate(:'session')).customer_email;
RESET seats.direct_access;

-- The role, of whose name nothing has to be escaped.
SET seats.jwt_role = 'Portal user''s {role}';
SELECT customer_session_token AS session_of_role FROM seats.claim_seat(:'token', 'key') \gset
SELECT test.payload(:'session_of_role')::json ->> 'role' AS role, (seats.authenticate(:'session_of_role')).customer_email;
RESET seats.jwt_role;
SELECT n, (test.outcome(format('SELECT set_config(''seats.jwt_role'', %L, true)', role))).state
FROM (VALUES (1, 'x'), (2, repeat('x', 63)), (3, repeat('x', 64)), (4, ''), (5, 'a"b'), (6, 'a\b'), (7, E'a\nb'), (8, 'rôle'), (9, E'a\x7f')) AS v (n, role)
ORDER BY n;
SET seats.session_token_format = 'jws';

-- Hostile tokens. Each has a row in the table of sessions, so that nothing but the token itself is to blame; the first
-- one, which is right, shows that.
CREATE TABLE test.forged AS
SELECT n, what, token FROM (
	SELECT :'header' AS header, test.payload(:'session') AS payload, decode(repeat('00ff7b', 11), 'hex') AS secret, :'session' AS session) AS s,
	LATERAL (SELECT replace(test.payload(session), '"role":"customer"', '"role":"backend"') AS other, left(session, -44) AS signed_part, right(session, 43) AS signature) AS t,
	LATERAL (VALUES
	(1, 'made by hand', test.sign(header, other, secret)),
	(2, 'claims changed, signature kept', split_part(session, '.', 1) || '.' || test.base64url(other::bytea) || '.' || signature),
	(3, 'alg none', test.base64url(replace(header, 'HS256', 'none')::bytea) || '.' || test.base64url(payload::bytea) || '.'),
	(4, 'alg none, signed', test.sign(replace(header, 'HS256', 'none'), payload, secret)),
	(5, 'no signature', signed_part || '.'),
	(6, 'no third part', signed_part),
	(7, 'HS512', test.sign(replace(header, 'HS256', 'HS512'), payload, secret, 'sha512')),
	(8, 'RS256', test.sign(replace(header, 'HS256', 'RS256'), payload, secret)),
	(9, 'HS256 in the header, SHA-1', test.sign(header, payload, secret, 'sha1')),
	(10, 'another key', test.sign(header, payload, '\x01')),
	(11, 'an empty key', test.sign(header, payload, '')),
	(12, 'the key in hexadecimal', test.sign(header, payload, encode(secret, 'hex')::bytea)),
	(13, 'an unknown kid', test.sign(replace(header, '788', '789'), payload, secret)),
	(14, 'no kid', test.sign('{"alg":"HS256","typ":"JWT"}', payload, secret)),
	(15, 'kid twice', test.sign(replace(header, '}', ',"kid":"x"}'), payload, secret)),
	(16, 'header in another order', test.sign('{"typ":"JWT","alg":"HS256","kid":"' || test.id(788) || '"}', payload, secret)),
	(17, 'header with a space', test.sign(replace(header, ',', ', '), payload, secret)),
	(18, 'header with more', test.sign(replace(header, '}', ',"crit":["exp"]}'), payload, secret)),
	(19, 'one more part', session || '.' || signature),
	(20, 'one more point', session || '.'),
	(21, 'a point before', '.' || session),
	(22, 'padding', session || '='),
	(23, 'a space before', ' ' || session), (24, 'a space after', session || ' '), (25, 'a new line after', session || E'\n'),
	(26, 'a space within', overlay(session PLACING ' ' FROM 150 FOR 0)),
	(27, 'other bits at the end of the signature', left(session, -1) || translate(right(session, 1), 'AEIMQUYcgkosw048', 'BFJNRVZdhlptx159')),
	(28, 'other bits at the end of the payload', signed_part || 'A.' || signature),
	(29, 'base64 instead of base64url', translate(session, '-_', '+/') || CASE WHEN session ~ '[-_]' THEN '' ELSE '+' END),
	(30, 'a letter beyond ASCII', overlay(session PLACING 'ä' FROM 150 FOR 1)),
	(31, 'lower case', lower(session)),
	(32, 'Bearer', 'Bearer ' || session),
	(33, 'one payload for another', split_part(session, '.', 1) || '.' || split_part(:'second', '.', 2) || '.' || signature),
	(34, 'no payload', split_part(session, '.', 1) || '..' || signature),
	(35, 'payload no JSON', test.sign(header, 'x', secret)),
	(36, 'only points', repeat('.', 460)),
	(37, 'eyJ and zeros', 'eyJ' || repeat('0', 460)),
	(38, 'eyJ and 1,024 in all', 'eyJ' || repeat('0', 1021)),
	(39, 'eyJ and 1,025 in all', 'eyJ' || repeat('0', 1022)),
	(40, 'eyJ and 1 MB', 'eyJ' || repeat('0', 1048576)),
	(41, 'a token of ours and 1 MB', session || repeat('0', 1048576)),
	(42, 'just eyJ', 'eyJ'),
	(43, 'percent signs', left(session, 96) || repeat('%s%n', 90))) AS v (n, what, token);
INSERT INTO seats.customer_sessions
SELECT sha256(convert_to(token, 'UTF8')), x.seat_id, x.customer_id, x.organization_id, x.created_at, x.expires_at
FROM test.forged, seats.customer_sessions AS x WHERE x.token_hash = sha256(:'session'::bytea);
SELECT n, what, a.state, a.detail, e.state AS ended, r.state AS route
FROM test.forged, LATERAL test.outcome(format('SELECT seats.authenticate(%L)', token)) AS a,
	LATERAL test.outcome(format('DO $do$ BEGIN IF seats.end_session(%L) THEN RAISE ''ended''; END IF; END $do$', token)) AS e,
	LATERAL test.outcome(format('SELECT seats.token_route(%L)', token)) AS r
ORDER BY n;
-- Where there are characters that no token has, the hint says so, of JWTs too.
SELECT n, what FROM test.forged, LATERAL test.outcome(format('SELECT seats.authenticate(%L)', token)) AS a
WHERE a.hint LIKE '%token contains characters%' ORDER BY n;
-- One character changed, at every position; the token cut, from the end and from the start.
CREATE TABLE test.changed AS
SELECT overlay(:'session' PLACING CASE substr(:'session', n, 1) WHEN 'A' THEN '0' ELSE 'A' END FROM n FOR 1) AS token
FROM generate_series(1, length(:'session')) AS n;
INSERT INTO seats.customer_sessions
SELECT sha256(token::bytea), x.seat_id, x.customer_id, x.organization_id, x.created_at, x.expires_at
FROM seats.customer_sessions AS x, test.changed WHERE x.token_hash = sha256(:'session'::bytea);
SELECT o.state, o.detail, count(*) FROM test.changed, LATERAL test.outcome(format('SELECT seats.authenticate(%L)', token)) AS o GROUP BY 1, 2 ORDER BY 1, 2;
DROP TABLE test.changed;
DELETE FROM seats.customer_sessions WHERE token_hash NOT IN (sha256(:'session'::bytea), sha256(:'second'::bytea));
SELECT o.state, o.detail, count(*) FROM generate_series(1, 462) AS n,
	LATERAL test.outcome(format('SELECT seats.authenticate(%L)', left(:'session', n))) AS o GROUP BY 1, 2;
SELECT o.state, o.detail, count(*) FROM generate_series(1, 255) AS n,
	LATERAL test.outcome(format('SELECT seats.authenticate(%L)', right(:'session', n))) AS o GROUP BY 1, 2;
DELETE FROM seats.customer_sessions WHERE token_hash <> sha256(:'session'::bytea);
DROP TABLE test.forged;
-- What was signed with the right key, and is no session's.
SELECT test.sign(:'header', replace(test.payload(:'session'), :'jti', reverse(:'jti')), decode(repeat('00ff7b', 11), 'hex')) AS stray \gset
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'stray'))).*;
SELECT seats.end_session(:'stray') AS ended, seats.token_route(:'stray') = seats.organization_route(test.id(780)) AS route;
-- A JWT is no invitation, and may not be as long where one belongs.
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'session'))).*;
SELECT (test.outcome(format('SELECT seats.claim_info(%L)', :'session'))).state;
SELECT (test.outcome(format('SELECT seats.end_session(%L)', 'eyJ' || repeat('0', 1022)))).*;
-- A route takes a payload that begins as ours do.
SELECT what, (test.outcome(format('SELECT seats.token_route(%L)', test.sign(:'header', payload, 'x')))).state
FROM (SELECT test.payload(:'session') AS p) AS s, LATERAL (VALUES (1, 'as it is', p), (2, 'upper case', overlay(p PLACING 'A' FROM 54 FOR 1)),
	(3, 'no dash', overlay(p PLACING '0' FROM 62 FOR 1)), (4, 'a dash', overlay(p PLACING '-' FROM 63 FOR 1)), (5, 'another name', replace(p, '"org"', '"orq"')),
	(6, 'another order', replace(replace(p, '"sub"', '"???"'), '"org"', '"sub"')), (7, 'no end', overlay(p PLACING ',' FROM 90 FOR 1)),
	(8, 'a NUL', overlay(p PLACING E'\x01' FROM 60 FOR 1)), (9, 'zeros', repeat('0', length(p))), (10, '1,024 in all', rpad(p, 662, 'x')), (11, 'longer', rpad(p, 663, 'x'))) AS v (n, what, payload)
ORDER BY n;

-- Expiry goes by the row, exactly.
UPDATE seats.customer_sessions SET expires_at = clock_timestamp();
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).*;
UPDATE seats.customer_sessions SET expires_at = clock_timestamp() + '1 hour';

-- check_session(): lets pass what is of no session, and of a session as long as it lives.
CREATE FUNCTION test.checked(claims text, headers text DEFAULT '') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	outcome record;
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true), set_config('request.headers', headers, true);
	outcome := test.outcome('SELECT seats.check_session()');
	RETURN concat_ws(' ', outcome.state, outcome.detail);
END
$$;
SELECT seats.check_session();
SELECT what, test.checked(claims)
FROM (SELECT test.payload(:'session')::jsonb AS p) AS s, LATERAL (VALUES
	(1, 'none', ''), (2, 'anonymous', '{"role": "anonymous"}'), (3, 'another JWT', '{"role": "backend", "sub": "1", "org": 2, "jti": "x", "exp": 1, "iat": 1}'),
	(4, 'no JSON', 'x'), (5, 'an array', '[]'), (6, 'seat within', '{"role": "backend", "x": {"seat": "y"}}'),
	(7, 'the session', test.payload(:'session')), (8, 'in another order', p::text), (9, 'with more', (p || '{"aud": "x", "x": [{"seat": 1}]}')::text),
	(10, 'only a seat', '{"seat": "x"}'), (11, 'without jti', (p - 'jti')::text), (12, 'without sub', (p - 'sub')::text), (13, 'without exp', (p - 'exp')::text),
	(14, 'another role', (p || '{"role": "backend"}')::text), (15, 'another jti', jsonb_set(p, '{jti}', to_jsonb(reverse(p ->> 'jti')))::text),
	(16, 'a later exp', jsonb_set(p, '{exp}', to_jsonb((p ->> 'exp')::bigint + 1))::text), (17, 'another customer', (p || jsonb_build_object('sub', test.id(782)))::text),
	(18, 'another seat', (p || jsonb_build_object('seat', test.id(782)))::text), (19, 'another organization', (p || jsonb_build_object('org', test.id(782)))::text),
	(20, 'claims within a claim', (jsonb_set(p, '{sub}', to_jsonb(p ->> 'sub' || '","org":"' || (p ->> 'org'))))::text),
	(21, 'jti null', (p || '{"jti": null}')::text), (22, 'the stray one', test.payload(:'stray'))) AS v (n, what, claims)
ORDER BY n;
-- The headers do not matter: not their absence, and not another token in them.
SELECT test.checked(test.payload(:'session'), json_build_object('authorization', 'Bearer ' || :'session')::text) AS live,
	test.checked(test.payload(:'session'), '{"authorization": "Bearer x"}') AS other_header,
	test.checked(test.payload(:'stray'), json_build_object('authorization', 'Bearer ' || :'session')::text) AS ended;
SET seats.direct_access = off;
SELECT test.checked(test.payload(:'session')) AS live, test.checked(test.payload(:'stray')) AS ended;
RESET seats.direct_access;
BEGIN READ ONLY;
SELECT test.checked(test.payload(:'session')) AS read_only;
COMMIT;
-- Its MESSAGE is authenticate()'s. Expired, ended, revoked.
SELECT set_config('request.jwt.claims', test.payload(:'session'), false) = test.payload(:'session') AS signed_in;
UPDATE seats.customer_sessions SET expires_at = clock_timestamp();
SELECT (test.outcome('SELECT seats.check_session()')).*;
UPDATE seats.customer_sessions SET expires_at = clock_timestamp() + '1 hour';
SELECT (test.outcome('SELECT seats.check_session()')).state;
-- Whoever it is sees its own seats, with the rights of the role.
CREATE ROLE customer;
SELECT seats.grant_access(customer => 'customer');
SET ROLE customer;
SELECT seats.check_session();
SELECT customer_email, status FROM seats.my_seats;
RESET ROLE;
SELECT status FROM seats.revoke_seat(:'seat');
SELECT (test.outcome('SELECT seats.check_session()')).*;
RESET request.jwt.claims;

-- The keys as PostgREST is given them: in its transaction, which only reads, and no longer.
CREATE ROLE seats_authenticator NOINHERIT;
GRANT customer TO seats_authenticator;
GRANT USAGE ON SCHEMA seats TO seats_authenticator;
SET ROLE seats_authenticator;
SELECT seats.postgrest_config();
RESET ROLE;
GRANT EXECUTE ON FUNCTION seats.postgrest_config TO seats_authenticator;
BEGIN READ ONLY;
SET LOCAL ROLE seats_authenticator;
SELECT name, current_setting(name, true) AS value FROM unnest('{pgrst.db_schemas,pgrst.jwt_secret}'::text[]) AS name JOIN seats.postgrest_config() AS _ ON true;
SELECT secret FROM seats.jwt_keys;
COMMIT;
SELECT current_setting('pgrst.jwt_secret') AS afterwards;
-- Nor has the role of a request, which the authenticator turns into.
SET ROLE customer;
SELECT seats.postgrest_config();
SELECT seats.rotate_jwt_key();
SELECT kid FROM seats.jwt_keys;
RESET ROLE;

-- Rotation. The new key signs, and those that sessions were signed with stay good.
CREATE FUNCTION test.key_set() RETURNS jsonb
LANGUAGE sql AS $$SELECT seats.postgrest_config(); SELECT current_setting('pgrst.jwt_secret')::jsonb -> 'keys'$$;
CREATE FUNCTION test.kid(token text) RETURNS uuid
LANGUAGE sql AS $$SELECT (convert_from(test.from_base64url(split_part(token, '.', 1)), 'UTF8')::json ->> 'kid')::uuid$$;
SELECT invitation_token AS token FROM seats.assign_seat(test.id(783), email => 'c@example.com') \gset
SELECT customer_session_token AS before FROM seats.claim_seat(:'token') \gset
SELECT seats.rotate_jwt_key() AS new_key \gset
SELECT invitation_token AS token FROM seats.assign_seat(test.id(783), email => 'd@example.com') \gset
SELECT customer_session_token AS after FROM seats.claim_seat(:'token') \gset
SELECT test.kid(:'before') = test.id(788) AS old_key, test.kid(:'after') = :'new_key' AS new_key,
	(seats.authenticate(:'before')).customer_email AS before, (seats.authenticate(:'after')).customer_email AS after,
	test.checked(test.payload(:'before')) AS before_checked, test.checked(test.payload(:'after')) AS after_checked;
SELECT length(secret) AS bytes, secret <> '\x' || decode(repeat('00', 32), 'hex') AS drawn FROM seats.jwt_keys WHERE kid = :'new_key';
SELECT jsonb_array_length(test.key_set()) AS keys, test.key_set() -> 0 ->> 'kid' = :'new_key' AS newest_first,
	bool_and(k ->> 'k' = test.base64url(secret) AND k - 'k' = jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'use', 'sig', 'kid', kid)) AS right_keys
FROM jsonb_array_elements(test.key_set()) AS k JOIN seats.jwt_keys ON kid = (k ->> 'kid')::uuid;
-- An old key goes when a newer one has been there for as long as a session lives, and the sessions of that time are over.
-- Time passes for keys and sessions alike.
CREATE FUNCTION test.pass(by interval) RETURNS void
LANGUAGE sql AS $$
	UPDATE seats.jwt_keys SET created_at = created_at - by;
	UPDATE seats.customer_sessions SET created_at = created_at - by;
$$;
CREATE FUNCTION test.has_key(id uuid) RETURNS boolean
LANGUAGE sql AS $$SELECT seats.rotate_jwt_key(); SELECT EXISTS (SELECT FROM seats.jwt_keys WHERE kid = id)$$;
DELETE FROM seats.customer_sessions;
SELECT test.has_key(test.id(788)) AS at_once;
SELECT test.pass('59 minutes');
SELECT test.has_key(test.id(788)) AS within_the_hour;
SELECT test.pass('2 minutes');
SELECT test.has_key(test.id(788)) AS after_it, test.has_key(:'new_key') AS which_had_a_successor_too;
-- The keys before were made hours ago; the last of them signed until now.
SELECT count(*) AS keys FROM seats.jwt_keys;
SELECT test.pass('10 hours');
SELECT seats.rotate_jwt_key() AS old \gset
SELECT count(*) AS keys FROM seats.jwt_keys;
-- A session that lives longer than others do now, opened right before its key was followed by another.
SELECT invitation_token AS token FROM seats.assign_seat(test.id(783), email => 'f@example.com') \gset
SET seats.customer_session_ttl = '1d';
SELECT customer_session_token AS long FROM seats.claim_seat(:'token') \gset
RESET seats.customer_session_ttl;
SELECT test.kid(:'long') = :'old' AS signed, seats.rotate_jwt_key() IS NOT NULL AS rotated;
SELECT test.pass('10 hours');
SELECT test.has_key(:'old') AS with_the_session, (seats.authenticate(:'long')).customer_email, test.checked(test.payload(:'long'));
UPDATE seats.customer_sessions SET expires_at = clock_timestamp();
SELECT test.has_key(:'old') AS without;
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'long'))).detail;
-- A clock that was set back: the newest is the newest.
UPDATE seats.jwt_keys SET created_at = created_at + interval '10 days';
SELECT seats.rotate_jwt_key() AS newest \gset
SELECT kid = :'newest' AS newest FROM seats.jwt_keys ORDER BY created_at DESC LIMIT 1;
-- 25006, before anything else. No key that is too short, none at the moment of another.
BEGIN READ ONLY;
SELECT (test.outcome('SELECT seats.rotate_jwt_key()')).*;
COMMIT;
SELECT (test.outcome($$INSERT INTO seats.jwt_keys (secret) VALUES ('\x00')$$)).state AS short,
	(test.outcome('INSERT INTO seats.jwt_keys (created_at) SELECT created_at FROM seats.jwt_keys')).state AS same_moment;
-- Without a key no JWT is issued or good, and PostgREST accepts none.
DELETE FROM seats.jwt_keys;
SELECT invitation_token AS token FROM seats.assign_seat(test.id(783), email => 'e@example.com') \gset
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).*;
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'long'))).detail AS authenticated, test.checked(test.payload(:'long')), test.key_set();
SELECT seats.rotate_jwt_key() IS NOT NULL AS rotated;
SELECT (seat).status FROM seats.claim_seat(:'token');

RESET seats.session_token_format;
SELECT test.clear();
DROP FUNCTION test.base64url, test.from_base64url, test.sign, test.payload, test.checked, test.key_set, test.kid, test.pass, test.has_key;
DROP OWNED BY customer, seats_authenticator;
DROP ROLE customer, seats_authenticator;
