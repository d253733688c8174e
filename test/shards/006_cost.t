# What the front costs: instructions of a call on the front and on the shard, beside the same call on the shard
# itself, counted by callgrind; how much longer a call takes; and how the work of claims is divided among 1, 2 and 4
# shards.  The figures are notes; the bounds are wide.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use List::Util qw(max sum);
use PostgreSQL::Test::Utils;
use SeatsShards;
use SeatsTest;
use Test::More;
use Time::HiRes qw(sleep);

my $organizations = 40;
my $warm_up       = 16;
my $calls         = 80;
my $rounds        = 7;
my $directory     = PostgreSQL::Test::Utils::tempdir();
my $bench         = "$FindBin::RealBin/../../bench";

plan skip_all => 'needs valgrind' if system('valgrind --version >/dev/null 2>&1') != 0;

# Databases, with no passwords, which would take the most of what is counted: shop1 on one shard, shop2 on two, shop4 on four, and as many fronts -----------------------------------

my $settings = "max_connections = 60\nautovacuum = off\nlog_statement = none";
my @shards   = map { start_node("shard$_", $settings) } 0 .. 3;
foreach my $number (0 .. 3)
{
	on_node($shards[$number]);
	query("CREATE ROLE $_ LOGIN") foreach qw(anonymous backend customer);
	foreach my $count (grep { $number < $_ } 1, 2, 4)
	{
		query("CREATE DATABASE shop$count");
		in_database("shop$count");
		make_shard($shards[$number], "shop$count", $count, $number);
		fill_shard($organizations, 1_000_000);
		in_database('postgres');
	}
}
my $front = start_node('front', $settings);
query("CREATE ROLE $_ LOGIN") foreach qw(anonymous backend customer);
foreach my $count (1, 2, 4)
{
	query("CREATE DATABASE front$count");
	in_database("front$count");
	make_front($front, "front$count", map { $shards[$_]->connstr("shop$count") } 0 .. $count - 1);
	in_database('postgres');
}

# Calls ------------------------------------------------------------------------------------------------------------

command_ok(
	[
		$ENV{CC} // 'cc',
		qw(-std=gnu11 -O2),
		'-I' . qx(pg_config --includedir) =~ s/\n//r,
		"$bench/client.c", '-o', "$directory/client", '-lpq', '-pthread'
	],
	'the benchmark\'s client is built'
);

# Returns so many new tokens of a shop, of all organizations in turn: pairs of the shard's number and the token.
my $given = 0;

sub invite
{
	my ($count, $number) = @_;
	my @lists;

	foreach my $shard (0 .. $count - 1)
	{
		on_node($shards[$shard]);
		in_database("shop$count");
		$given++;
		push @lists, map { [ $shard, $_ ] } split /\n/, query(
			qq{
			SELECT invitation_token FROM seats.subscriptions AS s, LATERAL seats.assign_seats(s.id, NULL,
				ARRAY(SELECT format('c$given-%s\@example.com', n) FROM generate_series(1, $number / $organizations + 1) AS n))}
		);
	}
	in_database('postgres');
	srand 7;
	my %order = map { $_->[1] => rand } @lists;
	return (sort { $order{ $a->[1] } <=> $order{ $b->[1] } } @lists)[ 0 .. $number - 1 ];
}

# Runs a call for each of some tokens, in one session of a server's database; returns what the client tells.
sub run_calls
{
	my ($node, $database, $call, $measured, $tokens, @flags) = @_;
	my $warm = @$tokens - $measured;

	unlink "$directory/input";
	append_to_file("$directory/input", join "\n", 'token', (map { $_->[1] } @$tokens), '');
	local @ENV{qw(PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE)} =
	  ($node->host, $node->port, 'anonymous', password('anonymous'), $database);
	my $output = '';
	IPC::Run::run(
		[ "$directory/client", '-w', $warm, '-n', $measured, @flags, "$bench/$call.sql", "$directory/input" ],
		'>', \$output
	) or die "client failed\n";
	return { map { split /\t/, $_, 2 } split /\n/, $output };
}

# Returns the median.
sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return $sorted[ @sorted / 2 ];
}

# How long a claim takes -------------------------------------------------------------------------------------------

my %latency;
my @places = ([ 'on the shard', $shards[0], 'shop1' ], [ 'by the front', $front, 'front1' ]);
foreach my $round (1 .. $rounds)
{
	foreach my $place ($round % 2 ? @places : reverse @places)
	{
		my ($name, $node, $database) = @$place;

		push @{ $latency{$name} },
		  run_calls($node, $database, 'variants/seats', 200, [ invite(1, 240) ])->{p50};
	}
}
my %median = map { $_ => median(@{ $latency{$_} }) } keys %latency;
note sprintf 'measured: a claim %s: %.0f microseconds (median of medians)', $_, $median{$_} foreach sort keys %median;
my $ratio = $median{'by the front'} / $median{'on the shard'};
note sprintf 'measured: by the front it takes %.2f times as long', $ratio;
cmp_ok($ratio, '<', 20, 'a claim by the front does not take many times as long');

# Instructions -----------------------------------------------------------------------------------------------------

