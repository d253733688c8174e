-- A round that leaves as many seats as there were.
SELECT (a.seat).id AS seat FROM seats.assign_seat(:subscription, email => :email) AS a;

SELECT * FROM seats.revoke_seat(:seat)
