# The servers of the benchmark: one data directory, with a server that is started again and
# again with other settings, or under callgrind.
package Bench::Server;

use strict;
use warnings;

use Exporter 'import';
use POSIX       qw(WNOHANG);
use Time::HiRes qw(sleep);

our @EXPORT_OK = qw(create_cluster start_server stop_server query log_size log_since
  wait_for_sessions directory);

# What all servers have in common: nothing happens but what is measured.  Without full-page
# images, since how many there are depends on how long ago the last checkpoint was.
my %settings = (
	listen_addresses     => '',
	fsync                => 'off',
	full_page_writes     => 'off',
	autovacuum           => 'off',
	checkpoint_timeout   => '1d',
	max_wal_size         => '32GB',
	shared_buffers       => '2GB',
	maintenance_work_mem => '512MB',
	max_connections      => 50,);

my ($directory, $pid, $log_place);

# Returns the directory that all files of this run are in, callgrind's too.
sub directory
{
	return $directory;
}

# Runs a program; what it prints goes to the log.
sub run
{
	my @command = @_;

	system("@command >>$directory/log 2>&1") == 0 or die "@command: failed\n" . log_end();
}

# Makes the data directory; the settings of the installation are in a file.
sub create_cluster
{
	($directory, my $installation) = @_;
	run('initdb',              "--pgdata=$directory/data",
		'--username=postgres', '--auth=trust',
		'--encoding=UTF8',     '--no-locale',
		'--no-sync');
	open my $file, '>>', "$directory/data/postgresql.conf" or die "$directory/data: $!\n";
	print $file "include '$installation'\n";
	close $file;
	@ENV{qw(PGHOST PGPORT PGUSER)} = ($directory, 5432, 'postgres');
}

# Starts the server with settings of its own, under a tool if one is named.  Should this
# program be killed, the server ends.
sub start_server
{
	my ($tool, %own) = @_;
	my %all     = (%settings, unix_socket_directories => $directory, port => 5432, %own);
	my @command = (
		qw(setpriv --pdeathsig QUIT),
		@{ $tool // [] },
		'postgres', '-D', "$directory/data", map { ('-c', "$_=$all{$_}") } sort keys %all);

	$pid = fork // die "fork: $!\n";
	if ($pid == 0)
	{
		open STDIN,  '<',  '/dev/null';
		open STDOUT, '>>', "$directory/log";
		open STDERR, '>&', \*STDOUT;
		exec @command or die "@command: $!\n";
	}
	until (system("pg_isready --quiet") == 0)
	{
		waitpid($pid, WNOHANG) == 0 or die "the server did not start\n" . log_end();
		sleep 0.1;
	}
}

# Stops the server and waits for its end: as it should be, or at once.
sub stop_server
{
	my ($signal) = @_;

	return if !$pid;
	kill $signal // 'INT', $pid;
	waitpid $pid, 0;
	undef $pid;
}

# Runs SQL as the superuser and returns what it gave, unaligned.
sub query
{
	my ($database, $sql, %variables) = @_;
	my @command = (
		qw(psql -XAtq --set ON_ERROR_STOP=1),
		'--dbname', $database, map { ('--set', "$_=$variables{$_}") } sort keys %variables);
	my $file = "$directory/query.sql";

	open my $out, '>', $file or die "$file: $!\n";
	print $out $sql;
	close $out;
	open my $in, '-|', @command, '--file', $file or die "psql: $!\n";
	my $result = do { local $/; <$in> }
	  // '';
	close $in or die "psql failed: $sql\n" . log_end();
	chomp $result;
	return $result;
}

# Waits until all sessions but this query's, and those that only hold a transaction open, are gone: a
# backend reports what it did when it ends.
sub wait_for_sessions
{
	my $others = q{SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
			AND state IS DISTINCT FROM 'idle in transaction'};

	sleep 0.02 while query('postgres', $others) > 0;
}

# Returns how long the log is.
sub log_size
{
	return -s "$directory/log";
}

# Returns what was logged since the log was so long.
sub log_since
{
	my ($size) = @_;

	open my $log, '<', "$directory/log" or die "$directory/log: $!\n";
	seek $log, $size, 0;
	local $/;
	return <$log> // '';
}

# Returns the end of the log, for a person to see what went wrong.
sub log_end
{
	return scalar qx(tail -n 20 '$directory/log');
}

1;
