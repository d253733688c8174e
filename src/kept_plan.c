/*
 * kept_plan.c
 *		SQL statements that are prepared once in a session, after the manner of ri_triggers.c.
 *
 * A plan is looked at before each use and made anew once anything that it depends on has
 * changed, such as a table being altered or the extension being created again.
 */
#include "postgres.h"

#include "utils/guc.h"
#include "utils/resowner.h"

#include "kept_plan.h"

/*
 * Plans a statement without sequential scans: it is kept while tables grow from nothing, and
 * every one of them finds its rows by an index.  One generic plan serves all values.
 */
static SPIPlanPtr
make_plan(const KeptPlan *statement)
{
	int settings = NewGUCNestLevel();
	SPIPlanPtr plan;

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	plan = SPI_prepare_cursor(statement->sql, statement->nargs, (Oid *) statement->argtypes,
							  CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor returned %s for %s",
			 SPI_result_code_string(SPI_result), statement->sql);
	SPI_keepplan(plan);
	ReleaseCachedPlan(SPI_plan_get_cached_plan(plan), CurrentResourceOwner);
	AtEOXact_GUC(true, settings);
	return plan;
}

/* Returns a statement's plan, made anew if there is none or it went stale. */
static SPIPlanPtr
valid_plan(KeptPlan *statement)
{
	SPIPlanPtr stale = statement->plan;

	if (stale != NULL && SPI_plan_is_valid(stale))
		return stale;
	statement->plan = NULL;
	if (stale != NULL)
		SPI_freeplan(stale);
	statement->plan = make_plan(statement);
	return statement->plan;
}

/* Executes a statement inside SPI_connect() and SPI_finish(); returns how many rows it gave. */
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

/*
 * Executes a statement that changes one row and gives it; raises 09000 where a trigger that
 * somebody added prevents that.
 */
void
kept_plan_change(KeptPlan *statement, const NullableDatum *arguments)
{
	if (execute(statement, arguments, false) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger on seats.customer_seats prevented the change of a seat")));
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
