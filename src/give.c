/*
 * give.c
 *		Giving free seats of a purchase to customers: one or many, by the same statements.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

#include "array.h"
#include "columns.h"
#include "event.h"
#include "give.h"
#include "interference.h"
#include "kept_plan.h"
#include "row.h"
#include "seat.h"
#include "settings.h"
#include "token.h"

/* A revoked seat has no customer, and an index finds it by that. */
#define LOCK_REVOKED(purchase) \
	"SELECT s.id FROM seats.customer_seats AS s " \
	"WHERE s.id" EQ "ANY (ARRAY(SELECT r.id FROM seats.customer_seats AS r " \
	"WHERE r." purchase EQ "$1 AND r.customer_id IS NULL LIMIT $2)) " \
	"AND s.revoked_at IS NOT NULL ORDER BY s.id FOR NO KEY UPDATE"

static KeptPlan lock_revoked[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = LOCK_REVOKED("subscription_id"),
							   .nargs = 2,
							   .argtypes = {UUIDOID, INT8OID}},
	[PURCHASE_ORDER] = {.sql = LOCK_REVOKED("order_id"),
						.nargs = 2,
						.argtypes = {UUIDOID, INT8OID}},
};

/*
 * Both statements start with what all seats of the gift have, and what each has; then comes
 * which rows, or where they belong.
 */
#define GIFT_ARGUMENTS 8
#define GIFT_ARGUMENT_TYPES \
	TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID, UUIDARRAYOID, \
		TEXTARRAYOID, BYTEAARRAYOID
#define UNNESTED "pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8)"

/*
 * Whether a seat was written as it was meant, as far as all of the gift are alike.  A trigger may
 * add to the metadata.
 */
#define IS_GIVEN \
	"s.status" EQ "$1::seats.seat_status " \
	"AND s.invitation_token_expires_at IS NOT DISTINCT FROM $3 " \
	"AND s.expiry_watched" EQ "($3 IS NOT NULL) AND s.claim_key_hash IS NULL " \
	"AND s.claimed_at IS NOT DISTINCT FROM $4 " \
	"AND ($5 IS NULL OR s.seat_metadata OPERATOR(pg_catalog.@>) $5)"

#define GIVE_AGAIN_ARGUMENTS (GIFT_ARGUMENTS + 1)
static KeptPlan give_again = {
	.sql = "UPDATE seats.customer_seats AS s "
		   "SET status = $1::seats.seat_status, modified_at = $2, "
		   "invitation_token_expires_at = $3, claimed_at = $4, seat_metadata = $5, "
		   "customer_id = g.customer_id, customer_email = g.customer_email, "
		   "invitation_token_hash = g.invitation_token_hash, "
		   "expiry_watched = $3 IS NOT NULL, claim_key_hash = NULL, revoked_at = NULL "
		   "FROM ROWS FROM (" UNNESTED ", pg_catalog.unnest($9)) WITH ORDINALITY "
		   "AS g (customer_id, customer_email, invitation_token_hash, id, position) "
		   "WHERE s.id" EQ "g.id "
		   "RETURNING " SEAT_COLUMNS ", s.invitation_token_hash, g.position::pg_catalog.int4, "
		   "s.id" EQ "g.id AND s.modified_at" EQ "$2 AND s.revoked_at IS NULL AND " IS_GIVEN,
	.nargs = GIVE_AGAIN_ARGUMENTS,
	.argtypes = {GIFT_ARGUMENT_TYPES, UUIDARRAYOID},
	.table = "customer_seats",
};

