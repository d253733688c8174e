/*
 * request.c
 *		Fuzzes the reading of PostgREST's settings.  PostgreSQL's own parser must find the same
 *		values.
 */
#include "postgres.h"

#include <strings.h>

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/guc.h"

#include "request.h"
#include "stand_ins.h"

/* The value of the setting. */
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

/* Since 16 the parser's callbacks return whether to continue. */
#if PG_VERSION_NUM >= 160000
#define CALLBACK_RESULT JsonParseErrorType
#define CALLBACK_RETURN return JSON_SUCCESS
#else
#define CALLBACK_RESULT void
#define CALLBACK_RETURN return
#endif

/* The search for one field by PostgreSQL's parser.  The value is NULL if it is not a scalar. */
typedef struct Oracle
{
	const char *name;
	bool is_header;
	int depth;
	bool named; /* the next value is the field's */
	char *value;
	JsonTokenType type;
} Oracle;

/* Callback: an object or array begins. */
static CALLBACK_RESULT
go_in(void *state)
{
	Oracle *oracle = state;

	if (oracle->depth++ == 1 && oracle->named)
		oracle->value = NULL;
	CALLBACK_RETURN;
}

/* Callback: an object or array ends. */
static CALLBACK_RESULT
go_out(void *state)
{
	((Oracle *) state)->depth--;
	CALLBACK_RETURN;
}

/* Callback: a field begins. */
static CALLBACK_RESULT
see_name(void *state, char *name, bool isnull pg_attribute_unused())
{
	Oracle *oracle = state;

	if (oracle->depth == 1)
		oracle->named = (oracle->is_header ? strcasecmp : strcmp)(name, oracle->name) == 0;
	CALLBACK_RETURN;
}

/* Callback: a value that is not an object or array. */
static CALLBACK_RESULT
see_scalar(void *state, char *value, JsonTokenType type)
{
	Oracle *oracle = state;

	if (oracle->depth == 1 && oracle->named)
	{
		oracle->value = value;
		oracle->type = type;
	}
	CALLBACK_RETURN;
}

/* Returns the value that PostgreSQL's parser finds, or NULL if its type is not wanted. */
static char *
expected_value(const char *name, bool is_header)
{
	Oracle oracle = {.name = name, .is_header = is_header};
	JsonSemAction actions = {
		.semstate = &oracle,
		.object_start = go_in,
		.object_end = go_out,
		.array_start = go_in,
		.array_end = go_out,
		.object_field_start = see_name,
		.scalar = see_scalar,
	};
	JsonLexContext *lexer;

	if (setting[strspn(setting, " \t\r\n")] != '{' ||
		pg_encoding_verifymbstr(PG_UTF8, setting, strlen(setting)) != (int) strlen(setting))
		return NULL;
#if PG_VERSION_NUM >= 170000
	lexer = makeJsonLexContextCstringLen(NULL, setting, strlen(setting), PG_UTF8, true);
#else
	lexer = makeJsonLexContextCstringLen(setting, (int) strlen(setting), PG_UTF8, true);
#endif
	if (pg_parse_json(lexer, &actions) != JSON_SUCCESS || oracle.value == NULL)
		return NULL;
	if (oracle.type == JSON_TOKEN_STRING || (oracle.type == JSON_TOKEN_NUMBER && !is_header))
		return oracle.value;
	return NULL;
}

/* Compares the values that were found with those that PostgreSQL's parser finds. */
static void
check_values(const char *const *names, char *const *values, bool is_header)
{
	for (int i = 0; i < 3; i++)
	{
		const char *expected = expected_value(names[i], is_header);

		CHECK((values[i] == NULL) == (expected == NULL));
		CHECK(expected == NULL || strcmp(values[i], expected) == 0);
	}
}

/* Reads the setting in both ways. */
static void
check_setting(void)
{
	static const char *const headers[] = {"idempotency-key", "x-forwarded-for", "user-agent"};
	static const char *const claims[] = {"sub", "seat", "iat"};
	char *values[3];

	request_read_headers(headers, values, 3);
	check_values(headers, values, true);
	request_read_jwt_claims(claims, values, 3);
	check_values(claims, values, false);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = pnstrdup((const char *) data, size);

	setting = input;
	check_setting();
	/* Nothing is found within a field or an array, and an earlier value is discarded. */
	setting = psprintf("{\"sub\": %s}", input);
	check_setting();
	setting = psprintf("{\"sub\": \"x\", \"SUB\": 1, \"sub\": [\"x\", %s]}", input);
	check_setting();
	setting = psprintf("{\"User-Agent\": \"x\", \"user-agent\": %s, \"sub\": 5}", input);
	check_setting();
	free_all();
	return 0;
}
