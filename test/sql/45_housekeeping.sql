-- House-keeping: seats whose invitation expired, old sessions, old events. How it behaves beside others is
-- tested with sessions of its own, in specs and TAP.
SELECT test.make_organization(450, 10);
SELECT (i.seat).id AS a, invitation_token AS token FROM seats.assign_seat(test.id(453), email => 'a@example.com') AS i \gset
SELECT (i.seat).id AS b FROM seats.assign_seat(test.id(453), email => 'b@example.com') AS i \gset
SELECT (i.seat).id AS c FROM seats.assign_seat(order_id => test.id(454), email => 'c@example.com') AS i \gset
SELECT (i.seat).id AS d, invitation_token AS claimed FROM seats.assign_seat(test.id(453), email => 'd@example.com') AS i \gset
SELECT (i.seat).id AS e FROM seats.assign_seat(test.id(453), email => 'e@example.com', immediate_claim => true) AS i \gset
SELECT customer_session_token AS session FROM seats.claim_seat(:'claimed') \gset
SELECT seats.release_expired_seats() AS nothing_expired;

-- Expired for 0, 1 and 3 hours; d is claimed.
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - CASE id WHEN :'a' THEN interval '0' WHEN :'b' THEN '1 hour' ELSE '3 hours' END
WHERE id <> :'e';
SELECT test.fingerprint() AS before \gset
SELECT seats.release_expired_seats('4 hours') AS four_hours;
SELECT test.fingerprint() = :'before' AS unchanged;
SELECT seats.release_expired_seats('2 hours') AS two_hours;
SELECT seats.release_expired_seats(interval '30 min') AS half_an_hour, seats.release_expired_seats() AS all_others, seats.release_expired_seats() AS none;
SELECT customer_email, status, expiry_watched, revoked_at = modified_at AS same_time FROM seats.customer_seats ORDER BY created_at;
SELECT type, count(*) FROM seats.events GROUP BY type ORDER BY type;
SELECT count(*), count(DISTINCT (seat).subscription_id) AS subscriptions, count(DISTINCT (seat).order_id) AS orders, bool_and(metadata ->> 'reason' = 'released') AS released,
	bool_and(coalesce(metadata ->> 'subscription_id', metadata ->> 'order_id')::uuid IN ((seat).subscription_id, (seat).order_id)) AS of_the_purchase
FROM seats.events WHERE type = 'customer_seat.revoked';
SELECT s.assigned_seats AS subscription, o.assigned_seats AS "order", s.modified_at, o.modified_at FROM seats.subscriptions AS s, seats.orders AS o;
-- A claimed one stays, as does its session; the token of a released one says why.
SELECT (seats.authenticate(:'session')).customer_email, (test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).detail;
-- The row is given again, with a new id, and watched again.
SELECT count(*) AS rows FROM seats.customer_seats WHERE subscription_id = test.id(453);
SELECT (i.seat).id IN (:'a', :'b') AS same_id FROM seats.assign_seat(test.id(453), email => 'f@example.com') AS i;
SELECT count(*) AS rows FROM seats.customer_seats WHERE subscription_id = test.id(453);
UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE status = 'pending';
SELECT seats.release_expired_seats();
-- Where the organization may not use seats, too.
SELECT ((seats.assign_seat(test.id(453), email => 'g@example.com')).seat).status AS assigned;
UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE status = 'pending';
UPDATE seats.organizations SET seat_based_pricing_enabled = false;
SELECT seats.release_expired_seats();
UPDATE seats.organizations SET seat_based_pricing_enabled = true;

-- No time is no time, where clocks go forward today as well: there '1 day -24 hours' ago is an hour ahead.
SELECT ((seats.assign_seat(test.id(453), email => 'h@example.com')).seat).status AS assigned;
UPDATE seats.customer_seats SET invitation_token_expires_at = now() + interval '30 min' WHERE status = 'pending';
SELECT set_config('timezone', format('AAA0BBB,J%s/0,J%s/0', n, CASE WHEN n > 350 THEN 1 ELSE n + 12 END), false) <> '' AS set
FROM (SELECT extract(doy FROM now() AT TIME ZONE 'UTC') - CASE WHEN extract(month FROM now()) > 2
	AND extract(doy FROM make_date(extract(year FROM now())::integer, 12, 31)) = 366 THEN 1 ELSE 0 END AS n) AS today;
SELECT seats.release_expired_seats('1 day -24 hours') AS released;
RESET timezone;
SELECT status FROM seats.revoke_seat((SELECT id FROM seats.customer_seats WHERE customer_email = 'h@example.com'));

-- Sessions.
SELECT seats.purge_expired_sessions() AS none;
INSERT INTO seats.customer_sessions (token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
SELECT sha256(n::text::bytea), :'d', test.id(452), test.id(450), now() - interval '2 days', now() - interval '1 day' FROM generate_series(1, 10001) AS n;
SELECT seats.purge_expired_sessions() AS at_most, seats.purge_expired_sessions() AS rest, seats.purge_expired_sessions() AS none;
SELECT (seats.authenticate(:'session')).customer_email AS still_live, count(*) FROM seats.customer_sessions;

-- Events.
SELECT count(*) AS events FROM seats.events \gset
SELECT seats.purge_events('1 hour') AS none;
UPDATE seats.events SET occurred_at = now() - interval '2 hours' WHERE id <= (SELECT min(id) + 2 FROM seats.events);
SELECT seats.purge_events('3 hours') AS none, seats.purge_events('1 hour') AS three;
SELECT seats.purge_events('0') = :events - 3 AS all_others, seats.purge_events('0') AS none;

-- Arguments.
\x on
SELECT * FROM test.outcome('SELECT seats.release_expired_seats(NULL)');
SELECT * FROM test.outcome($$SELECT seats.release_expired_seats('-1 microsecond')$$);
SELECT * FROM test.outcome('SELECT seats.purge_events(NULL)');
SELECT * FROM test.outcome($$SELECT seats.purge_events('-1 day')$$);
SELECT * FROM test.outcome($$SELECT seats.purge_events('1000000 years')$$);
BEGIN READ ONLY;
SELECT statement, (test.outcome(statement)).*
FROM unnest(ARRAY['SELECT seats.release_expired_seats(NULL)', 'SELECT seats.purge_expired_sessions()', 'SELECT seats.purge_events(NULL)']) AS statement;
COMMIT;
\x off

SELECT test.clear();
