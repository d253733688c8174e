-- What a role can do that was granted only the functions, or only the application's tables.
CREATE ROLE seats_anonymous;
CREATE ROLE seats_application;
GRANT USAGE ON SCHEMA seats TO seats_anonymous, seats_application;
GRANT EXECUTE ON FUNCTION seats.claim_seat, seats.claim_info TO seats_anonymous;
GRANT SELECT, INSERT, UPDATE, DELETE ON seats.organizations, seats.products, seats.customers, seats.subscriptions, seats.orders
	TO seats_application;
GRANT EXECUTE ON FUNCTION seats.assign_seat TO seats_application;
GRANT USAGE ON SCHEMA test TO seats_application;

-- The application writes its own records and assigns seats; the triggers keep theirs with the owner's rights.
SET ROLE seats_application;
SELECT test.make_organization(750);
UPDATE seats.products SET name = 'Renamed' WHERE id = test.id(751);
SELECT invitation_token AS token FROM seats.assign_seat(test.id(753), email => 'a@example.com') \gset
SELECT (i.seat).status FROM seats.assign_seat(order_id => test.id(754), email => 'a@example.com', immediate_claim => true) AS i;
UPDATE seats.orders SET status = 'refunded' WHERE id = test.id(754);
SELECT assigned_seats, modified_at IS NOT NULL AS modified FROM seats.orders;
DELETE FROM seats.orders;
UPDATE seats.subscriptions SET assigned_seats = 0;
SELECT assigned_seats FROM seats.subscriptions;
SELECT * FROM seats.customer_seats;
UPDATE seats.customer_seats SET status = 'claimed';
DELETE FROM seats.customer_sessions;
SELECT * FROM seats.events;
SELECT seats.claim_seat(:'token');
RESET ROLE;

-- The anonymous role claims and looks, and that is all.
SET ROLE seats_anonymous;
SELECT can_claim FROM seats.claim_info(:'token');
SELECT (c.seat).status FROM seats.claim_seat(:'token') AS c;
SELECT seats.assign_seat('00000000-0000-4000-8000-000000000753', email => 'b@example.com');
SELECT seats.revoke_seat('00000000-0000-4000-8000-000000000753');
SELECT seats.authenticate('x');
SELECT * FROM seats.customer_seats;
SELECT * FROM seats.organizations;
RESET ROLE;

-- Settings that would lengthen a session are not a caller's to change.
SET ROLE seats_anonymous;
SET seats.customer_session_ttl = '30d';
SET seats.invitation_ttl = '30d';
SET seats.event_sink = 'table';
RESET ROLE;
SELECT statement, (test.outcome(statement)).state
FROM unnest(ARRAY['SET LOCAL seats.customer_session_ttl = ''365d''', 'SET LOCAL seats.customer_session_ttl = ''366d''',
	'SET LOCAL seats.customer_session_ttl = 0', 'SET LOCAL seats.customer_session_ttl = -1', 'SET LOCAL seats.invitation_ttl = ''1s''',
	'SET LOCAL seats.invitation_ttl = 0', 'SET LOCAL seats.invitation_ttl = ''3650d''', 'SET LOCAL seats.invitation_ttl = ''3651d''',
	'SET LOCAL seats.event_sink = ''nowhere''', 'SET LOCAL seats.no_such_setting = 1']) AS statement;

SELECT test.clear();
DROP OWNED BY seats_anonymous, seats_application;
DROP ROLE seats_anonymous, seats_application;
