-- Fills the rival's tables with the rows of the extension's.

SET session_replication_role = replica;
SET synchronous_commit = off;

INSERT INTO rival.organizations
SELECT id, created_at, modified_at, name, slug, seat_based_pricing_enabled, invitation_ttl
FROM seats.organizations;

INSERT INTO rival.products
SELECT id, created_at, modified_at, organization_id, name FROM seats.products;

INSERT INTO rival.customers
SELECT id, created_at, modified_at, organization_id, email, external_id, name FROM seats.customers;

INSERT INTO rival.subscriptions
SELECT id, created_at, modified_at, organization_id, product_id, customer_id, seats, status,
	assigned_seats
FROM seats.subscriptions;

INSERT INTO rival.customer_seats (id, organization_id, created_at, status, modified_at, subscription_id,
	customer_id, customer_email, invitation_token_hash, invitation_token_expires_at, claimed_at,
	revoked_at, seat_metadata, suspended_at)
SELECT id, organization_id, created_at, status::text::rival.seat_status, modified_at, subscription_id,
	customer_id, customer_email, invitation_token_hash, invitation_token_expires_at, claimed_at,
	revoked_at, seat_metadata, suspended_at
FROM seats.customer_seats;

INSERT INTO rival.customer_sessions
SELECT token_hash, seat_id, customer_id, organization_id, created_at, expires_at
FROM seats.customer_sessions;

VACUUM (FREEZE, ANALYZE) rival.organizations, rival.products, rival.customers, rival.subscriptions,
	rival.customer_seats, rival.customer_sessions;
CHECKPOINT;
