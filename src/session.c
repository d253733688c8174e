/*
 * session.c
 *		Customer sessions: a claim opens one, authenticate() looks one up, end_session() ends one.
 *
 * A session exists only as long as its seat is claimed: the statement that revokes or deletes a
 * seat ends its sessions, by seats_changed() in triggers.c.  The token of a session is opaque or a
 * JWT; both kinds are accepted, whichever kind new sessions get.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "counters.h"
#include "direct.h"
#include "errors.h"
#include "input.h"
#include "jwt.h"
#include "purchase.h"
#include "seats.h"
#include "session.h"
#include "statement.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_authenticate);
PG_FUNCTION_INFO_V1(seats_end_session);
PG_FUNCTION_INFO_V1(seats_check_session);
PG_FUNCTION_INFO_V1(seats_open_session);
PG_FUNCTION_INFO_V1(seats_token_route);
PG_FUNCTION_INFO_V1(seats_organization_route);

/* The fields of the type seats.customer_session. */
enum
{
	FIELD_CUSTOMER_ID,
	FIELD_ORGANIZATION_ID,
	FIELD_SEAT_ID,
	FIELD_CUSTOMER_EMAIL,
	FIELD_EXPIRES_AT,
	FIELD_COUNT
};

static const Oid field_types[FIELD_COUNT] = {
	[FIELD_CUSTOMER_ID] = UUIDOID,		 [FIELD_ORGANIZATION_ID] = UUIDOID,
	[FIELD_SEAT_ID] = UUIDOID,			 [FIELD_CUSTOMER_EMAIL] = TEXTOID,
	[FIELD_EXPIRES_AT] = TIMESTAMPTZOID,
};

/* The names of the fields that are never null. */
static const char *const required_fields[FIELD_COUNT] = {
	[FIELD_CUSTOMER_ID] = "customer_id",
	[FIELD_ORGANIZATION_ID] = "organization_id",
	[FIELD_SEAT_ID] = "seat_id",
	[FIELD_EXPIRES_AT] = "expires_at",
};

/* The arguments are all columns. */
#define INSERT_SESSION \
	"INSERT INTO seats.customer_sessions " \
	"(token_hash, seat_id, customer_id, organization_id, created_at, expires_at, of_claim) " \
	"VALUES ($1, $2, $3, $4, $5, $6, $7)"
#define SESSION_TYPES \
	BYTEAOID, UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID

static Statement insert_session = {
	.sql = INSERT_SESSION,
	.nargs = SESSION_COLUMNS,
	.argtypes = {SESSION_TYPES},
};

static Statement insert_session_returning = {
	.sql = INSERT_SESSION " RETURNING token_hash = $1 AND seat_id = $2 AND customer_id = $3 "
						  "AND organization_id = $4 AND created_at = $5 AND expires_at = $6 "
						  "AND of_claim = $7",
	.nargs = SESSION_COLUMNS,
	.argtypes = {SESSION_TYPES},
	.table = "customer_sessions",
};

