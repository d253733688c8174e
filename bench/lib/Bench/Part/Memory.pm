# Whether a backend grows: its memory while it claims seat after seat.
package Bench::Part::Memory;

use strict;
use warnings;

use Bench::Client  qw(run_client);
use Bench::Data    qw(fill_database claims_input);
use Bench::Results qw(record);
use Bench::Server  qw(start_server stop_server query);

my $database = 'memory';
my $warm_up  = 1000;

sub run
{
	my ($plan) = @_;
	my $calls = $plan->{memory};

	start_server();
	fill_database($database, $calls + $warm_up, $calls + $warm_up);
	my $run = run_client(
		'variants/seats', claims_input($database, $calls + $warm_up),
		database => $database,
		role     => 'bench_caller',
		warm_up  => $warm_up,
		calls    => $calls);
	my @samples = split / /, $run->{memory};
	record('memory', 'seats', sprintf('after %d claims', $warm_up + $calls * $_ / $#samples),
		'kB', $samples[$_])
	  for 0 .. $#samples;
	record('memory', 'seats', 'all', 'growth in kB', $samples[-1] - $samples[0]);
	query('postgres', "DROP DATABASE $database");
	stop_server();
}

1;
