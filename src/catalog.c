/*
 * catalog.c
 *		What the system catalogs say about this extension: its version, its tables and their
 *		columns, triggers and rules that the owner added, and when any of this changes.
 *
 * The library and the SQL objects are installed separately: a package brings the library, ALTER
 * EXTENSION UPDATE changes the objects, and a session keeps the library that it has loaded.  So the
 * library may meet objects of a version that it does not know, and must not write to them.
 *
 * The owner of the tables may change them.  A value that is read as another type would crash the
 * server, or let a rule pass that should not.  So all code that reads a column asks here first:
 * triggers and direct access by column_number() and column_type(), SQL statements by
 * check_statement_columns(), each time before PostgreSQL analyzes them.
 *
 * The owner may also add triggers and rules.  A function must have written what it meant to write,
 * and its result must be true when it returns; otherwise it raises 09000 and nothing has changed.
 * The effect of a trigger before a change shows in what the statement returns.  A trigger after it
 * may change this row or another one, so the rows are read again before the function ends.  That
 * costs a statement, and is done only if the owner has added a trigger.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "compat.h"

/* Stand for the extension's types, whose ids differ from database to database. */
#define SEAT_STATUS_TYPE ((Oid) 1) /* seats.seat_status */
#define SEAT_TYPE ((Oid) 2)		   /* seats.customer_seat */

/* The columns that both kinds of purchase have. */
#define PURCHASE_COLUMNS \
	[PURCHASE_ID] = {"id", UUIDOID}, [PURCHASE_CREATED_AT] = {"created_at", TIMESTAMPTZOID}, \
	[PURCHASE_MODIFIED_AT] = {"modified_at", TIMESTAMPTZOID}, \
	[PURCHASE_ORGANIZATION_ID] = {"organization_id", UUIDOID}, \
	[PURCHASE_PRODUCT_ID] = {"product_id", UUIDOID}, \
	[PURCHASE_CUSTOMER_ID] = {"customer_id", UUIDOID}, [PURCHASE_SEATS] = {"seats", INT4OID}, \
	[PURCHASE_STATUS] = {"status", TEXTOID}, \
	[PURCHASE_ASSIGNED_SEATS] = {"assigned_seats", INT4OID}, \
	[PURCHASE_EXTERNAL_ID] = {"external_id", TEXTOID}

