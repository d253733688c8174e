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
#include "columns.h"
#include "counters.h"
#include "direct_access.h"
#include "errors.h"
#include "export.h"
#include "interference.h"
#include "kept_plan.h"
#include "row.h"
#include "session.h"
#include "session_jwt.h"
#include "settings.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_authenticate);
PG_FUNCTION_INFO_V1(seats_end_session);
PG_FUNCTION_INFO_V1(seats_check_session);

/* The fields of the type seats.customer_session, and which of them is expires_at. */
static const Oid field_types[] = {UUIDOID, UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID};
#define SESSION_FIELDS 5
#define EXPIRES_AT_FIELD 4

/* Those of them that are never null. */
static const char *const field_names[SESSION_FIELDS] = {"customer_id", "organization_id",
														"seat_id", NULL, "expires_at"};

/* Takes the values of all columns. */
#define INSERT_SESSION \
	"INSERT INTO seats.customer_sessions " \
	"(token_hash, seat_id, customer_id, organization_id, created_at, expires_at) " \
	"VALUES ($1, $2, $3, $4, $5, $6)"
#define SESSION_TYPES BYTEAOID, UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID

static KeptPlan insert_session = {
	.sql = INSERT_SESSION,
	.nargs = SESSION_TABLE_COLUMNS,
	.argtypes = {SESSION_TYPES},
};

static KeptPlan insert_session_returning = {
	.sql = INSERT_SESSION
	" RETURNING token_hash" EQ "$1 AND seat_id" EQ "$2 AND customer_id" EQ "$3 "
	"AND organization_id" EQ "$4 AND created_at" EQ "$5 AND expires_at" EQ "$6",
	.nargs = SESSION_TABLE_COLUMNS,
	.argtypes = {SESSION_TYPES},
	.table = "customer_sessions",
};

