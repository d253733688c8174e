/*
 * counters.h
 *		How often things happened in this database, and errors were raised.
 */
#ifndef SEATS_COUNTERS_H
#define SEATS_COUNTERS_H

#include "datatype/timestamp.h"

#include "errors.h"
#include "event.h"

/* What was counted, and since when. */
typedef struct Counts
{
	TimestampTz since;
	uint64 events[EVENT_TYPES]; /* seats that changed, by what happened to them */
	uint64 errors[SEATS_ERRORS];
} Counts;

extern void counters_define(void);
extern void counters_prepare(void);
extern void counters_add_events(EventType type, int count);
extern void counters_add_error(SeatsError error);
extern bool counters_read(Counts *counts);

#endif
