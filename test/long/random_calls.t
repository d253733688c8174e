# A hundred thousand calls of the functions of seats and seats_http, each of them, with random arguments of the
# right types: ids and tokens that exist, once did or never, texts, JSON, bytes, lists and intervals of odd
# shapes.  The server stays up, each error is one that is documented, and no rule is broken afterwards.
#
#   CALLS=1000, SEED=...    fewer or more; the same ones again
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;

my $calls = $ENV{CALLS} // 100_000;
my $seed  = $ENV{SEED}  // time;

note "SEED=$seed";

my $node = start_node('chance');
create_shop(30);
query(q{
	SET client_min_messages = warning;
	CREATE EXTENSION amcheck;
	CREATE ROLE chance_role;
	INSERT INTO seats.organizations (name, slug, seat_based_pricing_enabled)
		VALUES ('Two', 'two', true), ('Off', 'off', false);
	INSERT INTO seats.products (organization_id, name) SELECT id, 'p' FROM seats.organizations;
	INSERT INTO seats.customers (organization_id, email, external_id)
		SELECT id, n || '@example.com', 'e' || n FROM seats.organizations, generate_series(1, 20) AS n;
	INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, status)
		SELECT o.id, (SELECT min(id::text)::uuid FROM seats.products WHERE organization_id = o.id),
			(SELECT min(id::text)::uuid FROM seats.customers WHERE organization_id = o.id), n, 'active'
		FROM seats.organizations AS o, generate_series(0, 30, 6) AS n;
	INSERT INTO seats.orders (organization_id, product_id, customer_id, seats, status)
		SELECT organization_id, product_id, customer_id, seats, 'paid' FROM seats.subscriptions;
});
query(slurp_file("$FindBin::RealBin/random_calls.sql"));

my ($status, $output, $errors) = $node->psql('postgres', qq{
	SET search_path = chance, pg_catalog;
	SELECT setseed($seed % 1000 / 1000.0);
	CALL chance.run($calls)}, timeout => 3600);
is($status, 0, "$calls calls came to an end") or diag $errors;

is(query('SELECT count(*) FROM chance.calls'), $calls, 'each is recorded');
is(query(q{
		SELECT name FROM chance.functions AS f
		WHERE name <> 'seats.grant_access(regrole,regrole,regrole)'::regprocedure
			AND (SELECT count(*) FROM chance.calls WHERE function = name) < (SELECT count(*) FROM chance.calls) / 300}),
	'', 'each function was called often');

# The contract's; 39P01 and 0A000 of functions for triggers, called as others; 42704 of grant_access for a role that does
# not exist; 23514 of set_seats, which refuses as an UPDATE does; 22008, where an interval goes back before PostgreSQL's first day.
is(query(q{
		SELECT DISTINCT ON (function, state) function, state, message, call FROM chance.calls
		WHERE NOT (state IN ('00000', 'PT400', 'PT401', 'PT403', 'PT404', 'PT422')
			OR state IN ('39P01', '0A000') AND function IN (SELECT name FROM chance.functions WHERE is_trigger)
			OR state = '42704' AND function = 'seats.grant_access(regrole,regrole,regrole)'::regprocedure
			OR state = '23514' AND function::text ~ '^seats\.set_seats' AND message ~ '^cannot reduce the number of seats to'
			OR state = '22008' AND call ~ 'seats.(purge_events|release_expired_seats|create_join_link)\(.*''178000000 years''')}),
	'', 'each error is a documented one');
