-- Join links: made, described, used, listed and revoked.
SELECT test.make_organization(390, 3);
SELECT test.make_organization(395, 3);
CREATE VIEW test.joined AS
SELECT split_part(c.email, '@', 1) AS customer, s.status, s.seat_metadata, e.type, e.metadata - 'role' - 'subscription_id' - 'join_link_id' AS metadata,
	(SELECT email_domains FROM seats.join_links AS l WHERE l.id::text = e.metadata ->> 'join_link_id') AS link
FROM seats.events AS e JOIN seats.customer_seats AS s ON s.id = e.seat_id JOIN seats.customers AS c ON c.id = s.customer_id
WHERE e.metadata ? 'join_link_id' ORDER BY e.id;

-- What a new link has; only the hash of its token is stored, and the token has the organization's route.
SELECT join_token AS open, (link).id AS open_id FROM seats.create_join_link(test.id(393)) AS l \gset
SELECT join_token AS closed, (link).id AS closed_id
FROM seats.create_join_link(test.id(393), max_uses => 1, expires_in => '1 hour', email_domains => '{Acme.example,b.example}') AS l \gset
SELECT join_token AS order_token FROM seats.create_join_link(order_id => test.id(394)) \gset
SELECT l.subscription_id = test.id(393) AS of_it, l.order_id, l.email_domains, l.max_uses, l.uses, l.expires_at - l.created_at AS lifetime, l.revoked_at
FROM seats.list_join_links(test.id(393)) AS l;
SELECT count(*) FROM seats.list_join_links(order_id => test.id(394));
SELECT :'open' ~ '^seats_jnl_[0-9A-Za-z]{55}$' AS form, seats.token_route(:'open') = seats.organization_route(test.id(390)) AS route,
	(SELECT count(*) FROM seats.join_links WHERE token_hash = sha256(:'open'::bytea)) AS stored;

-- Looking changes nothing, and is allowed in a read-only transaction.
BEGIN READ ONLY;
SELECT * FROM seats.join_info(:'closed');
SELECT can_join FROM seats.join_info(:'order_token');
COMMIT;

-- Whoever joins gets a pending seat, and nobody its token. The domain is compared whatever the case, and subdomains do not match.
SELECT seats.join_seat(:'closed', 'ada@ACME.example');
SELECT seats.join_seat(:'open', 'payer@org-390.example');
SELECT * FROM test.joined;
SELECT email, uses FROM seats.list_join_links(test.id(393)), unnest(coalesce(email_domains, '{any}')) AS email;
SELECT (test.outcome(format('SELECT seats.join_seat(%L, %L)', :'closed', address))).detail, address
FROM unnest('{bob@sub.acme.example,bob@example,bob@cme.example,bob@b.example}'::text[]) AS address;
SELECT can_join FROM seats.join_info(:'closed');
-- Who holds a seat gets the same answer, also where nobody else would get a seat any more, and does not count.
SELECT seats.join_seat(:'closed', 'ADA@acme.example'), seats.join_seat(:'open', 'ada@acme.example');
SELECT count(*) AS events, (SELECT sum(uses) FROM seats.join_links) AS uses, (SELECT count(*) FROM seats.customers WHERE organization_id = test.id(390)) AS customers
FROM test.joined;
-- Its invitation is renewed once it has expired; one that was claimed needs none.
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE customer_email = 'ada@ACME.example';
SELECT seats.join_seat(:'closed', 'ada@acme.example');
SELECT customer, type, metadata, link FROM test.joined WHERE type LIKE '%resent';
SELECT invitation_token_expires_at > now() AS renewed, customer_email FROM seats.customer_seats WHERE customer_email = 'ada@ACME.example';
SELECT invitation_token AS token FROM seats.customer_seats AS s, seats.resend_invitation(s.id) WHERE s.customer_email = 'ada@ACME.example' \gset
SELECT (seat).status FROM seats.claim_seat(:'token') AS c;
UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 second' WHERE customer_email = 'ada@ACME.example';
SELECT test.fingerprint() AS before \gset
SELECT seats.join_seat(:'open', 'ada@acme.example');
SELECT test.fingerprint() = :'before' AS unchanged;

-- It never raises the number of seats, and respects a decrease that is planned.
UPDATE seats.subscriptions SET seats_limit = 9, seats = 2 WHERE id = test.id(393);
SELECT (test.outcome(format('SELECT seats.join_seat(%L, %L)', :'open', 'new@example.com'))).detail AS full, can_join FROM seats.join_info(:'open');
UPDATE seats.subscriptions SET seats = 3, seats_next = 2 WHERE id = test.id(393);
SELECT (test.outcome(format('SELECT seats.join_seat(%L, %L)', :'open', 'new@example.com'))).detail AS planned, can_join FROM seats.join_info(:'open');
UPDATE seats.subscriptions SET seats_next = NULL, status = 'paused' WHERE id = test.id(393);
SELECT (test.outcome(format('SELECT seats.join_seat(%L, %L)', :'open', 'new@example.com'))).detail AS paused, can_join FROM seats.join_info(:'open');
UPDATE seats.subscriptions SET status = 'active' WHERE id = test.id(393);
SELECT can_join FROM seats.join_info(:'open');

