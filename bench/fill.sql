-- Fills the tables: :seats pending seats, a hundred to a subscription, a hundred subscriptions
-- to an organization, ten seats to a customer, and :sessions sessions of the first of them.  The
-- application's own ids are hashes of numbers from 0, so that they can be told without asking.
-- Tokens of some seats and sessions are known: bench.tokens has them, by the number of the seat.
--
-- Triggers and foreign keys are off meanwhile, so what they would keep is written here.  Indexes
-- get no entries meanwhile, but are built at the end, which takes a fraction of the time.

SET session_replication_role = replica;
SET synchronous_commit = off;

UPDATE pg_index SET indisready = false, indisvalid = false
WHERE indrelid = ANY ('{seats.customers, seats.subscriptions, seats.customer_seats,
	seats.customer_sessions}'::regclass[]);

CREATE FUNCTION bench.id(kind text, number bigint) RETURNS uuid
	LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$SELECT md5(kind || number::text)::uuid$$;

INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled)
SELECT bench.id('organization', n), 'Organization ' || n, 'organization-' || n, true
FROM generate_series(0, (:seats - 1) / 10000) AS n;

INSERT INTO seats.products (id, organization_id, name)
SELECT bench.id('product', n), bench.id('organization', n), 'Product ' || n
FROM generate_series(0, (:seats - 1) / 10000) AS n;

INSERT INTO seats.customers (id, organization_id, email)
SELECT bench.id('customer', n), bench.id('organization', n / 1000), 'customer' || n || '@example.com'
FROM generate_series(0, (:seats - 1) / 10000 * 1000 + 999) AS n;

INSERT INTO seats.subscriptions
	(id, organization_id, product_id, customer_id, seats, status, assigned_seats)
SELECT bench.id('subscription', n), bench.id('organization', n / 100), bench.id('product', n / 100),
	bench.id('customer', n / 100 * 1000), 1000000, 'active', 100
FROM generate_series(0, :seats / 100 - 1) AS n;

CREATE TABLE bench.tokens
	(n bigint PRIMARY KEY, token text, hash bytea, session_token text, session_hash bytea);
COPY bench.tokens FROM :'tokens';
ANALYZE bench.tokens;

-- In the order of n, also where the tokens are many.
SET work_mem = '1GB';

INSERT INTO seats.customer_seats (id, organization_id, status, subscription_id, customer_id,
	customer_email, invitation_token_hash, invitation_token_expires_at)
SELECT bench.id('seat', n), bench.id('organization', n / 10000), 'pending',
	bench.id('subscription', n / 100), bench.id('customer', c), 'customer' || c || '@example.com',
	COALESCE(t.hash, sha256(int8send(n))), now() + interval '1 day'
FROM generate_series(0, :seats - 1) AS n
LEFT JOIN bench.tokens AS t USING (n)
CROSS JOIN LATERAL (SELECT n / 10000 * 1000 + n % 100 * 10 + n / 100 % 10 AS c) AS customer;

-- The last to end are the last of the table, as where each lives for an hour from its claim
-- on.
INSERT INTO seats.customer_sessions
	(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
SELECT COALESCE(t.session_hash, sha256(int8send(-1 - n))), bench.id('seat', n),
	bench.id('customer', n / 10000 * 1000 + n % 100 * 10 + n / 100 % 10), bench.id('organization', n / 10000),
	now(), now() + interval '58 minutes' + n * interval '2 minutes' / :sessions
FROM generate_series(0, :sessions - 1) AS n
LEFT JOIN bench.tokens AS t USING (n);

-- One more subscription, of :large seats, each of a customer of its own.
INSERT INTO seats.customers (id, organization_id, email)
SELECT bench.id('large customer', n), bench.id('organization', 0), 'large' || n || '@example.com'
FROM generate_series(0, :large - 1) AS n;

INSERT INTO seats.subscriptions
	(id, organization_id, product_id, customer_id, seats, status, assigned_seats)
SELECT bench.id('large subscription', 0), bench.id('organization', 0), bench.id('product', 0),
	bench.id('customer', 0), 10000000, 'active', :large
WHERE :large > 0;

INSERT INTO seats.customer_seats (id, organization_id, status, subscription_id, customer_id,
	customer_email, invitation_token_hash, invitation_token_expires_at)
SELECT bench.id('large seat', n), bench.id('organization', 0), 'pending',
	bench.id('large subscription', 0), bench.id('large customer', n), 'large' || n || '@example.com',
	sha256(uuid_send(bench.id('large token', n))), now() + interval '1 day'
FROM generate_series(0, :large - 1) AS n;

SET max_parallel_maintenance_workers = 1;
REINDEX TABLE seats.customers;
REINDEX TABLE seats.subscriptions;
REINDEX TABLE seats.customer_seats;
REINDEX TABLE seats.customer_sessions;
RESET max_parallel_maintenance_workers;

VACUUM (FREEZE, ANALYZE) seats.organizations, seats.products, seats.customers, seats.subscriptions,
	seats.customer_seats, seats.customer_sessions;
CHECKPOINT;