is(query(q{
		SELECT DISTINCT state, message FROM chance.calls
		WHERE state LIKE 'PT%' AND (state, message) NOT IN (
			('PT400', 'Invalid, expired, or already claimed token'), ('PT400', 'No available seats'),
			('PT400', 'Seat already assigned to this customer'), ('PT400', 'Seat not pending'),
			('PT400', 'Subscription not active'), ('PT400', 'Order not paid'),
			('PT400', 'Seat suspended'), ('PT400', 'Seat not claimed'),
			('PT400', 'Invalid join link'), ('PT400', 'Join link expired'), ('PT400', 'Join link exhausted'),
			('PT400', 'E-mail domain not allowed'), ('PT404', 'Join link not found'),
			('PT401', 'Invalid or expired session token'),
			('PT403', 'Seat-based pricing not enabled for organization'),
			('PT404', 'Subscription not found'), ('PT404', 'Order not found'),
			('PT404', 'Customer not found'), ('PT404', 'Seat not found'), ('PT422', 'Validation Error'))}),
	'', 'each message is one of the fixed ones');
is(query(q{
		SELECT DISTINCT state, detail FROM chance.calls
		WHERE state LIKE 'PT%' AND CASE state
			WHEN 'PT422' THEN json_typeof(detail::json) <> 'array' OR EXISTS (
				SELECT FROM json_array_elements(detail::json) AS e
				WHERE json_typeof(e -> 'loc') <> 'array' OR e ->> 'msg' IS NULL OR e ->> 'type' IS NULL)
			ELSE detail NOT IN ('invitation_invalid', 'invitation_expired', 'seat_already_claimed', 'seat_revoked',
				'seat_suspended', 'seat_not_claimed', 'no_available_seats', 'seat_already_assigned', 'seat_not_pending',
				'subscription_not_active', 'order_not_paid', 'session_invalid', 'session_expired', 'seat_based_pricing_not_enabled',
				'join_link_invalid', 'join_link_expired', 'join_link_exhausted', 'email_domain_not_allowed', 'join_link_not_found',
				'subscription_not_found', 'order_not_found', 'customer_not_found', 'seat_not_found') END}),
	'', 'each detail is a reason, or a list of faults');
is(query(q{SELECT function, call FROM chance.calls
		WHERE state <> '00000' AND function::text LIKE 'seats\_http.%' LIMIT 10}),
	'', 'over HTTP nothing is raised, whatever is sent');

# All that can go well does, and all that can go wrong, so that the above is not for nothing.
SKIP:
{
	skip 'too few calls', 2 if $calls < 50_000;
	is(query(q{
			SELECT name FROM chance.functions AS f WHERE NOT is_trigger
				AND NOT EXISTS (SELECT FROM chance.calls WHERE function = name AND state = '00000')}),
		'', 'each function succeeded');
	is(query(q{
			SELECT r FROM unnest('{invitation_invalid,invitation_expired,seat_already_claimed,seat_revoked,no_available_seats,
				seat_already_assigned,seat_not_pending,subscription_not_active,order_not_paid,session_invalid,session_expired,
				join_link_invalid,join_link_expired,join_link_exhausted,email_domain_not_allowed,join_link_not_found,
				seat_suspended,seat_not_claimed,seat_based_pricing_not_enabled,subscription_not_found,order_not_found,customer_not_found,seat_not_found}'::text[]) AS r
			WHERE NOT EXISTS (SELECT FROM chance.calls WHERE detail = r)}),
		'', 'each reason was given');
}

