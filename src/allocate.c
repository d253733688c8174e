/*
 * allocate.c
 *		Allocating seats of a purchase to customers.
 *
 * Seats are allocated one after the other without the executor.  As soon as that is not possible,
 * two statements allocate the rest, however many there are.  The rows of revoked seats are used
 * again, with new ids, before new ones are made.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "allocate.h"
#include "catalog.h"
#include "compat.h"
#include "direct_seat.h"
#include "errors.h"
#include "seats.h"
#include "statement.h"
#include "token.h"

/* ---- Whether seats may be allocated ---- */

/* Finds those of some customers that already have a seat of the purchase, and its status. */
#define FIND_HOLDERS(purchase) \
	{ \
		.sql = \
			"SELECT c.position::pg_catalog.int4, s.pending, s.invitation_token_expires_at " \
			"FROM pg_catalog.unnest($2) WITH ORDINALITY AS c (id, position) " \
			"CROSS JOIN LATERAL (SELECT s.status = 'pending' AS pending, " \
			"s.invitation_token_expires_at FROM seats.customer_seats AS s " \
			"WHERE s." purchase " = $1 AND s.customer_id = c.id OFFSET 0) AS s", \
		.nargs = 2, .argtypes = { \
			UUIDOID, \
			UUIDARRAYOID \
		} \
	}

static Statement find_holders[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = FIND_HOLDERS("subscription_id"),
	[PURCHASE_ORDER] = FIND_HOLDERS("order_id"),
};

/* Whether a customer has a seat of a purchase, or an invitation to one. */
typedef enum Holding
{
	HOLDS_NOTHING,
	HOLDS_SEAT,
	HOLDS_INVITATION,
	HOLDS_EXPIRED_INVITATION
} Holding;

/*
 * Raises PT403 or PT400 if seats of the locked purchase of an allocation may not be assigned.  Sets
 * what the organization says about invitations.
 */
void
allocation_check_status(Allocation *allocation)
{
	const Purchase *purchase = &allocation->purchase;

	allocation->invitation_ttl = organization_allowed(&purchase->organization_id);
	if (!purchase->assignable)
		raise_error(purchase->id.kind == PURCHASE_ORDER ? ORDER_NOT_PAID
														: SUBSCRIPTION_NOT_ACTIVE);
}

/*
 * Locks the purchase of an allocation; raises PT404, PT403 or PT400 if its seats may not be
 * assigned.
 *
 * Locks: its row.  All transactions that assign or revoke its seats wait for each other here.
 */
void
allocation_lock(PurchaseId id, Allocation *allocation)
{
	if (!purchase_lock_for(id, allocation->payer, &allocation->purchase))
		purchase_raise_not_found(id);
	allocation_check_status(allocation);
}

/* Returns the holding of a customer who has a seat, by the clock. */
static Holding
holding_of(bool pending, NullableDatum expiry, TimestampTz now)
{
	if (!pending)
		return HOLDS_SEAT;
	return DatumGetTimestampTz(expiry.value) > now ? HOLDS_INVITATION
												   : HOLDS_EXPIRED_INVITATION;
}

/* Returns the holding of each customer of an allocation, by the clock. */
static Holding *
find_holdings(const Allocation *allocation)
{
	PurchaseId purchase = allocation->purchase.id;
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&purchase.id), false},
		uuid_array(&allocation->customers->id, sizeof(Customer), allocation->count),
	};
	Holding *holdings = palloc0(allocation->count * sizeof(Holding));
	Rows rows = statement_execute(&find_holders[purchase.kind], arguments);
	TimestampTz now = GetCurrentTimestamp();

	for (uint64 i = 0; i < rows.count; i++)
	{
		int position = DatumGetInt32(rows_value(&rows, i, 1).value) - 1;

		holdings[position] = holding_of(DatumGetBool(rows_value(&rows, i, 2).value),
										rows_value(&rows, i, 3), now);
	}
	return holdings;
}

