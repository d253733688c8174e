/*
 * revoke.c
 *		Revoking seats, and house-keeping.
 *
 * Seats are revoked one at a time, or all of a purchase, also when it ends.  The count of the
 * purchase and the sessions of the seats follow by themselves; see seats_changed() in triggers.c.
 *
 * House-keeping releases seats whose invitation expired and deletes old sessions and events.  Each
 * call does a bounded amount of work, finds it by an index, and skips rows that are locked.  So it
 * never waits, and it does not block others for long.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "direct_seat.h"
#include "errors.h"
#include "event.h"
#include "input.h"
#include "purchase.h"
#include "revoke.h"
#include "session.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(seats_revoke_seat);
PG_FUNCTION_INFO_V1(seats_revoke_seats);
PG_FUNCTION_INFO_V1(seats_release_expired_seats);
PG_FUNCTION_INFO_V1(seats_purge_expired_sessions);
PG_FUNCTION_INFO_V1(seats_purge_events);

/* ---- What revoking sets ---- */

#define REVOKED_COLUMNS \
	"status = 'revoked', customer_id = NULL, customer_email = NULL, expiry_watched = false, " \
	"suspended_at = NULL, seat_metadata = NULL, revoked_at = $2, modified_at = $2"

#define IS_REVOKED \
	"s.status = 'revoked' AND s.customer_id IS NULL AND s.customer_email IS NULL " \
	"AND NOT s.expiry_watched AND s.suspended_at IS NULL AND s.seat_metadata IS NULL " \
	"AND s.revoked_at = $2 AND s.modified_at = $2"

/* Revokes a seat that has these values. */
static void
set_revoked_values(NullableDatum *values, TimestampTz now)
{
	const NullableDatum null = {.isnull = true};

	values[SEAT_STATUS].value = ObjectIdGetDatum(direct_seat_status("revoked"));
	values[SEAT_CUSTOMER_ID] = null;
	values[SEAT_CUSTOMER_EMAIL] = null;
	values[SEAT_EXPIRY_WATCHED].value = BoolGetDatum(false);
	values[SEAT_SUSPENDED_AT] = null;
	values[SEAT_METADATA] = null;
	values[SEAT_REVOKED_AT] = (NullableDatum){TimestampTzGetDatum(now), false};
	values[SEAT_MODIFIED_AT] = values[SEAT_REVOKED_AT];
}

static SeatChange revoking = {.event = EVENT_REVOKED,
							  .statement = CHANGE_SEATS(REVOKED_COLUMNS, IS_REVOKED),
							  .set = set_revoked_values};

/* ---- Changing locked seats ---- */

/* What follows from changes of seats. */
typedef struct Effects
{
	CountChange count;		  /* of one purchase */
	ArrayBuildState *claimed; /* ids of seats that were claimed before, or NULL */
} Effects;

/* Counts the changes of a purchase so far. */
static void
apply_count(Effects *effects)
{
	if (effects->count.change != 0)
		purchase_count(effects->count);
	effects->count = (CountChange){0};
}

/* Adds the effects of the change of one seat, which had these values. */
static void
add_effects(Effects *effects, const SeatChange *change, const SeatEvent *event,
			const NullableDatum *old)
{
	if (DatumGetObjectId(old[SEAT_STATUS].value) == direct_seat_status("claimed"))
		effects->claimed = accumArrayResult(effects->claimed, UUIDPGetDatum(&event->ids.id),
											false, UUIDOID, CurrentMemoryContext);
	if (change->event != EVENT_REVOKED)
		return;
	if (purchase_compare(&effects->count.purchase, &event->purchase) != 0)
		apply_count(effects);
	effects->count.purchase = event->purchase;
	effects->count.change--;
	if (!old[SEAT_SUSPENDED_AT].isnull)
		effects->count.suspended--;
}

/*
 * Changes a locked seat without the executor, and sets it as it is then, in a memory context;
 * returns false, with nothing done, if that needs a statement.
 */
