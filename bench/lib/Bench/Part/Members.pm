# has_seat(), beside an expert's EXISTS on the same tables; and import_seats(), beside plain INSERTs of
# the same rows into tables with the same constraints and indexes.
package Bench::Part::Members;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(write_input);
use Bench::Data      qw(make_subscription);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query);
use Bench::Variants  qw(interleaved);

my $database = 'shop';
my $members  = 1000;
my $made     = 0;

# Counts a call, and records it.
sub measure
{
	my ($call, $role, $make_input, %options) = @_;
	my ($count) = instructions_per_call(
		"calls/$call", $make_input,
		database => $database,
		role     => $role,
		%options);

	record('members', $call, 'all', 'instructions', $count);
}

# Returns the input of so many imports, of members whom nobody knows.
sub imports
{
	my ($subscription, $count) = @_;

	return write_input(
		[qw(subscription emails)],
		map { [ $subscription, '{' . join(',', map { 'member' . ++$made . '@example.com' } 1 .. $members) . '}' ] }
		  1 .. $count);
}

sub run
{
	my ($plan) = @_;

	start_server();
	my ($subscription) = make_subscription($database, 'members', 1);
	my @holders = map { [ split /\|/ ] } split /\n/, query(
		$database, qq{
		SELECT seats.import_seats('$subscription', emails => ARRAY(
			SELECT format('holder%s\@example.com', n) FROM generate_series(1, $members) AS n)) AS imported \\gset
		SELECT p.product_id, s.customer_id
		FROM seats.customer_seats AS s JOIN seats.subscriptions AS p ON p.id = s.subscription_id
		WHERE p.id = '$subscription' AND s.status = 'claimed';
		CREATE TABLE bench.members (LIKE seats.customers INCLUDING ALL);
		CREATE TABLE bench.members_seats (LIKE seats.customer_seats INCLUDING ALL);
		CREATE TABLE bench.members_events (LIKE seats.events INCLUDING ALL);
		ALTER TABLE bench.members ADD FOREIGN KEY (organization_id) REFERENCES seats.organizations;
		ALTER TABLE bench.members_seats
			ADD FOREIGN KEY (organization_id, subscription_id) REFERENCES seats.subscriptions (organization_id, id),
			ADD FOREIGN KEY (organization_id, customer_id) REFERENCES bench.members (organization_id, id);
		GRANT SELECT, INSERT ON bench.members, bench.members_seats, bench.members_events TO bench_writer});
	stop_server();
	my $lookups = sub { write_input([qw(product customer)], map { $holders[ rand @holders ] } 1 .. $_[0]) };

	start_callgrind($database);
	foreach my $call (interleaved($plan->{rounds}, [ 'has_seat', 'bench_backend' ], [ 'has_seat_select', 'bench_writer' ]))
	{
		measure(@$call, $lookups, warm_up => 60, calls => $plan->{claims});
	}
	foreach my $call (interleaved($plan->{rounds}, [ 'import_seats', 'bench_backend' ], [ 'import_inserts', 'bench_writer' ]))
	{
		measure(@$call, sub { imports($subscription, $_[0]) }, warm_up => 1, calls => 1, rows => 1);
	}
	stop_server();
}

1;
