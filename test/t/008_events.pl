# Events: one for each change of a seat, written in its transaction, with who caused it and from
# where, and never a token; the three places where they can go; and a consumer that delivers
# them from the table, as an application would.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $shop = ID;
my $node = start_node('events', "wal_level = logical\nmax_connections = 30");
create_shop(2000);
my $owner = query('SELECT current_user');

# Another subscription, and an order that customers may also have seats of.
my $side = '00000000-0000-0000-0000-000000000002';
query(qq{
	INSERT INTO seats.subscriptions
			(id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$side', '$shop', '$shop', '$shop', 10, 'active');
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$side', '$shop', '$shop', '$shop', 10, 'paid');
	CREATE FUNCTION seat_of(email text) RETURNS uuid LANGUAGE sql
		AS 'SELECT id FROM seats.customer_seats WHERE customer_email = email';
});

# Returns what was recorded since the last look: type and customer of each event, and what of it
# does not agree with the seat, or was not written by the transaction that changed the seat.
my $seen = 0;

sub new_events
{
	my ($last, $events) = split /\|/, query(qq{
		SELECT max(e.id), string_agg(concat_ws(' ',
			split_part(e.type, '.', 2), split_part(c.email, '\@', 1),
			CASE WHEN e.occurred_at <> greatest(s.created_at, s.modified_at) THEN 'moment' END,
			CASE WHEN e.organization_id <> s.organization_id THEN 'organization' END,
			CASE WHEN e.customer_id <> s.customer_id THEN 'customer' END,
			CASE WHEN e.xmin <> s.xmin THEN 'transaction' END,
			CASE WHEN NOT to_jsonb(s) \@> to_jsonb(e.seat) THEN 'seat' END,
			CASE WHEN s.subscription_id::text IS DISTINCT FROM e.metadata ->> 'subscription_id'
				OR s.order_id::text IS DISTINCT FROM e.metadata ->> 'order_id' THEN 'purchase' END,
			CASE WHEN e.metadata ? 'reason' <> (e.type = 'customer_seat.revoked') THEN 'reason' END), ', ' ORDER BY e.id)
		FROM seats.events AS e
		JOIN seats.customer_seats AS s ON s.id = e.seat_id
		JOIN seats.customers AS c ON c.id = e.customer_id
		WHERE e.id > $seen
	});

	$seen = $last || $seen;
	return $events // '';
}

sub records
{
	my ($statement, $expected, $name) = @_;
	my $result = query($statement);

	is(new_events(), $expected, $name);
	return $result;
}

# One for each change.
my $token = records("SELECT invitation_token FROM seats.assign_seat('$shop', email => 'ann\@x')",
	'assigned ann', 'assign_seat()');
$token = records("SELECT invitation_token FROM seats.resend_invitation(seat_of('ann\@x'))",
	'invitation_resent ann', 'resend_invitation()');
records(qq{
		SELECT seats.claim_info('$token');
		SELECT seats.list_seats('$shop');
		SELECT seats.get_seat(seat_of('ann\@x'));
	},
	'', 'reading functions record nothing');
my $claim = "SELECT customer_session_token FROM seats.claim_seat('$token', 'key')";
my $session = records($claim, 'claimed ann', 'claim_seat()');
my $next_session = records($claim, '', 'a retry with the same key records nothing');
isnt($next_session, $session, 'although it is answered with a new session');
records("SELECT seats.authenticate('$next_session')", '', 'authenticate() records nothing');
records("SELECT seats.end_session('$next_session')", '', 'end_session() records nothing');
my $ann = query(q{SELECT seat_of('ann@x')});
records("SELECT seats.revoke_seat('$ann')", 'revoked ann', 'revoke_seat()');
records("SELECT seats.revoke_seat('$ann')", '', 'revoking it again records nothing');
records("SELECT seats.assign_seat('$shop', email => 'ben\@x')",
	'assigned ben', 'giving its row to the next customer');
my $ben = query(q{SELECT seat_of('ben@x')});
isnt($ben, $ann, 'which has a new id');
is(query("SELECT count(*) FROM seats.customer_seats WHERE subscription_id = '$shop'"), 1, 'and is the same row');
records("SELECT seats.assign_seat('$shop', email => 'cat\@x', immediate_claim => true)",
	'claimed cat', 'assign_seat() with immediate_claim is one event');
records("SELECT seats.assign_seats(NULL, '$side', '{fay\@x,dan\@x,eve\@x}')",
	'assigned fay, assigned dan, assigned eve', 'assign_seats(), in the order given');
records("SELECT seats.assign_seats(NULL, '$side', '{}')", '', 'none for nobody');
records(q{SELECT seats.revoke_seat(seat_of('dan@x'))}, 'revoked dan', 'one of them is revoked');

# Where there are many in one statement, their order is not promised.
sub records_all
{
	my ($statement, $expected, $name) = @_;

	query($statement);
	is(join(', ', sort split /, /, new_events()), $expected, $name);
}

records_all("SELECT seats.revoke_seats(order_id => '$side')",
	'revoked eve, revoked fay', 'revoke_seats(), without the one revoked before');
records("SELECT seats.revoke_seats(order_id => '$side')", '', 'again it has nothing to revoke');
query(qq{
	SELECT seats.assign_seats(NULL, '$side', '{gil\@x,hal\@x}');
	UPDATE seats.customer_seats SET invitation_token_expires_at = now()
		WHERE customer_email IN ('gil\@x', 'hal\@x');
});
new_events();
records_all('SELECT seats.release_expired_seats()', 'revoked gil, revoked hal',
	'release_expired_seats()');
records('SELECT seats.release_expired_seats()', '', 'again it has nothing to release');
foreach my $purchase ('subscription', 'order')
{
	my ($ended, $other) =
	  $purchase eq 'order' ? ('refunded', 'void') : ('canceled', 'unpaid');
	query(qq{
		SELECT seats.assign_seat(${purchase}_id => '$side', email => 'ida\@x');
		SELECT seats.assign_seat(${purchase}_id => '$side', email => 'jan\@x',
			immediate_claim => true);
	});
	new_events();
	records("UPDATE seats.${purchase}s SET seats = 9 WHERE id = '$side'", '',
		"a change of $purchase that ends nothing");
	records_all("UPDATE seats.${purchase}s SET status = '$ended' WHERE id = '$side'",
		'revoked ida, revoked jan', "the end of $purchase revokes pending and claimed seats");
	records("UPDATE seats.${purchase}s SET status = '$other' WHERE id = '$side'", '',
		"ending $purchase again records nothing");
	my $events = query('SELECT count(*) FROM seats.events');
	query("DELETE FROM seats.${purchase}s WHERE id = '$side'");
	is(query('SELECT count(*) FROM seats.events'), $events, "deleting $purchase keeps events");
}

# None for what fails, whether the transaction goes on or not.
my $cat = query(q{SELECT seat_of('cat@x')});
my $expired = assign('old@x');
query(qq{
	UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE id = seat_of('old\@x');
	INSERT INTO seats.subscriptions
			(id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$side', '$shop', '$shop', '$shop', 1, 'active');
});
new_events();
foreach (
	[ "claim_seat('$token')", 'invitation_invalid' ],
	[ "claim_seat('$expired')", 'invitation_expired' ],
	[ "assign_seat('$shop', email => 'cat\@x')", 'seat_already_assigned' ],
	[ "assign_seats('$side', NULL, '{kim\@x,lea\@x}')", 'no_available_seats' ],
	[ "assign_seats('$shop', NULL, '{kim\@x,cat\@x}')", 'seat_already_assigned' ],
	[ "resend_invitation('$cat')", 'seat_not_pending' ],
	[ "revoke_seat('$shop')", 'seat_not_found' ],
	[ "revoke_seats('$ben')", 'subscription_not_found' ],
  )
{
	my ($call, $reason) = @$_;
	my ($function) = $call =~ /(\w+)/;

	is( outcome(qq{
			\\set ON_ERROR_ROLLBACK on
			\\set ON_ERROR_STOP off
			BEGIN;
			SELECT seats.$call;
			COMMIT;
			\\set ON_ERROR_STOP on
			SELECT seats.$call;
		}),
		"PT${\ ($reason =~ /not_found/ ? 404 : 400)} $reason",
		"$function fails: $reason");
	is(new_events(), '', 'which records nothing, nor where the transaction goes on');
}

# None for what is rolled back.
$token = assign('lea@x');
my $lea = query(q{SELECT seat_of('lea@x')});
new_events();
my $everything = qq{
	SELECT seats.resend_invitation('$ben');
	SELECT seats.claim_seat('$token');
	SELECT seats.assign_seat('$shop', email => 'mia\@x');
	SELECT seats.assign_seats('$shop', NULL, '{ned\@x,oli\@x}');
	SELECT seats.revoke_seat('$cat');
	SELECT seats.revoke_seats('$shop');
};
records("BEGIN; $everything ROLLBACK;", '', 'a transaction rolled back');
records(qq{
		BEGIN;
		SAVEPOINT before;
		$everything
		ROLLBACK TO before;
		SELECT seats.resend_invitation('$ben');
		COMMIT;
	},
	'invitation_resent ben', 'of one rolled back to a savepoint what came after it');
records(qq{
		DO \$\$
		BEGIN
			PERFORM seats.claim_seat('$token');
			RAISE 'no';
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END
		\$\$
	},
	'', 'a block that caught an error');
like(outcome("BEGIN; $everything SELECT 1 / 0; COMMIT"), qr/22012/, 'a transaction that fails');
is(new_events(), '', 'records nothing');
my $claimer = $node->background_psql('postgres');
$claimer->query_safe("BEGIN; SELECT seats.claim_seat('$token')");
is(new_events(), '', 'a claim that is not committed');
$claimer->query_safe('COMMIT');
is(new_events(), 'claimed lea', 'and when it is');
$claimer->quit;

# Who caused it.
query(q{
	CREATE ROLE anonymous;
	CREATE ROLE authenticator LOGIN NOINHERIT IN ROLE anonymous;
	CREATE ROLE backend LOGIN;
	CREATE ROLE "Odd ""role""" LOGIN;
	CREATE ROLE outsider LOGIN;
	SELECT seats.grant_access(anonymous => 'anonymous', backend => 'backend');
	GRANT anonymous TO "Odd ""role""";
	GRANT CREATE ON SCHEMA public TO backend;
	SET ROLE backend;
	CREATE FUNCTION wrapped_claim(token text) RETURNS seats.seat_status
		LANGUAGE sql SECURITY DEFINER
		AS 'SELECT (seat).status FROM seats.claim_seat(token)';
	CREATE FUNCTION wrapped_end(id uuid) RETURNS void
		LANGUAGE sql SECURITY DEFINER
		AS $$ UPDATE seats.subscriptions SET status = 'canceled' WHERE subscriptions.id = $1 $$;
	CREATE FUNCTION wrapped_revoke() RETURNS trigger
		LANGUAGE plpgsql SECURITY DEFINER
		AS 'BEGIN PERFORM seats.revoke_seats(NEW.id); RETURN NULL; END';
});

# Returns what the event of a claim says of its circumstances, or the error of the claim.
my $people = 0;

sub metadata_of_claim
{
	my ($before, $claim, @options) = @_;
	my $email = 'person' . ++$people . '@x';
	my $token = assign($email);

	$claim //= 'SELECT (seat).status FROM seats.claim_seat';
	my $result = outcome("BEGIN; $before $claim('$token'); COMMIT;", extra_params => [@options]);
	return $result if $result !~ /claimed$/;
	return query(qq{
		SELECT metadata - 'subscription_id' FROM seats.events
		WHERE seat_id = seat_of('$email') AND type = 'customer_seat.claimed'
	});
}

sub role_of_claim
{
	return metadata_of_claim(@_) =~ s/^\{"role": "(.*)"\}$/$1/r;
}

my $wrapped = 'SELECT wrapped_claim';
is(role_of_claim(''), $owner, 'the role that called is recorded');
is(role_of_claim('', undef, -U => 'backend'), 'backend', 'not the owner of the function');
is(role_of_claim('SET LOCAL ROLE anonymous;', undef, -U => 'authenticator'),
	'anonymous', 'the role that SET ROLE chose, not the one that logged in');
is(role_of_claim('SET SESSION AUTHORIZATION backend;'),
	'backend', 'the role of SET SESSION AUTHORIZATION');
is(role_of_claim('', $wrapped, -U => 'outsider'),
	'outsider', 'the caller of a SECURITY DEFINER function around it, not its owner');
is(role_of_claim('SET LOCAL ROLE anonymous;', $wrapped),
	'anonymous', 'that of SET ROLE there too');
is(role_of_claim('', undef, -U => 'Odd "role"'), 'Odd \"role\"', 'an odd name is quoted');
is(role_of_claim(q{SET LOCAL request.jwt.claims = '{"role": "postgres"}';}, undef,
		-U => 'backend'), 'backend', 'a claim of the JWT does not count');

# The end of a subscription, and what a trigger of the owner's calls.
sub role_of_end
{
	my ($statement, @options) = @_;

	query(qq{
		UPDATE seats.subscriptions SET status = 'active' WHERE id = '$side';
		SELECT seats.assign_seat('$side', email => 'zoe\@x');
	});
	outcome($statement, extra_params => \@options);
	return query(q{
		SELECT type, metadata ->> 'role' FROM seats.events ORDER BY id DESC LIMIT 1
	});
}

my $end = "UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$side'";
is(role_of_end($end, -U => 'backend'),
	'customer_seat.revoked|backend', 'the role that ended a subscription');
is(role_of_end("SET ROLE backend; $end"), 'customer_seat.revoked|backend', 'by SET ROLE');
is(role_of_end("SELECT wrapped_end('$side')", -U => 'outsider'),
	'customer_seat.revoked|outsider', 'or by a SECURITY DEFINER function');
query(q{
	CREATE TRIGGER zero AFTER UPDATE OF seats ON seats.subscriptions
		FOR EACH ROW EXECUTE FUNCTION wrapped_revoke();
});
is(role_of_end("SET ROLE backend; UPDATE seats.subscriptions SET seats = 2 WHERE id = '$side'"),
	'customer_seat.revoked|backend', 'the role whose UPDATE fired a trigger that revokes');
query('DROP TRIGGER zero ON seats.subscriptions');

# From where.
sub metadata_with_headers
{
	my ($headers) = @_;
	my $metadata =
	  metadata_of_claim("SELECT length(set_config('request.headers', \$h\$$headers\$h\$, true));");

	return $metadata =~ s/"role": "$owner"(, )?//r;
}

foreach (
	[ '{"user-agent": "curl/8.5", "x-forwarded-for": "192.0.2.1"}',
		'{"address": "192.0.2.1", "user_agent": "curl/8.5"}' ],
	[ '{"User-Agent": "curl", "X-FORWARDED-FOR": "192.0.2.1"}',
		'{"address": "192.0.2.1", "user_agent": "curl"}' ],
	[ '{"host": "x", "accept": ["a", {"user-agent": "no"}], "user-agent": "curl"}',
		'{"user_agent": "curl"}' ],
	[ '{"x-forwarded-for": "192.0.2.1, 198.51.100.7,10.0.0.1"}', '{"address": "192.0.2.1"}' ],
	[ '{"x-forwarded-for": " 2001:db8::ABCD "}', '{"address": "2001:db8::ABCD"}' ],
	[ '{"user-agent": "say \"hi\" \\\\ \t\u00e9"}',
		qq({"user_agent": "say \\"hi\\" \\\\ \\t\xc3\xa9"}) ],
	[ '{"user-agent": "\ud83d\ude00"}', qq({"user_agent": "\xf0\x9f\x98\x80"}) ],
  )
{
	my ($headers, $expected) = @$_;
	is(metadata_with_headers($headers), $expected, "headers $headers");
}
foreach my $headers (
	'', ' ', 'curl', '"curl"', '"user-agent"', '1', 'null', 'true', '{}', '[]', '{', '}', '{"',
	'{"user-agent"', '{"user-agent":', '{"user-agent": "curl"', '{"user-agent": "curl",}',
	'{"user-agent": "curl"} x', '{"user-agent": curl}', "{'user-agent': 'curl'}",
	'{"user-agent": ""}', '{"user-agent": null}', '{"user-agent": 5}', '{"user-agent": true}',
	'{"user-agent": ["curl"]}', '{"user-agent": {"user-agent": "curl"}}',
	'[{"user-agent": "curl"}]', '{"headers": {"user-agent": "curl"}}', '[["user-agent", "curl"]]',
	'{"user-agent": "curl \u0000"}', '{"user-agent": "\ud83d"}', '{"user-agent": "\uzzzz"}',
	'{"user_agent": "curl", "useragent": "curl", "user-agent ": "curl"}',
	'{"x-forwarded-for": "unknown"}', '{"x-forwarded-for": "_hidden, 192.0.2.1"}',
	'{"x-forwarded-for": ""}', '{"x-forwarded-for": " , 192.0.2.1"}', '{"x-forwarded-for": [1]}',
	'{"x-forwarded-for": "' . '1' x 46 . '"}', '{"forwarded": "for=192.0.2.1"}')
{
	is(metadata_with_headers($headers), '{}', "headers that say nothing: $headers");
}
is(metadata_of_claim(q{
		SELECT length(set_config('request.headers', '{"user-agent": "curl"}', true)); COMMIT;
	}),
	qq({"role": "$owner"}), 'headers of an earlier request are forgotten');
is( query(q{
		BEGIN;
		SELECT length(set_config('request.headers', '{"user-agent": "curl"}', true));
		SELECT FROM seats.assign_seats('} . $shop . q{', NULL, '{pia@x,quin@x}');
		COMMIT;
		SELECT metadata - 'subscription_id' FROM seats.events ORDER BY id DESC LIMIT 2;
	}) =~ s/^\d+\s+//r,
	join("\n", (qq({"role": "$owner", "user_agent": "curl"})) x 2),
	'each event of many has them');

# Text that the database cannot hold.  PostgreSQL lets any bytes into a setting that comes with
# the connection, and the escapes of JSON name any character.
sub user_agent_given
{
	my ($before) = @_;
	my $email = 'person' . ++$people . '@x';
	my $result = outcome(qq{
		$before
		SELECT (seat).status
			FROM seats.assign_seat('$shop', email => '$email', immediate_claim => true);
		SELECT coalesce(encode(convert_to(metadata ->> 'user_agent', 'UTF8'), 'escape'), 'none')
			FROM seats.events ORDER BY id DESC LIMIT 1;
	});
	return $result =~ s/^\d+\n//r;
}

foreach my $bytes ("\xff", "\xc3", "\xf0\x9f", "\xed\xa0\x80", 'x.' x 127 . "x\xe2")
{
	local $ENV{PGOPTIONS} = qq(-c request.headers={"user-agent":"$bytes"});
	is(user_agent_given(''), "claimed\nnone",
		'bytes that are no text: ' . unpack('H*', $bytes) =~ s/(782e){9,}/.../r);
}
foreach my $encoding ('LATIN1', 'SQL_ASCII')
{
	query("CREATE DATABASE $encoding TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	in_database(lc $encoding);
	create_shop(10);
	foreach my $headers ('{"user-agent": "\u20ac"}', '{"x": "\u20ac", "user-agent": "curl"}')
	{
		my $set = "SELECT length(set_config('request.headers', '$headers', false));";
		like(user_agent_given($set), qr/^claimed\n(none|curl)$/, "$encoding: $headers");
	}
	in_database('postgres');
}

# Cut after 255 characters, however many bytes these have.
foreach my $character ('x', "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80")
{
	my $word = "$character ";
	foreach (
		[ $word x 127 . $character, $word x 127 . $character ],
		[ $word x 128, $word x 127 . $character ],
		[ 'ab' . $word x 5000, 'ab' . $word x 126 . $character ])
	{
		my ($given, $expected) = @$_;
		my $metadata = metadata_with_headers(qq({"user-agent": "$given"}));

		ok($metadata eq qq({"user_agent": "$expected"}),
			'a user agent of ' . length($given) . ' bytes is cut to ' . length $expected);
	}
}

# Whoever sends a request writes its headers, and a proxy may copy a link into one.  Here is what
# a name has as its value, with a token of either kind in it.
my @secrets;

sub headers_with_token
{
	my ($token) = @_;
	my $tail = substr($token, 5);
	my $escaped = join '', map { sprintf '\u%04X', ord } split //, $token;
	my $latest = 'x' x 300;

	push @secrets, substr($token, 16, 43);
	return (
		$token, "Mozilla/5.0 ($token)", "$token Mozilla/5.0", "Mozilla$token", "  $token  ",
		"\\t$token", "\\u00a0$token", "\\u200b$token\\n", "192.0.2.1, $token", "192.0.2.1,$token",
		"$token, 192.0.2.1", ", $token", "192.0.2.1 $token", "192.0.2.1$token", "192.0.2.1\\t$token",
		"for=$token;by=192.0.2.1", "https://example.com/claim?token=$token&x=1", "\\\"$token\\\"",
		"\\u0073eats$tail", "se\\u0061ts$tail", $escaped, "192.0.2.1, $escaped", "$latest$token",
		("\xc3\xa9" x 190) . $token, "seats_inv seats_cst_ $token", "seats_inv_$token", "$token$token");
}

my %noted = (
	'user-agent' => 'user agent',
	'x-forwarded-for' => 'address',
	'X-Forwarded-For' => 'address in capitals');
foreach my $kind ('invitation', 'session')
{
	my $secret = assign("$kind\@x");
	$secret = claim($secret) if $kind eq 'session';
	my @values = headers_with_token($secret);
	foreach my $name (sort keys %noted)
	{
		# In one transaction, for speed: each claims a seat of somebody new.
		my $statements = join '', map {
			my $email = 'person' . ++$people . '@x';
			qq{
				SELECT set_config('request.headers', \$h\${"$name": "$_"}\$h\$, true) IS NULL;
				SELECT FROM seats.assign_seat('$shop', email => '$email', immediate_claim => true);
			}
		} @values;
		my $before = query('SELECT max(id) FROM seats.events');
		query("BEGIN; $statements COMMIT");
		my $events = "FROM seats.events WHERE id > $before";
		is(query("SELECT count(*) $events"), scalar @values, "events with $kind tokens in $name");
		is(query("SELECT count(*) $events AND metadata ? 'user_agent'"), '0',
			"none has a user agent with a token in it");
		is(query("SELECT DISTINCT metadata - 'role' - 'address' - 'subscription_id' $events"), '{}',
			"none has more than an address");
	}
	metadata_with_headers(qq({"user-agent": "$secret", "x-forwarded-for": "$secret"}));
	metadata_with_headers(qq({"user-agent": "$secret", "user-agent": "curl"}));
	metadata_with_headers(qq({"user-agent": "curl", "User-Agent": "$secret"}));
	metadata_with_headers(qq({"authorization": "Bearer $secret", "idempotency-key": "$secret"}));
}
my $secrets = join '|', @secrets;
is(query("SELECT count(*) FROM seats.events WHERE events::text ~ '$secrets'"),
	'0', 'no token is in an event');
is(query("SELECT DISTINCT metadata ->> 'address' FROM seats.events ORDER BY 1"),
	"192.0.2.1\n2001:db8::ABCD\n", 'no address is anything but an address');

# Elsewhere than in the table.  The slot sees what is committed from here on.
query(q{SELECT pg_create_logical_replication_slot('seats', 'test_decoding')});
my $all_decoded = '';

# Returns the messages since the last time: columns of a table "decoded".
sub decode
{
	query(q{
		SET client_min_messages = warning;
		DROP TABLE IF EXISTS decoded;
		CREATE TABLE decoded AS
		SELECT row_number() OVER () AS n, data,
			substring(data FROM '^message: transactional: 1 prefix: seats, sz: \d+ content:(.*)')
				::json AS content
		FROM pg_logical_slot_get_changes('seats', NULL, NULL, 'include-xids', 'true',
			'include-timestamp', 'true', 'skip-empty-xacts', 'false');
	});
	$all_decoded .= query('SELECT data FROM decoded');
	return query(q{
		SELECT split_part(content ->> 'type', '.', 2), split_part(c.email, '@', 1)
		FROM decoded LEFT JOIN seats.customers AS c ON c.id = (content ->> 'customer_id')::uuid
		WHERE data LIKE 'message:%' ORDER BY n
	}) =~ s/\|/ /gr =~ s/\n/, /gr;
}

sub sink
{
	my ($sink, $statement) = @_;

	return query("SET seats.event_sink = '$sink'; $statement");
}

my $count = 'SELECT count(*) FROM seats.events';
my $before = query($count);
my @story = (
	"SELECT invitation_token FROM seats.assign_seat('$shop', email => 'ron\@x')",
	q{SELECT invitation_token FROM seats.resend_invitation(seat_of('ron@x'))},
	q{SELECT customer_session_token FROM seats.claim_seat('<token>')},
	q{SELECT seats.revoke_seat(seat_of('ron@x'))});

# Plays a story in a sink, a transaction for each part; <token> is what the last part gave.
sub play
{
	my ($sink, @parts) = @_;
	my $last = '';

	foreach my $part (@parts)
	{
		$last = sink($sink, $part =~ s/<token>/$last/r);
		push @secrets, substr($last, 16, 43) if $last =~ /^seats_/;
	}
}

decode();
play('none', @story);
is(query($count), $before, 'event_sink = none: no row');
is(decode(), '', 'nor any message');
play('table', @story);
is(query($count), $before + 4, 'event_sink = table: four rows');
is(decode(), '', 'and no message');
my $next = query('SELECT max(id) + 1 FROM seats.events');
play('logical', @story);
is(query($count), $before + 4, 'event_sink = logical: no row');
is(decode(), 'assigned ron, invitation_resent ron, claimed ron, revoked ron', 'but messages');
is( query(q{
		SELECT DISTINCT (SELECT string_agg(key, ' ') FROM json_object_keys(content) AS key)
		FROM decoded WHERE content IS NOT NULL
	}),
	query(q{
		SELECT string_agg(attname, ' ' ORDER BY attnum)
		FROM pg_attribute WHERE attrelid = 'seats.events'::regclass AND attnum > 0
	}),
	'each an object that has the columns of seats.events in their order');
cmp_ok(query(q{SELECT min((content ->> 'id')::bigint) FROM decoded}),
	'>=', $next, 'their ids come after those of rows');
my $read = 'SELECT n, e.* FROM decoded, json_populate_record(NULL::seats.events, content) AS e';
is( query("SELECT bool_and(id > last) FROM (SELECT id, lag(id) OVER (ORDER BY n) AS last "
			. "FROM ($read) AS e WHERE id IS NOT NULL) AS e"),
	't', 'and rise');

# The values are those of the seat, which each message is about to the microsecond.
sub agreeing_messages
{
	return query(qq{
		SELECT count(*) FILTER (WHERE e.seat_id = s.id AND e.organization_id = s.organization_id
				AND e.customer_id = s.customer_id AND e.metadata = jsonb_build_object('role', '$owner', 'subscription_id', s.subscription_id)
				AND to_jsonb(s) \@> to_jsonb(e.seat) AND e.occurred_at = greatest(s.created_at, s.modified_at)), count(*)
		FROM ($read) AS e LEFT JOIN seats.customer_seats AS s ON s.id = e.seat_id
		WHERE e.id IS NOT NULL
	});
}

sink('logical', "SELECT seats.assign_seats('$shop', NULL, '{sam\@x,tom\@x,una\@x}')");
is(decode(), 'assigned sam, assigned tom, assigned una', 'assign_seats() of three: three messages');
is(agreeing_messages(), '3|3', 'whose values agree with the seats');
is( query(q{
		SELECT count(DISTINCT content ->> 'id'), count(DISTINCT content ->> 'seat_id'),
			max((content ->> 'id')::bigint) - min((content ->> 'id')::bigint)
		FROM decoded
	}),
	'3|3|2', 'each with an id of its own');
foreach my $call (
	"SELECT seats.resend_invitation(seat_of('sam\@x'))",
	"SELECT seats.assign_seat('$shop', email => 'vic\@x', immediate_claim => true)")
{
	sink('logical', $call);
	decode();
	is(agreeing_messages(), '1|1', 'one message that agrees with the seat');
}
sink('logical', qq{
	SET timezone = 'Asia/Kathmandu';
	SET datestyle = 'German';
	SET extra_float_digits = 0;
	SELECT seats.assign_seat('$shop', email => 'wes\@x');
});
decode();
is(agreeing_messages(), '1|1', 'whatever the session writes times like');
my $resend = q{SELECT seats.resend_invitation(seat_of('sam@x'))};
sink('logical', "BEGIN; $resend; ROLLBACK");
is(decode(), '', 'no message of a transaction rolled back');
sink('logical', qq{
	BEGIN;
	SAVEPOINT before;
	$resend;
	ROLLBACK TO before;
	SELECT seats.resend_invitation(seat_of('tom\@x'));
	COMMIT;
});
is(decode(), 'invitation_resent tom', 'nor of what came after a savepoint rolled back to');
sink('logical', "BEGIN; $resend; SET LOCAL seats.event_sink = 'table'; $resend; COMMIT");
is(decode() . ' ' . query($count),
	'invitation_resent sam ' . ($before + 5), 'the sink can change within a transaction');
my $revoked = sink('logical', "SELECT seats.revoke_seats('$shop')");
decode();
is( query(qq{
		SELECT count(DISTINCT s.id), count(*)
		FROM ($read) AS e LEFT JOIN seats.customer_seats AS s
			ON s.id = e.seat_id AND s.revoked_at = e.occurred_at
		WHERE e.type = 'customer_seat.revoked'
	}),
	"$revoked|$revoked", "revoke_seats() of $revoked seats gives as many messages");
sink('logical', qq{
	BEGIN;
	SELECT set_config('request.headers', '{"user-agent": "$session"}', true);
	SELECT seats.assign_seat('$shop', email => 'yan\@x');
	COMMIT;
});
decode();
is(agreeing_messages(), '1|1', 'a token in the user agent is in no message');
push @secrets, substr($session, 16, 43);
$secrets = join '|', map { $_, unpack 'H*', $_ } @secrets;
cmp_ok(length $all_decoded, '>', 10_000, 'everything that was decoded is kept');
is($all_decoded =~ /$secrets/ ? $& : 'none', 'none', 'and no token is anywhere in it');
query(q{SELECT pg_drop_replication_slot('seats')});

# A consumer, with no right but to take events out of the table.  FOR UPDATE wants the right to
# update a column; that of id is good for nothing else, since its values are always generated.
query(q{
	DELETE FROM seats.events;
	CREATE ROLE courier LOGIN;
	GRANT USAGE ON SCHEMA seats TO courier;
});
my $take = 'SELECT id FROM seats.events ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED';
my $delete = 'DELETE FROM seats.events WHERE id = 0';

sub as_courier
{
	my ($statement) = @_;

	return outcome($statement, extra_params => [ -U => 'courier' ]);
}

my $denied = '42501 permission denied for table events';
is(as_courier($take), $denied, 'a consumer without rights takes nothing');
query('GRANT SELECT ON seats.events TO courier');
is(as_courier('SELECT * FROM seats.events'), '', 'with SELECT it reads events');
is(as_courier($take), $denied, 'but cannot lock them');
query('GRANT DELETE ON seats.events TO courier');
is(as_courier($take), $denied, 'nor with DELETE');
is(as_courier($delete), '', 'which it needs to remove what it delivered');
query('GRANT UPDATE (id) ON seats.events TO courier');
is(as_courier($take), '', 'with UPDATE of one column it can');
is(as_courier('UPDATE seats.events SET id = 1'),
	'428C9 column "id" can only be updated to DEFAULT', 'and can forge neither an id');
is(as_courier(q{UPDATE seats.events SET metadata = '{}'}), $denied, 'nor anything else');
is(as_courier('SELECT * FROM seats.customer_seats'),
	'42501 permission denied for table customer_seats', 'nor see seats');

# Two of them, while seats are claimed.  All start when nobody has the second advisory lock any
# more.  The consumers go on until they find nothing after the claims are over, which they are
# when nobody has the first.
my $seats = 600;
my @tokens = split /\n/, query(qq{
	SELECT invitation_token
	FROM generate_series(1, $seats) AS n,
		seats.assign_seat('$shop', email => 'claimer' || n || '\@x')
});
my $start = "SELECT FROM pg_advisory_lock_shared(2);\n";
append_to_file("$directory/consumer.sql", $start . q{
	SELECT pg_try_advisory_lock_shared(1) AS claims_are_over \gset
	BEGIN;
	SELECT coalesce(array_agg(id), '{}') AS ids, count(*) = 0 AND :'claims_are_over' AS done
	FROM (
		SELECT * FROM seats.events ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED
	) AS batch \gset
	SELECT type, seat_id FROM seats.events WHERE id = ANY (:'ids') ORDER BY id;
	SELECT FROM pg_sleep(0.003);
	DELETE FROM seats.events WHERE id = ANY (:'ids');
	COMMIT;
	\if :done
		\q
	\endif
} x 5000);
my $gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1), pg_advisory_lock(2)');

# Starts psql with a file; what it prints is kept under a name.
sub start_psql
{
	my ($name, $file, $role) = @_;

	return IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', $role, '-f', "$directory/$file.sql",
			$node->connstr('postgres')
		],
		'>', "$directory/$name.output", '2>', "$directory/$name.errors");
}