/* Returns the holding of the one customer of an allocation, by the clock. */
static Holding
find_holding(const Allocation *allocation)
{
	NullableDatum customer_id = {UUIDPGetDatum(&allocation->customers->id), false};
	NullableDatum values[SEAT_COLUMNS];
	Oid pending;

	switch (direct_seat_find(allocation->purchase.id, customer_id, values))
	{
		case DIRECT_FOUND:
			pending = direct_seat_status("pending");
			return holding_of(DatumGetObjectId(values[SEAT_STATUS].value) == pending,
							  values[SEAT_INVITATION_TOKEN_EXPIRES_AT], GetCurrentTimestamp());
		case DIRECT_NOT_FOUND:
			return HOLDS_NOTHING;
		default:
			return find_holdings(allocation)[0];
	}
}

/* Raises seat_already_assigned if a customer has a seat; the hint says how to proceed. */
static void
check_holding(Holding holding)
{
	static const char *const hints[] = {
		[HOLDS_SEAT] = "The customer has already claimed a seat of this subscription or "
					   "order. Nothing needs to be done.",
		[HOLDS_INVITATION] =
			"The customer has already been invited to a seat of this subscription or "
			"order. If the invitation was lost, call resend_invitation().",
		[HOLDS_EXPIRED_INVITATION] =
			"The customer's invitation to a seat of this subscription "
			"or order has expired. Call resend_invitation().",
	};

	if (holding != HOLDS_NOTHING)
		raise_error_with_hint(SEAT_ALREADY_ASSIGNED, hints[holding]);
}

/*
 * Adds the place of a customer in the arguments to a JSON array of places, in the form that PT422
 * uses.
 */
static void
add_place(StringInfo places, const Allocation *allocation, int position)
{
	const char *argument = allocation->customers[position].argument;

	if (places->len == 0)
		appendStringInfoChar(places, '[');
	else
	{
		places->data[--places->len] = '\0';
		appendStringInfoString(places, ", ");
	}
	appendStringInfo(places, "[\"body\", \"%s\", %d]]", argument, position);
}

/*
 * Raises seat_already_assigned if a customer has a seat, or is repeated; the hint has the places of
 * all such customers.
 */
static void
check_holders(const Allocation *allocation)
{
	const Holding *holdings = find_holdings(allocation);
	bool expired = false;
	StringInfoData places;

	initStringInfo(&places);
	for (int i = 0; i < allocation->count; i++)
	{
		if (holdings[i] != HOLDS_NOTHING || allocation->customers[i].repeated)
			add_place(&places, allocation, i);
		expired = expired || holdings[i] == HOLDS_EXPIRED_INVITATION;
	}
	if (places.len > 0)
		raise_error_with_hint(
			SEAT_ALREADY_ASSIGNED,
			psprintf(
				"Leave out %s. These customers already have seats of this subscription or "
				"order, or appear earlier in the list.%s",
				places.data,
				expired ? " If an invitation has expired, call resend_invitation()." : ""));
}

/* Returns how many more seats may be assigned; some only if the number of seats is raised. */
static int
free_seats_of(const Purchase *purchase)
{
	return Max(Max(purchase->most, purchase->limit) - purchase->assigned_seats, 0);
}

/*
 * Raises the number of the purchase's seats to what an allocation needs, if it has a limit, and if
 * there are too few.
 */
static void
raise_seats(Allocation *allocation)
{
	const Purchase *purchase = &allocation->purchase;
	int32 needed = purchase->assigned_seats + allocation->count;

	if (needed <= purchase->most)
		return;
	purchase_raise_seats(purchase->id, needed);
	allocation->raised = needed;
}

/*
 * Raises no_available_seats if there are not enough; the hint has the places of the customers left.
 */
static void
check_free_seats(const Allocation *allocation)
{
	int free_seats = free_seats_of(&allocation->purchase);
	StringInfoData places;

	if (allocation->count <= free_seats)
		return;
	initStringInfo(&places);
	for (int i = free_seats; i < allocation->count; i++)
		add_place(&places, allocation, i);
	raise_error_with_hint(
		NO_AVAILABLE_SEATS,
		psprintf("There are free seats for %d of %d customers, and none for %s. Buy more "
				 "seats, revoke some, or leave these customers out.",
				 free_seats, allocation->count, places.data));
}

/* Tells whether there are enough seats for an allocation; some only if their number is raised. */
bool
allocation_has_room(const Allocation *allocation)
{
	return allocation->count <= free_seats_of(&allocation->purchase);
}

/*
 * Raises seat_already_assigned if the one customer of an allocation has a seat, and then
 * no_available_seats if there is none.
 */
