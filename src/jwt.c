/*
 * jwt.c
 *		The JWTs of customer sessions, and the keys that sign them.
 *
 * This file parses no JSON.  A token is one of our JWTs only if every byte of its header is as we
 * write it, so there is no choice of algorithm to attack.  The session of a JWT has the same row as
 * any other, found by the hash of the whole token; the JWT claims are never relied upon.  So
 * somebody who has obtained a key can make JWTs, but none of them belongs to a session.
 *
 * The keys are in seats.jwt_keys.  The newest one signs.  Older ones are kept as long as a session
 * whose token they signed may live.  A key is never passed through SQL, not even as a parameter,
 * because PostgreSQL and its modules log parameters: the default of the table's column generates
 * it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "common/base64.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "direct.h"
#include "jwt.h"
#include "request.h"
#include "seats.h"
#include "statement.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_postgrest_config);
PG_FUNCTION_INFO_V1(seats_rotate_jwt_key);

/* ---- Base64url without padding (RFC 4648, section 5) ---- */

/* Appends bytes in base64url, which is PostgreSQL's base64 with two other digits and no padding. */
void
base64url_append(StringInfo to, const void *bytes, size_t length)
{
	int room = pg_b64_enc_len((int) length);
	char *at;
	int written;

	enlargeStringInfo(to, room + 1);
	at = to->data + to->len;
	written = pg_b64_encode(bytes, (int) length, at, room);
	Assert(written >= 0);
	while (written > 0 && at[written - 1] == '=')
		written--;
	for (int i = 0; i < written; i++)
	{
		if (at[i] == '+')
			at[i] = '-';
		else if (at[i] == '/')
			at[i] = '_';
	}
	at[written] = '\0';
	to->len += written;
}

/* Tells whether all characters are base64url digits. */
bool
base64url_has_only_digits(const char *digits, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		char digit = digits[i];

		if (!(digit >= 'A' && digit <= 'Z') && !(digit >= 'a' && digit <= 'z') &&
			!(digit >= '0' && digit <= '9') && digit != '-' && digit != '_')
			return false;
	}
	return true;
}

/*
 * Decodes groups of four digits, each of which makes exactly three bytes; returns false if a
 * character is not a digit.
 */
bool
base64url_read_groups(void *bytes, const char *digits, size_t count)
{
	char *base64 = pnstrdup(digits, 4 * count);

	if (!base64url_has_only_digits(digits, 4 * count))
		return false;
	for (char *at = base64; *at != '\0'; at++)
	{
		if (*at == '-')
			*at = '+';
		else if (*at == '_')
			*at = '/';
	}
	return pg_b64_decode(base64, (int) (4 * count), bytes, (int) (3 * count)) ==
		(int) (3 * count);
}

/* ---- The written form ---- */

#define UUID_LENGTH 36
#define HEADER_LENGTH 96	/* digits of a header, which has 72 bytes */
#define SIGNATURE_LENGTH 43 /* digits of a signature, which has 32 bytes */
#define SIGNATURE_BYTES 32

/* All headers begin with {"alg":"HS256","typ":"JWT","kid": which makes exactly 44 digits. */
#define HEADER_START "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6"

/*
 * All payloads begin with {"sub":"uuid","org":"uuid" which makes exactly 30 groups of four digits.
 */
#define PAYLOAD_START_GROUPS 30
#define PAYLOAD_START_BYTES 90
#define BEFORE_SUB "{\"sub\":\""
#define BEFORE_ORG "\",\"org\":\""

static const char *const jwt_claim_names[JWT_CLAIMS] = {
	[JWT_SUB] = "sub", [JWT_ORG] = "org", [JWT_SEAT] = "seat", [JWT_ROLE] = "role",
	[JWT_IAT] = "iat", [JWT_EXP] = "exp", [JWT_JTI] = "jti",
};

/*
 * Tells whether a token looks like a JWT, of any issuer.  All JWTs begin with {" and so with the
 * same three digits.
 */
bool
jwt_looks_like_one(const char *token, size_t length)
{
	return length > 3 && memcmp(token, "eyJ", 3) == 0;
}

/* Appends the header of a token that is signed with a key. */
static void
append_header(StringInfo token, const JwtKey *key)
{
	char *header = psprintf("{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", key->id);

	base64url_append(token, header, strlen(header));
	pfree(header);
}

