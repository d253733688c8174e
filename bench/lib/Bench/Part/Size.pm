# Whether costs stay flat: the same calls where tables are small and where they are large, and where
# one subscription has very many seats. Instructions and buffers. What monitoring costs, too, in
# milliseconds.
package Bench::Part::Size;

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use List::Util  qw(min shuffle);

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(run_client write_input);
use Bench::Counters  qw(counted_run counts_per_call);
use Bench::Data      qw(fill_database claims_input sessions_input make_subscription);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query);
use Bench::Variants  qw(interleaved);

# How often each call is measured by either means, with so many calls. The smallest table has few
# more seats than these use up.
my %rounds  = (buffers => 1, instructions => 3);
my $warm_up = 30;
my $calls   = 60;
my $used    = ($rounds{buffers} + $rounds{instructions}) * (2 * $warm_up + $calls);

# So many seats of a subscription are listed, and have expired invitations.
my $listed = 10_000;

# How many expired sessions a call deletes at most.
my $purged = 10_000;

# Sessions live for an hour, so no table has more.
my $most_sessions = 2_000_000;

# By the name of the database: what calls take from, and the next one to take.
my (%inputs, %next);

# Returns the id that fill.sql gives a row.
sub id
{
	my ($kind, $number) = @_;

	return md5_hex("$kind$number");
}

# Returns as many of a list's rows as a call takes, from where the one before ended, and from the
# start again.
sub take
{
	my ($database, $list, $count) = @_;
	my $rows  = $inputs{$database}{$list};
	my $first = $next{$database}{$list} // 0;

	$next{$database}{$list} = $first + $count;
	return map { $rows->[ $_ % @$rows ] } $first .. $first + $count - 1;
}

# Returns a function that makes the input of so many calls from a list.
sub input_of
{
	my ($database, $list, @fields) = @_;

	return sub { write_input(\@fields, take($database, $list, $_[0])) };
}

# Returns numbers of seats that lie evenly among all, without those whose tokens are known.
sub unknown_seats
{
	my ($seats, $known) = @_;
	my %known      = map { int($_ * $seats / $known) => 1 } 0 .. $known - 1;
	my $candidates = min($seats, 4 * $known);

	return shuffle grep { !$known{$_} }
	  map { int($_ * $seats / $candidates) } 0 .. $candidates - 1;
}

# Returns assigns to subscriptions that lie evenly among all: each in turn, to customers that exist
# and have no seat of it.
sub assigns
{
	my ($seats)       = @_;
	my $subscriptions = $seats / 100;
	my $chosen        = min($subscriptions, 60);

	return map {
		my $turn         = int($_ / $chosen);
		my $subscription = int($_ % $chosen * $subscriptions / $chosen);
		my $customer     = int($subscription / 100) * 1000 + 10 * int($turn / 9)
		  + ($subscription + 1 + $turn % 9) % 10;

		[ id('subscription', $subscription), "customer$customer\@example.com" ]
	} 0 .. $used - 1;
}

