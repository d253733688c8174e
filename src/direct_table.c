/*
 * direct_table.c
 *		The extension's tables, and whether they are as the extension made them.
 *
 * The executor handles much for a statement that direct.c does not: privileges, row-level security,
 * rules, triggers, partitions, generated columns.  So a table is examined first, and left to the
 * executor if any of these would matter.  The result is kept until the table changes, or anything
 * else that was examined.
 *
 * A table is readable if all its rows are in one heap, and nothing else supplies or hides rows: it
 * is a plain table, neither a partition nor a parent; its access method is heap; and no trigger on
 * it, for any event, calls a function of another extension, because extensions that keep rows
 * elsewhere have one.  A table that Citus distributes raises an error.  The table's owner is the
 * current user (the extension's owner, in SECURITY DEFINER functions), who has not revoked their
 * own privileges and is not subject to row-level security.  The table has the columns that we use,
 * with their types and stored values, and a unique index on the column that we search by.  Any
 * other table is left to the executor.
 *
 * A table is writable if, in addition, it has no rule, no trigger with anything to do, no unknown
 * column, and no index or CHECK constraint that we cannot maintain as the executor does.  In
 * REPEATABLE READ and SERIALIZABLE, all writes are left to the executor.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "compat.h"
#include "direct_table.h"
#include "seats.h"

DirectTable direct_seats = {.known = &known_tables[TABLE_CUSTOMER_SEATS],
							.key = SEAT_INVITATION_TOKEN_HASH,
							.written = ACL_UPDATE};
DirectTable direct_sessions = {.known = &known_tables[TABLE_CUSTOMER_SESSIONS],
							   .key = SESSION_TOKEN_HASH,
							   .written = ACL_INSERT};
DirectTable direct_events = {.known = &known_tables[TABLE_EVENTS],
							 .key = EVENT_ID,
							 .numbered = true,
							 .written = ACL_INSERT};
DirectTable direct_organizations = {.known = &known_tables[TABLE_ORGANIZATIONS],
									.key = ORGANIZATION_ID};
DirectTable direct_customers = {.known = &known_tables[TABLE_CUSTOMERS], .key = CUSTOMER_ID};
DirectTable direct_products = {.known = &known_tables[TABLE_PRODUCTS], .key = PRODUCT_ID};
DirectTable direct_subscriptions = {.known = &known_tables[TABLE_SUBSCRIPTIONS],
									.key = PURCHASE_ID};
DirectTable direct_orders = {.known = &known_tables[TABLE_ORDERS], .key = PURCHASE_ID};
DirectTable direct_jwt_keys = {.known = &known_tables[TABLE_JWT_KEYS], .key = JWT_KEY_ID};

/* The columns that a claim changes. */
static const SeatColumn claimed_columns[] = {SEAT_STATUS, SEAT_MODIFIED_AT, SEAT_CLAIMED_AT,
											 SEAT_CLAIM_KEY_HASH};

/*
 * Tells whether a column has this type, without a modifier, and its values are stored in the row.
 */
static bool
is_plain(Form_pg_attribute column, Oid type)
{
	return column->atttypid == type && column->atttypmod == -1 &&
		(column->attgenerated == '\0' || column->attgenerated == ATTRIBUTE_GENERATED_STORED);
}

/* Finds the columns; returns false if one is missing, has another type or is not stored. */
static bool
find_columns(DirectTable *table, Relation relation)
{
	TupleDesc description = RelationGetDescr(relation);

	table->status_type = seat_status_type();
	for (int i = 0; i < table->known->column_count; i++)
	{
		int number = SPI_fnumber(description, table->known->columns[i].name);

		if (number <= 0 ||
			!is_plain(TupleDescAttr(description, number - 1), column_type(table->known, i)))
			return false;
		table->numbers[i] = (AttrNumber) number;
	}
	return true;
}

/*
 * Tells whether an index finds all rows that a snapshot of this transaction may see.  An index that
 * was built over broken HOT chains does not, for older snapshots.  The planner makes the same
 * check.
 */
static bool
is_usable_now(Relation index)
{
	return !index->rd_index->indcheckxmin ||
		TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							  TransactionXmin);
}

