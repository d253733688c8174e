/*
 * direct.c
 *		Finding, inserting and updating single rows without the executor, in tables that
 *		direct_table.c found to be as the extension made them.
 *
 * For a claim, starting and ending the executor costs more than the work on the rows.  These
 * functions treat a row, its constraints, its indexes and its locks as the executor does.  If one
 * cannot, it does nothing and its result says so; the caller then executes a statement.  The same
 * holds if another session has changed or locked the row, because the executor waits for it and
 * then rechecks the row.
 *
 * What the executor does for a row, and what does it here:
 * - NOT NULL and CHECK constraints are evaluated by make_row(), from expressions prepared once.  A
 *   row that fails goes to the executor, which raises the error.
 * - New rows get an entry in each index, with the same check of uniqueness.  An update of a seat is
 *   a HOT update as a rule; otherwise the executor's own function adds the entries.
 * - An identity column takes the next value of its sequence.
 * - Replica identity is checked by CheckCmdReplicaIdentity().
 * - Triggers, foreign keys, rules and rights: direct_table.c finds that none has anything to do.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "direct.h"

/* Puts the row with a key into a slot; returns false if the active snapshot shows none. */
static bool
fetch(const DirectTable *table, Relation relation, Datum key, LOCKMODE mode,
	  TupleTableSlot *slot)
{
	Relation index = index_open(table->key_index, mode);
	IndexScanDesc scan;
	ScanKeyData condition;
	bool found;

	ScanKeyInit(&condition, 1, BTEqualStrategyNumber, table->key_equal, key);
	scan = index_beginscan_compat(relation, index, GetActiveSnapshot(), 1);
	index_rescan(scan, &condition, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * Finds the row of a table with a key, as the active snapshot shows it.  If it is found, it stays
 * open until direct_row_close().
 *
 * Locks: the table and its index, AccessShareLock to read or RowExclusiveLock to update the row, to
 * the end of the transaction; no row.
 */
DirectResult
direct_find(DirectTable *table, Datum key, LOCKMODE mode, DirectRow *row)
{
	row->table = table;
	row->relation = direct_table_open(table, mode);
	if (row->relation == NULL)
		return DIRECT_NOT_POSSIBLE;
	row->slot = table_slot_create(row->relation, NULL);
	if (fetch(table, row->relation, key, mode, row->slot))
		return DIRECT_FOUND;
	direct_row_close(row);
	return DIRECT_NOT_FOUND;
}

/* Returns the value of one of the table's known columns. */
NullableDatum
direct_row_value(const DirectRow *row, int column)
{
	NullableDatum result;

	result.value = slot_getattr(row->slot, row->table->numbers[column], &result.isnull);
	return result;
}

/* Returns the type of one of the table's known columns. */
Oid
direct_row_type(const DirectRow *row, int column)
{
	return TupleDescAttr(RelationGetDescr(row->relation), row->table->numbers[column] - 1)
		->atttypid;
}

/* Closes a row that direct_find() opened. */
void
direct_row_close(DirectRow *row)
{
	ExecDropSingleTupleTableSlot(row->slot);
	table_close(row->relation, NoLock);
}

/*
 * Reads some columns of the row with a key, as the active snapshot shows it.  The values are copies
 * in the current memory context.  A null key finds no row.
 *
 * Locks: the table and its index, AccessShareLock, to the end of the transaction.
 */
DirectResult
direct_read(DirectTable *table, NullableDatum key, const int *columns, NullableDatum *values,
			int count)
{
	DirectRow row;
	DirectResult result;

	if (key.isnull)
		return DIRECT_NOT_FOUND;
	result = direct_find(table, key.value, AccessShareLock, &row);
	if (result != DIRECT_FOUND)
		return result;
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(row.relation),
												 table->numbers[columns[i]] - 1);

		values[i] = direct_row_value(&row, columns[i]);
		if (!values[i].isnull)
			values[i].value = datumCopy(values[i].value, column->attbyval, column->attlen);
	}
	direct_row_close(&row);
	return DIRECT_FOUND;
}

/*
 * Calls a function for each row of a small table that the active snapshot shows, in no order; the
 * row's values are valid during the call.  Returns false if the caller must execute a statement.
 *
 * Locks: the table and its index, AccessShareLock, to the end of the transaction.
 */
bool
direct_scan(DirectTable *table, void (*take)(const DirectRow *row, void *state), void *state)
{
	DirectRow row = {.table = table};
	Relation index;
	IndexScanDesc scan;

	row.relation = direct_table_open(table, AccessShareLock);
	if (row.relation == NULL)
		return false;
	row.slot = table_slot_create(row.relation, NULL);
	index = index_open(table->key_index, AccessShareLock);
	scan = index_beginscan_compat(row.relation, index, GetActiveSnapshot(), 0);
	index_rescan(scan, NULL, 0, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, row.slot))
		take(&row, state);
	index_endscan(scan);
	index_close(index, NoLock);
	direct_row_close(&row);
	return true;
}

/* Tells whether a value is null although its column is NOT NULL. */
static bool
has_forbidden_null(Relation relation, const NullableDatum *values)
{
	TupleDesc description = RelationGetDescr(relation);

	for (int i = 0; i < description->natts; i++)
	{
		if (values[i].isnull && TupleDescAttr(description, i)->attnotnull)
			return true;
	}
	return false;
}

/* Tells whether a row satisfies the CHECK constraints of its table. */
static bool
keeps_checks(const DirectTable *table, TupleTableSlot *slot)
{
	bool kept = true;
	ListCell *cell;

	table->check_context->ecxt_scantuple = slot;
	foreach (cell, table->checks)
		kept = kept && ExecCheck(lfirst(cell), table->check_context);
	ResetExprContext(table->check_context);
	return kept;
}

