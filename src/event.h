/*
 * event.h
 *		Events: the record of what happened to seats.
 */
#ifndef SEATS_EVENT_H
#define SEATS_EVENT_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

typedef enum EventType
{
	EVENT_ASSIGNED,
	EVENT_CLAIMED,
	EVENT_REVOKED,
	EVENT_INVITATION_RESENT
} EventType;

/* A seat, the organization that sold it, and the customer who has it. */
typedef struct SeatIds
{
	pg_uuid_t id;
	pg_uuid_t organization_id;
	pg_uuid_t customer_id;
} SeatIds;

extern void event_record(EventType type, const SeatIds *seat, TimestampTz occurred_at);
extern void event_record_all(EventType type, const SeatIds *seats, int count,
							 TimestampTz occurred_at);

#endif
