# Eight sessions do random operations, eight at a time, on few purchases and addresses, so that
# they meet.  After each round a sequential order is searched for in which a reference model
# (test/lib/SeatsModel.pm) gives the same answers and ends with what the tables then hold.  At the
# end every rule of the contract is checked in SQL.
#
# SEED=... draws the same operations as long as the answers are the same, which the interleaving
# of the sessions decides.  There are 20,000 operations, 100,000 with FULL=1, or OPERATIONS=...;
# SESSIONS=1 does one after the other.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use IO::Handle;
use IPC::Open3;
use SeatsModel;
use SeatsTest;
use Test::More;
use Time::HiRes 'time';

my $seed = $ENV{SEED} // int(rand(2**31));
my $operations = $ENV{OPERATIONS} // ($ENV{FULL} ? 100_000 : 20_000);
my $sessions = $ENV{SESSIONS} // 8;
my $unknown_id = '00000000-0000-0000-0000-00000000dead';
my $marker = '--- answered ---';

my %table = (subscription => 'subscriptions', order => 'orders');
my %statuses = (
	subscription =>
	  [qw(incomplete incomplete_expired trialing past_due canceled unpaid paused paused unpaid)],
	order => [qw(draft pending refunded partially_refunded void)]);
my %usual_status = (subscription => 'active', order => 'paid');

# What changes nothing whatever it answers.
my %reads = map { $_ => 1 } qw(claim_info list_seats get_seat my_seats authenticate has_seat
  join_info list_join_links);

# The rows of the tables as the model writes them.
my $seat_columns = join ', ', qw(created_at modified_at id subscription_id order_id status
  customer_id customer_email invitation_token_expires_at claimed_at revoked_at seat_metadata);
my $link_columns = join ', ', qw(id created_at subscription_id order_id email_domains max_uses uses
  expires_at revoked_at);
my $event_columns = q{type, seat_id, customer_id, metadata - 'role', show(seat)};
my %rows_of = (
	seat => qq{
		SELECT show(ROW($seat_columns)::seats.customer_seat),
			encode(invitation_token_hash, 'hex'), claim_key_hash IS NOT NULL,
			suspended_at IS NOT NULL
		FROM seats.customer_seats
	},
	session => q{
		SELECT encode(token_hash, 'hex'), seat_id, customer_id, organization_id,
			expires_at <= now()
		FROM seats.customer_sessions
	},
	join_link => qq{
		SELECT show(ROW($link_columns)::seats.join_link), encode(token_hash, 'hex'), organization_id
		FROM seats.join_links
	},
	customer => q{SELECT id, organization_id, email, external_id, name FROM seats.customers},
	purchase => q{
		SELECT id, customer_id, status, seats, seats_next, seats_limit, assigned_seats, modified_at,
			(SELECT string_agg(s.id::text, ' ' ORDER BY s.created_at, s.id)
			FROM seats.customer_seats AS s WHERE p.id IN (s.subscription_id, s.order_id)),
			(SELECT string_agg(l.id::text, ' ' ORDER BY l.created_at, l.id)
			FROM seats.join_links AS l WHERE p.id IN (l.subscription_id, l.order_id))
		FROM (
			SELECT id, customer_id, status, seats, seats_next, seats_limit, assigned_seats,
					modified_at
				FROM seats.subscriptions
			UNION ALL
			SELECT id, customer_id, status, seats, NULL, NULL, assigned_seats, modified_at
				FROM seats.orders) AS p
	},
	organization => q{SELECT id, seat_based_pricing_enabled FROM seats.organizations},
	event => qq{SELECT $event_columns, count(*) FROM seats.events GROUP BY 1, 2, 3, 4, 5},
	new_event => qq{
		SELECT $event_columns, count(*) FROM seats.events
		WHERE id > :last_event GROUP BY 1, 2, 3, 4, 5
	});

# Those that are looked at after each round.
my @model_tables = qw(seat session join_link customer purchase organization new_event);

my $model = SeatsModel->new;
my $node = start_node('model', q{
	log_statement = none
	log_min_messages = fatal
});
my @purchases;    # which there are or were: id, kind, organization, product
my @psql;
my @tokens;    # all that were ever issued, also by what was rolled back, oldest first
my @session_tokens;    # likewise
my @seat_ids;    # likewise
my @join_tokens;    # likewise
my @link_ids;    # likewise
my %met;    # how often each operation gave each error, or none


# Draws ----------------------------------------------------------------------------------------

sub chance
{
	my ($probability) = @_;

	return rand() < $probability;
}

sub any
{
	return $_[ rand @_ ];
}

# Draws from a list of pairs of a weight and a value.
sub weighted
{
	my (@pairs) = @_;
	my $total = 0;
	$total += $_->[0] foreach @pairs;
	my $left = rand($total);

	foreach my $pair (@pairs)
	{
		$left -= $pair->[0];
		return $pair->[1] if $left < 0;
	}
	return $pairs[-1][1];
}


# The shop -------------------------------------------------------------------------------------

sub uuid
{
	my ($kind, $number) = @_;

	return sprintf('%08d-0000-0000-0000-%012d', $kind, $number);
}

# How tests see a seat and a join link; SeatsModel::show() and show_link() give the same.  Times are in
# microseconds.  And when a purchase was modified, as its transaction sees it, even by the same
# statement.
my $show = q{
	CREATE FUNCTION public.show(s seats.customer_seat) RETURNS text STABLE LANGUAGE sql AS $$
		SELECT concat_ws('/', s.id, COALESCE(s.subscription_id, s.order_id), s.status,
			COALESCE(s.customer_id::text, '-'), COALESCE(s.customer_email, '-'),
			CASE WHEN s.invitation_token_expires_at IS NULL THEN 'none'
				WHEN s.invitation_token_expires_at > clock_timestamp() THEN 'open'
				ELSE 'past' END,
			COALESCE((extract(epoch FROM s.claimed_at) * 1000000)::bigint::text, '-'),
			s.revoked_at IS NOT NULL, s.modified_at IS NOT NULL,
			COALESCE(s.seat_metadata::text, '-'))
	$$;
	CREATE FUNCTION public.show(l seats.join_link) RETURNS text STABLE LANGUAGE sql AS $$
		SELECT concat_ws('/', l.id, COALESCE(l.subscription_id, l.order_id),
			COALESCE(array_to_string(l.email_domains, ' '), '-'),
			COALESCE(l.max_uses::text, '-'), l.uses,
			CASE WHEN l.expires_at > clock_timestamp() THEN 'open' ELSE 'past' END,
			COALESCE((extract(epoch FROM l.revoked_at) * 1000000)::bigint::text, '-'))
	$$;
	CREATE FUNCTION public.modified(purchase_id uuid) RETURNS timestamptz VOLATILE LANGUAGE sql AS $$
		SELECT modified_at FROM seats.subscriptions WHERE id = purchase_id
		UNION ALL
		SELECT modified_at FROM seats.orders WHERE id = purchase_id
	$$;
};

# Adds an organization with two products and some customers who are known by an external id and by
# name.
sub add_organization
{
	my ($number, $name) = @_;
	my ($id, $slug, $second) = (uuid(1, $number), lc $name, uuid(4, $number));

	query(qq{
		INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled)
			VALUES ('$id', '$name', '$slug', true);
		INSERT INTO seats.products (id, organization_id, name)
			VALUES ('$id', '$id', '$name Editor'), ('$second', '$id', '$name Viewer');
	});
	$model->add_organization(
		id => $id,
		name => $name,
		slug => $slug,
		product => { $id => "$name Editor", $second => "$name Viewer" });
	add_customer($id, 10 * $number, '', "external0");
	add_customer($id, 10 * $number + 1, '', "external1");
	add_customer($id, 10 * $number + 2, "Person0\@$slug.example", "external2");
}

