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
 * Rows of a table can be inserted or updated if, in addition, it has no rule, no unknown column, no
 * CHECK constraint, default or foreign key that we cannot treat as the executor does, and no
 * trigger for that other than the extension's own, whose work the callers do.  In REPEATABLE READ
 * and SERIALIZABLE, all writes and locks are left to the executor.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_constraint.h"
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
#include "rewrite/rewriteHandler.h"
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
#include "purchase.h"
#include "seats.h"

DirectTable direct_seats = {
	.known = &known_tables[TABLE_CUSTOMER_SEATS],
	.keys = {[SEAT_BY_TOKEN] = {.column_count = 1, .columns = {SEAT_INVITATION_TOKEN_HASH}},
			 [SEAT_BY_ID] = {.column_count = 1, .columns = {SEAT_ID}},
			 [SEAT_BY_HOLDER + PURCHASE_SUBSCRIPTION] = {.column_count = 2,
														 .columns = {SEAT_SUBSCRIPTION_ID,
																	 SEAT_CUSTOMER_ID}},
			 [SEAT_BY_HOLDER +
				 PURCHASE_ORDER] = {.column_count = 2,
									.columns = {SEAT_ORDER_ID, SEAT_CUSTOMER_ID}},
			 [SEAT_BY_CUSTOMER] = {.column_count = 1,
								   .columns = {SEAT_CUSTOMER_ID},
								   .many = true}},
	.needed = ACL_SELECT | ACL_UPDATE,
	.written = ACL_INSERT | ACL_UPDATE};
DirectTable direct_sessions = {.known = &known_tables[TABLE_CUSTOMER_SESSIONS],
							   .keys = {{.column_count = 1, .columns = {SESSION_TOKEN_HASH}}},
							   .needed = ACL_SELECT | ACL_INSERT,
							   .written = ACL_INSERT,
							   .fast = true};
DirectTable direct_events = {.known = &known_tables[TABLE_EVENTS],
							 .keys = {{.column_count = 1, .columns = {EVENT_ID}}},
							 .numbered = true,
							 .needed = ACL_SELECT | ACL_INSERT,
							 .written = ACL_INSERT,
							 .fast = true};
DirectTable direct_organizations = {
	.known = &known_tables[TABLE_ORGANIZATIONS],
	.keys = {{.column_count = 1, .columns = {ORGANIZATION_ID}}},
	.needed = ACL_SELECT};
DirectTable direct_customers = {.known = &known_tables[TABLE_CUSTOMERS],
								.keys = {{.column_count = 1, .columns = {CUSTOMER_ID}}},
								.needed = ACL_SELECT,
								.written = ACL_INSERT};
DirectTable direct_products = {.known = &known_tables[TABLE_PRODUCTS],
							   .keys = {{.column_count = 1, .columns = {PRODUCT_ID}}},
							   .needed = ACL_SELECT};
DirectTable direct_subscriptions = {.known = &known_tables[TABLE_SUBSCRIPTIONS],
									.keys = {{.column_count = 1, .columns = {PURCHASE_ID}}},
									.needed = ACL_SELECT,
									.written = ACL_UPDATE};
DirectTable direct_orders = {.known = &known_tables[TABLE_ORDERS],
							 .keys = {{.column_count = 1, .columns = {PURCHASE_ID}}},
							 .needed = ACL_SELECT,
							 .written = ACL_UPDATE};
DirectTable direct_jwt_keys = {.known = &known_tables[TABLE_JWT_KEYS],
							   .keys = {{.column_count = 1, .columns = {JWT_KEY_ID}}},
							   .needed = ACL_SELECT};

/*
 * A foreign key of the extension's from a table that rows are inserted into: organization_id, and a
 * column if there is one, refer to a table's organization_id and id, or to the id of organizations.
 */
typedef struct Reference
{
	DirectTable *table;
	const char *column; /* or NULL */
	TableNumber referenced;
} Reference;

