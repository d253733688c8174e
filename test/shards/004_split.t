# A shard is split in two while people claim and are given seats, and the application writes its records.  No call
# fails, no claim that was answered is lost, and none is made twice; afterwards each row is on its own shard only.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsShards;
use SeatsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $sessions      = 4;
my $organizations = 40;
my $seats         = 500;                                   # of each
my $directory     = PostgreSQL::Test::Utils::tempdir();

my ($front, @shards) = start_shards(2, undef, allows_streaming => 'logical');
my $new = start_shard('new', 4, 0);
spread($organizations, 2 * $seats);

# Broken off -----------------------------------------------------------------------------------------------------

# Splits shard 1, to a database of the new server; returns what that told.
sub split_to
{
	my ($database, @environment) = @_;
	my ($output,   $errors)      = ('', '');
	my $done = IPC::Run::run(
		[
			'env',                 @environment,
			EXAMPLE . '/split.sh', $front->connstr('postgres'),
			$shards[1]->connstr('postgres'), ($new->connstr($database)) x 2
		],
		'>',
		\$output,
		'2>',
		\$errors
	);

	return ($done, $errors);
}

# A call that does not end: the split gives up, and nothing has changed.
on_node($new);
query('CREATE DATABASE spare');
in_database('spare');
make_shard($new, 'spare', 4, 0);
in_database('postgres');
my $holder = $shards[1]->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT seats_shard.enter(1)');
my ($finished, $told) = split_to('spare', 'LOCK_TIMEOUT=100ms', 'TRIES=2');
ok(!$finished, 'a split that cannot have the shard for itself fails');
like($told, qr/lock timeout.*lock timeout.*never without a call.*broken off; the old shard goes on/s,
	'and says so');
$holder->query_safe('ROLLBACK');
$holder->quit;
on_node($shards[1]);
is(query('TABLE seats_shard.slice'), '2|1', 'the shard is what it was');
is(query('SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots)'),
	'0', 'there is no publication or slot');
on_front();
is(query('SELECT count(*) FROM seats_front.shards()'), '2', 'and the front has two shards');
like((split_to('spare'))[1], qr/the new shard has organizations/, 'what was copied must go first');

# Invitations ------------------------------------------------------------------------------------------------------

my @tokens = map { [ split /\|/ ] } split /\n/, call_front(
	'backend', qq{
	SELECT seats.token_route(invitation_token) & 3, invitation_token
	FROM generate_series(1, $organizations) AS n, LATERAL seats.assign_seats(md5('organization ' || n)::uuid,
		md5('organization ' || n)::uuid, NULL, ARRAY(SELECT format('c%s\@example.com', s) FROM generate_series(1, $seats) AS s))}
);
is(@tokens, $organizations * $seats, 'seats are assigned');
my @links = split /\n/, call_front(
	'backend', qq{
	SELECT join_token FROM generate_series(1, $organizations) AS n,
		LATERAL seats.create_join_link(md5('organization ' || n)::uuid, md5('organization ' || n)::uuid)}
);
my $moving = grep { $_->[0] == 3 } @tokens;
cmp_ok($moving, '>', 0, 'some of them will move');
@tokens = map { $_->[1] } sort { $a->[1] cmp $b->[1] } @tokens;

# Those that are ready before; among them sessions that will move.
my @early = @tokens[ map { $_ * 97 } 0 .. 99 ];
my %early = map { $_ => 1 } @early;
my @held  = split /\n/,
  call_front('anonymous', join '',
	map { "SELECT customer_session_token FROM seats.claim_seat('$_');" } @early);
is(@held, 100, 'some are claimed before');
@tokens = grep { !$early{$_} } @tokens;

# People at work -------------------------------------------------------------------------------------------------

# Starts a session that runs statements.
sub start
{
	my ($name, $role, $connection, @statements) = @_;

	unlink "$directory/$name.sql";
	append_to_file("$directory/$name.sql", join "\n", @statements);
	local $ENV{PGPASSWORD} = password($role);
	return IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-U', $role, '-f', "$directory/$name.sql",
			$connection
		],
		'>',
		"$directory/$name.out",
		'2>',
		"$directory/$name.err"
	);
}

