/*
 * claim.c
 *		Claiming a seat with an invitation token, and telling what an invitation is for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "errors.h"
#include "event.h"
#include "kept_plan.h"
#include "row.h"
#include "seat.h"
#include "session.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_claim_seat);
PG_FUNCTION_INFO_V1(seats_claim_info);

/* The seat that an invitation opens, as it is once it is locked. */
typedef struct Invitation
{
	pg_uuid_t seat_id;
	pg_uuid_t organization_id;
	pg_uuid_t customer_id; /* of a seat that is not revoked */
	char *status;
	TimestampTz expires_at; /* of a pending seat */
	bool pricing_enabled;
} Invitation;

static KeptPlan lock_invitation = {
	.sql = "SELECT s.id, s.organization_id, s.customer_id, s.status::pg_catalog.text, "
		   "s.invitation_token_expires_at, o.seat_based_pricing_enabled "
		   "FROM seats.customer_seats AS s "
		   "JOIN seats.organizations AS o ON o.id" EQ "s.organization_id "
		   "WHERE s.invitation_token_hash" EQ "$1 FOR NO KEY UPDATE OF s",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static KeptPlan set_claimed = {
	.sql = "UPDATE seats.customer_seats AS s "
		   "SET status = 'claimed', claimed_at = $2, modified_at = $2 "
		   "WHERE s.id" EQ "$1 RETURNING " SEAT_COLUMNS,
	.nargs = 2,
	.argtypes = {UUIDOID, TIMESTAMPTZOID},
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
	NullableDatum customer_id;
	NullableDatum expires_at;

	if (kept_plan_execute(&lock_invitation, arguments) == 0)
		raise_error(INVITATION_INVALID);
	invitation.seat_id = *DatumGetUUIDP(row_value(1).value);
	invitation.organization_id = *DatumGetUUIDP(row_value(2).value);
	customer_id = row_value(3);
	if (!customer_id.isnull)
		invitation.customer_id = *DatumGetUUIDP(customer_id.value);
	invitation.status = TextDatumGetCString(row_value(4).value);
	expires_at = row_value(5);
	if (!expires_at.isnull)
		invitation.expires_at = DatumGetTimestampTz(expires_at.value);
	invitation.pricing_enabled = DatumGetBool(row_value(6).value);
	return invitation;
}

/* Raises the error that keeps a seat from being claimed at "now", if there is one. */
static void
check_claimable(const Invitation *invitation, TimestampTz now)
{
	if (strcmp(invitation->status, "revoked") == 0)
		raise_error(SEAT_REVOKED);
	if (strcmp(invitation->status, "claimed") == 0)
		raise_error(SEAT_ALREADY_CLAIMED);
	if (invitation->expires_at <= now)
		raise_error(INVITATION_EXPIRED);
	if (!invitation->pricing_enabled)
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
}

/* Makes the seat claimed at "now"; returns it as a composite value in a memory context. */
static Datum
claim(const Invitation *invitation, TimestampTz now, Oid seat_type, MemoryContext context)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&invitation->seat_id), false},
		{TimestampTzGetDatum(now), false},
	};

	kept_plan_change(&set_claimed, arguments);
	return row_composite(seat_type, SEAT_COLUMN_COUNT, context);
}

/* Raises PT422 where the idempotency key is over-long. */
static void
check_idempotency_key(FunctionCallInfo fcinfo, int argno)
{
	Faults faults;

	if (PG_ARGISNULL(argno))
		return;
	faults_start(&faults);
	check_length(&faults, PG_GETARG_TEXT_PP(argno), "idempotency_key");
	faults_raise(&faults);
}

/*
 * claim_seat(invitation_token text, idempotency_key text): claims the seat, opens a session,
 * records the event; returns the seat and the session token.  Of any number of simultaneous
 * claims of one token exactly one succeeds.  Raises PT400, PT403 and PT422, and 25006 in a
 * read-only transaction.
 *
 * Locks: the seat's row and nothing else, so a claim holds up nobody but who wants this seat.
 * The clock is read when the lock is held: waiting for it may take an invitation past its end.
 */
Datum
seats_claim_seat(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc type;
	const text *token;
	uint32 route;
	bytea *hash;
	Invitation invitation;
	TimestampTz now;
	Datum seat;
	text *session_token;

	PreventCommandIfReadOnly("claim_seat()");
	type = result_type(fcinfo);
	token = token_argument(fcinfo, 0, "invitation_token");
	check_idempotency_key(fcinfo, 1);
	if (!token_read(token, TOKEN_INVITATION, &route, &hash))
		raise_error(INVITATION_INVALID);

	SPI_connect();
	invitation = lock_seat_of(hash);
	now = GetCurrentTimestamp();
	check_claimable(&invitation, now);
	seat = claim(&invitation, now, TupleDescAttr(type, 0)->atttypid, caller);
	session_token = session_open(&invitation.seat_id, &invitation.customer_id,
								 &invitation.organization_id, route, now, caller);
	event_record(EVENT_CLAIMED, &invitation.seat_id, &invitation.organization_id,
				 &invitation.customer_id, now);
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
	const text *token = token_argument(fcinfo, 0, "invitation_token");
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