/*
 * Returns a slot with a row that has these values in all columns, which must live as long, or NULL
 * if the row violates a constraint.  The executor then finds out which one, and raises the error.
 */
static TupleTableSlot *
make_row(const DirectTable *table, Relation relation, const NullableDatum *values)
{
	TupleDesc description = RelationGetDescr(relation);
	TupleTableSlot *slot;

	if (has_forbidden_null(relation, values))
		return NULL;
	slot = MakeSingleTupleTableSlot(description, &TTSOpsHeapTuple);
	for (int i = 0; i < description->natts; i++)
	{
		slot->tts_values[i] = values[i].value;
		slot->tts_isnull[i] = values[i].isnull;
	}
	ExecStoreHeapTuple(heap_form_tuple(description, slot->tts_values, slot->tts_isnull), slot,
					   true);
	/* The values are there, so they need not be read from the row. */
	slot->tts_nvalid = description->natts;
	slot->tts_tableOid = RelationGetRelid(relation);
	if (keeps_checks(table, slot))
		return slot;
	ExecDropSingleTupleTableSlot(slot);
	return NULL;
}

/* Inserts the index entries of a new row; raises 23505 as an INSERT does. */
static void
insert_index_entries(const DirectTable *table, Relation relation, TupleTableSlot *slot)
{
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];
	ListCell *cell;

	foreach (cell, table->indexes)
	{
		const DirectIndex *known = lfirst(cell);
		Relation index = index_open(known->id, RowExclusiveLock);

		FormIndexDatum(known->info, slot, NULL, values, nulls);
		index_insert(index, values, nulls, &slot->tts_tid, relation,
					 known->unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, known->info);
		index_close(index, NoLock);
	}
}

/*
 * Inserts a row with these values in all columns; in a numbered table, sets the first one.  Returns
 * false if the executor must insert it.  Nothing has changed then, but a number may be used up.
 *
 * Locks: the table and its indexes, RowExclusiveLock, to the end of the transaction.
 */
bool
direct_insert(DirectTable *table, NullableDatum *values)
{
	Relation relation = direct_table_open(table, RowExclusiveLock);
	TupleTableSlot *slot;

	if (relation == NULL)
		return false;
	if (table->numbered)
		values[0].value = Int64GetDatum(nextval_internal(table->sequence, false));
	slot = make_row(table, relation, values);
	if (slot != NULL)
	{
		table_tuple_insert(relation, slot, GetCurrentCommandId(true), 0, NULL);
		insert_index_entries(table, relation, slot);
		ExecDropSingleTupleTableSlot(slot);
		CommandCounterIncrement();
	}
	table_close(relation, NoLock);
	return slot != NULL;
}

/* Inserts index entries for a new version of a row, if it needs any. */
static void
update_index_entries(Relation relation, TupleTableSlot *slot, UpdatedIndexes which)
{
	EState *state;
	ResultRelInfo *result;

	/* A claim is nearly always a HOT update, which needs none. */
	if (which == NO_INDEXES)
		return;
	state = CreateExecutorState();
	result = makeNode(ResultRelInfo);
	InitResultRelInfo(result, relation, 0, NULL, 0);
	ExecOpenIndices(result, false);
	insert_index_tuples_compat(result, slot, state, which);
	ExecCloseIndices(result);
	FreeExecutorState(state);
}

/*
 * Tells whether the version that was found is the newest one, and no other transaction is changing
 * or locking the row.
 */
static bool
is_free(const DirectRow *row)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) row->slot;
	TM_Result state;

	if (!TTS_IS_BUFFERTUPLE(row->slot))
		return false;
	LockBuffer(slot->buffer, BUFFER_LOCK_SHARE);
	state = HeapTupleSatisfiesUpdate(slot->base.tuple, GetCurrentCommandId(false),
									 slot->buffer);
	LockBuffer(slot->buffer, BUFFER_LOCK_UNLOCK);
	return state == TM_Ok;
}

/*
 * Tells whether this transaction wrote the row.  Its foreign keys may still have to be checked
 * then, and only an update by the executor makes PostgreSQL check the new version instead.
 */
static bool
is_own(const DirectRow *row)
{
	bool isnull;
	Datum writer = slot_getsysattr(row->slot, MinTransactionIdAttributeNumber, &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(writer));
}

/*
 * Updates a row that was found to these values in all columns.  Returns false, with nothing done,
 * if the row is not the newest version, if another transaction is changing or locking it, or if the
 * executor must update it for another reason.  The caller checks afterwards what must hold while
 * the row is locked.
 *
 * Locks: the row, as an UPDATE does.  It almost never waits.
 */
bool
direct_update(DirectRow *row, const NullableDatum *values)
{
	TupleTableSlot *slot = NULL;
	UpdatedIndexes indexes;
	bool written;

	if (!is_own(row) && is_free(row))
		slot = make_row(row->table, row->relation, values);
	if (slot == NULL)
		return false;
	CheckCmdReplicaIdentity(row->relation, CMD_UPDATE);
	/* If another transaction came in between, this waits for it. */
	written = table_tuple_update_compat(row->relation, &row->slot->tts_tid, slot,
										GetCurrentCommandId(true), GetActiveSnapshot(),
										&indexes) == TM_Ok;
	if (written)
		update_index_entries(row->relation, slot, indexes);
	ExecDropSingleTupleTableSlot(slot);
	if (written)
		CommandCounterIncrement();
	return written;
}
