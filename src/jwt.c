/*
 * jwt.c
 *		Writes a customer session's JWT, and tells whether another is one; see jwt.h.
 *
 * No JSON is read here.  What is no JWT of ours in every byte of its header is none, so there is
 * no algorithm to be confused about; and the claims of one are what was signed, to the byte.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "base64url.h"
#include "jwt.h"
#include "pgcrypto.h"

#define UUID_LENGTH 36
#define HEADER_LENGTH 96	/* digits of a header, which has 72 bytes */
#define SIGNATURE_LENGTH 43 /* digits of a signature, which has 32 bytes */
#define SIGNATURE_BYTES 32

/* All headers begin with {"alg":"HS256","typ":"JWT","kid": and those are 44 digits to the bit. */
#define HEADER_START "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6"

/* All payloads begin with {"sub":"uuid","org":"uuid" and those are 30 groups of four digits. */
#define PAYLOAD_START_GROUPS 30
#define PAYLOAD_START_BYTES 90
#define BEFORE_SUB "{\"sub\":\""
#define BEFORE_ORG "\",\"org\":\""

const char *const jwt_claim_names[JWT_CLAIMS] = {
	[JWT_SUB] = "sub", [JWT_ORG] = "org", [JWT_SEAT] = "seat", [JWT_ROLE] = "role",
	[JWT_IAT] = "iat", [JWT_EXP] = "exp", [JWT_JTI] = "jti",
};

/*
 * Tells whether a token looks like some JWT, whoever's: all begin with {" and so with the same
 * three digits.
 */
bool
jwt_looks_like_one(const char *token, size_t length)
{
	return length > 3 && memcmp(token, "eyJ", 3) == 0;
}

/* Appends the header of what is signed with a key. */
static void
append_header(StringInfo token, const JwtKey *key)
{
	char *header = psprintf("{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", key->id);

	base64url_append(token, header, strlen(header));
	pfree(header);
}

/*
 * Appends the payload.  Claims of ours need no escapes in JSON; with others in their place this
 * makes no payload that was ever signed, since each name is there once.
 */
static void
append_payload(StringInfo token, const char *const *claims)
{
	StringInfoData payload;

	initStringInfo(&payload);
	for (int i = 0; i < JWT_CLAIMS; i++)
	{
		const char *quote = i == JWT_IAT || i == JWT_EXP ? "" : "\"";

		appendStringInfo(&payload, "%c\"%s\":%s%s%s", i == 0 ? '{' : ',', jwt_claim_names[i],
						 quote, claims[i], quote);
	}
	appendStringInfoChar(&payload, '}');
	base64url_append(token, payload.data, payload.len);
	pfree(payload.data);
}

/* Appends the signature of what is signed with a key. */
static void
append_signature(StringInfo token, const JwtKey *key, const char *signed_part, size_t length)
{
	bytea *signature = pgcrypto_hmac_sha256(signed_part, length, key->secret);

	base64url_append(token, VARDATA(signature), SIGNATURE_BYTES);
	pfree(signature);
}

/* Returns the JWT with these claims, signed with a key. */
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

/*
 * Tells whether a string has the form of a JWT of ours.  That it has says nothing of whether
 * anybody signed it.
 */
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

/* Compares in a time that does not tell where the first difference is. */
static bool
is_same(const char *a, const char *b, size_t length)
{
	unsigned char difference = 0;

	for (size_t i = 0; i < length; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/* Tells whether a string that has the form of a JWT of ours names a key and is signed with it. */
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

/* Reads a uuid in the form in which PostgreSQL writes it; false for any other. */
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
 * Reads the organization of a string that has the form of a JWT of ours; false where its payload
 * does not begin as all of them do.  Who signed it is not looked at.
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
