# Memory: a session that calls a function many times has afterwards what it had when it knew the function, and a
# statement that calls it many times needs no more for its last call than for its first ones.  Each
# function is called, with and without direct access, so that it succeeds and so that it fails.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsCalls;
use SeatsTest;
use Test::More;

# So many calls, and half as many to begin with.  A leak takes 16 bytes of each call at least, with
# what PostgreSQL adds to a chunk.  What it keeps itself, such as the number of a subtransaction, is less.
my $times   = 200;
my $allowed = 12 * $times;

my $node = start_node('memory', 'autovacuum = off');
create_calls_shop();
query(q{
	-- What a session has in use, as a statement that calls a function sees it in the middle and at its end.
	CREATE TABLE sample (moment int, context text, used bigint);
	CREATE PROCEDURE look(at int) LANGUAGE sql AS $$
		INSERT INTO sample SELECT at, '/' || concat_ws('/', name, left(ident, 40)), sum(used_bytes)
		FROM pg_backend_memory_contexts GROUP BY 2
	$$;
	CREATE FUNCTION look_in_call(n int, times int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF n IN (times / 2, times * 3 / 2) THEN
			CALL look(n);
		END IF;
	END $$;

	-- Which contexts have grown between two moments, by how many bytes altogether. Until its end PostgreSQL
	-- remembers of a transaction which rows it changed, their triggers, and its parts; and statistics until
	-- they are due.  The last two are of this look itself, which needs more where there are more contexts.
	CREATE FUNCTION growth() RETURNS text LANGUAGE sql AS $$
		SELECT string_agg(context || ' ' || grown, ', ') || ': ' || sum(grown) FROM (
			SELECT context, sum(CASE moment WHEN (SELECT max(moment) FROM sample) THEN used ELSE -used END) AS grown
			FROM sample GROUP BY 1) AS g
		WHERE grown <> 0 AND context !~
			'/(PgStat Pending|TopTransactionContext|CurTransactionContext|AfterTriggerEvents|Combo CIDs|MultiXact cache context|pg_get_backend_memory_contexts|tuplestore tuples)$'
	$$;
});

my $session = $node->background_psql('postgres', on_error_stop => 0);

# Returns what statements give in the session.
sub in_session
{
	my ($sql) = @_;
	my $output = $session->query($sql);

	die "$sql: $session->{stderr}" if $session->{stderr} =~ /ERROR/;
	return $output;
}

# Compares what contexts have in use between the two moments that were looked at.
sub is_flat
{
	my ($name) = @_;
	my $growth = query('SELECT growth()');
	my ($bytes) = $growth =~ /: (-?\d+)$/;

	query('TRUNCATE sample');
	cmp_ok($bytes // 0, '<', $allowed, "$name keeps nothing") or diag $growth;
}

# Calls in transactions of their own.
sub check_calls
{
	my ($name, $call, $failed) = @_;

	in_session("CALL repeat(\$call\$$call\$call\$, $times / 2, 0); CALL look(1); CALL look(1); TRUNCATE sample; CALL look(1)");
	is(in_session("CALL repeat(\$call\$$call\$call\$, $times, 0)"), $failed, "$name: failed $failed times");
	in_session('CALL look(2)');
	is_flat($name);
}

# Calls in one statement.
sub check_statement
{
	my ($name, $call) = @_;
	my ($what, $from) = $call =~ /^SELECT (.*?)( FROM known)?$/;

	$from = defined $from ? 'known, ' : '';
	in_session("SELECT count(q) FROM (SELECT $what, look_in_call(n, $times) FROM ${from}generate_series(1, $times * 3 / 2) AS n) AS q");
	is_flat("$name in one statement");
}

my $statements = join "\n", values %calls, values %failing, values %changes;
is( query(q{
		SELECT DISTINCT format('%I.%I', n.nspname, p.proname)
		FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
		WHERE nspname IN ('seats', 'seats_http') AND prorettype <> 'trigger'::regtype AND NOT EXISTS (
			SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
			WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND e.extname = 'pgcrypto')})
	  =~ s/^(.*)\n?/$statements =~ m{\Q$1\E\(} ? '' : "$1 "/gemr,
	'', 'each function is called');

foreach my $direct_access (qw(on off))
{
	in_session("SET seats.direct_access = $direct_access");
	foreach my $name (sort keys %calls)
	{
		invite(3 * $times) if $calls{$name} =~ /fresh/;
		check_calls($name, $calls{$name}, 0);
		check_statement($name, $calls{$name});
	}
	check_calls($_, $failing{$_}, $times) foreach sort keys %failing;
	invite(10 * $times);
	check_calls($_, $changes{$_}, 0)      foreach sort keys %changes;
}

$session->quit;

# What contexts do not have: pgcrypto's library has memory of its own.  Here a new session has no room yet
# from what it has done before.  A checker, which ci/test-checked tells where to report, keeps what was freed.
SKIP:
{
	skip 'under a checker', 2 if $ENV{REPORTS};
	my $memory = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmData:\s+(\d+)')};

	foreach my $name ('claim_seat again', 'authenticate with a JWT')
	{
		my $before;

		$session = $node->background_psql('postgres', on_error_stop => 0);
		in_session("CALL repeat(\$call\$$calls{$name}\$call\$, 500, 0)");
		$before = in_session($memory);
		in_session("CALL repeat(\$call\$$calls{$name}\$call\$, 5000, 0)");
		cmp_ok(in_session($memory) - $before, '<', 200, "5000 of $name take no memory from the system");
		$session->quit;
	}
}

done_testing();
