# claim_info() and authenticate(), beside prepared statements that answer the same; and a list of
# seats over HTTP, beside the same list as PostgreSQL's own JSON, with three fields less for each seat.
package Bench::Part::Reads;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(write_input);
use Bench::Data      qw(claims_input make_subscription sessions_input);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server);
use Bench::Variants  qw(interleaved);

my $database = 'shop';

# What is called as which role, with tokens of what.
my %calls = (
	claim_info          => [ 'bench_backend', \&claims_input ],
	claim_info_select   => [ 'bench_writer',  \&claims_input ],
	authenticate        => [ 'bench_backend', \&sessions_input ],
	authenticate_select => [ 'bench_writer',  \&sessions_input ],);

# Counts a call, and records it.
sub measure
{
	my ($call, $role, $make_input, %options) = @_;
	my ($count) = instructions_per_call(
		"calls/$call", $make_input,
		database => $database,
		role     => $role,
		%options);

	record('reads', $call, 'all', 'instructions', $count);
}

sub run
{
	my ($plan) = @_;

	start_server();
	my ($subscription) = make_subscription($database, 'listed', 10_000);
	stop_server();
	my $lists = sub { write_input(['subscription'], map { [$subscription] } 1 .. $_[0]) };

	start_callgrind($database);
	foreach my $call (interleaved($plan->{rounds}, sort keys %calls))
	{
		my ($role, $make_input) = @{ $calls{$call} };
		measure($call, $role, sub { $make_input->($database, $_[0]) },
			warm_up => 60, calls => $plan->{claims});
	}
	measure($_, 'bench_backend', $lists, warm_up => 1, calls => 2)
	  foreach interleaved($plan->{rounds}, 'list_seats_http', 'list_seats_json');
	stop_server();
}

1;
