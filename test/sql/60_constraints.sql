-- The rules that no statement can break, not even the owner's: each is tried.
SELECT test.make_organization(600, 2);
SELECT test.make_organization(610, 2);
SELECT (i.seat).id AS pending FROM seats.assign_seat(test.id(603), email => 'pending@example.com') AS i \gset
SELECT (i.seat).id AS claimed FROM seats.assign_seat(test.id(603), email => 'claimed@example.com', immediate_claim => true) AS i \gset
SELECT (i.seat).id AS revoked FROM seats.assign_seat(order_id => test.id(604), email => 'revoked@example.com') AS i \gset
SELECT status FROM seats.revoke_seat(:'revoked');
SELECT (i.seat).id AS ordered FROM seats.assign_seat(order_id => test.id(614), email => 'ordered@example.com') AS i \gset

CREATE FUNCTION test.try(statement text) RETURNS text
LANGUAGE sql AS $$SELECT o.state || coalesce(' ' || o.message, '') FROM test.outcome(statement) AS o$$;

-- A statement on one seat, with what is to be set.
CREATE FUNCTION test.set(seat uuid, assignments text) RETURNS text
LANGUAGE sql AS $$SELECT test.try(format('UPDATE seats.customer_seats SET %s WHERE id = %L', assignments, seat))$$;

-- A seat belongs to exactly one of a subscription or an order.
SELECT test.set(:'pending', 'order_id = test.id(604)') AS both, test.set(:'pending', 'subscription_id = NULL') AS none;

-- All ids of one seat are of one organization.
SELECT a AS assignment, test.set(:'pending', a) FROM unnest(ARRAY['organization_id = test.id(610)',
	'subscription_id = test.id(613)', 'subscription_id = NULL, order_id = test.id(614)', 'customer_id = test.id(612)',
	'organization_id = test.id(699)', 'subscription_id = test.id(699)', 'customer_id = test.id(699)']) AS a;

-- status agrees with the other columns: pending.
SELECT a AS assignment, test.set(:'pending', a) FROM unnest(ARRAY['invitation_token_hash = NULL', 'invitation_token_expires_at = NULL',
	'claimed_at = now()', 'revoked_at = now()', 'customer_id = NULL', 'status = ''claimed''', 'status = ''revoked''', 'status = NULL']) AS a;
-- Claimed.
SELECT a AS assignment, test.set(:'claimed', a) FROM unnest(ARRAY['claimed_at = NULL', 'customer_id = NULL', 'revoked_at = now()',
	'status = ''pending''', 'status = ''revoked''']) AS a;
-- Revoked.
SELECT a AS assignment, test.set(:'revoked', a) FROM unnest(ARRAY['revoked_at = NULL', 'customer_id = test.id(602)',
	'customer_email = ''a@b''', 'status = ''pending''', 'status = ''claimed''']) AS a;

-- Pending and claimed seats never outnumber what was bought.
PREPARE seat (uuid, uuid, uuid) AS
INSERT INTO seats.customer_seats (organization_id, subscription_id, order_id, customer_id, status, claimed_at)
VALUES (test.id(600), $1, $2, $3, 'claimed', now());
INSERT INTO seats.customers (id, organization_id) SELECT test.id(n), test.id(600) FROM generate_series(650, 653) AS n;
EXECUTE seat(test.id(603), NULL, test.id(650));
INSERT INTO seats.customer_seats (organization_id, order_id, customer_id, status, claimed_at)
SELECT test.id(600), test.id(604), test.id(n), 'claimed', now() FROM generate_series(650, 652) AS n;
EXECUTE seat(NULL, test.id(604), test.id(650));
EXECUTE seat(NULL, test.id(604), test.id(651));
SELECT test.set(:'revoked', 'status = ''claimed'', customer_id = test.id(652), revoked_at = NULL, claimed_at = now()') AS given_back;
SELECT test.set(:'pending', 'subscription_id = NULL, order_id = test.id(604)') AS moved;
SELECT test.try('INSERT INTO seats.customer_seats SELECT * FROM seats.customer_seats WHERE status <> ''revoked''') AS copied;
SELECT id = test.id(604) AS is_order, assigned_seats FROM (SELECT id, organization_id, assigned_seats FROM seats.orders UNION ALL SELECT id, organization_id, assigned_seats FROM seats.subscriptions) AS p
WHERE organization_id = test.id(600) ORDER BY 1;

