# What traffic sees while a database goes from 1.0 to 1.1.  The files come first, then the objects, and sessions keep the library
# that they have loaded: so 1.0's library meets the objects of 1.1, and 1.1's those of 1.0.  Each call and each statement
# of the application works, or raises 55000 with a hint and changes nothing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use SeatsReleased;
use SeatsTest;
use Test::More;

my $id = ID;
my $version = oldest_version();
my $node = new_released_server('released', $version);
my (%token, %seat);

# Another subscription and an order, with ids of their own.
my ($other, $order) = map { $id =~ s/^0/$_/r } qw(b c);

# Makes the extension by 1.0, and what the calls need.
sub fill_database
{
	my ($database) = @_;

	query("CREATE DATABASE $database");
	in_database($database);
	create_shop(100);
	query(qq{
		INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
			VALUES ('$other', '$id', '$id', '$id', 5, 'active');
		INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, status)
			SELECT '$id', '$id', '$id', 5, 'trialing' FROM generate_series(1, 20);
		INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
			VALUES ('$order', '$id', '$id', '$id', 5, 'paid');
		INSERT INTO seats.customers (organization_id, external_id) SELECT '$id', 'idle' || n FROM generate_series(1, 20) AS n});
	$token{$_} = assign("$_\@example.com") foreach qw(pending expired claimed retried revoked jwt signed_in leaving waiting quiet);
	query("SELECT seats.assign_seat('$other', email => 'pending\@example.com');
		SELECT seats.assign_seat('$other', email => 'claimed\@example.com', immediate_claim => true);
		SELECT seats.assign_seat(order_id => '$order', email => 'pending\@example.com')");
	$token{session} = claim($token{claimed});
	$token{session_to_end} = claim($token{signed_in});
	claim($token{leaving});
	query("SELECT seats.claim_seat('$token{retried}', 'key')");
	$token{session_of_jwt} =
	  query("SET seats.session_token_format = 'jwt'; SELECT customer_session_token FROM seats.claim_seat('$token{jwt}')");
	query(q{
		SELECT seats.revoke_seat(id) FROM seats.customer_seats WHERE customer_email = 'revoked@example.com';
		UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE customer_email = 'expired@example.com'});
	# Sessions that are deleted by hand.
	query(q{INSERT INTO seats.customer_sessions SELECT sha256(int4send(n)), id, customer_id, organization_id, '2026-01-01', '2100-01-01'
		FROM seats.customer_seats, generate_series(1, 10) AS n WHERE customer_email = 'claimed@example.com' AND claimed_at IS NOT NULL
			AND subscription_id = } . "'$id'");
	$seat{$_} = query("SELECT id FROM seats.customer_seats WHERE customer_email = '$_\@example.com' AND subscription_id = '$id'")
	  foreach qw(pending expired claimed leaving);
}