/* The tables as the extension made them. */
const KnownTable known_tables[] = {
	[TABLE_ORGANIZATIONS] =
		{.name = "organizations",
		 .column_count = ORGANIZATION_COLUMNS,
		 .columns = {[ORGANIZATION_ID] = {"id", UUIDOID},
					 [ORGANIZATION_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
					 [ORGANIZATION_MODIFIED_AT] = {"modified_at", TIMESTAMPTZOID},
					 [ORGANIZATION_NAME] = {"name", TEXTOID},
					 [ORGANIZATION_SLUG] = {"slug", TEXTOID},
					 [ORGANIZATION_PRICING_ENABLED] = {"seat_based_pricing_enabled", BOOLOID},
					 [ORGANIZATION_INVITATION_TTL] = {"invitation_ttl", INTERVALOID}}},
	[TABLE_PRODUCTS] = {.name = "products",
						.column_count = PRODUCT_COLUMNS,
						.columns = {[PRODUCT_ID] = {"id", UUIDOID},
									[PRODUCT_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
									[PRODUCT_MODIFIED_AT] = {"modified_at", TIMESTAMPTZOID},
									[PRODUCT_ORGANIZATION_ID] = {"organization_id", UUIDOID},
									[PRODUCT_NAME] = {"name", TEXTOID},
									[PRODUCT_EXTERNAL_ID] = {"external_id", TEXTOID}}},
	[TABLE_CUSTOMERS] = {.name = "customers",
						 .column_count = CUSTOMER_COLUMNS,
						 .columns = {[CUSTOMER_ID] = {"id", UUIDOID},
									 [CUSTOMER_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
									 [CUSTOMER_MODIFIED_AT] = {"modified_at", TIMESTAMPTZOID},
									 [CUSTOMER_ORGANIZATION_ID] = {"organization_id", UUIDOID},
									 [CUSTOMER_EMAIL] = {"email", TEXTOID},
									 [CUSTOMER_EXTERNAL_ID] = {"external_id", TEXTOID},
									 [CUSTOMER_NAME] = {"name", TEXTOID}}},
	[TABLE_SUBSCRIPTIONS] =
		{.name = "subscriptions",
		 .column_count = SUBSCRIPTION_COLUMNS,
		 .columns = {PURCHASE_COLUMNS, [SUBSCRIPTION_SEATS_NEXT] = {"seats_next", INT4OID},
					 [SUBSCRIPTION_SEATS_LIMIT] = {"seats_limit", INT4OID}}},
	[TABLE_ORDERS] = {.name = "orders",
					  .column_count = ORDER_COLUMNS,
					  .columns = {PURCHASE_COLUMNS}},
	[TABLE_CUSTOMER_SEATS] =
		{.name = "customer_seats",
		 .column_count = SEAT_COLUMNS,
		 .columns = {[SEAT_ID] = {"id", UUIDOID},
					 [SEAT_ORGANIZATION_ID] = {"organization_id", UUIDOID},
					 [SEAT_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
					 [SEAT_STATUS] = {"status", SEAT_STATUS_TYPE},
					 [SEAT_EXPIRY_WATCHED] = {"expiry_watched", BOOLOID},
					 [SEAT_MODIFIED_AT] = {"modified_at", TIMESTAMPTZOID},
					 [SEAT_SUBSCRIPTION_ID] = {"subscription_id", UUIDOID},
					 [SEAT_ORDER_ID] = {"order_id", UUIDOID},
					 [SEAT_CUSTOMER_ID] = {"customer_id", UUIDOID},
					 [SEAT_CUSTOMER_EMAIL] = {"customer_email", TEXTOID},
					 [SEAT_INVITATION_TOKEN_HASH] = {"invitation_token_hash", BYTEAOID},
					 [SEAT_INVITATION_TOKEN_EXPIRES_AT] = {"invitation_token_expires_at",
														   TIMESTAMPTZOID},
					 [SEAT_CLAIMED_AT] = {"claimed_at", TIMESTAMPTZOID},
					 [SEAT_REVOKED_AT] = {"revoked_at", TIMESTAMPTZOID},
					 [SEAT_METADATA] = {"seat_metadata", JSONBOID},
					 [SEAT_CLAIM_KEY_HASH] = {"claim_key_hash", BYTEAOID},
					 [SEAT_SUSPENDED_AT] = {"suspended_at", TIMESTAMPTZOID}}},
	[TABLE_CUSTOMER_SESSIONS] =
		{.name = "customer_sessions",
		 .column_count = SESSION_COLUMNS,
		 .columns = {[SESSION_TOKEN_HASH] = {"token_hash", BYTEAOID},
					 [SESSION_SEAT_ID] = {"seat_id", UUIDOID},
					 [SESSION_CUSTOMER_ID] = {"customer_id", UUIDOID},
					 [SESSION_ORGANIZATION_ID] = {"organization_id", UUIDOID},
					 [SESSION_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
					 [SESSION_EXPIRES_AT] = {"expires_at", TIMESTAMPTZOID},
					 [SESSION_OF_CLAIM] = {"of_claim", BOOLOID}}},
	[TABLE_EVENTS] = {.name = "events",
					  .column_count = EVENT_COLUMNS,
					  .columns = {[EVENT_ID] = {"id", INT8OID},
								  [EVENT_TYPE] = {"type", TEXTOID},
								  [EVENT_SEAT_ID] = {"seat_id", UUIDOID},
								  [EVENT_ORGANIZATION_ID] = {"organization_id", UUIDOID},
								  [EVENT_CUSTOMER_ID] = {"customer_id", UUIDOID},
								  [EVENT_OCCURRED_AT] = {"occurred_at", TIMESTAMPTZOID},
								  [EVENT_METADATA] = {"metadata", JSONBOID},
								  [EVENT_SEAT] = {"seat", SEAT_TYPE}}},
	[TABLE_JWT_KEYS] = {.name = "jwt_keys",
						.column_count = JWT_KEY_COLUMNS,
						.columns = {[JWT_KEY_ID] = {"kid", UUIDOID},
									[JWT_KEY_SECRET] = {"secret", BYTEAOID},
									[JWT_KEY_CREATED_AT] = {"created_at", TIMESTAMPTZOID}}},
	[TABLE_JOIN_LINKS] =
		{.name = "join_links",
		 .column_count = JOIN_LINK_COLUMNS,
		 .columns = {[JOIN_LINK_ID] = {"id", UUIDOID},
					 [JOIN_LINK_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
					 [JOIN_LINK_ORGANIZATION_ID] = {"organization_id", UUIDOID},
					 [JOIN_LINK_SUBSCRIPTION_ID] = {"subscription_id", UUIDOID},
					 [JOIN_LINK_ORDER_ID] = {"order_id", UUIDOID},
					 [JOIN_LINK_EMAIL_DOMAINS] = {"email_domains", TEXTARRAYOID},
					 [JOIN_LINK_MAX_USES] = {"max_uses", INT4OID},
					 [JOIN_LINK_USES] = {"uses", INT4OID},
					 [JOIN_LINK_EXPIRES_AT] = {"expires_at", TIMESTAMPTZOID},
					 [JOIN_LINK_REVOKED_AT] = {"revoked_at", TIMESTAMPTZOID},
					 [JOIN_LINK_TOKEN_HASH] = {"token_hash", BYTEAOID}}},
};

const SeatColumn seat_fields[SEAT_FIELD_COUNT] = {
	SEAT_CREATED_AT,	  SEAT_MODIFIED_AT,	   SEAT_ID,
	SEAT_SUBSCRIPTION_ID, SEAT_ORDER_ID,	   SEAT_STATUS,
	SEAT_CUSTOMER_ID,	  SEAT_CUSTOMER_EMAIL, SEAT_INVITATION_TOKEN_EXPIRES_AT,
	SEAT_CLAIMED_AT,	  SEAT_REVOKED_AT,	   SEAT_METADATA,
};

/* ---- Version ---- */

/* The versions of the SQL objects that this library works with. */
static const char *const known_versions[] = {SEATS_VERSION};

/*
 * The row of pg_extension that had a known version.  PostgreSQL sends no invalidation when this row
 * changes, so each statement of a client checks it again.  Whoever changes the row writes WAL for
 * its page.  So if the page has the LSN that it had when nobody was changing the row, the row is
 * the same, and neither the table nor the row need be looked at.
 */
static struct
{
	Oid id; /* InvalidOid if none was found yet */
	ItemPointerData place;
	TimestampTz checked_at; /* the start of the statement that checked it last */
	FileLocator file;		/* with the page, which was in this buffer */
	Buffer buffer;
	XLogRecPtr page_lsn; /* InvalidXLogRecPtr: not known */
} good;

/* Copies what is needed from a row of pg_extension. */
static void
read_extension(HeapTuple row, TupleDesc columns, Extension *extension)
{
	Form_pg_extension form = (Form_pg_extension) GETSTRUCT(row);
	bool isnull;
	Datum version = heap_getattr(row, Anum_pg_extension_extversion, columns, &isnull);

	extension->id = form->oid;
	extension->schema = form->extnamespace;
	extension->version = TextDatumGetCString(version);
	extension->place = row->t_self;
}

/* Finds an extension of this database; returns false if it is not installed. */
bool
extension_find(const char *name, Extension *extension)
{
	Relation extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;
	bool found;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	row = systable_getnext(scan);
	found = HeapTupleIsValid(row);
	if (found)
		read_extension(row, RelationGetDescr(extensions), extension);
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return found;
}

/* Tells whether this library works with the objects of a version. */
static bool
is_known(const char *version)
{
	for (size_t i = 0; i < lengthof(known_versions); i++)
	{
		if (strcmp(version, known_versions[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Remembers the LSN of the page with the good row, unless a transaction is changing or locking the
 * row: its end does not change the LSN.
 */
static void
remember_page(Relation extensions, const HeapTuple row, Buffer buffer)
{
	good.file = file_locator_compat(extensions);
	good.buffer = buffer;
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	good.page_lsn = (row->t_data->t_infomask & HEAP_XMAX_INVALID) != 0
		? BufferGetLSNAtomic(buffer)
		: InvalidXLogRecPtr;
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
}

/* Tells whether the page with the good row is still in its buffer and has its LSN. */
static bool
page_is_unchanged(void)
{
	bool result;

	if (XLogRecPtrIsInvalid(good.page_lsn) ||
		!ReadRecentBuffer(good.file, MAIN_FORKNUM, ItemPointerGetBlockNumber(&good.place),
						  good.buffer))
		return false;
	result = BufferGetLSNAtomic(good.buffer) == good.page_lsn;
	ReleaseBuffer(good.buffer);
	return result;
}

/*
 * Tells whether the row that was good is still the current one.  An update never changes a row in
 * place: it makes a new row, and the old place becomes free or is reused for another extension.
 */
static bool
is_still_good(void)
{
	Relation extensions;
	HeapTupleData row = {.t_self = good.place};
	Buffer buffer;
	bool result;

	if (!OidIsValid(good.id))
		return false;
	if (page_is_unchanged())
		return true;
	extensions = table_open(ExtensionRelationId, AccessShareLock);
	/* VACUUM may have truncated the page away. */
	result = ItemPointerGetBlockNumber(&good.place) < RelationGetNumberOfBlocks(extensions) &&
		heap_fetch(extensions, SnapshotSelf, &row, &buffer, false);
	if (result)
	{
		Extension extension;

		read_extension(&row, RelationGetDescr(extensions), &extension);
		result = extension.id == good.id && is_known(extension.version);
		if (result)
			remember_page(extensions, &row, buffer);
		ReleaseBuffer(buffer);
	}
	table_close(extensions, AccessShareLock);
	return result;
}

/* Raises 55000: this library does not know the version of the extension's objects. */
static _Noreturn void
refuse_version(const char *version)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the extension seats is of version %s, the loaded library of %s", version,
					SEATS_VERSION),
			 errhint("Run ALTER EXTENSION seats UPDATE. Where that was done, connect "
					 "again, or restart the server if it preloads the library."),
			 errhidestmt(true)));
}

/*
 * Raises 55000 if this library does not know the version of the extension's objects in this
 * database.  Checks once in each statement of a client.
 */
void
extension_check_version(void)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();
	Extension extension;

	if (OidIsValid(good.id) && good.checked_at == now)
		return;
	if (!is_still_good())
	{
		good.id = InvalidOid;
		if (!extension_find("seats", &extension))
			return;
		if (!is_known(extension.version))
			refuse_version(extension.version);
		good.id = extension.id;
		good.place = extension.place;
	}
	good.checked_at = now;
}

/* ---- Changes ---- */

/* All that were passed to catalog_watch(). */
static CatalogWatch *watches;

/* A relation or one of its indexes changed, or, with InvalidOid, perhaps all of them did. */
static void
relation_changed(Datum arg pg_attribute_unused(), Oid relation)
{
	for (CatalogWatch *watch = watches; watch != NULL; watch = watch->next)
	{
		if (!OidIsValid(relation) || watch->relation == relation)
			watch->changes++;
	}
}

/* A role, a membership in a role, a schema or a function changed. */
static void
object_changed(Datum arg pg_attribute_unused(), int cache pg_attribute_unused(),
			   uint32 hash pg_attribute_unused())
{
	relation_changed((Datum) 0, InvalidOid);
}

/* Begins to count changes for a watch, from 1 on. */
void
catalog_watch(CatalogWatch *watch)
{
	if (watches == NULL)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, object_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, object_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, object_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, object_changed, (Datum) 0);
	}
	watch->changes = 1;
	watch->next = watches;
	watches = watch;
}

/* ---- Tables and columns ---- */

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
	List *targets; /* the same for the columns that it writes */
	bool makes_customers;
} References;

/* Returns a known table, or NULL. */
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

/* Returns a known column, or NULL. */
static const KnownColumn *
find_column(const KnownTable *table, const char *name)
{
	for (int i = 0; i < table->column_count; i++)
	{
		if (strcmp(table->columns[i].name, name) == 0)
			return &table->columns[i];
	}
	return NULL;
}

/* Tells whether a name is that of one of the extension's tables. */
bool
table_is_known(const char *name)
{
	return find_table(name) != NULL;
}

/* Returns the id of one of the extension's tables, or InvalidOid. */
Oid
seats_table_id(const char *name)
{
	return get_relname_relid(name, get_namespace_oid("seats", true));
}

/* Returns the id of one of the extension's types, or InvalidOid. */
static Oid
find_type(const char *name)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
						   ObjectIdGetDatum(get_namespace_oid("seats", true)));
}

/* Returns the id of the type seats.seat_status, or InvalidOid. */
Oid
seat_status_type(void)
{
	return find_type("seat_status");
}

/* Returns the id of the type seats.customer_seat, or InvalidOid. */
Oid
seat_type(void)
{
	return find_type("customer_seat");
}

/* Returns the id of the type seats.customer_seat[], or InvalidOid. */
Oid
seat_array_type(void)
{
	return get_array_type(seat_type());
}

/* Returns a value of the type seats.seat_status, given by its id, or InvalidOid. */
Oid
seat_status_value(Oid type, const char *name)
{
	return GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type),
						   CStringGetDatum(name));
}

