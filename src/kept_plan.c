/*
 * kept_plan.c
 *		SQL statements that are prepared once in a session, as in ri_triggers.c.
 *
 * A plan is looked at before each use and planned anew once anything that it depends on has
 * changed, such as a table being altered or the extension being created again.  Other than
 * ri_triggers.c, we leave that to PostgreSQL's plan cache and never free a plan: a trigger that
 * somebody added may call us while the same statement is being executed.
 */
#include "postgres.h"

#include "utils/guc.h"
#include "utils/resowner.h"

#include "extension.h"
#include "kept_plan.h"

/* Prepares a statement for good; one generic plan serves all values. */
static SPIPlanPtr
prepare(const KeptPlan *statement)
{
	SPIPlanPtr plan = SPI_prepare_cursor(statement->sql, statement->nargs,
										 (Oid *) statement->argtypes, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor returned %s for %s",
			 SPI_result_code_string(SPI_result), statement->sql);
	SPI_keepplan(plan);
	return plan;
}

/*
 * Makes the plan of a statement that has none, or whose plan went stale.  It is kept while tables
 * grow from nothing, and every statement finds its rows by an index, one after the other: so it
 * is made without what reads tables as a whole.
 */
static void
make_plan(SPIPlanPtr plan)
{
	static const char *const avoided[] = {"enable_seqscan", "enable_bitmapscan",
										  "enable_hashjoin", "enable_mergejoin",
										  "enable_material"};
	int settings = NewGUCNestLevel();

	for (size_t i = 0; i < lengthof(avoided); i++)
		(void) set_config_option(avoided[i], "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	ReleaseCachedPlan(SPI_plan_get_cached_plan(plan), CurrentResourceOwner);
	AtEOXact_GUC(true, settings);
}

/*
 * Returns a statement's plan, as right as it is now.  Making it may fail, by a time-out while it
 * waits for an index, and is not done then.
 */
static SPIPlanPtr
valid_plan(KeptPlan *statement)
{
	extension_check_version();
	if (statement->plan == NULL)
		statement->plan = prepare(statement);
	if (!SPI_plan_is_valid(statement->plan))
		statement->planned = false;
	if (!statement->planned)
		make_plan(statement->plan);
	statement->planned = true;
	return statement->plan;
}

/*
 * Executes a statement inside SPI_connect() and SPI_finish(); returns how many rows it gave.  Raises
 * 55000 where this library does not know the version of the extension's objects.
 */
static uint64
execute(KeptPlan *statement, const NullableDatum *arguments, bool read_only)
{
	Datum values[KEPT_PLAN_MAX_ARGUMENTS];
	char nulls[KEPT_PLAN_MAX_ARGUMENTS];
	int result;

	Assert(statement->nargs <= KEPT_PLAN_MAX_ARGUMENTS);
	for (int i = 0; i < statement->nargs; i++)
	{
		values[i] = arguments[i].value;
		nulls[i] = arguments[i].isnull ? 'n' : ' ';
	}
	result = SPI_execute_plan(valid_plan(statement), values, nulls, read_only, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan returned %s for %s", SPI_result_code_string(result),
			 statement->sql);
	return SPI_processed;
}

/*
 * Executes a statement that sees all that is committed, and what this transaction has done;
 * returns how many rows it changed or gave.
 */
uint64
kept_plan_execute(KeptPlan *statement, const NullableDatum *arguments)
{
	return execute(statement, arguments, false);
}

/* Raises 09000: a trigger that somebody added does not let a seat be written as it must be. */
void
refuse_seat_trigger(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a trigger on seats.customer_seats prevented the change of a seat"),
			 errhint("Look for a trigger that returns null or changes ids.")));
}

/*
 * Executes a statement that changes so many seats; raises 09000 where a trigger that somebody
 * added prevents that.
 */
void
kept_plan_change(KeptPlan *statement, const NullableDatum *arguments, uint64 count)
{
	if (execute(statement, arguments, false) != count)
		refuse_seat_trigger();
}

/*
 * Executes a SELECT for a STABLE function, which sees what the calling statement sees; returns
 * how many rows it gave.
 */
uint64
kept_plan_read(KeptPlan *statement, const NullableDatum *arguments)
{
	return execute(statement, arguments, true);
}
