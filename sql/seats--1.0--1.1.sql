-- seats 1.0 to 1.1.
--
-- Every change here is in seats--1.1.sql too, in the same words where that is possible. test/t/040_upgrade.pl compares the
-- catalogs that the two leave behind.

\echo Use "ALTER EXTENSION seats UPDATE TO '1.1'" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;
