# The report: tables for people, and plots.
package Bench::Report;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(sum uniq);

use Bench::Client   qw($bench);
use Bench::Goals    qw(goals none_revoked rival_rows rival_ratio rival_bar);
use Bench::Machine  qw(machine);
use Bench::Results  qw(figure matching values_of);
use Bench::Server   qw(directory);
use Bench::Variants qw(@variants);

our @EXPORT_OK = qw(report);

my @clients = ('1 client',   '2 clients', '8 clients');
my @commits = ('commit off', 'commit on');

# Returns a number with three digits or more.
sub rounded
{
	my ($number) = @_;

	return abs $number >= 100 ? sprintf '%.0f', $number : sprintf '%.3g', $number;
}

# Returns a measure's median in a unit of so many, or '' where it was not measured.
sub middle
{
	my ($unit, @key) = @_;
	my $figure = figure(@key);

	return defined $figure ? rounded($figure / $unit) : '';
}

# Returns the same with the spread, where there is one.
sub cell
{
	my ($unit, @key) = @_;
	my @values = map { rounded($_ / $unit) } values_of(@key);

	return middle($unit, @key) . (@values > 1 ? " ($values[0] to $values[-1])" : '');
}

# Returns a text with commas in its large whole numbers.
sub with_commas
{
	my ($text) = @_;

	return $text =~ s{(?<![\d.])\d{5,}(?![\d.])}{$& =~ s/\B(?=(\d{3})+$)/,/gr}ger;
}

