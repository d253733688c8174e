/*
 * suspend.c
 *		Suspending the seats of a purchase, and resuming them.
 *
 * The seats of a subscription that is paused or unpaid are kept, but nobody can use them.  A seat
 * has this in a column of its own, so a claim, which locks only the seat, sees it.  The column
 * follows the status of the subscription, and nothing else can change it; see purchase_count() and
 * seats_end_purchase().  The sessions of the seats end as when a seat is revoked; see
 * seats_changed().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "direct_seat.h"
#include "event.h"
#include "revoke.h"
#include "statement.h"
#include "suspend.h"

/* The pending and claimed seats of a purchase that are suspended, or that are not. */
#define LOCK_SEATS(purchase, condition) \
	{ \
		.sql = "SELECT " CHANGED_SEAT_COLUMNS " FROM seats.customer_seats AS s " \
			   "WHERE s." purchase " = $1 AND s.customer_id IS NOT NULL " \
			   "AND s.suspended_at " condition " ORDER BY s.id FOR NO KEY UPDATE", \
		.nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

static Statement lock_usable[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LOCK_SEATS("subscription_id", "IS NULL"),
	[PURCHASE_ORDER] = LOCK_SEATS("order_id", "IS NULL"),
};

static Statement lock_suspended[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LOCK_SEATS("subscription_id", "IS NOT NULL"),
	[PURCHASE_ORDER] = LOCK_SEATS("order_id", "IS NOT NULL"),
};

/* The column is in no index, so these are HOT updates. */
static void
set_suspended(NullableDatum *values, TimestampTz now)
{
	values[SEAT_SUSPENDED_AT] = (NullableDatum){TimestampTzGetDatum(now), false};
}

static SeatChange suspending = {
	.event = EVENT_SUSPENDED,
	.statement = CHANGE_SEATS("suspended_at = $2", "s.suspended_at = $2"),
	.set = set_suspended};

/* House-keeping no longer watches the expiry of a seat that it has met while it was suspended. */
static void
set_usable(NullableDatum *values, TimestampTz now pg_attribute_unused())
{
	bool pending = DatumGetObjectId(values[SEAT_STATUS].value) ==
		direct_seat_status("pending");
	bool watched = DatumGetBool(values[SEAT_EXPIRY_WATCHED].value);

	values[SEAT_SUSPENDED_AT].isnull = true;
	values[SEAT_EXPIRY_WATCHED].value = BoolGetDatum(watched || pending);
}

static SeatChange resuming = {
	.event = EVENT_RESUMED,
	.statement = CHANGE_SEATS("suspended_at = NULL, expiry_watched = "
							  "s.expiry_watched OR s.status = 'pending'",
							  "s.suspended_at IS NULL"),
	.set = set_usable};

/* A seat that is not as its purchase's status says. */
#define FIND_SEAT(purchase) \
	{ \
		.sql = "SELECT FROM seats.customer_seats WHERE " purchase " = $1 " \
			   "AND customer_id IS NOT NULL AND (suspended_at IS NOT NULL) <> $2 LIMIT 1", \
		.nargs = 2, .argtypes = { \
			UUIDOID, \
			BOOLOID \
		} \
	}

static Statement find_other[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = FIND_SEAT("subscription_id"),
	[PURCHASE_ORDER] = FIND_SEAT("order_id"),
};

/* Suspends the seats of a locked purchase, and records an event for each. */
static void
suspend_seats(PurchaseId purchase)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false}};

	(void) change_seats(&lock_usable[purchase.kind], arguments, &suspending, NO_REASON);
}

/* Resumes the seats of a locked purchase, and records an event for each. */
static void
resume_seats(PurchaseId purchase)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false}};

	(void) change_seats(&lock_suspended[purchase.kind], arguments, &resuming, NO_REASON);
}

/* Raises 09000 if a trigger of the owner has kept a seat from being suspended or resumed. */
static void
check_seats(const Purchase *purchase)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&purchase->id.id), false},
		{BoolGetDatum(purchase->suspended), false},
	};

	if (statement_execute(&find_other[purchase->id.kind], arguments).count > 0)
		refuse_trigger_on("customer_seats");
}

/*
 * Suspends the pending and claimed seats of a purchase, or resumes them, as its status is by now: a
 * trigger of the owner may have changed it again.  Between SPI_connect() and SPI_finish(), with the
 * purchase locked.  Raises 09000 if a trigger of the owner prevents that.
 *
 * Locks: the seats, in the order of their ids, then their sessions.
 */
void
suspend_as_purchase(PurchaseId id)
{
	Purchase purchase;

	if (!purchase_lock(id, &purchase))
		return;
	purchase_while_suspending(id, purchase.suspended ? suspend_seats : resume_seats);
	if (owner_has_triggers() && purchase_lock(id, &purchase))
		check_seats(&purchase);
}
