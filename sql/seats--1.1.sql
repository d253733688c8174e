-- seats 1.1: seat-based pricing inside the database.
--
-- Order: types, the application's tables, the extension's tables, functions, functions for HTTP, triggers,
-- privileges, dump configuration. Every name is qualified, and every expression is resolved under the search
-- path set here, so that no object in another schema can be used instead.

\echo Use "CREATE EXTENSION seats" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

-- CREATE EXTENSION uses a schema that exists already. Its owner could drop the objects in it, and a role that may
-- create in it could add functions of the same names. pg_restore leaves such a schema, empty, if the dump names a
-- plain role as its owner. So a new schema takes its place, and the extension moves there.
--
-- Changing the owner would not be safe. Until this transaction commits, other sessions still see the old owner, and
-- a CREATE command that has checked the right to create does not check it again, so its object could appear at any
-- time. Of the old schema only the OID remains: newer minor releases then reject the object, and older ones leave it
-- out of reach. A visible object keeps the schema from being dropped; a transaction that has created one and is still
-- open holds a lock on the schema, or on the role that owns the object.
DO $$
BEGIN
	IF EXISTS (
		SELECT FROM pg_namespace AS n
		CROSS JOIN LATERAL (
			SELECT n.nspowner UNION ALL
			SELECT grantee FROM aclexplode(n.nspacl) WHERE privilege_type = 'CREATE') AS r (id)
		LEFT JOIN pg_roles ON pg_roles.oid = r.id
		WHERE n.nspname = 'seats' AND rolsuper IS NOT TRUE)
	THEN
		IF EXISTS (
			SELECT FROM pg_locks AS l
			LEFT JOIN pg_stat_activity AS a USING (pid)
			JOIN pg_database AS d ON d.datname = current_database() AND d.oid = coalesce(a.datid, d.oid)
			WHERE l.locktype = 'object' AND l.pid IS DISTINCT FROM pg_backend_pid()
				AND (l.database = d.oid OR l.classid = 'pg_authid'::regclass))
		THEN
			RAISE insufficient_privilege USING
				MESSAGE = 'schema "seats" is not a superuser''s alone, and another transaction creates or alters objects',
				HINT = 'Try again when that transaction has ended, or drop or rename the schema.';
		END IF;
		ALTER SCHEMA seats RENAME TO seats_replaced;
		CREATE SCHEMA seats;
		-- As after CREATE EXTENSION: the schema is not a member, and the extension depends on it.
		ALTER EXTENSION seats DROP SCHEMA seats;
		UPDATE pg_depend SET refobjid = 'seats'::regnamespace
		WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'seats_replaced'::regnamespace
			AND classid = 'pg_extension'::regclass AND objid = (SELECT oid FROM pg_extension WHERE extname = 'seats');
		UPDATE pg_extension SET extnamespace = 'seats'::regnamespace WHERE extname = 'seats';
		-- CREATE EXTENSION ... SCHEMA seats CASCADE puts pgcrypto there.
		IF EXISTS (
			SELECT FROM pg_extension WHERE extname = 'pgcrypto' AND extnamespace = 'seats_replaced'::regnamespace)
		THEN
			ALTER EXTENSION pgcrypto SET SCHEMA seats;
		END IF;
		BEGIN
			DROP SCHEMA seats_replaced;
		EXCEPTION WHEN dependent_objects_still_exist THEN
			RAISE insufficient_privilege USING
				MESSAGE = 'schema "seats" contains objects, and a role other than a superuser owns it or may create in it',
				HINT = 'Drop or rename the schema, or move its objects to another one.';
		END;
	END IF;
	IF EXISTS (
		SELECT FROM pg_depend AS d
		JOIN pg_shdepend AS o ON (o.classid, o.objid, o.deptype) = (d.classid, d.objid, 'o')
		JOIN pg_database ON pg_database.oid = o.dbid AND datname = current_database()
		JOIN pg_roles ON pg_roles.oid = o.refobjid
		WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = 'seats'::regnamespace AND d.deptype = 'n'
			AND d.classid <> 'pg_extension'::regclass AND NOT rolsuper)
	THEN
		RAISE insufficient_privilege USING
			MESSAGE = 'schema "seats" contains an object that a role other than a superuser owns',
			HINT = 'Drop or rename the schema, or move its objects to another one.';
	END IF;
END
$$;

COMMENT ON SCHEMA seats IS
'Seat-based pricing: subscriptions and orders with their seats, the customers who hold seats, and the functions that assign, claim and revoke them';


-- Types -----------------------------------------------------------------------------------------------

CREATE TYPE seats.seat_status AS ENUM ('pending', 'claimed', 'revoked');
COMMENT ON TYPE seats.seat_status IS
'State of a seat: pending (invited, even if the invitation has expired), claimed, or revoked (the row may be reused)';

CREATE TYPE seats.customer_seat AS (
	created_at timestamptz,
	modified_at timestamptz,
	id uuid,
	subscription_id uuid,
	order_id uuid,
	status seats.seat_status,
	customer_id uuid,
	customer_email text,
	invitation_token_expires_at timestamptz,
	claimed_at timestamptz,
	revoked_at timestamptz,
	seat_metadata jsonb
);
COMMENT ON TYPE seats.customer_seat IS
'A seat as callers see it; to_json() turns it into CustomerSeat of the HTTP contract';
COMMENT ON COLUMN seats.customer_seat.created_at IS 'When the seat was assigned';
COMMENT ON COLUMN seats.customer_seat.modified_at IS 'When the seat last changed; null if it has not';
COMMENT ON COLUMN seats.customer_seat.id IS 'Identifies the seat';
COMMENT ON COLUMN seats.customer_seat.subscription_id IS 'The seat''s subscription; null if it belongs to an order';
COMMENT ON COLUMN seats.customer_seat.order_id IS 'The seat''s order; null if it belongs to a subscription';
COMMENT ON COLUMN seats.customer_seat.status IS 'pending, claimed or revoked';
COMMENT ON COLUMN seats.customer_seat.customer_id IS 'The customer who holds the seat; null once revoked';
COMMENT ON COLUMN seats.customer_seat.customer_email IS 'The customer''s current e-mail address, or null; null once revoked';
COMMENT ON COLUMN seats.customer_seat.invitation_token_expires_at IS 'When the invitation expires; null if the seat was claimed at once';
COMMENT ON COLUMN seats.customer_seat.claimed_at IS 'When the seat was claimed';
COMMENT ON COLUMN seats.customer_seat.revoked_at IS 'When the seat was revoked';
COMMENT ON COLUMN seats.customer_seat.seat_metadata IS 'Metadata of the caller''s, at most 10 keys and 1 KB; null once revoked';

CREATE TYPE seats.customer_seat_claim_response AS (
	seat seats.customer_seat,
	customer_session_token text
);
COMMENT ON TYPE seats.customer_seat_claim_response IS
'Result of claim_seat(); to_json() turns it into CustomerSeatClaimResponse of the HTTP contract';
COMMENT ON COLUMN seats.customer_seat_claim_response.seat IS 'The claimed seat';
COMMENT ON COLUMN seats.customer_seat_claim_response.customer_session_token IS 'Session token in clear, returned once; only its hash is stored';

CREATE TYPE seats.seat_invitation AS (
	seat seats.customer_seat,
	invitation_token text
);
COMMENT ON TYPE seats.seat_invitation IS
'Result of assign_seat(), assign_seats() and resend_invitation(): the seat, and the token to send to its customer';
COMMENT ON COLUMN seats.seat_invitation.seat IS 'The seat that the invitation is for';
COMMENT ON COLUMN seats.seat_invitation.invitation_token IS 'Invitation token in clear, returned once; null if the seat was claimed at once';

CREATE TYPE seats.seat_claim_info AS (
	product_name text,
	product_id uuid,
	organization_name text,
	organization_slug text,
	customer_email text,
	can_claim boolean
);
COMMENT ON TYPE seats.seat_claim_info IS
'Result of claim_info(): what an invitation is for';
COMMENT ON COLUMN seats.seat_claim_info.product_name IS 'Name of the product that the seat gives access to';
COMMENT ON COLUMN seats.seat_claim_info.product_id IS 'Identifies that product';
COMMENT ON COLUMN seats.seat_claim_info.organization_name IS 'Name of the organization that sells the product';
COMMENT ON COLUMN seats.seat_claim_info.organization_slug IS 'Slug of that organization';
COMMENT ON COLUMN seats.seat_claim_info.customer_email IS 'Invited e-mail address; empty if the customer has none';
COMMENT ON COLUMN seats.seat_claim_info.can_claim IS 'Whether claim_seat() accepts the token now';

CREATE TYPE seats.seats_list AS (
	seats seats.customer_seat[],
	available_seats integer,
	total_seats integer
);
COMMENT ON TYPE seats.seats_list IS
'Result of list_seats(): the seats of one subscription or order';
COMMENT ON COLUMN seats.seats_list.seats IS 'All seats, including revoked ones, ordered by (created_at, id)';
COMMENT ON COLUMN seats.seats_list.available_seats IS 'Number of seats that can still be assigned';
COMMENT ON COLUMN seats.seats_list.total_seats IS 'Number of seats bought';

CREATE TYPE seats.customer_session AS (
	customer_id uuid,
	organization_id uuid,
	seat_id uuid,
	customer_email text,
	expires_at timestamptz
);
COMMENT ON TYPE seats.customer_session IS
'Result of authenticate(): the customer that a session token belongs to';
COMMENT ON COLUMN seats.customer_session.customer_id IS 'The customer who holds the seat';
COMMENT ON COLUMN seats.customer_session.organization_id IS 'The organization that the customer belongs to';
COMMENT ON COLUMN seats.customer_session.seat_id IS 'The seat that the session was opened for';
COMMENT ON COLUMN seats.customer_session.customer_email IS 'The customer''s current e-mail address, or null';
COMMENT ON COLUMN seats.customer_session.expires_at IS 'When the session expires';

CREATE TYPE seats.opened_session AS (
	session seats.customer_session,
	customer_session_token text
);
COMMENT ON TYPE seats.opened_session IS
'Result of open_session(): the session, and its token';
COMMENT ON COLUMN seats.opened_session.session IS 'The session, as authenticate() returns it';
COMMENT ON COLUMN seats.opened_session.customer_session_token IS 'Session token in clear, returned once; only its hash is stored';

CREATE TYPE seats.join_link AS (
	id uuid,
	created_at timestamptz,
	subscription_id uuid,
	order_id uuid,
	email_domains text[],
	max_uses integer,
	uses integer,
	expires_at timestamptz,
	revoked_at timestamptz
);
COMMENT ON TYPE seats.join_link IS
'A link by which people ask for an invitation to a seat, as callers see it';
COMMENT ON COLUMN seats.join_link.id IS 'Identifies the link';
COMMENT ON COLUMN seats.join_link.created_at IS 'When the link was made';
COMMENT ON COLUMN seats.join_link.subscription_id IS 'The subscription whose seats the link gives; null if it belongs to an order';
COMMENT ON COLUMN seats.join_link.order_id IS 'The order whose seats the link gives; null if it belongs to a subscription';
COMMENT ON COLUMN seats.join_link.email_domains IS 'Domains of the e-mail addresses that may join, as they were given; null allows all';
COMMENT ON COLUMN seats.join_link.max_uses IS 'How often the link may be used; null sets no limit';
COMMENT ON COLUMN seats.join_link.uses IS 'How many seats were given by the link; a customer who held a seat before does not count';
COMMENT ON COLUMN seats.join_link.expires_at IS 'When the link expires';
COMMENT ON COLUMN seats.join_link.revoked_at IS 'When the link was revoked; null if it was not';

