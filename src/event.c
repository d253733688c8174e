/*
 * event.c
 *		The record of what happened to seats: one event for each state change, written in its
 *		transaction, so that a change rolled back leaves none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event.h"
#include "kept_plan.h"
#include "settings.h"

static const char *const type_names[] = {
	[EVENT_ASSIGNED] = "customer_seat.assigned",
	[EVENT_CLAIMED] = "customer_seat.claimed",
	[EVENT_REVOKED] = "customer_seat.revoked",
};

static KeptPlan insert_event = {
	.sql =
		"INSERT INTO seats.events (type, seat_id, organization_id, customer_id, occurred_at) "
		"VALUES ($1, $2, $3, $4, $5)",
	.nargs = 5,
	.argtypes = {TEXTOID, UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID},
};

/*
 * Records an event where seats.event_sink says.  Inside SPI_connect() and SPI_finish().  Locks
 * nothing that another session waits for.
 */
void
event_record(EventType type, const pg_uuid_t *seat_id, const pg_uuid_t *organization_id,
			 const pg_uuid_t *customer_id, TimestampTz occurred_at)
{
	NullableDatum arguments[] = {
		{CStringGetTextDatum(type_names[type]), false}, {UUIDPGetDatum(seat_id), false},
		{UUIDPGetDatum(organization_id), false},		{UUIDPGetDatum(customer_id), false},
		{TimestampTzGetDatum(occurred_at), false},
	};

	if (setting_event_sink == EVENT_SINK_TABLE)
		kept_plan_execute(&insert_event, arguments);
}
