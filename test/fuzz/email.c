/*
 * email.c
 *		Fuzzes the form of e-mail addresses, in UTF-8 and in an unknown encoding.
 *
 * A string in UTF-8 is compared with the characters that the C library considers spaces and control
 * characters, and with a second list of invisible characters.
 */
#include "postgres.h"

#include <locale.h>
#include <wchar.h>
#include <wctype.h>

#include "email.h"
#include "stand_ins.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc pg_attribute_unused(), char ***argv pg_attribute_unused())
{
	CHECK(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
	return 0;
}

/*
 * Tells whether a character is a space or a control character for the C library, or one of the
 * spaces that it does not count because no line is broken there.
 */
static bool
is_blank(wint_t character)
{
	return iswspace(character) || iswcntrl(character) || character == 0xA0 ||
		character == 0x2007 || character == 0x202F;
}

/*
 * Tells whether no address has a character beyond ASCII: a blank, an invisible format character,
 * one that may be ignored, or U+2800, which looks like a blank.
 */
static bool
is_invisible(wint_t c)
{
	static const char *const formats =
		"600-605 61C 6DD 70F 890-891 8E2 110BD 110CD 13430-1343F 1BCA0-1BCA3 1D173-1D17A "
		"FFF9-FFFB 200B-200F 202A-202E 2060-2064 2066-206F FEFF AD E0001 E0020-E007F 180E";
	static const char *const ignorable =
		"34F 115F-1160 17B4-17B5 180B-180F 2065 3164 FE00-FE0F FFA0 FFF0-FFF8 E0000-E0FFF";
	const char *const lists[] = {formats, ignorable, "2800"};

	if (is_blank(c))
		return true;
	for (size_t i = 0; i < lengthof(lists); i++)
	{
		for (const char *at = lists[i]; at != NULL; at = strchr(at, ' '))
		{
			unsigned long first = strtoul(at, (char **) &at, 16);
			unsigned long last = *at == '-' ? strtoul(at + 1, (char **) &at, 16) : first;

			if (c >= first && c <= last)
				return true;
		}
	}
	return false;
}

/* Tells whether a string is UTF-8 without invisible characters. */
static bool
is_visible(const char *string, size_t length)
{
	bool result = true;
	mbstate_t state = {0};

	while (length > 0)
	{
		wchar_t character;
		size_t width = mbrtowc(&character, string, length, &state);

		/* The C library accepts characters beyond the last one of Unicode. */
		if (width > length || character > 0x10FFFF)
			return false;
		/* The width of a zero byte is zero. */
		width = Max(width, 1);
		result = result && !is_invisible(character);
		string += width;
		length -= width;
	}
	return result;
}

/* Tells whether a string has one @ with something on both sides. */
static bool
has_two_sides(const char *string, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += string[i] == '@';
	return count == 1 && string[0] != '@' && string[length - 1] != '@';
}

/* Tells whether a string has an ASCII character that no address has. */
static bool
has_ascii_of_none(const char *string, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if ((unsigned char) string[i] <= ' ' ||
			memchr("<>()[]\\,;:\"\x7F", string[i], 12) != NULL)
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *string = (const char *) data;
	bool possible = size > 0 && has_two_sides(string, size) &&
		!has_ascii_of_none(string, size);

	CHECK(email_has_form(string, size, false) == possible);
	CHECK(email_has_form(string, size, true) == (possible && is_visible(string, size)));
	return 0;
}
