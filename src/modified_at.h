/*
 * modified_at.h
 *		When a row of the application last changed.
 */
#ifndef SEATS_MODIFIED_AT_H
#define SEATS_MODIFIED_AT_H

#include "commands/trigger.h"

extern HeapTuple row_with(Relation table, HeapTuple row, AttrNumber column,
						  NullableDatum value);
extern NullableDatum row_column(Relation table, HeapTuple row, AttrNumber column);
extern HeapTuple set_modified_at(Relation table, HeapTuple old, HeapTuple new);

#endif
