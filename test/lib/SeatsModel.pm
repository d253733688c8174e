# A reference model of seats for t/010_model.pl: what the contract says that each call answers and
# changes, one call after the other.  It knows no SQL.
#
# A call that finds a customer, draws a token or makes a row answers what nobody can foretell.  So
# the model is given an operation together with its answer, tells whether the answer fits its
# state, and if so takes over what is new in it.  What it did can be undone, since the order in
# which simultaneous operations took effect has to be searched for.
package SeatsModel;

use strict;
use warnings;

use Data::Dumper;
use Digest::SHA qw(sha256_hex);

# Rows by their keys.  A row is never changed but replaced, so that undoing is putting back.
# "join_link_of" has the ids of join links by their tokens.
# "customer_of" has the ids of customers by "ORGANIZATION ADDRESS" and "ORGANIZATION EXTERNAL-ID";
# "event" counts events by the columns that the test reads, "new_event" those since settle().
# "touched" has the ids of purchases that were added and of customers that were added or changed
# since then; "tally" how often what the test names has happened.
my @tables = qw(organization purchase customer customer_of seat seat_of_token session join_link
  join_link_of event new_event touched tally);

my %assignable = map { $_ => 1 } qw(trialing active past_due paid partially_refunded);
my %suspended = map { $_ => 1 } qw(paused unpaid);
my %ended = map { $_ => 1 } qw(canceled incomplete_expired refunded void);

my $invitation_token = qr/^seats_inv_[0-9A-Za-z]{55}$/;
my $session_token = qr/^seats_cst_[0-9A-Za-z]{55}$/;
my $join_token = qr/^seats_jnl_[0-9A-Za-z]{55}$/;

# Nobody gets to know the token of an invitation that is unsent, so "#" and its hash stand for it.
my $unsent_token = qr/^#[0-9a-f]{64}$/;

sub new
{
	my ($class) = @_;

	return bless {
		journal => [],
		switched => {},
		events_of => {},
		choice => 0,
		choices => 1,
		left => [],
		map { $_ => {} } @tables
	}, $class;
}

# Tells whether an operation's answer is the one that this state gives; if so the state is
# afterwards that which the operation leaves.
#
# An operation has a name, its arguments, and "rollback" if its transaction was rolled back.  An
# answer has "error" ('' or SQLSTATE and reason), "message", and "rows" of "|"-separated columns;
# "began" and "ended" are between when it was given, in microseconds.
# "request" is what metadata of events has of the request, if the operation came with one.
#
# An answer may not tell which rows an operation took.  So choices() says, after a call, how many
# ways there were; "choice" is the number of the one to take.
#
# An operation may have two steps, between which others may come.  So left() says, after a call, what
# is left of it to be done, with its answer.
#
# Whether an organization may use seats is looked at once and without a lock, so that an operation
# which is not over may have seen what another finds changed, before what the first does is seen.
# Where an organization is switched in the round, either will do.
sub fits
{
	my ($self, $operation, $answer, $choice) = @_;

	local $self->{request} = $operation->{request} // {};
	local @$self{qw(began ended)} = @$answer{qw(began ended)};
	$self->{choice} = $choice // 0;
	$self->{choices} = 1;
	return 1 if $self->fits_now($operation, $answer);
	return 0 if $operation->{name} eq 'enable_pricing';
	foreach my $id (keys %{ $self->{switched} })
	{
		my %other = %{ $self->{organization}{$id} };

		$other{enabled} = $other{enabled} eq 't' ? 'f' : 't';
		local $self->{organization}{$id} = \%other;
		return 1 if $self->fits_now($operation, $answer);
	}
	return 0;
}

sub choices
{
	my ($self) = @_;

	return $self->{choices};
}

sub left
{
	my ($self) = @_;

	return @{ $self->{left} };
}

# Says which organizations are switched in the round that is to be explained.
sub switched
{
	my ($self, @ids) = @_;

	$self->{switched} = { map { $_ => 1 } @ids };
}

# Tells the same of the state as it is.
sub fits_now
{
	my ($self, $operation, $answer) = @_;
	my $mark = $self->mark;
	my $method = $operation->{name};

	$self->{left} = [];
	my $fits = $self->$method($operation, $answer);

	$self->undo($mark) if !$fits || $operation->{rollback};
	return $fits;
}

# Returns a point to which undo() can return.
sub mark
{
	my ($self) = @_;

	return scalar @{ $self->{journal} };
}

sub undo
{
	my ($self, $mark) = @_;

	while ($self->mark > $mark)
	{
		my ($table, $key, $old) = @{ pop @{ $self->{journal} } };
		if (defined $old)
		{
			$self->{$table}{$key} = $old;
		}
		else
		{
			delete $self->{$table}{$key};
		}
	}
}

# Forgets how to undo what was done so far, and which events are new.
sub settle
{
	my ($self) = @_;

	$self->{new_event} = {};
	$self->{touched} = {};
	$self->{journal} = [];
}

# Returns a text that two states have in common only if what settle() left became the same in both.
sub changes
{
	my ($self) = @_;
	my %rows;

	foreach my $change (@{ $self->{journal} })
	{
		my ($table, $key) = @$change;
		$rows{$table}{$key} = $self->{$table}{$key} if $table ne 'tally';
	}
	return Data::Dumper->new([ \%rows ])->Indent(0)->Sortkeys(1)->Dump;
}

# Puts a row, or removes it where there is none given.
sub put
{
	my ($self, $table, $key, $row) = @_;

	push @{ $self->{journal} }, [ $table, $key, $self->{$table}{$key} ];
	if (defined $row)
	{
		$self->{$table}{$key} = $row;
	}
	else
	{
		delete $self->{$table}{$key};
	}
}

# Replaces a row by one with some columns changed.
sub change
{
	my ($self, $table, $key, %columns) = @_;

	$self->put($table, $key, { %{ $self->{$table}{$key} }, %columns });
}


# What the test sets up ------------------------------------------------------------------------

# Adds an organization: id, name, slug, and "product", a hash of the names of its products by id.
sub add_organization
{
	my ($self, %organization) = @_;

	$self->put('organization', $organization{id}, { %organization, enabled => 't' });
}

# Adds a purchase: id, kind, organization, product, payer, seats, status.  "next" and "limit" are
# seats_next and seats_limit, '' where they are null.
sub add_purchase
{
	my ($self, %purchase) = @_;

	$self->put('purchase', $purchase{id},
		{ next => '', limit => '', %purchase, modified_at => '', rows => [], links => [] });
	$self->put('touched', $purchase{id}, 1);
}

# Returns by what a customer is found, as keys of "customer_of".
sub names_of
{
	my ($customer) = @_;

	return map { "$customer->{organization} $_" }
	  grep { $_ ne '' } lc $customer->{email}, $customer->{external};
}

# Adds a customer: id, organization, email, external, name ('' where there is none).
sub add_customer
{
	my ($self, %customer) = @_;

	$self->put('customer', $customer{id}, \%customer);
	$self->put('touched', $customer{id}, 1);
	foreach my $name (names_of(\%customer))
	{
		$self->put('customer_of', $name, $customer{id});
	}
}

sub remove_customer
{
	my ($self, $customer) = @_;

	$self->put('customer', $customer->{id}, undef);
	foreach my $name (names_of($customer))
	{
		$self->put('customer_of', $name, undef);
	}
}


# What a state says ----------------------------------------------------------------------------

# Returns the pending and claimed seats of a purchase.
sub assigned
{
	my ($self, $purchase) = @_;

	return grep { $_->{status} ne 'revoked' } $self->seats_of($purchase);
}

# Returns all seats of a purchase, in the order of its list; none where there is no purchase.
sub seats_of
{
	my ($self, $purchase) = @_;
	my $row = $self->{purchase}{$purchase};

	return map { $self->{seat}{$_} } $row ? @{ $row->{rows} } : ();
}

