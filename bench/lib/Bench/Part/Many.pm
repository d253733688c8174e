# Assigning a thousand seats: by one call, by a call each in one transaction, and in a
# transaction each. Commits wait for the disk.
package Bench::Part::Many;

use strict;
use warnings;

use Bench::Client   qw(run_client write_input);
use Bench::Data     qw(make_subscription);
use Bench::Results  qw(record);
use Bench::Server   qw(start_server stop_server);
use Bench::Variants qw(interleaved);

my $database  = 'shop';
my $seats     = 1000;
my %options   = (
	database    => $database,
	role        => 'bench_backend',
	pinned      => 1,
	preparation => 'SELECT bench.touch_pages()');
my $addresses = 0;

# Returns so many addresses that nobody had before.
sub new_addresses
{
	my ($count) = @_;

	return map { 'new' . ++$addresses . '@example.com' } 1 .. $count;
}

# Runs one call that assigns all seats, after another like it.
sub one_call
{
	my ($subscription) = @_;
	my @lines = map { [ $subscription, '{' . join(',', new_addresses($seats)) . '}' ] } 1 .. 2;

	return run_client(
		'calls/assign_seats', write_input([qw(subscription emails)], @lines),
		%options,
		warm_up => 1,
		calls   => 1);
}

# Runs a call for each seat, after some others.
sub call_each
{
	my ($subscription, %more) = @_;
	my $warm_up = 60;
	my @lines   = map { [ $subscription, $_ ] } new_addresses($warm_up + $seats);

	return run_client(
		'calls/assign_seat', write_input([qw(subscription email)], @lines),
		%options,            %more,
		warm_up => $warm_up,
		calls   => $seats);
}

my %ways = (
	'one call'                        => \&one_call,
	'a call each, one transaction'    => sub { call_each(@_, one_transaction => 1) },
	'a call each, a transaction each' => \&call_each,);

sub run
{
	my ($plan) = @_;

	start_server(undef, fsync => 'on');
	foreach my $way (interleaved($plan->{speed_rounds}, sort keys %ways))
	{
		my ($subscription) = make_subscription($database, "many$addresses-", 1);
		my $run = $ways{$way}->($subscription);

		record('many', $way, 'all', 'seats per second', $seats / $run->{seconds});
	}
	stop_server();
}

1;
