# Each operation beside what an expert does on tables of their own, with the same rows: the
# instructions, with seats.direct_access on and off, the WAL, and the time, in blocks of calls that
# take turns.
package Bench::Part::Rival;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw($bench run_client write_input);
use Bench::Counters  qw(counts_per_call);
use Bench::Data      qw(fill_database fill_rival tokens_of id);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query);
use Bench::Variants  qw(interleaved);

my $database = 'rival';

# Of the subscriptions of a thousand seats, so many are pending, and as many claimed. The first have
# their seats revoked one by one, the next have their invitations sent again, and the others are
# canceled.
my ($pools, $revoked, $invited) = (22, 6, 4);

# The customer whose own seats are read. Nobody assigns a seat to it meanwhile.
my $reader = 1005;

# What the calls are made with, and how much of it was used up, of the extension's tables and of the
# rival's.
my (%things, %used);
my $addresses = 0;

# Returns a function that returns so many rows of input, which no later call gets.
sub used_up
{
	my ($kind) = @_;

	return sub {
		my ($tables, $count) = @_;
		my $first = $used{$tables}{$kind} // 0;

		$used{$tables}{$kind} = $first + $count;
		die "too few $kind are left\n" if @{ $things{$kind} } < $first + $count;
		return @{ $things{$kind} }[ $first .. $first + $count - 1 ];
	};
}

# Returns a function that returns so many rows of input, any of those that there are.
sub any_of
{
	my ($kind) = @_;

	return sub {
		my ($tables, $count) = @_;
		my $rows = $things{$kind};

		return map { $rows->[ rand @$rows ] } 1 .. $count;
	};
}

# Returns an address that nobody had before.
sub new_address
{
	return 'rival-new' . ++$addresses . '@example.com';
}

# Returns a subscription of the first organization.
sub any_subscription
{
	my $subscriptions = $things{subscriptions};

	return $subscriptions->[ rand @$subscriptions ][0];
}

# Returns so many rows of input for assigning a seat to somebody new.
sub new_customers
{
	my ($tables, $count) = @_;

	return map { [ any_subscription(), new_address() ] } 1 .. $count;
}

# Returns so many rows of input for assigning a thousand seats.
sub new_thousands
{
	my ($tables, $count) = @_;

	return map { [ any_subscription(), '{' . join(',', map { new_address() } 1 .. 1000) . '}' ] }
	  1 .. $count;
}

# What a call counts as where it is about many seats, and how often it is made.
my %of_thousand = (rows => 1000, warm_up => 1, calls => 2, rounds => 1);
my %of_hundred  = (rows => 100,  warm_up => 10, calls => 20);

