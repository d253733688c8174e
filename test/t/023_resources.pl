# What a call runs out of, it says, and has done nothing: locks, memory, room on the disk for tables
# and for WAL.  The same where the library is of another version than the extension's objects, or
# pgcrypto is wanted gone.  A clock that is set back breaks no rule.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use MIME::Base64 qw(decode_base64url);
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $id        = ID;
my $directory = PostgreSQL::Test::Utils::tempdir();

my $node = start_node('resources', q{
	autovacuum = off
	max_connections = 30
	max_locks_per_transaction = 10
	max_worker_processes = 0
	restart_after_crash = off
});
create_shop(100_000);

# Assigns seats to so many new customers; returns the invitation tokens.
my $assigned = 0;
sub assign_many
{
	my ($count) = @_;
	my $first = $assigned + 1;

	$assigned += $count;
	return split /\n/, query(qq{SELECT invitation_token FROM seats.assign_seats('$id', NULL,
		ARRAY(SELECT format('c%s\@example.com', n) FROM generate_series($first, $assigned) AS n))});
}

# Returns the id of a seat that a token was issued for.
sub seat_of
{
	my ($token) = @_;

	return query("SELECT id FROM seats.customer_seats
		WHERE invitation_token_hash = digest('$token', 'sha256')");
}

# Starts a session that goes on after errors.
sub start_session
{
	return $node->background_psql('postgres', on_error_stop => 0,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
}

# Makes a call in a session; returns what it gave, or its error.
sub outcome_in
{
	my ($psql, $call) = @_;

	$psql->{stderr} = '';
	return scalar $psql->query(
		"$call;\n\\if :ERROR\n\\echo :SQLSTATE :LAST_ERROR_MESSAGE\n\\endif");
}

# Returns what changes with any row of any table.  Where locks are used up, nobody can connect any more,
# and no statement can be about all tables.
my $watcher  = start_session();
my $all_rows = query(q{
	SELECT string_agg(format('SELECT md5(string_agg(t::text, '','' ORDER BY t::text)) FROM seats.%I AS t',
		tablename), E';\n')
	FROM pg_tables WHERE schemaname = 'seats'});
sub rows_now
{
	return $watcher->query_safe($all_rows);
}

# Makes a call again and again, with a little more of something each time, until it has enough; tells
# how often it had not, and its outcome.  Each time that it fails it must have done nothing.
sub with_more_and_more
{
	my ($name, $give_more, $error, $call) = @_;
	my $rows = rows_now();
	my ($failures, $outcome) = (0);

	while (1)
	{
		$outcome = $call->();
		last if $outcome ne $error || rows_now() ne $rows || $failures == 1000;
		$failures++;
		$give_more->($failures);
	}
	note "$name: $failures failures";
	return ($failures, $outcome);
}

# The library ------------------------------------------------------------------------------------------

my ($pending, $claimed) = assign_many(2);
my $session_token = claim($claimed);
my $pending_seat  = seat_of($pending);
my ($link, $link_id) = split /\|/, query("SELECT join_token, (link).id FROM seats.create_join_link('$id')");
my %calls         = (
	claim_seat        => "SELECT seats.claim_seat('$pending')",
	claim_info        => "SELECT seats.claim_info('$pending')",
	assign_seat       => "SELECT seats.assign_seat('$id', email => 'new\@example.com')",
	assign_seats      => "SELECT seats.assign_seats('$id', NULL, '{new\@example.com}')",
	resend_invitation => "SELECT seats.resend_invitation('$pending_seat')",
	revoke_seat       => "SELECT seats.revoke_seat('$pending_seat')",
	revoke_seats      => "SELECT seats.revoke_seats('$id')",
	set_seats         => "SELECT seats.set_seats('$id', seats => 1, surplus => 'revoke')",
	import_seats      => "SELECT seats.import_seats('$id', emails => '{new\@example.com}')",
	has_seat          => "SELECT seats.has_seat('$id', '$id')",
	create_join_link  => "SELECT seats.create_join_link('$id')",
	join_info         => "SELECT seats.join_info('$link')",
	join_seat         => "SELECT seats.join_seat('$link', 'new\@example.com')",
	list_join_links   => "SELECT seats.list_join_links('$id')",
	revoke_join_link  => "SELECT seats.revoke_join_link('$link_id')",
	list_seats        => "SELECT seats.list_seats('$id')",
	get_seat          => "SELECT seats.get_seat('$pending_seat')",
	authenticate      => "SELECT seats.authenticate('$session_token')",
	open_session      => "SELECT seats.open_session('${\ seat_of($claimed)}')",
	erase_customer    => "SELECT seats.erase_customer('$id')",
	end_session       => "SELECT seats.end_session('$session_token')",
	rotate_jwt_key    => 'SELECT seats.rotate_jwt_key()',
	release_expired_seats  => 'SELECT seats.release_expired_seats()',
	purge_expired_sessions => 'SELECT seats.purge_expired_sessions()',
	purge_events           => "SELECT seats.purge_events('1 day')",
	'seats_http.claim_seat' =>
	  "SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', '$pending'))",
	'seats_http.revoke_seat' => "SELECT seats_http.revoke_seat('$pending_seat')",
	'the end of a subscription' => "UPDATE seats.subscriptions SET status = 'canceled'",
	'a subscription that is paused' => "UPDATE seats.subscriptions SET status = 'paused'",
	'a change of an address'    => "UPDATE seats.customers SET email = upper(email) WHERE email IS NOT NULL",
	'a DELETE of seats'         => 'DELETE FROM seats.customer_seats',
);

my $before  = start_session();
my $rows    = table_rows();
my $unknown = '55000 the extension seats is of version 0.9, the loaded library of 1.1';
is(outcome_in($before, $calls{authenticate} =~ s/SELECT (.*)/SELECT ($1).customer_email/r),
	'c2@example.com', 'a session works with the version that it knows');
query("UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'seats'");
is(outcome($calls{$_}), $unknown, "another version of the objects: $_") foreach sort keys %calls;
like(($node->psql('postgres', $calls{claim_seat}))[2],
	qr/^HINT:  Run ALTER EXTENSION seats UPDATE/m, 'there is a hint');
is(table_rows(), $rows, 'nothing was done');
is(outcome("SELECT seats.token_route('$pending') = seats.organization_route('$id')"),
	't', 'what needs no table works');
query('ALTER FUNCTION seats.authenticate(text) COST 2');
is(outcome_in($before, $calls{authenticate}), $unknown, 'a session looks again when a function changes');
query("UPDATE pg_extension SET extversion = '1.1' WHERE extname = 'seats'");
is(outcome_in($before, $calls{claim_info} =~ s/SELECT (.*)/SELECT ($1).can_claim/r),
	't', 'and goes on when the version is right');

# The row that tells the version moves to a page that is there only until the table is rewritten; VACUUM too gives back pages at the end.
my $page = q{SELECT split_part(btrim(ctid::text, '()'), ',', 1) FROM pg_extension WHERE extname = 'seats'};
my $touch = q{UPDATE pg_extension SET extversion = '1.1' WHERE extname = 'seats'};
query("DO \$\$ BEGIN FOR i IN 1 .. 1000 LOOP $touch; END LOOP; END \$\$");
cmp_ok(query($page), '>', 0, 'the version is in a later page');
is(outcome_in($before, $calls{claim_info} =~ s/SELECT (.*)/SELECT ($1).can_claim/r), 't', 'a session reads it there');
query('VACUUM FULL pg_extension');
is(query("$page; SELECT pg_relation_size('pg_extension') / current_setting('block_size')::int"),
	"0\n1", 'that page is gone');
is(outcome_in($before, $calls{claim_info} =~ s/SELECT (.*)/SELECT ($1).can_claim/r), 't', 'the session finds it again');

like(
	outcome(q{CREATE FUNCTION f() RETURNS void LANGUAGE c AS '$libdir/seats', 'seats_of_tomorrow'}),
	qr/^42883 could not find function "seats_of_tomorrow" in file/,
	'objects of a version with more functions cannot be made with this library');

# pgcrypto ---------------------------------------------------------------------------------------------

is(outcome('DROP EXTENSION pgcrypto'),
	'2BP01 cannot drop extension pgcrypto because other objects depend on it',
	'pgcrypto cannot be dropped alone');
query('CREATE SCHEMA crypto; ALTER EXTENSION pgcrypto SET SCHEMA crypto');
is(outcome_in($before, "SELECT (seat).status FROM seats.claim_seat('$pending')"),
	'claimed', 'pgcrypto may move while a session is at work');
is(outcome_in($before, 'SELECT seats.rotate_jwt_key() IS NOT NULL'), 't', 'keys are drawn there');
query('ALTER EXTENSION pgcrypto SET SCHEMA public; DROP SCHEMA crypto');
query('ALTER EXTENSION pgcrypto DROP FUNCTION public.digest(bytea, text)');
is(outcome_in($before, "SELECT seats.organization_route('$id')"),
	'42883 function digest of extension "pgcrypto" does not exist',
	"a function that is not pgcrypto's is not called");
query('ALTER EXTENSION pgcrypto ADD FUNCTION public.digest(bytea, text)');
$before->quit;

# Locks ------------------------------------------------------------------------------------------------

# One session takes all locks that there is room for, and then gives one back after the other.  The
# caller has used up those that need no room there.
query(join ';', map { "CREATE TABLE filler_$_ ()" } 1 .. 16);
my $fill    = 'LOCK TABLE ' . join(', ', map { "filler_$_" } 1 .. 16) . ' IN ACCESS SHARE MODE';
my $hoarder = start_session();
my $caller  = start_session();
my $taken   = 0;
my @tokens  = assign_many(4);

# Takes all locks; returns the outcome.
sub take_locks
{
	my $outcome = outcome_in($hoarder,
		"SELECT count(pg_advisory_lock(n)) FROM generate_series($taken + 1, 1000000) AS n");

	$taken = $watcher->query_safe(
		"SELECT max(objid::bigint) FROM pg_locks WHERE locktype = 'advisory'");
	return $outcome;
}

# Makes a call with the locks that there are; returns its outcome, and what its hint says.
sub outcome_with_locks
{
	my ($call) = @_;
	my ($outcome, $hint);

	$caller->query("BEGIN; $fill;");
	$outcome = outcome_in($caller, $call);
	($hint) = $caller->{stderr} =~ /^HINT:  You might need to (increase) "?max_locks_per_transaction/m;
	$caller->query('COMMIT');
	return join ' ', $outcome, $hint // ();
}

my %greedy = (
	'claim_seat' => [ "SELECT (seat).status FROM seats.claim_seat('$tokens[0]')", 'claimed' ],
	'seats_http.claim_seat' => [
		"SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', '$tokens[1]'))"
		  . " #>> '{seat,status}'",
		'claimed' ],
	'assign_seats' => [
		"SELECT (seat).status FROM seats.assign_seats('$id', NULL, '{lock\@example.com}')", 'pending' ],
	'revoke_seat' =>
	  [ "SELECT status FROM seats.revoke_seat('${\ seat_of($tokens[2])}')", 'revoked' ],
);
my $too_many = '53200 out of shared memory';

# What sessions look up and plan at first needs room as well.
my $authenticate = "SELECT customer_email FROM seats.authenticate('$session_token')";
rows_now();
$caller->query("BEGIN; $fill; COMMIT");
outcome_in($caller, $authenticate);
is(take_locks(), $too_many, 'a session takes all locks');
is(outcome_in($caller, $authenticate), 'c2@example.com', 'what reads little needs none');
foreach my $name (sort keys %greedy)
{
	my ($failures, $outcome);

	take_locks();
	($failures, $outcome) = with_more_and_more(
		"$name without locks",
		sub { $hoarder->query('SELECT pg_advisory_unlock(' . $taken-- . ')') },
		"$too_many increase",
		sub { outcome_with_locks($greedy{$name}[0]) });
	is($outcome, $greedy{$name}[1], "$name does nothing until it has all locks that it needs");
	cmp_ok($failures, '>', 3, "$name had not");
}
$_->quit foreach $hoarder, $caller;

# Memory -----------------------------------------------------------------------------------------------

# Starts a session that has libraries and a stack of some size, since one that cannot grow ends a
# process; its memory is that of a process, in bytes.
sub start_limited_session
{
	my $psql = start_session();

	$psql->query_safe(q{
		LOAD 'seats';
		LOAD '$libdir/pgcrypto';
		SELECT length((repeat('[', 3000) || repeat(']', 3000))::json::text)});
	$psql->{pid} = $psql->query_safe('SELECT pg_backend_pid()');
	($psql->{memory}) =
	  map { 1024 * $_ } slurp_file("/proc/$psql->{pid}/status") =~ /^VmSize:\s+(\d+) kB/m;
	return $psql;
}

# Lets the session have so many bytes more than it had.
sub limit_memory
{
	my ($psql, $bytes) = @_;

	system_or_bail('prlimit', '--pid', $psql->{pid}, '--as=' . ($psql->{memory} + $bytes) . ':');
}

SKIP:
{
	skip 'no prlimit here', 4 if system('prlimit --version >/dev/null 2>&1') != 0;
	# ci/test-checked says where a checker reports.
	skip 'a checker has memory of its own', 4 if $ENV{REPORTS};
	my ($failures, $outcome);
	my $psql = start_limited_session();

	# One session that asks for much.
	limit_memory($psql, 0);
	($failures, $outcome) = with_more_and_more(
		'assign_seats without memory',
		sub { limit_memory($psql, 300_000 * $_[0]) },
		'53200 out of memory',
		sub {
			outcome_in($psql, "SELECT count(*) FROM seats.assign_seats('$id', NULL, ARRAY("
				  . "SELECT format('m%s\@example.com', n) FROM generate_series(1, 2000) AS n))");
		});
	is($outcome, 2000, 'assign_seats does nothing until it has the memory that it needs');
	cmp_ok($failures, '>', 3, 'it had not');
	$psql->quit;

	# A new session for each claim, which gets more than the one before.
	my $bytes = 0;
	($failures, $outcome) = with_more_and_more(
		'claim_seat without memory',
		sub { $bytes = 50_000 * $_[0] },
		'53200 out of memory',
		sub {
			my $result;

			$psql = start_limited_session();
			limit_memory($psql, $bytes);
			$result = outcome_in($psql, "SELECT (seat).status FROM seats.claim_seat('$tokens[3]')");
			$psql->quit;
			return $result;
		});
	is($outcome, 'claimed', 'claim_seat does nothing until it has the memory that it needs');
	cmp_ok($failures, '>', 3, 'it had not');
}

# The disk ---------------------------------------------------------------------------------------------

# What is broken where claims are not whole: each claimed seat has one session and one event that it
# was claimed, no other seat has a session, and seats are counted right.
my $broken = q{
	WITH sessions AS (SELECT seat_id, count(*) AS n FROM seats.customer_sessions GROUP BY 1),
	events AS (SELECT seat_id, customer_id, count(*) AS n FROM seats.events
		WHERE type = 'customer_seat.claimed' GROUP BY 1, 2)
	SELECT s.id FROM seats.customer_seats AS s
	LEFT JOIN sessions AS x ON x.seat_id = s.id
	LEFT JOIN events AS e ON e.seat_id = s.id AND e.customer_id = s.customer_id
	WHERE COALESCE(x.n, 0) <> (s.status = 'claimed')::int OR COALESCE(e.n, 0) <> (s.status = 'claimed')::int
	UNION ALL SELECT u.id FROM seats.subscriptions AS u WHERE assigned_seats <>
		(SELECT count(*) FROM seats.customer_seats WHERE subscription_id = u.id AND status <> 'revoked')};

# strace makes writes fail in one session, from one of them on.  Returns undef where it may not, else
# what ends that.
sub fail_writes
{
	my ($pid, $from, @files) = @_;
	my $said = '';
	my $strace = IPC::Run::start(
		[
			'strace', '-o', '/dev/null', '-p', $pid, map({ ('-P', $_) } @files),
			'-e', "inject=pwrite64,pwritev,pwritev2,fallocate:error=ENOSPC:when=$from+"
		],
		'>', '/dev/null', '2>', \$said);

	pump_until($strace, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default), \$said, qr/attached|not permitted|rror/);
	return $strace if $said =~ /attached/;
	note $said;
	$strace->finish;
	return undef;
}

# Lets writes succeed again.
sub stop_failing
{
	my ($strace) = @_;

	$strace->signal('INT');
	$strace->finish;
}

# Starts a session, known by a number, that waits at the gate and then claims the seats of tokens one
# after the other; returns it, and its process in the server.
sub start_claiming
{
	my ($session, @claims) = @_;
	my $file = "$directory/claims.$session";
	my $psql;

	unlink $file, "$directory/answers.$session";
	append_to_file($file, join '', "SELECT pg_backend_pid();\nSELECT pg_advisory_lock_shared(1);\n",
		map { "SELECT (seat).status, '$_' FROM seats.claim_seat('$_');\n" } @claims);
	$psql = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-f', $file, $node->connstr('postgres') ],
		'>', "$directory/answers.$session", '2>', "$directory/errors.$session");
	$node->poll_query_until('postgres',
		"SELECT count(*) = $session FROM pg_stat_activity WHERE wait_event = 'advisory'");
	return ($psql, slurp_file("$directory/answers.$session") =~ /^(\d+)$/m);
}

