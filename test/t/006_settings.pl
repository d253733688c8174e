# The settings: their bounds, who may change them, and what they do by the clock.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;

start_node('settings');
my $shop = ID;
create_shop(1000);

# Loads the library, which otherwise happens with the first call.
my $load = "DO 'BEGIN PERFORM seats.organization_route(gen_random_uuid()); END';";

sub setting_is
{
	my ($setting, $expected) = @_;
	my ($name) = $setting =~ /(seats\.\w+)/;

	is(outcome("$load SET $setting; SHOW $name"), $expected, "$setting is accepted");
}

sub setting_refused
{
	my ($setting) = @_;

	like(outcome("$load SET $setting"), qr/^22023 |^42602 /, "$setting is refused");
}

is( outcome(qq{
		$load
		SHOW seats.invitation_ttl;
		SHOW seats.customer_session_ttl;
		SHOW seats.claim_retry_window;
		SHOW seats.event_sink;
		SHOW seats.session_token_format;
		SHOW seats.jwt_role;
	}),
	"1d\n1h\n10min\ntable\nopaque\ncustomer",
	'the defaults');
setting_is(q(seats.invitation_ttl = '1s'), '1s');
setting_is(q(seats.invitation_ttl = '3650d'), '3650d');
setting_refused(q(seats.invitation_ttl = '0'));
setting_refused(q(seats.invitation_ttl = '-1'));
setting_refused(q(seats.invitation_ttl = '4000d'));
setting_refused(q(seats.invitation_ttl = 'soon'));
setting_is(q(seats.customer_session_ttl = '1s'), '1s');
setting_is(q(seats.customer_session_ttl = '365d'), '365d');
setting_refused(q(seats.customer_session_ttl = '0'));
setting_refused(q(seats.customer_session_ttl = '-1h'));
setting_refused(q(seats.customer_session_ttl = '367d'));
setting_is(q(seats.claim_retry_window = '0'), '0');
setting_is(q(seats.claim_retry_window = '1d'), '1d');
setting_refused(q(seats.claim_retry_window = '-1'));
setting_refused(q(seats.claim_retry_window = '25h'));
setting_is(q(seats.event_sink = 'TABLE'), 'table');
setting_is(q(seats.event_sink = 'logical'), 'logical');
setting_is(q(seats.event_sink = 'none'), 'none');
setting_refused(q(seats.event_sink = 'nowhere'));
setting_is(q(seats.session_token_format = 'JWT'), 'jwt');
setting_refused(q(seats.session_token_format = 'paseto'));
setting_is(q(seats.jwt_role = 'portal user'), 'portal user');
setting_refused(q(seats.jwt_role = ''));
setting_refused(q(seats.jwt_role = 'a"b'));
setting_refused('seats.customer_session_tll = 1');

# Who may change them.  The role may call everything, but none of the settings.
query(q{
	CREATE ROLE plain LOGIN;
	CREATE ROLE trusted LOGIN;
	GRANT USAGE, CREATE ON SCHEMA public TO plain;
	GRANT USAGE ON SCHEMA seats TO plain, trusted;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA seats TO plain, trusted;
	GRANT SET ON PARAMETER seats.customer_session_ttl TO trusted;
});

# Claims a seat as a role, after these statements of its own in a new session; tells how long
# the customer session lives.
my $customers = 0;

sub session_length
{
	my ($role, $before, $claim) = @_;
	my $token = assign('customer' . ++$customers . '@example.com');
	my @role = $role eq 'superuser' ? () : ('-U', $role);

	$claim //= 'SELECT seats.claim_seat';
	outcome("$before\n$claim('$token');", extra_params => \@role, on_error_stop => 0);
	return query(qq{
		SELECT coalesce(max((x.expires_at - x.created_at)::text), 'none')
		FROM seats.customer_sessions AS x JOIN seats.customer_seats AS s ON s.id = seat_id
		WHERE customer_email = 'customer$customers\@example.com'
	});
}

my $set = q(SET seats.customer_session_ttl = '300d';);

is(session_length('plain', ''), '01:00:00', 'a session lives as long as the default says');
is(session_length('superuser', $set), '300 days', 'a superuser sets another length');
is(session_length('trusted', "$load $set"), '300 days', 'so does a role that was granted SET');
is(session_length('trusted', $set), '300 days', 'and before the library is loaded');
is( outcome("$load $set", extra_params => [ '-U', 'plain' ]),
	'42501 permission denied to set parameter "seats.customer_session_ttl"',
	'an ordinary role cannot');
is(session_length('plain', "$load $set"), '01:00:00', 'its session keeps the default');
is(session_length('plain', $set), '01:00:00', 'nor can it before the library is loaded');
is(session_length('plain', "SELECT set_config('seats.customer_session_ttl', '300d', false);"),
	'01:00:00', 'nor by set_config()');
{
	local $ENV{PGOPTIONS} = '-c seats.customer_session_ttl=300d';
	is(session_length('plain', ''), '01:00:00', 'nor by an option of the connection');
}
is(session_length('plain', "ALTER ROLE plain SET seats.customer_session_ttl = '300d';\n\\c -"),
	'01:00:00', 'nor as a default of its own');
