/*
 * modified_at.h
 *		When a row of the application last changed.
 */
#ifndef SEATS_MODIFIED_AT_H
#define SEATS_MODIFIED_AT_H

#include "commands/trigger.h"

extern HeapTuple set_modified_at(const TriggerData *trigger);

#endif