/*
 * Whoever inserts or changes such a row has locked the rows that it refers to, so they need no
 * check.
 */
static const Reference references[] = {
	{&direct_seats, "subscription_id", TABLE_SUBSCRIPTIONS},
	{&direct_seats, "order_id", TABLE_ORDERS},
	{&direct_seats, "customer_id", TABLE_CUSTOMERS},
	{&direct_customers, NULL, TABLE_ORGANIZATIONS},
};

/* keep_purchase, check_purchase and end_purchase; and refuse_old_library of subscriptions. */
#define OWN_TRIGGERS_OF_ORDERS 3
#define OWN_TRIGGERS_OF_SUBSCRIPTIONS 4

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

	for (int i = 0; i < table->known->column_count; i++)
	{
		int number = SPI_fnumber(description, table->known->columns[i].name);

		table->types[i] = column_type(table->known, i);
		if (number <= 0 || !is_plain(TupleDescAttr(description, number - 1), table->types[i]))
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

/* Returns the function by which an index compares its column, counted from 0, or InvalidOid. */
static RegProcedure
equality_of(Relation index, int column, Oid type)
{
	Oid equality = get_opfamily_member(index->rd_opfamily[column], type, type,
									   BTEqualStrategyNumber);
	RegProcedure equal = OidIsValid(equality) ? get_opcode(equality) : InvalidOid;

	return equal == F_UUID_EQ || equal == F_BYTEAEQ || equal == F_INT8EQ ? equal : InvalidOid;
}

/*
 * Tells whether an index has all rows with a value in its first column: it has no condition, or one
 * of two columns, or one that is not unique, has only the condition that the first is not null.
 */
static bool
has_all_rows(Relation index)
{
	const NullTest *condition;
	List *conditions;

	if (heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return true;
	conditions = RelationGetIndexPredicate(index);
	if ((index->rd_index->indnkeyatts == 1 && index->rd_index->indisunique) ||
		list_length(conditions) != 1 || !IsA(linitial(conditions), NullTest))
		return false;
	condition = linitial(conditions);
	return condition->nulltesttype == IS_NOT_NULL && IsA(condition->arg, Var) &&
		castNode(Var, condition->arg)->varattno == index->rd_index->indkey.values[0];
}

/* Tells whether an index finds the rows with a key; sets the key's functions. */
static bool
is_index_of(Relation index, const DirectTable *table, DirectKey *key)
{
	Form_pg_index form = index->rd_index;

	if (index->rd_rel->relam != BTREE_AM_OID || (!form->indisunique && !key->many) ||
		!form->indisvalid || !form->indimmediate || !is_usable_now(index) ||
		form->indnkeyatts != key->column_count)
		return false;
	for (int i = 0; i < key->column_count; i++)
	{
		int column = key->columns[i];

		if (form->indkey.values[i] != table->numbers[column])
			return false;
		key->equal[i] = equality_of(index, i, table->types[column]);
		if (!OidIsValid(key->equal[i]))
			return false;
	}
	return has_all_rows(index);
}

/* Finds the index of each key; returns false if there is none for the first key. */
static bool
find_key_indexes(DirectTable *table, Relation relation)
{
	List *indexes = RelationGetIndexList(relation);
	ListCell *cell;

	for (int i = 0; i < MAX_DIRECT_KEYS; i++)
		table->keys[i].index = InvalidOid;
	foreach (cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		for (int i = 0; i < MAX_DIRECT_KEYS && table->keys[i].column_count > 0; i++)
		{
			DirectKey *key = &table->keys[i];

			if (!OidIsValid(key->index) && is_index_of(index, table, key))
				key->index = RelationGetRelid(index);
		}
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return OidIsValid(table->keys[FIRST_KEY].index);
}

/* Tells whether the user has some privileges on the table, and may use its schema. */
static bool
has_rights(const DirectTable *table, Relation relation, AclMode rights)
{
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
		!relation->rd_rel->relforcerowsecurity && has_rights(table, relation, table->needed) &&
		find_columns(table, relation) && find_key_indexes(table, relation);
}

/*
 * Tells whether a table has exactly the known columns, in any order, none of them generated.  All
 * known ones were found, so if it has as many as these, none is unknown or dropped.
 */
static bool
has_only_known_columns(const DirectTable *table, Relation relation)
{
	if (RelationGetNumberOfAttributes(relation) != table->known->column_count)
		return false;
	for (int i = 0; i < table->known->column_count; i++)
	{
		if (TupleDescAttr(RelationGetDescr(relation), i)->attgenerated != '\0')
			return false;
	}
	return true;
}

/* Tells whether a trigger calls one of the extension's C functions, given by its name in C. */
static bool
calls(Relation relation, const Trigger *trigger, const char *name)
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
		strcmp(TextDatumGetCString(source), name) == 0;
	ReleaseSysCache(row);
	return result;
}

/* Tells whether a trigger fires unless this session is a replica. */
static bool
is_enabled(const Trigger *trigger)
{
	return trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
		trigger->tgenabled == TRIGGER_FIRES_ALWAYS;
}

/*
 * Tells whether a trigger is the extension's own for new or for updated seats: after the statement,
 * with its transition tables, without a condition.  It calls seats_changed(), whose work is to
 * count seats and to end sessions.
 */
static bool
is_seats_changed(Relation relation, const Trigger *trigger, int16 event)
{
	return TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_STATEMENT, TRIGGER_TYPE_AFTER,
								event) &&
		trigger->tgnewtable != NULL &&
		(event == TRIGGER_TYPE_INSERT || trigger->tgoldtable != NULL) &&
		trigger->tgqual == NULL && calls(relation, trigger, "seats_changed");
}

/*
 * Tells whether a trigger is one of the extension's own on purchases.  They have nothing to do when
 * purchase_count() changes only the count, except to check what it checks itself.
 */
static bool
is_of_purchase(Relation relation, const Trigger *trigger)
{
	return calls(relation, trigger, "seats_keep_purchase") ||
		calls(relation, trigger, "seats_end_purchase") ||
		calls(relation, trigger, "seats_purge_expired_sessions");
}

/* Tells whether a trigger is one of the extension's own whose work our callers do. */
static bool
is_own(const DirectTable *table, Relation relation, const Trigger *trigger, int16 event)
{
	if (table == &direct_seats)
		return is_seats_changed(relation, trigger, event);
	return event == TRIGGER_TYPE_UPDATE && is_of_purchase(relation, trigger);
}

/* Tells whether a trigger is PostgreSQL's own, for a foreign key from or to its table. */
static bool
is_of_foreign_key(const Trigger *trigger)
{
	return trigger->tgisinternal && RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_NONE;
}

/* Returns how many triggers of the extension's own a table has for each event. */
static int
own_triggers(const DirectTable *table)
{
	if (table == &direct_seats)
		return 1;
	if (table == &direct_subscriptions)
		return OWN_TRIGGERS_OF_SUBSCRIPTIONS;
	return table == &direct_orders ? OWN_TRIGGERS_OF_ORDERS : 0;
}

/*
 * Tells whether all triggers for an event are the extension's own, or of foreign keys if those are
 * looked at elsewhere; finds out whether the extension's are complete and enabled.
 */
static bool
triggers_are_known(DirectTable *table, Relation relation, int16 event)
{
	int enabled = 0;

	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
	{
		/* A look into the catalog may replace the description of the triggers. */
		const Trigger trigger = relation->trigdesc->triggers[i];

		if ((trigger.tgtype & event) == 0 || (!table->fast && is_of_foreign_key(&trigger)))
			continue;
		if (!is_own(table, relation, &trigger, event))
			return false;
		if (is_enabled(&trigger))
			enabled++;
	}
	if (enabled != own_triggers(table))
		table->kept = false;
	return true;
}

/* Tells whether a column of a foreign key, counted from 0, has this name, and what it refers to. */
static bool
refers_by(Relation relation, const ForeignKeyCacheInfo *key, int number, const char *name,
		  const char *referenced)
{
	return key->conkey[number] == SPI_fnumber(RelationGetDescr(relation), name) &&
		key->confkey[number] == get_attnum(key->confrelid, referenced);
}

/* Tells whether a foreign key is MATCH SIMPLE: it is satisfied if one of its columns is null. */
static bool
is_match_simple(const ForeignKeyCacheInfo *key)
{
	HeapTuple row = SearchSysCache1(CONSTROID, ObjectIdGetDatum(key->conoid));
	bool result;

	if (!HeapTupleIsValid(row))
		return false;
	result = ((Form_pg_constraint) GETSTRUCT(row))->confmatchtype == FKCONSTR_MATCH_SIMPLE;
	ReleaseSysCache(row);
	return result;
}

/* Tells whether a foreign key is one of the extension's that need no check. */
static bool
is_known_reference(const DirectTable *table, Relation relation, const ForeignKeyCacheInfo *key)
{
	for (size_t i = 0; i < lengthof(references); i++)
	{
		const Reference *known = &references[i];

		if (known->table != table ||
			key->confrelid != seats_table_id(known_tables[known->referenced].name) ||
			key->nkeys != (known->column == NULL ? 1 : 2) || !is_match_simple(key))
			continue;
		if (known->column == NULL && refers_by(relation, key, 0, "organization_id", "id"))
			return true;
		if (known->column != NULL &&
			refers_by(relation, key, 0, "organization_id", "organization_id") &&
			refers_by(relation, key, 1, known->column, "id"))
			return true;
	}
	return false;
}

/* Tells whether a table has a foreign key that refers to it. */
static bool
is_referenced(Relation relation)
{
	const TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (RI_FKey_trigger_type(triggers->triggers[i].tgfoid) == RI_TRIGGER_PK)
			return true;
	}
	return false;
}

