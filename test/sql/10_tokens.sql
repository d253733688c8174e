-- Routes, and the written form of tokens. test/t has a checker of tokens written from the contract alone.
SELECT test.make_organization(100);
SELECT invitation_token AS token FROM seats.assign_seat(test.id(103), email => 'a@example.com') \gset

SELECT :'token' ~ '^seats_inv_[0-9A-Za-z]{55}$' AS has_the_form,
	seats.token_route(:'token') = seats.organization_route(test.id(100)) AS same_route;

-- The route is the first four bytes of the SHA-256 of the id's 16 bytes.
SELECT count(*) AS organizations, count(*) FILTER (WHERE
	seats.organization_route(id) =
	('x' || left(encode(sha256(decode(replace(id::text, '-', ''), 'hex')), 'hex'), 8))::bit(32)::integer) AS right_routes,
	bool_or(seats.organization_route(id) < 0) AS some_are_negative
FROM (SELECT md5(i::text)::uuid AS id FROM generate_series(1, 500) AS i) AS ids;

SELECT seats.organization_route(NULL) IS NULL AS organization_null, seats.token_route(NULL) IS NULL AS token_null;

-- Stored only as the SHA-256 of the whole token.
SELECT count(*) AS found FROM seats.customer_seats WHERE invitation_token_hash = sha256(:'token'::bytea);

-- A session token has the same route.
SELECT customer_session_token AS session FROM seats.claim_seat(:'token') \gset
SELECT :'session' ~ '^seats_cst_[0-9A-Za-z]{55}$' AS has_the_form,
	seats.token_route(:'session') = seats.token_route(:'token') AS same_route;
SELECT count(*) AS found FROM seats.customer_sessions WHERE token_hash = sha256(:'session'::bytea);

-- What is no token has no route.
SELECT what, (test.outcome(format('SELECT seats.token_route(%L)', value))).*
FROM (VALUES (1, 'empty', ''), (2, 'a word', 'token'), (3, 'cut', left(:'token', 64)), (4, 'longer', :'token' || '0'),
	(5, 'another prefix', 'seats_xyz_' || substr(:'token', 11)), (6, 'the other kind''s prefix', 'seats_cst_' || substr(:'token', 11)),
	(7, 'very long', repeat('x', 100000))) AS v (n, what, value)
ORDER BY n;

SELECT test.clear();
