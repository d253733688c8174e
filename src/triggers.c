/*
 * triggers.c
 *		The trigger functions: rules that hold whichever statement changes a row.
 *
 * Triggers on seats work on the transition tables of a statement, so a statement that changes many
 * seats of a purchase changes the count of the purchase once.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "catalog.h"
#include "compat.h"
#include "customer.h"
#include "direct_seat.h"
#include "event.h"
#include "purchase.h"
#include "revoke.h"
#include "session.h"
#include "statement.h"
#include "suspend.h"

PG_FUNCTION_INFO_V1(seats_keep_modified_at);
PG_FUNCTION_INFO_V1(seats_keep_purchase);
PG_FUNCTION_INFO_V1(seats_end_purchase);
PG_FUNCTION_INFO_V1(seats_changed);
PG_FUNCTION_INFO_V1(seats_follow_address);
PG_FUNCTION_INFO_V1(seats_refuse_truncate);

/* ---- How a trigger function was called ---- */

/* Raises 39P01: a trigger function was called in a way that it is not made for. */
static _Noreturn void
refuse_call(FunctionCallInfo fcinfo)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function %s() can only be called by triggers of the extension seats",
					get_func_name(fcinfo->flinfo->fn_oid))));
}

/*
 * Returns the data of a trigger's call; raises 39P01 if the function was not called as a trigger on
 * one of the extension's tables, for each row or for each statement as it should be.
 */
static const TriggerData *
trigger_data(FunctionCallInfo fcinfo, bool for_row)
{
	const TriggerData *trigger = (const TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0) != for_row ||
		RelationGetNamespace(trigger->tg_relation) !=
			get_func_namespace(fcinfo->flinfo->fn_oid) ||
		!table_is_known(RelationGetRelationName(trigger->tg_relation)))
		refuse_call(fcinfo);
	return trigger;
}

/*
 * Returns the data of a call of a trigger for each row of a purchase, and the kind of purchase;
 * raises 39P01 as trigger_data() does.
 */
static const TriggerData *
purchase_trigger_data(FunctionCallInfo fcinfo, PurchaseKind *kind)
{
	const TriggerData *trigger = trigger_data(fcinfo, true);
	const char *table = RelationGetRelationName(trigger->tg_relation);

	*kind = strcmp(table, purchase_table(PURCHASE_ORDER)) == 0 ? PURCHASE_ORDER
															   : PURCHASE_SUBSCRIPTION;
	if (strcmp(table, purchase_table(*kind)) != 0)
		refuse_call(fcinfo);
	return trigger;
}

/* ---- Columns of a row ---- */

/* Returns a column of a row. */
static NullableDatum
row_column(Relation table, HeapTuple row, AttrNumber column)
{
	NullableDatum result;

	result.value = heap_getattr(row, column, RelationGetDescr(table), &result.isnull);
	return result;
}

/*
 * Returns a column that must not be null; raises 42804 if it is, and the errors of column_number().
 */
static Datum
required_column(Relation table, HeapTuple row, const char *name)
{
	NullableDatum value = row_column(table, row, column_number(table, name));

	if (value.isnull)
		refuse_null_column(name);
	return value.value;
}

/* Tells whether two values of a column are the same, byte for byte. */
static bool
is_same(Relation table, AttrNumber number, NullableDatum a, NullableDatum b)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), number - 1);

	if (a.isnull || b.isnull)
		return a.isnull && b.isnull;
	return datum_image_eq(a.value, b.value, column->attbyval, column->attlen);
}

/* Tells whether two versions of a row are the same, byte for byte. */
static bool
is_same_row(Relation table, HeapTuple old, HeapTuple new)
{
	TupleDesc columns = RelationGetDescr(table);

	for (AttrNumber number = 1; number <= columns->natts; number++)
	{
		if (!TupleDescAttr(columns, number - 1)->attisdropped &&
			!is_same(table, number, row_column(table, old, number),
					 row_column(table, new, number)))
			return false;
	}
	return true;
}

/*
 * Returns a row with a value in one column: the same row if it has the value already.  Raises 42804
 * if the column is generated.
 */
static HeapTuple
row_with(Relation table, HeapTuple row, AttrNumber column, NullableDatum value)
{
	int number = column;
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), column - 1);

	if (attribute->attgenerated != '\0')
		refuse_generated_column(RelationGetRelationName(table), NameStr(attribute->attname));
	if (is_same(table, column, row_column(table, row, column), value))
		return row;
	return heap_modify_tuple_by_cols(row, RelationGetDescr(table), 1, &number, &value.value,
									 &value.isnull);
}

