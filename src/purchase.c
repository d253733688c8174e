/*
 * purchase.c
 *		Purchases, that is subscriptions and orders: locking one, and keeping its count of seats.
 *
 * The row of the purchase is the lock under which its seats are given and taken away, and its
 * assigned_seats is how many of them are pending or claimed, so that giving one costs the same
 * however many there are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "columns.h"
#include "errors.h"
#include "export.h"
#include "extension.h"
#include "interference.h"
#include "kept_plan.h"
#include "modified_at.h"
#include "purchase.h"
#include "row.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_keep_purchase);

/*
 * The change of assigned_seats that this extension itself is making.  The trigger before the UPDATE
 * makes it, and the one after all triggers finds it made, each once; nobody else can make one.
 */
typedef struct Counting
{
	CountChange change;
	bool made;
	bool found;
} Counting;

static Counting counting;

static const char *const assignable_statuses[] = {
	"trialing", "active",
	"past_due",						  /* of a subscription */
	"paid",		"partially_refunded", /* of an order */
};

static const char *const ended_statuses[] = {
	"canceled", "unpaid", "incomplete_expired", /* of a subscription */
	"refunded", "void",							/* of an order */
};

#define LOCK_PURCHASE(table) \
	"SELECT organization_id, status, seats, assigned_seats " \
	"FROM seats." table " WHERE id" EQ "$1 FOR NO KEY UPDATE"

static KeptPlan lock_purchase[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = LOCK_PURCHASE("subscriptions"),
							   .nargs = 1,
							   .argtypes = {UUIDOID}},
	[PURCHASE_ORDER] = {.sql = LOCK_PURCHASE("orders"), .nargs = 1, .argtypes = {UUIDOID}},
};

#define COUNT_SEATS(table) \
	"UPDATE seats." table " " \
	"SET assigned_seats = assigned_seats OPERATOR(pg_catalog.+) $2 WHERE id" EQ "$1"

static KeptPlan count_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = COUNT_SEATS("subscriptions"),
							   .nargs = 2,
							   .argtypes = {UUIDOID, INT4OID}},
	[PURCHASE_ORDER] = {.sql = COUNT_SEATS("orders"),
						.nargs = 2,
						.argtypes = {UUIDOID, INT4OID}},
};

#define FIND_PURCHASE(table) "SELECT FROM seats." table " WHERE id" EQ "$1"

static KeptPlan find_purchase[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = FIND_PURCHASE("subscriptions"),
							   .nargs = 1,
							   .argtypes = {UUIDOID}},
	[PURCHASE_ORDER] = {.sql = FIND_PURCHASE("orders"), .nargs = 1, .argtypes = {UUIDOID}},
};

#define FIND_LIVE_SEAT(purchase) \
	"SELECT FROM seats.customer_seats AS s " \
	"WHERE s." purchase EQ "$1 AND s.customer_id IS NOT NULL LIMIT 1"

static KeptPlan find_live_seat[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = FIND_LIVE_SEAT("subscription_id"),
							   .nargs = 1,
							   .argtypes = {UUIDOID}},
	[PURCHASE_ORDER] = {.sql = FIND_LIVE_SEAT("order_id"), .nargs = 1, .argtypes = {UUIDOID}},
};

#define FIND_SEAT(purchase) "SELECT FROM seats.customer_seats WHERE " purchase EQ "$1 LIMIT 1"

static KeptPlan find_seat[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = FIND_SEAT("subscription_id"),
							   .nargs = 1,
							   .argtypes = {UUIDOID}},
	[PURCHASE_ORDER] = {.sql = FIND_SEAT("order_id"), .nargs = 1, .argtypes = {UUIDOID}},
};

/* Tells whether a status stands in a list. */
static bool
status_is_in(const char *status, const char *const *list, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if (strcmp(status, list[i]) == 0)
			return true;
	}
	return false;
}

/* Tells whether a purchase that turns to this status loses its seats. */
static bool
is_ended(const char *status)
{
	return status_is_in(status, ended_statuses, lengthof(ended_statuses));
}

/* Orders purchases, so that every statement locks them alike. */
int
purchase_compare(const PurchaseId *a, const PurchaseId *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return memcmp(&a->id, &b->id, sizeof(pg_uuid_t));
}

/* Tells which kind of purchase a table holds; false where it holds none. */
bool
purchase_kind_of(Relation table, PurchaseKind *kind)
{
	const char *name = RelationGetRelationName(table);
	bool order = strcmp(name, "orders") == 0;

	*kind = order ? PURCHASE_ORDER : PURCHASE_SUBSCRIPTION;
	return order || strcmp(name, "subscriptions") == 0;
}