/*
 * Appends the payload.  The JWT claims of our tokens need no escapes in JSON.  Those of a request
 * may, but then the result is no payload that was ever signed, because each name occurs only once.
 */
static void
append_payload(StringInfo token, const char *const *claims)
{
	StringInfoData payload;

	initStringInfo(&payload);
	for (int i = 0; i < JWT_CLAIMS; i++)
	{
		const char *quote = i == JWT_IAT || i == JWT_EXP ? "" : "\"";

		appendStringInfoString(&payload, i == 0 ? "{\"" : ",\"");
		appendStringInfoString(&payload, jwt_claim_names[i]);
		appendStringInfoString(&payload, "\":");
		appendStringInfoString(&payload, quote);
		appendStringInfoString(&payload, claims[i]);
		appendStringInfoString(&payload, quote);
	}
	appendStringInfoChar(&payload, '}');
	base64url_append(token, payload.data, payload.len);
	pfree(payload.data);
}

/* Appends the signature of the part that is signed with a key. */
static void
append_signature(StringInfo token, const JwtKey *key, const char *signed_part, size_t length)
{
	bytea *signature = pgcrypto_hmac_sha256(signed_part, length, key->secret);

	base64url_append(token, VARDATA(signature), SIGNATURE_BYTES);
	pfree(signature);
}

/* Returns the JWT with these JWT claims, signed with a key. */
char *
jwt_make(const JwtKey *key, const char *const *claims)
{
	StringInfoData token;
	int signed_length;

	initStringInfo(&token);
	append_header(&token, key);
	appendStringInfoChar(&token, '.');
	append_payload(&token, claims);
	signed_length = token.len;
	appendStringInfoChar(&token, '.');
	append_signature(&token, key, token.data, signed_length);
	return token.data;
}

/* Tells whether a string has the form of one of our JWTs.  Does not check the signature. */
bool
jwt_has_form(const char *token, size_t length)
{
	size_t shortest = HEADER_LENGTH + 1 + 4 * PAYLOAD_START_GROUPS + 1 + SIGNATURE_LENGTH;
	const char *payload = token + HEADER_LENGTH + 1;
	const char *signature;

	if (length < shortest || length > JWT_MAX_LENGTH)
		return false;
	signature = token + length - SIGNATURE_LENGTH;
	return memcmp(token, HEADER_START, strlen(HEADER_START)) == 0 && payload[-1] == '.' &&
		signature[-1] == '.' && base64url_has_only_digits(token, HEADER_LENGTH) &&
		base64url_has_only_digits(payload, signature - 1 - payload) &&
		base64url_has_only_digits(signature, SIGNATURE_LENGTH);
}

/* Compares two strings in a time that does not reveal where they differ first. */
static bool
is_same(const char *a, const char *b, size_t length)
{
	unsigned char difference = 0;

	for (size_t i = 0; i < length; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/* Tells whether a string that has the form of one of our JWTs names a key and is signed with it. */
bool
jwt_is_signed_by(const char *token, size_t length, const JwtKey *key)
{
	StringInfoData expected;
	bool result;

	initStringInfo(&expected);
	append_header(&expected, key);
	result = expected.len == HEADER_LENGTH && memcmp(token, expected.data, HEADER_LENGTH) == 0;
	if (result)
	{
		resetStringInfo(&expected);
		append_signature(&expected, key, token, length - SIGNATURE_LENGTH - 1);
		result = is_same(expected.data, token + length - SIGNATURE_LENGTH, SIGNATURE_LENGTH);
	}
	pfree(expected.data);
	return result;
}

/* Returns a uuid as a string, as uuid_out() does, but faster. */
char *
uuid_string(const pg_uuid_t *id)
{
	static const char digits[] = "0123456789abcdef";
	char *string = palloc(UUID_LENGTH + 1);
	char *at = string;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[id->data[i] >> 4];
		*at++ = digits[id->data[i] & 15];
	}
	*at = '\0';
	return string;
}

/* Reads a uuid in the form in which PostgreSQL writes it; returns false for any other. */
static bool
read_uuid(const char *string, pg_uuid_t *id)
{
	char *copy;

	for (int i = 0; i < UUID_LENGTH; i++)
	{
		bool digit = (string[i] >= '0' && string[i] <= '9') ||
			(string[i] >= 'a' && string[i] <= 'f');

		if (i == 8 || i == 13 || i == 18 || i == 23 ? string[i] != '-' : !digit)
			return false;
	}
	copy = pnstrdup(string, UUID_LENGTH);
	*id = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(copy)));
	pfree(copy);
	return true;
}

