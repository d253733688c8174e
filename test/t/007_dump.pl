# A database is dumped and restored: all rows come back as they were, in tables whose
# constraints and triggers are at work while they come, and whoever was invited before can
# claim after it.  Only the keys of JWTs stay behind: whoever has a dump must not have them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $node = start_node('dump');
my $shop = ID;
create_shop(10);

# Seats in every state, of subscriptions and orders, one of them ended; a row given again;
# records that were changed.
my $order = '00000000-0000-0000-0000-000000000002';
my $canceled = '00000000-0000-0000-0000-000000000003';
my $retried = assign('claimed@example.com');
my $session = query("SELECT customer_session_token FROM seats.claim_seat('$retried', 'key')");
my $pending = assign('pending@example.com');
my $signed_in = assign('jwt@example.com');
my $jwt = query(qq{
	SET seats.session_token_format = 'jwt';
	SELECT customer_session_token FROM seats.claim_seat('$signed_in')
});
my $claimed = assign('again@example.com');
claim($claimed);
assign('revoked@example.com');
assign('expired@example.com');
query(qq{
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$order', '$shop', '$shop', '$shop', 2, 'paid');
	INSERT INTO seats.subscriptions
			(id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$canceled', '$shop', '$shop', '$shop', 1, 'active');
	UPDATE seats.customer_seats SET invitation_token_expires_at = now()
		WHERE customer_email = 'expired\@example.com';
	SELECT seats.revoke_seat(id) FROM seats.customer_seats
		WHERE customer_email = 'revoked\@example.com';
	SELECT seats.assign_seat('$shop', email => 'next\@example.com');
	SELECT seats.revoke_seat(id) FROM seats.customer_seats
		WHERE customer_email = 'again\@example.com';
	SELECT seats.assign_seat('$canceled', email => 'gone\@example.com',
		immediate_claim => true);
	UPDATE seats.subscriptions SET status = 'canceled', seats = 0 WHERE id = '$canceled';
	SELECT seats.assign_seat(order_id => '$order', email => 'order\@example.com',
		metadata => '{"team": "a"}');
	SELECT seats.assign_seat(order_id => '$order', email => 'claimed\@example.com',
		immediate_claim => true);
	UPDATE seats.organizations SET name = 'Acme Ltd', invitation_ttl = '2 days';
	CREATE ROLE anonymous;
	CREATE ROLE backend;
	CREATE ROLE customer;
	SELECT seats.grant_access('anonymous', 'backend', 'customer');
});

# Who may do what with everything in the schemas, and with them.
my $rights = q{
	SELECT 'schema', nspname, nspacl FROM pg_namespace
		WHERE nspname IN ('seats', 'seats_http')
	UNION ALL
	SELECT relkind::text, relname, relacl FROM pg_class
		WHERE relnamespace = 'seats'::regnamespace
	UNION ALL
	SELECT 'column', attrelid::regclass || '.' || attname, attacl
		FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
		WHERE relnamespace = 'seats'::regnamespace AND attacl IS NOT NULL
	UNION ALL
	SELECT 'function', oid::regprocedure::text, proacl FROM pg_proc
		WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace)
	ORDER BY 1, 2
};
is( query('SELECT status, count(*) FROM seats.customer_seats GROUP BY 1 ORDER BY 1'),
	"pending|4\nclaimed|3\nrevoked|2",
	'seats are in all states');
is( query(q{
		SELECT assigned_seats, seats FROM seats.subscriptions
		UNION ALL SELECT assigned_seats, seats FROM seats.orders ORDER BY seats
	}),
	"0|0\n2|2\n5|10",
	'and assigned of subscriptions and an order');

# Restored in one go; and by jobs side by side, which do not know that rows of an extension's
# tables refer to each other, and so need triggers out of the way.
my $rows = table_rows('jwt_keys');
my $keys = query('SELECT * FROM seats.jwt_keys');
my $objects = query('\dx+ seats');
my $granted = query($rights);
my $sequence = query('SELECT last_value, is_called FROM seats.events_id_seq');
is(scalar(() = $granted =~ /\b(?:anonymous|backend|customer)=/g),
	73, 'three roles were granted what they need');
