/*
 * assign.c
 *		Assigning a seat of a subscription or order to a customer.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "customer.h"
#include "errors.h"
#include "event.h"
#include "kept_plan.h"
#include "purchase.h"
#include "row.h"
#include "seat.h"
#include "settings.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_assign_seat);

/* The arguments of assign_seat(), in its order. */
enum
{
	SUBSCRIPTION_ID_ARGUMENT,
	ORDER_ID_ARGUMENT,
	EMAIL_ARGUMENT,
	EXTERNAL_CUSTOMER_ID_ARGUMENT,
	CUSTOMER_ID_ARGUMENT,
	METADATA_ARGUMENT,
	IMMEDIATE_CLAIM_ARGUMENT
};

/* What a seat is assigned with. */
typedef struct Assignment
{
	PurchaseId purchase;
	CustomerIdentifier customer;
	NullableDatum metadata;
	bool immediate_claim;
} Assignment;

#define FIND_SEAT_OF(purchase) \
	"SELECT FROM seats.customer_seats " \
	"WHERE " purchase EQ "$1 AND customer_id" EQ "$2"

static KeptPlan find_seat_of[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = FIND_SEAT_OF("subscription_id"),
							   .nargs = 2,
							   .argtypes = {UUIDOID, UUIDOID}},
	[PURCHASE_ORDER] = {.sql = FIND_SEAT_OF("order_id"),
						.nargs = 2,
						.argtypes = {UUIDOID, UUIDOID}},
};

/* A revoked seat has no customer, and an index finds it by that. */
#define LOCK_REVOKED(purchase) \
	"SELECT id FROM seats.customer_seats " \
	"WHERE " purchase EQ "$1 AND customer_id IS NULL LIMIT 1 FOR NO KEY UPDATE"

static KeptPlan lock_revoked[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = LOCK_REVOKED("subscription_id"),
							   .nargs = 1,
							   .argtypes = {UUIDOID}},
	[PURCHASE_ORDER] = {.sql = LOCK_REVOKED("order_id"), .nargs = 1, .argtypes = {UUIDOID}},
};

/* Both start with what an assigned seat has; then comes which row, or where it belongs. */
#define INSERT_SEAT_ARGUMENTS 11
#define SEAT_ARGUMENT_TYPES \
	UUIDOID, TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID, \
		TIMESTAMPTZOID

static KeptPlan give_again = {
	.sql = "UPDATE seats.customer_seats AS s "
		   "SET customer_id = $1, customer_email = $2, status = $3::seats.seat_status, "
		   "invitation_token_hash = $4, invitation_token_expires_at = $5, claimed_at = $6, "
		   "seat_metadata = $7, modified_at = $8, revoked_at = NULL "
		   "WHERE s.id" EQ "$9 RETURNING " SEAT_COLUMNS,
	.nargs = 9,
	.argtypes = {SEAT_ARGUMENT_TYPES, UUIDOID},
};

static KeptPlan insert_seat = {
	.sql = "INSERT INTO seats.customer_seats AS s "
		   "(customer_id, customer_email, status, invitation_token_hash, "
		   "invitation_token_expires_at, claimed_at, seat_metadata, created_at, "
		   "organization_id, subscription_id, order_id) "
		   "VALUES ($1, $2, $3::seats.seat_status, $4, $5, $6, $7, $8, $9, $10, $11) "
		   "RETURNING " SEAT_COLUMNS,
	.nargs = INSERT_SEAT_ARGUMENTS,
	.argtypes = {SEAT_ARGUMENT_TYPES, UUIDOID, UUIDOID, UUIDOID},
};

/* Reads which purchase is meant; adds a fault unless it is exactly one. */
static void
read_purchase(FunctionCallInfo fcinfo, Assignment *assignment, Faults *faults)
{
	bool subscription = !PG_ARGISNULL(SUBSCRIPTION_ID_ARGUMENT);
	bool order = !PG_ARGISNULL(ORDER_ID_ARGUMENT);

	if (subscription == order)
	{
		fault_add(faults, "subscription_id",
				  "Value error, exactly one of subscription_id and order_id is required",
				  "value_error");
		return;
	}
	assignment->purchase.kind = subscription ? PURCHASE_SUBSCRIPTION : PURCHASE_ORDER;
	assignment->purchase.id = *PG_GETARG_UUID_P(subscription ? SUBSCRIPTION_ID_ARGUMENT
															 : ORDER_ID_ARGUMENT);
}

