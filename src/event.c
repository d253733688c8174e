/*
 * event.c
 *		Events: the record of what happened to seats.
 *
 * Each state change records one event, in the same transaction, so a change that is rolled back
 * leaves none.  It has the seat as the change left it, so that whoever reads it needs no second
 * look.  Its metadata tells which purchase the seat belongs to, why it was revoked, and who caused
 * the change: the PostgreSQL role and, over PostgREST, the address and the user agent of the
 * request.
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
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "counters.h"
#include "direct.h"
#include "event.h"
#include "jwt.h"
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
	[EVENT_SUSPENDED] = "customer_seat.suspended",
	[EVENT_RESUMED] = "customer_seat.resumed",
};

StaticAssertDecl(lengthof(type_names) == COUNTED_EVENTS,
				 "counters.h has a counter for each type of event");

static const char *const reason_words[] = {
	[REASON_REVOKED] = "revoked", [REASON_RELEASED] = "released", [REASON_ENDED] = "ended",
	[REASON_DELETED] = "deleted", [REASON_ERASED] = "erased",	  [REASON_SURPLUS] = "surplus",
};

/* The arguments of statements about events: common values, and arrays. */
#define EVENTS_ARGUMENTS 6
#define EVENTS_ARGUMENT_TYPES \
	TEXTOID, TIMESTAMPTZOID, JSONBARRAYOID, UUIDARRAYOID, UUIDARRAYOID, \
		STATEMENT_SEAT_ARRAY_TYPE

/* The fields of a seat become columns, and are made a seat again. */
#define FROM_EVENTS \
	"FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), " \
	"pg_catalog.unnest($6)) AS s (event_metadata, event_organization_id, event_customer_id, " \
	"created_at, modified_at, id, subscription_id, order_id, status, customer_id, " \
	"customer_email, invitation_token_expires_at, claimed_at, revoked_at, seat_metadata)"

#define INSERT_EVENTS \
	"INSERT INTO seats.events " \
	"(type, occurred_at, metadata, seat_id, organization_id, customer_id, seat) " \
	"SELECT $1, $2, s.event_metadata, s.id, s.event_organization_id, s.event_customer_id, " \
	"ROW(" SEAT_FIELDS ")::seats.customer_seat " FROM_EVENTS

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
		"$1 AS type, s.id AS seat_id, s.event_organization_id AS organization_id, "
		"s.event_customer_id AS customer_id, $2 AS occurred_at, "
		"s.event_metadata AS metadata, ROW(" SEAT_FIELDS
		")::seats.customer_seat AS seat " FROM_EVENTS ") AS e",
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

/* Adds a field to an object. */
static void
add_value(JsonbInState *object, const char *name, JsonbValue value)
{
	JsonbValue key = {.type = jbvString};

	key.val.string.val = unconstify(char *, name);
	key.val.string.len = (int) strlen(name);
	push_jsonb_compat(object, WJB_KEY, &key);
	push_jsonb_compat(object, WJB_VALUE, &value);
}

/* Adds a field that is a string to an object, unless it is NULL. */
static void
add_string(JsonbInState *object, const char *name, const char *string)
{
	JsonbValue value = {.type = jbvString};

	if (string == NULL)
		return;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = (int) strlen(string);
	add_value(object, name, value);
}

/* Adds a field that is a number to an object, unless it is 0. */
static void
add_number(JsonbInState *object, const char *name, int32 number)
{
	JsonbValue value = {.type = jbvNumeric};

	if (number == 0)
		return;
	value.val.numeric = int64_to_numeric(number);
	add_value(object, name, value);
}

/* Adds a field that is true to an object, if a condition holds. */
static void
add_flag(JsonbInState *object, const char *name, bool condition)
{
	JsonbValue value = {.type = jbvBool};

	if (!condition)
		return;
	value.val.boolean = true;
	add_value(object, name, value);
}

/* What the metadata of all events of one statement have in common. */
typedef struct Caller
{
	char *role; /* the calling role, even within a SECURITY DEFINER function */
	char *address;
	char *user_agent;
} Caller;

/* Finds out who calls. */
static Caller
find_caller(void)
{
	static const char *const headers[] = {"x-forwarded-for", "user-agent"};
	char *values[lengthof(headers)];

	request_read_headers(headers, values, lengthof(headers));
	return (Caller){
		.role = GetUserNameFromId(GetOuterUserId(), true),
		.address = client_address(values[0]),
		.user_agent = clean_user_agent(values[1]),
	};
}