#define INSERT_SEATS_ARGUMENTS (GIFT_ARGUMENTS + 3)
static KeptPlan insert_seats = {
	.sql = "INSERT INTO seats.customer_seats AS s "
		   "(status, created_at, invitation_token_expires_at, claimed_at, seat_metadata, "
		   "expiry_watched, organization_id, subscription_id, order_id, "
		   "customer_id, customer_email, invitation_token_hash) "
		   "SELECT $1::seats.seat_status, $2, $3, $4, $5, $3 IS NOT NULL, $9, $10, $11, g.* "
		   "FROM ROWS FROM (" UNNESTED ") AS g "
		   "RETURNING " SEAT_COLUMNS ", s.invitation_token_hash, "
		   "s.created_at" EQ "$2 AND s.organization_id" EQ "$9 "
		   "AND s.subscription_id IS NOT DISTINCT FROM $10 "
		   "AND s.order_id IS NOT DISTINCT FROM $11 AND " IS_GIVEN,
	.nargs = INSERT_SEATS_ARGUMENTS,
	.argtypes = {GIFT_ARGUMENT_TYPES, UUIDOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/* The seats as they are in the end, and whether each is what the answer says. */
static KeptPlan check_given = {
	.sql =
		"SELECT " SEAT_COLUMNS ", g.position::pg_catalog.int4, "
		"s.status" EQ "$4::seats.seat_status AND s.customer_id" EQ "g.customer_id "
		"AND s.invitation_token_hash IS NOT DISTINCT FROM g.hash "
		"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) "
		"WITH ORDINALITY AS g (id, customer_id, hash, position) "
		"CROSS JOIN LATERAL (SELECT t.* FROM seats.customer_seats AS t "
		"WHERE t.id" EQ "g.id OFFSET 0) AS s",
	.nargs = 4,
	.argtypes = {UUIDARRAYOID, UUIDARRAYOID, BYTEAARRAYOID, TEXTOID},
	.table = "customer_seats",
};

/* What give_seats() knows while it writes. */
typedef struct Writing
{
	const Gift *gift;
	TimestampTz now;
	NullableDatum *hashes; /* of the tokens; null for seats claimed at once */
	GivenSeat *given;	   /* the result */
	SeatIds *seat_ids;	   /* what the events are about */
	Oid seat_type;
	MemoryContext context; /* where the result lives */
} Writing;

/* Returns a value that is null unless a condition holds. */
static NullableDatum
value_if(bool condition, Datum value)
{
	NullableDatum result = {condition ? value : (Datum) 0, !condition};

	return result;
}

/* Draws the tokens of invitations, unless the seats are claimed at once. */
static void
issue_invitations(Writing *writing)
{
	const Gift *gift = writing->gift;
	uint32 route = organization_route(&gift->purchase.organization_id);

	for (int i = 0; i < gift->count; i++)
	{
		bytea *hash = NULL;

		CHECK_FOR_INTERRUPTS();
		writing->given[i].token = gift->claimed
			? NULL
			: token_issue(TOKEN_INVITATION, route, writing->context, &hash);
		writing->hashes[i] = value_if(!gift->claimed, PointerGetDatum(hash));
	}
}

/* Fills what both statements start with, for some of the customers. */
static void
gift_arguments(const Writing *writing, int first, int count, NullableDatum *arguments)
{
	const Gift *gift = writing->gift;
	const Customer *customers = gift->customers + first;
	NullableDatum *emails = palloc(count * sizeof(NullableDatum));
	TimestampTz expires_at = settings_invitation_expiry(writing->now, gift->invitation_ttl);

	for (int i = 0; i < count; i++)
		emails[i] = customers[i].email;
	arguments[0] = value_if(true, CStringGetTextDatum(gift->claimed ? "claimed" : "pending"));
	arguments[1] = value_if(true, TimestampTzGetDatum(writing->now));
	arguments[2] = value_if(!gift->claimed, TimestampTzGetDatum(expires_at));
	arguments[3] = value_if(gift->claimed, TimestampTzGetDatum(writing->now));
	arguments[4] = gift->metadata;
	arguments[5] = uuid_array(&customers->id, sizeof(Customer), count);
	arguments[6] = datum_array(emails, count, TEXTOID);
	arguments[7] = datum_array(writing->hashes + first, count, BYTEAOID);
}

/* Tells whether two values of a type with a varying length are the same, or both null. */
static bool
is_same(NullableDatum a, NullableDatum b)
{
	if (a.isnull || b.isnull)
		return a.isnull && b.isnull;
	return datum_image_eq(a.value, b.value, false, -1);
}

/*
 * Keeps a row that a statement gave as the seat of the customer at a position; raises 09000 where
 * it is not the one that was to be written.
 */
static void
keep_seat(Writing *writing, uint64 row, int position)
{
	const Customer *customer = &writing->gift->customers[position];
	NullableDatum customer_id = rows_value(row, SEAT_CUSTOMER_ID_COLUMN);
	SeatIds *ids = &writing->seat_ids[position];

	if (customer_id.isnull ||
		memcmp(DatumGetUUIDP(customer_id.value), &customer->id, UUID_LEN) != 0 ||
		!is_same(rows_value(row, SEAT_CUSTOMER_EMAIL_COLUMN), customer->email) ||
		!is_same(rows_value(row, SEAT_COLUMN_COUNT + 1), writing->hashes[position]))
		refuse_altered_row("customer_seats");
	ids->id = *DatumGetUUIDP(rows_required(row, SEAT_ID_COLUMN));
	ids->organization_id = writing->gift->purchase.organization_id;
	ids->customer_id = customer->id;
	writing->given[position].seat = rows_composite(row, writing->seat_type, SEAT_COLUMN_COUNT,
												   writing->context);
}

/*
 * Gives the rows of revoked seats, as far as there are any, to the first customers; returns how
 * many.
 *
 * Locks: the rows, in the order of their ids.
 */
static int
write_again(Writing *writing)
{
	const Purchase *purchase = &writing->gift->purchase;
	NullableDatum which[] = {
		{UUIDPGetDatum(&purchase->id.id), false},
		{Int64GetDatum(writing->gift->count), false},
	};
	NullableDatum arguments[GIVE_AGAIN_ARGUMENTS];
	int count = (int) kept_plan_execute(&lock_revoked[purchase->id.kind], which);
	NullableDatum *ids;

	if (count == 0)
		return 0;
	if (count > writing->gift->count)
		refuse_repeated_ids();
	ids = palloc(count * sizeof(NullableDatum));
	for (int i = 0; i < count; i++)
		ids[i] = rows_value(i, 1);
	gift_arguments(writing, 0, count, arguments);
	arguments[GIFT_ARGUMENTS] = datum_array(ids, count, UUIDOID);
	kept_plan_change(&give_again, arguments, count);
	for (int i = 0; i < count; i++)
		keep_seat(writing, i, DatumGetInt32(rows_value(i, SEAT_COLUMN_COUNT + 2).value) - 1);
	return count;
}

/*
 * Gives new rows to the customers from a position on.  An INSERT gives its rows in the order in
 * which it got them.
 */
static void
write_new(Writing *writing, int first)
{
	const Purchase *purchase = &writing->gift->purchase;
	bool order = purchase->id.kind == PURCHASE_ORDER;
	int count = writing->gift->count - first;
	NullableDatum arguments[INSERT_SEATS_ARGUMENTS];

	if (count == 0)
		return;
	gift_arguments(writing, first, count, arguments);
	arguments[GIFT_ARGUMENTS] = value_if(true, UUIDPGetDatum(&purchase->organization_id));
	arguments[GIFT_ARGUMENTS + 1] = value_if(!order, UUIDPGetDatum(&purchase->id.id));
	arguments[GIFT_ARGUMENTS + 2] = value_if(order, UUIDPGetDatum(&purchase->id.id));
	kept_plan_change(&insert_seats, arguments, count);
	for (int i = 0; i < count; i++)
		keep_seat(writing, i, first + i);
}

/*
 * Answers with the seats as they are once all triggers have run; raises 09000 where one is not as
 * it was written, or where the purchase has ended meanwhile.
 */
static void
check_outcome(Writing *writing)
{
	const Gift *gift = writing->gift;
	Purchase purchase;
	NullableDatum arguments[] = {
		uuid_array(&writing->seat_ids->id, sizeof(SeatIds), gift->count),
		uuid_array(&writing->seat_ids->customer_id, sizeof(SeatIds), gift->count),
		datum_array(writing->hashes, gift->count, BYTEAOID),
		value_if(true, CStringGetTextDatum(gift->claimed ? "claimed" : "pending")),
	};

	kept_plan_confirm(&check_given, arguments, gift->count);
	for (int i = 0; i < gift->count; i++)
	{
		int position = DatumGetInt32(rows_required(i, SEAT_COLUMN_COUNT + 1)) - 1;

		writing->given[position].seat = rows_composite(i, writing->seat_type,
													   SEAT_COLUMN_COUNT, writing->context);
	}
	if (!purchase_lock(gift->purchase.id, &purchase) || !purchase.assignable)
		refuse_trigger_on(gift->purchase.id.kind == PURCHASE_ORDER ? "orders"
																   : "subscriptions");
}

/*
 * Gives seats of a locked purchase, which has as many free, to customers, who hold none of it,
 * and records an event for each; returns them in a memory context, in the order of the
 * customers.  Inside SPI_connect() and SPI_finish().
 *
 * Locks: revoked seats to be given again, in the order of their ids; then inserts.
 */
GivenSeat *
give_seats(const Gift *gift, Oid seat_type, MemoryContext context)
{
	Writing writing = {
		.gift = gift,
		.hashes = palloc(gift->count * sizeof(NullableDatum)),
		.given = MemoryContextAlloc(context, gift->count * sizeof(GivenSeat)),
		.seat_ids = palloc(gift->count * sizeof(SeatIds)),
		.seat_type = seat_type,
		.context = context,
	};

	issue_invitations(&writing);
	writing.now = GetCurrentTimestamp();
	write_new(&writing, write_again(&writing));
	event_record_all(gift->claimed ? EVENT_CLAIMED : EVENT_ASSIGNED, writing.seat_ids,
					 gift->count, writing.now);
	if (owner_has_triggers())
		check_outcome(&writing);
	return writing.given;
}
