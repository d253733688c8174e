# What was measured: values by what, of what, under which conditions, and their spread.
package Bench::Results;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(sum);

our @EXPORT_OK = qw(record matching values_of median figure mean_of write_results);

my (@order, %values);

# Adds a value to those of a measure of something under some condition.
sub record
{
	my ($part, $what, $condition, $measure, @new) = @_;
	my $key = join "\t", $part, $what, $condition, $measure;

	push @order,             $key if !$values{$key};
	push @{ $values{$key} }, @new;
}

# Returns what was measured in a part: part, what, condition and measure of each, in the order
# of measuring.
sub matching
{
	my ($part) = @_;

	return grep { $_->[0] eq $part } map { [ split /\t/ ] } @order;
}

# Returns the values of a measure, in order of size.
sub values_of
{
	return sort { $a <=> $b } @{ $values{ join "\t", @_ } // [] };
}

# Returns the middle one of some numbers, or the mean of the middle two.
sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return ($sorted[ @sorted / 2 ] + $sorted[ (@sorted - 1) / 2 ]) / 2;
}

# Returns the median of a measure, or undef where it was not measured.
sub figure
{
	my @values = values_of(@_);

	return @values ? median(@values) : undef;
}

# Returns the mean of a measure, or undef where it was not measured: for what is rare and much,
# such as the split of an index's page.
sub mean_of
{
	my @values = values_of(@_);

	return @values ? sum(@values) / @values : undef;
}

# Writes all to a file, a measure to a line.
sub write_results
{
	my ($path) = @_;

	open my $file, '>', $path or die "$path: $!\n";
	print $file join("\t", qw(part what condition measure values median min max)), "\n";
	for my $key (@order)
	{
		my @sorted = sort { $a <=> $b } @{ $values{$key} };

		print $file join("\t",
			$key,
			scalar @sorted,
			map { sprintf '%.6g', $_ } median(@sorted),
			@sorted[ 0, -1 ]),
		  "\n";
	}
	close $file or die "$path: $!\n";
}

1;
