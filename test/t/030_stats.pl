# The counters of stats() are exact: what eight sessions did is what was counted, whatever they rolled back, and errors are
# as many as were raised.  Each database has its own; they begin anew with the server, need no preloading, and where there is no
# room for them everything else goes on.  What is counted in tables costs the same however much there is.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $sessions  = 8;
my $tokens    = 1500;
my $rounds    = 300;     # of each session
my $databases = 64;      # as many as have room
my $directory = PostgreSQL::Test::Utils::tempdir();
my $seed      = $ENV{SEED} // time;

srand $seed;
note "SEED=$seed";

my $node = start_node('stats', qq{
	max_connections = 30
	deadlock_timeout = 10ms
	max_prepared_transactions = 5
	restart_after_crash = on
	autovacuum = off
}, allows_streaming => 1);
create_shop(1_000_000);

# Returns the counts as "assigned claimed revoked resent", and the errors other than none.
sub counts
{
	return query(q{
		SELECT concat_ws(' ', assigned, claimed, revoked, resent, (
			SELECT string_agg(key || '=' || value, ' ' ORDER BY key) FROM jsonb_each_text(failures) WHERE value <> '0'))
		FROM seats.stats()});
}

# The same counts by the events that there are, which are recorded in the transactions themselves.
sub events
{
	return query(q{
		SELECT concat_ws(' ', count(*) FILTER (WHERE type = 'customer_seat.assigned'), count(*) FILTER (WHERE type = 'customer_seat.claimed'),
			count(*) FILTER (WHERE type = 'customer_seat.revoked'), count(*) FILTER (WHERE type = 'customer_seat.invitation_resent'))
		FROM seats.events});
}

sub since
{
	return query('SELECT counted_since FROM seats.stats()');
}

is(query('SHOW shared_preload_libraries'), '', 'the library is not preloaded');
is(counts(), '0 0 0 0', 'nothing has happened yet');

# Eight sessions -----------------------------------------------------------------------------------------

my @tokens = split /\n/, query(qq{
	SELECT invitation_token FROM seats.assign_seats('${\ID}', NULL, ARRAY(
		SELECT n || '\@example.com' FROM generate_series(1, $tokens) AS n))});

# Returns one of some strings.
sub one_of
{
	return $_[ rand @_ ];
}

sub claim_any
{
	return "SELECT (seat).status FROM seats.claim_seat('" . one_of(@tokens) . "');";
}

# Returns what changes a seat, or fails to.
sub change_any
{
	my $seat = one_of(@tokens);
	my $id = "(SELECT id FROM seats.customer_seats WHERE invitation_token_hash = digest('$seat', 'sha256'))";

	return one_of(
		claim_any(), claim_any(), claim_any(),
		"SELECT status FROM seats.revoke_seat($id);",
		"SELECT (seat).status FROM seats.resend_invitation($id);",
		"SELECT count(*) FROM seats.assign_seats('${\ID}', NULL, ARRAY['" . int(rand 1e9)
		  . "\@new.example', '" . int(rand 1e9) . "\@new.example']);",
		"SELECT seats.authenticate('seats_cst_x');",
		"SELECT 'answered ' || (seats_http.claim_seat('{\"invitation_token\": \"" . one_of(@tokens) . "\"}'::jsonb) ->> 'reason');");
}

# Returns a transaction: one change, or some with savepoints, of which any part may be rolled back.
sub any_transaction
{
	my @statements;
	my @open;

	return change_any() if rand() < 0.5;
	push @statements, 'BEGIN;';
	foreach my $n (1 .. 2 + rand 6)
	{
		if (@open && rand() < 0.3)
		{
			my $name = pop @open;

			push @statements, one_of("ROLLBACK TO $name; RELEASE $name;", "RELEASE $name;");
		}
		elsif (rand() < 0.5)
		{
			push @open, "s$n";
			push @statements, "SAVEPOINT s$n;";
		}
		push @statements, change_any();
	}
	push @statements, one_of('COMMIT;', 'COMMIT;', 'ROLLBACK;');
	return join "\n", @statements;
}

my @running = map {
	my $session = $_;

	append_to_file("$directory/session.$session", join("\n", map { any_transaction() } 1 .. $rounds) . "\n");
	IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-f', "$directory/session.$session", $node->connstr('postgres') ],
		'>', "$directory/output.$session", '2>', "$directory/errors.$session")
} 1 .. $sessions;
$_->finish foreach @running;