my $file = PostgreSQL::Test::Utils::tempdir() . '/seats.dump';
my @dump = ('pg_dump', '--format=custom', "--file=$file");
$node->command_ok([ @dump, $node->connstr('postgres') ], 'pg_dump');

my %restores = (
	plain => [ [] ],
	parallel => [ ['--schema-only'], [ '--data-only', '--disable-triggers', '--jobs=2' ] ]);
foreach my $copy ('parallel', 'plain')
{
	query("CREATE DATABASE $copy TEMPLATE template0");
	foreach my $options (@{ $restores{$copy} })
	{
		my @restore = ('pg_restore', '--exit-on-error', @$options);
		my $into = '--dbname=' . $node->connstr($copy);
		$node->command_ok([ @restore, $into, $file ], "@restore");
	}
	in_database($copy);
	is(table_rows('jwt_keys'), $rows, "$copy: all rows are as they were, counts of seats too");
	is(query('\dx+ seats'), $objects, "$copy: so is what belongs to the extension");
	is(query($rights), $granted, "$copy: and who may do what with it");
	is(query('SELECT last_value, is_called FROM seats.events_id_seq'),
		$sequence, "$copy: the sequence is where it was");
	my ($count, $others) = split /\|/,
	  query("SELECT count(*), count(*) FILTER (WHERE k::text <> '($keys)') FROM seats.jwt_keys AS k");
	is("$count $others", '1 1', "$copy: it has a key of its own for JWTs");
}

# Life goes on in the restored database.
is(outcome("SELECT (seat).customer_email FROM seats.claim_seat('$pending')"),
	'pending@example.com', 'an invitation from before the dump can be claimed');
is(outcome("SELECT seats.claim_seat('$claimed')"),
	'PT400 seat_revoked', 'one whose seat was revoked cannot');
is(outcome("SELECT customer_email FROM seats.authenticate('$session')"),
	'claimed@example.com', 'a session from before the dump is good');
is(outcome("SELECT customer_email FROM seats.authenticate('$jwt')"),
	'PT401 session_invalid', 'but not one that is a JWT, whose key is not there');
is(outcome("SELECT (seat).customer_email FROM seats.claim_seat('$retried', 'key')"),
	'claimed@example.com', 'a claim from before the dump is retried by its key');
is(outcome("SELECT seats.authenticate('$session')"),
	'PT401 session_invalid', 'which ends its first session');
is(query('SELECT max(id) = count(*) FROM seats.events'), 't', "the events' numbers go on");
is(outcome("SELECT seats.assign_seat(order_id => '$order', email => 'third\@example.com')"),
	'PT400 no_available_seats', 'a full order is full');
is( outcome("UPDATE seats.subscriptions SET seats = 3 WHERE id = '$shop'"),
	'23514 cannot reduce the number of seats to 3, because 5 are assigned',
	'seats cannot be lowered below what was assigned');
my $revoked = query(qq{
	SELECT id FROM seats.customer_seats WHERE subscription_id = '$shop' AND status = 'revoked'
});
my $seats = query("SELECT count(*) FROM seats.customer_seats WHERE subscription_id = '$shop'");
isnt(query("SELECT (seat).id FROM seats.assign_seat('$shop', email => 'new\@example.com')"),
	$revoked, 'the next seat has a new id');
is(query("SELECT count(*) FROM seats.customer_seats WHERE subscription_id = '$shop'"),
	$seats, "and a revoked seat's row");
is( outcome(qq{
		SET seats.session_token_format = 'jwt';
		SELECT invitation_token AS token FROM seats.assign_seat('$shop', email => 'jwt2\@example.com') \\gset
		SELECT customer_session_token AS session FROM seats.claim_seat(:'token') \\gset
		SELECT customer_email FROM seats.authenticate(:'session');
	}),
	'jwt2@example.com', 'a new session that is a JWT is good');

done_testing();
