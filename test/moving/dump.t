# A database is dumped by a newer version's pg_dump and restored there: all rows and rights come
# along, and people go on with the invitations and sessions they have, or are refused as before.
# Only sessions that are JWTs end, since their keys are in no dump.  A dump that is made while people claim is
# of one moment.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsMoving;
use SeatsTest;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $claims = 2000;    # of each of two sessions while a dump is made
my ($shop) = SHOPS;
my ($oldest, @newer) = versions();
my $old = new_server('old', $oldest);

# Dumps the old server's database, and restores it into an empty one of a newer server.
sub move
{
	my ($new, $version, $database) = @_;
	my $file = "$directory/$database.$version";

	$new->command_like([ 'pg_dump', '--version' ], qr/\(PostgreSQL\) $version\./, "pg_dump of $version");
	$new->command_ok([ 'pg_dump', '--format=custom', "--file=$file", $old->connstr('postgres') ],
		"dumps version $oldest");
	on_node($new);
	query("CREATE DATABASE $database TEMPLATE template0");
	in_database($database);
	$new->command_ok(
		[ 'pg_restore', '--exit-on-error', '--dbname=' . $new->connstr($database), $file ],
		"pg_restore of $version");
}

# Back to the old server.
sub go_back
{
	on_node($old);
	in_database('postgres');
}

# Starts two sessions that claim tokens one by one, and waits until they are busy.
sub start_claiming
{
	my (@tokens) = @_;
	my $claimed = query('SELECT count(*) FROM seats.customer_sessions');
	my @sessions;

	while (my @own = splice @tokens, 0, $claims)
	{
		my $file = "$directory/claims" . @sessions;

		unlink $file;
		append_to_file($file, join '', map { "SELECT FROM seats.claim_seat('$_');\n" } @own);
		push @sessions, IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $file,
				$old->connstr('postgres') ]);
	}
	$old->poll_query_until('postgres',
		"SELECT count(*) > $claimed + 100 FROM seats.customer_sessions");
	return @sessions;
}

$old->start;
on_node($old);
my %held = fill();
check_life($_, $held{$_}, "version $oldest", rehearse => 1, keys => 1) foreach SHOPS;
my $portrait = portrait();
my %servers;

foreach my $version (@newer)
{
	$servers{$version} = new_server("new$version", $version);
	$servers{$version}->start;
	on_node($servers{$version});
	create_roles();
	move($servers{$version}, $version, 'moved');
	check_portrait($portrait, "version $version");
	is(query('SELECT count(*) FROM seats.jwt_keys'), '1', "version $version: there is a key for JWTs");
	check_life($_, $held{$_}, "version $version") foreach SHOPS;
	check_upkeep("version $version");
	go_back();
}

query("UPDATE seats.subscriptions SET seats = 100000 WHERE id = '$shop'");
foreach my $version (@newer)
{
	my @tokens = split /\n/, query(qq{
		SELECT invitation_token FROM seats.assign_seats('$shop', NULL,
			ARRAY(SELECT format('%s-$version\@example.com', n) FROM generate_series(1, 2 * $claims) AS n))
	});
	my @sessions = start_claiming(@tokens);

	move($servers{$version}, $version, 'busy');
	$_->finish foreach @sessions;
	my $claimed = query(qq{
		SELECT count(*) FROM seats.customer_seats
		WHERE customer_email LIKE '%-$version\@example.com' AND status = 'claimed'
	});
	note "$claimed of " . @tokens . ' had been claimed';
	ok($claimed > 0 && $claimed < @tokens, "version $version: it was dumped while people were claiming");
	is( query(qq{
			SELECT s.id FROM seats.customer_seats AS s
			LEFT JOIN seats.customer_sessions AS x ON x.seat_id = s.id AND x.customer_id = s.customer_id
			LEFT JOIN seats.events AS e ON e.seat_id = s.id AND e.customer_id = s.customer_id
				AND type = 'customer_seat.claimed'
			WHERE customer_email LIKE '%-$version\@example.com'
			GROUP BY s.id
			HAVING count(x) <> (status = 'claimed')::int OR count(e) <> (status = 'claimed')::int
		}),
		'', "version $version: what was claimed has a session and an event, and nothing else has");
	is( query(q{
			SELECT id FROM seats.subscriptions AS u WHERE assigned_seats <>
				(SELECT count(*) FROM seats.customer_seats WHERE subscription_id = u.id AND status <> 'revoked')
		}),
		'', "version $version: counts are right");
	query(q{
		CREATE FUNCTION try(token text) RETURNS text LANGUAGE plpgsql AS $$
		DECLARE
			reason text;
		BEGIN
			PERFORM seats.claim_seat(token);
			RETURN 'claimed';
		EXCEPTION WHEN sqlstate 'PT400' THEN
			GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
			RETURN reason;
		END $$
	});
	my $tokens = join ',', @tokens;
	is( query("SELECT try(token), count(*) FROM unnest('{$tokens}'::text[]) AS token GROUP BY 1 ORDER BY 1"),
		'claimed|' . (@tokens - $claimed) . "\nseat_already_claimed|$claimed",
		"version $version: the others can be claimed there, and only they");
	is(check_storage(), '', "version $version: amcheck finds nothing");
	go_back();
	is( query(qq{
			SELECT count(*) FROM seats.customer_seats
			WHERE customer_email LIKE '%-$version\@example.com' AND status = 'claimed'
		}),
		scalar @tokens, "version $version: while the dump was made all could claim");
}

done_testing();
