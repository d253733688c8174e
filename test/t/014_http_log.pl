# No token gets into the log by a body that is no request: whatever is wrong with it is answered,
# and no error is raised.  So the most that PostgreSQL can log of an error, with the values of all
# parameters, is on; only what it logs of every statement is off.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $node = start_node('http_log', q{
	log_statement = none
	log_min_error_statement = error
	log_min_messages = debug1
	log_error_verbosity = verbose
	log_parameter_max_length_on_error = -1
});
create_shop(100);
query('CREATE ROLE anonymous LOGIN');
query(q{SELECT seats.grant_access(anonymous => 'anonymous')});

my $token = assign('ann@example.com');
my $secret = substr($token, 16, 43);

# Calls a function with a value as a parameter, as the anonymous role; returns the status of the
# answer and what is wrong by it, or how the call failed.
sub call
{
	my ($function, $body, $type) = @_;
	my $hexadecimal = unpack 'H*', $body;
	my $value = $type eq 'bytea' ? "\\x$hexadecimal" : $body;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/call.sql';
	my ($output, $errors);

	# Pgbench passes its variables as parameters, and has no other way to say what it was answered.
	unlink $file;
	append_to_file($file, qq{
		SELECT coalesce(nullif(current_setting('response.status', true), ''), '200') AS status,
			coalesce(body #>> '{detail,0,type}', body ->> 'reason', 'nothing') AS wrong
		FROM (SELECT seats_http.$function(:body::$type) AS body OFFSET 0) AS answer \\gset
		\\shell echo answered :status :wrong
	});
	IPC::Run::run(
		[
			'pgbench', '-n', '-t', 1, '-M', 'extended', '-D', "body=$value",
			'-f', $file, $node->connstr('postgres') . ' user=anonymous'
		],
		'>', \$output, '2>', \$errors);
	return $output =~ /^answered (.*)$/m ? $1 : $errors;
}

# The body that claims by a token, and bodies that are wrong each in its own way, with the token in them.
sub request
{
	my ($value) = @_;

	return qq({"invitation_token": "$value"});
}
my $good = request($token);
my %bodies = (
	'no JSON' => $token,
	'a form' => "invitation_token=$token",
	'not closed' => substr($good, 0, -1),
	'a string not closed' => substr($good, 0, -2),
	'more behind' => "$good $token",
	'a bad escape' => request("$token\\x"),
	'an escaped zero' => request("$token\\u0000"),
	'half a surrogate' => request("$token\\ud800"),
	'a zero byte' => request("$token\0"),
	'not UTF-8' => request("$token\377"),
	'UTF-16' => join('', map { "$_\0" } split //, $good),
	'a number too large' => qq({"invitation_token": "$token", "n": 1e999999}),
	'a number far too large' => qq({"invitation_token": "$token", "n": 1e99999999999}),
	'a word' => qq({"invitation_token": $token}),
	'a control character' => request("$token\n"),
	'nested too deeply' => qq({"invitation_token": "$token", "x": ) . '[' x 40_000,
	'a key twice, once wrong' => qq({"$token": 1, "$token" 2}));

foreach my $name (sort keys %bodies)
{
	my $offset = -s $node->logfile;
	my $answer = call('claim_seat', $bodies{$name}, 'bytea');

	is($answer, '422 json_invalid', "$name: 422");
	unlike(slurp_file($node->logfile, $offset), qr/ERROR/, "$name: no error is logged");
}

# And what is JSON, but no request, or one that is refused.
my %refused = (
	'a list' => [ qq(["$token"]), '422 model_attributes_type' ],
	'a string' => [ qq("$token"), '422 model_attributes_type' ],
	'a number' => [ qq({"invitation_token": 1, "x": "$token"}), '422 string_type' ],
	'a key' => [ qq({"$token": "invitation_token"}), '422 missing' ],
	'over-long' => [ request($token x 4), '422 string_too_long' ],
	'cut' => [ request(substr $token, 0, 64), '400 invitation_invalid' ]);
foreach my $name (sort keys %refused)
{
	my ($body, $answer) = @{ $refused{$name} };

	is(call('claim_seat', $body, $_), $answer, "$name as $_: $answer") foreach 'bytea', 'jsonb';
}
is(call('get_claim_info', $token, 'text'), '200 nothing', 'claim info');
is(call('get_claim_info', substr($token, 1), 'text'), '400 invitation_invalid', 'of no token');
is(call('claim_seat', $good, 'bytea'), '200 nothing', 'a claim');
is(call('claim_seat', $good, 'bytea'), '400 seat_already_claimed', 'and another');

my $log = slurp_file($node->logfile);
sub in_log
{
	my ($text) = @_;
	my @forms = ($text, unpack('H*', $text), uc unpack('H*', $text));

	push @forms, map { substr(encode_base64(('x' x $_) . $text, ''), $_ && $_ + 1, -4) } 0 .. 2;
	return scalar grep { index($log, $_) >= 0 } @forms;
}
is(in_log($secret), 0, 'no token is in the log');

# The search finds one that is there: the same by the cast that PostgreSQL makes of a parameter.
call('claim_seat', $bodies{'a bad escape'}, 'jsonb');
$log = slurp_file($node->logfile);
isnt(in_log($secret), 0, 'PostgreSQL logs one that it could not cast to jsonb');

done_testing();
