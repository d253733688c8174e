-- A claim whose answer was lost is asked for again with the same idempotency key: the same seat, a fresh session.
SELECT test.make_organization(380, 10);
CREATE FUNCTION test.reason(token text, key text DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$SELECT o.state || coalesce(' ' || o.detail, '') FROM test.outcome(format('SELECT seats.claim_seat(%L, %L)', token, key)) AS o$$;

SELECT (i.seat).id AS seat, invitation_token AS token FROM seats.assign_seat(test.id(383), email => 'ann@example.com') AS i \gset
SELECT to_json(c.seat) AS first_seat, c.customer_session_token AS first FROM seats.claim_seat(:'token', 'key') AS c \gset
SELECT to_json(c.seat)::text = :'first_seat' AS same_seat, c.customer_session_token AS second, c.customer_session_token <> :'first' AS fresh
FROM seats.claim_seat(:'token', 'key') AS c \gset
SELECT :'same_seat' AS same_seat, :'fresh' AS fresh, (seats.authenticate(:'second')).customer_email,
	(test.outcome(format('SELECT seats.authenticate(%L)', :'first'))).detail AS first_session;
SELECT count(*) AS sessions, bool_and(x.created_at > s.claimed_at) AS later, bool_and(x.expires_at - x.created_at = '1 hour') AS full_lifetime
FROM seats.customer_sessions AS x JOIN seats.customer_seats AS s ON s.id = x.seat_id;
SELECT type, count(*) FROM seats.events GROUP BY type ORDER BY type;
SELECT to_json(s)::text = :'first_seat' AS unchanged FROM seats.get_seat(:'seat') AS s;

-- Not with another key, or none; a failed one changes nothing, and the session goes on.
SELECT key, test.reason(:'token', key) FROM unnest(ARRAY['Key', 'key ', 'other', '', NULL]) AS key;
SELECT (seats.authenticate(:'second')).customer_email;

-- Only its hash is kept, and it does not tell equal keys of other tokens.
SELECT invitation_token AS token2 FROM seats.assign_seat(test.id(383), email => 'bob@example.com') \gset
SELECT (c.seat).status FROM seats.claim_seat(:'token2', 'key') AS c;
SELECT count(DISTINCT claim_key_hash) AS hashes, bool_and(length(claim_key_hash) = 32) AS of_32_bytes,
	bool_or(claim_key_hash = sha256('key')) AS of_the_key_alone FROM seats.customer_seats;

-- The invitation may have expired meanwhile.
UPDATE seats.customer_seats SET invitation_token_expires_at = clock_timestamp() - interval '1 hour';
SELECT test.reason(:'token', 'key');

-- But not after the window, which runs from the claim; zero turns it off.
SET seats.claim_retry_window = '1h';
UPDATE seats.customer_seats SET claimed_at = clock_timestamp() - interval '59 min' WHERE id = :'seat';
SELECT test.reason(:'token', 'key');
UPDATE seats.customer_seats SET claimed_at = clock_timestamp() - interval '61 min' WHERE id = :'seat';
SELECT test.reason(:'token', 'key');
SET seats.claim_retry_window = '1d';
SELECT test.reason(:'token', 'key');
SET seats.claim_retry_window = 0;
SELECT test.reason(:'token', 'key'), test.reason(:'token2', 'key');
RESET seats.claim_retry_window;

-- A key given later is no key of the claim.
SELECT invitation_token AS token3 FROM seats.assign_seat(test.id(383), email => 'carl@example.com') \gset
SELECT test.reason(:'token3'), test.reason(:'token3', 'key');

-- Without a session that is left, a retry opens one all the same: signing out is not giving back.
UPDATE seats.customer_seats SET claimed_at = clock_timestamp() WHERE id = :'seat';
SELECT customer_session_token AS third FROM seats.claim_seat(:'token', 'key') \gset
SELECT seats.end_session(:'third') AS ended;
SELECT customer_session_token AS fourth FROM seats.claim_seat(:'token', 'key') \gset
SELECT (seats.authenticate(:'fourth')).customer_email;

-- Not where the organization may not, and not after revocation or for the row's next customer.
UPDATE seats.organizations SET seat_based_pricing_enabled = false;
SELECT test.reason(:'token', 'key');
UPDATE seats.organizations SET seat_based_pricing_enabled = true;
SELECT status FROM seats.revoke_seat(:'seat');
SELECT test.reason(:'token', 'key');
SELECT (i.seat).id AS next_seat, invitation_token AS next FROM seats.assign_seat(test.id(383), email => 'dora@example.com') AS i \gset
SELECT count(*) AS rows, bool_and(claim_key_hash IS NULL) AS no_key FROM seats.customer_seats WHERE id IN (:'seat', :'next_seat');
SELECT test.reason(:'token', 'key'), test.reason(:'next'), test.reason(:'next', 'key');

-- The key comes from PostgREST's headers where no argument is given.
CREATE FUNCTION test.with_headers(headers text, token text, key text DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
	SELECT set_config('request.headers', headers, true);
	SELECT test.reason(token, key);
$$;
SELECT invitation_token AS token4 FROM seats.assign_seat(test.id(383), email => 'eve@example.com') \gset
SELECT test.with_headers('{"host": "localhost", "idempotency-key": "from header"}', :'token4') AS claimed;
SELECT headers, test.with_headers(headers, :'token4') FROM unnest(ARRAY['{"idempotency-key": "from header"}', '{"Idempotency-Key": "from header"}',
	'{"idempotency-key": "from\u0020header", "x": [{"idempotency-key": "another"}]}', '{"x": {"idempotency-key": "from header"}}',
	'[{"idempotency-key": "from header"}]', '{"idempotency-key": ["from header"]}', '{"idempotency-key": null}', '{"idempotency-key": 1}',
	'{"idempotency-key": ""}', '{"idempotency-key": "other"}', '{"idempotency-key": "from header"', '"idempotency-key"', '', '{}', 'x']) AS headers;
-- The argument comes first, and an empty one is none.
SELECT test.with_headers('{"idempotency-key": "other"}', :'token4', 'from header') AS argument_first,
	test.with_headers('{"idempotency-key": "from header"}', :'token4', 'other') AS only_the_argument,
	test.with_headers('{"idempotency-key": "from header"}', :'token4', '') AS empty_argument;
-- Over-long, wherever it comes from.
SELECT test.reason(:'token4', repeat('x', 256)) AS argument,
	test.with_headers(json_build_object('idempotency-key', repeat('x', 256))::text, :'token4') AS header;
SELECT test.with_headers(json_build_object('idempotency-key', repeat('ü', 255))::text, :'token4') AS of_255;

DROP FUNCTION test.reason, test.with_headers;
SELECT test.clear();
