# The server is stopped in its tracks, or one of its processes is killed, again and again while eight
# sessions assign, claim, repeat and revoke.  After each recovery every answer that a session got
# must be true, whatever was under way may have happened or not, and no rule may be broken.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use List::Util qw(shuffle sum);
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;
use Time::HiRes qw(sleep);

my $crashes   = $ENV{FULL} ? 20 : 8;
my $sessions  = 8;
my $rounds    = 1000;    # of each session: more than it gets to
my $shared    = 300;     # tokens that all sessions claim
my $directory = PostgreSQL::Test::Utils::tempdir();
my $seed      = $ENV{SEED} // time;
my $addresses = 0;

srand $seed;
note "SEED=$seed";

my $node = start_node('crash', "restart_after_crash = on\nmax_connections = 30");
create_shop(1_000_000);
query(q{
	CREATE EXTENSION amcheck;
	CREATE TABLE answers (
		crash int, session int, n int, what text, seat uuid, customer uuid, token text);
	-- What was last said of a seat while it was one customer's, and whether more may have happened to it.
	CREATE VIEW last_answers AS
	SELECT DISTINCT ON (seat, customer) *,
		n >= max(n) OVER (PARTITION BY crash, session) - 1 AS unsettled
	FROM answers
	WHERE what <> 'refused'
	ORDER BY seat, customer, crash DESC, n DESC;
});

# Returns a psql command that runs a statement, and says what came of it in one line, with these
# columns of its answer; with the SQLSTATE where it failed.
sub step
{
	my ($what, $sql, $else) = @_;

	return "$sql \\gset\n\\if :ERROR\n\\echo refused $else :LAST_ERROR_SQLSTATE\n\\else\n"
	  . "\\echo $what :seat :customer :token\n\\endif\n";
}

# Returns the commands that claim a token, given as SQL.
sub claim_step
{
	my ($what, $token, $key, $else) = @_;

	return step($what,
		'SELECT (c.seat).id AS seat, (c.seat).customer_id AS customer, c.customer_session_token AS token '
		  . "FROM seats.claim_seat($token, '$key') AS c",
		$else);
}

# Returns the commands that take one seat some of the way from its assignment to its end.
sub one_seat
{
	my $address = 'c' . ++$addresses . '@example.com';
	my $commands = step('assigned',
		'SELECT (a.seat).id AS seat, (a.seat).customer_id AS customer, a.invitation_token AS token, '
		  . 'a.invitation_token AS invitation '
		  . "FROM seats.assign_seat('${\ID}', email => '$address') AS a", '-');

	return $commands if rand() < 0.1;
	$commands .= claim_step('claimed', ":'invitation'", "key$address", '-');
	$commands .= claim_step('claimed', ":'invitation'", "key$address", '-') if rand() < 0.3;
	return $commands if rand() < 0.5;
	return $commands . step('revoked',
		"SELECT id AS seat, '-' AS token FROM seats.revoke_seat(:'seat')", '-');
}

# Returns what a session is to do: seats of its own, and those that all are after.
sub script
{
	my ($session, @tokens) = @_;

	return join '', map {
		my $token = shift @tokens;
		one_seat() . ($token ? claim_step('claimed', "'$token'", "session$session", $token) : '')
	} 1 .. $rounds;
}

# Starts all sessions; those that lose their connection end.
sub start_sessions
{
	my ($crash) = @_;
	my @tokens = split /\n/, query(qq{
		SELECT invitation_token FROM seats.assign_seats('${\ID}', NULL, ARRAY(
			SELECT format('s%s-%s\@example.com', $crash, n) FROM generate_series(1, $shared) AS n))});

	return map {
		my $session = $_;

		unlink "$directory/session.$session";
		append_to_file("$directory/session.$session", script($session, @tokens));
		IPC::Run::start(
			[ 'psql', '-XAtq', '-f', "$directory/session.$session", $node->connstr('postgres') ],
			'>', "$directory/output.$session", '2>', "$directory/errors.$session")
	} 1 .. $sessions;
}

# Stops the server without letting it finish anything, and starts it again.
sub stop_immediately
{
	$node->stop('immediate');
	$node->start;
}

# Kills one of the sessions' processes: the server gives up all others and recovers.
sub kill_backend
{
	my ($pid) = shuffle split /\n/, query(q{
		SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});

	kill 'KILL', $pid;
	wait_until_alone();
}

# Puts what the sessions were told into the table of answers; returns how many claims that were.
sub collect_answers
{
	my ($crash) = @_;
	my $claims = 0;
	my $rows   = '';

	foreach my $session (1 .. $sessions)
	{
		my $n = 0;

		foreach (split /\n/, slurp_file("$directory/output.$session"))
		{
			# A row that came without the end of its answer, which psql shows as it is.
			last if /\|/;
			my ($what, $seat, $customer, $token) = split / /;

			if ($what eq 'refused')
			{
				# A token that another session was faster with; the last one has no answer at all.
				$rows .= "$crash\t$session\t$n\trefused\t\\N\t\\N\t$seat\n" if $customer eq 'PT400';
			}
			else
			{
				$rows .= join("\t", $crash, $session, $n, $what, $seat, $customer, $token) . "\n";
				$claims++ if $what eq 'claimed';
			}
			$n++;
		}
	}
	unlink "$directory/answers";
	append_to_file("$directory/answers", $rows);
	query("\\copy answers FROM '$directory/answers'");
	return $claims;
}

# Returns errors of the sessions other than that a token is taken; a lost connection is none.
sub strange_errors
{
	return grep { /ERROR|PANIC/ && !/ERROR:  Invalid, expired, or already claimed token/ }
	  map { split /\n/, slurp_file("$directory/errors.$_") } 1 .. $sessions;
}

