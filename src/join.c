/*
 * join.c
 *		Joining by a join link: asking for an invitation to a free seat, and describing the link.
 *
 * Whoever has the link must not find out who holds a seat.  So an address that holds one gets the
 * same answer as any other, and gets it as late: a seat is given to a customer who is made up, and
 * that is rolled back.  Both are done in a subtransaction, which is rolled back or not.  The
 * invitation is left to the application to send, to the address that was given.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "allocate.h"
#include "assign.h"
#include "catalog.h"
#include "compat.h"
#include "customer.h"
#include "errors.h"
#include "input.h"
#include "join.h"
#include "join_link.h"
#include "jwt.h"
#include "statement.h"
#include "subtransaction.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_join_info);
PG_FUNCTION_INFO_V1(seats_join_seat);

/* ---- join_info() ---- */

/* The fields of the type seats.join_info. */
enum
{
	INFO_PRODUCT_NAME,
	INFO_ORGANIZATION_NAME,
	INFO_ORGANIZATION_SLUG,
	INFO_EMAIL_DOMAINS,
	INFO_CAN_JOIN,
	INFO_COUNT
};

static const Oid info_types[INFO_COUNT] = {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, BOOLOID};

/* Whether a link has uses left, is valid, and its purchase has a free seat. */
#define CAN_JOIN \
	"(l.max_uses IS NULL OR l.uses < l.max_uses) AND l.expires_at > $2 " \
	"AND COALESCE(LEAST(b.seats, b.seats_next) - b.assigned_seats, " \
	"r.seats - r.assigned_seats) > 0"

static Statement describe_link = {
	.sql = "SELECT d.name, o.name, o.slug, l.email_domains, " CAN_JOIN ", "
		   "l.revoked_at IS NOT NULL, o.seat_based_pricing_enabled, "
		   "COALESCE(b.status, r.status) AS status FROM seats.join_links AS l "
		   "JOIN seats.organizations AS o ON o.id = l.organization_id "
		   "LEFT JOIN seats.subscriptions AS b ON b.id = l.subscription_id "
		   "LEFT JOIN seats.orders AS r ON r.id = l.order_id "
		   "JOIN seats.products AS d ON d.id = COALESCE(b.product_id, r.product_id) "
		   "WHERE l.token_hash = $1",
	.nargs = 2,
	.argtypes = {BYTEAOID, TIMESTAMPTZOID},
};

/* Describes a join link; see join_info().  Raises join_link_invalid and PT403. */
Datum
join_info_operation(TupleDesc type, const text *token)
{
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum arguments[] = {{0}, {TimestampTzGetDatum(GetCurrentTimestamp()), false}};
	NullableDatum fields[INFO_COUNT];
	const char *status;
	uint32 route;
	bytea *hash;
	Rows rows;
	Datum info;

	if (!token_read(token, TOKEN_JOIN_LINK, &route, &hash))
		token_refuse(JOIN_LINK_INVALID, token);
	arguments[0].value = PointerGetDatum(hash);

	SPI_connect();
	rows = statement_read(&describe_link, arguments);
	if (rows.count == 0 || DatumGetBool(rows_required(&rows, 0, INFO_COUNT + 1)))
		raise_error(JOIN_LINK_INVALID);
	if (!DatumGetBool(rows_required(&rows, 0, INFO_COUNT + 2)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	status = TextDatumGetCString(rows_required(&rows, 0, INFO_COUNT + 3));
	rows_fields(&rows, fields, info_types, INFO_COUNT);
	fields[INFO_CAN_JOIN].value = BoolGetDatum(DatumGetBool(fields[INFO_CAN_JOIN].value) &&
											   purchase_status_is_assignable(status));
	info = form_composite(type->tdtypeid, fields, info_types, INFO_COUNT, caller);
	SPI_finish();
	return info;
}

/*
 * join_info(join_token text): tells what a join link is for, and whether a new address would be
 * given a seat now.  Changes and locks nothing.  Raises join_link_invalid, PT403 and PT422.
 */
Datum
seats_join_info(PG_FUNCTION_ARGS)
{
	const text *token = token_argument(fcinfo, "join_token");

	return join_info_operation(result_type(fcinfo), token);
}

/* ---- join_seat() ---- */

/* A call of join_seat(). */
typedef struct Joining
{
	const bytea *hash; /* of the token */
	const text *email;
	JoinLink link;
	bool holds;		   /* the address holds a seat of the purchase */
	bool expired;	   /* that seat is pending, and its invitation has expired */
	pg_uuid_t seat_id; /* of that seat */
} Joining;

/* Whether the invitation to a seat has expired, and can be renewed. */
#define CAN_RENEW \
	"s.status = 'pending' AND s.suspended_at IS NULL " \
	"AND s.invitation_token_expires_at <= $4"

#define SAME_ADDRESS LOWER_STORED " = " LOWER("$3")

/* The seat of a purchase that a customer with an address holds. */
#define FIND_HELD(purchase) \
	{ \
		.sql = "SELECT s.id, s.expired FROM (SELECT c.id FROM seats.customers AS c " \
			   "WHERE c.organization_id = $2 AND " SAME_ADDRESS " OFFSET 0) AS c " \
			   "CROSS JOIN LATERAL (SELECT s.id, " CAN_RENEW " AS expired " \
			   "FROM seats.customer_seats AS s " \
			   "WHERE s." purchase " = $1 AND s.customer_id = c.id OFFSET 0) AS s", \
		.nargs = 4, .argtypes = { \
			UUIDOID, \
			UUIDOID, \
			TEXTOID, \
			TIMESTAMPTZOID \
		} \
	}

static Statement find_held[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = FIND_HELD("subscription_id"),
	[PURCHASE_ORDER] = FIND_HELD("order_id"),
};

/* Finds out whether the address holds a seat of a locked purchase. */
static void
find_seat(Joining *join, const Purchase *purchase)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&purchase->id.id), false},
		{UUIDPGetDatum(&purchase->organization_id), false},
		{PointerGetDatum(join->email), false},
		{TimestampTzGetDatum(GetCurrentTimestamp()), false},
	};
	Rows rows = statement_execute(&find_held[purchase->id.kind], arguments);

	join->holds = rows.count > 0;
	if (!join->holds)
		return;
	join->seat_id = *DatumGetUUIDP(rows_required(&rows, 0, 1));
	join->expired = DatumGetBool(rows_required(&rows, 0, 2));
}