/* Returns the type that a column must have. */
static Oid
type_of(const KnownColumn *column)
{
	switch (column->type)
	{
		case SEAT_STATUS_TYPE:
			return seat_status_type();
		case SEAT_TYPE:
			return seat_type();
		default:
			return column->type;
	}
}

/* Returns the type that a column of a table must have. */
Oid
column_type(const KnownTable *table, int column)
{
	return type_of(&table->columns[column]);
}

/* Raises 42703: a column does not exist. */
static _Noreturn void
refuse_missing(const KnownTable *table, const KnownColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of table seats.%s does not exist", column->name,
					table->name),
			 errhint("The extension seats needs this column. Undo the change to the table.")));
}

/* Raises 42804: a column has another type. */
static _Noreturn void
refuse_retyped(const KnownTable *table, const KnownColumn *column, Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table seats.%s has type %s instead of %s",
					column->name, table->name, format_type_be(type),
					format_type_be(type_of(column))),
			 errhint("Undo the change to the table.")));
}

/* Raises 42804: a column is null, although the constraints of the table do not allow that. */
void
refuse_null_column(const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("null value in column \"%s\" that the extension seats requires", column),
			 errhint("Restore the column's values and constraints.")));
}

/* Raises 42804: a column is generated, although the extension writes it or reads stored values. */
void
refuse_generated_column(const char *table, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table seats.%s is a generated column", column, table),
			 errhint("Undo the change to the table.")));
}

