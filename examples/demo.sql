-- What seats does, told step by step: make demo runs this in a private server.
-- Statements are shown as the server gets them. Where an error is meant to be shown,
-- ON_ERROR_STOP is off, and the check that follows fails the demo if anything else happened.

\set ON_ERROR_STOP on
\pset null '(null)'
\pset expanded on
SET client_min_messages = warning;
CREATE EXTENSION seats CASCADE;
\set check 'SELECT 1 / (:''SQLSTATE'' = ''PT400'')::integer AS as_expected'
\set pretty 'SELECT replace(:''body'', '',"'', E'',\\n    "'')'

\echo
\echo '1. An application registers what it sells and to whom, in ordinary tables.'
\echo '   Acme bought 3 seats of its product Editor; ada@example.com pays.'
\echo
\set ECHO queries
INSERT INTO seats.organizations (name, slug, seat_based_pricing_enabled)
VALUES ('Acme Inc.', 'acme', true) RETURNING id AS organization \gset
INSERT INTO seats.products (organization_id, name)
VALUES (:'organization', 'Editor') RETURNING id AS product \gset
INSERT INTO seats.customers (organization_id, email)
VALUES (:'organization', 'ada@example.com') RETURNING id AS payer \gset
INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, status)
VALUES (:'organization', :'product', :'payer', 3, 'active') RETURNING id AS subscription \gset
\set ECHO none

\echo
\echo '2. It gives a seat to grace@example.com, a new address. The token goes into the invitation'
\echo '   that it mails. This is the only time it is seen: the database keeps its SHA-256.'
\echo
\set ECHO queries
SELECT (seat).status, (seat).customer_email, (seat).invitation_token_expires_at, invitation_token
FROM seats.assign_seat(:'subscription', email => 'grace@example.com') \gset
\set ECHO none
SELECT :'status' AS status, :'customer_email' AS customer_email,
	:'invitation_token_expires_at' AS invitation_token_expires_at,
	:'invitation_token' AS invitation_token;

\echo '3. Grace opens the link. The page asks what the invitation is for. This changes nothing,'
\echo '   so a mail scanner that follows the link does no harm.'
\echo
\set ECHO queries
SELECT * FROM seats.claim_info(:'invitation_token');
\set ECHO none

\echo '4. She accepts. One statement checks the invitation, claims the seat, opens a session and'
\echo '   records the event. to_json of the answer is the body of the HTTP answer.'
\echo
\set ECHO queries
SELECT to_json(answer) AS body, answer.customer_session_token AS session_token
FROM seats.claim_seat(:'invitation_token') AS answer \gset
\set ECHO none
\pset format unaligned
\pset tuples_only on
\pset expanded off
:pretty;

\echo
\echo '5. She clicks again. A token claims once; a later call is told why it fails. SQLSTATE is'
\echo '   PT and the HTTP status, DETAIL a word for programs, HINT a sentence for people.'
\echo
\set ECHO queries
\set ON_ERROR_STOP off
SELECT seats.claim_seat(:'invitation_token');
\set ON_ERROR_STOP on
\set ECHO none
\echo 'SQLSTATE:' :SQLSTATE
:check \gset

\echo
\echo '6. An invitation that nobody accepted in time. It usually lives for 24 hours; here 10 ms.'
\echo
\set ECHO queries
UPDATE seats.organizations SET invitation_ttl = '10 ms' WHERE id = :'organization';
SELECT invitation_token AS late_token
FROM seats.assign_seat(:'subscription', email => 'alan@example.com') \gset
\set ECHO none
SELECT pg_sleep(0.02) AS slept \gset
\set ECHO queries
\set ON_ERROR_STOP off
SELECT seats.claim_seat(:'late_token');
\set ON_ERROR_STOP on
\set ECHO none
\echo 'SQLSTATE:' :SQLSTATE
:check \gset

\echo
\echo '   It is sent again: a new token, and from now on the old one is unknown.'
\echo
UPDATE seats.organizations SET invitation_ttl = NULL WHERE id = :'organization';
SELECT id AS late_seat FROM seats.customer_seats WHERE customer_email = 'alan@example.com' \gset
\set ECHO queries
SELECT invitation_token AS new_token FROM seats.resend_invitation(:'late_seat') \gset
SELECT (seat).customer_email, (seat).status FROM seats.claim_seat(:'new_token');
\set ECHO none

\echo
\echo '7. A token with its last character mistyped. It ends in a checksum, so no table is read.'
\echo
SELECT left(:'late_token', -1) || CASE right(:'late_token', 1) WHEN 'x' THEN 'y' ELSE 'x' END
	AS mistyped_token \gset
\set ECHO queries
\set ON_ERROR_STOP off
SELECT seats.claim_seat(:'mistyped_token');
\set ON_ERROR_STOP on
\set ECHO none
\echo 'SQLSTATE:' :SQLSTATE
:check \gset

\echo
\echo '8. Who am I? The application asks with the session token that the claim returned.'
\echo
\pset format aligned
\pset tuples_only off
\pset expanded on
\set ECHO queries
SELECT * FROM seats.authenticate(:'session_token');
\set ECHO none

\echo '9. What was bought, and who has it. Two addresses at once are too many for the third seat:'
\echo '   assign_seats() gives all or none, and the hint names the addresses for which none is left.'
\echo
\set ECHO queries
\set ON_ERROR_STOP off
SELECT seats.assign_seats(:'subscription', NULL, ARRAY['barbara@example.com', 'edsger@example.com']);
\set ON_ERROR_STOP on
\set ECHO none
\echo 'SQLSTATE:' :SQLSTATE
:check \gset
\pset expanded off
\set ECHO queries
SELECT s.status, s.customer_email, l.available_seats, l.total_seats
FROM seats.list_seats(:'subscription') AS l, unnest(l.seats) AS s;
\set ECHO none

\echo '10. What happened: an event for each change, written in the transaction of the change.'
\echo '   The calls that failed left none.'
\echo
\pset expanded off
\set ECHO queries
SELECT e.id, e.type, c.email, e.occurred_at
FROM seats.events AS e JOIN seats.customers AS c ON c.id = e.customer_id ORDER BY e.id;
\set ECHO none
\echo 'Next: make playground opens psql with sample data, and docs/tour.md is a tour.'
