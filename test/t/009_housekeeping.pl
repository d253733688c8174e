# House-keeping: what it does and leaves, that it never waits, that the work of a call is bounded
# whatever the tables hold, and that many thousand sessions go while seats are claimed: a million with FULL=1.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $shop = ID;
my $side = '00000000-0000-0000-0000-000000000002';

# Whoever waits for a lock longer than the deadlock timeout is in the log.
my $node = start_node('housekeeping', q{
	shared_buffers = 512MB
	max_wal_size = 4GB
	autovacuum = off
	deadlock_timeout = 10ms
	log_lock_waits = on
});
create_shop(30_000);
query(qq{
	INSERT INTO seats.subscriptions
			(id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$side', '$shop', '$shop', '$shop', 3000, 'active');
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$shop', '$shop', '$shop', '$shop', 3000, 'paid'),
			('$side', '$shop', '$shop', '$shop', 3000, 'paid');
});

my $release = 'SELECT seats.release_expired_seats()';
my $purge_sessions = 'SELECT seats.purge_expired_sessions()';
my $purge_events = q{SELECT seats.purge_events('0')};
my $claimed_seats = q{FROM seats.customer_seats WHERE status = 'claimed'};

# Calls a function in a new session, where it must not wait.
sub call
{
	my ($statement) = @_;

	return outcome("SET lock_timeout = '1s'; $statement");
}

# Makes invitations expire: those of an email, or of emails like it, so long ago.
sub expire
{
	my ($email, $ago) = @_;

	query(qq{
		UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '$ago'
		WHERE customer_email LIKE '$email'
	});
}

sub seat
{
	my ($email, $columns) = @_;

	return query("SELECT $columns FROM seats.customer_seats WHERE customer_email = '$email'");
}

# Tells which emails have a pending or claimed seat.
sub seated
{
	return query(q{
		SELECT string_agg(split_part(customer_email, '@', 1), ' ' ORDER BY customer_email)
		FROM seats.customer_seats
	});
}

# Tells which purchases have a wrong count of assigned seats.
sub wrong_counts
{
	return query(q{
		SELECT * FROM (
			SELECT id, assigned_seats, (SELECT count(*) FROM seats.customer_seats AS s
				WHERE s.subscription_id = p.id AND s.status <> 'revoked') AS counted
			FROM seats.subscriptions AS p
			UNION ALL
			SELECT id, assigned_seats, (SELECT count(*) FROM seats.customer_seats AS s
				WHERE s.order_id = p.id AND s.status <> 'revoked')
			FROM seats.orders AS p) AS p
		WHERE assigned_seats <> counted
	});
}

# Arguments.
assign('ann@x');
expire('ann@x', '1 day');
query(qq{
	INSERT INTO seats.customer_sessions
		SELECT '\\x01', '$shop', '$shop', '$shop', now(), now() - interval '1 day'
});
my $rows = table_rows();
my $null = '"msg": "Input should be a valid timedelta", "type": "time_delta_type"';
my $negative =
  '"msg": "Input should be greater than or equal to 0 seconds", "type": "greater_than_equal"';
foreach my $function ('release_expired_seats', 'purge_events')
{
	foreach (
		[ 'NULL', $null ],
		[ q{'-1 microsecond'}, $negative ],
		[ q{'-1 month 29 days'}, $negative ],
		[ q{'1 day -25 hours'}, $negative ])
	{
		my ($argument, $fault) = @$_;

		is(call("SELECT seats.$function($argument)"),
			qq(PT422 [{"loc": ["body", "older_than"], $fault}]), "$function($argument)");
		is(call("BEGIN READ ONLY; SELECT seats.$function($argument)"),
			"25006 cannot execute $function() in a read-only transaction",
			'a read-only transaction is refused first');
	}
	foreach my $argument (q{'5000000 years'}, q{'170000000 years'})
	{
		is(call("SELECT seats.$function($argument)"),
			'22008 timestamp out of range', "$function($argument) is beyond the calendar");
	}
	is(call("SELECT seats.$function('infinity')"), '0', "$function('infinity') finds nothing")
	  if $node->pg_version >= 17;
}
is(call("BEGIN READ ONLY; $purge_sessions"),
	'25006 cannot execute purge_expired_sessions() in a read-only transaction',
	'purge_expired_sessions() in a read-only transaction');
is(table_rows(), $rows, 'none of them changed anything');
is(call(q{SELECT seats.release_expired_seats('0')}), '1', 'zero releases all that expired');
is(call($purge_sessions), '1', 'an expired session is purged');
is(call($purge_events), '2', 'zero purges all events');
is(table_counts(),
	'customer_seats=1 customer_sessions=0 customers=2 events=0 join_links=0 jwt_keys=1 orders=2 '
	  . 'organizations=1 products=1 subscriptions=2', 'and nothing else');

# What is released, and what is not.
assign($_) foreach 'old@x', 'recent@x', 'resent@x', 'live@x';
expire('old@x', '2 hours');
expire('recent@x', '10 minutes');
expire('resent@x', '2 hours');
query('SELECT seats.resend_invitation(id) FROM seats.customer_seats '
	  . q{WHERE customer_email = 'resent@x'});
my $token = assign('claimed@x');
my $session = claim($token);
expire('claimed@x', '90 minutes');
query("SELECT seats.assign_seat('$shop', email => 'immediate\@x', immediate_claim => true)");
my $seat = seat('claimed@x', 'status, claimed_at, modified_at');
is(call(q{SELECT seats.release_expired_seats('3 hours')}), '0', 'none expired 3 hours ago');
is(seat('claimed@x', 'expiry_watched'), 't', 'the claimed one is still watched');
is(call(q{SELECT seats.release_expired_seats('1 hour')}), '1', 'one expired an hour ago');
is(seated(), 'claimed immediate live recent resent', 'others have their seats');
is(seat('claimed@x', 'expiry_watched, status, claimed_at, modified_at'),
	"f|$seat", 'a claimed one is looked at for the last time, and not modified');
is(call("SELECT customer_email FROM seats.authenticate('$session')"),
	'claimed@x', 'its session lives on');
is(call($release), '1', 'without an argument, whatever expired');
is(seated(), 'claimed immediate live resent', 'a resent one is left');
is(call($release), '0', 'once');
is(call("SELECT seats.claim_seat('$token')"), 'PT400 seat_already_claimed',
	'the claimed one is as before');
is(wrong_counts(), '', 'all counts are right');

# A row that is given again is watched again.
my $released = query(q{SELECT count(*) FROM seats.customer_seats WHERE status = 'revoked'});
$token = assign("again$_\@x") foreach 1 .. $released;
is(query('SELECT count(*) FROM seats.customer_seats'), 4 + $released, 'rows are given again');
is( query('SELECT bool_and(expiry_watched) FROM seats.customer_seats '
		  . q{WHERE customer_email LIKE 'again%'}),
	't', 'and watched again');
expire('again%', '1 second');
is(call($release), $released, 'they are released again');
is(call("SELECT seats.claim_seat('$token')"), 'PT400 seat_revoked', 'and cannot be claimed');
query("SELECT seats.assign_seat('$shop', email => 'at-once\@x', immediate_claim => true)");
expire('immediate@x', '1 day');
is(call($release) . seated(), '0at-once claimed immediate live resent',
	'a seat that was claimed at once stays, also in a row given again');
is(wrong_counts(), '', 'all counts are right');

# Locked rows are passed over and taken later.  Each line: what is due, what the other session
# does, what a call finds meanwhile, and once the other has committed or rolled back.
query(q{SELECT seats.revoke_seats(p.id) FROM seats.subscriptions AS p});
my $other = $node->background_psql('postgres');
my $lock_seat = q{SELECT FROM seats.customer_seats WHERE customer_email = 'first@x' FOR };
my $lock_purchase = "SELECT FROM seats.subscriptions WHERE id = '$shop' FOR ";
my $seats_due = sub {
	query("SELECT seats.assign_seats('$shop', NULL, '{first\@x,third\@x}')");
	query("SELECT seats.assign_seat('$side', email => 'second\@x')");
	query("SELECT seats.assign_seat(order_id => '$shop', email => 'fourth\@x')");
	expire('%@x', '1 second');
};
my $sessions_due = sub {
	query(qq{
		INSERT INTO seats.customer_sessions
			SELECT token, '$shop', '$shop', '$shop', now(), now()
			FROM unnest('{\\\\x01,\\\\x02}'::bytea[]) AS token
	});
};
my $events_due = sub {
	query('DELETE FROM seats.events');
	assign($_) foreach 'first@x', 'second@x';
};
my $resend = q{SELECT FROM seats.customer_seats AS s, seats.resend_invitation(s.id)
	WHERE customer_email = 'first@x'};
my $lock_session = q{SELECT FROM seats.customer_sessions WHERE token_hash = '\x01' FOR };
my $lock_event = 'SELECT FROM seats.events ORDER BY id LIMIT 1 FOR ';
my $delete_session = q{DELETE FROM seats.customer_sessions WHERE token_hash = '\x01'};
foreach (
	[ $seats_due, $lock_seat . 'UPDATE', $release, 3, 'COMMIT', 1 ],
	[ $seats_due, $lock_seat . 'SHARE', $release, 3, 'COMMIT', 1 ],
	[ $seats_due, $resend, $release, 3, 'COMMIT', 0 ],
	[ $seats_due, $resend, $release, 3, 'ROLLBACK', 1 ],
	[ $seats_due, $lock_purchase . 'UPDATE', $release, 2, 'COMMIT', 2 ],
	[ $seats_due, $lock_purchase . 'NO KEY UPDATE', $release, 2, 'COMMIT', 2 ],
	[ $seats_due, $lock_purchase . 'KEY SHARE', $release, 4, 'COMMIT', 0 ],
	[ $seats_due, $lock_purchase =~ s/subscriptions/orders/r . 'UPDATE', $release, 3, 'COMMIT', 1 ],
	[ $seats_due, "SELECT seats.assign_seat('$shop', email => 'fifth\@x')",
		$release, 2, 'ROLLBACK', 2 ],
	[ $seats_due, "SELECT seats.revoke_seats('$shop')", $release, 2, 'COMMIT', 0 ],
	[ $seats_due, "UPDATE seats.subscriptions SET status = 'unpaid' WHERE id = '$shop'",
		$release, 2, 'ROLLBACK', 2 ],
	[ $seats_due, "DELETE FROM seats.subscriptions WHERE id = '$shop'",
		$release, 2, 'ROLLBACK', 2 ],
	[ $seats_due, $release, $release, 0, 'ROLLBACK', 4 ],
	[ $sessions_due, $lock_session . 'UPDATE', $purge_sessions, 1, 'COMMIT', 1 ],
	[ $sessions_due, $lock_session . 'KEY SHARE', $purge_sessions, 1, 'COMMIT', 1 ],
	[ $sessions_due, $delete_session, $purge_sessions, 1, 'COMMIT', 0 ],
	[ $sessions_due, $delete_session, $purge_sessions, 1, 'ROLLBACK', 1 ],
	[ $sessions_due, $purge_sessions, $purge_sessions, 0, 'ROLLBACK', 2 ],
	[ $events_due, $lock_event . 'UPDATE SKIP LOCKED', $purge_events, 1, 'COMMIT', 1 ],
	[ $events_due, $lock_event . 'SHARE', $purge_events, 1, 'ROLLBACK', 1 ],
	[ $events_due, $purge_events, $purge_events, 0, 'ROLLBACK', 2 ],
  )
{
	my ($due, $statement, $call, $meanwhile, $end, $afterwards) = @$_;
	my $shown = "$statement; $end" =~ s/\s+/ /gr =~ s/\S+-\S+-\S+/.../gr;

	query('SELECT seats.revoke_seats(p.id) FROM seats.subscriptions AS p;'
		  . 'SELECT seats.revoke_seats(order_id => p.id) FROM seats.orders AS p');
	$due->();
	$other->query_safe("BEGIN; $statement");
	is(call($call), $meanwhile, "what is locked is passed over: $shown");
	$other->query_safe($end);
	is(call($call), $afterwards, 'and looked at afterwards');
}
is(wrong_counts(), '', 'all counts are right');

# A claimed seat that somebody has locked is looked at later.
query('SELECT seats.revoke_seats(p.id) FROM seats.subscriptions AS p');
claim(assign('first@x'));
expire('first@x', '1 second');
$other->query_safe("BEGIN; $lock_seat UPDATE");
is(call($release) . seat('first@x', 'expiry_watched'), '0t', 'a claimed seat that is locked');
$other->query_safe('COMMIT');
is(call($release) . seat('first@x', 'expiry_watched'), '0f', 'is looked at later');

# Of many, a thousand of each kind in a call, those first that expired first.
query(qq{
	SELECT seats.revoke_seats(p.id) FROM seats.subscriptions AS p;
	SELECT FROM seats.assign_seats('$shop', NULL, ARRAY(
		SELECT 's' || n || '\@x' FROM generate_series(1, 1200) AS n));
	SELECT FROM seats.assign_seats('$side', NULL, ARRAY(
		SELECT 't' || n || '\@x' FROM generate_series(1, 50) AS n));
	SELECT FROM seats.assign_seats(NULL, '$shop', ARRAY(
		SELECT 'o' || n || '\@x' FROM generate_series(1, 1100) AS n));
	UPDATE seats.customer_seats SET invitation_token_expires_at =
			now() - interval '1 second' * (1 + hashtext(id::text)::bigint + 2147483648)
		WHERE status = 'pending';
	DELETE FROM seats.events;
});
is(call($release), '2000', 'a call releases a thousand of subscriptions and of orders');
is( query(q{
		SELECT order_id IS NULL, count(*) FILTER (WHERE status = 'revoked'),
			max(invitation_token_expires_at) FILTER (WHERE status = 'revoked')
				< min(invitation_token_expires_at) FILTER (WHERE status = 'pending')
		FROM seats.customer_seats
		WHERE id IN (SELECT seat_id FROM seats.events) OR status = 'pending'
		GROUP BY 1 ORDER BY 1
	}),
	"f|1000|t\nt|1000|t", 'those that expired first');
is(query('SELECT type, count(*), count(DISTINCT seat_id) FROM seats.events GROUP BY type'),
	'customer_seat.revoked|2000|2000', 'with an event for each');
is(wrong_counts(), '', 'all counts are right');
is(call($release), '350', 'the next call releases the rest');
is(call($release), '0', 'and then there is none');
is(query('SELECT sum(assigned_seats) FROM (SELECT assigned_seats FROM seats.subscriptions '
		  . 'UNION ALL SELECT assigned_seats FROM seats.orders) AS p'),
	'0', 'no seat is assigned');
is(wrong_counts(), '', 'all counts are right');

# Claimed seats, of which a call looks at ten thousand, do not keep it from others for good.
query(qq{
	SELECT FROM seats.assign_seats('$shop', NULL, ARRAY(
		SELECT 'c' || n || '\@x' FROM generate_series(1, 20000) AS n));
	UPDATE seats.customer_seats SET status = 'claimed', claimed_at = now()
		WHERE customer_email LIKE 'c%';
	SELECT seats.assign_seat('$shop', email => 'last\@x');
	SELECT seats.assign_seat(order_id => '$shop', email => 'last\@x');
});
expire('c%', '1 hour');
expire('last@x', '1 minute');
my @released = map { call($release) } 1 .. 3;
note "calls behind 20,000 claimed seats released @released";
is(sum(@released), 2, 'seats behind 20,000 claimed ones are released');
is(query("SELECT count(*), count(*) FILTER (WHERE expiry_watched) $claimed_seats"),
	'20000|0', 'which are not watched any more');
is(query("SELECT count(*) $claimed_seats AND modified_at > claimed_at"), '0', 'nor modified');

# A claim leaves the index of what is watched alone.
query('SELECT seats.revoke_seats(p.id) FROM seats.subscriptions AS p');
my @tokens = split /\n/, query(qq{
	SELECT invitation_token FROM seats.assign_seats('$side', NULL, ARRAY(
		SELECT 'hot' || n || '\@x' FROM generate_series(1, 300) AS n))
});
query('VACUUM seats.customer_seats');
is(seat_updates(1, map { "SELECT FROM seats.claim_seat('$_')" } @tokens),
	'300|300', '300 claims are 300 HOT updates');
$other->quit;

# From here on a database with many rows.  A session whose plans were made while it was
# empty keeps them, since nothing analyzes the tables.
my $thousands = $ENV{FULL} ? 1000 : 300;
query('CREATE DATABASE large');
in_database('large');
create_shop(10_000);
my $kept = $node->background_psql('large');
my $gone = 'DELETE FROM seats.events; DELETE FROM seats.customer_sessions';
query($gone);
$kept->query_safe($_) foreach $release, $purge_sessions, $purge_events;

# Adds rows of which none is due, in two sessions, so many at a time of each.
sub fill
{
	my ($thousands) = @_;
	my $rows = 1000 * $thousands;
	my $seats = $node->background_psql('large');

	# For speed without triggers, the counts being given at once, and with ids and hashes in order.
	$seats->query_until(qr//, qq{
		SET session_replication_role = replica;
		WITH
		customers AS (
			INSERT INTO seats.customers (organization_id)
			SELECT '$shop' FROM generate_series(1, $thousands) RETURNING id
		),
		subscriptions AS (
			INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats,
					assigned_seats, status)
			SELECT '$shop', '$shop', '$shop', $thousands, $thousands, 'active'
			FROM generate_series(1, 1000) RETURNING id
		),
		pairs AS (
			SELECT s.id AS subscription_id, c.id AS customer_id,
				lpad(to_hex(1000::bigint * $rows + row_number() OVER ()), 32, '0') AS id
			FROM subscriptions AS s, customers AS c
		)
		INSERT INTO seats.customer_seats (id, organization_id, subscription_id, customer_id, status,
				invitation_token_hash, invitation_token_expires_at)
			SELECT id::uuid, '$shop', subscription_id, customer_id, 'pending',
				convert_to(id, 'UTF8'), now() + interval '1 day'
			FROM pairs;
	});
	query(qq{
		INSERT INTO seats.customer_sessions
			SELECT sha256(uuid_send(gen_random_uuid())), '$shop', '$shop', '$shop', now(),
				now() + interval '1 day' + n * interval '1 microsecond'
			FROM generate_series(1, $rows) AS n;
		INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at)
			SELECT 'customer_seat.claimed', '$shop', '$shop', '$shop', now()
			FROM generate_series(1, $rows);
	});
	$seats->quit;
}

