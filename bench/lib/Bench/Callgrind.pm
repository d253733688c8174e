# Counting instructions: a server runs under callgrind, which counts what each backend executes
# in user mode.  What a call costs is the difference between two sessions, one of which makes
# more of them; so connecting, preparing and warming up do not count.
package Bench::Callgrind;

use strict;
use warnings;

use Exporter 'import';
use List::Util  qw(max min);
use Time::HiRes qw(sleep);

use Bench::Client qw(run_client);
use Bench::Server qw(start_server query directory);

our @EXPORT_OK =
  qw(start_callgrind session_instructions instructions_per_call profile_per_call);

# Starts the server under callgrind. The first session in a database makes files that all
# others use.
sub start_callgrind
{
	my ($database, %settings) = @_;
	my $files = directory() . '/callgrind.%p';

	start_server([ qw(valgrind --quiet --tool=callgrind), "--callgrind-out-file=$files" ],
		%settings);
	query($database, 'SELECT 1');
}

# Returns the path of what callgrind wrote when a backend ended.
sub output_of
{
	my ($backend) = @_;

	sleep 0.02 while kill 0, $backend;
	return directory() . "/callgrind.$backend";
}

# Runs a session of some calls; returns how many instructions its backend executed, and the
# file that tells where.
sub session_instructions
{
	my ($call, $input, %options) = @_;
	my $path = output_of(run_client($call, $input, %options)->{backends});

	open my $file, '<', $path or die "$path: $!\n";
	my ($total) = map { /^(?:totals|summary): (\d+)/ ? $1 : () } <$file>;
	return $total, $path;
}

# Returns the instructions of one call, from two sessions: the calls of one are the warm-up of
# the other.  The function that is given makes the input of so many calls.
sub instructions_per_call
{
	my ($call,    $make_input, %options) = @_;
	my ($warm_up, $calls) = delete @options{qw(warm_up calls)};
	my ($short,   $short_file) =
	  session_instructions($call, $make_input->($warm_up), %options, calls => $warm_up);
	my ($long, $long_file) = session_instructions($call, $make_input->($warm_up + $calls),
		%options, calls => $warm_up + $calls);

	return ($long - $short) / $calls, $short_file, $long_file;
}

# Returns the instructions of each function by callgrind's own evaluation, of it alone or with
# all that it called. A function of a library comes twice, since it is called by way of a stub,
# which in the second case has all that the function has.
sub functions
{
	my ($path, $inclusive) = @_;
	my %cost;

	open my $in, '-|', 'callgrind_annotate', '--threshold=100', '--auto=no',
	  "--inclusive=$inclusive", $path
	  or die "callgrind_annotate: $!\n";
	while (<$in>)
	{
		my ($count, $name) = /^ *([\d,]+) (?:\([ \d.]+%\) +)?\S*?:(\S+)/ or next;

		$count =~ tr/,//d;
		$cost{$name} =
		  $inclusive eq 'yes' ? max($count, $cost{$name} // 0) : $count + ($cost{$name} // 0);
	}
	close $in or die "callgrind_annotate failed\n";
	return \%cost;
}

# Returns, for the functions that cost a call most, pairs of their names and instructions, from
# the files of two sessions.
sub profile_per_call
{
	my ($short_file, $long_file, $calls, $inclusive) = @_;
	my ($short, $long) = map { functions($_, $inclusive) } $short_file, $long_file;
	my %cost  = map  { $_ => ($long->{$_} - ($short->{$_} // 0)) / $calls } keys %$long;
	my @names = sort { $cost{$b} <=> $cost{$a} || $a cmp $b } keys %cost;

	return map { [ $_, $cost{$_} ] } @names[ 0 .. min($#names, 29) ];
}

1;
