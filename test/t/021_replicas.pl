# On a standby everything works that only reads, and what writes says so.  When a primary with a
# synchronous standby is lost under load, no claim that was answered is missing on the standby,
# and people go on there.  Logical replication keeps the tables of another server equal.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;
use Time::HiRes qw(sleep);

my $id        = ID;
my $sessions  = 8;
my $seats     = 20_000;
my $directory = PostgreSQL::Test::Utils::tempdir();

my $primary = start_node('primary', 'max_connections = 30', allows_streaming => 'logical');
create_shop(1_000_000);
my $token   = assign('ada@example.com');
my $claimed = assign('bob@example.com');
my $session = claim($claimed);
my $seat    = query("SELECT id FROM seats.customer_seats WHERE customer_email = 'bob\@example.com'");
my $link    = query("SELECT join_token FROM seats.create_join_link('$id')");

# A standby ------------------------------------------------------------------------------------------

$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

my %reads = (
	claim_info             => "SELECT to_json(seats.claim_info('$token'))",
	'claim_info of a claimed seat' => "SELECT to_json(seats.claim_info('$claimed'))",
	list_seats             => "SELECT to_json(seats.list_seats('$id'))",
	get_seat               => "SELECT to_json(seats.get_seat('$seat'))",
	has_seat               => "SELECT seats.has_seat('$id', customer_id) FROM seats.customer_seats WHERE id = '$seat'",
	'has_seat of nobody'   => "SELECT seats.has_seat('$id', '$seat')",
	authenticate           => "SELECT to_json(seats.authenticate('$session'))",
	'authenticate of an unknown token' => "SELECT seats.authenticate('seats_cst_x')",
	token_route            => "SELECT seats.token_route('$token')",
	join_info              => "SELECT to_json(seats.join_info('$link'))",
	list_join_links        => "SELECT to_json(l) FROM seats.list_join_links('$id') AS l",
	'seats_http.join_info' => "SELECT seats_http.join_info('$link')",
	'seats_http.get_claim_info' => "SELECT seats_http.get_claim_info('$token')",
	'seats_http.list_seats' => "SELECT seats_http.list_seats('$id')",
);
foreach my $name (sort keys %reads)
{
	on_node($primary);
	my $expected = outcome($reads{$name});
	on_node($standby);
	is(outcome($reads{$name}), $expected, "$name gives the same on a standby");
}

my %writes = (
	'claim_seat()'            => "seats.claim_seat('$token')",
	'assign_seat()'           => "seats.assign_seat('$id', email => 'new\@example.com')",
	'assign_seats()'          => "seats.assign_seats('$id', NULL, ARRAY['new\@example.com'])",
	'import_seats()'          => "seats.import_seats('$id', emails => ARRAY['new\@example.com'])",
	'resend_invitation()'     => "seats.resend_invitation('$seat')",
	'revoke_seat()'           => "seats.revoke_seat('$seat')",
	'revoke_seats()'          => "seats.revoke_seats('$id')",
	'set_seats()'             => "seats.set_seats('$id', seats => 1)",
	'create_join_link()'      => "seats.create_join_link('$id')",
	'join_seat()'             => "seats.join_seat('$link', 'new\@example.com')",
	'revoke_join_link()'      => "seats.revoke_join_link('$id')",
	'open_session()'          => "seats.open_session('$seat')",
	'erase_customer()'        => "seats.erase_customer('$id')",
	'end_session()'           => "seats.end_session('$session')",
	'release_expired_seats()' => 'seats.release_expired_seats()',
	'purge_expired_sessions()' => 'seats.purge_expired_sessions()',
	'purge_events()'          => "seats.purge_events('1 day')",
);
is(outcome("SELECT $writes{$_}"), "25006 cannot execute $_ in a read-only transaction",
	"$_ refuses on a standby")
  foreach sort keys %writes;
is(outcome("SELECT seats.claim_seat('no token')"),
	'25006 cannot execute claim_seat() in a read-only transaction',
	'a bad token is refused for the same reason');
is(outcome(qq{SELECT seats_http.claim_seat('{"invitation_token": "$token"}'::jsonb)}),
	'25006 cannot execute claim_seat() in a read-only transaction',
	'seats_http.claim_seat() refuses on a standby');

# Loss of the primary --------------------------------------------------------------------------------

on_node($primary);
my @tokens = split /\n/, query(qq{
	SELECT invitation_token FROM generate_series(0, $seats / 1000 - 1) AS batch,
		seats.assign_seats('$id', NULL, ARRAY(
			SELECT format('c%s\@example.com', n)
			FROM generate_series(batch * 1000, batch * 1000 + 999) AS n))});
is(@tokens, $seats, 'many seats are assigned');

$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'standby'");
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");