void
allocation_check_one(const Allocation *allocation)
{
	check_holding(find_holding(allocation));
	if (!allocation_has_room(allocation))
		raise_error(NO_AVAILABLE_SEATS);
}

/*
 * Raises seat_already_assigned if a customer of an allocation has a seat or is repeated, and then
 * no_available_seats if there are not enough.
 */
void
allocation_check_all(const Allocation *allocation)
{
	check_holders(allocation);
	check_free_seats(allocation);
}

/* ---- Allocating by statements ---- */

/* A revoked seat has no customer, and an index finds it by that. */
#define LOCK_REVOKED(purchase) \
	{ \
		.sql = "SELECT s.id FROM seats.customer_seats AS s " \
			   "WHERE s.id = ANY (ARRAY(SELECT r.id FROM seats.customer_seats AS r " \
			   "WHERE r." purchase " = $1 AND r.customer_id IS NULL LIMIT $2)) " \
			   "AND s.revoked_at IS NOT NULL ORDER BY s.id FOR NO KEY UPDATE", \
		.nargs = 2, .argtypes = { \
			UUIDOID, \
			INT8OID \
		} \
	}

static Statement lock_revoked[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LOCK_REVOKED("subscription_id"),
	[PURCHASE_ORDER] = LOCK_REVOKED("order_id"),
};

/*
 * The statements that write seats begin with the same arguments: first those that all seats have in
 * common, then those of each seat.
 */
#define SEATS_ARGUMENTS 8
#define SEATS_ARGUMENT_TYPES \
	TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID, UUIDARRAYOID, TEXTARRAYOID, \
		BYTEAARRAYOID, TIMESTAMPTZARRAYOID
#define UNNESTED \
	"pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8)"

/*
 * Whether a seat was written as it was meant, in the columns that all seats have in common.  A
 * trigger may add metadata.
 */
#define IS_ALLOCATED \
	"s.status = $1::seats.seat_status " \
	"AND s.invitation_token_expires_at IS NOT DISTINCT FROM $3 " \
	"AND s.expiry_watched = ($3 IS NOT NULL) AND s.claim_key_hash IS NULL " \
	"AND ($4 IS NULL OR s.seat_metadata @> $4)"

/*
 * Whoever has kept the id of a revoked seat must not do harm to the next holder, so a row that is
 * used again gets a new id.
 */
#define UPDATE_SEATS_ARGUMENTS (SEATS_ARGUMENTS + 1)
static Statement update_seats = {
	.sql =
		"UPDATE seats.customer_seats AS s "
		"SET id = pg_catalog.gen_random_uuid(), created_at = $2, modified_at = NULL, "
		"status = $1::seats.seat_status, "
		"invitation_token_expires_at = $3, seat_metadata = $4, "
		"customer_id = a.customer_id, customer_email = a.customer_email, "
		"invitation_token_hash = a.invitation_token_hash, claimed_at = a.claimed_at, "
		"expiry_watched = $3 IS NOT NULL, claim_key_hash = NULL, revoked_at = NULL "
		"FROM ROWS FROM (" UNNESTED ", pg_catalog.unnest($9)) WITH ORDINALITY "
		"AS a (customer_id, customer_email, invitation_token_hash, claimed_at, id, position) "
		"WHERE s.id = a.id "
		"RETURNING " SEAT_FIELDS ", s.invitation_token_hash, a.position::pg_catalog.int4, "
		"s.id <> a.id AND s.created_at = $2 AND s.modified_at IS NULL "
		"AND s.revoked_at IS NULL AND " IS_ALLOCATED,
	.nargs = UPDATE_SEATS_ARGUMENTS,
	.argtypes = {SEATS_ARGUMENT_TYPES, UUIDARRAYOID},
	.table = "customer_seats",
};

