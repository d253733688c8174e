/*
 * token.c
 *		Fuzzes the written form of tokens.
 *
 * A second parser, written in another way, must give the same result: for an input as it comes; for
 * one with a corrected checksum, which does not happen by chance; and for tokens that are made
 * here, unchanged and with one character changed.
 */
#include "postgres.h"

#include "stand_ins.h"
#include "token.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char digits_of_any[] =
	"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.";
static const char *const prefixes[] = {"seats_inv_", "seats_cst_", "seats_jnl_"};

#define CHECKED_LENGTH (TOKEN_LENGTH - TOKEN_NUMBER_LENGTH)

/* Only the server has this table, so it is filled below. */
uint32 pg_crc32_table[256];

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc pg_attribute_unused(), char ***argv pg_attribute_unused())
{
	for (uint32 byte = 0; byte < 256; byte++)
	{
		uint32 entry = byte;

		for (int bit = 0; bit < 8; bit++)
			entry = entry >> 1 ^ (entry & 1 ? 0xEDB88320 : 0);
		pg_crc32_table[byte] = entry;
	}
	return 0;
}

/* Returns the CRC-32 of some bytes, computed bit by bit. */
static uint32
crc32(const char *bytes, size_t length)
{
	uint32 crc = 0xFFFFFFFF;

	for (size_t i = 0; i < 8 * length; i++)
	{
		bool bit = (unsigned char) bytes[i / 8] >> i % 8 & 1;

		crc = crc >> 1 ^ ((crc & 1) != bit ? 0xEDB88320 : 0);
	}
	return ~crc;
}

/* Reads six digits; returns false if they are not digits or exceed 32 bits. */
static bool
number_of(const char *string, uint64 *number)
{
	*number = 0;
	for (int i = 0; i < 6; i++)
	{
		const char *digit = memchr(digits, string[i], 62);

		if (digit == NULL)
			return false;
		*number = *number * 62 + (digit - digits);
	}
	return *number >> 32 == 0;
}

/* Returns the result that token_parse() should have. */
static bool
is_token(const char *string, size_t length, TokenKind kind, uint64 *route)
{
	uint64 check;

	if (length != 65 || strncmp(string, prefixes[kind], 10) != 0)
		return false;
	for (int i = 16; i < 59; i++)
	{
		if (memchr(digits, string[i], 62) == NULL)
			return false;
	}
	return number_of(string + 10, route) && number_of(string + 59, &check) &&
		check == crc32(string, 59);
}

/* Tells whether a string has only characters of tokens, and compares that with the C library. */
static bool
check_clean(const char *string, size_t length)
{
	bool result = token_is_clean(string, length);
	char *copy = pnstrdup(string, length);

	CHECK(result == (strlen(copy) == length && copy[strspn(copy, digits_of_any)] == '\0'));
	pfree(copy);
	return result;
}

/* Reads a string as each kind of token.  A token that is written again must be the same. */
static bool
check_parse(const char *string, size_t length)
{
	int accepted = 0;

	for (TokenKind kind = TOKEN_INVITATION; kind <= TOKEN_JOIN_LINK; kind++)
	{
		uint32 route = 0;
		uint64 expected = 0;
		bool result = token_parse(string, length, kind, &route);

		CHECK(result == is_token(string, length, kind, &expected));
		if (result)
		{
			char again[TOKEN_LENGTH];

			CHECK(route == expected);
			token_format(again, kind, route,
						 string + TOKEN_PREFIX_LENGTH + TOKEN_NUMBER_LENGTH);
			CHECK(memcmp(string, again, TOKEN_LENGTH) == 0);
			accepted++;
		}
	}
	CHECK(accepted <= 1);
	CHECK(check_clean(string, length) || accepted == 0);
	return accepted == 1;
}

/* Corrects the checksum of a token. */
static void
repair(char *token)
{
	uint32 check = crc32(token, CHECKED_LENGTH);

	for (int i = TOKEN_LENGTH - 1; i >= CHECKED_LENGTH; i--, check /= 62)
		token[i] = digits[check % 62];
}

/* Draws the digits of a secret from bytes; returns how many were drawn. */
static size_t
check_draw(char *secret, const uint8_t *data, size_t size)
{
	size_t drawn = token_draw_digits(secret, TOKEN_SECRET_LENGTH, data, size);
	size_t usable = 0;

	for (size_t i = 0; i < size; i++)
		usable += data[i] < 248;
	CHECK(drawn == Min(usable, TOKEN_SECRET_LENGTH));
	for (size_t i = 0; i < drawn; i++)
		CHECK(memchr(digits, secret[i], 62) != NULL);
	return drawn;
}

/* Makes a token from bytes, and reads it unchanged and with one character changed. */
static void
check_made(const uint8_t *data, size_t size)
{
	char secret[TOKEN_SECRET_LENGTH];
	char token[TOKEN_LENGTH];
	uint32 route;

	if (size < 7 || check_draw(secret, data + 7, size - 7) < TOKEN_SECRET_LENGTH)
		return;
	memcpy(&route, data, sizeof(route));
	token_format(token, data[4] % 3, route, secret);
	CHECK(check_parse(token, TOKEN_LENGTH));
	if (token[data[5] % TOKEN_LENGTH] == (char) data[6])
		return;
	token[data[5] % TOKEN_LENGTH] = (char) data[6];
	CHECK(!check_parse(token, TOKEN_LENGTH));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_parse((const char *) data, size);
	if (size >= CHECKED_LENGTH)
	{
		char *token = palloc(TOKEN_LENGTH);

		memcpy(token, data, CHECKED_LENGTH);
		repair(token);
		check_parse(token, TOKEN_LENGTH);
	}
	check_made(data, size);
	free_all();
	return 0;
}
