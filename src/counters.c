/*
 * counters.c
 *		How often things happened in this database, and errors were raised, for stats().
 *
 * What happened counts when its transaction has committed: until then it is kept here, for each
 * level of subtransactions by itself, as PostgreSQL keeps its own statistics.  An error counts when
 * it is raised, whether anybody catches it or not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "counter_memory.h"
#include "counters.h"

/* What happened in a level of subtransactions, and in those below it that have ended. */
typedef struct Pending
{
	int level;
	uint64 events[EVENT_TYPES];
	struct Pending *outer; /* of a lower level, or NULL */
} Pending;

/* Of the innermost level in which something happened; all live as long as the transaction. */
static Pending *pending;

/* Returns what is pending of the current level. */
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

/* The transaction has committed: what happened in it counts.  Raises nothing. */
static void
count_pending(void)
{
	Counters *counters = counters_found();

	for (int type = 0; type < EVENT_TYPES; type++)
	{
		if (pending->events[type] > 0)
			pg_atomic_fetch_add_u64(&counters->events[type], (int64) pending->events[type]);
	}
}

/*
 * The transaction ends.  What happened in one that is prepared for two-phase commit is not known
 * any more when it commits, and does not count.
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

/* Forgets what is pending of the innermost level. */
static void
forget(void)
{
	Pending *ended = pending;

	pending = ended->outer;
	pfree(ended);
}

/* A subtransaction has committed: what happened in it is now the next outer level's. */
static void
hand_out(void)
{
	Pending *outer = pending->outer;

	if (outer == NULL || outer->level < pending->level - 1)
	{
		pending->level--;
		return;
	}
	for (int type = 0; type < EVENT_TYPES; type++)
		outer->events[type] += pending->events[type];
	forget();
}

/* A subtransaction ends. */
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

/* Has the ends of transactions and subtransactions counted. */
void
counters_define(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/* Counts seats to which something happened, if this transaction commits. */
void
counters_add_events(EventType type, int count)
{
	if (counters_of_database() != NULL)
		current_pending()->events[type] += count;
}

/*
 * Finds the counters.  Functions call this before they can raise an error: to find them may take a
 * subtransaction, which cannot be started while an error is being raised.
 */
void
counters_prepare(void)
{
	(void) counters_of_database();
}

/* Counts an error that is about to be raised. */
void
counters_add_error(SeatsError error)
{
	Counters *counters = counters_found();

	if (counters != NULL)
		pg_atomic_fetch_add_u64(&counters->errors[error], 1);
}

/* Reads all counters; false where there are none. */
bool
counters_read(Counts *counts)
{
	Counters *counters = counters_of_database();

	if (counters == NULL)
		return false;
	counts->since = counters->since;
	for (int type = 0; type < EVENT_TYPES; type++)
		counts->events[type] = pg_atomic_read_u64(&counters->events[type]);
	for (int error = 0; error < SEATS_ERRORS; error++)
		counts->errors[error] = pg_atomic_read_u64(&counters->errors[error]);
	return true;
}