static Statement find_session = {
	.sql = "SELECT x.customer_id, x.organization_id, x.seat_id, c.email, x.expires_at "
		   "FROM seats.customer_sessions AS x "
		   "JOIN seats.customers AS c ON c.id = x.customer_id "
		   "WHERE x.token_hash = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Deletes some sessions, and finds out whether one of them is still there. */
typedef struct Deletion
{
	Statement delete;
	Statement find;
} Deletion;

#define DELETION(rows, type) \
	{ \
		.delete = {.sql = "DELETE FROM " rows, .nargs = 1, .argtypes = {type}}, \
		.find = {.sql = "SELECT FROM " rows " LIMIT 1", .nargs = 1, .argtypes = {type}}, \
	}

static Deletion session_of_claim = DELETION(
	"seats.customer_sessions WHERE seat_id = $1 AND of_claim", UUIDOID);
static Deletion sessions_of_token = DELETION("seats.customer_sessions WHERE token_hash = $1",
											 BYTEAOID);
static Deletion sessions_of_seats = DELETION(
	"seats.customer_sessions WHERE seat_id = ANY ($1)", UUIDARRAYOID);
/* A seat that is still claimed, and not suspended, keeps the sessions of its customer. */
static Deletion sessions_of_unclaimed = DELETION(
	"seats.customer_sessions AS x WHERE x.seat_id = ANY ($1) AND NOT EXISTS ("
	"SELECT FROM seats.customer_seats AS s "
	"WHERE s.id = x.seat_id AND s.customer_id = x.customer_id AND s.status = 'claimed' "
	"AND s.suspended_at IS NULL)",
	UUIDARRAYOID);

/*
 * Deletes sessions; returns how many.  Raises 09000 if a trigger or rule of the owner prevents
 * that.
 *
 * Locks: the sessions' rows.
 */
static uint64
delete_sessions(Deletion *deletion, Datum argument)
{
	NullableDatum arguments[] = {{argument, false}};
	uint64 count = statement_execute(&deletion->delete, arguments).count;

	if (table_has_interference("customer_sessions") &&
		statement_execute(&deletion->find, arguments).count > 0)
		refuse_trigger_on("customer_sessions");
	return count;
}

/* Returns when a session that begins now expires. */
static TimestampTz
session_expiry(TimestampTz now)
{
	return now + setting_customer_session_ttl * USECS_PER_SEC;
}

/*
 * Opens a session of a seat's customer that begins now, by a claim or not.  Returns its token in
 * clear, in a memory context, and the token's hash.  Between SPI_connect() and SPI_finish(), with
 * the seat locked.  Raises 09000 if a trigger of the owner prevents or alters the session.
 */
text *
session_open(const SeatIds *seat, uint32 route, TimestampTz now, bool of_claim,
			 MemoryContext context, bytea **hash)
{
	TimestampTz expiry = session_expiry(now);
	text *token = setting_session_token_format == SESSION_TOKEN_JWT
		? jwt_issue(seat, now, expiry, context, hash)
		: token_issue(TOKEN_SESSION, route, context, hash);
	NullableDatum values[SESSION_COLUMNS] = {
		[SESSION_TOKEN_HASH] = {PointerGetDatum(*hash), false},
		[SESSION_SEAT_ID] = {UUIDPGetDatum(&seat->id), false},
		[SESSION_CUSTOMER_ID] = {UUIDPGetDatum(&seat->customer_id), false},
		[SESSION_ORGANIZATION_ID] = {UUIDPGetDatum(&seat->organization_id), false},
		[SESSION_CREATED_AT] = {TimestampTzGetDatum(now), false},
		[SESSION_EXPIRES_AT] = {TimestampTzGetDatum(expiry), false},
		[SESSION_OF_CLAIM] = {BoolGetDatum(of_claim), false},
	};

	if (!direct_insert(&direct_sessions, values, NULL))
		(void) statement_insert(&insert_session, &insert_session_returning, values, 1);
	return token;
}

/*
 * Ends the session that the claim of a seat opened.  Between SPI_connect() and SPI_finish(), with
 * the seat locked.
 *
 * Locks: the session's row.
 */
void
session_of_claim_end(const pg_uuid_t *seat_id)
{
	(void) delete_sessions(&session_of_claim, UUIDPGetDatum(seat_id));
}

/*
 * Ends all sessions of some seats, an array of ids.  Between SPI_connect() and SPI_finish(), with
 * the seats locked.
 *
 * Locks: the sessions' rows.
 */
void
sessions_end(Datum seat_ids)
{
	(void) delete_sessions(&sessions_of_seats, seat_ids);
}

/*
 * Ends those sessions of some seats, an array of ids, whose seat is suspended or no longer claimed
 * by their customer.  Between SPI_connect() and SPI_finish().
 *
 * Locks: the sessions' rows.
 */
void
sessions_end_unclaimed(Datum seat_ids)
{
	(void) delete_sessions(&sessions_of_unclaimed, seat_ids);
}

/* Finds a session by its hash without the executor; fills the fields if it is found. */
static DirectResult
find_directly(bytea *hash, NullableDatum *fields)
{
	static const int columns[] = {SESSION_CUSTOMER_ID, SESSION_ORGANIZATION_ID,
								  SESSION_SEAT_ID, SESSION_EXPIRES_AT};
	static const int email = CUSTOMER_EMAIL;
	NullableDatum key = {PointerGetDatum(hash), false};
	NullableDatum session[lengthof(columns)];
	DirectResult result = direct_read(&direct_sessions, FIRST_KEY, key, columns, session,
									  lengthof(columns));

	if (result != DIRECT_FOUND)
		return result;
	fields[FIELD_CUSTOMER_ID] = session[0];
	fields[FIELD_ORGANIZATION_ID] = session[1];
	fields[FIELD_SEAT_ID] = session[2];
	fields[FIELD_EXPIRES_AT] = session[3];
	return direct_read(&direct_customers, FIRST_KEY, session[0], &email,
					   &fields[FIELD_CUSTOMER_EMAIL], 1);
}

/* Finds a session by its hash by a statement; fills the fields if it is found. */
static bool
find_by_statement(const bytea *hash, NullableDatum *fields)
{
	NullableDatum arguments[] = {{PointerGetDatum(hash), false}};
	Rows rows = statement_read(&find_session, arguments);

	if (rows.count == 0)
		return false;
	rows_fields(&rows, fields, field_types, FIELD_COUNT);
	return true;
}

/*
 * Finds a session by its hash and fills the fields of seats.customer_session; returns false if
 * there is none.  Raises PT401 if it has expired by the clock.  Between SPI_connect() and
 * SPI_finish().
 */
static bool
find_live(bytea *hash, NullableDatum *fields)
{
	DirectResult result = find_directly(hash, fields);

	if (result == DIRECT_NOT_FOUND ||
		(result == DIRECT_NOT_POSSIBLE && !find_by_statement(hash, fields)))
		return false;
	for (int i = 0; i < FIELD_COUNT; i++)
	{
		if (fields[i].isnull && required_fields[i] != NULL)
			refuse_null_column(required_fields[i]);
	}
	if (DatumGetTimestampTz(fields[FIELD_EXPIRES_AT].value) <= GetCurrentTimestamp())
		raise_error(SESSION_EXPIRED);
	return true;
}

/*
 * Reads a session token of either kind and returns its hash; returns false if it has neither form.
 */
static bool
read_token(const text *token, bytea **hash)
{
	uint32 route;

	return token_read(token, TOKEN_SESSION, &route, hash) || jwt_read(token, hash);
}

/*
 * authenticate(customer_session_token text): the customer whose session it is.  Raises PT401 if
 * there is no such session or if it has expired by the clock, and PT422 if the token is null, empty
 * or too long.  Changes and locks nothing, so it works on a standby.
 */
Datum
seats_authenticate(PG_FUNCTION_ARGS)
{
	const text *token = session_token_argument(fcinfo);
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum fields[FIELD_COUNT];
	bytea *hash;
	Datum session;

	if (!read_token(token, &hash))
		token_refuse(SESSION_INVALID, token);

	SPI_connect();
	if (!find_live(hash, fields))
		raise_error(SESSION_INVALID);
	session = form_composite(result_type_id(fcinfo), fields, field_types, FIELD_COUNT, caller);
	SPI_finish();
	PG_RETURN_DATUM(session);
}

/*
 * end_session(customer_session_token text): ends the session; returns false if there was none, also
 * for a string that is not a token.  Raises PT422 if the token is null, empty or too long, and
 * 25006 in a read-only transaction.
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
 * check_session(): raises PT401 if PostgREST's request comes with the JWT of a customer session
 * that was ended or has expired by the clock.  PostgREST itself does not detect the former, and
 * does not check the latter exactly.  All other requests pass.  Changes and locks nothing.
 */
Datum
seats_check_session(PG_FUNCTION_ARGS pg_attribute_unused())
{
	NullableDatum fields[FIELD_COUNT];
	RequestJwt request;
	bool pass;
	ListCell *cell;

	counters_prepare();
	SPI_connect();
	pass = !jwt_of_request(&request);
	/* Nearly always the newest key is the right one. */
	foreach (cell, request.keys)
	{
		pass = pass || find_live(jwt_request_hash(&request, lfirst(cell)), fields);
	}
	SPI_finish();
	if (!pass)
		raise_error(SESSION_INVALID);
	PG_RETURN_VOID();
}

/* ---- open_session() ---- */

static Statement lock_holder = {
	.sql = "SELECT s.organization_id, s.customer_id, s.customer_email, "
		   "s.status = 'claimed' AS status, s.suspended_at IS NOT NULL AS suspended_at "
		   "FROM seats.customer_seats AS s WHERE s.id = $1 FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/*
 * Changes nothing, but makes a new version of the row: a transaction of a stricter isolation level
 * that began before cannot see the new session, so it must not be able to end the sessions.
 */
static Statement touch_holder = {
	.sql = "UPDATE seats.customer_seats AS s SET claim_key_hash = s.claim_key_hash "
		   "WHERE s.id = $1 RETURNING s.id = $1 AND s.status = 'claimed' "
		   "AND s.suspended_at IS NULL AND s.organization_id = $2 AND s.customer_id = $3",
	.nargs = 3,
	.argtypes = {UUIDOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/* Whether the session and its seat are in the end as the result says. */
static Statement confirm_opened = {
	.sql = "SELECT s.status = 'claimed' AND s.suspended_at IS NULL AND s.customer_id = $2 "
		   "FROM seats.customer_seats AS s "
		   "JOIN seats.customer_sessions AS x ON x.token_hash = $3 "
		   "AND x.seat_id = s.id AND x.customer_id = s.customer_id "
		   "WHERE s.id = $1",
	.nargs = 3,
	.argtypes = {UUIDOID, UUIDOID, BYTEAOID},
	.table = "customer_sessions",
};

/*
 * Locks a claimed seat and finds out who holds it; returns the customer's address.  Raises the
 * error if there is no such seat, if its organization may not use seats, or if it is not claimed
 * or suspended.
 *
 * Locks: the seat's row, FOR NO KEY UPDATE.
 */
static NullableDatum
lock_claimed_seat(SeatIds *seat)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&seat->id), false}};
	Rows rows = statement_execute(&lock_holder, arguments);

	if (rows.count == 0)
		raise_error(SEAT_NOT_FOUND);
	seat->organization_id = *DatumGetUUIDP(rows_required(&rows, 0, 1));
	(void) organization_allowed(&seat->organization_id);
	if (!DatumGetBool(rows_required(&rows, 0, 4)))
		raise_error(SEAT_NOT_CLAIMED);
	if (DatumGetBool(rows_required(&rows, 0, 5)))
		raise_error(SEAT_SUSPENDED);
	seat->customer_id = *DatumGetUUIDP(rows_required(&rows, 0, 2));
	return rows_value(&rows, 0, 3);
}