my %raised;
my %other;
foreach my $session (1 .. $sessions)
{
	my $errors = slurp_file("$directory/errors.$session");
	my $output = slurp_file("$directory/output.$session");

	$raised{$1}++ while $output =~ /^answered (\w+)$/mg;
	$raised{$1}++ while $errors =~ /ERROR:  PT4\d\d: .*\nDETAIL:  (\w+)$/mg;
	$raised{validation_error}++ while $errors =~ /ERROR:  PT422: /g;
	$other{$1}++ while $errors =~ /ERROR:  ((?!PT)\w+): /g;
}
my %counted = query(q{SELECT string_agg(key || ' ' || value, ' ') FROM seats.stats(), jsonb_each_text(failures) WHERE value <> '0'}) =~ /(\w+) (\d+)/g;
is(counts() =~ s/ [a-z].*//r, events(), 'seats that changed are as many as events: ' . events());
cmp_ok((split / /, events())[$_], '>', 50, "enough was done: $_") foreach 0 .. 3;
note 'raised: ', join ' ', map { "$_=$raised{$_}" } sort keys %raised;
note 'others: ', join ' ', map { "$_=$other{$_}" } sort keys %other;
is_deeply([ grep { !/^(25P02|3B001|40P01)$/ } keys %other ], [], "no error but the extension's, a deadlock, and those that follow one");
is_deeply(\%counted, \%raised, 'errors are as many as were raised or answered');

# Eight sessions that do nothing but add to one counter.
my $storm = 10_000;
my ($invalid) = counts() =~ /session_invalid=(\d+)/;
my @storm = map {
	IPC::Run::start(
		[ 'psql', '-XAtqc', qq{
			DO \$\$BEGIN
				FOR i IN 1 .. $storm LOOP
					BEGIN
						PERFORM seats.authenticate('seats_cst_x');
					EXCEPTION WHEN OTHERS THEN
						NULL;
					END;
				END LOOP;
			END\$\$}, $node->connstr('postgres') ])
} 1 .. $sessions;
$_->finish foreach @storm;
is((counts() =~ /session_invalid=(\d+)/)[0], $invalid + $sessions * $storm, 'no error is lost in a storm of them');

# Transactions of two phases ------------------------------------------------------------------------------

my $before = counts();
query(q{BEGIN; SELECT seats.assign_seat('00000000-0000-0000-0000-000000000001', email => 'two@phases.example'); PREPARE TRANSACTION 'two';});
is(counts(), $before, 'what is prepared is not counted');
query(q{COMMIT PREPARED 'two'});
is(counts(), $before, 'nor when it commits');

# Parallel workers -----------------------------------------------------------------------------------------

my $force = query('SHOW server_version_num') >= 160000 ? 'debug_parallel_query' : 'force_parallel_mode';
my ($assigned_before) = $before =~ /session_invalid=(\d+)/;
like(outcome("SET $force = on; SELECT seats.authenticate('seats_cst_x')"), qr/^PT401/, 'a parallel worker raises an error');
is((counts() =~ /session_invalid=(\d+)/)[0], $assigned_before + 1, 'it counts');

# A standby -------------------------------------------------------------------------------------------------

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $tables = 'SELECT open_sessions, expired_sessions, expired_invitations, oldest_event FROM seats.stats()';
my $on_primary = query($tables);
on_node($standby);
is(query($tables), $on_primary, 'what is in tables is the same on a standby');
is(outcome("SELECT seats.authenticate('seats_cst_x')"), 'PT401 session_invalid', 'an error on the standby');
is(counts(), '0 0 0 0 session_invalid=1', 'counts there');
$standby->stop;
on_node($node);

# Stop, crash ---------------------------------------------------------------------------------------------

my %ends = (
	'a restart'       => sub { $node->restart },
	'immediate stop'  => sub { $node->stop('immediate'); $node->start },
	'a killed process' => sub {
		my $session = $node->background_psql('postgres');

		kill 'KILL', $session->query_safe('SELECT pg_backend_pid()');
		eval { $session->quit };
		wait_until_alone();
	},
);
foreach my $end (sort keys %ends)
{
	assign(int(rand 1e9) . '@end.example');
	outcome("SELECT seats.authenticate('seats_cst_x')");
	my $since = since();
	isnt(counts(), '0 0 0 0', "before $end something is counted");
	$ends{$end}->();
	is(counts(), '0 0 0 0', "after $end it begins anew");
	cmp_ok(since(), 'gt', $since, "and says so");
}
append_to_file($node->data_dir . '/postgresql.conf', "shared_preload_libraries = 'seats'\n");
$node->restart;
assign('preloaded@example.com');
is(counts(), '1 0 0 0', 'it counts as well where the library is preloaded');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;

# Databases --------------------------------------------------------------------------------------------------

query('CREATE DATABASE other');
in_database('other');
create_shop(10);
claim(assign('ada@example.com'));
is(counts(), '1 1 0 0', 'another database has counters of its own');
in_database('postgres');
is(counts(), '0 0 0 0', 'and this one has its own');
query("ALTER DATABASE other IS_TEMPLATE true; CREATE DATABASE d$_ TEMPLATE other") foreach 3 .. $databases + 1;
foreach (3 .. $databases)
{
	in_database("d$_");
	query('SELECT counted_since FROM seats.stats()');
}
claim(assign('bob@example.com'));
is(counts(), '1 1 0 0', "the ${databases}th one too");
in_database('d' . ($databases + 1));
claim(assign('bob@example.com'));
is(query('SELECT counted_since, assigned, claimed, revoked, resent, failures, open_sessions FROM seats.stats()'),
	'||||||2', 'one more than there is room for is not counted, and all else goes on');
in_database('postgres');
query('DROP DATABASE d3');
query("DROP DATABASE d4; CREATE DATABASE d4 TEMPLATE other");
in_database('d' . ($databases + 1));
outcome("SELECT seats.authenticate('seats_cst_x')");
is(counts(), '0 0 0 0 session_invalid=1', 'it is once another one was dropped');
in_database('d4');
is(counts(), '0 0 0 0', 'and one that was dropped and made again begins anew');
in_database('d5');
is(counts(), '0 0 0 0', 'the others keep theirs');
in_database('other');
is(counts(), '1 1 0 0', 'the others keep theirs');
in_database('postgres');

# How much there is ------------------------------------------------------------------------------------------

# Returns how many pages a call looks at, when its session has made it before.
sub pages
{
	my $plans = query('SELECT seats.stats(); EXPLAIN (ANALYZE, BUFFERS, TIMING off, COSTS off, FORMAT JSON) SELECT seats.stats()');
	my ($hit, $read) = $plans =~ /"Plan":.*?"Shared Hit Blocks": (\d+).*?"Shared Read Blocks": (\d+)/s;

	return $hit + $read;
}

# Makes so many sessions, and as many that expired, and seats whose invitation did, numbered from one on.
sub fill
{
	my ($from, $to) = @_;

	query(qq{
		SET session_replication_role = replica;
		INSERT INTO seats.customer_sessions
			SELECT sha256(n::text::bytea), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), now() + n * interval '1 second'
			FROM generate_series($from, $to) AS n;
		INSERT INTO seats.customer_sessions
			SELECT sha256((-n)::text::bytea), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), now() - n * interval '1 second'
			FROM generate_series($from, $to) AS n;
		INSERT INTO seats.customers (id, organization_id, email)
			SELECT md5('c' || n)::uuid, '${\ID}', n || '\@many.example' FROM generate_series($from, $to) AS n;
		INSERT INTO seats.customer_seats (organization_id, subscription_id, customer_id, status, invitation_token_hash, invitation_token_expires_at)
			SELECT '${\ID}', '${\ID}', md5('c' || n)::uuid, 'pending', sha256(n::text::bytea), now() - n * interval '1 second'
			FROM generate_series($from, $to) AS n;
		VACUUM ANALYZE;
	});
}
fill(1, 12_000);
my $few = pages();
fill(12_001, 48_000);
my $many = pages();
is(query('SELECT expired_sessions, expired_invitations FROM seats.stats()'), '10000|10000', 'what is left to do is counted up to a bound');
cmp_ok(abs(query('SELECT open_sessions FROM seats.stats()') - 86_000), '<', 9_000,
	'sessions beyond it are estimated, with those expired that are beyond it too');
note "pages: $few of 12,000, $many of 48,000";
cmp_ok($many, '<', 1.2 * $few, 'that costs the same however many there are');
cmp_ok($many, '<', 800, 'and is little');

# No room ----------------------------------------------------------------------------------------------------

# Locks take all of the shared memory that the server has to spare, and never give it back. Before 17 counters would be there.
my $full = start_node('full', "max_connections = 10\nmax_locks_per_transaction = 10");
create_shop(10);
$full->restart;
like(outcome('SELECT pg_advisory_lock(n) FROM generate_series(1, 1000000) AS n', on_error_stop => 1), qr/53200 /, 'shared memory is used up');
# The session is told before it has given up its locks.
$full->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'});
my $answer = query("SELECT (seat).status, (seats.stats()).assigned IS NULL FROM seats.assign_seat('${\ID}', email => 'ada\@example.com')");
is($answer, query('SHOW server_version_num') >= 170000 ? 'pending|f' : 'pending|t', 'seats are given all the same');

done_testing();
