/*
 * token.c
 *		Opaque tokens, and the hashes, HMACs and random bytes of the extension pgcrypto.
 *
 * A token is a prefix that tells its kind, 6 base62 digits of the organization's route, 43 of the
 * secret, and 6 of the CRC-32 of everything before them.  Base62 digits are 0-9A-Za-z, the most
 * significant first.
 *
 * A token in clear is never passed through SQL, not even as a parameter, because PostgreSQL and its
 * modules log parameters.  Only its hash leaves this file, and a new token on its way to the
 * caller.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/pg_crc.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "compat.h"
#include "errors.h"
#include "token.h"

/* ---- The written form ---- */

#define BASE 62

static const char base62_digits[BASE + 1] =
	"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const char *const prefixes[] = {
	[TOKEN_INVITATION] = "seats_inv_",
	[TOKEN_SESSION] = "seats_cst_",
	[TOKEN_JOIN_LINK] = "seats_jnl_",
};

/* Tells whether a string consists of characters that may be in a token of any kind. */
bool
token_is_clean(const char *string, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if (!token_may_have(string[i]))
			return false;
	}
	return true;
}

/* Returns the value of a base62 digit, or -1 if the character is not one. */
static int
digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A' + 10;
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 36;
	return -1;
}

/* Writes a number as TOKEN_NUMBER_LENGTH base62 digits, padded with zeros. */
static void
write_number(char *digits, uint32 number)
{
	for (int i = TOKEN_NUMBER_LENGTH - 1; i >= 0; i--)
	{
		digits[i] = base62_digits[number % BASE];
		number /= BASE;
	}
}

/* Reads what write_number() wrote; returns false if it could not have written that. */
static bool
read_number(const char *digits, uint32 *number)
{
	uint64 value = 0;

	for (int i = 0; i < TOKEN_NUMBER_LENGTH; i++)
	{
		int digit = digit_value(digits[i]);

		if (digit < 0)
			return false;
		value = value * BASE + digit;
	}
	*number = (uint32) value;
	return value <= PG_UINT32_MAX;
}

/* Returns the CRC-32, as in zlib, of a token up to its check digits. */
static uint32
token_check(const char *token)
{
	pg_crc32 crc;

	INIT_TRADITIONAL_CRC32(crc);
	COMP_TRADITIONAL_CRC32(crc, token, TOKEN_LENGTH - TOKEN_NUMBER_LENGTH);
	FIN_TRADITIONAL_CRC32(crc);
	return crc;
}

/*
 * Turns random bytes into at most "wanted" base62 digits; returns how many it made.  Bytes from 248
 * on, the largest multiple of 62, are skipped, so that all digits are equally likely.
 */
size_t
token_draw_digits(char *digits, size_t wanted, const uint8 *random, size_t available)
{
	size_t drawn = 0;

	for (size_t i = 0; i < available && drawn < wanted; i++)
	{
		if (random[i] < 256 / BASE * BASE)
			digits[drawn++] = base62_digits[random[i] % BASE];
	}
	return drawn;
}

/* Writes a token of TOKEN_LENGTH characters, without a terminator, from its secret digits. */
void
token_format(char *token, TokenKind kind, uint32 route, const char *secret)
{
	char *end = token;

	memcpy(end, prefixes[kind], TOKEN_PREFIX_LENGTH);
	end += TOKEN_PREFIX_LENGTH;
	write_number(end, route);
	end += TOKEN_NUMBER_LENGTH;
	memcpy(end, secret, TOKEN_SECRET_LENGTH);
	end += TOKEN_SECRET_LENGTH;
	write_number(end, token_check(token));
}

/*
 * Tells whether a string has the form of a token of this kind, including the checksum, and returns
 * its route.  Does not check whether the token was ever issued.
 */
bool
token_parse(const char *token, size_t length, TokenKind kind, uint32 *route)
{
	const char *secret = token + TOKEN_PREFIX_LENGTH + TOKEN_NUMBER_LENGTH;
	uint32 check;

	if (length != TOKEN_LENGTH || memcmp(token, prefixes[kind], TOKEN_PREFIX_LENGTH) != 0)
		return false;
	for (int i = 0; i < TOKEN_SECRET_LENGTH; i++)
	{
		if (digit_value(secret[i]) < 0)
			return false;
	}
	return read_number(token + TOKEN_PREFIX_LENGTH, route) &&
		read_number(secret + TOKEN_SECRET_LENGTH, &check) && check == token_check(token);
}

/* ---- pgcrypto, in whichever schema it is installed ---- */

static FmgrInfo digest;			  /* digest(bytea, text) */
static FmgrInfo hmac;			  /* hmac(bytea, bytea, text) */
static FmgrInfo gen_random_bytes; /* gen_random_bytes(integer) */
static text *sha256_name;		  /* the name of SHA-256 in digest() and hmac() */

/*
 * Random bytes that were drawn and not used yet, at the beginning of the array.  A draw costs
 * nearly the same for many bytes as for few, and this is the most that pgcrypto returns.
 */
static uint8 pool[1024];
static size_t pool_count = 0;

/* Counts changes of functions, which include dropping, replacing or moving pgcrypto. */
static CatalogWatch watch;
static uint64 found_at = 0;

/* Returns the extension pgcrypto; raises 42704 if it is not installed. */
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
 * Finds one of pgcrypto's functions by its exact argument types; raises 42883 if it does not exist
 * or does not belong to pgcrypto.
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
				 errmsg("function %s of extension \"pgcrypto\" does not exist", name),
				 errhint("Undo the change that renamed, moved or replaced it.")));
	fmgr_info_cxt(oid, function, TopMemoryContext);
	pfree(signature);
}

