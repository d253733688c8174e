# What the server counts: WAL, buffers, updates, flushes, around runs of the client.
package Bench::Counters;

use strict;
use warnings;

use Exporter 'import';

use Bench::Client qw(run_client);
use Bench::Server qw(query wait_for_sessions);

our @EXPORT_OK = qw(counted_run counts_per_call);

# Returns the counters of the updates of seats; asking costs buffers of the database.
sub update_counters
{
	my ($database) = @_;
	my %counters;

	wait_for_sessions();
	@counters{qw(updates hot_updates)} = split /\|/, query(
		$database, q{
		SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
		WHERE relid = 'seats.customer_seats'::regclass});
	return %counters;
}

# Returns the other counters, asked in another database. From 18 on flushes of WAL are counted
# with all other input and output.
sub server_counters
{
	my ($database) = @_;
	my %counters;

	wait_for_sessions();
	@counters{qw(buffers wal_bytes flushes)} = split /\|/, query(
		'postgres', qq{
		SELECT current_setting('server_version_num')::integer >= 180000 AS new_counters \\gset
		\\if :new_counters
			SELECT sum(fsyncs) AS flushes FROM pg_stat_io WHERE object = 'wal' \\gset
		\\else
			SELECT wal_sync AS flushes FROM pg_stat_wal \\gset
		\\endif
		SELECT blks_hit + blks_read, wal_bytes, :flushes FROM pg_stat_database, pg_stat_wal
		WHERE datname = '$database'});
	return %counters;
}

# Runs the client; returns what it tells, and by how much each counter rose. What is asked in
# the database is asked first and last.
sub counted_run
{
	my ($call, $input, %options) = @_;
	my $database = $options{database};
	my %before   = (update_counters($database), server_counters($database));
	my $result   = run_client($call, $input, %options);
	my %after    = (server_counters($database), update_counters($database));

	return { %$result, map { $_ => $after{$_} - $before{$_} } keys %after };
}

# Returns what one call counts, from two sessions: the calls of one are the warm-up of the
# other. The function that is given makes the input of so many calls.
sub counts_per_call
{
	my ($call,    $make_input, %options) = @_;
	my ($warm_up, $calls) = delete @options{qw(warm_up calls)};
	my ($short,   $long) =
	  map { counted_run($call, $make_input->($_), %options, calls => $_) } $warm_up,
	  $warm_up + $calls;

	return { map { $_ => ($long->{$_} - $short->{$_}) / $calls } qw(buffers wal_bytes) };
}

1;
