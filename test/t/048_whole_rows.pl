# Object-relational mappers save whole rows, with whatever they read some time ago: what a statement writes to the columns
# that the extension keeps is ignored, and a statement that changes nothing else leaves modified_at alone.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;

my $id   = ID;
my $node = start_node('whole_rows', 'autovacuum = off');
create_shop(50);
query(qq{
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$id', '$id', '$id', '$id', 50, 'paid');
	SELECT seats.assign_seat('$id', email => 'a\@x'), seats.assign_seat(order_id => '$id', email => 'a\@x');
	BEGIN;
	SET LOCAL session_replication_role = replica;
	UPDATE seats.products SET external_id = 'product';
	UPDATE seats.subscriptions SET external_id = 'subscription', seats_next = 50, seats_limit = 70;
	UPDATE seats.orders SET external_id = 'order';
	COMMIT;
	CREATE ROLE backend;
	SELECT seats.grant_access(backend => 'backend');
});

# Runs a statement as the backend; returns its outcome, and the purchase's counts, status, and when it changed: never, now, or
# on a day.
sub saved
{
	my ($table, $statement) = @_;

	return outcome(qq{
		BEGIN;
		SET ROLE backend;
		$statement;
		SELECT assigned_seats, seats, status, CASE WHEN modified_at >= now() THEN 'now' ELSE coalesce(modified_at::date::text, 'never') END
		FROM seats.$table WHERE id = '$id';
		ROLLBACK});
}

