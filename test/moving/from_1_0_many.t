# A database of 1.0 with many seats is updated: 50,000, or with FULL=1 a million.  What the update takes is shown, with FULL=1 by
# statement, for docs/operations.md, and not judged.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsReleased;
use SeatsTest;
use Test::More;
use Time::HiRes 'time';

my $seats = $ENV{FULL} ? 1_000_000 : 50_000;
my $id = ID;
my $version = oldest_version();
my $node = new_released_server('released', $version);
my $statistics = -e $node->install_path . '/lib/pg_stat_statements.so';

my $states = 'SELECT status, count(*), count(customer_email), count(claimed_at), count(revoked_at) FROM seats.customer_seats GROUP BY 1 ORDER BY 1';
my $metadata = q{SELECT count(*) FROM seats.customer_seats WHERE status = 'revoked' AND seat_metadata IS NOT NULL};
my $addresses = q{
	SELECT count(*) FROM seats.customer_seats AS s JOIN seats.customers AS c ON c.id = s.customer_id
	WHERE s.customer_email IS DISTINCT FROM c.email};

# Runs statements; says how long they took, and how much WAL was written meanwhile.
sub measured
{
	my ($name, $sql) = @_;
	my $position = query('CHECKPOINT; SELECT pg_current_wal_insert_lsn()');
	my $start = time;
	my $outcome = outcome($sql);
	my $seconds = time - $start;
	my $wal = query("SELECT pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$position'))");

	note sprintf 'measured: %s: %.1f s, %s of WAL', $name, $seconds, $wal;
	return $outcome;
}

# Fills the tables as if 1.0 had been used for long: two seats to a customer, a hundred to a subscription.
sub fill_many
{
	create_shop(0);
	query(qq{
		SET session_replication_role = replica;
		SET synchronous_commit = off;
		INSERT INTO seats.customers (id, organization_id, email)
			SELECT md5('customer' || n)::uuid, '$id', 'customer' || n || '\@example.com' FROM generate_series(1, $seats / 2) AS n;
		INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
			SELECT md5('subscription' || n)::uuid, '$id', '$id', '$id', 100, CASE WHEN n % 20 = 0 THEN 'unpaid' ELSE 'active' END
			FROM generate_series(0, $seats / 100 - 1) AS n;
		-- Of ten seats, four are claimed, three pending, of which one has expired, and three revoked, two of them with metadata.
		-- All seats of a subscription that is unpaid are revoked.
		INSERT INTO seats.customer_seats (id, organization_id, status, expiry_watched, subscription_id, customer_id, customer_email,
				invitation_token_hash, invitation_token_expires_at, claimed_at, revoked_at, seat_metadata)
			SELECT md5('seat' || n)::uuid, '$id',
				CASE WHEN live AND n % 10 < 4 THEN 'claimed' WHEN live THEN 'pending' ELSE 'revoked' END::seats.seat_status,
				live, md5('subscription' || n / 100)::uuid,
				CASE WHEN live THEN md5('customer' || 1 + n % ($seats / 2))::uuid END,
				CASE WHEN live THEN 'customer' || 1 + n % ($seats / 2) || '\@example.com' END,
				sha256(int4send(n)), CASE n % 10 WHEN 4 THEN timestamptz '2026-01-01' ELSE timestamptz '2100-01-01' END,
				CASE WHEN n % 10 < 4 THEN now() END, CASE WHEN NOT live THEN now() END,
				CASE WHEN n % 10 <> 9 THEN jsonb_build_object('team', 'team ' || n % 100) END
			FROM (SELECT n, n % 10 < 7 AND n / 100 % 20 <> 0 AS live FROM generate_series(0, $seats - 1) AS n) AS n;
		UPDATE seats.subscriptions AS p SET assigned_seats = s.n
			FROM (SELECT subscription_id, count(*) AS n FROM seats.customer_seats WHERE status <> 'revoked' GROUP BY 1) AS s
			WHERE s.subscription_id = p.id;
		INSERT INTO seats.customer_sessions (token_hash, seat_id, customer_id, organization_id, created_at, expires_at)
			SELECT sha256(uuid_send(id)), id, customer_id, organization_id, now(), now() + interval '1 hour'
			FROM seats.customer_seats WHERE status = 'claimed';
		INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at, metadata)
			SELECT 'customer_seat.' || type, md5('seat' || n)::uuid, '$id', md5('customer' || 1 + n % ($seats / 2))::uuid, now(), '{"role": "backend"}'
			FROM unnest(ARRAY['assigned', 'claimed']) AS type, generate_series(0, $seats - 1) AS n WHERE type = 'assigned' OR n % 10 < 4;
		-- One customer in fifty has another address than when it was invited.
		UPDATE seats.customers SET email = 'new_' || email WHERE get_byte(uuid_send(id), 0) < 5;
	});
	query('VACUUM (ANALYZE)');
}

# Updates a database that is as it was filled; says what takes the time.
sub update
{
	my ($database, $name) = @_;

	in_database($database);
	my $before = query($states);
	my ($cleared, $followed) = map { query($_) } $metadata, $addresses;
	query('SELECT pg_stat_statements_reset()') if $statistics;
	is(measured("$name, $seats seats, metadata of $cleared and addresses of $followed to change", 'ALTER EXTENSION seats UPDATE'),
		'', "$name: the database is updated");
	if ($statistics && $ENV{FULL})
	{
		note "measured:   $_" foreach split /\n/, query(q{
			SELECT format('%s s, %s: %s', round(total_exec_time::numeric / 1000, 2), pg_size_pretty(wal_bytes),
				regexp_replace(left(query, 100), '\s+', ' ', 'g'))
			FROM pg_stat_statements WHERE query !~ '^(ALTER EXTENSION|CHECKPOINT)' AND total_exec_time >= 10
			ORDER BY total_exec_time DESC LIMIT 12});
	}
	is(query($states), $before, "$name: seats are in the states that they were in");
	check_rules($name);
	check_addresses($name);
}

$node->append_conf('postgresql.conf', join "\n", 'wal_level = replica', 'max_wal_size = 2GB', 'shared_buffers = 256MB',
	$statistics ? ("shared_preload_libraries = 'pg_stat_statements'", 'pg_stat_statements.track = all') : ());
$node->start;
on_node($node);
query('CREATE EXTENSION pg_stat_statements') if $statistics;
fill_many();
check_counts('1.0');
cmp_ok(query($metadata), '>', $seats / 5, 'revoked seats have metadata');
cmp_ok(query($addresses), '>', $seats / 200, 'seats have old addresses');

# In a copy, the rows are prepared in batches.
query('CREATE DATABASE prepared TEMPLATE postgres');
in_database('prepared');
my ($section) = slurp_file("$FindBin::RealBin/../../docs/operations.md") =~ /^### Large tables\n(.*?)^##/ms;
foreach my $batch ($section =~ /^```sql\n(.*?)^```/msg)
{
	my $count = 0;

	$count++ while query("WITH changed AS (" . $batch =~ s/;\n$/ RETURNING true/r . ') SELECT count(*) FROM changed') > 0;
	cmp_ok($count, '>', 0, "1.0: rows are prepared in batches, $count of them");
}
is(query($metadata) + query($addresses), 0, 'and none is left to the update');
check_counts('1.0, prepared');
query('VACUUM (ANALYZE)');

install_current($node, $version);
update('postgres', 'update');
update('prepared', 'update of prepared rows');

done_testing();
