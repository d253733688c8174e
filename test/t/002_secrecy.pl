# No token in clear anywhere but in the answer that gives it.  Tokens are passed as parameters,
# since what PostgreSQL itself writes of a caller's statement is the caller's to choose;
# pgbench does that on all versions.  Everything that could write is switched on, every
# function that takes a token is called with good ones and into each of its errors, and then
# the secret digits of each token are looked for, also in hexadecimal and base64.
use strict;
use warnings;

use Digest::SHA qw(sha256 sha256_hex);
use File::Find;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

# In a custom plan the caller's parameter is a constant, which auto_explain.log_verbose writes.
my $node = start_node('secrecy', q{
	shared_preload_libraries = 'auto_explain, pg_stat_statements'
	pg_stat_statements.track = all
	log_statement = all
	log_min_duration_statement = 0
	log_error_verbosity = verbose
	log_min_messages = debug1
	log_parameter_max_length = 0
	log_parameter_max_length_on_error = 0
	auto_explain.log_min_duration = 0
	auto_explain.log_nested_statements = on
	auto_explain.log_analyze = on
	auto_explain.log_verbose = on
	auto_explain.log_triggers = on
	plan_cache_mode = force_generic_plan
});
if ($node->pg_version >= 16)
{
	$node->append_conf('postgresql.conf', 'auto_explain.log_parameter_max_length = 0');
	$node->reload;
}
create_shop(100);
query('CREATE EXTENSION pg_stat_statements');

# Every token that is issued, and what programs print of their errors.
my @tokens;
my $printed = '';

sub new_invitation
{
	push @tokens, assign('customer' . @tokens . '@example.com');
	return $tokens[-1];
}

# Runs a script with :token, and other variables, as parameters of its statements; returns output
# and errors.
sub run_with
{
	my ($token, $script, %others) = @_;
	my @variables = map { ('-D', "$_=$others{$_}") } sort keys %others;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	my ($output, $errors);

	unlink $file;
	append_to_file($file, $script);
	IPC::Run::run(
		[
			'pgbench', '-n', '-t', 1, '-M', 'extended', '-D', "token=$token",
			@variables, '-f', $file, $node->connstr('postgres')
		],
		'>', \$output, '2>', \$errors);
	$printed .= $errors;
	return ($output, $errors);
}

# Runs a statement that must fail.  The reason is in its DETAIL, or, where the error is one of
# PostgreSQL's own, in its MESSAGE.
sub fails_with
{
	my ($token, $statement, $reason) = @_;
	my (undef, $errors) = run_with($token, "$statement;");

	like($errors, qr/ERROR: .*\b$reason\b/s, "$statement fails: $reason");
}

# The story without a fault.  \shell prints the session token for this test alone.
my $token = new_invitation();
my ($output) = run_with($token, q{
	SELECT can_claim FROM seats.claim_info(:token);
	SELECT seats.token_route(:token);
	SELECT customer_session_token FROM seats.claim_seat(:token, :token) \gset
	SELECT customer_id FROM seats.authenticate(:customer_session_token);
	SELECT seats.token_route(:customer_session_token);
	\shell echo :customer_session_token
});
my ($session) = $output =~ /^(seats_cst_\w{55})$/m;
ok(defined $session, 'the whole story runs with parameters');
push @tokens, $session;

# The other functions that give invitations, and a retry whose idempotency key is a secret of the
# client's; the headers of its request have everything in them.
my $many = join ',', map { "many$_\@example.com" } 1 .. 2;
push @tokens, split /\n/, query(
	"SELECT invitation_token FROM seats.assign_seats('${\ID}', NULL, '{$many}')");
push @tokens, query(q{
	SELECT invitation_token FROM seats.resend_invitation(
		(SELECT id FROM seats.customer_seats WHERE customer_email = 'many1@example.com'))
});
my $resent = $tokens[-1];
my $key = join '', map { chr(ord('a') + rand 26) } 1 .. 43;
my $all = "$key $resent $session";
($output) = run_with($resent, q{
	SELECT set_config('request.headers', :headers, false);
	SELECT customer_session_token AS first FROM seats.claim_seat(:token) \gset
	SELECT customer_session_token AS second FROM seats.claim_seat(:token, :key) \gset
	\shell echo :first :second
},
	key => $key,
	headers => qq({"idempotency-key": "$key", "user-agent": "$all", "referer": "$all",)
	  . qq( "x-forwarded-for": "$all", "authorization": "Bearer $all"}));
my @sessions = $output =~ /^(seats_cst_\w{55}) (seats_cst_\w{55})$/m;
is(scalar @sessions, 2, 'a claim is made and retried by a key in a header and as an argument');
push @tokens, @sessions;