my %rules = (
	'an answer "assigned" is of a seat that is pending, or claimed if that was under way' => q{
		SELECT a.* FROM last_answers AS a
		LEFT JOIN seats.customer_seats AS s ON s.id = a.seat AND s.customer_id = a.customer
		WHERE what = 'assigned'
			AND (s.status = 'pending' OR unsettled AND s.status = 'claimed') IS NOT TRUE},
	'an answer "claimed" is of a seat that is claimed, or revoked if that was under way' => q{
		SELECT a.* FROM last_answers AS a
		LEFT JOIN seats.customer_seats AS s ON s.id = a.seat AND s.customer_id = a.customer
		WHERE what = 'claimed' AND (s.status = 'claimed' OR unsettled AND s.id IS NULL) IS NOT TRUE},
	'an answer "revoked" is of a seat that the customer no longer has' => q{
		SELECT a.* FROM last_answers AS a
		JOIN seats.customer_seats AS s ON s.id = a.seat AND s.customer_id = a.customer
		WHERE what = 'revoked'},
	'the session of the last claim is there' => q{
		SELECT a.* FROM last_answers AS a
		LEFT JOIN seats.customer_sessions AS x ON x.token_hash = digest(token, 'sha256')
		WHERE what = 'claimed' AND NOT unsettled
			AND (x.seat_id = seat AND x.customer_id = customer) IS NOT TRUE},
	'an answer has its event' => q{
		SELECT DISTINCT what, seat, customer FROM answers WHERE what <> 'refused'
		EXCEPT SELECT substr(type, 15), seat_id, customer_id FROM seats.events},
	'a token that was refused is claimed' => q{
		SELECT a.* FROM answers AS a
		LEFT JOIN seats.customer_seats AS s ON invitation_token_hash = digest(token, 'sha256')
		WHERE what = 'refused' AND s.status IS DISTINCT FROM 'claimed'},
	'nobody is told that he claimed what another did' => q{
		SELECT seat, customer FROM answers WHERE what = 'claimed'
		GROUP BY seat, customer HAVING count(DISTINCT (crash, session)) > 1},
	'nothing happens to a seat of a customer twice' => q{
		SELECT type, seat_id, customer_id FROM seats.events
		GROUP BY 1, 2, 3 HAVING count(*) > 1},
	'the count of the subscription is right' => q{
		SELECT u.* FROM seats.subscriptions AS u WHERE assigned_seats <>
			(SELECT count(*) FROM seats.customer_seats WHERE subscription_id = u.id AND status <> 'revoked')},
	'each claimed seat has one session and its events, no other seat has a session' => q{
		SELECT s.id FROM seats.customer_seats AS s
		WHERE (SELECT count(*) FROM seats.customer_sessions WHERE seat_id = s.id
				AND customer_id = s.customer_id) <> (s.status = 'claimed')::int
			OR (SELECT count(*) FROM seats.customer_sessions WHERE seat_id = s.id)
				<> (s.status = 'claimed')::int
			OR s.status <> 'revoked' AND NOT EXISTS (SELECT FROM seats.events
				WHERE type = 'customer_seat.assigned' AND seat_id = s.id AND customer_id = s.customer_id)
			OR s.status = 'claimed' AND NOT EXISTS (SELECT FROM seats.events
				WHERE type = 'customer_seat.claimed' AND seat_id = s.id AND customer_id = s.customer_id)},
	'seats keep their constraints' => q{
		SELECT s.id FROM seats.customer_seats AS s
		LEFT JOIN seats.customers AS c ON c.id = s.customer_id AND c.organization_id = s.organization_id
		WHERE (s.status = 'revoked') <> (revoked_at IS NOT NULL)
			OR (s.status <> 'revoked') <> (c.id IS NOT NULL)
			OR s.status = 'pending' AND (invitation_token_hash IS NULL OR claimed_at IS NOT NULL)
			OR s.status = 'claimed' AND claimed_at IS NULL},
);

# Claims since the last crash have sessions that authenticate.
sub authenticate_all
{
	my ($crash) = @_;

	return query(qq{
		SELECT count(*) FILTER (WHERE (seats.authenticate(token)).seat_id <> seat)
		FROM last_answers WHERE what = 'claimed' AND NOT unsettled AND crash = $crash});
}

my ($claims, $refused) = (0, 0);

foreach my $crash (1 .. $crashes)
{
	my @psql = start_sessions($crash);
	my $way = $crash % 2 ? 'immediate' : 'kill -9';
	my @broken;

	# Sessions have been given answers, a busy machine or not: each is some 130 bytes.
	sleep 0.1 until sum(map { -s "$directory/output.$_" || 0 } 1 .. $sessions) > 60_000;
	sleep rand 0.7;
	$crash % 2 ? stop_immediately() : kill_backend();
	$_->finish foreach @psql;
	$claims += collect_answers($crash);
	@broken = grep { query($rules{$_}) ne '' } sort keys %rules;
	is_deeply(\@broken, [], "crash $crash ($way): all answers are true, no rule is broken");
	is(authenticate_all($crash), 0, "crash $crash: sessions authenticate");
	is(check_storage(), '', "crash $crash: amcheck finds nothing");
	is_deeply([ strange_errors() ], [], "crash $crash: no error but of the crash");
}
$refused = query("SELECT count(*) FROM answers WHERE what = 'refused'");
note "$claims claims were answered, $refused tokens were refused as taken";
cmp_ok($claims, '>', 100 * $crashes, 'sessions were busy');
cmp_ok($refused, '>', $crashes, 'sessions were after the same tokens');

done_testing();
