/*
 * session_jwt.c
 *		Customer sessions whose token is a JWT, which PostgREST accepts as well.
 *
 * Such a session has the same row as any other, with the hash of its whole token.  So a JWT that
 * somebody made who got hold of a key is of no session, and one whose session was ended is of none
 * either; what its claims say is never relied upon here.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "base64url.h"
#include "jwt.h"
#include "jwt_key.h"
#include "pgcrypto.h"
#include "request.h"
#include "session_jwt.h"
#include "settings.h"
#include "token.h"

#define JTI_BYTES 32

/* Returns a uuid in its usual form. */
static char *
uuid_string(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

/* Returns the whole seconds since 1970 of a moment, as a number in JSON. */
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
 * Makes the token of a session of a seat's customer; returns it in clear, in a memory context, and
 * its hash.  Inside SPI_connect() and SPI_finish().  Raises 55000 where there is no key.
 */
text *
session_jwt_issue(const SeatIds *seat, TimestampTz opened, TimestampTz expiry,
				  MemoryContext context, bytea **hash)
{
	const JwtKey *key = linitial(jwt_keys_to_sign());
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

/* Tells whether a token that has the form of a JWT of ours is signed with one of our keys. */
static bool
is_signed(const char *token, size_t length)
{
	bool result = false;
	ListCell *cell;

	SPI_connect();
	foreach (cell, jwt_keys_to_verify())
		result = result || jwt_is_signed_by(token, length, lfirst(cell));
	SPI_finish();
	return result;
}

/*
 * Reads a caller's token: false where it is no JWT that is signed with one of our keys, else its
 * hash.
 */
bool
session_jwt_read(const text *token, bytea **hash)
{
	const char *characters = VARDATA_ANY(token);
	size_t length = VARSIZE_ANY_EXHDR(token);

	if (!jwt_has_form(characters, length) || !is_signed(characters, length))
		return false;
	*hash = pgcrypto_sha256(characters, length);
	return true;
}

/*
 * Finds the route of a token: false where it has not the form of a JWT of ours.  Reads no table,
 * so it says nothing of who signed it.
 */
bool
session_jwt_route(const text *token, uint32 *route)
{
	pg_uuid_t organization_id;

	if (!jwt_has_form(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token)) ||
		!jwt_organization(VARDATA_ANY(token), &organization_id))
		return false;
	*route = organization_route(&organization_id);
	return true;
}

/* Tells whether all claims of a session's JWT are there, none longer than such a JWT can be. */
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
 * Tells whether PostgREST's request comes with a customer session's JWT, which is the one kind
 * that has a claim "seat", and gives the hashes that its token may have: one for each key, since
 * the claims do not name the key.  Signed with the right one they make the same token again.
 *
 * The request's headers have the token, too.  But there may be no headers, or two tokens in them.
 * Inside SPI_connect() and SPI_finish().
 */
bool
session_jwts_of_request(List **hashes)
{
	char *claims[JWT_CLAIMS];
	ListCell *cell;

	*hashes = NIL;
	request_read_claims(jwt_claim_names, claims, JWT_CLAIMS);
	if (claims[JWT_SEAT] == NULL)
		return false;
	if (!is_complete(claims))
		return true;
	foreach (cell, jwt_keys_to_verify())
	{
		char *jwt = jwt_make(lfirst(cell), (const char *const *) claims);

		*hashes = lappend(*hashes, pgcrypto_sha256(jwt, strlen(jwt)));
	}
	return true;
}
