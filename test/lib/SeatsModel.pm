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

use Digest::SHA qw(sha256_hex);

# Rows by their keys.  A row is never changed but replaced, so that undoing is putting back.
# "customer_of" has the ids of customers by "ORGANIZATION ADDRESS" and "ORGANIZATION EXTERNAL-ID";
# "event" counts events by "TYPE SEAT CUSTOMER", "new_event" those since settle().
my @tables =
  qw(organization purchase customer customer_of seat seat_of_token session event new_event);

my %assignable = map { $_ => 1 } qw(trialing active past_due paid partially_refunded);
my %ended = map { $_ => 1 } qw(canceled unpaid incomplete_expired refunded void);

my $invitation_token = qr/^seats_inv_[0-9A-Za-z]{55}$/;
my $session_token = qr/^seats_cst_[0-9A-Za-z]{55}$/;

sub new
{
	my ($class) = @_;

	return bless { journal => [], switched => {}, map { $_ => {} } @tables }, $class;
}

# Tells whether an operation's answer is the one that this state gives; if so the state is
# afterwards that which the operation leaves.
#
# An operation has a name, its arguments, and "rollback" if its transaction was rolled back.  An
# answer has "error" ('' or SQLSTATE and reason), "message", and "rows" of "|"-separated columns.
#
# Whether an organization may use seats is looked at once and without a lock, so that an operation
# which is not over may have seen what another finds changed, before what the first does is seen.
# Where an organization is switched in the round, either will do.
sub fits
{
	my ($self, $operation, $answer) = @_;

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
	$self->{journal} = [];
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

# Adds an organization: id, name, slug, product.
sub add_organization
{
	my ($self, %organization) = @_;

	$self->put('organization', $organization{id}, { %organization, enabled => 't' });
}

# Adds a purchase: id, kind, organization, seats, status.
sub add_purchase
{
	my ($self, %purchase) = @_;

	$self->put('purchase', $purchase{id}, { %purchase, modified_at => '', rows => [] });
}

# Returns by what a customer is found, as keys of "customer_of".
sub names_of
{
	my ($customer) = @_;

	return map { "$customer->{organization} $_" }
	  grep { $_ ne '' } lc $customer->{email}, $customer->{external};
}

# Adds a customer: id, organization, email, external ('' where there is none).
sub add_customer
{
	my ($self, %customer) = @_;

	$self->put('customer', $customer{id}, \%customer);
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

# Returns the seat that a customer holds of a purchase, if any.
sub held_by
{
	my ($self, $purchase, $customer) = @_;
	my ($seat) =
	  grep { $_->{customer} eq ($customer // '') } $self->assigned($purchase);

	return $seat;
}

# Returns the seats that release_expired_seats() has to release.
sub due_seats
{
	my ($self) = @_;

	return grep { $_->{status} eq 'pending' && $_->{expiry} eq 'past' }
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

sub record
{
	my ($self, $type, $seat) = @_;
	my $key = "customer_seat.$type $seat->{id} $seat->{customer}";

	foreach my $table (qw(event new_event))
	{
		$self->put($table, $key, ($self->{$table}{$key} // 0) + 1);
	}
}

sub end_session_of
{
	my ($self, $id) = @_;
	my $session = $self->{seat}{$id}{session};

	return if $session eq '';
	$self->put('session', $session, undef);
	$self->change('seat', $id, session => '');
}

# Opens a session in place of the one that the claim opened before.
sub open_session
{
	my ($self, $id, $session) = @_;

	$self->end_session_of($id);
	$self->put('session', $session, { seat => $id, expired => 0 });
	$self->change('seat', $id, session => $session);
}

sub revoke
{
	my ($self, $id) = @_;

	$self->record('revoked', $self->{seat}{$id});
	$self->end_session_of($id);
	$self->change(
		'seat', $id,
		status => 'revoked',
		customer => '',
		email => '',
		revoked => 't',
		modified => 't');
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

# Takes the customer of a new seat: the one that was found, or a new one with the address given.
sub take_customer
{
	my ($self, $organization, $wanted, $id) = @_;

	return $wanted->{id} eq $id if defined $wanted->{id};
	return 0 if $self->{customer}{$id};
	$self->add_customer(
		id => $id,
		organization => $organization,
		email => $wanted->{email},
		external => '');
	return 1;
}

# Gives a seat of a purchase to a customer: a revoked one, or one that nobody has seen before.
sub give_one
{
	my ($self, $operation, $wanted, $row) = @_;
	my $purchase = $self->{purchase}{ $operation->{purchase} };
	my ($shown, $token) = split /\|/, $row, -1;
	my ($id, undef, undef, $customer) = split m{/}, $shown;
	my $old = $self->{seat}{$id};
	my $claimed = $operation->{immediate};

	return 0 if $old && ($old->{purchase} ne $purchase->{id} || $old->{status} ne 'revoked');
	return 0 unless $claimed ? $token eq '' : $token =~ $invitation_token;
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
			claimed => $claimed ? 't' : 'f',
			revoked => 'f',
			modified => $old ? 't' : 'f',
			metadata => $operation->{metadata} // '',
			token => $old ? $old->{token} : '',
			key => '',
			session => '',
		});
	$self->replace_token($id, $token);
	$self->record($claimed ? 'claimed' : 'assigned', $self->{seat}{$id});
	return $shown eq $self->show($id);
}

# Gives seats to customers.  Revoked rows come first; new ones go to the end of the list, those
# of one call by their ids, since they have the same created_at.
sub give
{
	my ($self, $operation, $answer, @wanted) = @_;
	my $id = $operation->{purchase};
	my %known = map { $_->{id} => 1 } $self->seats_of($id);
	my $revoked = $self->seats_of($id) - $self->assigned($id);
	my @rows = @{ $answer->{rows} };

	return 0 if @rows != @wanted;
	foreach my $i (0 .. $#rows)
	{
		return 0 unless $self->give_one($operation, $wanted[$i], $rows[$i]);
	}
	my @new = sort grep { !$known{$_} } map { m{^([^/]*)} } @rows;
	$self->change('purchase', $id, rows => [ @{ $self->{purchase}{$id}{rows} }, @new ])
	  if @new;
	return @new == ($revoked < @rows ? @rows - $revoked : 0);
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

# Returns how many seats of a purchase can still be assigned.
sub available
{
	my ($self, $purchase) = @_;

	return $self->{purchase}{$purchase}{seats} - $self->assigned($purchase);
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
	return 'PT400 no_available_seats' if $self->available($operation->{purchase}) < 1;
	return '';
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
	my $available = $self->available($operation->{purchase});
	return 'PT400 no_available_seats ' . places($available .. $#wanted) if $available < @wanted;
	return '';
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

sub claim_error
{
	my ($self, $seat, $retry) = @_;

	return 'PT400 invitation_invalid' if !$seat;
	return 'PT400 seat_revoked' if $seat->{status} eq 'revoked';
	return 'PT400 seat_already_claimed' if $seat->{status} eq 'claimed' && !$retry;
	return 'PT400 invitation_expired' if $seat->{expiry} eq 'past' && !$retry;
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
	if (!$retry)
	{
		$self->record('claimed', $seat);
		$self->change(
			'seat', $seat->{id},
			status => 'claimed',
			claimed => 't',
			modified => 't',
			key => $key);
	}
	$self->open_session($seat->{id}, $session);
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
	my $can_claim = $seat->{status} eq 'pending' && $seat->{expiry} eq 'open';
	return $answer->{rows}[0] eq join '|', $organization->{product}, $organization->{id},
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
	return $error eq $answer->{error} if $error || $answer->{error};
	my ($shown, $token) = split /\|/, $answer->{rows}[0], -1;
	return 0 if $token !~ $invitation_token || $self->{seat_of_token}{$token};
	$self->replace_token($id, $token);
	$self->change('seat', $id, expiry => 'open', modified => 't');
	$self->record('invitation_resent', $self->{seat}{$id});
	return $shown eq $self->show($id);
}

sub revoke_seat
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{seat};
	my $error = $self->seat_error($operation);

	return $error eq $answer->{error} if $error || $answer->{error};
	$self->revoke($id) if $self->{seat}{$id}{status} ne 'revoked';
	return $answer->{rows}[0] eq $self->show($id);
}

sub revoke_seats
{
	my ($self, $operation, $answer) = @_;
	my $error = $self->purchase_error($operation);

	$error = '' if $error =~ /^PT403/;
	return $error eq $answer->{error} if $error || $answer->{error};
	my @assigned = $self->assigned($operation->{purchase});
	$self->revoke($_->{id}) foreach @assigned;
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
	$self->end_session_of($session->{seat}) if $session;
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
	$self->revoke($_) foreach @released;
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
	$self->end_session_of($self->{session}{$_}{seat}) foreach @purged;
	return $answer->{rows}[0] == @purged;
}

# A call that is refused whatever the state.
sub refused
{
	my ($self, $operation, $answer) = @_;

	return $answer->{error} eq $operation->{error};
}


# Operations: statements of the application and the owner --------------------------------------

# Arguments: status, seats, each undef where it stays.  The answer is the row when it was updated,
# before the seats of one that ended were revoked.
sub update_purchase
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{purchase};
	my $old = $self->{purchase}{$id} or return !$answer->{error} && !@{ $answer->{rows} };
	my $assigned = $self->assigned($id);
	my %new = map { $_ => $operation->{$_} // $old->{$_} } qw(status seats);
	my $changed = grep { $new{$_} ne $old->{$_} } keys %new;
	my $ends = $ended{ $new{status} } && $new{status} ne $old->{status};

	return $answer->{error} eq '23514' && $answer->{message} =~ /because $assigned are assigned/
	  if $new{seats} < $assigned && !$ends;
	return 0 if $answer->{error};
	my ($row, $modified_at) = $answer->{rows}[0] =~ /(.*)\|(.*)/;
	return 0 if $row ne "$new{status}|$new{seats}|$assigned";
	return 0 if ($modified_at ne $old->{modified_at}) != ($changed > 0);
	$self->change('purchase', $id, %new, modified_at => $modified_at) if $changed;
	if ($ends)
	{
		$self->revoke($_->{id}) foreach $self->assigned($id);
	}
	return 1;
}

# Removes a purchase with its seats and their sessions, if it is there.
sub delete_purchase
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{purchase};
	my @found = $self->{purchase}{$id} ? ($id) : ();

	return 0 if $answer->{error} || "@{ $answer->{rows} }" ne "@found";
	foreach my $seat (map { $_->{id} } $self->seats_of($id))
	{
		$self->end_session_of($seat);
		$self->replace_token($seat, '');
		$self->put('seat', $seat, undef);
	}
	$self->put('purchase', $id, undef) if @found;
	return 1;
}

# Adds a purchase unless it is there.  Arguments: organization, seats, status.
sub insert_purchase
{
	my ($self, $operation, $answer) = @_;
	my $id = $operation->{purchase};
	my @added = $self->{purchase}{$id} ? () : ($id);

	return 0 if $answer->{error} || "@{ $answer->{rows} }" ne "@added";
	$self->add_purchase(
		id => $id,
		map { $_ => $operation->{$_} } qw(kind organization seats status))
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

# Deletes the customer who has an address, if there is one; who holds a seat is kept.
sub delete_customer
{
	my ($self, $operation, $answer) = @_;
	my $key = $operation->{organization} . ' ' . lc $operation->{email};
	my $id = $self->{customer_of}{$key};

	return $answer->{error} eq '' && !@{ $answer->{rows} } if !$id;
	return $answer->{error} eq '23503'
	  if grep { $self->held_by($_, $id) } keys %{ $self->{purchase} };
	return 0 if $answer->{error} || join(' ', @{ $answer->{rows} }) ne $id;
	$self->remove_customer($self->{customer}{$id});
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

	foreach my $table (qw(seat session customer purchase organization new_event))
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
	  $seat->{token} eq '' ? '' : sha256_hex($seat->{token}),
	  yes_or_no($seat->{key} ne '');
}

sub session_row
{
	my ($self, $token) = @_;
	my $session = $self->{session}{$token};
	my $seat = $self->{seat}{ $session->{seat} };

	return join '|', sha256_hex($token), @$seat{qw(id customer organization)},
	  yes_or_no($session->{expired});
}

sub customer_row
{
	my ($self, $id) = @_;

	return join '|', @{ $self->{customer}{$id} }{qw(id organization email external)};
}

sub purchase_row
{
	my ($self, $id) = @_;
	my $purchase = $self->{purchase}{$id};

	return join '|', $id, @$purchase{qw(status seats)}, scalar $self->assigned($id),
	  $purchase->{modified_at}, "@{ $purchase->{rows} }";
}

sub organization_row
{
	my ($self, $id) = @_;

	return "$id|$self->{organization}{$id}{enabled}";
}

sub event_row
{
	my ($self, $key) = @_;

	return join '|', split(/ /, $key), $self->{event}{$key};
}

sub new_event_row
{
	my ($self, $key) = @_;

	return join '|', split(/ /, $key), $self->{new_event}{$key};
}

# Tells a person what a purchase is like.
sub describe
{
	my ($self, $id) = @_;
	my $purchase = $self->{purchase}{$id} or return "no purchase $id";
	my $organization = $self->{organization}{ $purchase->{organization} };

	return join "\n",
	  "purchase $id: $purchase->{status}, $purchase->{seats} seats, pricing enabled: "
	  . $organization->{enabled},
	  map { "  $_->{id} $_->{status} customer=$_->{customer} email=$_->{email}"
		  . " expiry=$_->{expiry} token=$_->{token} key=$_->{key} session=$_->{session}" }
	  $self->seats_of($id);
}

1;
