/*
 * email.c
 *		The form of an e-mail address; see email.h.
 *
 * Whether an address is somebody's, only a message to it tells.  What is asked of its form is what
 * nobody's address lacks.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "email.h"

/* Tells whether a Unicode character is a space, a line separator or a control character. */
static bool
is_space_or_control(pg_wchar character)
{
	return character <= 0x20 || (character >= 0x7F && character <= 0xA0) ||
		character == 0x1680 || (character >= 0x2000 && character <= 0x200A) ||
		character == 0x2028 || character == 0x2029 || character == 0x202F ||
		character == 0x205F || character == 0x3000;
}

/* Tells whether a string has a space or a control character in ASCII. */
static bool
has_ascii_space_or_control(const char *string, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		unsigned char byte = string[i];

		if (byte < 0x80 && is_space_or_control(byte))
			return true;
	}
	return false;
}

/*
 * Tells whether a string in UTF-8 has a space or a control character, or something that is no
 * character, behind which one might hide.
 */
static bool
has_space_or_control(const char *string, size_t length)
{
	const unsigned char *at = (const unsigned char *) string;
	const unsigned char *end = at + length;

	while (at < end)
	{
		int width = pg_utf_mblen(at);

		if (width > end - at || !pg_utf8_islegal(at, width) ||
			is_space_or_control(utf8_to_unicode(at)))
			return true;
		at += width;
	}
	return false;
}

/* Tells whether a string has one @ with something on both sides. */
static bool
has_one_at(const char *string, size_t length)
{
	const char *end = string + length;
	const char *at = memchr(string, '@', length);

	return at != NULL && at > string && at < end - 1 &&
		memchr(at + 1, '@', end - (at + 1)) == NULL;
}

/*
 * Tells whether a string has the form of an e-mail address: one @ with something on both sides, no
 * space and no control character.  It is in UTF-8, or where it is not Unicode, in an encoding in
 * which nobody knows what the bytes beyond ASCII are: those pass.
 */
bool
email_has_form(const char *string, size_t length, bool unicode)
{
	return has_one_at(string, length) &&
		!(unicode ? has_space_or_control : has_ascii_space_or_control)(string, length);
}