/* ---- Rows that the application keeps ---- */

/*
 * Returns the new row of an UPDATE with modified_at set to the clock, or left as it was if the
 * statement changes nothing else.  A value that the statement writes there has no effect: programs
 * that write whole rows back write the one that they read before.
 */
static HeapTuple
set_modified_at(Relation table, HeapTuple old, HeapTuple new)
{
	AttrNumber column = column_number(table, "modified_at");
	NullableDatum now = {TimestampTzGetDatum(GetCurrentTimestamp()), false};

	new = row_with(table, new, column, row_column(table, old, column));
	if (is_same_row(table, old, new))
		return new;
	return row_with(table, new, column, now);
}

/*
 * Trigger before UPDATE of a row that the application keeps: sets modified_at.  It works with
 * objects of any version, since addresses may have to be corrected before the extension can be
 * updated.  Raises 42703 and 42804 if that column was altered.
 *
 * Locks: nothing.
 */
Datum
seats_keep_modified_at(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = trigger_data(fcinfo, true);

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event))
		refuse_call(fcinfo);
	return PointerGetDatum(
		set_modified_at(trigger->tg_relation, trigger->tg_trigtuple, trigger->tg_newtuple));
}

/* ---- Purchases ---- */

/* The columns of a purchase that rules are about. */
typedef struct PurchaseRow
{
	pg_uuid_t id;
	int32 seats;
	int32 most; /* that may be assigned */
	int32 assigned_seats;
	char *status;
} PurchaseRow;

/* Reads these columns of a row. */
static PurchaseRow
read_purchase(Relation table, PurchaseKind kind, HeapTuple row)
{
	NullableDatum seats = {required_column(table, row, "seats"), false};
	NullableDatum next = {.isnull = true};
	PurchaseRow result;

	if (kind == PURCHASE_SUBSCRIPTION)
		next = row_column(table, row, column_number(table, "seats_next"));
	result.id = *DatumGetUUIDP(required_column(table, row, "id"));
	result.seats = DatumGetInt32(seats.value);
	result.most = purchase_most(seats, next);
	result.assigned_seats = DatumGetInt32(required_column(table, row, "assigned_seats"));
	result.status = TextDatumGetCString(required_column(table, row, "status"));
	return result;
}

/* Returns the row that an INSERT or UPDATE must write; see seats_keep_purchase(). */
static HeapTuple
keep_columns(const TriggerData *trigger, PurchaseKind kind)
{
	Relation table = trigger->tg_relation;
	AttrNumber column = column_number(table, "assigned_seats");
	HeapTuple old = trigger->tg_trigtuple;
	HeapTuple new = trigger->tg_newtuple;
	NullableDatum assigned = {Int32GetDatum(0), false};
	PurchaseId purchase = {.kind = kind};
	int32 change;

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return row_with(table, trigger->tg_trigtuple, column, assigned);
	purchase.id = *DatumGetUUIDP(required_column(table, old, "id"));
	change = purchase_take_change(purchase);
	assigned.value = Int32GetDatum(
		DatumGetInt32(required_column(table, old, "assigned_seats")) + change);
	new = row_with(table, new, column, assigned);
	return change == 0 ? set_modified_at(table, old, new) : new;
}

/*
 * Raises 23514 if more seats are assigned than bought, or than planned.  A purchase that is ending
 * may have more, since its seats are about to be revoked.
 */
static void
check_seats(Relation table, const PurchaseRow *row, int32 difference, bool ending)
{
	if (row->assigned_seats <= row->most || ending)
		return;
	if (difference > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("all %d seats are assigned", row->most),
				 errhint("Buy more seats, or revoke a seat first."),
				 errtable(table)));
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 row->most < row->seats
				 ? errmsg("cannot plan to reduce the number of seats to %d, because %d are "
						  "assigned",
						  row->most, row->assigned_seats)
				 : errmsg("cannot reduce the number of seats to %d, because %d are assigned",
						  row->seats, row->assigned_seats),
			 errhint("Revoke seats first."),
			 errtable(table)));
}