# Returns a table: the names of the columns, and those rows that have a figure; nothing where
# none has.
sub table
{
	my ($columns, @rows) = @_;

	@rows = grep { join('', @$_[ 1 .. $#$_ ]) ne '' } @rows;
	return '' if !@rows;
	return with_commas(
		join '',
		map { '| ' . join(' | ', @$_) . " |\n" } $columns,
		[ map { '---' } @$columns ], @rows);
}

# Returns a text by which others are sorted: their numbers by size.
sub sort_key
{
	my ($text) = @_;

	return $text =~ s/(\d+)/sprintf '%09d', $1/ger;
}

# Returns a table of a part: by what and condition, where there are several, measures in a unit
# each.
sub part_table
{
	my ($part, $names, @measures) = @_;
	my @subjects = sort { sort_key($a) cmp sort_key($b) } uniq map { join "\t", @$_[ 1, 2 ] }
	  grep {
		my $measure = $_->[3];
		grep { $_->[0] eq $measure } @measures
	  } matching($part);

	return table(
		[ @$names, map { $_->[2] } @measures ],
		map {
			my ($what, $condition) = split /\t/;
			[   ($what, $condition)[ 0 .. $#$names ],
				map { cell($_->[1], $part, $what, $condition, $_->[0]) } @measures ]
		} @subjects);
}

# Returns a measure of a variant in relation to that of bare.
sub to_bare
{
	my ($variant) = @_;
	my ($own, $bare) = map { figure('instructions', $_, 'all', 'instructions') } $variant,
	  'bare';

	return defined $own && defined $bare ? sprintf '%.2f', $own / $bare : '';
}

# Returns what an operation is called beside one of the rival's ways.
sub label
{
	my ($operation, $way) = @_;
	my %claims = (
		function      => 'a PL/pgSQL function',
		statement     => 'the best single statement',
		'round trips' => 'five round trips');

	return $operation eq 'claim' ? "claim, beside $claims{$way}" : $operation;
}

# Returns a number with two decimals, or '' where there is none.
sub two_decimals
{
	my ($ratio) = @_;

	return defined $ratio ? sprintf '%.2f', $ratio : '';
}

# Returns thousands of instructions of an operation in a way.
sub thousands
{
	my ($operation, $way) = @_;

	return middle(1000, 'rival', $operation, $way, 'instructions');
}

# Each operation beside the rival's.
sub rival_table
{
	return table(
		[   'operation', 'seats', 'direct access off', 'rival', 'ratio', 'bar', 'result', 'WAL bytes',
			'of the rival', 'WAL ratio', 'time ratio' ],
		map {
			my ($operation, $way) = @$_;
			my $ratio = rival_ratio($operation, $way, 'instructions');
			my $bar   = defined $ratio ? rival_bar($operation, $way) : undef;
			[   label($operation, $way),
				(map { thousands($operation, $_) } 'direct access on', 'direct access off', $way),
				two_decimals($ratio),
				two_decimals($bar),
				defined $bar ? ($ratio <= $bar ? 'holds' : 'fails') : '',
				(   map { middle(1, 'rival', $operation, $_, 'WAL bytes') } 'direct access on', $way),
				two_decimals(rival_ratio($operation, $way, 'WAL bytes')),
				two_decimals(rival_ratio($operation, $way, 'time')) ]
		} rival_rows());
}

# The same at a glance.
sub headline_table
{
	return table(
		[ 'thousands of instructions', 'seats', 'your own tables', 'ratio' ],
		map {
			my ($operation, $way) = @$_;
			[   label($operation, $way),
				(map { thousands($operation, $_) } 'direct access on', $way),
				two_decimals(rival_ratio($operation, $way, 'instructions')) ]
		} grep { $_->[0] !~ /binary/ } rival_rows());
}

# The variants at a glance.
sub summary_table
{
	return table(
		[   'variant',
			'thousands of instructions',
			'of bare',
			'WAL bytes',
			'buffers',
			'claims per second',
			'the same, waiting for disk' ],
		map {
			[   $_,
				middle(1000, 'instructions', $_, 'all', 'instructions'),
				to_bare($_),
				middle(1, 'speed', $_, 'all',                     'wal_bytes'),
				middle(1, 'speed', $_, 'all',                     'buffers'),
				middle(1, 'speed', $_, "$clients[0], commit off", 'tps'),
				middle(1, 'speed', $_, "$clients[0], commit on",  'tps') ]
		} @variants);
}

# What a claim costs.
sub claims_table
{
	return table(
		[   'variant', 'thousands of instructions',
			'of bare', 'WAL bytes', 'buffers', 'HOT updates, %' ],
		map {
			[   $_,
				cell(1000, 'instructions', $_, 'all', 'instructions'),
				to_bare($_),
				cell(1, 'speed', $_, 'all', 'wal_bytes'),
				cell(1, 'speed', $_, 'all', 'buffers'),
				cell(1, 'speed', $_, 'all', 'hot') ]
		} @variants);
}

# What it costs on tables without the extension's rules, and in the first call of a session.
sub special_claims_table
{
	return table(
		[   'variant',
			'plain tables, thousands of instructions',
			'first, millions of instructions',
			'first, microseconds' ],
		map {
			[   $_,
				cell(1000, 'instructions', $_, 'plain tables',       'instructions'),
				cell(1e6,  'instructions', $_, 'first of a session', 'instructions'),
				cell(1,    'speed',        $_, 'first of a session', 'p50') ]
		} @variants);
}

# A measure by variant, clients and commit.
sub speed_table
{
	my ($measure) = @_;
	my @conditions = map {
		my $commit = $_;
		map { "$_, $commit" } @clients
	} @commits;

	return table(
		[ 'variant', @conditions ],
		map {
			my $variant = $_;
			[ $variant, map { cell(1, 'speed', $variant, $_, $measure) } @conditions ]
		} @variants);
}

# What each operation costs with direct access on and off.
sub direct_table
{
	my @names = uniq map { $_->[1] } matching('direct');

	return table(
		[ 'operation', 'on', 'off', 'off / on' ],
		map {
			my $name = $_;
			my ($on, $off) = map { figure('direct', $name, $_, 'instructions') } qw(on off);
			[   $name,
				(map { middle(1000, 'direct', $name, $_, 'instructions') } qw(on off)),
				sprintf('%.2f', $off / $on) ]
		} @names);
}

# Returns a figure in relation to another, or '' where one was not measured.
sub quotient
{
	my ($dividend, $divisor) = @_;

	return defined $dividend && defined $divisor ? sprintf '%.2f', $dividend / $divisor : '';
}

# What calls cost by the size of tables, in thousands of instructions.
sub growth_table
{
	my @calls = uniq map { $_->[3] eq 'instructions' ? $_->[1] : () } matching('size');
	my @conditions =
	  sort { sort_key($a) cmp sort_key($b) } uniq map { $_->[3] eq 'instructions' ? $_->[2] : () }
	  matching('size');
	my ($small, $large) = (grep { /rows/ } @conditions)[ 0, -1 ];

	return table(
		[ 'call', (map { s/ rows$/ seats/r } @conditions), 'most / fewest' ],
		map {
			my $call = $_;
			[   $call,
				(map { middle(1000, 'size', $call, $_, 'instructions') } @conditions),
				quotient(map { figure('size', $call, $_, 'instructions') } $large, $small) ]
		} sort @calls);
}

# What monitoring costs where tables are largest.
sub monitoring_table
{
	my @queries = grep { $_->[3] eq 'ms' } matching('size');

	return table(
		[ 'query', 'seats', 'ms', 'buffers' ],
		map {
			my (undef, $what, $condition) = @$_;
			[   $what,
				$condition =~ s/ rows//r,
				map { middle(1, 'size', $what, $condition, $_) } qw(ms buffers) ]
		} @queries);
}

# What calls cost beside revoked seats, and in relation to where there are none.
sub revoked_table
{
	my @rows = uniq map { join "\t", @$_[ 1, 2 ] } matching('revoked');

	return table(
		[   'call', 'condition', 'thousands of instructions', 'of none revoked', 'buffers',
			'of none revoked' ],
		map {
			my ($call, $condition) = split /\t/;
			my %unit = (instructions => 1000, buffers => 1);
			[   $call,
				$condition,
				map {
					middle($unit{$_}, 'revoked', $call, $condition, $_),
					  quotient(map { figure('revoked', $call, @$_) }[ $condition, $_ ],
						[ none_revoked($condition), $_ ])
				} qw(instructions buffers) ]
		} sort @rows);
}

# What is added to a claim, and to the check of a session.
sub extras_table
{
	my @calls = sort +uniq map { $_->[1] } matching('extras');

	return table(
		[ 'call', 'thousands of instructions', 'added', 'ratio' ],
		map {
			my $call  = $_;
			my $plain = $call =~ /^claim_seat/ ? 'claim_seat, nothing' : 'authenticate, nothing';
			my ($own, $base) = map { figure('extras', $_, 'all', 'instructions') } $call, $plain;
			[   $call =~ s/nothing$/nothing added/r,
				middle(1000, 'extras', $call, 'all', 'instructions'),
				sprintf('%.1f', ($own - $base) / 1000),
				quotient($own, $base) ]
		} @calls);
}

# What 32 clients at once get, beside the rival's.
sub contention_table
{
	my @scenarios = sort +uniq map { $_->[1] } matching('contention');
	my @measures  = qw(tps p99 waits);

	return table(
		[   '32 clients',
			(   map { ($_, 'rival') } 'calls per second',
				'p99, microseconds', 'waits per 1,000 calls'),
			'p99, of the rival' ],
		map {
			my $scenario = $_;
			[   $scenario,
				(   map {
						my $measure = $_;
						map { middle(1, 'contention', $scenario, $_, $measure) } qw(seats rival)
					} @measures),
				quotient(map { figure('contention', $scenario, $_, 'p99') } qw(seats rival)) ]
		} @scenarios);
}

# How large tables and indexes are in the course of churn.
sub churn_table
{
	my @conditions = ('at first', map { "tenth $_" } 1, 2, 5, 10);
	my @names      = uniq map { $_->[3] eq 'kB' ? $_->[1] : () } matching('churn');

	return table(
		[ 'kB of', @conditions ],
		map {
			my $name = $_;
			[ $name, map { cell(1, 'churn', $name, $_, 'kB') } @conditions ]
		} @names);
}

# Returns titles and tables, of what was measured.
sub tables
{
	my @kinds        = ('for a row',    'to extend a table');
	my @instructions = ('instructions', 1000, 'thousands of instructions');
	my @buffers      = ('buffers',      1,    'buffers');

	return grep { $_->[1] ne '' } (
		[ 'Goals',   table([qw(goal figure bound result)], goals()) ],
		[ 'Beside an expert\'s own tables, thousands of instructions', rival_table() ],
		[ 'A claim', claims_table() ],
		[   "A claim on tables without the extension's triggers and CHECKs, and the first claim of a session",
			special_claims_table() ],
		[ 'Claims per second',                        speed_table('tps') ],
		[ 'Median latency, microseconds',             speed_table('p50') ],
		[ '99th percentile of latency, microseconds', speed_table('p99') ],
		[ 'Flushes of WAL per claim',                 speed_table('flushes') ],
		[   'Waits for locks',
			part_table(
				'locks',
				[ 'variant', 'condition' ],
				[ 'samples', 1, 'samples' ],
				map {
					my $how = $_;
					map { [ "$how, $_", 1, "$how, $_" ] } @kinds
				} qw(logged sampled)) ],
		[   'Size',
			part_table('size', [ 'call', 'condition' ], \@instructions, \@buffers) ],
		[ 'Growth, thousands of instructions', growth_table() ],
		[ 'Monitoring of large tables',        monitoring_table() ],
		[ 'Revoked seats',                     revoked_table() ],
		[ 'What other modules and settings add', extras_table() ],
		[ 'Contention',                        contention_table() ],
		[   'A thousand seats',
			part_table('many', ['way'], [ 'seats per second', 1, 'seats per second' ]) ],
		[ 'Reads', part_table('reads', ['call'], \@instructions) ],
		[   'seats.direct_access on and off, thousands of instructions',
			direct_table() ],
		[   'Refusals',
			part_table(
				'refusal',
				['call'],
				\@instructions,
				[ 'tables touched', 1, 'tables touched' ]) ],
		[   'Churn: claims',
			part_table(
				'churn',
				[ '', 'after' ],
				\@instructions,
				\@buffers,
				[ 'p50', 1, 'median latency, microseconds' ]) ],
		[ 'Churn: sizes',        churn_table() ],
		[   'Room on pages of seats',
			part_table(
				'fillfactor',
				[ '', 'table of seats' ],
				[ 'hot',       1, 'HOT updates, %' ],
				[ 'kB before', 1, 'kB before' ],
				[ 'kB after',  1, 'kB after' ],
				[ 'WAL bytes', 1, 'WAL bytes per claim' ]) ],
		[   'Statements that change many rows',
			part_table(
				'statements',
				['statement'],
				[ 'ms',        1,    'ms' ],
				[ 'WAL bytes', 1000, 'kB of WAL' ]) ],
		[ 'Memory of a backend', part_table('memory', [ '', 'when' ], [ 'kB', 1, 'kB' ]) ]);
}

# Writes a file.
sub write_file
{
	my ($path, @content) = @_;

	open my $file, '>', $path or die "$path: $!\n";
	print $file @content;
	close $file or die "$path: $!\n";
}

# Draws a plot by its script in plots/, from rows of values; nothing where there is none.
sub plot
{
	my ($results, $name, @rows) = @_;
	my $data = directory() . "/$name.tsv";

	return if !@rows;
	write_file($data, map { join("\t", @$_) . "\n" } @rows);
	system('gnuplot', '-e', "bench='$bench'; data='$data'; set output '$results/$name.svg'",
		"$bench/plots/$name.gp") == 0
	  or die "gnuplot failed\n";
}

# Returns the rows of the plot of claims: for each variant, median, least and most of three
# measures.
sub claims_rows
{
	my @measures = (
		[ 'instructions', 'all',                  'instructions', 1000 ],
		[ 'speed',        '1 client, commit off', 'tps',          1000 ],
		[ 'speed',        '1 client, commit on',  'tps',          1000 ]);
	my @rows = map {
		my $variant = $_;
		[   $variant,
			map {
				my ($part, $condition, $measure, $unit) = @$_;
				my @key    = ($part, $variant, $condition, $measure);
				my @values = map { $_ / $unit } values_of(@key);
				@values ? (figure(@key) / $unit, @values[ 0, -1 ]) : ()
			} @measures ]
	} @variants;

	return grep { @$_ == 10 } @rows;
}

# Returns the rows of the plot of sizes: for each call its name, and then how many seats there are,
# thousands of instructions, buffers, and both in a subscription of very many seats, where it was
# measured; two empty ones between calls.
sub size_rows
{
	my @calls = sort +uniq map { $_->[3] eq 'instructions' ? $_->[1] : () } matching('size');
	my @sizes =
	  sort { $a <=> $b } uniq map { $_->[2] =~ /^(\d+) rows/ ? $1 : () } matching('size');

	my @rows = map {
		my $call = $_;
		my ($many) =
		  map { $_->[1] eq $call && $_->[2] =~ /^subscription/ ? $_->[2] : () } matching('size');
		[], [], [$call], map {
			my $size  = $_;
			my @where = ("$size rows", $size == $sizes[-1] ? $many // '' : '');
			[   $size,
				map {
					(   (figure('size', $call, $_, 'instructions') // 'nan') / 1000,
						figure('size', $call, $_, 'buffers') // 'nan')
				} @where ]
		} @sizes
	} @calls;

	return @rows[ 2 .. $#rows ];
}

# Returns the rows of the plot of churn: tenth, and the size of seats and sessions, of their
# indexes, and of events with theirs, in MB.
sub churn_rows
{
	my @relations = uniq map { $_->[3] eq 'kB' ? $_->[1] : () } matching('churn');
	my @groups =
	  (qr/^customer_(seats|sessions)$/, qr/^customer_.*_(key|pkey|idx)$/, qr/^events/);

	return if !@relations;
	return map {
		my $condition = $_ == 0 ? 'at first' : "tenth $_";
		[   $_,
			map {
				my $group = $_;
				sum(map { figure('churn', $_, $condition, 'kB') } grep { /$group/ } @relations)
				  / 1024
			} @groups ]
	} 0 .. 10;
}

# Writes tables and plots, and prints the tables.
sub report
{
	my ($results, $command) = @_;
	my @tables  = map { "## $_->[0]\n\n$_->[1]" } tables();
	my $machine = table([ '', '' ], machine($command));

	write_file("$results/rival.md",      rival_table());
	write_file("$results/headline.md",   headline_table());
	write_file("$results/summary.md",    summary_table());
	write_file("$results/goals.md",      table([qw(goal figure bound result)], goals()));
	write_file("$results/direct.md",     direct_table());
	write_file("$results/growth.md",     growth_table());
	write_file("$results/monitoring.md", monitoring_table());
	write_file("$results/revoked.md",    revoked_table());
	write_file("$results/extras.md",     extras_table());
	write_file("$results/contention.md", contention_table());
	write_file("$results/table.md",      "# Results\n\n", join "\n", $machine, @tables);
	plot($results, 'claims', claims_rows());
	plot($results, 'size',   size_rows());
	plot($results, 'churn',  churn_rows());
	print join "\n", '', @tables, '';
}

1;
