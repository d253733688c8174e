# Calls of the benchmark's client: what it is given to do, and what it tells.
package Bench::Client;

use strict;
use warnings;

use Exporter 'import';
use File::Basename        qw(dirname);
use File::Spec::Functions qw(rel2abs);

our @EXPORT_OK = qw(build_client run_client write_input $bench);

# The directory bench/ of the sources.
our $bench = dirname(dirname(dirname(rel2abs(__FILE__))));

my ($directory, $inputs);

# Compiles the client in a directory, where input files go as well.
sub build_client
{
	($directory) = @_;
	my ($include, $library) =
	  map { chomp(my $path = qx(pg_config --$_)); $path } qw(includedir libdir);
	my @command = (
		$ENV{CC} // 'cc', qw(-std=gnu11 -O2 -Wall -Wextra),
		"-I$include",     "$bench/client.c",
		'-o',             "$directory/client",
		"-L$library",     "-Wl,-rpath,$library",
		qw(-lpq -pthread));

	system(@command) == 0 or die "the client was not built\n";
}

# Writes the input of calls, the names of fields and then their values, and returns its path.
sub write_input
{
	my ($fields, @rows) = @_;
	my $path = "$directory/input" . ++$inputs;

	open my $file, '>', $path or die "$path: $!\n";
	print $file map { join("\t", @$_) . "\n" } $fields, @rows;
	close $file or die "$path: $!\n";
	return $path;
}

# Runs a call, "variants/NAME" or "calls/NAME", with the lines of an input; returns what the
# client tells, and whether all calls did what they should. The input is used up.
sub run_client
{
	my ($call, $input, %options) = @_;
	my %letters = (clients => 'c', warm_up => 'w', calls => 'n', preparation => 's');
	my %flags   = (pinned  => 'p', one_transaction => '1', failing => 'f', binary => 'b');
	local @ENV{qw(PGDATABASE PGUSER)} = @options{qw(database role)};
	my @command = (
		"$directory/client",
		(   map { defined $options{$_} ? ("-$letters{$_}", $options{$_}) : () }
			sort keys %letters),
		(map { $options{$_} ? "-$flags{$_}" : () } sort keys %flags),
		"$bench/$call.sql",
		$input);

	open my $out, '-|', @command or die "@command: $!\n";
	my %result = map { chomp; split /\t/, $_, 2 } <$out>;
	$result{good} = close $out;
	unlink $input;
	die "@command: failed\n" if !$result{good} && !$options{may_fail};
	return \%result;
}

1;
