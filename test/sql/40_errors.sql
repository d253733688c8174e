-- Every error that callers see, with SQLSTATE, MESSAGE, DETAIL and HINT. test.outcome() also checks that a
-- failed call changed nothing.
\x on
SELECT test.make_organization(400);
SELECT test.make_organization(410);

SELECT (i.seat).id AS pending, invitation_token AS pending_token FROM seats.assign_seat(test.id(403), email => 'pending@example.com') AS i \gset
SELECT (i.seat).id AS claimed, invitation_token AS claimed_token FROM seats.assign_seat(test.id(403), email => 'claimed@example.com') AS i \gset
SELECT customer_session_token AS session FROM seats.claim_seat(:'claimed_token') \gset
SELECT (i.seat).id AS revoked, invitation_token AS revoked_token FROM seats.assign_seat(test.id(403), email => 'revoked@example.com') AS i \gset
SELECT status FROM seats.revoke_seat(:'revoked');
SELECT (i.seat).id AS expired, invitation_token AS expired_token FROM seats.assign_seat(order_id => test.id(404), email => 'expired@example.com') AS i \gset
UPDATE seats.customer_seats SET invitation_token_expires_at = clock_timestamp() WHERE id = :'expired';

-- PT400: claiming.
SELECT * FROM test.outcome(format('SELECT seats.claim_seat(%L)', 'no token'));
SELECT * FROM test.outcome(format('SELECT seats.claim_seat(%L)', :'expired_token'));
SELECT * FROM test.outcome(format('SELECT seats.claim_seat(%L)', :'claimed_token'));
SELECT * FROM test.outcome(format('SELECT seats.claim_seat(%L)', :'revoked_token'));

-- PT400: looking. Claimed and expired ones can be looked at.
SELECT * FROM test.outcome(format('SELECT seats.claim_info(%L)', 'no token'));
SELECT * FROM test.outcome(format('SELECT seats.claim_info(%L)', :'revoked_token'));
SELECT (seats.claim_info(:'claimed_token')).can_claim AS claimed, (seats.claim_info(:'expired_token')).can_claim AS expired;
SELECT status AS still_pending FROM seats.customer_seats WHERE id = :'expired';

-- PT400: assigning.
UPDATE seats.subscriptions SET seats = 2 WHERE id = test.id(403);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'Pending@example.com')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'another@example.com')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'claimed@example.com')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(order_id => test.id(404), email => 'expired@example.com')$$);
UPDATE seats.subscriptions SET status = 'incomplete' WHERE id = test.id(413);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(413), email => 'another@example.com')$$);
UPDATE seats.orders SET status = 'pending' WHERE id = test.id(414);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(order_id => test.id(414), email => 'another@example.com')$$);

-- PT400: what is no token has no route.
SELECT * FROM test.outcome($$SELECT seats.token_route('no token')$$);

-- A token that was pasted with something else: the hint says so, and shows none of it. What is only wrong has the usual hint.
\x off
CREATE FUNCTION pg_temp.pasted(token text) RETURNS TABLE (n bigint, what text, pasted text) LANGUAGE sql AS $$
	SELECT v.n, v.what, v.pasted FROM unnest(ARRAY['line break', 'carriage return', 'space', 'tab', 'U+00A0', 'U+200B', 'U+FEFF', 'U+2028', 'angle brackets',
			'quotes', 'U+201C and U+201D', 'apostrophe', 'quoted-printable', 'quoted-printable line break', 'line break inside', 'space inside', 'cut', 'doubled'],
		ARRAY[token || E'\n', token || E'\r\n', ' ' || token, E'\t' || token, U&'\00A0' || token, token || U&'\200B', U&'\FEFF' || token, token || U&'\2028',
			'<' || token || '>', '"' || token || '"', U&'\201C' || token || U&'\201D', token || chr(39), '=3D' || token,
			left(token, 30) || E'=\r\n' || substr(token, 31), left(token, 30) || E'\n' || substr(token, 31), left(token, 30) || ' ' || substr(token, 31), left(token, 30), token || token])
	WITH ORDINALITY AS v (what, pasted, n)
$$;
SELECT p.what, o.detail, o.hint LIKE '%token contains characters%' AS hint, position(left(:'pending_token', 16) IN o.hint) > 0 AS shown,
	(i.detail, i.hint, r.detail, r.hint) = (o.detail, o.hint, o.detail, o.hint) AS same_elsewhere