# The operations: what the input has, the call and its role, and those of the rival. Which ones are
# timed, and whether they only read.
my @operations = (
	{   name   => 'claim',
		fields => [qw(token token_hash)],
		input  => used_up('tokens'),
		seats  => [ 'variants/seats', 'bench_caller' ],
		rival  => {
			function      => [ 'rival/calls/claim_function',    'bench_caller' ],
			statement     => [ 'rival/calls/claim_statement',   'bench_writer' ],
			'round trips' => [ 'rival/calls/claim_round_trips', 'bench_writer' ]
		},
		timed => 1 },
	{   name   => 'assign, new customer',
		fields => [qw(subscription email)],
		input  => \&new_customers,
		call   => 'assign_seat',
		timed  => 1 },
	{   name   => 'assign, known customer',
		fields => [qw(subscription email)],
		input  => used_up('known customers'),
		call   => 'assign_seat',
		timed  => 1 },
	{   name   => 'resend',
		fields => ['seat'],
		input  => any_of('seats to invite'),
		call   => 'resend_invitation' },
	(   map {
			{   name   => "revoke, $_",
				fields => ['seat'],
				input  => used_up("$_ seats"),
				call   => 'revoke_seat' }
		} qw(claimed pending)),
	{   name   => 'bulk assign of 1,000, per seat',
		fields => [qw(subscription emails)],
		input  => \&new_thousands,
		call   => 'assign_seats',
		%of_thousand },
	(   map {
			{   name   => "cancel of 1,000 $_, per seat",
				fields => ['subscription'],
				input  => used_up("$_ subscriptions"),
				call   => 'cancel',
				%of_thousand }
		} qw(claimed pending)),
	(   map {
			{   name   => 'list of 100, per seat' . ($_ ? ', in binary' : ''),
				fields => ['subscription'],
				input  => any_of('lists'),
				call   => 'list_seats',
				binary => $_,
				reads  => 1,
				%of_hundred }
		} 0, 1),
	{   name   => 'claim_info',
		fields => [qw(token token_hash)],
		input  => any_of('tokens'),
		call   => 'claim_info',
		reads  => 1 },
	{   name   => 'authenticate',
		fields => ['token'],
		input  => any_of('sessions'),
		call   => 'authenticate',
		reads  => 1 },
	{   name   => 'get_seat',
		fields => ['seat'],
		input  => any_of('seats'),
		call   => 'get_seat',
		reads  => 1 },
	{   name   => 'my_seats',
		fields => ['customer'],
		input  => any_of('readers'),
		seats  => [ 'calls/my_seats', 'bench_customer' ],
		rival  => { SELECT => [ 'rival/calls/my_seats', 'bench_writer' ] },
		reads  => 1 });

# Fills in what most operations have in common.
foreach my $operation (@operations)
{
	my $call = $operation->{call} // next;

	$operation->{seats} = [ "calls/$call", 'bench_backend' ];
	$operation->{rival} =
	  $operation->{reads}
	  ? { SELECT => [ "rival/calls/$call", 'bench_writer' ] }
	  : { function => [ "rival/calls/$call", 'bench_backend' ] };
}

# Returns the ids of rows that a kind of things has the numbers from and to of, as rows of input.
sub ids
{
	my ($kind, $from, $to) = @_;

	return [
		map { [$_] } split /\n/,
		query($database, "SELECT bench.id('$kind', n) FROM generate_series($from, $to) AS n") ];
}

# Makes the database, and what calls are made with.
sub prepare
{
	my ($seats) = @_;
	my $seats_of = sub { ids('pooled', 1000 * $_[0], 1000 * $_[1] - 1) };

	fill_database($database, $seats, $seats);
	query($database, "\\i $bench/rival/pools.sql", pools => $pools);
	fill_rival($database);

	@things{qw(tokens sessions)} = tokens_of($database);
	$things{subscriptions}           = ids('subscription', 0, 99);
	$things{lists}                   = ids('subscription', 100, $seats / 100 - 1);
	$things{seats}                   = ids('seat',         0, 9999);
	$things{'pending seats'}         = $seats_of->(0,        $revoked);
	$things{'seats to invite'}       = $seats_of->($revoked, $revoked + $invited);
	$things{'claimed seats'}         = $seats_of->($pools,   $pools + $revoked);
	$things{'pending subscriptions'} = ids('pool', $revoked + $invited, $pools - 1);
	$things{'claimed subscriptions'} = ids('pool', $pools + $revoked,   2 * $pools - 1);
	$things{readers}                 = ids('customer', $reader, $reader);
	# In fill.sql, customers hold seats of every tenth subscription.
	$things{'known customers'} = [
		map {
			my $number       = $_;
			my $subscription = $number % 100;
			my $customer     = 10 * (int($number / 100) % 100)
			  + ($subscription + 1 + int($number / 10_000)) % 10;

			[ $things{subscriptions}[$subscription][0], "customer$customer\@example.com" ]
		} 0 .. 89_999 ];
}

# Returns how to run an operation: the call, a function that makes its input, and options.
sub way
{
	my ($operation, $tables, $call, $role) = @_;
	my $customer = $things{readers}[0][0];
	my %options  = (database => $database, role => $role, binary => $operation->{binary});

	$options{preparation} =
	  qq{SELECT set_config('request.jwt.claims', '{"sub": "$customer"}', false)}
	  if $role eq 'bench_customer';
	return $call,
	  sub { write_input($operation->{fields}, $operation->{input}->($tables, $_[0])) }, %options;
}

