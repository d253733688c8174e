# An owner's triggers and rules on the extension's tables, of any kind, sorted before or after the extension's own.
# Whatever they do, a call either does what it would do without them, or raises an error and does nothing. Each
# of them is tried with each call that it fires for, and each call is rolled back.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;

my $shop = ID;
my $node = start_node('owner_triggers', q{
	autovacuum = off
	log_min_messages = panic
	jit = off
	fsync = off
});

# Ids in the order of what is made below.
sub id
{
	return sprintf '00000000-0000-0000-0000-%012d', $_[0];
}

my ($stranger, $second, $full, $paused, $order, $other, $seat) = map { id($_) } 2, 22, 23, 24, 31, 41, 51;

create_shop(10);
query(qq{
	CREATE TABLE known (name text PRIMARY KEY, value text);
	CREATE FUNCTION known(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT value FROM known WHERE name = \$1';
	CREATE TABLE log (entry text);
	CREATE SEQUENCE fired;

	INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled) VALUES ('$stranger', 'Other', 'other', true);
	INSERT INTO seats.products (id, organization_id, name) VALUES ('$stranger', '$stranger', 'Other');
	INSERT INTO seats.customers (id, organization_id, email, external_id)
		VALUES ('$stranger', '$stranger', 'stranger\@x', 'stranger'), ('$other', '$shop', 'other\@x', 'other');
	INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$stranger', '$stranger', '$stranger', '$stranger', 5, 'active'),
			('$second', '$shop', '$shop', '$shop', 5, 'active'), ('$full', '$shop', '$shop', '$shop', 2, 'trialing'),
			('$paused', '$shop', '$shop', '$shop', 2, 'active');
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$order', '$shop', '$shop', '$shop', 4, 'paid');

	-- Seats of the first subscription: two pending, one claimed, one with an expired invitation, and one revoked.
	INSERT INTO known SELECT 'pending', invitation_token FROM seats.assign_seat('$shop', email => 'pending\@x');
	INSERT INTO known SELECT 'spare', invitation_token FROM seats.assign_seat('$shop', email => 'spare\@x');
	INSERT INTO known SELECT 'claimed', invitation_token FROM seats.assign_seat('$shop', email => 'claimed\@x');
	INSERT INTO known SELECT 'session', customer_session_token FROM seats.claim_seat(known('claimed'), 'key');
	INSERT INTO known SELECT 'expired', invitation_token FROM seats.assign_seat('$shop', email => 'expired\@x');
	UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 day' WHERE customer_email = 'expired\@x';
	SELECT seats.revoke_seat((seat).id) FROM seats.assign_seat('$shop', email => 'revoked\@x');
	-- Those of the others.
	SELECT seats.claim_seat(invitation_token) FROM seats.assign_seats('$second', NULL, '{one\@x,two\@x}');
	SELECT seats.claim_seat(invitation_token) FROM seats.assign_seats('$full', NULL, '{one\@x,two\@x}');
	SELECT seats.claim_seat(invitation_token) FROM seats.assign_seat('$paused', email => 'one\@x');
	SELECT seats.assign_seat('$paused', email => 'six\@x');
	UPDATE seats.subscriptions SET status = 'paused' WHERE id = '$paused';
	INSERT INTO known SELECT 'of the order', invitation_token FROM seats.assign_seat(order_id => '$order', email => 'three\@x');
	SELECT seats.claim_seat(invitation_token) FROM seats.assign_seat(order_id => '$order', email => 'four\@x');
	SELECT seats.claim_seat(invitation_token) FROM seats.assign_seat(order_id => '$order', email => 'five\@x');
	UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 day' WHERE customer_email = 'four\@x';
	UPDATE seats.customer_sessions SET expires_at = now() - interval '1 day'
		WHERE customer_id = (SELECT id FROM seats.customers WHERE email = 'two\@x');
	INSERT INTO known SELECT 'link', join_token FROM seats.create_join_link('$shop');
	INSERT INTO known SELECT 'id of link', id FROM seats.join_links;
	INSERT INTO known SELECT 'link of the order', join_token FROM seats.create_join_link(order_id => '$order', max_uses => 5);
	INSERT INTO known SELECT 'seat of ' || split_part(customer_email, '\@', 1), id FROM seats.customer_seats
		WHERE customer_email IS NOT NULL AND (subscription_id = '$shop' OR order_id IS NOT NULL);
});
query(q{
	CREATE VIEW rows AS
		SELECT 'customers' AS relation, to_jsonb(t) AS row FROM seats.customers AS t UNION ALL
		SELECT 'subscriptions', to_jsonb(t) FROM seats.subscriptions AS t UNION ALL
		SELECT 'orders', to_jsonb(t) FROM seats.orders AS t UNION ALL
		SELECT 'customer_seats', to_jsonb(t) FROM seats.customer_seats AS t UNION ALL
		SELECT 'customer_sessions', to_jsonb(t) FROM seats.customer_sessions AS t UNION ALL
		SELECT 'events', to_jsonb(t) - 'seat' || (SELECT jsonb_object_agg('seat_has_' || key, value) FROM jsonb_each(to_jsonb(t.seat)))
			FROM seats.events AS t UNION ALL
		SELECT 'join_links', to_jsonb(t) FROM seats.join_links AS t UNION ALL
		SELECT 'jwt_keys', to_jsonb(t) FROM seats.jwt_keys AS t;
	CREATE TABLE base AS SELECT * FROM rows;
	CREATE TABLE base_values AS SELECT DISTINCT value FROM base, jsonb_each_text(row) WHERE value IS NOT NULL;
	CREATE UNIQUE INDEX ON base_values (value);
	ANALYZE base, base_values;

	-- What a call has changed; ids, hashes and times that it made are the same from call to call.
	CREATE FUNCTION changes() RETURNS text LANGUAGE sql AS $$
		WITH gone AS (SELECT * FROM base EXCEPT ALL SELECT * FROM rows),
			came AS (SELECT * FROM rows EXCEPT ALL SELECT * FROM base)
		SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM (
			SELECT '-' || relation || ' ' || coalesce(row ->> 'id', row ->> 'token_hash', row ->> 'kid') AS line FROM gone
			UNION ALL
			SELECT '+' || relation || (
				SELECT string_agg(' ' || key || '=' || CASE
					WHEN value IS NULL THEN 'null'
					WHEN EXISTS (SELECT FROM base_values AS b WHERE b.value = v.value) THEN value
					WHEN key LIKE '%\_at' THEN 'in ' || round(extract(epoch FROM value::timestamptz - now()) / 600)
					WHEN key ~ '(^id|_id|_hash|^kid|^secret)$' THEN 'new'
					ELSE value END, '' ORDER BY key)
				FROM jsonb_each_text(row) AS v)
			FROM came) AS lines
	$$;

	-- Whether a token is that of a seat's customer.
	CREATE FUNCTION is_session(token text, seat jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		RETURN (SELECT s.customer_id::text = seat ->> 'customer_id' AND s.seat_id::text = seat ->> 'id' FROM seats.authenticate(token) AS s);
	EXCEPTION WHEN OTHERS THEN
		RETURN false;
	END $$;

	-- What is wrong with the answer of a call, and with the rows.
	CREATE FUNCTION faults(answer jsonb) RETURNS text LANGUAGE sql AS $$
		WITH purchases AS (
			SELECT id, NULL::uuid AS order_id, id AS subscription_id, organization_id, status, seats, assigned_seats FROM seats.subscriptions
			UNION ALL SELECT id, id, NULL, organization_id, status, seats, assigned_seats FROM seats.orders),
		live AS (SELECT * FROM seats.customer_seats WHERE status <> 'revoked'),
		answers AS (SELECT a FROM jsonb_array_elements(CASE jsonb_typeof(answer) WHEN 'array' THEN answer
			ELSE jsonb_build_array(answer) END) AS a WHERE jsonb_typeof(a) = 'object'),
		given AS (SELECT a, coalesce(nullif(a -> 'seat', 'null'), a) AS seat FROM answers WHERE a ? 'seat' OR a ? 'seat_metadata')
		SELECT string_agg(DISTINCT fault, ', ') FROM (
			SELECT 'wrong count' AS fault FROM purchases AS p WHERE assigned_seats <> (
				SELECT count(*) FROM live AS s WHERE coalesce(s.subscription_id, s.order_id) = p.id)
			UNION ALL SELECT 'too many seats' FROM purchases WHERE assigned_seats > seats
			UNION ALL SELECT 'live seat of an ended purchase' FROM live AS s JOIN purchases AS p ON p.id = coalesce(s.subscription_id, s.order_id)
				WHERE p.status IN ('canceled', 'incomplete_expired', 'refunded', 'void')
			UNION ALL SELECT 'seat of no purchase' FROM live AS s WHERE NOT EXISTS (
				SELECT FROM purchases AS p WHERE p.id = coalesce(s.subscription_id, s.order_id) AND p.organization_id = s.organization_id)
			UNION ALL SELECT 'seat of no customer' FROM live AS s WHERE NOT EXISTS (
				SELECT FROM seats.customers AS c WHERE c.id = s.customer_id AND c.organization_id = s.organization_id)
			UNION ALL SELECT 'session of nobody' FROM seats.customer_sessions AS x WHERE NOT EXISTS (
				SELECT FROM live AS s WHERE s.id = x.seat_id AND s.customer_id = x.customer_id
					AND s.organization_id = x.organization_id AND s.status = 'claimed' AND s.suspended_at IS NULL)
			UNION ALL SELECT 'suspended against the status' FROM live AS s JOIN purchases AS p ON p.id = coalesce(s.subscription_id, s.order_id)
				WHERE (s.suspended_at IS NOT NULL) <> (p.status IN ('paused', 'unpaid'))
			UNION ALL SELECT 'answered another seat' FROM given WHERE NOT EXISTS (
				SELECT FROM seats.customer_seats AS s WHERE s.id::text = given.seat ->> 'id'
					AND to_jsonb(s) @> given.seat)
			UNION ALL SELECT 'answered another invitation' FROM given WHERE a ->> 'invitation_token' IS NOT NULL AND NOT EXISTS (
				SELECT FROM seats.customer_seats AS s WHERE s.id::text = given.seat ->> 'id' AND s.status = 'pending'
					AND s.invitation_token_hash = digest(a ->> 'invitation_token', 'sha256'))
			UNION ALL SELECT 'answered a session of nobody' FROM given WHERE a ->> 'customer_session_token' IS NOT NULL AND NOT
				is_session(a ->> 'customer_session_token', given.seat)
			UNION ALL SELECT 'answered no session' FROM given WHERE a ? 'customer_session_token' AND a ->> 'customer_session_token' IS NULL
			UNION ALL SELECT 'answered another link' FROM answers WHERE a ? 'join_token' AND NOT EXISTS (
				SELECT FROM seats.join_links AS l WHERE to_jsonb(l) @> (a -> 'link') AND l.token_hash = digest(a ->> 'join_token', 'sha256'))
			UNION ALL SELECT 'answered another link' FROM answers WHERE a ? 'max_uses' AND NOT EXISTS (
				SELECT FROM seats.join_links AS l WHERE to_jsonb(l) @> a)
			UNION ALL SELECT 'answered another number' FROM answers JOIN purchases AS p ON p.id::text = a ->> 'set'
				WHERE p.seats::text <> a ->> 'to'
			UNION ALL SELECT 'link of no purchase' FROM seats.join_links AS l WHERE NOT EXISTS (
				SELECT FROM purchases AS p WHERE p.id = coalesce(l.subscription_id, l.order_id) AND p.organization_id = l.organization_id)
			UNION ALL SELECT 'answered no key' WHERE jsonb_typeof(answer) = 'object' AND answer ? 'kid' AND NOT EXISTS (
				SELECT FROM (SELECT kid FROM seats.jwt_keys ORDER BY created_at DESC LIMIT 1) AS k WHERE k.kid::text = answer ->> 'kid')
		) AS faults
	$$;
	-- A call, rolled back: its SQLSTATE and message, what it changed, what is wrong, and whether a trigger of the owner's fired.
	CREATE FUNCTION attempt(call text, OUT state text, OUT message text, OUT changed text, OUT answer jsonb, OUT wrong text, OUT meddled boolean,
		OUT fires text[])
	LANGUAGE plpgsql AS $$
	DECLARE
		before bigint := nextval('fired');
	BEGIN
		EXECUTE call INTO answer;
		SET CONSTRAINTS ALL IMMEDIATE;
		wrong := faults(answer);
		changed := changes();
		fires := ARRAY(SELECT DISTINCT entry FROM log);
		RAISE SQLSTATE 'UNDO0';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
		meddled := nextval('fired') > before + 1;
		IF state = 'UNDO0' THEN
			state := '00000';
		END IF;
	END $$;

	-- The trigger: does what its arguments say, but not on what it does itself.
	CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE
		value jsonb;
		subject record;
	BEGIN
		IF current_setting('test.meddling', true) = 'yes' THEN
			RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
		END IF;
		PERFORM nextval('public.fired'), set_config('test.meddling', 'yes', true);
		IF TG_LEVEL = 'ROW' THEN
			IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
		END IF;
		CASE TG_ARGV[0]
			WHEN 'null' THEN subject := NULL;
			WHEN 'old' THEN subject := OLD;
			WHEN 'set' THEN
				EXECUTE format('SELECT to_jsonb(%s) FROM (SELECT ($1).*) AS n', TG_ARGV[2]) INTO value USING subject;
				subject := jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[1], value));
			WHEN 'do' THEN
				IF TG_LEVEL = 'ROW' THEN EXECUTE TG_ARGV[1] USING subject; ELSE EXECUTE TG_ARGV[1]; END IF;
		END CASE;
		PERFORM set_config('test.meddling', '', true);
		RETURN subject;
	END $$;
	ALTER FUNCTION meddle() SET search_path = public, pg_catalog;

	-- Notes which triggers would fire.
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.log VALUES (TG_TABLE_NAME || ' ' || TG_OP);
		RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
	END $$;

	CREATE TABLE calls (name text PRIMARY KEY, call text, direct_access text, function boolean, changed text, fires text[]);

	-- Tries all calls that a trigger should fire for: which of them go wrong, and how many were meddled with. Functions may have to
	-- change the "same" rows as where nobody meddles, or only to give the right "answer", or only the right "rows" have to be there.
	-- "errors" are those that calls may raise. What a rule does to a statement is not seen.
	CREATE FUNCTION try(meddler text[], promise text, errors text, unseen boolean, OUT wrong text, OUT tried bigint) LANGUAGE plpgsql AS $$
	DECLARE
		c calls;
		a record;
	BEGIN
		tried := 0;
		FOR c IN SELECT * FROM calls WHERE fires && meddler ORDER BY name LOOP
			PERFORM set_config('seats.direct_access', c.direct_access, true);
			a := attempt(c.call);
			CONTINUE WHEN NOT a.meddled AND NOT unseen;
			tried := tried + 1;
			IF a.state <> '00000' THEN
				IF a.state !~ errors THEN
					wrong := concat_ws(E'\n', wrong, c.name || ': ' || a.state || ' ' || a.message);
				END IF;
			ELSIF promise = 'rows' THEN
				wrong := concat_ws(E'\n', wrong, c.name || ': ' || nullif(array_to_string(ARRAY(
					SELECT fault FROM unnest(string_to_array(a.wrong, ', ')) AS fault WHERE fault !~ '^answered'), ', '), ''));
			ELSIF a.wrong IS NOT NULL THEN
				wrong := concat_ws(E'\n', wrong, c.name || ': ' || a.wrong);
			ELSIF promise = 'same' AND c.function AND a.changed <> c.changed THEN
				wrong := concat_ws(E'\n', wrong, c.name || ' changed otherwise: ' || left((
					SELECT string_agg(word, ' ') FROM (SELECT unnest(string_to_array(a.changed, ' ')) AS word
						EXCEPT ALL SELECT unnest(string_to_array(c.changed, ' '))) AS words), 150));
			END IF;
		END LOOP;
	END $$;
});

