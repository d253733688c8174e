# Dumps are restored where the owner of the schema is a plain role, and nothing of that role's gets beside
# the extension's functions, not even what it creates at the same moment. Backups by a role that is no
# superuser, what a dump does not have, and copies of a database, as docs/operations.md says.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $node = start_node('restore', "wal_level = logical\nmax_prepared_transactions = 2");
my $documentation = slurp_file("$FindBin::RealBin/../../docs/operations.md");
my ($later, $backup);

# Returns the blocks of a kind, sql or sh, in a section of the documentation.
sub documented
{
	my ($heading, $kind) = @_;
	my ($section) = $documentation =~ /^#+ \Q$heading\E\n(.*?)(?=^#+ |\z)/ms;
	my @blocks = ($section // '') =~ /^```$kind\n(.*?)^```/msg;

	die "no $kind in section $heading" if !@blocks;
	return @blocks;
}
my ($revoke, $strangers) = documented('After a restore', 'sql');

sub create_database
{
	my ($name, @options) = @_;

	in_database('postgres');
	query("CREATE DATABASE $name @options");
	in_database($name);
}

# Returns what each of several statements gives, in one session.
sub results
{
	return map { s/\n\z//r } split /^----\n/m, query(join "\n;\n\\echo ----\n", @_) . "\n", -1;
}

# Who owns the schema, as what kind of role, and which plain roles may create in it.
my $owner = q{
	SELECT CASE WHEN nspowner = current_user::regrole THEN 'superuser' ELSE pg_get_userbyid(nspowner) END,
		(SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles AS r
			WHERE NOT rolsuper AND has_schema_privilege(r.oid, n.oid, 'CREATE'))
	FROM pg_namespace AS n WHERE nspname = 'seats'};

query('CREATE ROLE app LOGIN; CREATE ROLE dba SUPERUSER');
query("CREATE ROLE $_") foreach qw(anonymous backend customer);

# ---- An object that appears at the same moment ----

# What the old owner may be about to create, or to move there, and how it is seen to be still at it.
my %creating = (
	'a function' => 'CREATE FUNCTION seats.claim_seat(text, int) RETURNS int LANGUAGE sql RETURN 1',
	'a table' => 'CREATE TABLE seats.orders ()',
	'a view' => 'CREATE VIEW seats.usage AS SELECT 1',
	'a sequence' => 'CREATE SEQUENCE seats.events_id_seq',
	'a type' => "CREATE TYPE seats.seat_status AS ENUM ('pending')",
	'a composite type' => 'CREATE TYPE seats.customer_seat AS (a int)',
	'a domain' => 'CREATE DOMAIN seats.seat_stats AS int',
	'an operator' => 'CREATE OPERATOR seats.= (leftarg = uuid, rightarg = uuid, function = uuid_eq)',
	'an aggregate' => 'CREATE AGGREGATE seats.stats(int) (sfunc = int4pl, stype = int)',
	'a collation' => 'CREATE COLLATION seats.names FROM "C"',
	'a text search configuration' => 'CREATE TEXT SEARCH CONFIGURATION seats.words (copy = simple)',
	'statistics' => 'CREATE STATISTICS seats.many ON a, b FROM public.moved',
	'a function that is moved there' => 'ALTER FUNCTION public.moved() SET SCHEMA seats',
	'a table that is moved there' => 'ALTER TABLE public.moved SET SCHEMA seats');

create_database('race');
query(q{
	CREATE EXTENSION pgcrypto;
	CREATE SCHEMA seats AUTHORIZATION app;
	GRANT CREATE ON SCHEMA public TO app;
	SET ROLE app;
	CREATE TABLE public.moved (a int, b int);
	CREATE FUNCTION public.moved() RETURNS int LANGUAGE sql RETURN 1});
my $creator = $node->background_psql('race');
$creator->query_safe('SET ROLE app');
foreach my $what (sort keys %creating)
{
	$creator->query_safe("BEGIN; $creating{$what}");
	is(outcome('CREATE EXTENSION seats'),
		q{42501 schema "seats" is not a superuser's alone, and another transaction creates or alters objects},
		"refused while another transaction creates: $what");
	$creator->query_safe('ROLLBACK');
}
$creator->query_safe("BEGIN; $creating{'a function'}; PREPARE TRANSACTION 'creating'");
like(outcome('CREATE EXTENSION seats'), qr/^42501 .*another transaction/, 'one that is prepared, too');
$creator->query_safe("COMMIT PREPARED 'creating'");
like(outcome('CREATE EXTENSION seats'), qr/^42501 schema "seats" contains objects/, 'and once it has committed');
query('DROP FUNCTION seats.claim_seat');

# What no lock shows: a command that has passed the check of its right to create, and waits for something else. And
# commands that begin while the extension is being installed. Those that lock the schema, which are all in newer minor
# releases, wait and fail; others succeed, with an object in the schema that is gone.
my $holder = $node->background_psql('race');
$holder->query_safe('BEGIN; LOCK TABLE public.moved');
my %late = (
	'a function that reads a locked table' =>
	  'CREATE FUNCTION seats.claim_seat(text, int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM public.moved; END',
	map { $_ => $creating{$_} =~ s/claim_seat/revoke_seat/r } grep { !/moved|statistics/ } keys %creating);
my %sessions;

sub begin
{
	my ($what) = @_;

	$sessions{$what} = $node->background_psql('race', on_error_stop => 0);
	$sessions{$what}->query_safe('SET ROLE app');
	$sessions{$what}->query_until(qr/begun/, "\\echo begun\n$late{$what};\n");
}
begin('a function that reads a locked table');
ok($node->poll_query_until('race', 'SELECT count(*) = 1 FROM pg_locks WHERE NOT granted'), 'a command waits halfway');
my $installer = $node->background_psql('race');
$installer->query_safe('BEGIN; CREATE EXTENSION seats');
foreach my $what (grep { !$sessions{$_} } sort keys %late)
{
	begin($what);
	ok($node->poll_query_until('race', "SELECT count(*) = ${\ scalar keys %sessions}" . q{ AND bool_and(state <> 'active' OR wait_event_type = 'Lock')
			FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid() AND query ~ '^CREATE (?!EXTENSION)'}),
		"it waits or is done: $what");
}
$installer->query_safe('COMMIT');
$holder->query_safe('COMMIT');
foreach my $what (sort keys %sessions)
{
	$sessions{$what}->quit;
	note("$what: ", $sessions{$what}->{stderr} || 'was created');
}
is(query($strangers), '', 'nothing of theirs is in the schema of the extension');
is(query($owner), 'superuser|', "which is the superuser's");
like(outcome("SELECT seats.claim_seat('x', 1)"), qr/^42883 /, 'no function of theirs can be called');
$_->quit foreach $creator, $holder, $installer;
query('DROP OWNED BY app');
$node->command_ok([ 'pg_dump', '--schema-only', "--file=$directory/race.sql", 'race' ],
	'once they are dropped with what else their owner has, pg_dump works');

# ---- Dumps ----

# Fills the database chosen last, as a role.
sub fill
{
	my ($role, $prepare) = @_;

	query("ALTER ROLE $role SUPERUSER; ALTER DATABASE production SET role = $role");
	query($prepare) if $prepare;
	create_shop(10);
	claim(assign('claimed@example.com'));
	assign('pending@example.com');
	query(q{
		SELECT seats.assign_seat((SELECT id FROM seats.subscriptions), email => 'gone@example.com');
		SELECT seats.revoke_seat(id) FROM seats.customer_seats WHERE customer_email = 'gone@example.com';
		SELECT seats.grant_access('anonymous', 'backend', 'customer');
		RESET role;
		ALTER DATABASE production RESET role;
		ALTER ROLE app NOSUPERUSER});
}

# Each way to dump and restore: options of pg_dump, and commands that restore the file.
my @pg_restore = ('pg_restore', '--exit-on-error', '--dbname=target');
my @psql = ('psql', '--no-psqlrc', '--quiet', '--output=/dev/null', '--set=ON_ERROR_STOP=1', '--dbname=target', '--file');
my %restores = (
	'plain' => [ ['--format=plain'], [@psql] ],
	'plain, in one transaction' => [ ['--format=plain'], [ @psql[ 0 .. 4 ], '--single-transaction', @psql[ 5, 6 ] ] ],
	'plain, into a full database' => [ [ '--format=plain', '--clean' ], undef, [@psql] ],
	'plain, cleaning an empty one' => [ [ '--format=plain', '--clean', '--if-exists' ], [@psql], [@psql] ],
	'custom' => [ ['--format=custom'], [@pg_restore] ],
	'custom, without owners' => [ ['--format=custom'], [ @pg_restore, '--no-owner' ] ],
	'custom, into a full database' => [ ['--format=custom'], undef, [ @pg_restore, '--clean' ] ],
	'custom, cleaning an empty one' => [ ['--format=custom'], [ @pg_restore, '--clean', '--if-exists' ] ],
	'custom, schema first' => [ ['--format=custom'], [ @pg_restore, '--schema-only' ], [ @pg_restore, '--data-only' ] ],
	'custom, by sections' =>
	  [ ['--format=custom'], map { [ @pg_restore, "--section=$_" ] } qw(pre-data data post-data) ],
	'tar' => [ ['--format=tar'], [@pg_restore] ],
	'directory, by jobs after the schema' =>
	  [ ['--format=directory'], [ @pg_restore, '--schema-only' ], [ @pg_restore, '--data-only', '--disable-triggers', '--jobs=2' ] ]);

# Where a plain role owns the schema, who may create in a restored one before that is revoked, and how it is restored.
# All formats hold the same statements: where only the database differs, one of them stands for all.
my %productions = (
	'whose superuser is a plain role elsewhere' => [ 'app', '', 'superuser|', sort keys %restores ],
	'with pgcrypto in the schema' =>
	  [ 'app', 'CREATE SCHEMA seats; CREATE EXTENSION pgcrypto SCHEMA seats', 'superuser|', 'custom' ],
	# From 17 on, REASSIGN OWNED changes the initial privileges too, and the dump grants nothing.
	'that a plain role was given' => [ 'dba', '', $node->pg_version < 17 ? 'superuser|app' : 'superuser|', 'custom', 'custom, without owners', 'custom, into a full database' ]);

my $expected_rights = q{SELECT oid::regprocedure, role FROM pg_proc, unnest('{anonymous,backend,customer}'::name[]) AS role
	WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace) AND has_function_privilege(role, oid, 'EXECUTE') ORDER BY 1, 2};
my $number = 0;
foreach my $production (sort keys %productions)
{
	my ($installed_by, $prepare, $may_create, @ways) = @{ $productions{$production} };
	my %file;

	create_database('production');
	fill($installed_by, $prepare);
	query("REASSIGN OWNED BY $installed_by TO app");
	my $rows = table_rows('jwt_keys');
	my ($rights, $owned) = results($expected_rights, $owner);
	is($owned, 'app|app', "a database $production");

	foreach my $way (@ways)
	{
		my ($options, @commands) = @{ $restores{$way} };
		my $file = $file{"@$options"};

		if (!$file)
		{
			$file = $file{"@$options"} = "$directory/production." . ++$number;
			$node->command_ok([ 'pg_dump', @$options, "--file=$file", 'production' ], "dumped with @$options");
		}
		create_database('target');
		query('CREATE SCHEMA seats; CREATE EXTENSION seats CASCADE; CREATE TABLE others ()') if !$commands[0];
		foreach my $command (grep { defined } @commands)
		{
			$node->command_ok([ @$command, $file ], "$way: restored by $command->[0]");
		}
		is(table_rows('jwt_keys'), $rows, "$way: all rows are there");
		my ($owned_then, undef, $owned_now, $of_others, $rights_now) = results($owner, $revoke, $owner, $strangers, $expected_rights);
		is($owned_then, $may_create, "$way: the schema is the superuser's; who else may create in it");
		is($owned_now, 'superuser|', "$way: nobody else, when that is revoked");
		is($of_others, '', "$way: and nothing of others is there");
		is($rights_now, $rights, "$way: roles may call what they might");
		like(assign("new$number\@example.com"), qr/^seats_inv_/, "$way: seats can be assigned");
		in_database('postgres');
		query('DROP DATABASE target');
	}
	query('DROP DATABASE production');
}

# The role that installed the extension is gone: 15 and 16 name it by its number.
create_database('production');
fill('dba');
query('REASSIGN OWNED BY dba TO app; DROP ROLE dba');
my $rows = table_rows('jwt_keys');
$node->command_ok([ 'pg_dump', '--format=custom', "--file=$directory/gone", 'production' ], 'a dump after the installer is gone');
create_database('target');
$node->command_ok([ @pg_restore, '--no-privileges', "$directory/gone" ], 'it is restored without privileges');
query(q{SELECT seats.grant_access('anonymous', 'backend', 'customer')});
is(table_rows('jwt_keys'), $rows, 'all rows are there');
is(query(q{SELECT has_function_privilege('anonymous', 'seats.claim_seat(text, text)', 'EXECUTE')}), 't', 'roles get theirs by grant_access()');
in_database('postgres');
query('DROP DATABASE target');
query('DROP DATABASE production');

# ---- A role for backups ----

create_database('shop');
create_shop(10);

# Before that: the schema that took the place of another is as one that CREATE EXTENSION makes.
my $links = q{
	SELECT pg_describe_object(classid, objid, objsubid), pg_describe_object(refclassid, refobjid, refobjsubid), deptype
	FROM pg_depend
	WHERE refobjid IN ('seats'::regnamespace, (SELECT oid FROM pg_extension WHERE extname = 'seats'))
		OR objid IN ('seats'::regnamespace, (SELECT oid FROM pg_extension WHERE extname = 'seats'))
	UNION ALL
	SELECT extname, extnamespace::regnamespace::text, 'n' FROM pg_extension
	UNION ALL
	SELECT nspname, concat(nspacl, initprivs), 'n' FROM pg_namespace JOIN pg_init_privs ON objoid = pg_namespace.oid WHERE nspname ~ '^seats'
	ORDER BY 1, 2, 3};
my $new = query($links);
cmp_ok(scalar(() = $new =~ /\n/g), '>', 100, 'the extension and its schema are referred to');
in_database('race');
is(query($links), $new, 'where another schema was replaced, in the same ways');
in_database('shop');

claim(assign('claimed@example.com'));
assign('pending@example.com');
$rows = table_rows('jwt_keys');

# Runs a command of the documentation's, and restores what it wrote; or, if what another wrote has been restored, compares
# their rows. Returns its file.
sub back_up
{
	my ($command, $what, $other) = @_;
	my $file = "$directory/backup." . ++$number;
	my @words = split ' ', $command =~ s/--file=\S+/--file=$file/r;

	$node->command_ok([@words], "$what: dumped");
	if ($other)
	{
		# A key that is drawn each time guards the script.
		my ($dumped, $restored) = map { (run_command([ 'pg_restore', '--data-only', '--file=-', $_ ]))[0] =~ s/^\\(?:un)?restrict .*//mgr } $file, $other;
		like($dumped, qr/^COPY seats\.customer_seats .*\n(?:.+\n)*.*\tpending\@example\.com\t/m, "$what: with seats");
		ok($dumped eq $restored, "$what: the same rows as before");
		return $file;
	}
	create_database('copy');
	$node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname=copy', $file ], "$what: restored");
	is(table_rows('jwt_keys'), $rows, "$what: all rows are there");
	in_database('postgres');
	query('DROP DATABASE copy');
	in_database('shop');
	return $file;
}
my ($role, $policy) = documented('A role for backups', 'sql');
my ($pg_dump, $pg_dump_by_policies) = documented('A role for backups', 'sh');
query($role);
my $backed_up = back_up($pg_dump, 'a role with BYPASSRLS');
is(outcome('SET ROLE backup; SELECT FROM seats.jwt_keys'), '42501 permission denied for table jwt_keys', 'which does not read the keys');
query('ALTER ROLE backup NOBYPASSRLS');
$node->command_fails_like([ split ' ', $pg_dump =~ s/--file=\S+/--file=$directory\/none/r ],
	qr/query would be affected by row-level security policy for table "customer_seats"/, 'one without it is told so');
is(query('SET ROLE backup; SELECT count(*) FROM seats.customer_seats'), 0, 'and sees no seat, but no error');
query($policy);
my $backed_up_by_policies = back_up($pg_dump_by_policies, 'a role with a policy');
query('DROP POLICY backup ON seats.customer_seats; DROP OWNED BY backup; GRANT pg_read_all_data TO backup; ALTER ROLE backup BYPASSRLS');
back_up($pg_dump, 'pg_read_all_data with BYPASSRLS', $backed_up);
query('ALTER ROLE backup NOBYPASSRLS');
query($policy);
back_up($pg_dump_by_policies, 'pg_read_all_data with a policy', $backed_up_by_policies);

# A role that reports has a policy of its own, and needs nothing else.
query(q{
	CREATE ROLE reports;
	GRANT USAGE ON SCHEMA seats TO reports;
	GRANT SELECT (id, organization_id, status) ON seats.customer_seats TO reports;
	CREATE POLICY reports ON seats.customer_seats FOR SELECT TO reports USING (status = 'claimed')});
is(query('SET ROLE reports; SELECT status FROM seats.customer_seats'), 'claimed', 'a role sees what its own policy says');

# ---- What a dump does not have ----

create_database('changed');
create_shop(10);
# Each change, and what tells it.
my %lost = (
	'CREATE INDEX' => [ 'CREATE INDEX added ON seats.orders (status)', q{SELECT to_regclass('seats.added')} ],
	'ADD CONSTRAINT' => [ 'ALTER TABLE seats.orders ADD CONSTRAINT added CHECK (seats < 1000)', q{SELECT count(*) FROM pg_constraint WHERE conname = 'added'} ],
	'CREATE TRIGGER' => [ q{CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
		CREATE TRIGGER added BEFORE INSERT ON seats.orders FOR EACH ROW EXECUTE FUNCTION nothing()}, q{SELECT count(*) FROM pg_trigger WHERE tgname = 'added'} ],
	'CREATE RULE' => [ 'CREATE RULE added AS ON DELETE TO seats.products DO ALSO NOTHING', q{SELECT count(*) FROM pg_rewrite WHERE rulename = 'added'} ],
	'CREATE POLICY' => [ 'CREATE POLICY added ON seats.customer_seats FOR SELECT TO reports USING (true)', q{SELECT count(*) FROM pg_policy WHERE polname = 'added'} ],
	'DISABLE TRIGGER' => [ 'ALTER TABLE seats.customers DISABLE TRIGGER keep_modified_at', q{SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'seats.customers'::regclass AND tgname = 'keep_modified_at'} ],
	'ENABLE ROW LEVEL SECURITY' => [ 'ALTER TABLE seats.customers ENABLE ROW LEVEL SECURITY', q{SELECT relrowsecurity FROM pg_class WHERE oid = 'seats.customers'::regclass} ],
	'FORCE ROW LEVEL SECURITY' => [ 'ALTER TABLE seats.orders FORCE ROW LEVEL SECURITY', q{SELECT relforcerowsecurity FROM pg_class WHERE oid = 'seats.orders'::regclass} ],
	'SET DEFAULT' => [ q{ALTER TABLE seats.products ALTER name SET DEFAULT 'x'}, q{SELECT count(*) FROM pg_attrdef WHERE adrelid = 'seats.products'::regclass} ],
	'SET NOT NULL' => [ 'ALTER TABLE seats.organizations ALTER id SET NOT NULL, ALTER slug DROP NOT NULL', q{SELECT attnotnull FROM pg_attribute WHERE attrelid = 'seats.organizations'::regclass AND attname = 'slug'} ],
	'SET STORAGE' => [ 'ALTER TABLE seats.customers ALTER name SET STORAGE EXTERNAL', q{SELECT attstorage FROM pg_attribute WHERE attrelid = 'seats.customers'::regclass AND attname = 'name'} ],
	'SET COMPRESSION' => [ 'ALTER TABLE seats.customers ALTER name SET COMPRESSION pglz', q{SELECT attcompression FROM pg_attribute WHERE attrelid = 'seats.customers'::regclass AND attname = 'name'} ],
	'SET (fillfactor = ...)' => [ 'ALTER TABLE seats.customers SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)', q{SELECT reloptions FROM pg_class WHERE oid = 'seats.customers'::regclass} ],
	'CLUSTER ON' => [ 'ALTER TABLE seats.events CLUSTER ON events_pkey', q{SELECT indisclustered FROM pg_index WHERE indexrelid = 'seats.events_pkey'::regclass} ],
	'SET TABLESPACE' => [ 'ALTER TABLE seats.products SET TABLESPACE elsewhere', q{SELECT reltablespace <> 0 FROM pg_class WHERE oid = 'seats.products'::regclass} ],
	'SET STATISTICS' => [ 'ALTER TABLE seats.customers ALTER name SET STATISTICS 500', q{SELECT attstattarget FROM pg_attribute WHERE attrelid = 'seats.customers'::regclass AND attname = 'name'} ],
	'SET (n_distinct = ...)' => [ 'ALTER TABLE seats.customers ALTER external_id SET (n_distinct = 5)', q{SELECT 'n_distinct=5' = ANY (attoptions) FROM pg_attribute WHERE attrelid = 'seats.customers'::regclass AND attname = 'external_id'} ],
	'CREATE STATISTICS' => [ 'CREATE STATISTICS public.added ON organization_id, status FROM seats.orders', q{SELECT count(*) FROM pg_statistic_ext} ],
	'REPLICA IDENTITY' => [ 'ALTER TABLE seats.events REPLICA IDENTITY FULL', q{SELECT relreplident FROM pg_class WHERE oid = 'seats.events'::regclass} ],
	'CREATE PUBLICATION' => [ 'CREATE PUBLICATION one_table FOR TABLE seats.events', q{SELECT count(*) FROM pg_publication_rel} ],
	'ALTER FUNCTION' => [ q{ALTER FUNCTION seats.claim_seat SET lock_timeout = '1s'; ALTER FUNCTION seats.stats COST 7},
		q{SELECT proconfig, procost FROM pg_proc WHERE oid IN ('seats.claim_seat(text, text)'::regprocedure, 'seats.stats()'::regprocedure) ORDER BY oid} ],
	'ALTER VIEW' => [ 'ALTER VIEW seats.usage SET (security_barrier = true)', q{SELECT reloptions FROM pg_class WHERE oid = 'seats.usage'::regclass} ],
	'ALTER TYPE' => [ q{ALTER TYPE seats.seat_status ADD VALUE 'lost'}, q{SELECT enum_range(NULL::seats.seat_status)} ],
	'ALTER SEQUENCE' => [ 'ALTER SEQUENCE seats.events_id_seq CACHE 20', q{SELECT seqcache FROM pg_sequence WHERE seqrelid = 'seats.events_id_seq'::regclass} ],
	'OWNER TO' => [ 'ALTER TABLE seats.jwt_keys OWNER TO reports', q{SELECT relowner = current_user::regrole FROM pg_class WHERE oid = 'seats.jwt_keys'::regclass} ],
	'COMMENT ON' => [ q{COMMENT ON TABLE seats.events IS 'changed'}, q{SELECT obj_description('seats.events'::regclass)} ]);

# What stays.
my %kept = (
	'privileges' => [ 'GRANT SELECT ON seats.events TO reports; GRANT SELECT (name) ON seats.customers TO reports',
		q{SELECT has_table_privilege('reports', 'seats.events', 'SELECT'), has_column_privilege('reports', 'seats.customers', 'name', 'SELECT')} ],
	'tables that inherit' => [ 'CREATE TABLE child () INHERITS (seats.events)', q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'seats.events'::regclass} ],
	'views' => [ 'CREATE VIEW mine AS SELECT id FROM seats.customers', 'SELECT count(*) FROM mine' ],
	'foreign keys from your tables' => [ 'CREATE TABLE referring (id uuid REFERENCES seats.organizations)', q{SELECT count(*) FROM pg_constraint WHERE conrelid = 'referring'::regclass} ],
	'tables that you made in the schema' => [ 'CREATE TABLE seats.own (a int); INSERT INTO seats.own VALUES (1)', 'SELECT a FROM seats.own' ],
	'`FOR TABLES IN SCHEMA`' => [ 'CREATE PUBLICATION schemas FOR TABLES IN SCHEMA seats', 'SELECT count(*) FROM pg_publication_namespace' ],
	'`FOR ALL TABLES`' => [ 'CREATE PUBLICATION every FOR ALL TABLES', 'SELECT count(*) FROM pg_publication WHERE puballtables' ]);

# From 18 on pg_dump has it.
$kept{'CREATE PUBLICATION'} = delete $lost{'CREATE PUBLICATION'} if query('SHOW server_version_num') >= 180000;

mkdir "$directory/elsewhere" or die;
$node->safe_psql('changed', "CREATE TABLESPACE elsewhere LOCATION '$directory/elsewhere'");
my %changes = (%lost, %kept);
my (%fresh, %changed, %restored);
@fresh{ sort keys %lost } = results(map { $lost{$_}[1] } sort keys %lost);
query(join '; ', map { $_->[0] } (map { $lost{$_} } sort keys %lost), values %kept);
@changed{ sort keys %changes } = results(map { $changes{$_}[1] } sort keys %changes);
$node->command_ok([ 'pg_dump', '--format=custom', "--file=$directory/changed", 'changed' ], 'a database with changes of all kinds is dumped');
create_database('copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname=copy', "$directory/changed" ], 'and restored');
@restored{ sort keys %changes } = results(map { $changes{$_}[1] } sort keys %changes);
my ($told) = $documentation =~ /^### What a dump does not have\n(.*?)^###/ms;
$told =~ s/\s+/ /g;
foreach my $what (sort keys %lost)
{
	isnt($changed{$what}, $fresh{$what}, "$what changes something");
	is($restored{$what}, $fresh{$what}, "$what: is lost");
	like($told, qr/\Q$what\E/, "$what: the documentation says so");
}
foreach my $what (sort keys %kept)
{
	is($restored{$what}, $changed{$what}, "$what: stay");
	like($told, qr/\Q$what\E/, "$what: the documentation says so");
}

# What makes the restore fail.
foreach (
	[ 'a column', 'ALTER TABLE seats.products ADD added int', qr/column "added" of relation "products" does not exist/ ],
	[ 'partitions', q{
		CREATE TABLE seats.partitioned (LIKE seats.events INCLUDING ALL) PARTITION BY RANGE (id);
		ALTER EXTENSION seats DROP TABLE seats.events;
		ALTER TABLE seats.events RENAME TO events_before;
		ALTER TABLE seats.partitioned RENAME TO events;
		ALTER EXTENSION seats ADD TABLE seats.events;
		CREATE TABLE seats.events_1 PARTITION OF seats.events FOR VALUES FROM (0) TO (1000)},
		qr/table "events" is not partitioned|ATTACH PARTITION cannot be performed on relation "events"/ ])
{
	my ($what, $sql, $error) = @$_;
	my $name = $what =~ s/\W//gr;

	create_database($name, 'TEMPLATE shop');
	query($sql);
	$node->command_ok([ 'pg_dump', '--format=custom', "--file=$directory/$name", $name ], "$what: dumped");
	create_database("${name}2");
	$node->command_fails_like([ 'pg_restore', "--dbname=${name}2", "$directory/$name" ], $error, "$what: not restored");
}

# ---- Copies of a database ----

in_database('shop');
my $session = query(q{
	SET seats.session_token_format = 'jwt';
	SELECT customer_session_token FROM seats.claim_seat((SELECT invitation_token FROM seats.assign_seat(
		(SELECT id FROM seats.subscriptions), email => 'jwt@example.com')))});
my $keys = query('SELECT secret FROM seats.jwt_keys');
create_database('clone', 'TEMPLATE shop');
is(query('SELECT secret FROM seats.jwt_keys'), $keys, 'a copy has the keys');
query('SELECT seats.rotate_jwt_key()');
is(query("SELECT count(*) FROM seats.jwt_keys WHERE secret = '$keys'"), 1, 'also when they are rotated');
query((documented('Copies of a database', 'sql'))[0]);
is(query("SELECT count(*), count(*) FILTER (WHERE secret = '$keys') FROM seats.jwt_keys"), '1|0', 'but none after what the documentation says');
is(outcome("SELECT seats.authenticate('$session')"), 'PT401 session_invalid', "production's sessions are refused there");
in_database('shop');
is(outcome("SELECT customer_email FROM seats.authenticate('$session')"), 'jwt@example.com', 'and good in production');

done_testing();
