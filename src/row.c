/*
 * row.c
 *		The first row that the last SQL statement gave, and results made of it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/typcache.h"

#include "row.h"

/* Returns a column of the row, counted from 1; it lives until SPI_finish(). */
NullableDatum
row_value(int column)
{
	NullableDatum result;

	result.value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column,
								 &result.isnull);
	return result;
}

/*
 * Returns the row's leading columns as a value of a composite type, in a memory context.  Raises
 * 42804 where the type is not as the extension made it.
 */
Datum
row_composite(Oid type, MemoryContext context)
{
	TupleDesc columns = SPI_tuptable->tupdesc;
	TupleDesc fields = lookup_rowtype_tupdesc(type, -1);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Datum *values = palloc(fields->natts * sizeof(Datum));
	bool *nulls = palloc(fields->natts * sizeof(bool));
	Datum result;

	for (int i = 0; i < fields->natts; i++)
	{
		if (i >= columns->natts ||
			TupleDescAttr(fields, i)->atttypid != TupleDescAttr(columns, i)->atttypid)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a type of the extension seats was altered"),
					 errhint("Undo the change of the type.")));
		values[i] = SPI_getbinval(SPI_tuptable->vals[0], columns, i + 1, &nulls[i]);
	}
	result = HeapTupleGetDatum(heap_form_tuple(fields, values, nulls));
	ReleaseTupleDesc(fields);
	MemoryContextSwitchTo(caller);
	return result;
}

/* Returns the composite type that the function being called returns. */
TupleDesc
result_type(FunctionCallInfo fcinfo)
{
	TupleDesc type;

	if (get_call_result_type(fcinfo, NULL, &type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function must return a composite type");
	return type;
}

/* Returns a result that is a seat and a token beside it, null where token is NULL. */
Datum
result_with_seat(TupleDesc type, Datum seat, const text *token)
{
	Datum values[] = {seat, PointerGetDatum(token)};
	bool nulls[] = {false, token == NULL};

	return HeapTupleGetDatum(heap_form_tuple(type, values, nulls));
}
