# What things cost, in pages and locks rather than in seconds: assigning a seat touches as many
# pages however many there are, and a claim is a HOT update that locks one row.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;

my $calls = 7;
my $shop = ID;

my $node = start_node('costs', "shared_buffers = 256MB\nautovacuum = off");
create_shop(200_000);

# A statement that assigns a seat to somebody new.
my $people = 0;

sub assignment
{
	my ($subscription) = @_;

	$people++;
	return "SELECT seats.assign_seat('$subscription', email => 'new$people\@example.com')";
}

# Returns how many pages statements touch: the median, without the first ones, which fill the
# caches of the session.
sub median_pages
{
	my ($warming, @statements) = @_;
	my $explain = 'EXPLAIN (ANALYZE, BUFFERS, TIMING off, COSTS off, FORMAT JSON)';
	my $plans = query(join '', map { "$explain $_;\n" } @statements);
	my @pages;

	# The topmost node comes first and has them all.
	push @pages, $1 + $2
	  while $plans =~ /"Plan":.*?"Shared Hit Blocks": (\d+).*?"Shared Read Blocks": (\d+)/gs;
	@pages = sort { $a <=> $b } @pages[ $warming .. $#pages ];
	note "pages: @pages";
	return $pages[ @pages / 2 ];
}

sub assigned_seats
{
	return query("SELECT assigned_seats FROM seats.subscriptions WHERE id = '$shop'");
}

# Subscriptions with nine seats assigned each.  The owner may insert rows.
my $other = '10000000-0000-0000-0000-00000000000';
query(qq{
	INSERT INTO seats.subscriptions
			(id, organization_id, product_id, customer_id, seats, status)
		SELECT ('$other' || n)::uuid, '$shop', '$shop', '$shop', 100, 'active'
		FROM generate_series(1, $calls) AS n;
	INSERT INTO seats.customers (organization_id, email)
		SELECT '$shop', 'old' || n || '\@example.com' FROM generate_series(1, 99990) AS n;
	CREATE FUNCTION fill(subscription uuid, seats integer) RETURNS void LANGUAGE sql AS \$\$
		INSERT INTO seats.customer_seats (organization_id, subscription_id, customer_id,
				customer_email, status, invitation_token_hash, invitation_token_expires_at)
			SELECT organization_id, subscription, id, email, 'pending',
				sha256(convert_to(subscription::text || id, 'UTF8')), now() + interval '1 day'
			FROM seats.customers WHERE email IS NOT NULL ORDER BY created_at, id LIMIT seats
	\$\$;
	SELECT fill(('$other' || n)::uuid, 9) FROM generate_series(1, $calls) AS n;
});

# The tenth seat of a subscription in a table that has few.
query('VACUUM ANALYZE');
my $small = median_pages(2, map { assignment("$other$_") } 1 .. $calls);

# The hundred-thousandth, and the eleventh of others beside it.
query("SELECT fill('$shop', 99990)");
query('VACUUM ANALYZE');
is(assigned_seats(), '99990', 'a subscription has 99,990 seats assigned');
my $few = median_pages(2, map { assignment("$other$_") } 1 .. $calls);
my $many = median_pages(5, map { assignment($shop) } 1 .. 15);
is(assigned_seats(), '100005', 'now it has 100,005');
cmp_ok($many, '<=', 1.3 * $few,
	"the 100,000th touches $many pages, the 11th of another subscription $few");
cmp_ok($many, '<=', 1.5 * $small, "the 10th touched $small while indexes were less deep");

# Many in one statement: each costs no more than one alone.
my $bulk = median_pages(1, map {
	my $call = $_;
	"SELECT * FROM seats.assign_seats('$shop', NULL, "
	  . "ARRAY(SELECT 'bulk$call-' || n || '\@example.com' FROM generate_series(1, 1000) AS n))"
} 1 .. 4);
is(assigned_seats(), '104005', 'then 4,000 more');
cmp_ok($bulk / 1000, '<=', $many,
	"a thousand at once touch $bulk pages, a thousandth of that for each");

# A seat that is given again.
query(qq{
	SELECT seats.revoke_seat(id)
	FROM (SELECT id FROM seats.customer_seats WHERE subscription_id = '$shop' LIMIT 10) AS s
});
my $again = median_pages(5, map { assignment($shop) } 1 .. 10);
cmp_ok($again, '<=', 1.3 * $few, "giving a revoked one of 100,000 again touches $again");
is(query("SELECT count(*) FROM seats.customer_seats WHERE subscription_id = '$shop'"),
	'104005', 'the rows of revoked ones were used again');

# Behind an old snapshot: dead rows of seats that were given and revoked, and none to give again.
my $old = $node->background_psql('postgres');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT');
my $another = "${other}1";
query(join '', map { assignment($another) =~ s/SELECT (.*)/SELECT ($1).seat.id AS seat \\gset\nSELECT seats.revoke_seat(:'seat');\n/r } 1 .. 1000);
my $behind = median_pages(2, map { assignment($another) } 1 .. 10);
SKIP:
{
	skip 'statements read all entries', 1 if query(q{SELECT current_setting('seats.direct_access', true) = 'off'}) eq 't';
	cmp_ok($behind, '<=', 1.5 * $few, "behind an old snapshot, after 1,000 rounds of assign and revoke, it touches $behind");
}
$old->query_safe('COMMIT');
$old->quit;

# A row to give again whose entry lies behind those of rows that nobody sees; by a session that has its caches.
my $rows = "SELECT count(*) FROM seats.customer_seats WHERE subscription_id = '$another'";
my $revoked = qq{
	INSERT INTO seats.customer_seats (organization_id, subscription_id, status, revoked_at)
		SELECT '$shop', '$another', 'revoked', now() FROM generate_series(1, };
my $before = query($rows);
query(join ";\n", assignment($another), assignment($another),
	"$revoked 1)", "BEGIN; $revoked 100); ROLLBACK", assignment($another));
is(query($rows) - $before, 3, 'a row is given again that a hundred dead ones were inserted after');

# Claims of seats that lie side by side, each in its own transaction.
my ($last, @tokens) = split /\n/, query(qq{
	SELECT invitation_token
	FROM generate_series(1, 501) AS n,
		seats.assign_seat('$shop', email => 'claimer' || n || '\@example.com')
});
is(seat_updates(0, map { "SELECT FROM seats.claim_seat('$_')" } @tokens),
	'500|500',
	'500 claims are 500 updates of seats, all of them HOT');

# What a claim that is not committed holds.
query('CREATE EXTENSION pgrowlocks');
my $claim = $node->background_psql('postgres');
$claim->query_safe("BEGIN; SELECT FROM seats.claim_seat('$last')");
is( join("\n", map { query("SELECT '$_', modes FROM pgrowlocks('seats.$_')") || () }
		split /\n/, query("SELECT tablename FROM pg_tables WHERE schemaname = 'seats'")),
	'customer_seats|{"No Key Update"}',
	'a claim locks one row, its seat, FOR NO KEY UPDATE');
is( query(q{
		SELECT relname, mode
		FROM pg_locks JOIN pg_class AS c ON c.oid = relation
		WHERE locktype = 'relation' AND relnamespace = 'seats'::regnamespace
			AND relkind = 'r' AND mode NOT IN ('AccessShareLock', 'RowShareLock')
		ORDER BY relname, mode
	}),
	join("\n", map { "$_|RowExclusiveLock" } qw(customer_seats customer_sessions events)),
	'and no table more strongly than any update does');
$claim->query_safe('COMMIT');
$claim->quit;

done_testing();
