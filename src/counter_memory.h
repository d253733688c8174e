/*
 * counter_memory.h
 *		The shared memory that counters are in.
 */
#ifndef SEATS_COUNTER_MEMORY_H
#define SEATS_COUNTER_MEMORY_H

#include "datatype/timestamp.h"
#include "port/atomics.h"

#include "errors.h"
#include "event.h"

/* The counters of one database.  They only rise, and nobody who adds to one waits for another. */
typedef struct Counters
{
	Oid database; /* InvalidOid: not in use */
	TimestampTz since;
	pg_atomic_uint64 events[EVENT_TYPES];
	pg_atomic_uint64 errors[SEATS_ERRORS];
} Counters;

extern Counters *counters_found(void);
extern Counters *counters_of_database(void);

#endif
