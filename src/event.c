/*
 * event.c
 *		The record of what happened to seats: one event for each state change, written in its
 *		transaction, so that a change rolled back leaves none.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "array.h"
#include "counters.h"
#include "direct_access.h"
#include "event.h"
#include "event_metadata.h"
#include "interference.h"
#include "kept_plan.h"
#include "row.h"
#include "settings.h"

static const char *const type_names[] = {
	[EVENT_ASSIGNED] = "customer_seat.assigned",
	[EVENT_CLAIMED] = "customer_seat.claimed",
	[EVENT_REVOKED] = "customer_seat.revoked",
	[EVENT_INVITATION_RESENT] = "customer_seat.invitation_resent",
};

/* Takes the values of all columns but the first, which is the number of the event. */
#define INSERT_EVENT \
	"INSERT INTO seats.events " \
	"(type, seat_id, organization_id, customer_id, occurred_at, metadata) " \
	"VALUES ($1, $2, $3, $4, $5, $6)"
#define EVENT_TYPES_OF_COLUMNS TEXTOID, UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, JSONBOID

static KeptPlan insert_event = {
	.sql = INSERT_EVENT,
	.nargs = EVENT_TABLE_COLUMNS - 1,
	.argtypes = {EVENT_TYPES_OF_COLUMNS},
};

/* A trigger may change the metadata, to add to it or to leave out who it was. */
static KeptPlan insert_event_returning = {
	.sql = INSERT_EVENT " RETURNING type" EQ "$1 AND seat_id" EQ "$2 AND organization_id" EQ
						"$3 "
						"AND customer_id" EQ "$4 AND occurred_at" EQ "$5",
	.nargs = EVENT_TABLE_COLUMNS - 1,
	.argtypes = {EVENT_TYPES_OF_COLUMNS},
	.table = "events",
};

/* What statements about many events take: what they have in common, and arrays of ids. */
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

static KeptPlan insert_events = {
	.sql = INSERT_EVENTS,
	.nargs = EVENTS_ARGUMENTS,
	.argtypes = {EVENTS_ARGUMENT_TYPES},
};

static KeptPlan insert_events_returning = {
	.sql = INSERT_EVENTS " RETURNING seat_id, organization_id, customer_id, "
						 "type" EQ "$1 AND occurred_at" EQ "$2",
	.nargs = EVENTS_ARGUMENTS,
	.argtypes = {EVENTS_ARGUMENT_TYPES},
	.table = "events",
};

/* The same columns in the same order as the table's, as a JSON object. */
static KeptPlan emit_events = {
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
 * Warns, once a session, where messages for logical decoding go nowhere.  Not an error: people
 * claim their seats all the same.
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
			 errmsg("events of seats cannot be decoded"),
			 errdetail("seats.event_sink is logical, but wal_level is not."),
			 errhint("Set wal_level to logical.")));
}

/* Tells whether a row that a statement gave has an id in a column. */
static bool
has_id(uint64 row, int column, const pg_uuid_t *id)
{
	return memcmp(DatumGetUUIDP(rows_required(row, column)), id, UUID_LEN) == 0;
}

/* Inserts an event for each seat; raises 09000 where a trigger that somebody added alters one. */
static void
insert_all(const SeatIds *seats, int count, const NullableDatum *arguments)
{
	if (!kept_plan_insert(&insert_events, &insert_events_returning, arguments, count))
		return;
	for (int i = 0; i < count; i++)
	{
		if (!has_id(i, 1, &seats[i].id) || !has_id(i, 2, &seats[i].organization_id) ||
			!has_id(i, 3, &seats[i].customer_id))
			refuse_trigger_on("events");
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Records one event for each seat, all at one moment, where seats.event_sink says, and counts them
 * wherever that is.  Inside SPI_connect() and SPI_finish().  Raises 09000 where a trigger that
 * somebody added prevents an event or alters it.  Locks nothing that another session waits for.
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
		kept_plan_execute(&emit_events, arguments);
	}
	else
		insert_all(seats, count, arguments);
}

/* Records one event; see event_record_all(). */
void
event_record(EventType type, const SeatIds *seat, TimestampTz occurred_at)
{
	NullableDatum values[EVENT_TABLE_COLUMNS] = {0};

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
		(void) kept_plan_insert(&insert_event, &insert_event_returning, &values[EVENT_TYPE],
								1);
}
