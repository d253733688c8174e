/*
 * claim.c
 *		Claiming a seat with an invitation token, and telling what an invitation is for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "arguments.h"
#include "errors.h"
#include "event.h"
#include "kept_plan.h"
#include "organization.h"
#include "request.h"
#include "row.h"
#include "seat.h"
#include "session.h"
#include "settings.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_claim_seat);
PG_FUNCTION_INFO_V1(seats_claim_info);

/* The seat that an invitation opens, as it is once it is locked. */
typedef struct Invitation
{
	SeatIds seat; /* its customer is set if it is not revoked */
	char *status;
	TimestampTz expires_at; /* of a pending seat */
	TimestampTz claimed_at; /* of a claimed seat */
	bytea *key_hash;		/* of the idempotency key of its claim, or NULL */
} Invitation;

static KeptPlan lock_invitation = {
	.sql = "SELECT s.id, s.organization_id, s.customer_id, s.status::pg_catalog.text, "
		   "s.invitation_token_expires_at, s.claimed_at, s.claim_key_hash "
		   "FROM seats.customer_seats AS s "
		   "WHERE s.invitation_token_hash" EQ "$1 FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static KeptPlan set_claimed = {
	.sql = "UPDATE seats.customer_seats AS s "
		   "SET status = 'claimed', claimed_at = $2, modified_at = $2, claim_key_hash = $3 "
		   "WHERE s.id" EQ "$1 RETURNING " SEAT_COLUMNS,
	.nargs = 3,
	.argtypes = {UUIDOID, TIMESTAMPTZOID, BYTEAOID},
};

/*
 * Changes nothing, but makes a new version of the row: a transaction of a stricter isolation level
 * that began before cannot see the session that comes with it, so it must not get to end it.
 */
static KeptPlan touch_claimed = {
	.sql = "UPDATE seats.customer_seats AS s SET claim_key_hash = s.claim_key_hash "
		   "WHERE s.id" EQ "$1 RETURNING " SEAT_COLUMNS,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static KeptPlan describe_invitation = {
	.sql = "SELECT p.name, p.id, o.name, o.slug, COALESCE(s.customer_email, ''), "
		   "s.status" EQ "'pending' "
		   "AND s.invitation_token_expires_at OPERATOR(pg_catalog.>) $2, "
		   "s.status" EQ "'revoked', o.seat_based_pricing_enabled "
		   "FROM seats.customer_seats AS s "
		   "JOIN seats.organizations AS o ON o.id" EQ "s.organization_id "
		   "LEFT JOIN seats.subscriptions AS b ON b.id" EQ "s.subscription_id "
		   "LEFT JOIN seats.orders AS r ON r.id" EQ "s.order_id "
		   "JOIN seats.products AS p ON p.id" EQ "COALESCE(b.product_id, r.product_id) "
		   "WHERE s.invitation_token_hash" EQ "$1",
	.nargs = 2,
	.argtypes = {BYTEAOID, TIMESTAMPTZOID},
};

/* describe_invitation gives the fields of the type seats.seat_claim_info, and then these. */
#define CLAIM_INFO_COLUMN_COUNT 6
#define REVOKED_COLUMN 7
#define PRICING_ENABLED_COLUMN 8

/*
 * Locks the seat that a token opens; raises invitation_invalid where there is none.  A claim that
 * waits for another here sees what the other left: PostgreSQL looks again at a row that changed
 * while it waited, and raises 40001 at the stricter isolation levels.
 *
 * Locks: the seat's row, FOR NO KEY UPDATE.
 */
static Invitation
lock_seat_of(const bytea *hash)
{
	NullableDatum arguments[] = {{PointerGetDatum(hash), false}};
	Invitation invitation = {0};
	NullableDatum value;

	if (kept_plan_execute(&lock_invitation, arguments) == 0)
		raise_error(INVITATION_INVALID);
	invitation.seat.id = *DatumGetUUIDP(row_value(1).value);
	invitation.seat.organization_id = *DatumGetUUIDP(row_value(2).value);
	value = row_value(3);
	if (!value.isnull)
		invitation.seat.customer_id = *DatumGetUUIDP(value.value);
	invitation.status = TextDatumGetCString(row_value(4).value);
	value = row_value(5);
	if (!value.isnull)
		invitation.expires_at = DatumGetTimestampTz(value.value);
	value = row_value(6);
	if (!value.isnull)
		invitation.claimed_at = DatumGetTimestampTz(value.value);
	value = row_value(7);
	if (!value.isnull)
		invitation.key_hash = DatumGetByteaPP(value.value);
	return invitation;
}

/*
 * Tells whether a call repeats the claim that succeeded: the seat is claimed, by the same
 * idempotency key, and not long before "now".
 */
static bool
is_retry(const Invitation *invitation, const bytea *key_hash, TimestampTz now)
{
	return strcmp(invitation->status, "claimed") == 0 && key_hash != NULL &&
		invitation->key_hash != NULL &&
		DatumGetBool(DirectFunctionCall2(byteaeq, PointerGetDatum(key_hash),
										 PointerGetDatum(invitation->key_hash))) &&
		settings_claim_retry_is_open(invitation->claimed_at, now);
}

/* Raises the error that keeps a seat from being claimed at "now", if there is one. */
static void
check_claimable(const Invitation *invitation, bool retry, TimestampTz now)
{
	if (strcmp(invitation->status, "revoked") == 0)
		raise_error(SEAT_REVOKED);
	if (strcmp(invitation->status, "claimed") == 0 && !retry)
		raise_error(SEAT_ALREADY_CLAIMED);
	if (invitation->expires_at <= now && !retry)
		raise_error(INVITATION_EXPIRED);
	(void) organization_allowed(&invitation->seat.organization_id);
}

/*
 * Makes the seat claimed at "now", records the event, and returns the seat as a composite value
 * in a memory context.
 */
static Datum
claim(const Invitation *invitation, const bytea *key_hash, TimestampTz now, Oid seat_type,
	  MemoryContext context)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&invitation->seat.id), false},
		{TimestampTzGetDatum(now), false},
		{PointerGetDatum(key_hash), key_hash == NULL},
	};
	Datum seat;

	kept_plan_change(&set_claimed, arguments, 1);
	seat = row_composite(seat_type, SEAT_COLUMN_COUNT, context);
	event_record(EVENT_CLAIMED, &invitation->seat, now);
	return seat;
}

