# ALTER EXTENSION seats UPDATE takes a database from 1.0 to the same catalog that CREATE EXTENSION makes.
use strict;
use warnings;

use lib 'test/lib';

use PostgreSQL::Test::Utils;
use SeatsCatalog;
use SeatsTest;
use Test::More;

my $node = start_node('upgrade');

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(fresh updated);
$node->safe_psql('fresh', 'SET client_min_messages = warning; CREATE EXTENSION seats CASCADE');
$node->safe_psql('updated', q{
	SET client_min_messages = warning;
	CREATE EXTENSION pgcrypto;
	CREATE EXTENSION seats VERSION '1.0';
	ALTER EXTENSION seats UPDATE});

check_same_catalog('fresh', 'updated', 'an updated database has the catalog of a new one');

# The library of 1.1 with the objects of 1.0: whatever is called works, or says what to do.
$node->safe_psql('postgres', 'CREATE DATABASE behind');
in_database('behind');
query(q{
	SET client_min_messages = warning;
	CREATE EXTENSION pgcrypto;
	CREATE EXTENSION seats VERSION '1.0'});
my $id = ID;
# It has the right form; nobody was ever given it.
my $token = 'seats_inv_3vJFriqHRiZzN7b0MDWgE8S0K91y6ICJw2ijrKMVhELRzS6jG0ytKrF';
my @calls = (
	"INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled) VALUES ('$id', 'Acme', 'acme', true)",
	"INSERT INTO seats.products (id, organization_id, name) VALUES ('$id', '$id', 'Editor')",
	"INSERT INTO seats.customers (id, organization_id, email) VALUES ('$id', '$id', 'a\@example.com')",
	"INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats) VALUES ('$id', '$id', '$id', '$id', 5)",
	"INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats) VALUES ('$id', '$id', '$id', '$id', 5)",
	"UPDATE seats.organizations SET name = 'New'",
	"UPDATE seats.customers SET name = 'New'",
	"DELETE FROM seats.customer_seats",
	"SELECT seats.claim_seat('$token')",
	"SELECT seats.claim_info('$token')",
	"SELECT seats_http.get_claim_info('$token')",
	"SELECT seats.assign_seat('$id', email => 'b\@example.com')",
	"SELECT seats.assign_seats('$id', NULL, '{b\@example.com}')",
	"SELECT seats.resend_invitation('$id')",
	"SELECT seats.revoke_seat('$id')",
	"SELECT seats.revoke_seats('$id')",
	"SELECT seats.list_seats('$id')",
	"SELECT seats.get_seat('$id')",
	'SELECT seats.rotate_jwt_key()',
	'SELECT seats.postgrest_config()',
	'SELECT seats.release_expired_seats()',
	'SELECT seats.purge_expired_sessions()',
	"SELECT seats.purge_events('1 day')",
	'SELECT seats.stats()',
	'SELECT seats.check_session()',
	'SELECT seats.current_customer_id()',
	"SELECT seats.organization_route('$id')",
	"SELECT seats_http.list_seats('$id')",
	"SELECT seats_http.revoke_seat('$id')",
	'SELECT count(*) FROM seats.my_seats',
	'SELECT count(*) FROM seats.usage',
	"SELECT seats.grant_access(backend => current_user::regrole)");
foreach my $call (@calls)
{
	my ($status, undef, $errors) = $node->psql('behind', "\\set VERBOSITY verbose\n$call");

	ok( $status == 0
		  || $errors =~ /ERROR:  55000: the extension seats is of version 1\.0.*^HINT:  Run ALTER EXTENSION seats UPDATE\./ms,
		"works or names the update: $call")
	  or diag($errors);
}
like(outcome("SELECT seats.assign_seat('$id', email => 'b\@example.com')"),
	qr/^55000 /, 'functions that need the objects of 1.1 do not run');
is(outcome('ALTER EXTENSION seats UPDATE'), '', 'the update needs nothing else');
like(outcome("SELECT seats.assign_seat('$id', email => 'b\@example.com')"),
	qr/^PT/, 'and then they do');

# So do the functions and columns that 1.0 did not have.
query(qq{
	INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled) VALUES ('$id', 'Acme', 'acme', true)
		ON CONFLICT DO NOTHING;
	INSERT INTO seats.products (id, organization_id, name, external_id) VALUES ('$id', '$id', 'Editor', 'product')
		ON CONFLICT (id) DO UPDATE SET external_id = EXCLUDED.external_id;
	INSERT INTO seats.customers (id, organization_id, email) VALUES ('$id', '$id', 'a\@example.com') ON CONFLICT DO NOTHING;
	INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status, external_id, seats_limit)
		VALUES ('$id', '$id', '$id', '$id', 1, 'active', 'subscription', 4)});
is(query("SELECT seats.import_seats('$id', emails => '{a\@example.com,b\@example.com}', external_customer_ids => '{a,b}')"),
	2, 'members are imported');
is(query("SELECT seats, metadata ->> 'imported', metadata ->> 'seats' FROM seats.subscriptions, seats.events LIMIT 1"),
	'2|true|2', 'seats are raised for them');
is(query("SELECT seats.has_seat('$id', '$id')"), 't', 'and can be used');
is(outcome("UPDATE seats.subscriptions SET seats_next = 1"), '23514 cannot plan 1 seats, because 2 are assigned',
	'fewer than are assigned cannot be planned');
