# The SQL of docs/operations.md runs, and finds what it is for.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $documentation = slurp_file("$FindBin::RealBin/../../docs/operations.md");
my @statements = $documentation =~ /^ *```sql\n(.*?)^ *```/msg;

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

done_testing();
