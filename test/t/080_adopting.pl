# All SQL and all commands of docs/adopting.md run in order on the product of examples/adopting.sql, and give what the page
# shows.  What the page says of policies and dumps is so.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $directory = PostgreSQL::Test::Utils::tempdir();
my $node = start_node('adopting');
query('CREATE DATABASE shop');
in_database('shop');
query(slurp_file("$root/examples/adopting.sql"));

# What psql says by default, with errors and warnings at the end, as the page shows them.
sub shown
{
	my ($sql) = @_;
	my ($status, $output, $messages) = $node->psql('shop', $sql,
		on_error_stop => 0, extra_params => [ '--pset=format=aligned', '--pset=tuples_only=off' ]);

	return ($output, map { s/^psql:\S+ //r } grep { /(?:ERROR|WARNING):/ } split /\n/, $messages);
}

# Without the blanks that psql puts at the ends of lines, and an editor takes away.
sub trimmed
{
	return join("\n", @_) =~ s/[ \n]+$//r =~ s/ +$//mgr;
}

# Runs a command of the page's, which means this server.
sub execute
{
	my ($command) = @_;
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port);

	command_ok([ 'bash', '-ec', "cd '$directory'; $command" ], 'a command runs: ' . $command =~ s/\n.*//sr);
}

# Runs the blocks of a section in order.  Each is SQL, a command, or what the SQL before it gives.
sub run_section
{
	my ($name, $text) = @_;
	my @blocks = $text =~ /^```(\w+)\n(.*?)^```/msg;

	while (my ($language, $block) = splice @blocks, 0, 2)
	{
		if ($language eq 'sh')
		{
			execute($block);
			next;
		}
		die "a block of $language" if $language ne 'sql';
		my @shown = shown($block);
		if (@blocks && $blocks[0] eq 'text')
		{
			is(trimmed(@shown), trimmed((splice @blocks, 0, 2)[1]), "$name: gives what is shown");
		}
		else
		{
			shift @shown;
			is("@shown", '', "$name: runs");
		}
	}
}

# Runs a query as a customer, by an external id, in a transaction; returns what it and another statement give.
sub as_customer
{
	my ($external_id, $query, $afterwards) = @_;

	return query(qq{
		SELECT json_build_object('sub', id) AS claims FROM seats.customers WHERE external_id = '$external_id' \\gset
		SET track_functions = 'all';
		SET max_parallel_workers_per_gather = 0;
		BEGIN;
		SET LOCAL request.jwt.claims = :'claims';
		SET LOCAL ROLE member;
		$query;
		RESET ROLE;
		$afterwards;
		ROLLBACK});
}

# Policies on large tables: how often they call has_seat, and whether rows come from an index.
sub check_policies
{
	my $calls = q{SELECT 'calls ' || calls FROM pg_stat_xact_user_functions WHERE funcid = 'seats.has_seat(uuid)'::regprocedure};
	my $templates = 'EXPLAIN (COSTS OFF) SELECT count(*) FROM app.templates; SELECT count(*) FROM app.templates';

	query(q{
		INSERT INTO app.plans SELECT 'p' || n, 'Plan' FROM generate_series(1, 98) AS n;
		INSERT INTO app.templates (plan_id, title) SELECT 'p' || 1 + n % 98, 'Template' FROM generate_series(1, 99990) AS n;
		INSERT INTO app.teams (name, plan_id, owner_id, paid_seats) SELECT 'Team', 'lite', 1, 1 FROM generate_series(1, 998);
		INSERT INTO app.documents (team_id, title) SELECT 3 + n % 998, 'Document' FROM generate_series(1, 99990) AS n;
		ANALYZE app.plans, app.templates, app.teams, app.documents});

	my $given = as_customer(2, $templates, $calls);
	like($given, qr/Index Cond: \(plan_id = ANY/, 'the policy by has_seat reads an index');
	like($given, qr/^2\ncalls 100$/m, 'and calls it once for each of 100 plans, for 100,000 rows');
	$given = as_customer(2, 'EXPLAIN (COSTS OFF) SELECT count(*) FROM app.documents; SELECT count(*) FROM app.documents', 'SELECT');
	like($given, qr/Index Cond: \(team_id = ANY/, 'the policy by my_seats reads an index');
	like($given, qr/^5$/m, 'and finds the rows');

	my %others = (
		'IN' => ['plan_id IN (SELECT p.id FROM app.plans AS p WHERE seats.has_seat(p.product_id))', qr/Seq Scan on templates/, 2, 100],
		'a column of the row' => ['seats.has_seat((SELECT product_id FROM app.plans WHERE id = plan_id))', qr/Seq Scan on templates/, 2, 100_000],
		'one product' => [q{(SELECT seats.has_seat((SELECT product_id FROM app.plans WHERE id = 'pro')))}, qr/InitPlan/, 100_000, 1]);
	foreach my $name (sort keys %others)
	{
		my ($condition, $plan, $rows, $times) = @{ $others{$name} };

		$given = as_customer(2, "RESET ROLE; ALTER POLICY seated ON app.templates USING ($condition); SET LOCAL ROLE member; $templates", $calls);
		like($given, $plan, "a policy with $name: its plan");
		like($given, qr/^$rows\ncalls $times$/m, "a policy with $name: calls has_seat $times times");
	}
	query('DELETE FROM app.documents WHERE team_id > 2; DELETE FROM app.teams WHERE id > 2;
		DELETE FROM app.templates WHERE plan_id ~ $$^p\d$$; DELETE FROM app.plans WHERE id ~ $$^p\d$$');
}

# All rows of the product and the extension, in each of the databases that the page's commands made.
sub check_copies
{
	my $rows = sub {
		in_database($_[0]);
		return join "\n", table_rows('jwt_keys'), map { query("SELECT '$_', t.* FROM app.$_ AS t ORDER BY t::text") }
		  qw(users plans teams members members_before documents templates);
	};
	my $shop = $rows->('shop');

	like($shop, qr/margaret\@globex/, 'there are rows');
	foreach my $copy ('restored', 'fast', 'part')
	{
		is($rows->($copy), $shop, "$copy: all rows are there");
		is(query(q{SELECT count(*) FROM pg_policies WHERE policyname = 'seated'}), 2, "$copy: and the policies");
	}
	execute('createdb slow; pg_restore --dbname=slow --schema-only shop.dump;'
		  . "! pg_restore --exit-on-error --dbname=slow --data-only shop.dump 2>errors; grep 'violates foreign key' errors");
	in_database('shop');
}

# What the extension knew before the last section, when one team was paused and somebody was invited who is no user.
my (%known, $members, $session, $link);

sub remember
{
	query(q{
		UPDATE seats.subscriptions SET status = 'paused' WHERE external_id = '2';
		UPDATE seats.subscriptions SET seats = 6 WHERE external_id = '1';
		SELECT seats.claim_seat(invitation_token) FROM seats.subscriptions AS p, seats.assign_seat(p.id, email => 'new@globex.example')
		WHERE external_id = '1'});
	$link = query(q{SELECT join_token FROM seats.subscriptions AS p, seats.create_join_link(p.id) WHERE external_id = '1'});
	$session = query(q{SELECT customer_session_token FROM seats.customer_seats AS s, seats.open_session(s.id)
		WHERE status = 'claimed' AND suspended_at IS NULL LIMIT 1});
	%known = map { $_ => query("SELECT to_jsonb(t) FROM seats.$_ AS t ORDER BY t::text") }
	  grep { $_ ne 'jwt_keys' } split /\n/, query(q{SELECT tablename FROM pg_tables WHERE schemaname = 'seats'});
	$members = query('SELECT * FROM app.members ORDER BY 1, 2');
}

sub check_left
{
	is(query("SELECT to_jsonb(t) FROM plain.$_ AS t ORDER BY t::text"), $known{$_}, "plain.$_ has all that was known")
	  foreach sort keys %known;
	is(query("SELECT count(*) FROM plain.customer_sessions WHERE token_hash = sha256('$session'::bytea)"), 1,
		'a session that is open can be found');
	is(query("SELECT count(*) FROM plain.join_links WHERE token_hash = sha256('$link'::bytea)"), 1, 'so can a join link');
	is(query('SELECT * FROM app.members ORDER BY 1, 2'), $members, 'the members are the same');
	is(query(q{SELECT count(*) FROM pg_extension WHERE extname = 'seats'}), 0, 'the extension is gone');
	is(outcome('INSERT INTO app.members (team_id, user_id) VALUES (1, 4); INSERT INTO app.users (email, name) VALUES ($$x@x$$, $$X$$)'),
		'', 'and nothing of the product needs it');
}

my %after = (
	'Policies on your tables' => \&check_policies,
	'Backups' => sub { check_copies(); remember() },
	'Leaving again' => \&check_left);
my ($introduction, @sections) = split /^## (.*)\n/m, slurp_file("$root/docs/adopting.md");
while (my ($name, $text) = splice @sections, 0, 2)
{
	run_section($name, $text);
	(delete $after{$name} // sub {})->();
}
is(join(', ', keys %after), '', 'every section that is checked is there');

done_testing();
