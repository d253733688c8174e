# Whether many clients at once get in each other's way: 32 that assign seats of one subscription,
# claim one token, or claim tokens of one subscription or of many; beside the rival's functions on
# its own tables. Commits do not wait for the disk, so nothing hides how long locks are held.
package Bench::Part::Contention;

use strict;
use warnings;

use Bench::Client   qw(run_client write_input);
use Bench::Data     qw(fill_database fill_rival claims_input make_subscription);
use Bench::Results  qw(record);
use Bench::Server   qw(start_server stop_server query log_size log_since);
use Bench::Variants qw(interleaved);

my $database = 'contention';
my $clients  = 32;
my $warm_up  = 5;                    # of each client
my $calls    = $clients * 75;
my $lines    = $calls + $clients * $warm_up;

my ($assigned, @one, @shared);
my $addresses = 0;

# Returns some tokens that were not taken yet.
sub take
{
	my ($tokens, $count) = @_;

	die "too few tokens are left\n" if @$tokens < $count;
	return splice @$tokens, 0, $count;
}

# What clients do at once: who calls what, of the extension and of the rival; and the input.
my %scenarios = (
	'assign in one subscription' => {
		role  => 'bench_backend',
		seats => 'calls/assign_seat',
		rival => 'rival/calls/assign_seat',
		input => sub {
			write_input([qw(subscription email)],
				map { [ $assigned, 'contender' . ++$addresses . '@example.com' ] } 1 .. $lines);
		}
	},
	# All clients have the same token at the same time, and one of them succeeds.
	'claim one token' => {
		input => sub {
			write_input(['token'], map { my $token = $_->[0]; map { [$token] } 1 .. $clients }
				  take(\@one, $lines / $clients));
		},
		options => { failing => 1, may_fail => 1 }
	},
	'claim tokens of one subscription' => {
		input => sub { write_input(['token'], map { [ $_->[0] ] } take(\@shared, $lines)) }
	},
	'claim tokens of many subscriptions' =>
	  { input => sub { claims_input($database, $lines) } },);

# Runs a scenario, of the extension or of the rival.
sub contend
{
	my ($scenario, $whose) = @_;
	my %default = (
		role  => 'bench_caller',
		seats => 'variants/seats',
		rival => 'rival/calls/claim_function');
	my %all = (%default, %{ $scenarios{$scenario} });
	local $ENV{PGOPTIONS} = '-c synchronous_commit=off';

	return run_client(
		$all{$whose}, $all{input}->(),
		database => $database,
		role     => $all{role},
		clients  => $clients,
		warm_up  => $warm_up,
		calls    => $calls,
		%{ $all{options} // {} });
}

# Records the throughput and the latencies of one run.
sub measure
{
	my ($scenario, $whose) = @_;
	my $run = contend($scenario, $whose);

	record('contention', $scenario, $whose, $_, $run->{$_}) for qw(tps p50 p99);
}

# Records how many of a thousand calls waited for a lock for longer than a millisecond, which the
# server logs.
sub measure_waits
{
	my ($scenario, $whose) = @_;
	my $logged = log_size();

	contend($scenario, $whose);
	my $waits = grep { /still waiting for/ } split /^/m, log_since($logged);
	record('contention', $scenario, $whose, 'waits', 1000 * $waits / $lines);
}

# Makes the same rows in the tables of the extension and of the rival.
sub prepare
{
	my ($runs) = @_;
	my $seats = 10_000 * int(1 + $runs * $lines / 10_000);

	fill_database($database, $seats, $seats);
	($assigned)         = make_subscription($database, 'assigned', 1);
	(undef, my @tokens) = make_subscription($database, 'shared',   $runs * $lines);
	@shared             = @tokens;
	(undef, @tokens)    = make_subscription($database, 'one', $runs * $lines / $clients);
	@one                = @tokens;
	fill_rival($database);
	query($database, 'VACUUM ANALYZE; CHECKPOINT');
}

sub run
{
	my ($plan) = @_;
	my $rounds = $plan->{contention};
	my @runs   = map {
		my $scenario = $_;
		map { [ $scenario, $_ ] } qw(seats rival)
	} sort keys %scenarios;

	start_server();
	prepare(2 * ($rounds + 1));
	measure(@$_) for interleaved($rounds, @runs);
	stop_server();
	start_server(undef, deadlock_timeout => '1ms', log_lock_waits => 'on');
	measure_waits(@$_) for @runs;
	stop_server();
}

1;