static bool
change_one(const SeatChange *change, SeatEvent *event, TimestampTz now, MemoryContext context,
		   Effects *effects)
{
	NullableDatum old[SEAT_COLUMNS];
	NullableDatum new[SEAT_COLUMNS];
	DirectRow row;
	bool done;

	if (!direct_seat_open(&event->ids.id, &event->place, &row, old))
		return false;
	memcpy(new, old, sizeof(new));
	change->set(new, now);
	done = direct_update(&row, new);
	if (done)
	{
		event->seat = direct_seat_form(new, seat_type(), context);
		add_effects(effects, change, event, old);
	}
	direct_row_close(&row);
	return done;
}

/*
 * Changes as many of the first of some locked seats as possible without the executor, counts them
 * and ends their sessions; returns how many.  Sets each as it is then, in a memory context.
 *
 * Locks: the sessions of the seats, if they end.
 */
static int
change_directly(const SeatChange *change, SeatEvent *events, int count, TimestampTz now,
				MemoryContext context)
{
	Effects effects = {0};
	int done = 0;

	while (done < count && change_one(change, &events[done], now, context, &effects))
	{
		CHECK_FOR_INTERRUPTS();
		done++;
	}
	apply_count(&effects);
	if (effects.claimed != NULL && change->event == EVENT_RESUMED)
		sessions_end_unclaimed(makeArrayResult(effects.claimed, CurrentMemoryContext));
	else if (effects.claimed != NULL)
		sessions_end(makeArrayResult(effects.claimed, CurrentMemoryContext));
	return done;
}

/* Returns the seat in a row that has its fields, in a memory context. */
static Datum
read_seat(const Rows *rows, uint64 row, MemoryContext context)
{
	return rows_composite(rows, row, seat_type(), SEAT_FIELD_COUNT, context);
}

/* Changes some locked seats by a statement, and sets each as it is then, in a memory context. */
static void
change_by_statement(Statement *statement, SeatEvent *events, int count, TimestampTz now,
					MemoryContext context)
{
	NullableDatum arguments[] = {
		uuid_array(&events->ids.id, sizeof(SeatEvent), count),
		{TimestampTzGetDatum(now), false},
	};
	Rows rows = statement_change(statement, arguments, count);

	for (int i = 0; i < count; i++)
	{
		int position = DatumGetInt32(rows_required(&rows, i, SEAT_FIELD_COUNT + 1)) - 1;

		events[position].seat = read_seat(&rows, i, context);
	}
	rows_free(&rows);
}

/*
 * Changes some locked seats, counts them and ends their sessions; sets each as it is then, in a
 * memory context.  Raises 09000 if a trigger of the owner prevents that.
 *
 * Locks: the sessions of the seats, if they end.
 */
static void
change_locked(SeatChange *change, SeatEvent *events, int count, TimestampTz now,
			  MemoryContext context)
{
	int done = change_directly(change, events, count, now, context);

	if (done < count)
		change_by_statement(&change->statement, events + done, count - done, now, context);
}

/* ---- One seat ---- */

static Statement lock_seat = {
	.sql = "SELECT " SEAT_FIELDS " FROM seats.customer_seats AS s "
		   "WHERE s.id = $1 FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* The seat as it is in the end, and whether it is revoked. */
static Statement confirm_revoked = {
	.sql = "SELECT " SEAT_FIELDS ", s.status = 'revoked' "
		   "FROM seats.customer_seats AS s WHERE s.id = $1",
	.nargs = 1,
	.argtypes = {UUIDOID},
	.table = "customer_seats",
};

/* Locks a seat and reads the columns that are fields of it; raises seat_not_found. */
static void
lock_and_read(const pg_uuid_t *seat_id, NullableDatum *values)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(seat_id), false}};
	DirectResult result = direct_seat_lock(seat_id, values);
	Rows rows;

	if (result == DIRECT_FOUND)
		return;
	if (result == DIRECT_NOT_FOUND)
		raise_error(SEAT_NOT_FOUND);
	rows = statement_execute(&lock_seat, arguments);
	if (rows.count == 0)
		raise_error(SEAT_NOT_FOUND);
	for (int i = 0; i < SEAT_FIELD_COUNT; i++)
		values[seat_fields[i]] = rows_value(&rows, 0, i + 1);
}