/* Raises 42804: ids of seats are not unique, although the primary key makes them so. */
void
refuse_repeated_ids(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"id\" of table seats.customer_seats contains duplicate values"),
			 errhint("Restore the column's values and constraints.")));
}

/* Returns the number of a column; raises 42703 or 42804 unless the table has it with its type. */
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

/*
 * Returns the number of a column of one of the extension's tables, which is open, to read stored
 * rows.  Raises 42703 if the column does not exist, and 42804 if it has another type than the
 * extension gave it or is not stored.
 */
AttrNumber
column_number(Relation relation, const char *name)
{
	const KnownTable *table = find_table(RelationGetRelationName(relation));
	AttrNumber number = check_column(RelationGetRelid(relation), table,
									 find_column(table, name));
	char generated = TupleDescAttr(RelationGetDescr(relation), number - 1)->attgenerated;

	if (generated != '\0' && generated != ATTRIBUTE_GENERATED_STORED)
		refuse_generated_column(table->name, name);
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
 * Returns the column of a table that a statement may mean by a name, alone or after the name of the
 * table; NULL if the name means something else.
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

/* Checks the columns of a table that a statement reads or writes; raises 42703 or 42804. */
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
			refuse_generated_column(named->table->name, column->name);
	}
}

/*
 * Raises 42804 if no unique index keeps the addresses of customers apart.  PostgreSQL drops the
 * index with the column.
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
				 errmsg("unique index on column \"email\" of table seats.customers is missing"),
				 errhint("Restore the column's values and constraints.")));
}

/* Locks a table as reading it does; returns its id, or InvalidOid if it does not exist. */
static Oid
lock_table(const char *name)
{
	Oid id = seats_table_id(name);

	if (OidIsValid(id))
		LockRelationOid(id, AccessShareLock);
	return get_rel_name(id) == NULL ? InvalidOid : id;
}