/* Tells whether an index finds the one row with a value in a column; sets its equality function. */
static bool
is_key_index(Relation index, AttrNumber column, Oid type, RegProcedure *equal)
{
	Form_pg_index form = index->rd_index;
	Oid equality;

	if (index->rd_rel->relam != BTREE_AM_OID || !form->indisunique || !form->indisvalid ||
		!form->indimmediate || !is_usable_now(index) || form->indnkeyatts != 1 ||
		form->indkey.values[0] != column ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return false;
	equality = get_opfamily_member(index->rd_opfamily[0], type, type, BTEqualStrategyNumber);
	*equal = OidIsValid(equality) ? get_opcode(equality) : InvalidOid;
	return *equal == F_UUID_EQ || *equal == F_BYTEAEQ || *equal == F_INT8EQ;
}

/* Finds the index to search by; returns false if there is none. */
static bool
find_key_index(DirectTable *table, Relation relation)
{
	List *indexes = RelationGetIndexList(relation);
	ListCell *cell;
	bool found = false;

	foreach (cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		found = is_key_index(index, table->numbers[table->key],
							 column_type(table->known, table->key), &table->key_equal);
		table->key_index = RelationGetRelid(index);
		index_close(index, AccessShareLock);
		if (found)
			break;
	}
	list_free(indexes);
	return found;
}

/*
 * Tells whether the user has the privileges on the schema and the table that direct access needs.
 */
static bool
has_rights(const DirectTable *table, Relation relation)
{
	AclMode rights = ACL_SELECT | table->written;

	return schema_is_usable_compat(RelationGetNamespace(relation), table->user) &&
		pg_class_aclmask(RelationGetRelid(relation), table->user, rights, ACLMASK_ALL) ==
		rights;
}

/* Tells whether an object is not one of PostgreSQL's own. */
static bool
is_foreign(Oid object)
{
	return object >= FirstUnpinnedObjectId;
}

/*
 * Tells whether a table has a trigger that calls a function of another extension.  Each look into
 * the catalog may replace the description of the triggers.
 */
static bool
has_trigger_of_extension(Relation relation)
{
	Oid own = getExtensionOfObject(RelationRelationId, RelationGetRelid(relation));

	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
	{
		Oid function = relation->trigdesc->triggers[i].tgfoid;
		Oid extension = is_foreign(function)
			? getExtensionOfObject(ProcedureRelationId, function)
			: InvalidOid;

		if (OidIsValid(extension) && extension != own)
			return true;
	}
	return false;
}

/* Tells whether all rows of a table are in its heap, and no other extension handles them. */
static bool
is_plain_heap(Relation relation)
{
	Form_pg_class form = relation->rd_rel;

	return form->relkind == RELKIND_RELATION && form->relam == HEAP_TABLE_AM_OID &&
		!form->relispartition && !form->relhassubclass && !has_trigger_of_extension(relation);
}

/* Tells whether rows of a table can be read directly; see the top of this file. */
static bool
is_readable(DirectTable *table, Relation relation)
{
	return is_plain_heap(relation) && relation->rd_rel->relowner == table->user &&
		!relation->rd_rel->relforcerowsecurity && has_rights(table, relation) &&
		find_columns(table, relation) && find_key_index(table, relation);
}

/* Tells whether a table has exactly the known columns, in their order, none of them generated. */
static bool
has_only_known_columns(const DirectTable *table, Relation relation)
{
	if (RelationGetNumberOfAttributes(relation) != table->known->column_count)
		return false;
	for (int i = 0; i < table->known->column_count; i++)
	{
		if (table->numbers[i] != i + 1 ||
			TupleDescAttr(RelationGetDescr(relation), i)->attgenerated != '\0')
			return false;
	}
	return true;
}

/* Tells whether a trigger calls the extension's seats_changed(). */
static bool
calls_seats_changed(Relation relation, const Trigger *trigger)
{
	HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(trigger->tgfoid));
	Form_pg_proc function;
	bool isnull;
	Datum source;
	bool result;

	if (!HeapTupleIsValid(row))
		return false;
	function = (Form_pg_proc) GETSTRUCT(row);
	source = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_prosrc, &isnull);
	result = function->prolang == ClanguageId &&
		function->pronamespace == RelationGetNamespace(relation) && !isnull &&
		strcmp(TextDatumGetCString(source), "seats_changed") == 0;
	ReleaseSysCache(row);
	return result;
}

/*
 * Tells whether a trigger is the extension's own for updates of seats: after the statement, with
 * both transition tables, without a condition.  It calls seats_changed(), which has nothing to do
 * for a claim.
 */
static bool
is_seats_updated(Relation relation, const Trigger *trigger)
{
	return TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_STATEMENT, TRIGGER_TYPE_AFTER,
								TRIGGER_TYPE_UPDATE) &&
		trigger->tgoldtable != NULL && trigger->tgnewtable != NULL &&
		trigger->tgqual == NULL && calls_seats_changed(relation, trigger);
}