# What makes a hundred rows due, and what takes care of them.
my %work = (
	release_expired_seats => [
		$release,
		q{UPDATE seats.customer_seats SET invitation_token_expires_at = now()
			WHERE id = ANY (ARRAY(SELECT id FROM seats.customer_seats
				WHERE status = 'pending' ORDER BY invitation_token_expires_at DESC LIMIT 100))}
	],
	purge_expired_sessions => [
		$purge_sessions,
		qq{INSERT INTO seats.customer_sessions
			SELECT sha256(uuid_send(gen_random_uuid())), '$shop', '$shop', '$shop', now(), now()
			FROM generate_series(1, 100)}
	],
	purge_events => [
		q{SELECT seats.purge_events('1 hour')},
		q{UPDATE seats.events SET occurred_at = now() - interval '1 day'
			WHERE id IN (SELECT id FROM seats.events ORDER BY id LIMIT 100)}
	]);

# Returns how many pages a call touches in a session: the median of some.
sub median_pages
{
	my ($session, $statement, $before) = @_;
	my $explain = 'EXPLAIN (ANALYZE, BUFFERS, TIMING off, COSTS off, FORMAT JSON)';
	my @pages;

	foreach (1 .. 5)
	{
		$session->query_safe($before);
		my $plan = $session->query_safe("$explain $statement");

		# The topmost node comes first and has them all.
		$plan =~ /"Shared Hit Blocks": (\d+).*?"Shared Read Blocks": (\d+)/s or die $plan;
		push @pages, $1 + $2;
	}
	note "pages: @pages";
	return (sort { $a <=> $b } @pages)[2];
}