# Each session claims tokens of its own and says which it claimed, until the server is gone.
my @claiming = map {
	my $number = $_;
	my @own = @tokens[ grep { $_ % $sessions == $number } 0 .. $#tokens ];

	append_to_file(
		"$directory/claims.$number",
		join '',
		map {
			"SELECT (seat).id, customer_session_token, '$_' FROM seats.claim_seat('$_');\n"
		} @own);
	IPC::Run::start(
		[ 'psql', '-XAtq', '-f', "$directory/claims.$number", $primary->connstr('postgres') ],
		'>', "$directory/claimed.$number", '2>', "$directory/lost.$number")
} 0 .. $sessions - 1;
$primary->poll_query_until('postgres',
	'SELECT count(*) > 500 FROM seats.customer_sessions');
# The standby hears nothing for a moment before the end, in which no claim may be answered.
my ($receiver) = $standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
kill 'STOP', $receiver;
sleep 0.3;
$primary->stop('immediate');
$_->finish foreach @claiming;
kill 'CONT', $receiver;

$standby->promote;
on_node($standby);
query("ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();");
query('CREATE TABLE answers (seat uuid, session text, token text)');
query("\\copy answers FROM '$directory/claimed.$_' (DELIMITER '|')") foreach 0 .. $sessions - 1;

my $answers = query('SELECT count(*) FROM answers');
note "$answers claims were answered before the primary was lost";
cmp_ok($answers, '>', 400, 'sessions were busy');
cmp_ok($answers, '<', $seats, 'and not done');
is( query(q{
		SELECT count(*) FROM answers AS a
		JOIN seats.customer_seats AS s ON s.id = a.seat AND s.status = 'claimed'
		JOIN seats.events AS e ON e.seat_id = s.id AND e.customer_id = s.customer_id
			AND e.type = 'customer_seat.claimed'
		WHERE (seats.authenticate(session)).seat_id = a.seat}),
	$answers, 'each is there on the standby, with its session and its event');
is(outcome("SELECT seats.claim_seat(token) FROM answers LIMIT 1"),
	'PT400 seat_already_claimed', 'a seat that was claimed cannot be claimed again');

# What was under way may have been committed without an answer: at most one claim of each session.
my $unanswered = query('SELECT count(*) FROM seats.customer_sessions') - $answers - 1;
cmp_ok($unanswered, '<=', $sessions, 'nothing more is claimed than was under way');

query("SELECT seats.claim_seat('$_')")
  foreach (split /\n/, query(qq{
	SELECT t FROM unnest('{${\ join ',', @tokens}}'::text[]) AS t
	JOIN seats.customer_seats ON invitation_token_hash = digest(t, 'sha256')
	WHERE status = 'pending' LIMIT 50}));
is( query(q{SELECT count(*) FROM seats.customer_sessions}),
	$answers + $unanswered + 51,
	'people go on on the standby');
is( query(q{SELECT count(*) - count(DISTINCT id) FROM seats.events}),
	0, 'the numbers of events go on');

# Logical replication --------------------------------------------------------------------------------

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
on_node($subscriber);
query('SET client_min_messages = warning; CREATE EXTENSION seats CASCADE; DELETE FROM seats.jwt_keys');
on_node($standby);
query('CREATE PUBLICATION all_seats FOR TABLES IN SCHEMA seats');
on_node($subscriber);
query("CREATE SUBSCRIPTION all_seats CONNECTION '${\ $standby->connstr} dbname=postgres' PUBLICATION all_seats");
$standby->wait_for_catchup('all_seats');
$subscriber->wait_for_subscription_sync;

on_node($standby);
my ($counts, $rows) = (table_counts(), table_rows());
on_node($subscriber);
is(table_counts(), $counts, 'a subscriber starts with as many rows');
ok(table_rows() eq $rows, 'and the same');

on_node($standby);
my $carol = assign('carol@example.com');
claim($carol);
query("SELECT seats.resend_invitation(id) FROM seats.customer_seats WHERE customer_email = 'ada\@example.com'");
query("SELECT seats.end_session('$session')");
query("SELECT seats.revoke_seat('$seat')");
assign('dan@example.com');
query(qq{
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
	VALUES ('$id', '$id', '$id', '$id', 5, 'paid');
	SELECT seats.assign_seat(order_id => '$id', email => 'eve\@example.com', immediate_claim => true);
	UPDATE seats.orders SET seats = 2;
	SELECT seats.assign_seat(order_id => '$id', email => 'fay\@example.com');
	DELETE FROM seats.orders;
	UPDATE seats.subscriptions SET status = 'canceled';
	SELECT seats.purge_events('0');
	UPDATE seats.organizations SET name = 'Acme Ltd'});
$standby->wait_for_catchup('all_seats');
($counts, $rows) = (table_counts(), table_rows());
is(query(q{SELECT DISTINCT status FROM seats.customer_seats}), 'revoked', 'all seats are revoked');
on_node($subscriber);
is(table_counts(), $counts, 'it keeps as many rows');
ok(table_rows() eq $rows, 'and the same');
is( query(q{SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgrelid = 'seats.customer_seats'::regclass}),
	'O', 'with its own triggers as they were made');

done_testing();
