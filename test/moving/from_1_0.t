# A database that 1.0's own library made, with seats, sessions and events in every state, is updated: people go on with the
# invitations and sessions they have, or are refused as before, and it works as a new database does.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsCatalog;
use SeatsMoving;
use SeatsReleased;
use SeatsTest;
use Test::More;

my ($first_shop, $second_shop) = SHOPS;
my $version = oldest_version();
my $node = new_released_server('released', $version);
my $rights = q{
	SELECT DISTINCT grantee, routine_schema, routine_name FROM information_schema.role_routine_grants
	WHERE routine_schema IN ('seats', 'seats_http') AND grantee IN ('anonymous', 'backend', 'customer', 'PUBLIC')
	ORDER BY 1, 2, 3};
my $table_rights = q{
	SELECT grantee, table_name, column_name, privilege_type FROM information_schema.role_column_grants
	WHERE table_schema = 'seats' AND grantee IN ('anonymous', 'backend', 'customer', 'PUBLIC')
	ORDER BY 1, 2, 3, 4};

# Returns the statements that were executed for one, as auto_explain tells.
sub executed
{
	my ($sql) = @_;
	my ($status, $output, $errors) = $node->psql('postgres', qq{
		LOAD 'auto_explain';
		SET auto_explain.log_nested_statements = on;
		SET auto_explain.log_level = notice;
		SET auto_explain.log_min_duration = 0;
		$sql});

	is($status, 0, 'the statement succeeds') or diag($errors);
	return $errors =~ /^Query Text: (.*)/mg;
}

$node->start;
on_node($node);
my %held = fill_released();
is(query(q{SELECT extversion FROM pg_extension WHERE extname = 'seats'}), '1.0', 'the objects are of 1.0');
is(outcome('SELECT seats.postgrest_config()'), '', 'there is a key for JWTs');
query("CREATE DATABASE plain; CREATE DATABASE fresh");
in_database('plain');
query(q{SET client_min_messages = warning; CREATE EXTENSION seats CASCADE});
in_database('postgres');

# A database whose owner is a plain role, which has added columns, an index, triggers and views.
query('CREATE DATABASE owned; CREATE ROLE seats_owner');
in_database('owned');
create_shop(5);
my $invited = assign('ada@example.com');
my ($give_away) = grep { /ALTER %s %s OWNER TO/ }
  slurp_file("$FindBin::RealBin/../../docs/operations.md") =~ /^```sql\n(.*?)^```/msg;
query($give_away);
query(q{
	ALTER TABLE seats.events ADD COLUMN note text;
	ALTER TABLE seats.customer_seats ADD COLUMN note text;
	CREATE INDEX own_idx ON seats.customer_seats (created_at);
	CREATE VIEW counters AS SELECT * FROM seats.stats();
	CREATE TABLE history AS SELECT s FROM seats.stats() AS s;
	CREATE VIEW mine AS SELECT * FROM seats.my_seats;
	CREATE VIEW everything AS SELECT s, e FROM seats.customer_seats AS s, seats.events AS e;
	CREATE TABLE changes (id uuid);
	GRANT INSERT ON changes TO seats_owner;
	CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO public.changes VALUES (NEW.id); RETURN NULL; END $$;
	CREATE TRIGGER note_change AFTER UPDATE ON seats.customer_seats FOR EACH ROW EXECUTE FUNCTION note_change()});
query(q{UPDATE seats.customers SET email = 'ada@new.example.com' WHERE email = 'ada@example.com'});
in_database('postgres');

# What 1.1 finds that it has to change.
is(query(q{SELECT count(*) FROM seats.customer_seats WHERE status = 'revoked' AND seat_metadata IS NOT NULL}),
	'10', 'revoked seats have metadata');
is( query(q{
		SELECT count(*) FROM seats.customer_seats AS s JOIN seats.customers AS c ON c.id = s.customer_id
		WHERE s.customer_email IS DISTINCT FROM c.email}),
	'8', 'seats have the addresses that their customers had');
is(query(q{SELECT string_agg(DISTINCT status::text, ' ' ORDER BY status::text) FROM seats.customer_seats}),
	'claimed pending revoked', 'there are seats in every state');

my $expected = rows_to_expect();
my %before = map { $_ => outcomes_of_held($held{$_}) } SHOPS;
my %rights_before = map { $_ => 1 } split /\n/, query("$rights; $table_rights");
my $events = query('SELECT count(*) FROM seats.events');

install_current($node, $version);
is(outcome("ALTER EXTENSION seats UPDATE TO '1.1'"), '', 'the database is updated');
is(difference($expected, rows_found()), '', 'rows are as they were, but for metadata of revoked seats and for addresses');
is(query('SELECT count(*) FROM seats.events WHERE seat IS NULL'), $events, 'events of 1.0 have no seat');
check_addresses('updated');
check_rules('updated');
is(outcomes_of_held($held{$_}), $before{$_}, "invitations and sessions work or are refused as before: $_") foreach SHOPS;
is( query(qq{
		SELECT string_agg(quote_nullable(customer_email) || can_claim, ' ')
		FROM unnest(ARRAY['$held{$first_shop}{moved}', '$held{$first_shop}{silent}', '$held{$first_shop}{late}']) AS token,
			seats.claim_info(token)}),
	q{'new_moved@example.com'true ''true 'later@example.com'false}, 'invitations are for the new addresses');

my %rights_after = map { $_ => 1 } split /\n/, query("$rights; $table_rights");
is(join("\n", grep { !$rights_after{$_} } sort keys %rights_before), '', 'the update takes no right away');
query(q{SELECT seats.grant_access('anonymous', 'backend', 'customer')});
my $granted = query("$rights; $table_rights");
in_database('fresh');
query(q{
	SET client_min_messages = warning;
	CREATE EXTENSION seats CASCADE;
	SELECT seats.grant_access('anonymous', 'backend', 'customer')});