is(session_length('plain', q{
		CREATE FUNCTION public.longer(token text) RETURNS seats.customer_seat_claim_response
		LANGUAGE sql SET seats.customer_session_ttl = '300d'
		AS 'SELECT seats.claim_seat(token)';
	}, 'SELECT public.longer'),
	'none', 'and a function with such a setting cannot be made');

foreach my $other (
	"seats.claim_retry_window = '1d'", "seats.event_sink = 'none'",
	"seats.session_token_format = 'jwt'", "seats.jwt_role = 'backend'")
{
	my ($name) = $other =~ /(\S+)/;
	is(outcome("$load SET $other", extra_params => [ '-U', 'plain' ]),
		qq(42501 permission denied to set parameter "$name"), "nor can it: $other");
}

# By the clock: a session ends when it ends, also for a transaction that began before.  Until then there is time for
# some calls, on a busy machine too.
my $token = assign('late@example.com');
is( outcome(qq{
		SET seats.customer_session_ttl = '5s';
		SELECT customer_session_token AS session FROM seats.claim_seat('$token') \\gset
		BEGIN;
		SELECT customer_email FROM seats.authenticate(:'session');
		SELECT 'slept' FROM pg_sleep(5);
		SELECT customer_email FROM seats.authenticate(:'session');
	}),
	"late\@example.com\nslept\nPT401 session_expired",
	'a session of five seconds is good for five');
my $jwt = assign('later@example.com');
is( outcome(qq{
		SET seats.customer_session_ttl = '5s';
		SET seats.session_token_format = 'jwt';
		SELECT customer_session_token AS session FROM seats.claim_seat('$jwt') \\gset
		SELECT convert_from(decode(rpad(translate(p, '-_', '+/'), (length(p) + 3) / 4 * 4, '='), 'base64'), 'UTF8') AS claims
			FROM split_part(:'session', '.', 2) AS p \\gset
		BEGIN;
		SELECT 'signed in' FROM set_config('request.jwt.claims', :'claims', true);
		SELECT customer_email FROM seats.authenticate(:'session');
		SELECT seats.check_session();
		SELECT 'slept' FROM pg_sleep(5);
		SELECT seats.check_session();
	}),
	"signed in\nlater\@example.com\n\nslept\nPT401 session_expired",
	'so is one that is a JWT, with no second more');
is( outcome(qq{
		SET seats.invitation_ttl = '5s';
		SELECT invitation_token AS token
		FROM seats.assign_seat('$shop', email => 'slow\@example.com') \\gset
		BEGIN;
		SELECT can_claim FROM seats.claim_info(:'token');
		SELECT 'slept' FROM pg_sleep(5);
		SELECT can_claim FROM seats.claim_info(:'token');
		SELECT seats.claim_seat(:'token');
	}),
	"t\nslept\nf\nPT400 invitation_expired",
	'an invitation of five seconds is good for five');

# A claim can be retried by its key as long as the window says.
$token = assign('retry@example.com');
is( outcome(qq{
		$load
		SET seats.claim_retry_window = '5s';
		BEGIN;
		SELECT (seat).status FROM seats.claim_seat('$token', 'key');
		SELECT (seat).status FROM seats.claim_seat('$token', 'key');
		SELECT 'slept' FROM pg_sleep(5);
		SELECT (seat).status FROM seats.claim_seat('$token', 'key');
	}),
	"claimed\nclaimed\nslept\nPT400 seat_already_claimed",
	'a window of five seconds is open for five');

# How long an invitation lives.
my $ttl = qq{
	SELECT (seat).invitation_token_expires_at - (seat).created_at
	FROM seats.assign_seat('$shop', email => md5(random()::text) || '\@example.com')
};
my $set_ttl = "SET seats.invitation_ttl = '90min';";
is(outcome($ttl), '1 day', 'an invitation lives as long as the default says');
is(outcome("$set_ttl $ttl"), '01:30:00', 'or as the setting says');
query("UPDATE seats.organizations SET invitation_ttl = '3 days'");
is(outcome("$set_ttl $ttl"), '3 days', "but the organization's own comes first");
foreach my $refused ('0', '-1 day', '11 years')
{
	like(outcome("UPDATE seats.organizations SET invitation_ttl = '$refused'"),
		qr/^23514 .*"organizations_invitation_ttl_check"$/,
		"an own one of $refused is refused");
}
like(outcome("UPDATE seats.organizations SET invitation_ttl = '10 years'; $ttl"),
	qr/^365[23] days$/, 'one of 10 years is accepted');

done_testing();
