# Sixteen sessions race for each of a thousand tokens.  Each goes through all of them in the
# same order, and the winner's transaction stays open for a moment, so that the others queue
# behind it and start on the next token together.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $sessions = 16;
my $seats = 1000;
my $directory = PostgreSQL::Test::Utils::tempdir();

my $node = start_node('storm', 'max_connections = 30');
create_shop($seats);
my @tokens = split /\n/, query(qq{
	SELECT invitation_token
	FROM generate_series(1, $seats) AS n,
		seats.assign_seat('${\ID}', email => n || '\@example.com')
});
is(table_counts(),
	'customer_seats=1000 customer_sessions=0 customers=1001 events=1000 join_links=0 jwt_keys=1 orders=0 '
	  . 'organizations=1 products=1 subscriptions=1',
	'a thousand seats are assigned');

# Statements that are sent together are one transaction.  The advisory lock is the gate at
# which all sessions wait for the start.
append_to_file(
	"$directory/storm.sql",
	join "\n",
	'SELECT pg_advisory_lock_shared(1);',
	map { "SELECT (seat).status FROM seats.claim_seat('$_')\\; SELECT pg_sleep(0.002);" }
	  @tokens);
my $gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1)');
my @psql = (
	'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-f', "$directory/storm.sql",
	$node->connstr('postgres'));
my @claims = map {
	IPC::Run::start(\@psql, '>', "$directory/output.$_", '2>', "$directory/errors.$_")
} 1 .. $sessions;
$node->poll_query_until('postgres',
	"SELECT count(*) = $sessions FROM pg_stat_activity WHERE wait_event = 'advisory'");
$gate->quit;

# Watch how long the queue for a seat gets.
my $longest = 0;
while (1)
{
	my ($connected, $waiting) = split /\|/, query(q{
		SELECT count(*), count(*) FILTER (WHERE wait_event IN ('transactionid', 'tuple'))
		FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
	});
	last if $connected == 0;
	$longest = $waiting if $waiting > $longest;
}
$_->finish foreach @claims;
note "up to $longest sessions waited for a seat at once";
cmp_ok($longest, '>', 1, 'sessions queued for one seat');

# Counts the lines that all sessions wrote to files of a name, those that match.
sub count_lines
{
	my ($name, $pattern) = @_;
	my %count;

	foreach my $text (map { slurp_file("$directory/$name.$_") } 1 .. $sessions)
	{
		$count{$_}++ foreach $text =~ /$pattern/g;
	}
	return \%count;
}

is_deeply(count_lines('output', qr/^.+$/m),
	{ claimed => $seats }, 'each token was claimed once');
my $losers = $seats * ($sessions - 1);
is_deeply(
	count_lines('errors', qr/(?:ERROR|DETAIL): .*$/m),
	{
		'ERROR:  PT400: Invalid, expired, or already claimed token' => $losers,
		'DETAIL:  seat_already_claimed' => $losers,
	},
	'every other claim was told that the seat is claimed, and there was no other error');

is(table_counts(),
	'customer_seats=1000 customer_sessions=1000 customers=1001 events=2000 join_links=0 jwt_keys=1 orders=0 '
	  . 'organizations=1 products=1 subscriptions=1',
	'a thousand sessions and a thousand events were added, and nothing else');
is( query(q{
		SELECT type, count(*), count(DISTINCT seat_id) FROM seats.events GROUP BY 1 ORDER BY 1
	}),
	"customer_seat.assigned|1000|1000\ncustomer_seat.claimed|1000|1000",
	'each seat has one event that it was assigned and one that it was claimed');
is( query(q{
		SELECT count(*), count(DISTINCT s.id), count(DISTINCT s.customer_id)
		FROM seats.customer_seats AS s
		JOIN seats.customer_sessions AS x ON x.seat_id = s.id AND x.customer_id = s.customer_id
		WHERE s.status = 'claimed' AND x.created_at = s.claimed_at
	}),
	'1000|1000|1000',
	'each seat is claimed and has one session, of its own customer');
is(query('SELECT seats, assigned_seats, modified_at IS NULL FROM seats.subscriptions'),
	'1000|1000|t', 'the count of assigned seats is as before');
is(query('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()'),
	'0', 'there was no deadlock');

done_testing();