# Returns the calls and statements by name, in the order in which they are to run.
sub calls
{
	# What PostgREST passes on of a JWT.
	my $claims = decode_base64((split /\./, $token{session_of_jwt})[1] =~ tr{-_}{+/}r);

	return (
		[ 'claim_seat' => "SELECT seats.claim_seat('$token{pending}')" ],
		[ 'claim_seat, with a key' => "SELECT seats.claim_seat('$token{pending}', 'key')" ],
		[ 'claim_seat, again' => "SELECT seats.claim_seat('$token{retried}', 'key')" ],
		[ 'claim_seat, claimed' => "SELECT seats.claim_seat('$token{claimed}')" ],
		[ 'claim_seat, by statements' => "SET seats.direct_access = off; SELECT seats.claim_seat('$token{pending}')" ],
		[ 'claim_info' => "SELECT seats.claim_info('$token{pending}')" ],
		[ 'assign_seat' => "SELECT seats.assign_seat('$id', email => 'new\@example.com')" ],
		[ 'assign_seat, claimed' => "SELECT seats.assign_seat('$id', email => 'new\@example.com', immediate_claim => true)" ],
		[ 'assign_seat, known' => "SELECT seats.assign_seat('$id', customer_id => '$id')" ],
		[ 'assign_seat, an order' => "SELECT seats.assign_seat(order_id => '$order', email => 'claimed\@example.com')" ],
		[ 'assign_seats' => "SELECT seats.assign_seats('$id', NULL, '{n1\@example.com,n2\@example.com}')" ],
		[ 'resend_invitation' => "SELECT seats.resend_invitation('$seat{pending}')" ],
		[ 'resend_invitation, expired' => "SELECT seats.resend_invitation('$seat{expired}')" ],
		[ 'revoke_seat' => "SELECT seats.revoke_seat('$seat{leaving}')" ],
		[ 'revoke_seats' => "SELECT seats.revoke_seats('$other')" ],
		[ 'list_seats' => "SELECT seats.list_seats('$id')" ],
		[ 'get_seat' => "SELECT seats.get_seat('$seat{claimed}')" ],
		[ 'authenticate' => "SELECT seats.authenticate('$token{session}')" ],
		[ 'authenticate, a JWT' => "SELECT seats.authenticate('$token{session_of_jwt}')" ],
		[ 'end_session' => "SELECT seats.end_session('$token{session_to_end}')" ],
		[ 'release_expired_seats' => 'SELECT seats.release_expired_seats()' ],
		[ 'purge_expired_sessions' => 'SELECT seats.purge_expired_sessions()' ],
		[ 'purge_events' => "SELECT seats.purge_events('0')" ],
		[ 'stats' => 'SELECT seats.stats()' ],
		[ 'check_session' => "SELECT set_config('request.jwt.claims', '$claims', true), seats.check_session()" ],
		[ 'rotate_jwt_key' => 'SELECT seats.rotate_jwt_key()' ],
		[ 'postgrest_config' => 'SELECT seats.postgrest_config()' ],
		[ 'my_seats' => "SELECT set_config('request.jwt.claims', json_build_object('sub', customer_id)::text, true) FROM seats.customer_seats "
			  . "WHERE id = '$seat{claimed}'; SELECT count(*) FROM seats.my_seats" ],
		[ 'usage' => 'SELECT sum(claimed) FROM seats.usage' ],
		[ 'token_route' => "SELECT seats.token_route('$token{pending}')" ],
		[ 'organization_route' => "SELECT seats.organization_route('$id')" ],
		[ 'seats_http.claim_seat' => "SELECT seats_http.claim_seat('{\"invitation_token\": \"$token{pending}\"}'::jsonb)" ],
		[ 'seats_http.claim_seat, bytes' => "SELECT seats_http.claim_seat('{\"invitation_token\": \"$token{pending}\"}'::bytea)" ],
		[ 'seats_http.get_claim_info' => "SELECT seats_http.get_claim_info('$token{pending}')" ],
		[ 'seats_http.assign_seat' => "SELECT seats_http.assign_seat('{\"subscription_id\": \"$id\", \"email\": \"new\@example.com\"}'::jsonb)" ],
		[ 'seats_http.list_seats' => "SELECT seats_http.list_seats('$id')" ],
		[ 'seats_http.revoke_seat' => "SELECT seats_http.revoke_seat('$seat{leaving}')" ],
		[ 'seats_http.resend_invitation' => "SELECT seats_http.resend_invitation('$seat{pending}')" ],
		[ 'pausing a subscription' => "UPDATE seats.subscriptions SET status = 'paused' WHERE id = '$id'" ],
		[ 'a subscription that is unpaid' => "UPDATE seats.subscriptions SET status = 'unpaid' WHERE id = '$id'" ],
		[ 'ending a subscription' => "UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$other'" ],
		[ 'activating a subscription without seats' => q{UPDATE seats.subscriptions SET status = 'active'
			WHERE id = (SELECT id FROM seats.subscriptions WHERE status = 'trialing' LIMIT 1)} ],
		[ 'refunding an order' => "UPDATE seats.orders SET status = 'refunded' WHERE id = '$order'" ],
		[ 'lowering seats too far' => "UPDATE seats.subscriptions SET seats = 1 WHERE id = '$id'" ],
		[ 'raising seats' => "UPDATE seats.subscriptions SET seats = seats + 1 WHERE id = '$id'" ],
		[ 'raising seats of an order' => "UPDATE seats.orders SET seats = seats + 1 WHERE id = '$order'" ],
		[ 'changing an address' => q{UPDATE seats.customers SET email = 'x' || email WHERE email LIKE '%pending@example.com'} ],
		[ 'changing a name' => "UPDATE seats.customers SET name = coalesce(name, '') || 'x' WHERE id = '$id'" ],
		[ 'changing an organization' => "UPDATE seats.organizations SET name = name || 'x'" ],
		[ 'changing a product' => "UPDATE seats.products SET name = name || 'x'" ],
		[ 'a new organization' => "INSERT INTO seats.organizations (name, slug) VALUES ('New', gen_random_uuid())" ],
		[ 'a new product' => "INSERT INTO seats.products (organization_id, name) VALUES ('$id', 'New')" ],
		[ 'a new customer' => "INSERT INTO seats.customers (organization_id, email) VALUES ('$id', gen_random_uuid() || '\@example.com')" ],
		[ 'a new subscription' => "INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats) VALUES ('$id', '$id', '$id', 5)" ],
		[ 'a new order' => "INSERT INTO seats.orders (organization_id, product_id, customer_id, seats) VALUES ('$id', '$id', '$id', 5)" ],
		[ 'deleting a subscription' => "DELETE FROM seats.subscriptions WHERE id = '$other'" ],
		[ 'deleting an order' => "DELETE FROM seats.orders WHERE id = '$order'" ],
		[ 'deleting a subscription without seats' =>
			"DELETE FROM seats.subscriptions WHERE id = (SELECT id FROM seats.subscriptions WHERE status = 'trialing' LIMIT 1)" ],
		[ 'deleting a customer' => "DELETE FROM seats.customers WHERE id = (SELECT id FROM seats.customers WHERE external_id LIKE 'idle%' LIMIT 1)" ],
		[ 'deleting a customer with a seat' => q{DELETE FROM seats.customers WHERE email = 'claimed@example.com'} ],
		[ 'revoking a seat by hand' => q{UPDATE seats.customer_seats SET status = 'revoked', revoked_at = now(), customer_id = NULL, customer_email = NULL,
			seat_metadata = NULL WHERE customer_email = 'leaving@example.com'} ],
		[ 'deleting a seat by hand' => q{DELETE FROM seats.customer_seats WHERE customer_email = 'leaving@example.com'} ],
		[ 'deleting a session by hand' => q{DELETE FROM seats.customer_sessions
			WHERE token_hash = (SELECT token_hash FROM seats.customer_sessions ORDER BY created_at LIMIT 1)} ],
		[ 'truncating seats' => 'TRUNCATE seats.customer_seats' ]);
}

