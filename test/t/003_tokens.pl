# Tokens are what the contract says.  This checker knows nothing but its section on tokens: a
# prefix, six base62 digits of the organization's route, 43 of the secret, six of the CRC-32 of
# all before.
use strict;
use warnings;

use Compress::Zlib qw(crc32);
use Digest::SHA qw(sha256 sha256_hex);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use List::Util qw(max);
use SeatsTest;
use Test::More;

my @digits = (0 .. 9, 'A' .. 'Z', 'a' .. 'z');

sub base62
{
	my ($number) = @_;
	my $result = '';

	foreach (1 .. 6)
	{
		$result = $digits[ $number % 62 ] . $result;
		$number = int($number / 62);
	}
	return $result;
}

# The first four bytes, big-endian, of the SHA-256 of an id's 16 bytes.
sub route
{
	return unpack 'N', sha256(pack 'H*', $_[0] =~ tr/-//dr);
}

# The same bits as SQL's integer.
sub signed
{
	return unpack 'l', pack 'L', $_[0];
}

sub build
{
	my ($prefix, $route_digits, $secret) = @_;
	my $start = $prefix . $route_digits . $secret;

	return $start . base62(crc32($start));
}

# Tells what is wrong with a token of an organization, or "right".
sub verdict
{
	my ($token, $prefix, $organization) = @_;

	return 'length' if length $token != 65;
	return 'form' if $token !~ /^\Q$prefix\E[0-9A-Za-z]{55}$/;
	return 'route' if substr($token, 10, 6) ne base62(route($organization));
	return 'check' if build($prefix, substr($token, 10, 6), substr($token, 16, 43)) ne $token;
	return 'right';
}

# Counts the verdicts on rows of organization and token.
sub verdicts
{
	my ($prefix, @rows) = @_;
	my %count;

	$count{ verdict($_->[1], $prefix, $_->[0]) }++ foreach @rows;
	return \%count;
}

start_node('tokens');
create_shop(10);

# Returns the rows of a query as arrays of strings.
sub rows
{
	return map { [ split /\|/ ] } split /\n/, query($_[0]);
}

# 300 organizations with ten seats each.
query(q{
	INSERT INTO seats.organizations (name, slug, seat_based_pricing_enabled)
		SELECT n, n, true FROM generate_series(1, 300) AS n;
	INSERT INTO seats.products (id, organization_id, name)
		SELECT id, id, 'Editor' FROM seats.organizations WHERE slug <> 'acme';
	INSERT INTO seats.customers (id, organization_id)
		SELECT id, id FROM seats.organizations WHERE slug <> 'acme';
	INSERT INTO seats.subscriptions
			(id, organization_id, product_id, customer_id, seats, status)
		SELECT id, id, id, id, 10, 'active' FROM seats.organizations WHERE slug <> 'acme';
});
my @invitations = rows(q{
	SELECT b.organization_id, invitation_token
	FROM seats.subscriptions AS b, generate_series(1, 7) AS n,
		seats.assign_seat(b.id, email => n || '@example.com')
	WHERE b.id <> '00000000-0000-0000-0000-000000000001'
});
push @invitations, rows(q{
	SELECT b.organization_id, invitation_token
	FROM seats.subscriptions AS b,
		seats.assign_seats(b.id, NULL, '{8@example.com,9@example.com,10@example.com}')
	WHERE b.id <> '00000000-0000-0000-0000-000000000001'
});
my @claimed = @invitations[ map { $_ * 5 } 0 .. 599 ];
my @sessions = rows(join ' UNION ALL ',
	map { "SELECT '$_->[0]', customer_session_token FROM seats.claim_seat('$_->[1]')" }
	  @claimed);

is_deeply(verdicts('seats_inv_', @invitations),
	{ right => 3000 }, '3,000 invitation tokens are as they should be');
is_deeply(verdicts('seats_cst_', @sessions),
	{ right => 600 }, '600 session tokens are as they should be');

# The checker tells a wrong one: the length, another organization, one digit.
my ($organization, $token) = @{ $invitations[0] };
my $misspelt = substr($token, 0, 64) . ($token =~ /0$/ ? '1' : '0');
is_deeply(
	[
		verdict("${token}0", 'seats_inv_', $organization),
		verdict($token, 'seats_cst_', $organization),
		verdict($token, 'seats_inv_', ID),
		verdict($misspelt, 'seats_inv_', $organization)
	],
	[ 'length', 'form', 'route', 'check' ],
	'the checker finds faults');

# Stored is the SHA-256 of the whole token, and nothing else.
foreach (
	[ 'customer_seats', 'invitation_token_hash', \@invitations ],
	[ 'customer_sessions', 'token_hash', \@sessions ])
{
	my ($table, $column, $issued) = @$_;
	is_deeply(
		[ sort map { $_->[0] } rows("SELECT encode($column, 'hex') FROM seats.$table") ],
		[ sort map { sha256_hex($_->[1]) } @$issued ],
		"seats.$table has the SHA-256 of each token");
}

# Routes, also those that are negative as SQL's integer.
my @organizations = rows(q{
	SELECT id, seats.organization_route(id)
	FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 500)) AS x
});
is_deeply(
	[ map { $_->[1] } @organizations ],
	[ map { signed(route($_->[0])) } @organizations ],
	'organization_route() of 500 random ids');