is(query("UPDATE seats.subscriptions SET seats_next = 3; SELECT seats.set_seats('$id', seats => 1, surplus => 'revoke');
	SELECT seats, seats_next, assigned_seats FROM seats.subscriptions"), "1\n1||1", 'but set');
is(query("SELECT seats.has_seat('$id', '$id')"), 't', 'who pays keeps the seat');
like(outcome("INSERT INTO seats.$_->[0] (organization_id, external_id, $_->[1]) VALUES ('$id', '$_->[2]', $_->[3])"),
	qr/^23505 .*"$_->[0]_external_id_key"/, "the external id of $_->[0] is unique")
  foreach [ products => 'name', 'product', "'x'" ],
  [ subscriptions => 'product_id, customer_id, seats, status', 'subscription', "'$id', '$id', 1, 'active'" ];

# Addresses that 1.1 does not take keep it away, and nothing has changed. The errors say how many there are and name none;
# docs/operations.md has statements that find and mend them.
my $documentation = slurp_file('docs/operations.md');
my ($section) = $documentation =~ /^### Addresses before the update to 1\.1\n(.*?)^##/ms;
my ($find_malformed, $mend_malformed, $find_repeated, $mend_repeated) = $section =~ /^```sql\n(.*?)^```/msg;
ok(defined $mend_repeated, 'the documentation has statements for it');

my $icu = query(q{SELECT count(*) > 0 FROM pg_collation WHERE collprovider = 'i'}) eq 't';
my $options = $icu ? q{LOCALE_PROVIDER icu ICU_LOCALE 'tr' LOCALE 'C'} : q{LOCALE 'C'};
$node->safe_psql('postgres', "CREATE DATABASE addresses TEMPLATE template0 ENCODING 'UTF8' $options");
in_database('addresses');
query(<<'SQL');
SET client_min_messages = warning;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION seats VERSION '1.0';
INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled)
	SELECT n, 'Shop', n, true FROM unnest(ARRAY['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002']::uuid[]) AS n;
INSERT INTO seats.customers (organization_id, email, external_id) VALUES
	('00000000-0000-0000-0000-000000000001', 'fine@example.com', 'fine'),
	('00000000-0000-0000-0000-000000000001', NULL, 'none'),
	('00000000-0000-0000-0000-000000000001', '', 'empty'),
	('00000000-0000-0000-0000-000000000001', ' pad@example.com ', 'padded'),
	('00000000-0000-0000-0000-000000000001', U&'\FEFFbom@example.com', 'bom'),
	('00000000-0000-0000-0000-000000000001', '"Name" <fine@example.com>', 'named'),
	('00000000-0000-0000-0000-000000000001', 'no address', 'word'),
	('00000000-0000-0000-0000-000000000001', 'info@example.com', 'small'),
	('00000000-0000-0000-0000-000000000002', 'INFO@example.com', 'other');
SQL
query(q{INSERT INTO seats.customers (organization_id, email, external_id)
	VALUES ('00000000-0000-0000-0000-000000000001', 'INFO@example.com', 'capital')}) if $icu;
my $state = q{SELECT extversion FROM pg_extension WHERE extname = 'seats'; SELECT * FROM seats.customers ORDER BY id};
my $before = query($state);
my $hint = qr/^HINT:  .*"Addresses before the update to 1\.1" in docs\/operations\.md/m;

# Tries the update; returns the error.
sub update_error
{
	my ($status, $output, $errors) = $node->psql('addresses', "\\set VERBOSITY verbose\nALTER EXTENSION seats UPDATE");

	return $errors;
}
my $errors = update_error();
like($errors, qr/^psql:\S+ ERROR:  23514: seats 1\.1 does not take the e-mail addresses of some customers: 5$/m, 'malformed ones are counted');
like($errors, $hint, 'and where to read on is said');
unlike($errors, qr/example\.com|no address/, 'no address is shown');
is(query($state), $before, 'nothing has changed');
is(join(' ', sort map { (split /\|/)[2] } split /\n/, query($find_malformed)), 'bom empty named padded word', 'they are found');
query($mend_malformed);
is(query(q{SELECT string_agg(external_id || '=' || coalesce(email, 'null'), ' ' ORDER BY external_id COLLATE "C") FROM seats.customers
		WHERE external_id IN ('bom', 'empty', 'fine', 'named', 'padded', 'word')}),
	'bom=bom@example.com empty=null fine=fine@example.com named="Name" <fine@example.com> padded=pad@example.com word=no address',
	'what is mended by itself');
query(q{UPDATE seats.customers SET email = NULL WHERE external_id IN ('named', 'word')});
is(query($find_malformed), '', 'none is left');
SKIP:
{
	skip 'the server has no ICU', 6 if !$icu;
	$before = query($state);
	$errors = update_error();
	like($errors, qr/^psql:\S+ ERROR:  23505: .*: 2$/m, 'repeated ones are counted');
	like($errors, $hint, 'and where to read on is said');
	unlike($errors, qr/example\.com/i, 'no address is shown');
	is(query($state), $before, 'nothing has changed');
	is(join(' ', sort map { (split /\|/)[2] } split /\n/, query($find_repeated)), 'capital small', 'they are found');
	query($mend_repeated);
	is(query($find_repeated), '', 'and mended');
}
is(update_error(), '', 'then the update goes through');
is(query(q{SELECT count(*) FROM seats.customers WHERE email IS NULL}), $icu ? '5' : '4', 'those without an address are still there');

done_testing();