sub add_customer
{
	my ($organization, $number, $email, $external) = @_;
	my $id = uuid(2, $number);

	query(qq{
		INSERT INTO seats.customers (id, organization_id, email, external_id, name)
			VALUES ('$id', '$organization', NULLIF('$email', ''), '$external', 'Name $number')
	});
	$model->add_customer(
		id => $id,
		organization => $organization,
		email => $email,
		external => $external,
		name => "Name $number");
}

# Adds a purchase that is not there yet, of the organization's first or second product.
sub add_purchase
{
	my ($number, $kind, $organization_number, $second) = @_;

	push @purchases,
	  {
		id => uuid(3, $number),
		kind => $kind,
		organization => uuid(1, $organization_number),
		product => uuid($second ? 4 : 1, $organization_number)
	  };
}

sub open_shop
{
	query(qq{
		SET client_min_messages = warning;
		CREATE EXTENSION seats CASCADE;
		$show
	});
	add_organization(1, 'Acme');
	add_organization(2, 'Bolt');
	add_purchase(1, 'subscription', 1);
	add_purchase(2, 'subscription', 1, 1);
	add_purchase(3, 'order', 1);
	add_purchase(4, 'subscription', 2);
	add_purchase(5, 'order', 2, 1);
	foreach my $operation (map { draw_insert_purchase($_) } @purchases)
	{
		$model->fits($operation, answer(query($operation->{sql})));
	}
	# The first id would not be greater than the sequence's last_value.
	query(q{SELECT nextval('seats.events_id_seq')});
	# Events tell by the role which session released, imported or joined a seat.
	query(join '',
		map { "CREATE ROLE releaser$_; SELECT seats.grant_access(backend => 'releaser$_');" }
		  1 .. $sessions);
	$model->settle;
}


# Operations -----------------------------------------------------------------------------------

# Each of these subs draws an operation about a purchase: its name and arguments as the model
# takes them, and "sql", its statement; "before" and "after" are outside the transaction.

sub quoted
{
	my ($value) = @_;

	return 'NULL' if !defined $value;
	$value =~ s/'/''/g;
	return "'$value'";
}

# Names a purchase as arguments of a function.
sub purchase_arguments
{
	my ($purchase) = @_;

	return "$purchase->{kind}_id => '$purchase->{id}'";
}

sub about
{
	my ($purchase, %operation) = @_;

	return { purchase => $purchase->{id}, kind => $purchase->{kind}, %operation };
}

sub draw_email
{
	my ($purchase) = @_;
	my $slug = $model->{organization}{ $purchase->{organization} }{slug};
	my $email = 'Person' . int(rand 10) . "\@$slug." . (chance(0.9) ? 'example' : 'test');

	return any('nobody', 'a b@c', 'a@b@c', '<a@b>', 'a@b;', '@', '', undef) if chance(0.02);
	return chance(0.3) ? any(lc $email, uc $email) : $email;
}

sub all_customers
{
	return @{ $model->{customer} }{ sort keys %{ $model->{customer} } };
}

# Returns the customers of the organization of a purchase; at least one, who may be nobody.
sub own_customers
{
	my ($purchase) = @_;
	my @own = grep { $_->{organization} eq $purchase->{organization} } all_customers();

	return @own ? @own : { id => $unknown_id, email => '' };
}

# The organization's own customers mostly, often the one who pays, and others'.
sub draw_customer_id
{
	my ($purchase) = @_;
	my $row = $model->{purchase}{ $purchase->{id} };

	return $unknown_id if chance(0.05);
	return $row->{payer} if $row && chance(0.3);
	return any(chance(0.9) ? own_customers($purchase) : all_customers())->{id};
}

# Draws from one of some lists, given as pairs of a weight and the list, that is not empty.
sub from_lists
{
	my (@lists) = @_;

	return any(@{ weighted(grep { @{ $_->[1] } } @lists) });
}

# Returns the last elements of a list, at most so many.
sub last_of
{
	my ($count, @list) = @_;

	return @list > $count ? @list[ -$count .. -1 ] : @list;
}

sub draw_token
{
	my ($purchase) = @_;
	my @seats = $model->seats_of($purchase->{id});
	my @own = map { $_->{token} } grep { $_->{purchase} eq $purchase->{id} } @tokens;
	# Nobody knows the token of who has joined.
	my @pending =
	  grep { /^seats/ } map { $_->{token} } grep { $_->{status} eq 'pending' } @seats;
	my @claimed = map { $_->{token} } grep { $_->{status} eq 'claimed' && $_->{token} ne '' } @seats;

	return from_lists(
		[ 50, \@pending ],
		[ 20, \@claimed ],
		[ 20, [ last_of(5, @own) ] ],
		[ 8, [ map { $_->{token} } @tokens ] ],
		[ 1, \@session_tokens ],
		[ 1, [ 'seats_inv_nothing', 'seats_inv_' . '0' x 55 ] ]);
}

sub draw_session
{
	my ($purchase) = @_;
	my @live = grep { $_ ne '' } map { $_->{session} } $model->seats_of($purchase->{id});

	return from_lists(
		[ 45, \@live ],
		[ 5, [ sort $model->expired_sessions ] ],
		[ 30, [ last_of(8, @session_tokens) ] ],
		[ 18, \@session_tokens ],
		[ 1, [ map { $_->{token} } @tokens ] ],
		[ 1, [ 'seats_cst_nothing', 'seats_cst_' . '0' x 55 ] ]);
}

# Sometimes one whose row may have been given again meanwhile.
sub draw_seat
{
	my ($purchase, $status) = @_;
	my @seats = $model->seats_of($purchase->{id});
	my @wanted = grep { $_->{status} eq $status } @seats;
	my $seat = any(@wanted && chance(0.8) ? @wanted : @seats);

	return any(last_of(20, @seat_ids)) if @seat_ids && chance(0.05);
	return $seat && chance(0.98) ? $seat->{id} : $unknown_id;
}