/* Reads whom the seat is for; adds a fault unless it is exactly one customer. */
static void
read_customer(FunctionCallInfo fcinfo, Assignment *assignment, Faults *faults)
{
	static const int arguments[CUSTOMER_IDENTIFIER_KINDS] = {
		[CUSTOMER_BY_EMAIL] = EMAIL_ARGUMENT,
		[CUSTOMER_BY_EXTERNAL_ID] = EXTERNAL_CUSTOMER_ID_ARGUMENT,
		[CUSTOMER_BY_ID] = CUSTOMER_ID_ARGUMENT,
	};
	int given = 0;

	for (int kind = 0; kind < CUSTOMER_IDENTIFIER_KINDS; kind++)
	{
		if (PG_ARGISNULL(arguments[kind]))
			continue;
		given++;
		assignment->customer.kind = kind;
		assignment->customer.value = PG_GETARG_DATUM(arguments[kind]);
	}
	if (given != 1)
		fault_add(faults, "email",
				  "Value error, exactly one of email, external_customer_id and customer_id "
				  "is required",
				  "value_error");
	if (!PG_ARGISNULL(EMAIL_ARGUMENT))
		check_email(faults, PG_GETARG_TEXT_PP(EMAIL_ARGUMENT), "email");
}

/* Reads the arguments of assign_seat(); raises PT422 with all that is wrong with them. */
static Assignment
read_assignment(FunctionCallInfo fcinfo)
{
	Assignment assignment = {0};
	Faults faults;

	faults_start(&faults);
	read_purchase(fcinfo, &assignment, &faults);
	read_customer(fcinfo, &assignment, &faults);
	assignment.metadata = fcinfo->args[METADATA_ARGUMENT];
	if (!assignment.metadata.isnull)
		check_metadata(&faults, DatumGetJsonbP(assignment.metadata.value), "metadata");
	assignment.immediate_claim = !PG_ARGISNULL(IMMEDIATE_CLAIM_ARGUMENT) &&
		PG_GETARG_BOOL(IMMEDIATE_CLAIM_ARGUMENT);
	faults_raise(&faults);
	return assignment;
}

/*
 * Locks a purchase whose seats may be assigned; raises PT404, PT403 or PT400 for another.
 *
 * Locks: its row.  Whoever gives or takes away its seats waits here for whoever else does.
 */
static Purchase
lock_assignable(PurchaseId id)
{
	bool order = id.kind == PURCHASE_ORDER;
	Purchase purchase;

	if (!purchase_lock(id, &purchase))
		raise_error(order ? ORDER_NOT_FOUND : SUBSCRIPTION_NOT_FOUND);
	if (!purchase.pricing_enabled)
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	if (!purchase.assignable)
		raise_error(order ? ORDER_NOT_PAID : SUBSCRIPTION_NOT_ACTIVE);
	return purchase;
}

/* Raises the error that keeps a customer from being given a seat, if there is one. */
static void
check_free_seat(const Purchase *purchase, const Customer *customer)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&purchase->id.id), false},
		{UUIDPGetDatum(&customer->id), false},
	};

	if (kept_plan_execute(&find_seat_of[purchase->id.kind], arguments) > 0)
		raise_error(SEAT_ALREADY_ASSIGNED);
	if (purchase->assigned_seats >= purchase->seats)
		raise_error(NO_AVAILABLE_SEATS);
}

/* Returns when an invitation to a seat of this purchase, given now, expires. */
static TimestampTz
invitation_expiry(const Purchase *purchase, TimestampTz now)
{
	if (purchase->invitation_ttl == NULL)
		return settings_invitation_expiry(now);
	return DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now),
							IntervalPGetDatum(purchase->invitation_ttl)));
}

/* Returns a value that is null unless a condition holds. */
static NullableDatum
value_if(bool condition, Datum value)
{
	NullableDatum result = {condition ? value : (Datum) 0, !condition};

	return result;
}

/*
 * Locks a revoked seat of a purchase, whose row can be given again; returns its id, null where
 * there is none.
 */
