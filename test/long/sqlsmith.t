# sqlsmith sends statements that it makes up from the catalog, with the extension's functions, types and tables and
# some rows in them.  No process crashes, and no error of the extension's is an internal one.
#
#   SQLSMITH_SECONDS=30    for how long; 600 unless given
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $seconds = $ENV{SQLSMITH_SECONDS} // 600;

plan skip_all => 'sqlsmith is not installed' unless grep { -x "$_/sqlsmith" } split /:/, $ENV{PATH};

# The place in the sources that raised an error is logged with it.
my $node = start_node('sqlsmith', qq{
log_error_verbosity = verbose
log_min_error_statement = error
log_min_messages = warning
log_statement = none
});
create_shop(1000);
query(q{
	SELECT count(*) FROM seats.assign_seats('00000000-0000-0000-0000-000000000001', NULL,
		ARRAY(SELECT n || '@example.com' FROM generate_series(1, 500) AS n));
	SELECT count(seats.claim_seat(invitation_token)) FROM seats.assign_seats('00000000-0000-0000-0000-000000000001', NULL,
		ARRAY(SELECT 'c' || n || '@example.com' FROM generate_series(1, 100) AS n));
	-- It is no superuser, who could end processes or write files, but may do all with the extension.
	CREATE ROLE smith LOGIN;
	GRANT USAGE ON SCHEMA seats, seats_http TO smith;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA seats, seats_http TO smith;
	GRANT ALL ON ALL TABLES IN SCHEMA seats TO smith;
	CREATE POLICY smith ON seats.customer_seats TO smith USING (true) WITH CHECK (true);
	ALTER ROLE smith SET statement_timeout = '2s';
});

my $run = IPC::Run::start(
	[ 'sqlsmith', '--exclude-catalog', '--verbose', '--target=' . $node->connstr('postgres') . ' user=smith' ],
	'>', \my $output, '2>', \my $errors, IPC::Run::timer($seconds + 60));
my $end = time + $seconds;
IPC::Run::pump_nb($run), select(undef, undef, undef, 0.5) while time < $end && $run->pumpable;
my $lasted = time >= $end;
$run->kill_kill;

my $log = slurp_file($node->logfile);
my @places;
# SQLSTATE stands before the message, and the line of the place some lines below.
push @places, "$1 $2" while $log =~ /ERROR:  (\w{5}): [^\n]*\n(?:(?!ERROR:)[^\n]*\n)*?[^\n]*LOCATION:  ([^\n]*)/g;
my %sources = map { m,([^/]*)$, => 1 } glob "$FindBin::RealBin/../../src/*.c";
my @ours = grep { /, (\w+\.c):/ && $sources{$1} } @places;
my ($queries) = ($errors // '') =~ /.*queries: (\d+)/s;

note scalar(@places) . ' errors, ' . scalar(@ours) . ' of them raised in our sources, ' . ($queries // '?') . ' statements';
ok($lasted, "it went on for $seconds seconds") or diag $output, $errors;
cmp_ok(scalar(@ours), '>', 0, "the extension's functions were called");
is_deeply([ grep { /^XX/ } @ours ], [], 'no error of theirs is an internal one');
unlike($log, qr/PANIC|TRAP|terminated by signal|server process .* exited/, 'no process crashed');
is($node->safe_psql('postgres', q{
	SELECT p.id FROM (SELECT id, seats, assigned_seats FROM seats.subscriptions) AS p
	WHERE assigned_seats > seats OR assigned_seats <> (SELECT count(*) FROM seats.customer_seats
		WHERE subscription_id = p.id AND status <> 'revoked')}), '', 'counts are right');

done_testing();
