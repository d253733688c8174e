# A shard that is down, or does not answer, fails the calls for its own organizations, soon and with an error that
# says so, and nobody else's, in the same session neither.  Time-outs, ended sessions and errors of PostgreSQL
# come through.  Rights are those of the role on the front and on the shard, and whoever calls cannot change that.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IO::Socket::INET;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SeatsShards;
use SeatsTest;
use Test::More;
use Time::HiRes qw(time);

my ($front, @shards) = start_shards(4, undef, allows_streaming => 1);
spread(100, 10);

# An organization of each shard.
my @own    = map { on_shard($_); query('SELECT id FROM seats.organizations ORDER BY id LIMIT 1') } 0 .. 3;
my @tokens = map {
	call_front('backend',
		"SELECT invitation_token FROM seats.assign_seat('$_', '$_', email => 'ann\@example.com')")
} @own;
like($_, qr/^seats_inv_/, 'a seat is assigned') foreach @tokens;

# Asks for an organization's seat and tells how many seconds it took.
sub list
{
	my ($organization, $setting) = @_;
	my $start  = time;
	my $answer = call_front('backend',
		($setting // '') . "SELECT total_seats FROM seats.list_seats('$organization', '$organization')");

	return $answer, time - $start;
}

# A shard that is down -------------------------------------------------------------------------------------------

my $unreachable =
  "08001: Shard not reachable\nDETAIL:  shard_not_reachable\nHINT:  Nothing was done: try again.";

# One session of the front asks all four, before, during and after.
my $session = $front->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'backend' ]);
my $ask_all = join '', map {
	"DO \$\$ BEGIN PERFORM seats.list_seats('$own[$_]', '$own[$_]'); RAISE NOTICE 'shard $_ answers';
		EXCEPTION WHEN OTHERS OR query_canceled THEN RAISE NOTICE 'shard $_ fails: %', SQLSTATE; END \$\$;\n"
} 0 .. 3;

# Returns what the session is told about each shard.
sub ask_all
{
	my (undef, $errors) = $session->query($ask_all);
	$errors = $session->{stderr};

	$session->{stderr} = '';
	return join ', ', $errors =~ /NOTICE:  shard (\d (?:answers|fails: \w+))/g;
}

is(ask_all(), '0 answers, 1 answers, 2 answers, 3 answers', 'all shards answer');

# A refusal is an answer as well: the connection stays.
on_shard(1);
my $backends  = q{SELECT pid FROM pg_stat_activity WHERE usename = 'backend'};
my $connected = query($backends);
like($connected, qr/^\d+$/, 'the session has one connection to a shard');
$session->query("SELECT seats.get_seat('$own[1]', '$own[1]')");
like($session->{stderr}, qr/PT404|Seat not found/, 'something is refused');
$session->{stderr} = '';
$session->query("SELECT seats.list_seats('$own[1]', '$own[1]')");
is(query($backends), $connected, 'and the connection is the same afterwards');
$shards[3]->stop('immediate');
my ($answer, $seconds) = list($own[3]);
is($answer, $unreachable, 'the call for an organization of a shard that is down fails');
cmp_ok($seconds, '<', 30, "before any time-out ($seconds s)");
is((list($own[$_]))[0], '10', "shard $_ answers") foreach 0 .. 2;
is(call_front('anonymous', "SELECT seats.claim_seat('$tokens[3]')"), $unreachable, 'a claim there fails');
is(call_front('backend', 'SELECT seats.purge_expired_sessions()'),
	$unreachable, 'and what is done on all shards');

# The session has a connection that is broken: what it asked first may be done or not, for all it knows.
like(
	ask_all(),
	qr/^0 answers, 1 answers, 2 answers, 3 fails: 0800[16]$/,
	'the session goes on with the others'
);
is(ask_all(), '0 answers, 1 answers, 2 answers, 3 fails: 08001', 'and again');
unlike(slurp_file($front->logfile), qr/STATEMENT:.*seats_inv_/, 'errors are logged without the statement');
$shards[3]->start;
is((list($own[3]))[0], '10',                                         'the shard is there again');
is(ask_all(),          '0 answers, 1 answers, 2 answers, 3 answers', 'for the session, too');
is(call_front('anonymous', "SELECT (seat).status FROM seats.claim_seat('$tokens[3]')"),
	'claimed', 'the claim can be made');

# A shard that does not answer --------------------------------------------------------------------------------

