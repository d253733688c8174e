-- The tables of somebody who keeps seats without the extension: the same columns but for what only
-- the extension needs, the indexes that the functions use, and foreign keys from a seat to its
-- subscription and its customer. The subscription counts its seats. No CHECK, no trigger, and
-- orders, which would be like subscriptions, are left out.

CREATE SCHEMA rival;

CREATE TABLE rival.organizations (
	id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	name text NOT NULL,
	slug text NOT NULL UNIQUE,
	seat_based_pricing_enabled boolean NOT NULL DEFAULT false,
	invitation_ttl interval
);

CREATE TABLE rival.products (
	id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	organization_id uuid NOT NULL,
	name text NOT NULL
);

CREATE TABLE rival.customers (
	id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	organization_id uuid NOT NULL,
	email text,
	external_id text,
	name text
);
CREATE UNIQUE INDEX ON rival.customers (organization_id, lower(email));
CREATE UNIQUE INDEX ON rival.customers (organization_id, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE rival.subscriptions (
	id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	organization_id uuid NOT NULL,
	product_id uuid NOT NULL,
	customer_id uuid NOT NULL,
	seats integer NOT NULL,
	status text NOT NULL DEFAULT 'incomplete',
	assigned_seats integer NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

CREATE TYPE rival.seat_status AS ENUM ('pending', 'claimed', 'revoked');

-- No index has a column that a claim changes, so that a claim is a HOT update.
CREATE TABLE rival.customer_seats (
	id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
	organization_id uuid NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	status rival.seat_status NOT NULL,
	modified_at timestamptz,
	subscription_id uuid NOT NULL REFERENCES rival.subscriptions (id) ON DELETE CASCADE,
	order_id uuid,
	customer_id uuid REFERENCES rival.customers (id),
	customer_email text,
	invitation_token_hash bytea UNIQUE,
	invitation_token_expires_at timestamptz,
	claimed_at timestamptz,
	revoked_at timestamptz,
	seat_metadata jsonb,
	suspended_at timestamptz
) WITH (fillfactor = 80);
-- A customer has one seat of a subscription; a revoked seat has no customer, and is found by that.
CREATE UNIQUE INDEX ON rival.customer_seats (subscription_id, customer_id);
CREATE INDEX ON rival.customer_seats (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX ON rival.customer_seats (invitation_token_expires_at);

CREATE TABLE rival.customer_sessions (
	token_hash bytea PRIMARY KEY,
	seat_id uuid NOT NULL,
	customer_id uuid NOT NULL,
	organization_id uuid NOT NULL,
	created_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL
);
CREATE INDEX ON rival.customer_sessions (seat_id);
CREATE INDEX ON rival.customer_sessions (expires_at);

-- The seat as the change left it.
CREATE TYPE rival.customer_seat AS (
	created_at timestamptz,
	modified_at timestamptz,
	id uuid,
	subscription_id uuid,
	order_id uuid,
	status rival.seat_status,
	customer_id uuid,
	customer_email text,
	invitation_token_expires_at timestamptz,
	claimed_at timestamptz,
	revoked_at timestamptz,
	seat_metadata jsonb
);

CREATE TABLE rival.events (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	type text NOT NULL,
	seat_id uuid NOT NULL,
	organization_id uuid NOT NULL,
	customer_id uuid NOT NULL,
	occurred_at timestamptz NOT NULL,
	metadata jsonb NOT NULL,
	seat rival.customer_seat NOT NULL
);
