# The goals: a figure each, a bound, and whether it holds.
package Bench::Goals;

use strict;
use warnings;

use Exporter 'import';

use List::Util qw(sum uniq);

use Bench::Results qw(figure mean_of values_of matching);

our @EXPORT_OK = qw(goals none_revoked rival_rows rival_ratio rival_bar);

# How much a backend may grow in kB over all its claims, a page here and there being the
# allocator's.
my $growth = 64;

# Returns the quotient of two figures, or undef where one was not measured.
sub ratio
{
	my ($dividend, $divisor) = @_;

	return defined $dividend && defined $divisor ? $dividend / $divisor : undef;
}

# The operations that are compared with the rival's, and its ways to do them. For what is measured of
# both, the bound of the quotient, and what to reach for.
my @compared = (
	[   'claim', 'function',
		{ instructions => [ 0.6, 0.55 ], 'WAL bytes' => [ 0.9, 0.8 ] } ],
	[   'claim', 'statement',
		{ instructions => [ 0.75, 0.7 ], 'time' => [ 0.95, 0.87 ] } ],
	[ 'claim',                             'round trips', {} ],
	[ 'assign, new customer',              'function', { instructions => [ 0.85, 0.8 ] } ],
	[ 'assign, known customer',            'function', { instructions => [ 0.75, 0.7 ] } ],
	[ 'resend',                            'function', { instructions => [ 0.9,  0.85 ] } ],
	[ 'revoke, claimed',                   'function', { instructions => [ 1,    0.9 ] } ],
	[ 'revoke, pending',                   'function', { instructions => [ 1,    0.9 ] } ],
	[ 'bulk assign of 1,000, per seat',    'function', { instructions => [ 1.1,  0.9 ] } ],
	[ 'cancel of 1,000 claimed, per seat', 'function', { instructions => [ 1,    0.9 ] } ],
	[ 'cancel of 1,000 pending, per seat', 'function', { instructions => [ 1,    0.9 ] } ],
	[ 'list of 100, per seat',             'SELECT',   { instructions => [ 1.3,  1.1 ] } ],
	[ 'list of 100, per seat, in binary',  'SELECT', {} ],
	[ 'claim_info',                        'SELECT', { instructions => [ 1, 0.6 ] } ],
	[ 'authenticate',                      'SELECT', { instructions => [ 1, 0.6 ] } ],
	[ 'get_seat',                          'SELECT', { instructions => [ 1, 0.6 ] } ],
	[ 'my_seats',                          'SELECT', { instructions => [ 1, 0.6 ] } ]);

# Returns what is compared with the rival: operations, and its ways.
sub rival_rows
{
	return map { [ @$_[ 0, 1 ] ] } @compared;
}

# Returns a measure of an operation in relation to the rival's, or undef where one was not measured.
# Times are measured as quotients.
sub rival_ratio
{
	my ($operation, $way, $measure) = @_;

	return figure('rival', $operation, $way, $measure) if $measure eq 'time';
	return ratio(map { mean_of('rival', $operation, $_, $measure) } 'direct access on', $way);
}