# A further session.
($output) = run_with('none', qq{
	SELECT customer_session_token AS further FROM seats.open_session(
		(SELECT id FROM seats.customer_seats WHERE customer_email = 'many1\@example.com')) \\gset
	\\shell echo :further
});
my ($further) = $output =~ /^(seats_cst_\w{55})$/m;
ok(defined $further, 'a further session is opened');
push @tokens, $further;

# Over HTTP: tokens in a body, and in answers.
my $body = q{convert_to('{"invitation_token": "' || :token::text || '"}', 'UTF8')};
($output) = run_with(new_invitation(), qq{
	SELECT seats_http.get_claim_info(:token);
	SELECT seats_http.claim_seat($body) ->> 'customer_session_token' AS session \\gset
	\\shell echo :session
	SELECT seats_http.claim_seat($body);
	SELECT seats_http.claim_seat(substr($body, 2));
});
($session) = $output =~ /^(seats_cst_\w{55})$/m;
ok(defined $session, 'a claim over HTTP');
push @tokens, $session;
($output) = run_with('none', qq{
	SELECT seats_http.assign_seat(
		'{"subscription_id": "${\ID}", "email": "http\@example.com"}'::jsonb) AS assigned \\gset
	SELECT seats_http.resend_invitation(:assigned::json ->> 'id') ->> 'invitation_token' AS resent \\gset
	SELECT :assigned::json ->> 'invitation_token' AS first \\gset
	\\shell echo :first :resent
});
my @invitations = $output =~ /^(seats_inv_\w{55}) (seats_inv_\w{55})$/m;
is(scalar @invitations, 2, 'an invitation over HTTP, sent twice');
push @tokens, @invitations;

# Join links, made by each function that makes one, and used.
my $join = q{convert_to(json_build_object('join_token', :token::text, 'email', 'bytes@example.com')::text, 'UTF8')};
($output) = run_with('none', qq{
	SELECT join_token AS link FROM seats.create_join_link('${\ID}') \\gset
	SELECT set_config('request.jwt.claims', '{"sub": "${\ID}"}', false);
	SELECT seats_http.create_join_link('{"subscription_id": "${\ID}"}'::jsonb) ->> 'join_token' AS http \\gset
	SELECT seats_http.portal_create_join_link('{"subscription_id": "${\ID}"}'::jsonb) ->> 'join_token' AS portal \\gset
	\\shell echo :link :http :portal
});
my @links = $output =~ /^(seats_jnl_\w{55}) (seats_jnl_\w{55}) (seats_jnl_\w{55})$/m;
is(scalar @links, 3, 'three join links');
push @tokens, @links;
run_with($links[0], qq{
	SELECT can_join FROM seats.join_info(:token);
	SELECT seats.join_seat(:token, address) FROM unnest('{joined\@example.com,joined\@example.com}'::text[]) AS address;
	SELECT seats.token_route(:token);
	SELECT seats_http.join_info(:token);
	SELECT seats_http.join_seat($join);
	SELECT seats_http.join_seat(substr($join, 2));
	SELECT to_json(l) FROM seats.list_join_links('${\ID}') AS l;
});
is(query('SELECT sum(uses) FROM seats.join_links'), 2, 'two have joined');

# A session that is a JWT: claimed, retried, looked at in every way, refused.  PostgREST gets the keys and sets what it
# has verified.  Nobody may find the token's signature or its random id, nor a key.  It is too long for \shell, so it
# comes by a statement with an invitation in clear, which is not looked for.
my $in_clear = assign('jwt@example.com');
my ($ended_jwt, $jwt) = split /\n/, query(qq{
	SET seats.session_token_format = 'jwt';
	SELECT customer_session_token FROM seats.claim_seat('$in_clear', 'key');
	SELECT customer_session_token FROM seats.claim_seat('$in_clear', 'key');
});
($output) = run_with($jwt, q{
	SELECT seats.token_route(:token);
	SELECT customer_id FROM seats.authenticate(:token) \gset
	\shell echo :customer_id
});
like($output, qr/^[0-9a-f-]{36}$/m, 'somebody is signed in with a JWT');
my $claims = decode_base64((split /\./, $jwt)[1] =~ tr{-_}{+/}r);
my @secrets = map { (split /\./)[2], decode_base64((split /\./)[1] =~ tr{-_}{+/}r) =~ /"jti":"(.*?)"/ }
  $ended_jwt, $jwt;
is(scalar @secrets, 4, 'they have signatures and ids');
($output) = run_with($claims, q{
	SELECT set_config('request.jwt.claims', :token, false);
	SELECT seats.check_session();
	SELECT seats.postgrest_config();
	SELECT seats.rotate_jwt_key();
	SELECT seats.postgrest_config();
});
my @jwk = map { pack 'H*', $_ } split /\n/, query(q{SELECT encode(secret, 'hex') FROM seats.jwt_keys});
is(scalar @jwk, 2, 'there are two keys');

