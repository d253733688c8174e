/*
 * token.h
 *		Opaque tokens, routes, and the functions of pgcrypto.
 */
#ifndef SEATS_TOKEN_H
#define SEATS_TOKEN_H

#include "utils/uuid.h"

#include "errors.h"

#define TOKEN_PREFIX_LENGTH 10
#define TOKEN_NUMBER_LENGTH 6  /* base62 digits of a 32-bit number */
#define TOKEN_SECRET_LENGTH 43 /* 62^43 is a little over 2^256 */
#define TOKEN_LENGTH \
	(TOKEN_PREFIX_LENGTH + TOKEN_NUMBER_LENGTH + TOKEN_SECRET_LENGTH + TOKEN_NUMBER_LENGTH)

typedef enum TokenKind
{
	TOKEN_INVITATION,
	TOKEN_SESSION,
	TOKEN_JOIN_LINK
} TokenKind;

/*
 * Tells whether a character may be in a token of any kind, including JWTs.  Characters that are
 * often pasted with a token may not: blanks, line breaks, quotes, brackets, an encoded line break,
 * and in every encoding all that is not ASCII.
 */
static inline bool
token_may_have(char character)
{
	return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
		(character >= 'a' && character <= 'z') || character == '_' || character == '-' ||
		character == '.';
}

/* The written form.  None of these functions needs a running server. */
extern bool token_is_clean(const char *string, size_t length);
extern size_t token_draw_digits(char *digits, size_t wanted, const uint8 *random,
								size_t available);
extern void token_format(char *token, TokenKind kind, uint32 route, const char *secret);
extern bool token_parse(const char *token, size_t length, TokenKind kind, uint32 *route);

/* pgcrypto. */
extern bytea *pgcrypto_sha256(const void *data, size_t length);
extern bytea *pgcrypto_hmac_sha256(const void *data, size_t length, const bytea *key);
extern void pgcrypto_random(uint8 *bytes, size_t count);

/* Tokens. */
extern _Noreturn void token_refuse(SeatsError error, const text *token);
extern bool token_read(const text *token, TokenKind kind, uint32 *route, bytea **hash);
extern bytea *token_hash_with(const text *token, const text *key);
extern text *token_issue(TokenKind kind, uint32 route, MemoryContext context, bytea **hash);
extern uint32 organization_route(const pg_uuid_t *organization_id);

#endif
