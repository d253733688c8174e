-- Random values of every type that the functions of seats and seats_http take, and a procedure that
-- calls the functions with them; run by random_calls.t.
CREATE SCHEMA chance;
SET search_path = chance, pg_catalog;

-- Values that make sense somewhere, a hundred of each kind at most; the newer take the places of others, low
-- ones more often, where they are also looked for more often.
CREATE UNLOGGED TABLE known (kind text, slot int, value text, PRIMARY KEY (kind, slot));

CREATE FUNCTION remember_at(place int, kind text, value text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO known VALUES (kind, place, value)
	ON CONFLICT ON CONSTRAINT known_pkey DO UPDATE SET value = excluded.value
$$;

CREATE FUNCTION remember(kind text, value text) RETURNS void LANGUAGE sql AS $$
	SELECT remember_at(floor(random() * random() * 100)::int, kind, value)
$$;

-- Returns a value of a kind, or null while there is none in the place that it looks at.
CREATE FUNCTION recall(kind text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	place int := floor(random() * random() * 100);
BEGIN
	RETURN (SELECT k.value FROM known AS k WHERE k.kind = $1 AND slot = place);
END $$;

CREATE FUNCTION pick(VARIADIC choices text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN choices[1 + floor(random() * cardinality(choices))::int];
END $$;

CREATE FUNCTION remember_rows() RETURNS void LANGUAGE sql AS $$
	INSERT INTO known
	SELECT kind, (row_number() OVER (PARTITION BY kind)) - 1, value FROM (
		(SELECT 'seat' AS kind, id::text AS value FROM seats.customer_seats ORDER BY random() LIMIT 100)
		UNION ALL (SELECT 'subscription', id::text FROM seats.subscriptions)
		UNION ALL (SELECT 'order', id::text FROM seats.orders)
		UNION ALL (SELECT 'organization', id::text FROM seats.organizations)
		UNION ALL (SELECT 'customer', id::text FROM seats.customers ORDER BY random() LIMIT 100)
		UNION ALL (SELECT 'link', id::text FROM seats.join_links ORDER BY random() LIMIT 30)
		UNION ALL (SELECT 'email', email FROM seats.customers WHERE email IS NOT NULL ORDER BY random() LIMIT 15)
		UNION ALL (SELECT 'email', customer_email FROM seats.customer_seats WHERE customer_email IS NOT NULL ORDER BY random() LIMIT 15)
		UNION ALL (SELECT 'external', external_id FROM seats.customers WHERE external_id IS NOT NULL)) AS v
	ON CONFLICT ON CONSTRAINT known_pkey DO UPDATE SET value = excluded.value
$$;

-- Assigns, claims and shares seats of one purchase as an application does, and remembers its ids, addresses and tokens
-- in the low places: what is drawn for two arguments of one call then often belongs together.
CREATE FUNCTION use_one_purchase() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	purchase uuid;
	address text;
	token text;
BEGIN
	UPDATE seats.organizations SET seat_based_pricing_enabled = true;
	UPDATE seats.subscriptions SET status = 'active', seats = greatest(seats, assigned_seats + 5), seats_next = NULL
		WHERE id = (SELECT id FROM seats.subscriptions WHERE status NOT IN ('canceled', 'incomplete_expired') ORDER BY random() LIMIT 1)
		RETURNING id INTO STRICT purchase;
	FOR place IN 0 .. 3 LOOP
		address := floor(random() * 1e9) || '@example.com';
		SELECT invitation_token INTO token FROM seats.assign_seat(purchase, email => address);
		PERFORM remember_at(place, 'invitation', token);
		IF place < 2 THEN
			PERFORM remember_at(place, 'session', customer_session_token) FROM seats.claim_seat(token);
		END IF;
		PERFORM remember_at(place, 'subscription', purchase::text), remember_at(place, 'email', address),
			remember_at(place, 'customer', customer_id::text), remember_at(place, 'seat', id::text)
			FROM seats.customer_seats WHERE customer_email = address;
	END LOOP;
	PERFORM remember_at(0, 'join', join_token) FROM seats.create_join_link(purchase, email_domains => '{b}');
	SELECT join_token INTO token FROM seats.create_join_link(purchase, max_uses => 1);
	PERFORM remember_at(1, 'join', token), seats.join_seat(token, 'joined' || address);
END $$;

-- What somebody does to a text: cut, doubled, a character changed, spaces around, another case.
CREATE FUNCTION garble(value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	place int := 1 + floor(random() * greatest(length(value), 1));
BEGIN
	RETURN CASE floor(random() * 8)::int
		WHEN 0 THEN left(value, place)
		WHEN 1 THEN value || value
		WHEN 2 THEN overlay(value PLACING chr(1 + floor(random() * 127)::int) FROM place FOR 1)
		WHEN 3 THEN overlay(value PLACING pick('é', '🪑', E'\u2028', E'\x01', '%s', '\', '''', '"') FROM place FOR 0)
		WHEN 4 THEN upper(value)
		WHEN 5 THEN ' ' || value || E'\n'
		WHEN 6 THEN replace(value, '-', '')
		ELSE reverse(value)
	END;
END $$;

CREATE FUNCTION some_id() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN coalesce(
		CASE WHEN random() < 0.85 THEN recall(pick('seat', 'seat', 'subscription', 'order', 'customer', 'organization')) END,
		pick(gen_random_uuid()::text, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'));
END $$;

CREATE FUNCTION some_text() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE floor(random() * 14)::int
		WHEN 0 THEN ''
		WHEN 1 THEN repeat(pick('x', 'é', '@', ' '), pick('1', '254', '255', '256', '319', '320', '321', '1024', '1025', '100000')::int)
		WHEN 2 THEN some_id()
		WHEN 3 THEN garble(some_id())
		WHEN 4 THEN floor(random() * 50)::int || '@example.com'
		WHEN 5 THEN garble(coalesce(recall('email'), 'a@b'))
		WHEN 6 THEN recall('email')
		WHEN 7 THEN repeat('a', pick('308', '309')::int) || '@example.com'
		WHEN 8 THEN coalesce(recall('external'), 'e')
		WHEN 9 THEN garble(coalesce(recall(pick('invitation', 'session', 'join')), 'seats_inv_' || repeat('0', 55)))
		WHEN 10 THEN pick('seats_inv_' || repeat('0', 55), 'seats_cst_' || repeat('z', 55), 'eyJ', 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6' || repeat('A', 52) || '.' || repeat('A', 120) || '.' || repeat('A', 43))
		ELSE coalesce(recall(pick('invitation', 'session', 'invitation', 'join')), 'x')
	END;
END $$;

-- A text for an argument or field of a name: mostly one that fits it.
CREATE FUNCTION text_for(name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN coalesce(CASE WHEN random() < 0.7 THEN
		CASE
			WHEN name LIKE '%invitation_token' OR name = 'token' THEN recall('invitation')
			WHEN name LIKE '%session_token' THEN recall('session')
			WHEN name = 'join_token' THEN recall('join')
			WHEN name = 'surplus' THEN pick('refuse', 'revoke', 'revoke')
			WHEN name = 'email' THEN coalesce(recall('email'), floor(random() * 500)::int || '@example.com')
			WHEN name = 'external_customer_id' THEN recall('external')
			WHEN name = 'idempotency_key' THEN pick('', 'key', 'key 2', repeat('k', 255))
			WHEN name ~ '^(subscription|order|seat|customer|organization)_id$' THEN recall(split_part(name, '_', 1))
		END END, some_text());
END $$;

CREATE FUNCTION some_json(depth int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE floor(random() * CASE WHEN depth > 3 THEN 7 ELSE 11 END)::int
		WHEN 0 THEN 'null'
		WHEN 1 THEN pick('true', 'false')
		WHEN 2 THEN pick('0', '1', '-1', '1.0', '1e400', '-0', '123456789012345678901234567890')
		WHEN 3 THEN pick('"yes"', '"F"', '"TRUE"', '"2"', '""')
		WHEN 4 THEN to_json(coalesce(text_for('email'), ''))::text
		WHEN 5 THEN to_json(some_id())::text
		WHEN 6 THEN to_json(coalesce(some_text(), ''))::text
		WHEN 7 THEN '[' || some_json(depth + 1) || ', ' || some_json(depth + 1) || ']'
		WHEN 8 THEN '{}'
		WHEN 9 THEN '{' || (SELECT string_agg('"k' || n || '": ' || some_json(depth + 1), ', ')
			FROM generate_series(1, pick('1', '2', '10', '11')::int) AS n) || '}'
		ELSE '{' || to_json(coalesce(some_text(), ''))::text || ': ' || some_json(depth + 1) || '}'
	END;
END $$;

-- What a caller puts into metadata is in events, a token too, which would look as if the extension had put it there.
CREATE FUNCTION some_metadata() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN regexp_replace(some_json(0), 'seats_(inv|cst|jnl)_|eyJ', 'token', 'g');
END $$;

-- The body of a request: some fields of those that there are, and mostly what they can be.
CREATE FUNCTION some_body() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	name text;
	wanted text[] := CASE floor(random() * 6)::int
		WHEN 0 THEN ARRAY['invitation_token']
		WHEN 1 THEN ARRAY[pick('subscription_id', 'order_id'), 'email', 'metadata']
		WHEN 2 THEN ARRAY[pick('subscription_id', 'order_id'), pick('customer_id', 'external_customer_id'), 'immediate_claim']
		WHEN 3 THEN ARRAY['join_token', 'email']
		WHEN 4 THEN ARRAY[pick('subscription_id', 'order_id'), pick('max_uses', 'expires_in'), pick('email_domains', 'other')]
		ELSE (SELECT array_agg(n) FROM unnest('{invitation_token,join_token,max_uses,expires_in,email_domains,subscription_id,order_id,email,external_customer_id,customer_id,metadata,immediate_claim,checkout_id,other}'::text[]) AS n
			WHERE random() < 0.4)
	END;
	fields text := '';
BEGIN
	IF random() < 0.1 THEN
		RETURN some_json(0);
	END IF;
	FOREACH name IN ARRAY coalesce(wanted, '{}') LOOP
		fields := fields || ', ' || to_json(name)::text || ': ' || CASE
			WHEN random() < 0.15 THEN CASE name WHEN 'metadata' THEN some_metadata() ELSE some_json(0) END
			WHEN name = 'metadata' THEN pick('{}', '{"team": "a"}', 'null')
			WHEN name IN ('max_uses', 'expires_in') THEN pick('1', '2', '3600', '0', '-1', '1.0', '2147483647', '2147483648')
			WHEN name = 'email_domains' THEN pick('["example.com"]', '["b"]', '["b", null]', '[]', '["@"]', 'null')
			WHEN name = 'immediate_claim' THEN pick('true', 'false', '"no"', '1')
			ELSE coalesce(to_json(text_for(name))::text, 'null')
		END;
	END LOOP;
	RETURN '{' || substr(fields, 3) || '}';
END $$;

-- The bytes of a body: right, with one byte changed, cut, nested deeply, or noise.
CREATE FUNCTION some_bytes() RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	body bytea := convert_to(some_body(), 'UTF8');
	place int := floor(random() * length(body));
BEGIN
	RETURN CASE floor(random() * 8)::int
		WHEN 0 THEN set_byte(body, place, floor(random() * 256)::int)
		WHEN 1 THEN substr(body, 1, place)
		WHEN 2 THEN convert_to(repeat(pick('[', '{"a":', '[{"b":['), pick('3', '100', '6000', '20000')::int), 'UTF8')
		WHEN 3 THEN decode(pick('', '00', 'ff', 'c3', 'efbbbf7b7d', '7b7d00', '22ed a080 22', '225c7530303030 22', '225c7564383030 22'), 'hex')
		WHEN 4 THEN set_byte(set_byte(body, place, 0), floor(random() * length(body))::int, 255)
		ELSE body
	END;
END $$;

CREATE FUNCTION some_emails() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE floor(random() * 10)::int
		WHEN 0 THEN '{}'
		WHEN 1 THEN '{NULL}'
		WHEN 2 THEN '{{a@b,c@d},{e@f,g@h}}'
		WHEN 3 THEN '{{{a@b}}}'
		WHEN 4 THEN '[5:6]={p@b,q@b}'
		WHEN 5 THEN '[-3:-3]={r@b}'
		WHEN 6 THEN array_fill('a'::text, ARRAY[pick('1', '20', '5000')::int])::text
		WHEN 7 THEN ARRAY[text_for('email'), NULL, text_for('email')]::text
		ELSE (SELECT array_agg(text_for('email')) FROM generate_series(1, 1 + floor(random() * 5)::int))::text
	END;
END $$;

-- Returns an argument as SQL.  What has no value here makes the test fail: a type that is new.
CREATE FUNCTION some_argument(type regtype, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	value text;
BEGIN
	IF random() < (CASE WHEN name IN ('external_customer_ids', 'claimed_at') THEN 0.5 ELSE 0.06 END) THEN
		RETURN 'NULL::' || type;
	END IF;
	value := CASE type::text
		WHEN 'text' THEN text_for(name)
		WHEN 'uuid' THEN coalesce(CASE WHEN random() < 0.7 AND name LIKE '%\_id' THEN recall(split_part(name, '_', 1)) END, some_id())
		WHEN 'jsonb' THEN CASE name WHEN 'metadata' THEN pick('{}', '{"team": "a"}', some_metadata()) ELSE some_body() END
		WHEN 'bytea' THEN some_bytes()::text
		WHEN 'text[]' THEN CASE name WHEN 'email_domains' THEN pick('{example.com}', '{EXAMPLE.com,b}', '{b}', '{}', '{NULL}', '{a b}') ELSE some_emails() END
		WHEN 'timestamp with time zone[]' THEN pick('{2020-01-01}', '{NULL}', '{2020-01-01,NULL}', '{infinity}', '{2100-01-01}', '{}')
		WHEN 'integer' THEN CASE name WHEN 'seats' THEN pick('30', '30', '31', '60', '6', '0', '-1', '2147483647')
			ELSE pick('0', '1', '2', '6', '30', '-1', '-2147483648', '2147483647') END
		WHEN 'boolean' THEN pick('true', 'false')
		WHEN 'interval' THEN pick('0', '1 second', '-1 microsecond', '1 day', '100 years', '-100 years', '1 mon -30 days', '178000000 years', '-178000000 years', '1 day -24 hours', '1000000 days')
		WHEN 'regrole' THEN pick('chance_role', '-', '999999')
	END;
	IF value IS NULL AND type::text NOT IN ('text') THEN
		RAISE EXCEPTION 'no value of type %', type;
	END IF;
	RETURN coalesce(quote_literal(value), 'NULL') || '::' || type;
END $$;

-- Those that make or take a token are there more often than others, since it is soon of no use.
CREATE TABLE functions AS
SELECT oid, oid::regprocedure AS name, format('%I.%I', pronamespace::regnamespace, proname) AS called,
	prorettype = 'trigger'::regtype AS is_trigger, pronargs, pronargdefaults, proargtypes, proargnames,
	row_number() OVER () AS n
FROM pg_proc CROSS JOIN LATERAL generate_series(1,
	CASE WHEN proname ~ '^(assign_seat|claim_seat|claim_info|get_claim_info|authenticate|open_session|create_join_link|join_seat)' THEN 3 ELSE 1 END)
WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace)
	AND (pronamespace = 'seats_http'::regnamespace OR NOT EXISTS (
		SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
		WHERE d.objid = pg_proc.oid AND d.classid = 'pg_proc'::regclass AND e.extname = 'pgcrypto'));

-- Returns the names of arguments of which only one should be given: all but one of each group, mostly.
CREATE FUNCTION some_left_out() RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN random() < 0.8 THEN array_remove('{subscription_id,order_id}', pick('subscription_id', 'order_id')) ELSE '{}' END
		|| CASE WHEN random() < 0.8 THEN array_remove('{email,external_customer_id,customer_id}', pick('email', 'external_customer_id', 'customer_id')) ELSE '{}' END;
END $$;

-- Returns a call of a function; arguments that have defaults are left out now and then.
CREATE FUNCTION some_call(f functions) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	given int := f.pronargs - floor(random() * random() * (f.pronargdefaults + 1))::int;
	left_out text[] := CASE WHEN f.proargnames @> '{subscription_id,order_id}' THEN some_left_out() ELSE '{}' END;
	arguments text := '';
BEGIN
	FOR i IN 0 .. given - 1 LOOP
		arguments := arguments || ', ' || CASE WHEN f.proargnames[i + 1] = ANY (left_out) THEN 'NULL'
			ELSE some_argument(f.proargtypes[i], f.proargnames[i + 1]) END;
	END LOOP;
	RETURN f.called || '(' || substr(arguments, 3) || ')';
END $$;

CREATE UNLOGGED TABLE calls (function regprocedure, state text, message text, detail text, call text);

-- What else goes on: settings, and changes of what the application keeps.
CREATE FUNCTION change_something() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('seats.invitation_ttl', pick('1s', '1h'), false),
		set_config('seats.customer_session_ttl', pick('1s', '1h'), false),
		set_config('seats.claim_retry_window', pick('0', '10min'), false),
		set_config('seats.session_token_format', pick('opaque', 'jwt'), false),
		set_config('seats.direct_access', pick('on', 'on', 'off'), false),
		set_config('request.headers', pick('', '{', '[]', '{"idempotency-key": "key"}', '{"idempotency-key": 5}', some_body()), false),
		set_config('request.jwt.claims', pick('', 'null', '{"sub": ' || to_json(some_id())::text || '}', some_json(0)), false),
		set_config('TimeZone', pick('UTC', 'Asia/Kathmandu', 'America/St_Johns'), false);
	UPDATE seats.subscriptions SET status = pick('active', 'active', 'trialing', 'past_due', 'canceled', 'incomplete',
			'paused', 'unpaid')
		WHERE random() < 0.1;
	UPDATE seats.orders SET status = pick('paid', 'paid', 'partially_refunded', 'refunded', 'pending', 'draft') WHERE random() < 0.1;
	UPDATE seats.customers SET email = CASE pick('upper', 'lower', 'none') WHEN 'upper' THEN upper(email)
			WHEN 'lower' THEN lower(email) END
		WHERE random() < 0.02;
	-- Others take the places of those who were erased.
	INSERT INTO seats.customers (organization_id, email, external_id)
		SELECT id, n || '@example.com', 'e' || n FROM seats.organizations, generate_series(1, 20) AS n WHERE random() < 0.05
		ON CONFLICT DO NOTHING;
	UPDATE seats.organizations SET seat_based_pricing_enabled = random() < 0.95,
		invitation_ttl = pick(NULL, '1 second', '1 day', '10 years')::interval;
	-- As if time went by.
	UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE status = 'pending' AND random() < 0.1;
	UPDATE seats.customer_sessions SET expires_at = now() WHERE random() < 0.3;
	UPDATE seats.join_links SET expires_at = now() WHERE random() < 0.1;
	-- As if the links had been used by more people.
	UPDATE seats.join_links SET max_uses = uses WHERE uses > 0 AND random() < 0.3;
END $$;

-- Calls functions so many times, with a transaction for each hundred.
CREATE PROCEDURE run(times int) LANGUAGE plpgsql AS $$
DECLARE
	f functions;
	number int := (SELECT count(*) FROM functions);
	which int;
	call text;
	result text;
	state text;
	message text;
	detail text;
	token text;
BEGIN
	FOR i IN 1 .. times LOOP
		IF i % 100 = 1 THEN
			COMMIT;
			PERFORM remember_rows();
			PERFORM use_one_purchase();
			PERFORM change_something();
		END IF;
		-- It makes all sessions look at the functions anew, so it comes less often.
		LOOP
			which := 1 + floor(random() * number);
			SELECT * INTO STRICT f FROM functions WHERE n = which;
			EXIT WHEN f.called <> 'seats.grant_access' OR random() < 0.2;
		END LOOP;
		call := some_call(f);
		state := '00000';
		message := NULL;
		detail := NULL;
		BEGIN
			EXECUTE 'SELECT string_agg(r::text, '' '') FROM (SELECT ' || call || ' AS r) AS s' INTO result;
			FOR token IN SELECT m[1] FROM regexp_matches(left(result, 20000), '(seats_(?:inv|cst|jnl)_[0-9A-Za-z]{55}|eyJ[\w.-]{200,})', 'g') AS m LOOP
				PERFORM remember(CASE left(token, 9) WHEN 'seats_inv' THEN 'invitation' WHEN 'seats_jnl' THEN 'join' ELSE 'session' END, token);
			END LOOP;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
		END;
		INSERT INTO calls VALUES (f.name, state, message, detail, left(call, 2000));
	END LOOP;
END $$;
