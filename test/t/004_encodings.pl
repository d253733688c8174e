# Databases that are not UTF-8.  In SQL_ASCII any byte but zero comes through to the extension,
# which must neither trip over it nor take it for what it is not.  In LATIN1 the whole story
# must work, whichever encoding a client speaks.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;

start_node('encodings');
my $shop = ID;
foreach my $encoding ('SQL_ASCII', 'LATIN1', 'UTF8')
{
	in_database('postgres');
	query("CREATE DATABASE $encoding TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	in_database(lc $encoding);
	create_shop(30);
}

# The one validation error of an argument.
sub fault
{
	my ($argument, $message, $type) = @_;

	return qq(PT422 [{"loc": ["body", "$argument"], "msg": "$message", "type": "$type"}]);
}

sub too_long
{
	return fault($_[0], 'String should have at most 255 characters', 'string_too_long');
}

# Assigns a seat over HTTP, by a body in UTF-8 with an address; tells the address of the seat, or what
# is wrong.
sub assign_over_http
{
	my ($email) = @_;
	my $body = unpack 'H*', qq({"subscription_id": "$shop", "email": "$email"});

	return outcome(qq{
		SELECT coalesce(body ->> 'customer_email', body #>> '{detail,0,type}')
		FROM (SELECT seats_http.assign_seat('\\x$body'::bytea) AS body OFFSET 0) AS answer
	});
}

my $bad_email = fault('email', 'value is not a valid email address', 'value_error');
my $big_metadata =
  fault('metadata', 'Value error, metadata should have at most 1 KB', 'value_error');

# Raw bytes, none of which begin a character of UTF-8.
in_database('sql_ascii');
my $raw = "\xff\xfe\x80";
my $token = assign('ada@example.com');
my $cut = substr($token, 0, 64);
my $spoilt = substr($token, 0, 30) . "\xe9" . substr($token, 31);
my $many = "\xff" x 255;
my $metadata = qq({"a": "$many$many$many$many$many"});
my $rows = table_rows();
foreach (
	[ "claim_seat('seats_inv_$raw')", 'PT400 invitation_invalid' ],
	[ "claim_seat('$cut\xe9')", 'PT400 invitation_invalid' ],
	[ "claim_seat('$spoilt')", 'PT400 invitation_invalid' ],
	[ "claim_seat('$many')", 'PT400 invitation_invalid' ],
	[ "claim_seat('$many\xff')", too_long('invitation_token') ],
	[ "claim_seat('$token', '$many\xff')", too_long('idempotency_key') ],
	[ "claim_info('seats_inv_$raw')", 'PT400 invitation_invalid' ],
	[ "authenticate('seats_cst_$raw')", 'PT401 session_invalid' ],
	[ "end_session('seats_cst_$raw')", 'f' ],
	[ "token_route('$raw')", 'PT400 invitation_invalid' ],
	[ "assign_seat('$shop', email => '$raw')", $bad_email ],
	[ "assign_seat('$shop', email => '$raw\@')", $bad_email ],
	[ "assign_seat('$shop', email => '$many$many\@example.com')", $bad_email ],
	[ "assign_seat('$shop', external_customer_id => '$raw')", 'PT404 customer_not_found' ],
	[ "assign_seat('$shop', email => 'a\@b', metadata => '$metadata')", $big_metadata ],
  )
{
	my ($call, $expected) = @$_;
	my $shown = $call =~ s/\xff{9,}|\w{21,}|[\w-]{36}/.../gr;

	$shown =~ s/([^ -~])/sprintf '\x%x', ord $1/ge;
	is(outcome("SELECT seats.$call"), $expected, "SQL_ASCII: $shown");
}
is(table_rows(), $rows, 'SQL_ASCII: none of them changed anything');

# What is allowed is kept byte for byte.
query("INSERT INTO seats.customers (organization_id, external_id) VALUES ('$shop', '$raw')");
is( outcome(qq{
		SELECT (seat).status FROM seats.assign_seat('$shop', external_customer_id => '$raw')
	}),
	'pending',
	'SQL_ASCII: a customer with such an external id is found');
is( outcome(qq{
		SELECT concat((seat).customer_email, (seat).seat_metadata)
		FROM seats.assign_seat('$shop', email => '$raw\@b', metadata => '{"a": "$raw"}')
	}),
	qq($raw\@b{"a": "$raw"}),
	'SQL_ASCII: such an address and metadata are kept');
is(outcome("SELECT seats.assign_seat('$shop', email => '$raw\@B')"),
	'PT400 seat_already_assigned', 'SQL_ASCII: and found again');
is(outcome("SELECT (seat).status FROM seats.claim_seat('$token', '$many')"),
	'claimed', 'SQL_ASCII: a key of 255 such bytes is none too long');

# A body must be UTF-8 all the same. An escape for what is not ASCII says nothing there.
is(assign_over_http("$raw\@c"), 'json_invalid', 'SQL_ASCII: a body that is not UTF-8');
is(assign_over_http("\xc3\xab\@c"), "\xc3\xab\@c", 'SQL_ASCII: a body that is');
is(assign_over_http('\u00eb@d'), 'json_invalid', 'SQL_ASCII: a body with an escape');
is(assign_over_http('\u0065@d'), 'e@d', 'SQL_ASCII: a body with an escape of ASCII');

# PostgreSQL keeps them out of UTF-8.
in_database('utf8');
is( outcome("SELECT seats.claim_seat('seats_inv_$raw')"),
	'22021 invalid byte sequence for encoding "UTF8": 0xff',
	'UTF8: PostgreSQL refuses such bytes');

# LATIN1, where e with two dots is one byte, and two for a client that speaks UTF-8.
in_database('latin1');
my $latin1 = "zo\xeb\@example.com";
my $utf8 = "zo\xc3\xab\@example.com";
my $speak_utf8 = "SET client_encoding = 'UTF8';";
query("UPDATE seats.organizations SET name = 'Caf\xe9'");
$token = assign($latin1);
is(outcome("$speak_utf8 SELECT seats.assign_seat('$shop', email => '$utf8')"),
	'PT400 seat_already_assigned', 'LATIN1: the same address from a client that speaks UTF-8');
is( outcome("$speak_utf8 SELECT to_json(seats.claim_info('$token'))"),
	qq({"product_name":"Editor","product_id":"$shop","organization_name":"Caf\xc3\xa9",)
	  . qq("organization_slug":"acme","customer_email":"$utf8","can_claim":true}),
	'LATIN1: claim_info');
is(outcome("SELECT (seat).status, (seat).customer_email FROM seats.claim_seat('$token')"),
	"claimed|$latin1", 'LATIN1: claim_seat');
is(outcome("SELECT seats.claim_seat('$token')"),
	'PT400 seat_already_claimed', 'LATIN1: claim_seat again');
my $session = claim(assign('bob@example.com'));
is(outcome("SELECT customer_email FROM seats.authenticate('$session')"),
	'bob@example.com', 'LATIN1: authenticate');
is(outcome("SELECT seats.end_session('$session')"), 't', 'LATIN1: end_session');
is( outcome(qq{
		SELECT (seats.revoke_seat(id)).status FROM seats.customer_seats
		WHERE customer_email = '$latin1'
	}),
	'revoked',
	'LATIN1: revoke_seat');
is(assign_over_http("ann\xc3\xab\@c"), "ann\xeb\@c", 'LATIN1: a body of HTTP');
is(assign_over_http('eve\u00eb@c'), "eve\xeb\@c", 'LATIN1: a body with an escape');
is(assign_over_http("\xc5\x82\@c"), 'json_invalid', 'LATIN1: a body with what it lacks');
is(assign_over_http('\u0142@c'), 'json_invalid', 'LATIN1: a body with an escape for that');
is( query("SELECT string_agg(split_part(type, '.', 2), ' ' ORDER BY id) FROM seats.events"),
	'assigned claimed assigned claimed revoked assigned assigned',
	'LATIN1: events');

# Claims and headers that PostgREST passes on.  Before 16 nothing is read of JSON with an escape.
my $id = 'f0000000-0000-0000-0000-000000000001';
foreach (
	[ '', qr/^$id$/, 'only ASCII' ],
	[ qq("x": "\xe9", ), qr/^$id$/, 'a character of one byte' ],
	[ qq("x\xe9": "x", "\xe9": {"sub": "x"}, ), qr/^$id$/, 'names with it' ],
	[ qq("SUB\xe9": "x", "s\xfcb": "x", ), qr/^$id$/, 'names that differ by it' ],
	[ '"x": "\u00eb", ', qr/^($id)?$/, 'an escape for such a character' ],
	[ '"x": "\u20ac", ', qr/^$/, 'an escape for what is lacking' ],
	[ '"x": "\u0000", ', qr/^$/, 'an escape for zero' ],
	[ '"x": "\ud800", ', qr/^$/, 'half a surrogate' ],
	[ '"x": ' . '[' x 100_000, qr/^$/, 'nesting' ])
{
	my ($more, $expected, $what) = @$_;

	foreach my $encoding ('SQL_ASCII', 'LATIN1')
	{
		in_database(lc $encoding);
		like(outcome(qq{
				SET request.jwt.claims = '{$more"sub": "$id"}';
				SELECT seats.current_customer_id();
			}), $expected, "$encoding: claims with $what");
		like(outcome(qq{
				SET request.headers = '{$more"user-agent": "$id"}';
				SELECT (seat).status FROM seats.assign_seat('$shop', email => gen_random_uuid() || '\@x');
				SELECT metadata ->> 'user_agent' FROM seats.events ORDER BY id DESC LIMIT 1;
			}) =~ s/^pending\n?//r, $expected, "$encoding: headers with $what");
	}
}

done_testing();
