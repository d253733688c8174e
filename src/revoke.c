/*
 * revoke.c
 *		Revoking one seat, or all of a purchase that ends.
 *
 * The count of the purchase and the sessions of the seat follow by themselves; see
 * seats_changed.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "errors.h"
#include "event.h"
#include "kept_plan.h"
#include "purchase.h"
#include "row.h"
#include "seat.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_revoke_seat);
PG_FUNCTION_INFO_V1(seats_end_purchase);

static KeptPlan find_purchase = {
	.sql = "SELECT subscription_id, order_id FROM seats.customer_seats WHERE id" EQ "$1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static KeptPlan lock_seat = {
	.sql = "SELECT " SEAT_COLUMNS " FROM seats.customer_seats AS s "
		   "WHERE s.id" EQ "$1 FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

#define SET_REVOKED \
	"UPDATE seats.customer_seats AS s " \
	"SET status = 'revoked', customer_id = NULL, customer_email = NULL, " \
	"revoked_at = $2, modified_at = $2 "

static KeptPlan set_revoked = {
	.sql = SET_REVOKED "WHERE s.id" EQ "$1 RETURNING " SEAT_COLUMNS,
	.nargs = 2,
	.argtypes = {UUIDOID, TIMESTAMPTZOID},
};

/* A seat that is not revoked has a customer, and an index finds it by that. */
#define LOCK_SEATS(purchase) \
	"SELECT id, organization_id, customer_id FROM seats.customer_seats " \
	"WHERE " purchase EQ "$1 AND customer_id IS NOT NULL " \
	"ORDER BY id FOR NO KEY UPDATE"

static KeptPlan lock_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = LOCK_SEATS("subscription_id"),
							   .nargs = 1,
							   .argtypes = {UUIDOID}},
	[PURCHASE_ORDER] = {.sql = LOCK_SEATS("order_id"), .nargs = 1, .argtypes = {UUIDOID}},
};

#define REVOKE_SEATS(purchase) \
	SET_REVOKED "WHERE s." purchase EQ "$1 AND s.customer_id IS NOT NULL"

static KeptPlan revoke_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = REVOKE_SEATS("subscription_id"),
							   .nargs = 2,
							   .argtypes = {UUIDOID, TIMESTAMPTZOID}},
	[PURCHASE_ORDER] = {.sql = REVOKE_SEATS("order_id"),
						.nargs = 2,
						.argtypes = {UUIDOID, TIMESTAMPTZOID}},
};

/*
 * Locks the purchase of a seat, and then the seat, whose columns are the row that the last
 * statement gave; raises seat_not_found where there is none.
 */
static Purchase
lock_seat_and_purchase(const pg_uuid_t *seat_id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(seat_id), false}};
	PurchaseId id;
	Purchase purchase;

	if (kept_plan_execute(&find_purchase, arguments) == 0 ||
		!purchase_of_seat(row_value(1), row_value(2), &id) || !purchase_lock(id, &purchase) ||
		kept_plan_execute(&lock_seat, arguments) == 0)
		raise_error(SEAT_NOT_FOUND);
	return purchase;
}

/* Revokes a locked seat that is not revoked yet, whose customer this is, and records it. */
static void
revoke_one(const pg_uuid_t *seat_id, const pg_uuid_t *organization_id,
		   const pg_uuid_t *customer_id)
{
	TimestampTz now = GetCurrentTimestamp();
	NullableDatum arguments[] = {
		{UUIDPGetDatum(seat_id), false},
		{TimestampTzGetDatum(now), false},
	};

	event_record(EVENT_REVOKED, seat_id, organization_id, customer_id, now);
	kept_plan_change(&set_revoked, arguments);
}

/*
 * revoke_seat(seat_id uuid): ends the seat and its sessions; returns it.  One that is revoked
 * already is returned as it is.  Raises PT403, PT404 and PT422, and 25006 in a read-only
 * transaction.
 *
 * Locks: the subscription or order, then the seat, then its sessions.
 */
Datum
seats_revoke_seat(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	const pg_uuid_t *seat_id;
	Purchase purchase;
	NullableDatum customer_id;
	Datum seat;

	PreventCommandIfReadOnly("revoke_seat()");
	seat_id = id_argument(fcinfo, 0, "seat_id");

	SPI_connect();
	purchase = lock_seat_and_purchase(seat_id);
	if (!purchase.pricing_enabled)
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	customer_id = row_value(SEAT_CUSTOMER_ID_COLUMN);
	if (!customer_id.isnull)
		revoke_one(seat_id, &purchase.organization_id, DatumGetUUIDP(customer_id.value));
	seat = row_composite(result_type(fcinfo)->tdtypeid, SEAT_COLUMN_COUNT, caller);
	SPI_finish();
	PG_RETURN_DATUM(seat);
}

/*
 * Revokes all pending and claimed seats of a purchase and records an event for each.  Inside
 * SPI_connect() and SPI_finish(), with the purchase locked.
 *
 * Locks: the seats, in the order of their ids, then their sessions.
 */
static void
revoke_all(PurchaseId purchase)
{
	NullableDatum arguments[2] = {{UUIDPGetDatum(&purchase.id), false}};
	uint64 count = kept_plan_execute(&lock_seats[purchase.kind], arguments);
	SPITupleTable *seats = SPI_tuptable;
	TimestampTz now = GetCurrentTimestamp();

	for (uint64 i = 0; i < count; i++)
	{
		bool isnull;
		Datum seat_id = SPI_getbinval(seats->vals[i], seats->tupdesc, 1, &isnull);
		Datum organization_id = SPI_getbinval(seats->vals[i], seats->tupdesc, 2, &isnull);
		Datum customer_id = SPI_getbinval(seats->vals[i], seats->tupdesc, 3, &isnull);

		event_record(EVENT_REVOKED, DatumGetUUIDP(seat_id), DatumGetUUIDP(organization_id),
					 DatumGetUUIDP(customer_id), now);
	}
	if (count > 0)
	{
		arguments[1].value = TimestampTzGetDatum(now);
		kept_plan_execute(&revoke_seats[purchase.kind], arguments);
	}
	SPI_freetuptable(seats);
}

/*
 * Trigger after UPDATE of a purchase's row whose status changed: revokes its seats where it
 * ended.  It does so whatever the organization may use, since ending always works.
 *
 * Locks: the seats, in the order of their ids, then their sessions; the UPDATE has locked the
 * purchase.
 */
Datum
seats_end_purchase(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = row_trigger_data(fcinfo, false);
	TupleDesc columns = RelationGetDescr(trigger->tg_relation);
	PurchaseId purchase;
	char *status;
	bool isnull;

	if (!purchase_kind_of(trigger->tg_relation, &purchase.kind))
		refuse_trigger(fcinfo);
	status = SPI_getvalue(trigger->tg_newtuple, columns, SPI_fnumber(columns, "status"));
	if (!purchase_status_is_ended(status))
		return PointerGetDatum(NULL);

	purchase.id = *DatumGetUUIDP(
		SPI_getbinval(trigger->tg_newtuple, columns, SPI_fnumber(columns, "id"), &isnull));
	SPI_connect();
	revoke_all(purchase);
	SPI_finish();
	return PointerGetDatum(NULL);
}
