/*
 * token.c
 *		Issues tokens, reads those of callers, and derives routes.
 *
 * A token in clear is never given to SQL, not even as a parameter: PostgreSQL and its modules
 * log those.  Only the hash leaves this file, and the new token that a caller is given.
 */
#include "postgres.h"

#include "port/pg_bswap.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "counters.h"
#include "errors.h"
#include "export.h"
#include "pgcrypto.h"
#include "session_jwt.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_token_route);
PG_FUNCTION_INFO_V1(seats_organization_route);

/*
 * Reads a caller's token: false where it has not the form of one of this kind, else its route
 * and its hash, which is what tables hold.
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
 * Raises an error about what has not the form of a token; does not return.  Where it was pasted with
 * characters that no token has, the hint says so, without showing any of it.
 */
void
token_refuse(SeatsError error, const text *token)
{
	if (token_is_clean(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token)))
		raise_error(error);
	raise_error_with_hint(
		error,
		"There are characters in the token that no token has, such as spaces, line breaks, "
		"quotes or angle brackets, perhaps invisible ones; pass it without them.");
}

/*
 * Returns the hash of a token and an idempotency key beside it, so that equal keys of different
 * tokens cannot be told by it.
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
 * Issues a new token for an organization's route; returns it in clear, in a memory context of
 * the caller's choice, and its hash.
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
 * Returns an organization's route: the first four bytes, big-endian, of the SHA-256 of its id's
 * 16 bytes.
 */
uint32
organization_route(const pg_uuid_t *organization_id)
{
	bytea *hash = pgcrypto_sha256(organization_id->data, UUID_LEN);
	uint32 route;

	memcpy(&route, VARDATA(hash), sizeof(route));
	return pg_ntoh32(route);
}

/*
 * token_route(token text): the route that a token of any kind carries, the same bits as a
 * signed integer.  Raises PT400 for what is no token.  Reads no table.
 */
Datum
seats_token_route(PG_FUNCTION_ARGS)
{
	const text *token = PG_GETARG_TEXT_PP(0);
	const char *characters = VARDATA_ANY(token);
	size_t length = VARSIZE_ANY_EXHDR(token);
	uint32 route;

	counters_prepare();
	if (!token_parse(characters, length, TOKEN_INVITATION, &route) &&
		!token_parse(characters, length, TOKEN_SESSION, &route) &&
		!session_jwt_route(token, &route))
		token_refuse(INVITATION_INVALID, token);
	PG_RETURN_INT32((int32) route);
}

/*
 * organization_route(organization_id uuid): the route of an organization, which all its tokens
 * carry, the same bits as a signed integer.  Reads no table.
 */
Datum
seats_organization_route(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32((int32) organization_route(PG_GETARG_UUID_P(0)));
}
