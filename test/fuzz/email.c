/*
 * email.c
 *		Fuzzes the form of e-mail addresses, in UTF-8 and where bytes beyond ASCII may be anything.
 *
 * What is UTF-8 is compared with what the C library takes for spaces and control characters.
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

/* The C library does not count spaces at which no line is broken. */
static bool
is_blank(wint_t character)
{
	return iswspace(character) || iswcntrl(character) || character == 0xA0 ||
		character == 0x2007 || character == 0x202F;
}

/* Tells whether a string is UTF-8 without blanks. */
static bool
is_without_blanks(const char *string, size_t length)
{
	bool result = true;
	mbstate_t state = {0};

	while (length > 0)
	{
		wchar_t character;
		size_t width = mbrtowc(&character, string, length, &state);

		/* The C library goes on beyond the last character that there is. */
		if (width > length || character > 0x10FFFF)
			return false;
		/* For zero the width is zero. */
		width = Max(width, 1);
		result = result && !is_blank(character);
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

/* Tells whether a string has bytes that are a blank in ASCII. */
static bool
has_ascii_blank(const char *string, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if ((unsigned char) string[i] <= ' ' || string[i] == 0x7F)
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *string = (const char *) data;
	bool possible = size > 0 && has_two_sides(string, size) && !has_ascii_blank(string, size);

	CHECK(email_has_form(string, size, false) == possible);
	CHECK(email_has_form(string, size, true) == (possible && is_without_blanks(string, size)));
	return 0;
}
