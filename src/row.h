/*
 * row.h
 *		The first row that the last SQL statement gave, and results made of it.
 */
#ifndef SEATS_ROW_H
#define SEATS_ROW_H

#include "access/tupdesc.h"
#include "fmgr.h"

extern NullableDatum row_value(int column);
extern Datum row_composite(Oid type_id, int count, MemoryContext context);
extern TupleDesc result_type(FunctionCallInfo fcinfo);
extern Datum result_with_seat(TupleDesc type, Datum seat, const text *token);

#endif