# Returns the pages of each function with nothing and with a hundred rows due, in a session.
sub costs
{
	my ($session) = @_;
	my %costs;

	foreach my $function (sort keys %work)
	{
		my ($call, $make_due) = @{ $work{$function} };
		$session->query_safe($call);
		$costs{"$function() with nothing due"} = median_pages($session, $call, 'SELECT 1');
		$costs{"$function() with 100 due"} = median_pages($session, $call, $make_due);
	}
	return \%costs;
}

# Events are looked at ten thousand at a time, so a small table has as many of them.
fill(1);
query(qq{
	INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at)
		SELECT 'customer_seat.claimed', '$shop', '$shop', '$shop', now()
		FROM generate_series(1, 10000)
});
my $small = costs($kept);
fill($thousands);
my %large = ('by plans made while tables were empty' => costs($kept));
query('VACUUM ANALYZE');
my $fresh = $node->background_psql('large');
$large{'by plans of a new session'} = costs($fresh);
foreach my $plans (sort keys %large)
{
	foreach my $what (sort keys %$small)
	{
		my $pages = $large{$plans}{$what};

		# Indexes of many are deeper, and what is due lies farther apart.
		cmp_ok($pages, '<=', 2.5 * $small->{$what} + 10,
			"$what among ${thousands},000 touches $pages pages, among few $small->{$what}, $plans");
	}
}

