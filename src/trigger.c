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

/* Raises 39P01: a trigger function was called for something that it does not know. */
void
refuse_trigger(FunctionCallInfo fcinfo)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function %s() is only for the triggers of the extension seats",
					get_func_name(fcinfo->flinfo->fn_oid))));
}

/*
 * Returns what a trigger function was called with; raises 39P01 where it was not called as a
 * trigger on a table of its own schema, or not for a statement or a row as it should be.
 */
static const TriggerData *
trigger_data(FunctionCallInfo fcinfo, bool for_row)
{
	const TriggerData *trigger = (const TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0) != for_row ||
		RelationGetNamespace(trigger->tg_relation) !=
			get_func_namespace(fcinfo->flinfo->fn_oid))
		refuse_trigger(fcinfo);
	return trigger;
}

/* Returns what a trigger for each statement on one table was called with, or raises 39P01. */
const TriggerData *
statement_trigger_data(FunctionCallInfo fcinfo, const char *table)
{
	const TriggerData *trigger = trigger_data(fcinfo, false);

	if (strcmp(RelationGetRelationName(trigger->tg_relation), table) != 0)
		refuse_trigger(fcinfo);
	return trigger;
}

/*
 * Returns what a trigger for each row was called with, which is an UPDATE, or if allowed an
 * INSERT; else raises 39P01.
 */
const TriggerData *
row_trigger_data(FunctionCallInfo fcinfo, bool or_insert)
{
	const TriggerData *trigger = trigger_data(fcinfo, true);

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		!(or_insert && TRIGGER_FIRED_BY_INSERT(trigger->tg_event)))
		refuse_trigger(fcinfo);
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