/*
 * Tells which purchase a seat with these columns belongs to; false where it is none, which a
 * constraint excludes.
 */
bool
purchase_of_seat(NullableDatum subscription_id, NullableDatum order_id, PurchaseId *purchase)
{
	const NullableDatum *id = subscription_id.isnull ? &order_id : &subscription_id;

	if (id->isnull)
		return false;
	purchase->kind = subscription_id.isnull ? PURCHASE_ORDER : PURCHASE_SUBSCRIPTION;
	purchase->id = *DatumGetUUIDP(id->value);
	return true;
}

/*
 * Locks a purchase against everything but claims, and reads it as it is then; false where there
 * is none.  Inside SPI_connect() and SPI_finish(), where what it points to lives.
 *
 * Locks: its row, FOR NO KEY UPDATE, so that rows which only refer to it are not held up.
 */
bool
purchase_lock(PurchaseId id, Purchase *purchase)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&id.id), false}};

	if (kept_plan_execute(&lock_purchase[id.kind], arguments) == 0)
		return false;
	purchase->id = id;
	purchase->organization_id = *DatumGetUUIDP(row_required(1));
	purchase->assignable = status_is_in(TextDatumGetCString(row_required(2)),
										assignable_statuses, lengthof(assignable_statuses));
	purchase->seats = DatumGetInt32(row_required(3));
	purchase->assigned_seats = DatumGetInt32(row_required(4));
	return true;
}

/* Tells whether a purchase has a pending or claimed seat.  Inside SPI_connect() and SPI_finish(). */
bool
purchase_has_live_seat(PurchaseId id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&id.id), false}};

	return kept_plan_execute(&find_live_seat[id.kind], arguments) > 0;
}

/* Raises the error for a purchase that does not exist. */
void
purchase_raise_not_found(PurchaseId id)
{
	raise_error(id.kind == PURCHASE_ORDER ? ORDER_NOT_FOUND : SUBSCRIPTION_NOT_FOUND);
}

/* Raises 09000: a trigger that somebody added does not let a purchase be written as it must be. */
static _Noreturn void
refuse_purchase_trigger(PurchaseKind kind)
{
	refuse_trigger_on(kind == PURCHASE_ORDER ? "orders" : "subscriptions");
}

/*
 * Raises 09000 where a purchase's count was not changed although the purchase is there.  Where it
 * is gone, its seats are going with it.
 */
static void
check_counted(const CountChange *change)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&change->purchase.id), false}};

	if (!counting.found &&
		kept_plan_execute(&find_purchase[change->purchase.kind], arguments) > 0)
		refuse_purchase_trigger(change->purchase.kind);
}

/*
 * Changes a purchase's count of pending and claimed seats; raises 23514 where that makes more
 * than were bought, and 09000 where a trigger that somebody added prevents the change.  Nothing
 * happens where the purchase is gone, its seats going with it.
 *
 * Locks: the purchase's row, which functions hold already.
 */
void
purchase_count(CountChange change)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&change.purchase.id), false},
								 {Int32GetDatum(change.change), false}};
	/* A trigger that somebody added may bring us here while another change is being made. */
	Counting outer = counting;

	counting = (Counting){.change = change};
	PG_TRY();
	{
		kept_plan_execute(&count_seats[change.purchase.kind], arguments);
		check_counted(&change);
	}
	PG_FINALLY();
	{
		counting = outer;
	}
	PG_END_TRY();
}

/* The columns of a purchase's row that rules are about. */
typedef struct PurchaseRow
{
	pg_uuid_t id;
	int32 seats;
	int32 assigned_seats;
	char *status;
} PurchaseRow;

/* Returns a column of a purchase's row; raises 42703, 42804, and 42804 where it is null, too. */
static Datum
required_column(Relation table, HeapTuple row, const char *name)
{
	NullableDatum value = row_column(table, row, column_number(table, name));

	if (value.isnull)
		refuse_null_column(name);
	return value.value;
}

/* Reads a row as it is stored. */
static PurchaseRow
read_purchase(Relation table, HeapTuple row)
{
	PurchaseRow result;

	result.id = *DatumGetUUIDP(required_column(table, row, "id"));
	result.seats = DatumGetInt32(required_column(table, row, "seats"));
	result.assigned_seats = DatumGetInt32(required_column(table, row, "assigned_seats"));
	result.status = TextDatumGetCString(required_column(table, row, "status"));
	return result;
}

/* Tells whether the purchase in a row has ended, and which one it is. */
bool
purchase_has_ended(Relation table, HeapTuple row, pg_uuid_t *id)
{
	PurchaseRow purchase = read_purchase(table, row);

	*id = purchase.id;
	return is_ended(purchase.status);
}

