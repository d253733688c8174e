/*
 * statement.c
 *		SQL statements that are prepared once in a session, and the rows that they return.
 *
 * As in PostgreSQL's ri_triggers.c, a statement is prepared at its first use and its plan kept.
 * Unlike there, PostgreSQL's plan cache decides when the plan is out of date, and we never free
 * one: a trigger that the owner added may call us while the same statement is being executed.
 *
 * Each statement finds its rows by an index, and one plan is right for any number of rows.  A
 * planner that goes by statistics may choose another: while a table is small, after many rows have
 * changed, or because of a setting of the caller.  Such a plan would then be kept.  So whenever one
 * of these statements is planned, hooks replace the planner settings, take every table as large,
 * and hide its statistics.  Other statements are planned as usual.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/selfuncs.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "catalog.h"
#include "compat.h"
#include "statement.h"

/* ---- Planning ---- */

/* The size that the planner assumes for each table and each of its indexes. */
#define ASSUMED_PAGES 1000000
#define ASSUMED_ROWS 100000000.0

static const struct
{
	const char *name;
	const char *value;
} planner_settings[] = {
	/* Rows are found by an index, one after the other. */
	{"enable_indexscan", "on"},
	{"enable_indexonlyscan", "on"},
	{"enable_nestloop", "on"},
	{"enable_sort", "on"},
	{"enable_seqscan", "off"},
	{"enable_bitmapscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"enable_material", "off"},
	{"enable_memoize", "off"},
	/* The others have PostgreSQL's defaults. */
	{"enable_tidscan", "on"},
	{"enable_hashagg", "on"},
	{"enable_incremental_sort", "on"},
	{"seq_page_cost", "1"},
	{"random_page_cost", "4"},
	{"cpu_tuple_cost", "0.01"},
	{"cpu_index_tuple_cost", "0.005"},
	{"cpu_operator_cost", "0.0025"},
	{"effective_cache_size", "4GB"},
	{"work_mem", "4MB"},
	{"join_collapse_limit", "8"},
	{"from_collapse_limit", "8"},
	{"geqo", "off"},
	{"jit", "off"},
};

static planner_hook_type next_planner;
static get_relation_info_hook_type next_relation_info;
static get_relation_stats_hook_type next_relation_stats;
static get_index_stats_hook_type next_index_stats;

/*
 * The text of our statement that is being executed, by which the planner hook recognizes it.  An
 * error may leave it set: no other statement has the same text.
 */
static const char *executing_sql;

/* One of our statements is being planned. */
static bool planning;

/* Hook for the size of a table and its indexes. */
static void
assume_size(PlannerInfo *root, Oid table, bool inhparent, RelOptInfo *relation)
{
	ListCell *cell;

	if (next_relation_info != NULL)
		next_relation_info(root, table, inhparent, relation);
	if (!planning)
		return;
	relation->pages = ASSUMED_PAGES;
	relation->tuples = ASSUMED_ROWS;
	relation->allvisfrac = 0;
	relation->statlist = NIL;
	foreach (cell, relation->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		index->pages = ASSUMED_PAGES;
		index->tuples = ASSUMED_ROWS;
	}
}

/* Hook for the statistics of a column: returns true, with none, while we plan. */
static bool
hide_column_statistics(PlannerInfo *root, RangeTblEntry *table, AttrNumber column,
					   VariableStatData *statistics)
{
	if (planning)
		return true;
	return next_relation_stats != NULL && next_relation_stats(root, table, column, statistics);
}

/* Hook for the statistics of an index on an expression; the same. */
static bool
hide_index_statistics(PlannerInfo *root, Oid index, AttrNumber column,
					  VariableStatData *statistics)
{
	if (planning)
		return true;
	return next_index_stats != NULL && next_index_stats(root, index, column, statistics);
}

/* Sets the planner settings, until the caller's GUC nest level ends. */
static void
set_planner_settings(void)
{
	for (size_t i = 0; i < lengthof(planner_settings); i++)
		(void) set_config_option(planner_settings[i].name, planner_settings[i].value,
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Plans a statement as it would be without our hook. */
static PlannedStmt *
plan_as_usual(PLANNER_PARAMETERS)
{
	if (next_planner != NULL)
		return next_planner(PLANNER_ARGUMENTS);
	return standard_planner(PLANNER_ARGUMENTS);
}

/* Plans one of our statements. */
static PlannedStmt *
plan_own(PLANNER_PARAMETERS)
{
	int settings = NewGUCNestLevel();
	PlannedStmt *plan;

	set_planner_settings();
	planning = true;
	PG_TRY();
	{
		plan = plan_as_usual(PLANNER_ARGUMENTS);
	}
	PG_FINALLY();
	{
		planning = false;
	}
	PG_END_TRY();
	AtEOXact_GUC(true, settings);
	return plan;
}

/* Hook of the planner. */
static PlannedStmt *
plan_statement(PLANNER_PARAMETERS)
{
	if (executing_sql == NULL || sql == NULL || strcmp(sql, executing_sql) != 0)
		return plan_as_usual(PLANNER_ARGUMENTS);
	return plan_own(PLANNER_ARGUMENTS);
}

/* Installs the hooks, when the library is loaded. */
void
statement_define(void)
{
	next_planner = planner_hook;
	planner_hook = plan_statement;
	next_relation_info = get_relation_info_hook;
	get_relation_info_hook = assume_size;
	next_relation_stats = get_relation_stats_hook;
	get_relation_stats_hook = hide_column_statistics;
	next_index_stats = get_index_stats_hook;
	get_index_stats_hook = hide_index_statistics;
}

/* ---- Executing ---- */

/* How many statements of this session may have written rows. */
static uint64 writing = 0;

/*
 * Returns how many statements of this session may have written rows.  If two calls return the same
 * number, whatever was written between them was written without the executor, and no trigger ran.
 */
uint64
statements_writing(void)
{
	return writing;
}

/* Returns the type of an argument. */
static Oid
argument_type(Oid listed)
{
	switch (listed)
	{
		case STATEMENT_SEAT_TYPE:
			return seat_type();
		case STATEMENT_SEAT_ARRAY_TYPE:
			return seat_array_type();
		default:
			return listed;
	}
}

/* Prepares a statement for the session; one generic plan serves all values. */
static SPIPlanPtr
prepare(Statement *statement)
{
	Oid types[STATEMENT_MAX_ARGUMENTS];
	SPIPlanPtr plan;

	for (int i = 0; i < statement->nargs; i++)
	{
		types[i] = argument_type(statement->argtypes[i]);
		if (types[i] != statement->argtypes[i])
			statement->seat_type = seat_type();
	}
	plan = SPI_prepare_cursor(statement->sql, statement->nargs, types,
							  CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor returned %s for %s",
			 SPI_result_code_string(SPI_result), statement->sql);
	SPI_keepplan(plan);
	return plan;
}

/*
 * Locks the tables of a statement as reading them does, so that nobody can alter one from here on.
 * Taking the locks also processes pending invalidations of the plan.  The statement itself takes
 * the stronger locks that it needs.
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

/* Makes a statement ready to be executed; raises the errors of statement_execute(). */
static void
make_ready(Statement *statement)
{
	extension_check_version();
	/* PostgreSQL plans anew after the extension was made anew, but keeps the types of arguments. */
	if (OidIsValid(statement->seat_type) && statement->seat_type != seat_type())
		statement->plan = NULL;
	if (statement->plan != NULL)
		lock_tables(statement->plan);
	if (statement->plan == NULL || !SPI_plan_is_valid(statement->plan))
		check_statement_columns(statement->sql);
	if (statement->plan == NULL)
		statement->plan = prepare(statement);
}

/* Converts arguments to the form that SPI takes. */
static void
split_arguments(const Statement *statement, const NullableDatum *arguments, Datum *values,
				char *nulls)
{
	Assert(statement->nargs <= STATEMENT_MAX_ARGUMENTS);
	for (int i = 0; i < statement->nargs; i++)
	{
		values[i] = arguments[i].value;
		nulls[i] = arguments[i].isnull ? 'n' : ' ';
	}
}

/* What executing a statement changes until it ends. */
typedef struct Execution
{
	const char *outer_sql; /* of the statement that was being executed */
	MemoryContext caller;  /* SPI leaves its own as the current one */
} Execution;

/* Restores what executing a statement has changed. */
static void
restore(const Execution *execution)
{
	executing_sql = execution->outer_sql;
	MemoryContextSwitchTo(execution->caller);
}

/*
 * Makes a statement ready, converts its arguments, and announces it to the planner hook.  Returns
 * what must be restored afterwards.
 */
static Execution
begin_executing(Statement *statement, const NullableDatum *arguments, Datum *values,
				char *nulls)
{
	Execution execution = {.caller = CurrentMemoryContext};

	split_arguments(statement, arguments, values, nulls);
	make_ready(statement);
	execution.outer_sql = executing_sql;
	executing_sql = statement->sql;
	return execution;
}

/* Ends executing a statement; returns its rows. */
static Rows
end_executing(const Statement *statement, const Execution *execution, int result)
{
	restore(execution);
	if (result != SPI_OK_SELECT)
		writing++;
	if (result < 0)
		elog(ERROR, "SPI returned %s for %s", SPI_result_code_string(result), statement->sql);
	return (Rows){.count = SPI_processed, .table = SPI_tuptable};
}

/* Executes a statement between SPI_connect() and SPI_finish(). */
static Rows
execute(Statement *statement, const NullableDatum *arguments, bool read_only)
{
	Datum values[STATEMENT_MAX_ARGUMENTS];
	char nulls[STATEMENT_MAX_ARGUMENTS];
	Execution execution = begin_executing(statement, arguments, values, nulls);
	int result = SPI_execute_plan(statement->plan, values, nulls, read_only, 0);

	return end_executing(statement, &execution, result);
}

/*
 * Executes a statement that sees all committed rows and the changes of this transaction; returns
 * its rows.  Raises 55000 if this library does not know the version of the extension's objects or
 * if a table is distributed, and 42703 or 42804 if a column that the statement uses was altered.
 *
 * Locks: the tables, to the end of the transaction, and what the statement locks.
 */
Rows
statement_execute(Statement *statement, const NullableDatum *arguments)
{
	return execute(statement, arguments, false);
}

/*
 * Executes a statement that sees all committed rows at every isolation level, as the triggers of
 * foreign keys do; see statement_execute().  Raises 40001 if it would change a row that this
 * transaction, at a stricter level, cannot see.
 */
Rows
statement_execute_newest(Statement *statement, const NullableDatum *arguments)
{
	Datum values[STATEMENT_MAX_ARGUMENTS];
	char nulls[STATEMENT_MAX_ARGUMENTS];
	Execution execution;
	Snapshot newest;
	int result;

	if (!IsolationUsesXactSnapshot())
		return execute(statement, arguments, false);
	execution = begin_executing(statement, arguments, values, nulls);
	CommandCounterIncrement();
	newest = RegisterSnapshot(GetLatestSnapshot());
	result = SPI_execute_snapshot(statement->plan, values, nulls, newest,
								  GetTransactionSnapshot(), false, true, 0);
	UnregisterSnapshot(newest);
	return end_executing(statement, &execution, result);
}

/* Executes a SELECT for a STABLE function, which sees what the calling statement sees. */
Rows
statement_read(Statement *statement, const NullableDatum *arguments)
{
	return execute(statement, arguments, true);
}

/* Tells whether the last column of a row is true: the row is as it was meant. */
static bool
is_as_meant(const Rows *rows, uint64 row)
{
	NullableDatum as_meant = rows_value(rows, row, rows->table->tupdesc->natts);

	return !as_meant.isnull && DatumGetBool(as_meant.value);
}

/*
 * Executes a statement that must write this many rows of its table, and whose last column tells
 * whether a row was written as it was meant; returns its rows.  Raises 09000 if a trigger of the
 * owner prevents that.
 */
Rows
statement_change(Statement *statement, const NullableDatum *arguments, uint64 count)
{
	Rows rows = execute(statement, arguments, false);

	if (rows.count != count || rows.table == NULL)
		refuse_trigger_on(statement->table);
	for (uint64 row = 0; row < count; row++)
	{
		if (!is_as_meant(&rows, row))
			refuse_altered_row(statement->table);
	}
	return rows;
}

/*
 * Executes a SELECT that reads this many rows again, and whose last column tells whether a row is
 * as the function says in its result; returns its rows.  Raises 09000 if one is not.
 */
Rows
statement_confirm(Statement *statement, const NullableDatum *arguments, uint64 count)
{
	Rows rows = execute(statement, arguments, false);
	bool confirmed = rows.count == count;

	for (uint64 row = 0; row < count && confirmed; row++)
		confirmed = is_as_meant(&rows, row);
	if (!confirmed)
		refuse_trigger_on(statement->table);
	return rows;
}

/*
 * Executes an INSERT of this many rows.  Without triggers and rules of the owner the statement
 * itself is executed, which needs no right to read the table; with them the variant with RETURNING
 * is, as by statement_change().  Returns the rows of the latter, or none.
 */
Rows
statement_insert(Statement *statement, Statement *returning, const NullableDatum *arguments,
				 uint64 count)
{
	if (table_has_interference(returning->table))
		return statement_change(returning, arguments, count);
	(void) execute(statement, arguments, false);
	return (Rows){0};
}

/* Opens a cursor for a SELECT that may return many rows and lock them; see statement_execute(). */
Portal
statement_open(Statement *statement, const NullableDatum *arguments)
{
	Datum values[STATEMENT_MAX_ARGUMENTS];
	char nulls[STATEMENT_MAX_ARGUMENTS];
	Execution execution = begin_executing(statement, arguments, values, nulls);
	Portal cursor;

	cursor = SPI_cursor_open(NULL, statement->plan, values, nulls, false);
	restore(&execution);
	return cursor;
}

/* ---- Arguments that are arrays ---- */

/*
 * Returns a uuid[] of ids that are members of structs in an array, given the first id and the
 * distance in bytes from one to the next.
 */
NullableDatum
uuid_array(const pg_uuid_t *first, size_t stride, int count)
{
	Datum *ids = palloc(count * sizeof(Datum));
	NullableDatum result = {0};

	for (int i = 0; i < count; i++)
		ids[i] = UUIDPGetDatum((const pg_uuid_t *) ((const char *) first + i * stride));
	result.value = PointerGetDatum(
		construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	pfree(ids);
	return result;
}

/* Returns an array of values of a type of varying length; some of them may be null. */
NullableDatum
datum_array(const NullableDatum *values, int count, Oid type)
{
	ArrayBuildState *array = initArrayResult(type, CurrentMemoryContext, false);
	NullableDatum result = {0};

	for (int i = 0; i < count; i++)
		accumArrayResult(array, values[i].value, values[i].isnull, type, CurrentMemoryContext);
	result.value = makeArrayResult(array, CurrentMemoryContext);
	return result;
}

/* ---- Rows ---- */

/* Fetches the next rows of a cursor, at most this many. */
Rows
rows_fetch(Portal cursor, long count)
{
	MemoryContext caller = CurrentMemoryContext;

	SPI_cursor_fetch(cursor, true, count);
	MemoryContextSwitchTo(caller);
	return (Rows){.count = SPI_processed, .table = SPI_tuptable};
}

/* Frees rows before SPI_finish() does. */
void
rows_free(Rows *rows)
{
	SPI_freetuptable(rows->table);
	*rows = (Rows){0};
}

/* Returns a column, counted from 1, of a row, counted from 0. */
NullableDatum
rows_value(const Rows *rows, uint64 row, int column)
{
	NullableDatum result;

	result.value = SPI_getbinval(rows->table->vals[row], rows->table->tupdesc, column,
								 &result.isnull);
	return result;
}

/* Returns a column that must not be null; raises 42804 if it is. */
Datum
rows_required(const Rows *rows, uint64 row, int column)
{
	NullableDatum result = rows_value(rows, row, column);

	if (result.isnull)
		refuse_null_column(SPI_fname(rows->table->tupdesc, column));
	return result.value;
}

/* Raises 42804: one of the extension's types was altered. */
void
refuse_altered_type(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("a type of the extension seats has been altered"),
			 errhint("Undo the change to the type.")));
}

/* Copies the first columns of the first row; raises 42804 if they are not of these types. */
void
rows_fields(const Rows *rows, NullableDatum *fields, const Oid *types, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (SPI_gettypeid(rows->table->tupdesc, i + 1) != types[i])
			refuse_altered_type();
		fields[i] = rows_value(rows, 0, i + 1);
	}
}

/* Returns the first columns of a row as a composite value; see form_composite(). */
Datum
rows_composite(const Rows *rows, uint64 row, Oid type, int count, MemoryContext context)
{
	NullableDatum *fields = palloc(count * sizeof(NullableDatum));
	Oid *field_types = palloc(count * sizeof(Oid));

	for (int i = 0; i < count; i++)
	{
		fields[i] = rows_value(rows, row, i + 1);
		field_types[i] = SPI_gettypeid(rows->table->tupdesc, i + 1);
	}
	return form_composite(type, fields, field_types, count, context);
}

/* ---- Composite values and results ---- */

/*
 * Forms a composite value in the current memory context; raises 42804 if the type does not have
 * exactly these fields.
 */
static Datum
form_tuple(TupleDesc type, const NullableDatum *fields, const Oid *field_types, int count)
{
	Datum *values = palloc0(type->natts * sizeof(Datum));
	bool *nulls = palloc(type->natts * sizeof(bool));
	int next = 0;

	for (int i = 0; i < type->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(type, i);

		nulls[i] = true;
		if (attribute->attisdropped)
			continue;
		if (next == count || attribute->atttypid != field_types[next])
			refuse_altered_type();
		values[i] = fields[next].value;
		nulls[i] = fields[next].isnull;
		next++;
	}
	if (next != count)
		refuse_altered_type();
	return HeapTupleGetDatum(heap_form_tuple(type, values, nulls));
}

/*
 * Forms a composite value in a memory context.  Raises 42804 if the type is not as the extension
 * made it.
 */
Datum
form_composite(Oid type, const NullableDatum *fields, const Oid *field_types, int count,
			   MemoryContext context)
{
	TupleDesc description;
	MemoryContext caller;
	Datum result;

	if (!OidIsValid(type))
		refuse_altered_type();
	description = lookup_rowtype_tupdesc(type, -1);
	caller = MemoryContextSwitchTo(context);
	result = form_tuple(description, fields, field_types, count);
	MemoryContextSwitchTo(caller);
	ReleaseTupleDesc(description);
	return result;
}

/* Returns one of the extension's composite types; raises 42804 if it does not exist. */
TupleDesc
named_type(const char *name)
{
	Oid type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
							   ObjectIdGetDatum(get_namespace_oid("seats", false)));

	if (!OidIsValid(type))
		refuse_altered_type();
	return lookup_rowtype_tupdesc_copy(type, -1);
}

/* Returns the composite type that the function being called returns. */
TupleDesc
result_type(FunctionCallInfo fcinfo)
{
	TupleDesc type;

	if (get_call_result_type(fcinfo, NULL, &type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return type;
}

/* Returns the type that the function being called returns. */
Oid
result_type_id(FunctionCallInfo fcinfo)
{
	return get_func_rettype(fcinfo->flinfo->fn_oid);
}

/*
 * Returns a result that consists of a composite value and a token; a token of NULL becomes null.
 */
Datum
result_with_token(TupleDesc type, Datum value, const text *token)
{
	NullableDatum fields[] = {{value, false}, {PointerGetDatum(token), token == NULL}};
	Oid field_types[] = {TupleDescAttr(type, 0)->atttypid, TEXTOID};

	return form_tuple(type, fields, field_types, lengthof(fields));
}

/* Adds a composite value to the rows that a set-returning function returns. */
void
result_set_add(const ReturnSetInfo *set, Datum row)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(row);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};

	tuplestore_puttuple(set->setResult, &tuple);
}
