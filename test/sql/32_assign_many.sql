-- Assigning to many addresses: all of them in their order, or none.
SELECT test.make_organization(320, 10);
SELECT test.make_organization(330, 3);

-- Three seats of a subscription: a new address, a known one in other letters, another new one.
CREATE TEMPORARY TABLE invited AS
SELECT i.* FROM seats.assign_seats(test.id(323), NULL, ARRAY['zoe@example.com', 'PAYER@org-320.example', 'Abe@example.com'],
	'{"team": "blue"}') WITH ORDINALITY AS i (seat, invitation_token, n);
SELECT n, (seat).status, (seat).customer_email, (seat).seat_metadata, (seat).modified_at,
	(seat).subscription_id = test.id(323) AS of_it, (seat).order_id,
	(seat).invitation_token_expires_at - (seat).created_at AS lifetime
FROM invited ORDER BY n;
SELECT count(DISTINCT (seat).id) AS seats, count(DISTINCT (seat).created_at) AS moments, count(DISTINCT invitation_token) AS tokens
FROM invited;
-- The seats are as they are stored, each token opens its own, and each has an event.
SELECT bool_and(i.seat = seats.get_seat((i.seat).id)) AS as_stored, bool_and(info.customer_email = (i.seat).customer_email) AS own_token
FROM invited AS i, seats.claim_info(i.invitation_token) AS info;
SELECT e.type, s.customer_email, e.customer_id = s.customer_id AS same_customer, e.occurred_at = s.created_at AS same_time
FROM seats.events AS e JOIN seats.customer_seats AS s ON s.id = e.seat_id ORDER BY e.id;
SELECT seats, assigned_seats, modified_at FROM seats.subscriptions WHERE id = test.id(323);
SELECT email FROM seats.customers WHERE organization_id = test.id(320) ORDER BY email COLLATE "C";

-- Revoked rows are given first, with new ids; each address has the token of its own row, whichever that is.
SELECT count(seats.revoke_seat((seat).id)) AS revoked FROM invited WHERE n <> 2;
CREATE TEMPORARY TABLE invited_again AS
SELECT i.* FROM seats.assign_seats(test.id(323), NULL, ARRAY['d@example.com', 'c@example.com', 'zoe@example.com', 'a@example.com'])
	WITH ORDINALITY AS i (seat, invitation_token, n);
SELECT n, (seat).customer_email, (seat).seat_metadata, (seat).id IN (SELECT (seat).id FROM invited) AS again,
	(seat).modified_at IS NOT NULL AS modified, (seat).revoked_at, (seat).claimed_at
FROM invited_again ORDER BY n;
SELECT bool_and(i.seat = seats.get_seat((i.seat).id)) AS as_stored, bool_and(info.customer_email = (i.seat).customer_email) AS own_token
FROM invited_again AS i, seats.claim_info(i.invitation_token) AS info;
SELECT (test.outcome(format('SELECT seats.claim_info(%L)', invitation_token))).detail FROM invited WHERE n <> 2;
SELECT count(*) AS rows, count(*) FILTER (WHERE status = 'pending') AS pending FROM seats.customer_seats WHERE subscription_id = test.id(323);
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(323);

-- Of an order, and called in the select list. No addresses: no rows, and nothing happens.
SELECT ((seats.assign_seats(NULL, test.id(334), '{x@example.com,y@example.com}')).seat).customer_email;
SELECT test.fingerprint() AS before \gset
SELECT * FROM seats.assign_seats(test.id(323), NULL, '{}');
SELECT * FROM seats.assign_seats(order_id => test.id(324), subscription_id => NULL, emails => '{}', metadata => NULL);
SELECT test.fingerprint() = :'before' AS unchanged;

-- Refused whole: malformed, repeated, held, too many. The hint names all addresses at fault by their places.
\x on
SELECT * FROM test.outcome($$SELECT seats.assign_seats(test.id(333), NULL, ARRAY['a@example.com', 'malformed', NULL, 'b@c@d', ' e@f'])$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seats(test.id(333), NULL, ARRAY['a@example.com', 'b@example.com', 'A@Example.com', 'B@example.com'])$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seats(NULL, test.id(334), ARRAY['a@example.com', 'Y@example.com', 'x@example.com'])$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seats(NULL, test.id(334), ARRAY['a@example.com', 'b@example.com'])$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seats(test.id(333), NULL, ARRAY['a@x', 'b@x', 'c@x', 'd@x'])$$);

-- Repeated and held ones are named together, in their order, as one JSON array, and of a repeated one not the first place.
SELECT (test.outcome($$SELECT seats.assign_seats(NULL, test.id(334), ARRAY['a@example.com', 'A@example.com', 'x@example.com'])$$)).hint;
SELECT (test.outcome($$SELECT seats.assign_seats(NULL, test.id(334), ARRAY['a@example.com', 'x@example.com', 'A@example.com'])$$)).hint;