FROM pg_temp.pasted(:'pending_token') AS p, test.outcome(format('SELECT seats.claim_seat(%L)', pasted)) AS o,
	test.outcome(format('SELECT seats.claim_info(%L)', pasted)) AS i, test.outcome(format('SELECT seats.token_route(%L)', pasted)) AS r
ORDER BY p.n;
SELECT p.what, o.detail, o.hint LIKE '%token contains characters%' AS hint, position(left(:'session', 16) IN o.hint) > 0 AS shown, seats.end_session(pasted) AS ended
FROM pg_temp.pasted(:'session') AS p, test.outcome(format('SELECT seats.authenticate(%L)', pasted)) AS o ORDER BY p.n;
DROP FUNCTION pg_temp.pasted;
\x on

-- PT401.
SELECT * FROM test.outcome(format('SELECT seats.authenticate(%L)', 'no token'));
SELECT * FROM test.outcome(format('SELECT seats.authenticate(%L)', :'pending_token'));
SELECT seats.authenticate(:'session') IS NOT NULL AS still_live;
UPDATE seats.customer_sessions SET expires_at = clock_timestamp() WHERE seat_id = :'claimed';
SELECT * FROM test.outcome(format('SELECT seats.authenticate(%L)', :'session'));

-- PT404.
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(999), email => 'a@example.com')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(order_id => test.id(999), email => 'a@example.com')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(order_id => test.id(403), email => 'a@example.com')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), customer_id => test.id(999))$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), external_customer_id => 'nobody')$$);
SELECT * FROM test.outcome($$SELECT seats.revoke_seat(test.id(999))$$);

-- A customer of another organization is not found.
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), customer_id => test.id(412))$$);

-- PT403, and what goes on nevertheless: sessions, and ending a subscription.
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(400);
SELECT * FROM test.outcome(format('SELECT seats.claim_seat(%L)', :'pending_token'));
SELECT * FROM test.outcome(format('SELECT seats.claim_info(%L)', :'pending_token'));
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'a@example.com')$$);
SELECT * FROM test.outcome(format('SELECT seats.revoke_seat(%L)', :'pending'));
SELECT seats.end_session(:'session') AS ended;
-- The order of checks: whatever else is wrong with the seat comes first.
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', token))).detail
FROM unnest(ARRAY[:'revoked_token', :'claimed_token', :'expired_token']) AS token;
-- And in assign_seat(): shape, purchase, organization, status, customer, assigned already, free seats.
UPDATE seats.subscriptions SET status = 'incomplete' WHERE id = test.id(403);
SELECT (test.outcome($$SELECT seats.assign_seat(test.id(999), email => 'malformed')$$)).state;
SELECT (test.outcome($$SELECT seats.assign_seat(test.id(403), external_customer_id => 'nobody')$$)).detail;
UPDATE seats.organizations SET seat_based_pricing_enabled = true WHERE id = test.id(400);
SELECT (test.outcome($$SELECT seats.assign_seat(test.id(403), external_customer_id => 'nobody')$$)).detail;
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(403);
SELECT (test.outcome($$SELECT seats.assign_seat(test.id(403), external_customer_id => 'nobody')$$)).detail;
SELECT (test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'claimed@example.com')$$)).detail;
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(400);
UPDATE seats.subscriptions SET status = 'canceled' WHERE id = test.id(403);
SELECT count(*) AS seats_left FROM seats.customer_seats WHERE subscription_id = test.id(403) AND status <> 'revoked';