/* Checks the row that an INSERT or UPDATE wrote; see seats_keep_purchase(). */
static void
check_written(const TriggerData *trigger, PurchaseKind kind)
{
	Relation table = trigger->tg_relation;
	bool inserted = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	PurchaseRow old = {.status = ""};
	PurchaseRow new = read_purchase(table, kind,
									inserted ? trigger->tg_trigtuple : trigger->tg_newtuple);
	int32 difference;
	bool ending;

	if (!inserted)
		old = read_purchase(table, kind, trigger->tg_trigtuple);
	difference = new.assigned_seats - old.assigned_seats;
	purchase_check_change((PurchaseId){kind, new.id}, difference,
						  purchase_status_is_suspended(new.status));
	/* In the UPDATE that ends it, or while its seats are being revoked. */
	ending = purchase_status_is_ended(new.status) &&
		(difference < 0 || strcmp(old.status, new.status) != 0);
	check_seats(table, &new, difference, ending && difference <= 0);
}

/* Raises 09000 if seats of a deleted purchase are still there, which a foreign key excludes. */
static void
check_deleted(const TriggerData *trigger, PurchaseKind kind)
{
	Datum id = required_column(trigger->tg_relation, trigger->tg_trigtuple, "id");
	bool left;

	SPI_connect();
	left = purchase_has_seat((PurchaseId){kind, *DatumGetUUIDP(id)});
	SPI_finish();
	if (left)
		refuse_trigger_on("customer_seats");
}

/*
 * Trigger on each row of a purchase.
 *
 * Before INSERT or UPDATE it protects assigned_seats: a new purchase has none assigned, so that a
 * restored dump counts again as its seats are loaded, and a value that an UPDATE writes there has
 * no effect.  It sets modified_at if the application changed something.
 *
 * After INSERT or UPDATE, when all triggers before have run, it refuses fewer seats than are
 * assigned, also in seats_next, and a count that a trigger has changed; after DELETE, seats that a
 * trigger kept from being deleted.  A purchase may end and lower its seats in one statement, since
 * seats_end_purchase() revokes them.
 *
 * Raises 23514, 09000, 42703 and 42804, and 55000 if this library does not know the version of the
 * extension's objects: older objects have no trigger after the change.
 *
 * Locks: nothing more; a row trigger sees the row locked and current.
 */
Datum
seats_keep_purchase(PG_FUNCTION_ARGS)
{
	PurchaseKind kind;
	const TriggerData *trigger = purchase_trigger_data(fcinfo, &kind);

	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) && !TRIGGER_FIRED_AFTER(trigger->tg_event))
		refuse_call(fcinfo);
	extension_check_version();
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		return PointerGetDatum(keep_columns(trigger, kind));
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		check_deleted(trigger, kind);
	else
		check_written(trigger, kind);
	return PointerGetDatum(NULL);
}

/* Revokes the seats of a purchase that ended.  Between SPI_connect() and SPI_finish(). */
static void
end_seats(PurchaseId purchase)
{
	(void) revoke_all(purchase, REASON_ENDED);
	if (owner_has_triggers() && purchase_has_live_seat(purchase))
		refuse_trigger_on("customer_seats");
}

/*
 * Trigger after UPDATE of a purchase whose status changed: revokes its seats if it ended, suspends
 * them if it is paused or unpaid, and resumes them if it no longer is; also if the organization
 * may no longer use seats, because ending always works.  Raises 09000 if a trigger of the owner
 * prevents that, 42703 and 42804 if a column was altered, and 55000 if this library does not know
 * the version of the extension's objects.
 *
 * Locks: the seats, in the order of their ids, then their sessions; the UPDATE has locked the
 * purchase.
 */
Datum
seats_end_purchase(PG_FUNCTION_ARGS)
{
	PurchaseId purchase;
	const TriggerData *trigger = purchase_trigger_data(fcinfo, &purchase.kind);
	PurchaseRow old;
	PurchaseRow new;

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		refuse_call(fcinfo);
	extension_check_version();
	old = read_purchase(trigger->tg_relation, purchase.kind, trigger->tg_trigtuple);
	new = read_purchase(trigger->tg_relation, purchase.kind, trigger->tg_newtuple);
	purchase.id = new.id;
	SPI_connect();
	if (purchase_status_is_ended(new.status))
		end_seats(purchase);
	else if (purchase_status_is_suspended(new.status) !=
			 purchase_status_is_suspended(old.status))
		suspend_as_purchase(purchase);
	SPI_finish();
	return PointerGetDatum(NULL);
}

/* ---- Seats ---- */

/* The number of seats whose sessions are ended together. */
#define MAX_CLAIMED 100000

/* The number of events of deleted seats that are recorded together. */
#define MAX_DELETED 1000