-- A constraint of the owner's may refuse the customer who is made up for somebody who holds a seat: that shows nowhere.
CREATE FUNCTION test.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON seats.customers FOR EACH ROW EXECUTE FUNCTION test.refuse();
SELECT seats.join_seat(:'open', 'ada@acme.example');
SELECT state, message FROM test.outcome(format('SELECT seats.join_seat(%L, %L)', :'open', 'new@example.com'));
DROP TRIGGER refuse ON seats.customers;
DROP FUNCTION test.refuse;

-- Refused, in this order.
\x on
SELECT detail FROM test.outcome('SELECT seats.join_seat(NULL, NULL)');
SELECT detail FROM test.outcome(format('SELECT seats.join_seat(%L, %L)', '', 'a b@c'));
SELECT * FROM test.outcome('SELECT seats.join_seat(''seats_jnl_'', ''a@b'')');
SELECT detail FROM test.outcome(format('SELECT seats.join_seat(%L, %L)', replace(:'open', 'jnl', 'inv'), 'a@b'));
SELECT detail FROM test.outcome(format('SELECT seats.claim_seat(%L)', replace(:'open', 'jnl', 'inv')));
UPDATE seats.join_links SET expires_at = now() WHERE id = :'closed_id';
SELECT * FROM test.outcome(format('SELECT seats.join_seat(%L, %L)', :'closed', 'a@b'));
SELECT can_join FROM seats.join_info(:'closed');
UPDATE seats.join_links SET expires_at = now() + interval '1 day' WHERE id = :'closed_id';
SELECT * FROM test.outcome(format('SELECT seats.join_seat(%L, %L)', :'closed', 'a@b'));
SELECT * FROM test.outcome(format('SELECT seats.join_seat(%L, %L)', :'closed', 'a@b.example'));
UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = test.id(390);
SELECT detail FROM test.outcome(format('SELECT seats.join_seat(%L, %L)', :'closed', 'a@b.example'));
SELECT detail FROM test.outcome(format('SELECT seats.join_info(%L)', :'closed'));
SELECT detail FROM test.outcome('SELECT seats.create_join_link(test.id(393))');
SELECT detail FROM test.outcome('SELECT seats.list_join_links(test.id(393))');
SELECT detail FROM test.outcome(format('SELECT seats.revoke_join_link(%L)', :'closed_id'));
UPDATE seats.organizations SET seat_based_pricing_enabled = true WHERE id = test.id(390);
-- Revoking, once.
SELECT l.revoked_at IS NOT NULL AS revoked, uses FROM seats.revoke_join_link(:'closed_id') AS l;
SELECT revoked_at AS before FROM seats.join_links WHERE id = :'closed_id' \gset
SELECT l.revoked_at = :'before' AS unchanged FROM seats.revoke_join_link(:'closed_id') AS l;
SELECT * FROM test.outcome(format('SELECT seats.join_seat(%L, %L)', :'closed', 'a@b'));
SELECT detail FROM test.outcome(format('SELECT seats.join_info(%L)', :'closed'));
SELECT * FROM test.outcome('SELECT seats.revoke_join_link(test.id(399))');
SELECT detail FROM test.outcome('SELECT seats.revoke_join_link(NULL)');
-- Terms that are malformed.
SELECT detail FROM test.outcome('SELECT seats.create_join_link()');
SELECT detail FROM test.outcome('SELECT seats.create_join_link(test.id(399))');
SELECT detail FROM test.outcome($$SELECT seats.create_join_link(test.id(393), NULL, 0, NULL, '{}')$$);
SELECT detail FROM test.outcome($$SELECT seats.create_join_link(test.id(393), NULL, NULL, '-1 hour', ARRAY['a b', '', NULL, 'x@y', 'ok.example', repeat('x', 318) || '.y'])$$);
SELECT detail FROM test.outcome($$SELECT seats.create_join_link(test.id(393), expires_in => '0', email_domains => '{{a},{b}}')$$);
BEGIN READ ONLY;
SELECT state, message FROM unnest('{create_join_link(),"join_seat(NULL, NULL)",revoke_join_link(NULL)}'::text[]) AS call, test.outcome('SELECT seats.' || call);
COMMIT;
\x off

-- Deleting the subscription deletes its links.
SELECT join_token AS gone FROM seats.create_join_link(test.id(398)) \gset
DELETE FROM seats.subscriptions WHERE id = test.id(398);
SELECT count(*), (test.outcome(format('SELECT seats.join_seat(%L, %L)', :'gone', 'a@b'))).detail AS joined, (test.outcome(format('SELECT seats.join_info(%L)', :'gone'))).detail AS described
FROM seats.join_links WHERE organization_id = test.id(395);

DROP VIEW test.joined;
SELECT test.clear();
