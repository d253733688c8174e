/*
 * claim.c
 *		Claiming a seat with an invitation token.
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
#include "claim.h"
#include "errors.h"
#include "event.h"
#include "export.h"
#include "interference.h"
#include "kept_plan.h"
#include "operations.h"
#include "organization.h"
#include "request.h"
#include "row.h"
#include "seat.h"
#include "session.h"
#include "settings.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_claim_seat);

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
		   "WHERE s.id" EQ "$1 RETURNING " SEAT_COLUMNS ", "
		   "s.id" EQ "$1 AND s.status" EQ "'claimed' AND s.claimed_at" EQ "$2 "
		   "AND s.modified_at" EQ "$2 AND s.claim_key_hash IS NOT DISTINCT FROM $3 "
		   "AND s.organization_id" EQ "$4 AND s.customer_id" EQ "$5",
	.nargs = 5,
	.argtypes = {UUIDOID, TIMESTAMPTZOID, BYTEAOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/*
 * Changes nothing, but makes a new version of the row: a transaction of a stricter isolation level
 * that began before cannot see the session that comes with it, so it must not get to end it.
 */
static KeptPlan touch_claimed = {
	.sql = "UPDATE seats.customer_seats AS s SET claim_key_hash = s.claim_key_hash "
		   "WHERE s.id" EQ "$1 RETURNING " SEAT_COLUMNS ", "
		   "s.id" EQ "$1 AND s.status" EQ "'claimed' "
		   "AND s.organization_id" EQ "$2 AND s.customer_id" EQ "$3",
	.nargs = 3,
	.argtypes = {UUIDOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/* The seat as it is in the end, and whether it and the session are what the answer says. */
static KeptPlan check_claimed = {
	.sql = "SELECT " SEAT_COLUMNS ", s.status" EQ "'claimed' AND s.organization_id" EQ "$2 "
		   "AND s.customer_id" EQ "$3 AND EXISTS (SELECT FROM seats.customer_sessions AS x "
		   "WHERE x.token_hash" EQ "$4 AND x.seat_id" EQ "$1 AND x.customer_id" EQ "$3) "
		   "FROM seats.customer_seats AS s WHERE s.id" EQ "$1",
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, UUIDOID, BYTEAOID},
	.table = "customer_seats",
};

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
	NullableDatum key_hash;

	if (kept_plan_execute(&lock_invitation, arguments) == 0)
		raise_error(INVITATION_INVALID);
	invitation.seat.id = *DatumGetUUIDP(row_required(1));
	invitation.seat.organization_id = *DatumGetUUIDP(row_required(2));
	invitation.status = TextDatumGetCString(row_required(4));
	if (strcmp(invitation.status, "revoked") != 0)
		invitation.seat.customer_id = *DatumGetUUIDP(row_required(3));
	if (strcmp(invitation.status, "pending") == 0)
		invitation.expires_at = DatumGetTimestampTz(row_required(5));
	if (strcmp(invitation.status, "claimed") == 0)
		invitation.claimed_at = DatumGetTimestampTz(row_required(6));
	key_hash = row_value(7);
	if (!key_hash.isnull)
		invitation.key_hash = DatumGetByteaPP(key_hash.value);
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
	if (strcmp(invitation->status, "pending") == 0 && invitation->expires_at <= now)
		raise_error(INVITATION_EXPIRED);
	(void) organization_allowed(&invitation->seat.organization_id);
}

/* Makes the seat claimed, and records the event. */
static void
claim_first(Claim *claim)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&claim->seat.id), false},
		{TimestampTzGetDatum(claim->now), false},
		{PointerGetDatum(claim->key_hash), claim->key_hash == NULL},
		{UUIDPGetDatum(&claim->seat.organization_id), false},
		{UUIDPGetDatum(&claim->seat.customer_id), false},
	};

	kept_plan_change(&set_claimed, arguments, 1);
	claim->result = row_composite(claim->seat_type, SEAT_COLUMN_COUNT, claim->context);
	event_record(EVENT_CLAIMED, &claim->seat, claim->now);
}

/*
 * Answers a claim again: ends the session that the first answer opened, and leaves the seat as it
 * is.  The claim was recorded then.
 *
 * Locks: the session.
 */
static void
claim_again(Claim *claim)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&claim->seat.id), false},
		{UUIDPGetDatum(&claim->seat.organization_id), false},
		{UUIDPGetDatum(&claim->seat.customer_id), false},
	};

	sessions_end(&claim->seat.id);
	kept_plan_change(&touch_claimed, arguments, 1);
	claim->result = row_composite(claim->seat_type, SEAT_COLUMN_COUNT, claim->context);
}

