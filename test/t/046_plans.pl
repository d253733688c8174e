# Each call reads the rows that it is about, and no others: whatever statistics there are, none, old ones or wrong ones,
# whatever the caller's planner settings, and whenever a plan is made.  What is counted is how many rows and index
# entries a call reads among thousands of others.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;

my $id    = ID;
my $order = '00000000-0000-0000-0000-000000000031';
my $crowd = 3900;
my $node = start_node('plans', q{
	autovacuum = off
	fsync = off
	log_min_messages = panic
	max_parallel_workers = 2
});

create_shop(1000);
query(qq{
	CREATE TABLE known (name text PRIMARY KEY, value text);
	CREATE FUNCTION known(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT value FROM public.known WHERE name = \$1';
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$order', '$id', '$id', '$id', 100, 'paid');
	INSERT INTO seats.customers (organization_id, email, external_id) VALUES ('$id', 'known\@x', 'known');
	INSERT INTO known SELECT 'pending', invitation_token FROM seats.assign_seat('$id', email => 'pending\@x');
	INSERT INTO known SELECT 'claimed', invitation_token FROM seats.assign_seat('$id', email => 'claimed\@x');
	INSERT INTO known SELECT 'session', customer_session_token FROM seats.claim_seat(known('claimed'), 'key');
	INSERT INTO known SELECT 'seat of ' || customer_email, id FROM seats.customer_seats;
	INSERT INTO known SELECT 'customer', id FROM seats.customers WHERE email = 'known\@x';
	INSERT INTO known SELECT 'link', join_token FROM seats.create_join_link('$id');
	INSERT INTO known SELECT 'id of link', id FROM seats.join_links;
	SELECT seats.create_join_link('$id') FROM generate_series(1, 3);
	SELECT seats.assign_seat(order_id => '$order', email => 'o' || n || '\@x') FROM generate_series(1, 5) AS n;
	SELECT seats.rotate_jwt_key();

	-- Rows and index entries that this transaction has read so far, of all tables and indexes.
	CREATE FUNCTION rows_read() RETURNS bigint LANGUAGE sql AS \$\$
		SELECT sum(pg_stat_get_xact_tuples_returned(oid))::bigint FROM pg_class WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'i')
	\$\$;
	-- The table or index of which most were read, and how many.
	CREATE FUNCTION most_read() RETURNS text LANGUAGE sql AS \$\$
		SELECT relname || ' ' || pg_stat_get_xact_tuples_returned(oid) FROM pg_class WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'i')
		ORDER BY pg_stat_get_xact_tuples_returned(oid) DESC LIMIT 1
	\$\$;
	CREATE TABLE calls (name text PRIMARY KEY, call text, allowed int);
	-- Makes all calls, each rolled back; returns those that read more than they may, or fail.
	CREATE FUNCTION wrong_calls(many int) RETURNS text LANGUAGE plpgsql AS \$\$
	DECLARE
		c calls;
		before bigint;
		read bigint;
		wrong text;
	BEGIN
		FOR c IN SELECT * FROM calls ORDER BY name LOOP
			BEGIN
				before := rows_read();
				EXECUTE c.call;
				read := rows_read() - before;
				RAISE SQLSTATE 'UNDO0';
			EXCEPTION
				WHEN SQLSTATE 'UNDO0' THEN
					IF many = 0 OR read > c.allowed THEN
						wrong := concat_ws(', ', wrong, c.name || ': ' || read || ' of ' || most_read());
					END IF;
				WHEN OTHERS THEN
					wrong := concat_ws(', ', wrong, c.name || ': ' || SQLERRM);
			END;
		END LOOP;
		RETURN coalesce(wrong, '');
	END \$\$;
});

# The statements of foreign keys are PostgreSQL's, which plans them by statistics and settings. They come back at the end.
my $foreign_keys = query(q{SELECT string_agg(format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)), '; ')
	FROM pg_constraint WHERE connamespace = 'seats'::regnamespace AND contype = 'f'});
query(q{SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
	FROM pg_constraint WHERE connamespace = 'seats'::regnamespace AND contype = 'f' \gexec});

