# What other modules and settings add to a claim; and check_session() beside authenticate().
package Bench::Part::Extras;

use strict;
use warnings;

use MIME::Base64 qw(decode_base64url);

use Bench::Callgrind qw(start_callgrind instructions_per_call);
use Bench::Client    qw(write_input);
use Bench::Data      qw(fill_database claims_input sessions_input);
use Bench::Results   qw(record);
use Bench::Server    qw(start_server stop_server query);
use Bench::Variants  qw(interleaved);

my $database = 'extras';
my $warm_up  = 60;

# What is added, with its settings, and the module that must be there for it.
my %added = (
	'nothing'                           => {},
	'track_functions = all'             => { track_functions => 'all' },
	'pg_stat_statements'                => { shared_preload_libraries => 'pg_stat_statements' },
	'pgaudit, log = none'               => { shared_preload_libraries => 'pgaudit' },
	'pgaudit, log = function and write' => {
		shared_preload_libraries => 'pgaudit',
		'pgaudit.log'            => 'function,write' },
	'session_token_format = jwt'        => { 'seats.session_token_format' => 'jwt' },);

# Tells whether the server can load what is added.
sub available
{
	my ($library) = $added{ $_[0] }{shared_preload_libraries} // return 1;
	chomp(my $directory = qx(pg_config --pkglibdir));

	return 1 if -e "$directory/$library.so";
	print "extras: $_[0] is skipped, because the server has no $library\n";
	return 0;
}

# Returns the input of so many calls with tokens of sessions.
my $sessions = sub { sessions_input($database, $_[0]) };

# Counts a call, and records it.
sub measure
{
	my ($plan, $what, $call, $make_input, %options) = @_;
	my ($count) = instructions_per_call(
		$call, $make_input,
		database => $database,
		role     => 'bench_backend',
		warm_up  => $warm_up,
		calls    => $plan->{claims},
		%options);

	record('extras', $what, 'all', 'instructions', $count);
}

# Counts a call that only reads, which repeats more exactly, and claims, where something is added.
sub measure_added
{
	my ($plan, $name) = @_;

	start_callgrind($database, %{ $added{$name} });
	measure($plan, "authenticate, $name", 'calls/authenticate', $sessions)
	  if $name !~ /jwt/;
	measure($plan, "claim_seat, $name", 'variants/seats',
		sub { claims_input($database, $_[0]) },
		role => 'bench_caller');
	stop_server();
}

# Returns the JWT of a session.
sub make_jwt
{
	start_server(undef, 'seats.session_token_format' => 'jwt');
	my $input = claims_input($database, 1);

	open my $file, '<', $input or die "$input: $!\n";
	my (undef, $token) = map { (split /\t/)[0] } <$file>;
	close $file;
	my $jwt =
	  query($database, "SELECT customer_session_token FROM seats.claim_seat('$token')");
	stop_server();
	return $jwt;
}

# Counts the checks of a session on each request of its customer. PostgREST hands over the claims
# of a JWT in a setting.
sub measure_checks
{
	my ($plan, $jwt) = @_;
	my $claims = decode_base64url((split /\./, $jwt)[1]);
	my %checks = (
		'authenticate, a JWT' => [ sub { write_input(['token'], map { [$jwt] } 1 .. $_[0]) } ],
		'check_session'       => [
			sub { write_input([], map { [] } 1 .. $_[0]) },
			preparation => "SELECT set_config('request.jwt.claims', '$claims', false)" ]);

	start_callgrind($database);
	foreach my $check (interleaved($plan->{rounds}, sort keys %checks))
	{
		measure($plan, $check, 'calls/' . $check =~ s/,.*//r, @{ $checks{$check} });
	}
	stop_server();
}

sub run
{
	my ($plan) = @_;
	my @added  = grep { available($_) } sort keys %added;
	my $seats  = 10_000 + $plan->{rounds} * @added * (2 * $warm_up + $plan->{claims});

	start_server();
	fill_database($database, $seats, $seats);
	stop_server();
	measure_checks($plan, make_jwt());
	measure_added($plan, $_) for interleaved($plan->{rounds}, @added);
}

1;
