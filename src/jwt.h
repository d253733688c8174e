/*
 * jwt.h
 *		The JWTs of customer sessions, and the keys that sign them.
 *
 * A JWT is header.payload.signature, each part in base64url.  The algorithm is HS256, the header
 * contains the id of the key, and the payload always the same JWT claims in the same order.
 */
#ifndef SEATS_JWT_H
#define SEATS_JWT_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "event.h"

/* A signing key. */
typedef struct JwtKey
{
	const char *id; /* "kid" in the header: a uuid in its usual form */
	const bytea *secret;
	TimestampTz created_at; /* of a key that was read from the table */
} JwtKey;

/* The JWT claims, in their order. */
typedef enum JwtClaim
{
	JWT_SUB,  /* the customer */
	JWT_ORG,  /* the organization */
	JWT_SEAT, /* the seat whose claim opened the session */
	JWT_ROLE, /* the role that PostgREST switches to */
	JWT_IAT,  /* when the session was opened, in seconds since 1970 */
	JWT_EXP,  /* when it expires */
	JWT_JTI,  /* 256 random bits, which a holder of the key cannot guess */
	JWT_CLAIMS
} JwtClaim;

/* The JWT claims of PostgREST's request, and the keys that may have signed them, newest first. */
typedef struct RequestJwt
{
	char *claims[JWT_CLAIMS];
	List *keys;
} RequestJwt;

/* None of our JWTs is longer, whatever the role. */
#define JWT_MAX_LENGTH 1024

/* The written form.  None of these functions needs a running server. */
extern void base64url_append(StringInfo to, const void *bytes, size_t length);
extern bool base64url_has_only_digits(const char *digits, size_t length);
extern bool base64url_read_groups(void *bytes, const char *digits, size_t count);
extern char *uuid_string(const pg_uuid_t *id);
extern bool jwt_looks_like_one(const char *token, size_t length);
extern char *jwt_make(const JwtKey *key, const char *const *claims);
extern bool jwt_has_form(const char *token, size_t length);
extern bool jwt_is_signed_by(const char *token, size_t length, const JwtKey *key);
extern bool jwt_organization(const char *token, pg_uuid_t *id);

/* The tokens of sessions. */
extern text *jwt_issue(const SeatIds *seat, TimestampTz opened, TimestampTz expiry,
					   MemoryContext context, bytea **hash);
extern bool jwt_read(const text *token, bytea **hash);
extern bool jwt_route(const char *token, size_t length, uint32 *route);
extern bool jwt_of_request(RequestJwt *request);
extern bytea *jwt_request_hash(const RequestJwt *request, const JwtKey *key);

#endif