# Returns the bound of an operation's instructions, or undef where there is none.
sub rival_bar
{
	my ($operation, $way) = @_;
	my ($row) = grep { $_->[0] eq $operation && $_->[1] eq $way } @compared;

	return ($row->[2]{instructions} // [])->[0];
}

# Goals of what an expert does on tables of their own.
sub rival_goals
{
	return map {
		my ($operation, $way, $bounds) = @$_;
		map {
			my $measure = $_;
			my $ratio   = rival_ratio($operation, $way, $measure);
			my ($bound, $reach) = @{ $bounds->{$measure} };
			my $what = "$operation, $measure, of the rival's $way";

			([ $what, $ratio, '<=', $bound ], [ "$what (stretch)", $ratio, '<=', $reach ])
		} sort keys %$bounds
	} @compared;
}

# Returns a measure of claim_seat() in relation to a variant's.
sub to_variant
{
	my ($part, $condition, $measure, $variant, $figure) = @_;

	return ratio(map { ($figure // \&figure)->($part, $_, $condition, $measure) } 'seats',
		$variant);
}

# Goals of the figures of claims.
sub claim_goals
{
	my %instructions =
	  (plpgsql => [ 0.55, 0.45 ], sql => [0.75], app => [0.45], bare => [ 2.4, 1.9 ]);
	my @speeds = (
		[ 'off', 'plpgsql', 1.6 ],
		[ 'off', 'app',     3 ],
		[ 'on',  'plpgsql', 1.2 ],
		[ 'on',  'app',     1.8 ],
		[ 'on',  'bare',    0.8 ]);
	my %commits = (off => 'commit not waiting', on => 'commit waiting for disk');
	my @hot     = values_of('speed', 'seats', 'all', 'hot');
	my @goals;

	foreach my $variant (qw(plpgsql sql app bare))
	{
		my $ratio = to_variant('instructions', 'all', 'instructions', $variant);
		my ($bound, $stretch) = @{ $instructions{$variant} };

		push @goals, [ "instructions, of $variant", $ratio, '<=', $bound ];
		push @goals, [ "instructions, of $variant (stretch)", $ratio, '<=', $stretch ]
		  if $stretch;
	}
	push @goals,
	  [ 'WAL bytes, of sql',
		to_variant('speed', 'all', 'wal_bytes', 'sql', \&mean_of),
		'<=', 1.02 ];
	push @goals, [ 'HOT updates, in percent', $hot[0], '>=', 100 ];
	push @goals, map {
		my ($commit, $variant, $bound) = @$_;
		[   "claims per second, $commits{$commit}, 1 client, of $variant",
			to_variant('speed', "1 client, commit $commit", 'tps', $variant),
			'>=', $bound ]
	} @speeds;
	return @goals;
}

# Nobody waits for another claim.
sub lock_goals
{
	return map {
		my $condition = $_;
		my @counts =
		  map { values_of('locks', 'seats', $condition, "$_, for a row") } qw(logged sampled);

		[ "waits for another claim, $condition", @counts ? sum(@counts) : undef, '<=', 0 ]
	} '8 clients, each its own subscription', '8 clients, one subscription';
}

# The sizes of tables that were measured, in order.
sub sizes
{
	my %sizes = map { $_->[2] =~ /^(\d+) rows/ ? ($1 => 1) : () } matching('size');

	return sort { $a <=> $b } keys %sizes;
}

# A cost where tables or subscriptions are largest, in relation to where they are smallest.
sub size_goals
{
	my @sizes = sizes();
	my ($small, $large) = map { ($_ // '') . ' rows' } @sizes[ 0, -1 ];
	my @subscriptions = uniq map { $_->[2] =~ /^subscription/ ? $_->[2] : () } matching('size');
	my @changes       = qw(claim_seat assign_seat resend_invitation revoke_seat);
	my @cases         = (
		(   map {
				my $call = $_;
				map { [ $call, $small, $_, 1.15 ] } $large, @subscriptions
			} @changes),
		(   map { [ $_, $small, $large, 1.25 ] } 'authenticate',
			'list_seats, per seat',
			'purge_expired_sessions, per row',
			'usage of one subscription'),
		map { [ 'list_seats, per seat', $large, $_, 1.25 ] } @subscriptions);

	return map {
		my ($what, $from, $to, $bound) = @$_;

		map {
			my ($measure, $most) = @$_;
			[   "$what, $measure: $to, of $from",
				ratio(map { figure('size', $what, $_, $measure) } $to, $from),
				'<=', $most ]
		} [ 'instructions', $bound ], $what =~ /^(resend|revoke|usage)/ ? () : [ 'buffers', 1.25 ]
	} @cases;
}

# Returns the condition that one with revoked seats is compared with.
sub none_revoked
{
	return 'no revoked seats' . ($_[0] =~ /(behind an old snapshot)/ ? ", $1" : '');
}

# Revoked seats cost nothing. What a list reads behind an old snapshot is not the extension's.
sub revoked_goals
{
	my @conditions = grep { !/^no/ } uniq map { $_->[2] } matching('revoked');

	return map {
		my $condition = $_;
		my $none      = none_revoked($condition);
		map {
			my $call = $_;
			map {
				[   "$call, $condition, $_, of $none",
					ratio(map { figure('revoked', $call, @$_) }[ $condition, $_ ], [ $none, $_ ]),
					'<=', 1.05 ]
			} qw(instructions buffers)
		} 'assign', 'claim', $condition =~ /snapshot/ ? () : 'list of claimed'
	} @conditions;
}

# Many clients wait no longer than for the rival.
sub contention_goals
{
	return map {
		my $scenario = $_;
		[   "32 clients $scenario, 99th percentile of latency, of the rival",
			ratio(map { figure('contention', $scenario, $_, 'p99') } qw(seats rival)),
			'<=', 1.1 ]
	} uniq map { $_->[1] } matching('contention');
}

# Many at once, and reading.
sub other_calls_goals
{
	my ($one, $each, $alone) =
	  map { figure('many', $_, 'all', 'seats per second') } 'one call',
	  'a call each, one transaction', 'a call each, a transaction each';

	return (
		[   'assign_seats of 1,000, seats per second, of 1,000 calls in one transaction',
			ratio($one, $each),
			'>=', 3 ],
		[   'assign_seats of 1,000, seats per second, of 1,000 transactions',
			ratio($one, $alone),
			'>=', 20 ],
		map {
			[   "$_, instructions, of the equivalent SELECT",
				ratio(map { figure('reads', $_, 'all', 'instructions') } $_, "${_}_select"),
				'<=', 1.3 ]
		} qw(claim_info authenticate),
		[   'has_seat, instructions, of the equivalent SELECT EXISTS',
			ratio(map { figure('members', $_, 'all', 'instructions') } qw(has_seat has_seat_select)),
			'<=', 1 ],
		[   'join_seat by an address that holds a seat, instructions, of one by a new address',
			ratio(map { figure('members', "join_seat, $_", 'all', 'instructions') } qw(holds new)),
			'<=', 1.1 ],
		[   'join_seat by a new address, instructions, of one by an address that holds a seat',
			ratio(map { figure('members', "join_seat, $_", 'all', 'instructions') } qw(new holds)),
			'<=', 1.1 ],
		[   'import_seats of 1,000, instructions, of plain INSERTs of the same rows',
			ratio(map { figure('members', $_, 'all', 'instructions') } qw(import_seats import_inserts)),
			'<=', 3 ],
		[   'list of 10,000 over HTTP, instructions, of to_json(list_seats())',
			ratio(
				map { figure('reads', $_, 'all', 'instructions') } 'list_seats_http', 'list_seats_json'),
			'<=', 1.3 ]);
}

# Returns the size of all tables and indexes of seats and sessions after a tenth, in kB.
sub churned_size
{
	my ($condition) = @_;
	my @sizes       = map { figure(@$_) }
	  grep { $_->[2] eq $condition && $_->[3] eq 'kB' && $_->[1] !~ /^events/ }
	  matching('churn');

	return @sizes ? sum(@sizes) : undef;
}

# After much use.
sub endurance_goals
{
	return (
		(   map {
				my $measure = $_;
				[   "a claim after all churn, $measure, of after the first tenth",
					ratio(map { figure('churn', 'claim', "tenth $_", $measure) } 10, 1),
					'<=', 1.1 ]
			} qw(instructions buffers p50)),
		[   'size of seats, sessions and their indexes after all churn, of after half of it',
			ratio(map { churned_size("tenth $_") } 10, 5),
			'<=',
			1.1 ],
		[   'growth of a backend over all claims, in kB',
			figure('memory', 'seats', 'all', 'growth in kB'),
			'<=',
			$growth ]);
}

# Refusing what is no token.
sub refusal_goals
{
	return map {
		my $name = $_;
		(   [   "token of $name, instructions, of raising an error with DETAIL and HINT",
				ratio(map { figure('refusal', $_, 'all', 'instructions') } $name, 'error'),
				'<=', 1.6 ],
			[   "token of $name, tables touched",
				figure('refusal', $name, 'all', 'tables touched'),
				'<=', 0 ])
	} 'wrong checksum', 'wrong shape';
}

# Returns all goals whose figures were measured: what, its figure, the bound as text, whether
# it holds.
sub goals
{
	my @goals = grep { defined $_->[1] } rival_goals(), claim_goals(), lock_goals(), size_goals(),
	  other_calls_goals(), endurance_goals(), refusal_goals(), revoked_goals(),
	  contention_goals();

	return map {
		my ($what, $figure, $relation, $bound) = @$_;
		my $holds = $relation eq '<=' ? $figure <= $bound : $figure >= $bound;

		[   $what,
			sprintf('%.4g', $figure),
			($relation eq '<=' ? 'at most ' : 'at least ') . $bound,
			$holds ? 'holds' : 'fails' ]
	} @goals;
}

1;