# Returns the tokens whose claims were answered, and the errors, in so many sessions.
sub answers
{
	my ($sessions) = @_;
	my $answers = join '', map { slurp_file("$directory/answers.$_") } 1 .. $sessions;
	my $errors  = join '', map { slurp_file("$directory/errors.$_") } 1 .. $sessions;

	return ([ $answers =~ /^claimed\|(\S+)$/mg ], [ $errors =~ /(?:ERROR|FATAL|PANIC):  (.*)/g ]);
}

# Returns how many of the seats of tokens are claimed.
sub claimed_count
{
	my (@of) = @_;

	return query(qq{
		SELECT count(*) FROM unnest('{${\ join ',', @of}}'::text[]) AS t
		JOIN seats.customer_seats ON invitation_token_hash = digest(t, 'sha256')
		WHERE status = 'claimed'});
}

SKIP:
{
	skip 'strace is not installed', 1 if system('strace -V >/dev/null 2>&1') != 0;

	my $sessions = 4;
	my $gate     = start_session();
	my $psql     = start_session();
	my $pid      = $psql->query_safe('SELECT pg_backend_pid()');
	my $data     = $node->data_dir;
	my @tables   = map { "$data/$_" } split /\n/, query(q{
		SELECT pg_relation_filepath(oid) FROM pg_class
		WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'i')});
	my $from = 1;
	my ($failures, $outcome, $strace, $answers, $errors, @claiming);

	$strace = fail_writes($pid, $from, @tables);
	skip 'strace may not trace processes here', 1 unless $strace;

	# The tables have no room to grow, from one place on after the other.
	($failures, $outcome) = with_more_and_more(
		'assign_seats without room',
		sub {
			stop_failing($strace);
			$from *= 2;
			$strace = fail_writes($pid, $from, @tables);
		},
		'53100 could not extend a file: No space left on device',
		sub {
			outcome_in($psql, "SELECT count(*) FROM seats.assign_seats('$id', NULL, ARRAY("
				  . "SELECT format('d%s\@example.com', n) FROM generate_series(1, 3000) AS n))")
			  =~ s/extend file "[^"]*"/extend a file/r;
		});
	stop_failing($strace);
	is($outcome, 3000, 'assign_seats does nothing until it has the room that it needs');
	cmp_ok($failures, '>', 3, 'it had not');

	@tokens = assign_many(1000);
	$gate->query('SELECT pg_advisory_lock(1)');
	($psql, $pid) = start_claiming(1, @tokens);
	$strace = fail_writes($pid, 1, @tables);
	$gate->query('SELECT pg_advisory_unlock(1)');
	$psql->finish;
	$strace->finish;
	($answers, $errors) = answers(1);
	note scalar(@$answers) . ' claims found room, ' . scalar(@$errors) . ' did not';
	cmp_ok(@$errors, '>', 0, 'claims too need room');
	is_deeply([ grep { !/^53100: could not extend file "[^"]*": No space left on device$/ } @$errors ],
		[], 'and say that there is none');
	is(claimed_count(@tokens), @$answers, 'those that found it are all');
	is(query($broken), '', 'and all claims are whole');

	# One session cannot write WAL, from one time on or another, and the server stops.
	foreach my $from (1, 10, 50)
	{
		my $offset = -s $node->logfile;
		my $known;

		# The last one is for afterwards: the sessions may have claimed all of theirs by then.
		@tokens = assign_many(500 * $sessions + 1);
		# All that follows goes into one file, in which there is something already.
		query("SELECT pg_switch_wal(); SELECT pg_logical_emit_message(true, 'begun', '')");
		$gate->query('SELECT pg_advisory_lock(1)');
		@claiming = map { [ start_claiming($_, @tokens[ 500 * $_ - 500 .. 500 * $_ - 1 ]) ] }
		  1 .. $sessions;
		$strace = fail_writes($claiming[0][1], $from,
			"$data/pg_wal/" . query('SELECT pg_walfile_name(pg_current_wal_insert_lsn())'));
		$gate->query('SELECT pg_advisory_unlock(1)');
		$_->[0]->finish foreach @claiming;
		$strace->finish;
		$node->stop('immediate', fail_ok => 1);
		like(slurp_file($node->logfile, $offset),
			qr/PANIC:  could not write to log file [^:]*: No space left on device/,
			"no room for WAL from write $from on: the server stops");
		$node->start;
		$gate = start_session();
		($answers, $errors) = answers($sessions);
		$known = claimed_count(@tokens);
		note scalar(@$answers) . " claims were answered, $known are known afterwards";
		is(claimed_count(@$answers), @$answers, 'claims that were answered are there');
		cmp_ok($known - @$answers, '<=', $sessions, 'and no more than were under way');
		is(query($broken), '', 'all are whole');
		is(outcome("SELECT (seat).status FROM seats.claim_seat('$tokens[-1]')"),
			'claimed', 'people go on');
	}
	$gate->quit;
}

