# claim_info() and authenticate(), beside prepared statements that answer the same.
package Bench::Part::Reads;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Data      qw(claims_input sessions_input);
use Bench::Results   qw(record);
use Bench::Server    qw(stop_server);
use Bench::Variants  qw(interleaved);

my $database = 'shop';

# What is called as which role, with tokens of what.
my %calls = (
	claim_info          => [ 'bench_backend', \&claims_input ],
	claim_info_select   => [ 'bench_writer',  \&claims_input ],
	authenticate        => [ 'bench_backend', \&sessions_input ],
	authenticate_select => [ 'bench_writer',  \&sessions_input ],);

sub run
{
	my ($plan) = @_;

	start_callgrind($database);
	foreach my $call (interleaved($plan->{rounds}, sort keys %calls))
	{
		my ($role, $make_input) = @{ $calls{$call} };
		my ($count) = instructions_per_call(
			"calls/$call", sub { $make_input->($database, $_[0]) },
			database => $database,
			role     => $role,
			warm_up  => 60,
			calls    => $plan->{claims});

		record('reads', $call, 'all', 'instructions', $count);
	}
	stop_server();
}

1;