/*
 * Answers a claim again: ends the session that the first answer opened, and returns the seat as
 * it is, as a composite value in a memory context.  The claim was recorded then.
 *
 * Locks: the session.
 */
static Datum
claim_again(const Invitation *invitation, Oid seat_type, MemoryContext context)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&invitation->seat.id), false}};

	sessions_end(&invitation->seat.id);
	kept_plan_change(&touch_claimed, arguments, 1);
	return row_composite(seat_type, SEAT_COLUMN_COUNT, context);
}

/*
 * Returns the idempotency key of a claim, or NULL for none: the argument, or else PostgREST's
 * header of the request.  An empty one is none.  Adds a fault where it is over-long.
 */
static const text *
check_idempotency_key(FunctionCallInfo fcinfo, int argno, Faults *faults)
{
	static const char *const headers[] = {"idempotency-key"};
	const text *key = PG_ARGISNULL(argno) ? NULL : PG_GETARG_TEXT_PP(argno);
	char *header;

	if (key == NULL || VARSIZE_ANY_EXHDR(key) == 0)
	{
		request_read(REQUEST_HEADERS, headers, &header, lengthof(headers));
		if (header == NULL || header[0] == '\0')
			return NULL;
		key = cstring_to_text(header);
	}
	check_length(faults, key, "idempotency_key");
	return key;
}

/*
 * claim_seat(invitation_token text, idempotency_key text): claims the seat, opens a session,
 * records the event; returns the seat and the session token.  Of any number of simultaneous
 * claims of one token exactly one succeeds.  One that repeats it with the same idempotency key,
 * soon enough, is answered again, with a new session in place of the first.  Raises PT400, PT403
 * and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the seat's row and nothing else, so a claim holds up nobody but who wants this seat;
 * one that is answered again also locks the session that it ends.  The clock is read when the
 * lock is held: waiting for it may take an invitation past its end.
 */
Datum
seats_claim_seat(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc type;
	Oid seat_type;
	Faults faults;
	const text *token;
	const text *key;
	uint32 route;
	bytea *hash;
	bytea *key_hash;
	Invitation invitation;
	TimestampTz now;
	bool retry;
	Datum seat;
	text *session_token;

	PreventCommandIfReadOnly("claim_seat()");
	type = result_type(fcinfo);
	seat_type = TupleDescAttr(type, 0)->atttypid;
	faults_start(&faults);
	token = check_token(fcinfo, 0, &faults, "invitation_token");
	key = check_idempotency_key(fcinfo, 1, &faults);
	faults_raise(&faults);
	if (!token_read(token, TOKEN_INVITATION, &route, &hash))
		raise_error(INVITATION_INVALID);
	key_hash = key == NULL ? NULL : token_hash_with(token, key);

	SPI_connect();
	invitation = lock_seat_of(hash);
	now = GetCurrentTimestamp();
	retry = is_retry(&invitation, key_hash, now);
	check_claimable(&invitation, retry, now);
	seat = retry ? claim_again(&invitation, seat_type, caller)
				 : claim(&invitation, key_hash, now, seat_type, caller);
	session_token = session_open(&invitation.seat, route, now, caller);
	SPI_finish();
	return result_with_seat(type, seat, session_token);
}

/*
 * claim_info(invitation_token text): what the invitation is for, and whether claim_seat() would
 * accept it.  Changes and locks nothing, so that a mail scanner may fetch it.  Raises PT400 where
 * the token is unknown or its seat revoked, PT403 and PT422.
 */
Datum
seats_claim_info(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc type = result_type(fcinfo);
	const text *token = token_argument(fcinfo, "invitation_token");
	NullableDatum arguments[2] = {0};
	uint32 route;
	bytea *hash;
	Datum info;

	if (!token_read(token, TOKEN_INVITATION, &route, &hash))
		raise_error(INVITATION_INVALID);

	SPI_connect();
	arguments[0].value = PointerGetDatum(hash);
	arguments[1].value = TimestampTzGetDatum(GetCurrentTimestamp());
	if (kept_plan_read(&describe_invitation, arguments) == 0)
		raise_error(INVITATION_INVALID);
	if (DatumGetBool(row_value(REVOKED_COLUMN).value))
		raise_error(SEAT_REVOKED);
	if (!DatumGetBool(row_value(PRICING_ENABLED_COLUMN).value))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	info = row_composite(type->tdtypeid, CLAIM_INFO_COLUMN_COUNT, caller);
	SPI_finish();
	PG_RETURN_DATUM(info);
}
