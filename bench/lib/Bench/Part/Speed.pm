# Claims per second and how long one takes, by variant, number of clients, and whether a commit
# waits for the disk; and what the server counts meanwhile: WAL, buffers, HOT updates.
package Bench::Part::Speed;

use strict;
use warnings;

use Bench::Client   qw(run_client);
use Bench::Counters qw(counted_run counts_per_call);
use Bench::Data     qw(claims_input);
use Bench::Results  qw(record);
use Bench::Server   qw(start_server stop_server);
use Bench::Variants qw(@variants role_of interleaved);

my $database    = 'shop';
my $warm_up     = 100;
my $first_calls = 10;

# Records what a run tells, and what the server counted.
sub record_run
{
	my ($variant, $condition, $calls, $run) = @_;

	record('speed', $variant, $condition, $_,          $run->{$_}) for qw(tps p50 p99);
	record('speed', $variant, $condition, 'flushes',   $run->{flushes} / $calls);
	record('speed', $variant, 'all',      'wal_bytes', $run->{wal_bytes} / $calls);
	record('speed', $variant, 'all',      'hot', 100 * $run->{hot_updates} / $run->{updates});
}


# Runs a variant once with so many clients.
sub measure
{
	my ($plan, $variant, $clients, $commit) = @_;
	my $calls     = $plan->{speed_calls}{$commit} * ($clients > 2 ? 2 : 1);
	my $all_calls = $calls + $clients * $warm_up;
	local $ENV{PGOPTIONS} = "-c synchronous_commit=$commit";
	my $run = counted_run(
		"variants/$variant", claims_input($database, $all_calls),
		database    => $database,
		role        => role_of($variant),
		preparation => 'SELECT bench.touch_pages()',
		pinned      => 1,
		clients     => $clients,
		warm_up     => $warm_up,
		calls       => $calls);

	record_run($variant, "$clients client" . ($clients > 1 ? 's' : '') . ", commit $commit",
		$all_calls, $run);
}

# Counts the buffers that a claim looks at.
sub measure_buffers
{
	my ($variant) = @_;
	my $counts = counts_per_call(
		"variants/$variant", sub { claims_input($database, $_[0]) },
		database => $database,
		role     => role_of($variant),
		warm_up  => $warm_up,
		calls    => 500);

	record('speed', $variant, 'all', 'buffers', $counts->{buffers});
}

# Times the first claim of a session, prepared statement and all.
sub measure_first
{
	my ($variant) = @_;

	foreach (1 .. $first_calls)
	{
		my $run = run_client(
			"variants/$variant", claims_input($database, 1),
			database => $database,
			role     => role_of($variant),
			pinned   => 1,
			calls    => 1);

		record('speed', $variant, 'first of a session', 'p50', $run->{p50});
	}
}

sub run
{
	my ($plan) = @_;
	my @blocks = map {
		my $variant = $_;
		map {
			my $clients = $_;
			map { [ $variant, $clients, $_ ] } qw(off on)
		} 1, 2, 8
	} @variants;

	start_server(undef, fsync => 'on');
	measure($plan, @$_) for interleaved($plan->{speed_rounds}, @blocks);
	measure_buffers($_) for interleaved($plan->{rounds},       @variants);
	measure_first($_)   for interleaved($plan->{rounds},       @variants);
	stop_server();
}

1;
