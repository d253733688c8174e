# The extension works when a plain role owns all its objects, and nothing then runs with a superuser's rights,
# whatever an application attaches to its tables.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsCalls;
use SeatsTest;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $node = start_node('owners', 'wal_level = logical');

# Returns the SQL in a section of a page.
sub documented
{
	my ($page, $heading) = @_;
	my ($section) = slurp_file("$FindBin::RealBin/../../docs/$page.md") =~ /^#+ \Q$heading\E\n(.*?)(?=^#+ |\z)/ms;
	my @blocks = ($section // '') =~ /^```sql\n(.*?)^```/msg;

	die "no SQL in section $heading" if !@blocks;
	return @blocks;
}
my ($create_owner, $give) = documented('operations', 'A plain role as the owner');
my ($trigger) = documented('security', 'Owner and triggers');
my ($revoke) = documented('operations', 'After a restore');

sub create_database
{
	my ($name, @options) = @_;

	in_database('postgres');
	query("CREATE DATABASE $name @options");
	in_database($name);
}

# Returns who owns how many of the objects in the schemas, and the schemas.
my $owners = q{
	SELECT owner, count(*) > 100 AS many FROM (
		SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname ~ '^seats'
		UNION ALL SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace::regnamespace::text ~ '^seats'
		UNION ALL SELECT pg_get_userbyid(typowner) FROM pg_type WHERE typnamespace::regnamespace::text ~ '^seats'
		UNION ALL SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace::regnamespace::text ~ '^seats') AS o (owner)
	GROUP BY owner};

query($create_owner);
query('CREATE ROLE dba SUPERUSER; CREATE ROLE app_dev');
query("CREATE ROLE $_") foreach qw(anonymous backend customer);

# ---- All functions ----

# Gives what calls come to, all of them, as "name: outcome" with an error or nothing.
sub outcomes
{
	my @outcomes;

	invite(100);
	foreach my $calls (\%calls, \%failing, \%changes)
	{
		foreach my $name (sort keys %$calls)
		{
			my $outcome = outcome($calls->{$name});

			push @outcomes, "$name: " . ($outcome =~ /^([0-9A-Z]{5} .*)/m ? $1 : 'succeeds');
		}
	}
	return join "\n", @outcomes;
}

create_database('before');
create_calls_shop();
my $outcomes = outcomes();
unlike($outcomes, qr/: 42/, 'with a superuser as the owner all calls come to what they should');

# Settings of the database while the shop is made, and what gives it away.
my %ways = (
	'ALTER ... OWNER TO' => [ [], $give ],
	'ALTER ... OWNER TO, without direct access' => [ ['seats.direct_access = off'], $give ],
	'ALTER ... OWNER TO, with logical events' => [ [q{seats.event_sink = 'logical'}], $give ],
	'REASSIGN OWNED' => [ ['role = dba'], 'ALTER DATABASE given RESET role; REASSIGN OWNED BY dba TO seats_owner' ]);
foreach my $way (sort keys %ways)
{
	my ($settings, $change) = @{ $ways{$way} };

	create_database('given');
	query("ALTER DATABASE given SET $_") foreach @$settings;
	create_calls_shop();
	query($change);
	is(query($owners), 'seats_owner|t', "$way: a plain role owns everything");
	is(outcomes(), $outcomes, "$way: all calls come to the same");

	# Those who call are given what they need, by the owner.
	query(q{SET ROLE seats_owner; SELECT seats.grant_access('anonymous', 'backend', 'customer')});
	my $token = query(q{SET ROLE backend; SELECT invitation_token FROM seats.assign_seat((SELECT id FROM seats.subscriptions ORDER BY id LIMIT 1), email => 'role@example.com')});
	is(query("SET ROLE anonymous; SELECT (seat).status FROM seats.claim_seat('$token')"), 'claimed', "$way: a role claims a seat");
	is( query(q{
			SELECT set_config('request.jwt.claims', json_build_object('sub', id)::text, false) IS NULL FROM seats.customers WHERE email = 'role@example.com';
			SET ROLE customer; SELECT customer_email FROM seats.my_seats}),
		"f\nrole\@example.com", "$way: a customer sees the seat");
	is(outcome('SET ROLE anonymous; SELECT FROM seats.customers'), '42501 permission denied for table customers', "$way: and not more");
	in_database('postgres');
	query('DROP DATABASE given') if $way ne 'ALTER ... OWNER TO';
	query('ALTER DATABASE given RENAME TO owned') if $way eq 'ALTER ... OWNER TO';
}

# ---- Dump, restore, update ----

in_database('owned');
my $rows = table_rows('jwt_keys');
$node->command_ok([ 'pg_dump', '--format=custom', "--file=$directory/owned", 'owned' ], 'it is dumped');
create_database('restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname=restored', "$directory/owned" ], 'and restored');
is(table_rows('jwt_keys'), $rows, 'all rows are there');
isnt(query($owners), 'seats_owner|t', "everything is the superuser's");
query("$revoke; $give");
is(query($owners), 'seats_owner|t', 'until it is given away again');
is(outcome(q{SET ROLE anonymous; SELECT seats.claim_seat('x')}), 'PT400 invitation_invalid', 'roles have their rights');
is(outcomes(), $outcomes =~ s/^authenticate with a JWT: \K.*/PT401 session_invalid/mr,
	'all calls come to the same, but that a dump has no keys of JWTs');

