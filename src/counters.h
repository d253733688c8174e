/*
 * counters.h
 *		Counters of what happened in this database, for stats().
 */
#ifndef SEATS_COUNTERS_H
#define SEATS_COUNTERS_H

#include "datatype/timestamp.h"

/* How many types of events and how many errors there are; event.c and errors.c check this. */
#define COUNTED_EVENTS 6
#define COUNTED_ERRORS 24

/* The values of all counters, and since when they count. */
typedef struct CounterValues
{
	TimestampTz since;
	uint64 events[COUNTED_EVENTS]; /* seats that changed, by the type of event */
	uint64 errors[COUNTED_ERRORS]; /* errors raised, by SeatsError */
} CounterValues;

extern void counters_define(void);
extern void counters_prepare(void);
extern void counters_add_events(int type, int count);
extern void counters_add_error(int error);
extern bool counters_read(CounterValues *values);

#endif
