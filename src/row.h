/*
 * row.h
 *		The rows that the last SQL statement gave, and results made of them.
 */
#ifndef SEATS_ROW_H
#define SEATS_ROW_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "nodes/execnodes.h"

extern NullableDatum rows_value(uint64 row, int column);
extern NullableDatum row_value(int column);
extern Datum rows_required(uint64 row, int column);
extern Datum row_required(int column);
extern void row_fields(NullableDatum *fields, const Oid *field_types, int count);
extern Datum composite(Oid type_id, const NullableDatum *fields, const Oid *field_types,
					   int count, MemoryContext context);
extern Datum rows_composite(uint64 row, Oid type_id, int count, MemoryContext context);
extern Datum row_composite(Oid type_id, int count, MemoryContext context);
extern TupleDesc named_type(const char *name);
extern TupleDesc result_type(FunctionCallInfo fcinfo);
extern Datum result_with_seat(TupleDesc type, Datum seat, const text *token);
extern void result_set_add(const ReturnSetInfo *set, Datum row);

#endif
