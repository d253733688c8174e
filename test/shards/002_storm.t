# Eight sessions of the front race for each of a thousand tokens, one of each organization.  Each token is claimed
# once, counts are right on each shard, and no token, organization or session ever gets to another shard than its own.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsShards;
use SeatsTest;
use Test::More;

my $sessions      = 8;
my $organizations = 1000;
my $directory     = PostgreSQL::Test::Utils::tempdir();

# What a shard is asked is in its log, parameters too.
my ($front, @shards) = start_shards(4, "log_statement = all\nlog_parameter_max_length = -1");
spread($organizations, 2);

# Where they are ----------------------------------------------------------------------------------------------

my @counts = map { on_shard($_); query('SELECT count(*) FROM seats.organizations') } 0 .. $#shards;
note "measured: organizations on each shard: @counts";
is(eval join('+', @counts), $organizations, 'each organization is on one shard');
cmp_ok($_, '>', $organizations / 4 * 0.8, 'and they are spread') foreach @counts;
on_front();
is(
	query(
		q{SELECT count(*) FROM generate_series(1, 1000) AS n
		WHERE seats_front.connection(md5('organization ' || n)::uuid) <> (SELECT connection FROM seats_front.shards()
			WHERE shard = seats.organization_route(md5('organization ' || n)::uuid) & 3)}
	),
	0,
	'the front tells where each is'
);

# The invitations: number of the organization, token.
my @invited = map { [ split /\|/ ] } split /\n/, call_front(
	'backend', qq{
	SELECT n, (seats.assign_seat(md5('organization ' || n)::uuid, md5('organization ' || n)::uuid, email => 'ann\@example.com')).invitation_token
	FROM generate_series(1, $organizations) AS n}
);
is(@invited, $organizations, 'a seat of each is assigned');
my $tokens = join ',', map { $_->[1] } @invited;
is(
	query(
		qq{SELECT count(*) FROM unnest('{$tokens}'::text[]) WITH ORDINALITY AS t (token, n)
		WHERE seats.token_route(token) = seats.organization_route(md5('organization ' || n)::uuid)}
	),
	$organizations,
	'each token has the route of its organization'
);

# The simulation of many shards: as even as chance is, by the last bits of a route and by what is left when it is divided.
foreach my $count (1000, 1024)
{
	$front->psql(
		'postgres', slurp_file(EXAMPLE . '/balance.sql'),
		stdout       => \my $balance,
		extra_params => [ '-v', "shards=$count", '-v', 'organizations=100000' ]
	);
	my %spread = map { (split /\|/)[ 0, 6, 7 ] ? ((split /\|/)[0] => (split /\|/)[6] / (split /\|/)[7]) : () }
	  split /\n/, $balance;

	note "measured: $count shards: $_: the deviation is $spread{$_} of what chance gives" foreach sort keys %spread;
	cmp_ok(abs($spread{organizations} - 1),
		'<', 0.2, "$count shards have as many organizations each as by chance");
	cmp_ok(abs($spread{claims} - 1), '<', 0.3, "and claims");
}

# The storm ----------------------------------------------------------------------------------------------------

# Each call of the front is a transaction on the shard, and the session is one on the front; sessions wait at a gate.
# In the first half of the seats each begins at a place of its own, where it wins; all claim the others in the same order.
foreach my $number (1 .. $sessions)
{
	my @other = @invited[ 0 .. @invited / 2 - 1 ];
	my @same  = @invited[ @invited / 2 .. $#invited ];

	push @other, splice @other, 0, int(@other * $number / $sessions);
	append_to_file(
		"$directory/storm.$number", join "\n",
		'SELECT pg_advisory_lock_shared(1);',
		map { "SELECT (seat).status, customer_session_token FROM seats.claim_seat('$_->[1]');" } @other, @same
	);
}
my $gate = $front->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1)');
$ENV{PGUSER} = 'backend';
my @claims = map {
	IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-f', "$directory/storm.$_",
			$front->connstr('postgres')
		],
		'>',
		"$directory/output.$_",
		'2>',
		"$directory/errors.$_"
	)
} 1 .. $sessions;
delete $ENV{PGUSER};
$front->poll_query_until('postgres',
	"SELECT count(*) = $sessions FROM pg_stat_activity WHERE wait_event = 'advisory'");
