-- Sending an invitation again: a new token with a full new lifetime, and the old one is dead.
SELECT test.make_organization(340);
SELECT (i.seat).id AS seat, i.invitation_token AS first, (i.seat).created_at AS created
FROM seats.assign_seat(test.id(343), email => 'ann@example.com', metadata => '{"team": "blue"}') AS i \gset

SELECT i.invitation_token AS second, i.invitation_token <> :'first' AS new_token, (i.seat).status, (i.seat).customer_email,
	(i.seat).seat_metadata, (i.seat).id = :'seat' AS same_seat, (i.seat).created_at = :'created' AS same_creation,
	(i.seat).invitation_token_expires_at - (i.seat).modified_at AS lifetime, to_json(i.seat) AS answer
FROM seats.resend_invitation(:'seat') AS i \gset
SELECT :'new_token' AS new_token, :'status' AS status, :'customer_email' AS email, :'seat_metadata' AS metadata, :'same_seat' AS same_seat,
	:'same_creation' AS same_creation, :'lifetime' AS lifetime, to_json(s)::text = :'answer' AS as_stored FROM seats.get_seat(:'seat') AS s;
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'first'))).detail AS first_claims,
	(test.outcome(format('SELECT seats.claim_info(%L)', :'first'))).detail AS first_info;
SELECT can_claim FROM seats.claim_info(:'second');
SELECT type, e.customer_id = s.customer_id AS same_customer, e.occurred_at = s.modified_at AS same_time
FROM seats.events AS e JOIN seats.customer_seats AS s ON s.id = e.seat_id WHERE e.type = 'customer_seat.invitation_resent';
SELECT assigned_seats, modified_at FROM seats.subscriptions;

-- An expired one too, as long as the organization says by now.
UPDATE seats.customer_seats SET invitation_token_expires_at = clock_timestamp() - interval '1 year';
UPDATE seats.organizations SET invitation_ttl = '7 days';
SELECT (test.outcome(format('SELECT seats.claim_seat(%L)', :'second'))).detail AS expired;
SELECT i.invitation_token AS third, (i.seat).invitation_token_expires_at - (i.seat).modified_at AS lifetime
FROM seats.resend_invitation(:'seat') AS i \gset
SELECT :'lifetime' AS lifetime, (test.outcome(format('SELECT seats.claim_seat(%L)', :'second'))).detail AS second;
-- And whatever the subscription's status, as long as the seat is pending.
UPDATE seats.subscriptions SET status = 'incomplete';
SELECT i.invitation_token AS fourth FROM seats.resend_invitation(:'seat') AS i \gset
SELECT (c.seat).status FROM seats.claim_seat(:'fourth') AS c;

-- What cannot be sent again.
\x on
SELECT * FROM test.outcome(format('SELECT seats.resend_invitation(%L)', :'seat'));
SELECT status FROM seats.revoke_seat(:'seat');
SELECT (test.outcome(format('SELECT seats.resend_invitation(%L)', :'seat'))).detail;
SELECT * FROM test.outcome('SELECT seats.resend_invitation(test.id(999))');
SELECT * FROM test.outcome('SELECT seats.resend_invitation(NULL)');
UPDATE seats.organizations SET seat_based_pricing_enabled = false;
SELECT * FROM test.outcome(format('SELECT seats.resend_invitation(%L)', :'seat'));
BEGIN READ ONLY;
SELECT * FROM test.outcome('SELECT seats.resend_invitation(NULL)');
COMMIT;
\x off

SELECT test.clear();