# The calls -----------------------------------------------------------------------------------------------

my %functions = (
	'claim_seat'              => q{to_jsonb(c) FROM seats.claim_seat(known('pending')) AS c},
	'claim_seat of an order'  => q{to_jsonb(c) FROM seats.claim_seat(known('of the order'), 'key') AS c},
	'claim_seat again'        => q{to_jsonb(c) FROM seats.claim_seat(known('claimed'), 'key') AS c},
	'claim_seat with a JWT'   =>
	  q{to_jsonb(c) FROM set_config('seats.session_token_format', 'jwt', true), seats.claim_seat(known('pending')) AS c},
	'assign_seat, known'      => qq{to_jsonb(a) FROM seats.assign_seat('$shop', customer_id => '$other') AS a},
	'assign_seat, external'   => qq{to_jsonb(a) FROM seats.assign_seat('$second', external_customer_id => 'other', metadata => '{"a": 1}') AS a},
	'assign_seat, new'        => qq{to_jsonb(a) FROM seats.assign_seat(order_id => '$order', email => 'new\@x') AS a},
	'assign_seat, again'      => qq{to_jsonb(a) FROM seats.assign_seat('$shop', email => 'new\@x') AS a},
	'assign_seat, claimed'    => qq{to_jsonb(a) FROM seats.assign_seat('$second', email => 'Other\@X', immediate_claim => true) AS a},
	'assign_seats'            => qq{jsonb_agg(a) FROM seats.assign_seats('$shop', NULL, '{new\@x,other\@x,more\@x}') AS a},
	'assign_seats of an order' => qq{jsonb_agg(a) FROM seats.assign_seats(NULL, '$order', '{other\@x}') AS a},
	'resend_invitation'       => q{to_jsonb(r) FROM seats.resend_invitation(known('seat of pending')::uuid) AS r},
	'revoke_seat, claimed'    => q{to_jsonb(r) FROM seats.revoke_seat(known('seat of claimed')::uuid) AS r},
	'revoke_seat, pending'    => q{to_jsonb(r) FROM seats.revoke_seat(known('seat of three')::uuid) AS r},
	'revoke_seats'            => qq{to_jsonb(seats.revoke_seats('$shop'))},
	'revoke_seats of an order' => qq{to_jsonb(seats.revoke_seats(order_id => '$order'))},
	'set_seats'               => qq{jsonb_build_object('set', '$shop', 'to', 20, 'revoked', seats.set_seats('$shop', seats => 20))},
	'set_seats, revoke'       => qq{jsonb_build_object('set', '$shop', 'to', 1, 'revoked', seats.set_seats('$shop', seats => 1, surplus => 'revoke'))},
	'set_seats, revoke, order' => 
	  qq{jsonb_build_object('set', '$order', 'to', 0, 'revoked', seats.set_seats(order_id => '$order', seats => 0, surplus => 'revoke'))},
	'import_seats'            => qq{to_jsonb(seats.import_seats('$shop', emails => '{new\@x,other\@x}'))},
	'import_seats, both'      =>
	  qq{to_jsonb(seats.import_seats('$second', emails => '{new\@x,one\@y}', external_customer_ids => '{new,other}'))},
	'import_seats of an order' => qq{to_jsonb(seats.import_seats(order_id => '$order', emails => '{other\@x}'))},
	'join_seat, new'          => q{'null'::jsonb FROM seats.join_seat(known('link'), 'new@x')},
	'join_seat of an order'   => q{'null'::jsonb FROM seats.join_seat(known('link of the order'), 'other@x')},
	'join_seat, expired'      => q{'null'::jsonb FROM seats.join_seat(known('link'), 'expired@x')},
	'create_join_link'        => qq{to_jsonb(l) FROM seats.create_join_link('$shop', max_uses => 5, email_domains => '{x}') AS l},
	'revoke_join_link'        => q{to_jsonb(l) FROM seats.revoke_join_link(known('id of link')::uuid) AS l},
	'release_expired_seats'   => q{to_jsonb(seats.release_expired_seats())},
	'open_session'            => q{to_jsonb(o) FROM seats.open_session(known('seat of claimed')::uuid) AS o},
	'erase_customer'          => q{to_jsonb(seats.erase_customer(id)) FROM seats.customers WHERE email = 'claimed@x'},
	'erase_customer, suspended' => q{to_jsonb(seats.erase_customer(id)) FROM seats.customers WHERE email = 'one@x'},
	'erase_customer, payer'   => qq{to_jsonb(seats.erase_customer('$stranger'))},
	'end_session'             => q{to_jsonb(seats.end_session(known('session')))},
	'rotate_jwt_key'          => q{jsonb_build_object('kid', seats.rotate_jwt_key())},
);
# These delete what they may: an owner's trigger can keep rows.
my %purges = (
	'purge_expired_sessions' => q{SELECT to_jsonb(seats.purge_expired_sessions())},
	'purge_events'           => q{SELECT to_jsonb(seats.purge_events('0'))},
);
my %statements = (
	'cancel one'      => "UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$shop'",
	'cancel all'      => "UPDATE seats.subscriptions SET status = 'canceled'",
	'cancel and lower' => "UPDATE seats.subscriptions SET status = 'incomplete_expired', seats = 0 WHERE id = '$shop'",
	'pause one'       => "UPDATE seats.subscriptions SET status = 'paused' WHERE id = '$shop'",
	'pause all'       => "UPDATE seats.subscriptions SET status = 'unpaid'",
	'resume'          => "UPDATE seats.subscriptions SET status = 'active' WHERE id = '$paused'",
	'cancel a paused one' => "UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$paused'",
	'refund'          => "UPDATE seats.orders SET status = 'refunded'",
	'cancel by MERGE' => qq{MERGE INTO seats.subscriptions AS s USING (VALUES ('$shop'::uuid), ('$second')) AS v (id) ON s.id = v.id
		WHEN MATCHED THEN UPDATE SET status = 'canceled'},
	'cancel by ON CONFLICT' => qq{INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$shop', '$shop', '$shop', '$shop', 10, 'canceled') ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status},
	'a new subscription' => qq{INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('${\ id(99)}', '$shop', '$shop', '$shop', 1, 'active')},
	'delete one'      => "DELETE FROM seats.subscriptions WHERE id = '$shop'",
	'delete all'      => 'DELETE FROM seats.orders',
	'more seats'      => 'UPDATE seats.subscriptions SET seats = seats + 1',
	'fewer seats'     => "UPDATE seats.subscriptions SET seats = 4 WHERE id = '$shop'",
	'revoke by hand'  => qq{UPDATE seats.customer_seats SET status = 'revoked', revoked_at = now(), customer_id = NULL, customer_email = NULL,
		expiry_watched = false WHERE subscription_id = '$shop' AND status <> 'revoked'},
	'delete by hand'  => "DELETE FROM seats.customer_seats WHERE subscription_id = '$second'",
	'a new address'   => "UPDATE seats.customers SET email = 'changed\@x' WHERE id = '$other'",
	'new addresses'   => "UPDATE seats.customers SET email = 'new' || email WHERE email IN ('one\@x', 'two\@x', 'pending\@x')",
);

# Adds a call, with what it does where nobody meddles.
sub add_call
{
	my ($name, $call, $direct_access, $function) = @_;

	my $triggers = join '', map { "CREATE TRIGGER note BEFORE INSERT OR UPDATE OR DELETE ON seats.$_ FOR EACH ROW EXECUTE FUNCTION note();" }
	  qw(customers subscriptions orders customer_seats customer_sessions join_links events jwt_keys);

	is( query(qq{
		BEGIN;
		SET LOCAL seats.direct_access = $direct_access;
		INSERT INTO calls SELECT \$\$$name\$\$, \$\$$call\$\$, '$direct_access', $function, changed, NULL
			FROM attempt(\$\$$call\$\$) WHERE state = '00000' AND wrong IS NULL AND changed <> '' RETURNING 'works';
		SAVEPOINT s;
		$triggers
		CREATE TEMPORARY TABLE seen ON COMMIT DROP AS SELECT fires FROM attempt(\$\$$call\$\$);
		SELECT format('ROLLBACK TO s; UPDATE calls SET fires = %L WHERE name = %L', fires, \$\$$name\$\$) FROM seen
		\\gexec
		COMMIT}),
		'works', "$name: works where nobody meddles")
	  or diag query("SELECT * FROM attempt(\$\$$call\$\$)");
}

query(q{CREATE FUNCTION run(statement text) RETURNS jsonb LANGUAGE plpgsql AS 'BEGIN EXECUTE statement; RETURN NULL; END'});
add_call($_, "SELECT $functions{$_}", 'on', 'true') foreach sort keys %functions;
add_call("$_ by statements", "SELECT $functions{$_}", 'off', 'true') foreach 'claim_seat', 'claim_seat again';
add_call($_, $purges{$_}, 'on', 'false') foreach sort keys %purges;
add_call($_, "SELECT run(\$s\$$statements{$_}\$s\$)", 'on', 'false') foreach sort keys %statements;

# Triggers ------------------------------------------------------------------------------------------------

# What a trigger may raise by what the extension makes of it, or PostgreSQL, or the row itself by a constraint; and
# what the calls of a trigger may raise themselves.
my $refused  = '^(09000|21000|27000|23\d{3})$';
my $reacted  = '^(09000|21000|27000|23\d{3}|PT40[04])$';

# Statements that make triggers or rules, what fires them, and what try() is told; and what each of them is.
my @attempts;
my @names;

sub try_one
{
	my ($name, $make, $fires, $promise, $errors, $unseen) = @_;

	$unseen //= 'false';
	push @names, $name;
	push @attempts, qq{
		BEGIN;
		$make;
		SELECT '>' || coalesce(wrong, '') || CASE tried WHEN 0 THEN 'never fires' ELSE '' END FROM try('{$fires}', '$promise', '$errors', $unseen);
		ROLLBACK;};
}

# What happens before a row is written, or after, does so in the order of triggers' names.
sub try_trigger
{
	my ($table, $when, $level, $arguments, $promise, $errors, @names) = @_;
	my $fires = join ',', map { "$table $_" } $when =~ /INSERT|UPDATE|DELETE/g;

	@names = ('a_meddler', 'zzz_meddler') unless @names;
	foreach my $sorted (@names)
	{
		try_one(
			"$sorted on $table $when $level: $arguments",
			"CREATE TRIGGER $sorted $when ON seats.$table FOR EACH $level EXECUTE FUNCTION meddle($arguments)",
			$fires, $promise, $errors);
	}
}

# Tries what was collected, in one session.
sub try_collected
{
	my @results = split /^>/m, query(join '', splice @attempts), -1;

	shift @results;
	is(($results[$_] // 'did not run') =~ s/\n\z//r, '', $names[$_]) foreach 0 .. $#names;
	@names = ();
}

# Triggers that write other values than the call meant to write.
sub try_values
{
	my ($table, $when, $promise, @values) = @_;

	while (my ($column, $value) = splice @values, 0, 2)
	{
		$value .= '::text' if $value =~ /^'[^']*'$/;
		try_trigger($table, $when, 'ROW', "'set', '$column', \$v\$$value\$v\$", $promise, $refused);
	}
}

my @seat_values = (
	id              => 'gen_random_uuid()',
	organization_id => "'$stranger'::uuid",
	status          => "'revoked'",
	status          => "'pending'",
	status          => "'claimed'",
	expiry_watched  => 'NOT n.expiry_watched',
	subscription_id => "'$second'::uuid",
	subscription_id => 'NULL::uuid',
	order_id        => "'$order'::uuid",
	customer_id     => "'$other'::uuid",
	customer_id     => "'$shop'::uuid",
	customer_id     => "'$stranger'::uuid",
	customer_id     => 'NULL::uuid',
	customer_email  => "'thief\@x'",
	invitation_token_hash => "digest('thief', 'sha256')",
	invitation_token_hash => 'NULL::bytea',
	invitation_token_expires_at => "n.invitation_token_expires_at + interval '10 years'",
	invitation_token_expires_at => "now() - interval '10 years'",
	claimed_at      => 'NULL::timestamptz',
	claimed_at      => "now() - interval '10 days'",
	revoked_at      => 'NULL::timestamptz',
	revoked_at      => "now() - interval '10 days'",
	claim_key_hash  => "digest('thief', 'sha256')",
	claim_key_hash  => 'NULL::bytea',
);
# No function writes all of these when it changes a seat. Where it does, another value is refused.
my @partly_free = qw(id expiry_watched subscription_id customer_email invitation_token_hash
  invitation_token_expires_at claimed_at claim_key_hash);
# An owner may write other values here, and then the answer has them.
my @free_seat_values = (
	created_at    => "now() - interval '10 days'",
	modified_at   => "now() - interval '10 days'",
	seat_metadata => q('{"by": "trigger"}'::jsonb),
);

note 'Values of seats';
foreach my $when ('BEFORE INSERT', 'BEFORE UPDATE')
{
	my @values = @seat_values;

	while (my ($column, $value) = splice @values, 0, 2)
	{
		my $free = $when eq 'BEFORE UPDATE' && grep { $_ eq $column } @partly_free;

		try_values('customer_seats', $when, $free ? 'answer' : 'same', $column, $value);
	}
	try_values('customer_seats', $when, 'answer', @free_seat_values);
	try_trigger('customer_seats', $when, 'ROW', "'null'", 'same', $refused);
}
try_trigger('customer_seats', 'BEFORE UPDATE', 'ROW', "'old'", 'same', $refused);
try_trigger('customer_seats', 'BEFORE DELETE', 'ROW', "'null'", 'same', $refused);

try_collected();
note 'Values of purchases';
foreach my $table ('subscriptions', 'orders')
{
	my $ended = $table eq 'orders' ? 'void' : 'canceled';

	foreach my $when ($table eq 'orders' ? 'BEFORE UPDATE' : ('BEFORE INSERT', 'BEFORE UPDATE'))
	{
		try_values(
			$table, $when, 'answer',
			assigned_seats  => '0',
			assigned_seats  => 'n.assigned_seats + 1',
			assigned_seats  => 'NULL::int',
			assigned_seats  => '1000000',
			seats           => '0',
			seats           => 'n.seats + 1000',
			status          => "'$ended'",
			status          => "'pending'",
			status          => "'incomplete'",
			id              => 'gen_random_uuid()',
			organization_id => "'$stranger'::uuid",
			customer_id     => "'$other'::uuid",
			product_id      => "'$stranger'::uuid",
			created_at      => 'now()',
			modified_at     => 'NULL::timestamptz');
		try_trigger($table, $when, 'ROW', "'null'", 'answer', $refused);
	}
	try_trigger($table, 'BEFORE UPDATE', 'ROW', "'old'", 'answer', $refused);
	try_trigger($table, 'BEFORE DELETE', 'ROW', "'null'", 'answer', $refused);
}

try_collected();
note 'Values of sessions, events, customers and keys';
try_values(
	'customer_sessions', 'BEFORE INSERT', 'same',
	token_hash      => "digest('thief', 'sha256')",
	seat_id         => "known('seat of spare')::uuid",
	seat_id         => 'gen_random_uuid()',
	customer_id     => "'$other'::uuid",
	customer_id     => "'$stranger'::uuid",
	organization_id => "'$stranger'::uuid",
	created_at      => "now() - interval '10 days'",
	expires_at      => "now() + interval '10 years'",
	expires_at      => "now() - interval '1 minute'",
	expires_at      => 'NULL::timestamptz');
try_trigger('customer_sessions', $_, 'ROW', "'null'", 'same', $refused) foreach 'BEFORE INSERT', 'BEFORE DELETE';
try_values(
	'join_links', 'BEFORE INSERT', 'same',
	token_hash      => "digest('thief', 'sha256')",
	organization_id => "'$stranger'::uuid",
	subscription_id => "'$second'::uuid",
	email_domains   => 'NULL::text[]',
	max_uses        => '1000',
	uses            => '1',
	expires_at      => "now() + interval '10 years'",
	revoked_at      => 'now()');
try_values(
	'join_links', 'BEFORE UPDATE', 'same',
	uses       => '0',
	revoked_at => 'NULL::timestamptz');
try_trigger('join_links', $_->[0], 'ROW', $_->[1], 'same', $refused) foreach [ 'BEFORE INSERT', "'null'" ], [ 'BEFORE UPDATE', "'old'" ];
try_values(
	'events', 'BEFORE INSERT', 'same',
	type            => "'customer_seat.invitation_resent'",
	type            => "'other'",
	seat_id         => "known('seat of spare')::uuid",
	organization_id => "'$stranger'::uuid",
	customer_id     => "'$shop'::uuid",
	occurred_at     => "now() - interval '10 days'");
try_values('events', 'BEFORE INSERT', 'answer', metadata => q('{"by": "trigger"}'::jsonb), id => '1000000 + n.id');
try_trigger('events', 'BEFORE INSERT', 'ROW', "'null'", 'same', $refused);
try_trigger('events', 'BEFORE DELETE', 'ROW', "'null'", 'same', $refused);
try_values(
	'customers', 'BEFORE INSERT', 'answer',
	id              => "'$other'::uuid",
	id              => 'gen_random_uuid()',
	organization_id => "'$stranger'::uuid",
	email           => "'thief\@x'",
	email           => "'other\@x'",
	email           => 'NULL::text',
	external_id     => "'other'",
	name            => "'Somebody'");
try_trigger('customers', 'BEFORE INSERT', 'ROW', "'null'", 'answer', $refused);
try_values(
	'jwt_keys', 'BEFORE INSERT', 'answer',
	kid        => 'gen_random_uuid()',
	created_at => "now() - interval '10 years'",
	secret     => "'\\x00'::bytea");
try_trigger('jwt_keys', 'BEFORE INSERT', 'ROW', "'null'", 'same', $refused);

# Triggers that react, by changing what was just written or by a call of the extension's. Where they can, they do it
# to the row that they fire for.
sub try_reactions
{
	my ($table, $whens, $meddlers, @reactions) = @_;

	foreach my $when (@$whens)
	{
		my ($level) = $when =~ /(ROW|STATEMENT)$/;
		foreach my $reaction (@reactions)
		{
			try_trigger($table, $when =~ s/ \w+$//r, $level, "'do', \$v\$$reaction\$v\$", 'answer', $reacted, @$meddlers);
		}
	}
}

my @calls = (
	"SELECT seats.assign_seat('$shop', email => 'reaction\@x')",
	"SELECT seats.claim_seat(known('spare'))",
	"SELECT seats.claim_seat(known('claimed'), 'key')",
	"SELECT seats.resend_invitation(known('seat of spare')::uuid)",
	"SELECT seats.revoke_seat(known('seat of spare')::uuid)",
	"SELECT seats.revoke_seat(known('seat of pending')::uuid)",
	"SELECT seats.revoke_seats('$shop')",
	'SELECT seats.release_expired_seats()',
	"SELECT seats.end_session(known('session'))",
	"UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$shop'",
	'UPDATE seats.subscriptions SET seats = seats + 1',
	"DELETE FROM seats.subscriptions WHERE id = '$shop'",
	'DELETE FROM seats.customer_sessions',
	"DELETE FROM seats.customer_seats WHERE id = known('seat of pending')::uuid",
);

try_collected();
my $both = [ 'a_meddler', 'zzz_meddler' ];
my $last = ['zzz_meddler'];

note 'Reactions';
try_reactions('customer_seats', [ 'AFTER INSERT OR UPDATE ROW' ], $both,
	'UPDATE seats.customer_seats SET seat_metadata = \'{"by": "trigger"}\' WHERE id = $1.id',
	'DELETE FROM seats.customer_seats WHERE id = $1.id',
	'SELECT seats.revoke_seat($1.id)',
	'SELECT seats.revoke_seats($1.subscription_id, $1.order_id)',
	"UPDATE seats.customer_seats SET customer_id = '$other', customer_email = NULL WHERE id = \$1.id",
	"UPDATE seats.customer_seats SET invitation_token_hash = digest(\$1.id::text, 'sha256') WHERE id = \$1.id",
	"UPDATE seats.subscriptions SET status = 'canceled' WHERE id = \$1.subscription_id",
	"UPDATE seats.orders SET status = 'void', seats = 0 WHERE id = \$1.order_id",
	'UPDATE seats.subscriptions SET assigned_seats = 0 WHERE id = $1.subscription_id',
	'UPDATE seats.subscriptions SET id = gen_random_uuid() WHERE id = $1.subscription_id',
	'DELETE FROM seats.subscriptions WHERE id = $1.subscription_id',
	'DELETE FROM seats.orders WHERE id = $1.order_id');
try_reactions('customer_seats',
	[ 'BEFORE INSERT OR UPDATE OR DELETE ROW', 'AFTER INSERT OR UPDATE OR DELETE ROW', 'AFTER INSERT OR UPDATE OR DELETE STATEMENT' ],
	$last, @calls);
try_reactions('subscriptions', [ 'AFTER UPDATE ROW' ], $last, @calls);
try_reactions('subscriptions', [ 'AFTER UPDATE ROW', 'BEFORE UPDATE ROW' ], $both,
	'UPDATE seats.subscriptions SET assigned_seats = 0, seats = seats + 1 WHERE id = $1.id',
	"UPDATE seats.subscriptions SET status = 'canceled' WHERE id = \$1.id",
	"UPDATE seats.subscriptions SET status = 'active' WHERE id = \$1.id",
	"UPDATE seats.subscriptions SET status = 'active', seats = 100 WHERE id = \$1.id",
	'DELETE FROM seats.subscriptions WHERE id = $1.id');
try_reactions('customer_sessions', [ 'BEFORE INSERT OR DELETE ROW', 'AFTER INSERT OR DELETE ROW' ], $last, @calls);
try_reactions('customer_sessions', [ 'AFTER INSERT ROW' ], $both,
	'DELETE FROM seats.customer_sessions WHERE token_hash = $1.token_hash',
	'SELECT seats.revoke_seat($1.seat_id)',
	'UPDATE seats.customer_sessions SET customer_id = gen_random_uuid() WHERE token_hash = $1.token_hash');
try_reactions('events', [ 'AFTER INSERT ROW' ], $last, @calls, 'SELECT seats.revoke_seat($1.seat_id)');
try_reactions('customers', [ 'BEFORE INSERT ROW' ], $last,
	"SELECT seats.assign_seat('$shop', email => \$1.email)", @calls);
try_reactions('customers', [ 'AFTER INSERT ROW' ], $both,
	'DELETE FROM seats.customers WHERE id = $1.id',
	"UPDATE seats.customers SET email = 'thief' || '\@x' WHERE id = \$1.id",
	"UPDATE seats.customers SET id = gen_random_uuid() WHERE id = \$1.id");

try_reactions('join_links', [ 'AFTER INSERT OR UPDATE ROW' ], $both,
	'UPDATE seats.join_links SET expires_at = least(expires_at, now()) WHERE id = $1.id',
	'UPDATE seats.join_links SET revoked_at = NULL WHERE id = $1.id',
	"UPDATE seats.join_links SET token_hash = digest(\$1.id::text, 'sha256') WHERE id = \$1.id",
	'DELETE FROM seats.join_links WHERE id = $1.id');

try_collected();
note 'Triggers that leave the extension alone, deferred ones, and rules';

my @tables = ([ 'customer_seats', 'INSERT', 'UPDATE' ], [ 'customer_sessions', 'INSERT' ], [ 'events', 'INSERT' ], [ 'subscriptions', 'INSERT', 'UPDATE' ],
	[ 'orders', 'UPDATE' ], [ 'customers', 'INSERT' ], [ 'join_links', 'INSERT', 'UPDATE' ]);
my %key = (customer_sessions => 'token_hash');
foreach (@tables)
{
	my ($table, @events) = @$_;
	my $events = join ' OR ', @events;
	my $fires  = join ',', map { "$table $_" } @events;
	my $key    = $key{$table} // 'id';

	foreach my $sorted ('a_meddler', 'zzz_meddler')
	{
		try_one("$sorted on $table writes a column of the owner's",
			"ALTER TABLE seats.$table ADD COLUMN note text;
			CREATE TRIGGER $sorted BEFORE $events ON seats.$table FOR EACH ROW EXECUTE FUNCTION meddle('set', 'note', \$v\$'x'::text\$v\$)",
			$fires, 'answer', '^$');
	}
	try_one("a trigger on $table writes a column of the owner's afterwards",
		"ALTER TABLE seats.$table ADD COLUMN note text;
		CREATE TRIGGER zzz_meddler AFTER $events ON seats.$table FOR EACH ROW
		EXECUTE FUNCTION meddle('do', 'UPDATE seats.$table SET note = ''x'' WHERE $key = \$1.$key')",
		$fires, 'answer', '^$');
	try_one("a trigger on $table writes another table",
		"CREATE TRIGGER zzz_meddler AFTER $events ON seats.$table FOR EACH ROW
		EXECUTE FUNCTION meddle('do', 'INSERT INTO public.log VALUES (to_jsonb(\$1)::text)')",
		$fires, 'same', '^$');
	try_one("a rule for $_ on $table writes another table",
		"CREATE RULE meddler AS ON $_ TO seats.$table DO ALSO INSERT INTO public.log VALUES (NEW.${key}::text)",
		"$table $_", 'same', $table =~ /^(customers|subscriptions)$/ ? '^0A000$' : '^$', 'true')
	  foreach @events;
}
# What comes when the transaction ends may change what was answered, and breaks no rule.
foreach my $table ('customer_seats', 'customer_sessions', 'events', 'subscriptions')
{
	my $events = $table =~ /seats|subscriptions/ ? 'INSERT OR UPDATE' : 'INSERT';
	try_one("deferred on $table: $_",
		"CREATE CONSTRAINT TRIGGER meddler AFTER $events ON seats.$table DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		EXECUTE FUNCTION meddle('do', \$v\$$_\$v\$)",
		join(',', map { "$table $_" } split / OR /, $events), 'rows', $reacted)
	  foreach "UPDATE seats.subscriptions SET status = 'canceled', assigned_seats = 0", 'DELETE FROM seats.subscriptions', "SELECT seats.revoke_seats('$shop')",
	  'UPDATE seats.subscriptions SET assigned_seats = 0, seats = seats + 1', 'DELETE FROM seats.customer_seats',
	  "SELECT seats.assign_seat('$shop', email => 'reaction\@x')";
}
# A rule in place of a statement: PostgreSQL itself refuses some, since nothing could be returned, and so do its foreign keys,
# with XX000, whose own statements are rewritten.
my $rewritten = '^(09000|0A000|23\d{3}|XX000)$';
foreach my $case ([ customer_seats => 'INSERT', 'UPDATE', 'DELETE' ], [ customer_sessions => 'INSERT', 'DELETE' ], [ events => 'INSERT' ],
	[ subscriptions => 'UPDATE' ], [ orders => 'UPDATE' ], [ customers => 'INSERT' ], [ join_links => 'INSERT', 'UPDATE' ], [ jwt_keys => 'INSERT' ])
{
	my ($table, @events) = @$case;
	foreach my $event (@events)
	{
		my $row = $event eq 'DELETE' ? 'OLD' : 'NEW';

		try_one("a rule in place of $event on $table", "CREATE RULE meddler AS ON $event TO seats.$table DO INSTEAD NOTHING",
			"$table $event", 'same', $rewritten, 'true');
		try_one("a rule in place of some $event on $table",
			"CREATE RULE meddler AS ON $event TO seats.$table WHERE $row.created_at IS NOT NULL DO INSTEAD NOTHING",
			"$table $event", 'same', $rewritten, 'true') if $table ne 'events';
	}
}
try_collected();

done_testing();
