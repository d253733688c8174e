/*
 * assign.c
 *		Assigning seats of a purchase, to one customer or to many e-mail addresses, and sending an
 *		invitation again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "allocate.h"
#include "assign.h"
#include "catalog.h"
#include "compat.h"
#include "customer.h"
#include "direct_seat.h"
#include "errors.h"
#include "event.h"
#include "input.h"
#include "statement.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_assign_seat);
PG_FUNCTION_INFO_V1(seats_assign_seats);
PG_FUNCTION_INFO_V1(seats_resend_invitation);

/* ---- assign_seat() ---- */

/* The arguments of assign_seat() after those that name the purchase, in its order. */
enum
{
	EMAIL_ARGUMENT = 2,
	EXTERNAL_CUSTOMER_ID_ARGUMENT,
	CUSTOMER_ID_ARGUMENT,
	METADATA_ARGUMENT,
	IMMEDIATE_CLAIM_ARGUMENT
};

/* Adds a fault unless exactly one argument of assign_seat() identifies the customer. */
static void
check_identifiers(FunctionCallInfo fcinfo, Faults *faults)
{
	check_one_customer(faults,
					   !PG_ARGISNULL(EMAIL_ARGUMENT) +
						   !PG_ARGISNULL(EXTERNAL_CUSTOMER_ID_ARGUMENT) +
						   !PG_ARGISNULL(CUSTOMER_ID_ARGUMENT));
	if (!PG_ARGISNULL(EMAIL_ARGUMENT))
		check_email(faults, PG_GETARG_TEXT_PP(EMAIL_ARGUMENT), "email");
}

/* Returns an argument that holds metadata, or null; adds a fault if it is malformed. */
static NullableDatum
metadata_argument(FunctionCallInfo fcinfo, int argno, Faults *faults)
{
	if (!PG_ARGISNULL(argno))
		check_metadata(faults, PG_GETARG_JSONB_P(argno), "metadata");
	return fcinfo->args[argno];
}

/* Returns the customer of assign_seat(), made if need be; raises customer_not_found. */
static Customer *
find_assigned(const Assignment *assignment, const pg_uuid_t *organization_id)
{
	Customer *customer = palloc(sizeof(Customer));

	if (!assignment->email.isnull)
		*customer = customer_by_email(organization_id, assignment->email);
	else if (!assignment->customer_id.isnull)
		*customer = customer_by_identifier(organization_id, CUSTOMER_BY_ID,
										   assignment->customer_id.value);
	else
		*customer = customer_by_identifier(organization_id, CUSTOMER_BY_EXTERNAL_ID,
										   assignment->external_customer_id.value);
	return customer;
}

/* Assigns a free seat to a customer; see assign_seat().  Raises PT400, PT403 and PT404. */
Datum
assign_operation(TupleDesc type, const Assignment *assignment)
{
	Allocation allocation = {.count = 1,
							 .metadata = assignment->metadata,
							 .claimed = assignment->immediate_claim,
							 .payer = assignment->payer,
							 .seat_type = TupleDescAttr(type, 0)->atttypid,
							 .context = CurrentMemoryContext,
							 .before = statements_writing()};
	const Purchase *purchase = &allocation.purchase;

	SPI_connect();
	allocation_lock(assignment->purchase, &allocation);
	allocation.customers = find_assigned(assignment, &purchase->organization_id);
	allocation_check_one(&allocation);
	allocate(&allocation);
	SPI_finish();
	return result_with_token(type, allocation.seats->seat, allocation.seats->token);
}

/*
 * assign_seat(...): assigns a free seat to a customer, identified in exactly one of three ways;
 * returns the seat and the invitation token, once.  With immediate_claim the seat is claimed
 * immediately and there is no token.  Raises PT400, PT403, PT404 and PT422, and 25006 in a
 * read-only transaction.
 *
 * Locks: the subscription or order, then the customer FOR SHARE (or makes it), then a revoked
 * seat if there is one to use again.
 */
Datum
seats_assign_seat(PG_FUNCTION_ARGS)
{
	Assignment assignment = {
		.email = fcinfo->args[EMAIL_ARGUMENT],
		.external_customer_id = fcinfo->args[EXTERNAL_CUSTOMER_ID_ARGUMENT],
		.customer_id = fcinfo->args[CUSTOMER_ID_ARGUMENT],
	};
	Faults faults;

	PreventCommandIfReadOnly("assign_seat()");
	faults_start(&faults);
	assignment.purchase = purchase_argument(fcinfo, &faults);
	check_identifiers(fcinfo, &faults);
	assignment.metadata = metadata_argument(fcinfo, METADATA_ARGUMENT, &faults);
	assignment.immediate_claim = !PG_ARGISNULL(IMMEDIATE_CLAIM_ARGUMENT) &&
		PG_GETARG_BOOL(IMMEDIATE_CLAIM_ARGUMENT);
	faults_raise(&faults);
	return assign_operation(result_type(fcinfo), &assignment);
}

