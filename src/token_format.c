/*
 * token_format.c
 *		Writes and reads the written form of a token; see token_format.h.
 */
#include "postgres.h"

#include "utils/pg_crc.h"

#include "token_format.h"

#define BASE 62

static const char base62_digits[BASE + 1] =
	"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const char *const prefixes[] = {
	[TOKEN_INVITATION] = "seats_inv_",
	[TOKEN_SESSION] = "seats_cst_",
};

/* Tells whether a string has no character that cannot be in a token of any kind. */
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

/* Returns the value of a base62 digit, or -1 where it is none. */
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

/* Reads what write_number() wrote; false where it could not have written that. */
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

/* Returns the CRC-32 (zlib's) of a token up to its check digits. */
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
 * Turns random bytes into at most "wanted" base62 digits and returns how many it made.  Bytes of
 * 248 (the largest multiple of 62) and over are passed over, so that every digit is as likely
 * as any other.
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
 * Tells whether a string has the form of a token of this kind, checksum included, and what its
 * route is.  That it has says nothing of whether anybody issued it.
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
