/*
 * subtransaction.c
 *		Running code whose errors are returned instead of raised.
 *
 * After an error, a transaction can only go on if all that was done before the error is undone:
 * rows, locks, snapshots, statements being executed.  A subtransaction does that, as in an
 * EXCEPTION block of PL/pgSQL.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "subtransaction.h"

/* Restores the memory context and the resource owner, which the subtransaction changed. */
static void
go_back(MemoryContext context, ResourceOwner owner)
{
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*
 * Runs a function in a subtransaction; returns NULL if it succeeds.  If it raises an error,
 * everything that it did is rolled back, and its locks are released.  An expected error is
 * returned, and does not reach the log.  Any other error is raised again.
 *
 * The function allocates in the memory context of the caller.
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