# A port at which nobody answers: the queue of who wants to connect is full, so the kernel says nothing.
my $silent = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no socket: $!\n";
my @waiting =
  map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $silent->sockport, Blocking => 0) } 1 .. 4;

# Gives the front another address of shard 2; it takes effect in all sessions.
sub move_shard
{
	my ($connection) = @_;
	my $literal = $connection =~ s/'/''/gr;

	on_front();
	query("ALTER SERVER seats OPTIONS (SET p2 '$literal')");
}

my $limit = "SET statement_timeout = '2s';";
move_shard('host=127.0.0.1 dbname=postgres port=' . $silent->sockport);
my ($silence, $silent_seconds) = list($own[2], $limit);
is(
	$silence,
	'57014: canceling statement due to statement timeout',
	'a host that is gone fails its calls by the time-out of the front'
);
cmp_ok($silent_seconds, '>', 1.9, "no sooner ($silent_seconds s)");
cmp_ok($silent_seconds, '<', 30,  'and after it');
($answer, $seconds) = list($own[1], $limit);
is($answer, '10', 'others answer');
cmp_ok($seconds, '<', $silent_seconds, 'sooner');
$session->query_safe($limit);
is(ask_all(), '0 answers, 1 answers, 2 fails: 57014, 3 answers', 'in a session that had talked to it, too');
query(q{ALTER SERVER seats OPTIONS (SET query_timeout '2')});
move_shard($shards[2]->connstr('postgres'));
is((list($own[2], $limit))[0], '10', 'the front is told where the shard is');
is(ask_all(),                  '0 answers, 1 answers, 2 answers, 3 answers', 'and all its sessions know');

# A backend of the shard that hangs: the front cancels the call, which does not help, and then gives it up.
on_shard(2);
my @backends = split /\n/, query(q{SELECT pid FROM pg_stat_activity WHERE usename = 'backend'});
is(@backends, 1, 'the session has a connection to the shard');
kill 'STOP', @backends;
my $start = time;
my $told  = ask_all();
$seconds = time - $start;
kill 'CONT', @backends;
is($told, '0 answers, 1 answers, 2 fails: 08006, 3 answers', 'a session of the shard that hangs is given up');
cmp_ok($seconds, '<', 60, "after both time-outs ($seconds s)");
on_front();
query(q{ALTER SERVER seats OPTIONS (SET query_timeout '60')});
is(ask_all(), '0 answers, 1 answers, 2 answers, 3 answers', 'and the next call finds another');
$session->quit;

# What goes wrong on a shard -------------------------------------------------------------------------------------

# Has somebody hold a seat of shard 0 while its token is claimed by way of the front; returns what is told.
sub claim_held
{
	my ($meanwhile, $setting) = @_;
	my ($output,    $errors)  = ('', '');
	my $holder = $shards[0]->background_psql('postgres');

	$holder->query_safe("BEGIN; SELECT FROM seats.customer_seats FOR UPDATE");
	on_front();
	query("ALTER ROLE anonymous RESET ALL");
	on_shard(0);
	query($setting) if $setting;
	my $claim = IPC::Run::start(
		[
			'psql', '-XAtq', '-U', 'anonymous', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=never',
			$front->connstr('postgres'),
			'-c', "SELECT (seat).status FROM seats.claim_seat('$tokens[0]')"
		],
		'>',
		\$output,
		'2>',
		\$errors
	);
	$shards[0]->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'anonymous' AND wait_event_type = 'Lock'})
	  if $meanwhile;
	query($meanwhile) if $meanwhile;
	$claim->finish;
	$holder->query_safe('ROLLBACK');
	$holder->quit;
	query('ALTER ROLE anonymous RESET statement_timeout; ALTER ROLE anonymous RESET lock_timeout');
	return $output . $errors =~ s/ERROR:  |\nLOCATION:.*//gsr;
}

is(
	claim_held(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'anonymous'}),
	'57014: canceling statement due to user request',
	'a call that is canceled on the shard'
);
is(
	claim_held(undef, q{ALTER ROLE anonymous SET statement_timeout = '100ms'}),
	'57014: canceling statement due to statement timeout',
	'a time-out of the shard'
);
is(
	claim_held(undef, q{ALTER ROLE anonymous SET lock_timeout = '100ms'}),
	'55P03: canceling statement due to lock timeout',
	'a lock that is waited for too long'
);
is(
	claim_held(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'anonymous'}),
	"08006: Connection to the shard lost\nDETAIL:  shard_connection_lost\n"
	  . 'HINT:  It is not known whether the call was done: ask, or repeat a claim with its idempotency key.',
	'a session of the shard that is ended'
);
is(call_front('anonymous', "SELECT (seat).status FROM seats.claim_seat('$tokens[0]')"),
	'claimed', 'none of them has claimed the seat');

