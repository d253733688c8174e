# The SQL of docs/operations.md runs, and finds what it is for; that of docs/number-of-seats.md and
# docs/join-links.md does what the page says.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

# Returns the SQL on a page.
sub statements_of
{
	my ($page) = @_;

	return slurp_file("$FindBin::RealBin/../../docs/$page.md") =~ /^ *```sql\n(.*?)^ *```/msg;
}
my @statements = statements_of('operations');

start_node('operations');
create_shop(10);
assign('late@example.com');
claim(assign('ada@example.com'));
query(q{
	ANALYZE;
	UPDATE seats.customer_seats SET invitation_token_expires_at = '2020-01-01' WHERE customer_email LIKE 'late%';
	UPDATE seats.customer_sessions SET expires_at = '2020-01-01'});

cmp_ok(@statements, '>', 8, 'there are statements');
my %given;
foreach my $sql (@statements)
{
	my ($name) = $sql =~ /^(.*)/;
	my $result = outcome($sql);

	$given{$sql} = $result;
	unlike($result, qr/^[0-9A-Z]{5} /m, "$name: runs");
}

# Returns what the statement gave that has some text in it.
sub given
{
	my ($text) = @_;
	my ($sql) = grep { /$text/ } @statements;

	return $given{$sql};
}
like(given('seats.stats'), qr/\|2\|1\|0\|0\|\{.*\}\|0\|1\|1\|\d/, 'what happened is told, and the backlog');
like(given('purchased, free'), qr/\|\|10\|8$/, 'free seats are told');
is(given('AS broken'), '', 'no rule is broken');
like(given('bytes_for_each'), qr/^customer_seats\|\d/m, 'sizes are told');

# What the rules' statement is for.
my ($rules) = grep { /AS broken/ } @statements;
query(q{SET session_replication_role = replica;
	UPDATE seats.subscriptions SET assigned_seats = 7;
	INSERT INTO seats.customer_sessions SELECT '\x00', id, customer_id, organization_id, now(), now()
	FROM seats.customer_seats WHERE status = 'pending'});
is(scalar(() = query($rules) =~ /^count of subscription|^session of a seat/mg), 2, 'broken rules are found');

# The number of seats, with the tour's records.
my ($create) = statements_of('tour');
my ($more, $revoke, $plan, $apply, $limit, $tell, $import, @rest) = statements_of('number-of-seats');
my ($bought) = $more =~ /'(\S+)'/;

# Returns how many seats were bought, are planned and are assigned.
sub numbers
{
	return query("SELECT seats, seats_next, assigned_seats FROM seats.subscriptions WHERE id = '$bought'");
}
is(scalar @rest, 0, 'no statement was added to docs/number-of-seats.md that is not here');
query($create);
query($more);
query("SELECT seats.assign_seat('$bought', email => 'ada\@globex.example', immediate_claim => true);
	SELECT seats.assign_seat('$bought', email => n || '\@globex.example') FROM unnest(ARRAY['alan', 'edsger', 'grace']) AS n");
is(numbers(), '20||4', 'more seats');
is(query($revoke), '1', 'fewer seats: one is revoked');
is(outcome($plan), '23514 cannot plan to reduce the number of seats to 2, because 3 are assigned', 'two cannot be planned');
query("SELECT seats.revoke_seat(id) FROM seats.customer_seats WHERE customer_email LIKE 'alan%'");
query($plan);
is(numbers(), '3|2|2', 'nor are they given before the next period');
query($apply) foreach 1, 2;
is(numbers(), '2||2', 'which may begin twice');
query($limit);
query("SELECT seats.assign_seat('$bought', email => 'alan\@globex.example')");
is(query($tell), "$bought||3", 'the payment provider is told that another was needed');
is(query($import), '2', 'two are imported');
is(query($tell), "$bought||5", 'of which it is told, too');

# Join links, of the same subscription.
my ($make, $join, $uses, $who, @others) = statements_of('join-links');
is(scalar @others, 0, 'no statement was added to docs/join-links.md that is not here');
query($more);
my ($link) = query($make) =~ /(seats_jnl_\w+)/;
is(query($join =~ s/seats_jnl_\.\.\./$link/gr), "(Planner,Globex,globex,{globex.example},t)\n", 'the link is described, and used');
like(query($uses), qr/^[-0-9a-f]{36}\|1\|20\|.*\|\n\(.*\)$/, 'and listed, and revoked');
like(query($who), qr/^[-0-9a-f]{36}\|grace\@globex\.example$/, 'who joined by it is found');

done_testing();
