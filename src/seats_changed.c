/*
 * seats_changed.c
 *		What follows when rows of customer_seats change, by whichever statement: the counts of
 *		their purchases, and the end of sessions.
 *
 * It works on the transition tables of one statement, so that a statement that changes many
 * seats of a purchase counts them once.  By a constraint of the table a seat is revoked exactly
 * if it has revoked_at, and claimed exactly if it has claimed_at but not revoked_at.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "export.h"
#include "kept_plan.h"
#include "purchase.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_changed);
PG_FUNCTION_INFO_V1(seats_refuse_truncate);

/* What a statement did to seats. */
typedef struct SeatChanges
{
	List *counts;			  /* of CountChange */
	ArrayBuildState *claimed; /* ids of the seats that were claimed before it, or NULL */
} SeatChanges;

/* A seat that is still claimed keeps the sessions of its customer. */
static KeptPlan end_sessions = {
	.sql = "DELETE FROM seats.customer_sessions AS x "
		   "WHERE x.seat_id" EQ "ANY ($1) AND NOT EXISTS ("
		   "SELECT FROM seats.customer_seats AS s "
		   "WHERE s.id" EQ "x.seat_id AND s.customer_id" EQ "x.customer_id "
		   "AND s.status" EQ "'claimed')",
	.nargs = 1,
	.argtypes = {UUIDARRAYOID},
};

/* Orders the elements of SeatChanges.counts by their purchase. */
static int
compare_counts(const ListCell *a, const ListCell *b)
{
	return purchase_compare(&((CountChange *) lfirst(a))->purchase,
							&((CountChange *) lfirst(b))->purchase);
}

/* Returns a column of a seat. */
static NullableDatum
seat_value(TupleTableSlot *seat, const char *column)
{
	NullableDatum result;

	result.value = slot_getattr(seat, SPI_fnumber(seat->tts_tupleDescriptor, column),
								&result.isnull);
	return result;
}

/* Adds to the change of a purchase; rows of one purchase mostly come one after the other. */
static void
add_count(SeatChanges *changes, PurchaseId purchase, int32 change)
{
	CountChange *last = changes->counts == NIL ? NULL : llast(changes->counts);

	if (last == NULL || purchase_compare(&last->purchase, &purchase) != 0)
	{
		last = palloc0(sizeof(CountChange));
		last->purchase = purchase;
		changes->counts = lappend(changes->counts, last);
	}
	last->change += change;
}

/* Adds one version of a seat's row: with -1 as it was before the statement, with 1 after it. */
static void
add_seat(SeatChanges *changes, TupleTableSlot *seat, int32 change)
{
	PurchaseId purchase;

	if (!seat_value(seat, "revoked_at").isnull)
		return;
	if (purchase_of_seat(seat_value(seat, "subscription_id"), seat_value(seat, "order_id"),
						 &purchase))
		add_count(changes, purchase, change);
	if (change < 0 && !seat_value(seat, "claimed_at").isnull)
		changes->claimed = accumArrayResult(changes->claimed, seat_value(seat, "id").value,
											false, UUIDOID, CurrentMemoryContext);
}

/* Adds all rows of a transition table, which the statement may not have. */
static void
add_seats(SeatChanges *changes, Relation table, Tuplestorestate *rows, int32 change)
{
	TupleTableSlot *seat;

	if (rows == NULL)
		return;
	seat = MakeSingleTupleTableSlot(RelationGetDescr(table), &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(rows,
								   tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, seat))
	{
		CHECK_FOR_INTERRUPTS();
		add_seat(changes, seat, change);
	}
	ExecDropSingleTupleTableSlot(seat);
}

/* Applies the changes of counts, in the order of the purchases. */
static void
apply_counts(List *counts)
{
	ListCell *cell;
	CountChange sum = {0};

	list_sort(counts, compare_counts);
	foreach (cell, counts)
	{
		const CountChange *count = lfirst(cell);

		if (sum.change != 0 && purchase_compare(&sum.purchase, &count->purchase) != 0)
		{
			purchase_count(sum);
			sum.change = 0;
		}
		sum.purchase = count->purchase;
		sum.change += count->change;
	}
	if (sum.change != 0)
		purchase_count(sum);
}

/* Ends the sessions of those among some seats that are no longer claimed. */
static void
end_sessions_of(ArrayBuildState *seats)
{
	NullableDatum arguments[] = {{makeArrayResult(seats, CurrentMemoryContext), false}};

	kept_plan_execute(&end_sessions, arguments);
}

/*
 * Trigger after each statement that inserts, updates or deletes seats: counts pending and
 * claimed ones in their purchase, and ends the sessions of those no longer claimed.  Raises
 * 23514 where a purchase would have more of them than were bought.
 *
 * Locks: the rows of purchases whose count changes, in the order of their ids, then sessions.
 * A claim changes no count and finds no session, so it locks nothing.
 */
Datum
seats_changed(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = statement_trigger_data(fcinfo, "customer_seats");
	SeatChanges changes = {0};

	SPI_connect();
	add_seats(&changes, trigger->tg_relation, trigger->tg_oldtable, -1);
	add_seats(&changes, trigger->tg_relation, trigger->tg_newtable, 1);
	apply_counts(changes.counts);
	if (changes.claimed != NULL)
		end_sessions_of(changes.claimed);
	SPI_finish();
	return PointerGetDatum(NULL);
}

/* Trigger before TRUNCATE of seats: raises 0A000, since no trigger sees the rows that go. */
Datum
seats_refuse_truncate(PG_FUNCTION_ARGS pg_attribute_unused())
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot truncate seats.customer_seats"),
			 errdetail("The counts of subscriptions and orders would be wrong."),
			 errhint("Use DELETE.")));
	PG_RETURN_NULL();
}
