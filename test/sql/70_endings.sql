-- A subscription that ends, or an order that is refunded, takes its seats along, whatever statement does it.
SELECT test.make_organization(700, 5);
SELECT test.make_organization(710, 5);

-- Fills a subscription with a claimed and a pending seat, and returns the token of the claimed one's session.
CREATE FUNCTION test.fill(subscription uuid, "order" uuid) RETURNS text
LANGUAGE sql AS $$
	SELECT seats.assign_seat(subscription, "order", email => 'pending@example.com');
	SELECT (seats.claim_seat((seats.assign_seat(subscription, "order", email => 'claimed@example.com')).invitation_token)).customer_session_token;
$$;
CREATE FUNCTION test.show(purchase uuid) RETURNS text
LANGUAGE sql AS $$
	SELECT format('assigned %s, %s, sessions %s, revoked events %s', p.assigned_seats,
		(SELECT string_agg(status::text, ' ' ORDER BY status) FROM seats.customer_seats WHERE purchase IN (subscription_id, order_id)),
		(SELECT count(*) FROM seats.customer_sessions WHERE seat_id IN (SELECT id FROM seats.customer_seats WHERE purchase IN (subscription_id, order_id))),
		(SELECT count(*) FROM seats.events WHERE type = 'customer_seat.revoked' AND metadata ->> 'reason' = 'ended'
			AND purchase::text IN (metadata ->> 'subscription_id', metadata ->> 'order_id')))
	FROM (SELECT id, assigned_seats FROM seats.subscriptions UNION ALL SELECT id, assigned_seats FROM seats.orders) AS p WHERE p.id = purchase
$$;

-- Each status that ends, and those that don't.
SELECT test.fill(test.id(703), NULL) IS NOT NULL AS filled;
DO $$
DECLARE
	ending text;
BEGIN
	FOREACH ending IN ARRAY '{trialing,past_due,incomplete,incomplete_expired,canceled}'::text[] LOOP
		UPDATE seats.subscriptions SET status = ending WHERE id = test.id(703);
		RAISE INFO '%: %', ending, test.show(test.id(703));
		IF (SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(703)) = 0 THEN
			UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(703);
			PERFORM test.fill(test.id(703), NULL);
		END IF;
	END LOOP;
	PERFORM test.fill(NULL, test.id(704));
	FOREACH ending IN ARRAY '{partially_refunded,pending,refunded,void}'::text[] LOOP
		UPDATE seats.orders SET status = ending WHERE id = test.id(704);
		RAISE INFO '%: %', ending, test.show(test.id(704));
		IF (SELECT assigned_seats FROM seats.orders WHERE id = test.id(704)) = 0 THEN
			UPDATE seats.orders SET status = 'paid' WHERE id = test.id(704);
			PERFORM test.fill(NULL, test.id(704));
		END IF;
	END LOOP;
END
$$;

-- The session is over from the next statement on; the token says why. Each event tells whose seat it was.
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(713);
SELECT invitation_token AS token FROM seats.assign_seat(test.id(713), email => 'told@example.com') \gset
SELECT customer_session_token AS session FROM seats.claim_seat(:'token') \gset
UPDATE seats.subscriptions SET status = 'canceled' WHERE id = test.id(713);
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail AS session,
	(test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).detail AS invitation;
SELECT e.type, c.email, e.occurred_at = s.revoked_at AS same_time, s.modified_at = s.revoked_at AS modified
FROM seats.events AS e JOIN seats.customers AS c ON c.id = e.customer_id JOIN seats.customer_seats AS s ON s.id = e.seat_id
WHERE e.organization_id = test.id(710) ORDER BY e.id;

-- Ending and lowering in one statement goes through; lowering alone does not.
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(713);
SELECT test.fill(test.id(713), NULL) IS NOT NULL AS filled;
SELECT (test.outcome('UPDATE seats.subscriptions SET seats = 0 WHERE id = test.id(713)')).message;
UPDATE seats.subscriptions SET status = 'canceled', seats = 0 WHERE id = test.id(713);
SELECT test.show(test.id(713));
-- One that ended already cannot be lowered below what its owner put in.
UPDATE seats.subscriptions SET seats = 1 WHERE id = test.id(713);
UPDATE seats.customer_seats SET status = 'claimed', claimed_at = now(), revoked_at = NULL, customer_id = test.id(712)
WHERE id = (SELECT id FROM seats.customer_seats WHERE subscription_id = test.id(713) LIMIT 1);
SELECT (test.outcome('UPDATE seats.subscriptions SET seats = 0 WHERE id = test.id(713)')).message;
UPDATE seats.subscriptions SET status = 'incomplete_expired', seats = 0 WHERE id = test.id(713);
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(713);

