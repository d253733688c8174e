/*
 * jwt.h
 *		The written form of a customer session's JWT.
 *
 * It is header.payload.signature, each in base64url: HS256, with the key's id in the header, and
 * the same claims in the same order always.  Nothing here reads a table.
 */
#ifndef SEATS_JWT_H
#define SEATS_JWT_H

#include "utils/uuid.h"

/* A key to sign with. */
typedef struct JwtKey
{
	const char *id; /* "kid" in the header: a uuid in its usual form */
	const bytea *secret;
} JwtKey;

/* The claims, in their order. */
typedef enum JwtClaim
{
	JWT_SUB,  /* the customer */
	JWT_ORG,  /* the organization */
	JWT_SEAT, /* the seat whose claim opened the session */
	JWT_ROLE, /* the role that PostgREST takes */
	JWT_IAT,  /* when the session was opened, in seconds since 1970 */
	JWT_EXP,  /* when it ends */
	JWT_JTI,  /* 256 random bits, so that nobody who has a key knows another's token */
	JWT_CLAIMS
} JwtClaim;

extern const char *const jwt_claim_names[JWT_CLAIMS];

/* No JWT of ours is longer, whatever the role. */
#define JWT_MAX_LENGTH 1024

extern bool jwt_looks_like_one(const char *token, size_t length);
extern char *jwt_make(const JwtKey *key, const char *const *claims);
extern bool jwt_has_form(const char *token, size_t length);
extern bool jwt_is_signed_by(const char *token, size_t length, const JwtKey *key);
extern bool jwt_organization(const char *token, pg_uuid_t *id);

#endif
