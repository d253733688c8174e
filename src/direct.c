/*
 * direct.c
 *		Finding, locking, inserting and updating single rows without the executor, in tables that
 *		direct_table.c found to be as the extension made them.
 *
 * For a single row, starting and ending the executor costs more than the work on the row.  These
 * functions treat a row, its constraints, its indexes and its locks as the executor does.  If one
 * cannot, it does nothing and its result says so; the caller then executes a statement.  An update
 * also leaves a row to the executor that another session has changed or locked, because the
 * executor waits for it and then rechecks the row.
 *
 * What the executor does for a row, and what does it here:
 * - NOT NULL and CHECK constraints are evaluated by make_row(), from expressions prepared once.  A
 *   row that fails goes to the executor, which raises the error.
 * - New versions of rows get an entry in each index, with the same check of uniqueness, unless the
 *   update is a HOT one.  If an index is not plain, the executor's own function adds the entries.
 * - An identity column takes the next value of its sequence, other columns without a value their
 *   default.
 * - Replica identity is checked by CheckCmdReplicaIdentity().
 * - Triggers, foreign keys, rules and rights: direct_table.c finds that none has anything to do,
 *   except for what our callers do themselves.
 *
 * Index scans go backwards, so that the newest of several versions of a row tends to come first.
 * While an old snapshot keeps dead versions, a scan that went forwards would look at all of them.
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
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "direct.h"

/*
 * At how many entries of a null value a search looks whose rows an older snapshot may still see.
 * There may be thousands of them, and none for a row that is not dead.  Entries of rows that nobody
 * sees any more do not count: the search marks them, and the next one passes them over.
 */
#define MAX_NULL_ENTRIES 32

/*
 * Puts the row with a key into a slot; returns false if the active snapshot shows none.  A null
 * value finds a row that has none, if one of the newest entries leads to it.
 */
