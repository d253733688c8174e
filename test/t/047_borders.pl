# Where the extension meets what others do to its database: updates of its objects, rights that come by a group, other
# table access methods, tables that another extension has taken over, and sessions whose first call fails.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $id    = ID;
my $order = '00000000-0000-0000-0000-000000000031';
my $node = start_node('borders', q{
	autovacuum = off
	jit = off
	fsync = off
	log_min_messages = panic
	max_parallel_workers = 2
});
create_shop(1000);
query(qq{INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
	VALUES ('$order', '$id', '$id', '$id', 1000, 'paid')});

my $number = 0;

# Returns the token of a new invitation.
sub invite
{
	return assign('c' . ++$number . '@x');
}

# Starts a session that goes on after errors.
my $direct_access = 'on';
sub start_session
{
	my $session = $node->background_psql('postgres', on_error_stop => 0,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	$session->query_safe("SET seats.direct_access = $direct_access");
	return $session;
}

# Makes a call in a session; returns what it gave, or its SQLSTATE and message.  What else the session was told
# is left in $told.
my $told = "";
sub outcome_in
{
	my ($session, $call) = @_;
	my $output;

	$session->{stderr} = '';
	$output = $session->query("$call;\n\\if :ERROR\n\\echo :SQLSTATE :LAST_ERROR_MESSAGE\n\\endif");
	($told, $session->{stderr}) = ($session->{stderr}, '');
	return $output;
}

# The same, in a transaction that is rolled back.
sub undone_outcome_in
{
	my ($session, $call) = @_;
	my $outcome;

	$session->query('BEGIN');
	$outcome = outcome_in($session, $call);
	$session->query('ROLLBACK');
	return $outcome;
}

# Updates -------------------------------------------------------------------------------------------------

my $session_token = claim(invite());
my $seat          = query('SELECT id FROM seats.customer_seats');
my $pending       = invite();
my $pending_seat  = query("SELECT id FROM seats.customer_seats WHERE status = 'pending'");

my ($link, $link_id) = split /\|/, query("SELECT join_token, (link).id FROM seats.create_join_link('$id')");

# Calls whose answers stay the same.
my %calls = (
	claim_info   => [ "SELECT can_claim FROM seats.claim_info('$pending')", 't' ],
	authenticate => [ "SELECT seat_id FROM seats.authenticate('$session_token')", $seat ],
	get_seat     => [ "SELECT status FROM seats.get_seat('$seat')", 'claimed' ],
	list_seats   => [ "SELECT total_seats FROM seats.list_seats('$id')", 1000 ],
	claim_seat   => [ "SELECT seats.claim_seat('seats_inv_' || repeat('0', 55))", 'PT400 Invalid, expired, or already claimed token' ],
	resend       => [ "SELECT (seat).status FROM seats.resend_invitation('$pending_seat')", 'pending' ],
	assign_seat  => [ "SELECT (seat).status FROM seats.assign_seat('$id', email => 'new\@x')", 'pending' ],
	revoke_seats => [ "SELECT seats.revoke_seats(order_id => '$order')", 0 ],
	import_seats => [ "SELECT seats.import_seats('$id', emails => '{new\@x}')", 1 ],
	set_seats    => [ "SELECT seats.set_seats('$id', seats => 0, surplus => 'revoke')", 2 ],
	has_seat     => [ "SELECT seats.has_seat('$id', '$id')", 'f' ],
	join_info    => [ "SELECT can_join FROM seats.join_info('$link')", 't' ],
	join_seat    => [ "SELECT seats.join_seat('$link', 'new\@x')", '' ],
	create_link  => [ "SELECT (link).uses FROM seats.create_join_link('$id')", 0 ],
	list_links   => [ "SELECT uses FROM seats.list_join_links('$id')", 0 ],
	revoke_link  => [ "SELECT uses FROM seats.revoke_join_link('$link_id')", 0 ],
	purge        => [ 'SELECT seats.purge_expired_sessions()', 0 ],
	update       => [ 'UPDATE seats.subscriptions SET seats = seats', '' ],
	deletion     => [ 'DELETE FROM seats.customer_seats', '' ],
);
# Those that need no more than the row that they are given may work whatever the version.
my %rows_alone = (update => 1, claim_seat => 1);

# Makes all calls in a session, each in a statement of the client's own; returns those whose outcome is another than
# expected, the error of an unknown version, or where it is undefined their own.
sub wrong_calls
{
	my ($session, $expected) = @_;
	my @wrong;

	foreach my $name (sort keys %calls)
	{
		my ($call, $answer) = @{ $calls{$name} };
		my $outcome = undone_outcome_in($session, $call);
		my $hint = $told =~ /^HINT:  Run ALTER EXTENSION seats UPDATE/m ? '' : ' and no hint';

		next if $outcome eq $answer && (!defined $expected || $rows_alone{$name});
		next if defined $expected && "$outcome$hint" eq $expected;
		push @wrong, "$name: $outcome$hint";
	}
	return join "\n", @wrong;
}

# Returns the directory of the extension's scripts.
sub script_directory
{
	my $destination = query(q{SELECT coalesce(current_setting('extension_destdir', true), '')});
	my ($path) = query(q{SELECT coalesce(current_setting('extension_control_path', true), '')}) =~ /^([^\$:]+)/;
	my $share = `pg_config --sharedir`;

	chomp $share;
	return "$path/extension" if $path;
	return "$destination$share/extension";
}

my $scripts = script_directory();
my @made;
END { unlink @made }

SKIP:
{
	skip 'no scripts can be put beside the extension\'s', 1 unless -w $scripts;

	my $unknown = '55000 the extension seats is of version 9.9, the loaded library of 1.1';
	my $session = start_session();
	my $early   = start_session();
	my %updates = (
		'a comment'  => "COMMENT ON TABLE seats.events IS 'What happened'",
		'a grant'    => 'GRANT SELECT ON seats.usage TO pg_read_all_stats',
		'a table'    => 'CREATE TABLE seats.more (n int)',
		'a type'     => "CREATE TYPE seats.mood AS ENUM ('good')",
		'a setting of a table' => 'ALTER TABLE seats.events SET (fillfactor = 90)',
		'nothing'    => 'SELECT 1',
	);
	my %back = (
		'a table' => 'DROP TABLE seats.more',
		'a type'  => 'DROP TYPE seats.mood',
	);

	@made = map { "$scripts/seats--$_.sql" } '1.1--9.9', '9.9--1.1';
	foreach my $what (sort keys %updates)
	{
		unlink @made;
		append_to_file($made[0], "$updates{$what};\n");
		append_to_file($made[1], ($back{$what} // 'SELECT 1') . ";\n");
		is(wrong_calls($session), '', "a session is at work before an update of $what");

		# The session has made the call in this transaction before.
		$early->query_safe('BEGIN; ' . $calls{authenticate}[0]);
		query("ALTER EXTENSION seats UPDATE TO '9.9'");
		is(outcome_in($early, $calls{authenticate}[0]), $unknown, "an update of $what is noticed within a transaction");
		$early->query('ROLLBACK');
		$early->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
		is(outcome_in($early, $calls{assign_seat}[0]), $unknown, "and in one of a stricter isolation level");
		$early->query('ROLLBACK');
		is(wrong_calls($session, $unknown), '', "an update of $what is noticed at once");
		is(wrong_calls(start_session(), $unknown), '', 'and in a new session');
		query("ALTER EXTENSION seats UPDATE TO '1.1'");
		is(wrong_calls($session), '', 'and its way back');
	}

	# The row that tells the version is looked at while another transaction has changed it.
	my $updating = start_session();
	$updating->query_safe("BEGIN; ALTER EXTENSION seats UPDATE TO '9.9'");
	is(wrong_calls($session), '', 'a session works on until an update commits') for 1 .. 2;
	$updating->query_safe('COMMIT');
	is(wrong_calls($session, $unknown), '', 'and notices it then');
	query("ALTER EXTENSION seats UPDATE TO '1.1'");
	is(wrong_calls($session), '', 'and its way back as well');

	# By the session itself, and undone.
	is(outcome_in($session, qq{BEGIN; ALTER EXTENSION seats UPDATE TO '9.9'; $calls{claim_info}[0]}), $unknown, 'an update in the same transaction is noticed');
	$session->query('ROLLBACK');
	is(wrong_calls($session), '', 'its end too');
	$session->query_safe("BEGIN; SAVEPOINT s; ALTER EXTENSION seats UPDATE TO '9.9'; ROLLBACK TO s");
	is(outcome_in($session, $calls{claim_info}[0]), 't', 'and a subtransaction\'s');
	$session->query_safe('ROLLBACK');
	query("ALTER EXTENSION seats UPDATE TO '9.9'");
	is(outcome('BEGIN; DROP EXTENSION seats; CREATE EXTENSION seats; SELECT count(*) FROM seats.subscriptions; ROLLBACK'),
		0, 'an unknown version can be dropped');
	query("ALTER EXTENSION seats UPDATE TO '1.1'");
	$_->quit foreach $session, $early;
	unlink @made;
}

# Which way a call went ------------------------------------------------------------------------------------

# Starts a session that tells each of the extension's statements that the executor runs.
sub start_watched_session
{
	my $session = start_session();

	$session->query_safe(q{
		LOAD 'auto_explain';
		SET auto_explain.log_nested_statements = on;
		SET auto_explain.log_level = notice;
		SET auto_explain.log_min_duration = 0;
	});
	return $session;
}

# Claims a seat in a session, and asks who that is; returns the outcome, and the tables that statements of the extension's
# were about.
sub claim_in
{
	my ($session) = @_;
	my $token = invite();
	my %seen;
	my $outcome = outcome_in($session, "SELECT customer_session_token AS token FROM seats.claim_seat('$token') \\gset\nSELECT customer_email IS NOT NULL FROM seats.authenticate(:'token')");

	$seen{$1} = 1 while $told =~ /(?:FROM|JOIN|UPDATE|INTO) seats\.([a-z_]+)/g;
	delete $seen{$_} foreach 'claim_seat', 'authenticate';
	return join ' ', $outcome, sort keys %seen;
}

# Rights by a group ----------------------------------------------------------------------------------------

query(q{
	CREATE ROLE owners;
	CREATE ROLE plain IN ROLE owners;
	GRANT USAGE ON SCHEMA seats TO plain;
	SELECT format('ALTER %s %s OWNER TO owners', CASE WHEN relkind = 'r' THEN 'TABLE' ELSE 'VIEW' END, oid::regclass)
	FROM pg_class WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'v') \gexec
	GRANT USAGE ON SCHEMA seats TO owners;
	SELECT format('ALTER FUNCTION %s OWNER TO plain', oid::regprocedure)
	FROM pg_proc WHERE pronamespace = 'seats'::regnamespace \gexec
});
my $watched = start_watched_session();
my $denied  = qr/^42501 permission denied for table /;
like(claim_in($watched), qr/^t\b/, 'an owner of the functions has rights on the tables by a group');
foreach my $access ('on', 'off')
{
	$watched->query_safe("SET seats.direct_access = $access");
	like(claim_in($watched), qr/^t\b/, "which are good, direct access $access");
	my $token = invite();
	query('REVOKE owners FROM plain');
	like(outcome_in($watched, "SELECT seats.claim_seat('$token')"), $denied, 'once revoked they are gone in the next statement');
	like(outcome_in($watched, $calls{authenticate}[0]), $denied, 'to read, too');
	query('GRANT owners TO plain');
	is(outcome_in($watched, "SELECT (seat).status FROM seats.claim_seat('$token')"), 'claimed', 'and back when granted again');
}
# Rights on one table by a group of their own.
query('CREATE ROLE readers; REVOKE owners FROM plain; GRANT ALL ON ALL TABLES IN SCHEMA seats TO plain;
	REVOKE ALL ON seats.customer_sessions FROM plain; GRANT ALL ON seats.customer_sessions TO readers; GRANT readers TO plain');
$watched->query_safe('SET seats.direct_access = on');
like(outcome_in($watched, $calls{authenticate}[0]), qr/^$seat$/, 'a right on one table by a group');
query('REVOKE readers FROM plain');
like(outcome_in($watched, $calls{authenticate}[0]), qr/^42501 permission denied for table customer_sessions/, 'once revoked it is gone');
query(q{
	SELECT format('ALTER %s %s OWNER TO CURRENT_USER', CASE WHEN relkind = 'r' THEN 'TABLE' ELSE 'VIEW' END, oid::regclass)
	FROM pg_class WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'v') \gexec
	SELECT format('ALTER FUNCTION %s OWNER TO CURRENT_USER', oid::regprocedure)
	FROM pg_proc WHERE pronamespace = 'seats'::regnamespace \gexec
	DROP OWNED BY plain, owners, readers;
	DROP ROLE plain, owners, readers;
});

# Table access methods -------------------------------------------------------------------------------------

query('CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler');
is(claim_in($watched), 't', 'with the tables as they were made nothing goes through the executor');
my %by_executor = (
	organizations     => qr/\borganizations\b/,
	customers         => qr/\bcustomers\b/,
	customer_seats    => qr/\bcustomer_seats\b/,
	customer_sessions => qr/\bcustomer_sessions\b/,
	events            => qr/\bevents\b/);
foreach my $table (sort keys %by_executor)
{
	query("ALTER TABLE seats.$table SET ACCESS METHOD other");
	my $outcome = claim_in($watched);
	like($outcome, qr/^t /, "a claim works where $table has another access method");
	like($outcome, $by_executor{$table}, 'through the executor');
	query("ALTER TABLE seats.$table SET ACCESS METHOD heap");
	is(claim_in($watched), 't', 'and past it once that is the heap again');
}
foreach my $table ('products', 'subscriptions')
{
	my $call = "SELECT can_claim FROM seats.claim_info('$pending')";

	query("ALTER TABLE seats.$table SET ACCESS METHOD other");
	is(outcome_in($watched, $call), 't', "an invitation is described where $table has another access method");
	like($told, qr/JOIN seats\.$table\b/, 'through the executor');
	query("ALTER TABLE seats.$table SET ACCESS METHOD heap");
	outcome_in($watched, $call);
	unlike($told, qr/JOIN seats\.$table\b/, 'and past it once that is the heap again');
}
query('DROP ACCESS METHOD other');

# The first call of a session ------------------------------------------------------------------------------

# Returns how often an error was counted.
sub counted
{
	return query("SELECT coalesce((failures ->> '$_[0]')::int, 0) FROM seats.stats()");
}

my %first_calls = (
	'alone'                       => [ q{SELECT seats.claim_info('x')}, qr/^PT400 / ],
	'of a function that writes'   => [ q{SELECT seats.claim_seat('x')}, qr/^PT400 / ],
	'in a block with EXCEPTION'   => [ q{DO $$BEGIN PERFORM seats.claim_seat('x'); EXCEPTION WHEN OTHERS THEN NULL; END$$}, qr/^$/ ],
	'in a read-only transaction'  => [ q{BEGIN READ ONLY; SELECT seats.claim_info('x')}, qr/^PT400 / ],
	'after a savepoint'           => [ q{BEGIN; SAVEPOINT s; SELECT seats.claim_info('x')}, qr/^PT400 / ],
	'in a cursor'                 => [ q{BEGIN; DECLARE c CURSOR FOR SELECT seats.claim_info('x'); FETCH c}, qr/^PT400 / ],
	'in a parallel worker'        => [ q{SELECT seats.claim_info('x') FROM pg_class LIMIT 1}, qr/^PT400 /, 'SET force_parallel_mode = on; SET debug_parallel_query = on' ],
	'of HTTP'                     => [ q{SELECT seats_http.get_claim_info('x') IS NOT NULL}, qr/^t$/ ],
);
foreach my $name (sort keys %first_calls)
{
	my ($call, $expected, $setting) = @{ $first_calls{$name} };
	my $session = start_session();
	my $before  = counted('invitation_invalid');

	$session->query($setting) if $setting;
	like(outcome_in($session, $call), $expected, "a first call that fails, $name");
	$session->query('ROLLBACK');
	is(counted('invitation_invalid') - $before, 1, 'and is counted');
	is(outcome_in($session, $calls{claim_info}[0]), 't', 'and the session goes on');
	$session->quit;
}
# The first error of a session that is at work: it is raised, and nothing is begun on the way.
{
	my $session = start_session();

	$session->query_safe($calls{claim_info}[0]);
	$session->query('SET client_min_messages = debug5');
	like(outcome_in($session, q{SELECT seats.claim_info('x')}), qr/^PT400 /, 'the first error of a session');
	like($told, qr/\bAbortTransaction\b|\bStartTransaction\b/, 'of which PostgreSQL tells what transactions it has');
	unlike($told, qr/\bStartSubTransaction\b/, 'starts no subtransaction');
	$session->quit;
}
{
	my $session = start_session();

	$session->query('BEGIN; SELECT 1/0');
	is(outcome_in($session, "SELECT seats.claim_info('x')"), '25P02 current transaction is aborted, commands ignored until end of transaction block',
		'a first call in a transaction that failed');
	$session->query('ROLLBACK');
	is(outcome_in($session, $calls{claim_info}[0]), 't', 'is none');
	$session->quit;
}

# Tables of another extension ------------------------------------------------------------------------------

# What Citus has, as far as it tells that a table is its own.
query(q{
	SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char", partkey text, colocationid int, repmodel "char");
	CREATE UNIQUE INDEX pg_dist_partition_logical_relid_index ON pg_catalog.pg_dist_partition (logicalrelid);
	GRANT SELECT ON pg_catalog.pg_dist_partition TO PUBLIC;
	CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
});

# Calls that need each table, in an order of their own: whatever is tried is rolled back.
my %needing = (
	organizations => [ 'claim', 'claim_info', 'assign', 'get_seat' ],
	products => ['claim_info'],
	customers => [ 'authenticate', 'assign', 'assign_many', 'import', 'join' ],
	subscriptions => [ 'claim_info', 'assign', 'list', 'revoke', 'revoke_all', 'set_seats', 'import', 'join', 'join_info', 'create_link', 'list_links' ],
	orders => [ 'assign_order', 'refund_many' ],
	customer_seats => [ 'claim', 'claim_info', 'assign', 'assign_many', 'resend', 'revoke', 'revoke_all', 'set_seats', 'import', 'join', 'has_seat', 'list', 'get_seat', 'release', 'cancel' ],
	customer_sessions => [ 'claim', 'authenticate', 'end_session', 'purge_sessions', 'revoke_claimed' ],
	events => [ 'claim', 'assign', 'assign_many', 'resend', 'revoke', 'revoke_all', 'set_seats', 'import', 'join', 'purge_events', 'cancel' ],
	join_links => [ 'join', 'join_info', 'create_link', 'list_links', 'revoke_link' ],
	jwt_keys => ['rotate'],
);
my $claimable = invite();
my %distributed_calls = (
	claim          => "SELECT (seat).status FROM seats.claim_seat('$claimable')",
	claim_info     => "SELECT can_claim FROM seats.claim_info('$claimable')",
	authenticate   => "SELECT seat_id FROM seats.authenticate('$session_token')",
	end_session    => "SELECT seats.end_session('$session_token')",
	assign         => "SELECT (seat).status FROM seats.assign_seat('$id', email => 'new\@x')",
	assign_order   => "SELECT (seat).status FROM seats.assign_seat(order_id => '$order', email => 'new\@x')",
	assign_many    => "SELECT count(*) FROM seats.assign_seats('$id', NULL, '{new\@x,newer\@x}')",
	resend         => "SELECT (seat).status FROM seats.resend_invitation('$pending_seat')",
	revoke         => "SELECT status FROM seats.revoke_seat('$pending_seat')",
	revoke_claimed => "SELECT status FROM seats.revoke_seat('$seat')",
	revoke_all     => "SELECT seats.revoke_seats('$id') > 0",
	set_seats      => "SELECT seats.set_seats('$id', seats => 0, surplus => 'revoke') > 0",
	import         => "SELECT seats.import_seats('$id', emails => '{new\@x}')",
	join           => "SELECT seats.join_seat('$link', 'new\@x')",
	join_info      => $calls{join_info}[0],
	create_link    => $calls{create_link}[0],
	list_links     => $calls{list_links}[0],
	revoke_link    => $calls{revoke_link}[0],
	has_seat       => "SELECT seats.has_seat('$id', '$id')",
	list           => "SELECT total_seats FROM seats.list_seats('$id')",
	get_seat       => "SELECT status FROM seats.get_seat('$seat')",
	release        => 'SELECT seats.release_expired_seats()',
	purge_sessions => 'SELECT seats.purge_expired_sessions()',
	purge_events   => "SELECT seats.purge_events('1 day')",
	rotate         => 'SELECT seats.rotate_jwt_key() IS NOT NULL',
	cancel         => "UPDATE seats.subscriptions SET status = 'canceled' RETURNING status",
	refund_many    => "SELECT seats.revoke_seats(order_id => '$order')",
);

# Makes the calls that need a table, in a session or each in a new one; returns those whose outcome is not what is expected.
sub wrong_where
{
	my ($table, $expected, $session) = @_;
	my @wrong;

	foreach my $name (@{ $needing{$table} })
	{
		my $in = $session // start_session();
		my $outcome = undone_outcome_in($in, $distributed_calls{$name}) . ($told =~ /^HINT:.*PL\/Proxy/m ? ' with the hint' : '');

		$in->quit unless $session;
		push @wrong, "$name: $outcome" if $outcome !~ $expected;
	}
	return join "\n", @wrong;
}

foreach my $access ('on', 'off')
{
	$direct_access = $access;
	my $session = start_session();

	foreach my $table (sort keys %needing)
	{
		my $refused = qr/^55000 .*\b(?:seats\.)?$table\b.* with the hint$/;

		is(wrong_where($table, qr/^(?!55000|42|XX)/, $session), '', "$table is the extension's own, direct access $access");
		# Citus makes its trigger in the same transaction, at least where the table is distributed from.
		query("BEGIN; INSERT INTO pg_catalog.pg_dist_partition VALUES ('seats.$table', 'h');
			CREATE TRIGGER truncate_trigger AFTER TRUNCATE ON seats.$table EXECUTE FUNCTION nothing(); COMMIT");
		is(wrong_where($table, $refused, $session), '', "a session that knows $table notices that it is distributed");
		is(wrong_where($table, $refused), '', 'a new one too');
		query("DELETE FROM pg_catalog.pg_dist_partition; DROP TRIGGER truncate_trigger ON seats.$table");
		is(wrong_where($table, qr/^(?!55000|42|XX)/, $session), '', 'and that it is not any more');
		# A trigger that nobody makes: the row alone.
		query("INSERT INTO pg_catalog.pg_dist_partition VALUES ('seats.$table', 'n')");
		is(wrong_where($table, $refused), '', 'a new session needs no other sign');
		query('DELETE FROM pg_catalog.pg_dist_partition');
	}
	$session->quit;
}
$direct_access = 'on';

# The catalog is looked at when a table is, and never again.
query("INSERT INTO pg_catalog.pg_dist_partition VALUES ('pg_class', 'h')");
{
	my $session = start_session();
	my @tokens = map { invite() } 1 .. 53;
	# The session's own, so that what a session that just ended still reports is not among them.
	my $looks_of = sub {
		my $looks = 0;

		foreach my $token (@_)
		{
			$session->query_safe("BEGIN; DO \$\$BEGIN PERFORM seats.claim_seat('$token'); END\$\$");
			$looks += $session->query_safe(q{SELECT sum(pg_stat_get_xact_numscans(oid)) FROM pg_class WHERE relname ~ '^pg_dist_partition'});
			$session->query_safe('SELECT pg_stat_force_next_flush(); COMMIT');
		}
		return $looks;
	};

	cmp_ok($looks_of->(splice @tokens, 0, 3), '>', 0, 'the first claims look whether tables are distributed');
	is($looks_of->(@tokens), 0, 'claims after the first ones do not');
	$session->quit;
}
query('SET allow_system_table_mods = on; DROP TABLE pg_catalog.pg_dist_partition');
is(outcome($distributed_calls{authenticate}), $seat, 'without the catalog all works');

# Ids that are not unique ----------------------------------------------------------------------------------

# Without its primary key the table may have an id twice: then more rows are locked to be used again than were asked for.
query('CREATE DATABASE repeated');
in_database('repeated');
create_shop(10);
query(qq{
	SELECT seats.assign_seats('$id', NULL, '{a\@example.com,b\@example.com}');
	SELECT seats.revoke_seats('$id');
	ALTER TABLE seats.customer_seats DROP CONSTRAINT customer_seats_pkey;
	UPDATE seats.customer_seats SET id = '$id'});
is(outcome("SELECT seats.assign_seat('$id', email => 'c\@example.com')"),
	'42804 column "id" of table seats.customer_seats contains duplicate values', 'an id that is there twice is refused');
in_database('postgres');

# Memory ---------------------------------------------------------------------------------------------------

# Changes a purchase with so many seats in a session of its own, so that they are revoked or deleted; returns by how much
# its memory grew at most, in kB.
sub memory_of
{
	my ($statement, $count) = @_;
	my $session = start_session();
	my $peak = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s+(\d+)')};
	my $before;

	query(qq{
		INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
			VALUES ('$order', '$id', '$id', '$id', $count, 'paid')
			ON CONFLICT (id) DO UPDATE SET status = 'paid', seats = EXCLUDED.seats;
		INSERT INTO seats.customers (organization_id, external_id) SELECT '$id', 'm' || n FROM generate_series(1, $count) AS n
			ON CONFLICT DO NOTHING;
		INSERT INTO seats.customer_seats (organization_id, order_id, status, customer_id, claimed_at, expiry_watched)
			SELECT '$id', '$order', 'claimed', id, now(), false FROM seats.customers WHERE external_id LIKE 'm%' LIMIT $count});
	$session->query_safe("BEGIN; UPDATE seats.subscriptions SET status = 'canceled'; ROLLBACK");
	$before = $session->query_safe($peak);
	$session->query_safe($statement);
	my $grown = $session->query_safe($peak) - $before;
	$session->quit;
	is(query("SELECT count(*) FROM seats.customer_seats WHERE order_id = '$order' AND status <> 'revoked'"), 0, "$count seats: $statement");
	is(query("SELECT count(*) FROM seats.events WHERE type = 'customer_seat.revoked'"), $count, 'with an event for each');
	query("DELETE FROM seats.customer_seats WHERE order_id = '$order'; DELETE FROM seats.events");
	return $grown;
}
SKIP:
{
	skip 'there is no /proc/self/status', 1 unless -r '/proc/self/status';
	foreach my $statement ("UPDATE seats.orders SET status = 'refunded'", 'DELETE FROM seats.orders')
	{
		my ($few, $many) = map { memory_of($statement, $_) } 20_000, 60_000;

		note "20,000 seats: $few kB, 60,000 seats: $many kB";
		cmp_ok($many, '<', $few + 40 * 200, "$statement takes less than 200 bytes of memory for each further seat");
	}
}

done_testing();
