/*
 * subtransaction.c
 *		Running code that may be rolled back.
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

/* A function, and what it returned. */
typedef struct Attempt
{
	bool (*work)(void *state);
	void *state;
	bool done;
} Attempt;

/*
 * Runs a function in a subtransaction, which is rolled back if the function returns false or raises
 * an error.  The error is returned.
 */
static ErrorData *
run(Attempt *attempt)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		attempt->done = attempt->work(attempt->state);
		if (attempt->done)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		go_back(context, owner);
	}
	PG_CATCH();
	{
		/* First: if there is no memory for the copy, this must not stay open. */
		RollbackAndReleaseCurrentSubTransaction();
		go_back(context, owner);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return error;
}

/*
 * Runs a function in a subtransaction; returns whether it returned true.  If not, everything that
 * it did is rolled back, and its locks are released.  The same if it raises an error.  That is
 * raised again, unless it is expected (is_expected is NULL if none is).
 *
 * The function allocates in the memory context of the caller.
 */
bool
subtransaction_try(bool (*work)(void *state), void *state,
				   bool (*is_expected)(const ErrorData *error, const void *state))
{
	Attempt attempt = {.work = work, .state = state};
	ErrorData *error = run(&attempt);

	if (error != NULL && (is_expected == NULL || !is_expected(error, state)))
		ReThrowError(error);
	return error == NULL && attempt.done;
}

/* A function that either succeeds or raises an error. */
typedef struct Work
{
	void (*work)(void *state);
	void *state;
} Work;

/* Does it. */
static bool
do_work(void *state)
{
	const Work *work = state;

	work->work(work->state);
	return true;
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
	Work all = {.work = work, .state = state};
	Attempt attempt = {.work = do_work, .state = &all};
	ErrorData *error = run(&attempt);

	if (error != NULL && !is_expected(error))
		ReThrowError(error);
	return error;
}
