/*
 * counters.c
 *		Counters of what happened in this database, for stats().
 *
 * The counters are in shared memory, because with a table claims would wait for each other.  The
 * first session that counts makes it; it is gone when the server stops or recovers from a crash.
 * The library need not be preloaded.  The memory has room for a fixed number of databases; a
 * dropped one gives up its room when that is needed.  Without room nothing is counted, and no call
 * fails because of that.
 *
 * An event counts when its transaction commits.  Until then it is kept here, for each level of
 * subtransactions separately, as PostgreSQL does with its own statistics.  An error counts when it
 * is raised, whether it is caught or not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/spin.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "counters.h"
#include "subtransaction.h"

#define MAX_DATABASES 64

/* The counters of one database.  They only increase, and adding to one never waits. */
typedef struct DatabaseCounters
{
	Oid database; /* InvalidOid: not in use */
	TimestampTz since;
	pg_atomic_uint64 events[COUNTED_EVENTS];
	pg_atomic_uint64 errors[COUNTED_ERRORS];
} DatabaseCounters;

typedef struct CounterMemory
{
	slock_t lock; /* protects which database has which counters */
	DatabaseCounters databases[MAX_DATABASES];
} CounterMemory;

/* Libraries whose counters differ must not share memory, so its size is part of its name. */
#define MEMORY_NAME psprintf("seats counters %zu", sizeof(CounterMemory))

/* This database's counters once they were looked up, or NULL if there is no room for them. */
static DatabaseCounters *counters;

/* The events of one level of subtransactions, and of those below it that have committed. */
typedef struct Pending
{
	int level;
	uint64 events[COUNTED_EVENTS];
	struct Pending *outer; /* of a lower level, or NULL */
} Pending;

/* The innermost level that has events; all live as long as the transaction. */
static Pending *pending;

/* ---- Shared memory ---- */

/* Initializes the memory; no database has counters yet. */
static void
fill_memory(void *memory)
{
	CounterMemory *made = memory;

	SpinLockInit(&made->lock);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		DatabaseCounters *unused = &made->databases[i];

		unused->database = InvalidOid;
		for (int type = 0; type < COUNTED_EVENTS; type++)
			pg_atomic_init_u64(&unused->events[type], 0);
		for (int error = 0; error < COUNTED_ERRORS; error++)
			pg_atomic_init_u64(&unused->errors[error], 0);
	}
}

/* Takes unused counters for this database and sets them to zero, with the memory's lock held. */
static void
start_counting(DatabaseCounters *unused, TimestampTz now)
{
	unused->database = MyDatabaseId;
	unused->since = now;
	for (int type = 0; type < COUNTED_EVENTS; type++)
		pg_atomic_write_u64(&unused->events[type], 0);
	for (int error = 0; error < COUNTED_ERRORS; error++)
		pg_atomic_write_u64(&unused->errors[error], 0);
}

/*
 * Returns this database's counters, new ones if it has none, or NULL if there is no room.
 *
 * Locks: the memory's spinlock.
 */
static DatabaseCounters *
find_counters(CounterMemory *memory)
{
	TimestampTz now = GetCurrentTimestamp();
	DatabaseCounters *found = NULL;
	DatabaseCounters *unused = NULL;

	SpinLockAcquire(&memory->lock);
	for (int i = 0; i < MAX_DATABASES && found == NULL; i++)
	{
		DatabaseCounters *each = &memory->databases[i];

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
 * Frees the counters of databases that were dropped: no session is connected to one, and none ever
 * will be.
 *
 * Locks: the memory's spinlock, but not during the lookup of a database.
 */
static void
forget_dropped_databases(CounterMemory *memory)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		DatabaseCounters *each = &memory->databases[i];
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

/* Looks up this database's counters; raises errors of class 53 if there is no memory for them. */
static void
look_up_counters(void *state pg_attribute_unused())
{
	CounterMemory *memory = named_memory_compat(MEMORY_NAME, sizeof(CounterMemory),
												fill_memory);

	counters = find_counters(memory);
	if (counters != NULL)
		return;
	forget_dropped_databases(memory);
	counters = find_counters(memory);
}

/* Tells whether an error says that there is no memory. */
static bool
is_no_room(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES;
}

/*
 * Looks up the counters, once in a session.  Functions call this before they can raise an error:
 * the lookup may need a subtransaction, which cannot be started while an error is being raised.  A
 * parallel operation cannot start one at all, so there an error goes to the caller.
 */
void
counters_prepare(void)
{
	static bool prepared = false;

	if (prepared)
		return;
	if (IsInParallelMode())
		look_up_counters(NULL);
	else
		(void) subtransaction_run(look_up_counters, NULL, is_no_room);
	prepared = true;
}

/* ---- Counting ---- */

/* Returns the pending events of the current level. */
static Pending *
current_pending(void)
{
	int level = GetCurrentTransactionNestLevel();
	Pending *made;

	if (pending != NULL && pending->level == level)
		return pending;
	made = MemoryContextAllocZero(TopTransactionContext, sizeof(Pending));
	made->level = level;
	made->outer = pending;
	pending = made;
	return pending;
}

/* The transaction has committed: its events count.  Raises nothing. */
static void
count_pending(void)
{
	for (int type = 0; type < COUNTED_EVENTS; type++)
	{
		if (pending->events[type] > 0)
			pg_atomic_fetch_add_u64(&counters->events[type], (int64) pending->events[type]);
	}
}

/*
 * Callback at the end of a transaction.  The events of a transaction that is prepared for two-phase
 * commit are no longer known when it commits, and do not count.
 */
static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (event == XACT_EVENT_COMMIT && pending != NULL)
		count_pending();
	pending = NULL;
}

/* Forgets the pending events of the innermost level. */
static void
forget(void)
{
	Pending *ended = pending;

	pending = ended->outer;
	pfree(ended);
}

/* A subtransaction has committed: its events become those of the next outer level. */
static void
hand_out(void)
{
	Pending *outer = pending->outer;

	if (outer == NULL || outer->level < pending->level - 1)
	{
		pending->level--;
		return;
	}
	for (int type = 0; type < COUNTED_EVENTS; type++)
		outer->events[type] += pending->events[type];
	forget();
}

/* Callback at the end of a subtransaction. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId id pg_attribute_unused(),
				   SubTransactionId parent pg_attribute_unused(),
				   void *arg pg_attribute_unused())
{
	if (pending == NULL || pending->level < GetCurrentTransactionNestLevel())
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_out();
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		forget();
}

/* Installs the callbacks, when the library is loaded. */
void
counters_define(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/* Counts events of a type, if this transaction commits. */
void
counters_add_events(int type, int count)
{
	counters_prepare();
	if (counters != NULL)
		current_pending()->events[type] += count;
}

/* Counts an error that is about to be raised. */
void
counters_add_error(int error)
{
	if (counters != NULL)
		pg_atomic_fetch_add_u64(&counters->errors[error], 1);
}

/* Reads all counters; returns false if there are none. */
bool
counters_read(CounterValues *values)
{
	counters_prepare();
	if (counters == NULL)
		return false;
	values->since = counters->since;
	for (int type = 0; type < COUNTED_EVENTS; type++)
		values->events[type] = pg_atomic_read_u64(&counters->events[type]);
	for (int error = 0; error < COUNTED_ERRORS; error++)
		values->errors[error] = pg_atomic_read_u64(&counters->errors[error]);
	return true;
}
