-- Importing those who were members before: claimed seats without invitations, for customers who are found or made.
SELECT test.make_organization(330, 20);
SELECT test.make_organization(340, 1);
CREATE VIEW test.imported AS
SELECT c.email, c.external_id, c.modified_at IS NOT NULL AS modified, s.status, s.claimed_at, s.customer_email
FROM seats.customer_seats AS s LEFT JOIN seats.customers AS c ON c.id = s.customer_id
WHERE s.subscription_id = test.id(333) ORDER BY c.email COLLATE "C", c.external_id;

-- By address, by external id, by both. Who is known is found by the external id, which the payer has already, and left as it is; or
-- by the address, whatever its case, and given the external id.
INSERT INTO seats.customers (organization_id, email, external_id, name)
VALUES (test.id(330), 'Known@example.com', NULL, 'Known'), (test.id(330), 'both@example.com', 'both', 'Both');
SELECT seats.import_seats(test.id(333), NULL,
	'{new@example.com,known@EXAMPLE.com,NULL,other@example.com,both@example.com,NULL}',
	'{NULL,k,payer,both,NULL,made}',
	'{2020-01-02 03:04:05+00,NULL,2021-01-01 00:00:00+00,NULL,NULL,NULL}');
-- Only both is there twice, so nothing of that remains.
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{new@example.com,other@example.com,both@example.com}', '{NULL,both,NULL}')$$);
SELECT seats.import_seats(test.id(333), NULL,
	'{new@example.com,known@EXAMPLE.com,NULL,other@example.com,NULL}',
	'{NULL,k,payer,both,made}',
	'{2020-01-02 03:04:05+00,NULL,2021-01-01 00:00:00+00,NULL,NULL}');
SELECT email, external_id, modified, status, claimed_at < '2022-01-01' AS given, customer_email FROM test.imported;
SELECT claimed_at AT TIME ZONE 'UTC' AS claimed_at FROM test.imported WHERE claimed_at < '2022-01-01' ORDER BY 1;
SELECT bool_and(s.created_at = e.occurred_at AND (s.claimed_at = s.created_at OR s.claimed_at < '2022-01-01')) AS at_once,
	bool_and(s.invitation_token_hash IS NULL AND s.invitation_token_expires_at IS NULL AND NOT s.expiry_watched) AS without_invitation,
	count(*), e.type, e.metadata - 'role' - 'subscription_id' AS metadata
FROM seats.events AS e JOIN seats.customer_seats AS s ON s.id = e.seat_id GROUP BY e.type, e.metadata;
SELECT count(*) FROM seats.customer_sessions;
SELECT assigned_seats FROM seats.subscriptions WHERE id = test.id(333);

-- Rows of revoked seats are given again; an order; one array alone; nobody.
SELECT seats.revoke_seats(test.id(333));
SELECT seats.import_seats(test.id(333), external_customer_ids => '{made,k}');
SELECT count(*), count(*) FILTER (WHERE status = 'claimed') AS claimed FROM test.imported;
SELECT seats.import_seats(order_id => test.id(334), emails => '{a@example.com,b@example.com}', claimed_at => '{yesterday,NULL}');
SELECT seats.import_seats(test.id(333), NULL, '{}'), seats.import_seats(test.id(333), NULL, '{}', '{}', '{}'),
	seats.import_seats(test.id(333), external_customer_ids => '{}');
-- The number of seats is raised up to the limit, and each event says so.
UPDATE seats.subscriptions SET seats_limit = 3 WHERE id = test.id(343);
SELECT seats.import_seats(test.id(343), NULL, '{a@example.com,b@example.com}');
SELECT seats, assigned_seats, modified_at IS NOT NULL AS modified FROM seats.subscriptions WHERE id = test.id(343);
SELECT metadata ->> 'seats' AS seats, metadata ->> 'imported' AS imported FROM seats.events WHERE metadata ->> 'subscription_id' = test.id(343)::text;

