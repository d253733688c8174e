-- stats(): what happened is counted when its transaction commits, errors when they are raised. The server counts from its start on,
-- so what is looked at here is by how much the counts rise.
SELECT test.make_organization(840, 4);
SELECT test.make_organization(850, 4);

-- What was counted before.
CREATE TABLE test.stats_before AS SELECT * FROM seats.stats();
SELECT counted_since <= now() AS since FROM test.stats_before;
-- Every reason in the reference's list of errors, and no other, is counted.
SELECT jsonb_object_keys(failures) AS reason FROM seats.stats() ORDER BY 1;

-- By how much the counts rose since this was called last.
CREATE FUNCTION test.rises(OUT assigned bigint, OUT claimed bigint, OUT revoked bigint, OUT resent bigint, OUT failures jsonb)
LANGUAGE plpgsql AS $$
DECLARE
	before seats.seat_stats;
	after seats.seat_stats;
BEGIN
	SELECT * FROM test.stats_before INTO before;
	after := seats.stats();
	assigned := after.assigned - before.assigned;
	claimed := after.claimed - before.claimed;
	revoked := after.revoked - before.revoked;
	resent := after.resent - before.resent;
	failures := (SELECT jsonb_object_agg(key, value::bigint - (before.failures ->> key)::bigint)
		FROM jsonb_each_text(after.failures) WHERE value::bigint <> (before.failures ->> key)::bigint);
	IF after.counted_since <> before.counted_since THEN
		RAISE 'counters were reset';
	END IF;
	DELETE FROM test.stats_before;
	INSERT INTO test.stats_before SELECT after.*;
END
$$;
SELECT * FROM test.rises();

-- What happens to seats, one and many, in a statement of its own each.
SELECT (i.seat).id AS seat, invitation_token AS token FROM seats.assign_seat(test.id(843), email => 'one@example.com') AS i \gset
SELECT count(*) FROM seats.assign_seats(NULL, test.id(844), '{one@example.com,two@example.com,three@example.com}');
SELECT * FROM test.rises();
SELECT invitation_token AS token FROM seats.resend_invitation(:'seat') \gset
SELECT (c.seat).status FROM seats.claim_seat(:'token', 'key') AS c;
SELECT (i.seat).status FROM seats.assign_seat(test.id(843), email => 'two@example.com', immediate_claim => true) AS i;
SELECT * FROM test.rises();
-- A claim that is answered again is no second one.
SELECT (c.seat).status FROM seats.claim_seat(:'token', 'key') AS c;
SELECT * FROM test.rises();
SELECT status FROM seats.revoke_seat(:'seat');
SELECT status FROM seats.revoke_seat(:'seat');
SELECT seats.revoke_seats(test.id(843));
UPDATE seats.orders SET status = 'refunded' WHERE id = test.id(844);
SELECT * FROM test.rises();
UPDATE seats.orders SET status = 'paid' WHERE id = test.id(844);
-- Wherever events go.
SET seats.event_sink = 'none';
SELECT (i.seat).id AS seat, invitation_token AS token FROM seats.assign_seat(test.id(843), email => 'one@example.com') AS i \gset
SELECT (c.seat).status FROM seats.claim_seat(:'token') AS c;
SET seats.event_sink = 'table';
SELECT * FROM test.rises();
-- House-keeping revokes too.
SELECT (i.seat).status FROM seats.assign_seat(test.id(843), email => 'late@example.com') AS i;
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE customer_email = 'late@example.com';
SELECT seats.release_expired_seats();
SELECT * FROM test.rises();

