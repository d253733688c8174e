# Two hundred sessions at once want the last seats, by an assign or a join, at each isolation level.  pgbench begins a
# transaction again that ends with a serialization failure.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $sessions = 200;
my $directory = PostgreSQL::Test::Utils::tempdir();

my $node = start_node('crowds', "max_connections = 220\nlog_min_messages = fatal");
create_shop(0);

# Calls something, and notes down how it ended.
query(q{
	CREATE TABLE outcome (crowd text, reason text);
	CREATE PROCEDURE try(crowd text, statement text) LANGUAGE plpgsql AS $$
	DECLARE
		reason text := 'done';
	BEGIN
		BEGIN
			EXECUTE statement;
		EXCEPTION WHEN SQLSTATE 'PT400' THEN
			GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
		END;
		INSERT INTO outcome VALUES (crowd, reason);
	END $$});

# Makes a subscription, and returns its id.
sub make_subscription
{
	my ($seats, $limit) = @_;

	return query(qq{
		INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, seats_limit, status)
		VALUES ('${\ID}', '${\ID}', '${\ID}', $seats, $limit, 'active') RETURNING id});
}

# Has all sessions make a call at once, in which :client_id is a number of their own; returns how
# often each outcome came.
sub crowd
{
	my ($name, $level, $call) = @_;
	my $script = "$directory/$name.sql" =~ s/ /-/gr;
	my $gate = $node->background_psql('postgres');

	append_to_file($script, qq{SELECT pg_advisory_lock_shared(1);\nCALL try('$name', \$\$$call\$\$);\n});
	$gate->query_safe('SELECT pg_advisory_lock(1)');
	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . $level =~ s/ /\\ /r;
	my $pgbench = IPC::Run::start(
		[   'pgbench', '-n', '-c', $sessions, '-t', 1, '--max-tries', 10 * $sessions, '-f', $script,
			$node->connstr('postgres') ],
		'>', \my $output, '2>', \my $errors);
	$node->poll_query_until('postgres',
		"SELECT count(*) = $sessions FROM pg_stat_activity WHERE wait_event = 'advisory'");
	$gate->quit;
	ok($pgbench->finish, "$name: no session failed") or diag($errors);
	return query("SELECT reason, count(*) FROM outcome WHERE crowd = '$name' GROUP BY 1 ORDER BY 1");
}

foreach my $level ('read committed', 'repeatable read', 'serializable')
{
	# A subscription that grows as its seats are assigned.
	my $subscription = make_subscription(3, 43);
	my $name = "assign, $level";
	my $outcome = crowd($name, $level,
		"SELECT seats.assign_seat('$subscription', email => ':client_id' || '\@example.com')");

	is($outcome, "done|43\nno_available_seats|157", "$name: as many as the limit get a seat");
	is(query(qq{SELECT seats || ' ' || assigned_seats FROM seats.subscriptions WHERE id = '$subscription'}),
		'43 43', "$name: the number of seats ends at the limit");
	is( query(qq{
			SELECT sum((metadata ->> 'seats')::integer), count(metadata ->> 'seats'), count(*)
			FROM seats.events WHERE metadata ->> 'subscription_id' = '$subscription'}),
		sum_of(4 .. 43) . '|40|43', "$name: the events tell each number once");
}

foreach my $level ('read committed', 'repeatable read', 'serializable')
{
	# A link that may be used more often than there are seats; every fifth joins by another one.
	my $subscription = make_subscription(40, 100);
	my $name = "join, $level";
	my ($one, $two) = map {
		query("SELECT join_token FROM seats.create_join_link('$subscription', max_uses => $_)")
	} 50, 200;
	my $outcome = crowd($name, $level, qq{
		SELECT CASE WHEN :client_id % 5 = 0 THEN seats.join_seat('$two', ':client_id' || '\@example.com')
			ELSE seats.join_seat('$one', ':client_id' || '\@example.com') END}
		  =~ s/\s+/ /gr);

	is($outcome, "done|40\nno_available_seats|160", "$name: as many as there are seats get one");
	is( query(qq{
			SELECT s.seats, s.assigned_seats, (SELECT sum(uses) FROM seats.join_links AS l WHERE l.subscription_id = s.id)
			FROM seats.subscriptions AS s WHERE id = '$subscription'}),
		'40|40|40', "$name: the numbers are right");
}

sub sum_of
{
	my $sum = 0;

	$sum += $_ foreach @_;
	return $sum;
}

done_testing();