$gate->quit;
$_->finish foreach @claims;

my (@opened, %told);
foreach my $number (1 .. $sessions)
{
	push @opened, slurp_file("$directory/output.$number") =~ /^claimed\|(seats_cst_\w+)$/mg;
	$told{$_}++ foreach slurp_file("$directory/errors.$number") =~ /(?:ERROR|DETAIL): .*$/mg;
}
is(@opened, $organizations, 'each token was claimed once');
my $losers = $organizations * ($sessions - 1);
is_deeply(
	\%told,
	{
		'ERROR:  PT400: Invalid, expired, or already claimed token' => $losers,
		'DETAIL:  seat_already_claimed'                             => $losers,
	},
	'every other claim was told that the seat is claimed, and there was no other error'
);
my $winners = grep { slurp_file("$directory/output.$_") =~ /claimed/ } 1 .. $sessions;
note "measured: $winners sessions won some";
cmp_ok($winners, '>', 1, 'it was a race');

my $events = 0;
foreach my $number (0 .. $#shards)
{
	on_shard($number);
	my $count = $counts[$number];

	my %rows = map { $_ => query("SELECT count(*) FROM seats.$_") }
	  qw(organizations customer_seats customer_sessions customers events);
	is_deeply(
		\%rows,
		{
			organizations     => $count,
			customer_seats    => $count,
			customer_sessions => $count,
			customers         => 2 * $count,
			events            => 2 * $count
		},
		"shard $number has a seat, a session and two events of each of its organizations");
	is(
		query(
			q{SELECT count(*) FROM seats.customer_seats AS s JOIN seats.customer_sessions AS x ON x.seat_id = s.id
			JOIN seats.subscriptions AS u ON u.id = s.subscription_id AND u.assigned_seats = 1
			WHERE s.status = 'claimed' AND x.customer_id = s.customer_id}
		),
		$count,
		"shard $number: each is claimed, has its session, and is counted"
	);
}

# Who is told what ---------------------------------------------------------------------------------------------

is(
	call_front(
		'backend', join '', map { "SELECT customer_email FROM seats.authenticate('$_');" } @opened[ 0 .. 99 ]
	),
	join("\n", ('ann@example.com') x 100),
	'sessions are found by their route'
);

# Who owns what: tokens and ids by the number of the shard.
my %owner;
on_front();
my $both = join ',', $tokens, @opened;
foreach (
	split /\n/,
	query(
		qq{
		SELECT token, seats.token_route(token) & 3 FROM unnest('{$both}'::text[]) AS token;
		SELECT id, seats.organization_route(id) & 3
		FROM generate_series(1, $organizations) AS n, LATERAL (SELECT md5('organization ' || n)::uuid) AS o (id)}
	)
  )
{
	my ($what, $number) = split /\|/;

	$owner{$what} = $number;
}
is(keys %owner, 3 * $organizations, 'all tokens and organizations are known');
foreach my $number (0 .. $#shards)
{
	my %asked;
	$asked{$_}++
	  foreach slurp_file($shards[$number]->logfile) =~ /'(seats_(?:inv|cst)_\w+|[0-9a-f]{8}-[-0-9a-f]{27})'/g;
	my @own = grep { defined $owner{$_} && $owner{$_} == $number } keys %asked;

	is(join(' ', grep { !defined $owner{$_} || $owner{$_} != $number } sort keys %asked),
		'', "shard $number was never asked for what is another's");
	is(scalar(grep { /^seats_inv_/ } @own), $counts[$number], "and for all invitations of its own");
	is($asked{$_}, $sessions, 'by each session') foreach (grep { /^seats_inv_/ } @own)[0];
}

done_testing();
