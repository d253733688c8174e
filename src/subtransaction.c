/*
 * subtransaction.c
 *		Work whose errors are answered rather than raised.
 *
 * An error can be gone on from only where all that was done before it is undone: rows, locks,
 * snapshots, statements being executed.  As in PL/pgSQL's EXCEPTION block, a subtransaction does
 * that.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "subtransaction.h"

/* Goes on where we were before the subtransaction, which changed both. */
static void
go_back(MemoryContext context, ResourceOwner owner)
{
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*
 * Does some work in a subtransaction; returns NULL where it succeeded.  Where it raised an error,
 * nothing that it did is left, no lock either; an error that was expected is returned, which keeps
 * it from the log, and any other goes on to the caller's caller.
 *
 * The work allocates in the caller's memory context.
 */
ErrorData *
subtransaction_run(void (*work)(void *state), void *state,
				   bool (*is_expected)(const ErrorData *error))
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(state);
		ReleaseCurrentSubTransaction();
		go_back(context, owner);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		go_back(context, owner);
	}
	PG_END_TRY();

	if (error != NULL && !is_expected(error))
		ReThrowError(error);
	return error;
}
