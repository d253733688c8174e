/*
 * trigger.c
 *		What a trigger function is called with, and the row that it returns.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "trigger.h"

/*
 * Returns what a trigger function was called with; raises 39P01 where it was not called as a
 * trigger on a table of its own schema, whose columns it knows.
 */
const TriggerData *
trigger_data(FunctionCallInfo fcinfo)
{
	const TriggerData *trigger = (const TriggerData *) fcinfo->context;
	Oid function = fcinfo->flinfo->fn_oid;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		RelationGetNamespace(trigger->tg_relation) != get_func_namespace(function))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function %s() is for triggers on tables of the extension seats",
						get_func_name(function))));
	return trigger;
}

/* Returns a row of a table with one column changed, to a value that is not null. */
HeapTuple
row_with(Relation table, HeapTuple row, const char *column, Datum value)
{
	TupleDesc columns = RelationGetDescr(table);
	int number = SPI_fnumber(columns, column);
	bool isnull = false;

	return heap_modify_tuple_by_cols(row, columns, 1, &number, &value, &isnull);
}
