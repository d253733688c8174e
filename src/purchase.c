/*
 * purchase.c
 *		Purchases, that is subscriptions and orders, and the organizations that sell them.
 *
 * The row of a purchase is the lock under which its seats are assigned and revoked.  Its column
 * assigned_seats is the number of its pending and claimed seats, so assigning a seat costs the same
 * however many there are.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "direct.h"
#include "errors.h"
#include "purchase.h"
#include "statement.h"

static const char *const assignable_statuses[] = {
	"trialing", "active",
	"past_due",						  /* of a subscription */
	"paid",		"partially_refunded", /* of an order */
};

static const char *const ended_statuses[] = {
	"canceled", "incomplete_expired", /* of a subscription */
	"refunded", "void",				  /* of an order */
};

/* Of a subscription: its seats are kept, but cannot be used. */
static const char *const suspended_statuses[] = {"paused", "unpaid"};

/*
 * The columns of a purchase that purchase_lock() reads, in this order: those that are never null,
 * and then those of a subscription.
 */
static const int lock_columns[] = {PURCHASE_ORGANIZATION_ID, PURCHASE_STATUS,
								   PURCHASE_SEATS,			 PURCHASE_ASSIGNED_SEATS,
								   SUBSCRIPTION_SEATS_NEXT,	 SUBSCRIPTION_SEATS_LIMIT};
#define LOCK_COLUMNS ((int) lengthof(lock_columns))
#define LOCK_COLUMNS_OF_ORDER 4

static DirectTable *const direct_purchases[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = &direct_subscriptions,
	[PURCHASE_ORDER] = &direct_orders,
};

