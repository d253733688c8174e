-- Sample data to try seats on. make playground runs this in a private server, as the start-up file
-- of psql, so that the ids and tokens stay in psql variables.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS seats CASCADE;

-- Acme sells Editor. Ada bought 6 seats by subscription and 2 by order.
INSERT INTO seats.organizations (name, slug, seat_based_pricing_enabled)
VALUES ('Acme Inc.', 'acme', true) RETURNING id AS org \gset
INSERT INTO seats.products (organization_id, name)
VALUES (:'org', 'Editor') RETURNING id AS product \gset
INSERT INTO seats.customers (organization_id, email, external_id, name)
VALUES (:'org', 'ada@example.com', 'user-1', 'Ada') RETURNING id AS payer \gset
INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, status)
VALUES (:'org', :'product', :'payer', 6, 'active') RETURNING id AS subscription \gset
INSERT INTO seats.orders (organization_id, product_id, customer_id, seats, status)
VALUES (:'org', :'product', :'payer', 2, 'paid') RETURNING id AS "order" \gset

-- Pending: one of the subscription, one of the order.
SELECT invitation_token AS invitation
FROM seats.assign_seat(:'subscription', email => 'grace@example.com') \gset
SELECT invitation_token AS order_invitation
FROM seats.assign_seat(order_id => :'order', email => 'barbara@example.com') \gset

-- Claimed, with a session.
SELECT invitation_token AS claimed_invitation
FROM seats.assign_seat(:'subscription', email => 'alan@example.com') \gset
SELECT (seat).id AS claimed_seat, customer_session_token AS session
FROM seats.claim_seat(:'claimed_invitation') \gset

-- Claimed at once: an invitation is not needed, and there is no session.
SELECT (seat).id AS immediate_seat FROM seats.assign_seat(:'subscription',
	external_customer_id => 'user-1', metadata => '{"role": "owner"}', immediate_claim => true) \gset

-- Revoked.
SELECT (seat).id AS revoked_seat, invitation_token AS revoked_invitation
FROM seats.assign_seat(:'subscription', email => 'edsger@example.com') \gset

-- Expired, which is still pending.
UPDATE seats.organizations SET invitation_ttl = '1 ms' WHERE id = :'org';
SELECT (seat).id AS expired_seat, invitation_token AS expired_invitation
FROM seats.assign_seat(:'subscription', email => 'niklaus@example.com') \gset
UPDATE seats.organizations SET invitation_ttl = NULL WHERE id = :'org';
SELECT seats.revoke_seat(:'revoked_seat') AS ignored \gset

\echo 'Acme sells Editor: a subscription with 6 seats, an order with 2, seats in every state.'
\echo
SELECT CASE WHEN subscription_id IS NULL THEN 'order' ELSE 'subscription' END AS of,
	customer_email, status,
	status = 'pending' AND invitation_token_expires_at <= clock_timestamp() AS expired
FROM seats.customer_seats ORDER BY created_at;
\echo 'Ids are in the variables :org :product :payer :subscription :order :claimed_seat :expired_seat'
\echo ':revoked_seat,'
\echo 'tokens in :invitation :order_invitation :claimed_invitation :expired_invitation'
\echo ':revoked_invitation :session. Try:'
\echo
\echo '  SELECT * FROM seats.claim_info(:''invitation'');'
\echo '  SELECT to_json(seats.claim_seat(:''invitation''));          then again: refused'
\echo '  SELECT seats.claim_seat(:''expired_invitation'');           refused, as are the others'
\echo '  SELECT * FROM seats.authenticate(:''session'');'
\echo '  SELECT * FROM seats.assign_seat(:''subscription'', email => ''you@example.com'');'
\echo '  SELECT * FROM seats.assign_seats(:''subscription'', NULL, ARRAY[''a@example.com'', ''b@example.com'']);'
\echo '  SELECT * FROM seats.resend_invitation(:''expired_seat'');   then claim with the new token'
\echo '  SELECT s.* FROM seats.list_seats(:''subscription'') AS l, unnest(l.seats) AS s;'
\echo '  SELECT * FROM seats.revoke_seat(:''claimed_seat'');         then authenticate again'
\echo '  UPDATE seats.subscriptions SET seats = 1;                 refused'
\echo '  UPDATE seats.subscriptions SET status = ''canceled'';       ends all its seats'
\echo '  TABLE seats.events;'
\echo '  \\df seats.*                                               all functions'
\echo '  \\x auto                                                   wide rows as lists'
\echo
\set ON_ERROR_STOP off
\unset QUIET
