# Whether revoked seats cost anything: the same calls in one subscription where no seat is revoked,
# where most other seats are, where many of its own are, and after rounds of assign
# and revoke whose dead rows and index entries cannot be cleaned up.
package Bench::Part::Revoked;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(run_client write_input);
use Bench::Counters  qw(counts_per_call);
use Bench::Data      qw(fill_database make_subscription);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query);

my $warm_up = 60;
my $calls   = 100;
my $claimed = 100;
my $revoked = 10_000;
my $churned = 3000;

# A prepared transaction holds back the clean-up of rows like a session with an old snapshot, and
# outlives the server that the rounds were made in. It does so in other databases, too, so it ends
# before the next condition.
my %settings = (max_prepared_transactions => 1);

my $template = 'unrevoked';

my ($subscription, @tokens, %next);

# Begins what holds back the clean-up of rows.
sub hold_snapshot
{
	my ($database) = @_;

	query($database,
		q{BEGIN; SELECT pg_current_xact_id() \g /dev/null
		PREPARE TRANSACTION 'old'});
}

# Executes SQL without triggers and foreign keys, and cleans up.
sub change
{
	my ($database, $sql) = @_;

	query($database, "SET session_replication_role = replica; $sql");
	query($database, 'VACUUM (FULL, ANALYZE) seats.customer_seats, seats.customer_sessions');
}

# Returns the input of so many assigns to customers of the first organization, one after the other.
sub assigns_input
{
	my ($database, $count) = @_;

	return write_input(
		[qw(subscription email)],
		map { [ $subscription, 'customer' . $next{$database}{customer}++ % 1000 . '@example.com' ] }
		  1 .. $count);
}

# Returns the input of so many claims.
sub claims_input
{
	my ($database, $count) = @_;
	my $first = $next{$database}{claim} // 0;

	$next{$database}{claim} += $count;
	return write_input([qw(token token_hash)], @tokens[ $first .. $first + $count - 1 ]);
}

# How the subscription, and those beside it, come to their revoked seats, by the name of the
# condition's database.
my %conditions = (
	none     => [ 'no revoked seats', sub { change($_[0], 'SELECT') } ],
	snapshot => [
		'no revoked seats, behind an old snapshot',
		sub {
			change($_[0], 'SELECT');
			hold_snapshot($_[0]);
		} ],
	others => [
		'revoked seats in other subscriptions',
		sub {
			change(
				$_[0], q{
				CREATE TEMPORARY TABLE emptied AS
				SELECT bench.id('subscription', n) AS id
				FROM generate_series(0, (SELECT count(*) - 2 FROM seats.subscriptions)) AS n
				WHERE n % 11 > 0;
				UPDATE seats.customer_seats
				SET status = 'revoked', revoked_at = now(), customer_id = NULL,
					customer_email = NULL, expiry_watched = false
				WHERE subscription_id IN (SELECT id FROM emptied);
				UPDATE seats.subscriptions SET assigned_seats = 0
				WHERE id IN (SELECT id FROM emptied)});
		} ],
	same => [
		"$revoked revoked seats in the same subscription",
		sub {
			change($_[0], qq{
				INSERT INTO seats.customer_seats (organization_id, status, expiry_watched,
					subscription_id, invitation_token_hash, invitation_token_expires_at, revoked_at)
				SELECT bench.id('organization', 0), 'revoked', false, '$subscription',
					sha256(uuid_send(gen_random_uuid())), now(), now()
				FROM generate_series(1, $revoked)});
		} ],
	rounds => [
		"$churned rounds of assign and revoke behind an old snapshot",
		sub {
			my ($database) = @_;

			change($database, 'SELECT');
			hold_snapshot($database);
			run_client(
				'calls/assign_and_revoke', assigns_input($database, $churned),
				database => $database,
				role     => 'bench_backend',
				calls    => $churned);
		} ],);

# What is measured in each, as which role. The list comes first, since what it lists depends on how
# many were claimed.
my @operations = (
	[   'list of claimed',
		'calls/list_claimed',
		'bench_writer',
		sub {
			write_input(['subscription'], map { [$subscription] } 1 .. $_[1]);
		} ],
	[ 'assign', 'calls/assign_seat', 'bench_backend', \&assigns_input ],
	[ 'claim',  'variants/seats',    'bench_caller',  \&claims_input ],);

# Makes the database that those of all conditions are copies of.
sub prepare
{
	my ($plan) = @_;
	my $pending = 2 * (2 * $warm_up + $calls);

	fill_database($template, 1.1 * $plan->{revoked}, 1, 1);
	($subscription, @tokens) = make_subscription($template, 'measured', $pending + $claimed);
	query($template,
		join ';', map { "SELECT FROM seats.claim_seat('$_->[0]')" } splice @tokens, 0, $claimed);
}

# Measures all calls in a database once by one means.
sub measure_all
{
	my ($database, $measure, $count) = @_;

	foreach (@operations)
	{
		my ($operation, $call, $role, $make_input) = @$_;
		my $cost = $count->(
			$call, sub { $make_input->($database, $_[0]) },
			database => $database,
			role     => $role,
			warm_up  => $warm_up,
			calls    => $calls);

		record('revoked', $operation, $conditions{$database}[0], $measure, $cost);
	}
}

# Measures a condition. Both counts repeat within one percent.
sub measure_condition
{
	my ($database) = @_;

	start_server(undef, %settings);
	query('postgres', "CREATE DATABASE $database TEMPLATE $template STRATEGY file_copy");
	$conditions{$database}[1]->($database);
	measure_all($database, 'buffers', sub { counts_per_call(@_)->{buffers} });
	stop_server();

	start_callgrind($database, %settings);
	measure_all($database, 'instructions', sub { (instructions_per_call(@_))[0] });
	query($database,
		q{SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts \gexec});
	query('postgres', "DROP DATABASE $database");
	stop_server();
}

sub run
{
	my ($plan) = @_;

	start_server(undef, %settings);
	prepare($plan);
	stop_server();
	measure_condition($_) for sort keys %conditions;
}

1;