cmp_ok((grep { $_->[1] < 0 } @organizations), '>', 0, 'some of them are negative');
my @routes = rows(join ' UNION ALL ',
	map { "SELECT '$_->[0]', seats.token_route('$_->[1]')" } @claimed, @sessions);
is_deeply(
	[ map { $_->[1] } @routes ],
	[ map { signed(route($_->[0])) } @routes ],
	'token_route() of tokens of both kinds');

# Chance.  The statistic has 61 degrees of freedom: over 150 comes once in some 10^8 times.
sub chi_square
{
	my ($string) = @_;
	my $expected = length($string) / 62;
	my %count;
	my $sum = 0;

	$count{$_}++ foreach split //, $string;
	$sum += (($count{$_} // 0) - $expected)**2 / $expected foreach @digits;
	return $sum;
}

my @secrets = map { substr $_->[1], 16, 43 } @invitations, @sessions;
my %different = map { $_ => 1 } @secrets;
is(scalar keys %different, 3600, 'no two secrets are alike');
cmp_ok(chi_square(join '', @secrets), '<', 150, 'the digits of all secrets are uniform');
my @places = map { my $i = $_; join '', map { substr $_, $i, 1 } @secrets } 0 .. 42;
cmp_ok(max(map { chi_square($_) } @places),
	'<', 150, 'and so are those at each of the 43 places');

# Tokens that nobody issued.  How many scans a call makes in the extension's tables tells
# whether it got as far as that; a call for a token that might exist makes some.
query(q{
	CREATE FUNCTION scans() RETURNS bigint LANGUAGE sql AS $$
		SELECT sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0))
		FROM pg_stat_xact_user_tables WHERE schemaname = 'seats'
	$$;
	CREATE FUNCTION try(function text, token text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		before bigint = scans();
		answer text;
	BEGIN
		BEGIN
			EXECUTE format('SELECT seats.%s($1)', function) INTO answer USING token;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
			answer = concat_ws(' ', SQLSTATE, answer);
		END;
		RETURN answer || CASE WHEN scans() > before THEN ', looked up' ELSE '' END;
	END $$;
});
my $secret = 'x' x 43;
my $ours = base62(route(ID));
my %forged = (
	'unknown secret' => sub { build($_[0], $ours, $secret) },
	'unknown organization' => sub { build($_[0], base62(1), $secret) },
	'the highest route' => sub { build($_[0], base62(2**32 - 1), $secret) },
	'a route of 2^32' => sub { build($_[0], base62(2**32), $secret) },
	'the highest number of six digits' => sub { build($_[0], 'zzzzzz', $secret) },
	'another prefix' => sub { build('seats_key_', $ours, $secret) },
	'a prefix in capitals' => sub { build(uc $_[0], $ours, $secret) },
	'the other kind' =>
	  sub { build($_[0] eq 'seats_inv_' ? 'seats_cst_' : 'seats_inv_', $ours, $secret) },
	'another alphabet' => sub { build($_[0], $ours, '-' . substr $secret, 1) },
	'a digit too few' => sub { build($_[0], $ours, substr $secret, 1) },
	'a digit too many' => sub { build($_[0], $ours, $secret . 'x') },
	'another checksum' => sub { build($_[0], $ours, $secret) =~ s/.{6}$/000000/r },
);
my @well_formed = ('unknown secret', 'unknown organization', 'the highest route');
my $before = table_counts();
foreach my $name (sort keys %forged)
{
	my $invitation = $forged{$name}->('seats_inv_');
	my $session = $forged{$name}->('seats_cst_');
	my $reach = (grep { $_ eq $name } @well_formed) ? ', looked up' : '';

	is( query(qq{
			SELECT try('claim_seat', '$invitation');
			SELECT try('claim_info', '$invitation');
			SELECT try('authenticate', '$session');
			SELECT try('end_session', '$session');
		}),
		join("\n", map { $_ . $reach } 'PT400 invitation_invalid', 'PT400 invitation_invalid',
			'PT401 session_invalid', 'false'),
		($reach ? 'unknown to all' : 'refused before any table is read') . ": $name");
}
is(table_counts(), $before, 'they changed nothing');

foreach ([ 2**32 - 1, '-1' ], [ 2**32, 'PT400 invitation_invalid' ])
{
	my ($route, $expected) = @$_;
	my $built = build('seats_inv_', base62($route), $secret);
	is(outcome("SELECT seats.token_route('$built')"), $expected, "token_route(): $route");
}

done_testing();