foreach my $case ([ 'subscriptions', 'active', 'past_due' ], [ 'orders', 'paid', 'partially_refunded' ])
{
	my ($table, $status, $next) = @$case;
	my $same = "1|50|$status";
	my @columns = split /\n/, query("SELECT attname FROM pg_attribute WHERE attrelid = 'seats.$table'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum");
	my $all = join ', ', @columns;
	my $excluded = join ', ', map { "$_ = EXCLUDED.$_" } @columns;
	# A row with some values changed, as a mapper has it in memory.
	my $row = sub {
		my %values = @_;
		return "SELECT " . join(', ', map { ($values{$_} // $_) . " AS $_" } @columns) . " FROM seats.$table WHERE id = '$id'";
	};

	foreach my $modified ('never', '2020-02-02')
	{
		my $kept = "$same|$modified";

		# The owner alone can have it be something.
		query("BEGIN; SET LOCAL session_replication_role = replica; UPDATE seats.$table SET modified_at = '2020-02-02 12:00+00'; COMMIT")
		  if $modified ne 'never';

		# Statements that change nothing.
		is(saved($table, "UPDATE seats.$table SET $_ WHERE id = '$id'"), $kept, "$table: $_ changes nothing (modified: $modified)")
		  foreach 'assigned_seats = 0', 'assigned_seats = NULL', 'assigned_seats = DEFAULT', 'assigned_seats = 1', 'assigned_seats = assigned_seats + 1',
		  'assigned_seats = -1', 'assigned_seats = 2147483647', 'assigned_seats = 51', 'modified_at = NULL', "modified_at = '1999-01-01'", 'modified_at = now()',
		  "assigned_seats = 0, modified_at = '1999-01-01'", 'seats = seats, status = status', "($all) = (" . $row->(assigned_seats => '0') . ')',
		  "($all) = (" . $row->(assigned_seats => 'NULL::int', modified_at => "'1999-01-01'::timestamptz") . ')';
		is( saved($table, "INSERT INTO seats.$table " . $row->(%$_) . " ON CONFLICT (id) DO UPDATE SET $excluded"),
			$kept, "$table: INSERT ON CONFLICT of a row changes nothing: " . join ' ', %$_)
		  foreach {}, { assigned_seats => '0' }, { assigned_seats => 'NULL::int' }, { assigned_seats => '7' }, { modified_at => 'NULL::timestamptz' },
		  { assigned_seats => '0', modified_at => "'1999-01-01'::timestamptz" };
		is( saved($table, "MERGE INTO seats.$table AS t USING (" . $row->(assigned_seats => '0', modified_at => 'NULL::timestamptz') . ') AS s ON t.id = s.id '
				. 'WHEN MATCHED THEN UPDATE SET ' . join(', ', map { "$_ = s.$_" } @columns)),
			$kept, "$table: MERGE of a row changes nothing");
		is(saved($table, "DO \$\$BEGIN FOR i IN 1 .. 3 LOOP UPDATE seats.$table SET assigned_seats = i, modified_at = NULL; END LOOP; END\$\$"),
			$kept, "$table: several times");

		# Those that change something.
		is(saved($table, "UPDATE seats.$table SET $_->[0] WHERE id = '$id'"), $_->[1], "$table: $_->[0] changes that (modified: $modified)")
		  foreach [ 'seats = 51, assigned_seats = 0', "1|51|$status|now" ], [ 'seats = 51, assigned_seats = NULL, modified_at = NULL', "1|51|$status|now" ],
		  [ "status = '$next', modified_at = '1999-01-01'", "1|50|$next|now" ], [ 'seats = 1, assigned_seats = 50', "1|1|$status|now" ],
		  [ "created_at = created_at - interval '1 day', assigned_seats = 3", "$same|now" ];
		is(saved($table, "UPDATE seats.$table SET ($all) = (" . $row->(assigned_seats => '0', external_id => "'other'") . ')'),
			"$same|now", "$table: another external id is a change (modified: $modified)");
		if ($table eq 'subscriptions')
		{
			is(saved($table, "UPDATE seats.$table SET ($all) = (" . $row->(assigned_seats => '0', %$_) . ')'),
				"$same|now", "$table: " . join(' ', %$_) . " is a change (modified: $modified)")
			  foreach { seats_next => '1' }, { seats_next => 'NULL::int' }, { seats_next => '70' }, { seats_limit => 'NULL::int' }, { seats_limit => '0' };
			like(saved($table, "UPDATE seats.$table SET ($all) = (" . $row->(assigned_seats => '0', seats_next => '0') . ')'),
				qr/^23514 cannot plan to reduce the number of seats to 0, because 1 are assigned$/, "$table: nor can fewer be planned by a lowered count");
		}
		is( saved($table, "INSERT INTO seats.$table " . $row->(assigned_seats => '0', seats => '60') . " ON CONFLICT (id) DO UPDATE SET $excluded"),
			"1|60|$status|now", "$table: INSERT ON CONFLICT of a row that changed");
		like(saved($table, "UPDATE seats.$table SET seats = 0, assigned_seats = 0 WHERE id = '$id'"),
			qr/^23514 cannot reduce the number of seats to 0, because 1 are assigned$/, "$table: seats cannot be lowered by a lowered count");
		is(saved($table, "UPDATE seats.$table SET assigned_seats = 0 RETURNING assigned_seats"), "1\n$kept", "$table: RETURNING tells the right count");
	}
	is( outcome("BEGIN; INSERT INTO seats.$table (id, organization_id, product_id, customer_id, seats, status, assigned_seats)
			VALUES (gen_random_uuid(), '$id', '$id', '$id', 5, '$status', $_) RETURNING assigned_seats; ROLLBACK"),
		0, "$table: a new row with $_ assigned has none") foreach '7', '0', 'NULL', '-1';
	is(outcome("BEGIN; UPDATE seats.$table SET assigned_seats = 0; SELECT (seat).status FROM seats.assign_seat("
			  . ($table eq 'orders' ? 'order_id => ' : '') . "'$id', email => 'b\@x'); SELECT assigned_seats FROM seats.$table; ROLLBACK"),
		"pending\n2", "$table: seats are assigned and counted afterwards");
}

# The tables that have nothing but modified_at.
foreach my $table ('organizations', 'products', 'customers')
{
	my $modified = "SELECT CASE WHEN modified_at >= now() THEN 'now' ELSE coalesce(modified_at::date::text, 'never') END FROM seats.$table WHERE id = '$id'";
	my $saved = sub { outcome("BEGIN; SET ROLE backend; $_[0]; $modified; ROLLBACK") };

	is($saved->("UPDATE seats.$table SET $_ WHERE id = '$id'"), 'never', "$table: $_ changes nothing")
	  foreach 'name = name', "modified_at = '1999-01-01'", 'name = name, modified_at = now()', 'created_at = created_at';
	is($saved->("UPDATE seats.$table SET name = 'new', modified_at = NULL WHERE id = '$id'"), 'now', "$table: a change is one");
	query("BEGIN; SET LOCAL session_replication_role = replica; UPDATE seats.$table SET modified_at = '2020-02-02 12:00+00'; COMMIT");
	is($saved->("UPDATE seats.$table SET modified_at = $_ WHERE id = '$id'"), '2020-02-02', "$table: $_ does not become modified_at")
	  foreach 'NULL', 'now()', "'1999-01-01'";
}

# Upserts of customers by what is unique.
is( outcome(qq{BEGIN; INSERT INTO seats.customers (organization_id, email, name) VALUES ('$id', 'A\@X', 'New') ON CONFLICT (organization_id, lower(email COLLATE "C"))
		DO UPDATE SET name = EXCLUDED.name RETURNING email, name, modified_at >= now(); ROLLBACK}),
	'a@x|New|t', 'an upsert of a customer by the address');

done_testing();
