-- erase_customer() removes a person's data from every table.
SELECT test.make_organization(740, 5);
SELECT test.make_organization(750, 5);
SET request.headers = '{"x-forwarded-for": "192.0.2.77", "user-agent": "Personal Browser"}';
INSERT INTO seats.customers (id, organization_id, email, external_id, name)
VALUES (test.id(761), test.id(740), 'Person@example.com', 'external-person', 'Grace Person'), (test.id(762), test.id(740), 'other@example.com', 'external-other', 'Otto Other');
-- Seats in all states, of a subscription and an order; of the other one too.
SELECT customer_session_token AS session FROM seats.assign_seat(test.id(743), email => 'person@example.com', metadata => '{"who": "Grace Person"}') AS i, seats.claim_seat(i.invitation_token) \gset
SELECT (i.seat).status FROM seats.assign_seat(order_id => test.id(744), email => 'person@example.com', metadata => '{"who": "Grace Person"}') AS i;
SELECT r.status FROM seats.assign_seat(test.id(743), email => 'other@example.com', metadata => '{"who": "Otto Other"}') AS i, seats.revoke_seat((i.seat).id) AS r;
SELECT (c.seat).status FROM seats.assign_seat(test.id(743), email => 'other@example.com', metadata => '{"who": "Otto Other"}') AS i, seats.claim_seat(i.invitation_token) AS c;
SELECT (r.seat).status FROM seats.customer_seats AS s, seats.resend_invitation(s.id) AS r WHERE s.order_id = test.id(744);
RESET request.headers;

-- All rows of all tables of the extension that have a word in any column, as text.
CREATE FUNCTION test.rows_with(word text) RETURNS TABLE (relation text, n bigint)
LANGUAGE plpgsql AS $$
BEGIN
	FOR relation IN
		SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace = 'seats'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname
	LOOP
		EXECUTE format('SELECT count(*) FROM %s AS r WHERE r::text ILIKE %L', relation, '%' || word || '%') INTO n;
		IF n > 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
CREATE FUNCTION test.found() RETURNS TABLE (word text, tables text)
LANGUAGE sql AS $$
	SELECT w, (SELECT string_agg(r.relation || ' ' || r.n, ', ') FROM test.rows_with(w) AS r)
	FROM unnest('{person@example,external-person,Grace Person,192.0.2.77,Personal Browser,other@example,external-other,Otto Other}'::text[]) WITH ORDINALITY AS u (w, place) ORDER BY place
$$;
SELECT * FROM test.found();

SELECT count(*) AS events FROM seats.events \gset
SELECT seats.erase_customer(test.id(761));
-- The other's address and user agent are still there, since they used the same; of this customer's events none has them.
SELECT * FROM test.found();
SELECT count(*) AS with_address FROM seats.events WHERE customer_id = test.id(761) AND metadata ?| '{address,user_agent}';
SELECT count(*) AS customers FROM seats.customers WHERE id = test.id(761);
SELECT (test.outcome(format('SELECT seats.authenticate(%L)', :'session'))).detail;
SELECT status, count(*), count(customer_id) AS held FROM seats.customer_seats GROUP BY status ORDER BY status;
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(743);
-- Events stay, with all else that they say, and there is one for each seat that was revoked.
SELECT count(*) - :events AS more_events FROM seats.events;
SELECT type, metadata - 'role' - 'subscription_id' - 'order_id' AS metadata, (seat).status, (seat).id = seat_id AS same_seat, (seat).customer_id = customer_id AS holder,
	(seat).invitation_token_expires_at IS NOT NULL AS expiry, (seat).customer_email, (seat).seat_metadata,
	coalesce(metadata ->> 'subscription_id', metadata ->> 'order_id')::uuid IN ((seat).subscription_id, (seat).order_id) AS of_the_purchase
FROM seats.events WHERE customer_id = test.id(761) ORDER BY id;
-- The address may be used again, for somebody new.
SELECT (i.seat).customer_id <> test.id(761) AS somebody_new FROM seats.assign_seat(test.id(743), email => 'person@example.com') AS i;