/* ---- assign_seats() ---- */

/* The arguments of assign_seats() after those that name the purchase, in its order. */
enum
{
	EMAILS_ARGUMENT = 2,
	METADATA_OF_ALL_ARGUMENT
};

/* Allocates seats of a locked purchase to addresses, and adds them to the function's result. */
static void
assign_to_addresses(Allocation *allocation, Datum emails, const ReturnSetInfo *set)
{
	TupleDesc type = set->setDesc;

	allocation->seat_type = TupleDescAttr(type, 0)->atttypid;
	allocation->customers = customers_by_email(&allocation->purchase.organization_id, emails,
											   allocation->count);
	allocation_check_all(allocation);
	allocate(allocation);
	for (int i = 0; i < allocation->count; i++)
	{
		const AllocatedSeat *each = &allocation->seats[i];

		result_set_add(set, result_with_token(type, each->seat, each->token));
	}
}

/*
 * assign_seats(...): assigns a free seat to each of some e-mail addresses, all or none, in the
 * order given; returns the seats and their invitation tokens, once.  No addresses: no rows.  Raises
 * PT400, PT403, PT404 and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the subscription or order; then the customers, as customers_by_email() says; then revoked
 * seats to use again, in the order of their ids.
 */
Datum
seats_assign_seats(PG_FUNCTION_ARGS)
{
	Allocation allocation = {.context = CurrentMemoryContext, .before = statements_writing()};
	PurchaseId purchase;
	Faults faults;

	PreventCommandIfReadOnly("assign_seats()");
	InitMaterializedSRF(fcinfo, MAT_SRF_BLESS);
	faults_start(&faults);
	purchase = purchase_argument(fcinfo, &faults);
	allocation.count = check_emails(&faults, fcinfo->args[EMAILS_ARGUMENT], "emails");
	allocation.metadata = metadata_argument(fcinfo, METADATA_OF_ALL_ARGUMENT, &faults);
	faults_raise(&faults);

	SPI_connect();
	allocation_lock(purchase, &allocation);
	if (allocation.count > 0)
		assign_to_addresses(&allocation, PG_GETARG_DATUM(EMAILS_ARGUMENT),
							(const ReturnSetInfo *) fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}

/* ---- resend_invitation() ---- */

/* The seat of an invitation that is sent again, once it is locked. */
typedef struct Invitee
{
	SeatEvent seat;
	NullableDatum invitation_ttl;		/* its organization's own interval, or null */
	bool unsent;						/* nobody gets to know the token */
	const pg_uuid_t *join_link_id;		/* by which it is asked for, or NULL */
	bool direct;						/* its row can be updated without the executor */
	NullableDatum values[SEAT_COLUMNS]; /* all if so, or else those that are needed */
} Invitee;

static Statement lock_invitee = {
	.sql = "SELECT s.organization_id, s.customer_id, s.subscription_id, s.order_id, "
		   "s.status, s.suspended_at, s.invitation_token_expires_at "
		   "FROM seats.customer_seats AS s WHERE s.id = $1 FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static Statement set_invited = {
	.sql =
		"UPDATE seats.customer_seats AS s "
		"SET invitation_token_hash = $2, invitation_token_expires_at = $3, modified_at = $4 "
		"WHERE s.id = $1 RETURNING " SEAT_FIELDS ", "
		"s.id = $1 AND s.status = 'pending' AND s.suspended_at IS NULL "
		"AND s.invitation_token_hash = $2 "
		"AND s.invitation_token_expires_at = $3 AND s.modified_at = $4 "
		"AND s.organization_id = $5 AND s.customer_id = $6",
	.nargs = 6,
	.argtypes = {UUIDOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/* The seat as it is in the end, and whether the new token opens it. */
static Statement confirm_invited = {
	.sql = "SELECT " SEAT_FIELDS ", s.status = 'pending' AND s.suspended_at IS NULL "
		   "AND s.invitation_token_hash = $2 AND s.customer_id = $3 "
		   "FROM seats.customer_seats AS s WHERE s.id = $1",
	.nargs = 3,
	.argtypes = {UUIDOID, BYTEAOID, UUIDOID},
	.table = "customer_seats",
};

/*
 * Locks the seat of an invitee and reads it; returns false if there is none.
 *
 * Locks: the seat's row, FOR NO KEY UPDATE.
 */
static bool
lock_and_read(Invitee *invitee)
{
	static const SeatColumn columns[] = {SEAT_ORGANIZATION_ID,
										 SEAT_CUSTOMER_ID,
										 SEAT_SUBSCRIPTION_ID,
										 SEAT_ORDER_ID,
										 SEAT_STATUS,
										 SEAT_SUSPENDED_AT,
										 SEAT_INVITATION_TOKEN_EXPIRES_AT};
	const pg_uuid_t *id = &invitee->seat.ids.id;
	NullableDatum arguments[] = {{UUIDPGetDatum(id), false}};
	DirectResult result = direct_seat_lock(id, invitee->values);
	Rows rows;

	invitee->direct = result == DIRECT_FOUND;
	if (result == DIRECT_NOT_POSSIBLE)
	{
		rows = statement_execute(&lock_invitee, arguments);
		result = rows.count == 0 ? DIRECT_NOT_FOUND : DIRECT_FOUND;
		for (size_t i = 0; i < lengthof(columns) && rows.count > 0; i++)
			invitee->values[columns[i]] = rows_value(&rows, 0, (int) i + 1);
	}
	return result == DIRECT_FOUND;
}

/* Tells whether the locked seat of an invitee is pending; if so, sets the ids of its customer. */
static bool
is_pending(Invitee *invitee)
{
	const NullableDatum *values = invitee->values;

	if (DatumGetObjectId(seat_required(values, SEAT_STATUS)) !=
		seat_status_value(seat_status_type(), "pending"))
		return false;
	invitee->seat.ids.customer_id = *DatumGetUUIDP(seat_required(values, SEAT_CUSTOMER_ID));
	return true;
}

/* Sets the organization and the purchase of the locked seat of an invitee. */
static void
set_purchase(Invitee *invitee)
{
	const NullableDatum *values = invitee->values;

	invitee->seat.ids.organization_id = *DatumGetUUIDP(
		seat_required(values, SEAT_ORGANIZATION_ID));
	(void) purchase_of_seat(values[SEAT_SUBSCRIPTION_ID], values[SEAT_ORDER_ID],
							&invitee->seat.purchase);
}

/*
 * Locks a pending seat; raises the error if there is none, if its organization may not use seats,
 * or if it is not pending or suspended.  If a payer is given who does not pay for it, before or
 * after the lock is there, there is no such seat.
 *
 * Locks: the seat's row, FOR NO KEY UPDATE; nothing if the payer did not pay for it before.
 */
static Invitee
lock_pending_seat(const pg_uuid_t *seat_id, const pg_uuid_t *payer)
{
	Invitee invitee = {.seat.ids.id = *seat_id, .unsent = payer != NULL};
	bool pending;

	if (payer != NULL && !purchase_is_paid_by(purchase_of_seat_id(seat_id), payer))
		raise_error(SEAT_NOT_FOUND);
	if (!lock_and_read(&invitee))
		raise_error(SEAT_NOT_FOUND);
	set_purchase(&invitee);
	if (!purchase_is_paid_by(invitee.seat.purchase, payer))
		raise_error(SEAT_NOT_FOUND);
	pending = is_pending(&invitee);
	invitee.invitation_ttl = organization_allowed(&invitee.seat.ids.organization_id);
	if (!pending)
		raise_error(SEAT_NOT_PENDING);
	if (!invitee.values[SEAT_SUSPENDED_AT].isnull)
		raise_error(SEAT_SUSPENDED);
	return invitee;
}

/*
 * Gives a locked seat a new invitation without the executor; returns false, with nothing done, if
 * that needs a statement.
 */
static bool
invite_directly(Invitee *invitee, const NullableDatum *hash, TimestampTz expires_at,
				TimestampTz now, MemoryContext context)
{
	NullableDatum *values = invitee->values;

	if (!invitee->direct)
		return false;
	values[SEAT_INVITATION_TOKEN_HASH] = *hash;
	values[SEAT_INVITATION_TOKEN_EXPIRES_AT].value = TimestampTzGetDatum(expires_at);
	values[SEAT_INVITATION_TOKEN_EXPIRES_AT].isnull = false;
	values[SEAT_MODIFIED_AT] = (NullableDatum){TimestampTzGetDatum(now), false};
	if (!direct_seat_update(&invitee->seat.ids.id, values))
		return false;
	invitee->seat.seat = direct_seat_form(values, seat_type(), context);
	return true;
}

/*
 * Gives a locked seat the hash and the expiry of a new invitation, and records the event; returns
 * the seat, in a memory context.
 */
static Datum
invite(Invitee *invitee, const bytea *hash, MemoryContext context)
{
	SeatEvent *seat = &invitee->seat;
	uint64 before = statements_writing();
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz expires_at = invitation_expiry(now, invitee->invitation_ttl);
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&seat->ids.id), false},
		{PointerGetDatum(hash), false},
		{TimestampTzGetDatum(expires_at), false},
		{TimestampTzGetDatum(now), false},
		{UUIDPGetDatum(&seat->ids.organization_id), false},
		{UUIDPGetDatum(&seat->ids.customer_id), false},
	};
	NullableDatum outcome[] = {arguments[0], arguments[1], arguments[5]};
	Rows rows;

	if (!invite_directly(invitee, &arguments[1], expires_at, now, context))
	{
		rows = statement_change(&set_invited, arguments, 1);
		seat->seat = rows_composite(&rows, 0, seat_type(), SEAT_FIELD_COUNT, context);
	}
	event_record((EventKind){.type = EVENT_INVITATION_RESENT,
							 .occurred_at = now,
							 .join_link_id = invitee->join_link_id,
							 .unsent = invitee->unsent},
				 seat, 1);
	if (statements_writing() == before || !owner_has_triggers())
		return seat->seat;
	rows = statement_confirm(&confirm_invited, outcome, 1);
	return rows_composite(&rows, 0, seat_type(), SEAT_FIELD_COUNT, context);
}

