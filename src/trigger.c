/*
 * trigger.c
 *		What a trigger function is called with.
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "columns.h"
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
 * trigger on one of the extension's tables, or not for a statement or a row as it should be.
 */
static const TriggerData *
trigger_data(FunctionCallInfo fcinfo, bool for_row)
{
	const TriggerData *trigger = (const TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0) != for_row ||
		RelationGetNamespace(trigger->tg_relation) !=
			get_func_namespace(fcinfo->flinfo->fn_oid) ||
		!column_table_is_known(RelationGetRelationName(trigger->tg_relation)))
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

/* Returns what a trigger for each row was called with, or raises 39P01. */
const TriggerData *
row_trigger_data(FunctionCallInfo fcinfo)
{
	return trigger_data(fcinfo, true);
}