SELECT hint, substring(hint FROM '\[\[.*\]\]')::jsonb AS places
FROM test.outcome($$SELECT seats.assign_seats(NULL, test.id(334), ARRAY['a@example.com', 'x@example.com', 'b@example.com', 'A@example.com', 'a@Example.com', 'Y@example.com', 'X@example.com'])$$);
SELECT hint, substring(hint FROM '\[\[.*\]\]')::jsonb AS places
FROM test.outcome($$SELECT seats.assign_seats(test.id(333), NULL, ARRAY['a@x', 'b@x', 'c@x', 'd@x', 'e@x'])$$);
-- An invitation that has expired is mentioned.
UPDATE seats.customer_seats SET invitation_token_expires_at = clock_timestamp() WHERE order_id = test.id(334) AND customer_email = 'y@example.com';
SELECT hint FROM test.outcome($$SELECT seats.assign_seats(NULL, test.id(334), ARRAY['x@example.com', 'a@example.com'])$$);
SELECT hint FROM test.outcome($$SELECT seats.assign_seats(NULL, test.id(334), ARRAY['x@example.com', 'a@example.com', 'y@example.com'])$$);

-- All arguments have defaults, as PostgREST calls it; null addresses are at fault.
SELECT state, detail FROM test.outcome($$SELECT seats.assign_seats()$$);
SELECT state, detail FROM test.outcome($$SELECT seats.assign_seats(subscription_id => test.id(333))$$);
BEGIN;
SELECT state FROM test.outcome($$SELECT seats.assign_seats(subscription_id => test.id(333), emails => '{a@x,b@x}')$$);
SELECT state FROM test.outcome($$SELECT seats.assign_seats(order_id => test.id(324), emails => '{a@x}', metadata => '{}')$$);
ROLLBACK;

-- The other errors, in the order of the checks: shape, purchase, organization, status, assigned already, free seats.
SELECT * FROM test.outcome('SELECT seats.assign_seats(NULL, NULL, NULL)');
SELECT * FROM test.outcome($$SELECT seats.assign_seats(test.id(333), test.id(334), '{{a@x},{b@x}}', '[]')$$);
SELECT * FROM test.outcome($$SELECT seats.assign_seats(test.id(999), NULL, '{malformed}')$$);
\x off
SELECT (test.outcome($$SELECT seats.assign_seats(test.id(999), NULL, '{}')$$)).detail AS no_such_subscription,
	(test.outcome($$SELECT seats.assign_seats(NULL, test.id(333), '{a@x,a@x}')$$)).detail AS no_such_order;
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(330);
UPDATE seats.subscriptions SET status = 'incomplete' WHERE id = test.id(333);
UPDATE seats.orders SET status = 'pending' WHERE id = test.id(334);
SELECT (test.outcome($$SELECT seats.assign_seats(test.id(333), NULL, '{}')$$)).detail AS not_enabled;
UPDATE seats.organizations SET seat_based_pricing_enabled = true WHERE id = test.id(330);
SELECT (test.outcome($$SELECT seats.assign_seats(test.id(333), NULL, '{a@x,a@x}')$$)).detail AS not_active,
	(test.outcome($$SELECT seats.assign_seats(NULL, test.id(334), '{}')$$)).detail AS not_paid;
UPDATE seats.subscriptions SET status = 'trialing' WHERE id = test.id(333);
SELECT (test.outcome($$SELECT seats.assign_seats(test.id(333), NULL, '{a@x,b@x,c@x,d@x,a@x}')$$)).detail AS repeated_first;
BEGIN READ ONLY;
SELECT (test.outcome('SELECT seats.assign_seats(NULL, NULL, NULL)')).*;
COMMIT;

-- An array need not start at 1. Rolled back, nothing happened, customers included.
SELECT (i.seat).customer_email FROM seats.assign_seats(test.id(333), NULL, '[5:6]={five@x,six@x}') AS i;
SELECT test.fingerprint() AS before \gset
BEGIN;
SELECT count(*) FROM seats.assign_seats(test.id(333), NULL, '{seven@x}');
ROLLBACK;
SELECT test.fingerprint() = :'before' AS unchanged;

-- A thousand into a thousand free seats, in one statement.
UPDATE seats.subscriptions SET seats = 1005 WHERE id = test.id(323);
SELECT count(*) AS rows, bool_and((i.seat).customer_email = md5(n::text) || '@example.com') AS in_their_order
FROM seats.assign_seats(test.id(323), NULL, ARRAY(SELECT md5(k::text) || '@example.com' FROM generate_series(1, 1000) AS k))
	WITH ORDINALITY AS i (seat, invitation_token, n);
SELECT assigned_seats, seats FROM seats.subscriptions WHERE id = test.id(323);

-- A trigger of the owner's that changes addresses, or keeps customers away, is named rather than waited for.
CREATE FUNCTION test.normalize() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.email := 'other-' || NEW.email; RETURN NEW; END$$;
CREATE TRIGGER normalize BEFORE INSERT ON seats.customers FOR EACH ROW EXECUTE FUNCTION test.normalize();
SELECT (test.outcome($$SELECT seats.assign_seat(test.id(333), email => 'eight@x')$$)).*;
DROP TRIGGER normalize ON seats.customers;
DROP FUNCTION test.normalize;

DROP TABLE invited, invited_again;
SELECT test.clear();