sub draw_assign_seat
{
	my ($purchase) = @_;
	my ($by, $value) = @{
		weighted(
			[ 80, [ 'email', draw_email($purchase) ] ],
			[ 10, [ 'external_customer_id', 'external' . int rand 4 ] ],
			[ 15, [ 'customer_id', draw_customer_id($purchase) ] ])
	};
	my $immediate = chance(0.1);
	my $metadata = chance(0.2) ? '{"n": ' . int(rand 10) . '}' : undef;
	my $arguments = join ', ', purchase_arguments($purchase), "$by => " . quoted($value // ''),
	  'metadata => ' . quoted($metadata), 'immediate_claim => ' . ($immediate ? 'true' : 'false');

	return about($purchase, name => 'assign_seat', by => $by, value => $value // '',
		immediate => $immediate, metadata => $metadata,
		sql => "SELECT show(seat), invitation_token, modified('$purchase->{id}') "
		  . "FROM seats.assign_seat($arguments)");
}

sub draw_assign_seats
{
	my ($purchase) = @_;
	my @emails = map { draw_email($purchase) } 1 .. int rand 5;
	my $list = 'ARRAY[' . join(', ', map { quoted($_) } @emails) . ']::text[]';
	my $ids =
	  $purchase->{kind} eq 'order' ? "NULL, '$purchase->{id}'" : "'$purchase->{id}', NULL";

	return about($purchase, name => 'assign_seats', emails => \@emails,
		sql => "SELECT show(seat), invitation_token, modified('$purchase->{id}') "
		  . "FROM seats.assign_seats($ids, $list)");
}

# Draws a member: an address, an external id, or both, which mostly go together; and when the seat was
# claimed, seldom a time that cannot be.  It is often the same, so that seats are told apart by id.
sub draw_member
{
	my ($purchase, $emails, $externals, $times) = @_;
	my $email = draw_email($purchase);
	my ($digit, $test) = ($email // '') =~ /(\d).*?(test)?$/i;
	my $number = defined $digit && chance(0.8) ? $digit + ($test ? 10 : 0) : int rand 20;
	my $external = chance(0.02) ? '' : "external$number";
	my $never = $times && chance(0.02);

	return {
		email => $emails && chance($externals ? 0.8 : 1) ? $email : undef,
		external => $externals && chance($emails ? 0.8 : 1) ? $external : undef,
		unnamed => !$externals,
		never => $never,
		claimed => !$never && $times && chance(0.7)
		? 1_600_000_000_000_000 + int rand 3
		: undef
	};
}

# Writes the time when a member's seat was claimed.
sub claim_time
{
	my ($member) = @_;

	return any("'infinity'", "'-infinity'", "now() + interval '1 day'") if $member->{never};
	return 'NULL' if !defined $member->{claimed};
	return "timestamptz 'epoch' + $member->{claimed} * interval '1 microsecond'";
}

# An import answers only how many there are, so the events tell the seats, as for
# release_expired_seats().
sub draw_import_seats
{
	my ($purchase, $session) = @_;
	my $role = "releaser$session";
	my ($emails, $externals) = @{ any([ 1, 0 ], [ 0, 1 ], [ 1, 1 ], [ 1, 1 ]) };
	my $times = chance(0.5);
	my @members = map { draw_member($purchase, $emails, $externals, $times) } 1 .. int rand 4;
	my $name = any(qw(email email external));
	$members[0]{$name} = $members[-1]{$name} if @members > 1 && chance(0.4);
	my %lists = (
		$emails ? (emails => [ 'text', map { quoted($_->{email}) } @members ]) : (),
		$externals
		? (external_customer_ids => [ 'text', map { quoted($_->{external}) } @members ])
		: (),
		$times ? (claimed_at => [ 'timestamptz', map { claim_time($_) } @members ]) : ());
	my $arguments = purchase_arguments($purchase);

	foreach my $name (sort keys %lists)
	{
		my ($type, @elements) = @{ $lists{$name} };
		$arguments .= ", $name => ARRAY[" . join(', ', @elements) . "]::${type}[]";
	}
	return about($purchase, name => 'import_seats', members => \@members, transaction => 1,
		before => "SELECT last_value FROM seats.events_id_seq \\gset\n",
		sql => "SET LOCAL ROLE $role;\nSELECT seats.import_seats($arguments);\nRESET ROLE;\n"
		  . "SELECT show(seat), '', modified('$purchase->{id}') FROM seats.events "
		  . "WHERE id > :last_value AND metadata ->> 'role' = '$role' ORDER BY id");
}

# Few keys, so that they are often the same; sometimes the window for retries is closed.
sub draw_claim_seat
{
	my ($purchase) = @_;
	my $token = draw_token($purchase);
	my $key = any('', '', 'a', 'a', 'b');
	my $window = !chance(0.1);
	my $sql = 'SELECT show(seat), customer_session_token FROM seats.claim_seat('
	  . quoted($token) . ($key eq '' ? ')' : ", '$key')");

	return about($purchase, name => 'claim_seat', token => $token, key => $key, window => $window,
		before => $window ? '' : "SET seats.claim_retry_window = 0;\n",
		after => $window ? '' : "RESET seats.claim_retry_window;\n",
		sql => $sql);
}

sub draw_claim_info
{
	my ($purchase) = @_;
	my $token = draw_token($purchase);

	return about($purchase, name => 'claim_info', token => $token,
		sql => "SELECT * FROM seats.claim_info('$token')");
}

sub draw_resend_invitation
{
	my ($purchase) = @_;
	my $seat = draw_seat($purchase, 'pending');

	return about($purchase, name => 'resend_invitation', seat => $seat,
		sql => "SELECT show(seat), invitation_token FROM seats.resend_invitation('$seat')");
}

sub draw_revoke_seat
{
	my ($purchase) = @_;
	my $seat = draw_seat($purchase, any(qw(pending claimed)));

	return about($purchase, name => 'revoke_seat', seat => $seat,
		sql => "SELECT show(s) FROM seats.revoke_seat('$seat') AS s");
}

sub draw_revoke_seats
{
	my ($purchase) = @_;
	my $arguments = purchase_arguments($purchase);

	return about($purchase, name => 'revoke_seats', sql => "SELECT seats.revoke_seats($arguments)");
}

# Some more or fewer than are assigned.
sub draw_set_seats
{
	my ($purchase) = @_;
	my $assigned = $model->assigned($purchase->{id});
	my $seats = $assigned + int(rand 6) - 3;
	my $surplus = any(qw(revoke revoke refuse), '');

	$seats = 0 if $seats < 0;
	my $arguments = join ', ', purchase_arguments($purchase), "seats => $seats",
	  $surplus ? "surplus => '$surplus'" : ();
	return about($purchase, name => 'set_seats', seats => $seats, revoke => $surplus eq 'revoke',
		sql => "SELECT n, modified('$purchase->{id}') FROM seats.set_seats($arguments) AS n");
}

# Of some domains, often the usual one, and seldom one that nobody has.
sub draw_create_join_link
{
	my ($purchase) = @_;
	my $slug = $model->{organization}{ $purchase->{organization} }{slug};
	my $domains = any('', '', "$slug.example", uc("$slug.test") . " $slug.Example");
	$domains = "$slug.invalid" if chance(0.05);
	my $max_uses = any('', 1, 2, 3);
	my $expires_in = any(undef, '1 hour', '1 month');
	my $arguments = join ', ', purchase_arguments($purchase),
	  $domains eq '' ? () : "email_domains => string_to_array('$domains', ' ')",
	  $max_uses eq '' ? () : "max_uses => $max_uses",
	  defined $expires_in ? "expires_in => '$expires_in'" : ();

	return about($purchase, name => 'create_join_link', domains => $domains, max_uses => $max_uses,
		sql => 'SELECT show(link), join_token, (link).expires_at = (link).created_at + interval '
		  . quoted($expires_in // '7 days')
		  . " FROM seats.create_join_link($arguments)");
}

# Tells whether a join link can still be used, or could if it had more uses.
sub is_valid_link
{
	my ($link) = @_;

	return $link->{revoked} eq '' && $link->{expiry} eq 'open';
}

sub draw_join_token
{
	my ($purchase) = @_;
	my @links = $model->links_of($purchase->{id});
	my @valid = map { $_->{token} } grep { is_valid_link($_) } @links;

	return from_lists(
		[ 80, [ last_of(4, @valid) ] ],
		[ 8, [ map { $_->{token} } last_of(6, @links) ] ],
		[ 4, \@join_tokens ],
		[ 1, [ map { $_->{token} } @tokens ] ],
		[ 1, [ 'seats_jnl_nothing', 'seats_jnl_' . '0' x 55 ] ]);
}

# Who joins has a seat sometimes, most often one whose invitation has expired.
sub draw_join_email
{
	my ($purchase) = @_;
	my @held = grep { $_->{email} ne '' } $model->assigned($purchase->{id});
	my @expired = grep { $_->{status} eq 'pending' && $_->{expiry} eq 'past' } @held;
	my $seat = any(@expired && chance(0.8) ? @expired : @held);

	return draw_email($purchase) if !$seat || chance(0.6);
	return chance(0.3) ? lc $seat->{email} : $seat->{email};
}

# A call answers nothing, so the event tells the seat, as for import_seats().
sub draw_join_seat
{
	my ($purchase, $session) = @_;
	my $role = "releaser$session";
	my ($token, $email) = (draw_join_token($purchase), draw_join_email($purchase));
	my $arguments = quoted($token) . ', ' . quoted($email);

	return about($purchase, name => 'join_seat', token => $token, email => $email,
		transaction => 1,
		before => "SELECT last_value FROM seats.events_id_seq \\gset\n",
		sql => "SET LOCAL ROLE $role;\nSELECT seats.join_seat($arguments);\nRESET ROLE;\n"
		  . "SELECT substr(e.type, 15), show(e.seat), "
		  . "'#' || encode(s.invitation_token_hash, 'hex'), "
		  . 'modified(COALESCE(s.subscription_id, s.order_id)) '
		  . 'FROM seats.events AS e JOIN seats.customer_seats AS s ON s.id = e.seat_id '
		  . "WHERE e.id > :last_value AND e.metadata ->> 'role' = '$role'");
}

sub draw_join_info
{
	my ($purchase) = @_;
	my $token = draw_join_token($purchase);

	return about($purchase, name => 'join_info', token => $token,
		sql => 'SELECT product_name, organization_name, organization_slug, '
		  . "array_to_string(email_domains, ' '), can_join FROM seats.join_info('$token')");
}

sub draw_list_join_links
{
	my ($purchase) = @_;
	my $arguments = purchase_arguments($purchase);

	return about($purchase, name => 'list_join_links',
		sql => "SELECT show(l) FROM seats.list_join_links($arguments) AS l");
}

# Mostly one that can still be used; sometimes one that may be gone, or was never there.
sub draw_link
{
	my ($purchase) = @_;
	my @links = $model->links_of($purchase->{id});
	my @valid = grep { is_valid_link($_) } @links;

	return from_lists(
		[ 50, [ map { $_->{id} } @valid ] ],
		[ 40, [ map { $_->{id} } @links ] ],
		[ 5, [ last_of(20, @link_ids) ] ],
		[ 5, [$unknown_id] ]);
}

sub draw_revoke_join_link
{
	my ($purchase) = @_;
	my $link = draw_link($purchase);

	return about($purchase, name => 'revoke_join_link', link => $link,
		sql => "SELECT show(l) FROM seats.revoke_join_link('$link') AS l");
}

sub draw_list_seats
{
	my ($purchase) = @_;
	my $arguments = purchase_arguments($purchase);

	return about($purchase, name => 'list_seats',
		sql => 'SELECT available_seats, total_seats, '
		  . "array_to_string(ARRAY(SELECT show(s) FROM unnest(seats) AS s), ' ') "
		  . "FROM seats.list_seats($arguments)");
}

sub draw_get_seat
{
	my ($purchase) = @_;
	my $seat = draw_seat($purchase, any(qw(pending claimed revoked)));

	return about($purchase, name => 'get_seat', seat => $seat,
		sql => "SELECT show(s) FROM seats.get_seat('$seat') AS s");
}

sub draw_open_session
{
	my ($purchase) = @_;
	my $seat = draw_seat($purchase, chance(0.8) ? 'claimed' : any(qw(pending revoked)));

	return about($purchase, name => 'open_session', seat => $seat,
		sql => 'SELECT (session).customer_id, (session).organization_id, (session).seat_id, '
		  . "(session).customer_email, customer_session_token FROM seats.open_session('$seat') "
		  . 'WHERE (session).expires_at > clock_timestamp()');
}

sub draw_my_seats
{
	my ($purchase) = @_;
	my $customer = draw_customer_id($purchase);

	return about($purchase, name => 'my_seats', customer => $customer,
		before => qq(SET request.jwt.claims = '{"sub": "$customer"}';\n),
		after => "RESET request.jwt.claims;\n",
		sql => 'SELECT show(ROW(m.*)::seats.customer_seat) FROM seats.my_seats AS m');
}

# By the request's JWT, or as an argument.
sub draw_has_seat
{
	my ($purchase) = @_;
	my @held = grep { $_->{status} eq 'claimed' } $model->seats_of($purchase->{id});
	my $customer = @held && chance(0.7) ? any(@held)->{customer} : draw_customer_id($purchase);
	my $product = any(map({ $_->{product} } @purchases), $unknown_id);
	$product = $purchase->{product} if chance(0.8);
	my %operation = (name => 'has_seat', customer => $customer, product => $product);

	return about($purchase, %operation, sql => "SELECT seats.has_seat('$product', '$customer')")
	  if chance(0.5);
	return about($purchase, %operation,
		before => qq(SET request.jwt.claims = '{"sub": "$customer"}';\n),
		after => "RESET request.jwt.claims;\n",
		sql => "SELECT seats.has_seat('$product')");
}

sub draw_erase_customer
{
	my ($purchase) = @_;
	my $customer = draw_customer_id($purchase);

	return about($purchase, name => 'erase_customer', customer => $customer,
		sql => "SELECT seats.erase_customer('$customer')");
}

sub draw_authenticate
{
	my ($purchase) = @_;
	my $session = draw_session($purchase);

	return about($purchase, name => 'authenticate', session => $session,
		sql => 'SELECT customer_id, organization_id, seat_id, customer_email '
		  . "FROM seats.authenticate('$session') WHERE expires_at > clock_timestamp()");
}

sub draw_end_session
{
	my ($purchase) = @_;
	my $session = draw_session($purchase);

	return about($purchase, name => 'end_session', session => $session,
		sql => "SELECT seats.end_session('$session')");
}

# The columns of a purchase that a change of them returns.
my %returned = (
	subscription => 'id, status, seats, assigned_seats, seats_next, seats_limit, modified_at',
	order => 'id, status, seats, assigned_seats, NULL, NULL, modified_at');

# Arguments are what is to change.
sub update_purchase
{
	my ($purchase, %columns) = @_;
	my %names = (status => 'status', seats => 'seats', next => 'seats_next', limit => 'seats_limit');
	my $changes = join ', ',
	  map { "$names{$_} = " . ($columns{$_} eq '' ? 'NULL' : "'$columns{$_}'") } sort keys %columns;

	return about($purchase, name => 'update_purchase', %columns,
		sql => "UPDATE seats.$table{$purchase->{kind}} SET $changes "
		  . "WHERE id = '$purchase->{id}' RETURNING $returned{$purchase->{kind}}");
}

# All subscriptions of an organization at once.
sub draw_update_purchases
{
	my ($purchase) = @_;
	my $organization = $purchase->{organization};
	my $status = any(qw(paused unpaid active active));

	return about($purchase, name => 'update_purchases', organization => $organization,
		status => $status,
		sql => "UPDATE seats.subscriptions SET status = '$status' "
		  . "WHERE organization_id = '$organization' RETURNING $returned{subscription}");
}

# Tells whether a purchase has its usual status.
sub is_usual
{
	my ($purchase) = @_;
	my $row = $model->{purchase}{ $purchase->{id} };

	return $row && $row->{status} eq $usual_status{ $purchase->{kind} };
}

# Sometimes seats too, since lower ones are accepted from a purchase that ends.  Mostly it goes
# back to what is usual.
sub draw_change_status
{
	my ($purchase) = @_;
	my $status = any(@{ $statuses{ $purchase->{kind} } });

	$status = $usual_status{ $purchase->{kind} } if !is_usual($purchase) && chance(0.9);
	return update_purchase($purchase, status => $status, chance(0.2) ? (seats => 2) : (),
		$purchase->{kind} eq 'subscription' && chance(0.1) ? (next => 1) : ());
}

sub draw_change_seats
{
	my ($purchase) = @_;

	return update_purchase($purchase, seats => int rand 8);
}

# Plans another number of seats, or none, or allows that seats are raised.
sub draw_plan_seats
{
	my ($purchase) = @_;
	my $assigned = $model->assigned($purchase->{id});

	return draw_change_seats($purchase) if $purchase->{kind} ne 'subscription';
	return update_purchase($purchase, limit => any('', 0, 4, 6, 8)) if chance(0.4);
	return update_purchase($purchase, next => any('', '', $assigned, $assigned + 1, int rand 8));
}

# At the end of the period.
sub draw_reach_next
{
	my ($purchase) = @_;

	return draw_change_seats($purchase) if $purchase->{kind} ne 'subscription';
	return about($purchase, name => 'reach_next',
		sql => 'UPDATE seats.subscriptions SET seats = seats_next, seats_next = NULL '
		  . "WHERE id = '$purchase->{id}' AND seats_next IS NOT NULL "
		  . "RETURNING $returned{subscription}");
}

sub draw_delete_purchase
{
	my ($purchase) = @_;

	return about($purchase, name => 'delete_purchase',
		sql => "DELETE FROM seats.$table{$purchase->{kind}} WHERE id = '$purchase->{id}' "
		  . 'RETURNING id');
}

# Who pays may be erased meanwhile.
sub draw_insert_purchase
{
	my ($purchase) = @_;
	my $seats = 2 + int rand 5;
	my $payer = any(own_customers($purchase))->{id};
	my $status = $usual_status{ $purchase->{kind} };
	my ($organization, $product) = @$purchase{qw(organization product)};
	my $limit = $purchase->{kind} eq 'subscription' ? any('', 6) : '';
	my ($column, $value) = $limit eq '' ? ('', '') : (', seats_limit', ", $limit");

	return about($purchase, name => 'insert_purchase', organization => $organization,
		product => $product, payer => $payer, seats => $seats, limit => $limit, status => $status,
		sql => "INSERT INTO seats.$table{$purchase->{kind}} "
		  . "(id, organization_id, product_id, customer_id, seats, status$column) "
		  . "VALUES ('$purchase->{id}', '$organization', '$product', "
		  . "'$payer', $seats, '$status'$value) ON CONFLICT DO NOTHING RETURNING id");
}

sub enable_pricing
{
	my ($purchase, $enabled) = @_;
	my $organization = $purchase->{organization};

	return about($purchase, name => 'enable_pricing', organization => $organization,
		enabled => $enabled,
		sql => "UPDATE seats.organizations SET seat_based_pricing_enabled = '$enabled' "
		  . "WHERE id = '$organization'");
}

sub draw_enable_pricing
{
	my ($purchase) = @_;

	return enable_pricing($purchase, chance(0.3) ? 'f' : 't');
}

sub draw_delete_customer
{
	my ($purchase) = @_;
	my $email = draw_email($purchase) // '';
	my $organization = $purchase->{organization};

	return about($purchase, name => 'delete_customer', organization => $organization,
		email => $email,
		sql => "DELETE FROM seats.customers WHERE organization_id = '$organization' "
		  . 'AND lower(email COLLATE "C") = lower(' . quoted($email) . ' COLLATE "C") RETURNING id');
}

sub update_customer
{
	my ($purchase, $customer, $column, $value) = @_;
	my %columns = (email => 'email', external => 'external_id');

	return about($purchase, name => 'update_customer', customer => $customer->{id},
		new => { $column => $value },
		sql => "UPDATE seats.customers SET $columns{$column} = NULLIF(" . quoted($value) . ", '') "
		  . "WHERE id = '$customer->{id}' RETURNING id");
}

# Who has no address, or lost it, gets one more often than others lose theirs.
sub draw_change_address
{
	my ($purchase) = @_;
	my @customers = own_customers($purchase);
	my @without = grep { $_->{email} eq '' } @customers;
	my $customer = any(@without && chance(0.3) ? @without : @customers);
	my $email = $customer->{email};

	$email = $email eq lc $email ? uc $email : lc $email;
	if ($email eq '' || chance(0.6))
	{
		do { $email = draw_email($purchase) } until SeatsModel::is_address($email);
	}
	return update_customer($purchase, $customer, 'email', chance(0.1) ? '' : $email);
}

# Those who were erased leave theirs to others.
sub draw_change_external_id
{
	my ($purchase) = @_;

	return update_customer($purchase, any(own_customers($purchase)),
		'external', chance(0.4) ? '' : 'external' . int rand 20);
}

# The addresses of all customers of an organization at once: another case, or another domain.
sub draw_update_customers
{
	my ($purchase) = @_;
	my $organization = $purchase->{organization};
	my ($from, $to) = @{ any([qw(example test)], [qw(test example)]) };
	my ($change, $email, $where) = @{
		any([ sub { lc $_[0] }, 'lower(email)', 'email <> lower(email)' ],
			[ sub { uc $_[0] }, 'upper(email)', 'email <> upper(email)' ],
			[
				sub { $_[0] =~ s/$from\z/$to/r },
				"regexp_replace(email, '$from\$', '$to')", "email ~ '$from\$'"
			])
	};

	return about($purchase, name => 'update_customers', organization => $organization,
		change => $change,
		sql => "UPDATE seats.customers SET email = $email "
		  . "WHERE organization_id = '$organization' AND $where RETURNING id");
}

sub draw_expire_invitation
{
	my ($purchase) = @_;
	my $seat = draw_seat($purchase, chance(0.7) ? 'pending' : 'claimed');

	return about($purchase, name => 'expire_invitation', seat => $seat,
		sql => "UPDATE seats.customer_seats "
		  . "SET invitation_token_expires_at = now() - interval '1 hour' "
		  . "WHERE id = '$seat' AND status <> 'revoked' "
		  . 'AND invitation_token_hash IS NOT NULL RETURNING id');
}

sub draw_expire_join_link
{
	my ($purchase) = @_;
	my $link = draw_link($purchase);

	return about($purchase, name => 'expire_join_link', link => $link,
		sql => "UPDATE seats.join_links SET expires_at = now() - interval '1 hour' "
		  . "WHERE id = '$link' RETURNING id");
}

# By its token, not its seat: one that a retry is replacing would not be found.
sub draw_expire_session
{
	my ($purchase) = @_;
	my $session = draw_session($purchase);
	my $hash = sha256_hex($session);

	return about($purchase, name => 'expire_session', session => $session,
		sql => "UPDATE seats.customer_sessions SET expires_at = now() - interval '1 hour' "
		  . "WHERE token_hash = decode('$hash', 'hex') RETURNING seat_id");
}

# Which seats it takes is its own choice, so the events that it wrote tell them.
sub draw_release_expired_seats
{
	my ($purchase, $session) = @_;
	my $role = "releaser$session";

	return about($purchase, name => 'release_expired_seats', transaction => 1,
		before => "SELECT last_value FROM seats.events_id_seq \\gset\n",
		sql => "SET LOCAL ROLE $role;\nSELECT seats.release_expired_seats();\nRESET ROLE;\n"
		  . 'SELECT seat_id FROM seats.events '
		  . "WHERE id > :last_value AND metadata ->> 'role' = '$role'");
}

sub draw_purge_expired_sessions
{
	my ($purchase) = @_;

	return about($purchase, name => 'purge_expired_sessions',
		sql => 'SELECT seats.purge_expired_sessions()');
}

# Calls that are refused whatever the state.
sub draw_refused
{
	my ($purchase) = @_;
	my $arguments = purchase_arguments($purchase);
	my ($call, $error) = @{
		any([ "assign_seat(email => 'a\@b')", 'PT422 subscription_id' ],
			[ "assign_seat($arguments)", 'PT422 email' ],
			[ "assign_seat($arguments, email => 'a\@b', metadata => '[]')", 'PT422 metadata' ],
			[ "assign_seat('$unknown_id', email => 'a\@b')", 'PT404 subscription_not_found' ],
			[ "list_seats(order_id => '$unknown_id')", 'PT404 order_not_found' ],
			[ 'revoke_seats()', 'PT422 subscription_id' ],
			[ "set_seats($arguments)", 'PT422 seats' ],
			[ "set_seats($arguments, seats => -1, surplus => NULL)", 'PT422 seats,surplus' ],
			[ "set_seats($arguments, seats => 0, surplus => 'keep')", 'PT422 surplus' ],
			[ "import_seats($arguments)", 'PT422 emails' ],
			[
				"import_seats($arguments, emails => '{a\@b}', external_customer_ids => '{}')",
				'PT422 external_customer_ids'
			],
			[
				"import_seats($arguments, external_customer_ids => '{a}', claimed_at => '{NULL,NULL}')",
				'PT422 claimed_at'
			],
			[ "create_join_link($arguments, max_uses => 0)", 'PT422 max_uses' ],
			[
				"create_join_link($arguments, expires_in => '0', email_domains => '{}')",
				'PT422 expires_in,email_domains'
			],
			[
				"create_join_link($arguments, email_domains => '{a.example,\@b}')",
				'PT422 email_domains.1'
			],
			[ 'create_join_link()', 'PT422 subscription_id' ],
			[ "join_seat('', NULL)", 'PT422 join_token,email' ],
			[ 'join_info(NULL)', 'PT422 join_token' ],
			[ 'list_join_links()', 'PT422 subscription_id' ],
			[ 'revoke_join_link(NULL)', 'PT422 link_id' ],
			[ 'get_seat(NULL)', 'PT422 seat_id' ],
			[ 'open_session(NULL)', 'PT422 seat_id' ],
			[ 'erase_customer(NULL)', 'PT422 customer_id' ],
			[ "claim_seat('')", 'PT422 invitation_token' ],
			[ "claim_seat('nothing', repeat('k', 256))", 'PT422 idempotency_key' ],
			[ 'claim_info(NULL)', 'PT422 invitation_token' ],
			[ 'authenticate(NULL)', 'PT422 customer_session_token' ],
			[ "release_expired_seats('-1 day')", 'PT422 older_than' ])
	};

	return about($purchase, name => 'refused', error => $error, sql => "SELECT seats.$call");
}

my @draws = (
	[ 22, \&draw_assign_seat ],
	[ 7, \&draw_assign_seats ],
	[ 22, \&draw_claim_seat ],
	[ 5, \&draw_claim_info ],
	[ 6, \&draw_resend_invitation ],
	[ 8, \&draw_revoke_seat ],
	[ 10, \&draw_import_seats ],
	[ 6, \&draw_set_seats ],
	[ 1, \&draw_revoke_seats ],
	[ 5, \&draw_create_join_link ],
	[ 20, \&draw_join_seat ],
	[ 4, \&draw_join_info ],
	[ 2, \&draw_list_join_links ],
	[ 2, \&draw_revoke_join_link ],
	[ 5, \&draw_list_seats ],
	[ 3, \&draw_get_seat ],
	[ 4, \&draw_open_session ],
	[ 1, \&draw_my_seats ],
	[ 3, \&draw_has_seat ],
	[ 4, \&draw_authenticate ],
	[ 3, \&draw_end_session ],
	[ 3, \&draw_change_status ],
	[ 0.5, \&draw_update_purchases ],
	[ 3, \&draw_change_seats ],
	[ 4, \&draw_plan_seats ],
	[ 1, \&draw_reach_next ],
	[ 0.3, \&draw_delete_purchase ],
	[ 0.2, \&draw_insert_purchase ],
	[ 0.5, \&draw_enable_pricing ],
	[ 2, \&draw_delete_customer ],
	[ 1, \&draw_erase_customer ],
	[ 2, \&draw_change_address ],
	[ 1, \&draw_change_external_id ],
	[ 0.5, \&draw_update_customers ],
	[ 5, \&draw_expire_invitation ],
	[ 1, \&draw_expire_session ],
	[ 1, \&draw_expire_join_link ],
	[ 1, \&draw_release_expired_seats ],
	[ 0.5, \&draw_purge_expired_sessions ],
	[ 1, \&draw_refused ]);

# Has an operation come with a request, of which events keep the address and the user agent.
sub add_request
{
	my ($operation) = @_;

	$operation->{request} = { address => '192.0.2.7', user_agent => 'Model/1' };
	$operation->{before} = "SET request.headers = "
	  . qq('{"x-forwarded-for": "192.0.2.7", "user-agent": "Model/1"}';\n)
	  . ($operation->{before} // '');
	$operation->{after} = ($operation->{after} // '') . "RESET request.headers;\n";
}

# What could deadlock with a statement of the application that changes many rows, by the order of
# the rows, of their seats or of new addresses alone; docs/concurrency.md lists it.
my %not_beside = (
	update_purchases => qr/^(update_purchases|update_customers?|erase_customer)$/,
	update_customers =>
	  qr/^(update_purchases|update_customers|delete_purchase|assign_seats|import_seats)$/);

# Leaves out of a round what could deadlock so with the first such statement in it.
sub without_deadlocks
{
	my (@round) = @_;
	my ($many) = grep { $not_beside{ $_->{name} } } @round or return @round;

	return grep { $_ == $many || $_->{name} !~ $not_beside{ $many->{name} } } @round;
}

# Draws an operation for a session about a purchase, on which others of the round are too.
sub draw_operation
{
	my ($session, $purchase) = @_;
	my $operation = weighted(@draws)->($purchase, $session);

	# What is switched off, ended or gone would only be refused; it soon goes on.
	$operation = enable_pricing($purchase, 't')
	  if !$model->enabled($purchase) && chance(0.05);
	$operation = draw_change_status($purchase) if !is_usual($purchase) && chance(0.1);
	$operation = draw_insert_purchase($purchase)
	  if !$model->{purchase}{ $purchase->{id} } && chance(0.1);
	$operation->{rollback} = chance(0.08);
	$operation->{pause} = chance(0.15);
	add_request($operation) if chance(0.2);
	return $operation;
}

# Draws the operations of a round.  Now and then there is one alone, which leaves out nothing.
sub draw_round
{
	my ($count) = @_;
	my $focus = any(@purchases);

	if (chance(0.1))
	{
		my $draw =
		  any(\&draw_release_expired_seats, \&draw_purge_expired_sessions, \&draw_list_seats);
		return { %{ $draw->($focus, 1) }, alone => 1 };
	}
	my @round =
	  map { draw_operation($_, chance(0.7) ? $focus : any(@purchases)) } 1 .. $count;

	# Two that passed over each other's rows would leave unknown which took which.
	my @purges = grep { $_->{name} eq 'purge_expired_sessions' } @round;
	shift @purges;
	$_->{rollback} = 1 foreach @purges;
	return without_deadlocks(@round);
}


# Sessions -------------------------------------------------------------------------------------

sub start_sessions
{
	foreach my $session (1 .. $sessions)
	{
		my ($in, $out);
		open3($in, $out, undef, 'psql', '-XAtq', '-v', 'VERBOSITY=verbose',
			'-d', $node->connstr('postgres'));
		$in->autoflush;
		# Whatever waits that long waits for ever.
		print $in "SET statement_timeout = '60s';\n\\set last_event 0\n";
		push @psql, { in => $in, out => $out };
	}
}

# Returns what psql is given for an operation.  One that pauses before its end lets others wait
# for it.
sub script
{
	my ($operation) = @_;
	my $end = $operation->{rollback} ? 'ROLLBACK' : 'COMMIT';
	my $pause = $operation->{pause} ? "SELECT pg_sleep(0.002) \\gset ignored_\n" : '';
	my $sql = "$operation->{sql};\n";

	$sql = "BEGIN;\n$sql$pause$end;\n"
	  if $operation->{rollback} || $operation->{pause} || $operation->{transaction};
	return join '', $operation->{before} // '', $sql, $operation->{after} // '',
	  "\\echo $marker\n";
}

# Reads what psql wrote up to the marker.
sub read_lines
{
	my ($out) = @_;
	my @lines;

	while (my $line = <$out>)
	{
		chomp $line;
		return @lines if $line eq $marker;
		push @lines, $line;
	}
	die "psql ended: @lines";
}

# Returns the reason of an error: DETAIL's word, or the arguments that are at fault; and the
# addresses that the hint names.
sub reason
{
	my ($text) = @_;
	my ($detail) = $text =~ /^DETAIL:  (.*)/m;
	my ($hint) = $text =~ /^HINT:(.*)/m;
	my @addresses = ($hint // '') =~ /\["body", ("(?:emails|external_customer_ids)", \d+)\]/g;
	my @locations = $detail =~ /"loc": \["body", (.*?)\]/g;

	foreach (@locations, @addresses)
	{
		s/"//g;
		s/, /./;
	}
	return join(',', @locations) if @locations;
	return join ' ', $detail, @addresses ? join ',', @addresses : ();
}

# Returns the answer in the lines that psql wrote; an error comes last.
sub answer
{
	my (@lines) = @_;
	my $text = join "\n", @lines;
	my ($rows, $sqlstate, $message, $rest) =
	  $text =~ /\A(.*?)^ERROR:  (\w{5}): ([^\n]*)\n?(.*)\z/ms;

	return { error => '', message => '', rows => \@lines } if !defined $sqlstate;
	return {
		error => $sqlstate =~ /^PT/ ? "$sqlstate " . reason($rest) : $sqlstate,
		message => $message,
		rows => [ split /\n/, $rows ],
	};
}

# Has the operations done, all at once; returns their answers.
sub answers
{
	my (@round) = @_;

	foreach my $i (0 .. $#round)
	{
		$psql[$i]{in}->print(script($round[$i]));
	}
	return map { answer(read_lines($psql[$_]{out})) } 0 .. $#round;
}

# Returns all rows of the tables, each after the name of its table, as the model writes them.
sub state_of_tables
{
	$psql[0]{in}->print(
		map({ "SELECT '$_', t.* FROM ($rows_of{$_}) AS t;\n" } @model_tables),
		"SELECT COALESCE(max(id), 0) AS last_event FROM seats.events \\gset\n",
		"\\echo $marker\n");
	my @rows = sort { $a cmp $b } read_lines($psql[0]{out});
	return @rows;
}

# Remembers the tokens that the answers gave.
sub remember_tokens
{
	my ($round) = @_;

	foreach my $done (@$round)
	{
		my $rows = join "\n", @{ $done->{answer}{rows} };
		push @tokens, map { { token => $_, purchase => $done->{operation}{purchase} } }
		  $rows =~ /\|(seats_inv_\w+)/g;
		push @session_tokens, $rows =~ /\|(seats_cst_\w+)/g;
		push @join_tokens, $rows =~ /\|(seats_jnl_\w+)/g;
		push @link_ids, $rows =~ m{^([-0-9a-f]{36})/.*\|seats_jnl_}mg;
		push @seat_ids, $rows =~ m{^([-0-9a-f]{36})/}mg
		  if $done->{operation}{name} =~ /^(assign|import)/;
	}
}


# The search for an order ----------------------------------------------------------------------

# Tells whether an operation that answered so has changed nothing.
sub is_harmless
{
	my ($operation, $answer) = @_;

	my $nothing = $operation->{name} eq 'join_seat' && @{ $answer->{rows} } == 1;

	return $operation->{rollback} || $answer->{error} || $nothing || $reads{ $operation->{name} };
}

# Tells whether there is an order in which the operations left give their answers and end with
# the state that the tables have after the round; if so the model has it afterwards.
#
# A harmless one that fits can as well come at once, since from wherever it stands in an order it
# can be moved here, unless a step of it is left.  Of the others each has to be tried as the next.
#
# There can be thousands of orders, most of which lead to few states.  So what failed is remembered
# once the search has taken long, and not tried again.
sub find_order
{
	my ($round, @left) = @_;
	my @next;
	my $point = ++$round->{tries} > 100 && join "\n", $model->changes,
	  sort map { "$_->{answer} $_->{operation}{name}" } @left;

	return 0 if $point && $round->{failed}{$point};
	foreach my $done (@left)
	{
		my $mark = $model->mark;
		next if !$model->fits($done->{operation}, $done->{answer});
		return find_order($round, grep { $_ != $done } @left)
		  if !$model->left && is_harmless($done->{operation}, $done->{answer});
		$model->undo($mark);
		push @next, $done;
	}
	foreach my $done (@next)
	{
		my $mark = $model->mark;
		my ($choice, $choices) = (0, 1);
		while ($choice < $choices)
		{
			my $fits = $model->fits($done->{operation}, $done->{answer}, $choice++);
			$choices = $model->choices;
			my @steps = $model->left;
			return 1 if $fits && find_order($round, grep({ $_ != $done } @left), @steps);
			$model->undo($mark);
		}
	}
	return 1 if !@left && $model->state eq $round->{state};
	$round->{failed}{$point} = 1 if $point;
	return 0;
}

# Reports a round that has no order: what was asked and answered, and what it was about.
sub report
{
	my ($number, $round) = @_;
	my %purchases = map { $_->{operation}{purchase} => 1 } @{ $round->{done} };

	diag("no order explains round $number of SEED=$seed OPERATIONS=$operations");
	foreach my $done (@{ $round->{done} })
	{
		my $answer = $done->{answer};
		diag(script($done->{operation}));
		my $mark = $model->mark;
		my $fits = $model->fits($done->{operation}, $answer) ? 'fits at first' : 'not at first';
		$model->undo($mark);
		diag(join "\n", "answer ($fits): $answer->{error} $answer->{message}",
			@{ $answer->{rows} });
	}
	diag("before it:\n" . $model->state);
	diag('tokens and keys:');
	diag($model->describe($_)) foreach sort keys %purchases;
	my %before = map { $_ => 1 } split /\n/, $model->state;
	diag('different after it:');
	diag($_) foreach grep { !delete $before{$_} } split /\n/, $round->{state};
	diag("gone: $_") foreach sort keys %before;
}

# Does a round; tells whether there is an order that explains it.
sub do_round
{
	my ($number, @operations) = @_;
	my $began = int(1_000_000 * time) - 1;
	my @answers = answers(@operations);
	my $ended = int(1_000_000 * time) + 1;
	my @state = state_of_tables();
	my @kept = map { /^session\|(\w+).*\|t$/ ? $1 : () } @state;
	my %present = map { m{^seat\|([^/]*)} ? ($1 => 1) : () } @state;
	my %round = (
		state => join("\n", @state),
		done => [
			map { {
				operation => $operations[$_],
				answer => {
					%{ $answers[$_] },
					kept => \@kept,
					present => \%present,
					began => $began,
					ended => $ended
				}
			} } 0 .. $#operations
		]);

	remember_tokens($round{done});
	$met{"$_->{operation}{name} $_->{answer}{error}"}++ foreach @{ $round{done} };
	$model->switched(
		map { $_->{name} eq 'enable_pricing' ? $_->{organization} : () } @operations);
	if (find_order(\%round, @{ $round{done} }))
	{
		$model->settle;
		return 1;
	}
	report($number, \%round);
	return 0;
}


# The end --------------------------------------------------------------------------------------

# Checks that a table holds what the model does.
sub same_rows
{
	my ($table, $name) = @_;

	is(join("\n", sort split /\n/, query($rows_of{$table})), $model->rows($table), $name);
}

# Checks that a query finds nothing.
sub none
{
	my ($sql, $name) = @_;

	is(query($sql), '', $name);
}

sub check_tables
{
	same_rows('seat', 'seats and the hashes of their tokens are those of the model');
	same_rows('session', 'sessions and the hashes of their tokens are those of the model');
	same_rows('join_link', 'join links and the hashes of their tokens are those of the model');
	same_rows('customer', 'customers are those of the model');
	same_rows('purchase', 'purchases are those of the model; counting left modified_at alone');
	same_rows('organization', 'organizations are those of the model');
	same_rows('event', 'each change of each seat has its event, and there are no others');
}

sub check_rules
{
	none(
		q{SELECT id FROM seats.customer_seats WHERE num_nonnulls(subscription_id, order_id) <> 1},
		'each seat belongs to exactly one of a subscription and an order');
	none(
		q{
			SELECT s.id FROM seats.customer_seats AS s
			LEFT JOIN seats.subscriptions AS b ON b.id = s.subscription_id
			LEFT JOIN seats.orders AS r ON r.id = s.order_id
			LEFT JOIN seats.products AS p ON p.id = COALESCE(b.product_id, r.product_id)
			LEFT JOIN seats.customers AS c ON c.id = s.customer_id
			WHERE s.organization_id
				IS DISTINCT FROM COALESCE(b.organization_id, r.organization_id)
				OR s.organization_id IS DISTINCT FROM p.organization_id
				OR s.organization_id
					<> CASE WHEN s.customer_id IS NULL THEN s.organization_id
						ELSE c.organization_id END
		}, 'all ids of a seat are of one organization');
	none(
		q{
			SELECT id FROM seats.customer_seats
			WHERE NOT CASE status
				WHEN 'pending' THEN num_nulls(invitation_token_hash,
						invitation_token_expires_at, customer_id) = 0
					AND num_nonnulls(claimed_at, revoked_at) = 0
				WHEN 'claimed' THEN num_nulls(claimed_at, customer_id) = 0
					AND revoked_at IS NULL
				ELSE revoked_at IS NOT NULL AND num_nonnulls(customer_id, customer_email,
						seat_metadata, suspended_at) = 0
			END
		}, 'the status of each seat agrees with its other columns');
	none(
		q{
			SELECT p.id FROM (
				SELECT id, least(seats, seats_next) AS most, assigned_seats FROM seats.subscriptions
				UNION ALL
				SELECT id, seats, assigned_seats FROM seats.orders) AS p
			WHERE assigned_seats > most OR assigned_seats <> (
				SELECT count(*) FROM seats.customer_seats AS s
				WHERE s.status <> 'revoked' AND p.id IN (s.subscription_id, s.order_id))
		}, 'assigned_seats is the number of pending and claimed seats, at most seats and seats_next');
	none(
		q{
			SELECT subscription_id, order_id, customer_id FROM seats.customer_seats
			WHERE status <> 'revoked' GROUP BY 1, 2, 3 HAVING count(*) > 1
		}, 'no customer holds two seats of one purchase');
	none(
		q{
			SELECT x.seat_id FROM seats.customer_sessions AS x
			LEFT JOIN seats.customer_seats AS s ON s.id = x.seat_id AND s.status = 'claimed'
				AND s.suspended_at IS NULL
				AND s.customer_id = x.customer_id AND s.organization_id = x.organization_id
			WHERE s.id IS NULL OR x.created_at < s.claimed_at
		}, 'each session is of a claimed seat that is not suspended, and of its customer');
	none(
		q{
			SELECT s.id FROM seats.customer_seats AS s
			LEFT JOIN seats.subscriptions AS b ON b.id = s.subscription_id
			LEFT JOIN seats.orders AS r ON r.id = s.order_id
			WHERE s.status <> 'revoked' AND (s.suspended_at IS NOT NULL)
				<> (COALESCE(b.status, r.status) IN ('paused', 'unpaid'))
		}, 'the seats of a purchase are suspended while it is, and only then');
	none(
		q{
			SELECT s.id FROM seats.customer_seats AS s JOIN seats.customers AS c ON c.id = s.customer_id
			WHERE s.customer_email IS DISTINCT FROM c.email
		}, 'each seat has the address of its customer');
	none(
		q{
			SELECT l.id FROM seats.join_links AS l
			LEFT JOIN seats.subscriptions AS b ON b.id = l.subscription_id
			LEFT JOIN seats.orders AS r ON r.id = l.order_id
			WHERE l.organization_id
				IS DISTINCT FROM COALESCE(b.organization_id, r.organization_id)
				OR l.uses > l.max_uses OR l.uses <> (
					SELECT count(*) FROM seats.events
					WHERE type = 'customer_seat.assigned'
						AND metadata ->> 'join_link_id' = l.id::text)
		}, 'each join link counts the seats that it gave, and gave no more than it may');
	none(
		q{
			SELECT invitation_token_hash FROM seats.customer_seats
			WHERE invitation_token_hash IS NOT NULL GROUP BY 1 HAVING count(*) > 1
			UNION ALL
			SELECT token_hash FROM seats.customer_sessions GROUP BY 1 HAVING count(*) > 1
			UNION ALL
			SELECT token_hash FROM seats.join_links GROUP BY 1 HAVING count(*) > 1
		}, 'no hash of a token is there twice');
	none(
		q{
			SELECT id FROM (
				SELECT id, status FROM seats.subscriptions
				UNION ALL
				SELECT id, status FROM seats.orders) AS p
			JOIN (
				SELECT COALESCE(subscription_id, order_id) AS id FROM seats.customer_seats
				WHERE status <> 'revoked') AS s USING (id)
			WHERE status IN ('canceled', 'incomplete_expired', 'refunded', 'void')
		}, 'no purchase that ended has a pending or claimed seat');
	is( query(q{
			SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()
		}),
		'0', 'there was no deadlock');
}

# Checks that the operations met what they were drawn for.
sub check_coverage
{
	my @reasons = qw(invitation_invalid invitation_expired seat_already_claimed seat_revoked
	  no_available_seats seat_already_assigned seat_not_pending seat_not_claimed seat_suspended
	  subscription_not_active
	  order_not_paid session_invalid session_expired seat_based_pricing_not_enabled
	  subscription_not_found order_not_found customer_not_found seat_not_found
	  join_link_not_found);
	my @refused = map { "join_seat $_" } 'PT422 email', 'PT403 seat_based_pricing_not_enabled',
	  map { "PT400 $_" } qw(join_link_invalid join_link_expired join_link_exhausted
	  email_domain_not_allowed subscription_not_active order_not_paid no_available_seats);
	my $seen = join "\n", keys %met;

	note(sprintf '%6d %s', $met{$_}, $_) foreach sort keys %met;
	is(join(' ', grep { $seen !~ /\b$_\b/ } @reasons),
		'', 'every reason of the contract was given');
	is(join(', ', grep { !$met{$_} } @refused), '', 'nobody could join, for every reason');
	is( query(q{
			SELECT string_agg(DISTINCT concat_ws(' ', substr(type, 15), metadata ->> 'reason'), ', ')
			FROM seats.events
		}),
		'assigned, claimed, invitation_resent, resumed, revoked deleted, revoked ended, '
		  . 'revoked erased, revoked released, revoked revoked, revoked surplus, suspended',
		'there were events of each type and reason');
	note(sprintf '%6d %s', $model->{tally}{$_}, $_) foreach sort keys %{ $model->{tally} };
	my @cases = (
		map({ "$_ raised seats" } qw(assign_seat assign_seats import_seats)),
		map({ "set_seats revoked, $_" } 'expired', 'pending', 'claimed'),
		map({ "imported, $_" } qw(found taken made)),
		'import_seats clashed',
		map({ "joined, $_" } qw(found made)),
		map({ "joined again, $_" } qw(pending expired claimed)),
		map({ "joined again $_" } 'by an exhausted link', 'without a free seat'),
		'join_seat renewed an invitation',
		'join_seat did not raise seats',
		'seats_next let nobody join',
		'revoke_join_link changed nothing',
		'can_join true',
		'can_join false',
		'set_seats left the payer',
		'set_seats cleared seats_next',
		'seats_next left no room',
		'seats_limit left no room',
		'has_seat true',
		'has_seat false');
	is(join(', ', grep { !$model->{tally}{$_} } @cases), '', 'each case was met');
}

note("SEED=$seed OPERATIONS=$operations");
srand($seed);
open_shop();
start_sessions();

my ($done, $rounds, $explained) = (0, 0, 1);
while ($explained && $done < $operations)
{
	my $left = $operations - $done;
	my @round = draw_round($left < $sessions ? $left : $sessions);
	$rounds++;
	$done += @round;
	$explained = do_round($rounds, @round);
}
ok($explained,
	"an order explains the answers of each of $rounds rounds, $done operations in all (SEED=$seed)"
);
close $_->{in} foreach @psql;
# What each server process counted is known once it is gone.
$node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'");

if ($explained)
{
	check_tables();
	check_rules();
	check_coverage() if $operations >= 20_000;
}

done_testing();
