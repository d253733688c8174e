-- Writes docs/reference.md. `make docs` runs it in a database that has the extension and nothing
-- else. What the catalog knows comes from there, with the objects' COMMENTs; the rest is text in
-- this file. Lines are wrapped at 100 columns.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
-- Names are written with their schemas.
SET search_path = pg_catalog;

-- The roles that get rights from grant_access.
CREATE ROLE anonymous;
CREATE ROLE backend;
CREATE ROLE customer;
SELECT FROM seats.grant_access('anonymous', 'backend', 'customer') \g /dev/null

-- Breaks a paragraph into lines of at most 100 characters; lines after the first are indented.
CREATE FUNCTION pg_temp.wrap(paragraph text, indent text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := '';
	line text := '';
	word text;
BEGIN
	FOREACH word IN ARRAY regexp_split_to_array(btrim(paragraph, E' \n'), '\s+') LOOP
		IF line <> '' AND length(line) + 1 + length(word) > 100 THEN
			result := result || line || E'\n';
			line := indent || word;
		ELSE
			line := line || CASE WHEN line = '' THEN '' ELSE ' ' END || word;
		END IF;
	END LOOP;
	RETURN result || line;
END
$$;

-- An item of a list: a name, what it is, and what is said of it.
CREATE FUNCTION pg_temp.item(name text, what text, comment text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.wrap(format('- `%s`%s: %s.', name, ', ' || what, rtrim(comment, '.')), '  ')
$$;

-- The roles, besides the owner, that have a privilege on an object.
CREATE FUNCTION pg_temp.roles(acl aclitem[], privilege text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('`%s`', grantee::regrole), ', ' ORDER BY grantee::regrole::text)
	FROM aclexplode(acl)
	WHERE privilege_type = privilege AND grantee::regrole::text IN ('anonymous', 'backend', 'customer')
$$;

-- The constraints, indexes, triggers and policies of a table. The long list of characters that no
-- e-mail address has is left out.
CREATE FUNCTION pg_temp.rules(of regclass) RETURNS TABLE (kind int, name name, definition text, comment text)
LANGUAGE sql AS $$
	SELECT 1, conname, regexp_replace(pg_get_constraintdef(oid), '''\[[^'']{60,}\]''', '''[...]'''),
		obj_description(oid, 'pg_constraint')
	FROM pg_constraint WHERE conrelid = of AND contype IN ('c', 'f', 'p', 'u')
	UNION ALL
	SELECT 2, relname, regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX .* USING', '\1INDEX'),
		obj_description(indexrelid, 'pg_class')
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
	WHERE indrelid = of AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = of)
	UNION ALL
	SELECT 3, tgname, regexp_replace(pg_get_triggerdef(oid),
			'^CREATE (CONSTRAINT )?TRIGGER \S+ (.*) ON .* FOR EACH (\w+)( WHEN .*)? EXECUTE .*$',
			'TRIGGER \2, each \3\4'),
		obj_description(oid, 'pg_trigger')
	FROM pg_trigger WHERE tgrelid = of AND NOT tgisinternal
	UNION ALL
	SELECT 4, polname, 'POLICY USING (' || pg_get_expr(polqual, polrelid) || ')', obj_description(oid, 'pg_policy')
	FROM pg_policy WHERE polrelid = of
$$;

-- The columns of a table, view or composite type.
CREATE FUNCTION pg_temp.columns(of regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(pg_temp.item(attname,
			format_type(atttypid, atttypmod)
				|| CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
				|| CASE attgenerated WHEN 's' THEN ' GENERATED' ELSE '' END
				|| CASE attidentity WHEN '' THEN '' ELSE ' IDENTITY' END
				|| coalesce(', ' || CASE WHEN attgenerated = '' THEN 'default ' END
					|| '`' || pg_get_expr(adbin, adrelid) || '`', ''),
			col_description(attrelid, attnum)), E'\n' ORDER BY attnum)
	FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
	WHERE attrelid = of AND attnum > 0 AND NOT attisdropped
$$;

-- What there is to say of functions beyond their comments: what a caller needs to know of the
-- arguments and the result. A note for one of several functions has the number of its arguments, too.
CREATE TABLE pg_temp.notes (name text, note text);
INSERT INTO pg_temp.notes VALUES
('claim_seat', $$The event is `customer_seat.claimed`. A call that repeats a claim with its
`idempotency_key` gets the answer again: see [If the answer is lost](tour.md#if-the-answer-is-lost).
The key has at most 255 characters; an empty one counts as none.$$),
('claim_info', $$For an expired or claimed invitation `can_claim` is false, as it is while the seat
is suspended; for an unknown or revoked one the function raises PT400.$$),
('assign_seat', $$Give exactly one of `subscription_id` and `order_id`, and exactly one of `email`,
`external_customer_id` and `customer_id`. An unknown `email` makes a new customer. `metadata` is a
JSON object of at most 10 keys and 1 KB. With `immediate_claim` the seat is claimed at once: there is
no token and no session, and the event is `customer_seat.claimed` instead of
`customer_seat.assigned`. The row of a revoked seat is reused, with a new id. If too few seats are
free, the call raises the subscription's `seats` up to its `seats_limit`: see [As many as are
needed](number-of-seats.md#as-many-as-are-needed).$$),
('assign_seats', $$Errors name addresses by their place: `["body", "emails", 0]` is the first one.
Malformed addresses are in DETAIL (PT422). If addresses are repeated, have a seat already, or get
none, HINT has one JSON array of all their places. An empty array assigns nothing.$$),
('import_seats', $$Each place of the arrays is a member, with an e-mail address, an external id or
both. Arrays that are given have the same length. The customer of a member is the one with the
external id, whose address stays as it is. If there is none, it is the one with the address, who is
given the external id; if that customer has another one, the member is at fault (PT422). If there is
none either, a customer is made. A `claimed_at` of null is now. The event is
`customer_seat.claimed`, with `"imported": true` in `metadata`. Errors name members by their place,
as those of `assign_seats` do. See [Members from before](number-of-seats.md#members-from-before).$$),
('resend_invitation', $$The old invitation may have expired. The event is
`customer_seat.invitation_resent`.$$),
('revoke_seat', $$The event is `customer_seat.revoked`.$$),
('open_session', $$Earlier sessions stay. No event is recorded. See [Signing in
again](sign-in.md).$$),
('erase_customer', $$Works even if the organization may not use seats. Events stay, without address, user
agent, e-mail address and metadata. See [Erasing a person](house-keeping.md#erasing-a-person).$$),
('revoke_seats', $$Works even if the organization may not use seats, as ending the purchase does.$$),
('set_seats', $$Sets `seats_next` to null, too. `'refuse'` raises 23514, as an UPDATE does; `'revoke'`
revokes as many seats as are too many. Works even if the organization may not use seats. See [More seats, fewer seats](number-of-seats.md).$$),
('has_seat', $$False for null and unknown ids, and if the seat is pending, revoked or suspended. Does
not look at whether the organization may use seats.$$),
('has_seat/1', $$A policy that calls it with a column of the row calls it for each row. `(SELECT
seats.has_seat('...'))` calls it once for a statement, and `product_id = ANY (ARRAY(SELECT id FROM
your_products WHERE seats.has_seat(id)))` once for each of your products. See [Policies on your
tables](adopting.md#policies-on-your-tables).$$),
('create_join_link', $$Give exactly one of `subscription_id` and `order_id`. The token is returned once.
`max_uses` null sets no limit, `email_domains` null allows all addresses. Domains are compared
whatever the case of their ASCII letters; subdomains do not match. See [Join links](join-links.md).$$),
('join_info', $$`can_join` is false if the link has expired or is used up, if no seat is free, or if
the status of the purchase allows no assigning. A revoked link is `join_link_invalid`.$$),
('join_seat', $$The event is `customer_seat.assigned`, with `"invitation": "unsent"` and `join_link_id` in
`metadata`. An unknown address makes a customer. An address that holds a seat gets the same answer;
no use is counted, and nothing changes, except that an expired invitation is renewed. The number of seats is never raised, whatever `seats_limit` is. See [Join
links](join-links.md).$$),
('list_join_links', $$In the order of `created_at` and `id`.$$),
('revoke_join_link', $$Seats that were given by the link stay.$$),
('end_session', $$A malformed token returns false, too.$$),
('authenticate', $$Accepts opaque tokens and JWTs, whatever `seats.session_token_format` is.$$),
('release_expired_seats', $$See [House-keeping](house-keeping.md).$$),
('purge_expired_sessions', $$See [House-keeping](house-keeping.md).$$),
('purge_events', $$See [House-keeping](house-keeping.md).$$),
('stats', $$Members of PostgreSQL's role `pg_monitor` may call it, too. See [What to
watch](operations.md#what-to-watch).$$),
('rotate_jwt_key', $$See [Sessions that are JWTs](http.md#sessions).$$),
('check_session', $$See [Sessions that are JWTs](http.md#sessions).$$),
('postgrest_config', $$See [Sessions that are JWTs](http.md#sessions).$$),
('token_route', $$Null for null. Reads no table. See [Shards](scaling.md#shards).$$),
('organization_route', $$Null for null. Reads no table. See [Shards](scaling.md#shards).$$),
('current_customer_id', $$Row security and the view `my_seats` use it; every role may call it.$$),
('grant_access', $$See [Roles](#roles).$$);

-- Functions that are called; functions for triggers are left out.
CREATE FUNCTION pg_temp.functions(of regnamespace) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format(E'### %s\n\n```\n%s(%s)\nRETURNS %s\n```\n\n%s', proname, oid::regproc,
			CASE WHEN pronargs > 1 THEN E'\n    ' || replace(arguments, ', ', E',\n    ') ELSE arguments END,
			pg_get_function_result(oid),
			pg_temp.wrap(obj_description(oid, 'pg_proc') || '. '
				|| coalesce((SELECT string_agg(note || ' ', '' ORDER BY length(name)) FROM pg_temp.notes
					WHERE name IN (proname, proname || '/' || pronargs) AND of = 'seats'::regnamespace), '')
				|| CASE WHEN proname = 'current_customer_id' THEN ''
					ELSE coalesce('For ' || pg_temp.roles(proacl, 'EXECUTE') || '.', 'For the owner.') END)),
		E'\n\n' ORDER BY proname, oid)
	FROM pg_proc, LATERAL regexp_replace(pg_get_function_arguments(oid), '(NULL|''[\w ]*'')::[a-z ]+(\[\])?', '\1', 'g') AS arguments
	WHERE pronamespace = of AND prorettype <> 'trigger'::regtype
$$;

SELECT $$# Reference

This page is for those who call `seats`. It has every function, error, setting, right, type, view
and table. The [tour](tour.md) shows them at work.

- [Functions](#functions), [Errors](#errors), [Settings](#settings), [Roles](#roles)
- [Functions for PostgREST](#functions-for-postgrest)
- [Types](#types), [Views](#views), [Tables](#tables)

`make docs` writes this page from the catalog and from `docs/reference.sql`.
$$;

SELECT E'## Functions\n\n' || $$All are in the schema `seats`. Arguments with a default can be omitted; use their names:
`assign_seat('...', email => '...')`. Write `SELECT * FROM seats.claim_seat(...)`, not
`(seats.claim_seat(...)).*`, which PostgreSQL evaluates once for each column.

`claim_info`, `join_info`, `list_seats`, `list_join_links`, `get_seat`, `has_seat` and `authenticate`
are STABLE and change nothing.
Functions that write reject read-only transactions (25006) before they look at their arguments.
"For" names the roles that get the right from [`grant_access`](#roles).$$ || E'\n\n' || pg_temp.functions('seats');

\echo
SELECT $$## Errors

SQLSTATE is `PT` and an HTTP status, which PostgREST turns into that status. MESSAGE is one fixed
line. DETAIL is the reason, a word for programs to compare. HINT says what to do. Nothing that a
caller passed enters any of them.

```sql
SELECT seats.claim_seat('seats_inv_...');
```

```text
ERROR:  Invalid, expired, or already claimed token
DETAIL:  seat_already_claimed
HINT:  Sign in. This invitation has already been used to claim the seat.
```

### PT400, claiming: "Invalid, expired, or already claimed token"

- `invitation_invalid`: no such token. It was mistyped, or pasted with a space, quote or bracket
  (the hint says so), or a newer invitation replaced it, or the seat was given to another customer.
  Copy the whole token from the latest invitation, or ask for a new one.
- `invitation_expired`: ask for the invitation to be sent again (`resend_invitation`).
- `seat_already_claimed`: the token was claimed before. Sign in.
- `seat_revoked`: the seat was revoked. Ask for a new seat.
- `seat_suspended`: the subscription is `paused` or `unpaid`. The invitation is good again once it
  is active.

### PT400, other functions

- `no_available_seats` ("No available seats"): all seats that may be assigned, by `seats`,
  `seats_next` and `seats_limit`, are pending or claimed; in `assign_seats` and `import_seats`,
  fewer are free than there are customers, and the hint has the places of those that get none. Buy
  more, revoke some, or leave customers out.
- `seat_already_assigned` ("Seat already assigned to this customer"): the customer has a seat of
  this subscription or order; in `assign_seats` and `import_seats` also if a customer is repeated,
  and the hint has the places of all such customers. If the seat is claimed, there is nothing to do.
  If the invitation was lost or has expired, which the hint says, call `resend_invitation`.
- `subscription_not_active` ("Subscription not active"): its status is none of `trialing`, `active`
  and `past_due`. Renew the subscription.
- `order_not_paid` ("Order not paid"): its status is neither `paid` nor `partially_refunded`. Have
  the order paid.
- `seat_not_pending` ("Seat not pending"): `resend_invitation` of a claimed or revoked seat. A
  claimed seat needs no invitation; for a revoked one, assign a new seat.
- `seat_suspended` ("Seat suspended"): `resend_invitation` or `open_session` while the subscription
  is `paused` or `unpaid`. The seat can be used again once it is active.
- `seat_not_claimed` ("Seat not claimed"): `open_session` of a pending or revoked seat.

### PT400, joining

- `join_link_invalid` ("Invalid join link"): no such token, or the link was revoked, or its
  subscription or order deleted. Ask whoever sent the link for a new one.
- `join_link_expired` ("Join link expired"): the same.
- `join_link_exhausted` ("Join link exhausted"): it was used `max_uses` times. The same.
- `email_domain_not_allowed` ("E-mail domain not allowed"): the address is of none of the link's
  `email_domains`. Use another address.
- `no_available_seats`, `subscription_not_active` and `order_not_paid`, as above, for addresses that
  hold no seat; the latter two for all.

### PT401: "Invalid or expired session token"

- `session_invalid`: no such session. The token was mistyped or pasted with a space, quote or
  bracket (the hint says so), or the session was ended, or its seat was revoked or suspended. Sign
  in again.
- `session_expired`: sign in again.

### PT403: "Seat-based pricing not enabled for organization"

- `seat_based_pricing_not_enabled`: set the organization's `seat_based_pricing_enabled` to true.
  `claim_seat`, `claim_info`, `assign_seat`, `assign_seats`, `import_seats`, `resend_invitation`,
  `revoke_seat`, `list_seats`, `get_seat`, `open_session` and all functions of join links raise it.
  `revoke_seats`, `set_seats`,
  `has_seat` and `erase_customer` do not, and ending a purchase always works.

### PT404

- `subscription_not_found`, `order_not_found`, `customer_not_found`, `seat_not_found`,
  `join_link_not_found` ("Subscription not found", and so on): no row has that id, or it is the id of a subscription given as an order's
  or the reverse, or the customer belongs to another organization. Check the id.

### PT422: "Validation Error"

DETAIL is a JSON array of all faults: `[{"loc": ["body", "invitation_token"], "msg": ..., "type":
...}]`. Correct the arguments that it names. The faults are:

- a token that is null, empty or longer than 255 characters (1,024 for a session that is a JWT), or
  an idempotency key longer than 255;
- both or none of `subscription_id` and `order_id`; not exactly one of `email`,
  `external_customer_id` and `customer_id`; a null id;
- a malformed e-mail address: it has at most 320 characters, one `@` with something on both sides,
  no space, no control or invisible character, and none of `<>()[]\,;:"`;
- metadata that is not an object, has more than 10 keys, or is larger than 1 KB;
- arrays of `import_seats` that differ in length, a member with neither address nor external id, an
  empty external id, a `claimed_at` that is in the future or infinite, or a customer who has the
  address and another external id;
- `seats` of `set_seats` that is null or negative, or another `surplus` than `'refuse'` and
  `'revoke'`;
- `max_uses` below 1, an `expires_in` that is null or not positive, or `email_domains` that is an
  empty array or has an element that is no domain;
- a null or negative `older_than`.

### PostgreSQL's own errors

Failures that are not the caller's mistake keep PostgreSQL's SQLSTATE:

- **25006**: a function that writes was called in a read-only transaction.
- **40001, 40P01, 55P03, 57014**: serialization failure, deadlock, lock timeout, cancel. In
  REPEATABLE READ and SERIALIZABLE the loser of a race gets 40001. Try the transaction again.
- **23514**: `seats` or `seats_next` was set below the number of assigned seats (the message says
  how many), or a customer's `email` is malformed, or another CHECK failed.
- **23505**: a second customer of the organization with the same `email`, or a second customer,
  product, subscription or order of it with the same `external_id`, or another duplicate key.
- **23503**: a product or customer of another organization, or the deletion of a customer who holds
  a seat.
- **42501**: the role may not call the function.

Rarer ones point to a change of the extension's objects;
[Operations](operations.md#what-the-log-says) has their messages:

- **0A000**: TRUNCATE of `customer_seats`.
- **09000**: a trigger or rule that you added prevented or altered a change. Nothing was changed.
- **42703, 42804**: a column of the extension's tables was renamed, dropped or given another type.
- **55000**: all keys for JWT sessions were deleted, or the loaded library does not know the version
  of the extension's objects, or Citus distributes one of its tables.$$;

\echo
LOAD 'seats';
-- What the settings' own descriptions do not say.
CREATE TABLE pg_temp.setting_notes (name text, note text);
INSERT INTO pg_temp.setting_notes VALUES
('seats.customer_session_ttl', 'Using a session does not extend it.'),
('seats.event_sink', 'See [Events](events.md).'),
('seats.session_token_format', 'Sessions that are already open stay valid. See [Sessions that are JWTs](http.md#sessions).'),
('seats.jwt_role', 'ASCII without quotes and backslashes.'),
('seats.direct_access', 'See [Direct access](architecture.md#direct-access); turn it off if you suspect a fault there.');

SELECT $$## Settings

```sql
ALTER DATABASE shop SET seats.invitation_ttl = '3 days';
```

Only a superuser, or a role granted `SET ON PARAMETER`, can change a setting, so callers cannot
extend their own sessions. A change applies to invitations and sessions issued afterwards. `SHOW`
knows the settings once the session has called a function of the extension.

$$ || string_agg(
	pg_temp.wrap(concat_ws(' ', format('- `%s` (default `%s`%s):', s.name, current_setting(s.name),
			'; ' || CASE vartype
				WHEN 'enum' THEN (SELECT string_agg(format('`%s`', e), ', ' ORDER BY n)
					FROM unnest(enumvals) WITH ORDINALITY AS v (e, n))
				WHEN 'bool' THEN '`on`, `off`'
				WHEN 'integer' THEN CASE min_val WHEN '0' THEN '0' ELSE min_val || ' ' || unit END || ' to '
					|| extract(day FROM justify_hours((max_val || ' ' || unit)::interval)) || ' d' END),
		short_desc, extra_desc, note), '  '), E'\n' ORDER BY s.name)
FROM pg_settings AS s LEFT JOIN pg_temp.setting_notes AS n ON n.name = s.name
WHERE s.name LIKE 'seats.%';

\echo
SELECT $$## Roles

Nothing is granted to PUBLIC, except the right to call `current_customer_id`, which a policy needs.
`grant_access` gives up to three existing roles what they need and no more. Call it as the owner of
the extension, as often as you like:

```sql
CREATE ROLE anonymous;
CREATE ROLE backend;
CREATE ROLE customer;
SELECT seats.grant_access(anonymous => 'anonymous', backend => 'backend', customer => 'customer');
```

- **anonymous** claims seats and joins. It is the role of people who have an invitation or a join
  link, and nothing else.
- **backend** is the application. It writes the application's tables and calls all operations, for
  every organization: the application decides who may do what.
- **customer** reads its own seats in `my_seats`: the pending and claimed seats of the customer that
  `sub` in `request.jwt.claims` names, as PostgREST sets it. `has_seat(product_id)` asks about the
  same customer. Give this role only to PostgREST's authenticator or your own backend, since whoever
  can send SQL can set `request.jwt.claims`.
- **pg_monitor** is PostgreSQL's own role for monitoring. CREATE EXTENSION grants it numbers and ids
  of all organizations, and nothing about a customer.

| what | anonymous | backend | customer | `pg_monitor` |
|---|---|---|---|---|
| schema `seats` | use | use | use | use |
| schema `seats_http` | use | use | use | |
| functions `claim_seat`, `claim_info` | call | call | | |
| functions `join_seat`, `join_info` | call | call | | |
| functions `create_join_link`, `list_join_links`, `revoke_join_link` | | call | | |
| functions `assign_seat`, `assign_seats`, `import_seats`, `resend_invitation` | | call | | |
| functions `revoke_seat`, `revoke_seats`, `set_seats`, `list_seats`, `get_seat` | | call | | |
| function `has_seat(product_id, customer_id)` | | call | | |
| function `has_seat(product_id)` | | call | call | |
| functions `open_session`, `erase_customer` | | call | | |
| functions `release_expired_seats`, `purge_expired_sessions`, `purge_events` | | call | | |
| functions `token_route`, `organization_route` | | call | | |
| functions `authenticate`, `end_session` | | call | call | |
| function `stats` | | call | | call |
| functions `seats_http.claim_seat`, `seats_http.get_claim_info` | call | call | | |
| functions `seats_http.assign_seat`, `seats_http.list_seats` | | call | | |
| functions `seats_http.revoke_seat`, `seats_http.resend_invitation` | | call | | |
| functions `seats_http.join_seat`, `seats_http.join_info` | call | call | | |
| functions `seats_http.create_join_link`, `seats_http.list_join_links` | | call | | |
| function `seats_http.revoke_join_link` | | call | | |
| functions `seats_http.portal_list_seats`, `seats_http.portal_assign_seat` | | | call | |
| functions `seats_http.portal_revoke_seat`, `seats_http.portal_resend_invitation` | | | call | |
| functions `seats_http.portal_create_join_link`, `seats_http.portal_list_join_links` | | | call | |
| function `seats_http.portal_revoke_join_link` | | | call | |
| function `check_session` | call | call | call | |
| function `current_customer_id` (PUBLIC's) | call | call | call | call |
| functions `rotate_jwt_key`, `postgrest_config`, `grant_access` | | | | |
| functions `keep_modified_at`, `keep_purchase`, `end_purchase` | | | | |
| functions `seats_changed`, `follow_address` | | | | |
| functions `refuse_truncate`, `refuse_old_library` | | | | |
| tables `organizations`, `products`, `customers` | | read, write | | |
| tables `subscriptions`, `orders` | | read, write | | |
| view `my_seats` | | | read | |
| view `usage` | | read | | read |
| columns of `customer_seats`: `created_at`, `modified_at`, `id`, `status` | | | read its own | |
| columns of `customer_seats`: `subscription_id`, `order_id`, `customer_id` | | | read its own | |
| columns of `customer_seats`: `customer_email`, `seat_metadata` | | | read its own | |
| columns of `customer_seats`: `invitation_token_expires_at` | | | read its own | |
| columns of `customer_seats`: `claimed_at`, `revoked_at` | | | read its own | |
| columns of `customer_seats`: `organization_id`, `expiry_watched`, `suspended_at` | | | | |
| columns of `customer_seats`: `invitation_token_hash`, `claim_key_hash` | | | | |
| tables `customer_sessions`, `join_links`, `events`, `jwt_keys` | | | | |
| sequence `events_id_seq` | | | | |

A test compares this table with the rights in the catalog.

`customer_seats` has row security. If you grant SELECT on columns of it to another role, that role
sees no rows until you add a policy (`CREATE POLICY ... TO that_role USING (true)`).

The functions run with the rights of their owner, the superuser who installed the extension. They
need none of these rights: [let a plain role own the
objects](operations.md#a-plain-role-as-the-owner), above all before you [add
triggers](security.md#owner-and-triggers) to `seats.customers`.$$;

\echo
SELECT E'## Functions for PostgREST\n\n'
	|| pg_temp.wrap(obj_description('seats_http'::regnamespace, 'pg_namespace') || '. [HTTP](http.md) has examples.')
	|| E'\n\n' || pg_temp.functions('seats_http');

\echo
SELECT E'## Types\n\n`to_json` of each composite type has its fields in this order.\n\n' || string_agg(CASE typtype
	WHEN 'e' THEN format(E'### %s\n\n%s\n\nValues: %s.', typname, pg_temp.wrap(obj_description(oid, 'pg_type') || '.'),
		(SELECT string_agg('`' || enumlabel || '`', ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid))
	ELSE format(E'### %s\n\n%s\n\n%s', typname, pg_temp.wrap(obj_description(oid, 'pg_type') || '.'),
		pg_temp.columns(typrelid)) END, E'\n\n' ORDER BY typname)
FROM pg_type
WHERE typnamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace)
	AND (typtype = 'e' OR typtype = 'c' AND (SELECT relkind FROM pg_class WHERE oid = typrelid) = 'c');

\echo
SELECT E'## Views\n\n' || string_agg(
	format(E'### %s\n\n%s\n\n%s', relname, pg_temp.wrap(obj_description(oid, 'pg_class') || '. '
			|| CASE relname WHEN 'usage' THEN $$A SELECT reads the seats of the purchases that it asks for, and
				only if it asks for `pending`, `expired` or `claimed`. Members of `pg_monitor` may read it, too. $$ ELSE '' END
			|| coalesce('For ' || pg_temp.roles(relacl, 'SELECT') || '.', 'For the owner.')),
		pg_temp.columns(oid)),
	E'\n\n' ORDER BY relname)
FROM pg_class
WHERE relnamespace = 'seats'::regnamespace AND relkind = 'v';

\echo
SELECT E'## Tables\n\n' || $$The application writes `organizations`, `products`, `customers`, `subscriptions` and `orders`
with plain SQL. The extension writes the others; read them, and do not write them.$$ || E'\n\n' || string_agg(
	format(E'### %s\n\n%s\n\n%s\n\nConstraints, indexes, triggers and policies:\n\n%s', relname,
		pg_temp.wrap(obj_description(oid, 'pg_class') || '.'), pg_temp.columns(oid),
		(SELECT string_agg(pg_temp.wrap(format('- `%s`: %s. `%s`', name, comment, definition), '  '), E'\n' ORDER BY kind, name)
			FROM pg_temp.rules(pg_class.oid))),
	E'\n\n' ORDER BY oid)
FROM pg_class
WHERE relnamespace = 'seats'::regnamespace AND relkind = 'r';