/*
 * Revokes a locked seat that is not revoked yet, and records the event; returns the seat, in a
 * memory context.
 */
static Datum
revoke_one(SeatEvent *event, MemoryContext context)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&event->ids.id), false}};
	TimestampTz now = GetCurrentTimestamp();
	uint64 before = statements_writing();
	Rows rows;

	change_locked(&revoking, event, 1, now, context);
	event_record(
		(EventKind){.type = EVENT_REVOKED, .reason = REASON_REVOKED, .occurred_at = now},
		event, 1);
	if (statements_writing() == before || !owner_has_triggers())
		return event->seat;
	rows = statement_confirm(&confirm_revoked, arguments, 1);
	return read_seat(&rows, 0, context);
}

/*
 * Revokes a seat; see revoke_seat().  If a payer is given who does not pay for it, there is no such
 * seat.  Raises PT403 and PT404.
 */
Datum
revoke_operation(TupleDesc type, const pg_uuid_t *seat_id, const pg_uuid_t *payer)
{
	MemoryContext caller = CurrentMemoryContext;
	SeatEvent event = {.ids.id = *seat_id};
	NullableDatum values[SEAT_COLUMNS];
	Purchase purchase;
	Datum seat;

	SPI_connect();
	event.purchase = purchase_of_seat_id(seat_id);
	if (!purchase_lock_for(event.purchase, payer, &purchase))
		raise_error(SEAT_NOT_FOUND);
	lock_and_read(seat_id, values);
	(void) organization_allowed(&purchase.organization_id);
	if (values[SEAT_CUSTOMER_ID].isnull)
		seat = seat_form(values, type->tdtypeid, caller);
	else
	{
		event.ids.organization_id = purchase.organization_id;
		event.ids.customer_id = *DatumGetUUIDP(values[SEAT_CUSTOMER_ID].value);
		seat = revoke_one(&event, caller);
	}
	SPI_finish();
	return seat;
}

/*
 * revoke_seat(seat_id uuid): revokes the seat and ends its sessions; returns the seat.  A seat that
 * is revoked already is returned as it is.  Raises PT403, PT404 and PT422, and 25006 in a read-only
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
	return revoke_operation(result_type(fcinfo), seat_id, NULL);
}

/* ---- Many seats ---- */

/* The number of seats that are changed together, which bounds the memory. */
#define MAX_BATCH 1000

/* A seat that is not revoked has a customer, and an index finds it by that. */
#define LOCK_SEATS(purchase) \
	{ \
		.sql = "SELECT " CHANGED_SEAT_COLUMNS " FROM seats.customer_seats AS s " \
			   "WHERE s." purchase " = $1 AND s.customer_id IS NOT NULL " \
			   "ORDER BY s.id FOR NO KEY UPDATE", \
		.nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

static Statement lock_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LOCK_SEATS("subscription_id"),
	[PURCHASE_ORDER] = LOCK_SEATS("order_id"),
};

/* Reads the seats in some rows, as a statement that locks them returns them. */
static SeatEvent *
read_events(const Rows *rows)
{
	SeatEvent *events = palloc0(rows->count * sizeof(SeatEvent));

	for (uint64 i = 0; i < rows->count; i++)
	{
		SeatEvent *event = &events[i];

		event->ids.id = *DatumGetUUIDP(rows_required(rows, i, 1));
		event->ids.organization_id = *DatumGetUUIDP(rows_required(rows, i, 2));
		event->ids.customer_id = *DatumGetUUIDP(rows_required(rows, i, 3));
		(void) purchase_of_seat(rows_value(rows, i, 4), rows_value(rows, i, 5),
								&event->purchase);
		event->place = *(ItemPointer) DatumGetPointer(rows_required(rows, i, 6));
	}
	return events;
}

/*
 * Changes the seats in some rows, frees the rows, and records an event for each seat.
 *
 * Locks: the sessions of the seats, if they end.
 */