CREATE TYPE seats.created_join_link AS (
	link seats.join_link,
	join_token text
);
COMMENT ON TYPE seats.created_join_link IS
'Result of create_join_link(): the link, and its token';
COMMENT ON COLUMN seats.created_join_link.link IS 'The link, as list_join_links() returns it';
COMMENT ON COLUMN seats.created_join_link.join_token IS 'The link''s token in clear, returned once; only its hash is stored';

CREATE TYPE seats.join_info AS (
	product_name text,
	organization_name text,
	organization_slug text,
	email_domains text[],
	can_join boolean
);
COMMENT ON TYPE seats.join_info IS
'Result of join_info(): what a join link is for';
COMMENT ON COLUMN seats.join_info.product_name IS 'Name of the product that the seat gives access to';
COMMENT ON COLUMN seats.join_info.organization_name IS 'Name of the organization that sells the product';
COMMENT ON COLUMN seats.join_info.organization_slug IS 'Slug of that organization';
COMMENT ON COLUMN seats.join_info.email_domains IS 'Domains of the e-mail addresses that may join; null allows all';
COMMENT ON COLUMN seats.join_info.can_join IS 'Whether a new address would be given a seat now';

CREATE TYPE seats.seat_stats AS (
	counted_since timestamptz,
	assigned bigint,
	claimed bigint,
	revoked bigint,
	resent bigint,
	failures jsonb,
	open_sessions bigint,
	expired_sessions bigint,
	expired_invitations bigint,
	oldest_event timestamptz,
	suspended bigint,
	resumed bigint
);
COMMENT ON TYPE seats.seat_stats IS
'Result of stats(): counters of this database, and what house-keeping has left to do';
COMMENT ON COLUMN seats.seat_stats.counted_since IS 'Start of counting for the fields up to failures, suspended and resumed: the first use of the database after the server started; all of them are null if shared memory has no room';
COMMENT ON COLUMN seats.seat_stats.assigned IS 'Seats assigned with an invitation';
COMMENT ON COLUMN seats.seat_stats.claimed IS 'Seats claimed, by claim_seat() or at once by assign_seat() or import_seats()';
COMMENT ON COLUMN seats.seat_stats.revoked IS 'Seats revoked, by any function or because their subscription or order ended';
COMMENT ON COLUMN seats.seat_stats.resent IS 'Invitations renewed, by the application, by the customer who pays or by a join';
COMMENT ON COLUMN seats.seat_stats.failures IS 'How often each of the extension''s errors was raised or answered, by reason; validation_error stands for PT422';
COMMENT ON COLUMN seats.seat_stats.open_sessions IS 'Customer sessions that have not expired; an estimate above 10,000';
COMMENT ON COLUMN seats.seat_stats.expired_sessions IS 'Expired sessions that purge_expired_sessions() has yet to delete, counted up to 10,000';
COMMENT ON COLUMN seats.seat_stats.expired_invitations IS 'Seats, claimed or not, whose invitation has expired and that release_expired_seats() has yet to look at, counted up to 10,000';
COMMENT ON COLUMN seats.seat_stats.oldest_event IS 'When the oldest event that is still stored happened';
COMMENT ON COLUMN seats.seat_stats.suspended IS 'Seats suspended because their subscription turned paused or unpaid';
COMMENT ON COLUMN seats.seat_stats.resumed IS 'Suspended seats that can be used again';


-- Tables that the application writes --------------------------------------------------------------------

CREATE TABLE seats.organizations (
	id uuid DEFAULT gen_random_uuid() CONSTRAINT organizations_pkey PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	name text NOT NULL,
	slug text NOT NULL CONSTRAINT organizations_slug_key UNIQUE,
	seat_based_pricing_enabled boolean NOT NULL DEFAULT false,
	invitation_ttl interval
		CONSTRAINT organizations_invitation_ttl_check
		CHECK (invitation_ttl > interval '0' AND invitation_ttl <= interval '10 years')
);
COMMENT ON TABLE seats.organizations IS 'The companies that sell seats';
COMMENT ON COLUMN seats.organizations.id IS 'Identifies the organization';
COMMENT ON COLUMN seats.organizations.created_at IS 'When the row was inserted';
COMMENT ON COLUMN seats.organizations.modified_at IS 'When the row last changed, set by a trigger; null if it has not';
COMMENT ON COLUMN seats.organizations.name IS 'Name shown to people who are invited';
COMMENT ON COLUMN seats.organizations.slug IS 'Name used in URLs';
COMMENT ON COLUMN seats.organizations.seat_based_pricing_enabled IS 'Whether the organization may use seats; if false, functions raise PT403';
COMMENT ON COLUMN seats.organizations.invitation_ttl IS 'How long the organization''s invitations are valid, at most 10 years; null means seats.invitation_ttl';
COMMENT ON CONSTRAINT organizations_pkey ON seats.organizations IS 'An id names one organization';
COMMENT ON CONSTRAINT organizations_slug_key ON seats.organizations IS 'A slug names one organization';
COMMENT ON CONSTRAINT organizations_invitation_ttl_check ON seats.organizations IS 'The time that invitations are valid is more than zero and at most 10 years';

CREATE TABLE seats.products (
	id uuid DEFAULT gen_random_uuid() CONSTRAINT products_pkey PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	organization_id uuid NOT NULL
		CONSTRAINT products_organization_fkey REFERENCES seats.organizations (id),
	name text NOT NULL,
	external_id text,
	CONSTRAINT products_organization_key UNIQUE (organization_id, id),
	CONSTRAINT products_external_id_key UNIQUE (organization_id, external_id)
);
COMMENT ON TABLE seats.products IS 'What an organization sells';
COMMENT ON COLUMN seats.products.id IS 'Identifies the product';
COMMENT ON COLUMN seats.products.created_at IS 'When the row was inserted';
COMMENT ON COLUMN seats.products.modified_at IS 'When the row last changed, set by a trigger; null if it has not';
COMMENT ON COLUMN seats.products.organization_id IS 'The organization that sells it';
COMMENT ON COLUMN seats.products.name IS 'Name shown to people who are invited';
COMMENT ON COLUMN seats.products.external_id IS 'The application''s own id for the product, or null; unique in the organization';
COMMENT ON CONSTRAINT products_pkey ON seats.products IS 'An id names one product';
COMMENT ON CONSTRAINT products_organization_fkey ON seats.products IS 'A product is sold by an organization that exists';
COMMENT ON CONSTRAINT products_organization_key ON seats.products IS 'Target of foreign keys that include the organization';
COMMENT ON CONSTRAINT products_external_id_key ON seats.products IS 'An external id names one product in its organization';

CREATE TABLE seats.customers (
	id uuid DEFAULT gen_random_uuid() CONSTRAINT customers_pkey PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	organization_id uuid NOT NULL
		CONSTRAINT customers_organization_fkey REFERENCES seats.organizations (id),
	email text,
	external_id text,
	name text,
	CONSTRAINT customers_organization_key UNIQUE (organization_id, id),
	CONSTRAINT customers_external_id_key UNIQUE (organization_id, external_id)
);
CREATE UNIQUE INDEX customers_email_key ON seats.customers (organization_id, lower(email COLLATE "C"));

-- An address contains no character of Unicode's categories Cc, Cf, Zs, Zl and Zp, no Default_Ignorable_Code_Point, not U+2800, and
-- none of <>()[]\,;:" (src/email.c has the same list). The constraint calls no function of the extension, because every role that
-- writes customers would need the right to call it. In a regular expression, \u and \U name a character by its code in the
-- database's encoding. LATIN1 and UTF8 have Unicode's codes; for another encoding, the list has the characters that it contains.
DO $block$
DECLARE
	forbidden text := $re$\u0001-\u0020"(),:;<>\[\\\]\u007F-\u00A0\u00AD\u034F\u0600-\u0605\u061C\u06DD\u070F\u0890-\u0891\u08E2\u115F-\u1160\u1680$re$
		|| $re$\u17B4-\u17B5\u180B-\u180F\u2000-\u200F\u2028-\u202F\u205F-\u206F\u2800\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFFB$re$
		|| $re$\U000110BD\U000110CD\U00013430-\U0001343F\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF$re$;
	others text := $re$\u0001-\u0020"(),:;<>\[\\\]\u007F$re$;
	code text;
BEGIN
	IF getdatabaseencoding() NOT IN ('LATIN1', 'UTF8') THEN
		FOR code IN
			SELECT to_hex(c)
			FROM regexp_matches(forbidden, '[\\][uU]([0-9A-F]+)(?:-[\\][uU]([0-9A-F]+))?', 'g') AS r (ends),
				LATERAL generate_series(('x' || lpad(ends[1], 8, '0'))::bit(32)::integer,
					('x' || lpad(coalesce(ends[2], ends[1]), 8, '0'))::bit(32)::integer) AS c
			WHERE c > 127
			ORDER BY c
		LOOP
			BEGIN
				others := others || chr(92) || 'U'
					|| lpad(encode(convert_to(unistr(chr(92) || '+' || lpad(code, 6, '0')), getdatabaseencoding()), 'hex'), 8, '0');
			EXCEPTION WHEN untranslatable_character OR character_not_in_repertoire OR feature_not_supported THEN
				-- The encoding does not have this character.
			END;
		END LOOP;
		forbidden := others;
	END IF;
	EXECUTE format(
		'ALTER TABLE seats.customers ADD CONSTRAINT customers_email_check '
		'CHECK (length(email) <= 320 AND email COLLATE "C" ~ %L AND email COLLATE "C" !~ %L) NOT VALID',
		'^[^@]+@[^@]+$', '[' || forbidden || ']');
END
$block$;
ALTER TABLE seats.customers VALIDATE CONSTRAINT customers_email_check;

COMMENT ON TABLE seats.customers IS 'The customers of an organization: those who pay and those who hold seats';
COMMENT ON COLUMN seats.customers.id IS 'Identifies the customer';
COMMENT ON COLUMN seats.customers.created_at IS 'When the row was inserted';
COMMENT ON COLUMN seats.customers.modified_at IS 'When the row last changed, set by a trigger; null if it has not';
COMMENT ON COLUMN seats.customers.organization_id IS 'The customer''s organization';
COMMENT ON COLUMN seats.customers.email IS 'E-mail address, or null; unique in the organization, ignoring the case of ASCII letters';
COMMENT ON COLUMN seats.customers.external_id IS 'The application''s own id for the customer, or null; unique in the organization';
COMMENT ON COLUMN seats.customers.name IS 'The customer''s name, or null';
COMMENT ON CONSTRAINT customers_pkey ON seats.customers IS 'An id names one customer';
COMMENT ON CONSTRAINT customers_organization_fkey ON seats.customers IS 'A customer belongs to an organization that exists';
COMMENT ON CONSTRAINT customers_organization_key ON seats.customers IS 'Target of foreign keys that include the organization';
COMMENT ON CONSTRAINT customers_external_id_key ON seats.customers IS 'An external id names one customer in its organization';
COMMENT ON CONSTRAINT customers_email_check ON seats.customers IS
'An address that assign_seat() accepts: at most 320 characters, one @ with something on both sides, no space, no control or invisible character, none of <>()[]\,;:"';
COMMENT ON INDEX seats.customers_email_key IS 'An e-mail address, ignoring the case of ASCII letters, names one customer in its organization';