# Returns all join links of a purchase, in the order of its list.
sub links_of
{
	my ($self, $purchase) = @_;
	my $row = $self->{purchase}{$purchase};

	return map { $self->{join_link}{$_} } $row ? @{ $row->{links} } : ();
}

# Returns the seat that a customer holds of a purchase, if any.
sub held_by
{
	my ($self, $purchase, $customer) = @_;
	my ($seat) =
	  grep { $_->{customer} eq ($customer // '') } $self->assigned($purchase);

	return $seat;
}

# Returns the pending and claimed seats of a customer.
sub seats_held_by
{
	my ($self, $customer) = @_;

	return grep { $_->{customer} eq $customer } values %{ $self->{seat} };
}

# Tells whether a customer pays for a subscription or order.
sub pays
{
	my ($self, $customer) = @_;

	return scalar grep { $_->{payer} eq $customer } values %{ $self->{purchase} };
}

# Returns the pending and claimed seats of a purchase in the order in which a decrease revokes them.
# Those that were assigned last stand last in the list of a purchase.
sub surplus_order
{
	my ($self, $id) = @_;
	my $payer = $self->{purchase}{$id}{payer};
	my @left = reverse $self->assigned($id);
	my @claimed = grep { $_->{status} eq 'claimed' } @left;
	my @pending = grep { $_->{status} eq 'pending' } @left;
	my @ordered = (
		grep({ $_->{expiry} eq 'past' } @pending),
		grep({ $_->{expiry} ne 'past' } @pending),
		sort { $b->{claimed} <=> $a->{claimed} || $b->{id} cmp $a->{id} } @claimed);

	return grep({ $_->{customer} ne $payer } @ordered), grep { $_->{customer} eq $payer } @ordered;
}

# Returns the seats that release_expired_seats() has to release.
sub due_seats
{
	my ($self) = @_;

	return grep { $_->{status} eq 'pending' && $_->{expiry} eq 'past' && $_->{suspended} eq 'f' }
	  values %{ $self->{seat} };
}

# Returns the tokens of expired sessions.
sub expired_sessions
{
	my ($self) = @_;

	return grep { $self->{session}{$_}{expired} } keys %{ $self->{session} };
}

sub seat_of_token
{
	my ($self, $token) = @_;
	my $id = $self->{seat_of_token}{$token};

	return $id && $self->{seat}{$id};
}

# Tells whether the organization of a seat or purchase may use seats.
sub enabled
{
	my ($self, $row) = @_;

	return $self->{organization}{ $row->{organization} }{enabled} eq 't';
}

# Returns a seat as the test's SQL function show() writes it.
sub show
{
	my ($self, $id) = @_;
	my $seat = $self->{seat}{$id};

	return join '/', map { $seat->{$_} eq '' ? '-' : $seat->{$_} }
	  qw(id purchase status customer email expiry claimed revoked modified metadata);
}

# Returns a join link as the test's SQL function show() writes it.
sub show_link
{
	my ($self, $id) = @_;
	my $link = $self->{join_link}{$id};

	return join '/', map { $link->{$_} eq '' ? '-' : $link->{$_} }
	  qw(id purchase domains max_uses uses expiry revoked);
}

# Returns the hash of a token, or of the one that is unknown.
sub hash_of
{
	my ($token) = @_;

	return $token =~ /^#(.*)/ ? $1 : sha256_hex($token);
}

sub is_address
{
	my ($email) = @_;

	return defined $email && $email =~ /^[^@\s<>()\[\]\\,;:"]+@[^@\s<>()\[\]\\,;:"]+$/;
}

# Returns the positions of the elements that stand in a list before.
sub repeated
{
	my (@list) = @_;
	my %seen;

	return grep { $seen{ $list[$_] }++ } 0 .. $#list;
}


# What operations do to a state ----------------------------------------------------------------

# Adds to the number of events with these columns.
sub count_events
{
	my ($self, $table, $key, $count) = @_;
	my ($customer) = $key =~ /^[^|]*\|[^|]*\|([^|]*)/;
	my $new = ($self->{$table}{$key} // 0) + $count;

	# Where the events of a customer are to be looked for; it is not undone.
	$self->{events_of}{$customer}{$key} = 1;
	$self->put($table, $key, $new || undef);
}

# Returns metadata as PostgreSQL writes it: shorter keys come first.
sub metadata
{
	my (%fields) = @_;
	my @keys = sort { length $a <=> length $b || $a cmp $b } keys %fields;
	my @written = map { /^(seats|imported)$/ ? $fields{$_} : "\"$fields{$_}\"" } @keys;

	return '{' . join(', ', map { "\"$keys[$_]\": $written[$_]" } 0 .. $#keys) . '}';
}

# Remembers that something has happened.
sub tally
{
	my ($self, @what) = @_;

	$self->put('tally', $_, ($self->{tally}{$_} // 0) + 1) foreach @what;
}

# Records an event of a seat as it is now and the customer who has or had it.
sub record
{
	my ($self, $type, $seat, $customer, %more) = @_;
	my $kind = $self->{purchase}{ $seat->{purchase} }{kind};
	my $key = join '|', "customer_seat.$type", $seat->{id}, $customer,
	  metadata("${kind}_id" => $seat->{purchase}, %{ $self->{request} }, %more),
	  $self->show($seat->{id});

	$self->count_events($_, $key, 1) foreach qw(event new_event);
}

# Clears the person from the events of a customer.
sub clear_events
{
	my ($self, $customer) = @_;

	foreach my $table (qw(event new_event))
	{
		foreach my $key (grep { $self->{$table}{$_} } keys %{ $self->{events_of}{$customer} })
		{
			my ($type, $seat, undef, $metadata, $shown) = split /\|/, $key;
			my %fields = $metadata =~ /"(\w+)": "?([^",}]*)/g;
			my @shown = split m{/}, $shown;

			delete @fields{qw(address user_agent)};
			@shown[ 4, 9 ] = ('-', '-');
			my $cleared = join '|', $type, $seat, $customer, metadata(%fields), join '/', @shown;
			next if $cleared eq $key;
			my $count = $self->{$table}{$key};
			$self->count_events($table, $key, -$count);
			$self->count_events($table, $cleared, $count);
		}
	}
}

# Ends one session of a seat.
sub remove_session
{
	my ($self, $session) = @_;
	my $seat = $self->{seat}{ $self->{session}{$session}{seat} };

	$self->put('session', $session, undef);
	$self->change('seat', $seat->{id}, sessions => [ grep { $_ ne $session } @{ $seat->{sessions} } ]);
}

# Ends all sessions of a seat.
sub end_sessions_of
{
	my ($self, $id) = @_;

	$self->remove_session($_) foreach @{ $self->{seat}{$id}{sessions} };
}

# Opens a further session of a seat.
sub add_session
{
	my ($self, $id, $session) = @_;

	$self->put('session', $session, { seat => $id, expired => 0 });
	$self->change('seat', $id, sessions => [ @{ $self->{seat}{$id}{sessions} }, $session ]);
}

sub revoke
{
	my ($self, $id, $reason) = @_;
	my $customer = $self->{seat}{$id}{customer};

	$self->end_sessions_of($id);
	$self->change(
		'seat', $id,
		status => 'revoked',
		customer => '',
		email => '',
		revoked => 't',
		modified => 't',
		metadata => '',
		suspended => 'f');
	$self->record('revoked', $self->{seat}{$id}, $customer, reason => $reason);
}

# Suspends a seat, or ends its suspension.
sub suspend
{
	my ($self, $id, $suspended) = @_;

	$self->end_sessions_of($id) if $suspended eq 't';
	$self->change('seat', $id, suspended => $suspended);
	my $seat = $self->{seat}{$id};
	$self->record($suspended eq 't' ? 'suspended' : 'resumed', $seat, $seat->{customer});
}

# Changes columns of a customer; an address that changes is changed in the seats too.
sub change_customer
{
	my ($self, $id, %new) = @_;
	my $old = $self->{customer}{$id};

	$self->remove_customer($old);
	$self->add_customer(%$old, %new);
	return if !defined $new{email} || $new{email} eq $old->{email};
	$self->change('seat', $_->{id}, email => $new{email}, modified => 't')
	  foreach $self->seats_held_by($id);
}

# Takes another token, or none, for the one that a seat had.
sub replace_token
{
	my ($self, $id, $token) = @_;
	my $old = $self->{seat}{$id}{token};

	$self->put('seat_of_token', $old, undef) if $old ne '';
	$self->put('seat_of_token', $token, $id) if $token ne '';
	$self->change('seat', $id, token => $token);
}

# Gives a seat another token and a new term.  The others are what else its event has in metadata.
# Tells whether the seat is then as it was shown.
sub renew
{
	my ($self, $id, $token, $shown, %more) = @_;

	return 0 if $self->{seat_of_token}{$token};
	$self->replace_token($id, $token);
	$self->change('seat', $id, expiry => 'open', modified => 't');
	$self->record('invitation_resent', $self->{seat}{$id}, $self->{seat}{$id}{customer}, %more);
	return $shown eq $self->show($id);
}

# Takes the customer of a new seat: the one that was found, who may get an external id, or a new one
# with the address and the external id given.
sub take_customer
{
	my ($self, $organization, $wanted, $id) = @_;

	if (defined $wanted->{id})
	{
		$self->change_customer($id, external => $wanted->{given}) if defined $wanted->{given};
		return $wanted->{id} eq $id;
	}
	return 0 if $self->{customer}{$id};
	$self->add_customer(
		id => $id,
		organization => $organization,
		email => $wanted->{email},
		external => $wanted->{external} // '',
		name => '');
	return 1;
}

# Tells whether a time is now.
sub is_now
{
	my ($self, $time) = @_;

	return $time =~ /^\d+$/ && $time >= $self->{began} && $time <= $self->{ended};
}

# Tells whether a seat was claimed when it had to be: at a time that was given, or now.
sub is_claimed_when
{
	my ($self, $claimed, $given) = @_;

	return defined $given ? $claimed eq $given : $self->is_now($claimed);
}

# Gives a seat of a purchase to a customer, under an id that nobody has seen before.  The others are
# what else its event has in metadata.
sub give_one
{
	my ($self, $operation, $wanted, $row, %more) = @_;
	my $purchase = $self->{purchase}{ $operation->{purchase} };
	my ($shown, $token) = split /\|/, $row, -1;
	my ($id, undef, undef, $customer, undef, undef, $claimed_at) = split m{/}, $shown;
	my $claimed = $operation->{immediate};
	my $issued = $more{invitation} ? $unsent_token : $invitation_token;

	return 0 if $self->{seat}{$id};
	return 0 if $claimed && !$self->is_claimed_when($claimed_at, $wanted->{claimed});
	return 0 unless $claimed ? $token eq '' : $token =~ $issued;
	return 0 if $self->{seat_of_token}{$token};
	return 0 unless $self->take_customer($purchase->{organization}, $wanted, $customer);
	$self->put(
		'seat', $id,
		{
			id => $id,
			organization => $purchase->{organization},
			purchase => $purchase->{id},
			status => $claimed ? 'claimed' : 'pending',
			customer => $customer,
			email => $self->{customer}{$customer}{email},
			expiry => $claimed ? 'none' : 'open',
			claimed => $claimed ? $claimed_at : '',
			revoked => 'f',
			modified => 'f',
			metadata => $operation->{metadata} // '',
			suspended => 'f',
			token => '',
			key => '',
			sessions => [],
			session_of_claim => '',
		});
	$self->replace_token($id, $token);
	$self->record($claimed ? 'claimed' : 'assigned', $self->{seat}{$id}, $customer, %more);
	return $shown eq $self->show($id);
}

# Returns all ways to take so many elements of a list.
sub combinations
{
	my ($count, @list) = @_;

	return [] if $count == 0;
	return if @list < $count;
	my $first = shift @list;
	return map({ [ $first, @$_ ] } combinations($count - 1, @list)), combinations($count, @list);
}

# Takes the rows of so many revoked seats of a purchase, and with them their ids and tokens.  Which
# they are, only the tables tell: they are no longer there after the round.
sub take_revoked
{
	my ($self, $operation, $answer, $count) = @_;
	my $purchase = $self->{purchase}{ $operation->{purchase} };
	my @revoked = grep { $_->{status} eq 'revoked' } $self->seats_of($purchase->{id});
	my @gone = grep { $operation->{rollback} || !$answer->{present}{ $_->{id} } } @revoked;

	$count = @revoked if $count > @revoked;
	my @ways = $operation->{rollback} ? [ @gone[ 0 .. $count - 1 ] ] : combinations($count, @gone);
	return 0 if !@ways;
	$self->{choices} = @ways;
	$self->remove_seat($_->{id}) foreach @{ $ways[ $self->{choice} ] };
	return 1;
}

# Removes the row of a seat.
sub remove_seat
{
	my ($self, $id) = @_;
	my $purchase = $self->{seat}{$id}{purchase};

	$self->end_sessions_of($id);
	$self->replace_token($id, '');
	$self->put('seat', $id, undef);
	$self->change('purchase', $purchase,
		rows => [ grep { $_ ne $id } @{ $self->{purchase}{$purchase}{rows} } ]);
}

# Changes columns of a purchase.  Tells whether modified_at, as it is afterwards, is another one if a
# column has changed, and only then.
sub change_purchase
{
	my ($self, $id, $modified_at, %new) = @_;
	my $old = $self->{purchase}{$id};
	my $changed = grep { $new{$_} ne $old->{$_} } keys %new;

	return 0 if ($modified_at ne $old->{modified_at}) != ($changed > 0);
	$self->change('purchase', $id, %new, modified_at => $modified_at) if $changed;
	return 1;
}

# Gives seats to customers, in the rows of revoked seats first, and raises the number of seats if
# need be.  They go to the end of the list, those of one call by their ids, since they have the same
# created_at.
sub give
{
	my ($self, $operation, $answer, @wanted) = @_;
	my $id = $operation->{purchase};
	my @rows = @{ $answer->{rows} };
	my ($modified_at) = @rows ? $rows[0] =~ /([^|]*)$/ : $self->{purchase}{$id}{modified_at};
	my %raised =
	  @rows > $self->available($id) ? (seats => $self->assigned($id) + @rows) : ();
	my %more = (%raised, %{ $operation->{more} // {} });

	return 0 if @rows != @wanted;
	return 0 unless $self->change_purchase($id, $modified_at, %raised);
	return 0 unless $self->take_revoked($operation, $answer, scalar @rows);
	foreach my $i (0 .. $#rows)
	{
		return 0 unless $self->give_one($operation, $wanted[$i], $rows[$i], %more);
	}
	$self->tally("$operation->{name} raised seats") if %raised;
	my @new = sort map { m{^([^/]*)} } @rows;
	$self->change('purchase', $id, rows => [ @{ $self->{purchase}{$id}{rows} }, @new ]);
	return 1;
}


# Operations: seats.* --------------------------------------------------------------------------

# Returns the error that keeps an operation from a purchase, or ''.
sub purchase_error
{
	my ($self, $operation) = @_;
	my $purchase = $self->{purchase}{ $operation->{purchase} };

	return "PT404 $operation->{kind}_not_found" if !$purchase;
	return 'PT403 seat_based_pricing_not_enabled' if !$self->enabled($purchase);
	return '';
}

# Returns the error that keeps seats of a purchase from being assigned, or ''.
sub assign_error
{
	my ($self, $operation) = @_;
	my $error = $self->purchase_error($operation);

	return $error if $error ne '';
	return '' if $assignable{ $self->{purchase}{ $operation->{purchase} }{status} };
	return $operation->{kind} eq 'order'
	  ? 'PT400 order_not_paid'
	  : 'PT400 subscription_not_active';
}

# Returns how many seats of a purchase with these columns may be assigned: no more than are planned.
sub most
{
	my ($columns) = @_;
	my ($seats, $next) = @$columns{qw(seats next)};

	return $next ne '' && $next < $seats ? $next : $seats;
}

# Returns how many seats of a purchase can still be assigned of those that are bought.
sub available
{
	my ($self, $id) = @_;

	return most($self->{purchase}{$id}) - $self->assigned($id);
}

# Returns how many can still be assigned if seats are raised as far as they may be, which they are
# not while another number is planned.
sub room
{
	my ($self, $id) = @_;
	my ($next, $limit) = @{ $self->{purchase}{$id} }{qw(next limit)};
	my $available = $self->available($id);
	my $allowed = $next eq '' && $limit ne '' ? $limit - $self->assigned($id) : 0;

	return $allowed > $available ? $allowed : $available;
}

# Returns no_available_seats if a purchase has no room for so many, or ''.
sub room_error
{
	my ($self, $id, $count) = @_;
	my $purchase = $self->{purchase}{$id};

	return '' if $self->room($id) >= $count;
	$self->tally('seats_next left no room') if $self->assigned($id) + $count <= $purchase->{seats};
	$self->tally('seats_limit left no room') if $purchase->{limit} ne '' && $purchase->{next} eq '';
	return 'PT400 no_available_seats';
}

# Returns the customer that an operation names, with an id if there is one, or undef.
sub find_customer
{
	my ($self, $operation) = @_;
	my $purchase = $self->{purchase}{ $operation->{purchase} } or return;
	my $organization = $purchase->{organization};
	my $value = $operation->{value};

	if ($operation->{by} eq 'customer_id')
	{
		my $customer = $self->{customer}{$value};
		return $customer && $customer->{organization} eq $organization ? $customer : undef;
	}
	my $id = $self->{customer_of}{"$organization " . lc $value};
	return { id => $id, email => $value } if $operation->{by} eq 'email';
	return $id && { id => $id };
}

sub assign_seat_error
{
	my ($self, $operation) = @_;

	return 'PT422 email'
	  if $operation->{by} eq 'email' && !is_address($operation->{value});
	my $error = $self->assign_error($operation);
	return $error if $error ne '';
	my $customer = $self->find_customer($operation);
	return 'PT404 customer_not_found' if !$customer;
	return 'PT400 seat_already_assigned'
	  if $self->held_by($operation->{purchase}, $customer->{id});
	return $self->room_error($operation->{purchase}, 1);
}

sub assign_seat
{
	my ($self, $operation, $answer) = @_;
	my $error = $self->assign_seat_error($operation);

	return $error eq $answer->{error} if $error || $answer->{error};
	return $self->give($operation, $answer, $self->find_customer($operation));
}

# Returns the positions of those customers who cannot have a seat: holders, and repeated ones.
sub unseatable
{
	my ($self, $purchase, @wanted) = @_;
	my %repeated = map { $_ => 1 } repeated(map { lc $_->{email} } @wanted);

	return grep { $repeated{$_} || $self->held_by($purchase, $wanted[$_]{id}) } 0 .. $#wanted;
}

# Names addresses by their positions.
sub places
{
	return join ',', map { "emails.$_" } @_;
}

# Returns the error that keeps so many customers, whose places are given, from seats of a purchase.
sub room_error_at
{
	my ($self, $id, @places) = @_;
	my $error = $self->room_error($id, scalar @places);

	return $error && "$error " . join ',', @places[ $self->room($id) .. $#places ];
}

sub assign_seats_error
{
	my ($self, $operation, @wanted) = @_;
	my $emails = $operation->{emails};
	my @malformed = grep { !is_address($emails->[$_]) } 0 .. $#$emails;

	return 'PT422 ' . places(@malformed) if @malformed;
	my $error = $self->assign_error($operation);
	return $error if $error ne '';
	my @refused = $self->unseatable($operation->{purchase}, @wanted);
	return 'PT400 seat_already_assigned ' . places(@refused) if @refused;
	return $self->room_error_at($operation->{purchase}, map { places($_) } 0 .. $#wanted);
}

sub assign_seats
{
	my ($self, $operation, $answer) = @_;
	my @wanted =
	  map { $self->find_customer({ %$operation, by => 'email', value => $_ // '' }) }
	  @{ $operation->{emails} };
	my $error = $self->assign_seats_error($operation, @wanted);

	return $error eq $answer->{error} if $error || $answer->{error};
	return $self->give($operation, $answer, @wanted);
}

# Tells how an argument names a member.
sub place_of
{
	my ($position, $member) = @_;

	return (defined $member->{email} || $member->{unnamed} ? 'emails' : 'external_customer_ids')
	  . ".$position";
}

# Returns the arguments of a member that are malformed.
sub malformed
{
	my ($position, $member) = @_;
	my ($email, $external) = @$member{qw(email external)};

	return (
		defined $email || defined $external ? () : place_of($position, $member),
		defined $email && !is_address($email) ? "emails.$position" : (),
		defined $external && $external eq '' ? "external_customer_ids.$position" : (),
		$member->{never} ? "claimed_at.$position" : ());
}

# Returns the customers of members, and the places of those whose customer has another external id.  A
# customer is one hash, however often it is found: with "id" unless it has to be made, and "given", the
# external id that it gets.
#
# Members that name one customer in two ways are at fault, all but the first.  It depends on whose the
# name is whether that one is too, so customers are given external ids before others are made.
sub find_members
{
	my ($self, $organization, @members) = @_;
	my @addresses = map { defined $_->{email} ? lc $_->{email} : undef } @members;
	my @externals = map { $_->{external} } @members;
	my @sorted = sort { ($addresses[$a] // '~') cmp ($addresses[$b] // '~') } 0 .. $#members;
	my %named;
	my $look = sub {
		my ($name) = @_;
		return undef if !defined $name;
		my $id = $self->{customer_of}{"$organization $name"};

		return $named{$name} // ($id ? $named{$id} //= { %{ $self->{customer}{$id} } } : undef);
	};

	while (1)
	{
		my @customers = map { $look->($externals[$_]) // $look->($addresses[$_]) } 0 .. $#members;
		my @takers = grep {
			     $customers[$_]
			  && defined $externals[$_]
			  && $customers[$_]{external} ne $externals[$_]
		} 0 .. $#members;
		my @clashing = grep { $customers[$_]{external} ne '' } @takers;
		my @missing = grep { !$customers[$_] } @sorted;

		return \@customers, map { "external_customer_ids.$_" } @clashing
		  if @clashing || (!@takers && !@missing);
		foreach my $i (@takers)
		{
			next if $customers[$i]{external} ne '' || $look->($externals[$i]);
			@{ $customers[$i] }{qw(external given)} = ($externals[$i], $externals[$i]);
			$named{ $externals[$i] } = $customers[$i];
		}
		foreach my $i (@missing)
		{
			my @names = grep { defined } $externals[$i], $addresses[$i];
			next if grep { $look->($_) } @names;
			my $new = { email => $members[$i]{email} // '', external => $externals[$i] // '' };
			$named{$_} = $new foreach @names;
		}
	}
}

sub claim_error
{
	my ($self, $seat, $retry) = @_;

	return 'PT400 invitation_invalid' if !$seat;
	return 'PT400 seat_revoked' if $seat->{status} eq 'revoked';
	return 'PT400 seat_already_claimed' if $seat->{status} eq 'claimed' && !$retry;
	return 'PT400 invitation_expired' if $seat->{expiry} eq 'past' && !$retry;
	return 'PT400 seat_suspended' if $seat->{suspended} eq 't';
	return 'PT403 seat_based_pricing_not_enabled' if !$self->enabled($seat);
	return '';
}

# Arguments: token, key ('' for none), window (whether retries are allowed).
sub claim_seat
{
	my ($self, $operation, $answer) = @_;
	my $key = $operation->{key};
	my $seat = $self->seat_of_token($operation->{token});
	my $retry = $seat
	  && $seat->{status} eq 'claimed'
	  && $operation->{window}
	  && $key ne ''
	  && $key eq $seat->{key};
	my $error = $self->claim_error($seat, $retry);

	return $error eq $answer->{error} if $error || $answer->{error};
	my ($shown, $session) = split /\|/, $answer->{rows}[0], -1;
	return 0 if $session !~ $session_token || $self->{session}{$session};
	if ($retry)
	{
		# The session of the claim, or of its last answer, unless it has ended.
		my $of_claim = $seat->{session_of_claim};
		$self->remove_session($_) foreach grep { $_ eq $of_claim } @{ $seat->{sessions} };
	}
	else
	{
		$self->change(
			'seat', $seat->{id},
			status => 'claimed',
			claimed => (split m{/}, $shown)[6],
			modified => 't',
			key => $key);
		return 0 if !$self->is_now($self->{seat}{ $seat->{id} }{claimed});
		$self->record('claimed', $self->{seat}{ $seat->{id} }, $seat->{customer});
	}
	$self->add_session($seat->{id}, $session);
	$self->change('seat', $seat->{id}, session_of_claim => $session);
	return $shown eq $self->show($seat->{id});
}

sub claim_info
{
	my ($self, $operation, $answer) = @_;
	my $seat = $self->seat_of_token($operation->{token});
	my $error =
	    !$seat ? 'PT400 invitation_invalid'
	  : $seat->{status} eq 'revoked' ? 'PT400 seat_revoked'
	  : !$self->enabled($seat) ? 'PT403 seat_based_pricing_not_enabled'
	  : '';

	return $error eq $answer->{error} if $error || $answer->{error};
	my $organization = $self->{organization}{ $seat->{organization} };
	my $can_claim =
	  $seat->{status} eq 'pending' && $seat->{expiry} eq 'open' && $seat->{suspended} eq 'f';
	my $product = $self->{purchase}{ $seat->{purchase} }{product};
	return $answer->{rows}[0] eq join '|', $organization->{product}{$product}, $product,
	  @$organization{qw(name slug)}, $seat->{email}, $can_claim ? 't' : 'f';
}

# Returns the error that keeps an operation from a seat, or ''.
sub seat_error
{
	my ($self, $operation) = @_;
	my $seat = $self->{seat}{ $operation->{seat} };

	return 'PT404 seat_not_found' if !$seat;
	return 'PT403 seat_based_pricing_not_enabled' if !$self->enabled($seat);
	return '';
}

sub resend_invitation
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{seat};
	my $error = $self->seat_error($operation);

	$error = 'PT400 seat_not_pending'
	  if $error eq '' && $self->{seat}{$id}{status} ne 'pending';
	$error = 'PT400 seat_suspended' if $error eq '' && $self->{seat}{$id}{suspended} eq 't';
	return $error eq $answer->{error} if $error || $answer->{error};
	my ($shown, $token) = split /\|/, $answer->{rows}[0], -1;
	return $token =~ $invitation_token && $self->renew($id, $token, $shown);
}

sub open_session
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{seat};
	my $error = $self->seat_error($operation);

	$error = 'PT400 seat_not_claimed'
	  if $error eq '' && $self->{seat}{$id}{status} ne 'claimed';
	$error = 'PT400 seat_suspended' if $error eq '' && $self->{seat}{$id}{suspended} eq 't';
	return $error eq $answer->{error} if $error || $answer->{error};
	my $seat = $self->{seat}{$id};
	my ($session) = $answer->{rows}[0] =~ /([^|]*)$/;
	return 0 if $session !~ $session_token || $self->{session}{$session};
	$self->add_session($id, $session);
	return $answer->{rows}[0] eq join '|', @$seat{qw(customer organization id email)}, $session;
}

sub revoke_seat
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{seat};
	my $error = $self->seat_error($operation);

	return $error eq $answer->{error} if $error || $answer->{error};
	$self->revoke($id, 'revoked') if $self->{seat}{$id}{status} ne 'revoked';
	return $answer->{rows}[0] eq $self->show($id);
}

sub revoke_seats
{
	my ($self, $operation, $answer) = @_;
	my $error = $self->purchase_error($operation);

	$error = '' if $error =~ /^PT403/;
	return $error eq $answer->{error} if $error || $answer->{error};
	my @assigned = $self->assigned($operation->{purchase});
	$self->revoke($_->{id}, 'revoked') foreach @assigned;
	return $answer->{rows}[0] == @assigned;
}

sub list_seats
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{purchase};
	my $error = $self->purchase_error($operation);

	return $error eq $answer->{error} if $error || $answer->{error};
	return $answer->{rows}[0] eq join '|', $self->available($id),
	  $self->{purchase}{$id}{seats},
	  join ' ', map { $self->show($_->{id}) } $self->seats_of($id);
}

sub get_seat
{
	my ($self, $operation, $answer) = @_;
	my $error = $self->seat_error($operation);

	return $error eq $answer->{error} if $error || $answer->{error};
	return $answer->{rows}[0] eq $self->show($operation->{seat});
}

# The seats that a customer sees; the order of the view's rows is nobody's promise.
sub my_seats
{
	my ($self, $operation, $answer) = @_;
	my @seen = grep { $_->{suspended} eq 'f' } $self->seats_held_by($operation->{customer});

	return $answer->{error} eq ''
	  && join(' ', sort @{ $answer->{rows} }) eq join ' ', sort map { $self->show($_->{id}) } @seen;
}

sub authenticate
{
	my ($self, $operation, $answer) = @_;
	my $session = $self->{session}{ $operation->{session} };
	my $error =
	    !$session ? 'PT401 session_invalid'
	  : $session->{expired} ? 'PT401 session_expired'
	  : '';

	return $error eq $answer->{error} if $error || $answer->{error};
	my $seat = $self->{seat}{ $session->{seat} };
	my $customer = $self->{customer}{ $seat->{customer} };
	return $answer->{rows}[0] eq join '|', @$customer{qw(id organization)}, $seat->{id},
	  $customer->{email};
}

sub end_session
{
	my ($self, $operation, $answer) = @_;
	my $session = $self->{session}{ $operation->{session} };

	return 0 if $answer->{error} || $answer->{rows}[0] ne ($session ? 't' : 'f');
	$self->remove_session($operation->{session}) if $session;
	return 1;
}

# The answer is the count and then the ids of the seats.  Where others are at work it may leave
# out seats, but it releases none that is not due.
sub release_expired_seats
{
	my ($self, $operation, $answer) = @_;
	my ($count, @released) = @{ $answer->{rows} };
	my %due = map { $_->{id} => 1 } $self->due_seats;

	return 0 if $answer->{error} || $count != @released;
	return 0 if grep { !delete $due{$_} } @released;
	return 0 if $operation->{alone} && %due;
	$self->revoke($_, 'released') foreach @released;
	return 1;
}

# "kept" of the answer are the hashes of expired sessions that were still there after the round,
# since it may leave out some as well.
sub purge_expired_sessions
{
	my ($self, $operation, $answer) = @_;
	my @due = $self->expired_sessions;
	my %kept = map { $_ => 1 } @{ $answer->{kept} };
	my @purged = grep { !$kept{ sha256_hex($_) } } @due;

	return 0 if $answer->{error};
	return $answer->{rows}[0] <= @due if $operation->{rollback};
	return 0 if $operation->{alone} && @purged < @due;
	$self->remove_session($_) foreach @purged;
	return $answer->{rows}[0] == @purged;
}

# Revokes the seats of a customer, and clears the person from events.  Who pays for something is
# kept, without what a person is known by.
sub erase_customer
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{customer};
	my $customer = $self->{customer}{$id};

	return $answer->{error} eq 'PT404 customer_not_found' if !$customer;
	return 0 if $answer->{error};
	my @held = $self->seats_held_by($id);
	$self->revoke($_->{id}, 'erased') foreach @held;
	$self->clear_events($id);
	$self->remove_customer($customer);
	$self->add_customer(%$customer, email => '', external => '', name => '') if $self->pays($id);
	return $answer->{rows}[0] == @held;
}

# Arguments: seats, and "revoke" if those that are too many are to be revoked.  The answer is how many
# were, and the purchase's modified_at.
sub set_seats
{
	my ($self, $operation, $answer) = @_;
	my ($id, $seats) = @$operation{qw(purchase seats)};
	my $error = $self->purchase_error($operation);

	$error = '' if $error =~ /^PT403/;
	return $error eq $answer->{error} if $error;
	my $assigned = $self->assigned($id);
	my $surplus = $assigned > $seats ? $assigned - $seats : 0;
	return $answer->{error} eq '23514' && $answer->{message} =~ /because $assigned are assigned/
	  if $surplus && !$operation->{revoke};
	return 0 if $answer->{error};
	my ($count, $modified_at) = $answer->{rows}[0] =~ /(.*)\|(.*)/;
	my @order = $self->surplus_order($id);
	foreach my $seat (@order[ 0 .. $surplus - 1 ])
	{
		my $expired = $seat->{status} eq 'pending' && $seat->{expiry} eq 'past';
		$self->tally('set_seats revoked, ' . ($expired ? 'expired' : $seat->{status}));
		$self->revoke($seat->{id}, 'surplus');
	}
	my ($payer, $next) = @{ $self->{purchase}{$id} }{qw(payer next)};
	$self->tally('set_seats left the payer') if $surplus && $self->held_by($id, $payer);
	$self->tally('set_seats cleared seats_next') if $next ne '';
	return $count == $surplus
	  && $self->change_purchase($id, $modified_at, seats => $seats, next => '');
}

# Returns the error of an import, or '' and the customers that it finds.
sub import_error
{
	my ($self, $operation) = @_;
	my ($id, $members) = @$operation{qw(purchase members)};
	my @malformed = map { malformed($_, $members->[$_]) } 0 .. $#$members;

	return 'PT422 ' . join ',', @malformed if @malformed;
	my $error = $self->assign_error($operation);
	return $error if $error ne '';
	my $organization = $self->{purchase}{$id}{organization};
	my ($customers, @clashing) = $self->find_members($organization, @$members);
	$self->tally('import_seats clashed') if @clashing;
	return 'PT422 ' . join ',', @clashing if @clashing;
	my @places = map { place_of($_, $members->[$_]) } 0 .. $#$members;
	my %repeated = map { $_ => 1 } repeated(@$customers);
	my @refused =
	  grep { $repeated{$_} || $self->held_by($id, $customers->[$_]{id}) } 0 .. $#$members;
	return 'PT400 seat_already_assigned ' . join ',', @places[@refused] if @refused;
	return $self->room_error_at($id, @places), @$customers;
}

# Arguments: members, each with "email", "external" and "claimed" where they are given.  The answer is
# the count and then the seats, which the events tell.
sub import_seats
{
	my ($self, $operation, $answer) = @_;
	my ($error, @customers) = $self->import_error($operation);
	my $members = $operation->{members};
	my ($count, @rows) = @{ $answer->{rows} };

	return $error eq $answer->{error} if $error || $answer->{error};
	my @wanted =
	  map { { %{ $customers[$_] }, claimed => $members->[$_]{claimed} } } 0 .. $#$members;
	foreach (@customers)
	{
		$self->tally('imported, ' . (!$_->{id} ? 'made' : defined $_->{given} ? 'taken' : 'found'));
	}
	return $count == @$members
	  && $self->give({ %$operation, immediate => 1, more => { imported => 'true' } },
		{ %$answer, rows => \@rows }, @wanted);
}

# Arguments: domains (with spaces between), max_uses, '' where they are not given.  The answer is the
# link, its token, and whether it is valid for as long as was asked for.
sub create_join_link
{
	my ($self, $operation, $answer) = @_;
	my $error = $self->purchase_error($operation);

	return $error eq $answer->{error} if $error || $answer->{error};
	my ($shown, $token, $in_time) = split /\|/, $answer->{rows}[0], -1;
	my ($id) = $shown =~ m{^([^/]*)};
	my $purchase = $self->{purchase}{ $operation->{purchase} };
	return 0 if $self->{join_link}{$id} || $self->{join_link_of}{$token};
	return 0 if $token !~ $join_token || $in_time ne 't';
	$self->put(
		'join_link', $id,
		{
			id => $id,
			organization => $purchase->{organization},
			purchase => $purchase->{id},
			domains => $operation->{domains},
			max_uses => $operation->{max_uses},
			uses => 0,
			expiry => 'open',
			revoked => '',
			token => $token
		});
	$self->put('join_link_of', $token, $id);
	$self->change('purchase', $purchase->{id}, links => [ @{ $purchase->{links} }, $id ]);
	return $shown eq $self->show_link($id);
}

# Returns the link with a token, unless it is revoked.
sub link_of_token
{
	my ($self, $token) = @_;
	my $id = $self->{join_link_of}{$token};

	return $id && $self->{join_link}{$id}{revoked} eq '' ? $self->{join_link}{$id} : undef;
}

# Tells whether a link may be used once more.
sub has_uses
{
	my ($link) = @_;

	return $link->{max_uses} eq '' || $link->{uses} < $link->{max_uses};
}

# Tells whether an address is of one of a link's domains.
sub is_of_domains
{
	my ($email, $link) = @_;
	my ($domain) = $email =~ /@(.*)/;

	return $link->{domains} eq '' || grep { $_ eq lc $domain } split / /, lc $link->{domains};
}

sub join_info
{
	my ($self, $operation, $answer) = @_;
	my $link = $self->link_of_token($operation->{token});
	my $error =
	    !$link ? 'PT400 join_link_invalid'
	  : !$self->enabled($link) ? 'PT403 seat_based_pricing_not_enabled'
	  : '';

	return $error eq $answer->{error} if $error || $answer->{error};
	my $organization = $self->{organization}{ $link->{organization} };
	my $purchase = $self->{purchase}{ $link->{purchase} };
	my $can_join =
	     $link->{expiry} eq 'open'
	  && has_uses($link)
	  && $assignable{ $purchase->{status} }
	  && $self->available($purchase->{id}) > 0;
	$self->tally($can_join ? 'can_join true' : 'can_join false');
	return $answer->{rows}[0] eq join '|', $organization->{product}{ $purchase->{product} },
	  @$organization{qw(name slug)}, $link->{domains}, yes_or_no($can_join);
}

# Returns the error that keeps an address from joining by a link, or ''.
sub link_error
{
	my ($self, $email, $link) = @_;

	return 'PT422 email' if !is_address($email);
	return 'PT400 join_link_invalid' if !$link;
	return 'PT400 join_link_expired' if $link->{expiry} eq 'past';
	return 'PT400 email_domain_not_allowed' if !is_of_domains($email, $link);
	my $kind = $self->{purchase}{ $link->{purchase} }{kind};
	return $self->assign_error({ purchase => $link->{purchase}, kind => $kind });
}

# Returns the error that keeps an address without a seat from one by a link, or ''.  The number of
# seats is not raised.
sub join_room_error
{
	my ($self, $link) = @_;
	my $id = $link->{purchase};

	return 'PT400 join_link_exhausted' if !has_uses($link);
	return '' if $self->available($id) > 0;
	$self->tally('join_seat did not raise seats') if $self->room($id) > 0;
	$self->tally('seats_next let nobody join')
	  if $self->{purchase}{$id}{seats} > $self->assigned($id);
	return 'PT400 no_available_seats';
}

# An address that holds a seat already.  The locks are released before the seat is locked to renew an
# invitation that has expired, so that is a step of its own.
sub join_again
{
	my ($self, $operation, $answer, $seat, $link) = @_;
	my $expired = $seat->{status} eq 'pending' && $seat->{expiry} eq 'past';

	$self->tally('joined again, ' . ($expired ? 'expired' : $seat->{status}));
	$self->tally('joined again by an exhausted link') if !has_uses($link);
	$self->tally('joined again without a free seat') if $self->available($link->{purchase}) <= 0;
	$self->{left} = [
		{
			operation => {
				%$operation,
				name => 'renew_invitation',
				seat => $seat->{id},
				link => $link->{id}
			},
			answer => $answer
		}
	  ]
	  if $expired;
	return $expired || @{ $answer->{rows} } == 1;
}

# Arguments: token, email.  The answer is what the call returns, which is nothing, and then the type of
# the event with the seat, its token and the purchase's modified_at, if there was an event.
sub join_seat
{
	my ($self, $operation, $answer) = @_;
	my ($email, $link) = ($operation->{email}, $self->link_of_token($operation->{token}));
	my $error = $self->link_error($email, $link);

	return $error eq $answer->{error} if $error;
	my %of_link = (%$operation, purchase => $link->{purchase});
	my $customer = $self->find_customer({ %of_link, by => 'email', value => $email });
	my $seat = $self->held_by($link->{purchase}, $customer->{id});
	$error = $seat ? '' : $self->join_room_error($link);
	return $error eq $answer->{error} if $error || $answer->{error};
	my ($void, $row) = @{ $answer->{rows} };
	return 0 if $void ne '';
	return $self->join_again($operation, $answer, $seat, $link) if $seat;
	return 0 if !defined $row || $row !~ s/^assigned\|//;
	$of_link{more} = { invitation => 'unsent', join_link_id => $link->{id} };
	$self->tally($customer->{id} ? 'joined, found' : 'joined, made');
	$self->change('join_link', $link->{id}, uses => $link->{uses} + 1);
	return $self->give(\%of_link, { %$answer, rows => [$row] }, $customer);
}

# The second step of joining: renews the invitation that was found expired, unless others have revoked
# or renewed it meanwhile.  Arguments: seat, link.
sub renew_invitation
{
	my ($self, $operation, $answer) = @_;
	my $seat = $self->{seat}{ $operation->{seat} };
	my (undef, $row) = @{ $answer->{rows} };
	my $due =
	     $seat
	  && $seat->{status} eq 'pending'
	  && $seat->{expiry} eq 'past'
	  && $seat->{suspended} eq 'f';

	$self->tally($due ? 'join_seat renewed an invitation' : 'join_seat had nothing left to renew');
	return !defined $row if !$due;
	return 0 if !defined $row || $row !~ s/^invitation_resent\|//;
	my ($shown, $token) = split /\|/, $row;
	return $token =~ $unsent_token
	  && $self->renew($seat->{id}, $token, $shown,
		invitation => 'unsent',
		join_link_id => $operation->{link});
}

sub list_join_links
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{purchase};
	my $error = $self->purchase_error($operation);

	return $error eq $answer->{error} if $error || $answer->{error};
	return "@{ $answer->{rows} }" eq join ' ',
	  map { $self->show_link($_->{id}) } $self->links_of($id);
}

# A link that is revoked already stays as it is.
sub revoke_join_link
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{link};
	my $link = $self->{join_link}{$id};
	my $error =
	    !$link ? 'PT404 join_link_not_found'
	  : !$self->enabled($link) ? 'PT403 seat_based_pricing_not_enabled'
	  : '';

	return $error eq $answer->{error} if $error || $answer->{error};
	if ($link->{revoked} eq '')
	{
		my ($revoked) = $answer->{rows}[0] =~ m{([^/]*)$};
		return 0 if !$self->is_now($revoked);
		$self->change('join_link', $id, revoked => $revoked);
	}
	else
	{
		$self->tally('revoke_join_link changed nothing');
	}
	return $answer->{rows}[0] eq $self->show_link($id);
}

# Tells whether a customer has a seat that can be used.  Arguments: product, customer.
sub has_seat
{
	my ($self, $operation, $answer) = @_;
	my $usable = grep {
		     $_->{status} eq 'claimed'
		  && $_->{suspended} eq 'f'
		  && $self->{purchase}{ $_->{purchase} }{product} eq $operation->{product}
	} $self->seats_held_by($operation->{customer});

	$self->tally($usable ? 'has_seat true' : 'has_seat false');
	return $answer->{error} eq '' && $answer->{rows}[0] eq yes_or_no($usable);
}

# A call that is refused whatever the state.
sub refused
{
	my ($self, $operation, $answer) = @_;

	return $answer->{error} eq $operation->{error};
}


# Operations: statements of the application and the owner --------------------------------------

# What becomes of the seats of a purchase whose status changes.
sub follow_status
{
	my ($self, $id, $old, $new) = @_;

	return if $new eq $old;
	foreach my $seat ($self->assigned($id))
	{
		if ($ended{$new})
		{
			$self->revoke($seat->{id}, 'ended');
		}
		elsif ($seat->{suspended} ne yes_or_no($suspended{$new}))
		{
			$self->suspend($seat->{id}, yes_or_no($suspended{$new}));
		}
	}
}

# Arguments: status, seats, next, limit, each undef where it stays.  The answer is the row when it was
# updated, before the seats of one that ended were revoked.
sub update_purchase
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{purchase};
	my $old = $self->{purchase}{$id} or return !$answer->{error} && !@{ $answer->{rows} };
	my $assigned = $self->assigned($id);
	my %new = map { $_ => $operation->{$_} // $old->{$_} } qw(status seats next limit);
	my $ends = $ended{ $new{status} } && $new{status} ne $old->{status};

	return $answer->{error} eq '23514' && $answer->{message} =~ /because $assigned are assigned/
	  if most(\%new) < $assigned && !$ends;
	return 0 if $answer->{error} || @{ $answer->{rows} } != 1;
	my ($row, $modified_at) = $answer->{rows}[0] =~ /(.*)\|(.*)/;
	return 0 if $row ne join '|', $id, @new{qw(status seats)}, $assigned, @new{qw(next limit)};
	return 0 if !$self->change_purchase($id, $modified_at, %new);
	$self->follow_status($id, $old->{status}, $new{status});
	return 1;
}

# Makes the number of seats that was planned the number of seats, which always goes through.
sub reach_next
{
	my ($self, $operation, $answer) = @_;
	my $purchase = $self->{purchase}{ $operation->{purchase} };

	return !$answer->{error} && !@{ $answer->{rows} } if !$purchase || $purchase->{next} eq '';
	return !$answer->{error}
	  && $self->update_purchase({ %$operation, seats => $purchase->{next}, next => '' }, $answer);
}

# Tells whether an UPDATE of many rows changed those that it had to.  It finds them by its snapshot,
# and so leaves out what others have added or changed since, although it waits for them elsewhere.
sub changed_all
{
	my ($self, $changed, @wanted) = @_;
	my %left = map { $_ => 1 } @wanted;

	return 0 if grep { !delete $left{$_} } @$changed;
	return !grep { !$self->{touched}{$_} } keys %left;
}

# Changes the status of all subscriptions of an organization.
sub update_purchases
{
	my ($self, $operation, $answer) = @_;
	my %rows = map { /^([^|]*)/ ? ($1 => $_) : () } @{ $answer->{rows} };
	my @wanted =
	  map { $_->{id} }
	  grep { $_->{kind} eq 'subscription' && $_->{organization} eq $operation->{organization} }
	  values %{ $self->{purchase} };

	return 0 if $answer->{error} || !$self->changed_all([ keys %rows ], @wanted);
	foreach my $id (keys %rows)
	{
		return 0 if !$self->update_purchase({ purchase => $id, status => $operation->{status} },
			{ error => '', rows => [ $rows{$id} ] });
	}
	return 1;
}

# Removes a join link.
sub remove_link
{
	my ($self, $link) = @_;

	$self->put('join_link_of', $link->{token}, undef);
	$self->put('join_link', $link->{id}, undef);
}

# Removes a purchase with its seats, their sessions and its join links, if it is there.
sub delete_purchase
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{purchase};
	my @found = $self->{purchase}{$id} ? ($id) : ();

	return 0 if $answer->{error} || "@{ $answer->{rows} }" ne "@found";
	$self->revoke($_->{id}, 'deleted') foreach $self->assigned($id);
	$self->remove_seat($_->{id}) foreach $self->seats_of($id);
	$self->remove_link($_) foreach $self->links_of($id);
	$self->put('purchase', $id, undef) if @found;
	return 1;
}

# Adds a purchase unless it is there.  Arguments: organization, product, payer, seats, limit, status.
sub insert_purchase
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{purchase};
	my @added = $self->{purchase}{$id} ? () : ($id);

	return $answer->{error} eq '23503' if @added && !$self->{customer}{ $operation->{payer} };
	return 0 if $answer->{error} || "@{ $answer->{rows} }" ne "@added";
	$self->add_purchase(
		id => $id,
		map { $_ => $operation->{$_} } qw(kind organization product payer seats limit status))
	  if @added;
	return 1;
}

sub enable_pricing
{
	my ($self, $operation, $answer) = @_;
	my $organization = $self->{organization}{ $operation->{organization} };

	$self->change('organization', $organization->{id}, enabled => $operation->{enabled});
	return !$answer->{error};
}

# Deletes the customer who has an address, if there is one; who holds a seat or pays is kept.
sub delete_customer
{
	my ($self, $operation, $answer) = @_;
	my $key = $operation->{organization} . ' ' . lc $operation->{email};
	my $id = $self->{customer_of}{$key};

	return $answer->{error} eq '' && !@{ $answer->{rows} } if !$id;
	return $answer->{error} eq '23503' if $self->pays($id) || $self->seats_held_by($id);
	return 0 if $answer->{error} || join(' ', @{ $answer->{rows} }) ne $id;
	$self->remove_customer($self->{customer}{$id});
	return 1;
}

# Tells whether columns of a customer can be so: nobody else of the organization has the same.
sub is_free
{
	my ($self, $customer, %new) = @_;
	my @holders =
	  grep { defined } map { $self->{customer_of}{$_} } names_of({ %$customer, %new });

	return !grep { $_ ne $customer->{id} } @holders;
}

# Changes columns of a customer.  Arguments: customer, and "new", a hash of the columns.
sub update_customer
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{customer};
	my $customer = $self->{customer}{$id} or return !$answer->{error} && !@{ $answer->{rows} };

	return $answer->{error} eq '23505' if !$self->is_free($customer, %{ $operation->{new} });
	return 0 if $answer->{error} || "@{ $answer->{rows} }" ne $id;
	$self->change_customer($id, %{ $operation->{new} });
	return 1;
}

# Changes the addresses of all customers of an organization that have one.  Argument: "change",
# which gives the new address for the old one, or the same where it stays.
sub update_customers
{
	my ($self, $operation, $answer) = @_;
	my @found = grep { $_->{organization} eq $operation->{organization} && $_->{email} ne '' }
	  values %{ $self->{customer} };
	my %new = map { $_->{id} => $operation->{change}->($_->{email}) } @found;
	my @wanted = grep { $new{ $_->{id} } ne $_->{email} } @found;
	my @clashing = grep { !$self->is_free($_, email => $new{ $_->{id} }) } @wanted;
	my @changed = @{ $answer->{rows} };

	return $answer->{error} eq '23505' && @clashing > 0 if $answer->{error};
	return 0 if !$self->changed_all(\@changed, map { $_->{id} } @wanted);
	my %changed = map { $_ => 1 } @changed;
	return 0 if grep { $changed{ $_->{id} } } @clashing;
	$self->change_customer($_, email => $new{$_}) foreach @changed;
	return 1;
}

# Lets the invitation of a seat expire if it has one and is not revoked.
sub expire_invitation
{
	my ($self, $operation, $answer) = @_;
	my $seat = $self->{seat}{ $operation->{seat} };
	my @found = $seat && $seat->{status} ne 'revoked' && $seat->{token} ne '' ? $seat->{id} : ();

	return 0 if $answer->{error} || "@{ $answer->{rows} }" ne "@found";
	$self->change('seat', $_, expiry => 'past') foreach @found;
	return 1;
}

# Lets a join link expire, if there is one.
sub expire_join_link
{
	my ($self, $operation, $answer) = @_;
	my $link = $self->{join_link}{ $operation->{link} };
	my @found = $link ? $link->{id} : ();

	return 0 if $answer->{error} || "@{ $answer->{rows} }" ne "@found";
	$self->change('join_link', $_, expiry => 'past') foreach @found;
	return 1;
}

# Lets a session expire, if there is one.
sub expire_session
{
	my ($self, $operation, $answer) = @_;
	my $token = $operation->{session};
	my $session = $self->{session}{$token};
	my @found = $session ? $session->{seat} : ();

	return 0 if $answer->{error} || "@{ $answer->{rows} }" ne "@found";
	$self->change('session', $token, expired => 1) if $session;
	return 1;
}


# The whole state ------------------------------------------------------------------------------

sub yes_or_no
{
	return $_[0] ? 't' : 'f';
}

# Returns the rows of a table as the test's SQL writes them, sorted.
sub rows
{
	my ($self, $table) = @_;
	my $method = "${table}_row";

	return join "\n", sort map { $self->$method($_) } keys %{ $self->{$table} };
}

# Returns the rows of all tables, of events the new ones, each after the name of its table.
sub state
{
	my ($self) = @_;
	my @rows;

	foreach my $table (qw(seat session join_link customer purchase organization new_event))
	{
		my $method = "${table}_row";
		push @rows, map { "$table|" . $self->$method($_) } keys %{ $self->{$table} };
	}
	return join "\n", sort @rows;
}

sub seat_row
{
	my ($self, $id) = @_;
	my $seat = $self->{seat}{$id};

	return join '|', $self->show($id),
	  $seat->{token} eq '' ? '' : hash_of($seat->{token}),
	  yes_or_no($seat->{key} ne ''), $seat->{suspended};
}

sub session_row
{
	my ($self, $token) = @_;
	my $session = $self->{session}{$token};
	my $seat = $self->{seat}{ $session->{seat} };

	return join '|', sha256_hex($token), @$seat{qw(id customer organization)},
	  yes_or_no($session->{expired});
}

sub join_link_row
{
	my ($self, $id) = @_;
	my $link = $self->{join_link}{$id};

	return join '|', $self->show_link($id), hash_of($link->{token}), $link->{organization};
}

sub customer_row
{
	my ($self, $id) = @_;

	return join '|', @{ $self->{customer}{$id} }{qw(id organization email external name)};
}

sub purchase_row
{
	my ($self, $id) = @_;
	my $purchase = $self->{purchase}{$id};

	return join '|', $id, @$purchase{qw(payer status seats next limit)}, scalar $self->assigned($id),
	  $purchase->{modified_at}, "@{ $purchase->{rows} }", "@{ $purchase->{links} }";
}

sub organization_row
{
	my ($self, $id) = @_;

	return "$id|$self->{organization}{$id}{enabled}";
}

sub event_row
{
	my ($self, $key) = @_;

	return "$key|$self->{event}{$key}";
}

sub new_event_row
{
	my ($self, $key) = @_;

	return "$key|$self->{new_event}{$key}";
}

# Tells a person what a purchase is like.
sub describe
{
	my ($self, $id) = @_;
	my $purchase = $self->{purchase}{$id} or return "no purchase $id";
	my $organization = $self->{organization}{ $purchase->{organization} };

	return join "\n",
	  "purchase $id: $purchase->{status}, $purchase->{seats} seats, "
	  . "next=$purchase->{next} limit=$purchase->{limit}, pricing enabled: $organization->{enabled}",
	  map({ "  $_->{id} $_->{status} claimed=$_->{claimed} customer=$_->{customer} email=$_->{email}"
		  . " expiry=$_->{expiry} suspended=$_->{suspended} token=$_->{token} key=$_->{key}"
		  . " sessions=@{ $_->{sessions} }" }
	  $self->seats_of($id)),
	  map { '  ' . $self->show_link($_->{id}) . " token=$_->{token}" } $self->links_of($id);
}

1;
