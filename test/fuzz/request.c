/*
 * request.c
 *		Fuzzes the reading of PostgREST's settings; PostgreSQL's own parser must find the same.
 */
#include "postgres.h"

#include <strings.h>

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

/* Since 16 the parser's callbacks say whether to go on. */
#if PG_VERSION_NUM >= 160000
#define CALLBACK_RESULT JsonParseErrorType
#define CALLBACK_RETURN return JSON_SUCCESS
#else
#define CALLBACK_RESULT void
#define CALLBACK_RETURN return
#endif

/* How PostgreSQL's parser finds one field, whose value is NULL where it is not a scalar. */
typedef struct Oracle
{
	const char *name;
	bool is_header;
	int depth;
	bool named; /* the value that comes next is the field's */
	char *value;
	JsonTokenType type;
} Oracle;

/* An object or array begins. */
static CALLBACK_RESULT
go_in(void *state)
{
	Oracle *oracle = state;

	if (oracle->depth++ == 1 && oracle->named)
		oracle->value = NULL;
	CALLBACK_RETURN;
}

/* An object or array ends. */
static CALLBACK_RESULT
go_out(void *state)
{
	((Oracle *) state)->depth--;
	CALLBACK_RETURN;
}

/* A field begins. */
static CALLBACK_RESULT
see_name(void *state, char *name, bool isnull pg_attribute_unused())
{
	Oracle *oracle = state;

	if (oracle->depth == 1)
		oracle->named = (oracle->is_header ? strcasecmp : strcmp)(name, oracle->name) == 0;
	CALLBACK_RETURN;
}

/* A value that is not an object or array. */
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

/* Returns the value that PostgreSQL's parser finds, or NULL where it is not of a wanted type. */
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

/* Compares what was found with what PostgreSQL's parser finds. */
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

/* Reads the setting both ways. */
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
	/* Within a field or a list nothing is found, and an earlier value is forgotten. */
	setting = psprintf("{\"sub\": %s}", input);
	check_setting();
	setting = psprintf("{\"sub\": \"x\", \"SUB\": 1, \"sub\": [\"x\", %s]}", input);
	check_setting();
	setting = psprintf("{\"User-Agent\": \"x\", \"user-agent\": %s, \"sub\": 5}", input);
	check_setting();
	free_all();
	return 0;
}
