-- Triggers that the owner adds may call the extension, or change purchases, while it is at work itself.
SELECT test.make_organization(650, 5);
CREATE FUNCTION test.add_subscription(number integer) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
	VALUES (test.id(number), test.id(650), test.id(651), test.id(652), 5, 'active')
$$;
SELECT test.add_subscription(n) FROM generate_series(660, 662) AS n;

-- On each change of 653's count, does what test.reaction says.
CREATE TABLE test.reaction (statement text);
CREATE FUNCTION test.react() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id = test.id(653) AND NEW.assigned_seats <> OLD.assigned_seats THEN
		EXECUTE (SELECT statement FROM test.reaction);
	END IF;
	RETURN NEW;
END
$$;
CREATE FUNCTION test.assign_with(reaction text, email text) RETURNS text
LANGUAGE sql AS $$
	DELETE FROM test.reaction;
	INSERT INTO test.reaction VALUES (reaction);
	SELECT o.state || coalesce(' ' || o.message, '')
	FROM test.outcome(format('SELECT seats.assign_seat(test.id(653), email => %L)', email)) AS o
$$;
CREATE FUNCTION test.counts() RETURNS text
LANGUAGE sql AS $$
	SELECT string_agg(format('%s of %s', assigned_seats, seats), ', ' ORDER BY id)
		|| CASE WHEN bool_and(assigned_seats = (SELECT count(*) FROM seats.customer_seats AS s
			WHERE s.subscription_id = p.id AND s.status <> 'revoked')) THEN '' ELSE ': wrong' END
	FROM seats.subscriptions AS p
$$;