static KeptPlan find_session = {
	.sql = "SELECT x.customer_id, x.organization_id, x.seat_id, c.email, x.expires_at "
		   "FROM seats.customer_sessions AS x "
		   "JOIN seats.customers AS c ON c.id" EQ "x.customer_id "
		   "WHERE x.token_hash" EQ "$1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* What is to be deleted, and how it is found where it was not. */
#define OF_SEAT "seats.customer_sessions WHERE seat_id" EQ "$1"
#define OF_TOKEN "seats.customer_sessions WHERE token_hash" EQ "$1"
/* A seat that is still claimed keeps the sessions of its customer. */
#define OF_UNCLAIMED \
	"seats.customer_sessions AS x WHERE x.seat_id" EQ "ANY ($1) AND NOT EXISTS (" \
	"SELECT FROM seats.customer_seats AS s " \
	"WHERE s.id" EQ "x.seat_id AND s.customer_id" EQ "x.customer_id " \
	"AND s.status" EQ "'claimed')"

typedef struct Deletion
{
	KeptPlan delete;
	KeptPlan find;
} Deletion;

#define DELETION(rows, type) \
	{ \
		.delete = {.sql = "DELETE FROM " rows, .nargs = 1, .argtypes = {type}}, \
		.find = {.sql = "SELECT FROM " rows " LIMIT 1", .nargs = 1, .argtypes = {type}}, \
	}

static Deletion sessions_of_seat = DELETION(OF_SEAT, UUIDOID);
static Deletion sessions_of_token = DELETION(OF_TOKEN, BYTEAOID);
static Deletion sessions_of_unclaimed = DELETION(OF_UNCLAIMED, UUIDARRAYOID);

/*
 * Deletes sessions; returns how many.  Raises 09000 where a trigger or rule that somebody added
 * prevents that.
 *
 * Locks: the sessions' rows.
 */
static uint64
delete_sessions(Deletion *deletion, Datum argument)
{
	NullableDatum arguments[] = {{argument, false}};
	uint64 count = kept_plan_execute(&deletion->delete, arguments);

	if (table_has_interference("customer_sessions") &&
		kept_plan_execute(&deletion->find, arguments) > 0)
		refuse_trigger_on("customer_sessions");
	return count;
}

/*
 * Opens a session of a seat's customer from "now" on and returns its token in clear, in a memory
 * context, and its hash.  Inside SPI_connect() and SPI_finish(), with the seat locked.  Raises 09000 where a
 * trigger that somebody added prevents the session or alters it.
 */
text *
session_open(const SeatIds *seat, uint32 route, TimestampTz now, MemoryContext context,
			 bytea **hash)
{
	TimestampTz expiry = settings_session_expiry(now);
	text *token = setting_session_token_format == SESSION_TOKEN_JWT
		? session_jwt_issue(seat, now, expiry, context, hash)
		: token_issue(TOKEN_SESSION, route, context, hash);
	NullableDatum values[SESSION_TABLE_COLUMNS] = {
		[SESSION_TOKEN_HASH] = {PointerGetDatum(*hash), false},
		[SESSION_SEAT_ID] = {UUIDPGetDatum(&seat->id), false},
		[SESSION_CUSTOMER_ID] = {UUIDPGetDatum(&seat->customer_id), false},
		[SESSION_ORGANIZATION_ID] = {UUIDPGetDatum(&seat->organization_id), false},
		[SESSION_CREATED_AT] = {TimestampTzGetDatum(now), false},
		[SESSION_EXPIRES_AT] = {TimestampTzGetDatum(expiry), false},
	};

	if (!direct_insert(&direct_sessions, values))
		(void) kept_plan_insert(&insert_session, &insert_session_returning, values, 1);
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
	(void) delete_sessions(&sessions_of_seat, UUIDPGetDatum(seat_id));
}

/*
 * Ends those sessions of some seats, an array of ids, whose seat is no longer claimed by their
 * customer.  Inside SPI_connect() and SPI_finish().
 *
 * Locks: the sessions' rows.
 */
void
sessions_end_unclaimed(Datum seat_ids)
{
	(void) delete_sessions(&sessions_of_unclaimed, seat_ids);
}

/*
 * Finds a session by its hash past the executor, and the fields of seats.customer_session; an
 * answer that this is not possible leaves them unset.
 */
static DirectResult
find_directly(bytea *hash, NullableDatum *fields)
{
	NullableDatum key = {PointerGetDatum(hash), false};
	static const int columns[] = {SESSION_CUSTOMER_ID, SESSION_ORGANIZATION_ID,
								  SESSION_SEAT_ID, SESSION_EXPIRES_AT};
	static const int email = CUSTOMER_EMAIL;
	NullableDatum session[lengthof(columns)];
	DirectResult result = direct_read(&direct_sessions, key, columns, session,
									  lengthof(columns));

	if (result != DIRECT_FOUND)
		return result;
	fields[0] = session[0];
	fields[1] = session[1];
	fields[2] = session[2];
	fields[4] = session[3];
	return direct_read(&direct_customers, session[0], &email, &fields[3], 1);
}

/* Finds a session by its hash by a statement; see find_directly(). */
static bool
find_by_statement(const bytea *hash, NullableDatum *fields)
{
	NullableDatum arguments[] = {{PointerGetDatum(hash), false}};

	if (kept_plan_read(&find_session, arguments) == 0)
		return false;
	row_fields(fields, field_types, SESSION_FIELDS);
	return true;
}

/*
 * Finds a session by its hash, and the fields of seats.customer_session; false where there is
 * none, raises PT401 where it expired by the clock.  Inside SPI_connect() and SPI_finish().
 */
static bool
find_live(bytea *hash, NullableDatum *fields)
{
	DirectResult result = find_directly(hash, fields);

	if (result == DIRECT_NOT_FOUND ||
		(result == DIRECT_NOT_POSSIBLE && !find_by_statement(hash, fields)))
		return false;
	for (int i = 0; i < SESSION_FIELDS; i++)
	{
		if (fields[i].isnull && field_names[i] != NULL)
			refuse_null_column(field_names[i]);
	}
	if (DatumGetTimestampTz(fields[EXPIRES_AT_FIELD].value) <= GetCurrentTimestamp())
		raise_error(SESSION_EXPIRED);
	return true;
}

/*
 * Reads a caller's session token, of either format, whichever new ones have; false where it has
 * the form of none, else its hash.
 */
static bool
read_token(const text *token, bytea **hash)
{
	uint32 route;

	return token_read(token, TOKEN_SESSION, &route, hash) || session_jwt_read(token, hash);
}

/*
 * authenticate(customer_session_token text): who the token is for.  Raises PT401 where it is for
 * nobody or expired by the clock, PT422 where it is null, empty or over-long.  Changes and
 * locks nothing, so that it works on a standby.
 */
Datum
seats_authenticate(PG_FUNCTION_ARGS)
{
	const text *token = session_token_argument(fcinfo);
	TupleDesc type;
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum fields[SESSION_FIELDS];
	bytea *hash;
	Datum session;

	if (!read_token(token, &hash))
		token_refuse(SESSION_INVALID, token);

	type = result_type(fcinfo);
	SPI_connect();
	if (!find_live(hash, fields))
		raise_error(SESSION_INVALID);
	session = composite(type->tdtypeid, fields, field_types, SESSION_FIELDS, caller);
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
	const text *token;
	bytea *hash;
	uint64 ended;

	PreventCommandIfReadOnly("end_session()");
	token = session_token_argument(fcinfo);
	if (!read_token(token, &hash))
		PG_RETURN_BOOL(false);

	SPI_connect();
	ended = delete_sessions(&sessions_of_token, PointerGetDatum(hash));
	SPI_finish();
	PG_RETURN_BOOL(ended > 0);
}

/*
 * check_session(): raises PT401 where PostgREST's request comes with the JWT of a customer session
 * that was ended or expired by the clock, about which PostgREST itself knows nothing or is not
 * exact.  Any other request passes.  Changes and locks nothing.
 */
Datum
seats_check_session(PG_FUNCTION_ARGS pg_attribute_unused())
{
	NullableDatum fields[SESSION_FIELDS];
	List *hashes;
	bool pass;
	ListCell *cell;

	counters_prepare();
	SPI_connect();
	pass = !session_jwts_of_request(&hashes);
	foreach (cell, hashes)
		pass = pass || find_live(lfirst(cell), fields);
	SPI_finish();
	if (!pass)
		raise_error(SESSION_INVALID);
	PG_RETURN_VOID();
}