# Makes the lists that calls in a database take from.
sub make_lists
{
	my ($database, $seats) = @_;
	my @unknown = map { [ id('seat', $_) ] } unknown_seats($seats, $used);

	$inputs{$database} = {
		assigned => [ assigns($seats) ],
		revoked  => [ @unknown[ 0 .. $used - 1 ] ],
		resent   => [ @unknown[ $used .. $#unknown ] ],
		listed   => [ map { [ id('subscription', $_) ] } 0 .. min(30, $seats / 100) - 1 ], };
}

# Makes the lists of calls in the large subscription. Sending invitations again makes tokens.
sub make_large_lists
{
	my ($database, $large) = @_;
	my @seats = map { id('large seat', int($_ * $large / (3 * $used))) } 0 .. 3 * $used - 1;
	my @tokens = split /\n/, query(
		$database,
		join ';',
		map { "SELECT invitation_token FROM seats.resend_invitation('$_')" }
		  @seats[ 0 .. $used - 1 ]);

	$inputs{$database}{large_claimed} = [ shuffle map { [$_] } @tokens ];
	$inputs{$database}{large_revoked} =
	  [ shuffle map { [$_] } @seats[ $used .. 2 * $used - 1 ] ];
	$inputs{$database}{large_resent}  = [ shuffle map { [$_] } @seats[ 2 * $used .. $#seats ] ];
	$inputs{$database}{large_assigned} =
	  [ map { [ id('large subscription', 0), "customer$_\@example.com" ] } 0 .. $used - 1 ];
	$inputs{$database}{large} = [ [ id('large subscription', 0) ] ];
}

# Makes a subscription whose list is long, and whose invitations have expired.
sub make_listed
{
	my ($database) = @_;
	my ($subscription) = make_subscription($database, 'listed', $listed);

	query(
		$database, qq{
		SET session_replication_role = replica;
		UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 hour'
		WHERE subscription_id = '$subscription'});
	$inputs{$database}{long} = [ [$subscription] ];
}

# Makes as many expired sessions as calls delete that are made by some means.
sub make_expired
{
	my ($database, $means) = @_;
	my $count = $rounds{$means} * $purged;

	query(
		$database, qq{
		INSERT INTO seats.customer_sessions
			(token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
		SELECT sha256(uuid_send(gen_random_uuid())), gen_random_uuid(), bench.id('customer', 0),
			bench.id('organization', 0), now() - interval '2 hours', now() - interval '1 hour'
		FROM generate_series(1, $count)});
}

# Reads into the server's buffers what calls look at: all indexes, all tables but those of seats and
# events, and the seats that are known or in a list.
sub warm
{
	my ($database) = @_;
	my $seats = join ',', map { $_->[0] } map { @{ $inputs{$database}{$_} // [] } }
	  qw(revoked resent large_revoked large_resent);

	query(
		$database, qq{
		SELECT sum(pg_prewarm(oid)) FROM pg_class
		WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'i')
			AND relname NOT IN ('customer_seats', 'events');
		SELECT count(seat_metadata) FROM seats.customer_seats
		WHERE id = ANY ('{$seats}') OR invitation_token_hash IN (SELECT hash FROM bench.tokens)});
}

# Returns the four calls that change seats, in a database under a condition, with their lists.
sub seat_cases
{
	my ($database, $condition, $prefix, $claims) = @_;
	my @condition = (database => $database, condition => $condition);

	return (
		{   @condition,
			call  => 'variants/seats',
			what  => 'claim_seat',
			role  => 'bench_caller',
			input => $claims },
		{   @condition,
			call  => 'calls/assign_seat',
			what  => 'assign_seat',
			input => input_of($database, "${prefix}assigned", qw(subscription email)) },
		{   @condition,
			call  => 'calls/resend_invitation',
			what  => 'resend_invitation',
			input => input_of($database, "${prefix}resent", 'seat') },
		{   @condition,
			call  => 'calls/revoke_seat',
			what  => 'revoke_seat',
			input => input_of($database, "${prefix}revoked", 'seat') });
}

# Returns what else is measured in each database.
sub other_cases
{
	my ($database, $condition) = @_;
	my @condition = (database => $database, condition => $condition);

	return (
		{   @condition,
			call  => 'calls/authenticate',
			what  => 'authenticate',
			input => sub { sessions_input($database, $_[0]) } },
		{   @condition,
			call    => 'calls/list_seats',
			what    => 'list_seats, per seat',
			rows    => 100,
			warm_up => 10,
			calls   => 20,
			input   => input_of($database, 'listed', 'subscription') },
		{   @condition,
			call    => 'calls/usage',
			what    => 'usage of one subscription',
			role    => 'bench_monitor',
			warm_up => 10,
			calls   => 20,
			input   => input_of($database, 'listed', 'subscription') },
		{   @condition,
			call    => 'calls/stats',
			what    => 'stats',
			role    => 'bench_monitor',
			warm_up => 10,
			calls   => 20,
			input   => sub { write_input([], map { [] } 1 .. $_[0]) } });
}

# Returns what is measured where a subscription has so many seats.
sub large_cases
{
	my ($database, $large) = @_;

	return (
		seat_cases($database, "subscription of $large", 'large_',
			input_of($database, 'large_claimed', 'token')),
		{   database  => $database,
			condition => "subscription of $listed",
			call      => 'calls/list_seats',
			what      => 'list_seats, per seat',
			rows      => $listed,
			warm_up   => 0,
			calls     => 1,
			input     => input_of($database, 'long', 'subscription') });
}

# Returns the deletion of expired sessions, which are made for it.
sub purge_case
{
	my ($database, $condition) = @_;

	return {
		database  => $database,
		condition => $condition,
		call      => 'calls/purge_expired_sessions',
		what      => 'purge_expired_sessions, per row',
		rows      => $purged,
		warm_up   => 0,
		calls     => 1,
		input     => sub { write_input([], map { [] } 1 .. $_[0]) } };
}

# Fills a database, and makes what its calls need.
sub prepare
{
	my ($database, $seats, $large) = @_;

	fill_database($database, $seats, $used, min($seats, $most_sessions), $large);
	make_lists($database, $seats);
	make_large_lists($database, $large) if $large;
	make_listed($database)              if $large;
	query($database, 'CREATE EXTENSION pg_prewarm; VACUUM ANALYZE; CHECKPOINT');
}

# Measures a case once by one means.
sub measure
{
	my ($case, $means) = @_;
	my %default = (role => 'bench_backend', warm_up => $warm_up, calls => $calls, rows => 1);
	my %all     = (%default, %$case);
	my @call    = (@all{qw(call input)}, map { $_ => $all{$_} } qw(database role warm_up calls));
	my $cost =
	  $means eq 'buffers' ? counts_per_call(@call)->{buffers} : (instructions_per_call(@call))[0];

	record('size', @all{qw(what condition)}, $means, $cost / $all{rows});
}

# Measures all cases by one means.
sub measure_all
{
	my ($means, $purges, @cases) = @_;

	foreach my $database (map { $_->{database} } @$purges)
	{
		# The first session in a database makes files that all others use.
		query($database, 'SELECT 1');
		warm($database);
	}
	measure($_, $means) for map { interleaved(1, @cases) } 1 .. $rounds{$means};
	make_expired($_->{database}, $means) for @$purges;
	measure($_, $means) for map { interleaved(1, @$purges) } 1 .. $rounds{$means};
}

# Records what a query of monitoring costs where tables are largest: milliseconds of one call after
# some others, and buffers where there are no others.
sub measure_monitoring
{
	my ($database, $condition, $what, $call, $list, $warm_up) = @_;
	my $make_input =
	  $list
	  ? input_of($database, $list, 'subscription')
	  : sub { write_input([], map { [] } 1 .. $_[0]) };
	my %options = (database => $database, role => 'bench_monitor', calls => 1);

	run_client($call, $make_input->($warm_up), %options, calls => $warm_up) if $warm_up;
	my $run = counted_run($call, $make_input->(1 + $warm_up), %options, warm_up => $warm_up);
	record('size', $what, $condition, 'ms',      $run->{p50} / 1000);
	record('size', $what, $condition, 'buffers', $run->{buffers}) if !$warm_up;
}

# Records what all queries of monitoring cost there.
sub measure_all_monitoring
{
	my ($database, $condition, $large) = @_;
	my @here = ($database, $condition);

	measure_monitoring(@here, 'usage of one subscription', 'calls/usage', 'listed', 5);
	measure_monitoring(@here, 'stats',                     'calls/stats', undef,    5);
	measure_monitoring(@here, "usage of a subscription of $large",
		'calls/usage', 'large', 0);
	measure_monitoring(@here, 'usage of all, purchased and free', 'calls/usage_free', undef, 0);
	measure_monitoring(@here, 'usage of all, all columns',        'calls/usage_all',  undef, 0);
}

sub run
{
	my ($plan)  = @_;
	my @sizes   = @{ $plan->{sizes} };
	my $large   = $plan->{purchase};
	my $largest = "size$sizes[-1]";
	my %buffers = (shared_buffers => $plan->{large_buffers});
	my @purges  = map { purge_case("size$_", "$_ rows") } @sizes;
	my @cases;

	start_server(undef, %buffers, max_wal_size => '4GB');
	foreach my $seats (@sizes)
	{
		my $database = "size$seats";

		prepare($database, $seats, $seats == $sizes[-1] ? $large : 0);
		push @cases, other_cases($database, "$seats rows"),
		  seat_cases($database, "$seats rows", '', sub { claims_input($database, $_[0]) });
	}
	push @cases, large_cases($largest, $large);
	measure_all('buffers', \@purges, @cases);
	measure_all_monitoring($largest, "$sizes[-1] rows", $large);
	stop_server();

	start_callgrind($largest, %buffers);
	measure_all('instructions', \@purges, @cases);
	query('postgres', "DROP DATABASE size$_") for @sizes;
	stop_server();
}

1;
