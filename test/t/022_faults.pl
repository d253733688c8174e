# Wherever one of the extension's functions waits for a lock, the wait can be ended: by a time-out,
# by somebody who cancels the statement or ends the session, or since the client is gone.  Each is
# the error that PostgreSQL has for it, leaves nothing done and nothing locked, and the session does
# the same call afterwards.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $id = ID;

# Locks that autovacuum takes would be counted.
my $node = start_node('faults', q{
	autovacuum = off
	client_connection_check_interval = 10ms
	log_error_verbosity = verbose
}, allows_streaming => 1);
create_shop(100_000);
query(q{
	CREATE FUNCTION wait_until(condition text) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		done boolean;
	BEGIN
		FOR n IN 1 .. 10000 LOOP
			PERFORM pg_stat_clear_snapshot();
			EXECUTE 'SELECT ' || condition INTO done;
			IF done THEN
				RETURN;
			END IF;
			PERFORM pg_sleep(0.002);
		END LOOP;
		RAISE 'not in 20 seconds: %', condition;
	END
	$$;
});

# Returns the id of the seat that an address was given.
sub seat_of
{
	my ($email) = @_;

	return query("SELECT id FROM seats.customer_seats WHERE customer_email = '$email'");
}

# What the calls are about: a pending seat with its customer, a claimed one with its session, a
# revoked one, and a customer who has none.
my $pending      = assign('pending@example.com');
my $pending_seat = seat_of('pending@example.com');
my $invited =
  query("SELECT customer_id FROM seats.customer_seats WHERE id = '$pending_seat'");
my $claimed      = assign('claimed@example.com');
my $claimed_seat = seat_of('claimed@example.com');
my $session_token =
  query("SELECT customer_session_token FROM seats.claim_seat('$claimed', 'key')");
assign('revoked@example.com');
query(qq{
	SELECT seats.revoke_seat('${\ seat_of('revoked@example.com')}');
	INSERT INTO seats.customers (id, organization_id, email, external_id)
		VALUES ('00000000-0000-0000-0000-000000000002', '$id', 'kim\@example.com', 'kim');
});

my $link_token = query("SELECT join_token FROM seats.create_join_link('$id', max_uses => 5)");