static NullableDatum
lock_revoked_seat(const Purchase *purchase)
{
	NullableDatum purchase_id = {UUIDPGetDatum(&purchase->id.id), false};

	if (kept_plan_execute(&lock_revoked[purchase->id.kind], &purchase_id) == 0)
		return value_if(false, (Datum) 0);
	return row_value(1);
}

/*
 * Writes a seat: into the row of a revoked one if there is one, else into a new one.  "values"
 * are the first eight arguments of give_again and insert_seat, with room for three more.
 */
static void
write_seat(const Purchase *purchase, NullableDatum revoked, NullableDatum *values)
{
	bool order = purchase->id.kind == PURCHASE_ORDER;
	Datum purchase_id = UUIDPGetDatum(&purchase->id.id);

	if (!revoked.isnull)
	{
		values[8] = revoked;
		kept_plan_change(&give_again, values);
		return;
	}
	values[8] = value_if(true, UUIDPGetDatum(&purchase->organization_id));
	values[9] = value_if(!order, purchase_id);
	values[10] = value_if(order, purchase_id);
	kept_plan_change(&insert_seat, values);
}

/* Returns a new invitation token in a memory context, or NULL for a seat claimed at once. */
static text *
issue_invitation(const Purchase *purchase, const Assignment *assignment, MemoryContext context,
				 bytea **hash)
{
	*hash = NULL;
	if (assignment->immediate_claim)
		return NULL;
	return token_issue(TOKEN_INVITATION, organization_route(&purchase->organization_id),
					   context, hash);
}

/*
 * Gives a seat of a locked purchase to a customer and records the event; returns the seat in a
 * memory context.  "hash" is of its invitation token, NULL for a seat claimed at once.
 */
static Datum
give_seat(const Purchase *purchase, const Customer *customer, const Assignment *assignment,
		  const bytea *hash, Oid seat_type, MemoryContext context)
{
	NullableDatum revoked = lock_revoked_seat(purchase);
	TimestampTz now = GetCurrentTimestamp();
	bool claimed = assignment->immediate_claim;
	NullableDatum values[INSERT_SEAT_ARGUMENTS] = {
		value_if(true, UUIDPGetDatum(&customer->id)),
		customer->email,
		value_if(true, CStringGetTextDatum(claimed ? "claimed" : "pending")),
		value_if(!claimed, PointerGetDatum(hash)),
		value_if(!claimed, TimestampTzGetDatum(invitation_expiry(purchase, now))),
		value_if(claimed, TimestampTzGetDatum(now)),
		assignment->metadata,
		value_if(true, TimestampTzGetDatum(now)),
	};
	Datum seat;

	write_seat(purchase, revoked, values);
	seat = row_composite(seat_type, SEAT_COLUMN_COUNT, context);
	event_record(claimed ? EVENT_CLAIMED : EVENT_ASSIGNED,
				 DatumGetUUIDP(row_value(SEAT_ID_COLUMN).value), &purchase->organization_id,
				 &customer->id, now);
	return seat;
}

/*
 * assign_seat(...): gives a free seat to a customer, found by exactly one of three identifiers;
 * returns the seat and the invitation token, once.  With immediate_claim the seat is claimed at
 * once and there is no token.  Raises PT400, PT403, PT404 and PT422, and 25006 in a read-only
 * transaction.
 *
 * Locks: the subscription or order, then the customer FOR KEY SHARE (or makes it), then a
 * revoked seat if there is one to give again.
 */
Datum
seats_assign_seat(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc type;
	Assignment assignment;
	Purchase purchase;
	Customer customer;
	text *token;
	bytea *hash;
	Datum seat;

	PreventCommandIfReadOnly("assign_seat()");
	type = result_type(fcinfo);
	assignment = read_assignment(fcinfo);

	SPI_connect();
	purchase = lock_assignable(assignment.purchase);
	customer = customer_find(&purchase.organization_id, assignment.customer);
	check_free_seat(&purchase, &customer);
	token = issue_invitation(&purchase, &assignment, caller, &hash);
	seat = give_seat(&purchase, &customer, &assignment, hash, TupleDescAttr(type, 0)->atttypid,
					 caller);
	SPI_finish();
	return result_with_seat(type, seat, token);
}
