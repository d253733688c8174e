-- seats 1.0 to 1.1.
--
-- Every change here is in seats--1.1.sql too, in the same words where that is possible. test/t/040_upgrade.pl compares the
-- catalogs that the two leave behind.

\echo Use "ALTER EXTENSION seats UPDATE TO '1.1'" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;


-- Addresses ----------------------------------------------------------------------------------------------

-- First of all: where customers have addresses that 1.1 does not take, nothing else is worth doing.
-- No address has a character of Unicode's categories Cc, Cf, Zs, Zl and Zp, one that is Default_Ignorable_Code_Point, U+2800, or one of
-- <>()[]\,;:" (src/email.c has the same list). The constraint calls no function of the extension, since whoever writes a customer would
-- need the right to. In a regular expression \u and \U name a character by its code in the database's encoding. LATIN1 and UTF8 have
-- Unicode's; for another encoding those characters of the list are named that it has.
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
				-- The encoding has no such character.
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

-- An error names no address: it may be logged.
DO $$
DECLARE
	rule text := (SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint
		WHERE conrelid = 'seats.customers'::regclass AND conname = 'customers_email_check');
	malformed bigint;
	repeated bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM seats.customers WHERE NOT (%s)', rule) INTO malformed;
	SELECT count(*) INTO repeated
	FROM (SELECT count(*) OVER (PARTITION BY organization_id, lower(email COLLATE "C")) AS customers
		FROM seats.customers WHERE email IS NOT NULL) AS c
	WHERE customers > 1;
	IF malformed > 0 THEN
		RAISE check_violation USING
			MESSAGE = format('seats 1.1 does not take the e-mail addresses of some customers: %s', malformed),
			DETAIL = format('Customers who share an address with another by the rule of 1.1: %s.', repeated),
			HINT = 'Find and mend them as "Addresses before the update to 1.1" in docs/operations.md says; nothing was changed.';
	ELSIF repeated > 0 THEN
		RAISE unique_violation USING
			MESSAGE = format('some customers of one organization have the same e-mail address by the rule of seats 1.1: %s', repeated),
			HINT = 'Find and mend them as "Addresses before the update to 1.1" in docs/operations.md says; nothing was changed.';
	END IF;
END
$$;
ALTER TABLE seats.customers VALIDATE CONSTRAINT customers_email_check;

DROP INDEX seats.customers_email_key;
CREATE UNIQUE INDEX customers_email_key ON seats.customers (organization_id, lower(email COLLATE "C"));
COMMENT ON COLUMN seats.customers.email IS 'E-mail address, unique in its organization whatever the case of its ASCII letters, or null';
COMMENT ON CONSTRAINT customers_email_check ON seats.customers IS
'An address that assign_seat() takes: at most 320 characters, one @ with something on both sides, no space, no control or invisible character, none of <>()[]\,;:"';
COMMENT ON INDEX seats.customers_email_key IS 'An e-mail address, whatever the case of its ASCII letters, names one customer of an organization';


-- Functions ----------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION seats.assign_seats(
	subscription_id uuid DEFAULT NULL,
	order_id uuid DEFAULT NULL,
	emails text[] DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
RETURNS SETOF seats.seat_invitation
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_assign_seats';


-- Purchases -----------------------------------------------------------------------------------------------

-- What a statement writes is checked once all triggers have run, also those that the owner adds.
CREATE TRIGGER check_purchase AFTER INSERT OR UPDATE ON seats.subscriptions
	FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase();
CREATE TRIGGER check_purchase AFTER INSERT OR UPDATE ON seats.orders
	FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase();
COMMENT ON TRIGGER check_purchase ON seats.subscriptions IS 'Refuses fewer seats than are assigned, and a count that another trigger has changed';
COMMENT ON TRIGGER check_purchase ON seats.orders IS 'Refuses fewer seats than are assigned, and a count that another trigger has changed';

CREATE TRIGGER check_deleted_purchase AFTER DELETE ON seats.subscriptions
	FOR EACH ROW WHEN (OLD.assigned_seats > 0) EXECUTE FUNCTION seats.keep_purchase();
CREATE TRIGGER check_deleted_purchase AFTER DELETE ON seats.orders
	FOR EACH ROW WHEN (OLD.assigned_seats > 0) EXECUTE FUNCTION seats.keep_purchase();
COMMENT ON TRIGGER check_deleted_purchase ON seats.subscriptions IS 'Refuses seats that another trigger has kept from being deleted';
COMMENT ON TRIGGER check_deleted_purchase ON seats.orders IS 'Refuses seats that another trigger has kept from being deleted';
COMMENT ON TRIGGER keep_purchase ON seats.subscriptions IS 'Keeps assigned_seats from others and sets modified_at';
COMMENT ON TRIGGER keep_purchase ON seats.orders IS 'Keeps assigned_seats from others and sets modified_at';
COMMENT ON FUNCTION seats.keep_purchase() IS
'Trigger on subscriptions and orders: before a change keeps assigned_seats from others and sets modified_at, after it refuses fewer seats than are assigned';


-- Keys of sessions ------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION seats.postgrest_config()
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seats_postgrest_config';


-- Privileges ----------------------------------------------------------------------------------------------

-- The policy on customer_seats calls it whoever reads the table. It reads only the caller's own setting.
GRANT EXECUTE ON FUNCTION seats.current_customer_id() TO PUBLIC;
