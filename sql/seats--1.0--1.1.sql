-- seats 1.0 to 1.1.
--
-- Every change here is in seats--1.1.sql too, in the same words where that is possible. test/t/040_upgrade.pl compares the
-- catalogs that the two leave behind.

\echo Use "ALTER EXTENSION seats UPDATE TO '1.1'" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;


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