/*
 * Locks the purchase of a link and then the link, and checks both; raises PT400 and PT403.  The
 * first look at the link locks nothing, so that nobody waits for a link that cannot be used.
 */
static void
lock_link(Joining *join, Allocation *allocation)
{
	if (!join_link_find(join->hash, false, &join->link))
		raise_error(JOIN_LINK_INVALID);
	join_link_check(&join->link, join->email);
	if (!purchase_lock(join->link.purchase, &allocation->purchase) ||
		!join_link_find(join->hash, true, &join->link))
		raise_error(JOIN_LINK_INVALID);
	join_link_check(&join->link, join->email);
	allocation_check_status(allocation);
	/* A buyer who lets others join has not agreed to pay for more. */
	allocation->purchase.limit = 0;
}

/* Returns an address that nobody has, of the same domain as another. */
static Datum
made_up_address(const text *email)
{
	const char *string = text_to_cstring(email);
	pg_uuid_t *id = DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));

	return CStringGetTextDatum(psprintf("%s%s", uuid_string(id), strchr(string, '@')));
}

/* Gives a seat to the one who joins, or to a customer who is made up, and counts the use. */
static void
give_seat(Joining *join, Allocation *allocation)
{
	NullableDatum email = {PointerGetDatum(join->email), false};
	bool made_up = join->holds;

	if (made_up)
		email.value = made_up_address(join->email);
	allocation->customers = palloc(sizeof(Customer));
	*allocation->customers = customer_by_email(&allocation->purchase.organization_id, email);
	/* An UPDATE may have given the address to one who holds a seat, before it was locked. */
	if (!made_up)
		find_seat(join, &allocation->purchase);
	if (!made_up && join->holds)
		return;
	allocate(allocation);
	join_link_use(&join->link);
}

/*
 * Gives a seat to the one who joins; returns whether that is to stay: not if the address holds one.
 * Raises the errors of join_seat().
 */
static bool
join_once(void *state)
{
	Joining *join = state;
	Allocation allocation = {.count = 1,
							 .metadata = {.isnull = true},
							 .join_link_id = &join->link.id,
							 .seat_type = seat_type(),
							 .context = CurrentMemoryContext,
							 .before = statements_writing()};

	join->holds = false;
	join->expired = false;
	lock_link(join, &allocation);
	find_seat(join, &allocation.purchase);
	if (!join->holds && !join_link_has_uses(&join->link))
		raise_error(JOIN_LINK_EXHAUSTED);
	if (!join->holds && !allocation_has_room(&allocation))
		raise_error(NO_AVAILABLE_SEATS);
	if (join_link_has_uses(&join->link) && allocation_has_room(&allocation))
		give_seat(join, &allocation);
	return !join->holds;
}

/*
 * Tells whether an error concerns only the customer who is made up, and not whoever joins: a
 * constraint or a trigger of the owner may refuse such a customer.
 */
static bool
is_about_nobody(const ErrorData *error, const void *state)
{
	const Joining *join = state;

	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE: /* lock_timeout among them */
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return join->holds;
	}
}

/*
 * Gives an address a pending seat, or renews its invitation; see join_seat().  Raises PT400 and
 * PT403.
 */
void
join_operation(const text *token, const text *email)
{
	Joining join = {.email = email};
	uint32 route;
	bytea *hash;

	if (!token_read(token, TOKEN_JOIN_LINK, &route, &hash))
		token_refuse(JOIN_LINK_INVALID, token);
	join.hash = hash;
	SPI_connect();
	/*
	 * The subtransaction has released its locks before the expired invitation is renewed.  If the
	 * seat was revoked or suspended in between, begin again.
	 */
	while (!subtransaction_try(join_once, &join, is_about_nobody) && join.expired &&
		   !renew_invitation(&join.seat_id, &join.link.id))
		CHECK_FOR_INTERRUPTS();
	SPI_finish();
}

/*
 * join_seat(join_token text, email text): gives the address a pending seat of the link's purchase,
 * and leaves it to the application to send the invitation.  An address that holds a seat gets the
 * same answer, and nothing changes, but an invitation that has expired is renewed.  The number of
 * seats is never raised.  Raises PT400, PT403 and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the subscription or order; the link; the customer FOR SHARE (or makes it); then a revoked
 * seat if there is one to use again.  If the address holds a seat, it releases all that, and locks
 * that seat if its invitation has expired.
 */
Datum
seats_join_seat(PG_FUNCTION_ARGS)
{
	const text *token;
	Faults faults;

	PreventCommandIfReadOnly("join_seat()");
	faults_start(&faults);
	token = check_token(fcinfo, 0, &faults, "join_token");
	if (PG_ARGISNULL(1))
		fault_add(&faults, "email", "Input should be a valid string", "string_type");
	else
		check_email(&faults, PG_GETARG_TEXT_PP(1), "email");
	faults_raise(&faults);
	join_operation(token, PG_GETARG_TEXT_PP(1));
	PG_RETURN_VOID();
}
