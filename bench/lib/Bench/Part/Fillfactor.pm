# How much room pages of seats need for claims to be HOT updates: every seat of a table is claimed, by
# several clients, with no older transaction around and with one, behind which nothing can be cleaned up.
package Bench::Part::Fillfactor;

use strict;
use warnings;

use Bench::Counters qw(counted_run);
use Bench::Data qw(fill_database claims_input);
use Bench::Results qw(record);
use Bench::Server qw(start_server stop_server query);

my $seats = 10_000;
my $clients = 4;
my @fillfactors = (100, 90, 85, 80, 70);

# Begins a transaction that has a snapshot and keeps it; returns how to end it.
sub hold_snapshot
{
	my ($database) = @_;

	open my $session, '|-', qw(psql -XAtq --dbname), $database or die "psql: $!\n";
	$session->autoflush;
	print $session "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT \\g /dev/null\n";
	sleep 1;
	return sub { close $session or die "psql failed\n" };
}

# Returns the size of the table of seats in kB.
sub size
{
	my ($database) = @_;

	return query($database, q{SELECT pg_relation_size('seats.customer_seats') / 1024});
}

# Claims all seats of a table with a fillfactor, behind an older snapshot or not.
sub measure
{
	my ($fillfactor, $behind) = @_;
	my $database = "fill$fillfactor" . ($behind ? 'behind' : '');
	my $condition = "fillfactor $fillfactor" . ($behind ? ', behind an old snapshot' : '');

	fill_database($database, $seats, $seats);
	query($database, qq{
		ALTER TABLE seats.customer_seats SET (fillfactor = $fillfactor);
		VACUUM (FULL, ANALYZE) seats.customer_seats});
	record('fillfactor', 'seats', $condition, 'kB before', size($database));
	my $release = $behind ? hold_snapshot($database) : sub { };
	my $run = counted_run('variants/seats', claims_input($database, $seats),
		database => $database, role => 'bench_caller', clients => $clients, calls => $seats);
	$release->();
	record('fillfactor', 'seats', $condition, 'hot', 100 * $run->{hot_updates} / $run->{updates});
	record('fillfactor', 'seats', $condition, 'kB after', size($database));
	record('fillfactor', 'seats', $condition, 'WAL bytes', $run->{wal_bytes} / $seats);
	query('postgres', "DROP DATABASE $database");
}

sub run
{
	start_server();
	foreach my $behind (0, 1)
	{
		foreach my $fillfactor (@fillfactors)
		{
			measure($fillfactor, $behind);
		}
	}
	stop_server();
}

1;
