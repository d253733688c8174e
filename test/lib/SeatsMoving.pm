# What the tests of moving to another version share: servers of all versions that scripts/test built
# the extension for, an organization whose people hold invitations and sessions of every kind, what
# a database says of itself, and what these people find when they come back.
package SeatsMoving;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use SeatsTest;
use Test::More;

our @EXPORT = qw(SHOPS versions new_server create_roles fill portrait check_portrait check_life check_upkeep);

# Two organizations of the same kind: what is used up in one is there in the other.
use constant SHOPS => map { "00000000-0000-0000-0000-00000000000$_" } 1, 2;

# Returns the versions that there are, the oldest first; there must be several.
sub versions
{
	my @versions = sort map { m{/(\d+)/lib/seats\.so$} } glob "$ENV{SERVERS}/*/lib/seats.so";

	plan skip_all => 'servers do not run as root' if $> == 0;
	plan skip_all => 'needs servers of several versions' if @versions < 2;
	return @versions;
}

# Makes a server of a version, without starting it, or of another installation of that version.  Checksums are the
# default in some versions.
sub new_server
{
	my ($name, $version, $installation) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => $installation // "$ENV{SERVERS}/$version");
	local %ENV = %ENV;

	# Settings by which servers find the extension elsewhere.
	delete $ENV{TEMP_CONFIG};

	$node->init(extra => [ '--encoding=UTF8', '--no-locale', '--data-checksums' ]);
	return $node;
}

# Ids of an organization's other records.
sub other_id
{
	my ($shop, $digit) = @_;

	return $shop =~ s/^0/$digit/r;
}

# Assigns a seat; returns its token.
sub invite
{
	my ($subscription, $name) = @_;

	return query(qq{
		SELECT invitation_token
		FROM seats.assign_seat('$subscription', email => '$name\@example.com', metadata => '{"team": "$name"}')
	});
}

# Makes the roles that grant_access() is for: a dump leaves roles to others.
sub create_roles
{
	query('CREATE ROLE anonymous; CREATE ROLE backend; CREATE ROLE customer');
}

# Makes the extension and both organizations; returns for each what its people hold: invitations and
# sessions by name.
sub fill
{
	create_roles();
	query(q{
		SET client_min_messages = warning;
		CREATE EXTENSION seats CASCADE;
		CREATE EXTENSION amcheck;
		SELECT seats.grant_access('anonymous', 'backend', 'customer');
	});
	return map { $_ => fill_shop($_) } SHOPS;
}

sub fill_shop
{
	my ($shop) = @_;
	my ($ended, $off) = (other_id($shop, 'e'), other_id($shop, 'f'));
	my $slug = substr $shop, -1;
	my %held;

	# The subscriptions of an organization have its id, and so has one order; another one ends,
	# and that of another organization is switched off.
	query(qq{
		INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled, invitation_ttl)
			VALUES ('$shop', 'Acme', 'acme$slug', true, '3 days'), ('$off', 'Off', 'off$slug', true, NULL);
		INSERT INTO seats.products (id, organization_id, name)
			SELECT id, id, 'Editor' FROM seats.organizations WHERE id IN ('$shop', '$off');
		INSERT INTO seats.customers (id, organization_id, external_id)
			SELECT id, id, 'payer' FROM seats.organizations WHERE id IN ('$shop', '$off');
		INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
			VALUES ('$shop', '$shop', '$shop', '$shop', 3000, 'active'),
				('$ended', '$shop', '$shop', '$shop', 1, 'trialing'),
				('$off', '$off', '$off', '$off', 1, 'active');
		INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
			VALUES ('$shop', '$shop', '$shop', '$shop', 2, 'paid');
	});

	# A crowd, so that tables and indexes have more than a page or two.
	query(qq{
		SELECT count((seats.claim_seat(invitation_token)).seat) FROM (
			SELECT invitation_token, row_number() OVER () AS n
			FROM seats.assign_seats('$shop', NULL,
				ARRAY(SELECT format('crowd%s\@example.com', n) FROM generate_series(1, 2000) AS n)) OFFSET 0) AS seat
		WHERE n % 2 = 0
	});

	# The row of one that was revoked is given to the next.
	$held{replaced} = invite($shop, 'first');
	claim($held{replaced});
	query(q{SELECT seats.revoke_seat(id) FROM seats.customer_seats WHERE customer_email = 'first@example.com'});
	$held{reused} = invite($shop, 'second');

	$held{$_} = invite($shop, $_)
	  foreach qw(pending expired claimed retried resent revoked ended stale jwt leaving);
	$held{gone} = invite($ended, 'gone');
	$held{off}  = invite($off,   'off');
	$held{session_of_retried} =
	  query("SELECT customer_session_token FROM seats.claim_seat('$held{retried}', 'key')");
	$held{session_of_jwt} = query(qq{
		SET seats.session_token_format = 'jwt';
		SELECT customer_session_token FROM seats.claim_seat('$held{jwt}')
	});
	$held{"session_of_$_"} = claim($held{$_}) foreach qw(claimed revoked ended stale gone leaving);
	$held{replaced_by_resending} = $held{resent};
	$held{resent} = query(qq{
		SELECT (seats.resend_invitation(id)).invitation_token FROM seats.customer_seats
		WHERE customer_email = 'resent\@example.com' AND organization_id = '$shop'
	});
	query(qq{
		SELECT seats.end_session('$held{session_of_ended}');
		UPDATE seats.customer_sessions SET expires_at = now()
			WHERE token_hash = public.digest('$held{session_of_stale}', 'sha256');
		UPDATE seats.customer_seats SET invitation_token_expires_at = now()
			WHERE customer_email = 'expired\@example.com' AND organization_id = '$shop';
		SELECT seats.assign_seat(order_id => '$shop', email => 'claimed\@example.com', immediate_claim => true);
		SELECT seats.assign_seat(order_id => '$shop', email => 'buyer\@example.com');
		SELECT seats.revoke_seat(id) FROM seats.customer_seats
			WHERE customer_email = 'revoked\@example.com' AND organization_id = '$shop';
		UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$ended';
		UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = '$off';
	});
	return \%held;
}