-- Lowering says how many are assigned; to exactly that is fine, and so is raising.
SELECT test.try('UPDATE seats.subscriptions SET seats = 1 WHERE id = test.id(603)') AS subscription,
	test.try('UPDATE seats.orders SET seats = 0 WHERE id = test.id(604)') AS "order",
	test.try('UPDATE seats.orders SET seats = -1 WHERE id = test.id(604)') AS negative,
	test.try('UPDATE seats.orders SET seats = NULL WHERE id = test.id(604)') AS "null";
UPDATE seats.subscriptions SET seats = 3 WHERE id = test.id(603);
UPDATE seats.subscriptions SET seats = 2 WHERE id = test.id(603);

-- The count is the extension's own: nobody else sets it, and a new row starts from none.
SELECT test.try('UPDATE seats.subscriptions SET assigned_seats = 0 WHERE id = test.id(603)') AS lowered,
	test.try('UPDATE seats.subscriptions SET assigned_seats = assigned_seats - 1, seats = 1 WHERE id = test.id(603)') AS both,
	test.try('UPDATE seats.orders SET assigned_seats = NULL WHERE id = test.id(604)') AS "null",
	test.try('INSERT INTO seats.subscriptions SELECT * FROM seats.subscriptions WHERE id = test.id(603)
		ON CONFLICT (id) DO UPDATE SET assigned_seats = excluded.assigned_seats') AS upsert;
INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status, assigned_seats)
VALUES (test.id(620), test.id(600), test.id(601), test.id(602), 5, 'paid', 4) RETURNING assigned_seats;

-- Moving a seat counts it where it now is.
INSERT INTO seats.customer_seats (id, organization_id, order_id, customer_id, status, claimed_at)
VALUES (test.id(690), test.id(600), test.id(620), test.id(653), 'claimed', now());
UPDATE seats.orders SET seats = 3 WHERE id = test.id(604);
UPDATE seats.customer_seats SET order_id = test.id(604) WHERE id = test.id(690);
SELECT id, assigned_seats FROM seats.orders WHERE organization_id = test.id(600) ORDER BY id;
DELETE FROM seats.customer_seats WHERE order_id = test.id(604) AND status = 'claimed';
SELECT id, assigned_seats FROM seats.orders WHERE organization_id = test.id(600) ORDER BY id;

