# PgBouncer in transaction mode: between callers and a server that has the extension, and between a front and its
# shards.  What one caller sets for its transaction no other sees; prepared plans of the extension stay good, through
# DISCARD ALL too; what callers prepare themselves does not.  A shard that hangs as a whole is given up.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SeatsShards;
use SeatsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my ($front, @shards) = start_shards(2);
spread(20, 100);
my @own = map { on_shard($_); query('SELECT id FROM seats.organizations ORDER BY id LIMIT 1') } 0, 1;

# PgBouncer itself -----------------------------------------------------------------------------------------------

# Debian has PgBouncer where only root's PATH leads.
$ENV{PATH} .= ':/usr/sbin';

my $directory = PostgreSQL::Test::Utils::tempdir_short();
my $port      = PostgreSQL::Test::Cluster::get_free_port();
my @bouncers;

# Starts PgBouncer by the example's file, with these settings instead.
sub start_bouncer
{
	my ($name, $databases, %settings) = @_;
	my $ini = slurp_file(EXAMPLE . '/pgbouncer.ini');

	%settings = (
		unix_socket_dir => $directory,
		listen_port     => $port++,
		auth_file       => "$directory/userlist.txt",
		%settings
	);
	$ini =~ s/^(shard\d) = .*\n//mg;
	$ini =~ s/^\[databases\]\n/$&$databases/m or die 'no databases';
	foreach my $key (sort keys %settings)
	{
		$ini =~ s/^$key = .*$/$key = $settings{$key}/m or $ini .= "$key = $settings{$key}\n";
	}
	append_to_file("$directory/$name.ini", $ini);
	my $bouncer =
	  IPC::Run::start([ 'pgbouncer', "$directory/$name.ini" ], '>', "$directory/$name.log", '2>&1');
	push @bouncers, $bouncer;
	for (1 .. 100)
	{
		last if -S "$directory/.s.PGSQL.$settings{listen_port}";
		sleep 0.1;
	}
	return $settings{listen_port};
}
END { my $status = $?; $_->kill_kill foreach @bouncers; $? = $status }

append_to_file("$directory/userlist.txt", join '',
	map { qq("$_" ") . password($_) . qq("\n) } qw(anonymous backend customer));
my $databases = join '',
  map { "shard$_ = host=" . $shards[$_]->host . ' port=' . $shards[$_]->port . " dbname=postgres\n" } 0, 1;

# One connection to the server for all callers of a role.
my $pool  = start_bouncer('pool',  $databases, default_pool_size => 1);
my $clean = start_bouncer('clean', $databases, default_pool_size => 1, server_reset_query_always => 1);

# Statements by way of PgBouncer, in a session of its own.
sub pooled
{
	my ($at, $role, $sql) = @_;
	local $ENV{PGPASSWORD} = password($role);
	my ($output, $errors) = ('', '');

	IPC::Run::run(
		[
			'psql', '-XAtq', '-v',  'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=never', '-h', $directory, '-p',
			$at,    '-U',    $role, 'shard0'
		],
		'<',
		\$sql,
		'>',
		\$output,
		'2>',
		\$errors
	);
	return join '', $output, $errors =~ s/^LOCATION:.*\n//mgr;
}

# Returns new tokens of a seat of the organization on the first shard.
my $assigned = 0;

sub invite
{
	$assigned++;
	return call_shard(0, 'backend',
		"SELECT invitation_token FROM seats.assign_seat('$own[0]', email => 'p$assigned\@example.com')");
}

# Between callers and a server -------------------------------------------------------------------------------------