/*
 * Raises 42703 or 42804 if a column that a statement of the extension refers to does not exist or
 * has another type, and 55000 if one of the tables is distributed.  The statement itself would
 * raise another error, or none.
 *
 * Locks: the statement's tables, AccessShareLock, to the end of the transaction, so that they stay
 * as they are.
 */
void
check_statement_columns(const char *sql)
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
 * Raises 55000 if Citus manages a table: its rows are elsewhere then, without the constraints,
 * triggers and policies of the table.
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
			 errhint("Undistribute the table. The extension's documentation describes how to "
					 "spread organizations over several servers with PL/Proxy.")));
}

/* ---- Triggers and rules of the owner ---- */

/* The tables that owner_has_triggers() looks at: not join links, which few calls write. */
static const char *const written_tables[] = {
	"customer_seats", "customer_sessions", "events", "subscriptions", "orders", "customers"};

/* Opens one of the extension's tables; returns NULL if it does not exist. */
static Relation
open_table(const char *name)
{
	Oid id = seats_table_id(name);

	return OidIsValid(id) ? table_open(id, AccessShareLock) : NULL;
}

/*
 * Tells whether a trigger before rows, or a rule, may alter or prevent what a statement writes to a
 * table.
 */
bool
table_has_interference(const char *name)
{
	Relation table = open_table(name);
	const TriggerDesc *triggers;
	bool result;

	if (table == NULL)
		return false;
	triggers = table->trigdesc;
	result = table->rd_rules != NULL ||
		(triggers != NULL &&
		 (triggers->trig_insert_before_row || triggers->trig_update_before_row ||
		  triggers->trig_delete_before_row));
	table_close(table, NoLock);
	return result;
}

