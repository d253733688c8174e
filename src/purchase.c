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

#include "errors.h"
#include "export.h"
#include "kept_plan.h"
#include "modified_at.h"
#include "purchase.h"
#include "row.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_keep_purchase);

/*
 * The change of assigned_seats that this extension itself is making, until the trigger of the
 * row has let it pass; nobody else may make one.
 */
static CountChange expected;

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
bool
purchase_status_is_ended(const char *status)
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
	purchase->organization_id = *DatumGetUUIDP(row_value(1).value);
	purchase->assignable = status_is_in(TextDatumGetCString(row_value(2).value),
										assignable_statuses, lengthof(assignable_statuses));
	purchase->seats = DatumGetInt32(row_value(3).value);
	purchase->assigned_seats = DatumGetInt32(row_value(4).value);
	return true;
}

/* Raises the error for a purchase that does not exist. */
void
purchase_raise_not_found(PurchaseId id)
{
	raise_error(id.kind == PURCHASE_ORDER ? ORDER_NOT_FOUND : SUBSCRIPTION_NOT_FOUND);
}

/*
 * Changes a purchase's count of pending and claimed seats; raises 23514 where that makes more
 * than were bought.  Nothing happens where the purchase is gone, its seats going with it.
 *
 * Locks: the purchase's row, which functions hold already.
 */
void
purchase_count(CountChange change)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&change.purchase.id), false},
								 {Int32GetDatum(change.change), false}};
	/* A trigger that somebody added may bring us here while another change is being made. */
	CountChange outer = expected;

	expected = change;
	PG_TRY();
	{
		kept_plan_execute(&count_seats[change.purchase.kind], arguments);
	}
	PG_FINALLY();
	{
		expected = outer;
	}
	PG_END_TRY();
}

/* The columns of a purchase's row that its trigger looks at. */
typedef struct PurchaseRow
{
	pg_uuid_t id;
	int32 seats;
	int32 assigned_seats;
	char *status;
} PurchaseRow;

/* Reads a row that a trigger was given; false where one of the columns is null. */
static bool
read_purchase(Relation table, HeapTuple row, PurchaseRow *result)
{
	static const char *const names[] = {"id", "seats", "assigned_seats", "status"};
	TupleDesc columns = RelationGetDescr(table);
	Datum values[lengthof(names)];
	bool isnull;

	for (size_t i = 0; i < lengthof(names); i++)
	{
		values[i] = SPI_getbinval(row, columns, SPI_fnumber(columns, names[i]), &isnull);
		if (isnull)
			return false;
	}
	result->id = *DatumGetUUIDP(values[0]);
	result->seats = DatumGetInt32(values[1]);
	result->assigned_seats = DatumGetInt32(values[2]);
	result->status = TextDatumGetCString(values[3]);
	return true;
}

/* Returns by how much this extension is changing the count of a row, and expects it no longer. */
static int32
take_expected(PurchaseId purchase)
{
	int32 change = expected.change;

	if (change == 0 || purchase_compare(&purchase, &expected.purchase) != 0)
		return 0;
	expected.change = 0;
	return change;
}

/* Raises 23514 where more seats are assigned than bought, saying how many are. */
static void
check_seats(Relation table, const PurchaseRow *row, bool assigning)
{
	if (row->assigned_seats <= row->seats)
		return;
	if (assigning)
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

/* Raises 428C9: somebody else changed assigned_seats. */
static void
refuse_count(Relation table)
{
	ereport(ERROR,
			(errcode(ERRCODE_GENERATED_ALWAYS),
			 errmsg("column \"assigned_seats\" is kept by the extension seats"),
			 errhint("Leave it out of the statement."),
			 errtable(table)));
}

/* Returns the row that an UPDATE by anybody is to write; see seats_keep_purchase(). */
static HeapTuple
keep_updated(const TriggerData *trigger, PurchaseKind kind)
{
	Relation table = trigger->tg_relation;
	PurchaseRow old;
	PurchaseRow new;
	int32 change;
	bool ends;

	/* A null that is not allowed has its own error, once triggers are done. */
	if (!read_purchase(table, trigger->tg_trigtuple, &old) ||
		!read_purchase(table, trigger->tg_newtuple, &new))
		return trigger->tg_newtuple;

	change = take_expected((PurchaseId){kind, new.id});
	if (new.assigned_seats - old.assigned_seats != change)
		refuse_count(table);
	if (change > 0)
		check_seats(table, &new, true);
	if (change != 0)
		return trigger->tg_newtuple;
	ends = strcmp(old.status, new.status) != 0 && purchase_status_is_ended(new.status);
	if (!ends)
		check_seats(table, &new, false);
	return set_modified_at(trigger);
}

/*
 * Trigger before INSERT or UPDATE of a purchase's row: keeps assigned_seats from everybody else,
 * refuses fewer seats than are assigned, and sets modified_at where the application changed
 * something.  A purchase that ends may lower its seats in the same statement, since
 * seats_end_purchase() revokes them.  A new one has none assigned, whatever was given, so that
 * a dump counts anew as its seats come in.  Raises 23514 and 428C9.
 *
 * Locks: nothing more; the row is locked and the newest by the time a row trigger sees it.
 */
Datum
seats_keep_purchase(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = row_trigger_data(fcinfo, true);
	PurchaseKind kind;

	if (!purchase_kind_of(trigger->tg_relation, &kind))
		refuse_trigger(fcinfo);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return PointerGetDatum(row_with(trigger->tg_relation, trigger->tg_trigtuple,
										"assigned_seats", Int32GetDatum(0)));
	return PointerGetDatum(keep_updated(trigger, kind));
}
