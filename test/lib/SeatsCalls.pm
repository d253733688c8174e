# A call of every function of the extension, in an organization where they succeed, or fail.
package SeatsCalls;

use strict;
use warnings;

use Exporter 'import';
use SeatsTest;

our @EXPORT = qw(create_calls_shop invite %calls %failing %changes);

my $id = ID;

# Creates what the calls need.
sub create_calls_shop
{
	create_shop(1_000_000);
	query(qq{
		CREATE TABLE invitation (n bigserial PRIMARY KEY, token text);
		CREATE SEQUENCE taken;
		CREATE SEQUENCE person;
		CREATE FUNCTION address() RETURNS text LANGUAGE sql AS
			\$\$ SELECT nextval('person') || '\@example.com' \$\$;

		-- The next token that nobody has claimed.
		CREATE FUNCTION fresh() RETURNS text LANGUAGE plpgsql AS \$\$
		DECLARE
			number bigint := nextval('taken');
		BEGIN
			RETURN (SELECT token FROM invitation WHERE n = number);
		END \$\$;

		-- Calls, each in a transaction of its own; how many failed.
		CREATE PROCEDURE repeat(call text, times int, INOUT failed int) LANGUAGE plpgsql AS \$\$
		BEGIN
			failed := 0;
			FOR i IN 1 .. times LOOP
				BEGIN
					EXECUTE call;
				EXCEPTION WHEN OTHERS THEN
					failed := failed + 1;
				END;
				COMMIT;
			END LOOP;
		END \$\$;

		-- A subscription with few seats, to be listed, and one to be ended.
		INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
			VALUES ('00000000-0000-0000-0000-000000000002', '$id', '$id', '$id', 10, 'active'),
				('00000000-0000-0000-0000-000000000003', '$id', '$id', '$id', 10, 'active'),
				('00000000-0000-0000-0000-000000000004', '$id', '$id', '$id', 10, 'active'),
				('00000000-0000-0000-0000-000000000006', '$id', '$id', '$id', 0, 'active');
		-- Seats of this one are raised as they are needed.
		INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, seats_limit, status)
			VALUES ('00000000-0000-0000-0000-000000000005', '$id', '$id', '$id', 0, 1000000, 'active');
		SELECT seats.claim_seat(invitation_token) FROM seats.assign_seats(
			'00000000-0000-0000-0000-000000000004', NULL, '{p\@x,q\@x}');
		INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
			VALUES ('$id', '$id', '$id', '$id', 1, 'paid');
		CREATE TABLE known AS
			SELECT a.invitation_token AS pending, (a.seat).id AS seat,
				(SELECT invitation_token FROM seats.assign_seat('00000000-0000-0000-0000-000000000002', email => 'b\@x')) AS claimed,
				(SELECT invitation_token FROM seats.assign_seat('00000000-0000-0000-0000-000000000002', email => 'd\@x')) AS retried,
				(SELECT (r.seat).id FROM seats.assign_seat('00000000-0000-0000-0000-000000000002', email => 'c\@x') AS r) AS moved,
				(SELECT join_token FROM seats.create_join_link('$id')) AS link,
				(SELECT join_token FROM seats.create_join_link('00000000-0000-0000-0000-000000000002', max_uses => 5)) AS few,
				''::text AS session, ''::text AS jwt
			FROM seats.assign_seat('00000000-0000-0000-0000-000000000002', email => 'a\@x') AS a;
		UPDATE known SET session = (seats.claim_seat(claimed)).customer_session_token;
		SELECT seats.rotate_jwt_key();
		SET seats.session_token_format = 'jwt';
		UPDATE known SET jwt = (seats.claim_seat(invitation_token)).customer_session_token
			FROM seats.assign_seat('00000000-0000-0000-0000-000000000002', email => 'j\@x');
	});
}

# Gives invitations to those who claim.
sub invite
{
	query(qq{
		INSERT INTO invitation (token) SELECT invitation_token FROM seats.assign_seats('$id', NULL,
			ARRAY(SELECT address() FROM generate_series(1, $_[0])))});
}

# Before a call of the customer who pays.
my $payer = "set_config('request.jwt.claims', '{\"sub\": \"$id\"}', true)";

