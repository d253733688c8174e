-- Whether a customer may use a product: by a claimed seat of a subscription or an order that is not suspended.
SELECT test.make_organization(370, 5);
SELECT test.make_organization(380, 5);
INSERT INTO seats.products (id, organization_id, name) VALUES (test.id(375), test.id(370), 'Another');
SELECT (seat).customer_id AS ada, (seat).id AS seat, invitation_token AS token FROM seats.assign_seat(test.id(373), email => 'ada@example.com') AS i \gset
SELECT (seat).customer_id AS bob FROM seats.assign_seat(order_id => test.id(374), email => 'bob@example.com', immediate_claim => true) AS i \gset

-- What the seat goes through.
SELECT seats.has_seat(test.id(371), :'ada') AS pending;
SELECT (seat).status FROM seats.claim_seat(:'token') AS c;
SELECT seats.has_seat(test.id(371), :'ada') AS claimed, seats.has_seat(test.id(371), :'bob') AS of_an_order,
	seats.has_seat(test.id(375), :'ada') AS other_product, seats.has_seat(test.id(381), :'ada') AS other_organization,
	seats.has_seat(test.id(371), test.id(372)) AS payer;
UPDATE seats.subscriptions SET status = 'unpaid' WHERE id = test.id(373);
SELECT seats.has_seat(test.id(371), :'ada') AS suspended;
UPDATE seats.subscriptions SET status = 'past_due' WHERE id = test.id(373);
SELECT seats.has_seat(test.id(371), :'ada') AS resumed;
-- It does not look at whether the organization may use seats. A subscription that is for another product now is for that one.
UPDATE seats.organizations SET seat_based_pricing_enabled = false;
UPDATE seats.subscriptions SET product_id = test.id(375) WHERE id = test.id(373);
SELECT seats.has_seat(test.id(371), :'ada') AS before, seats.has_seat(test.id(375), :'ada') AS now;
UPDATE seats.organizations SET seat_based_pricing_enabled = true;
SELECT status FROM seats.revoke_seat(:'seat');
SELECT seats.has_seat(test.id(375), :'ada') AS revoked;
-- One of several seats, some of them not for the product.
INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
SELECT test.id(n), test.id(370), test.id(CASE n WHEN 376 THEN 371 ELSE 375 END), test.id(372), 1, 'active' FROM generate_series(376, 378) AS n;
SELECT (seats.assign_seat(test.id(n), customer_id => :'ada', immediate_claim => n <> 378)).seat.status FROM generate_series(376, 378) AS n;
SELECT seats.has_seat(test.id(371), :'ada') AS first, seats.has_seat(test.id(375), :'ada') AS second;

-- False for null and unknown ids; it raises nothing.
SELECT seats.has_seat(NULL, :'ada'), seats.has_seat(test.id(371), NULL), seats.has_seat(NULL), seats.has_seat(test.id(399), :'ada'),
	seats.has_seat(test.id(371), test.id(399)), seats.has_seat(test.id(371));
-- The customer of the request's JWT.
CREATE FUNCTION test.as_subject(subject text, product uuid) RETURNS boolean
LANGUAGE sql AS $$
	SELECT set_config('request.jwt.claims', json_build_object('sub', subject)::text, true);
	SELECT seats.has_seat(product)
$$;
SELECT test.as_subject(:'bob', test.id(371)) AS bob, test.as_subject(:'bob', test.id(375)) AS other_product,
	test.as_subject('nobody', test.id(371)) AS malformed, test.as_subject(NULL, test.id(371)) AS nobody;
SELECT set_config('request.jwt.claims', '{', false) AS claims, seats.has_seat(test.id(371));
RESET request.jwt.claims;
-- It sees what its statement sees.
WITH revoked AS MATERIALIZED (SELECT seats.revoke_seat(s.id) FROM seats.customer_seats AS s WHERE s.customer_id = :'bob')
SELECT count(*), seats.has_seat(test.id(371), :'bob') AS before FROM revoked;
SELECT seats.has_seat(test.id(371), :'bob') AS after;

-- In a policy: it is asked once for each product, not for each row.
CREATE ROLE seats_customers;
SELECT seats.grant_access(customer => 'seats_customers');
CREATE TABLE test.documents (id integer, product_id uuid);
INSERT INTO test.documents SELECT n, test.id(CASE n % 2 WHEN 0 THEN 371 ELSE 381 END) FROM generate_series(1, 10) AS n;
CREATE TABLE test.sold AS SELECT id FROM seats.products;
GRANT USAGE ON SCHEMA test TO seats_customers;
GRANT SELECT ON test.documents, test.sold TO seats_customers;
ALTER TABLE test.documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY seat ON test.documents USING (product_id IN (SELECT id FROM test.sold WHERE seats.has_seat(id)));
SELECT json_build_object('sub', :'ada') AS claims \gset
SET request.jwt.claims = :'claims';
SET ROLE seats_customers;
SELECT count(*), min(id), max(id) FROM test.documents;
SELECT seats.has_seat(test.id(371), test.id(372));
RESET ROLE;
RESET request.jwt.claims;
DROP TABLE test.documents, test.sold;
REVOKE USAGE ON SCHEMA test FROM seats_customers;
DROP OWNED BY seats_customers;
DROP ROLE seats_customers;

DROP FUNCTION test.as_subject;
SELECT test.clear();