# The clock --------------------------------------------------------------------------------------------

# libfaketime tells the server the time by this file.
my $clock = "$directory/clock";

# Sets the server's clock to so many seconds before or after the right time.
sub set_clock
{
	my ($seconds) = @_;

	append_to_file("$clock.new", sprintf '%+d', $seconds);
	rename "$clock.new", $clock or die "cannot rename $clock.new: $!";
}

# Returns the time by the server's clock, in seconds after the right time.
sub clock_error
{
	return query('SELECT round(extract(epoch FROM clock_timestamp()))') - time;
}

SKIP:
{
	my ($library) = `faketime -f +0 env 2>/dev/null` =~ /^LD_PRELOAD=(.*)$/m;
	skip 'libfaketime is not installed', 1 unless $library;

	my ($hour, $day) = (3600, 86400);
	my ($early, $late, $jwt, $kid, $last_event);

	@tokens = assign_many(6);
	set_clock(0);
	$node->stop;
	{
		local %ENV = (
			%ENV,
			LD_PRELOAD                   => $library,
			FAKETIME_TIMESTAMP_FILE      => $clock,
			FAKETIME_NO_CACHE            => 1,
			FAKETIME_DONT_FAKE_MONOTONIC => 1,
			DONT_FAKE_MONOTONIC          => 1);
		$node->start;
	}

	# Returns the customer that a session is for, or why it is for none.
	my $customer = sub { outcome("SELECT (seats.authenticate('$_[0]')).customer_email IS NOT NULL") };

	$early = claim($tokens[0]);
	query("SELECT seats.claim_seat('$tokens[1]', 'key'), seats.rotate_jwt_key()");
	$last_event = query('SELECT max(id) FROM seats.events');

	# Back.
	set_clock(-2 * $hour);
	cmp_ok(clock_error(), '<', -1.9 * $hour, 'the clock is set back');
	$late = claim($tokens[2]);
	is($customer->($late), 't', 'a seat can be claimed before it was assigned');
	is(outcome("SELECT (seat).status FROM seats.claim_seat('$tokens[1]', 'key')"),
		'claimed', 'a claim of later can be answered again');
	is($customer->($early), 't', 'a session of later is good');
	is( outcome(qq{
		SELECT (seats.claim_seat(invitation_token)).seat.status
		FROM seats.resend_invitation('${\ seat_of($tokens[3])}')}),
		'claimed', 'an invitation can be sent again and claimed');
	is( outcome(qq{
		SELECT status FROM seats.revoke_seat('${\ seat_of($tokens[4])}');
		SELECT (seat).status FROM seats.assign_seat('$id', email => 'back\@example.com')}),
		"revoked\npending", 'a seat can be revoked and given again');
	is( query("SELECT count(*), bool_and(occurred_at < (SELECT max(occurred_at) FROM seats.events))
		FROM seats.events WHERE id > $last_event"),
		'5|t', 'events are in their order by number, and not by time');
	is(outcome('SELECT seats.release_expired_seats(), seats.purge_expired_sessions()'),
		'0|0', 'house-keeping has nothing to do');

	$kid = query('SELECT seats.rotate_jwt_key()');
	$jwt = query("SET seats.session_token_format = 'jwt';
		SELECT customer_session_token FROM seats.claim_seat('$tokens[5]')");
	like(decode_base64url($jwt =~ s/\..*//r), qr/"kid": ?"$kid"/, 'the newest key signs');
	is($customer->($jwt), 't', 'and is known');
	is(query($broken), '', 'all claims are whole');

	# Right again.  What was opened while the clock was wrong ends as the clock said.
	set_clock(0);
	is($customer->($_), 'PT401 session_expired', 'a session of a clock that was late is over')
	  foreach $late, $jwt;
	is($customer->($early), 't', 'that of a clock that was right is not');

	# Ahead, and back to what is right.
	set_clock(10 * $day);
	$late = claim(assign('ahead@example.com'));
	query('SELECT seats.rotate_jwt_key()');
	set_clock(0);
	is($customer->($late), 't', 'a session of a clock that was early is good');
	$kid = query('SELECT seats.rotate_jwt_key()');
	is(query('SELECT kid FROM seats.jwt_keys ORDER BY created_at DESC LIMIT 1'),
		$kid, 'the newest key is the newest');

	# Nothing lives for ever.
	set_clock(11 * $day);
	is($customer->($late), 'PT401 session_expired', 'it ends when the clock comes there');
	query('SELECT seats.rotate_jwt_key()');
	set_clock(12 * $day);
	query('SELECT seats.rotate_jwt_key(), seats.purge_expired_sessions()');
	is(query('SELECT count(*) FROM seats.customer_sessions'), 0, 'all sessions are purged');
	is(query('SELECT count(*) FROM seats.jwt_keys'), 2, 'old keys are gone');
	is(outcome('SELECT seats.release_expired_seats() > 0'), 't', 'expired seats are released');
	while (query("SELECT seats.purge_events('0')") > 0) { }
	is(query('SELECT count(*) FROM seats.events'), 0, 'all events are purged');
}

done_testing();
