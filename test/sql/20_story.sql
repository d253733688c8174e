-- The main job: a seat is assigned, its invitation looked at and claimed, the session used and ended,
-- the seat revoked and given again.
SELECT test.make_organization(200);

SELECT (i.seat).id AS seat, (i.seat).customer_id AS customer, i.invitation_token AS token
FROM seats.assign_seat(test.id(203), email => 'Ann@Example.com', metadata => '{"team": "blue"}') AS i \gset
SELECT status, customer_email, seat_metadata, modified_at IS NULL AS unmodified, claimed_at, revoked_at, order_id,
	invitation_token_expires_at - created_at AS lifetime
FROM seats.customer_seats WHERE id = :'seat';

-- Looking changes nothing, and is allowed in a read-only transaction.
SELECT test.fingerprint() AS before \gset
BEGIN READ ONLY;
SELECT row_to_json(i) FROM seats.claim_info(:'token') AS i;
COMMIT;
SELECT test.fingerprint() = :'before' AS unchanged;

-- The answer is the body of the HTTP contract: all fields, these names, this order, nulls included.
SELECT to_json(c) AS body FROM seats.claim_seat(:'token') AS c \gset
SELECT string_agg(key, ', ' ORDER BY n) AS body FROM json_object_keys(:'body'::json) WITH ORDINALITY AS k (key, n);
SELECT string_agg(key, ', ' ORDER BY n) AS seat FROM json_object_keys(:'body'::json -> 'seat') WITH ORDINALITY AS k (key, n);
SELECT key, value, json_typeof(value) FROM json_each(:'body'::json -> 'seat')
WHERE key IN ('order_id', 'status', 'customer_email', 'revoked_at', 'seat_metadata', 'subscription_id');
SELECT :'body'::json ->> 'customer_session_token' AS session \gset

-- One moment: the seat, its session and the event have the same time, which is the clock's.
SELECT status, claimed_at = modified_at AS same_in_seat, claimed_at = x.created_at AS same_in_session,
	claimed_at = e.occurred_at AS same_in_event, claimed_at > s.created_at AS after_assigned,
	clock_timestamp() - claimed_at < '1 minute' AS is_now, x.expires_at - x.created_at AS lifetime,
	x.customer_id = s.customer_id AND x.organization_id = s.organization_id
	AND e.customer_id = s.customer_id AND e.organization_id = s.organization_id AS same_ids
FROM seats.customer_seats AS s
JOIN seats.customer_sessions AS x ON x.seat_id = s.id
JOIN seats.events AS e ON e.seat_id = s.id AND e.type = 'customer_seat.claimed';

-- In one transaction the clock goes on.
BEGIN;
SELECT now() AS started \gset
SELECT pg_sleep(0.01);
SELECT invitation_token AS second FROM seats.assign_seat(test.id(203), email => 'bob@example.com') \gset
SELECT (c.seat).claimed_at > :'started' AS later_than_the_transaction,
	(c.seat).claimed_at > (c.seat).created_at AS later_than_assigned
FROM seats.claim_seat(:'second') AS c;
ROLLBACK;
SELECT count(*) AS events FROM seats.events;

-- Who am I; again in a read-only transaction.
BEGIN READ ONLY;
SELECT a.customer_id = :'customer' AS customer, a.organization_id = test.id(200) AS organization, a.seat_id = :'seat' AS seat,
	a.customer_email, a.expires_at > clock_timestamp() AS live
FROM seats.authenticate(:'session') AS a;
SELECT string_agg(key, ', ' ORDER BY n) AS fields
FROM json_object_keys((SELECT to_json(a) FROM seats.authenticate(:'session') AS a)) WITH ORDINALITY AS k (key, n);
COMMIT;

-- Claimed: no second claim, and the invitation says so.
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).*;
SELECT can_claim, customer_email FROM seats.claim_info(:'token');

-- Signing out.
SELECT seats.end_session(:'session') AS ended, seats.end_session(:'session') AS again;
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).*;

-- Revoking ends the seat, and is idempotent; it keeps when it was claimed and had expired.
SELECT status, customer_id, customer_email, revoked_at = modified_at AS same_time, claimed_at IS NOT NULL AS keeps_claimed_at,
	invitation_token_expires_at IS NOT NULL AS keeps_expiry, seat_metadata
FROM seats.revoke_seat(:'seat');
SELECT r.revoked_at = s.revoked_at AS as_it_was FROM seats.customer_seats AS s, seats.revoke_seat(s.id) AS r;
SELECT assigned_seats, modified_at FROM seats.subscriptions;
SELECT type, count(*), count(*) FILTER (WHERE customer_id = :'customer') AS of_the_customer, bool_and(metadata ->> 'role' = current_user) AS by_this_role,
	bool_and(metadata ->> 'subscription_id' = test.id(203)::text) AS of_the_subscription, string_agg(DISTINCT metadata ->> 'reason', ' ') AS reason,
	bool_and((seat).id = seat_id AND (seat).status::text = CASE split_part(type, '.', 2) WHEN 'assigned' THEN 'pending' ELSE split_part(type, '.', 2) END) AS as_left
FROM seats.events GROUP BY type ORDER BY type;

-- A revoked seat's row is given again, with a new id; the old token is then unknown, as is the old id.
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).detail;
SELECT invitation_token AS again FROM seats.assign_seat(test.id(203), email => 'carl@example.com') \gset
SELECT id <> :'seat' AS new_id, status, customer_email, claimed_at, revoked_at, seat_metadata,
	modified_at, invitation_token_expires_at - created_at AS lifetime
FROM seats.customer_seats;
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'token'))).detail;
SELECT (c.seat).status, (c.seat).customer_email FROM seats.claim_seat(:'again') AS c;
SELECT count(*) AS rows FROM seats.customer_seats;
SELECT call, (test.outcome(format('SELECT seats.%s(%L)', call, :'seat'))).detail
FROM unnest('{get_seat,revoke_seat,resend_invitation,open_session}'::text[]) AS call;

-- Revoking a claimed seat ends its session from the next statement on.
SELECT (i.seat).id AS seat, i.invitation_token AS token FROM seats.assign_seat(test.id(203), email => 'dora@example.com') AS i \gset
SELECT customer_session_token AS session FROM seats.claim_seat(:'token') \gset
BEGIN;
SELECT (seats.authenticate(:'session')).customer_email;
SELECT status FROM seats.revoke_seat(:'seat');
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail;
COMMIT;
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail;

-- A customer's address that changed later is the one that authenticate() tells.
SELECT invitation_token AS token FROM seats.assign_seat(test.id(203), email => 'eve@example.com') \gset
SELECT customer_session_token AS session FROM seats.claim_seat(:'token') \gset
UPDATE seats.customers SET email = 'eve@new.example' WHERE email = 'eve@example.com';
SELECT customer_email FROM seats.authenticate(:'session');

SELECT test.clear();
