/*
 * columns.c
 *		The columns of the extension's tables, and whether they are still as the extension made them.
 *
 * The owner may rename, retype or drop a column of any table.  A value read as another type would
 * crash the server or let a rule pass that should not, so whatever reads a column asks here first:
 * triggers and direct access by column_number() and column_type(), SQL statements by
 * columns_check_statement(), before each time that PostgreSQL analyzes them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "columns.h"

/* Stands for the type seats.seat_status, whose id differs from database to database. */
#define SEAT_STATUS_TYPE InvalidOid

/* A column that the extension reads or writes.  No table has more than MAX_COLUMNS of them. */
#define MAX_COLUMNS 16

typedef struct KnownColumn
{
	const char *name; /* NULL after the last one */
	Oid type;
} KnownColumn;

typedef struct KnownTable
{
	const char *name;
	KnownColumn columns[MAX_COLUMNS + 1];
} KnownTable;

#define PURCHASE_COLUMNS \
	{ \
		{"id", UUIDOID}, {"created_at", TIMESTAMPTZOID}, {"modified_at", TIMESTAMPTZOID}, \
			{"organization_id", UUIDOID}, {"product_id", UUIDOID}, {"customer_id", UUIDOID}, \
			{"seats", INT4OID}, {"status", TEXTOID}, {"assigned_seats", INT4OID}, \
	}

static const KnownTable known_tables[] = {
	{"organizations",
	 {{"id", UUIDOID},
	  {"created_at", TIMESTAMPTZOID},
	  {"modified_at", TIMESTAMPTZOID},
	  {"name", TEXTOID},
	  {"slug", TEXTOID},
	  {"seat_based_pricing_enabled", BOOLOID},
	  {"invitation_ttl", INTERVALOID}}},
	{"products",
	 {{"id", UUIDOID},
	  {"created_at", TIMESTAMPTZOID},
	  {"modified_at", TIMESTAMPTZOID},
	  {"organization_id", UUIDOID},
	  {"name", TEXTOID}}},
	{"customers",
	 {{"id", UUIDOID},
	  {"created_at", TIMESTAMPTZOID},
	  {"modified_at", TIMESTAMPTZOID},
	  {"organization_id", UUIDOID},
	  {"email", TEXTOID},
	  {"external_id", TEXTOID},
	  {"name", TEXTOID}}},
	{"subscriptions", PURCHASE_COLUMNS},
	{"orders", PURCHASE_COLUMNS},
	{"customer_seats",
	 {{"id", UUIDOID},
	  {"organization_id", UUIDOID},
	  {"created_at", TIMESTAMPTZOID},
	  {"status", SEAT_STATUS_TYPE},
	  {"expiry_watched", BOOLOID},
	  {"modified_at", TIMESTAMPTZOID},
	  {"subscription_id", UUIDOID},
	  {"order_id", UUIDOID},
	  {"customer_id", UUIDOID},
	  {"customer_email", TEXTOID},
	  {"invitation_token_hash", BYTEAOID},
	  {"invitation_token_expires_at", TIMESTAMPTZOID},
	  {"claimed_at", TIMESTAMPTZOID},
	  {"revoked_at", TIMESTAMPTZOID},
	  {"seat_metadata", JSONBOID},
	  {"claim_key_hash", BYTEAOID}}},
	{"customer_sessions",
	 {{"token_hash", BYTEAOID},
	  {"seat_id", UUIDOID},
	  {"customer_id", UUIDOID},
	  {"organization_id", UUIDOID},
	  {"created_at", TIMESTAMPTZOID},
	  {"expires_at", TIMESTAMPTZOID}}},
	{"events",
	 {{"id", INT8OID},
	  {"type", TEXTOID},
	  {"seat_id", UUIDOID},
	  {"organization_id", UUIDOID},
	  {"customer_id", UUIDOID},
	  {"occurred_at", TIMESTAMPTZOID},
	  {"metadata", JSONBOID}}},
	{"jwt_keys", {{"kid", UUIDOID}, {"secret", BYTEAOID}, {"created_at", TIMESTAMPTZOID}}},
};

/* A table in a statement, and the name by which the statement's columns refer to it. */
typedef struct NamedTable
{
	const char *name;
	const KnownTable *table;
} NamedTable;

/* What a statement refers to. */
typedef struct References
{
	List *tables;  /* of NamedTable */
	List *columns; /* of lists of String, as in ColumnRef */
	List *targets; /* the same of columns that it writes */
	bool makes_customers;
} References;

