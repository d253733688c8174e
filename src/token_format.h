/*
 * token_format.h
 *		The written form of a token.
 *
 * A token is a prefix that tells its kind, 6 base62 digits of the organization's route, 43 of
 * the secret, and 6 of the CRC-32 of all before them.  Base62 digits are 0-9A-Za-z, most
 * significant first.  Nothing here needs a running server.
 */
#ifndef SEATS_TOKEN_FORMAT_H
#define SEATS_TOKEN_FORMAT_H

#define TOKEN_PREFIX_LENGTH 10
#define TOKEN_NUMBER_LENGTH 6  /* base62 digits of a 32-bit number */
#define TOKEN_SECRET_LENGTH 43 /* 62^43 is a little over 2^256 */
#define TOKEN_LENGTH \
	(TOKEN_PREFIX_LENGTH + TOKEN_NUMBER_LENGTH + TOKEN_SECRET_LENGTH + TOKEN_NUMBER_LENGTH)

typedef enum TokenKind
{
	TOKEN_INVITATION,
	TOKEN_SESSION
} TokenKind;

/*
 * Tells whether a character may be in a token of any kind, JWTs included.  What tokens are pasted
 * with may not: blanks, line breaks, quotes, brackets, an encoded line break, and in every encoding
 * all that is not ASCII.
 */
static inline bool
token_may_have(char character)
{
	return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
		(character >= 'a' && character <= 'z') || character == '_' || character == '-' ||
		character == '.';
}

extern bool token_is_clean(const char *string, size_t length);
extern size_t token_draw_digits(char *digits, size_t wanted, const uint8 *random,
								size_t available);
extern void token_format(char *token, TokenKind kind, uint32 route, const char *secret);
extern bool token_parse(const char *token, size_t length, TokenKind kind, uint32 *route);

#endif
