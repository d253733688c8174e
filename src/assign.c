/*
 * assign.c
 *		Assigning seats of a subscription or order: to one customer, or to many addresses.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "array.h"
#include "customer.h"
#include "errors.h"
#include "export.h"
#include "give.h"
#include "kept_plan.h"
#include "operations.h"
#include "organization.h"
#include "purchase.h"
#include "row.h"

PG_FUNCTION_INFO_V1(seats_assign_seat);
PG_FUNCTION_INFO_V1(seats_assign_seats);

/* The arguments of assign_seat() after those that name the purchase, in its order. */
enum
{
	EMAIL_ARGUMENT = 2,
	EXTERNAL_CUSTOMER_ID_ARGUMENT,
	CUSTOMER_ID_ARGUMENT,
	METADATA_ARGUMENT,
	IMMEDIATE_CLAIM_ARGUMENT
};

/* The arguments of assign_seats(), likewise. */
enum
{
	EMAILS_ARGUMENT = 2,
	METADATA_OF_ALL_ARGUMENT
};

/* Those of some customers who hold a seat of the purchase already, and how. */
#define FIND_HOLDERS(purchase) \
	"SELECT c.position::pg_catalog.int4, s.pending, s.invitation_token_expires_at " \
	"FROM pg_catalog.unnest($2) WITH ORDINALITY AS c (id, position) " \
	"CROSS JOIN LATERAL (SELECT s.status" EQ "'pending' AS pending, " \
	"s.invitation_token_expires_at FROM seats.customer_seats AS s " \
	"WHERE s." purchase EQ "$1 AND s.customer_id" EQ "c.id OFFSET 0) AS s"

static KeptPlan find_holders[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = FIND_HOLDERS("subscription_id"),
							   .nargs = 2,
							   .argtypes = {UUIDOID, UUIDARRAYOID}},
	[PURCHASE_ORDER] = {.sql = FIND_HOLDERS("order_id"),
						.nargs = 2,
						.argtypes = {UUIDOID, UUIDARRAYOID}},
};

/* What a customer has of a purchase. */
typedef enum Holding
{
	HOLDS_NOTHING,
	HOLDS_SEAT,
	HOLDS_INVITATION,
	HOLDS_EXPIRED_INVITATION
} Holding;

/* Adds a fault unless exactly one argument of assign_seat() says whom the seat is for. */
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

/* Returns an argument that holds metadata, or null; adds a fault where it is malformed. */
static NullableDatum
metadata_argument(FunctionCallInfo fcinfo, int argno, Faults *faults)
{
	if (!PG_ARGISNULL(argno))
		check_metadata(faults, PG_GETARG_JSONB_P(argno), "metadata");
	return fcinfo->args[argno];
}

/*
 * Locks the purchase of a gift; raises PT404, PT403 or PT400 where its seats may not be assigned.
 *
 * Locks: its row.  Whoever gives or takes away its seats waits here for whoever else does.
 */
static void
lock_assignable(PurchaseId id, Gift *gift)
{
	if (!purchase_lock(id, &gift->purchase))
		purchase_raise_not_found(id);
	gift->invitation_ttl = organization_allowed(&gift->purchase.organization_id);
	if (!gift->purchase.assignable)
		raise_error(id.kind == PURCHASE_ORDER ? ORDER_NOT_PAID : SUBSCRIPTION_NOT_ACTIVE);
}

/* Returns what each customer of a gift has of the purchase already, by the clock. */
static Holding *
find_holdings(const Gift *gift)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&gift->purchase.id.id), false},
		uuid_array(&gift->customers->id, sizeof(Customer), gift->count),
	};
	Holding *holdings = palloc0(gift->count * sizeof(Holding));
	uint64 count = kept_plan_execute(&find_holders[gift->purchase.id.kind], arguments);
	TimestampTz now = GetCurrentTimestamp();

	for (uint64 i = 0; i < count; i++)
	{
		Holding *holding = &holdings[DatumGetInt32(rows_value(i, 1).value) - 1];

		if (!DatumGetBool(rows_value(i, 2).value))
			*holding = HOLDS_SEAT;
		else if (DatumGetTimestampTz(rows_value(i, 3).value) > now)
			*holding = HOLDS_INVITATION;
		else
			*holding = HOLDS_EXPIRED_INVITATION;
	}
	return holdings;
}

/* Finds the customer of assign_seat(), who may have to be made, or raises customer_not_found. */
static Customer *
find_customer(const Assignment *assignment, const pg_uuid_t *organization_id)
{
	Customer *customer;
	NullableDatum email;

	if (!assignment->email.isnull)
	{
		email = datum_array(&assignment->email, 1, TEXTOID);
		return customers_by_email(organization_id, email.value, 1);
	}
	customer = palloc(sizeof(Customer));
	if (!assignment->customer_id.isnull)
		*customer = customer_find(organization_id, CUSTOMER_BY_ID,
								  assignment->customer_id.value);
	else
		*customer = customer_find(organization_id, CUSTOMER_BY_EXTERNAL_ID,
								  assignment->external_customer_id.value);
	return customer;
}