-- Whoever pays is kept, without the data; ended purchases count too.
UPDATE seats.customers SET name = 'Paul Payer' WHERE id IN (test.id(742), test.id(752));
UPDATE seats.subscriptions SET status = 'canceled' WHERE id = test.id(753);
DELETE FROM seats.orders WHERE id = test.id(754);
SELECT (i.seat).status FROM seats.assign_seat(test.id(743), customer_id => test.id(742), immediate_claim => true) AS i;
SELECT seats.erase_customer(test.id(742)) AS seats, seats.erase_customer(test.id(752)) AS none;
SELECT id, email, external_id, name, modified_at IS NOT NULL AS modified FROM seats.customers WHERE id IN (test.id(742), test.id(752)) ORDER BY id;
-- Again it finds nothing to do; once nothing refers to the customer, the row goes.
SELECT seats.erase_customer(test.id(752));
DELETE FROM seats.subscriptions WHERE id = test.id(753);
SELECT seats.erase_customer(test.id(752));
SELECT count(*) FROM seats.customers WHERE id = test.id(752);

-- Errors. The organization's permission is not needed.
SELECT (test.outcome('SELECT seats.erase_customer(NULL)')).detail;
SELECT (test.outcome('SELECT seats.erase_customer(test.id(999))')).*;
SELECT (test.outcome('SET TRANSACTION READ ONLY; SELECT seats.erase_customer(test.id(762))')).state;
BEGIN;
UPDATE seats.organizations SET seat_based_pricing_enabled = false;
SELECT seats.erase_customer(test.id(762));
ROLLBACK;
-- A suspended seat is revoked, too.
BEGIN;
UPDATE seats.subscriptions SET status = 'paused' WHERE id = test.id(743);
SELECT seats.erase_customer(test.id(762));
SELECT string_agg(split_part(type, '.', 2), ' ' ORDER BY id) FROM seats.events WHERE customer_id = test.id(762);
ROLLBACK;
-- A table of the application's that refers to the customer must let go first.
CREATE TABLE test.profiles (customer_id uuid REFERENCES seats.customers);
INSERT INTO test.profiles VALUES (test.id(762));
SELECT (test.outcome('SELECT seats.erase_customer(test.id(762))')).state;
DROP TABLE test.profiles;
-- Events of 1.0 have no seat, and get none.
INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at, metadata)
VALUES ('customer_seat.claimed', test.id(763), test.id(740), test.id(762), now(), '{"role": "old", "address": "192.0.2.78"}');
-- Triggers of the owner that would keep data.
CREATE FUNCTION test.keep_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
SELECT relation, (test.outcome(format('CREATE TRIGGER keep_row BEFORE %s ON %s FOR EACH ROW EXECUTE FUNCTION test.keep_row(); SELECT seats.erase_customer(%L)', event, relation, customer))).state
FROM (VALUES ('UPDATE', 'seats.customer_seats', test.id(762)), ('DELETE', 'seats.customers', test.id(762)), ('UPDATE', 'seats.events', test.id(762)),
	('DELETE', 'seats.customer_sessions', test.id(762))) AS v (event, relation, customer);
UPDATE seats.customers SET name = 'Paul Payer' WHERE id = test.id(742);
SELECT (test.outcome('CREATE TRIGGER keep_row BEFORE UPDATE ON seats.customers FOR EACH ROW EXECUTE FUNCTION test.keep_row(); SELECT seats.erase_customer(test.id(742))')).state;
DROP FUNCTION test.keep_row;
SELECT seats.erase_customer(test.id(762));
SELECT type, metadata, seat IS NOT DISTINCT FROM NULL AS no_seat FROM seats.events WHERE metadata ->> 'role' = 'old';
SELECT * FROM test.found();

DROP FUNCTION test.found, test.rows_with;
SELECT test.clear();
