/*
 * pgcrypto.c
 *		Calls pgcrypto's functions, in whichever schema that extension is installed.
 *
 * They are found once in a session and kept until a function anywhere in the database is
 * changed, which covers pgcrypto being dropped, made anew or moved.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "extension.h"
#include "pgcrypto.h"

static FmgrInfo digest;			  /* digest(bytea, text) */
static FmgrInfo hmac;			  /* hmac(bytea, bytea, text) */
static FmgrInfo gen_random_bytes; /* gen_random_bytes(integer) */
static text *sha256_name;		  /* what digest() and hmac() call SHA-256 */

/*
 * Random bytes drawn and not yet given out: the end of the array.  A draw costs nearly the same for
 * many bytes as for few; pgcrypto gives as many as these at most.
 */
static uint8 drawn[1024];
static size_t drawn_count = 0;

/* How often a function in the database changed, and that count when ours were looked up. */
static uint64 changes = 1;
static uint64 found_at = 0;

/* Forgets the functions: some function in the database changed. */
static void
count_change(Datum arg pg_attribute_unused(), int cacheid pg_attribute_unused(),
			 uint32 hashvalue pg_attribute_unused())
{
	changes++;
}

/* Returns the extension pgcrypto; raises 42704 where it is not installed. */
static Extension
find_pgcrypto(void)
{
	Extension pgcrypto;

	if (!extension_find("pgcrypto", &pgcrypto))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"pgcrypto\" is not installed"),
				 errhint("Install it with CREATE EXTENSION pgcrypto.")));
	return pgcrypto;
}

/*
 * Finds one of pgcrypto's functions by its exact argument types; raises 42883 where it is not
 * there or where it is somebody else's.
 */
static void
find_function(FmgrInfo *function, const Extension *pgcrypto, const char *name,
			  const Oid *argtypes, int nargs)
{
	oidvector *signature = buildoidvector(argtypes, nargs);
	Oid oid = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
							  PointerGetDatum(signature), ObjectIdGetDatum(pgcrypto->schema));

	if (!OidIsValid(oid) || getExtensionOfObject(ProcedureRelationId, oid) != pgcrypto->id)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("extension \"pgcrypto\" lacks the function %s", name),
				 errhint("Undo its being renamed, moved or replaced.")));
	fmgr_info_cxt(oid, function, TopMemoryContext);
	pfree(signature);
}

/* Makes what lives as long as the session; done once. */
static void
start_watching(void)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

	sha256_name = cstring_to_text("sha256");
	MemoryContextSwitchTo(caller);
	CacheRegisterSyscacheCallback(PROCOID, count_change, (Datum) 0);
}

/* Makes sure that the functions are known and as they are now. */
static void
find_functions(void)
{
	static const Oid digest_arguments[] = {BYTEAOID, TEXTOID};
	static const Oid hmac_arguments[] = {BYTEAOID, BYTEAOID, TEXTOID};
	static const Oid random_arguments[] = {INT4OID};
	uint64 looked_at;
	Extension pgcrypto;

	if (found_at == changes)
		return;
	if (sha256_name == NULL)
		start_watching();

	/* A change that arrives while we look must not be lost, so the count is taken first. */
	looked_at = changes;
	pgcrypto = find_pgcrypto();
	find_function(&digest, &pgcrypto, "digest", digest_arguments, 2);
	find_function(&hmac, &pgcrypto, "hmac", hmac_arguments, 3);
	find_function(&gen_random_bytes, &pgcrypto, "gen_random_bytes", random_arguments, 1);
	found_at = looked_at;
}

/* Returns bytes as a new bytea. */
static bytea *
make_bytea(const void *data, size_t length)
{
	bytea *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), data, length);
	return result;
}

/* Returns the SHA-256 of some bytes, a new bytea of 32; raises 42704 or 42883 without pgcrypto. */
bytea *
pgcrypto_sha256(const void *data, size_t length)
{
	bytea *input = make_bytea(data, length);
	Datum hash;

	find_functions();
	hash = FunctionCall2Coll(&digest, InvalidOid, PointerGetDatum(input),
							 PointerGetDatum(sha256_name));
	pfree(input);
	return DatumGetByteaP(hash);
}

/*
 * Returns the HMAC by SHA-256 of some bytes with a key, a new bytea of 32; raises 42704 or 42883
 * without pgcrypto.
 */
bytea *
pgcrypto_hmac_sha256(const void *data, size_t length, const bytea *key)
{
	bytea *input = make_bytea(data, length);
	Datum result;

	find_functions();
	result = FunctionCall3Coll(&hmac, InvalidOid, PointerGetDatum(input), PointerGetDatum(key),
							   PointerGetDatum(sha256_name));
	pfree(input);
	return DatumGetByteaP(result);
}

/* Draws random bytes, all that there is room for; raises 42704 or 42883 without pgcrypto. */
static void
draw_random_bytes(void)
{
	bytea *bytes;

	find_functions();
	bytes = DatumGetByteaP(
		FunctionCall1Coll(&gen_random_bytes, InvalidOid, Int32GetDatum(sizeof(drawn))));
	memcpy(drawn, VARDATA(bytes), sizeof(drawn));
	explicit_bzero(VARDATA(bytes), sizeof(drawn));
	pfree(bytes);
	drawn_count = sizeof(drawn);
}

/*
 * Gives so many random bytes, at most as many as one draw has, and forgets them; raises 42704 or
 * 42883 without pgcrypto.
 */
void
pgcrypto_random(uint8 *bytes, size_t count)
{
	Assert(count <= sizeof(drawn));
	if (count > drawn_count)
		draw_random_bytes();
	drawn_count -= count;
	memcpy(bytes, drawn + drawn_count, count);
	explicit_bzero(drawn + drawn_count, count);
}
