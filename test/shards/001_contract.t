# Every function of the contract, its successes and each of its errors, called through the front and on the
# shard itself, gives the same answer field for field, and leaves the same rows.  The calls are made for two
# organizations that are alike, on one shard, for one of them here and for the other there.
use strict;
use warnings;

use FindBin;
use MIME::Base64;
use lib "$FindBin::RealBin/../lib";
use SeatsShards;
use SeatsTest;
use Test::More;

my ($front, @shards) = start_shards(4, 'track_functions = all');
spread(1000, 3);

# The catalogs ---------------------------------------------------------------------------------------------

# What the contract names, and what PostgREST needs beside it.
my @names = qw(assign_seat assign_seats authenticate check_session claim_info claim_seat create_join_link end_session erase_customer
  get_claim_info get_seat grant_access has_seat import_seats join_info join_seat list_join_links list_seats open_session organization_route
  portal_create_join_link portal_list_join_links portal_revoke_join_link purge_events purge_expired_sessions
  release_expired_seats resend_invitation revoke_join_link revoke_seat revoke_seats set_seats token_route);
my $functions = q{
	SELECT p.oid::regproc::text,
		regexp_replace(pg_get_function_arguments(oid), '^organization_id (uuid|text DEFAULT NULL::text),? ?', ''),
		pg_get_function_result(oid), provolatile, proisstrict
	FROM pg_proc AS p
	WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace) AND proname IN ('} . join(q{', '}, @names) . q{')
	ORDER BY 1, 2};
my $types = q{
	SELECT t.oid::regtype::text, obj_description(t.oid) IS NOT NULL, e.enumlabel, a.attnum, a.attname,
		format_type(a.atttypid, a.atttypmod)
	FROM pg_type AS t
	LEFT JOIN pg_enum AS e ON e.enumtypid = t.oid
	LEFT JOIN pg_attribute AS a ON a.attrelid = t.typrelid
	WHERE typnamespace = 'seats'::regnamespace AND typname IN ('seat_status', 'customer_seat', 'customer_seat_claim_response',
		'seat_invitation', 'seat_claim_info', 'seats_list', 'customer_session', 'opened_session', 'my_seats', 'join_link',
		'created_join_link', 'join_info')
	ORDER BY 1, e.enumsortorder, a.attnum};
foreach my $catalog ([ 'functions', $functions ], [ 'types', $types ])
{
	my ($name, $sql) = @$catalog;

	on_shard(0);
	my $expected = query($sql);
	cmp_ok(scalar split(/\n/, $expected), '>', 20, "the extension has $name");
	on_front();
	is(query($sql), $expected, "the front has the same $name");
}
is(
	query(
		q{
		SELECT p.oid::regprocedure FROM pg_proc AS p
		WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace, 'seats_front'::regnamespace)
			AND obj_description(oid, 'pg_proc') IS NULL}
	),
	'',
	'each function of the front has a comment'
);
on_shard(0);
is(
	query(
		q{
		SELECT oid::regprocedure FROM pg_proc
		WHERE pronamespace = 'seats_shard'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL}
	),
	'',
	'each function for fronts has a comment'
);

# The calls ------------------------------------------------------------------------------------------------

# Two organizations of one shard.
on_shard(1);
my ($direct, $proxied) = split /\n/, query('SELECT id FROM seats.organizations ORDER BY id LIMIT 2');
isnt($direct, $proxied, 'there are two organizations of one shard');

# What was given, by a name of ours: the same names for both organizations.
my %given = map { $_ => { org => $_ } } $direct, $proxied;

# Puts ids and tokens into a call.  <org> is the id; <org,> is the argument that only the front has.
sub write_call
{
	my ($template, $organization, $through_front) = @_;
	my $argument = $through_front ? "'$organization', "                    : '';
	my $named    = $through_front ? "organization_id => '$organization', " : '';

	$template =~ s/<org,>/$argument/g;
	$template =~ s/<org=>/$named/g;
	$template =~ s/<(\w+)>/$given{$organization}{$1} or die "nothing is called $1"/ge;
	return $template;
}

