/*
 * modified_at.c
 *		Keeps modified_at of the rows that the application writes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "columns.h"
#include "export.h"
#include "modified_at.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_keep_modified_at);

/* Returns a column of a row of a table. */
NullableDatum
row_column(Relation table, HeapTuple row, AttrNumber column)
{
	NullableDatum result;

	result.value = heap_getattr(row, column, RelationGetDescr(table), &result.isnull);
	return result;
}

/* Tells whether two values of a column are the same, byte for byte. */
static bool
is_same(Relation table, AttrNumber number, NullableDatum a, NullableDatum b)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), number - 1);

	if (a.isnull || b.isnull)
		return a.isnull && b.isnull;
	return datum_image_eq(a.value, b.value, column->attbyval, column->attlen);
}

/* Tells whether two versions of a row hold the same, byte for byte. */
static bool
is_same_row(Relation table, HeapTuple old, HeapTuple new)
{
	TupleDesc columns = RelationGetDescr(table);

	for (AttrNumber number = 1; number <= columns->natts; number++)
	{
		if (!TupleDescAttr(columns, number - 1)->attisdropped &&
			!is_same(table, number, row_column(table, old, number),
					 row_column(table, new, number)))
			return false;
	}
	return true;
}

/*
 * Returns a row of a table with a value of one column, which is the same row where it has that;
 * raises 42804 where the column is generated.
 */
HeapTuple
row_with(Relation table, HeapTuple row, AttrNumber column, NullableDatum value)
{
	int number = column;
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), column - 1);

	if (attribute->attgenerated != '\0')
		refuse_generated(RelationGetRelationName(table), NameStr(attribute->attname));
	if (is_same(table, column, row_column(table, row, column), value))
		return row;
	return heap_modify_tuple_by_cols(row, RelationGetDescr(table), 1, &number, &value.value,
									 &value.isnull);
}

/*
 * Returns the new row of an UPDATE with modified_at set to the clock, or left as it was where the
 * statement changes nothing else.  What the statement wrote there has no effect: programs that write
 * whole rows back write what they read some time before.
 */
HeapTuple
set_modified_at(Relation table, HeapTuple old, HeapTuple new)
{
	AttrNumber column = column_number(table, "modified_at");
	NullableDatum now = {TimestampTzGetDatum(GetCurrentTimestamp()), false};

	new = row_with(table, new, column, row_column(table, old, column));
	if (is_same_row(table, old, new))
		return new;
	return row_with(table, new, column, now);
}

/*
 * Trigger before UPDATE of a row that the application keeps: sets modified_at.  It does so with
 * objects of any version: addresses may have to be mended before the extension can be updated.  Raises 42703 and
 * 42804 where that column was altered.  Locks nothing.
 */
Datum
seats_keep_modified_at(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = row_trigger_data(fcinfo);

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event))
		refuse_trigger(fcinfo);
	return PointerGetDatum(
		set_modified_at(trigger->tg_relation, trigger->tg_trigtuple, trigger->tg_newtuple));
}
