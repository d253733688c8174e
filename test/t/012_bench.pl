# The benchmark compares like with like: whatever way a seat is claimed, the tables are the
# same afterwards, and what cannot be claimed is left as it is.
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

query('UPDATE seats.organizations SET seat_based_pricing_enabled = false');
$rows = table_rows();
foreach my $variant (grep { $_ ne 'bare' } @variants)
{
	is(claim_by($variant, $tokens{'not allowed'}),
		1, "$variant refuses a token of an organization that may not use seats");
}
is(table_rows(), $rows, 'and changes nothing');

done_testing();
