-- Roles for PostgREST, with the rights that they need and no more. Run this once, as a superuser, in the
-- database that has the extension: psql -d shop -f roles.sql

-- The role that PostgREST connects as. It can only become one of the others.
CREATE ROLE authenticator LOGIN NOINHERIT;
CREATE ROLE anonymous;   -- whoever has an invitation
CREATE ROLE backend;     -- the application
CREATE ROLE customer;    -- whoever has a customer session that is a JWT
GRANT anonymous, backend, customer TO authenticator;
SELECT seats.grant_access(anonymous => 'anonymous', backend => 'backend', customer => 'customer');

-- PostgREST sets these for each request. nginx waits for 10 seconds, and what it has given up must not happen later.
ALTER ROLE anonymous SET statement_timeout = '5s';
ALTER ROLE backend SET statement_timeout = '5s';
ALTER ROLE customer SET statement_timeout = '5s';

-- PostgREST takes all keys from one place. The extension makes and rotates those of customer sessions. This one is
-- the backend's, which signs its JWTs with it: {"role": "backend", "exp": ...}.
CREATE SCHEMA gateway;
CREATE TABLE gateway.backend_key (jwk jsonb NOT NULL);
COMMENT ON TABLE gateway.backend_key IS 'The key of the backend''s JWTs: whoever has it can be any role that authenticator can';
INSERT INTO gateway.backend_key
SELECT jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'use', 'sig', 'kid', 'backend', 'k',
	translate(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'), '+/=', '-_'));

CREATE FUNCTION gateway.configure()
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT seats.postgrest_config();
	SELECT set_config('pgrst.jwt_secret', jsonb_build_object('keys',
		current_setting('pgrst.jwt_secret')::jsonb -> 'keys' || (SELECT jwk FROM gateway.backend_key))::text, true);
$$;
COMMENT ON FUNCTION gateway.configure() IS 'PostgREST''s db-pre-config: gives it the keys of JWTs';
REVOKE ALL ON FUNCTION gateway.configure() FROM PUBLIC;
GRANT USAGE ON SCHEMA gateway TO authenticator;
GRANT EXECUTE ON FUNCTION gateway.configure() TO authenticator;