#define INSERT_SEATS_ARGUMENTS (SEATS_ARGUMENTS + 3)
static Statement insert_seats = {
	.sql = "INSERT INTO seats.customer_seats AS s "
		   "(status, created_at, invitation_token_expires_at, seat_metadata, "
		   "expiry_watched, organization_id, subscription_id, order_id, "
		   "customer_id, customer_email, invitation_token_hash, claimed_at) "
		   "SELECT $1::seats.seat_status, $2, $3, $4, $3 IS NOT NULL, $9, $10, $11, a.* "
		   "FROM ROWS FROM (" UNNESTED ") AS a "
		   "RETURNING " SEAT_FIELDS ", s.invitation_token_hash, "
		   "s.created_at = $2 AND s.organization_id = $9 "
		   "AND s.subscription_id IS NOT DISTINCT FROM $10 "
		   "AND s.order_id IS NOT DISTINCT FROM $11 AND " IS_ALLOCATED,
	.nargs = INSERT_SEATS_ARGUMENTS,
	.argtypes = {SEATS_ARGUMENT_TYPES, UUIDOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/* The seats as they are in the end, and whether each is as the result says. */
static Statement confirm_allocated = {
	.sql =
		"SELECT " SEAT_FIELDS ", a.position::pg_catalog.int4, "
		"s.status = $4::seats.seat_status AND s.customer_id = a.customer_id "
		"AND s.invitation_token_hash IS NOT DISTINCT FROM a.hash "
		"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) "
		"WITH ORDINALITY AS a (id, customer_id, hash, position) "
		"CROSS JOIN LATERAL (SELECT t.* FROM seats.customer_seats AS t "
		"WHERE t.id = a.id OFFSET 0) AS s",
	.nargs = 4,
	.argtypes = {UUIDARRAYOID, UUIDARRAYOID, BYTEAARRAYOID, TEXTOID},
	.table = "customer_seats",
};

/* Returns a value if a condition holds, otherwise null. */
static NullableDatum
value_if(bool condition, Datum value)
{
	NullableDatum result = {condition ? value : (Datum) 0, !condition};

	return result;
}

/*
 * Returns when an invitation issued now expires: by the lifetime that its organization sets, or by
 * the setting if that is null.
 */
TimestampTz
invitation_expiry(TimestampTz now, NullableDatum own_ttl)
{
	if (own_ttl.isnull)
		return now + setting_invitation_ttl * USECS_PER_SEC;
	return DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now), own_ttl.value));
}

/* Returns the status that the seats of an allocation get, as text. */
static Datum
status_of(const Allocation *allocation)
{
	return CStringGetTextDatum(allocation->claimed ? "claimed" : "pending");
}

/* Generates the tokens of the invitations, unless the seats are claimed immediately. */
static void
issue_invitations(Allocation *allocation)
{
	uint32 route = organization_route(&allocation->purchase.organization_id);

	for (int i = 0; i < allocation->count; i++)
	{
		bytea *hash = NULL;

		CHECK_FOR_INTERRUPTS();
		allocation->seats[i].token = allocation->claimed
			? NULL
			: token_issue(TOKEN_INVITATION, route, allocation->context, &hash);
		allocation->hashes[i] = value_if(!allocation->claimed, PointerGetDatum(hash));
	}
}

/* Returns when the customer at a position has claimed the seat, or null if it is not claimed. */
static NullableDatum
claim_of(const Allocation *allocation, int position)
{
	if (allocation->claimed_at != NULL && !allocation->claimed_at[position].isnull)
		return allocation->claimed_at[position];
	return value_if(allocation->claimed, TimestampTzGetDatum(allocation->now));
}

/* Fills the arguments with which both statements begin, for some of the customers. */
static void
fill_arguments(const Allocation *allocation, int first, int count, NullableDatum *arguments)
{
	const Customer *customers = allocation->customers + first;
	TimestampTz now = allocation->now;
	TimestampTz expires_at = invitation_expiry(now, allocation->invitation_ttl);
	NullableDatum *emails = palloc(count * sizeof(NullableDatum));
	NullableDatum *claimed_at = palloc(count * sizeof(NullableDatum));

	for (int i = 0; i < count; i++)
	{
		emails[i] = customers[i].email;
		claimed_at[i] = claim_of(allocation, first + i);
	}
	arguments[0] = value_if(true, status_of(allocation));
	arguments[1] = value_if(true, TimestampTzGetDatum(now));
	arguments[2] = value_if(!allocation->claimed, TimestampTzGetDatum(expires_at));
	arguments[3] = allocation->metadata;
	arguments[4] = uuid_array(&customers->id, sizeof(Customer), count);
	arguments[5] = datum_array(emails, count, TEXTOID);
	arguments[6] = datum_array(allocation->hashes + first, count, BYTEAOID);
	arguments[7] = datum_array(claimed_at, count, TIMESTAMPTZOID);
}