/* Raises seat_already_assigned where a customer has a seat, saying what to do about it. */
static void
check_holding(Holding holding)
{
	static const char *const hints[] = {
		[HOLDS_SEAT] = "The customer has claimed a seat of this subscription or order; "
					   "nothing needs to be done.",
		[HOLDS_INVITATION] =
			"The customer was invited to a seat of this subscription or order "
			"already; if the invitation is lost, call resend_invitation().",
		[HOLDS_EXPIRED_INVITATION] =
			"The customer's invitation to a seat of this subscription "
			"or order has expired; call resend_invitation().",
	};

	if (holding != HOLDS_NOTHING)
		raise_error_with_hint(SEAT_ALREADY_ASSIGNED, hints[holding]);
}

/*
 * Gives a free seat to a customer; see assign_seat().  Raises PT400, PT403 and PT404.
 */
Datum
assign_operation(TupleDesc type, const Assignment *assignment)
{
	MemoryContext caller = CurrentMemoryContext;
	Gift gift = {
		.count = 1, .metadata = assignment->metadata, .claimed = assignment->immediate_claim};
	GivenSeat *given;

	SPI_connect();
	lock_assignable(assignment->purchase, &gift);
	gift.customers = find_customer(assignment, &gift.purchase.organization_id);
	check_holding(find_holdings(&gift)[0]);
	if (gift.purchase.assigned_seats >= gift.purchase.seats)
		raise_error(NO_AVAILABLE_SEATS);
	given = give_seats(&gift, TupleDescAttr(type, 0)->atttypid, caller);
	SPI_finish();
	return result_with_seat(type, given->seat, given->token);
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

/* Adds the place of an address to a JSON array of places, as PT422 names them. */
static void
add_place(StringInfo places, int position)
{
	if (places->len == 0)
		appendStringInfoChar(places, '[');
	else
	{
		places->data[--places->len] = '\0';
		appendStringInfoString(places, ", ");
	}
	appendStringInfo(places, "[\"body\", \"emails\", %d]]", position);
}

/*
 * Raises seat_already_assigned where a customer has a seat, or is repeated; the hint has the places
 * of all such addresses.
 */
static void
check_holders(const Gift *gift)
{
	const Holding *holdings = find_holdings(gift);
	bool expired = false;
	StringInfoData places;

	initStringInfo(&places);
	for (int i = 0; i < gift->count; i++)
	{
		if (holdings[i] != HOLDS_NOTHING || gift->customers[i].repeated)
			add_place(&places, i);
		expired = expired || holdings[i] == HOLDS_EXPIRED_INVITATION;
	}
	if (places.len > 0)
		raise_error_with_hint(
			SEAT_ALREADY_ASSIGNED,
			psprintf("Leave out %s: their customers have seats of this subscription or order "
					 "already, or come earlier in the list.%s",
					 places.data,
					 expired ? " Where an invitation has expired, call resend_invitation()."
							 : ""));
}

/* Raises no_available_seats where not all can have a seat; the hint has the places of the others. */
static void
check_free_seats(const Gift *gift)
{
	int free_seats = gift->purchase.seats - gift->purchase.assigned_seats;
	StringInfoData places;

	if (gift->count <= free_seats)
		return;
	initStringInfo(&places);
	for (int i = Max(free_seats, 0); i < gift->count; i++)
		add_place(&places, i);
	raise_error_with_hint(
		NO_AVAILABLE_SEATS,
		psprintf("Free seats: %d, addresses: %d. None is left for %s. Buy more "
				 "seats, revoke some, or leave these out.",
				 free_seats, gift->count, places.data));
}

/* Gives seats of a locked purchase to addresses, and adds them to the function's result. */
static void
give_to_addresses(Gift *gift, Datum emails, const ReturnSetInfo *set, MemoryContext context)
{
	TupleDesc type = set->setDesc;
	const GivenSeat *given;

	gift->customers = customers_by_email(&gift->purchase.organization_id, emails, gift->count);
	check_holders(gift);
	check_free_seats(gift);
	given = give_seats(gift, TupleDescAttr(type, 0)->atttypid, context);
	for (int i = 0; i < gift->count; i++)
		result_set_add(set, result_with_seat(type, given[i].seat, given[i].token));
}

/*
 * assign_seats(...): gives a free seat to each of some e-mail addresses, all or none, in the order
 * given; returns the seats and their invitation tokens, once.  No addresses: no rows.  Raises
 * PT400, PT403, PT404 and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the subscription or order; then, in the order of lower(email COLLATE "C"), the customers FOR KEY
 * SHARE (or makes them); then revoked seats to give again, in the order of their ids.
 */
Datum
seats_assign_seats(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	Gift gift = {0};
	PurchaseId purchase;
	Faults faults;

	PreventCommandIfReadOnly("assign_seats()");
	InitMaterializedSRF(fcinfo, MAT_SRF_BLESS);
	faults_start(&faults);
	purchase = purchase_argument(fcinfo, &faults);
	gift.count = check_emails(&faults, fcinfo->args[EMAILS_ARGUMENT], "emails");
	gift.metadata = metadata_argument(fcinfo, METADATA_OF_ALL_ARGUMENT, &faults);
	faults_raise(&faults);

	SPI_connect();
	lock_assignable(purchase, &gift);
	if (gift.count > 0)
		give_to_addresses(&gift, PG_GETARG_DATUM(EMAILS_ARGUMENT),
						  (const ReturnSetInfo *) fcinfo->resultinfo, caller);
	SPI_finish();
	return (Datum) 0;
}