-- Many at once, by UPDATE, MERGE and ON CONFLICT DO UPDATE.
UPDATE seats.subscriptions SET status = 'canceled';
UPDATE seats.subscriptions SET status = 'active', seats = 5;
SELECT count(test.fill(id, NULL)) FROM seats.subscriptions;
UPDATE seats.subscriptions SET status = 'canceled';
SELECT test.show(id) FROM seats.subscriptions ORDER BY id;
UPDATE seats.subscriptions SET status = 'active';
SELECT count(test.fill(id, NULL)) FROM seats.subscriptions;
MERGE INTO seats.subscriptions AS s USING (SELECT test.id(703) AS id) AS ended ON s.id = ended.id
WHEN MATCHED THEN UPDATE SET status = 'canceled';
INSERT INTO seats.subscriptions SELECT * FROM seats.subscriptions WHERE id = test.id(713)
ON CONFLICT (id) DO UPDATE SET status = 'incomplete_expired';
SELECT test.show(id) FROM seats.subscriptions ORDER BY id;
-- Orders too; and by a data-modifying WITH and through a view.
UPDATE seats.orders SET status = 'paid', seats = 5;
SELECT count(test.fill(NULL, id)) FROM seats.orders WHERE assigned_seats = 0;
SELECT test.show(id) FROM seats.orders ORDER BY id;
MERGE INTO seats.orders AS o USING (VALUES (test.id(704), 'refunded'), (test.id(714), 'void')) AS ended (id, status) ON o.id = ended.id
WHEN MATCHED AND o.status = 'paid' THEN UPDATE SET status = ended.status, seats = 0;
SELECT test.show(id), seats FROM seats.orders ORDER BY id;
UPDATE seats.orders SET status = 'paid', seats = 5;
SELECT count(test.fill(NULL, id)) FROM seats.orders;
INSERT INTO seats.orders SELECT * FROM seats.orders WHERE id = test.id(704)
ON CONFLICT (id) DO UPDATE SET status = 'refunded';
CREATE VIEW test.open_orders AS SELECT * FROM seats.orders WHERE status = 'paid';
WITH ended AS (UPDATE test.open_orders SET status = 'void' RETURNING id) SELECT count(*) FROM ended;
DROP VIEW test.open_orders;
SELECT test.show(id) FROM seats.orders ORDER BY id;
-- One event for each seat that was revoked, of the customer whose it was.
SELECT count(*) AS events, count(DISTINCT (seat_id, occurred_at)) AS revocations, count(*) FILTER (WHERE e.customer_id IS NULL) AS nobodys
FROM seats.events AS e WHERE type = 'customer_seat.revoked';

-- Rolled back, nothing happened.
UPDATE seats.subscriptions SET status = 'active';
SELECT test.fill(test.id(703), NULL) AS session \gset
SELECT test.fingerprint() AS before \gset
BEGIN;
UPDATE seats.subscriptions SET status = 'canceled' WHERE id = test.id(703);
ROLLBACK;
SELECT test.fingerprint() = :'before' AS unchanged, (seats.authenticate(:'session')).customer_email;

-- Deleting one removes its seats and sessions; events stay, and there is one for each seat that was pending or claimed.
SELECT count(*) AS events, max(id) AS last_event FROM seats.events \gset
DELETE FROM seats.subscriptions WHERE id = test.id(703);
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail;
SELECT count(*) AS seats FROM seats.customer_seats WHERE subscription_id = test.id(703);
DELETE FROM seats.orders WHERE id = test.id(704);
SELECT count(*) AS sessions_without_seat FROM seats.customer_sessions AS x
WHERE NOT EXISTS (SELECT FROM seats.customer_seats AS s WHERE s.id = x.seat_id);
SELECT count(*) - :events AS more_events FROM seats.events;
SELECT e.type, c.email, e.metadata ->> 'reason' AS reason, (e.seat).status, (e.seat).customer_id, (e.seat).customer_email, (e.seat).seat_metadata,
	(e.seat).revoked_at = e.occurred_at AS revoked_then, (e.seat).id = e.seat_id AS same_seat, (e.seat).claimed_at IS NOT NULL AS was_claimed,
	coalesce(e.metadata ->> 'subscription_id', e.metadata ->> 'order_id')::uuid IN ((e.seat).subscription_id, (e.seat).order_id) AS of_the_purchase
FROM seats.events AS e JOIN seats.customers AS c ON c.id = e.customer_id WHERE e.id > :last_event ORDER BY c.email, e.id;

-- The owner's own statements end sessions too, but only of seats that are no longer claimed.
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(713);
SELECT test.fill(test.id(713), NULL) AS session \gset
UPDATE seats.customer_seats SET seat_metadata = '{}';
SELECT (seats.authenticate(:'session')).customer_email;
UPDATE seats.customer_seats SET status = 'revoked', revoked_at = now(), customer_id = NULL, customer_email = NULL, seat_metadata = NULL
WHERE customer_email = 'claimed@example.com';
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail;
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(713);

SELECT test.clear();
SELECT count(*) AS sessions FROM seats.customer_sessions;
DROP FUNCTION test.fill;
DROP FUNCTION test.show;