/* Positions of the columns of seats that are needed, and two values of the first. */
typedef struct SeatFields
{
	AttrNumber status;
	AttrNumber id;
	AttrNumber subscription_id;
	AttrNumber order_id;
	AttrNumber suspended_at;
	Oid claimed;
	Oid revoked;
} SeatFields;

/* Seats that are deleted together with their purchases, for their events. */
typedef struct Deletion
{
	bool looked;		 /* at a purchase */
	PurchaseId purchase; /* that was looked at last */
	bool with_purchase;	 /* it no longer exists */
	TimestampTz now;
	AttrNumber numbers[SEAT_FIELD_COUNT]; /* of the columns that are fields of a seat */
	AttrNumber organization_id;
	MemoryContext context; /* of the events, or NULL if there are none */
	SeatEvent *events;
	int count;
} Deletion;

/* The effects of a statement on seats. */
typedef struct SeatChanges
{
	Relation table;
	SeatFields fields;
	List *counts;			  /* of CountChange */
	ArrayBuildState *claimed; /* ids of seats that were claimed before it, or NULL */
	bool deleting;
	Deletion deletion;
} SeatChanges;

/* Finds the columns of seats; raises 42703 and 42804. */
static SeatFields
find_fields(Relation table)
{
	Oid type = seat_status_type();

	return (SeatFields){
		.status = column_number(table, "status"),
		.id = column_number(table, "id"),
		.subscription_id = column_number(table, "subscription_id"),
		.order_id = column_number(table, "order_id"),
		.suspended_at = column_number(table, "suspended_at"),
		.claimed = seat_status_value(type, "claimed"),
		.revoked = seat_status_value(type, "revoked"),
	};
}

/* Orders the elements of SeatChanges.counts by their purchase. */
static int
compare_counts(const ListCell *a, const ListCell *b)
{
	return purchase_compare(&((CountChange *) lfirst(a))->purchase,
							&((CountChange *) lfirst(b))->purchase);
}

/* Returns a column of a row of a transition table. */
static NullableDatum
slot_column(TupleTableSlot *row, AttrNumber column)
{
	NullableDatum result;

	result.value = slot_getattr(row, column, &result.isnull);
	return result;
}

/* Returns a column that must not be null; raises 42804 if it is. */
static Datum
slot_required(TupleTableSlot *row, AttrNumber column)
{
	NullableDatum value = slot_column(row, column);

	if (value.isnull)
		refuse_null_column(
			NameStr(TupleDescAttr(row->tts_tupleDescriptor, column - 1)->attname));
	return value.value;
}