# A call, and how many rows it may read: those of one seat, or of the few that it is about, are found by some indexes, one
# after the other.
my %calls = (
	'claim_seat'            => [ q{SELECT seats.claim_seat(known('pending'))}, 20 ],
	'claim_seat again'      => [ q{SELECT seats.claim_seat(known('claimed'), 'key')}, 30 ],
	'claim_seat by statements' => [ q{SELECT set_config('seats.direct_access', 'off', true), seats.claim_seat(known('pending'))}, 20 ],
	'claim_info by statements' => [ q{SELECT set_config('seats.direct_access', 'off', true), seats.claim_info(known('pending'))}, 20 ],
	'authenticate by statements' => [ q{SELECT set_config('seats.direct_access', 'off', true), seats.authenticate(known('session'))}, 20 ],
	'claim_info'            => [ q{SELECT seats.claim_info(known('pending'))}, 20 ],
	'authenticate'          => [ q{SELECT seats.authenticate(known('session'))}, 20 ],
	'end_session'           => [ q{SELECT seats.end_session(known('session'))}, 20 ],
	'get_seat'              => [ q{SELECT seats.get_seat(known('seat of claimed@x')::uuid)}, 20 ],
	'list_seats'            => [ qq{SELECT seats.list_seats('$id')}, 60 ],
	'assign_seat by e-mail' => [ qq{SELECT seats.assign_seat('$id', email => 'known\@x')}, 60 ],
	'assign_seat, new'      => [ qq{SELECT seats.assign_seat(order_id => '$order', email => 'new\@x')}, 60 ],
	'assign_seat by external id' => [ qq{SELECT seats.assign_seat('$id', external_customer_id => 'known')}, 60 ],
	'assign_seat by id'     => [ qq{SELECT seats.assign_seat('$id', customer_id => known('customer')::uuid, immediate_claim => true)}, 60 ],
	'assign_seat, nobody free' => [ qq{SELECT seats.assign_seat(order_id => '$order', customer_id => known('customer')::uuid)}, 60 ],
	'assign_seats'          => [ qq{SELECT seats.assign_seats('$id', NULL, '{known\@x,new1\@x,new2\@x}')}, 150 ],
	'import_seats'          => [ qq{SELECT seats.import_seats('$id', emails => '{known\@x,new1\@x,NULL}', external_customer_ids => '{NULL,new1,new2}')}, 150 ],
	'set_seats'             => [ qq{SELECT seats.set_seats('$id', seats => 0, surplus => 'revoke')}, 150 ],
	'has_seat'              => [ qq{SELECT seats.has_seat('$id', known('customer')::uuid)}, 20 ],
	'has_seat by statements' => [ qq{SELECT set_config('seats.direct_access', 'off', true), seats.has_seat('$id', known('customer')::uuid)}, 20 ],
	'resend_invitation'     => [ q{SELECT seats.resend_invitation(known('seat of pending@x')::uuid)}, 30 ],
	'revoke_seat'           => [ q{SELECT seats.revoke_seat(known('seat of claimed@x')::uuid)}, 60 ],
	'revoke_seats'          => [ qq{SELECT seats.revoke_seats(order_id => '$order')}, 150 ],
	'revoke_seats of a subscription' => [ qq{SELECT seats.revoke_seats('$id')}, 150 ],
	'the end of a subscription' => [ qq{UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$id'}, 150 ],
	'the end of an order'   => [ qq{UPDATE seats.orders SET status = 'void' WHERE id = '$order'}, 150 ],
	'fewer seats'           => [ qq{UPDATE seats.orders SET seats = 50 WHERE id = '$order'}, 20 ],
	'seats deleted by hand' => [ q{DELETE FROM seats.customer_seats WHERE id = known('seat of claimed@x')::uuid}, 60 ],
	'rotate_jwt_key'        => [ q{SELECT seats.rotate_jwt_key()}, 30 + $crowd ],
	'claim_seat with a JWT' => [ q{SELECT set_config('seats.session_token_format', 'jwt', true), seats.claim_seat(known('pending'))}, 30 ],
	'release_expired_seats' => [ q{SELECT seats.release_expired_seats('1 day')}, 20 ],
	'purge_expired_sessions' => [ q{SELECT seats.purge_expired_sessions()}, 20 ],
	'set_seats'             => [ qq{SELECT seats.set_seats('$id', seats => 1, surplus => 'revoke')}, 60 ],
	'set_seats of an order' => [ qq{SELECT seats.set_seats(order_id => '$order', seats => 1, surplus => 'revoke')}, 150 ],
	'import_seats'          => [ qq{SELECT seats.import_seats('$id', NULL, '{known\@x,new1\@x,NULL,payer\@x}', '{NULL,NULL,new,new2}')}, 250 ],
	'has_seat'              => [ qq{SELECT seats.has_seat('$id', known('customer')::uuid)}, 20 ],
	'has_seat by statements' => [ qq{SELECT set_config('seats.direct_access', 'off', true), seats.has_seat('$id', known('customer')::uuid)}, 20 ],
	'create_join_link'      => [ qq{SELECT seats.create_join_link('$id')}, 30 ],
	'join_info'             => [ q{SELECT seats.join_info(known('link'))}, 20 ],
	'join_seat'             => [ q{SELECT seats.join_seat(known('link'), 'new@x')}, 80 ],
	'join_seat, held'       => [ q{SELECT seats.join_seat(known('link'), 'pending@x')}, 80 ],
	'list_join_links'       => [ qq{SELECT seats.list_join_links('$id')}, 30 ],
	'revoke_join_link'      => [ q{SELECT seats.revoke_join_link(known('id of link')::uuid)}, 20 ],
	'seats_http.list_seats' => [ qq{SELECT seats_http.list_seats(subscription_id => '$id')}, 80 ],
);
foreach my $name (sort keys %calls)
{
	my ($call, $allowed) = @{ $calls{$name} };

	query("INSERT INTO calls VALUES (\$s\$$name\$s\$, \$s\$$call\$s\$, $allowed)");
}
# Those whose own statement, an application's, finds its row by a plan of its own.
my $applications = q{name IN ('the end of a subscription', 'the end of an order', 'fewer seats', 'seats deleted by hand')};

note 'rows read, in small tables: ' . query('SELECT wrong_calls(0)');

# These sessions keep the plans that they make now, of tables with few rows, without statistics and with them.
my @early;
foreach my $customers (1, 10, 300)
{
	query("INSERT INTO seats.customers (organization_id, email) SELECT '$id', 'early' || n || '\@x' FROM generate_series(1, $customers) AS n ON CONFLICT DO NOTHING");
	foreach my $statistics ('no statistics', 'statistics')
	{
		my $session = $node->background_psql('postgres', on_error_stop => 0);

		query('ANALYZE') if $statistics eq 'statistics';
		is($session->query('SELECT wrong_calls(1)'), '', "tables are small: $customers more customers, $statistics");
		push @early, [ $session, "$customers more customers, $statistics" ];
	}
}

# The crowd: purchases with seats in all states, their customers, sessions and events.
query(qq{
	INSERT INTO seats.customers (organization_id, email, external_id) SELECT '$id', 'crowd' || n || '\@x', 'crowd' || n FROM generate_series(1, $crowd) AS n;
	INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, status)
		SELECT '$id', '$id', '$id', 100, 'active' FROM generate_series(1, 1000) AS n;
	INSERT INTO seats.orders (organization_id, product_id, customer_id, seats, status)
		SELECT '$id', '$id', '$id', 100, 'paid' FROM generate_series(1, 1000) AS n;
	INSERT INTO seats.customer_seats (organization_id, subscription_id, status, customer_id, customer_email, invitation_token_hash, invitation_token_expires_at)
		SELECT '$id', p.id, 'pending', c.id, c.email, sha256(c.id::text::bytea), now() + interval '1 day'
		FROM (SELECT id, email, row_number() OVER () AS n FROM seats.customers WHERE email LIKE 'crowd%') AS c
		JOIN (SELECT id, row_number() OVER () AS n FROM seats.subscriptions WHERE id <> '$id') AS p ON p.n = 1 + c.n / 100;
	INSERT INTO seats.customer_seats (organization_id, order_id, status, customer_id, customer_email, claimed_at, expiry_watched)
		SELECT '$id', p.id, 'claimed', c.id, c.email, now(), false
		FROM (SELECT id, email, row_number() OVER () AS n FROM seats.customers WHERE email LIKE 'crowd%') AS c
		JOIN (SELECT id, row_number() OVER () AS n FROM seats.orders WHERE id <> '$order') AS p ON p.n = 1 + c.n / 100 WHERE c.n <= 100;
	INSERT INTO seats.customer_sessions SELECT sha256(id::text::bytea), id, customer_id, organization_id, now(), now() + interval '1 h'
		FROM seats.customer_seats WHERE status = 'claimed' AND order_id <> '$order';
	INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at)
		SELECT 'customer_seat.assigned', id, organization_id, customer_id, now() FROM seats.customer_seats WHERE customer_id IS NOT NULL;
});

