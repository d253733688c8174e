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
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "extension.h"

/* The versions of the SQL objects that this library works with. */
static const char *const known_versions[] = {SEATS_VERSION};

/*
 * The row of pg_extension that had a version which this library knows.  No invalidation is sent
 * when such a row changes, so the row is looked at again by each statement of a client.
 */
static struct
{
	Oid id; /* or InvalidOid: none was found yet */
	ItemPointerData place;
	TimestampTz looked_at; /* the start of the statement that looked last */
} good;

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
	extension->place = row->t_self;
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

/*
 * Tells whether the row that was good is still there and current.  It is never changed where it is:
 * an update makes another row, and leaves this one to nobody or to another extension.
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
	extensions = table_open(ExtensionRelationId, AccessShareLock);
	/* VACUUM may have given back the page to the operating system. */
	result = ItemPointerGetBlockNumber(&good.place) < RelationGetNumberOfBlocks(extensions) &&
		heap_fetch(extensions, SnapshotSelf, &row, &buffer, false);
	if (result)
	{
		Extension extension;

		read_extension(&row, RelationGetDescr(extensions), &extension);
		result = extension.id == good.id && is_known(extension.version);
		ReleaseBuffer(buffer);
	}
	table_close(extensions, AccessShareLock);
	return result;
}

/* Raises 55000: the extension's objects are of a version that this library does not know. */
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
 * Raises 55000 where the extension's objects in this database are of a version that this library
 * does not know.  It looks once in each statement of a client.
 */
void
extension_check_version(void)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();
	Extension extension;

	if (OidIsValid(good.id) && good.looked_at == now)
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
	good.looked_at = now;
}