-- Each error, by its reason. A seat is claimed, one pending, one expired, one revoked.
SELECT invitation_token AS pending, (i.seat).id AS pending_seat FROM seats.assign_seat(order_id => test.id(844), email => 'pending@example.com') AS i \gset
SELECT invitation_token AS expired FROM seats.assign_seat(order_id => test.id(844), email => 'expired@example.com') AS i \gset
SELECT invitation_token AS revoked, (i.seat).id AS revoked_seat FROM seats.assign_seat(order_id => test.id(844), email => 'revoked@example.com') AS i \gset
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE customer_email = 'expired@example.com';
SELECT (seats.revoke_seat(:'revoked_seat')).status;
SELECT (i.seat).status, invitation_token AS foreign FROM seats.assign_seat(test.id(853), email => 'one@example.com') AS i \gset
SELECT (c.seat).status, customer_session_token AS session FROM seats.claim_seat(:'foreign') AS c \gset
UPDATE seats.customer_sessions SET expires_at = now() - interval '1 second';
SELECT (i.seat).status, invitation_token AS switched_off FROM seats.assign_seat(test.id(853), email => 'two@example.com') AS i \gset
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(850);
UPDATE seats.subscriptions SET status = 'incomplete' WHERE id = test.id(843);
INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats) VALUES (test.id(849), test.id(840), test.id(841), test.id(842), 9);
UPDATE seats.orders SET seats = 2 WHERE id = test.id(844);
SELECT * FROM test.rises();
\set ON_ERROR_STOP off
\set VERBOSITY terse
SELECT seats.claim_seat('seats_inv_x');
SELECT seats.claim_seat(:'expired');
SELECT seats.claim_seat(:'token');
SELECT seats.claim_seat(:'revoked');
SELECT seats.assign_seat(order_id => test.id(844), email => 'new@example.com');
SELECT seats.assign_seat(order_id => test.id(844), email => 'pending@example.com');
SELECT seats.resend_invitation(:'seat');
SELECT seats.assign_seat(test.id(843), email => 'new@example.com');
SELECT seats.assign_seat(order_id => test.id(849), email => 'new@example.com');
SELECT seats.authenticate('seats_cst_x');
SELECT seats.authenticate(:'session');
SELECT seats.claim_seat(:'switched_off');
SELECT seats.assign_seat(test.id(1), email => 'new@example.com');
SELECT seats.assign_seat(order_id => test.id(1), email => 'new@example.com');
SELECT seats.assign_seat(order_id => test.id(844), customer_id => test.id(1));
SELECT seats.get_seat(test.id(1));
SELECT seats.claim_seat('');
\set VERBOSITY default
SELECT jsonb_pretty(failures) AS failures, assigned + claimed + revoked + resent AS others FROM test.rises();
-- Those of many addresses with a hint of their own, and those that are caught.
SELECT (test.outcome($$SELECT seats.assign_seats(NULL, test.id(844), '{pending@example.com}')$$)).detail;
SELECT (test.outcome($$SELECT seats.assign_seats(NULL, test.id(844), '{a@example.com,b@example.com}')$$)).detail;
SELECT (test.outcome('SELECT seats.claim_info(NULL)')).state;
SELECT * FROM test.rises();
-- Answers over HTTP count like errors, and as one each.
SELECT seats_http.claim_seat('{"invitation_token": "seats_inv_x"}'::jsonb);
SELECT seats_http.claim_seat('{"invitation_token": 1}'::jsonb);
SELECT seats_http.claim_seat('no JSON'::bytea);
SELECT seats_http.get_claim_info('seats_inv_x');
SELECT * FROM test.rises();
SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', :'pending'))::jsonb #>> '{seat,status}' AS status;
SELECT * FROM test.rises();
-- PostgreSQL's own errors do not count, nor what was done before one.
BEGIN READ ONLY;
SELECT seats.claim_seat('seats_inv_x');
ROLLBACK;
SELECT (i.seat).status, 1 / 0 FROM seats.assign_seat(order_id => test.id(849), email => 'new@example.com') AS i;
SELECT * FROM test.rises();