my @pids = map { pooled($pool, 'anonymous', 'SELECT pg_backend_pid()') } 1, 2;
is($pids[0], $pids[1], 'callers share a session of the server');
my $key     = q{SELECT set_config('request.headers', '{"idempotency-key": "k"}', %s) IS NULL;};
my $token   = invite();
my $claim   = "SELECT (seat).status FROM seats.claim_seat('$token');";
my $refused = qr/^ERROR:  PT400: Invalid, expired, or already claimed token\nDETAIL:  seat_already_claimed/m;
like(pooled($pool, 'anonymous', 'BEGIN;' . sprintf($key, 'true') . "$claim COMMIT;"),
	qr/^claimed$/m, 'a seat is claimed with a key');
like(pooled($pool, 'anonymous', $claim), $refused, 'another caller has not the key');
like(pooled($pool, 'anonymous', 'BEGIN;' . sprintf($key, 'true') . "$claim COMMIT;"),
	qr/^claimed$/m, 'with it, the claim is answered again');
like(pooled($pool, 'anonymous', "BEGIN; $key" =~ s/%s/true/r . 'ROLLBACK;' . $claim),
	$refused, 'it ends with its transaction');

# For the session is for whoever comes next: a trap.
pooled($pool, 'anonymous', sprintf $key, 'false');
like(pooled($pool, 'anonymous', $claim),
	qr/^claimed$/m, 'what is set for the session stays for the next caller');
pooled($pool, 'anonymous', 'DISCARD ALL');
like(pooled($pool, 'anonymous', $claim), $refused, 'until DISCARD ALL');
pooled($clean, 'anonymous', sprintf $key, 'false');
like(pooled($clean, 'anonymous', $claim),
	$refused, 'which server_reset_query_always does after each transaction');

# The plans of the extension.
foreach my $at ([ pool => $pool ], [ server_reset_query_always => $clean ])
{
	my ($name, $number) = @$at;
	my @tokens = map { invite() } 1 .. 4;

	foreach my $between ('SELECT 1', 'DISCARD ALL', 'DISCARD PLANS', 'RESET ALL')
	{
		my $next = shift @tokens;

		like(pooled($number, 'anonymous', "$between; SELECT (seat).status FROM seats.claim_seat('$next')"),
			qr/^claimed$/m, "$name: a claim after $between");
	}
	my $next = invite();
	on_shard(0);
	query('ALTER TABLE seats.customer_seats SET (fillfactor = 81)');
	like(pooled($number, 'anonymous', "SELECT (seat).status FROM seats.claim_seat('$next')"),
		qr/^claimed$/m, "$name: and after ALTER TABLE");
}

# A setting of the role is in force in the pool's next session.
query(q{ALTER ROLE backend SET seats.invitation_ttl = '90min'});
like(
	pooled(
		$pool,
		'backend',
		"SELECT (seat).invitation_token_expires_at - (seat).created_at FROM seats.assign_seat('$own[0]', email => 'ttl\@example.com')"
	),
	qr/^01:30:00$/m,
	'settings of a role count'
);
query('ALTER ROLE backend RESET seats.invitation_ttl');

# Statements prepared by callers: by protocol and without a name they work, with a name not.
sub pgbench
{
	my ($mode, $at) = @_;
	local $ENV{PGPASSWORD} = password('anonymous');
	my ($output, $errors) = ('', '');
	my $file = "$directory/bench.$mode.sql";

	append_to_file($file, "\\set n random(1, 9)\nSELECT seats.claim_info('$token') WHERE :n < 10;\n")
	  if !-e $file;
	IPC::Run::run(
		[
			'pgbench',   '-n', '-M', $mode, '-c', 4, '-t', 50, '-f', $file, '-h', $directory, '-p', $at, '-U',
			'anonymous', 'shard0'
		],
		'>',
		\$output,
		'2>',
		\$errors
	);
	return "$output$errors";
}
like(
	pgbench('extended', $pool),
	qr/actually processed: 200\/200/,
	'parameters are bound to statements without a name'
);
like(
	pgbench('prepared', $pool),
	qr/prepared statement "\w+" already exists/,
	'statements with a name are no good in transaction mode'
);