# Each session claims tokens of its own, in random order of shards, until it is told to stop: when somebody has this
# lock.
my $go_on       = "SELECT NOT pg_try_advisory_xact_lock_shared(1) AS stop \\gset\n\\if :stop\n\\q\n\\endif\n";
my $per_session = int(@tokens / $sessions);
my @work;
foreach my $number (0 .. $sessions - 1)
{
	push @work,
	  start("claim$number", 'anonymous', $front->connstr('postgres'),
		map { "SELECT '$_', customer_session_token FROM seats.claim_seat('$_');\n$go_on" }
		  @tokens[ $number * $per_session .. ($number + 1) * $per_session - 1 ]);
}

# Seats are given meanwhile, and looked at, for all organizations in turn.
my @others = map { "md5('organization $_')::uuid" } 1 .. $organizations;
push @work, start(
	'assign',
	'backend',
	$front->connstr('postgres'),
	map {
		my $round = $_;
		map {
				"SELECT invitation_token FROM seats.assign_seat($_, $_, email => 'n$round\@example.com');\n"
			  . "SELECT FROM seats.list_seats($_, $_);\n$go_on"
		} @others
	} 1 .. 300
);
on_front();
$shards[1]->poll_query_until('postgres', 'SELECT count(*) > 300 FROM seats.customer_sessions');

# How many claims were answered.
sub answered
{
	return
	  scalar map { my @all = slurp_file("$directory/claim$_.out") =~ /^seats_inv_/mg; @all }
	  0 .. $sessions - 1;
}

# The split ------------------------------------------------------------------------------------------------------

my $before = answered();
my $answered;
my $start = time;
my ($done, $errors) = split_to('postgres');
my $after = answered();
ok($done, 'the shard is split') or diag $errors;
note sprintf 'measured: it took %.1f s; %d claims were answered meanwhile, of %d', time - $start, $after - $before,
  scalar @tokens;
is($errors, '', 'without an error');
cmp_ok($before,          '>', 100, 'people were claiming before');
cmp_ok($after - $before, '>', 100, 'and meanwhile');
sleep 0.1 while answered() < $after + 200 && grep { $_->pumpable } @work;
my $stop = $front->background_psql('postgres');
$stop->query_safe('SELECT pg_advisory_lock(1)');
$_->finish foreach @work;
$stop->quit;
$answered = answered();
cmp_ok($answered - $after, '>', 100, 'and after');

is(join('', map { slurp_file("$directory/$_.err") } map({ "claim$_" } 0 .. $sessions - 1), 'assign'),
	'', 'no call failed');
my @claimed =
  map { slurp_file("$directory/claim$_.out") =~ /^(seats_inv_\w+)\|seats_cst_/mg } 0 .. $sessions - 1;
my $assigned = () = slurp_file("$directory/assign.out") =~ /^seats_inv_/mg;
cmp_ok($assigned, '>', 20, 'seats were given');

# What is where --------------------------------------------------------------------------------------------------

