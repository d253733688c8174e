/*
 * event.h
 *		The record of what happened to seats.
 */
#ifndef SEATS_EVENT_H
#define SEATS_EVENT_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

typedef enum EventType
{
	EVENT_ASSIGNED,
	EVENT_CLAIMED,
	EVENT_REVOKED
} EventType;

extern void event_record(EventType type, const pg_uuid_t *seat_id,
						 const pg_uuid_t *organization_id, const pg_uuid_t *customer_id,
						 TimestampTz occurred_at);

#endif