-- One customer holds at most one seat of the same subscription or order, but may of another.
SELECT test.set(:'pending', 'customer_id = (SELECT customer_id FROM seats.customer_seats WHERE status = ''claimed'')') AS same_subscription;
EXECUTE seat(NULL, test.id(604), test.id(650));
SELECT test.try('INSERT INTO seats.customer_seats (organization_id, order_id, customer_id, status, claimed_at)
	VALUES (test.id(600), test.id(604), test.id(650), ''claimed'', now())') AS same_order;
EXECUTE seat(NULL, test.id(620), test.id(650));

-- A token opens one seat.
SELECT test.set(:'claimed', 'invitation_token_hash = (SELECT invitation_token_hash FROM seats.customer_seats WHERE status = ''pending'' AND organization_id = test.id(600))') AS same_hash;

-- TRUNCATE would leave the counts wrong.
SELECT t, test.try('TRUNCATE seats.' || t) FROM unnest('{customer_seats,subscriptions,orders,"subscriptions CASCADE","organizations CASCADE"}'::text[]) AS t;
SELECT count(*) > 0 AS still_there FROM seats.customer_seats;

-- Who holds a seat is not deleted; who held a revoked one is, and so is who never did.
SELECT test.try('DELETE FROM seats.customers WHERE email = ''pending@example.com''') AS pending,
	test.try('DELETE FROM seats.customers WHERE email = ''claimed@example.com''') AS claimed,
	test.try('DELETE FROM seats.customers WHERE email = ''revoked@example.com''') AS revoked,
	test.try('DELETE FROM seats.customers WHERE id = test.id(602)') AS payer;

-- Products and customers of another organization are refused, and so is moving them away.
SELECT table_name, what, test.try(format('UPDATE seats.%I SET %s WHERE organization_id = test.id(600)', table_name, what))
FROM unnest('{subscriptions,orders}'::text[]) AS table_name,
	unnest(ARRAY['product_id = test.id(611)', 'customer_id = test.id(612)', 'organization_id = test.id(610)']) AS what
ORDER BY 1, 2;
SELECT test.try('UPDATE seats.products SET organization_id = test.id(610) WHERE id = test.id(601)') AS product,
	test.try('UPDATE seats.customers SET organization_id = test.id(610) WHERE email = ''claimed@example.com''') AS customer;

-- Unique: slugs; addresses whatever their case and external ids, in one organization; null ones any number of times.
SELECT test.try('UPDATE seats.organizations SET slug = ''org-600''') AS slug,
	test.try('INSERT INTO seats.customers (organization_id, email) VALUES (test.id(600), ''CLAIMED@example.com'')') AS email,
	test.try('INSERT INTO seats.customers (organization_id, external_id) VALUES (test.id(600), ''payer'')') AS external_id,
	test.try('INSERT INTO seats.customers (organization_id) VALUES (test.id(600)), (test.id(600))') AS nulls,
	test.try('INSERT INTO seats.customers (organization_id, email) VALUES (test.id(610), ''CLAIMED@example.com'')') AS elsewhere;

-- Statuses, and how long invitations live.
SELECT test.try('UPDATE seats.subscriptions SET status = ''paid''') AS subscription, test.try('UPDATE seats.orders SET status = ''active''') AS "order",
	test.try('UPDATE seats.orders SET status = NULL') AS "null";
SELECT ttl, test.try(format('UPDATE seats.organizations SET invitation_ttl = %L', ttl))
FROM unnest('{0,-1 second,10 years 1 second,1 microsecond,10 years}'::text[]) AS ttl;
SELECT type, test.try(format('INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at) VALUES (%L, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now())', type))
FROM unnest('{customer_seat.claimed,customer_seat.stolen}'::text[]) AS type;

-- modified_at: null until the first change, then the clock's; not touched by what changes nothing, or by counting.
UPDATE seats.organizations SET name = name, invitation_ttl = NULL WHERE invitation_ttl IS NULL;
SELECT count(*) FILTER (WHERE modified_at IS NOT NULL) AS modified FROM seats.products;
UPDATE seats.products SET name = name;
SELECT count(*) FILTER (WHERE modified_at IS NOT NULL) AS modified FROM seats.products;
UPDATE seats.products SET name = 'New', modified_at = 'epoch' WHERE id = test.id(601);
UPDATE seats.customers SET name = 'New' WHERE id = test.id(602);
UPDATE seats.orders SET seats = 9 WHERE id = test.id(614);
SELECT p.modified_at > p.created_at AS product, c.modified_at > c.created_at AS customer, o.modified_at > o.created_at AS "order"
FROM seats.products AS p, seats.customers AS c, seats.orders AS o
WHERE p.id = test.id(601) AND c.id = test.id(602) AND o.id = test.id(614);
SELECT modified_at FROM seats.orders WHERE id = test.id(620);

-- At the end every count is right.
SELECT count(*) AS purchases, count(*) FILTER (WHERE assigned_seats <>
	(SELECT count(*) FROM seats.customer_seats AS s WHERE p.id IN (s.subscription_id, s.order_id) AND s.status <> 'revoked')) AS wrong
FROM (SELECT id, assigned_seats FROM seats.subscriptions UNION ALL SELECT id, assigned_seats FROM seats.orders) AS p;

DEALLOCATE seat;
SELECT test.clear();
DROP FUNCTION test.set;
DROP FUNCTION test.try;
