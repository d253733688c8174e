-- DROP EXTENSION leaves nothing behind but what it was made with: the schema, which PostgreSQL makes for
-- the extension and keeps, and pgcrypto.
SET client_min_messages = warning;
DROP EXTENSION seats CASCADE;
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'seats'::regnamespace;
SELECT count(*) AS functions FROM pg_proc WHERE pronamespace = 'seats'::regnamespace;
SELECT count(*) AS types FROM pg_type WHERE typnamespace = 'seats'::regnamespace;
SELECT count(*) AS schemas FROM pg_namespace WHERE nspname = 'seats_http';
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname LIKE 'seats%' OR tgname LIKE 'keep%';
DROP SCHEMA seats;
DROP SCHEMA test CASCADE;
RESET client_min_messages;
