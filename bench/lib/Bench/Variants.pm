# The ways to claim a seat that are compared, and the roles that they run as.
package Bench::Variants;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(shuffle);

our @EXPORT_OK = qw(@variants role_of interleaved);

our @variants = qw(seats bare sql plpgsql app);

# Functions with their owner's rights need no right on a table.
my %roles = (
	(map { $_ => 'bench_caller' } qw(seats plpgsql)),
	(map { $_ => 'bench_writer' } qw(bare sql app)));

# Returns the role that a variant runs as.
sub role_of
{
	my ($variant) = @_;

	return $roles{$variant};
}

# Returns so many rounds of some things, each round in an order of its own, so that what drifts
# in the course of a run is nobody's advantage.
sub interleaved
{
	my ($rounds, @things) = @_;

	return map { shuffle @things } 1 .. $rounds;
}

1;
