/*
 * event.c
 *		Events: the record of what happened to seats.
 *
 * Each state change records one event, in the same transaction, so a change that is rolled back
 * leaves none.  Its metadata tells who caused it: the PostgreSQL role and, over PostgREST, the
 * address and the user agent of the request.
 *
 * Address and user agent are headers, so the sender of a request can write anything into them, a
 * token too.  An address is kept only if it can be one, and a user agent only if it cannot hold a
 * secret.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "counters.h"
#include "direct.h"
#include "event.h"
#include "request.h"
#include "seats.h"
#include "statement.h"
#include "token.h"

#define MAX_ADDRESS_LENGTH 45 /* INET6_ADDRSTRLEN without its terminator */
#define MAX_USER_AGENT_CHARACTERS 255

static const char *const type_names[] = {
	[EVENT_ASSIGNED] = "customer_seat.assigned",
	[EVENT_CLAIMED] = "customer_seat.claimed",
	[EVENT_REVOKED] = "customer_seat.revoked",
	[EVENT_INVITATION_RESENT] = "customer_seat.invitation_resent",
};

StaticAssertDecl(lengthof(type_names) == COUNTED_EVENTS,
				 "counters.h has a counter for each type of event");

/* The arguments are the columns of the table except the first, which is the event's number. */
#define INSERT_EVENT \
	"INSERT INTO seats.events " \
	"(type, seat_id, organization_id, customer_id, occurred_at, metadata) " \
	"VALUES ($1, $2, $3, $4, $5, $6)"
#define EVENT_TYPES_OF_COLUMNS TEXTOID, UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, JSONBOID

static Statement insert_event = {
	.sql = INSERT_EVENT,
	.nargs = EVENT_COLUMNS - 1,
	.argtypes = {EVENT_TYPES_OF_COLUMNS},
};

/* A trigger may change the metadata, for example to remove personal data. */
static Statement insert_event_returning = {
	.sql = INSERT_EVENT " RETURNING type = $1 AND seat_id = $2 AND organization_id = $3 "
						"AND customer_id = $4 AND occurred_at = $5",
	.nargs = EVENT_COLUMNS - 1,
	.argtypes = {EVENT_TYPES_OF_COLUMNS},
	.table = "events",
};

/* The arguments of statements about several events: common values, and arrays of ids. */
#define EVENTS_ARGUMENTS 6
#define EVENTS_ARGUMENT_TYPES \
	TEXTOID, TIMESTAMPTZOID, JSONBOID, UUIDARRAYOID, UUIDARRAYOID, UUIDARRAYOID

#define FROM_EVENTS \
	"FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6)) " \
	"AS s (id, organization_id, customer_id)"

#define INSERT_EVENTS \
	"INSERT INTO seats.events " \
	"(type, occurred_at, metadata, seat_id, organization_id, customer_id) " \
	"SELECT $1, $2, $3, s.id, s.organization_id, s.customer_id " FROM_EVENTS

static Statement insert_events = {
	.sql = INSERT_EVENTS,
	.nargs = EVENTS_ARGUMENTS,
	.argtypes = {EVENTS_ARGUMENT_TYPES},
};

static Statement insert_events_returning = {
	.sql = INSERT_EVENTS " RETURNING seat_id, organization_id, customer_id, "
						 "type = $1 AND occurred_at = $2",
	.nargs = EVENTS_ARGUMENTS,
	.argtypes = {EVENTS_ARGUMENT_TYPES},
	.table = "events",
};

/* A JSON object with the columns of the table, in their order. */
static Statement emit_events = {
	.sql =
		"SELECT pg_catalog.pg_logical_emit_message(true, 'seats', "
		"pg_catalog.row_to_json(e)::pg_catalog.text) "
		"FROM (SELECT pg_catalog.nextval('seats.events_id_seq'::pg_catalog.regclass) AS id, "
		"$1 AS type, s.id AS seat_id, s.organization_id, s.customer_id, "
		"$2 AS occurred_at, $3 AS metadata " FROM_EVENTS ") AS e",
	.nargs = EVENTS_ARGUMENTS,
	.argtypes = {EVENTS_ARGUMENT_TYPES},
};

/*
 * Returns the client's address, the first one in X-Forwarded-For, or NULL if it cannot be an
 * address.  Each proxy appends the address of its own client, so the first one is what the client
 * wrote itself, unless the first proxy replaces the header.
 */
static char *
client_address(char *forwarded_for)
{
	size_t length;

	if (forwarded_for == NULL)
		return NULL;
	forwarded_for += strspn(forwarded_for, " \t");
	length = strcspn(forwarded_for, ", \t");
	if (length == 0 || length > MAX_ADDRESS_LENGTH ||
		strspn(forwarded_for, "0123456789abcdefABCDEF.:") < length)
		return NULL;
	return pnstrdup(forwarded_for, length);
}

/*
 * Tells whether a string has a run of base62 or base64url digits that is at least as long as the
 * secret of a token.
 */
static bool
may_hold_secret(const char *string)
{
	size_t run = 0;

	for (; *string != '\0' && run < TOKEN_SECRET_LENGTH; string++)
	{
		if (isalnum((unsigned char) *string) || *string == '-' || *string == '_')
			run++;
		else
			run = 0;
	}
	return run >= TOKEN_SECRET_LENGTH;
}