# What a database says of itself, by name: all that is to be the same in another version.
my %questions = (
	counts => q{
		SELECT status, count(*) FROM seats.customer_seats GROUP BY 1 ORDER BY 1;
		SELECT id, seats, assigned_seats FROM seats.subscriptions ORDER BY 1;
		SELECT id, seats, assigned_seats FROM seats.orders ORDER BY 1;
	},
	sequence => 'SELECT last_value, is_called FROM seats.events_id_seq',
	lists => 'SELECT to_json(seats.list_seats(id)) FROM seats.subscriptions '
	  . "WHERE id::text NOT LIKE 'f%' ORDER BY id",
	'rights of roles' => q{
		WITH object (name, owner, acl, kind) AS (
			SELECT oid::regnamespace::text, nspowner, nspacl, 'n' FROM pg_namespace
			UNION ALL
			SELECT oid::regclass::text, relowner, relacl, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END
				FROM pg_class WHERE relkind IN ('r', 'v', 'S')
			UNION ALL
			SELECT attrelid::regclass || '.' || attname, relowner, attacl, 'c'
				FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid WHERE attnum > 0
			UNION ALL
			SELECT oid::regprocedure::text, proowner, proacl, 'f' FROM pg_proc)
		SELECT name, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type
		FROM object, aclexplode(coalesce(acl, acldefault(kind::"char", owner)))
		WHERE name ~ '^seats(_http)?($|\.)' AND grantee <> owner
		ORDER BY 1, 2, 3
	},
	# From 17 on types of rows and arrays are among them.
	'objects of the extension' => q{
		SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
		WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'seats')
			AND refclassid = 'pg_extension'::regclass AND deptype = 'e'
			AND classid <> 'pg_type'::regclass
		ORDER BY 1
	},
	'tables to dump' => q{
		SELECT extversion, t, c FROM pg_extension, unnest(extconfig::regclass[], extcondition) AS u (t, c)
		WHERE extname = 'seats' ORDER BY t::text
	},
	triggers => q{
		SELECT tgrelid::regclass, tgname, tgenabled, tgtype, tgfoid::regprocedure FROM pg_trigger
		WHERE tgrelid::regclass::text LIKE 'seats.%' AND NOT tgisinternal
		ORDER BY tgrelid::regclass::text, tgname;
		SELECT tgrelid::regclass, tgfoid::regprocedure, tgenabled, count(*) FROM pg_trigger
		WHERE tgrelid::regclass::text LIKE 'seats.%' AND tgisinternal GROUP BY 1, 2, 3
		ORDER BY tgrelid::regclass::text, tgfoid::regprocedure::text;
	},
	# From 18 on NOT NULL is among them.
	constraints => q{
		SELECT conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
		WHERE connamespace = 'seats'::regnamespace AND contype <> 'n'
		ORDER BY conrelid::regclass::text, conname
	},
	indexes => q{
		SELECT indexrelid::regclass, indisvalid, pg_get_indexdef(indexrelid) FROM pg_index
		WHERE indrelid::regclass::text LIKE 'seats.%' ORDER BY indexrelid::regclass::text
	},
	functions => q{
		SELECT oid::regprocedure, prosecdef, provolatile, proparallel, proisstrict, proconfig, prosrc, probin
		FROM pg_proc WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace)
		ORDER BY oid::regprocedure::text
	},
	policies => q{
		SELECT relname, relrowsecurity, relforcerowsecurity, reloptions FROM pg_class
		WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1;
		SELECT polrelid::regclass, polname, polcmd, pg_get_expr(polqual, polrelid) FROM pg_policy
		ORDER BY polrelid::regclass::text, polname;
	});