static bool
fetch(const DirectKey *key, Relation relation, const NullableDatum *values, LOCKMODE mode,
	  TupleTableSlot *slot)
{
	Relation index = index_open(key->index, mode);
	IndexScanDesc scan;
	ScanKeyData conditions[lengthof(key->columns)];
	int entries = INT_MAX;
	bool found = false;

	for (int i = 0; i < key->column_count; i++)
	{
		if (values[i].isnull)
		{
			entries = MAX_NULL_ENTRIES;
			ScanKeyEntryInitialize(&conditions[i], SK_ISNULL | SK_SEARCHNULL, i + 1,
								   InvalidStrategy, InvalidOid, InvalidOid, InvalidOid,
								   (Datum) 0);
		}
		else
			ScanKeyInit(&conditions[i], i + 1, BTEqualStrategyNumber, key->equal[i],
						values[i].value);
	}
	scan = index_beginscan_compat(relation, index, GetActiveSnapshot(), key->column_count);
	index_rescan(scan, conditions, key->column_count, NULL, 0);
	while (!found && entries > 0 && index_getnext_tid(scan, BackwardScanDirection) != NULL)
	{
		found = index_fetch_heap(scan, slot);
		if (!scan->kill_prior_tuple)
			entries--;
		CHECK_FOR_INTERRUPTS();
	}
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/* Opens a table, and a slot for its rows, to search by a key; returns false if it cannot. */
static bool
open_to_search(DirectTable *table, int key, DirectUse use, DirectRow *row)
{
	row->table = table;
	row->relation = direct_table_open(table, use);
	if (row->relation == NULL)
		return false;
	if (!OidIsValid(table->keys[key].index))
	{
		table_close(row->relation, NoLock);
		return false;
	}
	row->slot = table_slot_create(row->relation, NULL);
	return true;
}

/*
 * Finds the row of a table with a key, as the active snapshot shows it.  If it is found, it stays
 * open until direct_row_close().
 *
 * Locks: the table and its index, as statements do for such a use of the row, to the end of the
 * transaction; no row.
 */
DirectResult
direct_find(DirectTable *table, int key, const NullableDatum *values, DirectUse use,
			DirectRow *row)
{
	if (!open_to_search(table, key, use, row))
		return DIRECT_NOT_POSSIBLE;
	if (fetch(&table->keys[key], row->relation, values, direct_lock_mode(use), row->slot))
		return DIRECT_FOUND;
	direct_row_close(row);
	return DIRECT_NOT_FOUND;
}

/*
 * Finds a row as direct_find() does, but sees all committed rows and the changes of this
 * transaction.
 */
DirectResult
direct_find_newest(DirectTable *table, int key, const NullableDatum *values, DirectUse use,
				   DirectRow *row)
{
	DirectResult result;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	result = direct_find(table, key, values, use, row);
	PopActiveSnapshot();
	return result;
}

/*
 * Opens the row at a place that this transaction has locked there; see direct_find().
 *
 * Locks: the table, to the end of the transaction; no row.
 */
DirectResult
direct_fetch(DirectTable *table, const ItemPointerData *place, DirectUse use, DirectRow *row)
{
	ItemPointerData tid = *place;

	row->table = table;
	row->relation = direct_table_open(table, use);
	if (row->relation == NULL)
		return DIRECT_NOT_POSSIBLE;
	row->slot = table_slot_create(row->relation, NULL);
	if (table_tuple_fetch_row_version(row->relation, &tid, SnapshotSelf, row->slot))
		return DIRECT_FOUND;
	direct_row_close(row);
	return DIRECT_NOT_FOUND;
}

/* Tells whether a row has this key. */
static bool
has_key(const DirectRow *row, const DirectKey *key, const NullableDatum *values)
{
	for (int i = 0; i < key->column_count; i++)
	{
		NullableDatum value = direct_row_value(row, key->columns[i]);

		if (value.isnull || values[i].isnull ||
			!DatumGetBool(OidFunctionCall2(key->equal[i], value.value, values[i].value)))
			return false;
	}
	return true;
}

/*
 * Finds the row with a key that is not null and locks it, as SELECT with a locking clause does: it
 * sees all committed rows and the changes of this transaction, waits for other transactions, and
 * then has the row as they left it.  If it is found, it stays open until direct_row_close().
 *
 * Locks: the row, in a mode.
 */
DirectResult
direct_lock(DirectTable *table, int key, const NullableDatum *values, LockTupleMode mode,
			DirectRow *row)
{
	DirectResult result = direct_find_newest(table, key, values, DIRECT_LOCK, row);
	TM_FailureData failure;
	TM_Result outcome;

	if (result != DIRECT_FOUND)
		return result;
	outcome = table_tuple_lock(row->relation, &row->slot->tts_tid, GetActiveSnapshot(),
							   row->slot, GetCurrentCommandId(true), mode, LockWaitBlock,
							   TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	if (outcome == TM_Deleted ||
		(outcome == TM_Ok && failure.traversed && !has_key(row, &table->keys[key], values)))
		result = DIRECT_NOT_FOUND;
	else if (outcome != TM_Ok)
		result = DIRECT_NOT_POSSIBLE;
	if (result != DIRECT_FOUND)
		direct_row_close(row);
	return result;
}

/* Returns the value of one of the table's known columns. */
NullableDatum
direct_row_value(const DirectRow *row, int column)
{
	NullableDatum result;

	result.value = slot_getattr(row->slot, row->table->numbers[column], &result.isnull);
	return result;
}

/* Closes a row that direct_find() opened. */
void
direct_row_close(DirectRow *row)
{
	ExecDropSingleTupleTableSlot(row->slot);
	table_close(row->relation, NoLock);
}

/* Copies some columns of a row into the current memory context. */
void
direct_row_copy(const DirectRow *row, const int *columns, NullableDatum *values, int count)
{
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(row->relation),
												 row->table->numbers[columns[i]] - 1);

		values[i] = direct_row_value(row, columns[i]);
		if (!values[i].isnull)
			values[i].value = datumCopy(values[i].value, column->attbyval, column->attlen);
	}
}

