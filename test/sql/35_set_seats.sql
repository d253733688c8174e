-- The number of seats: set below what is assigned, planned for the next period, and raised by an assignment.
SELECT test.make_organization(350, 9);
SELECT test.make_organization(360, 2);
CREATE FUNCTION test.set_seats(number integer, surplus text DEFAULT 'revoke', purchase uuid DEFAULT test.id(353)) RETURNS integer
LANGUAGE sql AS $$
	SELECT CASE WHEN EXISTS (SELECT FROM seats.orders WHERE id = purchase)
		THEN seats.set_seats(order_id => purchase, seats => number, surplus => surplus)
		ELSE seats.set_seats(purchase, seats => number, surplus => surplus) END
$$;
CREATE VIEW test.number AS
SELECT right(id::text, 3) AS subscription, assigned_seats, seats, seats_next, seats_limit, modified_at > created_at AS modified
FROM seats.subscriptions;
-- Whoever holds a seat, the state of it, and for what a revoked one was taken away.
CREATE VIEW test.held AS
SELECT string_agg(concat_ws(' ', split_part(customer_email, '@', 1), status), ', ' ORDER BY customer_email) AS held
FROM seats.customer_seats WHERE subscription_id = test.id(353) AND status <> 'revoked';

-- Two whose invitations have expired, two more who are invited, three who claimed, and the payer, who is invited. Each is later
-- than the one before, but of those who claimed the first did it last.
SELECT count(*) FROM unnest('{expired1,expired2,invited1,invited2,claimed1,claimed2,claimed3}'::text[]) AS name,
	seats.assign_seat(test.id(353), email => name || '@example.com', metadata => '{"a": 1}');
SELECT (seat).status FROM seats.assign_seat(test.id(353), customer_id => test.id(352));
UPDATE seats.customer_seats SET created_at = now() + interval '1 minute' * (right(split_part(customer_email, '@', 1), 1))::integer
WHERE customer_email LIKE '%@example.com';
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 minute' WHERE customer_email LIKE 'expired%';
UPDATE seats.customer_seats SET status = 'claimed', claimed_at = now() - interval '1 minute' * (right(split_part(customer_email, '@', 1), 1))::integer
WHERE customer_email LIKE 'claimed%';
TABLE test.held;

-- Refused as an UPDATE is, and by default. Nothing changes.
SELECT * FROM test.outcome('UPDATE seats.subscriptions SET seats = 7 WHERE id = test.id(353)');
SELECT * FROM test.outcome('SELECT seats.set_seats(test.id(353), seats => 7)');
-- Who goes: one after the other, and the last three at once.
SELECT n AS number, test.set_seats(n) AS revoked FROM unnest('{9,8,7,6,5,4,3,0}'::integer[]) AS n;
SELECT concat_ws(' ', type, metadata ->> 'reason') AS event, (seat).status, (seat).seat_metadata, count(*) FROM seats.events
WHERE organization_id = test.id(350) GROUP BY 1, 2, 3 ORDER BY 1;
SELECT string_agg(split_part(c.email, '@', 1), ', ' ORDER BY e.id) AS revoked
FROM seats.events AS e JOIN seats.customers AS c ON c.id = e.customer_id WHERE metadata ->> 'reason' = 'surplus';