/*
 * Finds the columns that only the executor may change: those of unique indexes, because foreign
 * keys may refer to them, and those of foreign keys.  Of seats the extension's own are left out, if
 * nothing refers to seats.  Tells whether all foreign keys of the table are known.
 */
static bool
find_guarded(DirectTable *table, Relation relation)
{
	const int offset = FirstLowInvalidHeapAttributeNumber;
	bool seats = table == &direct_seats;
	bool known = true;
	ListCell *cell;

	table->guarded = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY);
	if (seats && !is_referenced(relation))
	{
		table->guarded = bms_del_member(table->guarded, table->numbers[SEAT_ID] - offset);
		table->guarded = bms_del_member(table->guarded,
										table->numbers[SEAT_INVITATION_TOKEN_HASH] - offset);
	}
	/* A look into the catalog may replace the list, so this is a copy. */
	foreach (cell, copyObject(RelationGetFKeyList(relation)))
	{
		const ForeignKeyCacheInfo *key = lfirst(cell);

		if (is_known_reference(table, relation, key))
			continue;
		known = false;
		for (int i = 0; i < key->nkeys; i++)
			table->guarded = bms_add_member(table->guarded, key->conkey[i] - offset);
	}
	return known;
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
		case T_CollateExpr:
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

/* Prepares an expression; returns NULL if it cannot be kept prepared. */
static ExprState *
prepare_expression(Node *expression)
{
	Oid status_type = seat_status_type();

	if (is_foreign_expression(expression, &status_type))
		return NULL;
	return ExecInitExpr(expression_planner((Expr *) expression), NULL);
}