-- The same customer in two ways, known or not: the later place is at fault.
\x on
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{x@example.com,y@example.com,X@example.com}')$$);
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{x@example.com,X@example.com}', '{NULL,x}')$$);
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{x@example.com,y@example.com,NULL}', '{x,x,x}')$$);
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{a@example.com,b@example.com}', '{x,x}')$$);
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), external_customer_ids => '{x,made,x}')$$);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{x@example.com,X@example.com}', '{x,y}')$$);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{a@example.com,A@example.com}', '{x,y}')$$);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{z@example.com,both@example.com}', '{z,other}')$$);
-- Faults of the arguments.
SELECT * FROM test.outcome('SELECT seats.import_seats()');
SELECT * FROM test.outcome('SELECT seats.import_seats(test.id(333))');
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{a@example.com,NULL,b}', '{x,NULL,""}', '{tomorrow,infinity,-infinity}')$$);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), external_customer_ids => '{NULL}')$$);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{NULL}')$$);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{a@example.com}', '{x,y}')$$);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{a@example.com}', NULL, '{}')$$);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{{a@example.com},{b@example.com}}', '{{x}}')$$);
-- Faults of the state, in their order.
SELECT * FROM test.outcome($$SELECT seats.import_seats(test.id(399), NULL, '{a@example.com}')$$);
SELECT * FROM test.outcome($$SELECT seats.import_seats(test.id(343), NULL, '{c@example.com,d@example.com}')$$);
SELECT * FROM test.outcome($$SELECT seats.import_seats(test.id(343), NULL, '{c@example.com,NULL}', '{NULL,nobody}')$$);
UPDATE seats.subscriptions SET status = 'incomplete' WHERE id = test.id(343);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(343), NULL, '{a@example.com}')$$);
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(340);
SELECT detail FROM test.outcome($$SELECT seats.import_seats(test.id(343), NULL, '{a@example.com}')$$);
BEGIN READ ONLY;
SELECT * FROM test.outcome('SELECT seats.import_seats()');
COMMIT;
\x off

-- A trigger of the owner that keeps customers from being made, or takes the external id away.
CREATE FUNCTION test.interfere() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		RETURN NULL;
	END IF;
	NEW.external_id := NULL;
	RETURN NEW;
END
$$;
CREATE TRIGGER interfere BEFORE INSERT OR UPDATE ON seats.customers FOR EACH ROW EXECUTE FUNCTION test.interfere();
SELECT state, message FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{nobody@example.com}')$$);
SELECT state, message FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{new@example.com}', '{new}')$$);
DROP TRIGGER interfere ON seats.customers;

-- A longer way: each external id is known only once the one before has been given.
INSERT INTO seats.customers (organization_id, email) SELECT test.id(330), 'way' || n || '@example.com' FROM generate_series(0, 3) AS n;
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL,
	ARRAY(SELECT 'way' || n || '@example.com' FROM unnest('{0,1,2,3,1,2,3,2,3,3}'::integer[]) AS n), '{w1,w1,w1,w1,w2,w2,w2,w3,w3,w4}')$$);
-- One member takes an external id, by which another is named: both are that customer, who has a seat already.
SELECT seats.import_seats(test.id(333), NULL, '{way3@example.com}');
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{way3@example.com,NULL,unknown@example.com}', '{w5,w5,w6}')$$);
SELECT hint FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{NULL,unknown@example.com,way3@example.com}', '{w5,w5,w5}')$$);
-- An index of the owner's, by which customers conflict who are not the same to the extension.
CREATE UNIQUE INDEX own ON seats.customers (organization_id, lower(external_id));
SELECT state, message FROM test.outcome($$SELECT seats.import_seats(test.id(333), external_customer_ids => '{BOTH}')$$);
SELECT state, message FROM test.outcome($$SELECT seats.import_seats(test.id(333), NULL, '{way0@example.com}', '{BOTH}')$$);
DROP INDEX seats.own;

DROP VIEW test.imported;
DROP FUNCTION test.interfere;
SELECT test.clear();