/* Tells whether two values of a type of varying length are the same, or both null. */
static bool
is_same(NullableDatum a, NullableDatum b)
{
	if (a.isnull || b.isnull)
		return a.isnull && b.isnull;
	return datum_image_eq(a.value, b.value, false, -1);
}

/* Tells whether two times are the same, or both null. */
static bool
is_same_time(NullableDatum a, NullableDatum b)
{
	if (a.isnull || b.isnull)
		return a.isnull && b.isnull;
	return DatumGetTimestampTz(a.value) == DatumGetTimestampTz(b.value);
}

/*
 * Keeps a row as the seat of the customer at a position; raises 09000 if it is not the one that was
 * to be written.
 */
static void
keep_seat(Allocation *allocation, const Rows *rows, uint64 row, int position)
{
	const Customer *customer = &allocation->customers[position];
	NullableDatum customer_id = rows_value(rows, row, SEAT_FIELD_CUSTOMER_ID);
	SeatEvent *event = &allocation->events[position];

	if (customer_id.isnull ||
		memcmp(DatumGetUUIDP(customer_id.value), &customer->id, UUID_LEN) != 0 ||
		!is_same(rows_value(rows, row, SEAT_FIELD_CUSTOMER_EMAIL), customer->email) ||
		!is_same_time(rows_value(rows, row, SEAT_FIELD_CLAIMED_AT),
					  claim_of(allocation, position)) ||
		!is_same(rows_value(rows, row, SEAT_FIELD_COUNT + 1), allocation->hashes[position]))
		refuse_altered_row("customer_seats");
	event->ids.id = *DatumGetUUIDP(rows_required(rows, row, SEAT_FIELD_ID));
	event->ids.organization_id = allocation->purchase.organization_id;
	event->ids.customer_id = customer->id;
	event->purchase = allocation->purchase.id;
	event->seat = rows_composite(rows, row, allocation->seat_type, SEAT_FIELD_COUNT,
								 allocation->context);
	allocation->seats[position].seat = event->seat;
}

/*
 * Allocates the rows of revoked seats, as far as there are any, to the customers from a position
 * on; returns how many.
 *
 * Locks: the rows, in the order of their ids.
 */
static int
reuse_seats(Allocation *allocation, int first)
{
	PurchaseId purchase = allocation->purchase.id;
	int wanted = allocation->count - first;
	NullableDatum which[] = {
		{UUIDPGetDatum(&purchase.id), false},
		{Int64GetDatum(wanted), false},
	};
	NullableDatum arguments[UPDATE_SEATS_ARGUMENTS];
	Rows rows = statement_execute(&lock_revoked[purchase.kind], which);
	int count = (int) rows.count;
	NullableDatum *ids;

	if (count == 0)
		return 0;
	if (count > wanted)
		refuse_repeated_ids();
	ids = palloc(count * sizeof(NullableDatum));
	for (int i = 0; i < count; i++)
		ids[i] = rows_value(&rows, i, 1);
	fill_arguments(allocation, first, count, arguments);
	arguments[SEATS_ARGUMENTS] = datum_array(ids, count, UUIDOID);
	rows = statement_change(&update_seats, arguments, count);
	for (int i = 0; i < count; i++)
	{
		NullableDatum position = rows_value(&rows, i, SEAT_FIELD_COUNT + 2);

		keep_seat(allocation, &rows, i, first + DatumGetInt32(position.value) - 1);
	}
	return count;
}

/*
 * Allocates new rows to the customers from a position on.  An INSERT returns its rows in the order
 * in which it gets them.
 */
static void
add_seats(Allocation *allocation, int first)
{
	const Purchase *purchase = &allocation->purchase;
	bool order = purchase->id.kind == PURCHASE_ORDER;
	int count = allocation->count - first;
	NullableDatum arguments[INSERT_SEATS_ARGUMENTS];
	Rows rows;

	if (count == 0)
		return;
	fill_arguments(allocation, first, count, arguments);
	arguments[SEATS_ARGUMENTS] = value_if(true, UUIDPGetDatum(&purchase->organization_id));
	arguments[SEATS_ARGUMENTS + 1] = value_if(!order, UUIDPGetDatum(&purchase->id.id));
	arguments[SEATS_ARGUMENTS + 2] = value_if(order, UUIDPGetDatum(&purchase->id.id));
	rows = statement_change(&insert_seats, arguments, count);
	for (int i = 0; i < count; i++)
		keep_seat(allocation, &rows, i, first + i);
}