static Statement read_organization = {
	.sql = "SELECT seat_based_pricing_enabled, invitation_ttl "
		   "FROM seats.organizations WHERE id = $1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

#define LOCK_PURCHASE(table, more) \
	{ \
		.sql = "SELECT organization_id, status, seats, assigned_seats" more " " \
			   "FROM seats." table " WHERE id = $1 FOR NO KEY UPDATE", \
		.nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

static Statement lock_purchase[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LOCK_PURCHASE("subscriptions", ", seats_next, seats_limit"),
	[PURCHASE_ORDER] = LOCK_PURCHASE("orders", ""),
};

#define COUNT_SEATS(table) \
	{ \
		.sql = "UPDATE seats." table \
			   " SET assigned_seats = assigned_seats + $2 WHERE id = $1", \
		.nargs = 2, .argtypes = { \
			UUIDOID, \
			INT4OID \
		} \
	}

static Statement count_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = COUNT_SEATS("subscriptions"),
	[PURCHASE_ORDER] = COUNT_SEATS("orders"),
};

static Statement raise_seats = {
	.sql = "UPDATE seats.subscriptions AS p SET seats = $2 WHERE p.id = $1 "
		   "RETURNING p.seats = $2",
	.nargs = 2,
	.argtypes = {UUIDOID, INT4OID},
	.table = "subscriptions",
};

#define FIND_PURCHASE(table) \
	{ \
		.sql = "SELECT FROM seats." table " WHERE id = $1", .nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

static Statement find_purchase[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = FIND_PURCHASE("subscriptions"),
	[PURCHASE_ORDER] = FIND_PURCHASE("orders"),
};

static Statement find_purchase_of_seat = {
	.sql = "SELECT subscription_id, order_id FROM seats.customer_seats WHERE id = $1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

#define FIND_PAYER(table) \
	{ \
		.sql = "SELECT customer_id FROM seats." table " WHERE id = $1", .nargs = 1, \
		.argtypes = { \
			UUIDOID \
		} \
	}

static Statement find_payer[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = FIND_PAYER("subscriptions"),
	[PURCHASE_ORDER] = FIND_PAYER("orders"),
};

#define FIND_SEAT(purchase, condition) \
	{ \
		.sql = "SELECT FROM seats.customer_seats WHERE " purchase " = $1" condition \
			   " LIMIT 1", \
		.nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

static Statement find_seat[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = FIND_SEAT("subscription_id", ""),
	[PURCHASE_ORDER] = FIND_SEAT("order_id", ""),
};

#define IS_LIVE " AND customer_id IS NOT NULL"

static Statement find_live_seat[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = FIND_SEAT("subscription_id", IS_LIVE),
	[PURCHASE_ORDER] = FIND_SEAT("order_id", IS_LIVE),
};

/* Tells whether a status is in a list. */
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

/* Tells whether seats of a purchase with this status may be assigned. */
bool
purchase_status_is_assignable(const char *status)
{
	return status_is_in(status, assignable_statuses, lengthof(assignable_statuses));
}

/* Tells whether a purchase that gets this status has ended, so that its seats are revoked. */
bool
purchase_status_is_ended(const char *status)
{
	return status_is_in(status, ended_statuses, lengthof(ended_statuses));
}

/* Tells whether a purchase with this status has its seats suspended. */
bool
purchase_status_is_suspended(const char *status)
{
	return status_is_in(status, suspended_statuses, lengthof(suspended_statuses));
}

/* Orders purchases, so that every statement locks them in the same order. */
int
purchase_compare(const PurchaseId *a, const PurchaseId *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return memcmp(&a->id, &b->id, sizeof(pg_uuid_t));
}

/* Returns the name of the table of a kind of purchase. */
const char *
purchase_table(PurchaseKind kind)
{
	return kind == PURCHASE_ORDER ? "orders" : "subscriptions";
}

/* Returns the name of the column of seats that names a purchase of a kind. */
const char *
purchase_column(PurchaseKind kind)
{
	return kind == PURCHASE_ORDER ? "order_id" : "subscription_id";
}

/*
 * Finds the purchase that a seat with these columns belongs to; returns false if there is none,
 * which a constraint excludes.
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
 * Returns the purchase that a seat belongs to, which never changes; raises seat_not_found if there
 * is no such seat.  Between SPI_connect() and SPI_finish().
 */
PurchaseId
purchase_of_seat_id(const pg_uuid_t *seat_id)
{
	static const int columns[] = {SEAT_SUBSCRIPTION_ID, SEAT_ORDER_ID};
	NullableDatum key = {UUIDPGetDatum(seat_id), false};
	NullableDatum values[lengthof(columns)];
	DirectResult result = direct_read_newest(&direct_seats, SEAT_BY_ID, key, columns, values,
											 lengthof(columns));
	PurchaseId purchase;

	if (result == DIRECT_NOT_POSSIBLE)
	{
		Rows rows = statement_execute(&find_purchase_of_seat, &key);

		if (rows.count == 0)
			raise_error(SEAT_NOT_FOUND);
		values[0] = rows_value(&rows, 0, 1);
		values[1] = rows_value(&rows, 0, 2);
	}
	if (result == DIRECT_NOT_FOUND || !purchase_of_seat(values[0], values[1], &purchase))
		raise_error(SEAT_NOT_FOUND);
	return purchase;
}

/* Returns how many columns purchase_lock() reads of a kind of purchase. */
static int
lock_columns_of(PurchaseKind kind)
{
	return kind == PURCHASE_ORDER ? LOCK_COLUMNS_OF_ORDER : LOCK_COLUMNS;
}

/* Locks a purchase without the executor, and copies the columns that are read. */
static DirectResult
lock_directly(const PurchaseId *id, NullableDatum *columns)
{
	NullableDatum key = {UUIDPGetDatum(&id->id), false};
	DirectRow row;
	DirectResult result = direct_lock(direct_purchases[id->kind], FIRST_KEY, &key,
									  LockTupleNoKeyExclusive, &row);

	if (result != DIRECT_FOUND)
		return result;
	direct_row_copy(&row, lock_columns, columns, lock_columns_of(id->kind));
	direct_row_close(&row);
	return DIRECT_FOUND;
}

/*
 * Locks a purchase, and reads the columns that are read; returns false if it does not exist.  If it
 * exists, raises 42804 if one of them is null that must not be.
 */
static bool
lock_and_read(const PurchaseId *id, NullableDatum *columns)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&id->id), false}};
	DirectResult result = lock_directly(id, columns);

	if (result == DIRECT_NOT_POSSIBLE)
	{
		Rows rows = statement_execute(&lock_purchase[id->kind], arguments);

		result = rows.count == 0 ? DIRECT_NOT_FOUND : DIRECT_FOUND;
		for (int i = 0; i < lock_columns_of(id->kind) && rows.count > 0; i++)
			columns[i] = rows_value(&rows, 0, i + 1);
	}
	for (int i = 0; i < LOCK_COLUMNS_OF_ORDER && result == DIRECT_FOUND; i++)
	{
		if (columns[i].isnull)
			refuse_null_column(
				direct_purchases[id->kind]->known->columns[lock_columns[i]].name);
	}
	return result == DIRECT_FOUND;
}

