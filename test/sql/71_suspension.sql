-- A subscription that is paused or unpaid keeps its seats, and nobody can use them until it is neither.
SELECT test.make_organization(710, 5);
CREATE FUNCTION test.reason(statement text) RETURNS text
LANGUAGE sql AS $$SELECT coalesce(nullif(concat_ws(' ', state, message, detail), '00000'), 'done') FROM test.outcome(statement)$$;

SELECT (i.seat).id AS pending, i.invitation_token AS pending_token FROM seats.assign_seat(test.id(713), email => 'pending@example.com') AS i \gset
SELECT (i.seat).id AS claimed, i.invitation_token AS claimed_token FROM seats.assign_seat(test.id(713), email => 'claimed@example.com') AS i \gset
SELECT customer_session_token AS session FROM seats.claim_seat(:'claimed_token', 'key') \gset
SELECT (i.seat).id AS at_once FROM seats.assign_seat(test.id(713), email => 'once@example.com', immediate_claim => true) AS i \gset
SELECT (i.seat).id AS revoked FROM seats.assign_seat(test.id(713), email => 'revoked@example.com') AS i \gset
SELECT status FROM seats.revoke_seat(:'revoked');
CREATE VIEW test.suspended AS
SELECT c.email, s.status, s.suspended_at IS NOT NULL AS suspended, s.expiry_watched,
	(SELECT count(*) FROM seats.customer_sessions AS x WHERE x.seat_id = s.id) AS sessions,
	(SELECT string_agg(split_part(e.type, '.', 2), ' ' ORDER BY e.id) FROM seats.events AS e WHERE e.seat_id = s.id) AS events
FROM seats.customer_seats AS s LEFT JOIN seats.customers AS c ON c.id = s.customer_id ORDER BY c.email;

-- The seats are kept and counted, sessions are over, and each seat that is not revoked has an event. modified_at stays.
SELECT json_agg(s ORDER BY s.id) AS seats FROM (SELECT (to_jsonb(s) - 'suspended_at') AS s, id FROM seats.customer_seats AS s) AS s \gset
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(713);
SELECT * FROM test.suspended;
SELECT json_agg(s ORDER BY s.id)::text = :'seats' AS else_unchanged FROM (SELECT (to_jsonb(s) - 'suspended_at') AS s, id FROM seats.customer_seats AS s) AS s;
SELECT p.assigned_seats, available_seats, total_seats FROM seats.subscriptions AS p, seats.list_seats(p.id) WHERE p.id = test.id(713);
SELECT count(DISTINCT suspended_at) AS times, bool_and(s.suspended_at = e.occurred_at AND (e.seat).id = s.id AND (e.seat).status = s.status
	AND e.metadata ->> 'subscription_id' = s.subscription_id::text AND NOT e.metadata ? 'reason') AS as_events_say
FROM seats.customer_seats AS s JOIN seats.events AS e ON e.seat_id = s.id AND e.type = 'customer_seat.suspended';

-- What cannot be done meanwhile; what can.
SELECT test.reason(format('SELECT seats.claim_seat(%L)', :'pending_token')) AS claim;
SET seats.direct_access = off;
SELECT test.reason(format('SELECT seats.claim_seat(%L)', :'pending_token')) AS claim;
SELECT can_claim, customer_email FROM seats.claim_info(:'pending_token');
RESET seats.direct_access;
SELECT can_claim, customer_email FROM seats.claim_info(:'pending_token');
SELECT test.reason(format('SELECT seats.claim_seat(%L, ''key'')', :'claimed_token')) AS retry;
SELECT test.reason(format('SELECT seats.claim_seat(%L)', :'claimed_token')) AS claimed_already;
SELECT test.reason(format('SELECT seats.authenticate(%L)', :'session')) AS session;
SELECT test.reason(format('SELECT seats.resend_invitation(%L)', :'pending')) AS resend;
SELECT test.reason(format('SELECT seats.resend_invitation(%L)', :'claimed')) AS resend_claimed;
SELECT test.reason(format('SELECT seats.open_session(%L)', :'claimed')) AS open_session;
SELECT test.reason(format('SELECT seats.open_session(%L)', :'pending')) AS open_session_of_pending;
SELECT test.reason('SELECT seats.assign_seat(test.id(713), email => ''new@example.com'')') AS assign;
SELECT status FROM seats.get_seat(:'pending');
BEGIN;
SELECT status, seat_metadata FROM seats.revoke_seat(:'pending');
SELECT seats.revoke_seats(test.id(713)), (SELECT count(*) FROM seats.customer_seats WHERE suspended_at IS NOT NULL) AS suspended_before;
SELECT count(*) AS suspended FROM seats.customer_seats WHERE suspended_at IS NOT NULL;
ROLLBACK;
-- The hint says what to do.
SELECT hint FROM test.outcome(format('SELECT seats.resend_invitation(%L)', :'pending'));
-- The order of checks: expired before suspended, suspended before the organization, and that before in others.
BEGIN;
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 minute' WHERE id = :'pending';
SELECT test.reason(format('SELECT seats.claim_seat(%L)', :'pending_token'));
ROLLBACK;
BEGIN;
UPDATE seats.organizations SET seat_based_pricing_enabled = false;
SELECT test.reason(format('SELECT seats.claim_seat(%L)', :'pending_token'));
SELECT test.reason(format('SELECT seats.resend_invitation(%L)', :'pending'));
SELECT test.reason(format('SELECT seats.open_session(%L)', :'claimed'));
ROLLBACK;

