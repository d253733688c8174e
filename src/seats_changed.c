/*
 * seats_changed.c
 *		What follows when rows of customer_seats change, by whichever statement: the counts of
 *		their purchases, and the end of sessions.
 *
 * It works on the transition tables of one statement, so that a statement that changes many
 * seats of a purchase counts them once.
 */
#include "postgres.h"

#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "columns.h"
#include "export.h"
#include "kept_plan.h"
#include "purchase.h"
#include "session.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_changed);
PG_FUNCTION_INFO_V1(seats_refuse_truncate);

/* Of how many seats the sessions are ended together. */
#define MAX_CLAIMED 100000

/* Where the columns of seats are that matter here, and two values of the first. */
typedef struct SeatFields
{
	AttrNumber status;
	AttrNumber id;
	AttrNumber subscription_id;
	AttrNumber order_id;
	Oid claimed;
	Oid revoked;
} SeatFields;

/* What a statement did to seats. */
typedef struct SeatChanges
{
	SeatFields fields;
	List *counts;			  /* of CountChange */
	ArrayBuildState *claimed; /* ids of seats that were claimed before it, or NULL */
} SeatChanges;

/* Returns a value of the type of a seat's status. */
static Oid
status_value(Oid type, const char *name)
{
	return GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type),
						   CStringGetDatum(name));
}

/* Finds the columns of seats; raises 42703 and 42804. */
static SeatFields
find_fields(Relation table)
{
	Oid type = column_type("customer_seats", "status");

	return (SeatFields){
		.status = column_number(table, "status"),
		.id = column_number(table, "id"),
		.subscription_id = column_number(table, "subscription_id"),
		.order_id = column_number(table, "order_id"),
		.claimed = status_value(type, "claimed"),
		.revoked = status_value(type, "revoked"),
	};
}

/* Orders the elements of SeatChanges.counts by their purchase. */
static int
compare_counts(const ListCell *a, const ListCell *b)
{
	return purchase_compare(&((CountChange *) lfirst(a))->purchase,
							&((CountChange *) lfirst(b))->purchase);
}

/* Returns a column of a seat. */
static NullableDatum
seat_value(TupleTableSlot *seat, AttrNumber column)
{
	NullableDatum result;

	result.value = slot_getattr(seat, column, &result.isnull);
	return result;
}

/* Returns a column of a seat that must not be null, or raises 42804. */
static Datum
seat_required(TupleTableSlot *seat, AttrNumber column)
{
	NullableDatum value = seat_value(seat, column);

	if (value.isnull)
		refuse_null_column(
			NameStr(TupleDescAttr(seat->tts_tupleDescriptor, column - 1)->attname));
	return value.value;
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

/* Ends the sessions of the seats collected so far that are no longer claimed. */
static void
end_sessions(SeatChanges *changes)
{
	if (changes->claimed == NULL)
		return;
	sessions_end_unclaimed(makeArrayResult(changes->claimed, CurrentMemoryContext));
	changes->claimed = NULL;
}

/* Adds a seat that was claimed before the statement. */
static void
add_claimed(SeatChanges *changes, Datum id)
{
	changes->claimed = accumArrayResult(changes->claimed, id, false, UUIDOID,
										CurrentMemoryContext);
	if (changes->claimed->nelems >= MAX_CLAIMED)
		end_sessions(changes);
}

/* Adds one version of a seat's row: with -1 as it was before the statement, with 1 after it. */
static void
add_seat(SeatChanges *changes, TupleTableSlot *seat, int32 change)
{
	const SeatFields *fields = &changes->fields;
	Oid status = DatumGetObjectId(seat_required(seat, fields->status));
	PurchaseId purchase;

	if (status == fields->revoked)
		return;
	if (purchase_of_seat(seat_value(seat, fields->subscription_id),
						 seat_value(seat, fields->order_id), &purchase))
		add_count(changes, purchase, change);
	if (change < 0 && status == fields->claimed)
		add_claimed(changes, seat_required(seat, fields->id));
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

/*
 * Trigger after each statement that inserts, updates or deletes seats: counts pending and
 * claimed ones in their purchase, and ends the sessions of those no longer claimed.  Raises
 * 23514 where a purchase would have more of them than were bought, 09000 where a trigger that
 * somebody added prevents a count from being changed or a session from being ended, and 42703 and
 * 42804 where a column was altered.
 *
 * Locks: the rows of purchases whose count changes, in the order of their ids, then sessions.
 * A claim changes no count and finds no session, so it locks nothing.
 */
Datum
seats_changed(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = statement_trigger_data(fcinfo, "customer_seats");
	SeatChanges changes = {0};

	changes.fields = find_fields(trigger->tg_relation);
	SPI_connect();
	add_seats(&changes, trigger->tg_relation, trigger->tg_oldtable, -1);
	add_seats(&changes, trigger->tg_relation, trigger->tg_newtable, 1);
	apply_counts(changes.counts);
	end_sessions(&changes);
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