my @claims;
foreach my $n (0 .. 2)
{
	append_to_file("$directory/claims$n.sql",
		join '', $start,
		map { "SELECT FROM seats.claim_seat('$tokens[$_]'), pg_sleep(0.002);\n" }
		  grep { $_ % 3 == $n } 0 .. $#tokens);
	push @claims, start_psql("claims$n", "claims$n", $owner);
}
my @consumers = map { start_psql($_, 'consumer', 'courier') } 'consumer1', 'consumer2';
$node->poll_query_until('postgres',
	q{SELECT count(*) = 5 FROM pg_stat_activity WHERE wait_event = 'advisory'});
$gate->query_safe('SELECT pg_advisory_unlock(2)');
$_->finish foreach @claims;
$gate->quit;
$_->finish foreach @consumers;
is(join('', map { slurp_file("$directory/$_.errors") } 'consumer1', 'consumer2',
		map { "claims$_" } 0 .. 2),
	'', 'two consumers and three claimers met no error');
my %delivered;
foreach my $consumer ('consumer1', 'consumer2')
{
	my @events = split /\n/, slurp_file("$directory/$consumer.output");
	my $claimed = grep { /claimed/ } @events;

	note "$consumer delivered " . @events . " events, $claimed of them of claims";
	cmp_ok($claimed, '>', 0, "$consumer delivered while seats were claimed");
	$delivered{$_}++ foreach @events;
}
my %expected = map { $_ => 1 } split /\n/, query(q{
	SELECT type, s.id
	FROM seats.customer_seats AS s,
		unnest('{customer_seat.assigned,customer_seat.claimed}'::text[]) AS type
	WHERE status = 'claimed'
});
is(scalar keys %expected, 2 * $seats, 'each seat was assigned and claimed');
is_deeply(\%delivered, \%expected, 'together they delivered each event exactly once');
is(query($count), '0', 'none is left');

# One that stops before it commits.
my @people = map { "late$_\@x" } 1 .. 30;
query("SELECT seats.assign_seats('$shop', NULL, '{" . join(',', @people) . "}')");
my ($first, $second) = map {
	$node->background_psql('postgres', extra_params => [ -U => 'courier' ])
} 1, 2;
my $batch = $first->query_safe("BEGIN; $take");
my $other = $second->query_safe("BEGIN; $take");
is(join("\n", $batch, $other),
	query('SELECT id FROM seats.events ORDER BY id LIMIT 20'),
	'two consumers take a batch each, without waiting');
$first->query_safe('DELETE FROM seats.events WHERE id IN (' . $batch =~ s/\n/, /gr . ')');
$first->query_safe('ROLLBACK');
is($first->query_safe("BEGIN; $take"), $batch, 'after a rollback its batch comes again');
$second->query_safe('DELETE FROM seats.events WHERE id IN (' . $other =~ s/\n/, /gr . ')');
$second->query_safe('COMMIT');
query(q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
	WHERE usename = 'courier' AND state = 'idle in transaction'});
