/*
 * set_seats.c
 *		Setting the number of seats that were bought.
 *
 * A payment provider tells how many seats are paid for, also if that is fewer than are assigned.
 * An UPDATE is refused then, because a person must say whose seats go.  Whoever does not want to
 * ask has the latest revoked.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog.h"
#include "compat.h"
#include "input.h"
#include "purchase.h"
#include "revoke.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(seats_set_seats);

/* The arguments of set_seats() after those that name the purchase, in its order. */
enum
{
	SEATS_ARGUMENT = 2,
	SURPLUS_ARGUMENT
};

#define SET_SEATS(name, set, as_meant) \
	{ \
		.sql = "UPDATE seats." name " AS p SET seats = $2" set " WHERE p.id = $1 " \
			   "RETURNING p.seats = $2" as_meant, \
		.nargs = 2, .argtypes = {UUIDOID, INT4OID}, .table = name, \
	}

static Statement set_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = SET_SEATS("subscriptions", ", seats_next = NULL",
										" AND p.seats_next IS NULL"),
	[PURCHASE_ORDER] = SET_SEATS("orders", "", ""),
};

/* Returns the number of seats; adds a fault if it is null or negative. */
static int32
seats_argument(FunctionCallInfo fcinfo, Faults *faults)
{
	if (PG_ARGISNULL(SEATS_ARGUMENT))
		fault_add(faults, "seats", "Input should be a valid integer", "int_type");
	else if (PG_GETARG_INT32(SEATS_ARGUMENT) < 0)
		fault_add(faults, "seats", "Input should be greater than or equal to 0",
				  "greater_than_equal");
	return PG_ARGISNULL(SEATS_ARGUMENT) ? 0 : PG_GETARG_INT32(SEATS_ARGUMENT);
}

/* Tells whether seats that are too many are to be revoked; adds a fault for an unknown word. */
static bool
surplus_argument(FunctionCallInfo fcinfo, Faults *faults)
{
	const char *word = PG_ARGISNULL(SURPLUS_ARGUMENT)
		? ""
		: text_to_cstring(PG_GETARG_TEXT_PP(SURPLUS_ARGUMENT));
	bool revoke = strcmp(word, "revoke") == 0;

	if (!revoke && strcmp(word, "refuse") != 0)
		fault_add(faults, "surplus", "Input should be 'refuse' or 'revoke'", "literal_error");
	return revoke;
}

/*
 * set_seats(subscription_id uuid, order_id uuid, seats integer, surplus text): sets the number of
 * seats, and clears the one that was planned; returns how many seats were revoked.  If more are
 * assigned, 'refuse' raises 23514, and 'revoke' revokes as many as are too many.  It works also if
 * the organization may not use seats.  Raises PT404 and PT422, 25006 in a read-only transaction,
 * and 09000 if a trigger of the owner prevents it.
 *
 * Locks: the subscription or order; then, if there are too many, its seats in the order of their
 * ids, and the sessions of those that it revokes.
 */
Datum
seats_set_seats(PG_FUNCTION_ARGS)
{
	PurchaseId id;
	Purchase purchase;
	Faults faults;
	bool revoke;
	int32 seats;
	int count = 0;

	PreventCommandIfReadOnly("set_seats()");
	faults_start(&faults);
	id = purchase_argument(fcinfo, &faults);
	seats = seats_argument(fcinfo, &faults);
	revoke = surplus_argument(fcinfo, &faults);
	faults_raise(&faults);

	SPI_connect();
	if (!purchase_lock(id, &purchase))
		purchase_raise_not_found(id);
	if (revoke && purchase.assigned_seats > seats)
		count = revoke_surplus(id, purchase.assigned_seats - seats);
	(void) statement_change(
		&set_seats[id.kind],
		(NullableDatum[]){{UUIDPGetDatum(&id.id), false}, {Int32GetDatum(seats), false}}, 1);
	if (owner_has_triggers() &&
		(!purchase_lock(id, &purchase) || purchase.seats != seats || purchase.most != seats))
		refuse_trigger_on(purchase_table(id.kind));
	SPI_finish();
	PG_RETURN_INT32(count);
}