# Every error that somebody who has a token can meet.
my $claim = 'SELECT seats.claim_seat(:token)';
my $info = 'SELECT seats.claim_info(:token)';
my $authenticate = 'SELECT seats.authenticate(:token)';
my $end = 'SELECT seats.end_session(:token)';
my $route = 'SELECT seats.token_route(:token)';

fails_with($token, $claim, 'seat_already_claimed');
foreach my $wrong (substr(new_invitation(), 0, 64), new_invitation() . 'x', $session)
{
	fails_with($wrong, $claim, 'invitation_invalid');
	fails_with($wrong, $info, 'invitation_invalid');
}
fails_with(substr($token, 0, 64), $route, 'invitation_invalid');
fails_with($token, $authenticate, 'session_invalid');
fails_with(substr($session, 0, 64), $authenticate, 'session_invalid');
run_with($token, "$end;");
foreach my $statement ($claim, $info, $authenticate, $end)
{
	fails_with($token x 4, $statement, 'string_too_long');
}
fails_with($ended_jwt, $authenticate, 'session_invalid');
fails_with($jwt . '=', $authenticate, 'session_invalid');
fails_with($jwt x 3, $authenticate, 'string_too_long');
fails_with($jwt, $claim, 'string_too_long');
fails_with(substr($jwt, 0, -50), $route, 'invitation_invalid');
fails_with($claims =~ s/"jti":"/"jti":"x/r,
	q{SELECT set_config('request.jwt.claims', :token, false); SELECT seats.check_session()}, 'session_invalid');
fails_with($token, 'SELECT seats.claim_seat(:token, repeat(:token, 4))', 'string_too_long');
my $join_seat = q{SELECT seats.join_seat(:token, 'late@example.com')};
foreach my $wrong (substr($links[1], 0, 64), $links[1] . 'x', $token)
{
	fails_with($wrong, $_, 'join_link_invalid') foreach $join_seat, 'SELECT seats.join_info(:token)';
}
fails_with($links[1], $claim, 'invitation_invalid');
fails_with($links[1], 'SELECT seats.join_seat(:token, :token)', 'value_error');
fails_with($links[1], "BEGIN READ ONLY; $join_seat", 'read-only transaction');
query(q{UPDATE seats.join_links SET expires_at = now()});
fails_with($links[1], $join_seat, 'join_link_expired');
query(qq{SELECT seats.revoke_join_link(id) FROM seats.list_join_links('${\ID}')});
fails_with($links[1], $join_seat, 'join_link_invalid');
fails_with($token, "BEGIN READ ONLY; $claim", 'read-only transaction');
fails_with($session, "BEGIN READ ONLY; $end", 'read-only transaction');

my $expired = new_invitation();
query(q{
	UPDATE seats.customer_seats SET invitation_token_expires_at = now()
	WHERE status = 'pending'
});
fails_with($expired, $claim, 'invitation_expired');
run_with($expired, "$info;");

my $revoked = new_invitation();
query(q{
	SELECT seats.revoke_seat(id) FROM seats.customer_seats
	WHERE status = 'pending' AND invitation_token_expires_at > now()
});
fails_with($revoked, $claim, 'seat_revoked');
fails_with($revoked, $info, 'seat_revoked');

# A trigger of the owner's refuses the change of the seat, and tells all about its row.
my $kept = new_invitation();
query(q{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN RAISE 'refused %', NEW; END $$;
	CREATE TRIGGER refuse BEFORE UPDATE ON seats.customer_seats
		FOR EACH ROW EXECUTE FUNCTION refuse();
});
fails_with($kept, $claim, 'refused');
query('DROP TRIGGER refuse ON seats.customer_seats');

# Waiting in vain for the lock of the seat.
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT FROM seats.customer_seats FOR UPDATE');
fails_with($kept, "SET lock_timeout = 10; $claim", 'lock timeout');
fails_with($kept, "SET statement_timeout = 10; $claim", 'statement timeout');
$holder->quit;

query('UPDATE seats.organizations SET seat_based_pricing_enabled = false');
fails_with($kept, $claim, 'seat_based_pricing_not_enabled');
fails_with($kept, $info, 'seat_based_pricing_not_enabled');

query('UPDATE seats.customer_sessions SET expires_at = now()');
fails_with($session, $authenticate, 'session_expired');
fails_with($jwt, $authenticate, 'session_expired');
run_with($jwt, "$end;");
run_with($session, "$end;");
run_with($session, "$end;");

# The forms in which a secret could be written: as it is, hexadecimal, and base64 at each of
# the three places that it can have in what is encoded, without the ends that depend on
# neighbours.
sub forms
{
	my ($secret) = @_;
	my @forms = ($secret, unpack('H*', $secret), uc unpack('H*', $secret));

	foreach my $before (0 .. 2)
	{
		my $encoded = encode_base64(('x' x $before) . $secret, '');
		push @forms, substr($encoded, $before && $before + 1, -4);
	}
	return @forms;
}