/*
 * Reads some columns of the row with a value in a key of one column, as the active snapshot shows
 * it.  The values are copies in the current memory context.  Null finds no row.
 *
 * Locks: the table and its index, AccessShareLock, to the end of the transaction.
 */
DirectResult
direct_read(DirectTable *table, int key, NullableDatum value, const int *columns,
			NullableDatum *values, int count)
{
	DirectRow row;
	DirectResult result;

	if (value.isnull)
		return DIRECT_NOT_FOUND;
	result = direct_find(table, key, &value, DIRECT_READ, &row);
	if (result != DIRECT_FOUND)
		return result;
	direct_row_copy(&row, columns, values, count);
	direct_row_close(&row);
	return DIRECT_FOUND;
}

/* Reads as direct_read() does, but sees all committed rows and the changes of this transaction. */
DirectResult
direct_read_newest(DirectTable *table, int key, NullableDatum value, const int *columns,
				   NullableDatum *values, int count)
{
	DirectResult result;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	result = direct_read(table, key, value, columns, values, count);
	PopActiveSnapshot();
	return result;
}

/*
 * Begins a search for all rows that have a value in the first column of a key, or for all rows that
 * have a key, as the active snapshot shows them.  Returns false, with nothing done, if the caller
 * must execute a statement.
 *
 * Locks: the table and its index, AccessShareLock, to the end of the transaction.
 */
bool
direct_scan_begin(DirectTable *table, int key, const Datum *value, DirectScan *scan)
{
	int conditions = value == NULL ? 0 : 1;
	ScanKeyData condition;

	if (!open_to_search(table, key, DIRECT_READ, &scan->row))
		return false;
	scan->index = index_open(table->keys[key].index, AccessShareLock);
	if (value != NULL)
		ScanKeyInit(&condition, 1, BTEqualStrategyNumber, table->keys[key].equal[0], *value);
	scan->scan = index_beginscan_compat(scan->row.relation, scan->index, GetActiveSnapshot(),
										conditions);
	index_rescan(scan->scan, &condition, conditions, NULL, 0);
	return true;
}

/* Goes to the next row, in no particular order; returns false if there is none. */
bool
direct_scan_next(DirectScan *scan)
{
	return index_getnext_slot(scan->scan, BackwardScanDirection, scan->row.slot);
}

/* Ends a search that direct_scan_begin() began. */
void
direct_scan_end(DirectScan *scan)
{
	index_endscan(scan->scan);
	index_close(scan->index, NoLock);
	direct_row_close(&scan->row);
}