create_database('updated');
query(q{CREATE EXTENSION pgcrypto; CREATE EXTENSION seats VERSION '1.0'});
query($give);
is(query($owners), 'seats_owner|t', 'a plain role owns 1.0');
like(outcome('SET ROLE seats_owner; ALTER EXTENSION seats UPDATE'), qr/^42501 /, 'it cannot update the extension');
query('ALTER EXTENSION seats UPDATE');
query($give);
is(query($owners), 'seats_owner|t', 'a superuser can, and gives away what is new');
query('CREATE DATABASE fresh');
in_database('fresh');
query('CREATE EXTENSION pgcrypto; CREATE EXTENSION seats');
query($give);
my $rights = q{SELECT oid::regprocedure, proacl FROM pg_proc WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace)
	UNION ALL SELECT oid::regclass, relacl FROM pg_class WHERE relnamespace = 'seats'::regnamespace ORDER BY 1};
$rights =~ s/oid::(\w+)/oid::$1::text/g;
my $fresh = query($rights);
in_database('updated');
is(query($rights), $fresh, 'with the rights of a new installation');

# ---- Triggers of the application's ----

# A role that may write functions, one of which is a trigger on customers.
my $develop = q{
	CREATE SCHEMA dev AUTHORIZATION app_dev;
	SET ROLE app_dev;
	CREATE FUNCTION dev.on_customer() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS
		'BEGIN ALTER ROLE app_dev SUPERUSER; RETURN new; END';
	RESET ROLE;
	CREATE TRIGGER on_customer AFTER INSERT ON seats.customers FOR EACH ROW EXECUTE FUNCTION dev.on_customer()};
my $is_superuser = q{SELECT rolsuper FROM pg_roles WHERE rolname = 'app_dev'};
sub assigns
{
	my ($email) = @_;

	return outcome("SET ROLE backend; SELECT (seat).customer_email FROM seats.assign_seat('${\ID}', email => '$email')");
}

create_database('shop');
create_shop(100);
query(q{SELECT seats.grant_access('anonymous', 'backend', 'customer')});

# As many would write it, and what comes of it.
query(q{
	CREATE TABLE naive (customer_id uuid, who text); GRANT INSERT ON naive TO backend;
	CREATE FUNCTION naive() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO naive VALUES (new.id, current_user); RETURN new; END';
	CREATE TRIGGER naive AFTER INSERT ON seats.customers FOR EACH ROW EXECUTE FUNCTION naive()});
is(outcome(q{SET ROLE backend; INSERT INTO seats.customers (organization_id, email) SELECT id, 'direct@example.com' FROM seats.organizations}),
	'', 'a trigger works for an INSERT');
is(assigns('a@example.com'), '42P01 relation "naive" does not exist', 'and not in assign_seat()');
query('ALTER FUNCTION naive() SET search_path = public');
is(assigns('a@example.com'), 'a@example.com', 'with a search_path it does');
is(query('SELECT who = current_user FROM naive ORDER BY 1'), "f\nt", "there with the superuser's rights");
query('DROP TRIGGER naive ON seats.customers');

# As the documentation does it.
query($trigger);
is(assigns('b@example.com'), 'b@example.com', 'the trigger of the documentation works in assign_seat()');
is(outcome(q{SET ROLE backend; INSERT INTO seats.customers (organization_id, email) SELECT id, 'c@example.com' FROM seats.organizations}),
	'', 'and for an INSERT by a role without rights on its table');
is(query('SELECT email FROM public.profiles ORDER BY email'), "b\@example.com\nc\@example.com", 'and writes its rows');
# What a mistake in it could do, which its owner may not.
foreach my $beyond ('ALTER ROLE profiles_writer SUPERUSER', 'DELETE FROM public.profiles', 'PERFORM FROM seats.jwt_keys')
{
	query(qq{CREATE OR REPLACE FUNCTION public.add_profile() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
		SET search_path = pg_catalog, public, pg_temp AS 'BEGIN $beyond; RETURN new; END'});
	like(assigns('d@example.com'), qr/^42501 (permission denied|must be superuser)/, "it may not: $beyond");
}
# Its owner could take SECURITY DEFINER away: so nobody may be that role.
query('ALTER FUNCTION public.add_profile() SECURITY INVOKER');
query(q{CREATE OR REPLACE FUNCTION public.add_profile() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN ALTER ROLE app_dev NOSUPERUSER; RETURN new; END'});
is(assigns('d@example.com'), 'd@example.com', "without SECURITY DEFINER it has the superuser's rights");
query('DROP TRIGGER add_profile ON seats.customers');

# A developer's trigger with a superuser as the extension's owner, and with a plain role.
query($develop);
is(assigns('e@example.com'), 'e@example.com', "a developer's trigger does what it likes");
is(query($is_superuser), 't', 'so the developer is a superuser');
query('ALTER ROLE app_dev NOSUPERUSER');
query($give);
like(assigns('f@example.com'), qr/^42501 /, 'with a plain role as the owner it cannot');
is(query($is_superuser), 'f', 'and the developer is none');

done_testing();
