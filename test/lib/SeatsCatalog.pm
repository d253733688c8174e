# What two databases' catalogs say of the extension, compared.
package SeatsCatalog;

use strict;
use warnings;

use Exporter 'import';
use SeatsTest;
use Test::More;

our @EXPORT = qw(check_same_catalog);

# One line for each thing in the catalog that a user could tell apart, without the ids of its rows, and without the order of the
# columns of customer_seats: an update from 1.0 does not rewrite that table.
my $catalog = <<'SQL';
CREATE TEMPORARY VIEW members AS
SELECT classid, objid FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'seats');
CREATE TEMPORARY VIEW relations AS
SELECT c.* FROM pg_class AS c
WHERE c.relnamespace IN (SELECT objid FROM members WHERE classid = 'pg_namespace'::regclass UNION SELECT 'seats'::regnamespace);
CREATE TEMPORARY VIEW lines AS
SELECT 'member ' || pg_describe_object(classid, objid, 0) AS line FROM members
UNION ALL
SELECT format('extension %s %s %s %s %s', extversion, extrelocatable, extnamespace::regnamespace, extowner::regrole,
	(SELECT json_agg((t.table_id::regclass, t.condition) ORDER BY t.table_id::regclass::text)
		FROM unnest(extconfig, extcondition) AS t (table_id, condition)))
FROM pg_extension WHERE extname = 'seats'
UNION ALL
SELECT format('schema %s %s %s', nspname, nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname ~ '^seats'
UNION ALL
SELECT format('relation %s %s %s %s %s %s %s %s', oid::regclass, relkind, relpersistence, relowner::regrole, relacl, reloptions,
	relrowsecurity, relreplident)
FROM relations
UNION ALL
SELECT format('column %s %s %s %s %s %s %s %s %s %s', attrelid::regclass,
	CASE WHEN attrelid <> 'seats.customer_seats'::regclass THEN attnum END, attname, format_type(atttypid, atttypmod),
	attnotnull, attidentity, attgenerated, attstorage, attacl, pg_get_expr(adbin, adrelid))
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid IN (SELECT oid FROM relations WHERE relkind NOT IN ('t')) AND attnum > 0
UNION ALL
SELECT format('constraint %s %s %s %s', conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid))
FROM pg_constraint WHERE conrelid IN (SELECT oid FROM relations)
UNION ALL
SELECT format('index %s %s %s', indexrelid::regclass, indisvalid, pg_get_indexdef(indexrelid))
FROM pg_index WHERE indrelid IN (SELECT oid FROM relations WHERE relkind = 'r')
UNION ALL
SELECT format('trigger %s %s %s', tgenabled, tgisinternal, regexp_replace(pg_get_triggerdef(oid), '(RI_ConstraintTrigger_[ac]_)\d+', '\1'))
FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relations)
UNION ALL
SELECT format('policy %s %s %s %s %s %s', polrelid::regclass, polname, polcmd, polroles, pg_get_expr(polqual, polrelid),
	pg_get_expr(polwithcheck, polrelid))
FROM pg_policy WHERE polrelid IN (SELECT oid FROM relations)
UNION ALL
SELECT format('view %s %s', oid::regclass, pg_get_viewdef(oid)) FROM relations WHERE relkind = 'v'
UNION ALL
SELECT format('function %s %s %s %s', oid::regprocedure, proowner::regrole, proacl, pg_get_functiondef(oid))
FROM pg_proc WHERE pronamespace IN (SELECT relnamespace FROM relations UNION SELECT 'seats_http'::regnamespace)
	AND oid IN (SELECT objid FROM members WHERE classid = 'pg_proc'::regclass)
UNION ALL
SELECT format('type %s %s %s %s %s', oid::regtype, typtype, typowner::regrole, typacl,
	(SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid))
FROM pg_type WHERE typnamespace = 'seats'::regnamespace
UNION ALL
SELECT format('comment %s: %s', regexp_replace(pg_describe_object(classoid, objoid, objsubid), '(RI_ConstraintTrigger_[ac]_)\d+', '\1'), description)
FROM pg_description
WHERE (classoid, objoid) IN (SELECT classid, objid FROM members)
	OR classoid = 'pg_class'::regclass AND objoid IN (SELECT oid FROM relations)
	OR classoid = 'pg_namespace'::regclass AND objoid = 'seats'::regnamespace
	OR classoid = 'pg_constraint'::regclass AND objoid IN (SELECT oid FROM pg_constraint WHERE connamespace = 'seats'::regnamespace)
	OR classoid = 'pg_trigger'::regclass AND objoid IN (SELECT oid FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relations))
	OR classoid = 'pg_policy'::regclass AND objoid IN (SELECT oid FROM pg_policy WHERE polrelid IN (SELECT oid FROM relations))
UNION ALL
SELECT format('initial privileges %s %s', pg_describe_object(classoid, objoid, objsubid), initprivs)
FROM pg_init_privs WHERE (classoid, objoid) IN (SELECT classid, objid FROM members)
	OR classoid = 'pg_class'::regclass AND objoid IN (SELECT oid FROM relations)
UNION ALL
SELECT format('default privileges %s', pg_default_acl) FROM pg_default_acl;
SELECT regexp_replace(line, '\n', ' ', 'g') FROM lines ORDER BY line COLLATE "C";
SQL

# Returns these lines of a database.
sub catalog_of
{
	my ($database) = @_;

	in_database($database);
	# What pg_toast calls a table by is its number.
	return map { s/pg_toast_\d+/pg_toast/gr } split /\n/, query($catalog);
}

# Tests that a database that was updated has the same catalog as one where CREATE EXTENSION ran. The first of them is the
# database that queries go to afterwards.
sub check_same_catalog
{
	my ($fresh, $updated, $name) = @_;
	my @fresh = catalog_of($fresh);
	my %seen;

	cmp_ok(scalar @fresh, '>', 600, "$name: the catalog has been read");
	$seen{$_}++ foreach @fresh;
	$seen{$_}-- foreach catalog_of($updated);
	my @different =
	  map { ($seen{$_} > 0 ? 'only fresh: ' : 'only updated: ') . $_ } grep { $seen{$_} } sort keys %seen;
	is(join("\n", @different), '', $name);
}

1;