/* Returns what is known of a table, or NULL. */
static const KnownTable *
find_table(const char *name)
{
	for (size_t i = 0; i < lengthof(known_tables); i++)
	{
		if (strcmp(known_tables[i].name, name) == 0)
			return &known_tables[i];
	}
	return NULL;
}

/* Returns what is known of a column, or NULL. */
static const KnownColumn *
find_column(const KnownTable *table, const char *name)
{
	for (const KnownColumn *column = table->columns; column->name != NULL; column++)
	{
		if (strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

/* Returns the id of the type that a column is to have. */
static Oid
type_of(const KnownColumn *column)
{
	if (column->type != SEAT_STATUS_TYPE)
		return column->type;
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("seat_status"),
						   ObjectIdGetDatum(get_namespace_oid("seats", true)));
}

/* Returns the id of the type that a column of the extension's is to have. */
Oid
column_type(const char *table, const char *column)
{
	return type_of(find_column(find_table(table), column));
}

/* Raises 42703: a column is not there. */
static _Noreturn void
refuse_missing(const KnownTable *table, const KnownColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of table seats.%s does not exist", column->name,
					table->name),
			 errhint("The extension seats needs this column. Undo the change of the table.")));
}

/* Raises 42804: a column has another type. */
static _Noreturn void
refuse_retyped(const KnownTable *table, const KnownColumn *column, Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table seats.%s is of type %s, but the extension seats "
					"needs %s",
					column->name, table->name, format_type_be(type),
					format_type_be(type_of(column))),
			 errhint("Undo the change of the table.")));
}

/* Raises 42804: a column is null where the table's constraints do not allow that. */
void
refuse_null_column(const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" is null where the extension seats needs a value", column),
			 errhint("Give the column its values and constraints back.")));
}

/* Raises 42804: a column is generated that the extension writes, or reads as it is stored. */
void
refuse_generated(const char *table, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table seats.%s is a generated column", column, table),
			 errhint("Undo the change of the table.")));
}

/* Raises 42804: ids of seats are not unique, which the primary key excludes. */
void
refuse_repeated_ids(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"id\" of table seats.customer_seats has a value more than once"),
			 errhint("Give the column its values and constraints back.")));
}

/* Raises 42703 or 42804 unless a table has a column with its type; returns the column's number. */
static AttrNumber
check_column(Oid table_id, const KnownTable *table, const KnownColumn *column)
{
	AttrNumber number = get_attnum(table_id, column->name);
	Oid type;

	if (number == InvalidAttrNumber)
		refuse_missing(table, column);
	type = get_atttype(table_id, number);
	if (type != type_of(column))
		refuse_retyped(table, column, type);
	return number;
}

/* Tells whether a name is that of one of the extension's tables. */
bool
column_table_is_known(const char *table)
{
	return find_table(table) != NULL;
}

/*
 * Returns the number of a column of one of the extension's tables, which is open, to read it in
 * rows as they are stored; raises 42703 where the column is not there, and 42804 where it has
 * another type than the extension gave it or is not stored.
 */
AttrNumber
column_number(Relation relation, const char *name)
{
	const KnownTable *table = find_table(RelationGetRelationName(relation));
	AttrNumber number = check_column(RelationGetRelid(relation), table,
									 find_column(table, name));
	char generated = TupleDescAttr(RelationGetDescr(relation), number - 1)->attgenerated;

	if (generated != '\0' && generated != ATTRIBUTE_GENERATED_STORED)
		refuse_generated(table->name, name);
	return number;
}

/* Adds a table that a statement names. */
static void
add_table(References *references, const RangeVar *range)
{
	const KnownTable *table = find_table(range->relname);
	NamedTable *named;

	if (table == NULL)
		return;
	named = palloc(sizeof(NamedTable));
	named->name = range->alias == NULL ? range->relname : range->alias->aliasname;
	named->table = table;
	references->tables = lappend(references->tables, named);
}

/* Adds the columns that an INSERT or UPDATE writes. */
static void
add_targets(References *references, List *targets)
{
	ListCell *cell;

	foreach (cell, targets)
	{
		ResTarget *target = lfirst(cell);

		references->targets = lappend(references->targets,
									  list_make1(makeString(target->name)));
	}
}

