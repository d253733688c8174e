# On what was measured, and when: the machine, and the versions of what ran.
package Bench::Machine;

use strict;
use warnings;

use Exporter 'import';
use POSIX qw(strftime);

use Bench::Client qw($bench);

our @EXPORT_OK = qw(machine);

# Returns what a pattern finds in a file, or all of what it finds.
sub found
{
	my ($path, $pattern) = @_;

	open my $file, '<', $path or die "$path: $!\n";
	local $/;
	return <$file> =~ /$pattern/g;
}

# Returns the first line that a command prints.
sub first_line
{
	my ($command) = @_;
	my ($line)    = qx($command) =~ /^(.*)/;

	return $line;
}

# Returns names and values, for people to read.
sub machine
{
	my ($command)   = @_;
	my @models      = found('/proc/cpuinfo',           qr/^model name\s*:\s*(.*)$/m);
	my ($memory)    = found('/proc/meminfo',           qr/^MemTotal:\s*(\d+)/m);
	my ($extension) = found("$bench/../seats.control", qr/^default_version = '(.*)'/m);

	return (
		[ 'date',            strftime('%Y-%m-%d', gmtime) ],
		[ 'command',         "`$command`" ],
		[ 'seats',           $extension ],
		[ 'PostgreSQL',      first_line('postgres --version') =~ s/^\D*//r ],
		[ 'compiler',        first_line(($ENV{CC} // 'cc') . ' --version') ],
		[ 'instructions by', first_line('valgrind --version') . ', callgrind' ],
		[ 'kernel',          first_line('uname -sr') ],
		[ 'processors',      @models . ' x ' . ($models[0] // first_line('uname -m')) ],
		[ 'memory',          sprintf('%.0f GB', $memory / 2**20) ],
		[ 'file system',     first_line(q{df --output=fstype . | tail -n 1}) ]);
}

1;
