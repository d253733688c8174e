# The reference's table of roles is what grant_access() gives, and CREATE EXTENSION to PostgreSQL's role
# pg_monitor: each role (anonymous, backend, customer, pg_monitor, a stranger) times each function,
# table, view, column and sequence of the extension.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

start_node('roles');
create_shop(10);
my @roles = ('anonymous', 'backend', 'customer', 'pg_monitor', 'stranger');
query("CREATE ROLE $_") foreach grep { $_ ne 'pg_monitor' } @roles;
query(q{
	SELECT seats.grant_access(anonymous => 'anonymous', backend => 'backend',
		customer => 'customer')
});

# What the reference's table says: for each object, such as "function claim_seat" or "column id", what
# each role may do.  A column is one of customer_seats.
sub documented
{
	my ($table) = slurp_file("$FindBin::RealBin/../../docs/reference.md") =~
	  /^\| what \| anonymous \| backend \| customer \| `pg_monitor` \|\n\|[-|]+\n((?:\|.*\n)+)/m;
	my %said;

	foreach my $row (split /\n/, $table)
	{
		my (undef, $what, @cells) = map { s/^ | $//gr } split /\|/, $row, -1;
		$what =~ s/^columns of `customer_seats`:/columns/;
		my ($kind) = $what =~ /^(schema|function|column|table|view|sequence)s? `/
		  or die "not understood: $row";
		foreach my $name ($what =~ /`([\w.]+(?:\([\w, ]+\))?)`/g)
		{
			die "twice: $kind $name" if exists $said{"$kind $name"};
			$said{"$kind $name"} = { map { $roles[$_] => $cells[$_] } 0 .. 3 };
			$said{"$kind $name"}{stranger} = $what =~ /\(PUBLIC's\)/ ? $cells[0] : '';
		}
	}
	return \%said;
}

# The same as the catalog has it.  Whatever a role may do with a table as a whole is said of
# the table, else of its columns.
my $members = q{
	SELECT classid, objid FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'seats')
};
my @privileges = ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER');
my %words = (
	'' => '',
	'USAGE' => 'use',
	'EXECUTE' => 'call',
	'SELECT' => 'read',
	'SELECT INSERT UPDATE DELETE' => 'read, write');

sub granted
{
	my ($role) = @_;
	my %granted;

	# The privileges among these that a function of PostgreSQL says the role has.
	my $held = sub {
		my ($function, $object, @names) = @_;
		my $has = join ', ',
		  map { "CASE WHEN $function('$role', $object, '$_') THEN '$_' END" } @names;
		return "concat_ws(' ', $has)";
	};
	my @queries = (
		"SELECT 'schema', nspname, "
		  . $held->('has_schema_privilege', 'oid', 'USAGE', 'CREATE')
		  . " FROM pg_namespace WHERE nspname IN ('seats', 'seats_http')",
		# Those of seats_http are overloaded, and what is said of one is said of both.  has_seat() asks about oneself
		# or about others.
		"SELECT DISTINCT 'function', concat(CASE pronamespace WHEN 'seats_http'::regnamespace"
		  . " THEN 'seats_http.' END, proname, CASE proname WHEN 'has_seat' THEN '(' || array_to_string(proargnames, ', ') || ')' END), "
		  . $held->('has_function_privilege', 'oid', 'EXECUTE')
		  . " FROM pg_proc JOIN ($members) AS m ON oid = objid AND classid = 'pg_proc'::regclass",
		"SELECT CASE relkind WHEN 'v' THEN 'view' ELSE 'table' END, relname, "
		  . $held->('has_table_privilege', 'oid', @privileges)
		  . " FROM pg_class JOIN ($members) AS m ON oid = objid AND classid = 'pg_class'::regclass"
		  . " WHERE relkind IN ('r', 'v')",
		"SELECT 'sequence', relname, "
		  . $held->('has_sequence_privilege', 'oid', 'USAGE', 'SELECT', 'UPDATE')
		  . " FROM pg_class WHERE relnamespace = 'seats'::regnamespace AND relkind = 'S'",
		"SELECT 'column', attname, "
		  . $held->(
			'has_column_privilege', 'attrelid, attname', 'SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
		  . q{ FROM pg_attribute
			WHERE attrelid = 'seats.customer_seats'::regclass AND attnum > 0});

	foreach my $line (map { split /\n/, query($_) } @queries)
	{
		my ($kind, $name, $has) = split /\|/, $line, -1;
		die "two rights: $kind $name" if exists $granted{"$kind $name"};
		$granted{"$kind $name"} = $words{$has} // $has;
	}
	return \%granted;
}

# Columns of other tables are granted with their table or not at all.
sub stray_columns
{
	my ($role) = @_;

	return query(qq{
		SELECT string_agg(attrelid::regclass || '.' || attname, ' ')
		FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
		WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0
			AND relname <> 'customer_seats'
			AND has_column_privilege('$role', attrelid, attnum,
				'SELECT, INSERT, UPDATE, REFERENCES')
			AND NOT has_table_privilege('$role', attrelid,
				'SELECT, INSERT, UPDATE, REFERENCES')
	});
}

my $said = documented();
cmp_ok(scalar keys %$said, '>', 40, "the reference's table names " . keys(%$said) . ' objects');
foreach my $role (@roles)
{
	my $granted = granted($role);

	# Customer_seats is in the table by its columns.
	is(delete $granted->{'table customer_seats'}, '', "$role: nothing of customer_seats as a whole");
	is_deeply(
		$granted,
		{
			map { $_ => $said->{$_}{$role} =~ s/^read its own$/read/r } keys %$said
		},
		"$role: may do what the reference says, with each of " . keys(%$granted) . ' objects');
	is(stray_columns($role), '', "$role: no column of another table");
}

done_testing();