# What these plans are.
foreach my $session ($kept, $fresh)
{
	my $whose = $session == $kept ? 'kept' : 'fresh';
	$session->query_safe($_->[1]) foreach values %work;
	$session->query_safe(q{
		LOAD 'auto_explain';
		SET auto_explain.log_min_duration = 0;
		SET auto_explain.log_nested_statements = on;
	});
	my $offset = -s $node->logfile;
	$session->query_safe($work{$_}[0]) foreach sort keys %work;
	$session->query_safe('SET auto_explain.log_min_duration = -1');
	my $plans = slurp_file($node->logfile, $offset);
	foreach my $index (
		'customer_sessions_expires_at_idx on customer_sessions',
		'customer_seats_expiry_idx on customer_seats',
		'events_pkey on events')
	{
		like($plans, qr/Index (Only )?Scan using \Q$index/, "$whose plans use $index");
	}
	unlike($plans, qr/Seq Scan/, "$whose plans read no table as a whole");
	is($plans =~ /(Sort|Hash|Materialize|Bitmap)/ ? $1 : '', '', "$whose plans collect nothing");
}

# A day goes by.  All these sessions expire, and some of the seats; others are claimed now.
query(q{
	ALTER TABLE seats.customer_sessions ALTER expires_at TYPE timestamptz
		USING expires_at - interval '2 days'
});
my $expired = query('SELECT count(*) FROM seats.customer_sessions');
cmp_ok($expired, '>=', 1000 * $thousands, "$expired sessions have expired");
@tokens = split /\n/, query(qq{
	SELECT invitation_token FROM seats.assign_seats('$shop', NULL, ARRAY(
		SELECT 'claimer' || n || '\@x' FROM generate_series(1, 8000) AS n))
});