/*
 * Gives a pending seat a new token, and records the event; see resend_invitation().  Raises PT400,
 * PT403 and PT404, also if a payer is given who does not pay for the seat.
 */
Datum
resend_operation(TupleDesc type, const pg_uuid_t *seat_id, const pg_uuid_t *payer)
{
	MemoryContext caller = CurrentMemoryContext;
	Invitee invitee;
	bytea *hash;
	text *token;
	Datum seat;

	SPI_connect();
	invitee = lock_pending_seat(seat_id, payer);
	token = token_issue(TOKEN_INVITATION,
						organization_route(&invitee.seat.ids.organization_id), caller, &hash);
	seat = invite(&invitee, hash, caller);
	SPI_finish();
	return result_with_token(type, seat, token);
}

/* Tells whether the invitation to a pending seat with these values has expired, by the clock. */
static bool
has_expired(const NullableDatum *values)
{
	return DatumGetTimestampTz(seat_required(values, SEAT_INVITATION_TOKEN_EXPIRES_AT)) <=
		GetCurrentTimestamp();
}

/*
 * Renews the invitation to a seat that has expired, and records that it is unsent; does nothing if
 * it was sent again meanwhile.  Returns false, with nothing done, if nobody is invited to the seat
 * any more or it is suspended.  Between SPI_connect() and SPI_finish().  Raises PT403.
 *
 * Locks: the seat's row and nothing else.
 */
