-- Sample data for make demo-web, and what is in the links that it prints, a line each. The roles are those of the
-- examples' READMEs.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION seats CASCADE;
CREATE ROLE seats_web_anonymous LOGIN;
CREATE ROLE seats_web_backend LOGIN;
CREATE ROLE seats_web_customer LOGIN;
SELECT seats.grant_access('seats_web_anonymous', 'seats_web_backend', 'seats_web_customer') \g /dev/null
\ir worker/schema.sql
-- A session for as long as somebody may want to look around.
SET seats.customer_session_ttl = '1d';

-- Acme sells Editor. Ada bought 12 seats, and has one herself.
INSERT INTO seats.organizations (name, slug, seat_based_pricing_enabled)
VALUES ('Acme Inc.', 'acme', true) RETURNING id AS organization \gset
INSERT INTO seats.products (organization_id, name)
VALUES (:'organization', 'Editor') RETURNING id AS product \gset
INSERT INTO seats.customers (organization_id, email, name)
VALUES (:'organization', 'ada@example.com', 'Ada Lovelace') RETURNING id AS payer \gset
INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, status)
VALUES (:'organization', :'product', :'payer', 12, 'active') RETURNING id AS subscription \gset
SELECT (c.seat).id AS seat, c.customer_session_token AS session
FROM seats.assign_seat(:'subscription', customer_id => :'payer') AS a, seats.claim_seat(a.invitation_token) AS c \gset

-- Two colleagues have seats, and three are invited. One invitation has expired.
SELECT seats.claim_seat(invitation_token)
FROM seats.assign_seats(:'subscription', emails => ARRAY['grace@example.com', 'alan@example.com']) \g /dev/null
SELECT invitation_token AS invitation FROM seats.assign_seat(:'subscription', email => 'barbara@example.com') \gset
SELECT seats.assign_seat(:'subscription', email => 'edsger@example.com') \g /dev/null
UPDATE seats.organizations SET invitation_ttl = '1 ms' WHERE id = :'organization';
SELECT invitation_token AS expired FROM seats.assign_seat(:'subscription', email => 'niklaus@example.com') \gset
UPDATE seats.organizations SET invitation_ttl = NULL WHERE id = :'organization';
-- By a link, whoever has an address at example.com can ask for an invitation.
SELECT join_token AS link FROM seats.create_join_link(:'subscription', email_domains => ARRAY['example.com']) \gset
-- The worker tells only what happens from now on.
DELETE FROM seats.events;

\echo :invitation
\echo :expired
\echo :link
\echo subscription=:subscription&session=:session