-- Over HTTP a claim says what all failed claims say, and the rest that no seat is available.
SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', :'pending_token')) AS claim, current_setting('response.status') AS status;
SELECT seats_http.resend_invitation(:'pending') AS resend, current_setting('response.status') AS status;

-- my_seats leaves them out, for customers and for the owner.
CREATE ROLE seats_customer;
SELECT seats.grant_access(customer => 'seats_customer');
SELECT json_build_object('sub', customer_id) AS claims FROM seats.customer_seats WHERE id = :'claimed' \gset
SET request.jwt.claims = :'claims';
SET ROLE seats_customer;
SELECT count(*) FROM seats.my_seats;
SELECT count(id) FROM seats.customer_seats;
RESET ROLE;
SELECT count(*) FROM seats.my_seats;

-- From paused to unpaid, and back, nothing happens to the seats.
SELECT string_agg(xmin || ' ' || ctid::text, ', ' ORDER BY id) AS rows FROM seats.customer_seats \gset
SELECT count(*) AS events FROM seats.events \gset
UPDATE seats.subscriptions SET status = 'unpaid' WHERE id = test.id(713);
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(713);
SELECT string_agg(xmin || ' ' || ctid::text, ', ' ORDER BY id) = :'rows' AS untouched FROM seats.customer_seats;
SELECT count(*) - :events AS more_events FROM seats.events;

-- House-keeping passes over expired invitations, and does not look at them twice; resuming makes it watch them again.
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 minute' WHERE id = :'pending';
SELECT expired_invitations FROM seats.stats();
SELECT seats.release_expired_seats(), (SELECT expired_invitations FROM seats.stats());
SELECT expired_invitations FROM seats.stats();
SELECT * FROM test.suspended;
UPDATE seats.customer_seats SET invitation_token_expires_at = now() + interval '1 hour' WHERE id = :'pending';

-- All of that is over for those who claimed and those who had not.
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(713);
SELECT * FROM test.suspended;
SET ROLE seats_customer;
SELECT count(*) FROM seats.my_seats;
RESET ROLE;
RESET request.jwt.claims;
DROP OWNED BY seats_customer;
DROP ROLE seats_customer;
SELECT test.reason(format('SELECT seats.authenticate(%L)', :'session')) AS session_stays_ended;
SELECT (c.seat).status FROM seats.claim_seat(:'claimed_token', 'key') AS c;
SELECT (c.seat).status, (c.seat).customer_email FROM seats.claim_seat(:'pending_token') AS c;
SELECT ((seats.open_session(:'at_once')).session).customer_email;

-- Any status that is neither suspended nor ended resumes; those that end revoke suspended seats too.
DO $$
DECLARE
	next text;
BEGIN
	FOREACH next IN ARRAY '{unpaid,trialing,unpaid,past_due,paused,incomplete,paused,active,paused,canceled}'::text[] LOOP
		UPDATE seats.subscriptions SET status = next WHERE id = test.id(713);
		RAISE INFO '%: %', next, (SELECT string_agg(format('%s%s', status, CASE WHEN suspended THEN ' suspended' END), ', ' ORDER BY email) FROM test.suspended);
	END LOOP;
END
$$;
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(713);
SELECT metadata ->> 'reason' AS reason, count(*) FROM seats.events WHERE type = 'customer_seat.revoked' GROUP BY 1 ORDER BY 1;

-- By whatever statement the status changes.
UPDATE seats.subscriptions SET status = 'active';
SELECT test.make_organization(720, 2);
SELECT (seats.assign_seat(p.id, email => 'a@example.com')).invitation_token IS NOT NULL AS assigned FROM seats.subscriptions AS p;
CREATE VIEW test.states AS
SELECT p.id, p.status, count(s.id) AS seats, count(s.suspended_at) AS suspended
FROM seats.subscriptions AS p LEFT JOIN seats.customer_seats AS s ON s.subscription_id = p.id AND s.customer_id IS NOT NULL GROUP BY p.id, p.status ORDER BY p.id;
UPDATE seats.subscriptions SET status = 'unpaid';
SELECT * FROM test.states;
MERGE INTO seats.subscriptions AS p USING (VALUES (test.id(713), 'active'), (test.id(723), 'paused')) AS v (id, status) ON p.id = v.id
WHEN MATCHED THEN UPDATE SET status = v.status;
SELECT * FROM test.states;
INSERT INTO seats.subscriptions SELECT * FROM seats.subscriptions
ON CONFLICT (id) DO UPDATE SET status = CASE EXCLUDED.status WHEN 'active' THEN 'paused' ELSE 'active' END;
SELECT * FROM test.states;
CREATE VIEW test.purchases AS SELECT id, status FROM seats.subscriptions;
UPDATE test.purchases SET status = CASE status WHEN 'active' THEN 'unpaid' ELSE 'trialing' END;
WITH paused AS (UPDATE test.purchases SET status = 'paused' WHERE status = 'trialing' RETURNING id) SELECT count(*) FROM paused;
SELECT * FROM test.states;
DROP VIEW test.purchases;
-- Lowering below what is assigned is refused as before; orders are not suspended.
SELECT test.reason('UPDATE seats.subscriptions SET status = ''active'', seats = 0 WHERE id = test.id(723)');
SELECT state, message FROM test.outcome('UPDATE seats.orders SET status = ''paused''');
UPDATE seats.orders SET status = 'draft' WHERE id = test.id(724);
SELECT test.reason('SELECT seats.assign_seat(order_id => test.id(724), email => ''a@example.com'')');