/* Creates what lives as long as the session; called once. */
static void
start_watching(void)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

	sha256_name = cstring_to_text("sha256");
	MemoryContextSwitchTo(caller);
	catalog_watch(&watch);
}

/*
 * Looks up the functions, unless they are known and nothing has changed; raises 42704 or 42883
 * without pgcrypto.
 */
static void
find_functions(void)
{
	static const Oid digest_arguments[] = {BYTEAOID, TEXTOID};
	static const Oid hmac_arguments[] = {BYTEAOID, BYTEAOID, TEXTOID};
	static const Oid random_arguments[] = {INT4OID};
	uint64 changes;
	Extension pgcrypto;

	if (watch.changes == 0)
		start_watching();
	if (found_at == watch.changes)
		return;

	/* Read the count first, so that a change that arrives meanwhile is not lost. */
	changes = watch.changes;
	pgcrypto = find_pgcrypto();
	find_function(&digest, &pgcrypto, "digest", digest_arguments, 2);
	find_function(&hmac, &pgcrypto, "hmac", hmac_arguments, 3);
	find_function(&gen_random_bytes, &pgcrypto, "gen_random_bytes", random_arguments, 1);
	found_at = changes;
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

/*
 * Returns the SHA-256 of some bytes, a new bytea of 32 bytes; raises 42704 or 42883 without
 * pgcrypto.
 */
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
 * Returns the HMAC-SHA-256 of some bytes with a key, a new bytea of 32 bytes; raises 42704 or 42883
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

/* Fills the pool with random bytes; raises 42704 or 42883 without pgcrypto. */
static void
draw_random_bytes(void)
{
	bytea *bytes;

	find_functions();
	bytes = DatumGetByteaP(
		FunctionCall1Coll(&gen_random_bytes, InvalidOid, Int32GetDatum(sizeof(pool))));
	memcpy(pool, VARDATA(bytes), sizeof(pool));
	explicit_bzero(VARDATA(bytes), sizeof(pool));
	pfree(bytes);
	pool_count = sizeof(pool);
}

/*
 * Returns random bytes, at most as many as the pool holds, and erases them there; raises 42704 or
 * 42883 without pgcrypto.
 */
void
pgcrypto_random(uint8 *bytes, size_t count)
{
	Assert(count <= sizeof(pool));
	if (count > pool_count)
		draw_random_bytes();
	pool_count -= count;
	memcpy(bytes, pool + pool_count, count);
	explicit_bzero(pool + pool_count, count);
}

/* ---- Tokens ---- */

/*
 * Reads a caller's token and returns its route and its hash, which is what the tables contain;
 * returns false if it does not have the form of a token of this kind.
 */
bool
token_read(const text *token, TokenKind kind, uint32 *route, bytea **hash)
{
	const char *characters = VARDATA_ANY(token);
	size_t length = VARSIZE_ANY_EXHDR(token);

	if (!token_parse(characters, length, kind, route))
		return false;
	*hash = pgcrypto_sha256(characters, length);
	return true;
}

/*
 * Raises an error about a string that does not have the form of a token; does not return.  If it
 * contains characters that no token has, the hint says so, without showing any of it.
 */
void
token_refuse(SeatsError error, const text *token)
{
	if (token_is_clean(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token)))
		raise_error(error);
	raise_error_with_hint(
		error,
		"The token contains characters that tokens never contain, such as spaces, line breaks, "
		"quotes, angle brackets or invisible characters. Remove them.");
}

/*
 * Returns the hash of a token followed by an idempotency key, so that equal keys have different
 * hashes for different tokens.
 */
bytea *
token_hash_with(const text *token, const text *key)
{
	size_t token_length = VARSIZE_ANY_EXHDR(token);
	size_t key_length = VARSIZE_ANY_EXHDR(key);
	char *both = palloc(token_length + key_length);
	bytea *hash;

	memcpy(both, VARDATA_ANY(token), token_length);
	memcpy(both + token_length, VARDATA_ANY(key), key_length);
	hash = pgcrypto_sha256(both, token_length + key_length);
	pfree(both);
	return hash;
}

/*
 * Issues a new token with an organization's route; returns it in clear, allocated in a memory
 * context, and its hash.
 */
text *
token_issue(TokenKind kind, uint32 route, MemoryContext context, bytea **hash)
{
	text *token = MemoryContextAlloc(context, VARHDRSZ + TOKEN_LENGTH);
	char secret[TOKEN_SECRET_LENGTH];
	size_t drawn = 0;

	while (drawn < TOKEN_SECRET_LENGTH)
	{
		uint8 random[TOKEN_SECRET_LENGTH];
		size_t wanted = TOKEN_SECRET_LENGTH - drawn;

		pgcrypto_random(random, wanted);
		drawn += token_draw_digits(secret + drawn, wanted, random, wanted);
	}
	SET_VARSIZE(token, VARHDRSZ + TOKEN_LENGTH);
	token_format(VARDATA(token), kind, route, secret);
	*hash = pgcrypto_sha256(VARDATA(token), TOKEN_LENGTH);
	return token;
}

/*
 * Returns an organization's route: the first four bytes, big-endian, of the SHA-256 of its id's 16
 * bytes.  Raises 42704 or 42883 without pgcrypto.
 */
uint32
organization_route(const pg_uuid_t *organization_id)
{
	bytea *hash = pgcrypto_sha256(organization_id->data, UUID_LEN);
	uint32 route;

	memcpy(&route, VARDATA(hash), sizeof(route));
	return pg_ntoh32(route);
}