-- What is rolled back was nothing, whether as a whole or from a savepoint on; what committed within it stays.
UPDATE seats.orders SET status = 'paid' WHERE id = test.id(849);
BEGIN;
SELECT (i.seat).status FROM seats.assign_seat(order_id => test.id(849), email => 'a@example.com') AS i;
SELECT * FROM test.rises();
ROLLBACK;
SELECT * FROM test.rises();
BEGIN;
SELECT (i.seat).id AS a FROM seats.assign_seat(order_id => test.id(849), email => 'a@example.com') AS i \gset
SAVEPOINT one;
SELECT (i.seat).id AS b, invitation_token AS token FROM seats.assign_seat(order_id => test.id(849), email => 'b@example.com') AS i \gset
SELECT (c.seat).status FROM seats.claim_seat(:'token') AS c;
SAVEPOINT two;
SELECT (i.seat).status FROM seats.resend_invitation(:'a') AS i;
RELEASE two;
ROLLBACK TO one;
SAVEPOINT three;
SAVEPOINT four;
SELECT count(*) FROM seats.assign_seats(NULL, test.id(849), '{c@example.com,d@example.com}');
RELEASE four;
RELEASE three;
SAVEPOINT five;
SELECT (seats.revoke_seat(:'a')).status;
SAVEPOINT six;
SELECT (i.seat).status FROM seats.assign_seat(order_id => test.id(849), email => 'e@example.com') AS i;
ROLLBACK TO six;
RELEASE five;
COMMIT;
SELECT * FROM test.rises();
-- An error counts also where a savepoint or the whole is rolled back.
BEGIN;
SAVEPOINT one;
SELECT seats.claim_seat('seats_inv_x');
ROLLBACK TO one;
SELECT (i.seat).status FROM seats.assign_seat(order_id => test.id(849), email => 'f@example.com') AS i;
SELECT seats.claim_seat('seats_inv_x');
COMMIT;
SELECT * FROM test.rises();
-- Six blocks with an exception handler, of which every other one fails.
DO $$
BEGIN
	FOR i IN 1..6 LOOP
		BEGIN
			PERFORM seats.assign_seat(order_id => test.id(849), email => format('loop%s@example.com', i));
			IF i % 2 = 0 THEN
				RAISE 'undo';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT * FROM test.rises();

-- How much there is.
SELECT seats.revoke_seats(test.id(843)) > 0 AS ended, seats.revoke_seats(NULL, test.id(844)) > 0 AS ended_too, seats.revoke_seats(NULL, test.id(849)) > 0 AS and_these;
DELETE FROM seats.customer_sessions;
DELETE FROM seats.events;
SELECT seats.release_expired_seats() AS none;
SELECT open_sessions, expired_sessions, expired_invitations, oldest_event FROM seats.stats();
INSERT INTO seats.customer_sessions
SELECT sha256(n::text::bytea), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now() - interval '1 hour',
	now() + CASE WHEN n <= 3 THEN interval '-1 minute' ELSE interval '1 day' END
FROM generate_series(1, 10002) AS n;
UPDATE seats.organizations SET seat_based_pricing_enabled = true WHERE id = test.id(850);
SELECT (c.seat).status FROM seats.claim_seat(:'switched_off') AS c;
SELECT count(*) FROM seats.assign_seats(NULL, test.id(849), '{a@example.com,b@example.com}');
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE order_id = test.id(849) AND status = 'pending';
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE invitation_token_hash = public.digest(:'switched_off', 'sha256');
SELECT open_sessions > 9999 AS many, expired_sessions, expired_invitations, oldest_event = (SELECT min(occurred_at) FROM seats.events) AS oldest FROM seats.stats();
DELETE FROM seats.customer_sessions WHERE token_hash = sha256('10002');
SELECT open_sessions FROM seats.stats();
SELECT seats.release_expired_seats();
SELECT seats.purge_expired_sessions();
SELECT open_sessions, expired_sessions, expired_invitations FROM seats.stats();
-- From 10,000 on, what is open is estimated.
INSERT INTO seats.customer_sessions
SELECT sha256(n::text::bytea), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), now() + interval '1 day'
FROM generate_series(10002, 30000) AS n;
INSERT INTO seats.customer_sessions
SELECT sha256(n::text::bytea), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), now() - interval '1 day'
FROM generate_series(30001, 30100) AS n;
ANALYZE seats.customer_sessions;
SELECT open_sessions BETWEEN 29500 AND 30500 AS about_right, expired_sessions FROM seats.stats();
DELETE FROM seats.customer_sessions;

-- Who may call it.
CREATE ROLE seats_monitor;
CREATE ROLE seats_backend;
CREATE ROLE seats_others;
GRANT pg_monitor TO seats_monitor;
SELECT seats.grant_access(backend => 'seats_backend', customer => 'seats_others', anonymous => 'seats_others');
SET ROLE seats_monitor;
SELECT assigned > 0 AS told FROM seats.stats();
SET ROLE seats_backend;
SELECT assigned > 0 AS told FROM seats.stats();
SET ROLE seats_others;
SELECT assigned > 0 AS told FROM seats.stats();
RESET ROLE;

SELECT test.clear();
DROP TABLE test.stats_before;
DROP FUNCTION test.rises;
DROP OWNED BY seats_monitor, seats_backend, seats_others;
DROP ROLE seats_monitor, seats_backend, seats_others;