/*
 * Reads the organization of a string that has the form of one of our JWTs; returns false if its
 * payload does not begin as all of ours do.  Does not check the signature.
 */
bool
jwt_organization(const char *token, pg_uuid_t *id)
{
	const char *payload = token + HEADER_LENGTH + 1;
	char start[PAYLOAD_START_BYTES];
	const char *before_org = start + strlen(BEFORE_SUB) + UUID_LENGTH;
	pg_uuid_t customer;

	return base64url_read_groups(start, payload, PAYLOAD_START_GROUPS) &&
		memcmp(start, BEFORE_SUB, strlen(BEFORE_SUB)) == 0 &&
		read_uuid(start + strlen(BEFORE_SUB), &customer) &&
		memcmp(before_org, BEFORE_ORG, strlen(BEFORE_ORG)) == 0 &&
		read_uuid(before_org + strlen(BEFORE_ORG), id) &&
		start[PAYLOAD_START_BYTES - 1] == '"';
}

/* ---- Keys ---- */

static Statement read_keys = {
	.sql = "SELECT kid::pg_catalog.uuid, secret::pg_catalog.bytea, "
		   "created_at::pg_catalog.timestamptz FROM seats.jwt_keys ORDER BY created_at DESC",
};

/* The new key is the newest even if the clock was set back. */
static Statement insert_key = {
	.sql = "INSERT INTO seats.jwt_keys (created_at) "
		   "SELECT GREATEST($1, pg_catalog.max(created_at) + '1 microsecond') "
		   "FROM seats.jwt_keys RETURNING kid::pg_catalog.uuid, created_at >= $1",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
	.table = "jwt_keys",
};

