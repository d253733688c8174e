/*
 * direct.h
 *		Finding, inserting and updating single rows without the executor.
 */
#ifndef SEATS_DIRECT_H
#define SEATS_DIRECT_H

#include "executor/tuptable.h"

#include "direct_table.h"

/* A row that was found.  Its values are valid until direct_row_close(). */
typedef struct DirectRow
{
	DirectTable *table;
	Relation relation;
	TupleTableSlot *slot;
} DirectRow;

/* The outcome of a search. */
typedef enum DirectResult
{
	DIRECT_FOUND,
	DIRECT_NOT_FOUND,
	DIRECT_NOT_POSSIBLE /* the caller must execute a statement */
} DirectResult;

extern DirectResult direct_find(DirectTable *table, Datum key, LOCKMODE mode, DirectRow *row);
extern NullableDatum direct_row_value(const DirectRow *row, int column);
extern Oid direct_row_type(const DirectRow *row, int column);
extern void direct_row_close(DirectRow *row);
extern DirectResult direct_read(DirectTable *table, NullableDatum key, const int *columns,
								NullableDatum *values, int count);
extern bool direct_scan(DirectTable *table, void (*take)(const DirectRow *row, void *state),
						void *state);
extern bool direct_insert(DirectTable *table, NullableDatum *values);
extern bool direct_update(DirectRow *row, const NullableDatum *values);

#endif
