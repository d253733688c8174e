-- What the calls use up: subscriptions of a thousand seats, :pools of them pending and as many
-- claimed, with sessions. For the extension's tables, before the rival's are filled from them.

SET session_replication_role = replica;
SET synchronous_commit = off;

INSERT INTO seats.customers (id, organization_id, email)
SELECT bench.id('member', n), bench.id('organization', 0), 'member' || n || '@example.com'
FROM generate_series(0, 999) AS n;

INSERT INTO seats.subscriptions
	(id, organization_id, product_id, customer_id, seats, status, assigned_seats)
SELECT bench.id('pool', n), bench.id('organization', 0), bench.id('product', 0), bench.id('customer', 0),
	1000000, 'active', 1000
FROM generate_series(0, 2 * :pools - 1) AS n;

INSERT INTO seats.customer_seats (id, organization_id, status, subscription_id, customer_id,
	customer_email, invitation_token_hash, invitation_token_expires_at, claimed_at)
SELECT bench.id('pooled', n), bench.id('organization', 0),
	CASE WHEN claimed THEN 'claimed' ELSE 'pending' END::seats.seat_status, bench.id('pool', n / 1000),
	bench.id('member', n % 1000), 'member' || n % 1000 || '@example.com',
	sha256(textsend('pooled seat ' || n)), now() + interval '1 day', CASE WHEN claimed THEN now() END
FROM generate_series(0, 2000 * :pools - 1) AS n
CROSS JOIN LATERAL (SELECT n / 1000 >= :pools AS claimed) AS c;

INSERT INTO seats.customer_sessions
	(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
SELECT sha256(textsend('pooled session ' || n)), bench.id('pooled', n), bench.id('member', n % 1000),
	bench.id('organization', 0), now(), now() + interval '1 hour'
FROM generate_series(1000 * :pools, 2000 * :pools - 1) AS n;

VACUUM (FREEZE, ANALYZE) seats.customers, seats.subscriptions, seats.customer_seats,
	seats.customer_sessions;
