# Columns that the owner of the tables has altered.  Each column of each table is renamed, retyped,
# dropped, dropped and added again, and replaced by a generated one.  After each alteration
# everything is called that the extension has, in a session that has called it before and in a new
# one, with direct access on and off.  A call does the same as before the alteration, or raises 42703 or
# 42804, names the column and changes nothing.
#
# An alteration and the calls after it are one transaction, which is rolled back, and each call is
# a subtransaction of it.  So the records that the calls find are always the same.
#
# By default each column is altered in the ways that are most likely to go unnoticed, each of them once: in a session
# that is warm or new, with direct access on or off, in turn.
#
#   ALTERATIONS='customers.email to'    of all alterations those whose names match this regular expression ('.': all,
#                                       as ci/test-long does), in both kinds of session, with direct access on
#                                       and off; each result that is wrong is shown beside the right one
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use MIME::Base64 qw(decode_base64url);
use PostgreSQL::Test::Utils;
use SeatsTest;
use Test::More;
use Time::HiRes qw(time usleep);

# Claims can be repeated, and sessions last, until all is done.
my $node = start_node('columns', q{
	seats.claim_retry_window = '1d'
	seats.customer_session_ttl = '1d'
	autovacuum = off
	wal_level = logical
	restart_after_crash = on
	timezone = 'UTC'
});

# The records ----------------------------------------------------------------------------------------

# Each row of the application's has an id and a created_at of its own, by its number here.
my @rows = qw(acme beta editor writer payer ada free lone beta_payer main roomy full idle over beta_main paid unpaid halted
  growing planned);
my %number = map { $rows[$_] => $_ + 1 } 0 .. $#rows;

sub id
{
	my ($row) = @_;

	return sprintf '00000000-0000-4000-8000-%012d', $number{$row} // die "no row is called $row";
}

sub created_at
{
	my ($row) = @_;

	return sprintf '2001-01-01 00:00:%02d+00', $number{$row};
}

# Two organizations, of which "beta" may not use seats in the end; subscriptions and orders in all
# states, and seats in all states.  What the calls need is in the table "known".
sub create_records
{
	my $purchase = sub {
		my ($table, $row, $seats, $status, %more) = @_;
		my $organization = delete $more{organization};
		my ($of, $product, $payer) =
		  $organization ? qw(beta writer beta_payer) : qw(acme editor payer);
		my @names = sort keys %more;

		return "INSERT INTO seats.$table ("
		  . join(', ', qw(id created_at organization_id product_id customer_id seats status external_id), @names)
		  . ') VALUES ('
		  . join(', ', map { "'$_'" } id($row), created_at($row), id($of), id($product), id($payer), $seats, $status, $row, @more{@names})
		  . ');';
	};
	my $other = sub {
		my ($table, $row, %columns) = @_;
		my @names = sort keys %columns;

		return "INSERT INTO seats.$table (" . join(', ', 'id', 'created_at', @names) . ') VALUES ('
		  . join(', ', map { "'$_'" } id($row), created_at($row), @columns{@names}) . ');';
	};

	query(join "\n",
		'SET client_min_messages = warning; CREATE EXTENSION seats CASCADE; CREATE EXTENSION citext;',
		q{CREATE ROLE customer; SELECT seats.grant_access(customer => 'customer');},
		$other->('organizations', 'acme', name => 'Acme', slug => 'acme', seat_based_pricing_enabled => 't', invitation_ttl => '2 days'),
		$other->('organizations', 'beta', name => 'Beta', slug => 'beta', seat_based_pricing_enabled => 't'),
		$other->('products', 'editor', organization_id => id('acme'), name => 'Editor', external_id => 'editor'),
		$other->('products', 'writer', organization_id => id('beta'), name => 'Writer'),
		$other->('customers', 'payer', organization_id => id('acme'), name => 'Payer', external_id => 'payer'),
		$other->('customers', 'ada', organization_id => id('acme'), name => 'Ada', email => 'Ada@example.com', external_id => 'ada'),
		$other->('customers', 'free', organization_id => id('acme'), name => 'Free', email => 'Free@example.com', external_id => 'free'),
		$other->('customers', 'lone', organization_id => id('acme'), name => 'Lone', email => 'lone@example.com'),
		$other->('customers', 'beta_payer', organization_id => id('beta'), name => 'Payer'),
		$purchase->('subscriptions', 'main', 9, 'active'),
		$purchase->('subscriptions', 'roomy', 5, 'trialing'),
		$purchase->('subscriptions', 'full', 1, 'active'),
		$purchase->('subscriptions', 'idle', 3, 'active'),
		$purchase->('subscriptions', 'over', 3, 'canceled'),
		$purchase->('subscriptions', 'halted', 3, 'active'),
		$purchase->('subscriptions', 'beta_main', 3, 'active', organization => 'beta'),
		$purchase->('subscriptions', 'growing', 1, 'active', seats_limit => 3),
		$purchase->('subscriptions', 'planned', 4, 'active', seats_limit => 9, seats_next => 2),
		$purchase->('orders', 'paid', 4, 'paid'),
		$purchase->('orders', 'unpaid', 4, 'pending'),
		q{
		CREATE TABLE known (name text PRIMARY KEY, seat uuid, token text, session text);
		CREATE PROCEDURE give(name text, purchase uuid, email text) LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO known SELECT give.name, (a.seat).id, a.invitation_token
				FROM seats.assign_seat(
					CASE WHEN EXISTS (SELECT FROM seats.subscriptions WHERE id = purchase) THEN purchase END,
					CASE WHEN EXISTS (SELECT FROM seats.orders WHERE id = purchase) THEN purchase END,
					email => give.email) AS a;
		END $$;
		CREATE PROCEDURE claim(name text, key text DEFAULT NULL) LANGUAGE plpgsql AS $$
		BEGIN
			UPDATE known SET session = (seats.claim_seat(token, key)).customer_session_token
				WHERE known.name = claim.name;
		END $$;
		},
		(map { "CALL give('$_->[0]', '" . id($_->[1]) . "', '$_->[2]\@example.com');" }
			[ pending => 'main', 'Ada' ],        [ expired => 'main', 'eve' ],
			[ claimed => 'main', 'cyd' ],        [ retried => 'main', 'rob' ],
			[ jwt => 'main', 'joe' ],            [ ended => 'main', 'end' ],
			[ last => 'full', 'bob' ],           [ order_pending => 'paid', 'Ada' ],
			[ order_claimed => 'paid', 'cyd' ],  [ order_revoked => 'paid', 'rex' ],
			[ off => 'beta_main', 'zoe' ],       [ off_claimed => 'beta_main', 'zac' ],
			[ revoked => 'main', 'rex' ],        [ moved => 'idle', 'mia' ],
			[ halted => 'halted', 'hal' ],       [ halted_claimed => 'halted', 'han' ],
			[ grown => 'growing', 'gus' ],       [ kept => 'planned', 'kai' ]),
		q{
		CALL claim('claimed'); CALL claim('order_claimed'); CALL claim('last'); CALL claim('off_claimed');
		CALL claim('halted_claimed');
		CALL claim('retried', 'key');
		SET seats.session_token_format = 'jwt';
		CALL claim('jwt'); CALL claim('ended');
		RESET seats.session_token_format;
		SELECT seats.end_session(session) FROM known WHERE name = 'ended';
		SELECT seats.revoke_seat(seat) FROM known WHERE name IN ('revoked', 'order_revoked');
		INSERT INTO known SELECT 'stale', seat, token FROM known WHERE name = 'moved';
		SELECT seats.resend_invitation(seat) FROM known WHERE name = 'moved';

		UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 day'
			WHERE id = (SELECT seat FROM known WHERE name = 'expired');
		UPDATE seats.customer_seats SET claim_key_hash = NULL WHERE false;
		UPDATE seats.customer_sessions SET expires_at = now() - interval '1 day'
			WHERE seat_id = (SELECT seat FROM known WHERE name = 'last');
		UPDATE seats.customer_seats AS s SET created_at = timestamptz '2002-01-01 00:00Z' + n * interval '1 second'
			FROM (SELECT row_number() OVER (ORDER BY name) AS n, seat FROM known WHERE name <> 'stale') AS k
			WHERE s.id = k.seat;
		},
		"INSERT INTO known SELECT 'link', (l.link).id, l.join_token FROM seats.create_join_link('" . id('main')
		  . "', max_uses => 3, email_domains => '{example.com}') AS l;",
		"INSERT INTO known SELECT 'order_link', (l.link).id, l.join_token FROM seats.create_join_link(order_id => '" . id('paid') . "') AS l;",
		"INSERT INTO known SELECT 'full_link', (l.link).id, l.join_token FROM seats.create_join_link('" . id('full') . "') AS l;",
		"UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = '" . id('beta') . "';",
		"UPDATE seats.subscriptions SET status = 'paused', modified_at = NULL WHERE id = '" . id('halted') . "';",
		'UPDATE seats.subscriptions SET modified_at = NULL;',
		q{UPDATE seats.organizations SET modified_at = NULL;},
		q{SELECT seats.rotate_jwt_key();});
}

create_records();