static void
change_batch(Rows *rows, SeatChange *change, RevokeReason reason)
{
	TimestampTz now = GetCurrentTimestamp();
	int count = (int) rows->count;
	SeatEvent *events = read_events(rows);

	rows_free(rows);
	change_locked(change, events, count, now, CurrentMemoryContext);
	event_record((EventKind){.type = change->event, .reason = reason, .occurred_at = now},
				 events, count);
}

/*
 * Changes the seats that a statement locks and returns, all pending or claimed, and records an
 * event for each; returns how many.  Between SPI_connect() and SPI_finish(), with their purchases
 * locked.  Raises 09000 if a trigger of the owner prevents that.
 *
 * Locks: what the statement locks, then the sessions of the seats, if they end.
 */
int
change_seats(Statement *lock, const NullableDatum *arguments, SeatChange *change,
			 RevokeReason reason)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "seats to be changed",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch);
	Portal seats = statement_open(lock, arguments);
	uint64 found;
	int count = 0;

	do
	{
		Rows rows = rows_fetch(seats, MAX_BATCH);

		CHECK_FOR_INTERRUPTS();
		found = rows.count;
		if (found > 0)
			change_batch(&rows, change, reason);
		count += (int) found;
		MemoryContextReset(batch);
	} while (found == MAX_BATCH);
	SPI_cursor_close(seats);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
	return count;
}

/*
 * Revokes all pending and claimed seats of a locked purchase; returns how many.  Between
 * SPI_connect() and SPI_finish().
 *
 * Locks: the seats, in the order of their ids, then their sessions.
 */
int
revoke_all(PurchaseId purchase, RevokeReason reason)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false}};

	return change_seats(&lock_seats[purchase.kind], arguments, &revoking, reason);
}

/*
 * The seats of a purchase that a decrease revokes, in that order: expired invitations, other
 * pending seats, then claimed ones, the latest first within each, and the payer's own last of all.
 * All seats are locked, in the order of their ids, before any is judged: a claim, which does not
 * lock the purchase, may have changed one meanwhile.  Both are called s, so that the columns of all
 * of the statement are checked.
 */
#define LOCK_SURPLUS(table, purchase) \
	{ \
		.sql = "SELECT " CHANGED_SEAT_COLUMNS " FROM (" \
			   "SELECT s.*, s.ctid FROM seats.customer_seats AS s " \
			   "WHERE s." purchase " = $1 AND s.customer_id IS NOT NULL " \
			   "ORDER BY s.id FOR NO KEY UPDATE) AS s " \
			   "ORDER BY s.customer_id = (" \
			   "SELECT p.customer_id FROM seats." table " AS p WHERE p.id = $1), " \
			   "s.status = 'claimed', s.status = 'pending' AND " \
			   "s.invitation_token_expires_at > pg_catalog.clock_timestamp(), " \
			   "CASE s.status WHEN 'claimed' THEN s.claimed_at ELSE s.created_at END DESC, " \
			   "s.id DESC LIMIT $2", \
		.nargs = 2, .argtypes = { \
			UUIDOID, \
			INT8OID \
		} \
	}

static Statement lock_surplus[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LOCK_SURPLUS("subscriptions", "subscription_id"),
	[PURCHASE_ORDER] = LOCK_SURPLUS("orders", "order_id"),
};

/*
 * Revokes as many pending and claimed seats of a locked purchase as are too many; returns how many.
 * Between SPI_connect() and SPI_finish().
 *
 * Locks: all its pending and claimed seats, in the order of their ids, then the sessions of those
 * that it revokes.
 */
int
revoke_surplus(PurchaseId purchase, int64 surplus)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false},
								 {Int64GetDatum(surplus), false}};

	return change_seats(&lock_surplus[purchase.kind], arguments, &revoking, REASON_SURPLUS);
}