my $clear = join '|',
  map { quotemeta } map { forms($_) } $key, @secrets, map { substr($_, 16, 43) } @tokens;

# A key is in its table, hexadecimal where that is printed, and nowhere else.
my $keys = join '|', map { quotemeta }
  map { $_, unpack('H*', $_), substr(encode_base64($_, ''), 0, 42), substr(encode_base64($_, '') =~ tr{+/}{-_}r, 0, 42) } @jwk;

sub lacks_tokens
{
	my ($where, $text) = @_;
	my $found = $text =~ /$clear/ ? "found at $-[0] of " . length $text : 'not found';

	cmp_ok(length $text, '>', 0, "something was written: $where");
	is($found, 'not found', "no token: $where");
	unlike($text, qr/$keys/i, "no key: $where") unless $where eq 'the tables';
}

my $log = slurp_file($node->logfile);
foreach my $expected (
	'execute <unnamed>: SELECT seats.claim_seat($1)',
	'Query Text: UPDATE seats.customer_seats',
	'DETAIL:  seat_already_claimed',
	'seats.claim_info($1)')
{
	like($log, qr/\Q$expected/, "the log has the likes of: $expected");
}
lacks_tokens("the server's log", $log);
lacks_tokens('errors that callers see', $printed);
lacks_tokens('pg_stat_statements', query('SELECT * FROM pg_stat_statements'));

my $rows = table_rows() . query(q{
	SET bytea_output = escape;
	SELECT * FROM seats.customer_seats;
	SELECT * FROM seats.customer_sessions;
});
my $hash = sha256_hex($kept);
lacks_tokens('the tables', $rows);
like($rows, qr/$hash/, 'the hash of a token is in the tables');
my $key_hash = sha256_hex($resent . $key);
like($rows, qr/$key_hash/, 'and that of a key beside its token');

my ($dump) = run_command([ 'pg_dump', $node->connstr('postgres') ]);
lacks_tokens('a dump', $dump);
like($dump, qr/$hash/, 'the hash of a token is in the dump');

# At rest: tables, indexes, write-ahead log, and what extensions keep in files.
query('CHECKPOINT');
$node->stop;
my @files;
find({ no_chdir => 1, wanted => sub { push @files, $_ if -f } }, $node->data_dir);
is_deeply([ grep { slurp_file($_) =~ /$clear/ } @files ],
	[], 'no token: the ' . @files . ' files of the data directory');
my $raw_hash = sha256($kept);
my %with_hash = map { m{/(base|pg_wal)/} ? ($1 => 1) : () }
  grep { slurp_file($_) =~ /\Q$raw_hash/ } @files;
is_deeply(\%with_hash, { base => 1, pg_wal => 1 },
	'the hash of a token is in tables and write-ahead log');
$node->start;

# What PostgreSQL writes of the caller's own statement is no doing of the extension; and this
# shows that the search finds a token that is there.
foreach my $setting ('log_parameter_max_length = -1', 'plan_cache_mode = force_custom_plan')
{
	query("ALTER SYSTEM SET $setting");
	$node->reload;
	my $offset = -s $node->logfile;
	run_with($kept, "$end;");
	like(slurp_file($node->logfile, $offset),
		qr/$clear/, "the log has the caller's parameter with $setting");
	query('ALTER SYSTEM RESET ALL');
}

# With PostgreSQL's own settings of what is logged, a call that the extension refuses leaves not even a
# token that is written into the statement. One that PostgreSQL refuses does.
query("ALTER SYSTEM SET $_")
  foreach 'log_statement = none', 'log_min_duration_statement = -1', 'log_min_messages = warning',
  'auto_explain.log_min_duration = -1', 'log_error_verbosity = default';
$node->reload;
foreach (
	[ "SELECT seats.claim_seat('$kept')", qr{seat_based_pricing_not_enabled}, 0 ],
	[ "SELECT seats.authenticate('$kept')", qr/session_invalid/, 0 ],
	[ "SELECT seats.end_session('$kept" . 'x' x 255 . "')", qr/string_too_long/, 0 ],
	[ "SELECT seats.claim_seat('$kept', no_such_argument => 1)", qr/does not exist/, 1 ])
{
	my ($statement, $error, $logged) = @$_;
	my $offset = -s $node->logfile;

	$node->psql('postgres', $statement);
	my $log = slurp_file($node->logfile, $offset);
	like($log, $error, 'an error is logged');
	is($log =~ /$clear/ ? 1 : 0, $logged, $logged ? 'with the statement' : 'without the statement');
}

done_testing();