/*
 * Returns how many seats of a purchase may be assigned: no more than were bought, and no more than
 * are planned, if a number is.
 */
int32
purchase_most(NullableDatum seats, NullableDatum seats_next)
{
	int32 bought = DatumGetInt32(seats.value);

	return seats_next.isnull ? bought : Min(bought, DatumGetInt32(seats_next.value));
}

/*
 * Locks a purchase and reads it as it is then; returns false if it does not exist.  Between
 * SPI_connect() and SPI_finish().
 *
 * Locks: its row, FOR NO KEY UPDATE, which does not block rows that only refer to it.  Claims do
 * not take this lock.
 */
bool
purchase_lock(PurchaseId id, Purchase *purchase)
{
	NullableDatum columns[LOCK_COLUMNS];
	NullableDatum next = {.isnull = true};
	NullableDatum limit = {.isnull = true};
	const char *status;

	if (!lock_and_read(&id, columns))
		return false;
	if (id.kind == PURCHASE_SUBSCRIPTION)
	{
		next = columns[LOCK_COLUMNS_OF_ORDER];
		limit = columns[LOCK_COLUMNS_OF_ORDER + 1];
	}
	status = TextDatumGetCString(columns[1].value);
	purchase->id = id;
	purchase->organization_id = *DatumGetUUIDP(columns[0].value);
	purchase->assignable = purchase_status_is_assignable(status);
	purchase->suspended = purchase_status_is_suspended(status);
	purchase->ended = purchase_status_is_ended(status);
	purchase->seats = DatumGetInt32(columns[2].value);
	purchase->most = purchase_most(columns[2], next);
	purchase->limit = limit.isnull || !next.isnull ? 0 : DatumGetInt32(limit.value);
	purchase->assigned_seats = DatumGetInt32(columns[3].value);
	return true;
}

/*
 * Raises the number of seats of a locked subscription, whose modified_at a trigger sets.  Between
 * SPI_connect() and SPI_finish().  Raises 09000 if a trigger of the owner prevents that.
 */
void
purchase_raise_seats(PurchaseId id, int32 seats)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&id.id), false},
								 {Int32GetDatum(seats), false}};

	Assert(id.kind == PURCHASE_SUBSCRIPTION);
	(void) statement_change(&raise_seats, arguments, 1);
}

/* Tells whether a statement about a purchase returns a row. */
static bool
returns_row(Statement *statement, const PurchaseId *purchase)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase->id), false}};

	return statement_execute(statement, arguments).count > 0;
}

/* Tells whether a purchase has any seat.  Between SPI_connect() and SPI_finish(). */
bool
purchase_has_seat(PurchaseId id)
{
	return returns_row(&find_seat[id.kind], &id);
}

/*
 * Tells whether a purchase has a pending or claimed seat.  Between SPI_connect() and SPI_finish().
 */
bool
purchase_has_live_seat(PurchaseId id)
{
	return returns_row(&find_live_seat[id.kind], &id);
}

/* Tells whether a purchase exists.  Between SPI_connect() and SPI_finish(). */
bool
purchase_exists(PurchaseId id)
{
	return returns_row(&find_purchase[id.kind], &id);
}

/*
 * Finds the customer who pays for a purchase, as the active snapshot shows it; returns false if
 * there is no such purchase.  Between SPI_connect() and SPI_finish().
 */
bool
purchase_payer(PurchaseId id, pg_uuid_t *payer)
{
	static const int column = PURCHASE_CUSTOMER_ID;
	NullableDatum key = {UUIDPGetDatum(&id.id), false};
	NullableDatum value;
	DirectResult result = direct_read(direct_purchases[id.kind], FIRST_KEY, key, &column,
									  &value, 1);

	if (result == DIRECT_NOT_POSSIBLE)
	{
		Rows rows = statement_read(&find_payer[id.kind], &key);

		result = rows.count == 0 ? DIRECT_NOT_FOUND : DIRECT_FOUND;
		if (rows.count > 0)
			value = rows_value(&rows, 0, 1);
	}
	if (result != DIRECT_FOUND)
		return false;
	if (value.isnull)
		refuse_null_column("customer_id");
	*payer = *DatumGetUUIDP(value.value);
	return true;
}