/* Returns the metadata of an event. */
static Datum
make_metadata(const Caller *caller, const EventKind *kind, PurchaseId purchase)
{
	JsonbInState object = {0};

	push_jsonb_compat(&object, WJB_BEGIN_OBJECT, NULL);
	add_string(&object, "role", caller->role);
	add_string(&object, "address", caller->address);
	add_string(&object, "user_agent", caller->user_agent);
	add_string(&object, "reason", reason_words[kind->reason]);
	add_string(&object, "invitation", kind->unsent ? "unsent" : NULL);
	add_flag(&object, "imported", kind->imported);
	add_number(&object, "seats", kind->seats);
	add_string(&object, "join_link_id",
			   kind->join_link_id == NULL ? NULL : uuid_string(kind->join_link_id));
	add_string(&object, purchase_column(purchase.kind), uuid_string(&purchase.id));
	push_jsonb_compat(&object, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object.result));
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

/* Inserts some events; raises 09000 if a trigger of the owner alters one. */
static void
insert_all(const SeatEvent *events, int count, const NullableDatum *arguments)
{
	Rows rows = statement_insert(&insert_events, &insert_events_returning, arguments, count);

	for (uint64 i = 0; i < rows.count; i++)
	{
		if (!has_id(&rows, i, 1, &events[i].ids.id) ||
			!has_id(&rows, i, 2, &events[i].ids.organization_id) ||
			!has_id(&rows, i, 3, &events[i].ids.customer_id))
			refuse_trigger_on("events");
	}
	rows_free(&rows);
}

/* Returns the metadata of some events; those of one purchase have the same. */
static NullableDatum *
metadata_of(EventKind kind, const SeatEvent *events, int count)
{
	Caller caller = find_caller();
	NullableDatum *all = palloc0(count * sizeof(NullableDatum));

	for (int i = 0; i < count; i++)
	{
		if (i > 0 && purchase_compare(&events[i].purchase, &events[i - 1].purchase) == 0)
			all[i] = all[i - 1];
		else
			all[i].value = make_metadata(&caller, &kind, events[i].purchase);
	}
	return all;
}

/* Inserts an event without the executor; returns false if that needs a statement. */
static bool
insert_directly(EventKind kind, const SeatEvent *event, NullableDatum metadata)
{
	NullableDatum values[EVENT_COLUMNS] = {0};

	values[EVENT_TYPE].value = CStringGetTextDatum(type_names[kind.type]);
	values[EVENT_SEAT_ID].value = UUIDPGetDatum(&event->ids.id);
	values[EVENT_ORGANIZATION_ID].value = UUIDPGetDatum(&event->ids.organization_id);
	values[EVENT_CUSTOMER_ID].value = UUIDPGetDatum(&event->ids.customer_id);
	values[EVENT_OCCURRED_AT].value = TimestampTzGetDatum(kind.occurred_at);
	values[EVENT_METADATA] = metadata;
	values[EVENT_SEAT].value = event->seat;
	return direct_insert(&direct_events, values, NULL);
}

/* Returns the seats of some events, as seats.customer_seat[]. */
static NullableDatum
seat_array(const SeatEvent *events, int count)
{
	NullableDatum *seats = palloc0(count * sizeof(NullableDatum));

	for (int i = 0; i < count; i++)
		seats[i].value = events[i].seat;
	return datum_array(seats, count, seat_type());
}

/* Inserts some events by a statement, or has logical decoding see them. */
static void
record_by_statement(EventKind kind, const SeatEvent *events, const NullableDatum *metadata,
					int count)
{
	NullableDatum arguments[EVENTS_ARGUMENTS] = {0};

	arguments[0].value = CStringGetTextDatum(type_names[kind.type]);
	arguments[1].value = TimestampTzGetDatum(kind.occurred_at);
	arguments[2] = datum_array(metadata, count, JSONBOID);
	arguments[3] = uuid_array(&events->ids.organization_id, sizeof(SeatEvent), count);
	arguments[4] = uuid_array(&events->ids.customer_id, sizeof(SeatEvent), count);
	arguments[5] = seat_array(events, count);
	if (setting_event_sink == EVENT_SINK_LOGICAL)
	{
		warn_unless_decoded();
		(void) statement_execute(&emit_events, arguments);
	}
	else
		insert_all(events, count, arguments);
}

/*
 * Records events of one kind, as seats.event_sink says, and counts them in any case.  Between
 * SPI_connect() and SPI_finish().  Raises 09000 if a trigger of the owner prevents or alters an
 * event.  Locks nothing that another session waits for.
 */
void
event_record(EventKind kind, const SeatEvent *events, int count)
{
	const NullableDatum *metadata;
	int done = 0;

	if (count == 0)
		return;
	counters_add_events(kind.type, count);
	if (setting_event_sink == EVENT_SINK_NONE)
		return;
	metadata = metadata_of(kind, events, count);
	while (setting_event_sink == EVENT_SINK_TABLE && done < count &&
		   insert_directly(kind, &events[done], metadata[done]))
	{
		CHECK_FOR_INTERRUPTS();
		done++;
	}
	if (done < count)
		record_by_statement(kind, events + done, metadata + done, count - done);
}