/* Returns a slot for the rows of a transition table, which will be read from its beginning. */
static TupleTableSlot *
start_reading(Relation table, Tuplestorestate *rows)
{
	tuplestore_select_read_pointer(rows,
								   tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	return MakeSingleTupleTableSlot(RelationGetDescr(table), &TTSOpsMinimalTuple);
}

/* Reads the next row of a transition table; returns false if there is none. */
static bool
next_row(Tuplestorestate *rows, TupleTableSlot *slot)
{
	CHECK_FOR_INTERRUPTS();
	return tuplestore_gettupleslot(rows, true, false, slot);
}

/* Adds to the change of a purchase; rows of one purchase are usually adjacent. */
static void
add_count(SeatChanges *changes, PurchaseId purchase, int32 change, bool suspended)
{
	CountChange *last = changes->counts == NIL ? NULL : llast(changes->counts);

	if (last == NULL || purchase_compare(&last->purchase, &purchase) != 0)
	{
		last = palloc0(sizeof(CountChange));
		last->purchase = purchase;
		changes->counts = lappend(changes->counts, last);
	}
	last->change += change;
	if (suspended)
		last->suspended += change;
}

/* Ends the sessions of the seats collected so far that are suspended or no longer claimed. */
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

/* Finds what the events of deleted seats need. */
static void
start_deletion(Relation table, Deletion *deletion)
{
	const KnownTable *known = &known_tables[TABLE_CUSTOMER_SEATS];

	for (int i = 0; i < SEAT_FIELD_COUNT; i++)
		deletion->numbers[i] = column_number(table, known->columns[seat_fields[i]].name);
	deletion->organization_id = column_number(table, "organization_id");
	deletion->now = GetCurrentTimestamp();
	deletion->context = AllocSetContextCreate(CurrentMemoryContext, "events of deleted seats",
											  ALLOCSET_DEFAULT_SIZES);
}

/* Records the events of deleted seats that were collected. */
static void
record_deleted(Deletion *deletion)
{
	MemoryContext caller;

	if (deletion->count == 0)
		return;
	caller = MemoryContextSwitchTo(deletion->context);
	event_record((EventKind){.type = EVENT_REVOKED,
							 .reason = REASON_DELETED,
							 .occurred_at = deletion->now},
				 deletion->events, deletion->count);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(deletion->context);
	deletion->events = NULL;
	deletion->count = 0;
}

/* Returns a deleted seat as if it had been revoked. */
static Datum
seat_as_if_revoked(const SeatChanges *changes, TupleTableSlot *seat)
{
	const Deletion *deletion = &changes->deletion;
	NullableDatum now = {TimestampTzGetDatum(deletion->now), false};
	NullableDatum null = {.isnull = true};
	NullableDatum columns[SEAT_COLUMNS] = {0};

	for (int i = 0; i < SEAT_FIELD_COUNT; i++)
		columns[seat_fields[i]] = slot_column(seat, deletion->numbers[i]);
	columns[SEAT_STATUS].value = ObjectIdGetDatum(changes->fields.revoked);
	columns[SEAT_REVOKED_AT] = now;
	columns[SEAT_MODIFIED_AT] = now;
	columns[SEAT_CUSTOMER_ID] = null;
	columns[SEAT_CUSTOMER_EMAIL] = null;
	columns[SEAT_METADATA] = null;
	return seat_form(columns, seat_type(), deletion->context);
}

/* Returns the number of the column that is a field of a seat. */
static AttrNumber
number_of(const Deletion *deletion, int field)
{
	return deletion->numbers[field - 1];
}

/* Adds a deleted pending or claimed seat, if its purchase is deleted too. */
static void
add_deleted(SeatChanges *changes, PurchaseId purchase, TupleTableSlot *seat)
{
	Deletion *deletion = &changes->deletion;
	SeatEvent *event;
	MemoryContext caller;

	if (!deletion->looked || purchase_compare(&deletion->purchase, &purchase) != 0)
	{
		deletion->looked = true;
		deletion->purchase = purchase;
		deletion->with_purchase = !purchase_exists(purchase);
	}
	if (!deletion->with_purchase)
		return;
	if (deletion->context == NULL)
		start_deletion(changes->table, deletion);
	caller = MemoryContextSwitchTo(deletion->context);
	if (deletion->events == NULL)
		deletion->events = palloc(MAX_DELETED * sizeof(SeatEvent));
	event = &deletion->events[deletion->count++];
	event->ids.id = *DatumGetUUIDP(slot_required(seat, number_of(deletion, SEAT_FIELD_ID)));
	event->ids.organization_id = *DatumGetUUIDP(
		slot_required(seat, deletion->organization_id));
	event->ids.customer_id = *DatumGetUUIDP(
		slot_required(seat, number_of(deletion, SEAT_FIELD_CUSTOMER_ID)));
	event->purchase = purchase;
	event->seat = seat_as_if_revoked(changes, seat);
	MemoryContextSwitchTo(caller);
	if (deletion->count == MAX_DELETED)
		record_deleted(deletion);
}

/* Adds one version of a seat's row: with -1 as it was before the statement, with 1 after it. */
static void
add_seat(SeatChanges *changes, TupleTableSlot *seat, int32 change)
{
	const SeatFields *fields = &changes->fields;
	Oid status = DatumGetObjectId(slot_required(seat, fields->status));
	PurchaseId purchase;

	if (status == fields->revoked)
		return;
	if (purchase_of_seat(slot_column(seat, fields->subscription_id),
						 slot_column(seat, fields->order_id), &purchase))
	{
		add_count(changes, purchase, change, !slot_column(seat, fields->suspended_at).isnull);
		if (changes->deleting)
			add_deleted(changes, purchase, seat);
	}
	if (change < 0 && status == fields->claimed)
		add_claimed(changes, slot_required(seat, fields->id));
}

/* Adds all rows of a transition table; NULL if the statement has none. */
static void
add_seats(SeatChanges *changes, Tuplestorestate *rows, int32 change)
{
	TupleTableSlot *seat;

	if (rows == NULL)
		return;
	seat = start_reading(changes->table, rows);
	while (next_row(rows, seat))
		add_seat(changes, seat, change);
	ExecDropSingleTupleTableSlot(seat);
}

/* Applies the change of the count of one purchase, if there is any. */
static void
apply_count(CountChange sum)
{
	if (sum.change != 0 || sum.suspended != 0)
		purchase_count(sum);
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

		if (purchase_compare(&sum.purchase, &count->purchase) != 0)
		{
			apply_count(sum);
			sum = (CountChange){.purchase = count->purchase};
		}
		sum.change += count->change;
		sum.suspended += count->suspended;
	}
	apply_count(sum);
}