/* Tells whether a table has a rule, or a trigger that is neither the extension's nor internal. */
static bool
has_owners_trigger(Relation table)
{
	bool found = table->rd_rules != NULL;

	/* Each look into the catalog may replace the description of the triggers. */
	for (int i = 0; !found && table->trigdesc != NULL && i < table->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &table->trigdesc->triggers[i];

		found = !trigger->tgisinternal &&
			get_func_namespace(trigger->tgfoid) != RelationGetNamespace(table);
	}
	return found;
}

/* Tells whether the owner has added a trigger or rule to a table. */
bool
owner_has_triggers_on(const char *name)
{
	Relation table = open_table(name);
	bool found;

	if (table == NULL)
		return false;
	found = has_owners_trigger(table);
	table_close(table, NoLock);
	return found;
}

/* Tells whether the owner has added a trigger or rule to one of these tables. */
bool
owner_has_triggers(void)
{
	bool found = false;

	for (size_t i = 0; i < lengthof(written_tables) && !found; i++)
		found = owner_has_triggers_on(written_tables[i]);
	return found;
}

/* Raises 09000: a trigger or rule of the owner prevented or altered a change. */
void
refuse_trigger_on(const char *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a trigger or rule on seats.%s prevented or altered a change", table),
			 errhint("Look for a rule, or for a trigger that returns null or changes the "
					 "extension's columns.")));
}

/*
 * Raises 09000 if a trigger or rule may be why a row is not as it was meant.  Otherwise the
 * column's type is, which may store a moment in whole seconds.
 */
void
refuse_altered_row(const char *table)
{
	if (table_has_interference(table))
		refuse_trigger_on(table);
}
