-- The customer who pays: the functions of seats_http whose names begin with portal_.
\pset format unaligned
SELECT test.make_organization(750, 4);
SELECT test.make_organization(755, 4);

-- Calls one of them as a customer, and undoes what it did; returns the status and the reason, or the places of faults.
CREATE FUNCTION test.portal(caller text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	answer record;
BEGIN
	PERFORM set_config('request.jwt.claims', caller, true);
	BEGIN
		SELECT * INTO answer FROM test.answer(statement);
		RAISE SQLSTATE 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		NULL;
	END;
	RETURN concat_ws(' ', answer.status, coalesce(answer.body::json ->> 'reason', answer.body::json ->> 'error',
		(SELECT string_agg(concat_ws(' ', fault ->> 'loc', fault ->> 'type'), ', ') FROM json_array_elements(answer.body::json -> 'detail') AS fault)));
END
$$;
CREATE FUNCTION test.claims(customer uuid) RETURNS text LANGUAGE sql RETURN json_build_object('role', 'customer', 'sub', customer)::text;

-- A pending and a claimed seat of a subscription of each organization. A member of the first one holds its claimed seat.
SELECT (i.seat).id AS pending, invitation_token AS token FROM seats.assign_seat(test.id(753), email => 'ann@example.com') AS i \gset
SELECT (i.seat).id AS claimed, (i.seat).customer_id AS member FROM seats.assign_seat(test.id(753), email => 'max@example.com', immediate_claim => true) AS i \gset
SELECT (i.seat).id AS others FROM seats.assign_seat(test.id(758), email => 'ann@example.com') AS i \gset

-- Four callers, four operations, and a purchase of one's own, another's, and none. Whoever does not pay gets the same answer
-- as for what does not exist.
SELECT operation, caller, string_agg(test.portal(claims, format(statement, CASE WHEN operation IN ('assign', 'list') THEN purchase ELSE seat END)), ', ' ORDER BY p.n) AS answers
FROM (VALUES (1, 'payer', test.claims(test.id(752))), (2, 'member', test.claims(:'member')), (3, 'another payer', test.claims(test.id(757))),
		(4, 'nobody', test.claims(test.id(999)))) AS c (n, caller, claims),
	(VALUES (1, 'list', 'SELECT seats_http.portal_list_seats(%L)'),
		(2, 'assign', 'SELECT seats_http.portal_assign_seat(jsonb_build_object(''subscription_id'', %L, ''email'', ''new@example.com''))'),
		(3, 'resend', 'SELECT seats_http.portal_resend_invitation(%L)'), (4, 'revoke', 'SELECT seats_http.portal_revoke_seat(%L)')) AS o (n, operation, statement),
	(VALUES (1, test.id(753), :'pending'::uuid), (2, test.id(758), :'others'), (3, test.id(999), test.id(999))) AS p (n, purchase, seat)
GROUP BY o.n, operation, c.n, caller ORDER BY o.n, c.n;
-- Orders in the same way.
SELECT caller, test.portal(claims, 'SELECT seats_http.portal_list_seats(order_id => test.id(754)::text)') AS list,
	test.portal(claims, 'SELECT seats_http.portal_assign_seat(jsonb_build_object(''order_id'', test.id(754), ''email'', ''new@example.com''))') AS assign
FROM (VALUES (1, 'payer', test.claims(test.id(752))), (2, 'another payer', test.claims(test.id(757)))) AS c (n, caller, claims) ORDER BY n;

-- No customer: 401, before anything else.
SELECT claims, test.portal(claims, 'SELECT seats_http.portal_list_seats(''x'')') AS list, test.portal(claims, 'SELECT seats_http.portal_assign_seat(''x''::bytea)') AS assign,
	test.portal(claims, 'SELECT seats_http.portal_revoke_seat()') AS revoke, test.portal(claims, 'SELECT seats_http.portal_resend_invitation()') AS resend
FROM (VALUES (1, NULL), (2, ''), (3, '{}'), (4, '{"sub": null}'), (5, '{"sub": "x"}'), (6, '{"sub": 752}'), (7, '["00000000-0000-4000-8000-000000000752"]'),
	(8, '{"SUB": "00000000-0000-4000-8000-000000000752"}'), (9, '{"sub": {"sub": "00000000-0000-4000-8000-000000000752"}}')) AS v (n, claims) ORDER BY n;
SELECT set_config('request.jwt.claims', '', true) AS claims, test.masked(seats_http.portal_list_seats(test.id(753)::text)::text) AS body;

-- Faults: 422 before 404.
SELECT statement, test.portal(test.claims(test.id(752)), 'SELECT seats_http.portal_' || statement) AS answer
FROM unnest(ARRAY['list_seats()', 'list_seats(''x'')', 'list_seats(''x'', ''y'')', 'list_seats(test.id(758)::text, test.id(999)::text)', 'revoke_seat()', 'revoke_seat(''x'')',
	'resend_invitation('''')', 'assign_seat(''{''::bytea)', 'assign_seat(NULL::bytea)', 'assign_seat(NULL::jsonb)', 'assign_seat(''{}''::jsonb)',
	'assign_seat(''{"subscription_id": "00000000-0000-4000-8000-000000000758", "email": "x", "metadata": 1}''::jsonb)',
	'assign_seat(''{"subscription_id": "00000000-0000-4000-8000-000000000753", "email": "a@b", "immediate_claim": true}''::jsonb)',
	'assign_seat(''{"subscription_id": "00000000-0000-4000-8000-000000000753", "email": "a@b", "immediate_claim": false}''::bytea)']) WITH ORDINALITY AS s (statement, n) ORDER BY n;
-- 404 before 403, and 400 after both.
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id IN (test.id(750), test.id(755));
SELECT p.n, test.portal(test.claims(test.id(752)), format('SELECT seats_http.portal_list_seats(%L)', purchase)) AS list,
	test.portal(test.claims(test.id(752)), format('SELECT seats_http.portal_assign_seat(jsonb_build_object(''subscription_id'', %L, ''email'', ''a@b''))', purchase)) AS assign,
	test.portal(test.claims(test.id(752)), format('SELECT seats_http.portal_revoke_seat(%L)', seat)) AS revoke,
	test.portal(test.claims(test.id(752)), format('SELECT seats_http.portal_resend_invitation(%L)', seat)) AS resend
FROM (VALUES (1, test.id(753), :'pending'::uuid), (2, test.id(758), :'others')) AS p (n, purchase, seat) ORDER BY p.n;
UPDATE seats.organizations SET seat_based_pricing_enabled = true WHERE id IN (test.id(750), test.id(755));
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(753);
SELECT test.portal(test.claims(test.id(752)), 'SELECT seats_http.portal_assign_seat(jsonb_build_object(''subscription_id'', test.id(753), ''email'', ''a@b''))') AS assign,
	test.portal(test.claims(test.id(752)), format('SELECT seats_http.portal_resend_invitation(%L)', :'pending')) AS resend,
	test.portal(test.claims(test.id(752)), format('SELECT seats_http.portal_revoke_seat(%L)', :'pending')) AS revoke;
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(753);
SELECT test.portal(test.claims(test.id(752)), format('SELECT seats_http.portal_resend_invitation(%L)', :'claimed')) AS resend_claimed,
	test.portal(test.claims(test.id(752)), 'SELECT seats_http.portal_assign_seat(jsonb_build_object(''subscription_id'', test.id(753), ''email'', ''MAX@example.com''))') AS assigned;

-- A life. Nobody gets the token of an invitation that the payer causes: the event says that it is unsent, and whoever sends it
-- draws a token by resend_invitation(), whose event does not.
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000752", "role": "customer"}';
SELECT seats_http.portal_assign_seat('{"subscription_id": "00000000-0000-4000-8000-000000000753", "email": "eve@example.com", "metadata": {"k": 1}}'::jsonb) AS seat \gset
SELECT test.masked(:'seat');
SELECT string_agg(key, ' ') AS fields FROM json_object_keys(:'seat') AS key;
SELECT test.masked(seats_http.portal_resend_invitation(:'seat'::json ->> 'id')::text);
SELECT (i.seat).status, invitation_token AS new_token FROM seats.resend_invitation((:'seat'::json ->> 'id')::uuid) AS i \gset
SELECT (c.seat).status, (c.seat).customer_email FROM seats.claim_seat(:'new_token') AS c;
-- The token of an invitation that was sent before no longer works.
SELECT can_claim FROM seats.claim_info(:'token');
SELECT (seats_http.portal_resend_invitation(:'pending')) ->> 'status' AS status;
SELECT (test.outcome(format('SELECT seats.claim_info(%L)', :'token'))).detail;
SELECT (seats_http.portal_revoke_seat(:'pending')) ->> 'status' AS status;
SELECT (seats_http.portal_revoke_seat(:'pending')) ->> 'status' AS again;
SELECT seat ->> 'status' AS status, seat ->> 'email' AS email, seat #>> '{member,role}' AS role, seat -> 'invitation_token' IS NULL AS no_token
FROM json_array_elements(seats_http.portal_list_seats(test.id(753)::text) -> 'seats') WITH ORDINALITY AS s (seat, n) ORDER BY n;
SELECT type, metadata - 'subscription_id' - 'role' AS metadata, (seat).customer_email FROM seats.events WHERE (seat).subscription_id = test.id(753) AND type !~ 'suspended|resumed' ORDER BY id;

-- Another customer pays from now on, who holds a seat of it.
UPDATE seats.subscriptions SET customer_id = :'member' WHERE id = test.id(753);
SELECT test.portal(test.claims(test.id(752)), 'SELECT seats_http.portal_list_seats(test.id(753)::text)') AS before,
	test.portal(test.claims(:'member'), 'SELECT seats_http.portal_list_seats(test.id(753)::text)') AS new_payer;

-- By statements in the same way.
SET seats.direct_access = off;
SELECT test.portal(test.claims(:'member'), 'SELECT seats_http.portal_list_seats(test.id(753)::text)') AS payer,
	test.portal(test.claims(:'member'), format('SELECT seats_http.portal_revoke_seat(%L)', :'others')) AS others,
	test.portal(test.claims(test.id(999)), 'SELECT seats_http.portal_list_seats(test.id(753)::text)') AS nobody,
	test.portal(test.claims(test.id(757)), 'SELECT seats_http.portal_list_seats(test.id(753)::text)') AS another;
RESET seats.direct_access;

-- The number of seats is raised for the payer as for the application, up to the limit.
UPDATE seats.subscriptions SET seats = assigned_seats, seats_limit = assigned_seats + 1 WHERE id = test.id(753);
SELECT set_config('request.jwt.claims', test.claims(:'member'), false) IS NOT NULL AS payer;
SELECT answer ->> 'status' AS status, answer ->> 'reason' AS reason
FROM unnest('{more@example.com,evenmore@example.com}'::text[]) AS address,
	seats_http.portal_assign_seat(jsonb_build_object('subscription_id', test.id(753), 'email', address)) AS answer;
SELECT metadata ->> 'invitation' AS invitation, (metadata ->> 'seats')::integer = s.seats AS told, s.seats = s.seats_limit AS at_the_limit
FROM seats.events AS e, seats.subscriptions AS s WHERE (e.seat).customer_email = 'more@example.com' AND s.id = test.id(753);
-- Not while a lower number is planned: what is free goes by that, and nothing is assigned beyond it.
UPDATE seats.subscriptions SET seats = assigned_seats + 4, seats_next = assigned_seats + 1, seats_limit = assigned_seats + 8 WHERE id = test.id(753);
SELECT list ->> 'available_seats' AS available, (list ->> 'total_seats')::integer - assigned_seats AS not_assigned
FROM seats_http.portal_list_seats(test.id(753)::text) AS list, seats.subscriptions WHERE id = test.id(753);
SELECT answer ->> 'status' AS status, answer ->> 'reason' AS reason
FROM unnest('{planned@example.com,beyond@example.com}'::text[]) AS address,
	seats_http.portal_assign_seat(jsonb_build_object('subscription_id', test.id(753), 'email', address)) AS answer;
SELECT list ->> 'available_seats' AS available, (list ->> 'total_seats')::integer - assigned_seats AS not_assigned
FROM seats_http.portal_list_seats(test.id(753)::text) AS list, seats.subscriptions WHERE id = test.id(753);
SELECT set_config('request.jwt.claims', test.claims(test.id(752)), false) IS NOT NULL AS payer;

-- What writes refuses a read-only transaction before anything else.
BEGIN READ ONLY;
SELECT statement, (test.outcome(statement)).state
FROM unnest(ARRAY['SELECT seats_http.portal_assign_seat(NULL::jsonb)', 'SELECT seats_http.portal_assign_seat(''x''::bytea)', 'SELECT seats_http.portal_revoke_seat()',
	'SELECT seats_http.portal_resend_invitation()']) AS statement;
SELECT json_array_length(seats_http.portal_list_seats(order_id => test.id(754)::text) -> 'seats') AS seats;
COMMIT;
RESET request.jwt.claims;

SELECT test.clear();
\pset format aligned
