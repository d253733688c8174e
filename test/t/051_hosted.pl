# The SQL of docs/hosted.md runs: a server without the extension uses the seats of another by postgres_fdw, as
# roles with no more rights than a service gives, and what the page says of transactions and passwords holds.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $documentation = slurp_file("$FindBin::RealBin/../../docs/hosted.md");
my $subscription  = 'dddddddd-0000-4000-8000-000000000001';

# Returns the statements of a section.
sub section
{
	my ($heading) = @_;
	my ($section) = $documentation =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms;

	return $section =~ /^```sql\n(.*?)^```/msg;
}

# The seats server -------------------------------------------------------------------------------------

my $seats = start_node('seats', "log_statement = all\nlog_parameter_max_length = 0");
query('CREATE DATABASE seats');
in_database('seats');
foreach my $sql (section('On the seats server'))
{
	is(outcome("SET client_min_messages = warning; $sql"), '', 'the seats server is set up');
}
query("ALTER ROLE shop PASSWORD 'secret'");
unlink $seats->data_dir . '/pg_hba.conf';
$seats->append_conf('pg_hba.conf', "local seats shop scram-sha-256\nlocal all all trust");
$seats->reload;

# The hosted database ----------------------------------------------------------------------------------

my $hosted = start_node('hosted');
in_database('postgres');
my ($extension, @import) = section('In the hosted database');
query(qq{
	$extension;
	CREATE ROLE administrator;
	CREATE ROLE app;
	GRANT CREATE ON DATABASE postgres TO administrator;
	GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO administrator;
	CREATE TABLE teams (name text, subscription_id uuid);
	GRANT ALL ON teams TO app});
my $address = sprintf "host '%s', port '%s'", $seats->host, $seats->port;
foreach my $sql (@import)
{
	ok($sql =~ s/host 'seats\.example\.com', port '5432'/$address/, 'the address is another');
	is(outcome("SET SESSION AUTHORIZATION administrator; $sql"), '', 'the hosted database is set up');
}
is(query("SELECT count(*) FROM pg_extension WHERE extname = 'seats'"), 0, 'without the extension');

# Runs statements as the application, in the hosted database.
sub as_app
{
	my ($sql) = @_;

	return outcome("SET SESSION AUTHORIZATION app; $sql");
}

# Returns a statement that calls a function on the seats server.
sub calling
{
	my ($function, $arguments) = @_;

	return "SELECT seats.call('$function', '$arguments')";
}

# Returns a statement that assigns a seat.
sub assigning
{
	my ($email) = @_;

	return calling('assign_seat', qq({"subscription_id": "$subscription", "email": "$email"})) . " ->> 'invitation_token'";
}

# Use --------------------------------------------------------------------------------------------------

my ($buy, $join, $cancel) = section('Use it');
is(as_app(q{
		INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled)
		VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 'Globex', 'globex', true);
		INSERT INTO seats.products (id, organization_id, name)
		VALUES ('bbbbbbbb-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', 'Planner');
		INSERT INTO seats.customers (id, organization_id, email)
		VALUES ('cccccccc-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', 'ada@globex.example')}),
	'', 'records are written to foreign tables');
my $token = as_app($buy);
like($token, qr/^seats_inv_\w+$/, 'a purchase is recorded and a seat assigned, in one transaction');
is(as_app($join), 'Globex|grace@globex.example|pending', 'seats are joined with own tables');

my $claim = calling('claim_seat', qq({"invitation_token": "$token", "idempotency_key": "k"})) . " #>> '{seat,status}'";
is(as_app($claim), 'claimed', 'a seat is claimed');
is(as_app($claim), 'claimed', 'and the answer given again');
my ($id, $customer) = split /\|/, as_app('SELECT id, customer_id FROM seats.current_seats');
is(as_app(calling('has_seat', qq({"product_id": "bbbbbbbb-0000-4000-8000-000000000001", "customer_id": "$customer"}))),
	'true', 'and its holder may use the product');