is($second->query_safe("BEGIN; $take; COMMIT"), $batch, 'so it does when a consumer dies');
is(query($count), '20', 'only what was delivered is gone');
eval { $first->quit };

# One that began first and committed last.
query('DELETE FROM seats.events');
my ($slow, $quick) = map { assign($_) } 'slow@x', 'quick@x';
query('DELETE FROM seats.events');
$claimer = $node->background_psql('postgres');
$claimer->query_safe("BEGIN; SELECT seats.claim_seat('$slow')");
claim($quick);
my $deliver = 'DELETE FROM seats.events AS e USING (SELECT * FROM seats.events ORDER BY id '
  . 'LIMIT 10 FOR UPDATE SKIP LOCKED) AS batch WHERE e.id = batch.id RETURNING e.id, '
  . 'e.seat_id';
my ($high, $seat) = split /\|/, as_courier($deliver);
is($seat, query(q{SELECT seat_of('quick@x')}), 'the later claim is committed and delivered');
$claimer->query_safe('COMMIT');
$claimer->quit;
my ($low, $late) = split /\|/, as_courier($deliver);
is($late, query(q{SELECT seat_of('slow@x')}), 'the earlier one is delivered once committed');
cmp_ok($low, '<', $high, 'although its id is lower');
$second->quit;