/* ---- Allocating without the executor ---- */

/* The columns that a new seat is given; the others have their defaults. */
static const bool given_columns[SEAT_COLUMNS] = {
	[SEAT_STATUS] = true,
	[SEAT_CREATED_AT] = true,
	[SEAT_INVITATION_TOKEN_EXPIRES_AT] = true,
	[SEAT_CLAIMED_AT] = true,
	[SEAT_METADATA] = true,
	[SEAT_EXPIRY_WATCHED] = true,
	[SEAT_ORGANIZATION_ID] = true,
	[SEAT_SUBSCRIPTION_ID] = true,
	[SEAT_ORDER_ID] = true,
	[SEAT_CUSTOMER_ID] = true,
	[SEAT_CUSTOMER_EMAIL] = true,
	[SEAT_INVITATION_TOKEN_HASH] = true,
};

/* Sets these columns of a seat for the customer at a position. */
static void
fill_values(const Allocation *allocation, int position, NullableDatum *values)
{
	const Purchase *purchase = &allocation->purchase;
	const Customer *customer = &allocation->customers[position];
	bool order = purchase->id.kind == PURCHASE_ORDER;
	bool claimed = allocation->claimed;
	TimestampTz now = allocation->now;
	TimestampTz expires_at = invitation_expiry(now, allocation->invitation_ttl);
	Oid status = direct_seat_status(claimed ? "claimed" : "pending");

	values[SEAT_STATUS] = value_if(true, ObjectIdGetDatum(status));
	values[SEAT_CREATED_AT] = value_if(true, TimestampTzGetDatum(now));
	values[SEAT_INVITATION_TOKEN_EXPIRES_AT] = value_if(!claimed,
														TimestampTzGetDatum(expires_at));
	values[SEAT_CLAIMED_AT] = claim_of(allocation, position);
	values[SEAT_METADATA] = allocation->metadata;
	values[SEAT_EXPIRY_WATCHED] = value_if(true, BoolGetDatum(!claimed));
	values[SEAT_ORGANIZATION_ID] = value_if(true, UUIDPGetDatum(&purchase->organization_id));
	values[SEAT_SUBSCRIPTION_ID] = value_if(!order, UUIDPGetDatum(&purchase->id.id));
	values[SEAT_ORDER_ID] = value_if(order, UUIDPGetDatum(&purchase->id.id));
	values[SEAT_CUSTOMER_ID] = value_if(true, UUIDPGetDatum(&customer->id));
	values[SEAT_CUSTOMER_EMAIL] = customer->email;
	values[SEAT_INVITATION_TOKEN_HASH] = allocation->hashes[position];
}

/*
 * Allocates the row of a revoked seat, which has these values, to the customer at a position;
 * returns false, with nothing done, if that needs statements.
 */
static bool
reuse_directly(const Allocation *allocation, int position, NullableDatum *values)
{
	const NullableDatum null = {.isnull = true};
	pg_uuid_t id = *DatumGetUUIDP(seat_required(values, SEAT_ID));

	if (DatumGetObjectId(values[SEAT_STATUS].value) != direct_seat_status("revoked"))
		return false;
	fill_values(allocation, position, values);
	values[SEAT_ID].value = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	values[SEAT_MODIFIED_AT] = null;
	values[SEAT_REVOKED_AT] = null;
	values[SEAT_CLAIM_KEY_HASH] = null;
	return direct_seat_update(&id, values);
}

/*
 * Allocates a seat to the customer at a position, and adds it to the change of the count; returns
 * false, with nothing done, if that needs statements.
 */
