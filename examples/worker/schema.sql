-- The worker's role and tables. Run this once, as the owner of the extension, in the database that has it:
-- psql -d shop -f schema.sql

CREATE ROLE seats_worker LOGIN;
CREATE SCHEMA seats_worker;
COMMENT ON SCHEMA seats_worker IS 'What the worker has to deliver';

-- No job holds anything about a person, so that erase_customer() has nothing to erase here: the worker reads addresses,
-- names and metadata when it delivers.
CREATE TABLE seats_worker.jobs (
	target text
		CONSTRAINT jobs_target_check CHECK (target IN ('mail', 'webhook', 'quantity')),
	seat_id uuid,
	event_id bigint,
	organization_id uuid NOT NULL,
	type text,
	occurred_at timestamptz NOT NULL,
	seat seats.customer_seat,
	attempts integer NOT NULL DEFAULT 0,
	due_at timestamptz NOT NULL DEFAULT now(),
	last_error text,
	dead_since timestamptz,
	CONSTRAINT jobs_pkey PRIMARY KEY (target, seat_id, event_id)
);
CREATE INDEX jobs_due_at_idx ON seats_worker.jobs (target, due_at) WHERE dead_since IS NULL;
COMMENT ON TABLE seats_worker.jobs IS 'Events that are to be delivered; a row is deleted once it is';
COMMENT ON COLUMN seats_worker.jobs.target IS 'mail, webhook or quantity; an event can have a job for each';
COMMENT ON COLUMN seats_worker.jobs.seat_id IS 'The seat, or for a quantity the subscription; its jobs for one target are delivered one after the other, by event_id';
COMMENT ON COLUMN seats_worker.jobs.event_id IS 'The event, which is deleted from seats.events; 0 for growth that no event is left of';
COMMENT ON COLUMN seats_worker.jobs.organization_id IS 'The organization of the seat';
COMMENT ON COLUMN seats_worker.jobs.type IS 'The type of the event; null if there is none';
COMMENT ON COLUMN seats_worker.jobs.occurred_at IS 'When the event happened, or growth without one was found';
COMMENT ON COLUMN seats_worker.jobs.seat IS 'The seat as the event left it, without customer_email and seat_metadata';
COMMENT ON COLUMN seats_worker.jobs.attempts IS 'How often delivering failed';
COMMENT ON COLUMN seats_worker.jobs.due_at IS 'When it is to be tried next';
COMMENT ON COLUMN seats_worker.jobs.last_error IS 'Why the last attempt failed: codes only, since messages can contain addresses and links';
COMMENT ON COLUMN seats_worker.jobs.dead_since IS 'When the worker gave up; null while it has not';
COMMENT ON CONSTRAINT jobs_pkey ON seats_worker.jobs IS 'An event has at most one job for each target';
COMMENT ON CONSTRAINT jobs_target_check ON seats_worker.jobs IS 'The targets that there are';
COMMENT ON INDEX seats_worker.jobs_due_at_idx IS 'Finds the jobs that are due';

CREATE VIEW seats_worker.dead_letters AS SELECT * FROM seats_worker.jobs WHERE dead_since IS NOT NULL;
COMMENT ON VIEW seats_worker.dead_letters IS 'Jobs that the worker has given up; they do not hold up later ones of their seat';

-- These two views read with their owner's rights, so the worker sees nothing else of seats and purchases.
CREATE VIEW seats_worker.seats AS
SELECT id, ROW(created_at, modified_at, id, subscription_id, order_id, status, customer_id, customer_email,
	invitation_token_expires_at, claimed_at, revoked_at, seat_metadata)::seats.customer_seat AS seat
FROM seats.customer_seats;
COMMENT ON VIEW seats_worker.seats IS 'Seats as they are now';

CREATE VIEW seats_worker.purchases AS
SELECT id, organization_id, product_id, customer_id FROM seats.subscriptions
UNION ALL SELECT id, organization_id, product_id, customer_id FROM seats.orders;
COMMENT ON VIEW seats_worker.purchases IS 'Who bought which product: subscriptions and orders';

-- An event that somebody else has locked (another worker, erase_customer, purge_events) ends the call instead of being
-- skipped: a later event of the same seat would overtake it. The next call is a moment later.
CREATE FUNCTION seats_worker.take_events(mails boolean, webhook_types text[], quantities boolean, at_most integer)
RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	number integer;
BEGIN
	WITH taken AS (
		DELETE FROM seats.events
		WHERE id = ANY (ARRAY(SELECT id FROM seats.events ORDER BY id LIMIT at_most FOR UPDATE NOWAIT))
		RETURNING *
	), made AS (
		INSERT INTO seats_worker.jobs (target, seat_id, event_id, organization_id, type, occurred_at, seat)
		SELECT job.target, job.seat_id, t.id, t.organization_id, t.type, t.occurred_at,
			jsonb_populate_record(coalesce(t.seat, s.seat), '{"customer_email": null, "seat_metadata": null}')
		FROM taken AS t
		LEFT JOIN seats_worker.seats AS s ON t.seat IS NULL AND s.id = t.seat_id  -- an event of 1.0
		JOIN LATERAL (VALUES
			('mail', t.seat_id, mails AND t.metadata ->> 'invitation' = 'unsent'),
			('webhook', t.seat_id, t.type = ANY (webhook_types) AND (coalesce(t.seat, s.seat)).id IS NOT NULL),
			-- An assign of many seats has many events, of which the last will do.
			('quantity', (t.metadata ->> 'subscription_id')::uuid, quantities AND t.metadata ? 'seats' AND NOT EXISTS (
				SELECT FROM taken AS later
				WHERE later.id > t.id AND later.metadata ? 'seats'
					AND later.metadata ->> 'subscription_id' = t.metadata ->> 'subscription_id'))
		) AS job (target, seat_id, is_wanted) ON job.is_wanted
	)
	SELECT count(*) INTO number FROM taken;
	RETURN number;
EXCEPTION WHEN lock_not_available THEN
	RETURN 0;
END
$$;
COMMENT ON FUNCTION seats_worker.take_events(boolean, text[], boolean, integer) IS
'Deletes the oldest events, makes their jobs, and returns how many events there were';

-- Fewer rights than a backend's: the worker can renew an invitation, and neither assign nor revoke a seat. A row lock
-- requires the right to UPDATE some column, and id is one that cannot be set.
REVOKE ALL ON FUNCTION seats_worker.take_events FROM PUBLIC;
GRANT USAGE ON SCHEMA seats, seats_worker TO seats_worker;
GRANT SELECT, DELETE, UPDATE (id) ON seats.events TO seats_worker;
GRANT SELECT ON seats.organizations, seats.products, seats.customers TO seats_worker;
GRANT EXECUTE ON FUNCTION seats.resend_invitation TO seats_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON seats_worker.jobs TO seats_worker;
GRANT SELECT ON seats_worker.seats, seats_worker.purchases TO seats_worker;
GRANT EXECUTE ON FUNCTION seats_worker.take_events TO seats_worker;