# Makes all calls in a new session, with some settings; tells which read too much.
sub wrong_with
{
	my ($settings) = @_;

	return query("$settings; SELECT wrong_calls(1)");
}

is($_->[0]->query('SELECT wrong_calls(1)'), '', "plans of when tables were small: $_->[1]") foreach @early;
my $early = $early[0][0];
is(wrong_with(''), '', 'statistics of when tables were small');
query(q{UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relnamespace = 'seats'::regnamespace; DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'seats'::regnamespace)});
is(wrong_with(''), '', 'no statistics');
foreach my $rows ([ 0, 1 ], [ 10, 1 ], [ 10, 1000 ], [ 10_000_000, 1000 ], [ 10_000_000, 1_000_000 ])
{
	query("UPDATE pg_class SET reltuples = $rows->[0], relpages = $rows->[1] WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'i')");
	is(wrong_with(''), '', "tables said to have $rows->[0] rows on $rows->[1] pages");
}
query('ANALYZE');
is(wrong_with(''), '', 'right statistics');
is($early->query('SELECT wrong_calls(1)'), '', 'which have old plans made anew');

# Many purchases end, and then their seats have no customer, as no statistics say.
query(qq{UPDATE seats.subscriptions SET status = 'canceled' WHERE id <> '$id'});
is(wrong_with(''), '', 'many purchases have ended');
is($early->query('SELECT wrong_calls(1)'), '', 'since the plans were made');
query('ANALYZE seats.customer_seats');
is(wrong_with(''), '', 'and there are statistics of that');
is($early->query('SELECT wrong_calls(1)'), '', 'for the old session too');
# From here on there is one to be given again.
query("SELECT seats.revoke_seat((seat).id) FROM seats.assign_seat('$id', email => 'revoked\@x')");