my %tokens = map {
	my $count = $_;
	$count => [ map { [ invite($count, $_) ] } ($warm_up, $warm_up + $calls) x ($count == 1 ? 2 : 1) ]
} 1, 2, 4;

# The servers again, under callgrind.
my %servers;
foreach my $node ($front, @shards)
{
	$node->stop;
	$servers{ $node->name } = IPC::Run::start(
		[
			qw(valgrind --quiet --tool=callgrind),
			"--callgrind-out-file=$directory/" . $node->name . '.%p',
			'postgres', '-D', $node->data_dir
		],
		'<',
		'/dev/null',
		'>',
		"$directory/" . $node->name . '.callgrind',
		'2>&1'
	);
}
foreach my $node ($front, @shards)
{
	sleep 0.2 while system('pg_isready', '--quiet', '-h', $node->host, '-p', $node->port) != 0;
}

END
{
	my $status = $?;
	$_->signal('QUIT') foreach values %servers;
	$_->finish foreach values %servers;
	$? = $status;
}

# Returns the instructions that each finished process of a server has executed, by its file.
sub finished
{
	my ($node) = @_;
	my %total;

	foreach my $file (glob "$directory/" . $node->name . '.[0-9]*')
	{
		$total{$file} = $1 if slurp_file($file) =~ /^(?:totals|summary): (\d+)/m;
	}
	return %total;
}

# Waits until all sessions of a server are gone, and their files written: what is left are its own four processes.
sub wait_for_sessions
{
	my ($node) = @_;
	my ($pid)  = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	sleep 0.1 while children($pid) > 4;
}

# Runs a session; returns how many instructions its backends have executed on each of some servers.
sub session_instructions
{
	my ($nodes, @arguments) = @_;
	my %before = map { finished($_) } @$nodes;
	my @new;

	run_calls(@arguments);
	foreach my $node (@$nodes)
	{
		wait_for_sessions($node);
		my %now = finished($node);
		delete @now{ keys %before };
		push @new, sum(values %now);
	}
	return @new;
}

# Returns how many instructions calls take on each server, as the difference of two sessions.
sub instructions
{
	my ($nodes, $node, $database, $call, $tokens, @flags) = @_;
	my @short = session_instructions($nodes, $node, $database, $call, 1, $tokens->[0], @flags);
	my @long  = session_instructions($nodes, $node, $database, $call, 1, $tokens->[1], @flags);

	return map { ($long[$_] - $short[$_]) / $calls } 0 .. $#$nodes;
}

# The first session in a database makes files that all others use.
foreach my $node ($front, @shards)
{
	foreach my $count (1, 2, 4)
	{
		$node->psql(($node == $front ? 'front' : 'shop') . $count, 'SELECT 1');
	}
	wait_for_sessions($node);
}

my %cost;
my @calls = (
	[ 'a claim',    'variants/seats',   $tokens{1}[0], $tokens{1}[1], $tokens{1}[2], $tokens{1}[3] ],
	[ 'claim_info', 'calls/claim_info', ($tokens{1}[0], $tokens{1}[1]) x 2 ],
	[ 'a claim that is refused', 'variants/seats', ($tokens{1}[0], $tokens{1}[1]) x 2, '-f' ]
);
foreach my $call (@calls)
{
	my ($name, $file, @input) = @$call;
	my @flags    = splice @input, 4;
	my ($direct) = instructions([ $shards[0] ], $shards[0], 'shop1', $file, [ @input[ 0, 1 ] ], @flags);
	my ($on_front, $on_shard) =
	  instructions([ $front, $shards[0] ], $front, 'front1', $file, [ @input[ 2, 3 ] ], @flags);

	note sprintf
	  'measured: %s, in thousands of instructions: on the shard %.0f; by the front %.0f there, and %.0f on the shard',
	  $name,     map { $_ / 1000 } $direct,
	  $on_front, $on_shard;
	$cost{$name} = { direct => $direct, front => $on_front, shard => $on_shard };
	cmp_ok($on_front,           '<', 400_000, "$name: what the front has to do");
	cmp_ok($on_shard - $direct, '<', 400_000, "$name: what a shard has to do more");
}

# Claims by shards ---------------------------------------------------------------------------------------------------

my %busiest = (1 => $cost{'a claim'}{shard});
foreach my $count (2, 4)
{
	my @nodes = ($front, @shards[ 0 .. $count - 1 ]);
	my ($on_front, @on_shards) =
	  instructions(\@nodes, $front, "front$count", 'variants/seats', $tokens{$count});

	$busiest{$count} = max(@on_shards);
	note sprintf
	  'measured: %d shards: of each claim, in thousands of instructions, front %.0f, shards %s; the busiest has %.2f of what one alone has',
	  $count, $on_front / 1000, join(' ', map { sprintf '%.0f', $_ / 1000 } @on_shards),
	  $busiest{$count} / $busiest{1};
	cmp_ok(abs(sum(@on_shards) / $busiest{1} - 1), '<', 0.1,
		"$count: all shards together have the same work");
}
cmp_ok($busiest{2} / $busiest{1}, '<', 0.75, 'two shards share the work');
cmp_ok($busiest{4} / $busiest{1}, '<', 0.45, 'four shards share the work');

done_testing();
