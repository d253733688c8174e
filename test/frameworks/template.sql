-- The database that each test copies, as the product of docs/frameworks.md has it.

CREATE DATABASE frameworks_template;
\connect frameworks_template
CREATE EXTENSION seats CASCADE;
CREATE ROLE backend LOGIN;
SELECT seats.grant_access(backend => 'backend');
INSERT INTO seats.organizations (name, slug, seat_based_pricing_enabled) VALUES ('Acme', 'acme', true);
INSERT INTO seats.products (organization_id, name) SELECT id, 'Editor' FROM seats.organizations;
INSERT INTO seats.customers (organization_id, email) SELECT id, 'ada@acme.example' FROM seats.organizations;

-- Every statement is logged, and no parameter: a token in the log was no parameter.
ALTER SYSTEM SET log_statement = 'all';
ALTER SYSTEM SET log_parameter_max_length = 0;
SELECT pg_reload_conf();
