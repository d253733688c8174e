/*
 * request.c
 *		Fuzzes the reading of PostgREST's settings, with PostgreSQL's own parser of JSON.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/guc.h"

#include "request.h"
#include "stand_ins.h"

/* What the setting holds. */
static char *setting;

const char *
GetConfigOption(const char *name pg_attribute_unused(), bool missing_ok pg_attribute_unused(),
				bool restrict_privileged pg_attribute_unused())
{
	return setting;
}

bool
pg_verifymbstr(const char *string, int length, bool no_error)
{
	CHECK(no_error);
	return pg_encoding_verifymbstr(PG_UTF8, string, length) == length;
}

/* Tells whether the setting is an object in JSON. */
static bool
is_object(void)
{
	JsonLexContext *lexer;
#if PG_VERSION_NUM >= 170000
	lexer = makeJsonLexContextCstringLen(NULL, setting, strlen(setting), PG_UTF8, true);
#else
	lexer = makeJsonLexContextCstringLen(setting, (int) strlen(setting), PG_UTF8, true);
#endif
	return setting[strspn(setting, " \t\r\n")] == '{' &&
		pg_encoding_verifymbstr(PG_UTF8, setting, strlen(setting)) == (int) strlen(setting) &&
		pg_parse_json(lexer, &nullSemAction) == JSON_SUCCESS;
}

/* A value is part of an object; it is a string, or where numbers are wanted perhaps one. */
static void
check_values(char *const *values, int count)
{
	for (int i = 0; i < count; i++)
	{
		int length = values[i] == NULL ? 0 : (int) strlen(values[i]);

		if (values[i] == NULL)
			continue;
		CHECK(is_object());
		CHECK(length < (int) strlen(setting));
		CHECK(pg_encoding_verifymbstr(PG_UTF8, values[i], length) == length);
	}
}

/* Within a field or a list, nothing is found. */
static void
check_within(const char *form, const char *const *names)
{
	char *values[3];

	setting = psprintf(form, setting);
	request_read_claims(names, values, 3);
	for (int i = 0; i < 3; i++)
		CHECK(values[i] == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const headers[] = {"idempotency-key", "x-forwarded-for", "user-agent"};
	static const char *const claims[] = {"sub", "seat", "iat"};
	char *values[3];
	char *claimed[3];

	setting = pnstrdup((const char *) data, size);
	request_read("request.headers", headers, values, 3);
	check_values(values, 3);
	request_read("request.jwt.claims", claims, values, 3);
	check_values(values, 3);
	request_read_claims(claims, claimed, 3);
	check_values(claimed, 3);
	for (int i = 0; i < 3; i++)
		CHECK(values[i] == NULL || (claimed[i] != NULL && strcmp(values[i], claimed[i]) == 0));
	if (is_object())
	{
		check_within("{\"sub\": %s}", claims);
		check_within("{\"sub\": [\"x\", %s]}", claims);
	}
	free_all();
	return 0;
}