is(as_app(calling('resend_invitation', qq({"seat_id": "$id"}))), 'PT400 seat_not_pending', 'errors arrive as they were raised');
is(as_app(calling('rotate_jwt_key', '{}')), '20000 case not found', 'no other function can be called');
is(as_app(calling('revoke_seat', qq({"seat_id": "$id"})) . " ->> 'status'"), 'revoked', 'a seat is revoked');
like(as_app(calling('resend_invitation', '{}')), qr/^PT422/, 'arguments that are missing are null');

# Transactions -----------------------------------------------------------------------------------------

my $counts = 'SELECT (SELECT count(*) FROM teams), count(*) FROM seats.current_seats';
as_app('BEGIN; INSERT INTO teams VALUES (NULL, NULL);' . assigning('lost@globex.example') . '; ROLLBACK');
is(as_app($counts), '1|0', 'what is rolled back here is rolled back there');
is(as_app('BEGIN; INSERT INTO teams VALUES (NULL, NULL);' . assigning('no address') . '; COMMIT') =~ s/ .*//sr,
	'PT422', 'an error there');
is(as_app($counts), '1|0', 'undoes what was done here');

my $first = $hosted->background_psql('postgres');
$first->query_safe('SET SESSION AUTHORIZATION app; BEGIN;' . assigning('first@globex.example'));
my $second = IPC::Run::start(
	[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-c', 'SET SESSION AUTHORIZATION app', '-c', assigning('second@globex.example'),
		'-d', $hosted->connstr('postgres') ],
	'>', \my $assigned, '2>', \my $errors);
ok($seats->poll_query_until('seats',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'shop' AND wait_event_type = 'Lock'}),
	'a second assign waits for the first');
$first->query_safe('COMMIT');
$second->finish;
$first->quit;
is($assigned, '', 'and gives no token');
like($errors, qr/ERROR:  40001: could not serialize access due to concurrent update/, 'but 40001');
like(as_app(assigning('second@globex.example')), qr/^seats_inv_/, 'and succeeds when it is repeated');
is(as_app(assigning('second@globex.example')), 'PT400 seat_already_assigned', 'once');

like(as_app(qq{INSERT INTO seats.products (id, organization_id, name)
		VALUES ('$subscription', 'aaaaaaaa-0000-4000-8000-000000000001', 'x') ON CONFLICT (id) DO UPDATE SET name = 'x'}),
	qr/^42P10 /, 'ON CONFLICT DO UPDATE does not work');

# Passwords and rights ---------------------------------------------------------------------------------

my $passwords = "SELECT count(umoptions) FROM pg_user_mappings";
is(query($passwords), 1, 'a superuser reads the password');
is(as_app($passwords), 0, 'the application does not');
is(outcome("SET SESSION AUTHORIZATION administrator; $passwords"), 0, 'nor does the administrator');
like(as_app("CREATE USER MAPPING FOR app SERVER seats"), qr/^42501 /, 'the application maps itself to no other role');

my ($change) = $documentation =~ /`(ALTER\s+USER MAPPING[^`]*)`/;
is(outcome("SET SESSION AUTHORIZATION administrator; $change"), '', 'the password is replaced');
like(as_app('SELECT FROM seats.products'), qr/^08001 /, 'by one that the seats server has not got yet');
on_node($seats);
in_database('seats');
query("ALTER ROLE shop PASSWORD '...'");
like(outcome('SET SESSION AUTHORIZATION shop; SELECT FROM seats.jwt_keys'), qr/^42501 /, 'the role reads no key');
like(outcome('SET SESSION AUTHORIZATION shop; SELECT invitation_token_hash FROM seats.customer_seats'),
	qr/^42501 /, 'and no hash');
on_node($hosted);
in_database('postgres');
like(as_app(calling('set_seats', qq({"subscription_id": "$subscription", "seats": 1}))), qr/^23514 /,
	'fewer seats than are assigned are refused, unless the call says otherwise');
is(as_app(calling('set_seats', qq({"subscription_id": "$subscription", "seats": 1, "surplus": "revoke"}))), 1,
	'the number of seats is lowered');
is(as_app("$cancel; SELECT count(*) FROM seats.current_seats"), 0, 'a canceled subscription has no seats');

my $log = slurp_file($seats->logfile);
like($log, qr/execute.*INSERT INTO gateway\.calls/, 'the seats server logs the calls');
unlike($log, qr/seats_(inv|cst)_\w/, 'and no token');

done_testing();