# All start when nobody has the second advisory lock any more, and the claimers go on until
# nobody has the first.
my $gate = $node->background_psql('large');
$gate->query_safe('SELECT pg_advisory_lock(1), pg_advisory_lock(2)');
my $start = "SELECT FROM pg_advisory_lock_shared(2);\n";
foreach my $n (1, 2)
{
	append_to_file(
		"$directory/traffic$n.sql",
		join '', $start, map { qq{
			SELECT (seat).status FROM seats.claim_seat('$_');
			SELECT pg_try_advisory_lock_shared(1) AS over FROM pg_sleep(0.002) \\gset
			\\if :over
				\\q
			\\endif
		} } splice @tokens, 0, 4000);
}
my $calls = int($expired / 10_000) + 3;
append_to_file("$directory/purge.sql", $start . "$purge_sessions;\n" x $calls);

sub start_psql
{
	my ($name) = @_;
	local $ENV{PGAPPNAME} = $name;

	return IPC::Run::start(
		[ 'psql', '-XAtq', '-f', "$directory/$name.sql", $node->connstr('large') ],
		'>', "$directory/$name.output", '2>', "$directory/$name.errors");
}

my ($purge, @claims) = map { start_psql($_) } 'purge', 'traffic1', 'traffic2';
$node->poll_query_until('large',
	q{SELECT count(*) = 3 FROM pg_stat_activity WHERE wait_event = 'advisory'});