# What is different by chance is called by the place where it first comes: so what is equal in one answer is
# equal in the other.
sub normalize
{
	my ($answer) = @_;
	my %names;

	$answer =~
	  s{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|seats_(?:inv|cst|jnl)_\w{55}|eyJ[\w.-]+|\d{4}-\d\d-\d\d[ T][\d:.]+\+00(?::00)?}
		{$names{$&} //= 'value' . keys %names}gex;
	$answer =~ s/Organization \d+|\bo\d+\b/its name/g;
	return $answer;
}

# Makes a call for both organizations and compares.  What it gave is remembered by a name.
my (%seen, %called);

sub same
{
	my ($name, $template, %options) = @_;
	my $role = $options{role} // 'backend';
	my ($expected, $answer) = (
		call_shard(1, $role, write_call($template, $direct, 0)),
		call_front($role, write_call($template, $proxied, 1))
	);

	is(normalize($answer), normalize($expected), $name);
	$seen{ $1 =~ /^PT422/ ? 'PT422' : $1 }++ if $answer =~ /^(PT422|25006|PT\d{3}: [^\n]*\nDETAIL:  \w+)/m;
	$called{$1}++ while $template =~ /(seats(?:_http)?\.\w+)\(/g;
	foreach my $pair ([ $direct, $expected ], [ $proxied, $answer ])
	{
		my ($organization, $output) = @$pair;

		$given{$organization}{"$options{gives}_token"} = $1
		  if $options{gives} && $output =~ /(seats_(?:inv|jnl)_\w+)/;
		$given{$organization}{"$options{gives}_session"} = $1
		  if $options{gives} && $output =~ /(seats_cst_\w+|eyJ[\w.-]+)/;
		$given{$organization}{ $options{gives} } = $1
		  if $options{gives} && $output =~ /"id":\s?"([-0-9a-f]{36})"/;
	}
	return $answer;
}

# Decodes base64url.
sub decode_base64url
{
	my ($text) = @_;

	return decode_base64($text =~ tr{-_}{+/}r);
}

# Changes rows of both organizations.
sub both
{
	my ($sql) = @_;

	on_shard(1);
	query($sql =~ s/<(\w+)>/$given{$_}{$1}/gr) foreach $direct, $proxied;
}

# Success.
like(
	same(
		'assign_seat',
		q{SELECT to_json(seats.assign_seat(<org,>'<org>', email => 'Ann@example.com', metadata => '{"a": {"b": 1}}'))},
		gives => 'ann'
	),
	qr/"status":"pending"/,
	'a seat is assigned'
);
same(
	'assign_seat with all arguments by name',
	q{SELECT to_json(seats.assign_seat(<org=>subscription_id => NULL, order_id => '<org>',
	email => 'bob@example.com', external_customer_id => NULL, customer_id => NULL, metadata => NULL, immediate_claim => true))},
	gives => 'bob'
);
same(
	'assign_seat to a customer',
	q{SELECT to_json(seats.assign_seat(<org,>order_id => '<org>', customer_id => '<org>'))},
	gives => 'payer'
);
same('claim_info', q{SELECT to_json(seats.claim_info('<ann_token>'))}, role => 'anonymous');
like(
	same(
		'claim_seat', q{SELECT to_json(seats.claim_seat('<ann_token>'))},
		role  => 'anonymous',
		gives => 'ann'
	),
	qr/"status":"claimed"/,
	'the seat is claimed'
);
same('claim_info of a claimed seat', q{SELECT * FROM seats.claim_info('<ann_token>')}, role => 'anonymous');
same('authenticate', q{SELECT to_json(seats.authenticate('<ann_session>'))},           role => 'customer');
same(
	'open_session', q{SELECT to_json(seats.open_session(<org,>'<ann>'))},
	gives => 'further'
);
same('authenticate a further session', q{SELECT to_json(seats.authenticate('<further_session>'))},
	role => 'customer');
same('get_seat',                     q{SELECT to_json(seats.get_seat(<org,>'<ann>'))});
same('list_seats of a subscription', q{SELECT to_json(seats.list_seats(<org,>'<org>'))});
same('list_seats of an order',       q{SELECT to_json(seats.list_seats(<org=>order_id => '<org>'))});
same(
	'assign_seats',
	q{SELECT to_json(i) FROM seats.assign_seats(<org,>'<org>', NULL, ARRAY['dan@example.com', 'eve@example.com'],
	metadata => '{"a": 1}') AS i}
);
same('assign_seats of none', q{SELECT count(*) FROM seats.assign_seats(<org,>'<org>', NULL, '{}')});
same(
	'the result as columns', q{SELECT (seat).status, (seat).customer_email, invitation_token FROM
	seats.assign_seat(<org,>order_id => '<org>', email => 'fay@example.com') AS i}, gives => 'fay'
);

# Refusals, in the order of errors.c.
same('invitation_invalid', q{SELECT seats.claim_seat('seats_inv_')}, role => 'anonymous');
same(
	'an unknown token', q{SELECT seats.claim_seat('<payer_token>' || '')},
	role  => 'anonymous',
	gives => 'claimed_payer'
);
same('seat_already_claimed',       q{SELECT seats.claim_seat('<ann_token>')}, role => 'anonymous');
same('no_available_seats',         q{SELECT seats.assign_seat(<org,>'<org>', email => 'gil@example.com')});
same('no_available_seats of many', q{SELECT seats.assign_seats(<org,>'<org>', NULL, '{gil@example.com}')});
same('seat_already_assigned',      q{SELECT seats.assign_seat(<org,>'<org>', email => 'ANN@example.com')});
same('seat_already_assigned of many, with a hint of its own',
	q{SELECT seats.assign_seats(<org,>'<org>', NULL, '{x@example.com,x@example.com}')});
same('seat_not_pending',             q{SELECT seats.resend_invitation(<org,>'<ann>')});
same('revoke_seat',                  q{SELECT to_json(seats.revoke_seat(<org,>'<ann>'))});
same('revoke_seat again',            q{SELECT to_json(seats.revoke_seat(<org,>'<ann>'))});
same('seat_revoked',                 q{SELECT seats.claim_seat('<ann_token>')}, role => 'anonymous');
same('claim_info of a revoked seat', q{SELECT seats.claim_info('<ann_token>')}, role => 'anonymous');
same(
	'session_invalid, its seat being revoked',
	q{SELECT seats.authenticate('<ann_session>')},
	role => 'customer'
);
same('session_invalid of what is no token', q{SELECT seats.authenticate('no token')}, role => 'customer');
same('subscription_not_found',
	q{SELECT seats.assign_seat(<org,>'00000000-0000-4000-8000-000000000000', email => 'a@example.com')});
same('order_not_found', q{SELECT seats.list_seats(<org=>order_id => '00000000-0000-4000-8000-000000000000')});
same('customer_not_found', q{SELECT seats.assign_seat(<org,>'<org>', external_customer_id => 'nobody')});
same('seat_not_found',     q{SELECT seats.get_seat(<org,>'<org>')});
same('seat_not_found to revoke',     q{SELECT seats.revoke_seat(<org,>'<org>')});
same('seat_not_found to send again', q{SELECT seats.resend_invitation(<org,>'<org>')});
same('seat_not_found to sign in',    q{SELECT seats.open_session(<org,>'<org>')});
same('seat_not_claimed, since it is revoked', q{SELECT seats.open_session(<org,>'<ann>')});
same(
	'a seat given again',
	q{SELECT to_json(seats.assign_seat(<org,>'<org>', email => 'hal@example.com'))},
	gives => 'hal'
);
same('seat_not_found of a seat given again', q{SELECT seats.revoke_seat(<org,>'<ann>')});
same('seat_not_claimed', q{SELECT seats.open_session(<org,>'<hal>')});
both(q{UPDATE seats.subscriptions SET status = 'paused' WHERE id = '<org>'});
same('seat_suspended', q{SELECT seats.claim_seat('<hal_token>')}, role => 'anonymous');
same(
	'claim_info of a suspended seat',
	q{SELECT to_json(seats.claim_info('<hal_token>'))},
	role => 'anonymous'
);
same('seat_suspended to send again', q{SELECT seats.resend_invitation(<org,>'<hal>')});
both(q{UPDATE seats.subscriptions SET status = 'active' WHERE id = '<org>'});
same('resend_invitation', q{SELECT to_json(seats.resend_invitation(<org,>'<hal>'))}, gives => 'hal');
both(q{UPDATE seats.customer_seats SET invitation_token_expires_at = clock_timestamp() WHERE id = '<hal>'});
same('invitation_expired', q{SELECT seats.claim_seat('<hal_token>')}, role => 'anonymous');
same(
	'claim_info of an expired invitation',
	q{SELECT to_json(seats.claim_info('<hal_token>'))},
	role => 'anonymous'
);
same(
	'resend_invitation of an expired one',
	q{SELECT to_json(seats.resend_invitation(<org,>'<hal>'))},
	gives => 'hal'
);
same(
	'claim_seat by key', q{SELECT to_json(seats.claim_seat('<hal_token>', 'key'))},
	role  => 'anonymous',
	gives => 'hal'
);
same(
	'claim_seat repeated by key',
	q{SELECT to_json(seats.claim_seat('<hal_token>', idempotency_key => 'key'))},
	role  => 'anonymous',
	gives => 'hal'
);
same('claim_seat with another key', q{SELECT seats.claim_seat('<hal_token>', 'another')},
	role => 'anonymous');
both(q{UPDATE seats.subscriptions SET status = 'unpaid' WHERE id = '<org>'});
same('seat_suspended to sign in', q{SELECT seats.open_session(<org,>'<hal>')});
same('seat_suspended by key', q{SELECT seats.claim_seat('<hal_token>', 'key')}, role => 'anonymous');
same('session_invalid, its seat being suspended', q{SELECT seats.authenticate('<hal_session>')},
	role => 'customer');
both(q{UPDATE seats.subscriptions SET status = 'active' WHERE id = '<org>'});
same('open_session after it', q{SELECT to_json(seats.open_session(<org,>'<hal>'))}, gives => 'hal');
both(q{UPDATE seats.customer_sessions SET expires_at = clock_timestamp() WHERE seat_id = '<hal>'});
same('session_expired', q{SELECT seats.authenticate('<hal_session>')}, role => 'customer');
same('end_session',     q{SELECT seats.end_session('<hal_session>')},  role => 'customer');
same(
	'end_session of none',
	q{SELECT seats.end_session('<hal_session>'), seats.end_session('no token')},
	role => 'customer'
);
same('purge_expired_sessions', q{SELECT seats.purge_expired_sessions()});

# PT422.
same("claim_seat of $_", "SELECT seats.claim_seat($_)", role => 'anonymous')
  foreach "NULL", "''", "repeat('x', 256)", "repeat('\x{fc}', 255)", "'x', repeat('x', 256)",
  "NULL, repeat('x', 256)";
same("claim_info of $_", "SELECT seats.claim_info($_)", role => 'anonymous')
  foreach 'NULL', "''", "repeat('x', 256)";
same("$_ of null", "SELECT seats.$_(NULL)", role => 'customer') foreach 'authenticate', 'end_session';
same("$_ of null", "SELECT seats.$_(<org,>NULL)")
  foreach 'get_seat', 'revoke_seat', 'resend_invitation', 'list_seats', 'revoke_seats', 'open_session',
  'erase_customer';
same('assign_seat of nothing', q{SELECT seats.assign_seat(<org,>NULL)});
same('assign_seat with all that can be wrong',
	q{SELECT seats.assign_seat(<org,>email => 'malformed', external_customer_id => 'x', metadata => '[]')});
same('assign_seats of nulls', q{SELECT seats.assign_seats(<org,>NULL, NULL, NULL)});
same('set_seats of nothing', q{SELECT seats.set_seats(<org,>surplus => 'keep')});
same('set_seats of less than none', q{SELECT seats.set_seats(<org,>'<org>', seats => -1)});
same('import_seats of nothing', q{SELECT seats.import_seats(<org,>NULL)});
same('import_seats with all that can be wrong', q{SELECT seats.import_seats(<org,>'<org>', NULL, '{a,NULL,b@example.com}',
	ARRAY['', NULL, 'x'], '{infinity,NULL,NULL}')});
same('assign_seats to malformed addresses',
	q{SELECT seats.assign_seats(<org,>'<org>', NULL, '{a,b@example.com,c}')});
same('negative intervals', q{SELECT seats.purge_events('-1 day')});
same('a negative interval of another style',
	q{SET IntervalStyle = 'sql_standard'; SELECT seats.release_expired_seats('-1 day -02:00:00')});
same('an interval of null', q{SELECT seats.purge_events(NULL)});

# PT401 and PT400 by routes.
same('token_route', q{SELECT seats.token_route('no token')});

# Over HTTP: the answer, its status, and its header.
my $status = q{SELECT current_setting('response.status', true), nullif(current_setting('response.headers', true), '')};
foreach my $body (
	'{"invitation_token": 1}',
	'{}', '[]',
	'{"invitation_token": "<fay_token>"}',
	'{"invitation_token": "seats_inv_"}'
  )
{
	same(
		"seats_http.claim_seat of $body",
		"BEGIN; SELECT seats_http.claim_seat('$body'::jsonb); $status; COMMIT",
		role => 'anonymous'
	);
	same(
		"seats_http.claim_seat of bytes of $body",
		"BEGIN; SELECT seats_http.claim_seat('$body'::bytea); $status; COMMIT",
		role => 'anonymous'
	);
}
same(
	"seats_http.claim_seat of $_",
	"BEGIN; SELECT seats_http.claim_seat('$_'::bytea); $status; COMMIT",
	role => 'anonymous'
) foreach '{', '', '\x7b22ff', '"\ud800"';
same(
	"seats_http.get_claim_info of $_",
	"BEGIN; SELECT seats_http.get_claim_info('$_'); $status; COMMIT",
	role => 'anonymous'
) foreach '<fay_token>', 'no token', '';
same(
	'seats_http.get_claim_info of none',
	"BEGIN; SELECT seats_http.get_claim_info(); $status; COMMIT",
	role => 'anonymous'
);
my $assign = q{{"organization_id": "<org>", "order_id": "<org>", "email": "%s"}};
both(q{UPDATE seats.orders SET seats = 10 WHERE id = '<org>'});

# One who is erased.
both(
	q{INSERT INTO seats.customers (id, organization_id, email, name)
		VALUES (md5('<org>')::uuid, '<org>', 'ivy@example.com', 'Ivy')}
);
same('assign_seat to one who is erased',
	q{SELECT to_json(seats.assign_seat(<org,>order_id => '<org>', customer_id => md5('<org>')::uuid))});
same('erase_customer', q{SELECT seats.erase_customer(<org,>md5('<org>')::uuid)});
same('customer_not_found to erase', q{SELECT seats.erase_customer(<org,>md5('<org>')::uuid)});

# Members of before, and the number of seats.
my $import = q{SELECT seats.import_seats(<org=>order_id => '<org>', %s)};
is(
	same(
		'import_seats, with a time as people write it',
		"SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kolkata'; " . sprintf $import,
		q{emails => ARRAY[NULL, 'kim@example.com'], external_customer_ids => ARRAY['lee', 'kim'],
			claimed_at => ARRAY['02/03/2020 04:05', NULL::timestamptz]}
	),
	'2',
	'two are imported'
);
same('import_seats of none',         sprintf $import, q{emails => '{}'});
same('import_seats of a member who is repeated', sprintf $import, q{external_customer_ids => '{lee,max,max}'});
same('import_seats of too many',     sprintf $import,
	q{emails => (SELECT array_agg(n || '@example.com') FROM generate_series(1, 9) AS n)});
same('set_seats below what is assigned', q{SELECT seats.set_seats(<org=>order_id => '<org>', seats => 4)});
is(same('set_seats, revoking some', q{SELECT seats.set_seats(<org=>order_id => '<org>', seats => 4, surplus => 'revoke')}),
	'1', 'one is revoked');
is(same('set_seats', q{SELECT seats.set_seats(<org,>NULL, '<org>', 10)}), '0', 'none is revoked');
both(q{UPDATE seats.subscriptions SET seats_next = 3, external_id = 'sub' WHERE id = '<org>'});
same('set_seats of a subscription with a planned number', q{SELECT seats.set_seats(<org,>'<org>', seats => 3)});
both(q{UPDATE seats.subscriptions SET seats_limit = 4 WHERE id = '<org>'});
is(same('import_seats up to the limit', q{SELECT seats.import_seats(<org,>'<org>', emails => '{nan@example.com}')}),
	'1', 'the number of seats grows');
both(q{UPDATE seats.subscriptions SET seats_limit = NULL WHERE id = '<org>'});
is(same("has_seat of $_->[0]", "SELECT seats.has_seat(<org,>$_->[1])"), $_->[2], "$_->[0]: $_->[2]")
  foreach [ 'the payer', "'<org>', '<org>'", 't' ], [ 'nobody', "'<org>', '<ann>'", 'f' ],
  [ 'no product', "'<ann>', '<org>'", 'f' ], [ 'null', "'<org>', NULL", 'f' ],
  [ 'a null product', "NULL, '<org>'", 'f' ];

# Join links.
both(q{UPDATE seats.orders SET seats = 20 WHERE id = '<org>'});
like(
	same('create_join_link', q{SELECT to_json(seats.create_join_link(<org=>order_id => '<org>', max_uses => 2,
		expires_in => '1 mon -1 days +02:03:04', email_domains => '{example.com,"a b"}'))}),
	qr/^PT422: .*"email_domains", 1/s, 'a domain is malformed');
same('create_join_link with a style of intervals',
	q{SET IntervalStyle = 'sql_standard'; SELECT to_json(seats.create_join_link(<org=>order_id => '<org>', max_uses => 2,
		expires_in => '1-1 +3 +2:03:04', email_domains => '{example.com,EXAMPLE.org}'))}, gives => 'link');
same('create_join_link of a subscription', q{SELECT to_json(seats.create_join_link(<org,>'<org>'))}, gives => 'other');
same('create_join_link of nothing', q{SELECT seats.create_join_link(<org,>max_uses => 0, expires_in => NULL, email_domains => '{}')});
same('join_info', q{SELECT to_json(seats.join_info('<link_token>'))}, role => 'anonymous');
is(same("join_seat of $_", "SELECT seats.join_seat('<link_token>', '$_')", role => 'anonymous'), '', "$_ joins")
  foreach 'join1@example.com', 'JOIN1@example.com', 'join2@example.org';
same('join_link_exhausted', q{SELECT seats.join_seat('<link_token>', 'join3@example.org')}, role => 'anonymous');
same('join_info of a link that is used up', q{SELECT * FROM seats.join_info('<link_token>')}, role => 'anonymous');
same('email_domain_not_allowed', q{SELECT seats.join_seat('<link_token>', 'join3@example.net')}, role => 'anonymous');
same('join_seat with all that can be wrong', q{SELECT seats.join_seat('', 'x')}, role => 'anonymous');
same("$_->[0] of $_->[1]", "SELECT seats.$_->[0]($_->[1])", role => 'anonymous')
  foreach [ 'join_seat', q{NULL, NULL} ], [ 'join_info', 'NULL' ], [ 'join_seat', q{'seats_jnl_', 'a@example.com'} ],
  [ 'join_info', q{'<fay_token>'} ], [ 'join_info', q{'no token'} ];
same('list_join_links', q{SELECT to_json(l) FROM seats.list_join_links(<org=>order_id => '<org>') AS l});
same('list_join_links of nothing', q{SELECT seats.list_join_links(<org,>NULL)});
same('revoke_join_link', q{SELECT to_json(seats.revoke_join_link(<org,>'<link>'))}) foreach 1, 2;
same('join_link_not_found', q{SELECT seats.revoke_join_link(<org,>'<org>')});
same('revoke_join_link of null', q{SELECT seats.revoke_join_link(<org,>NULL)});
same("join_link_invalid, since it is revoked: $_", "SELECT seats.$_", role => 'anonymous')
  foreach q{join_info('<link_token>')}, q{join_seat('<link_token>', 'join1@example.com')};
both(q{UPDATE seats.join_links SET expires_at = clock_timestamp() WHERE id = '<other>'});
same('join_link_expired', q{SELECT seats.join_seat('<other_token>', 'join3@example.com')}, role => 'anonymous');
foreach my $type ('jsonb', 'bytea')
{
	same(
		"seats_http.create_join_link of $type: $_",
		"BEGIN; SELECT seats_http.create_join_link('{\"organization_id\": \"<org>\", \"order_id\": \"<org>\", $_}'::$type); $status; COMMIT",
		gives => "link_$type"
	) foreach '"max_uses": 0, "email_domains": [1], "expires_in": "x"', '"expires_in": 60, "email_domains": null';
	same(
		"seats_http.join_seat of $type and $_",
		"BEGIN; SELECT seats_http.join_seat('{\"join_token\": \"<link_${type}_token>\", \"email\": \"$_\"}'::$type); $status; COMMIT",
		role => 'anonymous'
	) foreach 'x', "$type-joins\@example.com", 'join1@example.com';
	same("seats_http.join_seat of $type without a token", "BEGIN; SELECT seats_http.join_seat('{}'::$type); $status; COMMIT",
		role => 'anonymous');
}
same("seats_http.join_seat of no JSON", "BEGIN; SELECT seats_http.join_seat('{'::bytea); $status; COMMIT", role => 'anonymous');
same("seats_http.join_info of $_", "BEGIN; SELECT seats_http.join_info($_); $status; COMMIT", role => 'anonymous')
  foreach q{'<link_jsonb_token>'}, q{'<link_token>'}, q{'no token'}, '';
same("seats_http.list_join_links: $_", "BEGIN; SELECT seats_http.list_join_links(<org=>$_); $status; COMMIT")
  foreach "order_id => '<org>'", "subscription_id => 'x'";
same("seats_http.revoke_join_link of $_", "BEGIN; SELECT seats_http.revoke_join_link(<org=>link_id => $_); $status; COMMIT")
  foreach q{'<link_jsonb>'}, q{'x'}, q{'<org>'}, 'NULL';

foreach my $type ('jsonb', 'bytea')
{
	same(
		"seats_http.assign_seat of $type and email $_",
		"BEGIN; SELECT seats_http.assign_seat('" . sprintf($assign, $_) . "'::$type); $status; COMMIT",
		gives => "http_$type"
	) foreach 'a', "$type\@example.com", "$type\@example.com";
}
my ($list, $one) = (
	"BEGIN; SELECT seats_http.list_seats(<org=>%s); $status; COMMIT",
	"BEGIN; SELECT seats_http.%s(<org=>seat_id => '%s'); $status; COMMIT"
);
same("seats_http.list_seats: $_", sprintf $list, $_)
  foreach "order_id => '<org>'", "order_id => 'x'", "order_id => NULL",
  "subscription_id => '00000000-0000-4000-8000-000000000000'";
same("seats_http.$_",      sprintf $one, $_, '<http_jsonb>') foreach 'resend_invitation', 'revoke_seat';
same("seats_http.$_ of x", sprintf $one, $_, 'x')            foreach 'resend_invitation', 'revoke_seat';
same("seats_http.$_ of a seat that is not there", sprintf $one, $_, '<org>')
  foreach 'resend_invitation', 'revoke_seat';

# 25006, before anything else.
same("$_ in a read-only transaction", "BEGIN READ ONLY; SELECT $_")
  foreach "seats.claim_seat(NULL)", "seats.assign_seat(<org,>NULL)",
  "seats.assign_seats(<org,>NULL, NULL, NULL)",
  "seats.resend_invitation(<org,>NULL)", "seats.revoke_seat(<org,>NULL)", "seats.revoke_seats(<org,>NULL)",
  "seats.open_session(<org,>NULL)", "seats.erase_customer(<org,>NULL)",
  "seats.import_seats(<org,>NULL)", "seats.set_seats(<org,>NULL)",
  "seats.create_join_link(<org,>NULL)", "seats.join_seat(NULL, NULL)", "seats.revoke_join_link(<org,>NULL)",
  "seats.end_session(NULL)",
  "seats.release_expired_seats()", "seats.purge_expired_sessions()", "seats.purge_events('0')",
  "seats_http.claim_seat('{}'::jsonb)";
same("$_ in a read-only transaction", "BEGIN READ ONLY; SELECT $_; COMMIT")
  foreach "to_json(seats.list_seats(<org=>order_id => '<org>'))", "seats.claim_info('<fay_token>')",
  "seats.has_seat(<org,>'<org>', '<org>')",
  "seats.join_info('<link_bytea_token>')", "to_json(seats.list_join_links(<org=>order_id => '<org>'))",
  "seats_http.get_claim_info('<fay_token>')";

# PostgREST's settings: the header with the key, and what goes into events.
my $headers =
  q{SELECT set_config('request.headers', '{"idempotency-key": "%s", "x-forwarded-for": "192.0.2.7", "user-agent": "test"}', true) IS NULL};
same(
	'claim_seat by header',
	sprintf("BEGIN; $headers; SELECT to_json(seats.claim_seat('<http_bytea_token>')); COMMIT", 'k1'),
	role => 'anonymous'
);
same(
	'claim_seat repeated by header',
	sprintf("BEGIN; $headers; SELECT to_json(seats.claim_seat('<http_bytea_token>')); COMMIT", 'k1'),
	role => 'anonymous'
);
same(
	'claim_seat with another header',
	sprintf("BEGIN; $headers; SELECT seats.claim_seat('<http_bytea_token>'); COMMIT", 'k2'),
	role => 'anonymous'
);
same(
	'claim_seat without a header, in the same session',
	sprintf("BEGIN; $headers; COMMIT; SELECT seats.claim_seat('<http_bytea_token>')", 'k1'),
	role => 'anonymous'
);
my $events =
  q{SELECT type, metadata FROM seats.events WHERE organization_id = '%s' AND metadata ? 'address' ORDER BY id};
on_shard(1);
is(
	query(sprintf $events, $proxied),
	'customer_seat.claimed|{"role": "anonymous", "address": "192.0.2.7", '
	  . "\"order_id\": \"$proxied\", \"user_agent\": \"test\"}",
	'the event has role, address and user agent'
);

# A customer's own seats, by the claims of the JWT.
my $claims = q{SELECT set_config('request.jwt.claims', '{"sub": "<org>", "org": "<org>"}', true) IS NULL};
same('my_seats', "BEGIN; $claims; SELECT to_json(m) FROM seats.my_seats AS m; COMMIT", role => 'customer');
on_front();
like(
	call_front(
		'customer', write_call("BEGIN; $claims; SELECT count(*) FROM seats.my_seats; COMMIT", $proxied, 1)
	),
	qr/^1$/m,
	'the payer has a seat'
);
foreach my $product ([ q{'<org>'}, 't' ], [ q{'<ann>'}, 'f' ], [ 'NULL', 'f' ])
{
	my ($id, $held) = @$product;

	is(same("has_seat by the JWT, of $id", "BEGIN; $claims \\g /dev/null\nSELECT seats.has_seat($id); COMMIT", role => 'customer'),
		$held, "the payer has a seat of $id: $held");
}
same('has_seat without a JWT', q{SELECT seats.has_seat('<org>')}, role => 'customer');
same('customers may not ask about others', q{SELECT seats.has_seat(<org,>'<org>', '<org>')}, role => 'customer');
is(
	call_front('customer', "BEGIN; SELECT set_config('request.jwt.claims', '{\"sub\": \"$proxied\"}', true) IS NULL; SELECT seats.has_seat('$proxied')"),
	"f\nf",
	'a JWT that names no organization has no seat'
);
on_front();
is(query(q{SELECT proargnames::text FROM pg_proc WHERE oid::regproc::text = 'seats.has_seat' AND has_function_privilege('customer', oid, 'EXECUTE')}),
	'{product_id}', 'and the front itself lets customers ask about themselves alone');
is(call_front('backend', "SELECT seats.has_seat(NULL, '$proxied', '$proxied')"), 'f', 'nor has anybody of no organization');
# The customer who pays, by the same claims.
foreach my $type ('jsonb', 'bytea')
{
	same(
		"seats_http.portal_create_join_link of $type",
		"BEGIN; $claims; SELECT seats_http.portal_create_join_link('{\"order_id\": \"<org>\", \"max_uses\": 3}'::$type); $status; COMMIT",
		role => 'customer', gives => "portal_link_$type"
	);
	same(
		"seats_http.portal_assign_seat of $type",
		"BEGIN; $claims; SELECT seats_http.portal_assign_seat('{\"order_id\": \"<org>\", \"email\": \"portal-$type\@example.com\"}'::$type); $status; COMMIT",
		role => 'customer', gives => "portal_$type"
	);
}
same("seats_http.portal_$_", "BEGIN; $claims; SELECT seats_http.portal_$_('<portal_jsonb>'); $status; COMMIT", role => 'customer')
  foreach 'resend_invitation', 'revoke_seat';
same("seats_http.portal_revoke_join_link of $_", "BEGIN; $claims; SELECT seats_http.portal_revoke_join_link('$_'); $status; COMMIT", role => 'customer')
  foreach '<portal_link_jsonb>', '<org>';
same("seats_http.portal_list_$_", "BEGIN; $claims; SELECT seats_http.portal_list_$_(order_id => '<org>'); $status; COMMIT",
	role => 'customer') foreach 'seats', 'join_links';
same("seats_http.portal_$_ of nobody", "BEGIN; SELECT seats_http.portal_$_; $status; COMMIT", role => 'customer')
  foreach "list_seats(order_id => '<org>')", "revoke_seat('<portal_bytea>')", "list_join_links(order_id => '<org>')",
  "revoke_join_link('<portal_link_bytea>')", "create_join_link('{}'::jsonb)";

is(call_front('customer', 'SELECT count(*) FROM seats.my_seats'), '0', 'who is nobody has none');
same(
	'my_seats of nobody',
	q{BEGIN; SELECT set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-000000000000", "org": "<org>"}', true);
	SELECT * FROM seats.my_seats; COMMIT}, role => 'customer'
);
same('check_session without a JWT', 'SELECT seats.check_session()', role => 'anonymous');
same(
	'check_session of a JWT that is of no session', q{BEGIN; SELECT set_config('request.jwt.claims',
	'{"sub": "<org>", "org": "<org>", "seat": "<ann>"}', true); SELECT seats.check_session()}, role => 'customer'
);
same(
	"check_session of the application's JWT",
	"BEGIN; $claims; SELECT seats.check_session(); COMMIT",
	role => 'customer'
);

# Sessions that are JWTs, and what PostgREST makes of one.
on_shard(1);
query(q{ALTER ROLE anonymous SET seats.session_token_format = 'jwt'});
call_front('backend', write_call("SELECT seats.purge_events('1 year')", $proxied, 1));
both(q{UPDATE seats.orders SET seats = 20 WHERE id = '<org>'});
same(
	'assign_seat for a JWT',
	q{SELECT to_json(seats.assign_seat(<org,>order_id => '<org>', email => 'jwt@example.com'))},
	gives => 'jwt'
);
same(
	'claim_seat with a JWT', q{SELECT to_json(seats.claim_seat('<jwt_token>'))},
	role  => 'anonymous',
	gives => 'jwt'
);
like($given{$proxied}{jwt_session}, qr/^eyJ/, 'the session is a JWT');
same('authenticate a JWT', q{SELECT to_json(seats.authenticate('<jwt_session>'))}, role => 'customer');
$given{$_}{jwt_claims} = decode_base64url((split /\./, $given{$_}{jwt_session})[1]) foreach $direct, $proxied;
my $request =
  q{BEGIN; SELECT set_config('request.jwt.claims', '<jwt_claims>', true) IS NULL; SELECT seats.check_session()};
same(
	'check_session of a JWT',
	"$request; SELECT status, customer_email FROM seats.my_seats",
	role => 'customer'
);
like(call_front('customer', write_call("$request; SELECT count(*) FROM seats.my_seats", $proxied, 1)),
	qr/^1$/m, 'who sees the seat');
same('end_session of a JWT', q{SELECT seats.end_session('<jwt_session>')}, role => 'customer');
same('check_session of a JWT that was ended', $request,                    role => 'customer');
on_shard(1);
query(q{ALTER ROLE anonymous RESET seats.session_token_format});

# Rights.
same("anonymous may not: $_", "SELECT $_", role => 'anonymous')
  foreach "seats.assign_seat(<org,>NULL)", "seats.list_seats(<org,>NULL)", "seats.authenticate('x')",
  "seats.purge_expired_sessions()",
  "seats_http.list_seats()";
same("customer may not: $_", "SELECT $_", role => 'customer')
  foreach "seats.claim_seat('x')", "seats.get_seat(<org,>NULL)";

# Where organizations may not use seats, and what is not paid for.
same('release_expired_seats', q{SELECT seats.release_expired_seats()});
both(
	q{UPDATE seats.subscriptions SET status = 'incomplete' WHERE id = '<org>'; UPDATE seats.orders SET status = 'pending' WHERE id = '<org>'}
);
same('subscription_not_active', q{SELECT seats.assign_seat(<org,>'<org>', email => 'z@example.com')});
same('order_not_paid', q{SELECT seats.assign_seat(<org,>order_id => '<org>', email => 'z@example.com')});
both(q{UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = '<org>'});
same('PT403: claim_info', q{SELECT seats.claim_info('<fay_token>')}, role => 'anonymous');
same("PT403: $_", "SELECT seats.$_")
  foreach "assign_seat(<org,>'<org>', email => 'z\@example.com')", "list_seats(<org,>'<org>')",
  "get_seat(<org,>'<hal>')", "join_info('<link_bytea_token>')", "join_seat('<link_bytea_token>', 'z\@example.com')",
  "list_join_links(<org,>'<org>')", "create_join_link(<org,>'<org>')", "revoke_join_link(<org,>'<link_bytea>')";
same('revoke_seats',
	q{SELECT seats.revoke_seats(<org,>'<org>'), seats.revoke_seats(<org=>order_id => '<org>')});
same('purge_events of the last year', q{SELECT seats.purge_events('1 year')});

# All of it was there --------------------------------------------------------------------------------------

is(
	join(' ', sort keys %{ { map { /DETAIL:  (\w+)/ ? ($1 => 1) : ($_ => 1) } keys %seen } }),
	'25006 PT422 customer_not_found email_domain_not_allowed invitation_expired invitation_invalid join_link_exhausted join_link_expired '
	  . 'join_link_invalid join_link_not_found no_available_seats order_not_found order_not_paid '
	  . 'seat_already_assigned seat_already_claimed seat_based_pricing_not_enabled seat_not_claimed seat_not_found '
	  . 'seat_not_pending seat_revoked seat_suspended session_expired session_invalid subscription_not_active subscription_not_found',
	'every error of the contract was among these'
);
on_front();
is(
	query(
		q{SELECT DISTINCT oid::regproc::text FROM pg_proc WHERE pronamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace)
		AND proname NOT IN ('grant_access', 'organization_route') ORDER BY 1}
	),
	join("\n", sort keys %called),
	'and every function'
);
like(
	call_front('backend', "SELECT seats.get_seat(NULL, '$direct')"),
	qr/^PT422: Validation Error\nDETAIL:  \[\{"loc": \["body", "organization_id"\]/,
	'no organization is PT422'
);
is(
	call_front('backend', "SELECT seats.organization_route('$direct')"),
	call_shard(1, 'backend', "SELECT seats.organization_route('$direct')"),
	'organization_route'
);

# What they left, without what is random, as ids are, by which seats of a purchase are suspended and revoked.
my $rows = q{
	SELECT status, customer_email, CASE WHEN claimed_at < created_at THEN claimed_at END, seat_metadata, claim_key_hash IS NULL, invitation_token_hash IS NULL, s.modified_at IS NULL, suspended_at, subscription_id IS NULL
		FROM seats.customer_seats AS s WHERE organization_id = '<org>' ORDER BY created_at, customer_email;
	SELECT type, replace((metadata - 'join_link_id')::text, '<org>', 'its own'), metadata ? 'join_link_id', (seat).status, (seat).customer_email, (seat).seat_metadata
		FROM seats.events WHERE organization_id = '<org>' ORDER BY occurred_at, 1, 2, 3, 4, 5;
	SELECT count(*) FROM seats.customer_sessions WHERE organization_id = '<org>';
	SELECT email, external_id, name FROM seats.customers WHERE organization_id = '<org>' ORDER BY created_at;
	SELECT subscription_id IS NULL, max_uses, uses, email_domains, revoked_at IS NULL FROM seats.join_links WHERE organization_id = '<org>' ORDER BY created_at;
	SELECT assigned_seats, seats, seats_next, seats_limit, external_id FROM seats.subscriptions WHERE id = '<org>';
	SELECT assigned_seats, seats FROM seats.orders WHERE id = '<org>'};
on_shard(1);
is(query($rows =~ s/<org>/$proxied/gr), query($rows =~ s/<org>/$direct/gr), 'and the same rows are left');

done_testing();
