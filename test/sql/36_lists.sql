-- Reading seats, and revoking all of a subscription or order.
SELECT test.make_organization(360, 5);
SELECT test.make_organization(370, 5);

-- A list that is empty is one nevertheless.
SELECT to_json(l) FROM seats.list_seats(test.id(363)) AS l;
SELECT to_json(l) FROM seats.list_seats(order_id => test.id(364)) AS l;

-- By (created_at, id), revoked ones too; available and total beside it.
SELECT (seats.assign_seat(test.id(363), email => 'c@example.com')).invitation_token AS c \gset
SELECT count(*) FROM seats.assign_seats(test.id(363), NULL, '{b@example.com,a@example.com,d@example.com}');
SELECT customer_session_token AS session FROM seats.claim_seat(:'c') \gset
SELECT status FROM seats.revoke_seat((SELECT id FROM seats.customer_seats WHERE customer_email = 'd@example.com'));
SELECT ((seats.assign_seat(order_id => test.id(364), email => 'c@example.com')).seat).status AS of_the_order;
SELECT available_seats, total_seats, array_length(seats, 1) AS listed FROM seats.list_seats(test.id(363));
SELECT n, count(*) OVER (PARTITION BY (s).created_at) AS at_that_moment,
	(s).id > lag((s).id) OVER (PARTITION BY (s).created_at ORDER BY n) AS by_id,
	(s).created_at >= lag((s).created_at) OVER (ORDER BY n) AS by_time, s = seats.get_seat((s).id) AS as_get_seat
FROM (SELECT n, l.seats[n] AS s FROM seats.list_seats(test.id(363)) AS l, generate_subscripts(l.seats, 1) AS n) AS listed
ORDER BY n;
SELECT s.status, count(*) FROM seats.list_seats(test.id(363)) AS l, unnest(l.seats) AS s GROUP BY s.status ORDER BY s.status;
SELECT json_object_keys(to_json(l)) AS field FROM seats.list_seats(test.id(363)) AS l;
SELECT key, json_typeof(value) FROM json_each((SELECT to_json(l) -> 'seats' -> 0 FROM seats.list_seats(test.id(363)) AS l));
SELECT s.customer_email, s.status FROM seats.list_seats(order_id => test.id(364)) AS l, unnest(l.seats) AS s;

-- Reading changes nothing, and is allowed in a read-only transaction. It sees what its statement sees.
SELECT test.fingerprint() AS before \gset
SELECT id AS seat FROM seats.customer_seats WHERE customer_email = 'a@example.com' \gset
BEGIN READ ONLY;
SELECT (seats.get_seat(:'seat')).customer_email, (seats.list_seats(test.id(363))).available_seats;
COMMIT;
SELECT test.fingerprint() = :'before' AS unchanged;
BEGIN;
SELECT (seats.list_seats(test.id(363))).available_seats, ((seats.assign_seat(test.id(363), email => 'e@example.com')).seat).status AS assigned,
	(seats.list_seats(test.id(363))).available_seats AS in_the_same_statement;
SELECT (seats.list_seats(test.id(363))).available_seats AS in_the_next;
ROLLBACK;

-- Each field of a seat is the column of that name.
SELECT f.status, count(*), bool_and((SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(s)) WHERE to_jsonb(f) ? key) = to_jsonb(f)) AS same
FROM seats.customer_seats AS s, seats.get_seat(s.id) AS f GROUP BY 1 ORDER BY 1;

-- Errors.
\x on
SELECT * FROM test.outcome('SELECT seats.list_seats()');
SELECT * FROM test.outcome('SELECT seats.list_seats(test.id(363), test.id(364))');
SELECT * FROM test.outcome('SELECT seats.list_seats(test.id(364))');
SELECT * FROM test.outcome('SELECT seats.list_seats(NULL, test.id(363))');
SELECT * FROM test.outcome('SELECT seats.get_seat(NULL)');
SELECT * FROM test.outcome('SELECT seats.get_seat(test.id(363))');
SELECT * FROM test.outcome('SELECT seats.revoke_seats()');
SELECT * FROM test.outcome('SELECT seats.revoke_seats(test.id(363), test.id(364))');
SELECT * FROM test.outcome('SELECT seats.revoke_seats(test.id(364))');
SELECT * FROM test.outcome('SELECT seats.revoke_seats(NULL, test.id(363))');
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(360);
SELECT * FROM test.outcome('SELECT seats.list_seats(test.id(363))');
SELECT (test.outcome('SELECT seats.list_seats(NULL, test.id(364))')).detail;
SELECT * FROM test.outcome(format('SELECT seats.get_seat(%L)', :'seat'));
BEGIN READ ONLY;
SELECT * FROM test.outcome('SELECT seats.revoke_seats()');
COMMIT;
\x off

-- Revoking all works though the organization may use nothing else, as ending the subscription does. Others' are left alone.
SELECT ((seats.assign_seat(test.id(373), email => 'c@example.com')).seat).status AS of_another;
SELECT seats.revoke_seats(test.id(363)) AS revoked, seats.revoke_seats(test.id(363)) AS again;
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail;
SELECT subscription_id = test.id(363) AS this_subscription, status, count(*), bool_and(revoked_at = modified_at) AS same_time
FROM seats.customer_seats GROUP BY 1, 2 ORDER BY 1, 2;
SELECT assigned_seats, seats, status, modified_at FROM seats.subscriptions ORDER BY id;
SELECT seats.revoke_seats(order_id => test.id(364)) AS of_the_order;
SELECT type, count(*), count(DISTINCT seat_id) AS seats, count(DISTINCT customer_id) AS customers FROM seats.events
WHERE organization_id = test.id(360) GROUP BY type ORDER BY type;
SELECT bool_and(e.occurred_at = s.revoked_at) AS same_time
FROM seats.events AS e JOIN seats.customer_seats AS s ON s.id = e.seat_id WHERE e.type = 'customer_seat.revoked';

-- In one transaction: the session is over from the next statement on, and all is back after a rollback.
SELECT (seats.claim_seat((seats.assign_seat(test.id(373), email => 'd@example.com')).invitation_token)).customer_session_token AS session \gset
BEGIN;
SELECT (seats.authenticate(:'session')).customer_email;
SELECT seats.revoke_seats(test.id(373));
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail;
ROLLBACK;
SELECT (seats.authenticate(:'session')).customer_email;

-- With direct access off the same, of many seats, some of one moment, some with metadata, some revoked.
UPDATE seats.subscriptions SET seats = 1000 WHERE id = test.id(373);
SELECT count(*) FROM seats.assign_seats(test.id(373), NULL, ARRAY(SELECT format('many%s@example.com', n) FROM generate_series(1, 300) AS n),
	jsonb_build_object('note', repeat('n', 200)));
SELECT count(seats.revoke_seat(id)) AS revoked FROM (SELECT id FROM seats.customer_seats WHERE subscription_id = test.id(373) ORDER BY id LIMIT 50) AS first;
SELECT min(l::text) AS list, string_agg(s::text, ' ' ORDER BY s.id) AS seats
FROM seats.list_seats(test.id(373)) AS l, unnest(l.seats) AS u, seats.get_seat(u.id) AS s \gset
SET seats.direct_access = off;
SELECT count(*), min(l::text) = :'list' AS same_list, string_agg(s::text, ' ' ORDER BY s.id) = :'seats' AS same_seats
FROM seats.list_seats(test.id(373)) AS l, unnest(l.seats) AS u, seats.get_seat(u.id) AS s;
RESET seats.direct_access;

SELECT test.clear();