/* Returns the user agent, shortened if necessary, or NULL if it may contain a secret. */
static char *
clean_user_agent(char *user_agent)
{
	int length;

	if (user_agent == NULL || user_agent[0] == '\0' || may_hold_secret(user_agent))
		return NULL;
	length = (int) strlen(user_agent);
	return pnstrdup(user_agent,
					pg_mbcharcliplen(user_agent, length, MAX_USER_AGENT_CHARACTERS));
}

/* Adds a field to an object, unless its value is NULL. */
static void
add_field(JsonbInState *object, char *name, char *value)
{
	JsonbValue json = {.type = jbvString};

	if (value == NULL)
		return;
	json.val.string.val = name;
	json.val.string.len = (int) strlen(name);
	push_jsonb_compat(object, WJB_KEY, &json);
	json.val.string.val = value;
	json.val.string.len = (int) strlen(value);
	push_jsonb_compat(object, WJB_VALUE, &json);
}

/* Returns the metadata of events that the current statement records. */
static Jsonb *
event_metadata(void)
{
	static const char *const headers[] = {"x-forwarded-for", "user-agent"};
	char *values[lengthof(headers)];
	JsonbInState object = {0};

	request_read_headers(headers, values, lengthof(headers));
	push_jsonb_compat(&object, WJB_BEGIN_OBJECT, NULL);
	/* The calling role, even within a SECURITY DEFINER function. */
	add_field(&object, "role", GetUserNameFromId(GetOuterUserId(), true));
	add_field(&object, "address", client_address(values[0]));
	add_field(&object, "user_agent", clean_user_agent(values[1]));
	push_jsonb_compat(&object, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(object.result);
}

/*
 * Warns, once in a session, if messages for logical decoding reach nobody.  This is not an error,
 * because claims must succeed nevertheless.
 */
static void
warn_unless_decoded(void)
{
	static bool warned = false;

	if (warned || XLogLogicalInfoActive())
		return;
	warned = true;
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("events of the extension seats cannot be decoded"),
			 errdetail("\"seats.event_sink\" is \"logical\", but \"wal_level\" is not."),
			 errhint("Set \"wal_level\" to \"logical\".")));
}

/* Tells whether a column of a row has this id. */
static bool
has_id(const Rows *rows, uint64 row, int column, const pg_uuid_t *id)
{
	return memcmp(DatumGetUUIDP(rows_required(rows, row, column)), id, UUID_LEN) == 0;
}

/* Inserts an event for each seat; raises 09000 if a trigger of the owner alters one. */
static void
insert_all(const SeatIds *seats, int count, const NullableDatum *arguments)
{
	Rows rows = statement_insert(&insert_events, &insert_events_returning, arguments, count);

	for (uint64 i = 0; i < rows.count; i++)
	{
		if (!has_id(&rows, i, 1, &seats[i].id) ||
			!has_id(&rows, i, 2, &seats[i].organization_id) ||
			!has_id(&rows, i, 3, &seats[i].customer_id))
			refuse_trigger_on("events");
	}
	rows_free(&rows);
}

/*
 * Records one event for each seat, all with the same time, as seats.event_sink says, and counts
 * them in any case.  Between SPI_connect() and SPI_finish().  Raises 09000 if a trigger of the
 * owner prevents or alters an event.  Locks nothing that another session waits for.
 */
void
event_record_all(EventType type, const SeatIds *seats, int count, TimestampTz occurred_at)
{
	NullableDatum arguments[EVENTS_ARGUMENTS] = {0};

	if (count == 0)
		return;
	counters_add_events(type, count);
	if (setting_event_sink == EVENT_SINK_NONE)
		return;
	arguments[0].value = CStringGetTextDatum(type_names[type]);
	arguments[1].value = TimestampTzGetDatum(occurred_at);
	arguments[2].value = JsonbPGetDatum(event_metadata());
	arguments[3] = uuid_array(&seats->id, sizeof(SeatIds), count);
	arguments[4] = uuid_array(&seats->organization_id, sizeof(SeatIds), count);
	arguments[5] = uuid_array(&seats->customer_id, sizeof(SeatIds), count);
	if (setting_event_sink == EVENT_SINK_LOGICAL)
	{
		warn_unless_decoded();
		(void) statement_execute(&emit_events, arguments);
	}
	else
		insert_all(seats, count, arguments);
}

/* Records one event; see event_record_all(). */
void
event_record(EventType type, const SeatIds *seat, TimestampTz occurred_at)
{
	NullableDatum values[EVENT_COLUMNS] = {0};

	if (setting_event_sink != EVENT_SINK_TABLE)
	{
		event_record_all(type, seat, 1, occurred_at);
		return;
	}
	counters_add_events(type, 1);
	values[EVENT_TYPE].value = CStringGetTextDatum(type_names[type]);
	values[EVENT_SEAT_ID].value = UUIDPGetDatum(&seat->id);
	values[EVENT_ORGANIZATION_ID].value = UUIDPGetDatum(&seat->organization_id);
	values[EVENT_CUSTOMER_ID].value = UUIDPGetDatum(&seat->customer_id);
	values[EVENT_OCCURRED_AT].value = TimestampTzGetDatum(occurred_at);
	values[EVENT_METADATA].value = JsonbPGetDatum(event_metadata());
	if (!direct_insert(&direct_events, values))
		(void) statement_insert(&insert_event, &insert_event_returning, &values[EVENT_TYPE],
								1);
}
