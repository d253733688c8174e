-- Join links over HTTP: the functions of seats_http, for anonymous, backend and the customer who pays.
SELECT test.make_organization(720, 3);
SELECT (seats.assign_seat(test.id(723), customer_id => test.id(722), immediate_claim => true)).seat.status;
-- The status and the body of an answer.
CREATE FUNCTION test.http_answer(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	body json;
BEGIN
	PERFORM set_config('response.status', '', true);
	EXECUTE 'SELECT seats_http.' || call INTO body;
	RETURN coalesce(nullif(current_setting('response.status', true), ''), '200') || ' ' || body;
END
$$;
SELECT set_config('request.jwt.claims', json_build_object('sub', test.id(722))::text, false) IS NOT NULL AS payer;

-- A link of the application's, and one of the payer's; the bodies are to_json() of the types.
SELECT seats_http.create_join_link(jsonb_build_object('subscription_id', test.id(723), 'max_uses', 2, 'email_domains', '["acme.example"]'::jsonb)) AS made \gset
SELECT seats_http.portal_create_join_link(convert_to(json_build_object('subscription_id', test.id(723), 'expires_in', 60)::text, 'UTF8')) AS paid \gset
SELECT n, string_agg(key, ' ') AS fields, (value ->> 'join_token') ~ '^seats_jnl_' AS token
FROM (VALUES (1, :'made'::json), (2, :'paid'::json)) AS v (n, value), json_object_keys(value) AS key GROUP BY n, value ->> 'join_token' ORDER BY n;
SELECT link - 'id' - 'created_at' - 'expires_at' - 'subscription_id' AS link, (link ->> 'expires_at')::timestamptz - (link ->> 'created_at')::timestamptz AS lifetime
FROM (VALUES (:'made'::jsonb -> 'link'), (:'paid'::jsonb -> 'link')) AS v (link);
SELECT :'made'::json ->> 'join_token' AS token, :'made'::json -> 'link' ->> 'id' AS id, :'paid'::json -> 'link' ->> 'id' AS paid_id \gset
SELECT substr(test.http_answer(format('list_join_links(%L)', test.id(723))), 5)::jsonb = to_jsonb(array_agg(l)) AS as_listed,
	substr(test.http_answer(format('portal_list_join_links(%L)', test.id(723))), 5)::jsonb = to_jsonb(array_agg(l)) AS for_the_payer
FROM seats.list_join_links(test.id(723)) AS l;
SELECT test.http_answer(format('list_join_links(order_id => %L)', test.id(724))) AS none;

-- Joining, and again: the same answer. Nobody is told more.
SELECT test.http_answer(format('join_info(%L)', :'token')) AS info;
SELECT test.http_answer(format('join_seat(%L::jsonb)', json_build_object('join_token', :'token'::text, 'email', address))) AS joined
FROM unnest('{ada@acme.example,ada@acme.example,ADA@ACME.EXAMPLE}'::text[]) AS address;
SELECT test.http_answer(format('join_seat(%L::bytea)', convert_to(json_build_object('join_token', :'token'::text, 'email', 'bob@acme.example')::text, 'UTF8'))) AS bytes;
SELECT uses FROM seats.join_links WHERE id = :'id';

-- Answers that are errors.
SELECT test.http_answer(call) FROM unnest(ARRAY[
	format('join_seat(%L::jsonb)', json_build_object('join_token', :'token'::text, 'email', 'cyd@acme.example')),
	format('join_seat(%L::jsonb)', json_build_object('join_token', :'token'::text, 'email', 'cyd@other.example')),
	'join_seat(''{"join_token": "seats_jnl_", "email": "a@b"}''::jsonb)',
	'join_seat(''{"join_token": 1}''::jsonb)',
	'join_seat(''{"email": 1}''::jsonb)',
	'join_seat(''{"join_token": "", "email": "a b"}''::jsonb)',
	'join_seat(''{''::bytea)',
	'join_seat(NULL::jsonb)',
	'join_info(NULL)',
	'join_info('''')',
	'join_info(''seats_jnl_'')']) AS call;
SELECT test.http_answer(format('create_join_link(%L::jsonb)', body)) FROM unnest(ARRAY[
	'{}',
	'[]',
	'{"subscription_id": "00000000-0000-4000-8000-000000000799"}',
	'{"subscription_id": "x", "max_uses": 0, "expires_in": 0, "email_domains": []}',
	'{"subscription_id": "00000000-0000-4000-8000-000000000723", "max_uses": "2", "expires_in": 1.5, "email_domains": "acme.example"}',
	'{"subscription_id": "00000000-0000-4000-8000-000000000723", "max_uses": 3000000000, "expires_in": -1, "email_domains": ["a", 1, null, "@"]}']) AS body;
SELECT test.http_answer(call) FROM unnest('{revoke_join_link(NULL),revoke_join_link(''x''),list_join_links(),list_join_links(''x'')}'::text[]) AS call;
SELECT test.http_answer(format('revoke_join_link(%L)', test.id(799))) AS unknown;

-- The payer revokes one of its own links; another's purchase and link are as if they were not there, and no customer is 401.
SELECT test.http_answer(format('portal_revoke_join_link(%L)', :'paid_id')) LIKE '200 %"revoked_at":"2%' AS revoked;
SELECT set_config('request.jwt.claims', json_build_object('sub', seats.customer_id)::text, false) IS NOT NULL AS another
FROM seats.customer_seats AS seats WHERE customer_email = 'ada@acme.example';
SELECT test.http_answer(format('portal_list_join_links(%L)', test.id(723))) AS list, test.http_answer(format('portal_revoke_join_link(%L)', :'id')) AS revoke,
	test.http_answer(format('portal_create_join_link(%L::jsonb)', json_build_object('subscription_id', test.id(723)))) AS create;
SELECT set_config('request.jwt.claims', '', false);
SELECT test.http_answer(format('portal_list_join_links(%L)', test.id(723))) AS list, test.http_answer(format('portal_revoke_join_link(%L)', :'id')) AS revoke,
	test.http_answer(format('portal_create_join_link(%L::jsonb)', json_build_object('subscription_id', test.id(723)))) AS create,
	test.http_answer('portal_create_join_link(''{''::bytea)') AS bytes;
SELECT revoked_at FROM seats.join_links WHERE id = :'id';
SELECT test.http_answer(format('revoke_join_link(%L)', :'id')) LIKE '200 %"revoked_at":"2%' AS revoked, test.http_answer(format('join_info(%L)', :'token')) AS info;

-- What writes refuses a read-only transaction.
BEGIN READ ONLY;
SELECT (test.outcome('SELECT seats_http.' || call)).message
FROM unnest('{join_seat(NULL::jsonb),join_seat(NULL::bytea),create_join_link(NULL::jsonb),create_join_link(NULL::bytea),revoke_join_link(NULL),portal_create_join_link(NULL::jsonb),portal_create_join_link(NULL::bytea),portal_revoke_join_link(NULL)}'::text[]) AS call;
COMMIT;

DROP FUNCTION test.http_answer;
SELECT test.clear();