my %calls = (
	claim  => "SELECT (seat).status FROM seats.claim_seat('$pending')",
	retry  => "SELECT (seat).status FROM seats.claim_seat('$claimed', 'key')",
	assign => "SELECT (seat).customer_email FROM seats.assign_seat('$id', email => 'new\@example.com')",
	assign_many => "SELECT (seat).customer_email FROM seats.assign_seats('$id', NULL, "
	  . "'{a\@example.com,new\@example.com,z\@example.com}')",
	assign_email => "SELECT (seat).status FROM seats.assign_seat('$id', email => 'kim\@example.com')",
	assign_external_id => "SELECT (seat).status FROM seats.assign_seat('$id', external_customer_id => 'kim')",
	assign_id => "SELECT (seat).status FROM seats.assign_seat('$id', "
	  . "customer_id => '00000000-0000-0000-0000-000000000002', immediate_claim => true)",
	resend         => "SELECT (seat).status FROM seats.resend_invitation('$pending_seat')",
	revoke         => "SELECT status FROM seats.revoke_seat('$pending_seat')",
	revoke_claimed => "SELECT status FROM seats.revoke_seat('$claimed_seat')",
	revoke_all     => "SELECT seats.revoke_seats('$id')",
	import => "SELECT seats.import_seats('$id', emails => '{a\@example.com,KIM\@example.com,NULL}', "
	  . "external_customer_ids => '{a,NULL,z}')",
	set_seats      => "SELECT seats.set_seats('$id', seats => 1, surplus => 'revoke')",
	join      => "SELECT seats.join_seat('$link_token', 'new\@example.com')::text || 'joined'",
	join_held => "SELECT seats.join_seat('$link_token', 'pending\@example.com')::text || 'joined'",
	make_link => "SELECT (link).uses FROM seats.create_join_link('$id')",
	end_link  => "SELECT r.uses FROM seats.list_join_links('$id') AS l, seats.revoke_join_link(l.id) AS r",
	join_info => "SELECT can_join FROM seats.join_info('$link_token')",
	http_join => "SELECT seats_http.join_seat(jsonb_build_object('join_token', '$link_token', 'email', 'new\@example.com'))",
	cancel => "UPDATE seats.subscriptions SET status = 'canceled' RETURNING assigned_seats",
	delete => 'DELETE FROM seats.subscriptions RETURNING seats',
	pause  => "UPDATE seats.subscriptions SET status = 'paused' RETURNING assigned_seats",
	address => "UPDATE seats.customers SET email = 'changed\@example.com' "
	  . "WHERE id = '$invited' RETURNING email",
	sign_in      => "SELECT (session).customer_email FROM seats.open_session('$claimed_seat')",
	erase        => "SELECT seats.erase_customer('$invited')",
	sign_out     => "SELECT seats.end_session('$session_token')",
	rotate       => 'SELECT seats.rotate_jwt_key() IS NOT NULL',
	claim_info   => "SELECT can_claim FROM seats.claim_info('$pending')",
	authenticate => "SELECT customer_email FROM seats.authenticate('$session_token')",
	list         => "SELECT available_seats FROM seats.list_seats('$id')",
	release      => 'SELECT seats.release_expired_seats()',
	purge        => "SELECT seats.purge_events('1 day')",
	http_claim   => "SELECT seats_http.claim_seat("
	  . "jsonb_build_object('invitation_token', '$pending')) #>> '{seat,status}'",
	http_claim_bytes => "SELECT seats_http.claim_seat("
	  . "'{\"invitation_token\": \"$pending\"}'::bytea) #>> '{seat,status}'",
	http_assign => "SELECT seats_http.assign_seat(jsonb_build_object("
	  . "'subscription_id', '$id', 'email', 'new\@example.com')) ->> 'status'",
	http_resend => "SELECT seats_http.resend_invitation('$pending_seat') ->> 'status'",
	http_revoke => "SELECT seats_http.revoke_seat('$pending_seat') ->> 'status'",
);

my %blockers = (
	'a seat that is being claimed'       => $calls{claim},
	'a seat that is being resent'        => $calls{resend},
	'a seat that is being revoked'       => $calls{revoke},
	'a locked seat'                      => 'SELECT FROM seats.customer_seats FOR UPDATE',
	'a session that ends'                => $calls{sign_out},
	'a locked subscription'              => 'SELECT FROM seats.subscriptions FOR UPDATE',
	'another assign'                     => $calls{assign_email},
	'a locked link'                      => 'SELECT FROM seats.join_links FOR UPDATE',
	'a customer who is being made'       => "INSERT INTO seats.customers (organization_id, email) "
	  . "VALUES ('$id', 'New\@Example.com')",
	'a customer who is being deleted'    => "DELETE FROM seats.customers WHERE external_id = 'kim'",
	'a locked organization'              => 'SELECT FROM seats.organizations FOR UPDATE',
	'a rotation'                         => $calls{rotate},
	map({ ("locked $_" => "LOCK TABLE seats.$_ IN ACCESS EXCLUSIVE MODE") }
		qw(customer_seats customer_sessions events join_links)),
);