/* Collects what a part of a statement refers to, for raw_expression_tree_walker(). */
static bool
collect(Node *node, void *context)
{
	References *references = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
		add_table(references, (RangeVar *) node);
	else if (IsA(node, ColumnRef))
		references->columns = lappend(references->columns, ((ColumnRef *) node)->fields);
	else if (IsA(node, InsertStmt))
		add_targets(references, ((InsertStmt *) node)->cols);
	else if (IsA(node, UpdateStmt))
		add_targets(references, ((UpdateStmt *) node)->targetList);
	else if (IsA(node, OnConflictClause))
	{
		add_targets(references, ((OnConflictClause *) node)->targetList);
		references->makes_customers = true;
	}
	return raw_expression_tree_walker(node, collect, context);
}

/*
 * Finds the column of a table that a statement may mean by a name, by itself or after the name of
 * the table; NULL where it means something else.
 */
static const KnownColumn *
find_referenced(const NamedTable *named, List *fields)
{
	if (!IsA(llast(fields), String))
		return NULL;
	if (list_length(fields) > 1 && strcmp(strVal(linitial(fields)), named->name) != 0)
		return NULL;
	return find_column(named->table, strVal(llast(fields)));
}

/* Checks the columns of a table that a statement reads or writes. */
static void
check_columns(const NamedTable *named, Oid table_id, const References *references)
{
	const KnownColumn *column;
	ListCell *cell;

	foreach (cell, references->columns)
	{
		column = find_referenced(named, lfirst(cell));
		if (column != NULL)
			(void) check_column(table_id, named->table, column);
	}
	foreach (cell, references->targets)
	{
		column = find_referenced(named, lfirst(cell));
		if (column == NULL)
			continue;
		if (get_attgenerated(table_id, check_column(table_id, named->table, column)) != '\0')
			refuse_generated(named->table->name, column->name);
	}
}

/*
 * Raises 42804 where no unique index keeps the addresses of customers apart: it goes when the
 * column is dropped.
 */
static void
check_address_index(Oid customers_id)
{
	Relation customers = table_open(customers_id, NoLock);
	List *indexes = RelationGetIndexList(customers);
	bool found = false;
	ListCell *cell;

	foreach (cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		found = found ||
			(index->rd_index->indisunique &&
			 !heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL));
		index_close(index, NoLock);
	}
	table_close(customers, NoLock);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"email\" of table seats.customers has lost its unique index"),
				 errhint("Give the column its values and constraints back.")));
}

/* Locks a table as reading it does; returns its id, or InvalidOid where there is none. */
static Oid
lock_table(const char *name)
{
	Oid id = get_relname_relid(name, get_namespace_oid("seats", true));

	if (OidIsValid(id))
		LockRelationOid(id, AccessShareLock);
	return get_rel_name(id) == NULL ? InvalidOid : id;
}

/*
 * Raises 42703 or 42804 where a column that a statement of the extension refers to is not there or
 * has another type, and 55000 where one of its tables is distributed.  The statement itself would
 * raise another error, or none.
 *
 * Locks: the statement's tables, AccessShareLock, to the end of the transaction, so that they stay
 * as they were found.
 */
void
columns_check_statement(const char *sql)
{
	RawStmt *statement = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	References references = {0};
	ListCell *cell;

	(void) collect(statement->stmt, &references);
	foreach (cell, references.tables)
	{
		const NamedTable *named = lfirst(cell);
		Oid table_id = lock_table(named->table->name);

		if (!OidIsValid(table_id))
			continue;
		refuse_distributed_table(table_id);
		check_columns(named, table_id, &references);
		if (references.makes_customers)
			check_address_index(table_id);
	}
}

/* Tells whether the catalog of an extension that distributes tables names a table. */
static bool
is_distributed(Oid catalog_id, AttrNumber number, Oid table)
{
	Relation catalog = table_open(catalog_id, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&key, number, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * Raises 55000 where Citus manages a table: its rows are elsewhere then, and constraints, triggers
 * and policies do not go with them.
 */
void
refuse_distributed_table(Oid table)
{
	Oid catalog_id = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	AttrNumber number = OidIsValid(catalog_id) ? get_attnum(catalog_id, "logicalrelid")
											   : InvalidAttrNumber;

	if (number == InvalidAttrNumber || !is_distributed(catalog_id, number, table))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table seats.%s is distributed by Citus", get_rel_name(table)),
			 errhint("Undistribute the table. To spread organizations over several servers, use "
					 "the PL/Proxy front that the documentation of seats describes.")));
}
