# The Prometheus PostgreSQL exporter, with examples/monitoring/queries.yaml and the role that its README makes, gives what is in the
# database; and the dashboard asks for nothing that it does not give.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;
use Time::HiRes qw(sleep);

my ($exporter) = grep { -x }
  map { ("$_/prometheus-postgres-exporter", "$_/postgres_exporter") } split(/:/, $ENV{PATH}), '/usr/bin';
plan skip_all => 'no prometheus-postgres-exporter is installed' unless $exporter;

my $example = "$FindBin::RealBin/../../examples/monitoring";
my $log     = PostgreSQL::Test::Utils::tempdir() . '/exporter.log';

my $node = start_node('exporter', "timezone = 'Asia/Tokyo'");
create_shop(10);
query($_) foreach slurp_file("$example/README.md") =~ /^```sql\n(.*?)^```/msg;

# Something of everything.
my $token = assign('ada@example.com');
assign('eve@example.com');
query(q{
	UPDATE seats.subscriptions SET status = 'paused';
	SELECT seats.revoke_seat(id) FROM seats.customer_seats WHERE customer_email = 'eve@example.com';
	UPDATE seats.subscriptions SET status = 'active'});
claim($token);
outcome("SELECT seats.claim_seat('$token')") foreach 1 .. 3;
outcome("SELECT seats.claim_seat('')");
outcome("SELECT seats.authenticate('seats_cst_x')") foreach 1 .. 2;
assign($_ . '@example.com') foreach 1 .. 4;
query(q{
	SELECT seats.resend_invitation(id) FROM seats.customer_seats WHERE customer_email IN ('1@example.com', '2@example.com');
	SELECT seats.revoke_seat(id) FROM seats.customer_seats WHERE customer_email = '3@example.com';
	UPDATE seats.customer_seats SET invitation_token_expires_at = '2020-01-01' WHERE customer_email = '4@example.com';
	INSERT INTO seats.customer_sessions SELECT '\x00', id, customer_id, organization_id, now(), '2020-01-01'
		FROM seats.customer_seats WHERE status = 'claimed';
	INSERT INTO seats.orders (organization_id, product_id, customer_id, seats, status)
		SELECT organization_id, product_id, customer_id, n, 'paid' FROM seats.subscriptions, generate_series(0, 2) AS n});

# Run it ------------------------------------------------------------------------------------------------------

my $port = PostgreSQL::Test::Cluster::get_free_port();
# It refuses to connect where this is set, as pg_virtualenv does.
delete local $ENV{PGSYSCONFDIR};
local $ENV{DATA_SOURCE_NAME} = 'user=prometheus dbname=postgres host=' . $node->host . ' port=' . $node->port;
my $running = IPC::Run::start(
	[ $exporter, "--web.listen-address=127.0.0.1:$port", "--extend.query-path=$example/queries.yaml" ],
	'>', \my $output, '2>', $log);

# Returns what the exporter gives for metrics of seats, by name and labels in their order without that of the server, once it answers.
sub scrape
{
	my $http = HTTP::Tiny->new(timeout => $PostgreSQL::Test::Utils::timeout_default);
	my $answer;

	foreach (1 .. 5 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$answer = $http->get("http://127.0.0.1:$port/metrics");
		last if $answer->{success} && $answer->{content} =~ /^seats_/m;
		sleep 0.2;
	}
	return {} unless $answer->{success};
	my %metrics;
	while ($answer->{content} =~ /^(seats_\w+)\{(.*?)\} (\S+)$/mg)
	{
		my ($name, $labels, $value) = ($1, $2, $3);
		$metrics{ join ' ', $name, grep { !/^server=/ } split /,/, $labels } = $value + 0;
	}
	return \%metrics;
}
my $metrics = scrape();
my %types = map { /^# TYPE (seats_\w+) (\w+)/ ? ($1 => $2) : () }
  split /\n/, HTTP::Tiny->new->get("http://127.0.0.1:$port/metrics")->{content};

# Compare -----------------------------------------------------------------------------------------------------

# What the database says itself, by other means than the exporter's queries where there are any.
my %expected = (
	seats_assigned_total => 6,
	seats_claimed_total => 1,
	seats_revoked_total => 2,
	seats_resent_total => 2,
	seats_suspended_total => 2,
	seats_resumed_total => 1,
	seats_open_sessions => 1,
	seats_expired_sessions => 1,
	seats_expired_invitations => 1,
	seats_oldest_event_seconds => query('SELECT extract(epoch FROM min(occurred_at)) FROM seats.events'),
	seats_counted_since_seconds => query('SELECT extract(epoch FROM counted_since) FROM seats.stats()'),
	map({ +"seats_failures_total reason=\"$_\"" => 0 }
		split /\n/, query('SELECT jsonb_object_keys(failures) FROM seats.stats()')),
	'seats_failures_total reason="seat_already_claimed"' => 3,
	'seats_failures_total reason="validation_error"' => 1,
	'seats_failures_total reason="session_invalid"' => 2,
	'seats_usage_purchases kind="subscription" status="active"' => 1,
	'seats_usage_purchased kind="subscription" status="active"' => 10,
	'seats_usage_free kind="subscription" status="active"' => 6,
	'seats_usage_full kind="subscription" status="active"' => 0,
	'seats_usage_purchases kind="order" status="paid"' => 3,
	'seats_usage_purchased kind="order" status="paid"' => 3,
	'seats_usage_free kind="order" status="paid"' => 3,
	'seats_usage_full kind="order" status="paid"' => 1,
);
# The exporter computes with double precision, as all numbers are there.
is_deeply({ map { $_ => sprintf '%.3f', $metrics->{$_} } keys %$metrics },
	{ map { $_ => sprintf '%.3f', $expected{$_} } keys %expected },
	'the exporter gives what is in the database') or diag slurp_file($log);
is_deeply([ sort grep { ($types{$_} eq 'counter') != /_total$/ } keys %types ], [], 'what only rises is a counter, all else a gauge');

claim(assign('bob@example.com'));
is(scrape()->{seats_claimed_total}, 2, 'the next scrape sees the next claim');

# The dashboard -----------------------------------------------------------------------------------------------

my $dashboard = decode_json(slurp_file("$example/dashboard.json"));
my %given = map { /^(\w+)/ ? ($1 => 1) : () } keys %$metrics;
my %asked;
foreach my $panel (@{ $dashboard->{panels} })
{
	my @metrics = map { $_->{expr} =~ /\b(seats_\w+)/g } @{ $panel->{targets} };

	isnt(scalar @metrics, 0, "$panel->{title}: shows something");
	is_deeply([ grep { !$given{$_} } @metrics ], [], "$panel->{title}: what the exporter gives");
	$asked{$_} = 1 foreach @metrics;
}
is_deeply([ sort keys %asked ], [ sort keys %given ], 'the dashboard shows all there is');
ok($given{$_}, "and has what is to choose from: $_")
  foreach map { ref $_->{query} ? $_->{query}{query} =~ /(seats_\w+)/ : () } @{ $dashboard->{templating}{list} };

$running->kill_kill;
done_testing();