/* Makes a new version of the locked seat's row. */
static void
touch(const SeatIds *seat)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&seat->id), false},
		{UUIDPGetDatum(&seat->organization_id), false},
		{UUIDPGetDatum(&seat->customer_id), false},
	};

	(void) statement_change(&touch_holder, arguments, 1);
}

/* Raises 09000 if a trigger of the owner has ended the session. */
static void
confirm_session(const SeatIds *seat, const bytea *hash)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&seat->id), false},
		{UUIDPGetDatum(&seat->customer_id), false},
		{PointerGetDatum(hash), false},
	};

	(void) statement_confirm(&confirm_opened, arguments, 1);
}

/*
 * open_session(seat_id uuid): opens a further session for the customer who holds a claimed seat,
 * however it was claimed; returns the session and its token, once.  The caller has made sure who
 * asks.  Raises PT400, PT403, PT404 and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the seat's row and nothing else.  A transaction that revokes or suspends the seat at the
 * same moment waits and then ends this session too, or gets 40001.
 */
Datum
seats_open_session(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	SeatIds seat;
	TupleDesc type;
	Oid session_type;
	NullableDatum fields[FIELD_COUNT] = {0};
	NullableDatum result[2] = {0};
	TimestampTz now;
	bytea *hash;

	PreventCommandIfReadOnly("open_session()");
	seat.id = *id_argument(fcinfo, 0, "seat_id");
	type = result_type(fcinfo);
	session_type = TupleDescAttr(type, 0)->atttypid;

	SPI_connect();
	fields[FIELD_CUSTOMER_EMAIL] = lock_claimed_seat(&seat);
	touch(&seat);
	now = GetCurrentTimestamp();
	result[1].value = PointerGetDatum(session_open(
		&seat, organization_route(&seat.organization_id), now, false, caller, &hash));
	fields[FIELD_CUSTOMER_ID].value = UUIDPGetDatum(&seat.customer_id);
	fields[FIELD_ORGANIZATION_ID].value = UUIDPGetDatum(&seat.organization_id);
	fields[FIELD_SEAT_ID].value = UUIDPGetDatum(&seat.id);
	fields[FIELD_EXPIRES_AT].value = TimestampTzGetDatum(session_expiry(now));
	result[0].value = form_composite(session_type, fields, field_types, FIELD_COUNT, caller);
	if (owner_has_triggers())
		confirm_session(&seat, hash);
	SPI_finish();
	return form_composite(type->tdtypeid, result, (Oid[]){session_type, TEXTOID},
						  lengthof(result), caller);
}

/* ---- Routes ---- */

/*
 * token_route(token text): the route that a token of any kind carries, the same bits as a signed
 * integer.  Raises PT400 for a string that is not a token.  Reads no table.
 */
Datum
seats_token_route(PG_FUNCTION_ARGS)
{
	const text *token = PG_GETARG_TEXT_PP(0);
	const char *characters = VARDATA_ANY(token);
	size_t length = VARSIZE_ANY_EXHDR(token);
	uint32 route;

	counters_prepare();
	if (!token_parse(characters, length, TOKEN_INVITATION, &route) &&
		!token_parse(characters, length, TOKEN_SESSION, &route) &&
		!token_parse(characters, length, TOKEN_JOIN_LINK, &route) &&
		!jwt_route(characters, length, &route))
		token_refuse(INVITATION_INVALID, token);
	PG_RETURN_INT32((int32) route);
}

/*
 * organization_route(organization_id uuid): the route of an organization, which all its tokens
 * carry, the same bits as a signed integer.  Reads no table.
 */
Datum
seats_organization_route(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32((int32) organization_route(PG_GETARG_UUID_P(0)));
}