/*
 * Tells whether a customer pays for a purchase, as is committed now; the payer NULL stands for the
 * application, which may do everything.  Between SPI_connect() and SPI_finish().
 */
bool
purchase_is_paid_by(PurchaseId id, const pg_uuid_t *payer)
{
	pg_uuid_t found;
	bool result;

	if (payer == NULL)
		return true;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	result = purchase_payer(id, &found) && memcmp(&found, payer, UUID_LEN) == 0;
	PopActiveSnapshot();
	return result;
}

/*
 * Locks a purchase as purchase_lock() does, if a customer pays for it; returns false, as if it did
 * not exist, if the customer does not.  Another's purchase is not locked, so that nobody can hold
 * up others.
 */
bool
purchase_lock_for(PurchaseId id, const pg_uuid_t *payer, Purchase *purchase)
{
	return purchase_is_paid_by(id, payer) && purchase_lock(id, purchase) &&
		purchase_is_paid_by(id, payer);
}

/* Raises the error for a purchase that does not exist. */
void
purchase_raise_not_found(PurchaseId id)
{
	raise_error(id.kind == PURCHASE_ORDER ? ORDER_NOT_FOUND : SUBSCRIPTION_NOT_FOUND);
}

/* ---- Counts ---- */

/* The purchase whose seats are being suspended or resumed, or NULL. */
static const PurchaseId *suspending;

/*
 * Runs a function that suspends or resumes seats of a purchase.  No other code may do that.
 */
void
purchase_while_suspending(PurchaseId purchase, void (*work)(PurchaseId purchase))
{
	const PurchaseId *outer = suspending;

	suspending = &purchase;
	PG_TRY();
	{
		work(purchase);
	}
	PG_FINALLY();
	{
		suspending = outer;
	}
	PG_END_TRY();
}

/* Raises 23514: a statement suspends a seat, or lets one be used, against the purchase's status. */
static _Noreturn void
refuse_suspension(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("seats must be suspended if their subscription is paused or unpaid, and only "
					"then"),
			 errhint("Change the status of the subscription. Its seats follow.")));
}

/*
 * Raises 23514 unless the seats that a statement added to a purchase, or took away, are suspended
 * as the purchase's status says.  Between a change of the status and that of the seats, a trigger
 * of the owner may revoke seats that are still as before.
 */
static void
check_suspension(const CountChange *change, bool suspended)
{
	int32 right = suspended ? change->change : 0;
	int32 before = suspended ? 0 : change->change;

	if (change->suspended != right && !(change->change < 0 && change->suspended == before))
		refuse_suspension();
}

/*
 * The change of assigned_seats that purchase_count() is making.  Nothing else can change that
 * column: the trigger before the UPDATE makes this change once, whatever the UPDATE says, and the
 * trigger after all others checks that it was made once.  Both are in triggers.c.
 */
typedef struct Counting
{
	CountChange change;
	bool taken; /* by the trigger before the UPDATE */
	bool found; /* by the trigger after it */
} Counting;

static Counting counting;

/*
 * Raises 09000 if a purchase's count was not changed although the purchase exists.  If it does not,
 * its seats are being deleted with it.
 */
static void
check_counted(const CountChange *change)
{
	if (!counting.found &&
		returns_row(&find_purchase[change->purchase.kind], &change->purchase))
		refuse_trigger_on(purchase_table(change->purchase.kind));
}

/* Tells whether a column of a purchase may be null. */
static bool
may_be_null(int column)
{
	return column == PURCHASE_MODIFIED_AT || column >= PURCHASE_EXTERNAL_ID;
}

/*
 * Changes the count in a purchase's row that was found; returns false, with nothing done, if that
 * needs a statement, which also raises the error if the count would be wrong.
 */
static bool
count_in_row(DirectRow *row, const CountChange *change)
{
	NullableDatum values[SUBSCRIPTION_COLUMNS];
	NullableDatum next = {.isnull = true};
	int32 assigned;

	for (int i = 0; i < row->table->known->column_count; i++)
	{
		values[i] = direct_row_value(row, i);
		if (values[i].isnull && !may_be_null(i))
			return false;
	}
	if (change->purchase.kind == PURCHASE_SUBSCRIPTION)
		next = values[SUBSCRIPTION_SEATS_NEXT];
	assigned = DatumGetInt32(values[PURCHASE_ASSIGNED_SEATS].value) + change->change;
	if (assigned > purchase_most(values[PURCHASE_SEATS], next))
		return false;
	check_suspension(
		change,
		purchase_status_is_suspended(TextDatumGetCString(values[PURCHASE_STATUS].value)));
	values[PURCHASE_ASSIGNED_SEATS].value = Int32GetDatum(assigned);
	return direct_update(row, values);
}