-- PT422: all faults at once, and no value of the caller's.
SELECT * FROM test.outcome('SELECT seats.claim_seat(NULL)');
SELECT * FROM test.outcome($$SELECT seats.claim_seat('')$$);
SELECT * FROM test.outcome($$SELECT seats.claim_seat(repeat('x', 256))$$);
SELECT (test.outcome($$SELECT seats.claim_seat(repeat('x', 255))$$)).detail;
SELECT (test.outcome($$SELECT seats.claim_seat(repeat('ü', 255))$$)).detail;
SELECT * FROM test.outcome($$SELECT seats.claim_seat('x', repeat('x', 256))$$);
SELECT (test.outcome($$SELECT seats.claim_seat('x', repeat('x', 255))$$)).detail;
SELECT * FROM test.outcome($$SELECT seats.claim_seat(NULL, repeat('x', 256))$$);
SELECT * FROM test.outcome('SELECT seats.claim_info(NULL)');
SELECT * FROM test.outcome($$SELECT seats.claim_info('')$$);
SELECT * FROM test.outcome($$SELECT seats.claim_info(repeat('x', 256))$$);
SELECT * FROM test.outcome('SELECT seats.authenticate(NULL)');
SELECT * FROM test.outcome($$SELECT seats.authenticate('')$$);
SELECT * FROM test.outcome($$SELECT seats.authenticate(repeat('x', 256))$$);
SELECT * FROM test.outcome('SELECT seats.end_session(NULL)');
SELECT * FROM test.outcome($$SELECT seats.end_session('')$$);
SELECT * FROM test.outcome($$SELECT seats.end_session(repeat('x', 256))$$);
SELECT seats.end_session('no token') AS ended;
SELECT * FROM test.outcome('SELECT seats.revoke_seat(NULL)');
SELECT * FROM test.outcome('SELECT seats.assign_seat()');
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), test.id(404), email => 'a@example.com')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'a@example.com', customer_id => test.id(402))$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(email => 'malformed', external_customer_id => 'x', metadata => '[]')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'a@example.com', metadata => 'null')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'a@example.com',
	metadata => (SELECT jsonb_object_agg(k, k) FROM generate_series(1, 11) AS k))$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seat(test.id(403), email => 'a@example.com',
	metadata => jsonb_build_object('k', repeat('x', 1025 - length('{"k": ""}'))))$$);
-- The detail is JSON.
SELECT jsonb_array_length((test.outcome($$SELECT seats.assign_seat(email => 'malformed', external_customer_id => 'x', metadata => '[]')$$)).detail::jsonb) AS faults;
\x off
SELECT email, (test.outcome(format($$SELECT seats.assign_seat(test.id(413), email => %L)$$, email))).state
FROM (VALUES (1, ''), (2, '@'), (3, 'a'), (4, 'a@'), (5, '@b'), (6, 'a@b@c'), (7, 'a b@c'), (8, ' a@b'), (9, 'a@b '),
	(10, E'a@b\n'), (11, E'a\t@b'), (12, E'a\x7f@b'), (13, '<a@b>'), (14, '"a"@b'),
	(15, 'a@b;'), (16, 'a@b,'), (17, 'mailto:a@b'), (18, 'a(b)@c'), (19, 'a@[b]'), (20, 'a\b@c'), (21, 'a''b+c@d')) AS v (n, email)
ORDER BY n;
-- Spaces, separators, control and invisible characters beyond ASCII: U+0080 to U+00A0 and so on; their neighbours pass.
SELECT o.state = 'PT422' AS refused, string_agg(hex, ' ') AS characters
FROM unnest('{80,85,9f,a0,a1,ac,ad,ae,34e,34f,350,115f,167f,1680,1fff,2000,200a,200b,200f,2010,2028,2029,202a,202f,2030,205f,27ff,2800,2801,3000,3001,3164,fe0f,fe10,feff,ffa0,ffef,fff0,fffc,e0000,e0fff,e1000,1f4ba}'::text[]) AS hex,
	LATERAL test.outcome(format($$SELECT seats.assign_seat(test.id(413), email => %L)$$,
		'a' || chr(('x' || lpad(hex, 8, '0'))::bit(32)::integer) || '@b')) AS o
GROUP BY 1 ORDER BY 1;
SELECT (test.outcome(format($$SELECT seats.assign_seat(test.id(413), email => %L)$$, repeat('x', 319) || '@y'))).state;

-- 25006: what writes refuses a read-only transaction before anything else.
BEGIN READ ONLY;
SELECT statement, (test.outcome(statement)).*
FROM unnest(ARRAY['SELECT seats.claim_seat(NULL)', 'SELECT seats.assign_seat()', 'SELECT seats.revoke_seat(NULL)',
	'SELECT seats.end_session(NULL)']) AS statement;
COMMIT;

-- The functions of the triggers are for them alone.
SELECT seats.keep_modified_at();
CREATE TABLE test.misused (seats integer);
CREATE TRIGGER misused BEFORE INSERT ON test.misused FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase();
INSERT INTO test.misused VALUES (1);
DROP TABLE test.misused;

SELECT test.clear();