# Which call waits for what, and what it gives when it need not.  Where the table of sessions or of
# events is locked, the seat has been changed already by the time the call waits.
my @waits = (
	[ 'claim', 'claimed',
		'a seat that is being claimed', 'a seat that is being resent',
		'a seat that is being revoked', 'a locked seat',
		'locked customer_seats',        'locked events',
		'locked customer_sessions' ],
	[ 'retry', 'claimed', 'a locked seat', 'a session that ends' ],
	[ 'assign', 'new@example.com',
		'a locked subscription', 'another assign', 'a customer who is being made',
		'a locked organization', 'a locked seat',  'locked events' ],
	[ 'assign_many', "a\@example.com\nnew\@example.com\nz\@example.com",
		'a locked subscription', 'a customer who is being made', 'a locked seat', 'locked events' ],
	(map { [ "assign_$_->[0]", $_->[1], 'a customer who is being deleted' ] }
		  [ 'email', 'pending' ], [ 'external_id', 'pending' ], [ 'id', 'claimed' ]),
	[ 'resend', 'pending', 'a seat that is being claimed', 'locked events' ],
	[ 'join', 'joined', 'a locked subscription', 'a locked link', 'another assign', 'a customer who is being made',
		'a locked seat', 'locked events' ],
	[ 'join_held', 'joined', 'a locked subscription', 'a locked link', 'locked events' ],
	[ 'make_link', 0, 'a locked subscription', 'locked join_links' ],
	[ 'end_link', 0, 'a locked link' ],
	[ 'join_info', 't', 'locked join_links' ],
	[ 'http_join', '{}', 'a locked subscription', 'a locked link' ],
	[ 'revoke', 'revoked', 'a locked subscription', 'a seat that is being claimed' ],
	[ 'revoke_claimed', 'revoked', 'a session that ends', 'locked events' ],
	[ 'revoke_all', 2, 'a locked subscription', 'a seat that is being claimed', 'a session that ends' ],
	[ 'cancel', 2, 'a locked subscription', 'a seat that is being claimed', 'a session that ends' ],
	[ 'delete', 100_000, 'a locked subscription', 'a seat that is being claimed', 'a session that ends' ],
	[ 'pause', 2, 'a locked subscription', 'a seat that is being claimed', 'a session that ends',
		'locked events' ],
	[ 'address', 'changed@example.com', 'a seat that is being claimed', 'a seat that is being revoked' ],
	[ 'sign_in', 'claimed@example.com', 'a locked seat', 'locked customer_sessions' ],
	[ 'erase', 1, 'a locked subscription', 'a seat that is being claimed', 'locked events' ],
	[ 'sign_out', 't', 'a session that ends' ],
	[ 'rotate',   't', 'a rotation' ],
	[ 'claim_info',   't',                   'locked customer_seats' ],
	[ 'authenticate', 'claimed@example.com', 'locked customer_sessions' ],
	[ 'list',         99_998,                'locked customer_seats' ],
	[ 'release',      0,                     'locked customer_seats' ],
	[ 'purge',        0,                     'locked events' ],
	[ 'http_claim', 'claimed',
		'a seat that is being claimed', 'a seat that is being revoked', 'locked events' ],
	[ 'http_claim_bytes', 'claimed', 'a locked seat' ],
	[ 'http_assign', 'pending', 'a locked subscription', 'a customer who is being made' ],
	[ 'http_resend', 'pending', 'a seat that is being claimed' ],
	[ 'http_revoke', 'revoked', 'a locked subscription', 'a seat that is being claimed' ],
);

