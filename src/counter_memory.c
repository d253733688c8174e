/*
 * counter_memory.c
 *		The shared memory that counters are in: made by the first session that counts, gone when
 *		the server stops or recovers from a crash.
 *
 * The library need not be preloaded.  From 17 on PostgreSQL's registry of named segments has the
 * memory; before, it comes out of what the server's own shared memory has to spare, as contrib's
 * pg_prewarm does it there.  It has room for a fixed number of databases.  One that was dropped makes
 * room when that is needed.
 *
 * Where there is no room, nothing is counted, and nobody's claim fails for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#else
#include "storage/lwlock.h"
#include "storage/shmem.h"
#endif
#include "storage/spin.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "counter_memory.h"
#include "subtransaction.h"

#define MAX_DATABASES 64

typedef struct CounterMemory
{
	slock_t lock; /* of which database has which counters */
	Counters databases[MAX_DATABASES];
} CounterMemory;

/* This database's counters once they were looked for, or NULL where there is no room. */
static Counters *counters;

/* Makes the memory, in which no database has counters yet. */
static void
make_memory(void *memory)
{
	CounterMemory *made = memory;

	SpinLockInit(&made->lock);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		Counters *unused = &made->databases[i];

		unused->database = InvalidOid;
		for (int type = 0; type < EVENT_TYPES; type++)
			pg_atomic_init_u64(&unused->events[type], 0);
		for (int error = 0; error < SEATS_ERRORS; error++)
			pg_atomic_init_u64(&unused->errors[error], 0);
	}
}

/* Libraries whose counters differ do not meet in one memory: its size is part of its name. */
#define MEMORY_NAME psprintf("seats counters %zu", sizeof(CounterMemory))

#if PG_VERSION_NUM >= 190000

static void
make_named_memory(void *memory, void *arg pg_attribute_unused())
{
	make_memory(memory);
}

/* Returns the memory, made if need be.  Raises errors of class 53 where there is no room. */
static CounterMemory *
find_memory(void)
{
	bool found;

	return GetNamedDSMSegment(MEMORY_NAME, sizeof(CounterMemory), make_named_memory, &found,
							  NULL);
}

#elif PG_VERSION_NUM >= 170000

/* Returns the memory, made if need be.  Raises errors of class 53 where there is no room. */
static CounterMemory *
find_memory(void)
{
	bool found;

	return GetNamedDSMSegment(MEMORY_NAME, sizeof(CounterMemory), make_memory, &found);
}

#else

/*
 * Returns the memory, made if need be.  Raises errors of class 53 where there is no room.
 *
 * Locks: AddinShmemInitLock, so that others do not find the memory while it is being made.
 */
static CounterMemory *
find_memory(void)
{
	const char *name = MEMORY_NAME;
	CounterMemory *memory;
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct(name, sizeof(CounterMemory), &found);
	if (!found)
		make_memory(memory);
	LWLockRelease(AddinShmemInitLock);
	return memory;
}

#endif

/* Lets counters be used for this database, from zero on.  With the memory's lock. */
static void
start_counting(Counters *unused, TimestampTz now)
{
	unused->database = MyDatabaseId;
	unused->since = now;
	for (int type = 0; type < EVENT_TYPES; type++)
		pg_atomic_write_u64(&unused->events[type], 0);
	for (int error = 0; error < SEATS_ERRORS; error++)
		pg_atomic_write_u64(&unused->errors[error], 0);
}

/*
 * Returns this database's counters, new ones if it has none, or NULL where there is no room.
 *
 * Locks: the memory's spinlock.
 */
static Counters *
find_counters(CounterMemory *memory)
{
	TimestampTz now = GetCurrentTimestamp();
	Counters *found = NULL;
	Counters *unused = NULL;

	SpinLockAcquire(&memory->lock);
	for (int i = 0; i < MAX_DATABASES && found == NULL; i++)
	{
		Counters *each = &memory->databases[i];

		if (each->database == MyDatabaseId)
			found = each;
		else if (each->database == InvalidOid && unused == NULL)
			unused = each;
	}
	if (found == NULL && unused != NULL)
	{
		found = unused;
		start_counting(found, now);
	}
	SpinLockRelease(&memory->lock);
	return found;
}

/*
 * Gives up the counters of databases that were dropped: nobody is connected to one, and none comes
 * again.
 *
 * Locks: the memory's spinlock, but not while it looks whether a database is there.
 */
static void
forget_dropped_databases(CounterMemory *memory)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		Counters *each = &memory->databases[i];
		Oid database = each->database;

		if (!OidIsValid(database) ||
			SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
			continue;
		SpinLockAcquire(&memory->lock);
		if (each->database == database)
			each->database = InvalidOid;
		SpinLockRelease(&memory->lock);
	}
}

/* Finds this database's counters. */
static void
look_for_counters(void *state pg_attribute_unused())
{
	CounterMemory *memory = find_memory();

	counters = find_counters(memory);
	if (counters != NULL)
		return;
	forget_dropped_databases(memory);
	counters = find_counters(memory);
}

/* Tells whether an error says that there is no room. */
static bool
is_no_room(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES;
}

/* Returns this database's counters, or NULL where there are none or nobody has looked yet. */
Counters *
counters_found(void)
{
	return counters;
}

/*
 * Returns this database's counters, or NULL where there is no room for them.  They are looked for
 * once in a session, in a transaction, and never while an error is being raised; in a parallel
 * operation, which can have no subtransaction, an error goes on to the caller.
 */
Counters *
counters_of_database(void)
{
	static bool looked = false;

	if (looked)
		return counters;
	if (IsInParallelMode())
		look_for_counters(NULL);
	else
		(void) subtransaction_run(look_for_counters, NULL, is_no_room);
	looked = true;
	return counters;
}
