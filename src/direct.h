/*
 * direct.h
 *		Finding, locking, inserting and updating single rows without the executor.
 */
#ifndef SEATS_DIRECT_H
#define SEATS_DIRECT_H

#include "access/genam.h"
#include "access/relscan.h"
#include "executor/tuptable.h"
#include "nodes/lockoptions.h"

#include "direct_table.h"

/* A row that was found.  Its values are valid until direct_row_close(). */
typedef struct DirectRow
{
	DirectTable *table;
	Relation relation;
	TupleTableSlot *slot;
} DirectRow;

/* A search for all rows with a value, and the row that it has reached. */
typedef struct DirectScan
{
	DirectRow row;
	Relation index;
	IndexScanDesc scan;
} DirectScan;

/* The outcome of a search for one row. */
typedef enum DirectResult
{
	DIRECT_FOUND,
	DIRECT_NOT_FOUND,
	DIRECT_NOT_POSSIBLE /* the caller must execute a statement */
} DirectResult;

extern DirectResult direct_find(DirectTable *table, int key, const NullableDatum *values,
								DirectUse use, DirectRow *row);
extern DirectResult direct_fetch(DirectTable *table, const ItemPointerData *place,
								 DirectUse use, DirectRow *row);
extern DirectResult direct_find_newest(DirectTable *table, int key,
									   const NullableDatum *values, DirectUse use,
									   DirectRow *row);
extern DirectResult direct_lock(DirectTable *table, int key, const NullableDatum *values,
								LockTupleMode mode, DirectRow *row);
extern NullableDatum direct_row_value(const DirectRow *row, int column);
extern void direct_row_copy(const DirectRow *row, const int *columns, NullableDatum *values,
							int count);
extern bool direct_is_free(const DirectRow *row);
extern void direct_row_close(DirectRow *row);
extern DirectResult direct_read(DirectTable *table, int key, NullableDatum value,
								const int *columns, NullableDatum *values, int count);
extern DirectResult direct_read_newest(DirectTable *table, int key, NullableDatum value,
									   const int *columns, NullableDatum *values, int count);
extern bool direct_scan_begin(DirectTable *table, int key, const Datum *value,
							  DirectScan *scan);
extern bool direct_scan_next(DirectScan *scan);
extern void direct_scan_end(DirectScan *scan);
extern bool direct_insert(DirectTable *table, NullableDatum *values, const bool *given);
extern bool direct_insert_unless_found(DirectTable *table, NullableDatum *values,
									   const bool *given);
extern bool direct_update(DirectRow *row, const NullableDatum *values);

#endif
