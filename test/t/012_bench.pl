# The benchmark compares like with like: whatever way a seat is claimed, the tables are the
# same afterwards, and what cannot be claimed is left as it is.  What an expert does on tables of
# their own leaves the same there as the extension's functions do in theirs.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use lib "$FindBin::RealBin/../../bench/lib";
use Digest::SHA qw(sha256_hex);
use SeatsTest;
use Test::More;

use Bench::Client   qw($bench build_client run_client write_input);
use Bench::Variants qw(@variants role_of);

my $id   = ID;
my $node = start_node('bench');

plan skip_all => 'no libpq to build the client with'
  if !eval { build_client($node->basedir); 1 };
@ENV{qw(PGHOST PGPORT)} = ($node->host, $node->port);
query('CREATE EXTENSION pgcrypto');
create_shop(100);
query("\\i $bench/setup.sql");

# Runs a variant on a token; returns how many calls failed.
sub claim_by
{
	my ($variant, $token) = @_;
	my $input  = write_input([qw(token token_hash)], [ $token, '\x' . sha256_hex($token) ]);
	my $result = run_client(
		"variants/$variant", $input,
		database => 'postgres',
		role     => role_of($variant),
		failing  => 1,
		may_fail => 1);

	return $result->{failures};
}

# Returns all that a claim by a role left in the tables for the seat of an address. What is
# drawn or told by a clock is not shown, but whether it is what it must be.
sub traces
{
	my ($email, $role) = @_;

	return query(
		qq{
		SELECT to_jsonb(s) - '{id,customer_id,customer_email,created_at,modified_at,claimed_at}'::text[]
				- '{invitation_token_hash,invitation_token_expires_at}'::text[],
			s.claimed_at = s.modified_at, s.claimed_at BETWEEN now() - interval '1 minute' AND now(),
			s.created_at < s.claimed_at, s.invitation_token_hash IS NOT NULL
		FROM seats.customer_seats AS s WHERE s.customer_email = '$email';
		SELECT x.customer_id = s.customer_id, x.organization_id, x.created_at = s.claimed_at,
			x.expires_at - x.created_at, octet_length(x.token_hash)
		FROM seats.customer_sessions AS x JOIN seats.customer_seats AS s ON s.id = x.seat_id
		WHERE s.customer_email = '$email';
		SELECT e.type, e.customer_id = s.customer_id, e.organization_id, e.occurred_at = s.claimed_at,
			jsonb_set(e.metadata - 'subscription_id', '{role}', to_jsonb(e.metadata ->> 'role' = '$role')),
			e.metadata ->> 'subscription_id' = s.subscription_id::text, to_jsonb(s) \@> to_jsonb(e.seat)
		FROM seats.events AS e JOIN seats.customer_seats AS s ON s.id = e.seat_id
		WHERE s.customer_email = '$email' AND e.type <> 'customer_seat.assigned';
		SELECT assigned_seats, modified_at FROM seats.subscriptions});
}