/* Tells whether a value is null although its column is NOT NULL. */
static bool
has_forbidden_null(const DirectTable *table, Relation relation, const NullableDatum *values)
{
	TupleDesc description = RelationGetDescr(relation);

	for (int i = 0; i < table->known->column_count; i++)
	{
		if (values[i].isnull && TupleDescAttr(description, table->numbers[i] - 1)->attnotnull)
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

	if (has_forbidden_null(table, relation, values))
		return NULL;
	slot = MakeSingleTupleTableSlot(description, &TTSOpsHeapTuple);
	for (int i = 0; i < table->known->column_count; i++)
	{
		slot->tts_values[table->numbers[i] - 1] = values[i].value;
		slot->tts_isnull[table->numbers[i] - 1] = values[i].isnull;
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

/*
 * Has the executor's own function insert the index entries of a new version of a row.  If another
 * row conflicts, tells so if the caller wants to know, and raises 23505 otherwise.
 */
static void
insert_index_entries_by_executor(Relation relation, TupleTableSlot *slot, UpdatedIndexes which,
								 bool *conflict)
{
	EState *state = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);

	InitResultRelInfo(result, relation, 0, NULL, 0);
	ExecOpenIndices(result, conflict != NULL);
	insert_index_tuples_compat(result, slot, state, which, conflict);
	ExecCloseIndices(result);
	FreeExecutorState(state);
}

/* Tells whether one of an index's columns is in a set. */
static bool
has_column_in(const DirectIndex *index, const Bitmapset *columns)
{
	for (int i = 0; i < index->info->ii_NumIndexKeyAttrs; i++)
	{
		if (bms_is_member(index->info->ii_IndexAttrNumbers[i] -
							  FirstLowInvalidHeapAttributeNumber,
						  columns))
			return true;
	}
	return false;
}

/*
 * Inserts the index entries of a new version of a row; raises 23505 as a statement does.  Of an
 * update the columns that it changes are given: an index on others gets the executor's hint that it
 * may delete the entries of old versions.
 */
static void
insert_index_entries(const DirectTable *table, Relation relation, TupleTableSlot *slot,
					 const Bitmapset *changed, UpdatedIndexes which)
{
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];
	ListCell *cell;

	if (table->indexes == NIL)
		insert_index_entries_by_executor(relation, slot, which, NULL);
	table->check_context->ecxt_scantuple = slot;
	foreach (cell, table->indexes)
	{
		const DirectIndex *known = lfirst(cell);
		Relation index;

		if (!ExecQual(known->predicate, table->check_context))
			continue;
		index = index_open(known->id, RowExclusiveLock);
		FormIndexDatum(known->info, slot, NULL, values, nulls);
		index_insert(index, values, nulls, &slot->tts_tid, relation,
					 known->unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
					 changed != NULL && !has_column_in(known, changed), known->info);
		index_close(index, NoLock);
	}
}

/* Sets the columns that are not given to their defaults. */
static void
set_defaults(const DirectTable *table, NullableDatum *values, const bool *given)
{
	for (int i = 0; i < table->known->column_count; i++)
	{
		if (given[i])
			continue;
		values[i] = (NullableDatum){.isnull = true};
		if (table->defaults[i] != NULL)
			values[i].value = ExecEvalExpr(table->defaults[i], table->check_context,
										   &values[i].isnull);
	}
}

/*
 * Inserts a row with values in all columns, or in those that are given; sets the others, and the
 * first one of a numbered table.  Returns false if the executor must insert it.  Nothing has
 * changed then, but a number may be used up.
 *
 * Locks: the table and its indexes, RowExclusiveLock, to the end of the transaction.
 */
bool
direct_insert(DirectTable *table, NullableDatum *values, const bool *given)
{
	Relation relation = direct_table_open(table, DIRECT_INSERT);
	TupleTableSlot *slot;

	if (relation == NULL)
		return false;
	if (table->numbered)
		values[0].value = Int64GetDatum(nextval_internal(table->sequence, false));
	if (given != NULL)
		set_defaults(table, values, given);
	slot = make_row(table, relation, values);
	if (slot != NULL)
	{
		table_tuple_insert(relation, slot, GetCurrentCommandId(true), 0, NULL);
		insert_index_entries(table, relation, slot, NULL, ALL_INDEXES);
		ExecDropSingleTupleTableSlot(slot);
		CommandCounterIncrement();
	}
	table_close(relation, NoLock);
	return slot != NULL;
}

/*
 * Inserts a row as direct_insert() does, but returns false also if another row, committed or not,
 * has one of its keys.  INSERT with ON CONFLICT DO NOTHING then waits for the other transaction.
 *
 * Locks: the table and its indexes, RowExclusiveLock, to the end of the transaction.
 */
bool
direct_insert_unless_found(DirectTable *table, NullableDatum *values, const bool *given)
{
	Relation relation = direct_table_open(table, DIRECT_INSERT);
	TransactionId transaction;
	TupleTableSlot *slot;
	bool conflict = true;
	uint32 token;

	if (relation == NULL)
		return false;
	set_defaults(table, values, given);
	slot = make_row(table, relation, values);
	if (slot != NULL)
	{
		transaction = GetCurrentTransactionId();
		conflict = false;
		/* Others that meet the row in an index wait until it is known whether it stays. */
		token = SpeculativeInsertionLockAcquire(transaction);
		table_tuple_insert_speculative(relation, slot, GetCurrentCommandId(true), 0, NULL,
									   token);
		insert_index_entries_by_executor(relation, slot, ALL_INDEXES, &conflict);
		table_tuple_complete_speculative(relation, slot, token, !conflict);
		SpeculativeInsertionLockRelease(transaction);
		ExecDropSingleTupleTableSlot(slot);
		CommandCounterIncrement();
	}
	table_close(relation, NoLock);
	return !conflict;
}

/* Tells whether this transaction, and no other, has locked a row that is not changed. */
static bool
is_locked_only_here(HeapTupleHeader row)
{
	return HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
		(row->t_infomask & HEAP_XMAX_IS_MULTI) == 0 &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(row));
}