# Returns that portrait of a database.  Keys of JWTs are not in it.
sub portrait
{
	return { rows => table_rows('jwt_keys'), map { $_ => query("SET search_path = ''; $questions{$_}") } keys %questions };
}

# Tests that a database says the same of itself as another one did, with amcheck's word for it.
sub check_portrait
{
	my ($expected, $where) = @_;
	my $found = portrait();

	is($found->{$_}, $expected->{$_}, "$where: $_ are the same") foreach sort keys %$expected;
	is(check_storage(), '', "$where: amcheck finds nothing");
}

# Tests what people find with what they hold.  With "rehearse" nothing of it stays.  JWTs are good where
# their key came along.
sub check_life
{
	my ($shop, $held, $where, %options) = @_;
	my $claim = 'SELECT (seat).customer_email, (seat).status FROM seats.claim_seat';
	my $who = 'SELECT customer_email FROM seats.authenticate';
	my $seat_of = "SELECT id FROM seats.customer_seats WHERE organization_id = '$shop' AND customer_email =";
	my @refused = (
		[ expired => 'invitation_expired' ],
		[ claimed => 'seat_already_claimed' ],
		[ retried => 'seat_already_claimed' ],
		[ revoked => 'seat_revoked' ],
		[ gone => 'seat_revoked' ],
		[ replaced => 'invitation_invalid' ],
		[ replaced_by_resending => 'invitation_invalid' ]);

	foreach (
		(map { [ "an invitation that is refused: $_->[0]", "$claim('$held->{$_->[0]}')", "PT400 $_->[1]" ] }
			  @refused),
		[ 'one of an organization that is switched off', "$claim('$held->{off}')",
			'PT403 seat_based_pricing_not_enabled' ],
		(map { [ "a session that is refused: $_->[0]", "$who('$held->{'session_of_' . $_->[0]}')", "PT401 $_->[1]" ] }
			  [ ended => 'session_invalid' ], [ stale => 'session_expired' ],
			[ revoked => 'session_invalid' ], [ gone => 'session_invalid' ]),
		[ 'a session is good', "$who('$held->{session_of_claimed}')", 'claimed@example.com' ],
		[ 'a session that is a JWT', "$who('$held->{session_of_jwt}')",
			$options{keys} ? 'jwt@example.com' : 'PT401 session_invalid' ],
		[ 'an invitation can be claimed by whom it is for, who is then signed in', qq{
				SET ROLE anonymous;
				SELECT customer_session_token AS session FROM seats.claim_seat('$held->{pending}') \\gset
				SET ROLE customer;
				$who(:'session');
				SELECT set_config('request.jwt.claims', json_build_object('sub', customer_id)::text, false) IS NULL
				FROM seats.authenticate(:'session');
				SELECT customer_email, status FROM seats.my_seats;
			}, "pending\@example.com\nf\npending\@example.com|claimed" ],
		[ 'one that was sent again', "$claim('$held->{resent}')", 'resent@example.com|claimed' ],
		[ "one to a row that was another's", "$claim('$held->{reused}')", 'second@example.com|claimed' ],
		[ 'a claim is retried by its key, which ends its first session',
			"$claim('$held->{retried}', 'key'); $who('$held->{session_of_retried}')",
			"retried\@example.com|claimed\nPT401 session_invalid" ],
		[ 'one that expired is sent again', qq{
				SELECT invitation_token AS token FROM seats.resend_invitation(($seat_of 'expired\@example.com')) \\gset
				$claim(:'token');
			}, 'expired@example.com|claimed' ],
		[ 'a revoked seat takes its session along', qq{
				SELECT status FROM seats.revoke_seat(($seat_of 'leaving\@example.com'));
				$who('$held->{session_of_leaving}');
			}, "revoked\nPT401 session_invalid" ],
		[ "a new invitation lives as long as its organization says, and its event has the next number", qq{
				SELECT max(id) AS last FROM seats.events \\gset
				SELECT invitation_token AS token,
					(seat).invitation_token_expires_at - clock_timestamp() BETWEEN '2 days 23:59' AND '3 days' AS lives
				FROM seats.assign_seat('$shop', email => 'new\@example.com') \\gset
				\\echo :lives
				SELECT bool_and(id > :last), string_agg(type, ' ') FROM seats.events WHERE id > :last;
				SET seats.session_token_format = 'jwt';
				SELECT customer_session_token AS session FROM seats.claim_seat(:'token') \\gset
				$who(:'session');
			},
			"t\nt|customer_seat.assigned\nnew\@example.com" ],
		[ 'people join by a link', qq{
				SELECT join_token AS link FROM seats.create_join_link('$shop') \\gset
				SET ROLE anonymous;
				SELECT can_join FROM seats.join_info(:'link');
				SELECT seats.join_seat(:'link', 'joined\@example.com');
				RESET ROLE;
				SELECT status FROM seats.customer_seats WHERE customer_email = 'joined\@example.com' AND organization_id = '$shop';
			}, "t\n\npending" ],
		[ 'a full order is full', "SELECT seats.assign_seat(order_id => '$shop', email => 'third\@example.com')",
			'PT400 no_available_seats' ],
		[ 'nobody gets two seats', "SELECT seats.assign_seat('$shop', email => 'claimed\@example.com')",
			'PT400 seat_already_assigned' ],
		[ 'seats are not lowered below what is assigned', "UPDATE seats.orders SET seats = 1 WHERE id = '$shop'",
			'23514 cannot reduce the number of seats to 1, because 2 are assigned' ],
		[ 'the count is not written by hand', qq{
				UPDATE seats.subscriptions SET assigned_seats = assigned_seats + 1 WHERE id = '$shop';
				SELECT assigned_seats = (SELECT count(*) FROM seats.customer_seats
					WHERE subscription_id = '$shop' AND status <> 'revoked')
				FROM seats.subscriptions WHERE id = '$shop';
			}, 't' ],
		[ 'seats are not truncated', 'TRUNCATE seats.customer_seats', '0A000 cannot truncate seats.customer_seats' ],
		[ 'a change is dated',
			"UPDATE seats.customers SET name = 'Ada' WHERE id = '$shop' RETURNING modified_at >= now()", 't' ],
		[ 'a role has no more rights than it had', "SET ROLE anonymous; SELECT seats.get_seat('$shop')",
			'42501 permission denied for function get_seat' ],
		[ 'the end of a subscription revokes its seats', qq{
				UPDATE seats.subscriptions SET status = 'canceled' WHERE id = '$shop'
					RETURNING status;
				SELECT assigned_seats FROM seats.subscriptions WHERE id = '$shop';
				SELECT DISTINCT status FROM seats.customer_seats WHERE subscription_id = '$shop';
				$who('$held->{session_of_claimed}');
			}, "canceled\n0\nrevoked\nPT401 session_invalid" ],
	  )
	{
		my ($name, $sql, $expected) = @$_;

		$sql = "BEGIN; $sql; ROLLBACK" if $options{rehearse};
		is(outcome($sql), $expected, "$where: $name");
	}
}

# Tests house-keeping in a database where life has gone on.
sub check_upkeep
{
	my ($where) = @_;

	foreach my $shop (SHOPS)
	{
		query("UPDATE seats.subscriptions SET status = 'active' WHERE id = '$shop'");
		invite($shop, 'late');
		claim(invite($shop, 'last'));
	}
	query(q{
		UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE status = 'pending';
		UPDATE seats.customer_sessions SET expires_at = now();
	});
	my $pending = query(q{SELECT count(*) FROM seats.customer_seats WHERE status = 'pending'});
	my $sessions = query('SELECT count(*) FROM seats.customer_sessions');
	ok($pending > 1 && $sessions > 1, "$where: there are invitations and sessions");
	is(query('SELECT seats.release_expired_seats()'), $pending, "$where: those that expired are released");
	is(query('SELECT seats.purge_expired_sessions()'), $sessions, "$where: and expired sessions purged");
	is(check_storage(), '', "$where: amcheck finds nothing afterwards");
}

1;