/*
 * Returns the columns that a claim changes, numbered as in the column sets of the relation cache.
 */
static Bitmapset *
columns_of_claim(void)
{
	Bitmapset *columns = NULL;

	for (size_t i = 0; i < lengthof(claimed_columns); i++)
		columns = bms_add_member(columns,
								 claimed_columns[i] + 1 - FirstLowInvalidHeapAttributeNumber);
	return columns;
}

/* Tells whether foreign keys from or to the table of seats use a column that a claim changes. */
static bool
foreign_keys_use_claimed(Relation relation)
{
	Bitmapset *claimed = columns_of_claim();
	Bitmapset *used = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY);
	ListCell *cell;

	foreach (cell, RelationGetFKeyList(relation))
	{
		const ForeignKeyCacheInfo *key = lfirst(cell);

		for (int i = 0; i < key->nkeys; i++)
			used = bms_add_member(used, key->conkey[i] - FirstLowInvalidHeapAttributeNumber);
	}
	return bms_overlap(used, claimed);
}

/* Tells whether no trigger has anything to do when a row is inserted or a seat is claimed. */
static bool
triggers_are_idle(const DirectTable *table, Relation relation)
{
	TriggerDesc *triggers = relation->trigdesc;

	if (triggers == NULL)
		return true;
	if (table->written == ACL_INSERT)
		return !triggers->trig_insert_before_row && !triggers->trig_insert_after_row &&
			!triggers->trig_insert_instead_row && !triggers->trig_insert_before_statement &&
			!triggers->trig_insert_after_statement;
	/* Each look into the catalog may replace the description of the triggers. */
	for (int i = 0; i < relation->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &relation->trigdesc->triggers[i];
		bool of_foreign_key = trigger->tgisinternal &&
			RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_NONE;

		if (TRIGGER_FOR_UPDATE(trigger->tgtype) && !of_foreign_key &&
			!is_seats_updated(relation, trigger))
			return false;
	}
	return !foreign_keys_use_claimed(relation);
}

/* Tells whether a function is not one of PostgreSQL's own, for check_functions_in_node(). */
static bool
is_foreign_function(Oid function, void *context pg_attribute_unused())
{
	return is_foreign(function);
}

/*
 * Tells whether the meaning of an expression may change while it is kept: it uses a function or
 * type that is not PostgreSQL's own, except seats.seat_status, or a kind of node that may hide one.
 */
static bool
is_foreign_expression(Node *node, void *status_type)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_ScalarArrayOpExpr:
		case T_ArrayExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_CaseExpr:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
			if (is_foreign(exprType(node)) && exprType(node) != *(Oid *) status_type)
				return true;
			break;
		case T_List:
		case T_CaseWhen:
			break;
		default:
			return true;
	}
	return check_functions_in_node(node, is_foreign_function, NULL) ||
		expression_tree_walker(node, is_foreign_expression, status_type);
}

/* Prepares the CHECK constraints for evaluation; returns false if one cannot be kept prepared. */
static bool
prepare_checks(DirectTable *table, Relation relation)
{
	const TupleConstr *constraints = RelationGetDescr(relation)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		Node *check = stringToNode(constraints->check[i].ccbin);

		if (!check_is_enforced_compat(&constraints->check[i]))
			continue;
		if (is_foreign_expression(check, &table->status_type))
			return false;
		table->checks = lappend(table->checks,
								ExecInitExpr(expression_planner((Expr *) check), NULL));
	}
	table->check_context = CreateStandaloneExprContext();
	return true;
}

/* Prepares the indexes for new entries; returns false if one is not a plain B-tree on columns. */
static bool
prepare_indexes(DirectTable *table, Relation relation)
{
	List *ids = RelationGetIndexList(relation);
	ListCell *cell;

	foreach (cell, ids)
	{
		DirectIndex *index = palloc(sizeof(DirectIndex));
		Relation opened = index_open(lfirst_oid(cell), AccessShareLock);
		bool plain = opened->rd_rel->relam == BTREE_AM_OID && opened->rd_index->indimmediate &&
			!opened->rd_index->indisexclusion;

		index->id = lfirst_oid(cell);
		index->unique = opened->rd_index->indisunique;
		index->info = BuildIndexInfo(opened);
		index_close(opened, AccessShareLock);
		if (!plain || !index->info->ii_ReadyForInserts || index->info->ii_Expressions != NIL ||
			index->info->ii_Predicate != NIL)
			return false;
		table->indexes = lappend(table->indexes, index);
	}
	return true;
}

