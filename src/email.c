/*
 * email.c
 *		The form of e-mail addresses.
 *
 * Only a message to an address shows whether the address exists.  Its form is checked only for what
 * no existing address lacks.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "email.h"

/*
 * The characters that no address has, in order: those of Unicode's categories Cc, Cf, Zs, Zl and
 * Zp, those with the property Default_Ignorable_Code_Point, U+2800, which looks like a blank, and
 * those that separate or enclose addresses in lists.  This is Unicode 15; 16 and 17 do not differ
 * here.  The constraint seats.customers_email_check has the same list.
 */
static const struct
{
	pg_wchar first;
	pg_wchar last;
} forbidden[] = {
	{0x00, 0x20},		/* controls, space */
	{'"', '"'},			/* around a local part that needs quotes, or pasted with the address */
	{'(', ')'},			/* around comments */
	{',', ','},			/* between addresses */
	{':', '<'},			/* : of mailto:, ; between addresses, < before one */
	{'>', '>'},			/* after one */
	{'[', ']'},			/* [ ] around the number of a host, and the backslash */
	{0x7F, 0xA0},		/* DEL, controls, no-break space */
	{0xAD, 0xAD},		/* soft hyphen */
	{0x034F, 0x034F},	/* combining grapheme joiner */
	{0x0600, 0x0605},	/* Arabic number signs */
	{0x061C, 0x061C},	/* Arabic letter mark */
	{0x06DD, 0x06DD},	/* Arabic end of ayah */
	{0x070F, 0x070F},	/* Syriac abbreviation mark */
	{0x0890, 0x0891},	/* Arabic currency signs */
	{0x08E2, 0x08E2},	/* Arabic disputed end of ayah */
	{0x115F, 0x1160},	/* Hangul fillers */
	{0x1680, 0x1680},	/* Ogham space */
	{0x17B4, 0x17B5},	/* Khmer inherent vowels */
	{0x180B, 0x180F},	/* Mongolian variation selectors */
	{0x2000, 0x200F},	/* spaces, zero-width characters, direction marks */
	{0x2028, 0x202F},	/* separators, embeddings and overrides, narrow no-break space */
	{0x205F, 0x206F},	/* mathematical space, word joiner, isolates and the like */
	{0x2800, 0x2800},	/* blank Braille pattern */
	{0x3000, 0x3000},	/* ideographic space */
	{0x3164, 0x3164},	/* Hangul filler */
	{0xFE00, 0xFE0F},	/* variation selectors */
	{0xFEFF, 0xFEFF},	/* byte order mark */
	{0xFFA0, 0xFFA0},	/* halfwidth Hangul filler */
	{0xFFF0, 0xFFFB},	/* reserved, interlinear annotations */
	{0x110BD, 0x110BD}, /* Kaithi number sign */
	{0x110CD, 0x110CD}, /* Kaithi number sign above */
	{0x13430, 0x1343F}, /* Egyptian hieroglyph format controls */
	{0x1BCA0, 0x1BCA3}, /* shorthand format controls */
	{0x1D173, 0x1D17A}, /* musical format controls */
	{0xE0000, 0xE0FFF}, /* tags, variation selectors, reserved */
};

/* Tells whether a Unicode character is one that no address has. */
static bool
is_forbidden(pg_wchar character)
{
	size_t low = 0;
	size_t high = lengthof(forbidden);

	while (low < high)
	{
		size_t middle = (low + high) / 2;

		if (character > forbidden[middle].last)
			low = middle + 1;
		else if (character < forbidden[middle].first)
			high = middle;
		else
			return true;
	}
	return false;
}

/* Tells whether a string has a forbidden ASCII character. */
static bool
has_forbidden_ascii(const char *string, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		unsigned char byte = string[i];

		if (byte < 0x80 && is_forbidden(byte))
			return true;
	}
	return false;
}

/*
 * Tells whether a string in UTF-8 has a forbidden character or invalid bytes, which might hide one.
 */
static bool
has_forbidden(const char *string, size_t length)
{
	const unsigned char *at = (const unsigned char *) string;
	const unsigned char *end = at + length;

	while (at < end)
	{
		int width = pg_utf_mblen(at);

		if (width > end - at || !pg_utf8_islegal(at, width) ||
			is_forbidden(utf8_to_unicode(at)))
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
 * Tells whether a string has the form of an e-mail address: one @ with something on both sides, and
 * no character that is invisible or separates addresses.  If "unicode" is false, the string is not
 * in UTF-8, and any bytes beyond ASCII are accepted.
 */
bool
email_has_form(const char *string, size_t length, bool unicode)
{
	return has_one_at(string, length) &&
		!(unicode ? has_forbidden : has_forbidden_ascii)(string, length);
}
