# Whether costs stay flat: the same calls where tables are small and where they are large, and
# where one subscription has few seats and where it has many. Instructions and buffers, all of
# it in memory.
package Bench::Part::Size;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(write_input);
use Bench::Counters  qw(counts_per_call);
use Bench::Data      qw(fill_database claims_input sessions_input make_subscription id);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query);
use Bench::Variants  qw(interleaved);

# So many seats of one subscription.
my ($few, $many, $listed) = (10, 100_000, 10_000);

# How many expired sessions a call deletes at most.
my $purged = 10_000;

# How often each call is measured by either means.
my $rounds = 2;

my ($people, %inputs);

# Makes so many subscriptions that have few seats assigned; returns their ids.
sub small_subscriptions
{
	my ($database, $count) = @_;

	return split /\n/, query(
		$database, qq{
		CREATE TABLE IF NOT EXISTS bench.small (id uuid);
		TRUNCATE bench.small;
		WITH made AS (
			INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, status)
			SELECT bench.id('organization', 0), bench.id('product', 0), bench.id('customer', 0), 1000,
				'active'
			FROM generate_series(1, $count)
			RETURNING id)
		INSERT INTO bench.small SELECT id FROM made;
		SELECT count(a) FROM bench.small AS b, seats.assign_seats(b.id, NULL,
			ARRAY(SELECT format('small%s\@example.com', n) FROM generate_series(1, $few) AS n)) AS a
			\\g /dev/null
		SELECT id FROM bench.small});
}

# Returns a function that makes the input of so many assigns to somebody new, by one after the
# other of some subscriptions.
sub assigns_to
{
	my (@ids) = @_;

	return sub {
		write_input(
			[qw(subscription email)],
			map {
				push @ids, shift @ids;
				[ $ids[-1], 'person' . ++$people . '@example.com' ]
			} 1 .. $_[0]);
	};
}

# Returns a function that makes the input of so many lists of subscriptions.
sub lists_of
{
	my (@ids) = @_;

	return sub {
		write_input(['subscription'], map { [ $ids[ rand @ids ] ] } 1 .. $_[0]);
	};
}

# Makes sessions that expired, as many as all calls delete, which are made natively and under
# callgrind.
sub make_expired
{
	my ($database) = @_;
	my $count = 2 * $rounds * $purged;

	query(
		$database, qq{
		INSERT INTO seats.customer_sessions
			(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
		SELECT sha256(uuid_send(gen_random_uuid())), gen_random_uuid(), bench.id('customer', 0),
			bench.id('organization', 0), now() - interval '2 hours', now() - interval '1 hour'
		FROM generate_series(1, $count)});
}

# Reads all of the extension's tables and indexes into the server's buffers.
sub warm
{
	my ($database) = @_;

	query(
		$database, q{
		SELECT sum(pg_prewarm(oid)) FROM pg_class
		WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'i')});
}

# Returns what is measured in a database that has so many seats: what, under which condition,
# by how many calls, and what one call's cost is divided by.
sub cases
{
	my ($database, $seats, $largest) = @_;
	my %default = (
		database  => $database,
		condition => "$seats rows",
		role      => 'bench_backend',
		warm_up   => 60,
		calls     => 200,
		rows      => 1);
	my $tables = $inputs{$database};
	my @cases  = (
		{   call  => 'variants/seats',
			what  => 'claim_seat',
			role  => 'bench_caller',
			input => sub { claims_input($database, $_[0]) } },
		{   call  => 'calls/authenticate',
			what  => 'authenticate',
			input => sub { sessions_input($database, $_[0]) } },
		{   call    => 'calls/assign_seat',
			what    => 'assign_seat',
			warm_up => 30,
			calls   => 60,
			input   => assigns_to(@{ $tables->{small} }) },
		{   call    => 'calls/list_seats',
			what    => 'list_seats, per seat',
			rows    => 100,
			warm_up => 10,
			calls   => 20,
			input   => lists_of(@{ $tables->{hundred} }) },
		{   call    => 'calls/purge_expired_sessions',
			what    => 'purge_expired_sessions, per row',
			rows    => $purged,
			warm_up => 0,
			calls   => 1,
			input   => sub {
				write_input([], map { [] } 1 .. $_[0]);
			}
		},);

	push @cases,
	  { call      => 'calls/assign_seat',
		what      => 'assign_seat',
		condition => "subscription of $many",
		warm_up   => 30,
		calls     => 60,
		input     => assigns_to($tables->{many}) },
	  { call      => 'calls/list_seats',
		what      => 'list_seats, per seat',
		condition => "subscription of $listed",
		rows      => $listed,
		warm_up   => 0,
		calls     => 1,
		input     => lists_of($tables->{listed}) }
	  if $seats == $largest;
	return map {
		{ %default, %$_ }
	} @cases;
}

# Fills a database, and makes what its cases need.
sub prepare
{
	my ($database, $seats, $largest, $known) = @_;

	fill_database($database, $seats, $known);
	$inputs{$database}{small}   = [ small_subscriptions($database, 300) ];
	$inputs{$database}{hundred} = [ map { id($database, 'subscription', $_) } 0 .. 29 ];
	($inputs{$database}{many}) = make_subscription($database, 'many', $many)
	  if $seats == $largest;
	($inputs{$database}{listed}) = make_subscription($database, 'listed', $listed)
	  if $seats == $largest;
	make_expired($database);
	query($database, 'CREATE EXTENSION pg_prewarm; VACUUM ANALYZE; CHECKPOINT');
}

# Measures a case once by one means.
sub measure
{
	my ($case, $count) = @_;
	my %options = map { $_ => $case->{$_} } qw(database role warm_up calls);
	my %cost    = $count->($case->{call}, $case->{input}, %options);

	record('size', $case->{what}, $case->{condition}, $_, $cost{$_} / $case->{rows})
	  for sort keys %cost;
}

# Measures all cases once by one means.
sub measure_all
{
	my ($count, @cases) = @_;

	measure($_, $count) for interleaved(1, @cases);
}

sub run
{
	my ($plan) = @_;
	my @sizes = @{ $plan->{sizes} };
	my (@cases, @databases);

	start_server(undef, shared_buffers => $plan->{large_buffers});
	foreach my $seats (@sizes)
	{
		prepare("size$seats", $seats, $sizes[-1], 5000);
		push @databases, "size$seats";
		push @cases,     cases("size$seats", $seats, $sizes[-1]);
	}
	warm($_) for @databases;
	measure_all(sub { buffers => counts_per_call(@_)->{buffers} }, @cases) for 1 .. $rounds;
	stop_server();

	start_callgrind($databases[0], shared_buffers => $plan->{large_buffers});
	warm($_) for @databases;
	measure_all(sub { instructions => (instructions_per_call(@_))[0] }, @cases)
	  for 1 .. $rounds;
	stop_server();
}

1;