/* Prepares the CHECK constraints for evaluation; returns false if one cannot be kept prepared. */
static bool
prepare_checks(DirectTable *table, Relation relation)
{
	const TupleConstr *constraints = RelationGetDescr(relation)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		ExprState *check;

		if (!check_is_enforced_compat(&constraints->check[i]))
			continue;
		check = prepare_expression(stringToNode(constraints->check[i].ccbin));
		if (check == NULL)
			return false;
		table->checks = lappend(table->checks, check);
	}
	table->check_context = CreateStandaloneExprContext();
	return true;
}

/* Prepares the defaults of columns; returns false if one cannot be kept prepared. */
static bool
prepare_defaults(DirectTable *table, Relation relation)
{
	for (int i = 0; i < table->known->column_count; i++)
	{
		AttrNumber number = table->numbers[i];

		table->defaults[i] = NULL;
		if (!TupleDescAttr(RelationGetDescr(relation), number - 1)->atthasdef)
			continue;
		table->defaults[i] = prepare_expression(build_column_default(relation, number));
		if (table->defaults[i] == NULL)
			return false;
	}
	return true;
}

/* Tells whether new entries of an index need nothing but the columns of the row. */
static bool
is_plain_index(Relation index, const IndexInfo *info)
{
	Oid status_type = seat_status_type();

	return index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indimmediate &&
		!index->rd_index->indisexclusion && info->ii_ReadyForInserts &&
		info->ii_Expressions == NIL &&
		!is_foreign_expression((Node *) info->ii_Predicate, &status_type);
}

