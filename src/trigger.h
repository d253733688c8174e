/*
 * trigger.h
 *		What a trigger function is called with.
 */
#ifndef SEATS_TRIGGER_H
#define SEATS_TRIGGER_H

#include "commands/trigger.h"
#include "fmgr.h"

extern const TriggerData *trigger_data(FunctionCallInfo fcinfo);

#endif
