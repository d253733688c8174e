# Whether claims wait for each other: eight clients, each with seats of a subscription of its
# own, and all with seats of one. The server logs whoever waits for longer than a millisecond,
# and all sessions are sampled.
package Bench::Part::Locks;

use strict;
use warnings;

use Bench::Client  qw(run_client write_input);
use Bench::Data    qw(make_subscription claims_input);
use Bench::Results qw(record);
use Bench::Server  qw(start_server stop_server query log_size log_since);

my $database = 'shop';
my $clients  = 8;
my @fields   = qw(token token_hash);

# What bench.sample_waits() returns.
my @sampled = ('samples', 'sampled, for a row', 'sampled, to extend a table');

# Starts to sample sessions while clients run; returns the output.
sub start_sampling
{
	open my $sampler, '-|', qw(psql -XAtq --dbname), $database,
	  '--command', 'SELECT * FROM bench.sample_waits()'
	  or die "psql: $!\n";
	return $sampler;
}

# Runs something, and records what waited for locks meanwhile.
sub watch
{
	my ($condition, $run) = @_;
	my $logged  = log_size();
	my $sampler = start_sampling();

	$run->();
	my %count;
	@count{@sampled} = split /\|/, <$sampler> // '';
	close $sampler or die "sampling failed\n";
	my @lines = grep { /still waiting for/ } split /^/m, log_since($logged);
	$count{'logged, for a row'}         = grep { !/on extension of relation/ } @lines;
	$count{'logged, to extend a table'} = @lines - $count{'logged, for a row'};
	record('locks', 'seats', $condition, $_, $count{$_}) for sort keys %count;
}

# Runs eight clients, each with every eighth of some tokens.
sub claim
{
	my (@tokens) = @_;

	run_client(
		'variants/seats', write_input(\@fields, @tokens),
		database => $database,
		role     => 'bench_caller',
		clients  => $clients,
		calls    => scalar @tokens);
}

# Returns tokens of eight subscriptions in turn.
sub tokens_in_turn
{
	my ($name, $seats) = @_;
	my @lists =
	  map { my (undef, @tokens) = make_subscription($database, "$name-$_-", $seats); \@tokens }
	  1 .. $clients;

	return map {
		my $place = $_;
		map { $_->[$place] } @lists
	} 0 .. $seats - 1;
}

# Claims a seat that another session has locked for a while: this must be counted.
sub claim_locked
{
	my (undef, @tokens) = make_subscription($database, 'locked', 1);
	my $holder = fork // die "fork: $!\n";

	if ($holder == 0)
	{
		exec qw(psql -XAtq --dbname), $database, '--command', qq{
			BEGIN;
			SELECT FROM seats.customer_seats WHERE invitation_token_hash = '$tokens[0][1]' FOR UPDATE;
			SELECT FROM pg_sleep(0.5);
			COMMIT};
	}
	select undef, undef, undef, 0.2;
	run_client(
		'variants/seats', write_input(\@fields, @tokens),
		database => $database,
		role     => 'bench_caller',
		calls    => 1);
	waitpid $holder, 0;
}

sub run
{
	my ($plan) = @_;
	my $seats = $plan->{speed_calls}{off};

	start_server(undef, deadlock_timeout => '1ms', log_lock_waits => 'on', fsync => 'on');
	foreach my $round (1 .. $plan->{rounds})
	{
		my @own = tokens_in_turn("own$round", $seats);
		my (undef, @shared) = make_subscription($database, "shared$round-", $clients * $seats);

		watch('8 clients, each its own subscription', sub { claim(@own) });
		watch('8 clients, one subscription',          sub { claim(@shared) });
	}
	watch('1 client, its seat locked by another session', \&claim_locked);
	stop_server();
}

1;