/*
 * Prepares the indexes for new entries; returns false, with none prepared, if one is not a plain
 * B-tree on columns, or is a partial one in a fast table.
 */
static bool
prepare_indexes(DirectTable *table, Relation relation)
{
	List *ids = RelationGetIndexList(relation);
	ListCell *cell;

	foreach (cell, ids)
	{
		DirectIndex *index = palloc(sizeof(DirectIndex));
		Relation opened = index_open(lfirst_oid(cell), AccessShareLock);
		bool plain;

		index->id = lfirst_oid(cell);
		index->unique = opened->rd_index->indisunique;
		index->info = BuildIndexInfo(opened);
		plain = is_plain_index(opened, index->info);
		index_close(opened, AccessShareLock);
		if (!plain || (table->fast && index->info->ii_Predicate != NIL))
		{
			table->indexes = NIL;
			return false;
		}
		index->predicate = ExecInitQual(
			(List *) expression_planner((Expr *) index->info->ii_Predicate), NULL);
		table->indexes = lappend(table->indexes, index);
	}
	return true;
}

/* Tells whether an expression is lower(email COLLATE "C"), as the relation cache has it. */
static bool
is_lower_email(const DirectTable *table, Node *expression)
{
	const FuncExpr *lower = (const FuncExpr *) expression;
	const RelabelType *collated;

	if (!IsA(expression, FuncExpr) || lower->funcid != F_LOWER_TEXT ||
		!IsA(linitial(lower->args), RelabelType))
		return false;
	collated = linitial(lower->args);
	return collated->resultcollid == C_COLLATION_OID && IsA(collated->arg, Var) &&
		castNode(Var, collated->arg)->varattno == table->numbers[CUSTOMER_EMAIL];
}

/*
 * Tells whether an index keeps the addresses of each organization's customers apart, as the
 * statement that makes customers names it.
 */
static bool
is_address_index(const DirectTable *table, Relation index)
{
	Form_pg_index form = index->rd_index;

	return form->indisunique && form->indisvalid && form->indnkeyatts == 2 &&
		form->indkey.values[0] == table->numbers[CUSTOMER_ORGANIZATION_ID] &&
		form->indkey.values[1] == 0 &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) &&
		is_lower_email(table, linitial(RelationGetIndexExpressions(index)));
}

/* Tells whether the table of customers has such an index. */
static bool
has_address_index(const DirectTable *table, Relation relation)
{
	List *ids = RelationGetIndexList(relation);
	bool found = false;
	ListCell *cell;

	foreach (cell, ids)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		found = found || is_address_index(table, index);
		index_close(index, AccessShareLock);
	}
	list_free(ids);
	return found;
}

/* Finds the sequence that numbers the rows of a numbered table; returns false if there is none. */
static bool
find_sequence(DirectTable *table, Relation relation)
{
	AttrNumber number = table->numbers[0];

	if (TupleDescAttr(RelationGetDescr(relation), number - 1)->attidentity == '\0')
		return false;
	table->sequence = identity_sequence_compat(relation, number);
	return OidIsValid(table->sequence);
}

