# has_seat(), beside an expert's EXISTS on the same tables; import_seats(), beside plain INSERTs of the
# same rows into tables with the same constraints and indexes; and join_seat() by an address that holds
# a seat, beside others, who must not be told apart by the time.
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

# Counts a call, and records it by its name, or by another one.
sub measure
{
	my ($call, $role, $make_input, %options) = @_;
	my $name = delete $options{name} // $call;
	my ($count) = instructions_per_call(
		"calls/$call", $make_input,
		database => $database,
		role     => $role,
		%options);

	record('members', $name, 'all', 'instructions', $count);
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

# Returns functions that make the input of so many joins, by the kind of address.
sub joins
{
	my ($token) = @_;
	my $known = 0;
	my %addresses = (
		'join_seat, new'   => sub { 'joins' . ++$made . '@example.com' },
		'join_seat, holds' => sub { 'holder' . (1 + int rand $members) . '@example.com' },
		'join_seat, known' => sub { 'known' . ++$known . '@example.com' });

	return map {
		my $address = $addresses{$_};
		$_ => sub { write_input([qw(token email)], map { [ $token, $address->() ] } 1 .. $_[0]) }
	} sort keys %addresses;
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
	my ($token) = query($database, qq{
		INSERT INTO seats.customers (organization_id, email)
		SELECT organization_id, 'known' || n || '\@example.com' FROM seats.subscriptions, generate_series(1, 2000) AS n
		WHERE id = '$subscription';
		SELECT join_token FROM seats.create_join_link('$subscription')});
	stop_server();
	my %joins = joins($token);
	my $lookups = sub { write_input([qw(product customer)], map { $holders[ rand @holders ] } 1 .. $_[0]) };

	start_callgrind($database);
	foreach my $call (interleaved($plan->{rounds}, [ 'has_seat', 'bench_backend' ], [ 'has_seat_select', 'bench_writer' ]))
	{
		measure(@$call, $lookups, warm_up => 60, calls => $plan->{claims});
	}
	foreach my $name (interleaved($plan->{rounds}, sort keys %joins))
	{
		measure('join_seat', 'bench_backend', $joins{$name}, name => $name, warm_up => 60, calls => 100);
	}
	foreach my $call (interleaved($plan->{rounds}, [ 'import_seats', 'bench_backend' ], [ 'import_inserts', 'bench_writer' ]))
	{
		measure(@$call, sub { imports($subscription, $_[0]) }, warm_up => 1, calls => 1, rows => 1);
	}
	stop_server();
}

1;
