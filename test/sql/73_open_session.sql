-- open_session() signs in whoever holds a claimed seat, again and however the seat was claimed.
SELECT test.make_organization(730, 5);
SELECT (i.seat).id AS seat, i.invitation_token AS token FROM seats.assign_seat(test.id(733), email => 'Ada@example.com') AS i \gset
SELECT (test.outcome(format('SELECT seats.open_session(%L)', :'seat'))).*;
SELECT customer_session_token AS first FROM seats.claim_seat(:'token', 'key') \gset
SELECT count(*) AS events FROM seats.events \gset

-- The session is the one that authenticate() finds; earlier ones stay; the seat stays as it is; no event.
SELECT o.customer_session_token AS second, to_json(o.session) AS session FROM seats.open_session(:'seat') AS o \gset
SELECT to_json(a)::text = :'session' AS as_authenticated, a.customer_email, a.seat_id = :'seat' AS of_the_seat, a.customer_id = s.customer_id AS of_the_customer,
	a.organization_id = s.organization_id AS of_the_organization, a.expires_at - x.created_at AS lifetime
FROM seats.authenticate(:'second') AS a, seats.customer_seats AS s, seats.customer_sessions AS x
WHERE s.id = :'seat' AND x.expires_at = a.expires_at;
SELECT (seats.authenticate(:'first')).customer_email;
SELECT count(*) - :events AS more_events FROM seats.events;
SELECT json_object_keys(to_json(o)) FROM seats.open_session(:'seat') AS o;
SELECT :'second' ~ '^seats_cst_[0-9A-Za-z]{55}$' AS form, seats.token_route(:'second') = seats.organization_route(test.id(730)) AS route;
SELECT count(*) AS sessions, count(DISTINCT token_hash) AS hashes FROM seats.customer_sessions;
SELECT modified_at = claimed_at AS unmodified FROM seats.customer_seats WHERE id = :'seat';
SELECT seats.end_session(:'second') AS ended, (seats.authenticate(:'first')).customer_email AS the_other;

-- A claim that is answered again ends its own session, and no other; the next time, the one of that answer.
SELECT customer_session_token AS other FROM seats.open_session(:'seat') \gset
SELECT customer_session_token AS retried FROM seats.claim_seat(:'token', 'key') \gset
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'first'))).detail AS first, (seats.authenticate(:'other')).customer_email AS other,
	(seats.authenticate(:'retried')).customer_email AS retried;
SELECT customer_session_token AS first FROM seats.claim_seat(:'token', 'key') \gset
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'retried'))).detail AS retried, (seats.authenticate(:'other')).customer_email AS other,
	(seats.authenticate(:'first')).customer_email AS first;

-- A seat that was claimed at once; one of an order; without the executor for the session, or with it; as a JWT.
SELECT (i.seat).id AS at_once FROM seats.assign_seat(order_id => test.id(734), customer_id => test.id(732), immediate_claim => true) AS i \gset
SELECT (o.session).customer_email FROM seats.open_session(:'at_once') AS o;
SET seats.direct_access = off;
SELECT customer_session_token AS session FROM seats.open_session(:'at_once') \gset
SELECT (seats.authenticate(:'session')).customer_email;
RESET seats.direct_access;
SET seats.session_token_format = 'jwt';
SELECT o.customer_session_token AS jwt FROM seats.open_session(:'at_once') AS o \gset
SELECT :'jwt' ~ '^eyJ' AS is_jwt, (seats.authenticate(:'jwt')).customer_email;
RESET seats.session_token_format;
SET seats.customer_session_ttl = '5min';
SELECT (o.session).expires_at AS expires_at FROM seats.open_session(:'at_once') AS o \gset
SELECT expires_at - created_at AS lifetime FROM seats.customer_sessions WHERE expires_at = :'expires_at';
RESET seats.customer_session_ttl;
-- A customer without an address.
UPDATE seats.customers SET email = NULL WHERE id = test.id(732);
SELECT (o.session).customer_email IS NULL AS none FROM seats.open_session(:'at_once') AS o;

-- Errors, in the order of the checks. Nothing changes.
SELECT (test.outcome('SELECT seats.open_session(NULL)')).detail;
SELECT (test.outcome('SELECT seats.open_session(test.id(999))')).detail;
SELECT (i.seat).id AS pending FROM seats.assign_seat(test.id(733), email => 'bob@example.com') AS i \gset
SELECT (test.outcome(format('SELECT seats.open_session(%L)', :'pending'))).*;
UPDATE seats.organizations SET seat_based_pricing_enabled = false;
SELECT (test.outcome(format('SELECT seats.open_session(%L)', :'pending'))).detail AS pending, (test.outcome(format('SELECT seats.open_session(%L)', :'seat'))).detail AS claimed;
UPDATE seats.organizations SET seat_based_pricing_enabled = true;
SELECT (test.outcome('SET TRANSACTION READ ONLY; SELECT seats.open_session(test.id(999))')).state;

-- All sessions of a seat end with it.
SELECT customer_session_token AS third FROM seats.open_session(:'seat') \gset
SELECT status FROM seats.revoke_seat(:'seat');
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', token))).detail FROM unnest(ARRAY[:'first', :'third']) AS token;
SELECT count(*) AS sessions FROM seats.customer_sessions WHERE seat_id = :'seat';
SELECT (test.outcome(format('SELECT seats.open_session(%L)', :'seat'))).detail AS revoked;

-- A trigger of the owner cannot prevent or end the session unnoticed.
CREATE FUNCTION test.no_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER no_row BEFORE INSERT ON seats.customer_sessions FOR EACH ROW EXECUTE FUNCTION test.no_row();
SELECT (test.outcome(format('SELECT seats.open_session(%L)', :'at_once'))).state;
DROP TRIGGER no_row ON seats.customer_sessions;
CREATE TRIGGER no_row BEFORE UPDATE ON seats.customer_seats FOR EACH ROW EXECUTE FUNCTION test.no_row();
SELECT (test.outcome(format('SELECT seats.open_session(%L)', :'at_once'))).state;
DROP TRIGGER no_row ON seats.customer_seats;
CREATE FUNCTION test.end_it() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM seats.customer_sessions WHERE token_hash = NEW.token_hash; RETURN NULL; END$$;
CREATE TRIGGER end_it AFTER INSERT ON seats.customer_sessions FOR EACH ROW EXECUTE FUNCTION test.end_it();
SELECT (test.outcome(format('SELECT seats.open_session(%L)', :'at_once'))).state;
DROP TRIGGER end_it ON seats.customer_sessions;
DROP FUNCTION test.no_row, test.end_it;
SELECT test.clear();
