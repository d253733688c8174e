/*
 * revoke.c
 *		Revoking one seat, or all of a purchase, also where it ends.
 *
 * The count of the purchase and the sessions of the seat follow by themselves; see
 * seats_changed.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "array.h"
#include "errors.h"
#include "event.h"
#include "export.h"
#include "interference.h"
#include "kept_plan.h"
#include "operations.h"
#include "organization.h"
#include "purchase.h"
#include "revoke.h"
#include "row.h"
#include "seat.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_revoke_seat);
PG_FUNCTION_INFO_V1(seats_revoke_seats);
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
	"expiry_watched = false, revoked_at = $2, modified_at = $2 "

#define IS_REVOKED \
	"s.status" EQ "'revoked' AND s.customer_id IS NULL AND s.customer_email IS NULL " \
	"AND NOT s.expiry_watched AND s.revoked_at" EQ "$2 AND s.modified_at" EQ "$2"

static KeptPlan set_revoked = {
	.sql = SET_REVOKED "WHERE s.id" EQ "$1 RETURNING " SEAT_COLUMNS ", "
					   "s.id" EQ "$1 AND " IS_REVOKED,
	.nargs = 2,
	.argtypes = {UUIDOID, TIMESTAMPTZOID},
	.table = "customer_seats",
};

static KeptPlan set_all_revoked = {
	.sql = SET_REVOKED "WHERE s.id" EQ "ANY ($1) RETURNING " IS_REVOKED,
	.nargs = 2,
	.argtypes = {UUIDARRAYOID, TIMESTAMPTZOID},
	.table = "customer_seats",
};

/* The seat as it is in the end, and whether it is revoked. */
static KeptPlan check_revoked = {
	.sql = "SELECT " SEAT_COLUMNS ", s.status" EQ "'revoked' "
		   "FROM seats.customer_seats AS s WHERE s.id" EQ "$1",
	.nargs = 1,
	.argtypes = {UUIDOID},
	.table = "customer_seats",
};

/* How many seats are revoked together: memory for as many is enough, however many there are. */
#define MAX_BATCH 10000

/* A seat that is not revoked has a customer, and an index finds it by that. */
#define LOCK_SEATS(purchase) \
	"SELECT " REVOCABLE_COLUMNS " FROM seats.customer_seats AS s " \
	"WHERE s." purchase EQ "$1 AND s.customer_id IS NOT NULL " \
	"ORDER BY s.id FOR NO KEY UPDATE"

static KeptPlan lock_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = LOCK_SEATS("subscription_id"),
							   .nargs = 1,
							   .argtypes = {UUIDOID}},
	[PURCHASE_ORDER] = {.sql = LOCK_SEATS("order_id"), .nargs = 1, .argtypes = {UUIDOID}},
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

/* Revokes a locked seat that is not revoked yet, and records it; its columns are given then. */
static void
revoke_one(const SeatIds *seat)
{
	TimestampTz now = GetCurrentTimestamp();
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&seat->id), false},
		{TimestampTzGetDatum(now), false},
	};

	event_record(EVENT_REVOKED, seat, now);
	kept_plan_change(&set_revoked, arguments, 1);
	if (owner_has_triggers())
		kept_plan_confirm(&check_revoked, arguments, 1);
}

/* Ends a seat and its sessions; see revoke_seat().  Raises PT403 and PT404. */
Datum
revoke_operation(TupleDesc type, const pg_uuid_t *seat_id)
{
	MemoryContext caller = CurrentMemoryContext;
	SeatIds ids = {.id = *seat_id};
	NullableDatum customer_id;
	Datum seat;

	SPI_connect();
	ids.organization_id = lock_seat_and_purchase(&ids.id).organization_id;
	customer_id = row_value(SEAT_CUSTOMER_ID_COLUMN);
	seat = row_composite(type->tdtypeid, SEAT_COLUMN_COUNT, caller);
	(void) organization_allowed(&ids.organization_id);
	if (!customer_id.isnull)
	{
		ids.customer_id = *DatumGetUUIDP(customer_id.value);
		revoke_one(&ids);
		seat = row_composite(type->tdtypeid, SEAT_COLUMN_COUNT, caller);
	}
	SPI_finish();
	return seat;
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
	const pg_uuid_t *seat_id;

	PreventCommandIfReadOnly("revoke_seat()");
	seat_id = id_argument(fcinfo, 0, "seat_id");
	return revoke_operation(result_type(fcinfo), seat_id);
}