static bool
allocate_directly(Allocation *allocation, int position, CountChange *change)
{
	const NullableDatum nobody = {.isnull = true};
	const Purchase *purchase = &allocation->purchase;
	NullableDatum values[SEAT_COLUMNS];
	SeatEvent *event = &allocation->events[position];
	DirectResult revoked = allocation->all_used
		? DIRECT_NOT_FOUND
		: direct_seat_find(purchase->id, nobody, values);
	bool done = false;

	allocation->all_used = revoked == DIRECT_NOT_FOUND;
	if (revoked == DIRECT_FOUND)
		done = reuse_directly(allocation, position, values);
	else if (revoked == DIRECT_NOT_FOUND)
	{
		fill_values(allocation, position, values);
		done = direct_insert(&direct_seats, values, given_columns);
	}
	if (!done)
		return false;
	change->change++;
	/* A default of the owner's may suspend it, which is refused when it is counted. */
	if (!values[SEAT_SUSPENDED_AT].isnull)
		change->suspended++;
	event->ids.id = *DatumGetUUIDP(seat_required(values, SEAT_ID));
	event->ids.organization_id = purchase->organization_id;
	event->ids.customer_id = allocation->customers[position].id;
	event->purchase = purchase->id;
	event->seat = direct_seat_form(values, allocation->seat_type, allocation->context);
	allocation->seats[position].seat = event->seat;
	return true;
}

/*
 * Allocates seats to as many of the first customers as possible without the executor, and counts
 * them; returns how many.
 */
static int
allocate_first(Allocation *allocation)
{
	CountChange change = {.purchase = allocation->purchase.id};
	int count = 0;

	while (count < allocation->count && allocate_directly(allocation, count, &change))
	{
		CHECK_FOR_INTERRUPTS();
		count++;
	}
	if (count > 0)
		purchase_count(change);
	return count;
}

/* ---- Allocating ---- */

/*
 * Takes the seats as they are after all triggers as the result; raises 09000 if one is not as it
 * was written, or if the purchase has ended meanwhile, or has not the number of seats that the
 * events tell.
 */
static void
confirm(Allocation *allocation)
{
	PurchaseId id = allocation->purchase.id;
	Purchase purchase;
	int count = allocation->count;
	NullableDatum arguments[] = {
		uuid_array(&allocation->events->ids.id, sizeof(SeatEvent), count),
		uuid_array(&allocation->events->ids.customer_id, sizeof(SeatEvent), count),
		datum_array(allocation->hashes, count, BYTEAOID),
		value_if(true, status_of(allocation)),
	};
	Rows rows = statement_confirm(&confirm_allocated, arguments, count);

	for (int i = 0; i < count; i++)
	{
		int position = DatumGetInt32(rows_required(&rows, i, SEAT_FIELD_COUNT + 1)) - 1;

		allocation->seats[position].seat = rows_composite(
			&rows, i, allocation->seat_type, SEAT_FIELD_COUNT, allocation->context);
	}
	if (!purchase_lock(id, &purchase) || !purchase.assignable ||
		(allocation->raised != 0 && allocation->raised != purchase.seats))
		refuse_trigger_on(purchase_table(id.kind));
}

/*
 * Allocates seats of a locked purchase, which has enough free ones or may have more, to customers
 * who have none of it, and records an event for each.  Between SPI_connect() and SPI_finish().
 *
 * Locks: revoked seats that are used again, for which it does not wait without the executor, and
 * with it in the order of their ids; then inserts.
 */
void
allocate(Allocation *allocation)
{
	int count = allocation->count;
	int done;

	allocation->hashes = palloc(count * sizeof(NullableDatum));
	allocation->events = palloc(count * sizeof(SeatEvent));
	allocation->seats = MemoryContextAlloc(allocation->context, count * sizeof(AllocatedSeat));
	issue_invitations(allocation);
	raise_seats(allocation);
	allocation->now = GetCurrentTimestamp();
	done = allocate_first(allocation);
	if (done < count)
	{
		done += reuse_seats(allocation, done);
		add_seats(allocation, done);
	}
	event_record(
		(EventKind){.type = allocation->claimed ? EVENT_CLAIMED : EVENT_ASSIGNED,
					.occurred_at = allocation->now,
					.seats = allocation->raised,
					.imported = allocation->imported,
					.join_link_id = allocation->join_link_id,
					.unsent = allocation->payer != NULL || allocation->join_link_id != NULL},
		allocation->events, count);
	if (statements_writing() != allocation->before && owner_has_triggers())
		confirm(allocation);
}