my $offset = -s $node->logfile;
$gate->query_safe('SELECT pg_advisory_unlock(2)');
my $samples = 0;
my @waiting;
while (1)
{
	my ($purging, $waiting) = split /\|/, query(q{
		SELECT count(*) FILTER (WHERE application_name = 'purge'),
			string_agg(concat_ws(' ', wait_event, query), '; ')
				FILTER (WHERE wait_event_type = 'Lock' AND wait_event NOT IN ('extend', 'advisory'))
		FROM pg_stat_activity WHERE datname = 'large'
	});

	push @waiting, $waiting if $waiting;
	last if $purging == 0;
	$samples++;
}
$purge->finish;
$gate->query_safe('SELECT pg_advisory_unlock(1)');
$_->finish foreach @claims;
$gate->quit;
note "$samples samples";
cmp_ok($samples, '>', 3, 'sessions were watched');
is_deeply(\@waiting, [], 'nobody was seen to wait for a lock');
my @purged = split /\n/, slurp_file("$directory/purge.output");
is(join(' ', @purged[ 0 .. int($expired / 10_000) - 1 ]),
	join(' ', (10_000) x int($expired / 10_000)),
	'each call purges 10,000 sessions as long as there are as many');
is(join(' ', @purged[ int($expired / 10_000) .. $#purged ]),
	$expired % 10_000 . ' 0 0', 'then the rest');
my $claimed = () = join('', map { slurp_file("$directory/traffic$_.output") } 1, 2) =~ /claimed/g;
is(join('', map { slurp_file("$directory/$_.errors") } 'purge', 'traffic1', 'traffic2'),
	'', 'there was no error');
cmp_ok($claimed, '>=', 20, "$claimed seats were claimed meanwhile");
is(query("SELECT count(*) $claimed_seats"), $claimed, 'each claim succeeded');
is(query(q{SELECT count(*), count(*) FILTER (WHERE expires_at > now() + interval '30 minutes')
	FROM seats.customer_sessions}),
	"$claimed|$claimed", 'their sessions live, and none that expired is left');
my $log = slurp_file($node->logfile, $offset);
like($log, qr/purge_expired_sessions/, 'the log has what happened');
is_deeply(
	[ grep { /still waiting|deadlock detected/ && !/extension of relation|on advisory lock/ } split /\n/, $log ],
	[], 'and nobody waited for 10 ms but to make a table longer');

# Two purges at once take different rows.
query(qq{
	INSERT INTO seats.customer_sessions
		SELECT sha256(uuid_send(gen_random_uuid())), '$shop', '$shop', '$shop', now(), now()
		FROM generate_series(1, 15000)
});
$kept->query_safe('BEGIN');
is($kept->query_safe($purge_sessions), '10000', 'one purge takes 10,000 of 15,000');
is(call($purge_sessions), '5000', 'another at the same time the rest');
$kept->query_safe('COMMIT');
is(query('SELECT count(*) FROM seats.customer_sessions'), $claimed, 'none is left');

is(call($purge_events), '10000', 'a call purges 10,000 events');
$kept->quit;
$fresh->quit;

# By pg_cron, where it is installed.  What is scheduled for '@reboot' starts with the server, so
# that nobody has to wait for a minute to end.
in_database('postgres');
SKIP:
{
	skip 'pg_cron is not installed', 3
	  if query(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron'}) eq '0';
	$node->append_conf('postgresql.conf', q{
		shared_preload_libraries = 'pg_cron'
		cron.database_name = 'postgres'
		cron.use_background_workers = on
	});
	$node->restart;
	query(q{DELETE FROM seats.events; SELECT seats.revoke_seats(p.id) FROM seats.subscriptions AS p});
	$_->() foreach $events_due, $sessions_due;
	expire('first@x', '1 second');
	query(q{
		CREATE EXTENSION pg_cron;
		SELECT cron.schedule('release seats', '*/5 * * * *', 'SELECT seats.release_expired_seats()');
		SELECT cron.schedule('purge sessions', '* * * * *', 'SELECT seats.purge_expired_sessions()');
		SELECT cron.schedule('purge events', '*/5 * * * *', $$SELECT seats.purge_events('30 days')$$);
		SELECT cron.schedule('at once: ' || jobname, '@reboot', command) FROM cron.job;
	});
	note 'pg_cron ' . query(q{SELECT extversion FROM pg_extension WHERE extname = 'pg_cron'});
	is(query(q{SELECT string_agg(schedule || ' ' || command, '; ' ORDER BY command) FROM cron.job
			WHERE schedule <> '@reboot'}),
		q{*/5 * * * * SELECT seats.purge_events('30 days'); }
		  . '* * * * * SELECT seats.purge_expired_sessions(); '
		  . '*/5 * * * * SELECT seats.release_expired_seats()',
		'pg_cron takes the jobs');
	$node->restart;
	my $runs = q{FROM cron.job_run_details JOIN cron.job USING (jobid) WHERE schedule = '@reboot'};
	$node->poll_query_until('postgres',
		"SELECT count(DISTINCT jobid) = 3 $runs AND end_time IS NOT NULL");
	is(query("SELECT DISTINCT status $runs"), 'succeeded', 'and runs them');
	is(seated() . query('SELECT count(*) FROM seats.customer_sessions'),
		'second0', 'which releases a seat and purges the sessions');
}
$node->stop;

done_testing();