# Returns the ways to do an operation: a name, and what way() takes.
sub ways
{
	my ($operation, $name_of_seats) = @_;
	my $rival = $operation->{rival};

	return [ $name_of_seats, 'seats', @{ $operation->{seats} } ],
	  map { [ $_, 'rival', @{ $rival->{$_} } ] } sort keys %$rival;
}

# Measures operations in their ways by some means, in random order: a function that is given what
# instructions_per_call() takes, and returns the cost.
sub measure
{
	my ($rounds, $measure, $calls, $count, @cases) = @_;

	foreach my $case (interleaved(1, map { ($_) x ($_->[0]{rounds} // $rounds) } @cases))
	{
		my ($operation, $name, @way) = @$case;
		my $cost = $count->(
			way($operation, @way),
			warm_up => $operation->{warm_up} // 60,
			calls   => $operation->{calls}   // $calls);

		record('rival', $operation->{name}, $name, $measure, $cost / ($operation->{rows} // 1));
	}
}

# Counts instructions, with direct access on or off; without the rival if it is off.
sub measure_instructions
{
	my ($rounds, $mode) = @_;
	my @cases = map {
		my $operation = $_;
		map { [ $operation, @$_ ] }
		  grep { $mode eq 'on' || $_->[1] eq 'seats' } ways($operation, "direct access $mode")
	} @operations;

	start_callgrind($database, 'seats.direct_access' => $mode);
	measure($rounds, 'instructions', 200, sub { (instructions_per_call(@_))[0] }, @cases);
	stop_server();
}

# Counts the WAL of operations that write.
sub measure_wal
{
	my ($rounds) = @_;
	my @cases = map {
		my $operation = $_;
		map { [ $operation, @$_ ] } ways($operation, 'direct access on')
	} grep { !$_->{reads} } @operations;

	measure($rounds, 'WAL bytes', 1000, sub { counts_per_call(@_)->{wal_bytes} }, @cases);
}

# Runs a block of calls; returns how many seconds they took.
sub block
{
	my ($call, $make_input, %options) = @_;
	my ($warm_up, $calls) = (100, 1000);
	my $run = run_client(
		$call, $make_input->($warm_up + $calls),
		%options,
		preparation => 'SELECT bench.touch_pages()',
		pinned      => 1,
		warm_up     => $warm_up,
		calls       => $calls);

	return $run->{seconds};
}

# Times a pair of blocks, of which one or the other comes first, and records their quotient.
sub time_pair
{
	my ($operation, $seats, $rival, $rival_first) = @_;
	my ($name, @rival) = @$rival;
	my %seconds;

	foreach my $who ($rival_first ? qw(rival seats) : qw(seats rival))
	{
		$seconds{$who} = block(way($operation, $who eq 'seats' ? @$seats[ 1 .. 3 ] : @rival));
	}
	record('rival', $operation->{name}, $name, 'time', $seconds{seats} / $seconds{rival});
}

# Times operations, whose commits do not wait for the disk.
sub measure_time
{
	my ($pairs) = @_;
	local $ENV{PGOPTIONS} = '-c synchronous_commit=off';
	my @cases = map {
		my $operation = $_;
		my ($seats, @rivals) = ways($operation, 'direct access on');
		map { [ $operation, $seats, $_ ] } @rivals
	} grep { $_->{timed} } @operations;

	foreach my $number (1 .. $pairs)
	{
		time_pair(@$_, $number % 2) for interleaved(1, @cases);
	}
}

sub run
{
	my ($plan) = @_;

	start_server();
	prepare($plan->{rival});
	measure_wal($plan->{rounds});
	stop_server();

	start_server(undef, fsync => 'on');
	measure_time($plan->{pairs});
	stop_server();

	measure_instructions($plan->{rounds}, $_) for qw(on off);
}

1;
