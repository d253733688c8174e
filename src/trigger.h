/*
 * trigger.h
 *		What a trigger function is called with.
 */
#ifndef SEATS_TRIGGER_H
#define SEATS_TRIGGER_H

#include "commands/trigger.h"
#include "fmgr.h"

extern _Noreturn void refuse_trigger(FunctionCallInfo fcinfo);
extern const TriggerData *statement_trigger_data(FunctionCallInfo fcinfo, const char *table);
extern const TriggerData *row_trigger_data(FunctionCallInfo fcinfo);

#endif
