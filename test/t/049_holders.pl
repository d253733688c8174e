# A holder's life in large numbers: rows that are given again and again, a person who is erased from many
# events beside traffic, and suspended seats in a dump.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $shop = ID;
my $node = start_node('holders', 'fsync = off');
create_shop(5);

# Rows of seats -----------------------------------------------------------------------------------------

# Rounds of assign, claim and revoke, of one seat or of several at once, each in a transaction of its own.
query(q{
	CREATE TABLE seen (id uuid PRIMARY KEY);
	CREATE PROCEDURE churn(purchase uuid, rounds integer) LANGUAGE plpgsql AS $$
	DECLARE
		invitation seats.seat_invitation;
	BEGIN
		FOR n IN 1 .. rounds LOOP
			invitation := seats.assign_seat(purchase, email => format('churn%s@example.com', n % 100));
			INSERT INTO seen VALUES ((invitation.seat).id);
			PERFORM seats.claim_seat(invitation.invitation_token);
			COMMIT;
			PERFORM seats.revoke_seat((invitation.seat).id);
			COMMIT;
		END LOOP;
	END $$});
query("SELECT seats.assign_seats('$shop', NULL, '{a\@x,b\@x,c\@x}')");
query("CALL churn('$shop', 10000)");
is(query('SELECT count(*) FROM seen'), 10_000, 'each of 10,000 rounds had an id of its own');
is(query('SELECT count(*), count(customer_id) FROM seats.customer_seats'),
	'4|3', 'and the purchase has as many rows as it had seats assigned at once');
is(query("SELECT available_seats, array_length(seats, 1) FROM seats.list_seats('$shop')"),
	'2|4', 'list_seats shows them, the revoked one too');
is(query('SELECT count(*) FROM seats.customer_sessions'), 0, 'no session is left');
is(query(q{SELECT count(*) FROM seats.events AS e JOIN seats.customer_seats AS s ON s.id = e.seat_id WHERE s.customer_id IS NULL}),
	3, 'the events of a row that is left are those of its last holder');

# Erasing a person --------------------------------------------------------------------------------------

# Among many events, some of them of the first holder of a seat that others have held since; more of the person's
# than fit into one batch.
my $person = query(q{SELECT customer_id FROM seats.customer_seats WHERE customer_email = 'a@x'});
query(qq{
	INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at, metadata, seat)
	SELECT e.type, e.seat_id, e.organization_id, CASE WHEN n % 4 = 0 THEN gen_random_uuid() ELSE e.customer_id END, e.occurred_at,
		e.metadata || '{"address": "192.0.2.9", "user_agent": "curl"}', e.seat
	FROM seats.events AS e, generate_series(1, 40000) AS n WHERE e.customer_id = '$person'});
my $personal = q{metadata ?| '{address,user_agent}' OR (seat).customer_email IS NOT NULL OR (seat).seat_metadata IS NOT NULL};
my ($of_person, $of_others) = split /\|/, query(qq{
	SELECT count(*) FILTER (WHERE customer_id = '$person'), count(*) FILTER (WHERE customer_id <> '$person')
	FROM seats.events WHERE $personal});
cmp_ok($of_person, '>', 30_000, "$of_person events have data of the person");

# A claim and an assign are not delayed by an erasure that has not committed yet.
my $eraser = $node->background_psql('postgres');
my $token = assign('d@x');
is($eraser->query_safe("BEGIN; SELECT seats.erase_customer('$person')"), 1, 'the person is erased');
is(outcome("SET statement_timeout = '1min'; SELECT (seat).status FROM seats.claim_seat('$token')"),
	'claimed', 'others claim seats meanwhile');
$eraser->query_safe('COMMIT');
$eraser->quit;
is(query(qq{
		SELECT count(*) FILTER (WHERE customer_id = '$person'), count(*) FILTER (WHERE customer_id <> '$person')
		FROM seats.events WHERE $personal}) =~ s/\|(\d+)/$1 - $of_others > 0 && '|the others'/er,
	'0|the others', 'no event has data of the person, and all those of others have theirs');
is(query("SELECT count(*) FROM seats.customers WHERE id = '$person'"), 0, 'nor is there a customer');

# Suspended seats in a dump -------------------------------------------------------------------------------

my $paused = assign('e@x');
query("UPDATE seats.subscriptions SET status = 'paused'");
my $seats = 'SELECT id, status, customer_email, suspended_at, expiry_watched FROM seats.customer_seats ORDER BY id';
my $before = query($seats);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', "--file=$dump", $node->connstr('postgres') ], 'pg_dump');
query('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'it is restored');
in_database('restored');
is(query($seats), $before, 'suspended seats are as they were');
is(outcome("SELECT seats.claim_seat('$paused')"), 'PT400 seat_suspended', 'and cannot be claimed');
is(query('SELECT assigned_seats FROM seats.subscriptions'), 4, 'they are counted');
query("UPDATE seats.subscriptions SET status = 'active'");
is(outcome("SELECT (seat).customer_email FROM seats.claim_seat('$paused')"), 'e@x', 'until they are resumed');

done_testing();
