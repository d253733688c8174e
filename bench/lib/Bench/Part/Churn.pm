# A day of churn in little: seats are assigned, claimed, revoked and assigned again, with
# autovacuum on. How large tables and indexes get, and what a claim costs in the first tenth
# and in the last.
#
# As in production, what happened is deleted meanwhile: events that are a second old.
package Bench::Part::Churn;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(run_client write_input);
use Bench::Counters  qw(counts_per_call);
use Bench::Data      qw(fill_database id make_subscription);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query);

my $database      = 'churn';
my $seats         = 20_000;
my $subscriptions = $seats / 100;
my $clients       = 4;
my $tenths        = 10;

# How many claims are measured after a tenth.
my $warm_up = 50;
my $claims  = 300;

my ($purger, $probe);

# Starts the server, and deletes old events twice a second.
sub start_churning
{
	start_server(
		undef,
		autovacuum         => 'on',
		autovacuum_naptime => '1s',
		synchronous_commit => 'off');
	$purger = fork // die "fork: $!\n";
	return if $purger;
	open STDIN, '-|', 'echo', q{SELECT seats.purge_events('1 second') \watch 0.5}
	  or die "echo: $!\n";
	open STDOUT, '>', '/dev/null' or die "/dev/null: $!\n";
	exec qw(psql -XAtq --dbname), $database or die "psql: $!\n";
}

# Ends both.
sub stop_churning
{
	kill 'TERM', $purger;
	waitpid $purger, 0;
	stop_server();
}

# Returns the input of rounds: subscriptions at random, and two customers of their organization
# that have no seat of them. The lines of each client have customers of their own.
sub rounds_input
{
	my ($rounds, $ids) = @_;

	return write_input(
		[qw(subscription email other_email)],
		map {
			my $offset = 1 + 2 * ($_ % $clients);
			my $n      = int rand $subscriptions;
			my $first  = int($n / 100) * 1000 + 10 * int rand 100;
			[   $ids->[$n],
				map { 'customer' . ($first + ($n + $_) % 10) . '@example.com' } $offset,
				$offset + 1 ]
		} 0 .. $rounds - 1);
}

# Gives the probe's seats away, anew, so that they can be claimed; returns the input of the
# claims.
sub claims_input
{
	my ($count) = @_;

	return write_input(
		['token'],
		map { [$_] } split /\n/,
		query(
			$database, qq{
		SELECT seats.revoke_seats('$probe') \\g /dev/null
		SELECT invitation_token FROM seats.assign_seats('$probe', NULL,
			ARRAY(SELECT format('probe%s\@example.com', n) FROM generate_series(1, $count) AS n))}));
}

# Records what claims cost after a tenth, while nothing else happens.
sub measure_claims
{
	my ($condition) = @_;
	my %options =
	  (database => $database, role => 'bench_caller', warm_up => $warm_up, calls => $claims);

	start_server();
	record('churn', 'claim', $condition, 'buffers',
		counts_per_call('variants/seats', \&claims_input, %options)->{buffers});
	record('churn', 'claim', $condition, 'p50',
		run_client('variants/seats', claims_input($warm_up + $claims), %options, pinned => 1)
		  ->{p50});
	stop_server();
	start_callgrind($database);
	record('churn', 'claim', $condition, 'instructions',
		(instructions_per_call('variants/seats', \&claims_input, %options))[0]);
	stop_server();
}

# Records how large tables with their indexes are, in kB.
sub measure_sizes
{
	my ($condition) = @_;

	foreach (
		split /\n/,
		query(
			$database, q{
		SELECT relname, pg_relation_size(oid) / 1024 FROM pg_class
		WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'i')
			AND relname ~ '^(customer_se|subscriptions|events)'
		ORDER BY relkind DESC, relname}))
	{
		my ($name, $kb) = split /\|/;

		record('churn', $name, $condition, 'kB', $kb);
	}
}

sub run
{
	my ($plan) = @_;

	start_server();
	fill_database($database, $seats, 1);
	($probe) = make_subscription($database, 'probe', $warm_up + $claims);
	my @ids = map { id($database, 'subscription', $_) } 0 .. $subscriptions - 1;
	stop_server();

	start_churning();
	measure_sizes('at first');
	foreach my $tenth (1 .. $tenths)
	{
		my $rounds = $plan->{churn} / $tenths;
		my $run    = run_client(
			'calls/churn', rounds_input($rounds, \@ids),
			database => $database,
			role     => 'bench_backend',
			clients  => $clients,
			calls    => $rounds);

		record('churn', 'round', "tenth $tenth", 'tps', $run->{tps});
		measure_sizes("tenth $tenth");
		next if $tenth > 1 && $tenth < $tenths;
		stop_churning();
		measure_claims("tenth $tenth");
		start_churning() if $tenth < $tenths;
	}
}

1;