is($granted, query("$rights; $table_rights"), 'grant_access() then gives the rights that it gives in a new database');

query('CREATE DATABASE new');
in_database('new');
query(q{SET client_min_messages = warning; CREATE EXTENSION seats CASCADE});
in_database('plain');
query('ALTER EXTENSION seats UPDATE');
check_same_catalog('new', 'plain', 'the catalog is that of a new database');
in_database('postgres');

# Objects of one's own, and a plain role as the owner, are no hindrance.
in_database('owned');
is(outcome('ALTER EXTENSION seats UPDATE'), '', 'a database with objects of its own is updated');
query($give_away);
is( query(q{
		SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend AS d JOIN pg_shdepend AS o USING (classid, objid)
		WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND o.deptype = 'o' AND o.refobjid <> 'seats_owner'::regrole
			AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'seats')
			AND o.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())}),
	'', 'all objects are given to the owner again');
is( outcome(qq{
		SELECT (seat).status FROM seats.claim_seat('$invited') AS c (seat, token);
		SELECT type, (seat).status, note FROM seats.events ORDER BY id DESC LIMIT 1;
		SELECT claimed FROM counters;
		SELECT (s).assigned, (s).suspended IS NULL FROM history;
		SELECT count(*) FROM changes}),
	"claimed\ncustomer_seat.claimed|claimed|\n1\n1|t\n2", 'a claim works with them');
in_database('postgres');

# A claim does not need the executor, and nothing keeps it from being a HOT update.
my @executed = executed("SELECT (seats.claim_seat('$held{$first_shop}{moved}')).seat");
is(scalar @executed, 1, 'a claim is made by direct access') or diag(join "\n", @executed);
is(query("SELECT status, customer_email FROM seats.customer_seats WHERE customer_email = 'new_moved\@example.com'
		AND organization_id = '$first_shop'"),
	'claimed|new_moved@example.com', 'and claims the seat');

check_life($_, $held{$_}, 'updated', rehearse => 1, keys => 1) foreach SHOPS;

# What is new in 1.1 works for what 1.0 made.
my $seat_of = "SELECT id FROM seats.customer_seats WHERE organization_id = '$second_shop' AND customer_email =";
my $held = $held{$second_shop};
foreach (
	[ 'an address is followed', qq{
			UPDATE seats.customers SET email = 'renamed\@example.com' WHERE organization_id = '$second_shop'
				AND email = 'later\@example.com';
			$seat_of 'renamed\@example.com' \\gset
			SELECT invitation_token AS token FROM seats.resend_invitation(:'id') \\gset
			SELECT customer_email, can_claim FROM seats.claim_info(:'token')
		}, 'renamed@example.com|t' ],
	[ 'a subscription is suspended, and its sessions end', qq{
			UPDATE seats.subscriptions SET status = 'paused' WHERE id = '$second_shop';
			SELECT seats.authenticate('$held->{session_of_claimed}')
		}, 'PT401 session_invalid' ],
	[ 'nobody claims a suspended seat', "SELECT seats.claim_seat('$held->{pending}')", 'PT400 seat_suspended' ],
	[ 'nobody is signed in to one', "SELECT seats.open_session(($seat_of 'claimed\@example.com' AND subscription_id IS NOT NULL))",
		'PT400 seat_suspended' ],
	[ 'it is resumed', qq{
			UPDATE seats.subscriptions SET status = 'active' WHERE id = '$second_shop';
			SELECT (seat).status FROM seats.claim_seat('$held->{pending}')
		}, 'claimed' ],
	[ 'one who claimed with 1.0 is signed in', qq{
			SELECT customer_session_token AS session
			FROM seats.open_session(($seat_of 'claimed\@example.com' AND subscription_id IS NOT NULL)) \\gset
			SELECT customer_email FROM seats.authenticate(:'session')
		}, 'claimed@example.com' ],
	[ 'events have the seat and its purchase', qq{
			SELECT DISTINCT (seat).subscription_id, metadata ->> 'subscription_id', (seat).id = seat_id FROM seats.events
			WHERE id = (SELECT max(id) FROM seats.events WHERE type = 'customer_seat.claimed')
		}, "$second_shop|$second_shop|t" ],
	[ 'a customer is erased from what 1.0 made', qq{
			SELECT seats.erase_customer(customer_id)
			FROM seats.customer_seats WHERE customer_email = 'new_moved_claimed\@example.com' AND organization_id = '$second_shop';
			SELECT count(*) FROM seats.customers WHERE email = 'new_moved_claimed\@example.com' AND organization_id = '$second_shop'
		}, "1\n0" ],
	[ 'a row of 1.0 is given again with a new id', qq{
			SELECT count(*) AS rows FROM seats.customer_seats WHERE subscription_id = '$second_shop' \\gset
			SELECT array_agg(id) AS ids FROM seats.customer_seats WHERE subscription_id = '$second_shop' AND status = 'revoked' \\gset
			SELECT (seat).id <> ALL (:'ids'), (seat).modified_at IS NULL FROM seats.assign_seat('$second_shop', email => 'again\@example.com');
			SELECT count(*) = :rows FROM seats.customer_seats WHERE subscription_id = '$second_shop'
		}, "t|t\nt" ],
  )
{
	my ($name, $sql, $result) = @$_;

	is(outcome($sql), $result, $name);
}
check_rules('life goes on');
check_life($first_shop, $held{$first_shop}, 'goes on', keys => 1);
query("UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$second_shop'");
check_upkeep('goes on');
check_addresses('goes on');
check_rules('goes on');

done_testing();
