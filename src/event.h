/*
 * event.h
 *		The record of what happened to seats.
 */
#ifndef SEATS_EVENT_H
#define SEATS_EVENT_H

#include "datatype/timestamp.h"

#include "seat.h"

typedef enum EventType
{
	EVENT_ASSIGNED,
	EVENT_CLAIMED,
	EVENT_REVOKED,
	EVENT_INVITATION_RESENT
} EventType;

#define EVENT_TYPES (EVENT_INVITATION_RESENT + 1)

extern void event_record(EventType type, const SeatIds *seat, TimestampTz occurred_at);
extern void event_record_all(EventType type, const SeatIds *seats, int count,
							 TimestampTz occurred_at);

#endif
