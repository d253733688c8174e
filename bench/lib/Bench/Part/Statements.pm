# Single statements that change many rows: a subscription of 10,000 seats, half of them claimed, is
# paused, resumed, and its customers get other addresses; it is canceled, or deleted. And one
# customer is erased beside many events of others.
package Bench::Part::Statements;

use strict;
use warnings;

use Time::HiRes qw(time);

use Bench::Data    qw(fill_database make_subscription);
use Bench::Results qw(record);
use Bench::Server  qw(start_server stop_server query wait_for_sessions);

my $database = 'statements';
my $seats    = 10_000;

# Returns how much WAL was written so far.
sub wal_bytes
{
	wait_for_sessions();
	return query('postgres', q{SELECT wal_bytes FROM pg_stat_wal});
}

# Executes a statement in a session of its own, and records how long it took, as the server says, and
# how much WAL it wrote.  A checkpoint before it would add images of whole pages, so there is none.
sub measure
{
	my ($what, $statement) = @_;
	my $before = wal_bytes();
	my ($ms) = query(
		$database, qq{
		SELECT clock_timestamp() AS start \\gset
		$statement \\g /dev/null
		SELECT extract(milliseconds FROM clock_timestamp() - :'start') + 60000
			* floor(extract(epoch FROM clock_timestamp() - :'start') / 60)});

	record('statements', $what, 'all', 'ms',        $ms);
	record('statements', $what, 'all', 'WAL bytes', wal_bytes() - $before);
}

# Makes a subscription with its seats, half of them claimed; returns its id.
sub make_seats
{
	my ($name) = @_;
	my ($subscription, @tokens) = make_subscription($database, $name, $seats);

	query($database, join ';', map { "SELECT FROM seats.claim_seat('$_->[0]')" }
			@tokens[ 0 .. $seats / 2 - 1 ]);
	query($database, 'VACUUM (ANALYZE) seats.customer_seats, seats.customers, seats.customer_sessions');
	return $subscription;
}

sub measure_subscription
{
	my ($name) = @_;
	my $subscription = make_seats($name);
	my $set          = sub {"UPDATE seats.subscriptions SET status = '$_[0]' WHERE id = '$subscription'"};

	measure("pause, $seats seats",  $set->('paused'));
	measure("resume, $seats seats", $set->('active'));
	measure("change $seats addresses",
		"UPDATE seats.customers SET email = 'new-' || email WHERE email LIKE '$name%'");
	measure("cancel, $seats seats", $set->('canceled'));
	measure(
		"delete, $seats seats",
		"DELETE FROM seats.subscriptions WHERE id = '" . make_seats("$name-deleted") . "'");
}

# Adds so many events of nobody in particular, and one customer with a claimed seat, and erases it.
sub measure_erasure
{
	my ($events, $round) = @_;
	my ($subscription, $token) = make_subscription($database, "erased$round-", 1);

	query($database, "SELECT FROM seats.claim_seat('$token->[0]')");
	query(
		$database, qq{
		INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
		SELECT e.type, e.seat_id, e.organization_id, gen_random_uuid(), now(), e.metadata, e.seat
		FROM (SELECT * FROM seats.events WHERE seat IS NOT NULL ORDER BY id DESC LIMIT 1) AS e,
			generate_series(1, $events - (SELECT count(*) FROM seats.events))});
	query($database, 'VACUUM (ANALYZE) seats.events');
	measure("erase a customer, $events events",
		"SELECT seats.erase_customer(customer_id) FROM seats.customer_seats WHERE subscription_id = '$subscription'");
}

sub run
{
	my ($plan) = @_;

	start_server();
	fill_database($database, 10_000, 1);
	measure_subscription("round$_-") foreach 1 .. 3;
	foreach my $events (100_000, $plan->{events})
	{
		measure_erasure($events, "$events-$_") foreach 1 .. 3;
	}
	stop_server();
}

1;
