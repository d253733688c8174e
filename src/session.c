/*
 * session.c
 *		Customer sessions: opened by a claim, looked up, ended.
 *
 * A session exists only as long as its seat is claimed: the trigger in seats_changed.c ends the
 * sessions of a seat in the statement that revokes or deletes it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "errors.h"
#include "kept_plan.h"
#include "row.h"
#include "session.h"
#include "settings.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_authenticate);
PG_FUNCTION_INFO_V1(seats_end_session);

/* How many columns find_session gives, and the number of expires_at among them. */
#define SESSION_COLUMN_COUNT 5
#define EXPIRES_AT_COLUMN 5

static KeptPlan insert_session = {
	.sql = "INSERT INTO seats.customer_sessions "
		   "(token_hash, seat_id, customer_id, organization_id, created_at, expires_at) "
		   "VALUES ($1, $2, $3, $4, $5, $6)",
	.nargs = 6,
	.argtypes = {BYTEAOID, UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

static KeptPlan find_session = {
	.sql = "SELECT x.customer_id, x.organization_id, x.seat_id, c.email, x.expires_at "
		   "FROM seats.customer_sessions AS x "
		   "JOIN seats.customers AS c ON c.id" EQ "x.customer_id "
		   "WHERE x.token_hash" EQ "$1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static KeptPlan delete_sessions_of_seat = {
	.sql = "DELETE FROM seats.customer_sessions WHERE seat_id" EQ "$1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static KeptPlan delete_session = {
	.sql = "DELETE FROM seats.customer_sessions WHERE token_hash" EQ "$1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/*
 * Opens a session of a seat's customer from "now" on and returns its token in clear, in a memory
 * context.  Inside SPI_connect() and SPI_finish(), with the seat locked.
 */
text *
session_open(const SeatIds *seat, uint32 route, TimestampTz now, MemoryContext context)
{
	bytea *hash;
	text *token = token_issue(TOKEN_SESSION, route, context, &hash);
	NullableDatum arguments[] = {
		{PointerGetDatum(hash), false},
		{UUIDPGetDatum(&seat->id), false},
		{UUIDPGetDatum(&seat->customer_id), false},
		{UUIDPGetDatum(&seat->organization_id), false},
		{TimestampTzGetDatum(now), false},
		{TimestampTzGetDatum(settings_session_expiry(now)), false},
	};

	kept_plan_execute(&insert_session, arguments);
	return token;
}

/*
 * Ends the sessions of a seat.  Inside SPI_connect() and SPI_finish(), with the seat locked.
 *
 * Locks: the sessions' rows.
 */
void
sessions_end(const pg_uuid_t *seat_id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(seat_id), false}};

	kept_plan_execute(&delete_sessions_of_seat, arguments);
}

/*
 * authenticate(customer_session_token text): who the token is for.  Raises PT401 where it is for
 * nobody or expired by the clock, PT422 where it is null, empty or over-long.  Changes and
 * locks nothing, so that it works on a standby.
 */
Datum
seats_authenticate(PG_FUNCTION_ARGS)
{
	const text *token = token_argument(fcinfo, "customer_session_token");
	NullableDatum arguments[1] = {0};
	TupleDesc type = result_type(fcinfo);
	MemoryContext caller = CurrentMemoryContext;
	uint32 route;
	bytea *hash;
	Datum session;

	if (!token_read(token, TOKEN_SESSION, &route, &hash))
		raise_error(SESSION_INVALID);

	SPI_connect();
	arguments[0].value = PointerGetDatum(hash);
	if (kept_plan_read(&find_session, arguments) == 0)
		raise_error(SESSION_INVALID);
	if (DatumGetTimestampTz(row_value(EXPIRES_AT_COLUMN).value) <= GetCurrentTimestamp())
		raise_error(SESSION_EXPIRED);
	session = row_composite(type->tdtypeid, SESSION_COLUMN_COUNT, caller);
	SPI_finish();
	PG_RETURN_DATUM(session);
}

/*
 * end_session(customer_session_token text): ends the session; false where there was none,
 * which includes what has not the form of a token.  Raises PT422 where the token is null,
 * empty or over-long, 25006 in a read-only transaction.
 *
 * Locks: the session's row.
 */
Datum
seats_end_session(PG_FUNCTION_ARGS)
{
	NullableDatum arguments[1] = {0};
	const text *token;
	uint32 route;
	bytea *hash;
	uint64 ended;

	PreventCommandIfReadOnly("end_session()");
	token = token_argument(fcinfo, "customer_session_token");
	if (!token_read(token, TOKEN_SESSION, &route, &hash))
		PG_RETURN_BOOL(false);

	SPI_connect();
	arguments[0].value = PointerGetDatum(hash);
	ended = kept_plan_execute(&delete_session, arguments);
	SPI_finish();
	PG_RETURN_BOOL(ended > 0);
}