# What the caller does after the call is the front's: it cannot be taken back on the shard.
call_front('anonymous', "BEGIN; SELECT seats.claim_seat('$tokens[1]'); ROLLBACK");
is(call_front('anonymous', "SELECT can_claim FROM seats.claim_info('$tokens[1]')"),
	'f', 'a call stays done when the front rolls back');

# A shard that has been given another slice refuses, and the error passes when asking again does not help.
on_shard(2);
query('UPDATE seats_shard.slice SET shard = 1');
is(
	call_front('anonymous', "SELECT seats.claim_seat('$tokens[2]')"),
	"PT421: Misdirected Request\nDETAIL:  other_shard\nHINT:  The organization is on another shard.",
	'what is of another shard is refused'
);
is(query("SELECT status FROM seats.customer_seats WHERE organization_id = '$own[2]'"),
	'pending', 'and not done');
is(
	outcome("UPDATE seats.subscriptions SET seats = 20 WHERE id = '$own[2]'"),
	'PT421 other_shard',
	'its rows cannot be changed there'
);
is(outcome("DELETE FROM seats.orders WHERE id = '$own[2]'"), 'PT421 other_shard', 'or deleted');
is(
	outcome("INSERT INTO seats.organizations (id, name, slug) VALUES ('$own[3]', 'x', 'x')"),
	'PT421 other_shard',
	'or made'
);
query('UPDATE seats_shard.slice SET shard = 2');
is(call_front('anonymous', "SELECT (seat).status FROM seats.claim_seat('$tokens[2]')"),
	'claimed', 'and then is');

# A standby of a shard, in its place: what reads is answered, what writes is refused.
$shards[0]->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($shards[0], 'copy', has_streaming => 1);
$standby->start;
$shards[0]->wait_for_catchup($standby);
on_front();
my ($primary, $copy) = map { $_->connstr('postgres') =~ s/'/''/gr } $shards[0], $standby;
query("ALTER SERVER seats OPTIONS (SET p0 '$copy')");
is((list($own[0]))[0], '10', 'a standby answers');
is(call_front('anonymous', "BEGIN READ ONLY; SELECT can_claim FROM seats.claim_info('$tokens[0]')"),
	'f', 'in a read-only transaction, too');
is(
	call_front('anonymous', "SELECT seats.claim_seat('$tokens[0]')"),
	'25006: cannot execute claim_seat() in a read-only transaction',
	'and refuses to claim'
);
query("ALTER SERVER seats OPTIONS (SET p0 '$primary')");

# Rights ---------------------------------------------------------------------------------------------------------

on_front();
query('CREATE ROLE nobody_at_all LOGIN');
my $callable =
  q{SELECT oid::regprocedure FROM pg_proc WHERE has_function_privilege('nobody_at_all', oid, 'EXECUTE')
	AND pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'seats%')};
is(query($callable), '', 'PUBLIC may call nothing on the front');
on_shard(0);
query('CREATE ROLE nobody_at_all LOGIN');
is(query($callable), 'seats.current_customer_id()',
	'or on a shard, but for the function that the policy of seats calls');
is(
	query(
		q{SELECT count(*) FROM pg_class WHERE has_table_privilege('anonymous', oid, 'SELECT') AND relnamespace IN
	(SELECT oid FROM pg_namespace WHERE nspname LIKE 'seats%')}
	),
	'0',
	'anonymous reads no table of a shard'
);

# Whoever may send statements to the front can call what calls the shard, and change the name there: it does not help.
my $assign =
  "SELECT failure FROM seats_front.assign_seat(0, '{}', '$own[0]', NULL, 'eve\@example.com', NULL, NULL, NULL, false)";
is(
	call_front('anonymous', $assign),
	'42501: permission denied for function assign_seat',
	'anonymous has no right to the inner function'
);
on_front();
query('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA seats_front TO anonymous');
is(
	call_front('anonymous', $assign),
	'{42501,"permission denied for function assign_seat","",""}',
	'with it, the shard refuses'
);
like(
	call_front(
		'anonymous', "ALTER USER MAPPING FOR anonymous SERVER seats OPTIONS (SET user 'backend'); $assign"
	),
	qr/password authentication failed for user "backend"/,
	'and has no other name for it'
);

done_testing();
