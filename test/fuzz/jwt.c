/*
 * jwt.c
 *		Fuzzes the written form of JWTs: with strings as they come, and with tokens that are made
 *		here, unchanged and with one character changed.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"

#include "jwt.h"
#include "stand_ins.h"
#include "token.h"

#define LONGEST_CLAIM 80

/* The part of an input that has not been used yet. */
typedef struct Input
{
	const uint8_t *data;
	size_t size;
} Input;

/*
 * Replaces the HMAC.  The result differs whenever one byte of the data or of the key does, because
 * each step is reversible.
 */
bytea *
pgcrypto_hmac_sha256(const void *data, size_t length, const bytea *key)
{
	bytea *result = palloc(VARHDRSZ + 32);
	uint64 sum = 14695981039346656037U;

	for (size_t i = 0; i < VARSIZE(key) - VARHDRSZ; i++)
		sum = (sum ^ (uint8) VARDATA(key)[i]) * 1099511628211U;
	for (size_t i = 0; i < length; i++)
		sum = (sum ^ ((const uint8 *) data)[i]) * 1099511628211U;
	SET_VARSIZE(result, VARHDRSZ + 32);
	for (int i = 0; i < 32; i += sizeof(sum), sum *= 1099511628211U)
		memcpy(VARDATA(result) + i, &sum, sizeof(sum));
	return result;
}

/* Takes some bytes from the input, padded with zeros if it has fewer. */
static char *
take(Input *input, size_t wanted)
{
	size_t taken = Min(wanted, input->size);
	char *bytes = palloc0(wanted + 1);

	memcpy(bytes, input->data, taken);
	input->data += taken;
	input->size -= taken;
	return bytes;
}

/* Takes a uuid from the input, in its usual form. */
static char *
take_uuid(Input *input)
{
	const uint8_t *b = (const uint8_t *) take(input, UUID_LEN);

	return psprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
					b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
					b[12], b[13], b[14], b[15]);
}

/* Takes a key from the input. */
static JwtKey
take_key(Input *input)
{
	const char *id = take_uuid(input);
	bytea *secret = palloc(VARHDRSZ + 32);

	memcpy(VARDATA(secret), take(input, 32), 32);
	SET_VARSIZE(secret, VARHDRSZ + 32);
	return (JwtKey){.id = id, .secret = secret};
}

/* Checks what holds for every string, whoever made it. */
static void
check_string(const char *token, size_t length, const JwtKey *key)
{
	pg_uuid_t id;
	int dots = 0;

	if (!jwt_has_form(token, length))
		return;
	for (size_t i = 0; i < length; i++)
		dots += token[i] == '.';
	CHECK(jwt_looks_like_one(token, length));
	CHECK(length <= JWT_MAX_LENGTH);
	CHECK(dots == 2);
	jwt_is_signed_by(token, length, key);
	jwt_organization(token, &id);
}

/* Tells whether a string is a JWT that a key signed. */
static bool
is_accepted(const char *token, size_t length, const JwtKey *key)
{
	return jwt_has_form(token, length) && jwt_is_signed_by(token, length, key);
}

/* Checks that a token is accepted by its own key only, and contains the organization. */
static void
check_made(const char *token, size_t length, const JwtKey *key, const char *organization)
{
	char *other_secret = palloc(VARSIZE(key->secret));
	JwtKey other = {.id = key->id, .secret = (bytea *) other_secret};
	pg_uuid_t id;

	CHECK(jwt_looks_like_one(token, length));
	CHECK(is_accepted(token, length, key) == (length <= JWT_MAX_LENGTH));
	if (length > JWT_MAX_LENGTH)
		return;
	CHECK(jwt_organization(token, &id));
	CHECK(memcmp(&id,
				 DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(organization))),
				 UUID_LEN) == 0);
	memcpy(other_secret, key->secret, VARSIZE(key->secret));
	other_secret[VARHDRSZ] ^= 1;
	CHECK(!jwt_is_signed_by(token, length, &other));
	other = (JwtKey){.id = "00000000-0000-0000-0000-000000000000", .secret = key->secret};
	if (strcmp(key->id, other.id) != 0)
		CHECK(!jwt_is_signed_by(token, length, &other));
}

/* Makes a token as a claim does, checks it, and changes one character of it. */
static void
check_session(Input *input, const JwtKey *key)
{
	const char *claims[JWT_CLAIMS] = {
		[JWT_SUB] = take_uuid(input),  [JWT_ORG] = take_uuid(input),
		[JWT_SEAT] = take_uuid(input), [JWT_IAT] = "1700000000",
		[JWT_EXP] = "1800000000",
	};
	size_t place = (uint8) take(input, 1)[0] << 8;
	char other;
	char *token;
	size_t length;

	place += (uint8) take(input, 1)[0];
	other = take(input, 1)[0];
	claims[JWT_JTI] = take(input, 43);
	claims[JWT_ROLE] = take(input, input->size);
	token = jwt_make(key, claims);
	length = strlen(token);
	check_made(token, length, key, claims[JWT_ORG]);
	place %= length;
	if (token[place] == other)
		return;
	token[place] = other;
	CHECK(!is_accepted(token, length, key));
	check_string(token, length, key);
}

/* Makes a token of any JWT claims that a request may have. */
static void
check_claims(Input *input, const JwtKey *key)
{
	const char *claims[JWT_CLAIMS];
	char *token;

	for (int i = 0; i < JWT_CLAIMS; i++)
		claims[i] = take(input, (uint8) take(input, 1)[0] % LONGEST_CLAIM);
	token = jwt_make(key, claims);
	CHECK(is_accepted(token, strlen(token), key) ==
		  (strlen(token) <= JWT_MAX_LENGTH && jwt_has_form(token, strlen(token))));
	check_string(token, strlen(token), key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {.data = data, .size = size};
	JwtKey key;

	/*
	 * The string is the whole input, so that the address sanitizer sees any access beyond its end.
	 */
	input.size = 0;
	key = take_key(&input);
	check_string((const char *) data, size, &key);

	input = (Input){.data = data, .size = size};
	key = take_key(&input);
	if (take(&input, 1)[0] & 1)
		check_session(&input, &key);
	else
		check_claims(&input, &key);
	free_all();
	return 0;
}
