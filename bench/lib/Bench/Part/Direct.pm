# Each operation with seats.direct_access on, and with it off.
package Bench::Part::Direct;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(write_input);
use Bench::Data      qw(claims_input id make_subscription);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query);
use Bench::Variants  qw(interleaved);

my $database = 'shop';
my $warm_up  = 60;
my ($assigned, %unused);
my $addresses = 0;

# Makes seats, and sessions of others, that each call takes some of.
sub make_seats
{
	my ($count) = @_;
	my ($subscription, @tokens) = make_subscription($database, 'direct', 2 * $count);

	$unused{sessions} = [
		split /\n/, query(
			$database,
			join ';', map { "SELECT customer_session_token FROM seats.claim_seat('$_->[0]')" }
			  @tokens[ 0 .. $count - 1 ]) ];
	$unused{seats} = [
		split /\n/, query(
			$database, qq{
			SELECT id FROM seats.customer_seats
			WHERE subscription_id = '$subscription' AND status = 'pending'}) ];
}

# Returns the input of so many calls that each use up one of what was made.
sub unused_input
{
	my ($kind, $field, $count) = @_;

	die "too few $kind are left\n" if @{ $unused{$kind} } < $count;
	return write_input([$field], map { [$_] } splice @{ $unused{$kind} }, 0, $count);
}

# Returns the input of so many calls on what was made and is used up by others later.
sub kept_input
{
	my ($kind, $field, $count) = @_;
	my $values = $unused{$kind};

	return write_input([$field], map { [ $values->[ -$_ ] ] } 1 .. $count);
}

# Returns an address that nobody had before.
sub new_address
{
	return 'direct-new' . ++$addresses . '@example.com';
}

# The calls in their order: those that use something up come after those that read it.
my @calls = (
	[ 'variants/seats',          sub { claims_input($database, $_[0]) } ],
	[ 'calls/claim_info',        sub { claims_input($database, $_[0]) } ],
	[ 'calls/authenticate',      sub { kept_input('sessions', 'token', $_[0]) } ],
	[ 'calls/end_session',       sub { unused_input('sessions', 'token', $_[0]) } ],
	[ 'calls/assign_seat',
		sub { write_input([qw(subscription email)], map { [ $assigned, new_address() ] } 1 .. $_[0]) } ],
	[ 'calls/assign_seats',
		sub { write_input([qw(subscription emails)],
				map { [ $assigned, '{' . join(',', map { new_address() } 1 .. 10) . '}' ] } 1 .. $_[0]) } ],
	[ 'calls/get_seat',          sub { kept_input('seats', 'seat', $_[0]) } ],
	[ 'calls/list_seats',
		sub { my $id = id($database, 'subscription', 1); write_input(['subscription'], map { [$id] } 1 .. $_[0]) } ],
	[ 'calls/resend_invitation', sub { kept_input('seats', 'seat', $_[0]) } ],
	[ 'calls/revoke_seat',       sub { unused_input('seats', 'seat', $_[0]) } ]);

# What the calls are named in the report.
my %names = (
	'variants/seats'     => 'claim_seat',
	'calls/assign_seats' => 'assign_seats, of 10 addresses',
	'calls/list_seats'   => 'list_seats, of 100 seats');

sub run
{
	my ($plan) = @_;
	my $calls  = $plan->{claims};
	my @modes  = interleaved($plan->{rounds}, qw(on off));

	start_server();
	make_seats(@modes * (2 * $warm_up + $calls) + 10);
	stop_server();
	foreach my $number (0 .. $#modes)
	{
		my $mode = $modes[$number];

		start_callgrind($database, 'seats.direct_access' => $mode);
		# A subscription without revoked seats, which would be used again.
		$assigned = id($database, 'subscription', 2 + $number);
		foreach (@calls)
		{
			my ($call, $make_input) = @$_;
			my $name = $names{$call} // $call =~ s,.*/,,r;
			my ($count) = instructions_per_call(
				$call, $make_input,
				database => $database,
				role     => 'bench_backend',
				warm_up  => $warm_up,
				calls    => $calls);

			record('direct', $name, $mode, 'instructions', $count);
		}
		stop_server();
	}
}

1;