-- After the change: the plans in use go stale (ANALYZE) and are used again further in; another purchase is
-- changed, and the same one; what is written to the count has no effect.
CREATE TRIGGER react AFTER UPDATE ON seats.subscriptions FOR EACH ROW EXECUTE FUNCTION test.react();
SELECT test.assign_with('SELECT 1', 'first@example.com');
SELECT test.assign_with('ANALYZE seats.subscriptions; ANALYZE seats.customer_seats; ANALYZE seats.events;
	SELECT seats.assign_seat(test.id(660), email => ''a@example.com'')', 'second@example.com');
SELECT test.assign_with('UPDATE seats.subscriptions SET seats = 6 WHERE id = test.id(661)', 'third@example.com');
SELECT test.assign_with('UPDATE seats.subscriptions SET seats = 9 WHERE id = test.id(653)', 'fourth@example.com');
SELECT test.counts();
SELECT test.assign_with('UPDATE seats.subscriptions SET assigned_seats = assigned_seats + 1 WHERE id = test.id(661)', 'x1@example.com');
SELECT test.assign_with('UPDATE seats.subscriptions SET assigned_seats = assigned_seats + 1 WHERE id = test.id(653)', 'x2@example.com');
SELECT test.counts();
DROP TRIGGER react ON seats.subscriptions;

-- Before it, and before the extension's own trigger.
CREATE TRIGGER a_reaction BEFORE UPDATE ON seats.subscriptions FOR EACH ROW EXECUTE FUNCTION test.react();
SELECT test.assign_with('SELECT seats.assign_seat(test.id(660), email => ''b@example.com'')', 'fifth@example.com');
SELECT test.assign_with('UPDATE seats.subscriptions SET assigned_seats = assigned_seats + 1 WHERE id = test.id(661)', 'x3@example.com');
SELECT test.counts();
DROP TRIGGER a_reaction ON seats.subscriptions;

-- One that suppresses the change of a seat makes the call fail as a whole.
CREATE FUNCTION test.suppress() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
SELECT invitation_token AS token FROM seats.assign_seat(test.id(662), email => 'c@example.com') \gset
CREATE TRIGGER suppress BEFORE INSERT OR UPDATE ON seats.customer_seats FOR EACH ROW EXECUTE FUNCTION test.suppress();
SELECT * FROM test.outcome(format('SELECT seats.claim_seat(%L)', :'token'));
SELECT state FROM test.outcome('SELECT seats.assign_seat(test.id(662), email => ''d@example.com'')');
SELECT state FROM test.outcome('SELECT seats.revoke_seat(id) FROM seats.customer_seats WHERE subscription_id = test.id(662)');
SELECT statement, state FROM unnest(ARRAY['assign_seats(test.id(662), NULL, ''{d@example.com}'')', 'revoke_seats(test.id(662))',
	'resend_invitation((SELECT id FROM seats.customer_seats WHERE subscription_id = test.id(662)))']) AS statement,
	LATERAL test.outcome('SELECT seats.' || statement);
DROP TRIGGER suppress ON seats.customer_seats;
-- One that lets some through, or gives a seat to somebody else, too.
CREATE FUNCTION test.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.customer_email = 'skip@example.com' THEN RETURN NULL; END IF;
	IF NEW.customer_email = 'steal@example.com' THEN NEW.customer_id = test.id(652); END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER meddle BEFORE INSERT ON seats.customer_seats FOR EACH ROW EXECUTE FUNCTION test.meddle();
SELECT emails, state FROM unnest(ARRAY['{d@example.com,skip@example.com}', '{steal@example.com,d@example.com}', '{d@example.com}']) AS emails,
	LATERAL test.outcome(format('SELECT seats.assign_seats(test.id(662), NULL, %L)', emails));
DROP TRIGGER meddle ON seats.customer_seats;

-- One that leaves the extension's columns alone is in nobody's way.
CREATE FUNCTION test.leave() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER leave BEFORE INSERT OR UPDATE ON seats.customer_seats FOR EACH ROW EXECUTE FUNCTION test.leave();
CREATE TRIGGER leave BEFORE INSERT ON seats.customer_sessions FOR EACH ROW EXECUTE FUNCTION test.leave();
SELECT (a.seat).status, (a.seat).id AS seat FROM seats.assign_seat(test.id(662), email => 'left@example.com') AS a \gset
SELECT invitation_token AS token_of_left FROM seats.resend_invitation(:'seat') \gset
SELECT (seat).status FROM seats.claim_seat(:'token_of_left', 'key');
SELECT (seat).status FROM seats.claim_seat(:'token_of_left', 'key');
DROP TRIGGER leave ON seats.customer_sessions;
SELECT status FROM seats.revoke_seat(:'seat');
DROP TRIGGER leave ON seats.customer_seats;
DROP FUNCTION test.leave;

-- So does a result type that was altered, until that is undone.
ALTER TYPE seats.seat_claim_info ADD ATTRIBUTE more text;
SELECT * FROM test.outcome(format('SELECT seats.claim_info(%L)', :'token'));
ALTER TYPE seats.seat_claim_info DROP ATTRIBUTE more;
SELECT state FROM test.outcome(format('SELECT seats.claim_info(%L)', :'token'));
ALTER TYPE seats.customer_seat_claim_response ADD ATTRIBUTE more text;
SELECT state FROM test.outcome(format('SELECT seats.claim_seat(%L)', :'token'));
ALTER TYPE seats.customer_seat_claim_response DROP ATTRIBUTE more;
ALTER TYPE seats.seat_invitation ADD ATTRIBUTE more text;
SELECT state FROM test.outcome('SELECT seats.assign_seats(test.id(662), NULL, ''{e@example.com}'')');
ALTER TYPE seats.seat_invitation DROP ATTRIBUTE more;
SELECT state FROM test.outcome('SELECT seats.assign_seats(test.id(662), NULL, ''{e@example.com}'')');
BEGIN;
ALTER TYPE seats.seat_invitation DROP ATTRIBUTE seat;
SELECT state FROM test.outcome('SELECT seats.assign_seats(test.id(662), NULL, ''{f@example.com}'')');
ROLLBACK;
ALTER TYPE seats.seats_list ADD ATTRIBUTE more text;
SELECT state FROM test.outcome('SELECT seats.list_seats(test.id(662))');
ALTER TYPE seats.seats_list DROP ATTRIBUTE more;
SELECT array_length(seats, 1) FROM seats.list_seats(test.id(662));
-- A column has the type of seats, so PostgreSQL itself refuses to alter it; without the column, functions notice.
ALTER TYPE seats.customer_seat ALTER ATTRIBUTE customer_email TYPE integer;
SET seats.event_sink = 'none';
BEGIN;
ALTER TABLE seats.events DROP COLUMN seat;
ALTER TYPE seats.customer_seat ALTER ATTRIBUTE customer_email TYPE integer;
SELECT state FROM test.outcome(format('SELECT seats.claim_seat(%L)', :'token'));
SELECT statement, state FROM unnest(ARRAY['list_seats(test.id(662))', 'get_seat((SELECT id FROM seats.customer_seats WHERE subscription_id = test.id(662) LIMIT 1))',
	'assign_seats(test.id(662), NULL, ''{f@example.com}'')']) AS statement, LATERAL test.outcome('SELECT seats.' || statement);
ROLLBACK;
RESET seats.event_sink;
SELECT (c.seat).customer_email FROM seats.claim_seat(:'token') AS c;

-- The extension's own trigger functions know their tables and events, and refuse others.
CREATE FUNCTION test.misuse(trigger text, statement text) RETURNS text
LANGUAGE sql AS $$SELECT state || ' ' || message FROM test.outcome('CREATE TRIGGER misuse ' || trigger || '; ' || statement)$$;
SELECT trigger, test.misuse(trigger, statement)
FROM (VALUES
	('BEFORE INSERT ON seats.customers FOR EACH ROW EXECUTE FUNCTION seats.keep_modified_at()', 'INSERT INTO seats.customers (organization_id) VALUES (test.id(650))'),
	('BEFORE DELETE ON seats.products FOR EACH ROW EXECUTE FUNCTION seats.keep_modified_at()', 'DELETE FROM seats.products'),
	('AFTER UPDATE ON seats.products FOR EACH STATEMENT EXECUTE FUNCTION seats.keep_modified_at()', 'UPDATE seats.products SET name = name'),
	('BEFORE UPDATE ON seats.products FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase()', 'UPDATE seats.products SET name = name'),
	('BEFORE DELETE ON seats.orders FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase()', 'DELETE FROM seats.orders'),
	('AFTER UPDATE ON seats.products FOR EACH ROW EXECUTE FUNCTION seats.end_purchase()', 'UPDATE seats.products SET name = name'),
	('AFTER INSERT ON seats.customers FOR EACH ROW EXECUTE FUNCTION seats.end_purchase()', 'INSERT INTO seats.customers (organization_id) VALUES (test.id(650))'),
	('BEFORE UPDATE ON seats.orders FOR EACH ROW EXECUTE FUNCTION seats.end_purchase()', 'UPDATE seats.orders SET seats = seats'),
	('AFTER DELETE ON seats.orders FOR EACH ROW EXECUTE FUNCTION seats.end_purchase()', 'DELETE FROM seats.orders'),
	('AFTER UPDATE ON seats.customers FOR EACH STATEMENT EXECUTE FUNCTION seats.follow_address()', 'UPDATE seats.customers SET name = name'),
	('AFTER UPDATE ON seats.products REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION seats.follow_address()', 'UPDATE seats.products SET name = name'),
	('AFTER UPDATE ON seats.products REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION seats.seats_changed()', 'UPDATE seats.products SET name = name'),
	('AFTER UPDATE ON test.reaction FOR EACH STATEMENT EXECUTE FUNCTION seats.seats_changed()', 'UPDATE test.reaction SET statement = statement')
) AS misuses (trigger, statement);

SELECT test.clear();
DROP FUNCTION test.add_subscription, test.react, test.assign_with, test.counts, test.suppress, test.meddle, test.misuse;
DROP TABLE test.reaction;
