/*
 * trigger.h
 *		What a trigger function is called with, and the row that it returns.
 */
#ifndef SEATS_TRIGGER_H
#define SEATS_TRIGGER_H

#include "commands/trigger.h"
#include "fmgr.h"

extern const TriggerData *trigger_data(FunctionCallInfo fcinfo);
extern HeapTuple row_with(Relation table, HeapTuple row, const char *column, Datum value);

#endif