static Statement lock_seats_of_customer = {
	.sql = "SELECT " CHANGED_SEAT_COLUMNS " FROM seats.customer_seats AS s "
		   "WHERE s.customer_id = $1 ORDER BY s.id FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/*
 * Revokes all pending and claimed seats of a locked customer, whose purchases are locked; returns
 * how many.  Between SPI_connect() and SPI_finish().
 *
 * Locks: the seats, in the order of their ids, then their sessions.
 */
int
revoke_seats_of_customer(const pg_uuid_t *customer_id, RevokeReason reason)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(customer_id), false}};

	return change_seats(&lock_seats_of_customer, arguments, &revoking, reason);
}

/*
 * revoke_seats(subscription_id uuid, order_id uuid): revokes all pending and claimed seats of a
 * subscription or order and ends their sessions; returns how many.  As when a purchase ends, it
 * does so also if the organization may no longer use seats.  Raises PT404 and PT422, and 25006 in a
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
	count = revoke_all(id, REASON_REVOKED);
	SPI_finish();
	PG_RETURN_INT32(count);
}

/* ---- House-keeping ---- */

/* The bounds of one call: rows deleted or examined, and seats revoked of each kind of purchase. */
#define MAX_ROWS "10000"
#define MAX_REVOKED "1000"

/*
 * The seats whose invitations expired first.  The index holds all seats that were pending when they
 * were last examined.  A claim leaves its seat there, because a change of the index would make the
 * claim more expensive.
 */
#define DUE_SEATS \
	"(SELECT e.id, e.status, e.suspended_at FROM seats.customer_seats AS e " \
	"WHERE e.expiry_watched AND e.invitation_token_expires_at <= $1 " \
	"ORDER BY e.invitation_token_expires_at LIMIT " MAX_ROWS ") AS d "

/*
 * Claimed seats need not be examined again, and suspended ones not before they are resumed; see
 * suspend.c.  Here and below a condition is written twice: on the rows found, to lock no more than
 * necessary, and on each row once it is locked.
 */
static Statement stop_watching = {
	.sql = "UPDATE seats.customer_seats AS s SET expiry_watched = false "
		   "WHERE s.id = ANY (ARRAY("
		   "SELECT c.id FROM " DUE_SEATS "CROSS JOIN LATERAL ("
		   "SELECT t.id FROM seats.customer_seats AS t "
		   "WHERE t.id = d.id AND (t.status = 'claimed' OR t.suspended_at IS NOT NULL) "
		   "FOR NO KEY UPDATE SKIP LOCKED) AS c "
		   "WHERE d.status = 'claimed' OR d.suspended_at IS NOT NULL))",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

/* Purchase before seat, as everywhere. */
#define LOCK_EXPIRED(table, purchase) \
	{ \
		.sql = "SELECT c.* FROM " DUE_SEATS "CROSS JOIN LATERAL (" \
			   "SELECT " CHANGED_SEAT_COLUMNS " FROM seats.customer_seats AS s " \
			   "JOIN seats." table " AS p ON p.id = s." purchase " " \
			   "WHERE s.id = d.id AND s.status = 'pending' AND s.suspended_at IS NULL " \
			   "AND s.invitation_token_expires_at <= $1 " \
			   "FOR NO KEY UPDATE OF p, s SKIP LOCKED) AS c " \
			   "WHERE d.status = 'pending' AND d.suspended_at IS NULL LIMIT " MAX_REVOKED, \
		.nargs = 1, .argtypes = { \
			TIMESTAMPTZOID \
		} \
	}

static Statement lock_expired[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LOCK_EXPIRED("subscriptions", "subscription_id"),
	[PURCHASE_ORDER] = LOCK_EXPIRED("orders", "order_id"),
};

static Statement delete_sessions = {
	.sql = "DELETE FROM seats.customer_sessions WHERE token_hash = ANY (ARRAY("
		   "SELECT x.token_hash FROM seats.customer_sessions AS x "
		   "WHERE x.expires_at <= $1 ORDER BY x.expires_at LIMIT " MAX_ROWS
		   " FOR UPDATE SKIP LOCKED))",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

/*
 * Events are numbered as they are recorded, so the oldest have the lowest numbers.  An index by
 * time is not needed; every claim would pay for it.
 */
static Statement delete_events = {
	.sql = "DELETE FROM seats.events WHERE id = ANY (ARRAY("
		   "SELECT c.id FROM (SELECT e.id, e.occurred_at FROM seats.events AS e "
		   "ORDER BY e.id LIMIT " MAX_ROWS ") AS d "
		   "CROSS JOIN LATERAL (SELECT t.id FROM seats.events AS t "
		   "WHERE t.id = d.id AND t.occurred_at <= $1 "
		   "FOR UPDATE SKIP LOCKED) AS c WHERE d.occurred_at <= $1))",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

/*
 * Returns the moment that lies as long ago as an argument says; raises PT422 if the argument is
 * null or negative.  By the calendar '1 day -24 hours' can lie in the future; then it is now.
 */
static TimestampTz
older_than_argument(FunctionCallInfo fcinfo, int argno)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz moment;
	Interval zero = {0};
	Faults faults;

	faults_start(&faults);
	if (PG_ARGISNULL(argno))
		fault_add(&faults, "older_than", "Input should be a valid timedelta",
				  "time_delta_type");
	else if (DatumGetBool(DirectFunctionCall2(interval_lt, PG_GETARG_DATUM(argno),
											  IntervalPGetDatum(&zero))))
		fault_add(&faults, "older_than", "Input should be greater than or equal to 0 seconds",
				  "greater_than_equal");
	faults_raise(&faults);
	moment = DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_mi_interval, TimestampTzGetDatum(now), PG_GETARG_DATUM(argno)));
	return Min(moment, now);
}

