-- Assigning: whom, of what, for how long, with what.
SELECT test.make_organization(300, 20);
SELECT test.make_organization(310, 20);

CREATE FUNCTION test.show(invitation seats.seat_invitation) RETURNS text
LANGUAGE sql AS $$
	SELECT format('%s %s %s %s', (invitation.seat).status, coalesce((invitation.seat).customer_email, '-'),
		coalesce((SELECT external_id FROM seats.customers WHERE id = (invitation.seat).customer_id), '-'),
		CASE WHEN invitation.invitation_token IS NULL THEN 'no token' ELSE 'token' END)
$$;

-- An unknown address makes the customer; a known one, whatever its case, is the customer who has it.
SELECT test.show(seats.assign_seat(test.id(303), email => 'New@Example.com'));
SELECT test.show(seats.assign_seat(order_id => test.id(304), email => 'nEW@example.COM'));
SELECT count(*), min(email), bool_and(modified_at IS NULL) AS unmodified
FROM seats.customers WHERE organization_id = test.id(300) AND lower(email) = 'new@example.com';

-- The same address in another organization is another customer.
SELECT test.show(seats.assign_seat(test.id(313), email => 'new@example.com'));
SELECT count(DISTINCT id) FROM seats.customers WHERE lower(email) = 'new@example.com';

-- By the application's id and by ours; with no address claim_info() has an empty one.
INSERT INTO seats.customers (id, organization_id, external_id) VALUES (test.id(390), test.id(300), 'crm-1');
SELECT (seats.assign_seat(test.id(303), external_customer_id => 'crm-1')).invitation_token AS token \gset
SELECT customer_email = '' AS empty, can_claim FROM seats.claim_info(:'token');
SELECT (to_json(c) -> 'seat' ->> 'customer_email') IS NULL AS no_email FROM seats.claim_seat(:'token') AS c;
SELECT test.show(seats.assign_seat(order_id => test.id(304), customer_id => test.id(390)));
SELECT test.show(seats.assign_seat(test.id(303), customer_id => test.id(302)));

-- Claimed at once: no token, no session, and the one event is the claim.
SELECT (i.seat).id AS seat, i.invitation_token IS NULL AS no_token
FROM seats.assign_seat(test.id(303), email => 'at-once@example.com', immediate_claim => true) AS i \gset
SELECT :'no_token' AS no_token, status, claimed_at = created_at AS one_moment, modified_at, invitation_token_expires_at,
	invitation_token_hash
FROM seats.customer_seats WHERE id = :'seat';
SELECT type FROM seats.events WHERE seat_id = :'seat';
SELECT count(*) AS sessions FROM seats.customer_sessions WHERE seat_id = :'seat';
SELECT test.show(seats.assign_seat(test.id(303), email => 'null@example.com', immediate_claim => NULL));

-- How long: the setting, or the organization's own.
SELECT (i.seat).invitation_token_expires_at - (i.seat).created_at AS lifetime
FROM seats.assign_seat(test.id(303), email => 'default@example.com') AS i;
SET seats.invitation_ttl = '90min';
SELECT (i.seat).invitation_token_expires_at - (i.seat).created_at AS lifetime
FROM seats.assign_seat(test.id(303), email => 'setting@example.com') AS i;
UPDATE seats.organizations SET invitation_ttl = '7 days' WHERE id = test.id(300);
SELECT (i.seat).invitation_token_expires_at - (i.seat).created_at AS lifetime
FROM seats.assign_seat(test.id(303), email => 'own@example.com') AS i;
RESET seats.invitation_ttl;

-- What metadata may be: an object of at most 10 keys in 1 KB, or none.
SELECT (i.seat).seat_metadata FROM seats.assign_seat(test.id(303), email => 'm0@example.com', metadata => '{}') AS i;
SELECT count(*) FROM seats.assign_seat(test.id(303), email => 'm1@example.com',
	metadata => (SELECT jsonb_object_agg(k, k) FROM generate_series(1, 10) AS k)) AS i;
SELECT length((i.seat).seat_metadata::text) FROM seats.assign_seat(test.id(303), email => 'm2@example.com',
	metadata => jsonb_build_object('k', repeat('x', 1024 - length('{"k": ""}')))) AS i;

-- Which addresses pass.
SELECT left(email, 40) AS email, (test.outcome(format('SELECT seats.assign_seat(order_id => test.id(304), email => %L)', email))).state
FROM (VALUES (1, 'a@b'), (2, 'first.last+tag@sub.example.com'), (3, 'o''dd!#$%&*/=?^_`{|}~@example.com'), (4, 'jörg@bücher.example'),
	(5, repeat('x', 318) || '@y')) AS v (n, email)
ORDER BY n;

-- The count follows, and modified_at of the subscription stays.
SELECT s.assigned_seats, (SELECT count(*) FROM seats.customer_seats WHERE subscription_id = s.id AND status <> 'revoked') AS counted, s.modified_at
FROM seats.subscriptions AS s WHERE id = test.id(303);
SELECT o.assigned_seats, (SELECT count(*) FROM seats.customer_seats WHERE order_id = o.id AND status <> 'revoked') AS counted, o.modified_at
FROM seats.orders AS o WHERE id = test.id(304);

-- Every status, and whether seats are assigned.
SELECT status, (test.outcome(format($$
	UPDATE seats.subscriptions SET status = %L WHERE id = test.id(313);
	SELECT seats.assign_seat(test.id(313), email => %L)$$, status, status || '@example.com'))).detail
FROM unnest('{trialing,active,past_due,incomplete,incomplete_expired,canceled,unpaid}'::text[]) WITH ORDINALITY AS s (status, n)
ORDER BY n;
SELECT status, (test.outcome(format($$
	UPDATE seats.orders SET status = %L WHERE id = test.id(314);
	SELECT seats.assign_seat(order_id => test.id(314), email => %L)$$, status, status || '@example.com'))).detail
FROM unnest('{paid,partially_refunded,pending,refunded,void}'::text[]) WITH ORDINALITY AS s (status, n)
ORDER BY n;

SELECT test.clear();
DROP FUNCTION test.show;