# All seats are of one purchase, as statistics have it; or each of one of its own.
query(q{UPDATE pg_statistic SET stanullfrac = 0, stadistinct = 1 WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'seats'::regnamespace)});
is(wrong_with(''), '', 'all values said to be the same');
query(q{UPDATE pg_statistic SET stanullfrac = 1, stadistinct = -1 WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'seats'::regnamespace)});
is(wrong_with(''), '', 'all values said to be null');
query('ANALYZE');

# What an application's own statement reads is its own affair, but it is found by an index whatever is set below only by
# the extension.
my @methods = split /\n/, query(q{SELECT name FROM pg_settings WHERE name LIKE 'enable\_%' AND vartype = 'bool' AND context = 'user' ORDER BY 1});
my %settings = (
	(map { ("$_ = off" => "SET $_ = off") } @methods),
	'nothing enabled' => join('; ', map { "SET $_ = off" } @methods),
	'sequential scans alone' => join('; ', map { /seqscan/ ? () : "SET $_ = off" } @methods),
	'neither index scans nor nested loops' => 'SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SET enable_nestloop = off',
	(map { ("plan_cache_mode = $_" => "SET plan_cache_mode = $_") } 'force_custom_plan', 'force_generic_plan'),
	'pages out of order dear' => 'SET random_page_cost = 1000000; SET seq_page_cost = 0',
	'pages in order dear'  => 'SET seq_page_cost = 1000000; SET random_page_cost = 0',
	'index entries dear'   => 'SET cpu_index_tuple_cost = 1000000',
	'rows dear'            => 'SET cpu_tuple_cost = 1000000',
	'operators dear'       => 'SET cpu_operator_cost = 1000000',
	'no cache'             => "SET effective_cache_size = '8kB'; SET work_mem = '64kB'",
	'much memory'          => "SET effective_cache_size = '100GB'; SET work_mem = '1GB'; SET hash_mem_multiplier = 1000",
	'joins as written'     => 'SET join_collapse_limit = 1; SET from_collapse_limit = 1',
	'genetic search'       => 'SET geqo = on; SET geqo_threshold = 2',
	'parallel plans'       => join('; ', (map { "SET $_ = 0" } qw(parallel_setup_cost parallel_tuple_cost min_parallel_table_scan_size min_parallel_index_scan_size)),
		'SET max_parallel_workers_per_gather = 2',
		query(q{SELECT string_agg('SET ' || name || ' = on', '; ') FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')})),
	'cursors for few rows' => 'SET cursor_tuple_fraction = 0.0001',
	'constraints not looked at' => 'SET constraint_exclusion = off',
	'no statistics target' => 'SET default_statistics_target = 1',
);
query("CREATE TABLE all_calls AS SELECT * FROM calls; DELETE FROM calls WHERE $applications");
foreach my $name (sort keys %settings)
{
	is(wrong_with($settings{$name}), '', "with $name");
}

# An index that another session makes while a transaction is at work: the plan goes stale after it was found good, and is
# made anew where PostgreSQL executes it.
my %first = (
	'subscriptions'     => [ 'assign_seat by e-mail', 'revoke_seats of a subscription' ],
	'orders'            => ['revoke_seats'],
	'customer_seats'    => [ 'get_seat', 'revoke_seat', 'resend_invitation', 'claim_seat by statements', 'claim_info by statements', 'list_seats' ],
	'customer_sessions' => [ 'end_session', 'authenticate by statements' ],
);
my $caller = $node->background_psql('postgres', on_error_stop => 0);
# The foreign keys' statements are planned before.
$caller->query_safe('SELECT wrong_calls(1)');
foreach my $table (sort keys %first)
{
	foreach my $name (@{ $first{$table} })
	{
		my $call = query("SELECT replace(call, 'known(', 'public.known(') FROM all_calls WHERE name = '$name'");
		my $allowed = query("SELECT allowed FROM all_calls WHERE name = '$name'");
		my ($before, $read);

		# What stands for an argument must not take a lock, by which news of the index would come.
		$call =~ s/public\.known\('([^']*)'\)/"'" . query("SELECT known('$1')") . "'"/ge;
		$caller->query_safe("BEGIN; SAVEPOINT s; $call; ROLLBACK TO s;");
		$caller->query_safe('SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_indexonlyscan = off');
		$caller->query_safe('COMMIT; BEGIN');
		$before = $caller->query_safe('SELECT rows_read()');
		$caller->query_safe('SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_indexonlyscan = off');
		query("CREATE INDEX CONCURRENTLY more ON seats.$table (created_at, organization_id)");
		$caller->query_safe($call);
		$caller->query_safe('SET LOCAL enable_indexscan = on');
		$read = $caller->query_safe('SELECT rows_read()') - $before;
		cmp_ok($read, '<=', $allowed, "$name while an index on $table is made");
		$caller->query_safe('ROLLBACK');
		query('DROP INDEX CONCURRENTLY seats.more');
	}
}

query("INSERT INTO calls SELECT * FROM all_calls ON CONFLICT DO NOTHING; $foreign_keys");
is(wrong_with(''), '', 'with the foreign keys');
$_->quit foreach $caller, map { $_->[0] } @early;

done_testing();