/*
 * Claims the seat by SQL statements, waiting for whoever is changing it, or raises the error that
 * keeps it from being claimed.
 *
 * Locks: the seat's row; where the claim is answered again, also the session that it ends.
 */
static void
claim_by_statements(Claim *claim)
{
	Invitation invitation = lock_seat_of(claim->hash);
	bool retry;

	claim->seat = invitation.seat;
	claim->now = GetCurrentTimestamp();
	retry = is_retry(&invitation, claim->key_hash, claim->now);
	check_claimable(&invitation, retry, claim->now);
	if (retry)
		claim_again(claim);
	else
		claim_first(claim);
}

/*
 * Returns the idempotency key that PostgREST's header of the request has, or NULL for none; an
 * empty one is none.
 */
const text *
claim_key_of_request(void)
{
	static const char *const headers[] = {"idempotency-key"};
	char *header;

	request_read_headers(headers, &header, lengthof(headers));
	if (header == NULL || header[0] == '\0')
		return NULL;
	return cstring_to_text(header);
}

/*
 * Returns the idempotency key of a claim, or NULL for none: the argument, or else that of the
 * request.  An empty one is none.  Adds a fault where it is over-long.
 */
static const text *
check_idempotency_key(FunctionCallInfo fcinfo, int argno, Faults *faults)
{
	const text *key = PG_ARGISNULL(argno) ? NULL : PG_GETARG_TEXT_PP(argno);

	if (key == NULL || VARSIZE_ANY_EXHDR(key) == 0)
		key = claim_key_of_request();
	if (key != NULL)
		check_length(faults, key, "idempotency_key");
	return key;
}

/*
 * Answers with the seat as it is once all triggers have run; raises 09000 where it or the session
 * is not as it was written.
 */
static void
check_outcome(Claim *claim, const bytea *session_hash)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&claim->seat.id), false},
		{UUIDPGetDatum(&claim->seat.organization_id), false},
		{UUIDPGetDatum(&claim->seat.customer_id), false},
		{PointerGetDatum(session_hash), false},
	};

	kept_plan_confirm(&check_claimed, arguments, 1);
	claim->result = row_composite(claim->seat_type, SEAT_COLUMN_COUNT, claim->context);
}

/*
 * Claims the seat that a token opens, opens a session, records the event; see claim_seat().
 * Raises PT400 and PT403, and 09000 where a trigger that somebody added interferes.
 */
Datum
claim_operation(TupleDesc type, const text *token, const text *key)
{
	Claim claim = {.context = CurrentMemoryContext};
	uint64 before = kept_plan_count();
	bytea *session_hash;
	uint32 route;
	text *session_token;

	if (!token_read(token, TOKEN_INVITATION, &route, &claim.hash))
		token_refuse(INVITATION_INVALID, token);
	claim.key_hash = key == NULL ? NULL : token_hash_with(token, key);
	claim.seat_type = TupleDescAttr(type, 0)->atttypid;

	SPI_connect();
	if (!claim_directly(&claim))
		claim_by_statements(&claim);
	session_token = session_open(&claim.seat, route, claim.now, claim.context, &session_hash);
	if (kept_plan_count() != before && owner_has_triggers())
		check_outcome(&claim, session_hash);
	SPI_finish();
	return result_with_seat(type, claim.result, session_token);
}

/*
 * claim_seat(invitation_token text, idempotency_key text): claims the seat, opens a session,
 * records the event; returns the seat and the session token.  Of any number of simultaneous
 * claims of one token exactly one succeeds.  One that repeats it with the same idempotency key,
 * soon enough, is answered again, with a new session in place of the first.  Raises PT400, PT403
 * and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the seat's row and nothing else, so a claim holds up nobody but who wants this seat;
 * one that is answered again also locks the session that it ends.  The clock is read when nobody
 * else holds the lock: waiting for it may take an invitation past its end.
 */
Datum
seats_claim_seat(PG_FUNCTION_ARGS)
{
	Faults faults;
	const text *token;
	const text *key;

	PreventCommandIfReadOnly("claim_seat()");
	faults_start(&faults);
	token = check_token(fcinfo, 0, &faults, "invitation_token");
	key = check_idempotency_key(fcinfo, 1, &faults);
	faults_raise(&faults);
	return claim_operation(result_type(fcinfo), token, key);
}
