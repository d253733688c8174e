/*
 * base64url.c
 *		Fuzzes base64url, in both directions.
 */
#include "postgres.h"

#include "jwt.h"
#include "stand_ins.h"

static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Tells whether all bytes are digits, in another way. */
static bool
are_digits(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
	{
		if (memchr(digits, data[i], 64) == NULL)
			return false;
	}
	return true;
}

/* Encodes bytes after other text, and compares each digit with its six bits. */
static void
check_append(const uint8_t *data, size_t size)
{
	StringInfoData string;
	size_t length = (size * 8 + 5) / 6;

	initStringInfo(&string);
	appendStringInfoString(&string, "eyJ");
	base64url_append(&string, data, size);
	CHECK((size_t) string.len == 3 + length && string.data[string.len] == '\0');
	CHECK(memcmp(string.data, "eyJ", 3) == 0);
	for (size_t i = 0; i < length; i++)
	{
		unsigned two = data[i * 6 / 8] << 8 | (i * 6 / 8 + 1 < size ? data[i * 6 / 8 + 1] : 0);

		CHECK(string.data[3 + i] == digits[two >> (10 - i * 6 % 8) & 63]);
	}
}

/* Decodes whole groups, which must be the same when they are encoded again. */
static void
check_read(const uint8_t *data, size_t size)
{
	size_t count = size / 4;
	char *bytes = palloc(3 * count);
	StringInfoData again;

	CHECK(base64url_has_only_digits((const char *) data, size) == are_digits(data, size));
	CHECK(base64url_read_groups(bytes, (const char *) data, count) ==
		  are_digits(data, 4 * count));
	if (!are_digits(data, 4 * count))
		return;
	initStringInfo(&again);
	base64url_append(&again, bytes, 3 * count);
	CHECK((size_t) again.len == 4 * count && memcmp(again.data, data, 4 * count) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_append(data, size);
	check_read(data, size);
	free_all();
	return 0;
}