my @parts = ([ $shards[0], 2, 0 ], [ $shards[1], 4, 1 ], [ $new, 4, 3 ]);
on_front();
is(
	query(
		'SELECT string_agg(shard::text, $$ $$) FROM seats_front.shards() GROUP BY connection ORDER BY min(shard)'
	),
	"0 2\n1\n3",
	'the front has four slices on three shards'
);
my ($claimed, $all) = (0, 0);
foreach my $part (@parts)
{
	my ($node, $shards, $shard) = @$part;
	my $name = "shard $shard of $shards";

	on_node($node);
	is(query('TABLE seats_shard.slice'), "$shards|$shard", "$name knows that it is that");
	foreach my $table (
		qw(organizations products customers subscriptions orders customer_seats customer_sessions join_links events))
	{
		my $column = $table eq 'organizations' ? 'id' : 'organization_id';

		is(
			query(
				"SELECT count(*) FROM seats.$table WHERE seats.organization_route($column) & ($shards - 1) <> $shard"
			),
			'0',
			"$name has nothing of others in $table"
		);
	}
	is(
		query(
			q{
			SELECT id FROM seats.subscriptions AS u WHERE assigned_seats <>
				(SELECT count(*) FROM seats.customer_seats WHERE subscription_id = u.id AND status <> 'revoked')}
		),
		'',
		"$name: counts are right"
	);
	is(
		query(
			q{
			SELECT s.id FROM seats.customer_seats AS s
			LEFT JOIN seats.customer_sessions AS x ON x.seat_id = s.id AND x.customer_id = s.customer_id
			LEFT JOIN seats.events AS e ON e.seat_id = s.id AND e.type = 'customer_seat.claimed'
			GROUP BY s.id HAVING count(x) <> (status = 'claimed')::int OR count(e) <> (status = 'claimed')::int}
		),
		'',
		"$name: each claimed seat has one session and one event"
	);
	my @counts = split /\|/,
	  query(q{SELECT count(*) FILTER (WHERE status = 'claimed'), count(*) FROM seats.customer_seats});
	$claimed += $counts[0];
	$all     += $counts[1];
	query('CREATE EXTENSION amcheck');
	is(check_storage(), '', "$name: amcheck finds nothing");
}
is($claimed, @early + @claimed,                        'as many seats are claimed as claims were answered');
is($all,     $organizations * $seats + $assigned,      'and as many assigned');
is(query('SELECT count(*) FROM pg_subscription'), '0', 'there is no subscription left');
on_node($shards[1]);
is(query('SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots)'),
	'0', 'nor a publication or slot');

my $described = call_front('anonymous', join '', map { "SELECT product_name IS NOT NULL FROM seats.join_info('$_');" } @links);
is($described, join("\n", ('t') x $organizations), 'each join link is good');

# Each session that a claim opened is good, also those from before the split; no token can be claimed again.
my @opened =
  map { slurp_file("$directory/claim$_.out") =~ /^seats_inv_\w+\|(seats_cst_\w+)/mg } 0 .. $sessions - 1;
on_front();
my $try = q{
	CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		result text;
	BEGIN
		EXECUTE statement INTO result;
		RETURN result;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS result = PG_EXCEPTION_DETAIL;
		RETURN result;
	END $$};
query($try);
my ($sessions_list, $tokens_list) = (join(',', @held, @opened), join ',', @early, @claimed);
is(
	call_front(
		'backend',
		qq{SELECT try(format('SELECT seat_id IS NOT NULL FROM seats.authenticate(%L)', t)), count(*)
		FROM unnest('{$sessions_list}'::text[]) AS t GROUP BY 1}
	),
	'true|' . (@held + @opened),
	'every session is good'
);
is(
	call_front(
		'backend', qq{SELECT try(format('SELECT seats.claim_seat(%L)', t)), count(*)
		FROM unnest('{$tokens_list}'::text[]) AS t GROUP BY 1}
	),
	'seat_already_claimed|' . (@early + @claimed),
	'no token can be claimed again'
);

# Records are written where the front says, and nowhere else.
my $moved = (grep { (query("SELECT seats.organization_route('$_') & 3"))[0] == 3 }
	  map { organization($_) } 1 .. $organizations)[0];
on_front();
is(query("SELECT seats_front.connection('$moved') = '${\ ($new->connstr('postgres') =~ s/'/''/gr)}'"),
	't', 'the front says where one that moved is');
on_node($new);
is(outcome("UPDATE seats.subscriptions SET seats = 999 WHERE id = '$moved' RETURNING seats"),
	'999', 'its records are changed there');
on_node($shards[1]);
is(
	outcome("INSERT INTO seats.organizations (id, name, slug) VALUES ('$moved', 'x', 'x')"),
	'PT421 other_shard',
	'and refused where they were'
);

done_testing();
