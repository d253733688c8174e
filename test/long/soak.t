# Mixed traffic by sixteen clients, with a standby, dumps, vacuums and house-keeping going on: only the
# contract's errors, memory and time per call that stay as they are, and all rules kept afterwards.
#
#   SOAK_SECONDS=1800       how long
#   SOAK_RATE=300           how many calls a second, of all clients together; 0: as many as they can
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use List::Util qw(max sum0);
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds   = $ENV{SOAK_SECONDS} // 1800;
my $rate      = $ENV{SOAK_RATE} // 300;
my $clients   = 16;
my $samples   = 10;
my $directory = PostgreSQL::Test::Utils::tempdir();

my $node = start_node('soak', qq{
	max_connections = 60
	log_statement = none
	log_min_messages = warning
	log_min_error_statement = panic
	autovacuum_naptime = 5s
	seats.invitation_ttl = '20s'
	seats.customer_session_ttl = '40s'}, allows_streaming => 1);
create_shop(1000);
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('soak_standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;

# A client knows some seats, each with the newest invitation and session that it was given, and does
# one thing at random with one of them. What came of it is counted by SQLSTATE and reason.
query(q{
	CREATE SCHEMA soak;
	CREATE TABLE soak.seats (
		client int, n int, seat uuid, invitation text, session text, PRIMARY KEY (client, n)) WITH (fillfactor = 50);
	INSERT INTO soak.seats SELECT client, n FROM generate_series(0, 15) AS client, generate_series(0, 19) AS n;
	CREATE TABLE soak.outcomes (client int, action text, outcome text, count bigint,
		PRIMARY KEY (client, action, outcome)) WITH (fillfactor = 50);
	CREATE FUNCTION soak.act(action text, known soak.seats) RETURNS soak.seats
	LANGUAGE plpgsql AS $$
	DECLARE
		shop uuid := '00000000-0000-0000-0000-000000000001';
	BEGIN
		CASE action
			WHEN 'assign' THEN
				SELECT (a.seat).id, a.invitation_token INTO known.seat, known.invitation
				FROM seats.assign_seat(shop, email => format('c%s-%s@example.com', known.client, known.n)) AS a;
			WHEN 'claim' THEN
				SELECT c.customer_session_token INTO known.session
				FROM seats.claim_seat(known.invitation, CASE WHEN random() < 0.5 THEN 'key' END) AS c;
			WHEN 'claim over HTTP' THEN
				PERFORM seats_http.claim_seat(convert_to(jsonb_build_object('invitation_token', known.invitation)::text, 'UTF8'));
			WHEN 'claim of another' THEN
				PERFORM seats.claim_seat((SELECT invitation FROM soak.seats
					WHERE client = (known.client + 1) % 16 AND n = known.n));
			WHEN 'info' THEN
				PERFORM seats.claim_info(known.invitation);
			WHEN 'authenticate' THEN
				PERFORM seats.authenticate(known.session);
			WHEN 'sign out' THEN
				PERFORM seats.end_session(known.session);
			WHEN 'resend' THEN
				SELECT r.invitation_token INTO known.invitation FROM seats.resend_invitation(known.seat) AS r;
			WHEN 'revoke' THEN
				PERFORM seats.revoke_seat(known.seat);
			WHEN 'open session' THEN
				SELECT o.customer_session_token INTO known.session FROM seats.open_session(known.seat) AS o;
			WHEN 'another address' THEN
				UPDATE seats.customers SET email = CASE email WHEN lower(email) THEN upper(email) ELSE lower(email) END
				WHERE id = (SELECT customer_id FROM seats.customer_seats WHERE id = known.seat);
			WHEN 'erase' THEN
				PERFORM seats.erase_customer(customer_id) FROM seats.customer_seats
				WHERE id = known.seat AND customer_id IS NOT NULL;
			-- Seldom, and soon over.
			WHEN 'pause' THEN
				UPDATE seats.subscriptions SET status = CASE status WHEN 'active' THEN 'paused' ELSE 'active' END
				WHERE id = shop AND (status = 'paused' OR random() < 0.02);
			WHEN 'list' THEN
				PERFORM seats.list_seats(shop);
			WHEN 'house-keeping' THEN
				PERFORM seats.release_expired_seats('10 seconds'), seats.purge_expired_sessions(), seats.purge_events('60 seconds');
		END CASE;
		RETURN known;
	END
	$$;
	CREATE FUNCTION soak.step(own int, number int) RETURNS void
	LANGUAGE plpgsql AS $$
	DECLARE
		actions text[] := '{assign,assign,assign,claim,claim,claim,claim over HTTP,claim of another,info,info,'
			'authenticate,authenticate,authenticate,sign out,open session,another address,erase,pause,resend,revoke,list,'
			'house-keeping}';
		chosen text := actions[1 + floor(random() * array_length(actions, 1))];
		known soak.seats;
		came text := 'ok';
		reason text;
	BEGIN
		SELECT * INTO known FROM soak.seats WHERE client = own AND n = number;
		BEGIN
			known := soak.act(chosen, known);
			UPDATE soak.seats SET seat = known.seat, invitation = known.invitation, session = known.session
			WHERE client = own AND n = number AND seats IS DISTINCT FROM known;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
			came := SQLSTATE || ' ' || CASE WHEN SQLSTATE = 'PT422' THEN '' WHEN SQLSTATE LIKE 'PT%' THEN reason ELSE SQLERRM END;
		END;
		INSERT INTO soak.outcomes VALUES (own, chosen, came, 1)
		ON CONFLICT (client, action, outcome) DO UPDATE SET count = outcomes.count + 1;
	END
	$$;
});

append_to_file("$directory/soak.sql",
	"\\set n random(0, 19)\nSELECT soak.step(:client_id, :n);\n");
my $progress = int($seconds / $samples) || 1;
my $traffic = IPC::Run::start(
	[   'pgbench', '-n', '-M', 'prepared', '-c', $clients, '-j', 2, '-T', $seconds, '-P', $progress,
		($rate ? ('-R', $rate) : ()), '-f', "$directory/soak.sql", $node->connstr('postgres') ],
	'>', "$directory/pgbench.out", '2>', "$directory/pgbench.err");

# Does something again and again until a moment.
sub in_background
{
	my ($end, $work) = @_;
	my $pid = fork;

	die "fork: $!" if !defined $pid;
	return $pid if $pid;
	while (time < $end)
	{
		$work->();
		sleep 5;
	}
	# Nothing of the parent's is to be cleaned up here.
	kill 'KILL', $$;
}

# Returns the private memory in kB of the clients' backends together, and the time that they have been running on a
# processor, in its ticks; nothing unless they are all there.
sub memory_and_time
{
	my @pids = split /\n/, query(
		q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%soak.step%' AND pid <> pg_backend_pid()});

	return () if @pids != $clients;
	return (
		sum0(map { slurp_file("/proc/$_/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : 0 } @pids),
		sum0(map { sum0((split ' ', slurp_file("/proc/$_/stat") =~ s/.*\) //r)[ 11, 12 ]) } @pids));
}

sub calls_made
{
	return query('SELECT coalesce(sum(count), 0) FROM soak.outcomes');
}

my $end = time + $seconds - 2;
my ($dumps, $vacuums) = ("$directory/dumps", "$directory/vacuums");
my @background = (
	in_background($end, sub {
		my $good = system("pg_dump --format=custom --file=$directory/dump '${\ $node->connstr('postgres')}' 2>>$directory/dump.err") == 0;
		append_to_file($dumps, $good ? "good\n" : "bad\n");
	}),
	in_background($end, sub {
		query('VACUUM');
		append_to_file($vacuums, "good\n");
	}));

my (@memory, @sizes, @work);
while (time < $end)
{
	sleep($progress / 2);
	my ($memory, $time) = memory_and_time();

	if (defined $memory)
	{
		push @memory, $memory;
		push @work, [ $time, calls_made() ];
	}
	# That of events follows the pace of the clients.
	push @sizes, query(q{SELECT sum(pg_total_relation_size(oid)) FROM pg_class
		WHERE relnamespace = 'seats'::regnamespace AND relkind = 'r' AND relname <> 'events'}) / 1024;
}
$traffic->finish;
waitpid $_, 0 foreach @background;

my @latencies = slurp_file("$directory/pgbench.err") =~ /lat ([\d.]+) ms/g;
note 'calls: ' . calls_made();
note "outcomes:\n" . query('SELECT action, outcome, sum(count) FROM soak.outcomes GROUP BY 1, 2 ORDER BY 1, 3 DESC');
note "private memory of $clients backends in kB: @memory";
note "size of the tables but events, with indexes, in kB: @sizes";
note "mean latency in ms, of each tenth: @latencies";

is($traffic->result(0), 0, 'no client was lost');
is( query(q{
		SELECT string_agg(DISTINCT outcome, E'\n') FROM soak.outcomes
		WHERE outcome <> 'ok' AND NOT (action, outcome) IN (
			('assign', 'PT400 seat_already_assigned'), ('assign', 'PT400 no_available_seats'),
			('assign', 'PT400 subscription_not_active'), ('claim', 'PT400 seat_suspended'),
			('claim of another', 'PT400 seat_suspended'), ('resend', 'PT400 seat_suspended'),
			('open session', 'PT400 seat_suspended'), ('open session', 'PT400 seat_not_claimed'),
			('open session', 'PT404 seat_not_found'), ('open session', 'PT422 '), ('revoke', 'PT404 seat_not_found'),
			('erase', 'PT404 customer_not_found'),
			('claim', 'PT400 seat_already_claimed'), ('claim', 'PT400 invitation_expired'),
			('claim', 'PT400 invitation_invalid'), ('claim', 'PT400 seat_revoked'), ('claim', 'PT422 '),
			('claim of another', 'PT400 seat_already_claimed'), ('claim of another', 'PT400 invitation_expired'),
			('claim of another', 'PT400 invitation_invalid'), ('claim of another', 'PT400 seat_revoked'),
			('claim of another', 'PT422 '),
			('info', 'PT400 invitation_invalid'), ('info', 'PT422 '), ('info', 'PT400 seat_revoked'),
			('authenticate', 'PT401 session_invalid'), ('authenticate', 'PT401 session_expired'),
			('authenticate', 'PT422 '), ('sign out', 'PT422 '),
			('resend', 'PT400 seat_not_pending'), ('resend', 'PT422 '), ('revoke', 'PT422 '),
			('resend', 'PT404 seat_not_found'))}),
	'', 'no error but of the contract');
is(query(q{SELECT count(DISTINCT action) FROM soak.outcomes WHERE outcome = 'ok'}), 15, 'everything succeeded sometimes');
unlike(slurp_file($node->logfile), qr/PANIC|FATAL:(?!.*(terminating|starting up))|server process .* was terminated/,
	'the server went through it');
ok(-s $dumps && slurp_file($dumps) !~ /bad/, 'dumps succeeded');
ok(-s $vacuums, 'vacuums succeeded');

# Flat: what was used after a third, when everything had been done by each client, is used at the end.
my ($middle, $last) = ($memory[ @memory / 3 ], $memory[-1]);
cmp_ok(@memory, '>', $samples, 'memory was looked at');
cmp_ok($last, '<', 1.1 * $middle + 1024, 'memory of the backends is flat');
# Vacuum makes tables smaller now and then, so the largest sizes of two thirds are compared.
($middle, $last) = map { max(@$_) } [ @sizes[ @sizes / 3 .. 2 * @sizes / 3 ] ], [ @sizes[ 2 * @sizes / 3 .. $#sizes ] ];
cmp_ok($last, '<', 1.25 * $middle, 'size of the tables is flat');
# What a call costs is measured in the backends' own time: latency is that of a machine that others use too.
sub time_per_call
{
	my ($from, $to) = @_;

	return ($to->[0] - $from->[0]) / ($to->[1] - $from->[1]);
}
my ($early, $late) = (time_per_call(@work[ 0, @work / 2 ]), time_per_call(@work[ @work / 2, -1 ]));
cmp_ok($late, '<', 2 * $early, 'time per call is flat');

is( query(q{
		SELECT u.id FROM seats.subscriptions AS u WHERE assigned_seats <>
			(SELECT count(*) FROM seats.customer_seats WHERE subscription_id = u.id AND status <> 'revoked')
		UNION ALL
		SELECT x.seat_id FROM seats.customer_sessions AS x LEFT JOIN seats.customer_seats AS s ON s.id = x.seat_id
		WHERE (s.status = 'claimed' AND s.suspended_at IS NULL AND s.customer_id = x.customer_id) IS NOT TRUE
		UNION ALL
		SELECT s.id FROM seats.customer_seats AS s JOIN seats.customers AS c ON c.id = s.customer_id
		WHERE s.customer_email IS DISTINCT FROM c.email}),
	'', 'counts are right, only claimed seats have sessions, and each seat has the address of its customer');
query('CREATE EXTENSION amcheck');
is( query(q{
		SELECT count(bt_index_check(c.oid, true)) FROM pg_class AS c
		WHERE relnamespace = 'seats'::regnamespace AND relkind = 'i' HAVING false}),
	'', 'amcheck finds nothing');
my $rows = table_rows();
$node->wait_for_catchup($standby);
on_node($standby);
ok(table_rows() eq $rows, 'the standby has the same rows');

done_testing();