# Each call by what it is to show; those that fail are to fail always.
our %calls = (
	'token_route'              => 'SELECT seats.token_route(pending) FROM known',
	'organization_route'       => 'SELECT seats.organization_route(seat) FROM known',
	'claim_info'               => 'SELECT seats.claim_info(pending) FROM known',
	'authenticate'             => 'SELECT seats.authenticate(session) FROM known',
	'authenticate with a JWT'  => 'SELECT seats.authenticate(jwt) FROM known',
	'get_seat'                 => 'SELECT seats.get_seat(seat) FROM known',
	'list_seats'               => "SELECT seats.list_seats('00000000-0000-0000-0000-000000000002')",
	'claim_seat'               => 'SELECT seats.claim_seat(fresh())',
	'claim_seat with a key'    => "SELECT seats.claim_seat(fresh(), 'key')",
	'claim_seat again'         => "SELECT seats.claim_seat(retried, 'key') FROM known",
	'claim_seat with a JWT'    => "SELECT set_config('seats.session_token_format', 'jwt', true), seats.claim_seat(fresh())",
	'assign_seat'              => "SELECT seats.assign_seat('$id', email => address(), metadata => '{\"a\": 1}')",
	'assign_seat, claimed'     => "SELECT seats.assign_seat('$id', email => address(), immediate_claim => true)",
	'assign_seats'             => "SELECT seats.assign_seats('$id', NULL, ARRAY[address()])",
	'resend_invitation'        => 'SELECT seats.resend_invitation(moved) FROM known',
	'revoke_seat'              => "SELECT seats.revoke_seat(((seats.assign_seat(order_id => '$id', email => address())).seat).id)",
	'assign_seat, raised'      => "SELECT seats.assign_seat('00000000-0000-0000-0000-000000000005', email => address())",
	'import_seats'             =>
	  "SELECT seats.import_seats('$id', emails => ARRAY[address(), NULL], external_customer_ids => ARRAY[NULL, address()], claimed_at => '{2020-01-01,NULL}')",
	'import_seats, raised'     => "SELECT seats.import_seats('00000000-0000-0000-0000-000000000005', emails => ARRAY[address()])",
	'set_seats'                => "SELECT seats.set_seats('00000000-0000-0000-0000-000000000003', seats => nextval('person')::int)",
	'set_seats, revoking'      =>
	  "SELECT seats.assign_seat(order_id => '$id', email => address()), seats.set_seats(order_id => '$id', seats => 0, surplus => 'revoke'), seats.set_seats(order_id => '$id', seats => 1)",
	'has_seat'                 => 
	  "SELECT seats.has_seat('$id', (SELECT customer_id FROM seats.customer_seats WHERE status = 'claimed' LIMIT 1))",
	'has_seat, nobody'         => "SELECT seats.has_seat('$id', '$id')",
	'has_seat of the JWT'      => "SELECT $payer, seats.has_seat('$id')",
	'revoke_seats'             => "SELECT seats.assign_seat(order_id => '$id', email => address()), seats.revoke_seats(order_id => '$id')",
	'open_session'             =>
	  "SELECT seats.open_session((seats.list_seats('00000000-0000-0000-0000-000000000002')).seats[2].id)",
	'erase_customer'           => "SELECT seats.erase_customer(((seats.assign_seat(order_id => '$id', email => address())).seat).customer_id)",
	'end_session'              => "SELECT seats.end_session((seats.claim_seat(fresh())).customer_session_token)",
	'end_session of nobody'    => "SELECT seats.end_session('x')",
	'stats'                    => 'SELECT seats.stats()',
	'check_session'            => "SELECT set_config('request.jwt.claims', '', true), seats.check_session()",
	'postgrest_config'         => 'SELECT seats.postgrest_config()',
	'current_customer_id'      => "SELECT set_config('request.jwt.claims', '{\"sub\": \"$id\"}', true), seats.current_customer_id()",
	'create_join_link'         => "SELECT seats.create_join_link(order_id => '$id', max_uses => 5, email_domains => '{example.com}')",
	'join_info'                => 'SELECT seats.join_info(link) FROM known',
	'join_seat'                => 'SELECT seats.join_seat(link, address()) FROM known',
	'join_seat, held'          => "SELECT seats.join_seat(few, 'A\@x') FROM known",
	'list_join_links'          => "SELECT seats.list_join_links('00000000-0000-0000-0000-000000000002')",
	'revoke_join_link'         => "SELECT seats.revoke_join_link(((seats.create_join_link('$id')).link).id)",
	'release_expired_seats'    => 'SELECT seats.release_expired_seats()',
	'purge_expired_sessions'   => 'SELECT seats.purge_expired_sessions()',
	'purge_events'             => "SELECT seats.purge_events('0')",
	'seats_http.claim_seat'    => "SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', fresh()))",
	'seats_http.claim_seat, bytes' =>
	  "SELECT seats_http.claim_seat(convert_to(jsonb_build_object('invitation_token', fresh())::text, 'UTF8'))",
	'seats_http.claim_seat, claimed' => "SELECT seats_http.claim_seat(jsonb_build_object('invitation_token', claimed)) FROM known",
	'seats_http.claim_seat, no JSON' => "SELECT seats_http.claim_seat('{\"invitation_token\": '::bytea)",
	'seats_http.claim_seat, malformed' => "SELECT seats_http.claim_seat('{\"invitation_token\": 1}'::jsonb)",
	'seats_http.get_claim_info' => 'SELECT seats_http.get_claim_info(pending) FROM known',
	'seats_http.get_claim_info, unknown' => "SELECT seats_http.get_claim_info('x')",
	'seats_http.assign_seat'   => "SELECT seats_http.assign_seat(jsonb_build_object('subscription_id', '$id', 'email', address()))",
	'seats_http.assign_seat, bytes' =>
	  "SELECT seats_http.assign_seat(convert_to(jsonb_build_object('subscription_id', '$id', 'email', address())::text, 'UTF8'))",
	'seats_http.assign_seat, malformed' => "SELECT seats_http.assign_seat('{\"email\": \"x\", \"metadata\": 1}'::jsonb)",
	'seats_http.list_seats'    => "SELECT seats_http.list_seats('00000000-0000-0000-0000-000000000002')",
	'seats_http.list_seats, malformed' => "SELECT seats_http.list_seats('x')",
	'seats_http.revoke_seat, unknown'  => "SELECT seats_http.revoke_seat('$id')",
	'seats_http.revoke_seat'   =>
	  "SELECT seats_http.revoke_seat(((seats.assign_seat(order_id => '$id', email => address())).seat).id::text)",
	'seats_http.resend_invitation' => 'SELECT seats_http.resend_invitation(moved::text) FROM known',
	'seats_http.join_info'     => 'SELECT seats_http.join_info(link) FROM known',
	'seats_http.join_info, unknown' => "SELECT seats_http.join_info('x')",
	'seats_http.join_seat'     => "SELECT seats_http.join_seat(jsonb_build_object('join_token', link, 'email', address())) FROM known",
	'seats_http.join_seat, bytes' =>
	  "SELECT seats_http.join_seat(convert_to(jsonb_build_object('join_token', link, 'email', address())::text, 'UTF8')) FROM known",
	'seats_http.join_seat, held' => "SELECT seats_http.join_seat(jsonb_build_object('join_token', few, 'email', 'b\@x')) FROM known",
	'seats_http.join_seat, malformed' => "SELECT seats_http.join_seat('{\"join_token\": 1, \"email\": \"x\"}'::jsonb)",
	'seats_http.create_join_link' =>
	  "SELECT seats_http.create_join_link(jsonb_build_object('order_id', '$id', 'expires_in', 60, 'email_domains', ARRAY['example.com']))",
	'seats_http.create_join_link, bytes' =>
	  "SELECT seats_http.create_join_link(convert_to(jsonb_build_object('order_id', '$id')::text, 'UTF8'))",
	'seats_http.create_join_link, malformed' => "SELECT seats_http.create_join_link('{\"email_domains\": [1]}'::jsonb)",
	'seats_http.list_join_links' => "SELECT seats_http.list_join_links('00000000-0000-0000-0000-000000000002')",
	'seats_http.revoke_join_link' =>
	  "SELECT seats_http.revoke_join_link(((seats.create_join_link('$id')).link).id::text)",
	'seats_http.portal_create_join_link' =>
	  "SELECT $payer, seats_http.portal_create_join_link(jsonb_build_object('order_id', '$id', 'max_uses', 5))",
	'seats_http.portal_create_join_link, bytes' =>
	  "SELECT $payer, seats_http.portal_create_join_link(convert_to(jsonb_build_object('order_id', '$id')::text, 'UTF8'))",
	'seats_http.portal_list_join_links' => "SELECT $payer, seats_http.portal_list_join_links('00000000-0000-0000-0000-000000000002')",
	'seats_http.portal_revoke_join_link' =>
	  "SELECT $payer, seats_http.portal_revoke_join_link(((seats.create_join_link('$id')).link).id::text)",
	'seats_http.portal_revoke_join_link, unknown' => "SELECT $payer, seats_http.portal_revoke_join_link('$id')",
	'seats_http.portal_list_seats' => "SELECT $payer, seats_http.portal_list_seats('00000000-0000-0000-0000-000000000002')",
	'seats_http.portal_list_seats, nobody' => "SELECT set_config('request.jwt.claims', '', true), seats_http.portal_list_seats('$id')",
	'seats_http.portal_assign_seat' =>
	  "SELECT $payer, seats_http.portal_assign_seat(jsonb_build_object('subscription_id', '$id', 'email', address()))",
	'seats_http.portal_assign_seat, bytes' =>
	  "SELECT $payer, seats_http.portal_assign_seat(convert_to(jsonb_build_object('subscription_id', '$id', 'email', address())::text, 'UTF8'))",
	'seats_http.portal_revoke_seat' =>
	  "SELECT $payer, seats_http.portal_revoke_seat(((seats.assign_seat(order_id => '$id', email => address())).seat).id::text)",
	'seats_http.portal_revoke_seat, unknown' => "SELECT $payer, seats_http.portal_revoke_seat('$id')",
	'seats_http.portal_resend_invitation' => "SELECT $payer, seats_http.portal_resend_invitation(moved::text) FROM known",
);
our %failing = (
	'claim_seat, claimed'      => 'SELECT seats.claim_seat(claimed) FROM known',
	'claim_seat, no token'     => "SELECT seats.claim_seat('x')",
	'claim_info, unknown'      => "SELECT seats.claim_info('x')",
	'authenticate, unknown'    => "SELECT seats.authenticate('x')",
	'authenticate, no JWT of ours' => "SELECT seats.authenticate(jwt || 'A') FROM known",
	'assign_seat, malformed'   => "SELECT seats.assign_seat('$id', email => 'x', metadata => '[]')",
	'assign_seat, assigned'    => "SELECT seats.assign_seat('00000000-0000-0000-0000-000000000002', email => 'a\@x')",
	'assign_seats, repeated'   => "SELECT seats.assign_seats('$id', NULL, '{z\@x,z\@x}')",
	'import_seats, repeated'   => "SELECT seats.import_seats('$id', emails => '{z\@x,z\@x}', external_customer_ids => '{z,z}')",
	'import_seats, malformed'  => "SELECT seats.import_seats('$id', emails => '{x}', claimed_at => '{infinity}')",
	'set_seats, too few'       => "SELECT seats.set_seats('00000000-0000-0000-0000-000000000002', seats => 0)",
	'set_seats, malformed'     => "SELECT seats.set_seats('$id', seats => -1, surplus => 'x')",
	'get_seat, unknown'        => "SELECT seats.get_seat('$id')",
	'resend_invitation, claimed' => 'SELECT seats.resend_invitation((seats.list_seats(id)).seats[2].id) '
	  . "FROM seats.subscriptions WHERE id = '00000000-0000-0000-0000-000000000002'",
	'open_session, pending'    => 'SELECT seats.open_session(seat) FROM known',
	'open_session, unknown'    => "SELECT seats.open_session('$id')",
	'join_info, unknown'       => "SELECT seats.join_info('x')",
	'join_seat, malformed'     => "SELECT seats.join_seat(link, 'x') FROM known",
	'join_seat, full'          => "SELECT seats.join_seat(join_token, address()) FROM seats.create_join_link('00000000-0000-0000-0000-000000000006')",
	'create_join_link, malformed' => "SELECT seats.create_join_link('$id', max_uses => 0, email_domains => '{}')",
	'revoke_join_link, unknown' => "SELECT seats.revoke_join_link('$id')",
	'erase_customer, unknown'  => "SELECT seats.erase_customer('00000000-0000-0000-0000-000000000009')",
	'lowering seats'           => "UPDATE seats.subscriptions SET seats = 0 WHERE id = '00000000-0000-0000-0000-000000000002'",
	'TRUNCATE'                 => 'TRUNCATE seats.customer_seats CASCADE',
);
# What only statements can do, or what PostgreSQL has to remember until the transaction ends.
our %changes = (
	'ending and resuming' => "UPDATE seats.subscriptions SET status = CASE status WHEN 'active' THEN 'canceled' "
	  . "ELSE 'active' END WHERE id = '00000000-0000-0000-0000-000000000003'",
	'suspending and resuming' => "UPDATE seats.subscriptions SET status = CASE status WHEN 'active' THEN 'paused' "
	  . "ELSE 'active' END WHERE id = '00000000-0000-0000-0000-000000000004'",
	'planning fewer seats' => "UPDATE seats.subscriptions SET seats_next = 9 WHERE id = '00000000-0000-0000-0000-000000000004'; "
	  . "UPDATE seats.subscriptions SET seats_next = NULL WHERE id = '00000000-0000-0000-0000-000000000004'",
	'changing an address' => 'UPDATE seats.customers SET email = CASE email WHEN upper(email) THEN lower(email) '
	  . "ELSE upper(email) END WHERE email IN ('p\@x', 'P\@X')",
	'deleting seats by hand' => "SELECT seats.assign_seat(order_id => '$id', email => address()); DELETE FROM seats.customer_seats WHERE order_id = '$id'",
	'claim_seat after a function was changed' =>
	  "ALTER FUNCTION address() VOLATILE; SELECT seats.claim_seat(fresh())",
	'claim_seat after a table was altered' => 'ALTER TABLE seats.events SET (autovacuum_enabled = false); '
	  . 'ALTER TABLE seats.customer_seats SET (autovacuum_enabled = false); SELECT seats.claim_seat(fresh())',
	'claim_info after plans were thrown away' => 'DISCARD PLANS; SELECT seats.claim_info(pending) FROM known',
	'rotate_jwt_key'       => 'SELECT seats.rotate_jwt_key()',
	'grant_access'         => "SELECT seats.grant_access(backend => 'pg_monitor')",
);

1;