# Many callers, two sessions: each token is claimed once.
my $two    = start_bouncer('two', $databases, default_pool_size => 2);
my @tokens = map { invite() } 1 .. 40;
append_to_file("$directory/storm.sql", join "\n",
	map { "SELECT (seat).status FROM seats.claim_seat('$_');" } @tokens);
$ENV{PGPASSWORD} = password('anonymous');
my @storm = map {
	IPC::Run::start(
		[
			'psql', '-XAtq', '-h', $directory, '-p', $two, '-U', 'anonymous', '-f', "$directory/storm.sql",
			'shard0'
		],
		'>',
		"$directory/storm.$_.out",
		'2>',
		"$directory/storm.$_.err"
	)
} 1 .. 8;
$_->finish foreach @storm;
delete $ENV{PGPASSWORD};
is(scalar(map { my @all = slurp_file("$directory/storm.$_.out") =~ /^claimed$/mg; @all } 1 .. 8),
	40, 'each of many tokens is claimed once');
is(scalar(map { my @all = slurp_file("$directory/storm.$_.err") =~ /seat_already_claimed/g; @all } 1 .. 8),
	40 * 7, 'and else refused');

# Between a front and its shards -----------------------------------------------------------------------------------

my $between = start_bouncer('between', $databases);
on_front();
query(  'ALTER SERVER seats OPTIONS ('
	  . join(', ', map { "SET p$_ 'host=$directory port=$between dbname=shard$_'" } 0, 1)
	  . ')');
my @invited = map {
	call_front('backend',
		"SELECT invitation_token FROM seats.assign_seat('$_', '$_', email => 'front\@example.com')")
} @own;
is(
	call_front(
		'anonymous',
		"BEGIN; $key" =~ s/%s/true/r . "SELECT (seat).status FROM seats.claim_seat('$_'); COMMIT"
	),
	"f\nclaimed",
	'a claim by way of front and PgBouncer'
) foreach @invited;
like(
	call_front('anonymous', "SELECT seats.claim_seat('$_')"),
	qr/^PT400: .*\nDETAIL:  seat_already_claimed\nHINT/,
	'its error, and no key of somebody else'
) foreach @invited;
is(
	call_front('customer', "SELECT seats.authenticate('seats_cst_')"),
	"PT401: Invalid or expired session token\nDETAIL:  session_invalid\n" . 'HINT:  Sign in again.',
	'another role'
);
is(call_front('backend', 'SELECT seats.purge_expired_sessions()'), '0', 'and all shards at once');
on_shard(0);
is(
	query(
		q{SELECT string_agg(DISTINCT metadata ->> 'role', ' ') FROM seats.events WHERE type = 'customer_seat.claimed'}
	),
	'anonymous',
	'events have the role of the caller'
);
cmp_ok(
	query(
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}
	),
	'<=', 8,
	'sessions of the shard are few'
);

# A shard that hangs as a whole: PgBouncer gives it up.
my @hanging = ($shards[1]->{_pid}, children($shards[1]->{_pid}));
kill 'STOP', @hanging;
my $start   = time;
my $answer  = call_front('backend', "SELECT seats.list_seats('$own[1]', '$own[1]')");
my $seconds = time - $start;
my $other   = call_front('backend', "SELECT total_seats FROM seats.list_seats('$own[0]', '$own[0]')");
kill 'CONT', @hanging;
like($answer, qr/^0800[16]: /, 'a shard that hangs is given up');
cmp_ok($seconds, '<', 60, "in the time that PgBouncer gives it ($seconds s)");
is($other, '100', 'others answer');
foreach (1 .. $PostgreSQL::Test::Utils::timeout_default)
{
	sleep 1;
	$answer = call_front('backend', "SELECT total_seats FROM seats.list_seats('$own[1]', '$own[1]')");
	last if $answer eq '100';
}
is($answer, '100', 'and it does when it goes on');

done_testing();