my %rules = (
	'counts are right, and no more seats are assigned than there are' => q{
		SELECT p.* FROM (
			SELECT id, seats, assigned_seats FROM seats.subscriptions
			UNION ALL SELECT id, seats, assigned_seats FROM seats.orders) AS p
		WHERE assigned_seats > seats OR assigned_seats <> (SELECT count(*) FROM seats.customer_seats
			WHERE p.id IN (subscription_id, order_id) AND status <> 'revoked')},
	'a session is of a claimed seat that is not suspended, and of its customer' => q{
		SELECT x.* FROM seats.customer_sessions AS x
		LEFT JOIN seats.customer_seats AS s ON s.id = x.seat_id AND s.customer_id = x.customer_id
			AND s.organization_id = x.organization_id
		WHERE (s.status = 'claimed' AND s.suspended_at IS NULL) IS NOT TRUE},
	'ids of one seat are of one organization' => q{
		SELECT s.* FROM seats.customer_seats AS s
		LEFT JOIN seats.customers AS c ON c.id = s.customer_id
		LEFT JOIN seats.subscriptions AS u ON u.id = s.subscription_id
		LEFT JOIN seats.orders AS o ON o.id = s.order_id
		WHERE num_nonnulls(s.subscription_id, s.order_id) <> 1
			OR s.organization_id <> coalesce(u.organization_id, o.organization_id)
			OR s.organization_id <> c.organization_id},
	'the status agrees with the other columns' => q{
		SELECT s.* FROM seats.customer_seats AS s WHERE CASE status
			WHEN 'pending' THEN invitation_token_hash IS NULL OR invitation_token_expires_at IS NULL
				OR customer_id IS NULL OR claimed_at IS NOT NULL OR revoked_at IS NOT NULL
			WHEN 'claimed' THEN claimed_at IS NULL OR customer_id IS NULL OR revoked_at IS NOT NULL
			ELSE revoked_at IS NULL OR num_nonnulls(customer_id, customer_email, seat_metadata, suspended_at) > 0 END},
	'a customer has one seat of a purchase at most' => q{
		SELECT customer_id FROM seats.customer_seats WHERE status <> 'revoked'
		GROUP BY customer_id, coalesce(subscription_id, order_id) HAVING count(*) > 1},
	'an ended purchase has no seat' => q{
		SELECT s.* FROM seats.customer_seats AS s
		LEFT JOIN seats.subscriptions AS u ON u.id = s.subscription_id
		LEFT JOIN seats.orders AS o ON o.id = s.order_id
		WHERE s.status <> 'revoked' AND (u.status IN ('canceled', 'incomplete_expired')
			OR o.status IN ('refunded', 'void'))},
	'the seats of a suspended purchase are suspended, and no others' => q{
		SELECT s.* FROM seats.customer_seats AS s
		LEFT JOIN seats.subscriptions AS u ON u.id = s.subscription_id
		WHERE s.status <> 'revoked' AND (s.suspended_at IS NOT NULL)
			<> coalesce(u.status IN ('paused', 'unpaid'), false)},
	'a seat has the address of its customer' => q{
		SELECT s.* FROM seats.customer_seats AS s JOIN seats.customers AS c ON c.id = s.customer_id
		WHERE s.customer_email IS DISTINCT FROM c.email},
	'an event has its seat, and names the purchase' => q{
		SELECT e.* FROM seats.events AS e WHERE ((e.seat).id = e.seat_id
			AND coalesce((e.seat).subscription_id, (e.seat).order_id)::text
				= coalesce(metadata ->> 'subscription_id', metadata ->> 'order_id')) IS NOT TRUE},
	'an address that was let in is one' => q{
		SELECT email FROM seats.customers WHERE length(email) > 320 OR email !~ '^[^@[:space:][:cntrl:]]+@[^@[:space:][:cntrl:]]+$'},
	'metadata is small' => q{
		SELECT s.* FROM seats.customer_seats AS s
		WHERE jsonb_typeof(seat_metadata) <> 'object' OR length(seat_metadata::text) > 1024},
	'no token is in a table' => q{
		SELECT value FROM chance.known WHERE kind IN ('invitation', 'session') AND EXISTS (
			SELECT FROM seats.events AS e WHERE e::text LIKE '%' || value || '%')},
	'amcheck finds nothing' => q{
		SELECT count(bt_index_check(c.oid, true)) FROM pg_class AS c
		WHERE relnamespace = 'seats'::regnamespace AND relkind = 'i' HAVING false;
		SELECT c.relname, v.* FROM pg_class AS c, verify_heapam(c.oid) AS v
		WHERE relnamespace = 'seats'::regnamespace AND relkind = 'r'},
);
is(query($rules{$_}), '', $_) foreach sort keys %rules;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process crashed');

done_testing();