CREATE TABLE seats.subscriptions (
	id uuid DEFAULT gen_random_uuid() CONSTRAINT subscriptions_pkey PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	organization_id uuid NOT NULL
		CONSTRAINT subscriptions_organization_fkey REFERENCES seats.organizations (id),
	product_id uuid NOT NULL,
	customer_id uuid NOT NULL,
	seats integer NOT NULL
		CONSTRAINT subscriptions_seats_check CHECK (seats >= 0),
	status text NOT NULL DEFAULT 'incomplete'
		CONSTRAINT subscriptions_status_check
		CHECK (status IN ('incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'canceled', 'unpaid', 'paused')),
	assigned_seats integer NOT NULL DEFAULT 0,
	external_id text,
	seats_next integer
		CONSTRAINT subscriptions_seats_next_check CHECK (seats_next >= 0),
	seats_limit integer
		CONSTRAINT subscriptions_seats_limit_check CHECK (seats_limit >= 0),
	CONSTRAINT subscriptions_organization_key UNIQUE (organization_id, id),
	CONSTRAINT subscriptions_external_id_key UNIQUE (organization_id, external_id),
	CONSTRAINT subscriptions_product_fkey
		FOREIGN KEY (organization_id, product_id) REFERENCES seats.products (organization_id, id),
	CONSTRAINT subscriptions_customer_fkey
		FOREIGN KEY (organization_id, customer_id) REFERENCES seats.customers (organization_id, id)
) WITH (fillfactor = 80);
CREATE INDEX subscriptions_customer_id_idx ON seats.subscriptions (customer_id);
COMMENT ON TABLE seats.subscriptions IS 'Purchases of seats that renew';
COMMENT ON COLUMN seats.subscriptions.id IS 'Identifies the subscription';
COMMENT ON COLUMN seats.subscriptions.created_at IS 'When the row was inserted';
COMMENT ON COLUMN seats.subscriptions.modified_at IS 'When the application last changed the row, or an assignment or import last raised seats; null if neither has';
COMMENT ON COLUMN seats.subscriptions.organization_id IS 'The organization that sells it';
COMMENT ON COLUMN seats.subscriptions.product_id IS 'The product; it belongs to the same organization';
COMMENT ON COLUMN seats.subscriptions.customer_id IS 'The customer who pays; it belongs to the same organization';
COMMENT ON COLUMN seats.subscriptions.seats IS 'Number of seats bought';
COMMENT ON COLUMN seats.subscriptions.status IS 'Seats can be assigned while trialing, active or past_due; turning paused or unpaid suspends them, turning canceled or incomplete_expired revokes them';
COMMENT ON COLUMN seats.subscriptions.assigned_seats IS 'Number of pending and claimed seats; only the extension can change it';
COMMENT ON COLUMN seats.subscriptions.external_id IS 'The application''s own id for the subscription, or null; unique in the organization';
COMMENT ON COLUMN seats.subscriptions.seats_next IS 'Number of seats that is planned for the next period, or null; no more than this are assigned, and none before seats is raised';
COMMENT ON COLUMN seats.subscriptions.seats_limit IS 'The number up to which an assignment raises seats, unless seats_next is set; null means that only the application raises them';
COMMENT ON CONSTRAINT subscriptions_pkey ON seats.subscriptions IS 'An id names one subscription';
COMMENT ON CONSTRAINT subscriptions_organization_fkey ON seats.subscriptions IS 'A subscription belongs to an organization that exists';
COMMENT ON CONSTRAINT subscriptions_organization_key ON seats.subscriptions IS 'Target of foreign keys that include the organization';
COMMENT ON CONSTRAINT subscriptions_external_id_key ON seats.subscriptions IS 'An external id names one subscription in its organization';
COMMENT ON CONSTRAINT subscriptions_product_fkey ON seats.subscriptions IS 'The product belongs to the same organization';
COMMENT ON CONSTRAINT subscriptions_customer_fkey ON seats.subscriptions IS 'The customer belongs to the same organization';
COMMENT ON CONSTRAINT subscriptions_seats_check ON seats.subscriptions IS 'The number of seats is never negative';
COMMENT ON CONSTRAINT subscriptions_seats_next_check ON seats.subscriptions IS 'The planned number of seats is never negative';
COMMENT ON CONSTRAINT subscriptions_seats_limit_check ON seats.subscriptions IS 'The limit of seats is never negative';
COMMENT ON CONSTRAINT subscriptions_status_check ON seats.subscriptions IS 'The statuses that a subscription can have';
COMMENT ON INDEX seats.subscriptions_customer_id_idx IS 'Finds the subscriptions that a customer pays for, when the customer is erased or deleted';

CREATE TABLE seats.orders (
	id uuid DEFAULT gen_random_uuid() CONSTRAINT orders_pkey PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	modified_at timestamptz,
	organization_id uuid NOT NULL
		CONSTRAINT orders_organization_fkey REFERENCES seats.organizations (id),
	product_id uuid NOT NULL,
	customer_id uuid NOT NULL,
	seats integer NOT NULL
		CONSTRAINT orders_seats_check CHECK (seats >= 0),
	status text NOT NULL DEFAULT 'pending'
		CONSTRAINT orders_status_check
		CHECK (status IN ('pending', 'paid', 'refunded', 'partially_refunded', 'void', 'draft')),
	assigned_seats integer NOT NULL DEFAULT 0,
	external_id text,
	CONSTRAINT orders_organization_key UNIQUE (organization_id, id),
	CONSTRAINT orders_external_id_key UNIQUE (organization_id, external_id),
	CONSTRAINT orders_product_fkey
		FOREIGN KEY (organization_id, product_id) REFERENCES seats.products (organization_id, id),
	CONSTRAINT orders_customer_fkey
		FOREIGN KEY (organization_id, customer_id) REFERENCES seats.customers (organization_id, id)
) WITH (fillfactor = 80);
CREATE INDEX orders_customer_id_idx ON seats.orders (customer_id);
COMMENT ON TABLE seats.orders IS 'Purchases of seats that are paid for once';
COMMENT ON COLUMN seats.orders.id IS 'Identifies the order';
COMMENT ON COLUMN seats.orders.created_at IS 'When the row was inserted';
COMMENT ON COLUMN seats.orders.modified_at IS 'When the application last changed the row, set by a trigger; null if it has not';
COMMENT ON COLUMN seats.orders.organization_id IS 'The organization that sold it';
COMMENT ON COLUMN seats.orders.product_id IS 'The product; it belongs to the same organization';
COMMENT ON COLUMN seats.orders.customer_id IS 'The customer who paid; it belongs to the same organization';
COMMENT ON COLUMN seats.orders.seats IS 'Number of seats bought';
COMMENT ON COLUMN seats.orders.status IS 'Seats can be assigned while paid or partially_refunded; turning refunded or void revokes them';
COMMENT ON COLUMN seats.orders.assigned_seats IS 'Number of pending and claimed seats; only the extension can change it';
COMMENT ON COLUMN seats.orders.external_id IS 'The application''s own id for the order, or null; unique in the organization';
COMMENT ON CONSTRAINT orders_pkey ON seats.orders IS 'An id names one order';
COMMENT ON CONSTRAINT orders_organization_fkey ON seats.orders IS 'An order belongs to an organization that exists';
COMMENT ON CONSTRAINT orders_organization_key ON seats.orders IS 'Target of foreign keys that include the organization';
COMMENT ON CONSTRAINT orders_external_id_key ON seats.orders IS 'An external id names one order in its organization';
COMMENT ON CONSTRAINT orders_product_fkey ON seats.orders IS 'The product belongs to the same organization';
COMMENT ON CONSTRAINT orders_customer_fkey ON seats.orders IS 'The customer belongs to the same organization';
COMMENT ON CONSTRAINT orders_seats_check ON seats.orders IS 'The number of seats is never negative';
COMMENT ON CONSTRAINT orders_status_check ON seats.orders IS 'The statuses that an order can have';
COMMENT ON INDEX seats.orders_customer_id_idx IS 'Finds the orders that a customer pays for, when the customer is erased or deleted';


-- Tables that the extension writes -----------------------------------------------------------------------

-- No index mentions a column that a claim changes, and pages keep room for new versions, so a claim is a HOT
-- update. The two unique indexes on the customer let a customer hold one seat of a purchase. A revoked seat has no
-- customer, so there may be any number of them, and the same indexes find a revoked row to reuse. They are partial,
-- because each seat needs only one of them. Their entries are not merged, because an entry that stands for several rows
-- cannot be marked as dead before all of them are. The index by customer leaves out revoked seats.
--
-- The order of columns keeps WAL small. An update logs what lies between the first and the last byte that differ. What a
-- claim changes stands together, from status to claim_key_hash, with what a revocation removes around it. An update from
-- 1.0 leaves the columns in another order, and nothing depends on it.
CREATE TABLE seats.customer_seats (
	id uuid DEFAULT gen_random_uuid() CONSTRAINT customer_seats_pkey PRIMARY KEY,
	organization_id uuid NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	subscription_id uuid,
	order_id uuid,
	customer_id uuid,
	invitation_token_expires_at timestamptz,
	expiry_watched boolean NOT NULL DEFAULT true,
	status seats.seat_status NOT NULL,
	modified_at timestamptz,
	claimed_at timestamptz,
	revoked_at timestamptz,
	suspended_at timestamptz,
	claim_key_hash bytea,
	customer_email text,
	seat_metadata jsonb,
	invitation_token_hash bytea,
	CONSTRAINT customer_seats_invitation_token_hash_key UNIQUE (invitation_token_hash),
	CONSTRAINT customer_seats_subscription_fkey
		FOREIGN KEY (organization_id, subscription_id)
		REFERENCES seats.subscriptions (organization_id, id) ON DELETE CASCADE,
	CONSTRAINT customer_seats_order_fkey
		FOREIGN KEY (organization_id, order_id)
		REFERENCES seats.orders (organization_id, id) ON DELETE CASCADE,
	CONSTRAINT customer_seats_customer_fkey
		FOREIGN KEY (organization_id, customer_id)
		REFERENCES seats.customers (organization_id, id),
	CONSTRAINT customer_seats_purchase_check
		CHECK ((subscription_id IS NULL) <> (order_id IS NULL)),
	CONSTRAINT customer_seats_status_check
		CHECK (CASE status
			WHEN 'pending' THEN customer_id IS NOT NULL
				AND invitation_token_hash IS NOT NULL
				AND invitation_token_expires_at IS NOT NULL
				AND claimed_at IS NULL AND revoked_at IS NULL
				AND (expiry_watched OR suspended_at IS NOT NULL)
			WHEN 'claimed' THEN customer_id IS NOT NULL
				AND claimed_at IS NOT NULL AND revoked_at IS NULL
			ELSE revoked_at IS NOT NULL
				AND customer_id IS NULL AND customer_email IS NULL AND suspended_at IS NULL
			END)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX customer_seats_subscription_customer_key
	ON seats.customer_seats (subscription_id, customer_id) WITH (deduplicate_items = off) WHERE subscription_id IS NOT NULL;
CREATE UNIQUE INDEX customer_seats_order_customer_key
	ON seats.customer_seats (order_id, customer_id) WITH (deduplicate_items = off) WHERE order_id IS NOT NULL;
CREATE INDEX customer_seats_customer_id_idx ON seats.customer_seats (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX customer_seats_expiry_idx
	ON seats.customer_seats (invitation_token_expires_at) WHERE expiry_watched;
COMMENT ON TABLE seats.customer_seats IS 'The seats that were assigned; only the extension''s functions write this table';
COMMENT ON COLUMN seats.customer_seats.id IS 'Identifies the seat; a row that is given to another customer gets a new one';
COMMENT ON COLUMN seats.customer_seats.organization_id IS 'The organization of the seat''s subscription or order, and of its customer';
COMMENT ON COLUMN seats.customer_seats.created_at IS 'When the seat was assigned';
COMMENT ON COLUMN seats.customer_seats.subscription_id IS 'The seat''s subscription; null if it belongs to an order';
COMMENT ON COLUMN seats.customer_seats.order_id IS 'The seat''s order; null if it belongs to a subscription';
COMMENT ON COLUMN seats.customer_seats.customer_id IS 'The customer who holds the seat; null once revoked';
COMMENT ON COLUMN seats.customer_seats.invitation_token_expires_at IS 'When the invitation expires; null if the seat was claimed at once';
COMMENT ON COLUMN seats.customer_seats.expiry_watched IS 'Whether release_expired_seats() looks at the seat once its invitation has expired; neither a claim nor a suspension clears it';
COMMENT ON COLUMN seats.customer_seats.status IS 'pending, claimed or revoked; expiry follows from invitation_token_expires_at and is never written';
COMMENT ON COLUMN seats.customer_seats.modified_at IS 'When the seat last changed; null if it has not';
COMMENT ON COLUMN seats.customer_seats.claimed_at IS 'When the seat was claimed; kept when the seat is revoked';
COMMENT ON COLUMN seats.customer_seats.revoked_at IS 'When the seat was revoked';
COMMENT ON COLUMN seats.customer_seats.suspended_at IS 'When the seat was suspended because its subscription is paused or unpaid; null if it is not';
COMMENT ON COLUMN seats.customer_seats.claim_key_hash IS 'SHA-256 of the invitation token and the claim''s idempotency key; null if there was no key';
COMMENT ON COLUMN seats.customer_seats.customer_email IS 'The customer''s e-mail address, kept by a trigger on customers; null once revoked';
COMMENT ON COLUMN seats.customer_seats.seat_metadata IS 'Metadata of the caller''s, at most 10 keys and 1 KB; null once revoked';
COMMENT ON COLUMN seats.customer_seats.invitation_token_hash IS 'SHA-256 of the invitation token; kept after the claim, so that a later claim gets the right error; null if the seat was claimed at once';
COMMENT ON CONSTRAINT customer_seats_pkey ON seats.customer_seats IS 'An id names one seat';
COMMENT ON CONSTRAINT customer_seats_invitation_token_hash_key ON seats.customer_seats IS 'An invitation token belongs to one seat';
COMMENT ON INDEX seats.customer_seats_subscription_customer_key IS 'A customer holds at most one seat of a subscription; revoked seats have no customer';
COMMENT ON INDEX seats.customer_seats_order_customer_key IS 'A customer holds at most one seat of an order; revoked seats have no customer';
COMMENT ON INDEX seats.customer_seats_customer_id_idx IS 'Finds the seats of a customer, for my_seats and has_seat(), and when the address changes or the customer is erased or deleted';
COMMENT ON INDEX seats.customer_seats_expiry_idx IS 'Finds the seats whose invitation has expired';
COMMENT ON CONSTRAINT customer_seats_subscription_fkey ON seats.customer_seats IS 'The subscription belongs to the same organization; deleting it deletes its seats';
COMMENT ON CONSTRAINT customer_seats_order_fkey ON seats.customer_seats IS 'The order belongs to the same organization; deleting it deletes its seats';
COMMENT ON CONSTRAINT customer_seats_customer_fkey ON seats.customer_seats IS 'The customer belongs to the same organization and cannot be deleted while holding the seat';
COMMENT ON CONSTRAINT customer_seats_purchase_check ON seats.customer_seats IS 'A seat belongs to either a subscription or an order';
COMMENT ON CONSTRAINT customer_seats_status_check ON seats.customer_seats IS 'The status agrees with the other columns; for example, a seat is revoked if and only if revoked_at is set';

-- Sessions have no foreign keys, because each would cost every claim a row lock. The triggers on customer_seats
-- end the sessions of seats that are suspended or no longer claimed.
CREATE TABLE seats.customer_sessions (
	token_hash bytea CONSTRAINT customer_sessions_pkey PRIMARY KEY,
	seat_id uuid NOT NULL,
	customer_id uuid NOT NULL,
	organization_id uuid NOT NULL,
	created_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	of_claim boolean NOT NULL DEFAULT true
);
CREATE INDEX customer_sessions_seat_id_idx ON seats.customer_sessions (seat_id);
CREATE INDEX customer_sessions_expires_at_idx ON seats.customer_sessions (expires_at);
COMMENT ON TABLE seats.customer_sessions IS 'Customer sessions, opened by claims and by open_session(); only the extension''s functions write this table';
COMMENT ON COLUMN seats.customer_sessions.token_hash IS 'SHA-256 of the session token';
COMMENT ON COLUMN seats.customer_sessions.seat_id IS 'The seat that the session was opened for';
COMMENT ON COLUMN seats.customer_sessions.customer_id IS 'The customer who holds the seat';
COMMENT ON COLUMN seats.customer_sessions.organization_id IS 'The organization of the seat';
COMMENT ON COLUMN seats.customer_sessions.created_at IS 'When the session was opened';
COMMENT ON COLUMN seats.customer_sessions.expires_at IS 'When the session expires';
COMMENT ON COLUMN seats.customer_sessions.of_claim IS 'Whether the claim opened the session, so that a claim that is answered again ends it; false for those of open_session()';
COMMENT ON CONSTRAINT customer_sessions_pkey ON seats.customer_sessions IS 'A session token belongs to one session';
COMMENT ON INDEX seats.customer_sessions_seat_id_idx IS 'Finds the sessions of a seat, to end them with it';
COMMENT ON INDEX seats.customer_sessions_expires_at_idx IS 'Finds the sessions that have expired';

CREATE TABLE seats.join_links (
	id uuid DEFAULT gen_random_uuid() CONSTRAINT join_links_pkey PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	organization_id uuid NOT NULL,
	subscription_id uuid,
	order_id uuid,
	email_domains text[],
	max_uses integer
		CONSTRAINT join_links_max_uses_check CHECK (max_uses >= 1),
	uses integer NOT NULL DEFAULT 0,
	expires_at timestamptz NOT NULL,
	revoked_at timestamptz,
	token_hash bytea NOT NULL
		CONSTRAINT join_links_token_hash_key UNIQUE,
	CONSTRAINT join_links_subscription_fkey
		FOREIGN KEY (organization_id, subscription_id)
		REFERENCES seats.subscriptions (organization_id, id) ON DELETE CASCADE,
	CONSTRAINT join_links_order_fkey
		FOREIGN KEY (organization_id, order_id)
		REFERENCES seats.orders (organization_id, id) ON DELETE CASCADE,
	CONSTRAINT join_links_purchase_check
		CHECK ((subscription_id IS NULL) <> (order_id IS NULL)),
	CONSTRAINT join_links_uses_check
		CHECK (uses >= 0 AND (max_uses IS NULL OR uses <= max_uses))
) WITH (fillfactor = 80);
CREATE INDEX join_links_subscription_id_idx ON seats.join_links (subscription_id) WHERE subscription_id IS NOT NULL;
CREATE INDEX join_links_order_id_idx ON seats.join_links (order_id) WHERE order_id IS NOT NULL;
COMMENT ON TABLE seats.join_links IS 'Links by which people ask for an invitation to a seat of one subscription or order; only the extension''s functions write this table';
COMMENT ON COLUMN seats.join_links.id IS 'Identifies the link';
COMMENT ON COLUMN seats.join_links.created_at IS 'When the link was made';
COMMENT ON COLUMN seats.join_links.organization_id IS 'The organization of the link''s subscription or order';
COMMENT ON COLUMN seats.join_links.subscription_id IS 'The subscription whose seats the link gives; null if it belongs to an order';
COMMENT ON COLUMN seats.join_links.order_id IS 'The order whose seats the link gives; null if it belongs to a subscription';
COMMENT ON COLUMN seats.join_links.email_domains IS 'Domains of the e-mail addresses that may join, as they were given; null allows all';
COMMENT ON COLUMN seats.join_links.max_uses IS 'How often the link may be used; null sets no limit';
COMMENT ON COLUMN seats.join_links.uses IS 'How many seats were given by the link; a customer who held a seat before does not count';
COMMENT ON COLUMN seats.join_links.expires_at IS 'When the link expires';
COMMENT ON COLUMN seats.join_links.revoked_at IS 'When the link was revoked; null if it was not';
COMMENT ON COLUMN seats.join_links.token_hash IS 'SHA-256 of the link''s token';
COMMENT ON CONSTRAINT join_links_pkey ON seats.join_links IS 'An id names one link';
COMMENT ON CONSTRAINT join_links_token_hash_key ON seats.join_links IS 'A token belongs to one link';
COMMENT ON CONSTRAINT join_links_subscription_fkey ON seats.join_links IS 'The subscription belongs to the same organization; deleting it deletes its links';
COMMENT ON CONSTRAINT join_links_order_fkey ON seats.join_links IS 'The order belongs to the same organization; deleting it deletes its links';
COMMENT ON CONSTRAINT join_links_purchase_check ON seats.join_links IS 'A link belongs to either a subscription or an order';
COMMENT ON CONSTRAINT join_links_max_uses_check ON seats.join_links IS 'A link may be used at least once';
COMMENT ON CONSTRAINT join_links_uses_check ON seats.join_links IS 'A link is not used more often than it may be';
COMMENT ON INDEX seats.join_links_subscription_id_idx IS 'Finds the links of a subscription';
COMMENT ON INDEX seats.join_links_order_id_idx IS 'Finds the links of an order';

CREATE TABLE seats.events (
	id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT events_pkey PRIMARY KEY,
	type text NOT NULL
		CONSTRAINT events_type_check
		CHECK (type IN ('customer_seat.assigned', 'customer_seat.claimed', 'customer_seat.revoked', 'customer_seat.invitation_resent',
			'customer_seat.suspended', 'customer_seat.resumed')),
	seat_id uuid NOT NULL,
	organization_id uuid NOT NULL,
	customer_id uuid NOT NULL,
	occurred_at timestamptz NOT NULL,
	metadata jsonb NOT NULL DEFAULT '{}',
	seat seats.customer_seat
);
COMMENT ON TABLE seats.events IS 'What happened to seats: one row for each change, written in the transaction of the change, and kept when the seat is deleted';
COMMENT ON COLUMN seats.events.id IS 'Number in the order of recording, which is not the order of commits';
COMMENT ON COLUMN seats.events.type IS 'customer_seat.assigned, .claimed, .revoked, .invitation_resent, .suspended or .resumed';
COMMENT ON COLUMN seats.events.seat_id IS 'The seat that changed';
COMMENT ON COLUMN seats.events.organization_id IS 'The organization of the seat';
COMMENT ON COLUMN seats.events.customer_id IS 'The customer who held the seat';
COMMENT ON COLUMN seats.events.occurred_at IS 'When the change happened, the same time as in the seat and the session';
COMMENT ON COLUMN seats.events.metadata IS 'subscription_id or order_id; reason, why a seat was revoked; invitation, unsent if nobody knows its token; imported, true if import_seats() claimed the seat; seats, if the call raised it; join_link_id, if somebody joined by it; role: the calling PostgreSQL role; over PostgREST also address and user_agent, if the request has them; never a token';
COMMENT ON COLUMN seats.events.seat IS 'The seat as the change left it, and as if revoked if its subscription or order was deleted; null in events of 1.0';
COMMENT ON SEQUENCE seats.events_id_seq IS 'Numbers the events';
COMMENT ON CONSTRAINT events_pkey ON seats.events IS 'An id names one event';
COMMENT ON CONSTRAINT events_type_check ON seats.events IS 'The types of events';

CREATE TABLE seats.jwt_keys (
	kid uuid DEFAULT gen_random_uuid() CONSTRAINT jwt_keys_pkey PRIMARY KEY,
	secret bytea NOT NULL
		CONSTRAINT jwt_keys_secret_check CHECK (length(secret) >= 32),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp()
		CONSTRAINT jwt_keys_created_at_key UNIQUE
);
-- The default of the column draws the key, with pgcrypto in whichever schema, so no statement contains it.
DO $$
BEGIN
	EXECUTE format('ALTER TABLE seats.jwt_keys ALTER secret SET DEFAULT %s.gen_random_bytes(32)',
		(SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pgcrypto'));
END
$$;
INSERT INTO seats.jwt_keys DEFAULT VALUES;
COMMENT ON TABLE seats.jwt_keys IS 'The keys that sign JWT sessions, written by rotate_jwt_key(); pg_dump leaves them out, and a restored database gets a new one';
COMMENT ON COLUMN seats.jwt_keys.kid IS 'Identifies the key in the header of a JWT';
COMMENT ON COLUMN seats.jwt_keys.secret IS 'The key for HMAC-SHA256, at least 32 bytes';
COMMENT ON COLUMN seats.jwt_keys.created_at IS 'When the key was created; the newest key signs';
COMMENT ON CONSTRAINT jwt_keys_pkey ON seats.jwt_keys IS 'An id names one key';
COMMENT ON CONSTRAINT jwt_keys_secret_check ON seats.jwt_keys IS 'A key is at least as long as the hash';
COMMENT ON CONSTRAINT jwt_keys_created_at_key ON seats.jwt_keys IS 'No two keys are equally new';


-- Functions ----------------------------------------------------------------------------------------------

-- They run with the rights of the extension's owner, so callers need no right on any table, and with a pinned
-- search path. None is STRICT, because a null argument has its own error.

CREATE FUNCTION seats.claim_seat(invitation_token text, idempotency_key text DEFAULT NULL)
RETURNS seats.customer_seat_claim_response
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_claim_seat';
COMMENT ON FUNCTION seats.claim_seat(text, text) IS
'Claims the pending seat of an invitation token and opens a customer session; raises PT400, PT403, PT422';

CREATE FUNCTION seats.claim_info(invitation_token text)
RETURNS seats.seat_claim_info
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_claim_info';
COMMENT ON FUNCTION seats.claim_info(text) IS
'Returns what an invitation is for and whether it can be claimed; changes nothing; raises PT400, PT403, PT422';

CREATE FUNCTION seats.assign_seat(
	subscription_id uuid DEFAULT NULL,
	order_id uuid DEFAULT NULL,
	email text DEFAULT NULL,
	external_customer_id text DEFAULT NULL,
	customer_id uuid DEFAULT NULL,
	metadata jsonb DEFAULT NULL,
	immediate_claim boolean DEFAULT false)
RETURNS seats.seat_invitation
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_assign_seat';
COMMENT ON FUNCTION seats.assign_seat(uuid, uuid, text, text, uuid, jsonb, boolean) IS
'Assigns a free seat of a subscription or order to a customer, and returns the seat and its invitation token; raises PT400, PT403, PT404, PT422';

CREATE FUNCTION seats.assign_seats(
	subscription_id uuid DEFAULT NULL,
	order_id uuid DEFAULT NULL,
	emails text[] DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
RETURNS SETOF seats.seat_invitation
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_assign_seats';
COMMENT ON FUNCTION seats.assign_seats(uuid, uuid, text[], jsonb) IS
'Assigns a free seat to each of several e-mail addresses, all or none, and returns the seats and invitation tokens in the order of the addresses; raises PT400, PT403, PT404, PT422';

CREATE FUNCTION seats.import_seats(
	subscription_id uuid DEFAULT NULL,
	order_id uuid DEFAULT NULL,
	emails text[] DEFAULT NULL,
	external_customer_ids text[] DEFAULT NULL,
	claimed_at timestamptz[] DEFAULT NULL)
RETURNS integer
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_import_seats';
COMMENT ON FUNCTION seats.import_seats(uuid, uuid, text[], text[], timestamptz[]) IS
'Gives claimed seats of a subscription or order to those who were members before, all or none, without invitations and sessions, and returns how many; raises PT400, PT403, PT404, PT422';

CREATE FUNCTION seats.resend_invitation(seat_id uuid)
RETURNS seats.seat_invitation
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_resend_invitation';
COMMENT ON FUNCTION seats.resend_invitation(uuid) IS
'Gives a pending seat a new invitation token and a new expiry, and returns them; the old token no longer works; raises PT400, PT403, PT404, PT422';

CREATE FUNCTION seats.revoke_seat(seat_id uuid)
RETURNS seats.customer_seat
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_revoke_seat';
COMMENT ON FUNCTION seats.revoke_seat(uuid) IS
'Revokes a seat and ends its sessions; a seat that is already revoked is returned unchanged; raises PT403, PT404, PT422';

CREATE FUNCTION seats.revoke_seats(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL)
RETURNS integer
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_revoke_seats';
COMMENT ON FUNCTION seats.revoke_seats(uuid, uuid) IS
'Revokes all seats of a subscription or order, ends their sessions, and returns how many seats were revoked; raises PT404, PT422';

CREATE FUNCTION seats.set_seats(
	subscription_id uuid DEFAULT NULL,
	order_id uuid DEFAULT NULL,
	seats integer DEFAULT NULL,
	surplus text DEFAULT 'refuse')
RETURNS integer
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_set_seats';
COMMENT ON FUNCTION seats.set_seats(uuid, uuid, integer, text) IS
'Sets the number of seats of a subscription or order; if more are assigned, refuses that or revokes the latest, as surplus says, and returns how many seats were revoked; raises PT404, PT422';

CREATE FUNCTION seats.list_seats(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL)
RETURNS seats.seats_list
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_list_seats';
COMMENT ON FUNCTION seats.list_seats(uuid, uuid) IS
'Lists the seats of a subscription or order, including revoked ones; raises PT403, PT404, PT422';

CREATE FUNCTION seats.get_seat(seat_id uuid)
RETURNS seats.customer_seat
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_get_seat';
COMMENT ON FUNCTION seats.get_seat(uuid) IS
'Returns one seat, in any state; raises PT403, PT404, PT422';

CREATE FUNCTION seats.has_seat(product_id uuid)
RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_has_seat';
COMMENT ON FUNCTION seats.has_seat(uuid) IS
'Returns whether the customer that the JWT of PostgREST''s request names as its subject holds a claimed seat of a product that can be used; raises nothing';

CREATE FUNCTION seats.has_seat(product_id uuid, customer_id uuid)
RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_has_seat';
COMMENT ON FUNCTION seats.has_seat(uuid, uuid) IS
'Returns whether a customer holds a claimed seat of a product that can be used; raises nothing';

CREATE FUNCTION seats.authenticate(customer_session_token text)
RETURNS seats.customer_session
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_authenticate';
COMMENT ON FUNCTION seats.authenticate(text) IS
'Returns the customer that a session token belongs to; raises PT401, PT422';

CREATE FUNCTION seats.end_session(customer_session_token text)
RETURNS boolean
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_end_session';
COMMENT ON FUNCTION seats.end_session(text) IS
'Signs out: ends the session of a token, and returns whether there was one; raises PT422';

CREATE FUNCTION seats.check_session()
RETURNS void
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_check_session';
COMMENT ON FUNCTION seats.check_session() IS
'PostgREST''s db-pre-request function: rejects requests with the JWT of a session that has ended or expired, and accepts all others; raises PT401';

CREATE FUNCTION seats.postgrest_config()
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_postgrest_config';
COMMENT ON FUNCTION seats.postgrest_config() IS
'PostgREST''s db-pre-config function: sets pgrst.jwt_secret to the keys of JWT sessions, a JWK set, for this transaction; whoever may call it can read the keys';

CREATE FUNCTION seats.rotate_jwt_key()
RETURNS uuid
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_rotate_jwt_key';
COMMENT ON FUNCTION seats.rotate_jwt_key() IS
'Creates a new key for JWT sessions, deletes the keys that no session can need any more, tells PostgREST to reload them, and returns the id of the new key';

CREATE FUNCTION seats.open_session(seat_id uuid)
RETURNS seats.opened_session
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_open_session';
COMMENT ON FUNCTION seats.open_session(uuid) IS
'Opens a further session for the customer who holds a claimed seat; the application has made sure who asks; raises PT400, PT403, PT404, PT422';

CREATE FUNCTION seats.erase_customer(customer_id uuid)
RETURNS integer
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_erase_customer';
COMMENT ON FUNCTION seats.erase_customer(uuid) IS
'Revokes the seats of a customer, removes the person''s data from all tables, deletes the customer unless a subscription or order refers to it, and returns how many seats were revoked; raises PT404, PT422';

CREATE FUNCTION seats.create_join_link(
	subscription_id uuid DEFAULT NULL,
	order_id uuid DEFAULT NULL,
	max_uses integer DEFAULT NULL,
	expires_in interval DEFAULT '7 days',
	email_domains text[] DEFAULT NULL)
RETURNS seats.created_join_link
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_create_join_link';
COMMENT ON FUNCTION seats.create_join_link(uuid, uuid, integer, interval, text[]) IS
'Makes a link by which many people may ask for an invitation to a free seat of a subscription or order, and returns it and its token; raises PT403, PT404, PT422';

CREATE FUNCTION seats.join_info(join_token text)
RETURNS seats.join_info
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_join_info';
COMMENT ON FUNCTION seats.join_info(text) IS
'Returns what a join link is for, and whether a new address would be given a seat now; changes nothing; raises PT400, PT403, PT422';

CREATE FUNCTION seats.join_seat(join_token text, email text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_join_seat';
COMMENT ON FUNCTION seats.join_seat(text, text) IS
'Gives an e-mail address a pending seat and leaves it to the application to send the invitation; answers an address that holds a seat in the same way; raises PT400, PT403, PT422';

CREATE FUNCTION seats.list_join_links(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL)
RETURNS SETOF seats.join_link
LANGUAGE C STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_list_join_links';
COMMENT ON FUNCTION seats.list_join_links(uuid, uuid) IS
'Lists the join links of a subscription or order, including revoked ones; raises PT403, PT404, PT422';

CREATE FUNCTION seats.revoke_join_link(link_id uuid)
RETURNS seats.join_link
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_revoke_join_link';
COMMENT ON FUNCTION seats.revoke_join_link(uuid) IS
'Ends a join link; a link that is already revoked is returned unchanged; raises PT403, PT404, PT422';

CREATE FUNCTION seats.release_expired_seats(older_than interval DEFAULT '0')
RETURNS integer
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_release_expired_seats';
COMMENT ON FUNCTION seats.release_expired_seats(interval) IS
'Revokes a bounded number of pending seats whose invitation expired at least that long ago, skips locked ones, and returns how many were revoked; raises PT422';

CREATE FUNCTION seats.purge_expired_sessions()
RETURNS integer
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_purge_expired_sessions';
COMMENT ON FUNCTION seats.purge_expired_sessions() IS
'Deletes at most 10,000 expired sessions, skips locked ones, and returns how many were deleted';

CREATE FUNCTION seats.purge_events(older_than interval)
RETURNS integer
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_purge_events';
COMMENT ON FUNCTION seats.purge_events(interval) IS
'Deletes those of the first 10,000 events that happened at least that long ago, skips locked ones, and returns how many were deleted; raises PT422';

CREATE FUNCTION seats.token_route(token text)
RETURNS integer
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_token_route';
COMMENT ON FUNCTION seats.token_route(text) IS
'Returns the number by which a router finds the shard of a token; it equals organization_route() of the organization that issued the token; raises PT400';

CREATE FUNCTION seats.organization_route(organization_id uuid)
RETURNS integer
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_organization_route';
COMMENT ON FUNCTION seats.organization_route(uuid) IS
'Returns the number by which a router finds the shard of an organization: the first four bytes, big-endian, of the SHA-256 of its id';


-- Over HTTP ----------------------------------------------------------------------------------------------

-- These have a schema of their own, so that PostgREST can be given this one alone. If it exists already, another
-- role might own it, so that is an error. All functions are VOLATILE, even those that only read, because setting the
-- status is an effect; PostgREST runs GET in a read-only transaction anyway.
CREATE SCHEMA seats_http;
COMMENT ON SCHEMA seats_http IS
'The operations on seats for PostgREST. The functions answer as the HTTP contract requires: they set the status in response.status, and return errors as JSON';

CREATE FUNCTION seats_http.claim_seat(jsonb)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_claim_seat';
COMMENT ON FUNCTION seats_http.claim_seat(jsonb) IS
'POST /v1/customer-seats/claim, by its body: claims the seat of invitation_token; answers 200, 400, 403, 422';

CREATE FUNCTION seats_http.claim_seat(bytea)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_claim_seat_bytes';
COMMENT ON FUNCTION seats_http.claim_seat(bytea) IS
'The same, for an unparsed body: malformed JSON is answered with 422';

CREATE FUNCTION seats_http.get_claim_info(invitation_token text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_get_claim_info';
COMMENT ON FUNCTION seats_http.get_claim_info(text) IS
'GET /v1/customer-seats/claim/{invitation_token}: returns what the invitation is for; answers 200, 400, 403, 422';

CREATE FUNCTION seats_http.assign_seat(jsonb)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_assign_seat';
COMMENT ON FUNCTION seats_http.assign_seat(jsonb) IS
'POST /v1/customer-seats, by its body: assigns a free seat to a customer, and returns the seat with its invitation token; answers 200, 400, 403, 404, 422';

CREATE FUNCTION seats_http.assign_seat(bytea)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_assign_seat_bytes';
COMMENT ON FUNCTION seats_http.assign_seat(bytea) IS
'The same, for an unparsed body: malformed JSON is answered with 422';

CREATE FUNCTION seats_http.list_seats(subscription_id text DEFAULT NULL, order_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_list_seats';
COMMENT ON FUNCTION seats_http.list_seats(text, text) IS
'GET /v1/customer-seats: lists the seats of a subscription or order; answers 200, 403, 404, 422';

CREATE FUNCTION seats_http.revoke_seat(seat_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_revoke_seat';
COMMENT ON FUNCTION seats_http.revoke_seat(text) IS
'DELETE /v1/customer-seats/{seat_id}: revokes a seat and ends its sessions; answers 200, 403, 404, 422';

CREATE FUNCTION seats_http.resend_invitation(seat_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_resend_invitation';
COMMENT ON FUNCTION seats_http.resend_invitation(text) IS
'POST /v1/customer-seats/{seat_id}/resend: gives a pending seat a new invitation token, and returns both; answers 200, 400, 403, 404, 422';

CREATE FUNCTION seats_http.join_info(join_token text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_join_info';
COMMENT ON FUNCTION seats_http.join_info(text) IS
'GET /v1/customer-seats/join/{join_token}: returns what the join link is for; answers 200, 400, 403, 422';

CREATE FUNCTION seats_http.join_seat(jsonb)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_join_seat';
COMMENT ON FUNCTION seats_http.join_seat(jsonb) IS
'POST /v1/customer-seats/join, by its body: gives an e-mail address a pending seat and has the invitation sent; answers 200, 400, 403, 422';

CREATE FUNCTION seats_http.join_seat(bytea)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_join_seat_bytes';
COMMENT ON FUNCTION seats_http.join_seat(bytea) IS
'The same, for an unparsed body: malformed JSON is answered with 422';

CREATE FUNCTION seats_http.create_join_link(jsonb)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_create_join_link';
COMMENT ON FUNCTION seats_http.create_join_link(jsonb) IS
'POST /v1/customer-seats/join-links, by its body: makes a join link, and returns it with its token; answers 200, 403, 404, 422';

CREATE FUNCTION seats_http.create_join_link(bytea)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_create_join_link_bytes';
COMMENT ON FUNCTION seats_http.create_join_link(bytea) IS
'The same, for an unparsed body: malformed JSON is answered with 422';

CREATE FUNCTION seats_http.list_join_links(subscription_id text DEFAULT NULL, order_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_list_join_links';
COMMENT ON FUNCTION seats_http.list_join_links(text, text) IS
'GET /v1/customer-seats/join-links: lists the join links of a subscription or order; answers 200, 403, 404, 422';

CREATE FUNCTION seats_http.revoke_join_link(link_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_revoke_join_link';
COMMENT ON FUNCTION seats_http.revoke_join_link(text) IS
'DELETE /v1/customer-seats/join-links/{link_id}: ends a join link; answers 200, 403, 404, 422';

CREATE FUNCTION seats_http.portal_list_seats(subscription_id text DEFAULT NULL, order_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_list_seats';
COMMENT ON FUNCTION seats_http.portal_list_seats(text, text) IS
'GET /v1/customer-portal/seats: lists the seats of a subscription or order for the customer who pays for it; answers 200, 401, 403, 404, 422';

CREATE FUNCTION seats_http.portal_assign_seat(jsonb)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_assign_seat';
COMMENT ON FUNCTION seats_http.portal_assign_seat(jsonb) IS
'POST /v1/customer-portal/seats, by its body: assigns a free seat for the customer who pays; nobody gets the invitation token, and the event says that the invitation is unsent; answers 200, 400, 401, 403, 404, 422';

CREATE FUNCTION seats_http.portal_assign_seat(bytea)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_assign_seat_bytes';
COMMENT ON FUNCTION seats_http.portal_assign_seat(bytea) IS
'The same, for an unparsed body: malformed JSON is answered with 422';

CREATE FUNCTION seats_http.portal_revoke_seat(seat_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_revoke_seat';
COMMENT ON FUNCTION seats_http.portal_revoke_seat(text) IS
'DELETE /v1/customer-portal/seats/{seat_id}: revokes a seat for the customer who pays for it; answers 200, 401, 403, 404, 422';

CREATE FUNCTION seats_http.portal_resend_invitation(seat_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_resend_invitation';
COMMENT ON FUNCTION seats_http.portal_resend_invitation(text) IS
'POST /v1/customer-portal/seats/{seat_id}/resend: makes the old invitation token invalid for the customer who pays, and has a new invitation sent: the event says that it is unsent; answers 200, 400, 401, 403, 404, 422';

CREATE FUNCTION seats_http.portal_create_join_link(jsonb)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_create_join_link';
COMMENT ON FUNCTION seats_http.portal_create_join_link(jsonb) IS
'POST /v1/customer-portal/seats/join-links, by its body: makes a join link for the customer who pays; answers 200, 401, 403, 404, 422';

CREATE FUNCTION seats_http.portal_create_join_link(bytea)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_create_join_link_bytes';
COMMENT ON FUNCTION seats_http.portal_create_join_link(bytea) IS
'The same, for an unparsed body: malformed JSON is answered with 422';

CREATE FUNCTION seats_http.portal_list_join_links(subscription_id text DEFAULT NULL, order_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_list_join_links';
COMMENT ON FUNCTION seats_http.portal_list_join_links(text, text) IS
'GET /v1/customer-portal/seats/join-links: lists the join links of a subscription or order for the customer who pays for it; answers 200, 401, 403, 404, 422';

CREATE FUNCTION seats_http.portal_revoke_join_link(link_id text DEFAULT NULL)
RETURNS json
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_http_portal_revoke_join_link';
COMMENT ON FUNCTION seats_http.portal_revoke_join_link(text) IS
'DELETE /v1/customer-portal/seats/join-links/{link_id}: ends a join link for the customer who pays; answers 200, 401, 403, 404, 422';


-- Customers' own seats -----------------------------------------------------------------------------------

CREATE FUNCTION seats.current_customer_id()
RETURNS uuid
LANGUAGE C STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_current_customer_id';
COMMENT ON FUNCTION seats.current_customer_id() IS
'Returns the customer that the JWT of PostgREST''s request names as its subject (sub in request.jwt.claims), or null';

-- Row security is for customers; otherwise only the owner of the table can read a column of it. With the
-- subselect, the function is called once in a statement, and its value is looked up in an index.
ALTER TABLE seats.customer_seats ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_seats ON seats.customer_seats FOR SELECT
	USING (customer_id = (SELECT seats.current_customer_id()) AND suspended_at IS NULL);
COMMENT ON POLICY own_seats ON seats.customer_seats IS 'A customer sees only its own seats, and none that is suspended';

-- The view reads seats with its owner's rights: customers may not read suspended_at.
CREATE VIEW seats.my_seats WITH (security_barrier = true) AS
SELECT created_at, modified_at, id, subscription_id, order_id, status, customer_id, customer_email,
	invitation_token_expires_at, claimed_at, revoked_at, seat_metadata
FROM seats.customer_seats
WHERE customer_id = (SELECT seats.current_customer_id()) AND suspended_at IS NULL;
COMMENT ON VIEW seats.my_seats IS 'The pending and claimed seats, other than suspended ones, of the customer that request.jwt.claims names as sub, with the fields of the type customer_seat';
COMMENT ON COLUMN seats.my_seats.created_at IS 'When the seat was assigned';
COMMENT ON COLUMN seats.my_seats.modified_at IS 'When the seat last changed; null if it has not';
COMMENT ON COLUMN seats.my_seats.id IS 'Identifies the seat';
COMMENT ON COLUMN seats.my_seats.subscription_id IS 'The seat''s subscription; null if it belongs to an order';
COMMENT ON COLUMN seats.my_seats.order_id IS 'The seat''s order; null if it belongs to a subscription';
COMMENT ON COLUMN seats.my_seats.status IS 'pending or claimed; a revoked seat belongs to no customer';
COMMENT ON COLUMN seats.my_seats.customer_id IS 'The customer who holds the seat';
COMMENT ON COLUMN seats.my_seats.customer_email IS 'The customer''s current e-mail address, or null';
COMMENT ON COLUMN seats.my_seats.invitation_token_expires_at IS 'When the invitation expires; null if the seat was claimed at once';
COMMENT ON COLUMN seats.my_seats.claimed_at IS 'When the seat was claimed';
COMMENT ON COLUMN seats.my_seats.revoked_at IS 'Always null: a revoked seat belongs to no customer';
COMMENT ON COLUMN seats.my_seats.seat_metadata IS 'Metadata of the caller''s, at most 10 keys and 1 KB';


-- Monitoring ---------------------------------------------------------------------------------------------

-- The view reads seats with its owner's rights, past their row security, so counts can be read without access to
-- the rows. A purchase always has exactly one row of counts, so the LEFT JOIN returns the same as a plain join; but if
-- a query selects none of its columns, the planner leaves it out and reads no seats.
CREATE VIEW seats.usage AS
SELECT p.id AS subscription_id, NULL::uuid AS order_id, p.organization_id, p.status, p.seats AS purchased,
	c.pending, c.expired, c.claimed, least(p.seats, p.seats_next) - p.assigned_seats AS free
FROM seats.subscriptions AS p
LEFT JOIN LATERAL (
	SELECT count(*) FILTER (WHERE s.status = 'pending' AND s.invitation_token_expires_at > statement_timestamp()) AS pending,
		count(*) FILTER (WHERE s.status = 'pending' AND s.invitation_token_expires_at <= statement_timestamp()) AS expired,
		count(*) FILTER (WHERE s.status = 'claimed') AS claimed
	FROM seats.customer_seats AS s
	WHERE s.subscription_id = p.id AND s.customer_id IS NOT NULL) AS c ON true
UNION ALL
SELECT NULL::uuid, p.id, p.organization_id, p.status, p.seats,
	c.pending, c.expired, c.claimed, p.seats - p.assigned_seats
FROM seats.orders AS p
LEFT JOIN LATERAL (
	SELECT count(*) FILTER (WHERE s.status = 'pending' AND s.invitation_token_expires_at > statement_timestamp()) AS pending,
		count(*) FILTER (WHERE s.status = 'pending' AND s.invitation_token_expires_at <= statement_timestamp()) AS expired,
		count(*) FILTER (WHERE s.status = 'claimed') AS claimed
	FROM seats.customer_seats AS s
	WHERE s.order_id = p.id AND s.customer_id IS NOT NULL) AS c ON true;
COMMENT ON VIEW seats.usage IS 'How the seats of each subscription and order are used: purchased = pending + expired + claimed + free, unless a decrease is planned';
COMMENT ON COLUMN seats.usage.subscription_id IS 'The subscription, or null';
COMMENT ON COLUMN seats.usage.order_id IS 'The order, or null';
COMMENT ON COLUMN seats.usage.organization_id IS 'The organization that sells it';
COMMENT ON COLUMN seats.usage.status IS 'Status of the subscription or order, which decides whether free seats can be assigned';
COMMENT ON COLUMN seats.usage.purchased IS 'Number of seats bought';
COMMENT ON COLUMN seats.usage.pending IS 'Assigned seats whose invitation can be claimed now';
COMMENT ON COLUMN seats.usage.expired IS 'Assigned seats whose invitation has expired';
COMMENT ON COLUMN seats.usage.claimed IS 'Number of claimed seats';
COMMENT ON COLUMN seats.usage.free IS 'Seats that are not assigned, as far as seats_next allows that they are';

CREATE FUNCTION seats.stats()
RETURNS seats.seat_stats
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_stats';
COMMENT ON FUNCTION seats.stats() IS
'Returns how often seats of this database were assigned, claimed, revoked, sent again, suspended and resumed since the server started, how often calls failed and why, how many sessions are open, and what house-keeping has left to do; the time it takes is bounded';


-- Triggers -----------------------------------------------------------------------------------------------

CREATE FUNCTION seats.keep_modified_at()
RETURNS trigger
LANGUAGE C SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_keep_modified_at';
COMMENT ON FUNCTION seats.keep_modified_at() IS
'Trigger: sets modified_at if an update changes something';

CREATE FUNCTION seats.keep_purchase()
RETURNS trigger
LANGUAGE C SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_keep_purchase';
COMMENT ON FUNCTION seats.keep_purchase() IS
'Trigger on subscriptions and orders: before a change, restores assigned_seats and sets modified_at; after it, rejects fewer seats than are assigned';

CREATE FUNCTION seats.end_purchase()
RETURNS trigger
LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_end_purchase';
COMMENT ON FUNCTION seats.end_purchase() IS
'Trigger on subscriptions and orders: revokes the seats when one ends, suspends them when one is paused or unpaid, and resumes them afterwards';

CREATE FUNCTION seats.seats_changed()
RETURNS trigger
LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_changed';
COMMENT ON FUNCTION seats.seats_changed() IS
'Trigger on customer_seats: updates assigned_seats, ends the sessions of seats that are suspended or no longer claimed, and records events of seats that are deleted with their subscription or order';

CREATE FUNCTION seats.follow_address()
RETURNS trigger
LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_follow_address';
COMMENT ON FUNCTION seats.follow_address() IS
'Trigger on customers: updates customer_email of the seats of customers whose address changed';

-- A session that loaded the library of 1.0 keeps it after an update to 1.1. That library lacks follow_address() and suspends no
-- seats, so it must not update these tables. Its purge_expired_sessions() raises 55000 before it does anything, since it does not
-- know 1.1; that of 1.1 does nothing if a trigger calls it.
CREATE FUNCTION seats.refuse_old_library()
RETURNS trigger
LANGUAGE C SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_purge_expired_sessions';
COMMENT ON FUNCTION seats.refuse_old_library() IS
'Trigger: rejects the statement in a session that still has the library of 1.0';

CREATE FUNCTION seats.refuse_truncate()
RETURNS trigger
LANGUAGE C SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_refuse_truncate';
COMMENT ON FUNCTION seats.refuse_truncate() IS
'Trigger: rejects TRUNCATE, which would leave assigned_seats wrong';

CREATE TRIGGER keep_modified_at BEFORE UPDATE ON seats.organizations
	FOR EACH ROW EXECUTE FUNCTION seats.keep_modified_at();
CREATE TRIGGER keep_modified_at BEFORE UPDATE ON seats.products
	FOR EACH ROW EXECUTE FUNCTION seats.keep_modified_at();
CREATE TRIGGER keep_modified_at BEFORE UPDATE ON seats.customers
	FOR EACH ROW EXECUTE FUNCTION seats.keep_modified_at();
COMMENT ON TRIGGER keep_modified_at ON seats.organizations IS 'Sets modified_at if an update changes something';
COMMENT ON TRIGGER keep_modified_at ON seats.products IS 'Sets modified_at if an update changes something';
COMMENT ON TRIGGER keep_modified_at ON seats.customers IS 'Sets modified_at if an update changes something';

CREATE TRIGGER follow_address AFTER UPDATE ON seats.customers
	REFERENCING OLD TABLE AS old_customers NEW TABLE AS new_customers
	FOR EACH STATEMENT EXECUTE FUNCTION seats.follow_address();
COMMENT ON TRIGGER follow_address ON seats.customers IS 'Updates customer_email of the seats of customers whose address changed';

CREATE TRIGGER refuse_old_library BEFORE UPDATE ON seats.customers
	FOR EACH STATEMENT EXECUTE FUNCTION seats.refuse_old_library();
CREATE TRIGGER refuse_old_library AFTER UPDATE ON seats.subscriptions
	FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION seats.refuse_old_library();
CREATE TRIGGER refuse_old_library_delete BEFORE DELETE ON seats.subscriptions
	FOR EACH STATEMENT EXECUTE FUNCTION seats.refuse_old_library();
CREATE TRIGGER refuse_old_library_delete BEFORE DELETE ON seats.orders
	FOR EACH STATEMENT EXECUTE FUNCTION seats.refuse_old_library();
COMMENT ON TRIGGER refuse_old_library ON seats.customers IS 'Rejects the statement in a session that still has the library of 1.0';
COMMENT ON TRIGGER refuse_old_library ON seats.subscriptions IS 'Rejects the statement in a session that still has the library of 1.0';
COMMENT ON TRIGGER refuse_old_library_delete ON seats.subscriptions IS 'Rejects the statement in a session that still has the library of 1.0';
COMMENT ON TRIGGER refuse_old_library_delete ON seats.orders IS 'Rejects the statement in a session that still has the library of 1.0';

CREATE TRIGGER keep_purchase BEFORE INSERT OR UPDATE ON seats.subscriptions
	FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase();
CREATE TRIGGER keep_purchase BEFORE INSERT OR UPDATE ON seats.orders
	FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase();
COMMENT ON TRIGGER keep_purchase ON seats.subscriptions IS 'Restores assigned_seats if a statement writes it, and sets modified_at';
COMMENT ON TRIGGER keep_purchase ON seats.orders IS 'Restores assigned_seats if a statement writes it, and sets modified_at';

CREATE TRIGGER check_purchase AFTER INSERT OR UPDATE ON seats.subscriptions
	FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase();
CREATE TRIGGER check_purchase AFTER INSERT OR UPDATE ON seats.orders
	FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase();
COMMENT ON TRIGGER check_purchase ON seats.subscriptions IS 'Rejects fewer seats than are assigned, and a value of assigned_seats that another trigger has changed';
COMMENT ON TRIGGER check_purchase ON seats.orders IS 'Rejects fewer seats than are assigned, and a value of assigned_seats that another trigger has changed';

CREATE TRIGGER check_deleted_purchase AFTER DELETE ON seats.subscriptions
	FOR EACH ROW WHEN (OLD.assigned_seats > 0) EXECUTE FUNCTION seats.keep_purchase();
CREATE TRIGGER check_deleted_purchase AFTER DELETE ON seats.orders
	FOR EACH ROW WHEN (OLD.assigned_seats > 0) EXECUTE FUNCTION seats.keep_purchase();
COMMENT ON TRIGGER check_deleted_purchase ON seats.subscriptions IS 'Fails if another trigger has kept seats from being deleted';
COMMENT ON TRIGGER check_deleted_purchase ON seats.orders IS 'Fails if another trigger has kept seats from being deleted';

CREATE TRIGGER end_purchase AFTER UPDATE ON seats.subscriptions
	FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION seats.end_purchase();
CREATE TRIGGER end_purchase AFTER UPDATE ON seats.orders
	FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION seats.end_purchase();
COMMENT ON TRIGGER end_purchase ON seats.subscriptions IS 'Revokes the seats of a subscription that turns canceled or incomplete_expired, suspends them when it turns paused or unpaid, and resumes them when it is neither any more';
COMMENT ON TRIGGER end_purchase ON seats.orders IS 'Revokes the seats of an order that turns refunded or void';

CREATE TRIGGER seats_inserted AFTER INSERT ON seats.customer_seats
	REFERENCING NEW TABLE AS new_seats
	FOR EACH STATEMENT EXECUTE FUNCTION seats.seats_changed();
CREATE TRIGGER seats_updated AFTER UPDATE ON seats.customer_seats
	REFERENCING OLD TABLE AS old_seats NEW TABLE AS new_seats
	FOR EACH STATEMENT EXECUTE FUNCTION seats.seats_changed();
CREATE TRIGGER seats_deleted AFTER DELETE ON seats.customer_seats
	REFERENCING OLD TABLE AS old_seats
	FOR EACH STATEMENT EXECUTE FUNCTION seats.seats_changed();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON seats.customer_seats
	FOR EACH STATEMENT EXECUTE FUNCTION seats.refuse_truncate();
COMMENT ON TRIGGER seats_inserted ON seats.customer_seats IS 'Adds new seats to assigned_seats';
COMMENT ON TRIGGER seats_updated ON seats.customer_seats IS 'Updates assigned_seats, and ends the sessions of seats that are suspended or no longer claimed';
COMMENT ON TRIGGER seats_deleted ON seats.customer_seats IS 'Subtracts deleted seats from assigned_seats, ends their sessions, and records events if their subscription or order was deleted';
COMMENT ON TRIGGER refuse_truncate ON seats.customer_seats IS 'Rejects TRUNCATE, which would leave assigned_seats wrong';


-- Roles --------------------------------------------------------------------------------------------------

CREATE FUNCTION seats.grant_access(
	anonymous regrole DEFAULT NULL,
	backend regrole DEFAULT NULL,
	customer regrole DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	grantee regrole;
BEGIN
	FOREACH grantee IN ARRAY ARRAY[anonymous, backend, customer] LOOP
		CONTINUE WHEN grantee IS NULL;
		IF NOT EXISTS (SELECT FROM pg_roles WHERE oid = grantee) THEN
			RAISE undefined_object USING MESSAGE = 'role does not exist', HINT = 'Create the role first.';
		END IF;
		EXECUTE format('GRANT USAGE ON SCHEMA seats TO %s', grantee);
		EXECUTE format('GRANT EXECUTE ON FUNCTION seats.check_session TO %s', grantee);
	END LOOP;
	IF anonymous IS NOT NULL THEN
		EXECUTE format('GRANT USAGE ON SCHEMA seats_http TO %s', anonymous);
		EXECUTE format('GRANT EXECUTE ON FUNCTION seats.claim_seat, seats.claim_info, seats.join_info, seats.join_seat, '
			'seats_http.claim_seat(jsonb), seats_http.claim_seat(bytea), seats_http.get_claim_info, '
			'seats_http.join_info, seats_http.join_seat(jsonb), seats_http.join_seat(bytea) TO %s', anonymous);
	END IF;
	IF backend IS NOT NULL THEN
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON seats.organizations, seats.products, '
			'seats.customers, seats.subscriptions, seats.orders TO %s', backend);
		EXECUTE format('GRANT SELECT ON seats.usage TO %s', backend);
		EXECUTE format('GRANT EXECUTE ON FUNCTION seats.claim_seat, seats.claim_info, '
			'seats.assign_seat, seats.assign_seats, seats.import_seats, seats.resend_invitation, '
			'seats.revoke_seat, seats.revoke_seats, seats.set_seats, seats.list_seats, seats.get_seat, '
			'seats.has_seat(uuid), seats.has_seat(uuid, uuid), seats.create_join_link, seats.join_info, '
			'seats.join_seat, seats.list_join_links, seats.revoke_join_link, '
			'seats.authenticate, seats.end_session, seats.open_session, '
			'seats.erase_customer, seats.release_expired_seats, '
			'seats.purge_expired_sessions, seats.purge_events, '
			'seats.token_route, seats.organization_route, seats.stats TO %s', backend);
		EXECUTE format('GRANT USAGE ON SCHEMA seats_http TO %s', backend);
		EXECUTE format('GRANT EXECUTE ON FUNCTION '
			'seats_http.claim_seat(jsonb), seats_http.claim_seat(bytea), seats_http.get_claim_info, '
			'seats_http.assign_seat(jsonb), seats_http.assign_seat(bytea), seats_http.list_seats, '
			'seats_http.revoke_seat, seats_http.resend_invitation, '
			'seats_http.join_info, seats_http.join_seat(jsonb), seats_http.join_seat(bytea), '
			'seats_http.create_join_link(jsonb), seats_http.create_join_link(bytea), '
			'seats_http.list_join_links, seats_http.revoke_join_link TO %s', backend);
	END IF;
	IF customer IS NOT NULL THEN
		EXECUTE format('GRANT USAGE ON SCHEMA seats_http TO %s', customer);
		EXECUTE format('GRANT EXECUTE ON FUNCTION seats.authenticate, seats.end_session, '
			'seats.current_customer_id, seats.has_seat(uuid), seats_http.portal_list_seats, '
			'seats_http.portal_assign_seat(jsonb), seats_http.portal_assign_seat(bytea), '
			'seats_http.portal_revoke_seat, seats_http.portal_resend_invitation, '
			'seats_http.portal_create_join_link(jsonb), seats_http.portal_create_join_link(bytea), '
			'seats_http.portal_list_join_links, seats_http.portal_revoke_join_link TO %s', customer);
		EXECUTE format('GRANT SELECT ON seats.my_seats TO %s', customer);
		EXECUTE format('GRANT SELECT (created_at, modified_at, id, subscription_id, order_id, status, '
			'customer_id, customer_email, invitation_token_expires_at, claimed_at, revoked_at, '
			'seat_metadata) ON seats.customer_seats TO %s', customer);
	END IF;
END
$$;
COMMENT ON FUNCTION seats.grant_access(regrole, regrole, regrole) IS
'Grants each role what it needs and no more: anonymous claims seats and joins by links, backend writes the application''s records and calls all operations, customer reads its own seats and manages those that it pays for; call it as the owner of the extension';


-- Privileges: nothing to PUBLIC except one function ---------------------------------------------------------

-- PUBLIC has no default privileges on tables and sequences, but on functions. These are named one by one,
-- because pgcrypto's functions may be in this schema, too.
REVOKE ALL ON FUNCTION
	seats.claim_seat(text, text),
	seats.claim_info(text),
	seats.assign_seat(uuid, uuid, text, text, uuid, jsonb, boolean),
	seats.assign_seats(uuid, uuid, text[], jsonb),
	seats.import_seats(uuid, uuid, text[], text[], timestamptz[]),
	seats.resend_invitation(uuid),
	seats.revoke_seat(uuid),
	seats.revoke_seats(uuid, uuid),
	seats.set_seats(uuid, uuid, integer, text),
	seats.list_seats(uuid, uuid),
	seats.get_seat(uuid),
	seats.has_seat(uuid),
	seats.has_seat(uuid, uuid),
	seats.authenticate(text),
	seats.end_session(text),
	seats.check_session(),
	seats.open_session(uuid),
	seats.erase_customer(uuid),
	seats.create_join_link(uuid, uuid, integer, interval, text[]),
	seats.join_info(text),
	seats.join_seat(text, text),
	seats.list_join_links(uuid, uuid),
	seats.revoke_join_link(uuid),
	seats.postgrest_config(),
	seats.rotate_jwt_key(),
	seats.release_expired_seats(interval),
	seats.purge_expired_sessions(),
	seats.purge_events(interval),
	seats.token_route(text),
	seats.organization_route(uuid),
	seats_http.claim_seat(jsonb),
	seats_http.claim_seat(bytea),
	seats_http.get_claim_info(text),
	seats_http.assign_seat(jsonb),
	seats_http.assign_seat(bytea),
	seats_http.list_seats(text, text),
	seats_http.revoke_seat(text),
	seats_http.resend_invitation(text),
	seats_http.portal_list_seats(text, text),
	seats_http.portal_assign_seat(jsonb),
	seats_http.portal_assign_seat(bytea),
	seats_http.portal_revoke_seat(text),
	seats_http.portal_resend_invitation(text),
	seats_http.join_info(text),
	seats_http.join_seat(jsonb),
	seats_http.join_seat(bytea),
	seats_http.create_join_link(jsonb),
	seats_http.create_join_link(bytea),
	seats_http.list_join_links(text, text),
	seats_http.revoke_join_link(text),
	seats_http.portal_create_join_link(jsonb),
	seats_http.portal_create_join_link(bytea),
	seats_http.portal_list_join_links(text, text),
	seats_http.portal_revoke_join_link(text),
	seats.current_customer_id(),
	seats.stats(),
	seats.grant_access(regrole, regrole, regrole),
	seats.keep_modified_at(),
	seats.keep_purchase(),
	seats.end_purchase(),
	seats.seats_changed(),
	seats.follow_address(),
	seats.refuse_old_library(),
	seats.refuse_truncate()
FROM PUBLIC;

-- The policy on customer_seats calls it for every role that reads the table. It reads only the caller's setting.
GRANT EXECUTE ON FUNCTION seats.current_customer_id() TO PUBLIC;

-- The default privileges of the installing role may let others create in new schemas.
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN
		SELECT nspname, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS role
		FROM pg_namespace CROSS JOIN LATERAL aclexplode(nspacl)
		WHERE nspname IN ('seats', 'seats_http') AND privilege_type = 'CREATE' AND grantee <> nspowner
	LOOP
		EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM %s', r.nspname, r.role);
	END LOOP;
END
$$;

-- PostgreSQL's own role for monitoring reads numbers.
GRANT USAGE ON SCHEMA seats TO pg_monitor;
GRANT SELECT ON seats.usage TO pg_monitor;
GRANT EXECUTE ON FUNCTION seats.stats() TO pg_monitor;


-- Dump configuration: pg_dump saves the rows of an extension's tables only if they are named ---------------

SELECT pg_extension_config_dump('seats.organizations', '');
SELECT pg_extension_config_dump('seats.products', '');
SELECT pg_extension_config_dump('seats.customers', '');
SELECT pg_extension_config_dump('seats.subscriptions', '');
SELECT pg_extension_config_dump('seats.orders', '');
SELECT pg_extension_config_dump('seats.customer_seats', '');
SELECT pg_extension_config_dump('seats.customer_sessions', '');
SELECT pg_extension_config_dump('seats.join_links', '');
SELECT pg_extension_config_dump('seats.events', '');
SELECT pg_extension_config_dump('seats.events_id_seq', '');
