# Claims that open sessions with JWTs beside rotations of the keys, all at once, for longer than a session lives: each
# session is good from its commit until it expires, however often the key was changed meanwhile, and old keys go.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $node = start_node('jwt');
my $seats = 20_000;
create_shop($seats);
query(qq{
	CREATE TABLE invitation AS
		SELECT row_number() OVER () AS n, invitation_token AS token
		FROM seats.assign_seats('${\ID}', NULL, ARRAY(SELECT n || '\@example.com' FROM generate_series(1, $seats) AS n));
	ALTER TABLE invitation ADD PRIMARY KEY (n);
	CREATE SEQUENCE taken;
	CREATE TABLE session (token text, kid text);
	CREATE FUNCTION claim() RETURNS text LANGUAGE plpgsql AS \$\$
	DECLARE
		number bigint := nextval('taken');
		session text;
	BEGIN
		SELECT c.customer_session_token INTO STRICT session
			FROM invitation, seats.claim_seat(token) AS c WHERE n = number;
		INSERT INTO session VALUES (session,
			convert_from(decode(split_part(session, '.', 1), 'base64'), 'UTF8')::json ->> 'kid');
		RETURN session;
	END \$\$;
	-- An expired session is no fault of the keys'.
	CREATE FUNCTION authenticate(session text) RETURNS text LANGUAGE plpgsql AS \$\$
	DECLARE
		reason text;
	BEGIN
		PERFORM set_config('request.jwt.claims', convert_from(decode(rpad(translate(p, '-_', '+/'), (length(p) + 3) / 4 * 4, '='),
			'base64'), 'UTF8'), true) FROM split_part(session, '.', 2) AS p;
		PERFORM seats.check_session();
		RETURN (seats.authenticate(session)).customer_email;
	EXCEPTION WHEN sqlstate 'PT401' THEN
		GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
		IF reason <> 'session_expired' THEN
			RAISE '%', reason;
		END IF;
		RETURN reason;
	END \$\$;
});

# Half of the claims look at their session at once, and half when some time and some rotations have passed.
my %scripts = (
	claim => "SELECT claim() AS session \\gset\nSELECT authenticate(:session);\n",
	later => "SELECT claim() AS session \\gset\n\\sleep 300 ms\nSELECT authenticate(:session);\n",
	rotate => "SELECT seats.rotate_jwt_key();\n");
my @files;
foreach my $name (sort keys %scripts)
{
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.sql";
	unlink $file;
	append_to_file($file, $scripts{$name});
	push @files, '-f', $file;
}
{
	local $ENV{PGOPTIONS} = '-c seats.session_token_format=jwt -c seats.customer_session_ttl=1s';
	$node->command_checks_all(
		[ 'pgbench', '-n', '-M', 'extended', '-c', 8, '-T', 8, @files, $node->connstr('postgres') ],
		0, [qr/number of failed transactions: 0/], [qr/^(?!.*(?:ERROR|aborted))/s],
		'claims and rotations go side by side without an error');
}
my ($claims, $kids) = split /\|/, query('SELECT count(*), count(DISTINCT kid) FROM session');
cmp_ok($claims, '>', 50, "there were $claims claims");
cmp_ok($kids, '>', 10, "signed with $kids keys");
is(query(q{
		SELECT count(*) FROM session AS s
		WHERE NOT EXISTS (SELECT FROM seats.customer_sessions WHERE token_hash = sha256(token::bytea))
	}), '0', 'each is in the table by its hash');
cmp_ok(query('SELECT count(*) FROM seats.jwt_keys'), '<', $kids, 'old keys went while others came');

# When all sessions are over, so is the need for keys but the newest, and the one before, which signed until now.
query('SELECT pg_sleep(2.1)');
is( query(q{
		SET seats.session_token_format = 'jwt';
		SET seats.customer_session_ttl = '1s';
		DO 'BEGIN PERFORM seats.rotate_jwt_key(); END';
		SELECT count(*) FROM seats.jwt_keys;
	}),
	'2', 'and in the end all did but two');

# PostgREST is told when the new key is there for it to read.
is( scalar(
		query('LISTEN pgrst; SELECT seats.rotate_jwt_key()') =~
		  /^Asynchronous notification "pgrst" with payload "reload config"/m),
	1,
	'PostgREST is told to read its configuration anew');

# The first call of a session needs nothing that another has found.
my $token = query("SET seats.session_token_format = 'jwt'; SELECT claim()");
is(outcome(qq{
		SELECT set_config('request.jwt.claims', convert_from(decode(rpad(translate(p, '-_', '+/'),
			(length(p) + 3) / 4 * 4, '='), 'base64'), 'UTF8'), false) <> '' FROM split_part('$token', '.', 2) AS p;
		SELECT seats.check_session() IS NOT NULL}),
	"t\nt", 'check_session as the first call of a session');

done_testing();
