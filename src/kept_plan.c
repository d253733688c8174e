/*
 * kept_plan.c
 *		SQL statements that are prepared once in a session, as in ri_triggers.c.
 *
 * PostgreSQL's plan cache plans a statement anew once anything that the plan depends on has
 * changed, such as a table being altered or the extension being created again.  Unlike
 * ri_triggers.c, we leave that to the cache and never free a plan: a trigger that somebody added
 * may call us while the same statement is being executed.  How it is planned, planner.c says.
 */
#include "postgres.h"

#include "storage/lmgr.h"
#include "utils/plancache.h"

#include "columns.h"
#include "extension.h"
#include "interference.h"
#include "kept_plan.h"
#include "planner.h"
#include "row.h"

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
 * Locks the tables of a statement as reading them does, so that nobody alters one from here on; the
 * statement itself takes the stronger locks that it needs.  With the locks come pending
 * invalidations of the plan.
 */
static void
lock_tables(SPIPlanPtr plan)
{
	const CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	ListCell *cell;

	foreach (cell, source->relationOids)
	{
		LockRelationOid(lfirst_oid(cell), AccessShareLock);
	}
}

/* Makes a statement ready to be executed; raises what kept_plan_execute() says. */
static void
make_ready(KeptPlan *statement)
{
	extension_check_version();
	if (statement->plan != NULL)
		lock_tables(statement->plan);
	if (statement->plan == NULL || !SPI_plan_is_valid(statement->plan))
		columns_check_statement(statement->sql);
	if (statement->plan == NULL)
		statement->plan = prepare(statement);
}

/* Puts arguments into the form that SPI takes. */
static void
split_arguments(const KeptPlan *statement, const NullableDatum *arguments, Datum *values,
				char *nulls)
{
	Assert(statement->nargs <= KEPT_PLAN_MAX_ARGUMENTS);
	for (int i = 0; i < statement->nargs; i++)
	{
		values[i] = arguments[i].value;
		nulls[i] = arguments[i].isnull ? 'n' : ' ';
	}
}

/* How many statements have been executed in this session. */
static uint64 executed = 0;

/*
 * Returns how many statements have been executed in this session: where none was between two calls,
 * all that was done between them was done past the executor.
 */
uint64
kept_plan_count(void)
{
	return executed;
}

/* Executes a statement inside SPI_connect() and SPI_finish(); returns how many rows it gave. */
static uint64
execute(KeptPlan *statement, const NullableDatum *arguments, bool read_only)
{
	Datum values[KEPT_PLAN_MAX_ARGUMENTS];
	char nulls[KEPT_PLAN_MAX_ARGUMENTS];
	const char *outer;
	int result;

	split_arguments(statement, arguments, values, nulls);
	make_ready(statement);
	executed++;
	outer = planner_expect(statement->sql);
	result = SPI_execute_plan(statement->plan, values, nulls, read_only, 0);
	(void) planner_expect(outer);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan returned %s for %s", SPI_result_code_string(result),
			 statement->sql);
	return SPI_processed;
}

/*
 * Executes a statement that sees all that is committed, and what this transaction has done;
 * returns how many rows it changed or gave.  Raises 55000 where this library does not know the
 * version of the extension's objects or a table is distributed, and 42703 or 42804 where a column
 * that the statement uses was altered.
 */
uint64
kept_plan_execute(KeptPlan *statement, const NullableDatum *arguments)
{
	return execute(statement, arguments, false);
}

/*
 * Executes a statement that changes so many rows of a table, and whose last column tells of each
 * whether it was written as it was meant; raises 09000 where a trigger that somebody added prevents
 * that.
 */
void
kept_plan_change(KeptPlan *statement, const NullableDatum *arguments, uint64 count)
{
	if (execute(statement, arguments, false) != count || SPI_tuptable == NULL)
		refuse_trigger_on(statement->table);
	for (uint64 row = 0; row < count; row++)
	{
		NullableDatum as_meant = rows_value(row, SPI_tuptable->tupdesc->natts);

		if (as_meant.isnull || !DatumGetBool(as_meant.value))
			refuse_altered_row(statement->table);
	}
}

/*
 * Executes a SELECT that reads so many rows once more, whose last column tells of each whether it is
 * as the function answers; raises 09000 where one is not.
 */
void
kept_plan_confirm(KeptPlan *statement, const NullableDatum *arguments, uint64 count)
{
	bool confirmed = execute(statement, arguments, false) == count;

	for (uint64 row = 0; row < count && confirmed; row++)
	{
		NullableDatum as_meant = rows_value(row, SPI_tuptable->tupdesc->natts);

		confirmed = !as_meant.isnull && DatumGetBool(as_meant.value);
	}
	if (!confirmed)
		refuse_trigger_on(statement->table);
}

/*
 * Executes an INSERT of so many rows: by the statement itself, which needs no right to read the
 * table, or where somebody has added a trigger or rule by the same one with RETURNING, of which
 * kept_plan_change() says more.  Returns whether the latter has left its rows.
 */
bool
kept_plan_insert(KeptPlan *statement, KeptPlan *returning, const NullableDatum *arguments,
				 uint64 count)
{
	if (table_has_interference(returning->table))
	{
		kept_plan_change(returning, arguments, count);
		return true;
	}
	(void) execute(statement, arguments, false);
	return false;
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

/* Opens a cursor for a SELECT that may give many rows and lock them; see kept_plan_execute(). */
Portal
kept_plan_open(KeptPlan *statement, const NullableDatum *arguments)
{
	Datum values[KEPT_PLAN_MAX_ARGUMENTS];
	char nulls[KEPT_PLAN_MAX_ARGUMENTS];
	const char *outer;
	Portal cursor;

	split_arguments(statement, arguments, values, nulls);
	make_ready(statement);
	outer = planner_expect(statement->sql);
	cursor = SPI_cursor_open(NULL, statement->plan, values, nulls, false);
	(void) planner_expect(outer);
	return cursor;
}