/*
 * Trigger after each statement that inserts, updates or deletes seats: changes the counts of their
 * purchases, ends the sessions of seats that are suspended or no longer claimed, and records the
 * events of seats that are deleted with their purchase.  Raises 23514 if a purchase would have more
 * seats assigned than were bought, or suspended ones against its status; 09000 if a trigger of the
 * owner prevents a change; 42703 and 42804 if a column was altered; and 55000 if this library does
 * not know the version of the extension's objects.
 *
 * Locks: the purchases whose count changes, in the order of their ids, then sessions.  A claim
 * changes no count and finds no session, so it locks nothing.
 */
Datum
seats_changed(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = trigger_data(fcinfo, false);
	SeatChanges changes = {0};

	if (strcmp(RelationGetRelationName(trigger->tg_relation), "customer_seats") != 0)
		refuse_call(fcinfo);
	extension_check_version();
	changes.table = trigger->tg_relation;
	changes.deleting = TRIGGER_FIRED_BY_DELETE(trigger->tg_event);
	changes.fields = find_fields(trigger->tg_relation);
	SPI_connect();
	add_seats(&changes, trigger->tg_oldtable, -1);
	add_seats(&changes, trigger->tg_newtable, 1);
	apply_counts(changes.counts);
	end_sessions(&changes);
	record_deleted(&changes.deletion);
	SPI_finish();
	return PointerGetDatum(NULL);
}

/* ---- Customers ---- */

/* Tells whether a column has the same value in two rows. */
static bool
is_same_value(Relation table, AttrNumber column, TupleTableSlot *old, TupleTableSlot *new)
{
	return is_same(table, column, slot_column(old, column), slot_column(new, column));
}

/*
 * Returns the ids of the customers whose address an UPDATE changed, as uuid[], or NULL if there are
 * none.  Both transition tables have the rows in the same order; if they had not, a customer would
 * be taken for changed.
 */
static ArrayBuildState *
readdressed_customers(const TriggerData *trigger)
{
	Relation table = trigger->tg_relation;
	AttrNumber id = column_number(table, "id");
	AttrNumber email = column_number(table, "email");
	TupleTableSlot *old = start_reading(table, trigger->tg_oldtable);
	TupleTableSlot *new = start_reading(table, trigger->tg_newtable);
	ArrayBuildState *ids = NULL;

	while (next_row(trigger->tg_newtable, new))
	{
		if (!next_row(trigger->tg_oldtable, old) || !is_same_value(table, id, old, new) ||
			!is_same_value(table, email, old, new))
			ids = accumArrayResult(ids, slot_required(new, id), false, UUIDOID,
								   CurrentMemoryContext);
	}
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(new);
	return ids;
}

/*
 * Trigger after each statement that updates customers: gives the pending and claimed seats of those
 * whose address changed the new one.  Raises 40001 if a seat is newer than the transaction's
 * snapshot, 09000 if a trigger of the owner prevents the change, 42703 and 42804 if a column was
 * altered, and 55000 if this library does not know the version of the extension's objects.
 *
 * Locks: the seats, in the order of their ids; the UPDATE has locked the customers.
 */
Datum
seats_follow_address(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = trigger_data(fcinfo, false);
	ArrayBuildState *ids;

	if (strcmp(RelationGetRelationName(trigger->tg_relation), "customers") != 0 ||
		trigger->tg_oldtable == NULL || trigger->tg_newtable == NULL)
		refuse_call(fcinfo);
	extension_check_version();
	ids = readdressed_customers(trigger);
	if (ids == NULL)
		return PointerGetDatum(NULL);
	SPI_connect();
	customers_update_seats(makeArrayResult(ids, CurrentMemoryContext));
	SPI_finish();
	return PointerGetDatum(NULL);
}

/* ---- TRUNCATE ---- */

/*
 * Trigger before TRUNCATE of seats: raises 0A000, because no trigger sees the rows that are
 * removed.
 */
Datum
seats_refuse_truncate(PG_FUNCTION_ARGS pg_attribute_unused())
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot truncate seats.customer_seats"),
			 errdetail("The numbers of assigned seats of subscriptions and orders would be wrong."),
			 errhint("Use DELETE.")));
	PG_RETURN_NULL();
}