/*
 * Tells whether the version that was found is the newest one, and no other transaction is changing
 * or locking the row.
 */
bool
direct_is_free(const DirectRow *row)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) row->slot;
	HeapTuple version = slot->base.tuple;
	TM_Result state;
	bool result;

	if (!TTS_IS_BUFFERTUPLE(row->slot))
		return false;
	LockBuffer(slot->buffer, BUFFER_LOCK_SHARE);
	state = HeapTupleSatisfiesUpdate(version, GetCurrentCommandId(false), slot->buffer);
	result = state == TM_Ok ||
		(state == TM_BeingModified && is_locked_only_here(version->t_data));
	LockBuffer(slot->buffer, BUFFER_LOCK_UNLOCK);
	return result;
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

/* Tells whether new values change one of a table's known columns. */
static bool
changes(const DirectRow *row, const NullableDatum *values, int column)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(row->relation),
												row->table->numbers[column] - 1);
	NullableDatum old = direct_row_value(row, column);

	if (old.isnull || values[column].isnull)
		return old.isnull != values[column].isnull;
	return !datum_image_eq(old.value, values[column].value, attribute->attbyval,
						   attribute->attlen);
}

/*
 * Returns those of some columns, or of all, that new values change, numbered as in the relation
 * cache.
 */
static Bitmapset *
changed_columns(const DirectRow *row, const NullableDatum *values, const Bitmapset *among)
{
	Bitmapset *changed = NULL;

	for (int i = 0; i < row->table->known->column_count; i++)
	{
		int member = row->table->numbers[i] - FirstLowInvalidHeapAttributeNumber;

		if ((among == NULL || bms_is_member(member, among)) && changes(row, values, i))
			changed = bms_add_member(changed, member);
	}
	return changed;
}

/* Tells whether new values change a column that only the executor may change. */
static bool
changes_guarded(const DirectRow *row, const NullableDatum *values)
{
	const Bitmapset *guarded = row->table->guarded;

	return !bms_is_empty(guarded) && !bms_is_empty(changed_columns(row, values, guarded));
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

	if (!is_own(row) && direct_is_free(row) && !changes_guarded(row, values))
		slot = make_row(row->table, row->relation, values);
	if (slot == NULL)
		return false;
	CheckCmdReplicaIdentity(row->relation, CMD_UPDATE);
	/* If another transaction came in between, this waits for it. */
	written = table_tuple_update_compat(row->relation, &row->slot->tts_tid, slot,
										GetCurrentCommandId(true), GetActiveSnapshot(),
										&indexes) == TM_Ok;
	/* Most updates are HOT, and need no index entries. */
	if (written && indexes != NO_INDEXES)
		insert_index_entries(row->table, row->relation, slot,
							 changed_columns(row, values, NULL), indexes);
	ExecDropSingleTupleTableSlot(slot);
	if (written)
		CommandCounterIncrement();
	return written;
}