/*
 * Finds out how a readable table can be written directly; see the top of this file.  Indexes that
 * are not plain are maintained by the executor's function, but not in a fast table.
 */
static void
examine_writing(DirectTable *table, Relation relation)
{
	bool references_known;

	if (table->written == 0 || relation->rd_rules != NULL ||
		!has_only_known_columns(table, relation) ||
		(table->numbered && !find_sequence(table, relation)) ||
		!prepare_checks(table, relation))
		return;
	if (table->fast)
	{
		table->insertable = triggers_are_known(table, relation, TRIGGER_TYPE_INSERT) &&
			prepare_indexes(table, relation);
		return;
	}
	(void) prepare_indexes(table, relation);
	references_known = find_guarded(table, relation);
	table->kept = true;
	table->updatable = (table->written & ACL_UPDATE) != 0 &&
		has_rights(table, relation, ACL_UPDATE) &&
		triggers_are_known(table, relation, TRIGGER_TYPE_UPDATE);
	table->insertable = (table->written & ACL_INSERT) != 0 && references_known &&
		has_rights(table, relation, ACL_INSERT) &&
		triggers_are_known(table, relation, TRIGGER_TYPE_INSERT) &&
		prepare_defaults(table, relation) &&
		(table != &direct_customers || has_address_index(table, relation));
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
	table->guarded = NULL;
	table->lockable = table->updatable = table->insertable = table->kept = false;
	/* If an error is raised below, the table counts as not examined. */
	table->examined_at = 0;
	table->user = GetUserId();
	refuse_distributed_table(RelationGetRelid(relation));
	caller = MemoryContextSwitchTo(table->context);
	table->readable = is_readable(table, relation);
	table->lockable = table->readable && has_rights(table, relation, ACL_UPDATE);
	if (table->readable)
		examine_writing(table, relation);
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

/*
 * Tells whether the extension's triggers keep what follows from a change of an open table: whoever
 * changes rows directly must then do their work, and otherwise leave the rows to the executor.
 */
bool
direct_is_kept(const DirectTable *table)
{
	return table->kept && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA;
}

/* Tells whether the result of the examination allows a use. */
static bool
allows(const DirectTable *table, DirectUse use)
{
	switch (use)
	{
		case DIRECT_READ:
			return table->readable;
		case DIRECT_LOCK:
			return table->lockable && !IsolationUsesXactSnapshot();
		case DIRECT_UPDATE:
			return table->updatable && !IsolationUsesXactSnapshot();
		case DIRECT_INSERT:
			return table->insertable && !IsolationUsesXactSnapshot() &&
				(table->fast || direct_is_kept(table));
	}
	return false;
}

/* Returns the mode in which a use locks the table, as statements do. */
LOCKMODE
direct_lock_mode(DirectUse use)
{
	switch (use)
	{
		case DIRECT_READ:
			return AccessShareLock;
		case DIRECT_LOCK:
			return RowShareLock;
		default:
			return RowExclusiveLock;
	}
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
 * Opens a table for direct access.  Returns NULL, with nothing done, if it must be left to the
 * executor.  Raises 55000 if this library does not know the version of the extension's objects, or
 * if the table is distributed.
 *
 * Locks: the table, as statements do, to the end of the transaction.
 */
Relation
direct_table_open(DirectTable *table, DirectUse use)
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
	relation = lock_and_open(table, direct_lock_mode(use));
	if (relation == NULL)
		return NULL;
	if ((!is_current(table) || table->user != GetUserId()) &&
		seats_table_id(table->known->name) == RelationGetRelid(relation))
		examine(table, relation);
	if (is_current(table) && allows(table, use))
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
	Relation relation = direct_table_open(table, DIRECT_READ);

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
	return seat_status_value(direct_seats.types[SEAT_STATUS], name);
}