my %tokens = map { $_ => assign(tr/ //dr . '@example.com') } @variants, 'expired', 'unknown',
  'not allowed';

query(
	q{
	UPDATE seats.customer_seats SET invitation_token_expires_at = now()
	WHERE customer_email = 'expired@example.com';
	DELETE FROM seats.customer_seats WHERE customer_email = 'unknown@example.com'});
my $counts = table_counts();

foreach my $variant (@variants)
{
	is(claim_by($variant, $tokens{$variant}), 0, "$variant claims a seat");
}
my $like_seats = traces('seats@example.com', 'bench_caller');
my ($seat, $session, $event) = split /\n/, $like_seats;
like($seat, qr/"status": "claimed".*\|t\|t\|t\|t$/, 'claim_seat leaves a claimed seat');
is($session, "t|$id|t|01:00:00|32",                            'a session of an hour');
is($event,   "customer_seat.claimed|t|$id|t|{\"role\": true}|t|t", 'and an event by its caller');
foreach my $variant (qw(sql plpgsql app))
{
	is(traces("$variant\@example.com", role_of($variant)),
		$like_seats, "$variant leaves the same");
}
is((split /\n/, traces('bare@example.com', 'bench_writer'))[0],
	$seat, 'bare leaves the same seat');
is( table_counts(),
	$counts =~ s/(customer_sessions|events)=(\d+)/"$1=" . ($2 + @variants - 1)/ger,
	'and none leaves anything else');

my $rows = table_rows();
foreach my $variant (@variants)
{
	foreach my $what ($variant, 'expired', 'unknown')
	{
		is(claim_by($variant, $tokens{$what}),
			1, "$variant refuses a token that is " . ($what eq $variant ? 'claimed' : $what));
	}
}
is(table_rows(), $rows, 'and changes nothing');

# The rival's tables have the same rows to begin with.
my %claims = (
	claim_function    => 'bench_caller',
	claim_statement   => 'bench_writer',
	claim_round_trips => 'bench_writer');
my %rival_tokens = map { $_ => assign("$_\@example.com") } sort keys %claims;
assign('revoked@example.com');
query("\\i $bench/rival/$_.sql") foreach qw(tables fill functions);
my $past = query('SELECT max(id) FROM seats.events');

# Runs a call on a row of input for each time; returns how many failed.
sub run_call
{
	my ($call, $role, $fields, $rows, %options) = @_;
	my $result = run_client(
		$call, write_input($fields, @$rows),
		%options,
		database => 'postgres',
		role     => $role,
		calls    => scalar @$rows,
		may_fail => 1);

	return $result->{failures};
}

# Returns a token as a row of input, with its hash.
sub token_row
{
	my ($token) = @_;

	return [ $token, '\x' . sha256_hex($token) ];
}

# Returns what is in the tables of a schema: seats with their sessions, the events since then, and
# counters. What is drawn or told by a clock is not shown, but whether it is what it must be.
sub state_of
{
	my ($schema) = @_;
	my $after = $schema eq 'seats' ? $past : 0;

	return query(
		qq{
		SELECT s.status, c.email, s.customer_email, s.claimed_at = s.modified_at,
			s.revoked_at = s.modified_at, s.created_at < s.modified_at,
			s.invitation_token_expires_at > now(), octet_length(s.invitation_token_hash),
			x.customer_id = s.customer_id, x.organization_id, x.created_at = s.claimed_at,
			x.expires_at - x.created_at, octet_length(x.token_hash)
		FROM $schema.customer_seats AS s
		LEFT JOIN $schema.customers AS c ON c.id = s.customer_id
		LEFT JOIN $schema.customer_sessions AS x ON x.seat_id = s.id
		ORDER BY 1, 2, 3, 4, 5, 6, 7, 8;
		SELECT e.type, c.email, e.organization_id, e.metadata - 'role',
			e.metadata ->> 'role' LIKE 'bench_%', to_jsonb(s) \@> to_jsonb(e.seat), (e.seat).status,
			(e.seat).customer_email,
			e.occurred_at = COALESCE((e.seat).modified_at, (e.seat).created_at)
		FROM $schema.events AS e
		JOIN $schema.customers AS c ON c.id = e.customer_id
		LEFT JOIN $schema.customer_seats AS s ON s.id = e.seat_id
		WHERE e.id > $after
		ORDER BY 1, 2, 3, 4, 5, 6, 7, 8;
		SELECT status, assigned_seats, modified_at IS NULL FROM $schema.subscriptions ORDER BY id});
}

# Runs a call of the extension's and the rival's, and checks that they leave the same.
sub do_both
{
	my ($what, $call, $fields, $row_for) = @_;

	foreach my $schema (qw(seats rival))
	{
		my $path = $schema eq 'seats' ? "calls/$call" : "rival/calls/$call";
		is(run_call($path, 'bench_backend', $fields, [ $row_for->($schema) ]), 0, "$schema: $what");
	}
	is(state_of('rival'), state_of('seats'), "$what leaves the same");
}

# Returns a function that returns the seat of an address in a schema, as a row of input.
sub seat_of
{
	my ($email) = @_;

	return sub {
		[ query("SELECT id FROM $_[0].customer_seats WHERE customer_email = '$email'") ];
	};
}

# Returns a function that returns the subscription and some addresses, as a row of input.
sub to_addresses
{
	my ($addresses) = @_;

	return sub { [ $id, $addresses ] };
}

foreach my $call (sort keys %claims)
{
	my $row = token_row($rival_tokens{$call});

	run_call('variants/seats', 'bench_caller', [qw(token token_hash)], [$row]);
	is(run_call("rival/calls/$call", $claims{$call}, [qw(token token_hash)], [$row]),
		0, "rival: $call claims a seat");
}
is(state_of('rival'), state_of('seats'), 'which leaves the same');

my $state = state_of('rival');
foreach my $call (sort keys %claims)
{
	my $refused = sub {
		my ($token, $what) = @_;
		is(run_call(
				"rival/calls/$call", $claims{$call},
				[qw(token token_hash)], [ token_row($token) ], failing => 1),
			1, "rival: $call refuses a token that is $what");
	};

	$refused->($rival_tokens{$call}, 'claimed');
	$refused->($tokens{$_},          $_) foreach qw(expired unknown);
	query('UPDATE rival.organizations SET seat_based_pricing_enabled = false');
	$refused->($tokens{'not allowed'}, "of an organization that may not use seats");
	query('UPDATE rival.organizations SET seat_based_pricing_enabled = true');
}
is(state_of('rival'), $state, 'and nothing changes');

# Only one revoked seat at a time: which of several is used again is nobody's business.
do_both('revoke a claimed seat', 'revoke_seat', ['seat'], seat_of('claim_function@example.com'));
do_both(
	'assign, new customer',
	'assign_seat',
	[qw(subscription email)],
	to_addresses('new@example.com'));
do_both('revoke a pending seat', 'revoke_seat', ['seat'], seat_of('revoked@example.com'));
do_both(
	'assign, known customer, whose address is spelled otherwise',
	'assign_seat',
	[qw(subscription email)],
	to_addresses('Revoked@Example.com'));
do_both(
	'assign, no revoked seat left',
	'assign_seat',
	[qw(subscription email)],
	to_addresses('newer@example.com'));
do_both('send an invitation again', 'resend_invitation', ['seat'], seat_of('new@example.com'));
do_both(
	'assign many',
	'assign_seats',
	[qw(subscription emails)],
	to_addresses('{z@example.com,Claim_Function@example.com,a@example.com}'));
is( query(qq{
		CREATE TABLE bench.answers AS
		SELECT * FROM rival.assign_seats('$id', '{y\@example.com,x\@example.com}');
		SELECT (a.seat).customer_email, digest(a.token, 'sha256') = s.invitation_token_hash
		FROM bench.answers AS a JOIN rival.customer_seats AS s ON s.id = (a.seat).id}),
	"y\@example.com|t\nx\@example.com|t",
	'rival: the tokens of many belong to their seats, in the order given');
query("SELECT seats.assign_seats('$id', NULL, '{y\@example.com,x\@example.com}')");

foreach my $schema (qw(seats rival))
{
	my $call = $schema eq 'seats' ? 'calls/assign_seat' : 'rival/calls/assign_seat';

	query("UPDATE $schema.subscriptions SET seats = assigned_seats + 5");
	is( run_call(
			$call, 'bench_backend',
			[qw(subscription email)],
			[ map { [ $id, "many$_\@example.com" ] } 1 .. 20 ],
			clients => 4),
		15,
		"$schema: of 20 assigns at once, as many succeed as there are seats");
	is( query("SELECT seats = assigned_seats, assigned_seats = (SELECT count(*) FROM $schema.customer_seats
			WHERE customer_id IS NOT NULL) FROM $schema.subscriptions"),
		't|t',
		"$schema: and are counted");
}

# Which five of them have one is chance.
query(
	"DELETE FROM $_.customer_seats WHERE customer_email LIKE 'many%';
	DELETE FROM $_.events WHERE (seat).customer_email LIKE 'many%'") foreach qw(seats rival);
query('UPDATE rival.subscriptions SET assigned_seats = assigned_seats - 5');
do_both('cancel', 'cancel', ['subscription'], sub { [$id] });

query('UPDATE seats.organizations SET seat_based_pricing_enabled = false');
$rows = table_rows();
foreach my $variant (grep { $_ ne 'bare' } @variants)
{
	is(claim_by($variant, $tokens{'not allowed'}),
		1, "$variant refuses a token of an organization that may not use seats");
}
is(table_rows(), $rows, 'and changes nothing');

done_testing();