static Statement find_oldest_session = {
	.sql = "SELECT pg_catalog.min(created_at) FROM seats.customer_sessions "
		   "WHERE expires_at > $1",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

static Statement delete_keys = {
	.sql = "DELETE FROM seats.jwt_keys WHERE created_at < "
		   "(SELECT pg_catalog.max(created_at) FROM seats.jwt_keys WHERE created_at <= $1)",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

static Statement set_postgrest_keys = {
	.sql =
		"SELECT pg_catalog.set_config('pgrst.jwt_secret', "
		"pg_catalog.json_build_object('keys', COALESCE(pg_catalog.json_agg("
		"pg_catalog.json_build_object('kty', 'oct', 'alg', 'HS256', 'use', 'sig', 'kid', kid, "
		"'k', pg_catalog.rtrim(pg_catalog.translate(pg_catalog.encode(secret, 'base64'), "
		"E'+/\\n', '-_'), '=')) ORDER BY created_at DESC), '[]'))::pg_catalog.text, true) "
		"FROM seats.jwt_keys",
};

/* Copies a key from the columns of its row and adds it to a list; raises 42804 for a null. */
static List *
add_key(List *keys, NullableDatum id, NullableDatum secret, NullableDatum created_at)
{
	JwtKey *key = palloc(sizeof(JwtKey));

	if (id.isnull || secret.isnull || created_at.isnull)
		refuse_null_column(id.isnull ? "kid" : secret.isnull ? "secret" : "created_at");
	key->id = uuid_string(DatumGetUUIDP(id.value));
	key->secret = DatumGetByteaPCopy(secret.value);
	key->created_at = DatumGetTimestampTz(created_at.value);
	return lappend(keys, key);
}

/* Compares keys, for list_sort(): the newest is the first. */
static int
compare_keys(const ListCell *a, const ListCell *b)
{
	TimestampTz of_a = ((const JwtKey *) lfirst(a))->created_at;
	TimestampTz of_b = ((const JwtKey *) lfirst(b))->created_at;

	return (of_a < of_b) - (of_a > of_b);
}

/*
 * Returns all keys that the active snapshot shows, newest first.  Between SPI_connect() and
 * SPI_finish(), which frees them.
 */
static List *
keys_in_table(void)
{
	List *keys = NIL;
	DirectScan scan;

	if (direct_scan_begin(&direct_jwt_keys, FIRST_KEY, NULL, &scan))
	{
		while (direct_scan_next(&scan))
			keys = add_key(keys, direct_row_value(&scan.row, JWT_KEY_ID),
						   direct_row_value(&scan.row, JWT_KEY_SECRET),
						   direct_row_value(&scan.row, JWT_KEY_CREATED_AT));
		direct_scan_end(&scan);
	}
	else
	{
		Rows rows = statement_read(&read_keys, NULL);

		for (uint64 i = 0; i < rows.count; i++)
			keys = add_key(keys, rows_value(&rows, i, 1), rows_value(&rows, i, 2),
						   rows_value(&rows, i, 3));
	}
	list_sort(keys, compare_keys);
	return keys;
}

/*
 * Returns the key that signs new tokens, the newest that is committed now; raises 55000 if there is
 * none.  Between SPI_connect() and SPI_finish(), which frees it.
 */
static const JwtKey *
key_to_sign(void)
{
	List *keys;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	keys = keys_in_table();
	PopActiveSnapshot();
	if (keys == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no key to sign the JWTs of customer sessions"),
				 errhint("Call seats.rotate_jwt_key() to create one."),
				 errhidestmt(true)));
	return linitial(keys);
}

/*
 * Removes keys that no session can need.  A key is needed until all sessions that it signed have
 * expired: those in the table, and those of claims that have read the key but not committed yet,
 * which live no longer than the setting says.  Claims and rotations take no common lock: the rule
 * is late by as long as a rotation stays uncommitted.  The newest of the keys that are older than
 * all of these may have signed the first of them, so it stays.
 */
static void
remove_old_keys(TimestampTz now)
{
	NullableDatum moment = {TimestampTzGetDatum(now), false};
	Rows rows = statement_execute(&find_oldest_session, &moment);
	NullableDatum oldest = rows_value(&rows, 0, 1);

	if (!oldest.isnull)
		now = Min(now, DatumGetTimestampTz(oldest.value));
	moment.value = TimestampTzGetDatum(now - setting_customer_session_ttl * USECS_PER_SEC);
	(void) statement_execute(&delete_keys, &moment);
}

/*
 * postgrest_config(): passes the keys of customer sessions to PostgREST as pgrst.jwt_secret, a JWK
 * set, until the end of the transaction.  Locks nothing.
 */
Datum
seats_postgrest_config(PG_FUNCTION_ARGS pg_attribute_unused())
{
	SPI_connect();
	(void) statement_execute(&set_postgrest_keys, NULL);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * rotate_jwt_key(): makes a new key, which signs sessions from the commit on, removes the keys that
 * no session can need any more, and has PostgREST read the keys again; returns the id of the new
 * key.  Raises 25006 in a read-only transaction.
 *
 * Locks: the table of keys against other rotations and changes, but not against reading.
 */
Datum
seats_rotate_jwt_key(PG_FUNCTION_ARGS pg_attribute_unused())
{
	NullableDatum now;
	Rows rows;
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

	PreventCommandIfReadOnly("rotate_jwt_key()");
	SPI_connect();
	SPI_execute("LOCK TABLE seats.jwt_keys IN SHARE ROW EXCLUSIVE MODE", false, 0);
	now = (NullableDatum){TimestampTzGetDatum(GetCurrentTimestamp()), false};
	rows = statement_change(&insert_key, &now, 1);
	*id = *DatumGetUUIDP(rows_required(&rows, 0, 1));
	remove_old_keys(DatumGetTimestampTz(now.value));
	SPI_finish();
	Async_Notify("pgrst", "reload config");
	PG_RETURN_UUID_P(id);
}

/* ---- Tokens of sessions ---- */

#define JTI_BYTES 32

/* Returns the seconds from 1970 to a moment, as a whole number in JSON. */
static char *
unix_seconds(TimestampTz moment)
{
	int64 days = POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE;

	return psprintf(INT64_FORMAT, moment / USECS_PER_SEC + days * SECS_PER_DAY);
}

/* Returns a new random id of a JWT. */
static char *
draw_jti(void)
{
	uint8 random[JTI_BYTES];
	StringInfoData jti;

	pgcrypto_random(random, sizeof(random));
	initStringInfo(&jti);
	base64url_append(&jti, (const char *) random, sizeof(random));
	return jti.data;
}

/*
 * Makes the token of a session of a seat's customer; returns it in clear, allocated in a memory
 * context, and its hash.  Between SPI_connect() and SPI_finish().  Raises 55000 if there is no key.
 */
text *
jwt_issue(const SeatIds *seat, TimestampTz opened, TimestampTz expiry, MemoryContext context,
		  bytea **hash)
{
	const JwtKey *key = key_to_sign();
	const char *claims[JWT_CLAIMS] = {
		[JWT_SUB] = uuid_string(&seat->customer_id),
		[JWT_ORG] = uuid_string(&seat->organization_id),
		[JWT_SEAT] = uuid_string(&seat->id),
		[JWT_ROLE] = setting_jwt_role,
		[JWT_IAT] = unix_seconds(opened),
		[JWT_EXP] = unix_seconds(expiry),
		[JWT_JTI] = draw_jti(),
	};
	char *jwt = jwt_make(key, claims);
	size_t length = strlen(jwt);
	text *token = MemoryContextAlloc(context, VARHDRSZ + length);

	SET_VARSIZE(token, VARHDRSZ + length);
	memcpy(VARDATA(token), jwt, length);
	*hash = pgcrypto_sha256(jwt, length);
	return token;
}

/* Tells whether a token that has the form of one of our JWTs is signed with one of our keys. */
static bool
is_signed(const char *token, size_t length)
{
	bool result = false;
	ListCell *cell;

	SPI_connect();
	foreach (cell, keys_in_table())
	{
		result = result || jwt_is_signed_by(token, length, lfirst(cell));
	}
	SPI_finish();
	return result;
}

/*
 * Reads a caller's token and returns its hash; returns false if it is not a JWT that is signed with
 * one of our keys.
 */
bool
jwt_read(const text *token, bytea **hash)
{
	const char *characters = VARDATA_ANY(token);
	size_t length = VARSIZE_ANY_EXHDR(token);

	if (!jwt_has_form(characters, length) || !is_signed(characters, length))
		return false;
	*hash = pgcrypto_sha256(characters, length);
	return true;
}

/*
 * Finds the route of a token; returns false if it does not have the form of one of our JWTs.  Reads
 * no table, so it does not check the signature.
 */
bool
jwt_route(const char *token, size_t length, uint32 *route)
{
	pg_uuid_t organization_id;

	if (!jwt_has_form(token, length) || !jwt_organization(token, &organization_id))
		return false;
	*route = organization_route(&organization_id);
	return true;
}

/* Tells whether a session's JWT has all its JWT claims, none of them longer than a JWT can be. */
static bool
is_complete(char *const *claims)
{
	for (int i = 0; i < JWT_CLAIMS; i++)
	{
		if (claims[i] == NULL || strlen(claims[i]) > JWT_MAX_LENGTH)
			return false;
	}
	return true;
}

/*
 * Tells whether PostgREST's request carries a customer session's JWT, the only kind with a JWT
 * claim "seat", and reads its JWT claims and the keys that may have signed it.  The JWT claims do
 * not name the key.
 *
 * The headers of the request contain the token too, but there may be no headers, or two tokens in
 * them.  Between SPI_connect() and SPI_finish().
 */
bool
jwt_of_request(RequestJwt *request)
{
	request->keys = NIL;
	request_read_jwt_claims(jwt_claim_names, request->claims, JWT_CLAIMS);
	if (request->claims[JWT_SEAT] == NULL)
		return false;
	if (is_complete(request->claims))
		request->keys = keys_in_table();
	return true;
}

/*
 * Returns the hash of the request's token if this key has signed it: signed with the right key, the
 * JWT claims make the same token again.
 */
bytea *
jwt_request_hash(const RequestJwt *request, const JwtKey *key)
{
	char *jwt = jwt_make(key, (const char *const *) request->claims);

	return pgcrypto_sha256(jwt, strlen(jwt));
}