-- No statement makes a seat suspended, or not, against the status of its subscription, not even the owner's.
SELECT test.reason('UPDATE seats.customer_seats SET suspended_at = NULL WHERE subscription_id = test.id(723) AND suspended_at IS NOT NULL');
SELECT test.reason(format('INSERT INTO seats.customer_seats (organization_id, subscription_id, status, customer_id, claimed_at) VALUES (%L, %L, ''claimed'', %L, now())', test.id(720), test.id(723), test.id(722)));
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(723);
SELECT test.reason('UPDATE seats.customer_seats SET suspended_at = now() WHERE subscription_id = test.id(723)');
SELECT test.reason(format('INSERT INTO seats.customer_seats (organization_id, subscription_id, status, customer_id, claimed_at, suspended_at) VALUES (%L, %L, ''claimed'', %L, now(), now())', test.id(720), test.id(723), test.id(722)));
SELECT state, message FROM test.outcome('UPDATE seats.customer_seats SET suspended_at = now() WHERE status = ''revoked''');
-- Revoked by the owner or deleted, a suspended seat leaves the count right.
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(723);
BEGIN;
UPDATE seats.customer_seats SET status = 'revoked', revoked_at = now(), customer_id = NULL, customer_email = NULL, suspended_at = NULL WHERE subscription_id = test.id(723);
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(723);
ROLLBACK;
SELECT count(*) AS events FROM seats.events \gset
DELETE FROM seats.customer_seats WHERE subscription_id = test.id(723);
SELECT count(*) - :events AS no_events FROM seats.events;
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(723);
-- The events of a purchase that is deleted while it is suspended.
DELETE FROM seats.subscriptions WHERE id = test.id(713);
SELECT type, metadata ->> 'reason' AS reason, (seat).status FROM seats.events ORDER BY id DESC LIMIT 1;

-- Triggers of the owner: one that revokes the seats itself, before or after; one that resumes at once; one that keeps a seat in use.
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(723);
SELECT (i.seat).status FROM seats.assign_seat(test.id(723), email => 'b@example.com', immediate_claim => true) AS i;
CREATE FUNCTION test.on_pause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.status = 'paused' AND TG_ARGV[0] = 'revoke' THEN
		PERFORM seats.revoke_seats(NEW.id);
	ELSIF NEW.status = 'paused' AND TG_ARGV[0] = 'resume' THEN
		UPDATE seats.subscriptions SET status = 'active' WHERE id = NEW.id;
	END IF;
	RETURN NULL;
END
$$;
BEGIN;
CREATE TRIGGER a_revoke AFTER UPDATE ON seats.subscriptions FOR EACH ROW EXECUTE FUNCTION test.on_pause('revoke');
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(723);
SELECT * FROM test.states WHERE id = test.id(723);
ROLLBACK;
BEGIN;
CREATE TRIGGER z_revoke AFTER UPDATE ON seats.subscriptions FOR EACH ROW EXECUTE FUNCTION test.on_pause('revoke');
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(723);
SELECT * FROM test.states WHERE id = test.id(723);
ROLLBACK;
BEGIN;
CREATE TRIGGER a_resume AFTER UPDATE ON seats.subscriptions FOR EACH ROW EXECUTE FUNCTION test.on_pause('resume');
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(723);
SELECT * FROM test.states WHERE id = test.id(723);
ROLLBACK;
BEGIN;
CREATE TRIGGER z_resume AFTER UPDATE ON seats.subscriptions FOR EACH ROW EXECUTE FUNCTION test.on_pause('resume');
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(723);
SELECT * FROM test.states WHERE id = test.id(723);
ROLLBACK;
CREATE FUNCTION test.keep_in_use() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.suspended_at := NULL; RETURN NEW; END$$;
CREATE TRIGGER keep_in_use BEFORE UPDATE ON seats.customer_seats FOR EACH ROW EXECUTE FUNCTION test.keep_in_use();
SELECT test.reason('UPDATE seats.subscriptions SET status = ''paused'' WHERE id = test.id(723)');
DROP TRIGGER keep_in_use ON seats.customer_seats;
DROP FUNCTION test.keep_in_use;
DROP FUNCTION test.on_pause;

DROP VIEW test.suspended, test.states;
DROP FUNCTION test.reason;
SELECT test.clear();
SELECT count(*) AS sessions FROM seats.customer_sessions;