my %known;
foreach (split /\n/, query('SELECT name, seat, token, session, created_at, customer_id FROM known LEFT JOIN seats.customer_seats ON id = seat'))
{
	my ($name, @values) = split /\|/;
	@{ $known{$name} }{qw(seat token session created_at holder)} = @values;
}
my %given = map { $_ => 1 } query(q{
	SELECT string_agg(m[1], ' ') FROM (
		SELECT regexp_matches(query_to_xml('SELECT * FROM seats.' || tablename, false, false, '')::text,
			'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'g') FROM pg_tables WHERE schemaname = 'seats') AS r (m)
	}) =~ /\S+/g;

# The alterations --------------------------------------------------------------------------------------

# Each has a table, a column and what becomes of it:
#   name      the column's name from then on, undefined if it is gone
#   writable  whether a value can be written to it
#   masked    its values are others, or none; else they are to stay the same
#   empty     its rows are null, or hold a default: the values are lost
#   sql       statements between which nobody looks; DETACH and ATTACH stand for the objects that depend on it
my @alterations = ({ label => 'nothing', table => '', column => '', sql => '', writable => 1 });

# How a type is converted: to what, by which expression ("*" is the column), and whether it then
# looks different.  First comes the type that is most easily taken for the column's own.
my %targets = (
	uuid => [ [ 'text', '*::text' ], [ 'varchar', '*::varchar' ], [ 'a_uuid', '*' ] ],
	text => [ [ 'varchar', '*' ], [ 'varchar(200)', '*' ], [ 'a_text', '*' ], [ 'citext', '*::citext' ] ],
	'text[]' => [ [ 'varchar[]', '*::varchar[]' ], [ 'text', '*::text', 1 ], [ 'jsonb', 'to_jsonb(*)' ] ],
	integer => [ [ 'bigint', '*' ], [ 'text', '*::text' ], [ 'numeric', '*' ], [ 'smallint', '*' ], [ 'an_integer', '*' ] ],
	bigint  => [ [ 'integer', '*' ], [ 'text', '*::text' ], [ 'a_bigint', '*' ] ],
	boolean => [ [ 'text', '*::text', 1 ], [ 'integer', '*::integer', 1 ], [ 'a_boolean', '*' ] ],
	'timestamp with time zone' => [ [ 'timestamp', '*' ], [ 'text', '*::text', 1 ], [ 'timestamptz(6)', '*' ], [ 'a_timestamptz', '*' ] ],
	interval => [ [ 'integer', 'extract(epoch from *)::integer', 1 ], [ 'text', '*::text' ], [ 'an_interval', '*' ] ],
	jsonb => [ [ 'json', '*::json' ], [ 'text', '*::text' ], [ 'a_jsonb', '*' ] ],
	bytea => [ [ 'text', q{encode(*, 'hex')}, 1 ], [ 'a_bytea', '*' ] ],
	'seats.seat_status' => [ [ 'text', '*::text' ], [ 'another_status', '*::text::another_status' ], [ 'a_status', '*' ] ],
	'seats.customer_seat' => [ [ 'text', '*::text' ], [ 'another_seat', '*::text::another_seat' ], [ 'a_seat', '*' ] ],
);
my %empty = (
	uuid => q{'ffffffff-ffff-4fff-8fff-ffffffffffff'},
	text => q{'x'}, 'text[]' => q{'{x}'}, integer => 0, bigint => 0, boolean => 'false', interval => q{interval '1 hour'},
	'timestamp with time zone' => 'now()', jsonb => q{'{}'}, bytea => q{'\x00'}, 'seats.seat_status' => q{'pending'},
	'seats.customer_seat' => 'ROW(' . join(', ', ('NULL') x 12) . ')::seats.customer_seat',
);

# Adds an alteration of a column; it is made only where ALTERATIONS is set unless it is "common".
sub add
{
	my ($what, $now, %more) = @_;
	my $label = "$what->{table}.$what->{column} $now";

	return if $ENV{ALTERATIONS} ? $label !~ /$ENV{ALTERATIONS}/ : !$more{common};
	push @alterations, { %$what, writable => 1, name => $what->{column}, %more, label => $label, turn => $what->{turn}++ };
}

# Adds all alterations of a column.
sub alter_column
{
	my ($what, $type, $default, $not_null, $identity) = @_;
	my ($table, $column) = @$what{qw(table column)};
	my $alter = "ALTER TABLE seats.$table";
	my $as_before = $identity ? "ALTER $column SET NOT NULL, ALTER $column ADD GENERATED ALWAYS AS IDENTITY (START 1000)"
	  : join ', ', "ALTER $column SET STATISTICS -1", $default ? "ALTER $column SET DEFAULT $default" : (),
		$not_null ? "ALTER $column SET NOT NULL" : ();
	my $copy = "$alter ADD copy $type; $alter ALTER copy TYPE $type USING $column;";

	add($what, 'renamed', common => 1, name => 'renamed', sql => "$alter RENAME $column TO renamed;");
	foreach (@{ $targets{$type} // die "$table.$column is of type $type" })
	{
		my ($to, $using, $masked) = @$_;
		$using =~ s/\*/$column/;
		my $drop = $identity && $to ne 'integer' ? "$alter ALTER $column DROP IDENTITY; CREATE SEQUENCE own START 1000;"
		  : $default ? "$alter ALTER $column DROP DEFAULT;" : '';
		my $set = $default ? "$alter ALTER $column SET DEFAULT CAST(CAST($default AS text) AS $to);" : '';
		$set = "$alter ALTER $column SET DEFAULT CAST(nextval('public.own') AS $to);" if $drop =~ /IDENTITY/;
		$set =~ s/AS text\) AS integer/AS integer) AS integer/ if $type eq 'boolean';
		my $common = $to eq $targets{$type}[0][0] || ($to eq 'citext' && $column =~ /email$/);
		add($what, "to $to", masked => $masked, common => $common,
			sql => "DETACH $drop $alter ALTER $column TYPE $to USING $using; $set ATTACH");
	}
	add($what, 'dropped', common => 1, name => undef, writable => 0, masked => 1, sql => "DETACH $alter DROP $column; ATTACH");
	add($what, 'added again, null', common => 1, masked => 1, empty => 1,
		sql => "DETACH $alter DROP $column; $alter ADD $column $type; ATTACH");
	add($what, 'added again, with a default', masked => 1, empty => 1,
		sql => "DETACH $alter DROP $column; $alter ADD $column $type NOT NULL DEFAULT $empty{$type}; ATTACH");
	add($what, 'replaced', sql => "DETACH $copy $alter DROP $column; $alter RENAME copy TO $column; $alter $as_before; ATTACH");
	# PostgreSQL has no virtual columns of a type that it does not have itself.
	foreach my $kind ('STORED', $node->pg_version >= 18 && $type !~ /^seats\./ ? 'VIRTUAL' : ())
	{
		add($what, "generated, $kind", common => $kind eq 'VIRTUAL', writable => 0, masked => 1, generated => 1,
			sql => "DETACH $copy $alter DROP $column; $alter ADD $column $type GENERATED ALWAYS AS (copy) $kind; ATTACH");
	}
}

my $columns = 0;
foreach (split /\n/, query(q{
	SELECT c.relname, a.attname, format_type(a.atttypid, NULL), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.attidentity
	FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
	WHERE c.relnamespace = 'seats'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
	ORDER BY c.relname, a.attnum}))
{
	my ($table, $column, $type, $default, $not_null, $identity) = split /\|/;
	alter_column({ table => $table, column => $column, turn => $columns++ }, $type, $default, $not_null eq 't', $identity);
}

# The calls --------------------------------------------------------------------------------------------

# What stands in these statements for what may have been altered; $altered is the alteration that
# they are made for.
my $altered;

# Tells whether a column is the altered one.
sub is_altered
{
	my ($table, $column) = @_;

	return $altered->{table} eq $table && $altered->{column} eq $column;
}

# The name of a column.
sub column
{
	my ($table, $column) = @_;

	return is_altered($table, $column) ? $altered->{name} // $column : $column;
}

# A condition that finds a row by its id, or where the ids are gone by when it was made.
sub where
{
	my ($table, $row) = @_;
	my $seat = $known{$row};
	my ($id, $created_at) =
	  $table eq 'customer_seats' ? ($known{$row}{seat}, $known{$row}{created_at}) : (id($row), created_at($row));
	my $lost = is_altered($table, 'id') && (!defined $altered->{name} || $altered->{empty});

	return "WHERE created_at = '$created_at'" if $lost;
	return 'WHERE ' . column($table, 'id') . " = '$id'";
}

# A literal; its type is that of the column that it goes to.
sub literal
{
	my ($value) = @_;

	return defined $value ? "'$value'" : 'NULL';
}

# An UPDATE without the columns that cannot be written; nothing if there are no others.
sub update
{
	my ($table, $row, %values) = @_;
	my @columns = grep { !is_altered($table, $_) || $altered->{writable} } sort keys %values;

	return undef if !@columns;
	return "UPDATE seats.$table SET " . join(', ', map { column($table, $_) . ' = ' . literal($values{$_}) } @columns)
	  . ' ' . where($table, $row) . ' RETURNING 1';
}

sub insert
{
	my ($table, %values) = @_;
	my @columns = grep { !is_altered($table, $_) || $altered->{writable} } sort keys %values;

	return "INSERT INTO seats.$table (" . join(', ', map { column($table, $_) } @columns) . ') VALUES ('
	  . join(', ', map { literal($values{$_}) } @columns) . ') RETURNING 1';
}

sub remove
{
	my ($table, $row) = @_;

	return "DELETE FROM seats.$table " . where($table, $row) . ' RETURNING 1';
}

sub token   { return "'$known{$_[0]}{token}'" }
sub session { return "'$known{$_[0]}{session}'" }
sub seat    { return "'$known{$_[0]}{seat}'" }
sub holder  { return "'$known{$_[0]}{holder}'" }
sub given   { my ($row, @rest) = @_; return join ', ', "'" . id($row) . "'", @rest }
sub claims  { my ($name) = @_; return decode_base64url((split /\./, $known{$name}{session})[1]) }

# The request of a customer who is the holder of a seat.
sub signed_in
{
	my ($name, $statement) = @_;
	my $claims = claims($name);

	return "SELECT set_config('request.jwt.claims', '$claims', true); $statement";
}

sub http
{
	my ($call) = @_;

	return "SELECT r::text || ' ' || coalesce(current_setting('response.status', true), '') FROM seats_http.$call AS r";
}

# The same for the customer who pays.
sub portal
{
	my ($call) = @_;

	return "SELECT set_config('request.jwt.claims', '{\"sub\": \"" . id('payer') . "\"}', true); " . http("portal_$call");
}

my $new_seat = sub {
	my ($row, %more) = @_;
	return insert('customer_seats', organization_id => id('acme'), subscription_id => id($row), customer_id => id('lone'),
		status => 'pending', invitation_token_hash => '\x01', invitation_token_expires_at => '2100-01-01', %more);
};
my %revoked = (status => 'revoked', customer_id => undef, customer_email => undef, expiry_watched => '0', revoked_at => '2020-01-01');

# Which seats were suspended is known only from this column.
my $forgotten = sub { return is_altered('customer_seats', 'suspended_at') && $altered->{empty} };

# Each call: its name, how it ends where nothing is altered ("ok", or an SQLSTATE and the reason), the
# statements, and the objects without which it is not to be called.
my @calls = (
	[ 'token_route', 'ok', sub { "SELECT seats.token_route(${\token('pending')})" } ],
	[ 'organization_route', 'ok', sub { "SELECT seats.organization_route(${\given('acme')})" } ],
	[ 'current_customer_id', 'ok', sub { signed_in('jwt', 'SELECT seats.current_customer_id()') } ],
	[ 'grant_access', 'ok',
		sub { "SELECT seats.grant_access(customer => 'customer', backend => 'pg_monitor')" }, 'view my_seats', 'view usage' ],

	[ 'claim_info', 'ok', sub { "SELECT to_json(i) FROM seats.claim_info(${\token('pending')}) AS i" } ],
	[ 'claim_info, order', 'ok',
		sub { "SELECT to_json(i) FROM seats.claim_info(${\token('order_pending')}) AS i" } ],
	[ 'claim_info, claimed', 'ok',
		sub { "SELECT to_json(i) FROM seats.claim_info(${\token('claimed')}) AS i" } ],
	[ 'claim_info, expired', 'ok',
		sub { "SELECT to_json(i) FROM seats.claim_info(${\token('expired')}) AS i" } ],
	[ 'claim_info, revoked', 'PT400 seat_revoked', sub { "SELECT seats.claim_info(${\token('revoked')})" } ],
	[ 'claim_info, unknown', 'PT400 invitation_invalid',
		sub { "SELECT seats.claim_info(${\token('stale')})" } ],
	[ 'claim_info, switched off', 'PT403 seat_based_pricing_not_enabled',
		sub { "SELECT seats.claim_info(${\token('off')})" } ],

	[ 'claim_seat', 'ok', sub { "SELECT to_json(c) FROM seats.claim_seat(${\token('pending')}) AS c" } ],
	[ 'claim_seat, order', 'ok',
		sub { "SELECT to_json(c) FROM seats.claim_seat(${\token('order_pending')}, 'k') AS c" } ],
	[ 'claim_seat, JWT', 'ok',
		sub { "SET LOCAL seats.session_token_format = 'jwt'; SELECT to_json(c) FROM seats.claim_seat(${\token('pending')}) AS c" } ],
	[ 'claim_seat again', 'ok',
		sub { "SELECT to_json(c) FROM seats.claim_seat(${\token('retried')}, 'key') AS c" } ],
	[ 'claim_seat again, other key', 'PT400 seat_already_claimed',
		sub { "SELECT seats.claim_seat(${\token('retried')}, 'other')" } ],
	[ 'claim_seat, claimed', 'PT400 seat_already_claimed',
		sub { "SELECT seats.claim_seat(${\token('claimed')})" } ],
	[ 'claim_seat, expired', 'PT400 invitation_expired',
		sub { "SELECT seats.claim_seat(${\token('expired')})" } ],
	[ 'claim_seat, revoked', 'PT400 seat_revoked', sub { "SELECT seats.claim_seat(${\token('revoked')})" } ],
	[ 'claim_seat, unknown', 'PT400 invitation_invalid',
		sub { "SELECT seats.claim_seat(${\token('stale')})" } ],
	[ 'claim_seat, switched off', 'PT403 seat_based_pricing_not_enabled',
		sub { "SELECT seats.claim_seat(${\token('off')})" } ],
	[ 'claim_seat, logical', 'ok',
		sub { "SET LOCAL seats.event_sink = 'logical'; SELECT to_json(c) FROM seats.claim_seat(${\token('pending')}) AS c" }, 'sequence events_id_seq' ],

	[ 'assign_seat, new address', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(${\given('main')}, email => 'new\@example.com') AS a" } ],
	[ 'assign_seat, no row to reuse', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(${\given('roomy')}, email => 'new\@example.com', metadata => '{\"a\": 1}') AS a" } ],
	[ 'assign_seat, known address', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(${\given('main')}, email => 'fREE\@example.com') AS a" } ],
	[ 'assign_seat, external id', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(${\given('main')}, external_customer_id => 'free') AS a" } ],
	[ 'assign_seat, customer id', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(${\given('roomy')}, customer_id => '${\id('free')}') AS a" } ],
	[ 'assign_seat, claimed', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(${\given('roomy')}, customer_id => '${\id('free')}', immediate_claim => true) AS a" } ],
	[ 'assign_seat, order', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(order_id => ${\given('paid')}, email => 'new\@example.com') AS a" } ],
	[ 'assign_seat, assigned', 'PT400 seat_already_assigned',
		sub { "SELECT seats.assign_seat(${\given('main')}, email => 'ada\@EXAMPLE.com')" } ],
	[ 'assign_seat, full', 'PT400 no_available_seats',
		sub { "SELECT seats.assign_seat(${\given('full')}, customer_id => '${\id('free')}')" } ],
	[ 'assign_seat, canceled', 'PT400 subscription_not_active',
		sub { "SELECT seats.assign_seat(${\given('over')}, customer_id => '${\id('free')}')" } ],
	[ 'assign_seat, not paid', 'PT400 order_not_paid',
		sub { "SELECT seats.assign_seat(order_id => ${\given('unpaid')}, customer_id => '${\id('free')}')" } ],
	[ 'assign_seat, switched off', 'PT403 seat_based_pricing_not_enabled',
		sub { "SELECT seats.assign_seat(${\given('beta_main')}, email => 'new\@example.com')" } ],
	[ 'assign_seat, other organization', 'PT404 customer_not_found',
		sub { "SELECT seats.assign_seat(${\given('main')}, customer_id => '${\id('beta_payer')}')" } ],
	[ 'assign_seats', 'ok',
		sub { "SELECT string_agg(to_json(a)::text, ' ') FROM seats.assign_seats(${\given('main')}, NULL, '{b\@x.org,free\@example.com}') AS a" } ],
	[ 'assign_seats, order', 'ok',
		sub { "SELECT string_agg(to_json(a)::text, ' ') FROM seats.assign_seats(NULL, ${\given('paid')}, '{b\@x.org,free\@example.com}') AS a" } ],
	[ 'assign_seats, too many', 'PT400 no_available_seats',
		sub { "SELECT seats.assign_seats(${\given('idle')}, NULL, '{a\@x.org,b\@x.org,c\@x.org}')" } ],

	[ 'assign_seat, raised', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(${\given('growing')}, email => 'new\@example.com') AS a" } ],
	[ 'assign_seats, raised', 'ok',
		sub { "SELECT string_agg(to_json(a)::text, ' ') FROM seats.assign_seats(${\given('growing')}, NULL, '{b\@x.org,free\@example.com}') AS a" } ],
	[ 'assign_seats, over the limit', 'PT400 no_available_seats',
		sub { "SELECT seats.assign_seats(${\given('growing')}, NULL, '{a\@x.org,b\@x.org,c\@x.org}')" } ],
	[ 'assign_seat, planned', 'ok',
		sub { "SELECT to_json(a) FROM seats.assign_seat(${\given('planned')}, email => 'new\@example.com') AS a" } ],
	[ 'assign_seats, more than planned', 'PT400 no_available_seats',
		sub { "SELECT seats.assign_seats(${\given('planned')}, NULL, '{a\@x.org,b\@x.org}')" } ],

	[ 'import_seats', 'ok', sub { "SELECT seats.import_seats(${\given('main')}, emails => '{b\@x.org,free\@example.com}')" } ],
	[ 'import_seats, no row to reuse', 'ok',
		sub { "SELECT seats.import_seats(${\given('roomy')}, emails => '{b\@x.org,free\@example.com}', claimed_at => '{2020-01-01,NULL}')" } ],
	[ 'import_seats by external id', 'ok',
		sub { "SELECT seats.import_seats(${\given('main')}, external_customer_ids => '{free,new}')" } ],
	[ 'import_seats, both', 'ok',
		sub { "SELECT seats.import_seats(${\given('main')}, emails => '{other\@example.com,LONE\@example.com,b\@x.org}', external_customer_ids => '{free,lone,new}')" } ],
	[ 'import_seats, order', 'ok', sub { "SELECT seats.import_seats(order_id => ${\given('paid')}, emails => '{b\@x.org}')" } ],
	[ 'import_seats, raised', 'ok', sub { "SELECT seats.import_seats(${\given('growing')}, emails => '{b\@x.org}')" } ],
	[ 'import_seats, nobody', 'ok', sub { "SELECT seats.import_seats(${\given('main')}, emails => '{}')" } ],
	[ 'import_seats, other external id', 'PT422',
		sub { "SELECT seats.import_seats(${\given('main')}, emails => '{free\@example.com}', external_customer_ids => '{other}')" } ],
	[ 'import_seats, assigned', 'PT400 seat_already_assigned',
		sub { "SELECT seats.import_seats(${\given('main')}, external_customer_ids => '{ada}')" } ],
	[ 'import_seats, too many', 'PT400 no_available_seats',
		sub { "SELECT seats.import_seats(${\given('idle')}, emails => '{a\@x.org,b\@x.org,c\@x.org}')" } ],
	[ 'import_seats, canceled', 'PT400 subscription_not_active',
		sub { "SELECT seats.import_seats(${\given('over')}, emails => '{b\@x.org}')" } ],

	[ 'set_seats', 'ok', sub { "SELECT seats.set_seats(${\given('main')}, seats => 20)" } ],
	[ 'set_seats, order', 'ok', sub { "SELECT seats.set_seats(order_id => ${\given('paid')}, seats => 20)" } ],
	[ 'set_seats, planned', 'ok', sub { "SELECT seats.set_seats(${\given('planned')}, seats => 3)" } ],
	[ 'set_seats, as before', 'ok', sub { "SELECT seats.set_seats(${\given('roomy')}, seats => 5)" } ],
	[ 'set_seats, switched off', 'ok', sub { "SELECT seats.set_seats(${\given('beta_main')}, seats => 1, surplus => 'revoke')" } ],
	[ 'set_seats, too few', '23514', sub { "SELECT seats.set_seats(${\given('main')}, seats => 1)" } ],
	[ 'set_seats, revoke', 'ok', sub { "SELECT seats.set_seats(${\given('main')}, seats => 2, surplus => 'revoke')" } ],
	[ 'set_seats, revoke, order', 'ok',
		sub { "SELECT seats.set_seats(order_id => ${\given('paid')}, seats => 0, surplus => 'revoke')" } ],
	[ 'set_seats, revoke, suspended', 'ok',
		sub { "SELECT seats.set_seats(${\given('halted')}, seats => 1, surplus => 'revoke')" } ],

	[ 'has_seat', 'ok t', sub { "SELECT seats.has_seat(${\given('editor')}, ${\holder('claimed')})" } ],
	[ 'has_seat, order alone', 'ok t', sub { "SELECT seats.has_seat(${\given('editor')}, ${\holder('order_claimed')})" } ],
	[ 'has_seat, pending', 'ok f', sub { "SELECT seats.has_seat(${\given('editor')}, ${\holder('pending')})" } ],
	[ 'has_seat, suspended', 'ok f',
		sub { "SELECT seats.has_seat(${\given('editor')}, ${\holder('halted_claimed')})" if !$forgotten->() } ],
	[ 'has_seat, other product', 'ok f', sub { "SELECT seats.has_seat(${\given('writer')}, ${\holder('claimed')})" } ],
	[ 'has_seat, signed in', 'ok t',
		sub { 'SET LOCAL ROLE customer; ' . signed_in('jwt', "SELECT seats.has_seat(${\given('editor')})") } ],

	[ 'join_info', 'ok', sub { "SELECT to_json(j) FROM seats.join_info(${\token('link')}) AS j" } ],
	[ 'join_info, order', 'ok', sub { "SELECT to_json(j) FROM seats.join_info(${\token('order_link')}) AS j" } ],
	[ 'join_seat, new address', 'ok', sub { "SELECT seats.join_seat(${\token('link')}, 'new\@example.com')" } ],
	[ 'join_seat, known address', 'ok', sub { "SELECT seats.join_seat(${\token('order_link')}, 'free\@example.com')" } ],
	[ 'join_seat, held', 'ok', sub { "SELECT seats.join_seat(${\token('link')}, 'ada\@EXAMPLE.com')" } ],
	[ 'join_seat, expired', 'ok', sub { "SELECT seats.join_seat(${\token('link')}, 'eve\@example.com')" } ],
	[ 'join_seat, other domain', 'PT400 email_domain_not_allowed', sub { "SELECT seats.join_seat(${\token('link')}, 'b\@x.org')" } ],
	[ 'join_seat, full', 'PT400 no_available_seats', sub { "SELECT seats.join_seat(${\token('full_link')}, 'b\@x.org')" } ],
	[ 'create_join_link', 'ok',
		sub { "SELECT to_json(c) FROM seats.create_join_link(${\given('main')}, max_uses => 5, email_domains => '{example.com}') AS c" } ],
	[ 'create_join_link, order', 'ok',
		sub { "SELECT to_json(c) FROM seats.create_join_link(order_id => ${\given('paid')}) AS c" } ],
	[ 'create_join_link, switched off', 'PT403 seat_based_pricing_not_enabled',
		sub { "SELECT seats.create_join_link(${\given('beta_main')})" } ],
	[ 'list_join_links', 'ok',
		sub { "SELECT string_agg(to_json(l)::text, ' ') FROM seats.list_join_links(${\given('main')}) AS l" } ],
	[ 'revoke_join_link', 'ok', sub { "SELECT to_json(r) FROM seats.revoke_join_link(${\seat('link')}) AS r" } ],

	[ 'resend_invitation', 'ok',
		sub { "SELECT to_json(r) FROM seats.resend_invitation(${\seat('pending')}) AS r" } ],
	[ 'resend_invitation, expired', 'ok',
		sub { "SELECT to_json(r) FROM seats.resend_invitation(${\seat('expired')}) AS r" } ],
	[ 'resend_invitation, claimed', 'PT400 seat_not_pending',
		sub { "SELECT seats.resend_invitation(${\seat('claimed')})" } ],
	[ 'resend_invitation, switched off', 'PT403 seat_based_pricing_not_enabled',
		sub { "SELECT seats.resend_invitation(${\seat('off')})" } ],
	[ 'revoke_seat, pending', 'ok',
		sub { "SELECT to_json(r) FROM seats.revoke_seat(${\seat('pending')}) AS r" } ],
	[ 'revoke_seat, claimed', 'ok',
		sub { "SELECT to_json(r) FROM seats.revoke_seat(${\seat('claimed')}) AS r" } ],
	[ 'revoke_seat, order', 'ok',
		sub { "SELECT to_json(r) FROM seats.revoke_seat(${\seat('order_claimed')}) AS r" } ],
	[ 'revoke_seat, revoked', 'ok',
		sub { "SELECT to_json(r) FROM seats.revoke_seat(${\seat('revoked')}) AS r" } ],
	[ 'revoke_seat, switched off', 'PT403 seat_based_pricing_not_enabled',
		sub { "SELECT seats.revoke_seat(${\seat('off')})" } ],
	[ 'revoke_seats', 'ok', sub { "SELECT seats.revoke_seats(${\given('main')})" } ],
	[ 'revoke_seats, order', 'ok', sub { "SELECT seats.revoke_seats(order_id => ${\given('paid')})" } ],

	[ 'list_seats', 'ok', sub { "SELECT to_json(l) FROM seats.list_seats(${\given('main')}) AS l" } ],
	[ 'list_seats, order', 'ok',
		sub { "SELECT to_json(l) FROM seats.list_seats(order_id => ${\given('paid')}) AS l" } ],
	[ 'list_seats, planned', 'ok', sub { "SELECT to_json(l) FROM seats.list_seats(${\given('planned')}) AS l" } ],
	[ 'list_seats, switched off', 'PT403 seat_based_pricing_not_enabled',
		sub { "SELECT seats.list_seats(${\given('beta_main')})" } ],
	[ 'get_seat, pending', 'ok', sub { "SELECT to_json(g) FROM seats.get_seat(${\seat('pending')}) AS g" } ],
	[ 'get_seat, claimed', 'ok',
		sub { "SELECT to_json(g) FROM seats.get_seat(${\seat('order_claimed')}) AS g" } ],
	[ 'get_seat, revoked', 'ok', sub { "SELECT to_json(g) FROM seats.get_seat(${\seat('revoked')}) AS g" } ],
	[ 'get_seat, switched off', 'PT403 seat_based_pricing_not_enabled',
		sub { "SELECT seats.get_seat(${\seat('off')})" } ],

	[ 'authenticate', 'ok',
		sub { "SELECT to_json(a) FROM seats.authenticate(${\session('claimed')}) AS a" } ],
	[ 'authenticate, JWT', 'ok',
		sub { "SELECT to_json(a) FROM seats.authenticate(${\session('jwt')}) AS a" } ],
	[ 'authenticate, expired', 'PT401 session_expired',
		sub { "SELECT seats.authenticate(${\session('last')})" } ],
	[ 'authenticate, ended', 'PT401 session_invalid',
		sub { "SELECT seats.authenticate(${\session('ended')})" } ],
	[ 'end_session', 'ok', sub { "SELECT seats.end_session(${\session('claimed')})" } ],
	[ 'end_session, JWT', 'ok', sub { "SELECT seats.end_session(${\session('jwt')})" } ],
	[ 'end_session, ended', 'ok', sub { "SELECT seats.end_session(${\session('ended')})" } ],
	[ 'check_session', 'ok', sub { signed_in('jwt', 'SELECT seats.check_session()') } ],
	[ 'check_session, ended', 'PT401 session_invalid',
		sub { signed_in('ended', 'SELECT seats.check_session()') } ],
	[ 'postgrest_config', 'ok',
		sub { "SELECT seats.postgrest_config(); SELECT current_setting('pgrst.jwt_secret')" } ],
	[ 'rotate_jwt_key', 'ok', sub { 'SELECT seats.rotate_jwt_key()' } ],

	[ 'claim_info, suspended', 'ok',
		sub { "SELECT to_json(i) FROM seats.claim_info(${\token('halted')}) AS i" } ],
	[ 'claim_seat, suspended', 'PT400 seat_suspended',
		sub { "SELECT seats.claim_seat(${\token('halted')})" if !$forgotten->() } ],
	[ 'resend_invitation, suspended', 'PT400 seat_suspended',
		sub { "SELECT seats.resend_invitation(${\seat('halted')})" if !$forgotten->() } ],
	[ 'open_session', 'ok', sub { "SELECT to_json(o) FROM seats.open_session(${\seat('claimed')}) AS o" } ],
	[ 'open_session, pending', 'PT400 seat_not_claimed', sub { "SELECT seats.open_session(${\seat('pending')})" } ],
	[ 'open_session, suspended', 'PT400 seat_suspended',
		sub { "SELECT seats.open_session(${\seat('halted_claimed')})" if !$forgotten->() } ],
	[ 'erase_customer', 'ok', sub { "SELECT seats.erase_customer(${\given('ada')})" } ],
	[ 'erase_customer, payer', 'ok', sub { "SELECT seats.erase_customer(${\given('payer')})" } ],
	[ 'erase_customer, without seats', 'ok', sub { "SELECT seats.erase_customer(${\given('lone')})" } ],

	[ 'release_expired_seats', 'ok', sub { 'SELECT seats.release_expired_seats()' } ],
	[ 'purge_expired_sessions', 'ok', sub { 'SELECT seats.purge_expired_sessions()' } ],
	[ 'purge_events', 'ok', sub { q{SELECT seats.purge_events('0')} } ],
	[ 'stats', 'ok',
		sub { 'SELECT ROW(open_sessions, expired_sessions, expired_invitations, oldest_event) FROM seats.stats()' } ],
	[ 'my_seats', 'ok',
		sub { 'SET LOCAL ROLE customer; ' . signed_in('jwt', 'SELECT to_json(m) FROM seats.my_seats AS m') }, 'view my_seats' ],
	[ 'usage', 'ok',
		sub { q{SELECT string_agg(to_json(u)::text, ' ' ORDER BY u::text) FROM seats.usage AS u} }, 'view usage' ],

	[ 'HTTP claim_seat', 'ok',
		sub { http("claim_seat(jsonb_build_object('invitation_token', ${\token('pending')}))") } ],
	[ 'HTTP claim_seat, claimed', 'ok',
		sub { http("claim_seat(jsonb_build_object('invitation_token', ${\token('claimed')}))") } ],
	[ 'HTTP get_claim_info', 'ok', sub { http("get_claim_info(${\token('order_pending')})") } ],
	[ 'HTTP assign_seat', 'ok',
		sub { http("assign_seat(jsonb_build_object('subscription_id', ${\given('main')}, 'email', 'new\@example.com'))") } ],
	[ 'HTTP assign_seat, switched off', 'ok',
		sub { http("assign_seat(jsonb_build_object('subscription_id', ${\given('beta_main')}, 'email', 'new\@example.com'))") } ],
	[ 'HTTP list_seats', 'ok', sub { http("list_seats(${\given('main')})") } ],
	[ 'HTTP revoke_seat', 'ok', sub { http("revoke_seat(${\seat('claimed')})") } ],
	[ 'HTTP resend_invitation', 'ok', sub { http("resend_invitation(${\seat('pending')})") } ],
	[ 'HTTP join_seat', 'ok',
		sub { http("join_seat(jsonb_build_object('join_token', ${\token('link')}, 'email', 'new\@example.com'))") } ],
	[ 'HTTP portal_create_join_link', 'ok',
		sub { portal("create_join_link(jsonb_build_object('subscription_id', ${\given('main')}))") } ],
	[ 'HTTP portal_list_join_links', 'ok', sub { portal("list_join_links(${\given('main')})") } ],
	[ 'HTTP portal_revoke_join_link', 'ok', sub { portal("revoke_join_link(${\seat('link')})") } ],
	[ 'HTTP portal_list_seats', 'ok', sub { portal("list_seats(${\given('main')})") } ],
	[ 'HTTP portal_assign_seat', 'ok',
		sub { portal("assign_seat(jsonb_build_object('subscription_id', ${\given('main')}, 'email', 'new\@example.com'))") } ],
	[ 'HTTP portal_revoke_seat', 'ok', sub { portal("revoke_seat(${\seat('claimed')})") } ],
	[ 'HTTP portal_resend_invitation', 'ok', sub { portal("resend_invitation(${\seat('pending')})") } ],

	# What the application writes.
	(map {
		my ($table, $row, $product, $ended) = @$_;
		my $fkey = $table eq 'orders' ? 'customer_seats_order_fkey' : 'customer_seats_subscription_fkey';
		(
			[ "$table: touch", 'ok', sub { update($table, $row, created_at => '2003-01-01') } ],
			[ "$table: no change", 'ok', sub { "UPDATE seats.$table SET ${\column($table, 'seats')} = ${\column($table, 'seats')} ${\where($table, $row)} RETURNING 1" if !is_altered($table, 'seats') || ($altered->{writable} && !$altered->{empty}) } ],
			[ "$table: more seats", 'ok', sub { update($table, $row, seats => 20) } ],
			[ "$table: fewer seats", 'ok', sub { update($table, $row, seats => $row eq 'paid' ? 2 : 6) } ],
			[ "$table: too few seats", '23514', sub { update($table, $row, seats => 1) } ],
			[ "$table: other status", 'ok', sub { update($table, $row, status => $row eq 'paid' ? 'partially_refunded' : 'past_due') } ],
			[ "$table: end", 'ok', sub { update($table, $row, status => $ended) }, 'trigger end_purchase' ],
			[ "$table: end, no seats", 'ok', sub { update($table, $row, status => $ended, seats => 0) if !is_altered($table, 'status') || $altered->{writable} }, 'trigger end_purchase' ],
			[ "$table: other payer", 'ok', sub { update($table, $row, customer_id => id('ada')) } ],
			[ "$table: insert", 'ok', sub { insert($table, organization_id => id('acme'), product_id => id('editor'), customer_id => id('payer'), seats => 2, status => $ended) } ],
			[ "$table: delete", 'ok', sub { remove($table, $row) }, "constraint $fkey", "constraint $fkey" =~ s{customer_seats}{join_links}r ],
		)
	} [ 'subscriptions', 'main', 'editor', 'canceled' ], [ 'orders', 'paid', 'editor', 'refunded' ]),
	[ 'subscriptions: plan', 'ok', sub { update('subscriptions', 'main', seats_next => 7) } ],
	[ 'subscriptions: plan too few', '23514', sub { update('subscriptions', 'main', seats_next => 1) } ],
	[ 'subscriptions: as planned', 'ok', sub { update('subscriptions', 'planned', seats => 2, seats_next => undef) } ],
	[ 'subscriptions: limit', 'ok', sub { update('subscriptions', 'main', seats_limit => 20) } ],
	[ 'subscriptions: external id', 'ok', sub { update('subscriptions', 'main', external_id => 'sub_1') } ],
	[ 'subscriptions: pause', 'ok', sub { update('subscriptions', 'main', status => 'paused') }, 'trigger end_purchase' ],
	[ 'subscriptions: resume', 'ok', sub { update('subscriptions', 'halted', status => 'active') }, 'trigger end_purchase' ],
	[ 'subscriptions: end a paused one', 'ok',
		sub { update('subscriptions', 'halted', status => 'canceled') }, 'trigger end_purchase' ],
	[ 'subscriptions: delete a paused one', 'ok', sub { remove('subscriptions', 'halted') }, 'constraint customer_seats_subscription_fkey', 'constraint join_links_subscription_fkey' ],
	[ 'organizations: touch', 'ok', sub { update('organizations', 'acme', created_at => '2003-01-01') } ],
	[ 'organizations: name', 'ok', sub { update('organizations', 'acme', name => 'Other') } ],
	[ 'organizations: switch off', 'ok',
		sub { update('organizations', 'acme', seat_based_pricing_enabled => '0') if !is_altered('organizations', 'seat_based_pricing_enabled') || !$altered->{masked} } ],
	[ 'organizations: insert', 'ok', sub { insert('organizations', name => 'Gamma', slug => 'gamma') } ],
	[ 'products: touch', 'ok', sub { update('products', 'editor', created_at => '2003-01-01') } ],
	[ 'products: name', 'ok', sub { update('products', 'editor', name => 'Other') } ],
	[ 'products: external id', 'ok', sub { update('products', 'editor', external_id => 'prod_1') } ],
	[ 'products: insert', 'ok', sub { insert('products', organization_id => id('acme'), name => 'Third') } ],
	[ 'customers: touch', 'ok', sub { update('customers', 'ada', created_at => '2003-01-01') } ],
	[ 'customers: name', 'ok', sub { update('customers', 'ada', name => 'Other') } ],
	[ 'customers: address', 'ok', sub { update('customers', 'ada', email => 'other@example.com') } ],
	[ 'customers: insert', 'ok',
		sub { insert('customers', organization_id => id('acme'), email => 'third@example.com') } ],
	[ 'customers: delete', 'ok', sub { remove('customers', 'lone') } ],
	[ 'customers: delete a holder', '23503',
		sub { remove('customers', 'ada') }, 'constraint customer_seats_customer_fkey' ],

	# What the owner writes.
	[ 'seats: metadata', 'ok', sub { update('customer_seats', 'pending', seat_metadata => '{"a": 1}') } ],
	[ 'seats: revoke pending', 'ok', sub { update('customer_seats', 'pending', %revoked) } ],
	[ 'seats: revoke claimed', 'ok', sub { update('customer_seats', 'claimed', %revoked) } ],
	[ 'seats: move', 'ok', sub { update('customer_seats', 'claimed', subscription_id => id('roomy')) } ],
	[ 'seats: move too many', '23514',
		sub { update('customer_seats', 'claimed', subscription_id => id('full')) } ],
	[ 'seats: insert', 'ok', sub { $new_seat->('roomy') } ],
	[ 'seats: insert too many', '23514', sub { $new_seat->('full') } ],
	[ 'seats: delete pending', 'ok', sub { remove('customer_seats', 'pending') } ],
	[ 'seats: delete claimed', 'ok', sub { remove('customer_seats', 'order_claimed') } ],
	[ 'seats: delete revoked', 'ok', sub { remove('customer_seats', 'revoked') } ],
	[ 'seats: TRUNCATE', '0A000', sub { 'TRUNCATE seats.customer_seats' } ],
);

# Running them -----------------------------------------------------------------------------------------

query(q{
	CREATE DOMAIN a_uuid AS uuid; CREATE DOMAIN a_text AS text; CREATE DOMAIN an_integer AS integer;
	CREATE DOMAIN a_bigint AS bigint; CREATE DOMAIN a_boolean AS boolean; CREATE DOMAIN a_timestamptz AS timestamptz;
	CREATE DOMAIN an_interval AS interval; CREATE DOMAIN a_jsonb AS jsonb; CREATE DOMAIN a_bytea AS bytea;
	CREATE DOMAIN a_status AS seats.seat_status; CREATE TYPE another_status AS ENUM ('pending', 'claimed', 'revoked');
	CREATE DOMAIN a_seat AS seats.customer_seat; CREATE TYPE another_seat AS (created_at timestamptz, modified_at timestamptz, id uuid,
		subscription_id uuid, order_id uuid, status seats.seat_status, customer_id uuid, customer_email text,
		invitation_token_expires_at timestamptz, claimed_at timestamptz, revoked_at timestamptz, seat_metadata jsonb);

	CREATE TABLE alteration (n integer PRIMARY KEY, label text, relation text, col text, name text, sql text);
	CREATE TABLE call (alteration integer, n integer, name text, sql text, needs text[], PRIMARY KEY (alteration, n));
	CREATE TABLE touched (call integer, relation text, PRIMARY KEY (call, relation));
	CREATE TABLE mark (x integer);

	-- What must be dropped before a column can be altered, and how that is made again.  An owner takes views and
	-- sequences out of the extension first.
	CREATE FUNCTION dependents(relation regclass, col text) RETURNS TABLE (stage integer, detach text, attach text) LANGUAGE sql AS $$
		WITH a AS (SELECT attnum FROM pg_attribute WHERE attrelid = relation AND attname = col),
		d AS (SELECT DISTINCT classid, objid, deptype FROM pg_depend, a
			WHERE refclassid = 'pg_class'::regclass AND refobjid = relation AND refobjsubid = attnum)
		SELECT 1, format('ALTER EXTENSION seats DROP VIEW %1$s; DROP VIEW %1$s', ev_class::regclass), NULL
			FROM d JOIN pg_rewrite AS r ON classid = 'pg_rewrite'::regclass AND r.oid = objid GROUP BY ev_class
		UNION ALL SELECT 1, format('ALTER EXTENSION seats DROP SEQUENCE %s', objid::regclass), NULL
			FROM d WHERE classid = 'pg_class'::regclass AND deptype = 'i'
		UNION ALL SELECT 1, format('DROP POLICY %I ON %s', polname, relation), NULL
			FROM d JOIN pg_policy AS p ON classid = 'pg_policy'::regclass AND p.oid = objid
		UNION ALL SELECT 5, format('DROP TRIGGER %I ON %s', tgname, relation), pg_get_triggerdef(t.oid)
			FROM d JOIN pg_trigger AS t ON classid = 'pg_trigger'::regclass AND t.oid = objid AND NOT tgisinternal
		UNION ALL SELECT CASE contype WHEN 'f' THEN 4 WHEN 'c' THEN 6 ELSE 7 END,
			format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
			format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(c.oid))
			FROM pg_constraint AS c, a
			WHERE contype IN ('c', 'f', 'p', 'u') AND (conrelid = relation AND attnum = ANY (conkey)
				OR confrelid = relation AND attnum = ANY (confkey))
		UNION ALL SELECT 8, format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
			FROM d JOIN pg_index AS i ON classid = 'pg_class'::regclass AND indexrelid = objid
			WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
			GROUP BY indexrelid
		ORDER BY 1, 2
	$$;

	-- Executes a statement if that is possible.
	CREATE PROCEDURE attempt(statement text) LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE statement;
	EXCEPTION WHEN OTHERS THEN
		NULL;
	END $$;

	-- What cannot be made again stays away, such as a foreign key between two types.
	CREATE PROCEDURE alter_column(a alteration) LANGUAGE plpgsql AS $$
	DECLARE
		found record;
		again text[];
	BEGIN
		IF a.sql LIKE 'DETACH%' THEN
			FOR found IN SELECT * FROM dependents(('seats.' || a.relation)::regclass, a.col) LOOP
				EXECUTE found.detach;
				again := found.attach || again;
			END LOOP;
		END IF;
		EXECUTE replace(replace(a.sql, 'DETACH', ''), 'ATTACH', '');
		FOR i IN 1 .. coalesce(array_length(again, 1), 0) LOOP
			CONTINUE WHEN again[i] IS NULL;
			CALL attempt(again[i]);
		END LOOP;
	END $$;

	-- The objects that calls may need and that are there.
	CREATE FUNCTION objects() RETURNS text[] LANGUAGE sql AS $$
		SELECT array_agg(o) FROM (
			SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'S' THEN 'sequence ' ELSE 'index ' END || relname FROM pg_class
				WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('v', 'S', 'i')
			UNION ALL SELECT 'constraint ' || conname FROM pg_constraint WHERE connamespace = 'seats'::regnamespace
			UNION ALL SELECT 'trigger ' || min(tgname) FROM pg_trigger WHERE tgname = 'end_purchase' HAVING count(*) = 2) AS x (o)
	$$;

	-- The rows that were written since, and how many there are.  The altered column has its old name.
	CREATE FUNCTION changes(since bigint, a alteration) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		change record;
		result text := '';
	BEGIN
		FOR change IN
			SELECT 'organizations' AS relation, to_jsonb(t) AS written FROM seats.organizations AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'products', to_jsonb(t) FROM seats.products AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'customers', to_jsonb(t) FROM seats.customers AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'subscriptions', to_jsonb(t) FROM seats.subscriptions AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'orders', to_jsonb(t) FROM seats.orders AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'customer_seats', to_jsonb(t) FROM seats.customer_seats AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'customer_sessions', to_jsonb(t) FROM seats.customer_sessions AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'join_links', to_jsonb(t) FROM seats.join_links AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'events', to_jsonb(t) FROM seats.events AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'jwt_keys', to_jsonb(t) FROM seats.jwt_keys AS t WHERE xmin::text::bigint > since
			UNION ALL SELECT 'rows', jsonb_build_array((SELECT count(*) FROM seats.customers), (SELECT count(*) FROM seats.subscriptions),
				(SELECT count(*) FROM seats.orders), (SELECT count(*) FROM seats.customer_seats), (SELECT count(*) FROM seats.customer_sessions),
				(SELECT count(*) FROM seats.join_links), (SELECT count(*) FROM seats.events), (SELECT count(*) FROM seats.jwt_keys), (SELECT count(*) FROM seats.organizations))
		LOOP
			IF change.relation = a.relation THEN
				change.written := (change.written - coalesce(a.name, '') - 'copy')
					|| jsonb_build_object(a.col, change.written -> a.name);
			END IF;
			result := result || chr(30) || change.relation || ' ' || change.written;
		END LOOP;
		RETURN result;
	END $$;

	-- Makes a call, and undoes what it did.  Tells which tables it locked where that is of interest.
	CREATE FUNCTION make_call(statement text, a alteration, since bigint, OUT outcome text, OUT changed text, OUT locked text[]) LANGUAGE plpgsql AS $$
	DECLARE
		reason text;
	BEGIN
		EXECUTE statement INTO outcome;
		SET LOCAL ROLE NONE;
		IF a.n < 0 THEN
			SELECT array_agg(DISTINCT relname) INTO locked FROM pg_locks JOIN pg_class AS c ON c.oid = relation
				WHERE pid = pg_backend_pid() AND relkind = 'r' AND relnamespace = 'seats'::regnamespace;
		END IF;
		changed := changes(since, a);
		RAISE SQLSTATE 'ZZ000';
	EXCEPTION
		WHEN SQLSTATE 'ZZ000' THEN
			outcome := 'ok ' || coalesce(outcome, 'NULL');
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
			outcome := concat_ws(' ', SQLSTATE, CASE left(SQLSTATE, 2) WHEN 'PT' THEN reason END, SQLERRM);
			changed := '';
	END $$;

	-- The newest transaction id.
	CREATE FUNCTION newest(OUT id bigint) LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO mark VALUES (0) RETURNING xmin::text INTO id;
	EXCEPTION WHEN division_by_zero THEN
	END $$;

	-- Finds which tables a call locks where nothing is altered; an error may come before others are, so
	-- a call that fails counts for all.
	CREATE PROCEDURE find_touched() LANGUAGE plpgsql AS $$
	DECLARE
		c call;
		r record;
		a alteration;
	BEGIN
		a.n := -1;
		FOR c IN SELECT * FROM call WHERE alteration = 0 LOOP
			FOR i IN 0 .. 1 LOOP
				PERFORM set_config('seats.direct_access', i::boolean::text, true);
				r := make_call(c.sql, a, 0);
				INSERT INTO touched SELECT c.n, tablename FROM pg_tables
					WHERE schemaname = 'seats' AND (r.outcome NOT LIKE 'ok%' OR tablename = ANY (r.locked)) ON CONFLICT DO NOTHING;
			END LOOP;
		END LOOP;
	END $$;

	-- Alters a column and makes the calls that have to do with its table, first with direct access on and then with it off.
	-- What is called is told at once, since it may not come back.
	CREATE FUNCTION try(which integer, direct_access text[], without integer[]) RETURNS TABLE (line text) LANGUAGE plpgsql AS $$
	DECLARE
		a alteration;
		c call;
		r record;
		present text[];
		since bigint;
	BEGIN
		SELECT * INTO a FROM alteration WHERE n = which;
		CALL alter_column(a);
		present := objects();
		since := newest();
		FOREACH line IN ARRAY ARRAY['on', 'off'] LOOP
			PERFORM set_config('seats.direct_access', line, true);
			CONTINUE WHEN line <> ALL (direct_access);
			FOR c IN SELECT * FROM call WHERE alteration = which AND n <> ALL (without) AND needs <@ present
				AND (which = 0 OR EXISTS (SELECT FROM touched AS t WHERE t.call = call.n AND t.relation = a.relation)) ORDER BY n
			LOOP
				RAISE NOTICE 'call % % %', which, c.n, line;
				r := make_call(c.sql, a, since);
				RETURN QUERY SELECT concat_ws(chr(31), which, c.n, current_setting('seats.direct_access'), r.outcome, r.changed) || chr(29);
			END LOOP;
		END LOOP;
	END $$;
});

# Puts rows into a table.
sub copy_in
{
	my ($table, @data) = @_;
	my $lines = join '', map {
		join("\t", map { defined $_ ? s/\\/\\\\/gr =~ s/\n/\\n/gr =~ s/\t/\\t/gr : '\N' } @$_) . "\n"
	} @data;

	query("COPY $table FROM STDIN;\n$lines\\.\n");
}

my @statements;
foreach my $n (0 .. $#alterations)
{
	$altered = $alterations[$n];
	foreach my $i (0 .. $#calls)
	{
		my ($name, undef, $sql, @needs) = @{ $calls[$i] };
		my $statement = $sql->();
		push @statements, [ $n, $i, $name, $statement, '{' . join(',', map { qq("$_") } @needs) . '}' ] if $statement;
	}
}
copy_in('alteration', map { [ $_, @{ $alterations[$_] }{qw(label table column name sql)} ] } 0 .. $#alterations);
copy_in('call', @statements);
query('ANALYZE; CALL find_touched()');

# Runs a script, which may end the server, and returns its output and errors.
sub run_script
{
	my ($script) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';

	append_to_file($file, $script);
	my @result = run_command([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ]);
	unlink $file;
	return @result;
}

# Waits until the server has started again.
sub wait_for_server
{
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if (run_command([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT 1' ]))[0] eq '1';
		usleep(100_000);
	}
	die 'the server did not start again';
}

# How an alteration is to be tried in sessions that are warm or cold: with direct access "on", "off", or both,
# or not at all.
sub direct_access
{
	my ($n, $warm) = @_;
	my $turn = $alterations[$n]{turn};

	return 'on,off' if $n == 0 || $ENV{ALTERATIONS};
	return '' if $turn % 2 != $warm;
	return int($turn / 2) % 2 ? 'on' : 'off';
}

# Runs the alterations that are to be tried in sessions that are warm, 1, or cold, 0.  Returns the outcomes and what
# changed, by the numbers of the alteration and the call, and by whether direct access was on.  A call that ended the
# server is left out from then on, and has the outcome "crash"; the third one is the last of its alteration.
sub run
{
	my ($warm) = @_;
	my @left = grep { direct_access($_, $warm) } 0 .. $#alterations;
	my (%without, %result);

	while (@left)
	{
		my $script = '';
		$script .= "\\o /dev/null\nBEGIN; SELECT try(0, '{on,off}', '{}'); ROLLBACK;\n\\o\n" if $warm;
		foreach my $n (@left)
		{
			$script .= "\\connect\n" unless $warm;
			my $direct_access = direct_access($n, $warm);
			my $without = join ',', @{ $without{$n} // [] };
			$script .= "BEGIN; SELECT try($n, '{$direct_access}', '{$without}'); ROLLBACK;\n";
		}
		my ($output, $errors) = run_script($script);
		foreach (split /\x1d\n?/, $output)
		{
			my ($n, $call, $direct_access, @outcome) = split /\x1f/, $_, 5;
			$result{$n}{$call}{$direct_access} = \@outcome;
		}
		last if $errors !~ /server closed the connection|ERROR:/;
		my ($n, $call, $direct_access) = (-1);
		diag($errors =~ s/^.*NOTICE:  call.*\n//mgr);
		($n, $call, $direct_access) = ($1, $2, $3) while $errors =~ /NOTICE:  call (\d+) (\d+) (\w+)/g;
		die "psql: " . ($errors =~ s|^.*NOTICE:.*\n||mgr) if $errors =~ /ERROR:/;
		die "psql: $errors" if $n < 0;
		$result{$n}{$call}{$direct_access} = [ 'crash', '' ];
		push @{ $without{$n} }, $call;
		@left = grep { $_ > $n || ($_ == $n && @{ $without{$n} } < 3) } @left;
		wait_for_server();
	}
	return \%result;
}

my %result;
foreach my $warmth ('warm', 'cold')
{
	my $started = time;
	$result{$warmth} = run($warmth eq 'warm' ? 1 : 0);
	note(sprintf '%s: %d alterations, %.1f s', $warmth, scalar(keys %{ $result{$warmth} }) - 1, time - $started);
}

# Comparing --------------------------------------------------------------------------------------------

# Replaces what differs each time, so that equal values stay equal.
sub normalized
{
	my ($outcome, $changes, $masked) = @_;
	my %new;
	my @changes = split /\x1e/, $changes;

	if ($masked)
	{
		my ($table, $column) = @$masked;
		s/"$column": (?:"(?:[^"\\]|\\.)*"|\{[^{}]*\}|[^,}]*)/"$column": */ foreach grep { /^$table / } @changes;
		# Over HTTP, a seat has values of its customer.
		$outcome =~ s/("member":\{[^{}]*"$column":)(?:"(?:[^"\\]|\\.)*"|null)/$1*/g if $table eq 'customers';
	}
	foreach ($outcome, @changes)
	{
		s/["\\]//g;
		s/\b\d{4}-\d\d-\d\d[ T][\d:.]+(?:\+\d\d(?::\d\d)?)?/<time>/g;
		s/seats_(inv|cst|jnl)_\w{55}/<$1>/g;
		s/eyJ[\w-]+\.[\w-]+\.[\w-]+/<jwt>/g;
		s/\bx[0-9a-f]{16,}/<bytes>/g;
		s/^(events \{id: )\d+/$1<n>/;
		s/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/$given{$1} ? $1 : "<new $1>"/ge;
	}
	@changes = map { $_->[0] } sort { $a->[1] cmp $b->[1] } map { [ $_, s/<new [^>]*>/<new>/gr ] } @changes;
	my $text = join "\n", $outcome, @changes;
	$text =~ s/<new ([^>]*)>/'<new ' . ($new{$1} \/\/= 1 + keys %new) . '>'/ge;
	return $text;
}

# Tells whether an error is one that names a column.
sub names_column
{
	my ($outcome, $column) = @_;

	return $outcome =~ /^(?:42703|42804) .*\bcolumn (?:"?\w+"?\.)*"?$column"?(?![\w".])/;
}

# The errors that are right where the values of a column are lost: the rows cannot be found any more, they are not what
# the table's constraints say, or the organization, the status or the numbers say that there is nothing to give.
my @lost = (
	[ qr/\.id$/ => qr/23505 / ],
	[ qr/^customer_seats\.id$/ => qr/09000 |23514 .*"customer_seats_status_check"/ ],
	[ qr/^customer_seats\.organization_id$/ => qr/09000 / ],
	[ qr/\.(?:id|\w+_id)$/ => qr/PT404 \w+_not_found|PT400 (?:invitation|join_link)_invalid|PT401 session_invalid|PT403 seat_based_pricing_not_enabled/ ],
	[ qr/^customers\.id$/ => qr/PT400 seat_already_assigned/ ],
	[ qr/^organizations\.seat_based_pricing_enabled$/ => qr/PT403 seat_based_pricing_not_enabled/ ],
	[ qr/^(?:subscriptions|orders)\.status$/ => qr/PT400 (?:subscription_not_active|order_not_paid)/ ],
	[ qr/^(?:subscriptions|orders)\.(?:seats|assigned_seats)$/ => qr/PT400 no_available_seats|23514 (?:cannot reduce the number of seats|all \d+ seats are assigned)/ ],
	[ qr/^customer_seats\.(?:subscription|order|customer)_id$/ => qr/23514 cannot reduce the number of seats/ ],
	[ qr/^subscriptions\.seats_limit$/ => qr/PT400 no_available_seats/ ],
	[ qr/^subscriptions\.seats_next$/ => qr/PT400 no_available_seats|23514 cannot plan to reduce the number of seats/ ],
	[ qr/^customer_seats\.status$/ => qr/42804 null value in column "customer_id" that |PT400 (?:seat_revoked|seat_already_claimed|invitation_expired|seat_not_pending)/ ],
	[ qr/^customer_seats\.(?:invitation_token_hash|claimed_at|revoked_at)$/ => qr/PT400 (?:invitation_invalid|seat_already_claimed|seat_revoked|invitation_expired)/ ],
	[ qr/^customer_seats\.invitation_token_expires_at$/ => qr/PT400 invitation_expired/ ],
	[ qr/^customer_seats\.claim_key_hash$/ => qr/PT400 seat_already_claimed/ ],
	[ qr/^customer_sessions\.(?:token_hash|expires_at)$/ => qr/PT401 session_(?:invalid|expired)/ ],
	[ qr/^join_links\./ => qr/09000 |PT400 (?:join_link_\w+|email_domain_not_allowed)|PT404 join_link_not_found/ ],
	[ qr/^jwt_keys\./ => qr/PT401 session_invalid/ ],
);

# How many pending and claimed seats a call has written.
sub seats_given
{
	my ($text) = @_;

	return scalar(() = $text =~ /^customer_seats \{.*\bstatus: (?:pending|claimed)/mg);
}

# Tells whether PostgreSQL says that the column needs a value: it names it.
sub needs_value
{
	my ($what, $outcome) = @_;

	return $outcome =~ /^23502 null value in column "$what->{column}" of relation "$what->{table}"/;
}

# Tells whether a call may end like this although the values of the column are lost: with one of these errors,
# or with success as far as no more seats are given than before.
sub may_be_lost
{
	my ($what, $call, $outcome, $got, $before) = @_;
	my $column = "$what->{table}.$what->{column}";

	return 1 if needs_value($what, $outcome);
	# Where the default is in the past more seats are released, and more that are claimed need no watching: they are written too.
	return 1 if $column eq 'customer_seats.invitation_token_expires_at' && $call eq 'release_expired_seats' && $outcome =~ /^ok/;
	return 1 if $column =~ /^customers\.|^customer_seats\.(?:customer|subscription)_id$/ && $call =~ /^(?:assign_seat|import_seats), (?:assigned|other external id)$/ && $outcome =~ /^ok/;
	return 1 if $column eq 'join_links.email_domains' && $call eq 'join_seat, other domain' && $outcome =~ /^ok/;
	return 1 if $column eq 'subscriptions.seats_next' && $call eq 'assign_seats, more than planned' && $outcome =~ /^ok/;
	return 1 if $call =~ /full$|too (?:many|few)/ && $column =~ /^(?:subscriptions|orders)\.(?:id|assigned_seats)$/;
	return seats_given($got) <= seats_given($before) if $outcome =~ /^ok/;
	return grep { $column =~ $_->[0] && $outcome =~ /^(?:$_->[1])/ } @lost;
}

# Tells whether a call may end like this where the column is generated: it has no default any more, and the application
# and the owner cannot write the value that a constraint asks for.
sub may_be_generated
{
	my ($what, $call, $outcome) = @_;
	my $column = "$what->{table}.$what->{column}";

	# Nobody is found by an id that all have, or none; and a link that is made has that id.
	return 1 if $column eq 'customers.id' && $call =~ /^import_seats/ && $outcome =~ /^23505 /;
	return 1 if $column eq 'join_links.id' && $call =~ /create_join_link/ && $outcome =~ /^ok/;
	return needs_value($what, $outcome) || ($call =~ /^\w+: / && $outcome =~ /^23514 .* violates check constraint/);
}

# Where nothing is altered.
my %same;
foreach my $warmth ('warm', 'cold')
{
	foreach my $i (0 .. $#calls)
	{
		my ($name, $expected) = @{ $calls[$i] };
		like($result{$warmth}{0}{$i}{$_}[0], qr/^$expected/, "$name, $warmth, direct access $_") foreach 'on', 'off';
	}
}

sub baseline
{
	my ($call, $direct_access, $masked) = @_;

	return $same{$call}{$direct_access}{ join '.', @{ $masked // [] } } //=
	  normalized(@{ $result{cold}{0}{$call}{$direct_access} }, $masked);
}

foreach my $n (1 .. $#alterations)
{
	my $what = $alterations[$n];
	my $masked = $what->{masked} ? [ @$what{qw(table column)} ] : undef;
	my (%faults, @lines);

	foreach my $warmth ('warm', 'cold')
	{
		foreach my $call (sort { $a <=> $b } keys %{ $result{$warmth}{$n} })
		{
			foreach my $direct_access (sort keys %{ $result{$warmth}{$n}{$call} })
			{
				my ($outcome, $changes) = @{ $result{$warmth}{$n}{$call}{$direct_access} };

				next if names_column($outcome, $what->{column});
				my $got = normalized($outcome, $changes // '', $masked);
				my $before = baseline($call, $direct_access, $masked);
				next if $got eq $before;
				next if $what->{generated} && may_be_generated($what, $calls[$call][0], $outcome);
				next if $what->{empty} && may_be_lost($what, $calls[$call][0], $outcome, $got, $before);
				$outcome = 'another result' if $outcome =~ /^ok/ && $calls[$call][1] eq 'ok';
				$faults{ "$calls[$call][0]: $outcome" }{"$warmth $direct_access"} = $got;
			}
		}
	}
	push @lines, "$_ (" . join(', ', sort keys %{ $faults{$_} }) . ')' foreach sort keys %faults;
	ok(!@lines, $what->{label}) or diag(join "\n", @lines);
	if ($ENV{ALTERATIONS})
	{
		foreach my $fault (sort keys %faults)
		{
			my ($call) = grep { $fault =~ /^\Q$calls[$_][0]\E: / } 0 .. $#calls;
			diag("$fault\nGOT " . (values %{ $faults{$fault} })[0] . "\nEXPECTED " . baseline($call, 'on', $masked));
		}
	}
}

done_testing();
