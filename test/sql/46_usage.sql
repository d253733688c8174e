-- The view usage: what was bought of each subscription and order, and what became of it. Here no seat is
-- assigned yet.
SELECT test.make_organization(820, 6);
SELECT test.make_organization(830, 0);
CREATE VIEW test.usage AS
SELECT right((coalesce(subscription_id, order_id))::text, 3) AS purchase, order_id IS NOT NULL AS "order",
	right(organization_id::text, 3) AS organization, status, purchased, pending, expired, claimed, free
FROM seats.usage ORDER BY purchase;
TABLE test.usage;

-- A subscription with a seat in each state: 2 pending, 1 expired, 1 claimed, 1 revoked whose row is free, and 1 never given.
SELECT (i.seat).id AS seat, invitation_token AS token
FROM seats.assign_seat(test.id(823), email => 'claims@example.com') AS i \gset
SELECT (c.seat).status FROM seats.claim_seat(:'token') AS c;
SELECT (i.seat).status FROM seats.assign_seats(test.id(823), NULL, '{one@example.com,two@example.com,late@example.com,gone@example.com}') AS i;
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE customer_email = 'late@example.com';
SELECT r.status FROM seats.customer_seats AS s, seats.revoke_seat(s.id) AS r WHERE s.customer_email = 'gone@example.com';
-- An order: 1 claimed at once, 2 pending.
SELECT (i.seat).status FROM seats.assign_seat(order_id => test.id(824), email => 'claims@example.com', immediate_claim => true) AS i;
SELECT (i.seat).status FROM seats.assign_seats(NULL, test.id(824), '{one@example.com,two@example.com}') AS i;
TABLE test.usage;

-- A claimed seat whose invitation would have expired meanwhile is claimed all the same.
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE id = :'seat';
SELECT * FROM test.usage WHERE purchase = '823';
-- An invitation that is sent again is pending, a row that is given again counts once, an expired seat that is released is free.
SELECT (i.seat).status FROM seats.customer_seats AS s, seats.resend_invitation(s.id) AS i WHERE s.customer_email = 'late@example.com';
SELECT (i.seat).status FROM seats.assign_seat(test.id(823), email => 'new@example.com') AS i;
SELECT * FROM test.usage WHERE purchase = '823';
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE customer_email = 'new@example.com';
SELECT * FROM test.usage WHERE purchase = '823';
SELECT seats.release_expired_seats();
SELECT * FROM test.usage WHERE purchase = '823';
-- One that ends has no seat assigned any more; whether one could be, its status says.
UPDATE seats.orders SET status = 'refunded' WHERE id = test.id(824);
SELECT * FROM test.usage WHERE purchase = '824';

-- All that was bought is in one of the states, and free is what list_seats() calls available.
SELECT count(*) AS purchases, bool_and(purchased = pending + expired + claimed + free) AS adds_up,
	bool_and(free = (seats.list_seats(subscription_id, order_id)).available_seats) AS is_available
FROM seats.usage;

-- Who may read the view sees numbers and ids, of all, and nothing else; row security is no obstacle.
CREATE ROLE seats_monitor;
CREATE ROLE seats_backend;
CREATE ROLE seats_others;
GRANT pg_monitor TO seats_monitor;
SELECT seats.grant_access(backend => 'seats_backend', customer => 'seats_others', anonymous => 'seats_others');
GRANT USAGE ON SCHEMA test TO seats_monitor, seats_backend, seats_others;
GRANT EXECUTE ON FUNCTION test.id TO seats_monitor, seats_backend, seats_others;
SET ROLE seats_monitor;
SELECT count(*), sum(claimed) FROM seats.usage;
SELECT count(*) FROM seats.subscriptions;
SELECT count(status) FROM seats.customer_seats;
SET ROLE seats_backend;
SELECT count(*), sum(claimed) FROM seats.usage;
SELECT count(status) FROM seats.customer_seats;
SET ROLE seats_others;
SELECT count(*) FROM seats.usage;
RESET ROLE;

-- One purchase is read by indexes, also where it is an order, and where nothing is asked that needs the seats, they are not read.
CREATE FUNCTION test.scans(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_bitmapscan = off;
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
		IF line ~ 'Scan using|customer_seats' THEN
			RETURN NEXT regexp_replace(line, '^[ ->]*', '');
		END IF;
	END LOOP;
END
$$;
BEGIN;
SELECT * FROM test.scans('SELECT * FROM seats.usage WHERE subscription_id = test.id(823)');
SELECT * FROM test.scans('SELECT * FROM seats.usage WHERE order_id = test.id(824)');
SELECT * FROM test.scans('SELECT sum(purchased), sum(free) FROM seats.usage');
COMMIT;

SELECT test.clear();
DROP VIEW test.usage;
DROP FUNCTION test.scans;
DROP OWNED BY seats_monitor, seats_backend, seats_others;
DROP ROLE seats_monitor, seats_backend, seats_others;
