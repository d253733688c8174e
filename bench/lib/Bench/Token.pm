# Tokens as the extension issues them, for seats and sessions that are written into the tables
# by hand: issuing millions by assign_seats() would take longer than all that is measured.
package Bench::Token;

use strict;
use warnings;

use Compress::Zlib qw(crc32);
use Digest::MD5    qw(md5);
use Digest::SHA    qw(sha256 sha256_hex);
use Exporter 'import';

our @EXPORT_OK = qw(write_tokens);

my @digits        = (0 .. 9, 'A' .. 'Z', 'a' .. 'z');
my $secret_length = 43;

# Returns six digits of base62.
sub base62
{
	my ($number) = @_;

	return join '', map { $digits[ int($number / 62**$_) % 62 ] } reverse 0 .. 5;
}

# Returns a token of an organization, whose route is given in digits.
sub token
{
	my ($prefix, $route) = @_;
	my $token = join '', $prefix, $route, map { $digits[ rand 62 ] } 1 .. $secret_length;

	return $token . base62(crc32($token));
}

# Returns the digits of the route of the organization that fill.sql gives a number.
sub route
{
	my ($number) = @_;

	return base62(unpack 'N', sha256(md5("organization$number")));
}

# Writes the rows of bench.tokens: so many, of seats that lie evenly among all.
sub write_tokens
{
	my ($path, $seats, $known) = @_;
	my %routes;

	open my $file, '>', $path or die "$path: $!\n";
	for my $place (0 .. $known - 1)
	{
		my $n            = int($place * $seats / $known);
		my $organization = int($n / 10_000);
		my $route        = $routes{$organization} //= route($organization);
		my @tokens       = map { token($_, $route) } 'seats_inv_', 'seats_cst_';

		print $file join("\t", $n, map { ($_, '\\\\x' . sha256_hex($_)) } @tokens), "\n";
	}
	close $file or die "$path: $!\n";
}

1;
