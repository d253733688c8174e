/*
 * planner.c
 *		Has PostgreSQL plan each of the extension's own statements the same way, always.
 *
 * Each statement finds its rows by an index, and one plan is right however many rows there are.  A
 * planner that goes by statistics may choose another: while a table is small, after many rows have
 * changed, or because of a setting of the caller's.  Such a plan would then be kept.  So while one
 * of these statements is planned, whoever has it planned and when, the planner settings are ours,
 * every table is large, and nothing is known of what is in it.  Other statements are planned as
 * always.
 */
#include "postgres.h"

#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "utils/guc.h"
#include "utils/selfuncs.h"

#include "planner.h"

/* The size that the planner takes each table and each of its indexes to have. */
#define ASSUMED_PAGES 1000000
#define ASSUMED_ROWS 100000000.0

static const struct
{
	const char *name;
	const char *value;
} planner_settings[] = {
	/* Rows are found by an index, for one row after the other. */
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
	/* The rest is as PostgreSQL has it unless somebody sets it. */
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
 * The statement of ours that is being executed, by which the planner knows it.  An error may leave
 * it as it is: no other statement has the same text.
 */
static const char *expected_sql;

/* A statement of ours is being planned. */
static bool planning;

/* Gives a table and its indexes their assumed size. */
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

/* Tells the planner that it has been told all about a column, which is nothing. */
static bool
hide_column_statistics(PlannerInfo *root, RangeTblEntry *table, AttrNumber column,
					   VariableStatData *statistics)
{
	if (planning)
		return true;
	return next_relation_stats != NULL && next_relation_stats(root, table, column, statistics);
}

/* The same of an index on an expression. */
static bool
hide_index_statistics(PlannerInfo *root, Oid index, AttrNumber column,
					  VariableStatData *statistics)
{
	if (planning)
		return true;
	return next_index_stats != NULL && next_index_stats(root, index, column, statistics);
}

/* Sets the planner settings; they are to be set back to what they were. */
static void
set_planner_settings(void)
{
	for (size_t i = 0; i < lengthof(planner_settings); i++)
		(void) set_config_option(planner_settings[i].name, planner_settings[i].value,
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* The arguments of the planner, and of what plans for it: 19 has one more. */
#if PG_VERSION_NUM >= 190000
#define PLANNER_PARAMETERS \
	Query *query, const char *sql, int cursor_options, ParamListInfo parameters, \
		ExplainState *explain
#define PLANNER_ARGUMENTS query, sql, cursor_options, parameters, explain
#else
#define PLANNER_PARAMETERS \
	Query *query, const char *sql, int cursor_options, ParamListInfo parameters
#define PLANNER_ARGUMENTS query, sql, cursor_options, parameters
#endif

/* Plans a statement as it would be without us. */
static PlannedStmt *
plan_as_always(PLANNER_PARAMETERS)
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
		plan = plan_as_always(PLANNER_ARGUMENTS);
	}
	PG_FINALLY();
	{
		planning = false;
	}
	PG_END_TRY();
	AtEOXact_GUC(true, settings);
	return plan;
}

/* Plans a statement, of ours or not. */
static PlannedStmt *
plan_statement(PLANNER_PARAMETERS)
{
	if (expected_sql == NULL || sql == NULL || strcmp(sql, expected_sql) != 0)
		return plan_as_always(PLANNER_ARGUMENTS);
	return plan_own(PLANNER_ARGUMENTS);
}

/*
 * Has a statement planned as one of ours while it is executed; returns the one that is to be
 * expected again afterwards.
 */
const char *
planner_expect(const char *sql)
{
	const char *outer = expected_sql;

	expected_sql = sql;
	return outer;
}

/* Begins to look at what is planned, when the library is loaded. */
void
planner_define(void)
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
