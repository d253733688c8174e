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

/* The first of some customers who hold a seat of the purchase already. */
#define FIND_HOLDER(purchase) \
	"SELECT c.position::pg_catalog.int4 " \
	"FROM pg_catalog.unnest($2) WITH ORDINALITY AS c (id, position) " \
	"WHERE EXISTS (SELECT FROM seats.customer_seats AS s " \
	"WHERE s." purchase EQ "$1 AND s.customer_id" EQ "c.id OFFSET 0) " \
	"ORDER BY c.position LIMIT 1"

static KeptPlan find_holder[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = FIND_HOLDER("subscription_id"),
							   .nargs = 2,
							   .argtypes = {UUIDOID, UUIDARRAYOID}},
	[PURCHASE_ORDER] = {.sql = FIND_HOLDER("order_id"),
						.nargs = 2,
						.argtypes = {UUIDOID, UUIDARRAYOID}},
};

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

/* Returns the position of the first customer who holds a seat of the purchase, or -1. */
static int
first_holder(const Gift *gift)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&gift->purchase.id.id), false},
		uuid_array(&gift->customers->id, sizeof(Customer), gift->count),
	};

	if (kept_plan_execute(&find_holder[gift->purchase.id.kind], arguments) == 0)
		return -1;
	return DatumGetInt32(row_value(1).value) - 1;
}

/* Finds the customer of assign_seat(), who may have to be made, or raises customer_not_found. */
static Customer *
find_customer(const Assignment *assignment, const pg_uuid_t *organization_id)
{
	Customer *customer;
	NullableDatum email;
	int repeated;

	if (!assignment->email.isnull)
	{
		email = datum_array(&assignment->email, 1, TEXTOID);
		return customers_by_email(organization_id, email.value, 1, &repeated);
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
	if (first_holder(&gift) >= 0)
		raise_error(SEAT_ALREADY_ASSIGNED);
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

/* Raises seat_already_assigned, naming the address by its place. */
static void
refuse_address(int position)
{
	raise_error_with_hint(
		SEAT_ALREADY_ASSIGNED,
		psprintf("Leave out [\"body\", \"emails\", %d]: its customer holds a "
				 "seat of this subscription or order, or stands there twice.",
				 position));
}

/* Raises the error that keeps addresses from being given seats, if there is one. */
static void
check_addresses(const Gift *gift, int repeated)
{
	int holder = first_holder(gift);
	int free_seats = gift->purchase.seats - gift->purchase.assigned_seats;

	if (holder >= 0 && (repeated < 0 || holder < repeated))
		refuse_address(holder);
	if (repeated >= 0)
		refuse_address(repeated);
	if (gift->count > free_seats)
		raise_error_with_hint(NO_AVAILABLE_SEATS,
							  psprintf("Free seats: %d, addresses: %d. [\"body\", \"emails\", "
									   "%d] is the first without a seat. Buy more seats or "
									   "revoke some first.",
									   free_seats, gift->count, free_seats));
}

/* Gives seats of a locked purchase to addresses, and adds them to the function's result. */
static void
give_to_addresses(Gift *gift, Datum emails, const ReturnSetInfo *set, MemoryContext context)
{
	TupleDesc type = set->setDesc;
	const GivenSeat *given;
	int repeated;

	gift->customers = customers_by_email(&gift->purchase.organization_id, emails, gift->count,
										 &repeated);
	check_addresses(gift, repeated);
	given = give_seats(gift, TupleDescAttr(type, 0)->atttypid, context);
	for (int i = 0; i < gift->count; i++)
		result_set_add(set, result_with_seat(type, given[i].seat, given[i].token));
}

/*
 * assign_seats(...): gives a free seat to each of some e-mail addresses, all or none, in the order
 * given; returns the seats and their invitation tokens, once.  No addresses: no rows.  Raises
 * PT400, PT403, PT404 and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the subscription or order; then, in the order of lower(email), the customers FOR KEY
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
