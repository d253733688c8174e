/*
 * extension.c
 *		What pg_extension says of this extension and of others.
 *
 * A library and the SQL objects that call it are installed apart: a new package brings the one,
 * ALTER EXTENSION UPDATE the other, and a session keeps the library that it has loaded.  So a
 * library may meet objects that it does not know, and must not write to them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "extension.h"

/* The versions of the SQL objects that this library works with. */
static const char *const known_versions[] = {SEATS_VERSION};

/* How often a function in the database changed, and that count when the version was found good. */
static uint64 changes = 1;
static uint64 checked_at = 0;

/* Takes what is needed from a row of pg_extension. */
static void
read_extension(HeapTuple row, TupleDesc columns, Extension *extension)
{
	Form_pg_extension form = (Form_pg_extension) GETSTRUCT(row);
	bool isnull;
	Datum version = heap_getattr(row, Anum_pg_extension_extversion, columns, &isnull);

	extension->id = form->oid;
	extension->schema = form->extnamespace;
	extension->version = TextDatumGetCString(version);
}

/* Finds an extension of this database; false where it is not installed. */
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

/* Tells whether this library works with objects of a version. */
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

/* A function changed, as some do where an extension is updated. */
static void
count_change(Datum arg pg_attribute_unused(), int cache pg_attribute_unused(),
			 uint32 hash pg_attribute_unused())
{
	changes++;
}

/* Begins to watch for changes; done once in a session. */
static void
start_watching(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterSyscacheCallback(PROCOID, count_change, (Datum) 0);
	watching = true;
}

/*
 * Raises 55000 where the extension's objects in this database are of a version that this library
 * does not know.  It looks once in a session, and again after some function was changed.
 */
void
extension_check_version(void)
{
	uint64 looked_at;
	Extension extension;

	if (checked_at == changes)
		return;
	start_watching();
	/* A change that arrives while we look must not be lost, so the count is taken first. */
	looked_at = changes;
	if (extension_find("seats", &extension) && !is_known(extension.version))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the extension seats is of version %s, the loaded library of %s",
						extension.version, SEATS_VERSION),
				 errhint("Run ALTER EXTENSION seats UPDATE. Where that was done, connect "
						 "again, or restart the server if it preloads the library."),
				 errhidestmt(true)));
	checked_at = looked_at;
}