-- Several at once, with a session, which ends; an order's as well.
SELECT test.set_seats(3);
SELECT count(*) FROM seats.assign_seats(test.id(353), NULL, '{a@example.com,b@example.com}');
SELECT customer_session_token AS session FROM seats.assign_seat(test.id(353), email => 'c@example.com') AS i, seats.claim_seat(i.invitation_token) \gset
SELECT test.set_seats(0), (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail;
SELECT count(*) FROM seats.customer_sessions;
SELECT count(*) FROM seats.assign_seats(NULL, test.id(354), '{a@example.com,b@example.com}');
SELECT (test.outcome('SELECT test.set_seats(1, ''refuse'', test.id(354))')).message, test.set_seats(1, 'revoke', test.id(354)) AS revoked,
	test.set_seats(5, 'refuse', test.id(354)) AS raised;
SELECT seats, assigned_seats FROM seats.orders WHERE id = test.id(354);

-- Suspended seats are counted and revoked too; and so are those of an organization that may no longer use seats.
SELECT test.set_seats(3), (SELECT count(*) FROM seats.assign_seats(test.id(353), NULL, '{a@example.com,b@example.com,c@example.com}'));
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(353);
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(350);
SELECT test.set_seats(1);
SELECT count(*), bool_and(suspended_at IS NOT NULL) AS suspended FROM seats.customer_seats WHERE subscription_id = test.id(353) AND status = 'pending';
UPDATE seats.organizations SET seat_based_pricing_enabled = true WHERE id = test.id(350);
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(353);

-- What it refuses.
\x on
SELECT * FROM test.outcome('SELECT seats.set_seats()');
SELECT * FROM test.outcome('SELECT seats.set_seats(test.id(353), test.id(354), -1, NULL)');
SELECT * FROM test.outcome('SELECT seats.set_seats(test.id(353), seats => 1, surplus => ''Revoke'')');
SELECT * FROM test.outcome('SELECT seats.set_seats(test.id(399), seats => 1)');
SELECT * FROM test.outcome('SELECT seats.set_seats(order_id => test.id(399), seats => 1)');
\x off
BEGIN READ ONLY;
SELECT (test.outcome('SELECT seats.set_seats()')).*;
COMMIT;

-- A decrease is planned: no more than that are assigned, neither one by one nor many, and it always goes through.
SELECT test.set_seats(3);
UPDATE seats.subscriptions SET seats_next = 2 WHERE id = test.id(353);
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(353);
SELECT available_seats, total_seats FROM seats.list_seats(test.id(353));
SELECT purchased, pending, free FROM seats.usage WHERE subscription_id = test.id(353);
SELECT (seat).status FROM seats.assign_seat(test.id(353), email => 'second@example.com');
SELECT (test.outcome('SELECT seats.assign_seat(test.id(353), email => ''third@example.com'')')).detail AS one,
	(test.outcome('SELECT seats.assign_seats(test.id(353), NULL, ''{third@example.com}'')')).hint AS many;
SELECT (test.outcome('UPDATE seats.subscriptions SET seats_next = 1 WHERE id = test.id(353)')).message AS planned,
	(test.outcome('UPDATE seats.subscriptions SET seats_next = -1 WHERE id = test.id(353)')).message AS negative,
	(test.outcome('UPDATE seats.subscriptions SET seats = 1 WHERE id = test.id(353)')).message AS lowered;
-- Seats that a statement of the owner's adds are counted by it, too.
SELECT (test.outcome('INSERT INTO seats.customer_seats (organization_id, subscription_id, customer_id, status, claimed_at)
	VALUES (test.id(350), test.id(353), test.id(352), ''claimed'', now())')).message;
UPDATE seats.subscriptions SET seats = seats_next, seats_next = NULL WHERE id = test.id(353);
SELECT * FROM test.number WHERE subscription = '353';
-- More may be planned than were bought, which gives no seat before they are bought. Setting the number gives up the plan.
UPDATE seats.subscriptions SET seats_next = 5 WHERE id = test.id(353);
SELECT available_seats FROM seats.list_seats(test.id(353));
SELECT (test.outcome('SELECT seats.assign_seat(test.id(353), email => ''third@example.com'')')).detail;
SELECT test.set_seats(2, 'refuse');
SELECT * FROM test.number WHERE subscription = '353';
-- Ending and planning in one statement goes through.
UPDATE seats.subscriptions SET status = 'canceled', seats_next = 0 WHERE id = test.id(353);
SELECT * FROM test.number WHERE subscription = '353';

-- A subscription grows up to its limit; each event of the call that raised the number tells it.
UPDATE seats.subscriptions SET seats_limit = 6 WHERE id = test.id(363);
SELECT count(*) FROM seats.assign_seats(test.id(363), NULL, '{1@example.com,2@example.com}');
SELECT (seat).status FROM seats.assign_seat(test.id(363), email => '3@example.com');
SELECT available_seats, total_seats FROM seats.list_seats(test.id(363));
SELECT count(*) FROM seats.assign_seats(test.id(363), NULL, '{4@example.com,5@example.com}');
SELECT hint FROM test.outcome('SELECT seats.assign_seats(test.id(363), NULL, ''{6@example.com,7@example.com}'')');
SELECT (seat).status FROM seats.assign_seat(test.id(363), email => '6@example.com', immediate_claim => true);
SELECT (test.outcome('SELECT seats.assign_seat(test.id(363), email => ''7@example.com'')')).detail;
SELECT * FROM test.number WHERE subscription = '363';
SELECT split_part((seat).customer_email, '@', 1) AS customer, metadata - 'role' - 'subscription_id' AS metadata
FROM seats.events WHERE metadata ->> 'subscription_id' = test.id(363)::text ORDER BY 1;
-- A seat that is free is used first; while another number is planned, it does not grow; a limit below the number changes nothing.
SELECT r.status FROM seats.customer_seats AS s, seats.revoke_seat(s.id) AS r WHERE s.customer_email = '3@example.com';
UPDATE seats.subscriptions SET seats_limit = 7 WHERE id = test.id(363);
SELECT (seat).status FROM seats.assign_seat(test.id(363), email => '7@example.com');
UPDATE seats.subscriptions SET seats_next = 9 WHERE id = test.id(363);
SELECT (test.outcome('SELECT seats.assign_seat(test.id(363), email => ''8@example.com'')')).detail;
UPDATE seats.subscriptions SET seats_next = NULL, seats_limit = 5 WHERE id = test.id(363);
SELECT (test.outcome('SELECT seats.assign_seat(test.id(363), email => ''8@example.com'')')).detail,
	(test.outcome('UPDATE seats.subscriptions SET seats_limit = -1 WHERE id = test.id(363)')).message;
SELECT * FROM test.number WHERE subscription = '363';

-- A name of the application's for products, subscriptions and orders, once in an organization.
UPDATE seats.products SET external_id = 'prod_1' WHERE id IN (test.id(351), test.id(361));
UPDATE seats.subscriptions SET external_id = 'sub_1' WHERE id IN (test.id(353), test.id(363));
UPDATE seats.orders SET external_id = 'sub_1' WHERE id IN (test.id(354), test.id(364));
SELECT (test.outcome($$INSERT INTO seats.products (organization_id, name, external_id) VALUES (test.id(350), 'Other', 'prod_1')$$)).message AS product,
	(test.outcome($$INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, external_id)
		VALUES (test.id(350), test.id(351), test.id(352), 1, 'sub_1')$$)).message AS subscription,
	(test.outcome($$INSERT INTO seats.orders (organization_id, product_id, customer_id, seats, external_id)
		VALUES (test.id(350), test.id(351), test.id(352), 1, 'sub_1')$$)).message AS "order";

SELECT test.clear();
DROP VIEW test.held, test.number;
DROP FUNCTION test.set_seats;