/*
 * Revokes the seats in the rows that a statement gave, and records an event for each.
 *
 * Locks: the sessions of the seats.
 */
static void
revoke_batch(int count)
{
	TimestampTz now = GetCurrentTimestamp();
	NullableDatum revocation[2] = {0};
	SeatIds *seats = palloc(count * sizeof(SeatIds));

	for (int i = 0; i < count; i++)
	{
		seats[i].id = *DatumGetUUIDP(rows_required(i, 1));
		seats[i].organization_id = *DatumGetUUIDP(rows_required(i, 2));
		seats[i].customer_id = *DatumGetUUIDP(rows_required(i, 3));
	}
	SPI_freetuptable(SPI_tuptable);
	event_record_all(EVENT_REVOKED, seats, count, now);
	revocation[0] = uuid_array(&seats->id, sizeof(SeatIds), count);
	revocation[1].value = TimestampTzGetDatum(now);
	kept_plan_change(&set_all_revoked, revocation, count);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Revokes the seats that a statement locks and gives, all pending or claimed, and records an event
 * for each; returns how many.  Inside SPI_connect() and SPI_finish(), with their purchases locked.
 * Raises 09000 where a trigger that somebody added prevents that.
 *
 * Locks: what the statement does, then the sessions of the seats.
 */
int
revoke_found(KeptPlan *lock, const NullableDatum *arguments)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "seats to be revoked",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch);
	Portal seats = kept_plan_open(lock, arguments);
	uint64 found;
	int count = 0;

	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(seats, true, MAX_BATCH);
		found = SPI_processed;
		if (found > 0)
			revoke_batch((int) found);
		count += (int) found;
		MemoryContextReset(batch);
	} while (found == MAX_BATCH);
	SPI_cursor_close(seats);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
	return count;
}

/*
 * Revokes all pending and claimed seats of a locked purchase; returns how many.
 *
 * Locks: the seats, in the order of their ids, then their sessions.
 */
static int
revoke_all(PurchaseId purchase)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false}};

	return revoke_found(&lock_seats[purchase.kind], arguments);
}

/*
 * revoke_seats(subscription_id uuid, order_id uuid): ends all pending and claimed seats of a
 * subscription or order, and their sessions; returns how many.  As where the subscription ends,
 * it does so whatever the organization may use.  Raises PT404 and PT422, and 25006 in a
 * read-only transaction.
 *
 * Locks: the subscription or order, then the seats in the order of their ids, then their sessions.
 */
Datum
seats_revoke_seats(PG_FUNCTION_ARGS)
{
	PurchaseId id;
	Purchase purchase;
	Faults faults;
	int count;

	PreventCommandIfReadOnly("revoke_seats()");
	faults_start(&faults);
	id = purchase_argument(fcinfo, &faults);
	faults_raise(&faults);

	SPI_connect();
	if (!purchase_lock(id, &purchase))
		purchase_raise_not_found(id);
	count = revoke_all(id);
	SPI_finish();
	PG_RETURN_INT32(count);
}

/*
 * Trigger after UPDATE of a purchase's row whose status changed: revokes its seats where it
 * ended.  It does so whatever the organization may use, since ending always works.  Raises 09000
 * where a trigger that somebody added prevents that, and 42703 and 42804 where a column was altered.
 *
 * Locks: the seats, in the order of their ids, then their sessions; the UPDATE has locked the
 * purchase.
 */
Datum
seats_end_purchase(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = row_trigger_data(fcinfo);
	PurchaseId purchase;

	if (!purchase_kind_of(trigger->tg_relation, &purchase.kind) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		refuse_trigger(fcinfo);
	if (!purchase_has_ended(trigger->tg_relation, trigger->tg_newtuple, &purchase.id))
		return PointerGetDatum(NULL);
	SPI_connect();
	revoke_all(purchase);
	if (owner_has_triggers() && purchase_has_live_seat(purchase))
		refuse_trigger_on("customer_seats");
	SPI_finish();
	return PointerGetDatum(NULL);
}