/* Changes the count of a purchase without the executor, if possible. */
static bool
count_directly(const CountChange *change)
{
	DirectTable *table = direct_purchases[change->purchase.kind];
	NullableDatum key = {UUIDPGetDatum(&change->purchase.id), false};
	DirectRow row;
	bool done;

	if (direct_find_newest(table, FIRST_KEY, &key, DIRECT_UPDATE, &row) != DIRECT_FOUND)
		return false;
	done = direct_is_kept(table) && count_in_row(&row, change);
	direct_row_close(&row);
	return done;
}

/*
 * Changes a purchase's count of pending and claimed seats, as far as a statement on its seats has
 * changed it.  Raises 23514 if that makes more than were bought, or if seats are suspended against
 * the purchase's status, and 09000 if a trigger of the owner prevents the change.  Does nothing if
 * the purchase no longer exists.
 *
 * Locks: the purchase's row, which functions hold already.
 */
void
purchase_count(CountChange change)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&change.purchase.id), false},
								 {Int32GetDatum(change.change), false}};
	/* A trigger of the owner may call us while another change is being made. */
	Counting outer = counting;

	if (change.change == 0)
	{
		if (suspending == NULL || purchase_compare(suspending, &change.purchase) != 0)
			refuse_suspension();
		return;
	}
	if (count_directly(&change))
		return;
	counting = (Counting){.change = change};
	PG_TRY();
	{
		(void) statement_execute(&count_seats[change.purchase.kind], arguments);
		check_counted(&change);
	}
	PG_FINALLY();
	{
		counting = outer;
	}
	PG_END_TRY();
}

/* Tells whether purchase_count() is changing the count of a purchase. */
static bool
is_counting(PurchaseId purchase)
{
	return counting.change.change != 0 &&
		purchase_compare(&purchase, &counting.change.purchase) == 0;
}

/* Returns, once, by how much purchase_count() is changing the count of a purchase; otherwise 0. */
int32
purchase_take_change(PurchaseId purchase)
{
	if (counting.taken || !is_counting(purchase))
		return 0;
	counting.taken = true;
	return counting.change.change;
}

/*
 * Raises 09000 if the count of a purchase was changed by anything but the change that
 * purchase_count() is making, and 23514 if that change does not agree with its status.
 */
void
purchase_check_change(PurchaseId purchase, int32 difference, bool suspended)
{
	if (difference == 0)
		return;
	if (counting.found || !is_counting(purchase) || difference != counting.change.change)
		refuse_trigger_on(purchase_table(purchase.kind));
	counting.found = true;
	check_suspension(&counting.change, suspended);
}

/*
 * Raises PT403 unless the organization may use seats.  Returns the lifetime of its own invitations,
 * null if the setting applies.  Between SPI_connect() and SPI_finish(), which frees the result.
 *
 * Callers lock the row that they want to change first.  This takes a statement of its own: a
 * statement that waits for a row lock rechecks that row only, and would see an organization that it
 * joins as it was before the wait.
 *
 * Locks: nothing.
 */
NullableDatum
organization_allowed(const pg_uuid_t *id)
{
	static const int columns[] = {ORGANIZATION_PRICING_ENABLED, ORGANIZATION_INVITATION_TTL};
	NullableDatum key = {UUIDPGetDatum(id), false};
	NullableDatum values[lengthof(columns)];
	DirectResult result = direct_read_newest(&direct_organizations, FIRST_KEY, key, columns,
											 values, lengthof(columns));

	if (result == DIRECT_NOT_POSSIBLE)
	{
		Rows rows = statement_execute(&read_organization, &key);

		result = rows.count == 0 ? DIRECT_NOT_FOUND : DIRECT_FOUND;
		for (size_t i = 0; i < lengthof(columns) && rows.count > 0; i++)
			values[i] = rows_value(&rows, 0, (int) i + 1);
	}
	if (result == DIRECT_FOUND && values[0].isnull)
		refuse_null_column("seat_based_pricing_enabled");
	if (result != DIRECT_FOUND || !DatumGetBool(values[0].value))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	return values[1];
}