/* Deletes the rows of a statement that are not younger than a moment; returns how many. */
static Datum
purge(Statement *statement, TimestampTz moment)
{
	NullableDatum arguments[] = {{TimestampTzGetDatum(moment), false}};
	uint64 count;

	SPI_connect();
	count = statement_execute(statement, arguments).count;
	SPI_finish();
	return Int32GetDatum((int32) count);
}

/*
 * release_expired_seats(older_than interval): revokes pending seats whose invitations expired at
 * least that long ago, and records the events; returns how many.  It examines at most 10,000 seats
 * and revokes at most 1,000 of subscriptions and 1,000 of orders, the longest expired first.
 * Raises PT422, and 25006 in a read-only transaction.
 *
 * Locks: purchases and their seats, and claimed seats that are examined for the last time; it skips
 * rows that are locked.
 */
Datum
seats_release_expired_seats(PG_FUNCTION_ARGS)
{
	NullableDatum arguments[1] = {0};
	int count = 0;

	PreventCommandIfReadOnly("release_expired_seats()");
	arguments[0].value = TimestampTzGetDatum(older_than_argument(fcinfo, 0));

	SPI_connect();
	(void) statement_execute(&stop_watching, arguments);
	for (int kind = 0; kind < PURCHASE_KINDS; kind++)
		count += change_seats(&lock_expired[kind], arguments, &revoking, REASON_RELEASED);
	SPI_finish();
	PG_RETURN_INT32(count);
}

/*
 * purge_expired_sessions(): deletes at most 10,000 expired sessions, the longest expired first;
 * returns how many.  Raises 25006 in a read-only transaction.  Does nothing if the trigger
 * refuse_old_library calls it: its purpose is what the library of 1.0 does then.
 *
 * Locks: the sessions; it skips rows that are locked.
 */
Datum
seats_purge_expired_sessions(PG_FUNCTION_ARGS)
{
	if (CALLED_AS_TRIGGER(fcinfo))
		return PointerGetDatum(NULL);
	PreventCommandIfReadOnly("purge_expired_sessions()");
	return purge(&delete_sessions, GetCurrentTimestamp());
}

/*
 * purge_events(older_than interval): deletes those of the 10,000 oldest events that happened at
 * least that long ago; returns how many.  Raises PT422, and 25006 in a read-only transaction.
 *
 * Locks: the events; it skips rows that are locked.
 */
Datum
seats_purge_events(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("purge_events()");
	return purge(&delete_events, older_than_argument(fcinfo, 0));
}
