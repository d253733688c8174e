# What it costs to refuse what is no token, beside statements that do nothing but raise an error, with
# DETAIL and HINT or without; and that no table of the extension is touched.
package Bench::Part::Refusal;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(run_client write_input);
use Bench::Data      qw(claims_input);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query wait_for_sessions);
use Bench::Variants  qw(interleaved);

my $database = 'shop';
my %options  = (database => $database, role => 'bench_caller');

# A token of the extension whose last digit, one of its checksum's, is wrong.
my $mistyped = 'seats_inv_' . '0' x 54 . '1';

# What is called, with which input, and whether it fails.
my %calls = (
	'SELECT 1'       => [ 'calls/select_one', 'nothing', '', 0 ],
	'bare error'     => [ 'calls/raise_error', 'zero', '0', 1 ],
	'error'          => [ 'calls/raise_explained_error', 'size', '1 seat', 1 ],
	'wrong checksum' => [ 'variants/seats', 'token', $mistyped, 1 ],
	'wrong shape'    => [ 'variants/seats', 'token', 'let me in', 1 ],);

# Returns a function that makes the input of so many calls.
sub same_input
{
	my ($field, $value) = @_;

	return sub {
		write_input([$field], map { [$value] } 1 .. $_[0]);
	};
}

# Counts the instructions of a call.
sub measure
{
	my ($plan, $name) = @_;
	my ($call, $field, $value, $failing) = @{ $calls{$name} };
	my ($count) = instructions_per_call(
		$call, same_input($field, $value), %options,
		failing => $failing,
		warm_up => 60,
		calls   => $plan->{claims});

	record('refusal', $name, 'all', 'instructions', $count);
}

# Returns how often tables of the extension were scanned, and how many of their buffers were
# looked at.
sub touches
{
	wait_for_sessions();
	return query(
		$database, q{
		SELECT sum(COALESCE(t.seq_scan, 0) + COALESCE(t.idx_scan, 0)
			+ COALESCE(b.heap_blks_hit, 0) + COALESCE(b.heap_blks_read, 0)
			+ COALESCE(b.idx_blks_hit, 0) + COALESCE(b.idx_blks_read, 0))
		FROM pg_stat_user_tables AS t JOIN pg_statio_user_tables AS b USING (relid)
		WHERE t.schemaname = 'seats'});
}

# Counts how often calls touch a table. A claim that succeeds shows that this counts at all.
sub measure_touches
{
	my ($name, $call, $input, %more) = @_;
	my $before = touches();

	run_client($call, $input, %options, %more);
	record('refusal', $name, 'all', 'tables touched', touches() - $before);
}

sub run
{
	my ($plan) = @_;

	start_callgrind($database);
	measure($plan, $_) for interleaved($plan->{rounds}, sort keys %calls);
	stop_server();

	start_server();
	foreach my $name (grep { /wrong/ } sort keys %calls)
	{
		my ($call, $field, $value, $failing) = @{ $calls{$name} };

		measure_touches(
			$name, $call, same_input($field, $value)->(1000),
			calls   => 1000,
			failing => 1);
	}
	measure_touches('one claim', 'variants/seats', claims_input($database, 1), calls => 1);
	stop_server();
}

1;