bool
renew_invitation(const pg_uuid_t *seat_id, const pg_uuid_t *join_link_id)
{
	Invitee invitee = {.seat.ids.id = *seat_id, .unsent = true, .join_link_id = join_link_id};
	bytea *hash;

	if (!lock_and_read(&invitee) || !is_pending(&invitee) ||
		!invitee.values[SEAT_SUSPENDED_AT].isnull)
		return false;
	if (!has_expired(invitee.values))
		return true;
	set_purchase(&invitee);
	invitee.invitation_ttl = organization_allowed(&invitee.seat.ids.organization_id);
	(void) token_issue(TOKEN_INVITATION, organization_route(&invitee.seat.ids.organization_id),
					   CurrentMemoryContext, &hash);
	(void) invite(&invitee, hash, CurrentMemoryContext);
	return true;
}

/*
 * resend_invitation(seat_id uuid): gives a pending seat a new token with a full new lifetime, also
 * if its invitation has expired, and records the event; returns the seat and the token, once.  The
 * old token becomes unknown.  Raises PT400, PT403, PT404 and PT422, and 25006 in a read-only
 * transaction.
 *
 * Locks: the seat's row and nothing else.  The clock is read while the lock is held.
 */
Datum
seats_resend_invitation(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *seat_id;

	PreventCommandIfReadOnly("resend_invitation()");
	seat_id = id_argument(fcinfo, 0, "seat_id");
	return resend_operation(result_type(fcinfo), seat_id, NULL);
}