/* Finds the sequence that numbers the rows of a numbered table; returns false if there is none. */
static bool
find_sequence(DirectTable *table, Relation relation)
{
	if (TupleDescAttr(RelationGetDescr(relation), 0)->attidentity == '\0')
		return false;
	table->sequence = identity_sequence_compat(relation, 1);
	return OidIsValid(table->sequence);
}

/* Tells whether rows can be written directly to a readable table; see the top of this file. */
static bool
is_writable(DirectTable *table, Relation relation)
{
	return relation->rd_rules == NULL && has_only_known_columns(table, relation) &&
		(!table->numbered || find_sequence(table, relation)) &&
		triggers_are_idle(table, relation) && prepare_checks(table, relation) &&
		(table->written != ACL_INSERT || prepare_indexes(table, relation));
}

/*
 * Examines a table that is open and locked, and keeps the result.  Raises 55000 if the table is
 * distributed.
 */
static void
examine(DirectTable *table, Relation relation)
{
	/* Read the count first, so that a change that arrives meanwhile is not lost. */
	uint64 changes = table->watch.changes;
	MemoryContext caller;

	if (table->context == NULL)
		table->context = AllocSetContextCreate(TopMemoryContext, "seats direct access",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(table->context);
	table->checks = NIL;
	table->indexes = NIL;
	/* If an error is raised below, the table counts as not examined. */
	table->examined_at = 0;
	table->user = GetUserId();
	refuse_distributed_table(RelationGetRelid(relation));
	caller = MemoryContextSwitchTo(table->context);
	table->readable = is_readable(table, relation);
	table->writable = table->readable && table->written != 0 && is_writable(table, relation);
	MemoryContextSwitchTo(caller);
	/*
	 * Examine a table that is not readable again each time: a new index may become usable when old
	 * snapshots end, and no invalidation reports that.
	 */
	if (table->readable)
		table->examined_at = changes;
}

/* Tells whether the result of the last examination still holds. */
static bool
is_current(const DirectTable *table)
{
	return table->examined_at != 0 && table->examined_at == table->watch.changes;
}

/* Tells whether the result of the examination allows access in a lock mode. */
static bool
allows(const DirectTable *table, LOCKMODE mode)
{
	if (mode == AccessShareLock)
		return table->readable;
	return table->writable && !IsolationUsesXactSnapshot();
}

/*
 * Locks and opens a table; returns NULL if it does not exist.  Taking the lock processes pending
 * invalidations.  If none of them concerns the table, it still exists, and that need not be looked
 * up.
 */
static Relation
lock_and_open(const DirectTable *table, LOCKMODE mode)
{
	Oid id = table->watch.relation;
	Relation relation;

	LockRelationOid(id, mode);
	if (is_current(table))
		return table_open(id, NoLock);
	relation = try_table_open(id, mode);
	UnlockRelationOid(id, mode);
	return relation;
}

/*
 * Opens a table for direct access, to read it (AccessShareLock) or to write it (RowExclusiveLock).
 * Returns NULL, with nothing done, if it must be left to the executor.  Raises 55000 if this
 * library does not know the version of the extension's objects, or if the table is distributed.
 *
 * Locks: the table, as statements do, to the end of the transaction.
 */
Relation
direct_table_open(DirectTable *table, LOCKMODE mode)
{
	Relation relation;

	/* An installed permission hook must see every access. */
	if (!setting_direct_access || ExecutorCheckPerms_hook != NULL)
		return NULL;
	extension_check_version();
	if (table->watch.changes == 0)
		catalog_watch(&table->watch);
	if (!is_current(table))
		table->watch.relation = seats_table_id(table->known->name);
	if (!OidIsValid(table->watch.relation))
		return NULL;
	relation = lock_and_open(table, mode);
	if (relation == NULL)
		return NULL;
	if ((!is_current(table) || table->user != GetUserId()) &&
		seats_table_id(table->known->name) == RelationGetRelid(relation))
		examine(table, relation);
	if (is_current(table) && allows(table, mode))
		return relation;
	table_close(relation, NoLock);
	return NULL;
}

/*
 * Tells whether a table can be read directly; raises the errors of direct_table_open(), and locks
 * as it does.
 */
bool
direct_table_is_readable(DirectTable *table)
{
	Relation relation = direct_table_open(table, AccessShareLock);

	if (relation == NULL)
		return false;
	table_close(relation, NoLock);
	return true;
}

/*
 * Returns the id of a value of the type seats.seat_status, or InvalidOid.  The table of seats must
 * have been opened for direct access before.
 */
Oid
direct_seat_status(const char *name)
{
	return seat_status_value(direct_seats.status_type, name);
}
