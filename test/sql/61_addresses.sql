-- The seats of a customer have its address: an UPDATE of customers.email changes them in the same statement.
SELECT test.make_organization(610, 5);
SELECT test.make_organization(620, 5);
INSERT INTO seats.customers (id, organization_id, email, external_id)
SELECT test.id(630 + n), test.id(610), 'person' || n || '@example.com', 'person' || n FROM generate_series(1, 4) AS n;

-- Each seat, whether it has its customer's address, byte for byte, and whether it was modified since it was assigned.
CREATE VIEW test.addresses AS
SELECT s.customer_email, s.status, s.customer_email IS NOT DISTINCT FROM c.email COLLATE "C" AS right, s.modified_at IS NOT NULL AS modified
FROM seats.customer_seats AS s LEFT JOIN seats.customers AS c ON c.id = s.customer_id
ORDER BY s.subscription_id, c.external_id, s.created_at;

SELECT (i.seat).id AS seat, i.invitation_token AS token FROM seats.assign_seat(test.id(613), customer_id => test.id(631)) AS i \gset
SELECT count(seats.assign_seat(test.id(613), customer_id => test.id(631 + n))) FROM generate_series(1, 2) AS n;
SELECT count(seats.assign_seat(order_id => test.id(614), customer_id => test.id(631)));

-- All seats of the customer, and nobody else's; the case of letters counts here.
UPDATE seats.customers SET email = 'Person1@example.com' WHERE id = test.id(631);
SELECT * FROM test.addresses;
UPDATE seats.customers SET email = 'new@example.com', name = 'New' WHERE id = test.id(631);
SELECT * FROM test.addresses;
-- The invitation, the claim, the session and the seat that is sent again show it.
SELECT customer_email, can_claim FROM seats.claim_info(:'token');
SELECT (i.seat).customer_email, i.invitation_token AS token FROM seats.resend_invitation(:'seat') AS i \gset
SELECT :'customer_email' AS sent_to;
SELECT (c.seat).customer_email, (c.seat).status, c.customer_session_token AS session FROM seats.claim_seat(:'token') AS c \gset
SELECT :'customer_email' AS claimed_by, :'status' AS status;
UPDATE seats.customers SET email = 'newest@example.com' WHERE id = test.id(631);
SELECT status, customer_email FROM seats.get_seat(:'seat');
SELECT (seats.authenticate(:'session')).customer_email, ((seats.open_session(:'seat')).session).customer_email AS opened;

-- Null, and back.
UPDATE seats.customers SET email = NULL WHERE id = test.id(632);
SELECT * FROM test.addresses;
SELECT customer_email, i.invitation_token AS token FROM seats.customer_seats AS s, seats.resend_invitation(s.id) AS i WHERE s.customer_id = test.id(632) \gset
SELECT customer_email = '' AS none, can_claim FROM seats.claim_info(:'token');
UPDATE seats.customers SET email = 'again@example.com' WHERE id = test.id(632);
SELECT customer_email, can_claim FROM seats.claim_info(:'token');

-- Many at once, even if they exchange their addresses by way of others; by MERGE, ON CONFLICT, a view, and a WITH.
UPDATE seats.customers SET email = external_id || '@moved.example' WHERE organization_id = test.id(610);
SELECT * FROM test.addresses;
MERGE INTO seats.customers AS c USING (VALUES (test.id(631), 'merged1@example.com'), (test.id(632), 'merged2@example.com')) AS v (id, email) ON c.id = v.id
WHEN MATCHED THEN UPDATE SET email = v.email;
INSERT INTO seats.customers SELECT * FROM seats.customers WHERE id = test.id(633)
ON CONFLICT (id) DO UPDATE SET email = 'conflict@example.com';
SELECT * FROM test.addresses;
CREATE VIEW test.people AS SELECT id, email FROM seats.customers;
UPDATE test.people SET email = 'view@example.com' WHERE id = test.id(631);
WITH moved AS (UPDATE seats.customers SET email = 'with@example.com' WHERE id = test.id(632) RETURNING id) SELECT count(*) FROM moved;
SELECT * FROM test.addresses;
DROP VIEW test.people;

-- A customer that is renamed leaves its seats as they are, row versions too, and so does an address that stays.
SELECT string_agg(xmin || ' ' || ctid::text, ', ' ORDER BY id) AS rows FROM seats.customer_seats \gset
UPDATE seats.customers SET name = 'Somebody', external_id = external_id || 'x';
UPDATE seats.customers SET email = email;
SELECT string_agg(xmin || ' ' || ctid::text, ', ' ORDER BY id) = :'rows' AS untouched FROM seats.customer_seats;

-- Revoked seats have no address and get none. A seat that is assigned afterwards has the new one.
SELECT seats.revoke_seats(test.id(613));
UPDATE seats.customers SET email = 'later@example.com' WHERE id = test.id(631);
SELECT * FROM test.addresses;
SELECT (i.seat).customer_email FROM seats.assign_seat(test.id(613), email => 'LATER@example.com') AS i;
SELECT count(*) AS rows FROM seats.customer_seats WHERE subscription_id = test.id(613);

-- A malformed address, or one that somebody else has, changes nothing.
SELECT state FROM test.outcome('UPDATE seats.customers SET email = ''no address'' WHERE id = test.id(631)');
SELECT state FROM test.outcome('UPDATE seats.customers SET email = ''WITH@example.com'' WHERE id = test.id(631)');
-- Rolled back, nothing happened.
SELECT test.fingerprint() AS before \gset
BEGIN;
UPDATE seats.customers SET email = 'gone@example.com' WHERE id = test.id(631);
SELECT customer_email FROM seats.customer_seats WHERE customer_id = test.id(631);
ROLLBACK;
SELECT test.fingerprint() = :'before' AS unchanged;

-- The backend changes addresses without any right to seats.
CREATE ROLE seats_backend;
SELECT seats.grant_access(backend => 'seats_backend');
SET ROLE seats_backend;
UPDATE seats.customers SET email = 'backend@example.com' WHERE email = 'later@example.com';
RESET ROLE;
SELECT customer_email FROM seats.customer_seats WHERE customer_id = test.id(631);
DROP OWNED BY seats_backend;
DROP ROLE seats_backend;

-- A trigger of the owner cannot keep an old address.
CREATE FUNCTION test.keep_address() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.customer_email := OLD.customer_email; RETURN NEW; END$$;
CREATE TRIGGER keep_address BEFORE UPDATE ON seats.customer_seats FOR EACH ROW EXECUTE FUNCTION test.keep_address();
SELECT state, message FROM test.outcome('UPDATE seats.customers SET email = ''other@example.com'' WHERE id = test.id(631)');
DROP TRIGGER keep_address ON seats.customer_seats;
DROP FUNCTION test.keep_address;

DROP VIEW test.addresses;
SELECT test.clear();