/* Tells whether the change that this extension is making is one of a purchase. */
static bool
is_counting(PurchaseId purchase)
{
	return counting.change.change != 0 &&
		purchase_compare(&purchase, &counting.change.purchase) == 0;
}

/* Returns by how much this extension is changing the count of a row, once. */
static int32
change_to_make(PurchaseId purchase)
{
	if (counting.made || !is_counting(purchase))
		return 0;
	counting.made = true;
	return counting.change.change;
}

/*
 * Raises 09000 where the count of a row that was written differs from what it was by anything but
 * the change that this extension is making.
 */
static void
check_count(PurchaseId purchase, int32 difference)
{
	if (difference == 0)
		return;
	if (counting.found || !is_counting(purchase) || difference != counting.change.change)
		refuse_purchase_trigger(purchase.kind);
	counting.found = true;
}

/*
 * Raises 23514 where more seats are assigned than bought, saying how many are.  A purchase that is
 * ending may have more, since its seats are about to be revoked.
 */
static void
check_seats(Relation table, const PurchaseRow *row, int32 difference, bool ending)
{
	if (row->assigned_seats <= row->seats || ending)
		return;
	if (difference > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("all %d seats are assigned", row->seats),
				 errhint("Buy more seats or revoke one first."),
				 errtable(table)));
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("seats cannot be lowered to %d: %d are assigned", row->seats,
					row->assigned_seats),
			 errhint("Revoke seats first."),
			 errtable(table)));
}

/* Returns the row that an INSERT or UPDATE is to write; see seats_keep_purchase(). */
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
	change = change_to_make(purchase);
	assigned.value = Int32GetDatum(
		DatumGetInt32(required_column(table, old, "assigned_seats")) + change);
	new = row_with(table, new, column, assigned);
	return change == 0 ? set_modified_at(table, old, new) : new;
}

/* Raises the error for the row that an INSERT or UPDATE wrote, if there is one. */
static void
check_written(const TriggerData *trigger, PurchaseKind kind)
{
	Relation table = trigger->tg_relation;
	bool inserted = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	PurchaseRow old = {.status = ""};
	PurchaseRow new = read_purchase(table,
									inserted ? trigger->tg_trigtuple : trigger->tg_newtuple);
	int32 difference;
	bool ending;

	if (!inserted)
		old = read_purchase(table, trigger->tg_trigtuple);
	difference = new.assigned_seats - old.assigned_seats;
	check_count((PurchaseId){kind, new.id}, difference);
	/* By the UPDATE that ends it, or while its seats are being revoked. */
	ending = is_ended(new.status) && (difference < 0 || strcmp(old.status, new.status) != 0);
	check_seats(table, &new, difference, ending && difference <= 0);
}

/* Raises 09000 where a deleted purchase has left seats behind, which a foreign key excludes. */
static void
check_deleted(const TriggerData *trigger, PurchaseKind kind)
{
	Datum id = required_column(trigger->tg_relation, trigger->tg_trigtuple, "id");
	NullableDatum arguments[] = {{id, false}};
	bool left;

	SPI_connect();
	left = kept_plan_execute(&find_seat[kind], arguments) > 0;
	SPI_finish();
	if (left)
		refuse_trigger_on("customer_seats");
}

/*
 * Trigger on each row of a purchase.
 *
 * Before INSERT or UPDATE it keeps assigned_seats from everybody else: a new purchase has none
 * assigned, so that a dump counts anew as its seats come in, and what an UPDATE writes there has
 * no effect.  It sets modified_at where the application changed something.
 *
 * After INSERT or UPDATE, when all triggers before it have run, it refuses fewer seats than are
 * assigned, and a count that a trigger has changed; after DELETE, seats that a trigger kept from
 * being deleted.  A purchase that ends may lower its seats in the same statement, since
 * seats_end_purchase() revokes them.  Raises 23514, 09000, 42703 and 42804, and 55000 where this
 * library does not know the version of the extension's objects: with older ones nothing would be
 * checked after the change.
 *
 * Locks: nothing more; the row is locked and the newest by the time a row trigger sees it.
 */
Datum
seats_keep_purchase(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = row_trigger_data(fcinfo);
	PurchaseKind kind;

	if (!purchase_kind_of(trigger->tg_relation, &kind) ||
		(TRIGGER_FIRED_BY_DELETE(trigger->tg_event) &&
		 !TRIGGER_FIRED_AFTER(trigger->tg_event)))
		refuse_trigger(fcinfo);
	extension_check_version();
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		return PointerGetDatum(keep_columns(trigger, kind));
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		check_deleted(trigger, kind);
	else
		check_written(trigger, kind);
	return PointerGetDatum(NULL);
}
