/*
 * base64url.c
 *		Base64url without padding: PostgreSQL's own base64 with two other digits; see base64url.h.
 */
#include "postgres.h"

#include "common/base64.h"

#include "base64url.h"

/* Appends bytes to a string, encoded. */
void
base64url_append(StringInfo to, const void *bytes, size_t length)
{
	int room = pg_b64_enc_len((int) length);
	char *at;
	int written;

	enlargeStringInfo(to, room + 1);
	at = to->data + to->len;
	written = pg_b64_encode(bytes, (int) length, at, room);
	Assert(written >= 0);
	while (written > 0 && at[written - 1] == '=')
		written--;
	for (int i = 0; i < written; i++)
	{
		if (at[i] == '+')
			at[i] = '-';
		else if (at[i] == '/')
			at[i] = '_';
	}
	at[written] = '\0';
	to->len += written;
}

/* Tells whether characters are all digits of base64url. */
bool
base64url_has_only_digits(const char *digits, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		char digit = digits[i];

		if (!(digit >= 'A' && digit <= 'Z') && !(digit >= 'a' && digit <= 'z') &&
			!(digit >= '0' && digit <= '9') && digit != '-' && digit != '_')
			return false;
	}
	return true;
}

/*
 * Decodes groups of four digits, which make three bytes each and have no bits to spare; false
 * where a character is no digit.
 */
bool
base64url_read_groups(void *bytes, const char *digits, size_t count)
{
	char *base64 = pnstrdup(digits, 4 * count);

	if (!base64url_has_only_digits(digits, 4 * count))
		return false;
	for (char *at = base64; *at != '\0'; at++)
	{
		if (*at == '-')
			*at = '+';
		else if (*at == '_')
			*at = '/';
	}
	return pg_b64_decode(base64, (int) (4 * count), bytes, (int) (3 * count)) ==
		(int) (3 * count);
}