# Starts a session in the chosen database.
sub connect_session
{
	my ($database) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0);

	$session->query_safe('\set VERBOSITY verbose');
	return $session;
}

# Runs statements in a session; says how they ended: that they work, that they got an error that they would get anyway, that they
# were refused with the hint, or the error.
sub attempt
{
	my ($session, $sql) = @_;

	return verdict($session, $session->query($sql));
}

# Says the same of what a session has run.
sub verdict
{
	my ($session, $output) = @_;
	my $errors = $session->{stderr};

	$session->{stderr} = '';
	return $output =~ /^\{"(?:error|detail)":/m ? 'error' : 'works' if $errors !~ /ERROR:  (\w{5}): (.*)/;
	my $error = "$1 $2";
	return 'refused'
	  if $errors =~ /ERROR:  55000: the extension seats is of version 1\.\d, the loaded library of 1\.\d/
	  && $errors =~ /^HINT:  Run ALTER EXTENSION seats UPDATE\. /m;
	return 'missing' if $error =~ /^42883 could not find function "seats_\w+" in file /;
	return 'error' if $error =~ /^(?:PT4\d\d|23503|0A000) |^23514 (?:seats cannot be lowered|cannot reduce the number|.*"subscriptions_status_check")/;
	return $error;
}

# Returns a digest of all rows.
sub state_of
{
	my ($database) = @_;

	in_database($database);
	return query(join ' UNION ALL ',
		map { "SELECT '$_', md5(string_agg(t::text, ' ' ORDER BY t::text COLLATE \"C\")) FROM seats.$_ AS t" }
		  qw(organizations products customers subscriptions orders customer_seats customer_sessions events jwt_keys));
}

# Runs everything in a session; tests that what is refused changes nothing.  Returns how each of the calls ended.
sub run_calls
{
	my ($session, $database, $where) = @_;
	my (@changed, %verdicts);

	foreach (calls())
	{
		my ($name, $sql) = @$_;
		my $before = state_of($database);
		my $verdict = attempt($session, $sql);

		attempt($session, 'RESET seats.direct_access');
		push @{ $verdicts{$verdict} }, $name;
		push @changed, $name if $verdict ne 'works' && state_of($database) ne $before;
	}
	is(join("\n", @changed), '', "$where: what does not work changes nothing");
	return \%verdicts;
}

# Tests how calls ended, other than that they were refused with the hint.
sub check_verdicts
{
	my ($verdicts, $where, %expected) = @_;

	foreach (qw(error missing works))
	{
		is(join(', ', @{ delete $verdicts->{$_} // [] }), $expected{$_} // '', "$where: $_");
	}
	cmp_ok(scalar @{ delete $verdicts->{refused} // [] }, '>', 30, "$where: much is refused");
	is(join("\n", map { "$_: @{ $verdicts->{$_} }" } sort keys %$verdicts), $expected{other} // '', "$where: there is no other error");
}

# Tests that no rule of 1.1 is broken.
sub check_database
{
	my ($database, $where) = @_;

	in_database($database);
	check_rules($where);
	check_addresses($where);
}

$node->append_conf('postgresql.conf', "max_connections = 150\ndeadlock_timeout = '1min'");
$node->start;
on_node($node);
fill_database('shop');

# What fails whichever version there is.
my $errors = 'claim_seat, claimed, pausing a subscription, lowering seats too far, deleting a customer with a seat, truncating seats';
# The library of 1.1 writes what the application keeps, other than purchases: addresses may have to be mended before the update.
my $records = 'changing an organization, changing a product, a new organization, a new product, a new customer';
my %old_objects = (
	works => "postgrest_config, my_seats, usage, token_route, organization_route, changing an address, changing a name, $records, "
	  . 'deleting a customer, deleting a session by hand',
	error => 'deleting a customer with a seat, truncating seats');
# That of 1.0 writes what has not changed.
my $unchanged = "raising seats, raising seats of an order, $records, a new subscription, a new order, "
  . 'deleting a customer, deleting a session by hand';
my %old_library = (
	works => "my_seats, usage, token_route, organization_route, $unchanged",
	error => 'lowering seats too far, deleting a customer with a seat, truncating seats',
	missing => 'postgrest_config');
# Those who waited in the one statement that they execute go on with it.
my %waited = (
	works => 'list_seats, get_seat, end_session, purge_expired_sessions, purge_events, postgrest_config, '
	  . "my_seats, usage, token_route, organization_route, seats_http.list_seats, $unchanged, raising seats, 1.1, changing an address, 1.1",
	error => 'lowering seats too far, deleting a customer with a seat, truncating seats',
	# What it returns has more fields by then.
	other => '42804 a type of the extension seats was altered: stats');

# Sessions that have used 1.0's library, one that has only loaded it, and many that will wait.
my $used = connect_session('shop');
my %first;
push @{ $first{ attempt($used, "BEGIN; $_->[1]; ROLLBACK") } }, $_->[0] foreach calls();
is(join(', ', @{ $first{error} }), $errors, '1.0: what does not work');
is(join(', ', sort keys %first), 'error, works', 'all else does');
my $loaded = connect_session('shop');
$loaded->query_safe("LOAD 'seats'");
my $old_snapshot = connect_session('shop');
$old_snapshot->query_safe("SELECT seats.get_seat('$seat{claimed}')");
my @waiting = map { [ @$_, connect_session('shop') ] } calls();
foreach (@waiting)
{
	my (undef, $sql, $session) = @$_;

	attempt($session, "BEGIN; $sql; ROLLBACK");
}

# 1.1's files come.
install_current($node, $version);
my $late = connect_session('shop');
my $verdicts = run_calls($late, 'shop', '1.1 with the objects of 1.0');
check_verdicts($verdicts, '1.1 with the objects of 1.0', %old_objects);
is(attempt($used, "SELECT seats.claim_seat('$token{waiting}')"), 'works', 'sessions that have the old library go on until the update');

# A session that has loaded the old library cannot update the extension, since functions are missing in it.
my $before = state_of('shop');
is(attempt($loaded, 'ALTER EXTENSION seats UPDATE'), 'missing',
	'the update needs a session with the new library');
is(state_of('shop'), $before, 'and changes nothing otherwise');

# The update locks purchases first, as functions do: while it waits for one, it holds nothing that a claim or a change of a customer
# needs.  It gives up when it is to, and has changed nothing then.
is(attempt($used, "BEGIN; UPDATE seats.subscriptions SET seats = seats + 1 WHERE id = '$id'"), 'works', 'a transaction is open');
my $updating = connect_session('shop');
my $pid = $updating->query('SELECT pg_backend_pid()');
$updating->query_until(qr/^sent$/m, "\\echo sent\nALTER EXTENSION seats UPDATE;\n");
$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid") or die 'the update does not wait';
my $other_old = $waiting[0][2];
is(attempt($other_old, "SET lock_timeout = '30s'; BEGIN; $_; ROLLBACK"), 'works', 'others go on while the update waits')
  foreach "SELECT seats.claim_seat('$token{pending}')", "SELECT seats.authenticate('$token{session}')",
  "UPDATE seats.customers SET name = 'y' WHERE id = '$id'";
attempt($other_old, 'RESET lock_timeout');
in_database('shop');
is(query("SELECT pg_cancel_backend($pid)"), 't', 'the update is canceled');
is(verdict($updating, $updating->query('SELECT 1')), '57014 canceling statement due to user request', 'and says so');
is(outcome("SET lock_timeout = 1; ALTER EXTENSION seats UPDATE"), '55P03 canceling statement due to lock timeout',
	'it gives up in time');
attempt($used, 'ROLLBACK');
is(query(q{SELECT extversion FROM pg_extension WHERE extname = 'seats'}), '1.0', 'the objects are still of 1.0');

# Two transactions whose snapshots are older than the update.
my $new_snapshot = connect_session('shop');
is(attempt($new_snapshot, "SELECT seats.get_seat('$seat{claimed}')"), 'refused', 'a session has the new library');
$_->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1') foreach $old_snapshot, $new_snapshot;

# The update, not yet committed.  All who come now wait, or are answered at once.
is(attempt($updating, 'BEGIN; ALTER EXTENSION seats UPDATE'), 'works', 'the update runs');
my %also_new = map { $_ => 1 } 'claim_seat', 'assign_seat', 'authenticate', 'get_seat', 'changing an address', 'raising seats';
push @waiting, map { [ "$_->[0], 1.1", $_->[1], connect_session('shop') ] } grep { $also_new{ $_->[0] } } calls();
foreach (@waiting)
{
	my (undef, $sql, $session) = @$_;

	# In one message, by which it is known that it has come.
	$session->query_until(qr/^sent$/m, "\\echo sent\nSELECT 'traffic'\\;" . ($sql =~ s/;/\\;/gr) . ";\n");
}
$node->poll_query_until('postgres', q{
	SELECT count(*) = } . @waiting . q{ FROM pg_stat_activity
	WHERE query LIKE 'SELECT ''traffic''%' AND (state = 'idle' OR wait_event_type = 'Lock')}) or die 'not all wait';
in_database('postgres');
cmp_ok(query(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT ''traffic''%' AND wait_event_type = 'Lock'}),
	'>', 30, 'most wait for the update');
is(attempt($updating, 'COMMIT'), 'works', 'the update commits');
$verdicts = {};
foreach (@waiting)
{
	my ($name, undef, $session) = @$_;

	push @{ $verdicts->{ verdict($session, $session->query('SELECT 1')) } }, $name;
	$session->quit;
}
check_verdicts($verdicts, 'those who waited', %waited);
check_database('shop', 'those who waited');

is(attempt($old_snapshot, "SELECT seats.claim_seat('$token{pending}')"), 'refused', 'an older snapshot does not hide the update');
is(attempt($new_snapshot, "SELECT seats.claim_seat('$token{quiet}')"), 'works', 'nor does it keep the new library from working');
attempt($_, 'ROLLBACK') foreach $old_snapshot, $new_snapshot;
$_->quit foreach $old_snapshot, $new_snapshot;

# 1.0's library with the objects of 1.1. It lacks functions that are new in C.
foreach ([ used => $used ], [ loaded => $loaded ])
{
	my ($what, $session) = @$_;

	$verdicts = run_calls($session, 'shop', "1.0, $what, with the objects of 1.1");
	check_verdicts($verdicts, "1.0, $what, with the objects of 1.1", %old_library);
	is(attempt($session, "SELECT seats.$_"), 'missing', "1.0, $what: $_")
	  foreach "open_session('$seat{claimed}')", "erase_customer('$id')";
	check_database('shop', "1.0, $what");
	$session->quit;
}
is(attempt($late, "SELECT seats.claim_seat('$token{pending}')"), 'works', 'sessions with the new library need not connect again');
$late->quit;
$updating->quit;

# An update amid traffic.  With a lock_timeout shorter than deadlock_timeout it is the update that gives way, never a call.
# There are so many customers that it takes a while.
my $each = 500;
my $sessions = 4;
install_released($node, $version);
in_database('postgres');
fill_database('busy');
query("UPDATE seats.subscriptions SET seats = 100000 WHERE id IN ('$id', '$other');
	INSERT INTO seats.customers (organization_id, email) SELECT '$id', n || '\@example.com' FROM generate_series(1, 100000) AS n");
my @tokens = split /\n/, query(qq{
	SELECT invitation_token
	FROM seats.assign_seats('$id', NULL, ARRAY(SELECT format('busy%s\@example.com', n) FROM generate_series(1, $sessions * $each) AS n))});
my @leaving = split /\n/, query(qq{
	SELECT (seat).id
	FROM seats.assign_seats('$other', NULL, ARRAY(SELECT format('leaving%s\@example.com', n) FROM generate_series(1, $sessions * $each) AS n))});
my $claimed = q{SELECT count(*) FROM seats.customer_seats WHERE customer_email LIKE 'busy%' AND status = 'claimed'};
my $directory = PostgreSQL::Test::Utils::tempdir();
my @busy;
foreach my $n (1 .. $sessions)
{
	my ($output, $errors) = ('', '');

	append_to_file("$directory/$n", "\\set VERBOSITY verbose\n" . join '', map {
		my $seat = shift @leaving;
		"SELECT 'claimed' FROM seats.claim_seat('$_');\nSELECT FROM seats.assign_seat('$other', email => 'more$_\@example.com');\n"
		  . "SELECT 'revoked' FROM seats.revoke_seat('$seat');\nSELECT FROM seats.authenticate('$token{session}');\n"
		  . "SELECT FROM seats.claim_info('$token{pending}');\nSELECT FROM seats.list_seats(order_id => '$order');\n"
		  . "UPDATE seats.customers SET name = '$n' WHERE id = (SELECT customer_id FROM seats.customer_seats WHERE id = '$seat');\n"
	} splice @tokens, 0, $each);
	push @busy, { output => \$output, errors => \$errors,
		psql => IPC::Run::start([ 'psql', '-XAtq', '-f', "$directory/$n", $node->connstr('busy') ], '>', \$output, '2>', \$errors) };
}
$node->poll_query_until('busy', "SELECT ($claimed) > 100") or die 'nobody claims';
install_current($node, $version);
in_database('busy');
my ($attempts, $result) = (0);
do
{
	$attempts++;
	$result = outcome("SET lock_timeout = '500ms'; ALTER EXTENSION seats UPDATE");
} while ($result =~ /^55P03 / && $attempts < 20);
is($result, '', 'a busy database is updated');
note "an update amid traffic took $attempts attempts";
$_->{psql}->finish foreach @busy;
my $said = join '', map { ${ $_->{output} } } @busy;
my %busy_errors;
$busy_errors{$_}++ foreach map { /^psql:\S+ ERROR:  (\w{5}: .*)/mg } map { ${ $_->{errors} } } @busy;
is(join("\n", sort keys %busy_errors), '55000: the extension seats is of version 1.1, the loaded library of 1.0',
	'no call fails, until there is 1.1');
my ($claims, $revokes) = map { scalar(() = $said =~ /^$_$/mg) } qw(claimed revoked);
cmp_ok($claims, '<', $sessions * $each, 'and then they are refused');
is(query($claimed), $claims, 'what was claimed is claimed, and nothing else');
is(query(qq{SELECT count(*) FROM seats.events AS e WHERE type = 'customer_seat.revoked' AND NOT EXISTS (
		SELECT FROM seats.customer_seats AS s WHERE s.id = e.seat_id AND s.subscription_id = '$id')}), $revokes,
	'what was revoked is recorded');
check_database('busy', 'amid traffic');

# The same where the server preloads the library: all sessions have the one that the server was started with.
$node->stop;
install_released($node, $version);
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'seats'});
$node->start;
my $session = connect_session('shop');
$verdicts = run_calls($session, 'shop', '1.0, preloaded, with the objects of 1.1');
check_verdicts($verdicts, '1.0, preloaded, with the objects of 1.1', %old_library);
check_database('shop', '1.0, preloaded');
$session->quit;
in_database('postgres');
fill_database('preloaded');
install_current($node, $version);
$before = state_of('preloaded');
$session = connect_session('preloaded');
is(attempt($session, 'ALTER EXTENSION seats UPDATE'), 'missing', 'the update needs a restart');
is(state_of('preloaded'), $before, 'and changes nothing otherwise');
is(attempt($session, "SELECT seats.claim_seat('$token{waiting}')"), 'works', 'all goes on with 1.0');
$session->quit;
$node->restart;
$session = connect_session('preloaded');
$verdicts = run_calls($session, 'preloaded', '1.1, preloaded, with the objects of 1.0');
check_verdicts($verdicts, '1.1, preloaded, with the objects of 1.0', %old_objects);
is(attempt($session, 'ALTER EXTENSION seats UPDATE'), 'works', 'the update needs nothing else');
is(attempt($session, "SELECT seats.claim_seat('$token{pending}')"), 'works', 'then all goes on');
check_database('preloaded', '1.1, preloaded');
$session->quit;

done_testing();