# Starts a session that goes on after errors.
sub start_session
{
	my $psql = $node->background_psql('postgres', on_error_stop => 0,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	$psql->{pid} = $psql->query('SELECT pg_backend_pid()');
	return $psql;
}

my $blocker = start_session();
my $caller  = start_session();
my $watcher = start_session();

my $say_outcome = '\echo :SQLSTATE :LAST_ERROR_MESSAGE';

# Starts a call in a session, and returns when it waits for a lock.
sub start_waiting
{
	my ($psql, $call) = @_;

	$psql->query_until(qr/started/, "\\echo started\n$call;\n$say_outcome\n");
	$watcher->query_safe(qq{SELECT wait_until('wait_event_type = ''Lock''
		FROM pg_stat_activity WHERE pid = $psql->{pid}')});
}

# Returns the FATAL error of a session that ended, out of what somebody says of it.
sub fatal_error
{
	return $_[0] =~ /FATAL:  (\w{5}): (.*?)(?: at character \d+)?$/m ? "$1 $2" : "none in: $_[0]";
}

# The ways out of a wait: each makes the call, which has to wait, and returns its error.  The time is enough for what
# does not wait, such as the end of the setting.

sub time_out
{
	my ($call, $setting) = @_;

	return $caller->query("SET $setting = 500;\n$call;\n$say_outcome\nRESET $setting");
}

sub cancel
{
	my ($call) = @_;

	start_waiting($caller, $call);
	$watcher->query_safe("SELECT pg_cancel_backend($caller->{pid})");
	return $caller->query('SELECT');
}

sub terminate
{
	my ($call) = @_;
	my $victim = start_session();

	start_waiting($victim, $call);
	$watcher->query_safe("SELECT pg_terminate_backend($victim->{pid})");
	$victim->{run}->finish;
	return fatal_error($victim->{stderr});
}

sub kill_client
{
	my ($call) = @_;
	my $victim = start_session();
	my $start  = -s $node->logfile;

	start_waiting($victim, $call);
	$victim->{run}->signal('KILL');
	$victim->{run}->finish;
	$watcher->query_safe(qq{SELECT wait_until('count(*) = 0
		FROM pg_stat_activity WHERE pid = $victim->{pid}')});
	return fatal_error(join "\n", grep { /\[$victim->{pid}\]/ }
		  split /\n/, slurp_file($node->logfile, $start));
}

my %ways_out = (
	lock_timeout => [ \&time_out, '55P03 canceling statement due to lock timeout' ],
	statement_timeout => [ \&time_out, '57014 canceling statement due to statement timeout' ],
	pg_cancel_backend => [ \&cancel, '57014 canceling statement due to user request' ],
	pg_terminate_backend =>
	  [ \&terminate, '57P01 terminating connection due to administrator command' ],
	'the client killed' => [ \&kill_client, '08006 connection to client lost' ],
);

my $rows = table_rows();

foreach my $wait (@waits)
{
	my ($name, $result, @for) = @$wait;
	my $call = $calls{$name};

	foreach my $for (@for)
	{
		my %errors;

		$blocker->query_safe("BEGIN; $blockers{$for};");
		$errors{$_} = $ways_out{$_}[0]->($call, $_) foreach sort keys %ways_out;
		$blocker->query_safe('ROLLBACK');

		is_deeply(\%errors, { map { $_ => $ways_out{$_}[1] } keys %ways_out },
			"$name waits for $for: each way out is its error");
		is($watcher->query_safe('SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid()'),
			0, "$name waits for $for: nothing is locked afterwards");
		is(table_rows(), $rows, "$name waits for $for: nothing is done");
		is($caller->query("BEGIN; $call; ROLLBACK"), $result,
			"$name waits for $for: the session does it afterwards");
		$caller->{stderr} = '';
	}
}

# What a session keeps -------------------------------------------------------------------------------

# A session looks at tables, and makes plans, when it needs them first, and keeps both.  What it was
# doing then, and could not finish, it must do again.
query('VACUUM ANALYZE');

# Makes a call in a new session that cannot look at all indexes, and then again; returns its error,
# its result, and then what a query tells of the session.
sub call_again
{
	my ($direct_access, $query) = @_;
	my $psql = start_session();
	my @outcome;

	$psql->query_safe("SET seats.direct_access = $direct_access");
	$blocker->query_safe('BEGIN; REINDEX INDEX seats.customer_seats_invitation_token_hash_key;');
	push @outcome, scalar
	  $psql->query("SET lock_timeout = 50;\n$calls{claim_info};\n$say_outcome\nRESET lock_timeout");
	$blocker->query_safe('ROLLBACK');
	push @outcome, scalar $psql->query($_) foreach $calls{claim_info}, $query;
	$psql->quit;
	return @outcome;
}

is_deeply(
	[ call_again('on', q{SELECT count(*) FROM pg_backend_memory_contexts
		WHERE name = 'CachedPlanSource' AND ident LIKE '%seats.customer_seats%'}) ],
	[ $ways_out{lock_timeout}[1], 't', 0 ],
	'a session that could not look at a table looks at it again, and needs no statement');
is_deeply(
	[ call_again('off', q{SELECT sum(seq_scan) FROM pg_stat_xact_user_tables
		WHERE schemaname = 'seats'}) ],
	[ $ways_out{lock_timeout}[1], 't', 0 ],
	'a session that could not make a plan makes it as it should be');

# Work that is interrupted ---------------------------------------------------------------------------

# A call with much to do is interrupted at one place after the other.
my $assign_many = "SELECT count(*) FROM seats.assign_seats('$id', NULL, "
  . "ARRAY(SELECT format('c%s\@example.com', n) FROM generate_series(1, 3000) AS n))";
my ($milliseconds, $interrupted, $outcome) = (1, 0);
while (1)
{
	$outcome = outcome("SET statement_timeout = $milliseconds; $assign_many");
	last if $outcome ne $ways_out{statement_timeout}[1] || table_rows() ne $rows;
	$interrupted++;
	$milliseconds = int(1.5 * $milliseconds + 1);
}
is($outcome, 3000, 'a call with much to do is done when it has the time');
cmp_ok($interrupted, '>', 3, 'it was interrupted before, and did nothing');
is(query('SELECT assigned_seats FROM seats.subscriptions'), 3002, 'all is counted');

# A commit that waits ----------------------------------------------------------------------------------

# Where a commit waits for a standby, the claim is done already; PostgreSQL says so.  It is whole, and
# its answer can be asked for again.
query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
$node->reload;
query(q{SELECT wait_until('current_setting(''synchronous_standby_names'') = ''nobody''')});

# Claims a seat of an address in a session, and returns when its commit waits.
sub start_committing
{
	my ($psql, $email) = @_;
	my $token = query("SET synchronous_commit = local;
		SELECT invitation_token FROM seats.assign_seat('$id', email => '$email')");

	$psql->query_until(qr/started/,
		"\\echo started\nSELECT (seat).status FROM seats.claim_seat('$token', 'key');\n");
	$watcher->query_safe(qq{SELECT wait_until('wait_event = ''SyncRep''
		FROM pg_stat_activity WHERE pid = $psql->{pid}')});
	return $token;
}

# Returns what there is of the claim of a token, and then answers it again.
sub state_of_claim
{
	my ($token) = @_;

	return split /\n/, query(qq{
		SELECT s.status, count(x), count(e) FROM seats.customer_seats AS s
		LEFT JOIN seats.customer_sessions AS x ON x.seat_id = s.id
		LEFT JOIN seats.events AS e ON e.seat_id = s.id AND e.type = 'customer_seat.claimed'
		WHERE invitation_token_hash = digest('$token', 'sha256') GROUP BY 1;
		SET synchronous_commit = local;
		SELECT (seat).status FROM seats.claim_seat('$token', 'key')});
}

my $token = start_committing($caller, 'committing@example.com');
query("SELECT pg_cancel_backend($caller->{pid})");
is($caller->query('SELECT'), 'claimed', 'a commit that is canceled while it waits is answered');
like($caller->{stderr}, qr/WARNING:  01000: canceling wait for synchronous replication/,
	'with a warning');
is_deeply([ state_of_claim($token) ], [ 'claimed|1|1', 'claimed' ], 'the claim is whole');

my $victim = start_session();
$token = start_committing($victim, 'committed@example.com');
query("SELECT pg_terminate_backend($victim->{pid})");
$victim->{run}->finish;
is_deeply([ state_of_claim($token) ], [ 'claimed|1|1', 'claimed' ],
	'so is that of a session that is ended while its commit waits');

$_->quit foreach $blocker, $caller, $watcher;
done_testing();
