# What a claim costs in instructions, by variant; where they go; and the first claim of a
# session.
package Bench::Part::Instructions;

use strict;
use warnings;

use Bench::Callgrind qw(start_callgrind session_instructions instructions_per_call
  profile_per_call);
use Bench::Data     qw(claims_input);
use Bench::Results  qw(record);
use Bench::Server   qw(start_server stop_server query);
use Bench::Variants qw(@variants role_of interleaved);

my $database = 'shop';
my $plain    = 'plain';

# Returns the input of so many claims.
my $claims = sub { claims_input($database, $_[0]) };

# Counts a claim as it is in production, and writes where those of the extension's own go.
sub measure
{
	my ($plan,  $variant) = @_;
	my ($count, @files)   = instructions_per_call(
		"variants/$variant", $claims,
		database => $database,
		role     => role_of($variant),
		warm_up  => 60,
		calls    => $plan->{claims});

	record('instructions', $variant, 'all', 'instructions', $count);
	write_profile($plan, @files) if $variant eq 'seats';
}

# Copies the database, and drops what keeps the extension's rules: its triggers and CHECKs.
sub make_plain
{
	start_server();
	query('postgres', "CREATE DATABASE $plain TEMPLATE $database");
	query($plain, q{
		ALTER TABLE seats.customer_seats DISABLE TRIGGER ALL,
			DROP CONSTRAINT customer_seats_status_check, DROP CONSTRAINT customer_seats_purchase_check;
		ALTER TABLE seats.events DROP CONSTRAINT events_type_check});
	stop_server();
}

# Counts a claim on tables without the extension's triggers and CHECKs: those who write their own SQL
# pay for rules that their own tables might not have.
sub measure_plain
{
	my ($plan, $variant) = @_;
	my ($count) = instructions_per_call(
		"variants/$variant", $claims,
		database => $plain,
		role     => role_of($variant),
		warm_up  => 60,
		calls    => $plan->{claims});

	record('instructions', $variant, 'plain tables', 'instructions', $count);
}

# Counts the first claim of a session, with what it has to load and prepare.
sub measure_cold
{
	my ($plan, $variant) = @_;
	my %options = (database => $database, role => role_of($variant));
	my ($empty, $one) = map {
		(session_instructions("variants/$variant", $claims->($_), %options, calls => $_))[0]
	} 0, 1;

	record('instructions', $variant, 'first of a session', 'instructions', $one - $empty);
}

# Writes the functions that cost a claim most.
sub write_profile
{
	my ($plan, @files) = @_;

	open my $out, '>', "$plan->{results}/profile-seats.txt" or die "profile: $!\n";
	for my $kind ([ 'no', 'a function alone' ], [ 'yes', 'a function with all that it calls' ])
	{
		print $out
		  "Thousands of instructions per claim, by callgrind, of $kind->[1]:\n\n";
		printf $out "%10.2f  %s\n", $_->[1] / 1000, $_->[0]
		  for profile_per_call(@files, $plan->{claims}, $kind->[0]);
		print $out "\n";
	}
	close $out or die "profile: $!\n";
}

sub run
{
	my ($plan) = @_;

	make_plain();
	start_callgrind($database);
	measure($plan, $_) for interleaved($plan->{rounds}, @variants);
	measure_plain($plan, $_) for interleaved($plan->{rounds}, @variants);
	measure_cold($plan, $_) for interleaved($plan->{rounds}, @variants);
	stop_server();
}

1;
