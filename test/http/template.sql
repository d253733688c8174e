-- The database that each file of tests copies, and the roles of the examples.

CREATE DATABASE http_template;
\connect http_template
CREATE EXTENSION seats CASCADE;

-- As examples/node/README.md says.
CREATE ROLE seats_web_anonymous LOGIN;
CREATE ROLE seats_web_backend LOGIN;
CREATE ROLE seats_web_customer LOGIN;
SELECT seats.grant_access(anonymous => 'seats_web_anonymous', backend => 'seats_web_backend', customer => 'seats_web_customer');

-- As examples/postgrest/README.md says.
\ir ../../examples/postgrest/roles.sql

-- As examples/worker/README.md says.
\ir ../../examples/worker/schema.sql

-- Every statement is logged, and no parameter: a token in the log was no parameter.
ALTER SYSTEM SET log_statement = 'all';
ALTER SYSTEM SET log_parameter_max_length = 0;
SELECT pg_reload_conf();
