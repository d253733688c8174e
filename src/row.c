/*
 * row.c
 *		The rows that the last SQL statement gave, and results made of them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "columns.h"
#include "row.h"

/*
 * Returns a column, counted from 1, of a row, counted from 0; it lives until SPI_finish().
 */
NullableDatum
rows_value(uint64 row, int column)
{
	NullableDatum result;

	result.value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column,
								 &result.isnull);
	return result;
}

/* Returns a column of a row that must not be null, or raises 42804. */
Datum
rows_required(uint64 row, int column)
{
	NullableDatum result = rows_value(row, column);

	if (result.isnull)
		refuse_null_column(SPI_fname(SPI_tuptable->tupdesc, column));
	return result.value;
}

/* Returns a column of the first row that must not be null, or raises 42804. */
Datum
row_required(int column)
{
	return rows_required(0, column);
}

/* Returns a column of the first row. */
NullableDatum
row_value(int column)
{
	return rows_value(0, column);
}

/* Raises 42804: a type that results are made of was altered. */
static void
refuse_altered_type(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("a type of the extension seats was altered"),
			 errhint("Undo the change of the type.")));
}

/*
 * Returns values as one of a composite type, in the current memory context; raises 42804 where
 * the type has not just these fields.
 */
static Datum
form_composite(TupleDesc type, const NullableDatum *fields, const Oid *field_types, int count)
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
 * Returns values as one of a composite type, in a memory context.  Raises 42804 where the type is
 * not as the extension made it.
 */
Datum
composite(Oid type_id, const NullableDatum *fields, const Oid *field_types, int count,
		  MemoryContext context)
{
	TupleDesc type;
	MemoryContext caller;
	Datum result;

	if (!OidIsValid(type_id))
		refuse_altered_type();
	type = lookup_rowtype_tupdesc(type_id, -1);
	caller = MemoryContextSwitchTo(context);
	result = form_composite(type, fields, field_types, count);
	MemoryContextSwitchTo(caller);
	ReleaseTupleDesc(type);
	return result;
}

/*
 * Gives the first "count" columns of the first row; raises 42804 where they are not of these
 * types.
 */
void
row_fields(NullableDatum *fields, const Oid *field_types, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (SPI_gettypeid(SPI_tuptable->tupdesc, i + 1) != field_types[i])
			refuse_altered_type();
		fields[i] = row_value(i + 1);
	}
}

/* Returns the first "count" columns of a row as a composite value; see composite(). */
Datum
rows_composite(uint64 row, Oid type_id, int count, MemoryContext context)
{
	NullableDatum *fields = palloc(count * sizeof(NullableDatum));
	Oid *field_types = palloc(count * sizeof(Oid));

	for (int i = 0; i < count; i++)
	{
		fields[i] = rows_value(row, i + 1);
		field_types[i] = SPI_gettypeid(SPI_tuptable->tupdesc, i + 1);
	}
	return composite(type_id, fields, field_types, count, context);
}

/* Returns columns of the first row; see rows_composite(). */
Datum
row_composite(Oid type_id, int count, MemoryContext context)
{
	return rows_composite(0, type_id, count, context);
}

/* Returns one of the extension's composite types; raises 42804 where it is not there. */
TupleDesc
named_type(const char *name)
{
	Oid type_id = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
								  ObjectIdGetDatum(get_namespace_oid("seats", false)));

	if (!OidIsValid(type_id))
		refuse_altered_type();
	return lookup_rowtype_tupdesc_copy(type_id, -1);
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
	NullableDatum fields[] = {{seat, false}, {PointerGetDatum(token), token == NULL}};
	Oid field_types[] = {TupleDescAttr(type, 0)->atttypid, TEXTOID};

	return form_composite(type, fields, field_types, lengthof(fields));
}

/* Adds a composite value to the rows that a function returns as a set. */
void
result_set_add(const ReturnSetInfo *set, Datum row)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(row);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};

	tuplestore_puttuple(set->setResult, &tuple);
}
