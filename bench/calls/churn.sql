-- A round of churn: assign, claim, revoke, assign the row to somebody else, who gives it back,
-- so that a subscription has as many seats after it as before.
SELECT (a.seat).id AS seat_id, a.invitation_token AS token
FROM seats.assign_seat(:subscription, email => :email) AS a;

SELECT * FROM seats.claim_seat(:token);

SELECT * FROM seats.revoke_seat(:seat_id);

SELECT (a.seat).id AS seat_id
FROM seats.assign_seat(:subscription, email => :other_email) AS a;

SELECT * FROM seats.revoke_seat(:seat_id)