# Old events go.
query(q{
	INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at)
	SELECT 'customer_seat.claimed', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
		clock_timestamp() - age
	FROM unnest('{40 days,31 days,29 days,1 hour,0}'::interval[]) AS age
});

sub purge
{
	my ($older_than) = @_;

	return outcome("SELECT seats.purge_events('$older_than')",
		extra_params => [ -U => 'backend' ]);
}

is(purge('41 days'), '0', 'no event is older than 41 days');
is(purge('30 days'), '2', 'purge_events() deletes those older than it is told');
is(purge('30 days'), '0', 'once');
is(purge('2 hours'), '1', 'the next');
is(query($count), '2', 'younger ones stay');
is(purge('0'), '2', 'zero: all that has happened');
is(query($count), '0', 'none is left');
query(q{SELECT seats.revoke_seat(seat_of('slow@x'))});
is(outcome("BEGIN; SELECT seats.purge_events('0'); ROLLBACK; $count"),
	"1\n1", 'rolled back, they stay');

# Where messages cannot be decoded people claim their seats all the same.
$node->append_conf('postgresql.conf', 'wal_level = replica');
$node->restart;
my ($status, $output, $errors) = $node->psql('postgres', qq{
	SET seats.event_sink = logical;
	SELECT (seat).status FROM seats.assign_seat('$shop', email => 'xia\@x');
	SELECT (seat).status FROM seats.assign_seat('$shop', email => 'zed\@x');
});
is("$status $output", "0 pending\npending", 'without wal_level = logical a call succeeds');
is(() = $errors =~ /WARNING:  events of the extension seats cannot be decoded/g,
	1, 'with one warning in a session');
is(query($count), '1', 'and no row is added');

done_testing();
