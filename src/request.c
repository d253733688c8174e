/*
 * request.c
 *		What PostgREST tells of the HTTP request that a statement comes from.
 *
 * PostgREST puts the headers and the claims of the JWT into settings, as JSON objects.  Without
 * it the settings are absent or empty, and any role may set them to anything: what is no such
 * object says nothing, and is never an error, which would quote it, and headers hold secrets.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/guc.h"

#include "request.h"

/* Since 16 the parser's callbacks say whether to go on. */
#if PG_VERSION_NUM >= 160000
#define CALLBACK_RESULT JsonParseErrorType
#define CALLBACK_RETURN return JSON_SUCCESS
#else
#define CALLBACK_RESULT void
#define CALLBACK_RETURN return
#endif

/* What is looked for, and where in the object the parser is. */
typedef struct Search
{
	const char *const *names;
	char **values;
	int count;
	bool numbers; /* are wanted as well as strings */
	int depth;	  /* of objects and arrays around what comes next */
	int current;  /* the field whose value comes next, or -1 */
} Search;

/* An object or array begins. */
static CALLBACK_RESULT
go_in(void *state)
{
	((Search *) state)->depth++;
	CALLBACK_RETURN;
}

/* An object or array ends. */
static CALLBACK_RESULT
go_out(void *state)
{
	((Search *) state)->depth--;
	CALLBACK_RETURN;
}

/* A field begins: is it one that is looked for?  Names of headers have no case. */
static CALLBACK_RESULT
see_field(void *state, char *name, bool isnull pg_attribute_unused())
{
	Search *search = state;

	search->current = -1;
	for (int i = 0; i < search->count && search->depth == 1; i++)
	{
		if (pg_strcasecmp(name, search->names[i]) == 0)
			search->current = i;
	}
	CALLBACK_RETURN;
}

/* A value that is no object or array: it is kept if it is wanted and of a field looked for. */
static CALLBACK_RESULT
see_scalar(void *state, char *value, JsonTokenType type)
{
	Search *search = state;
	bool wanted = type == JSON_TOKEN_STRING || (search->numbers && type == JSON_TOKEN_NUMBER);

	if (search->depth == 1 && search->current >= 0)
		search->values[search->current] = wanted ? value : NULL;
	CALLBACK_RETURN;
}

/* Returns the state of a parser for a string. */
static JsonLexContext *
start_parser(char *json)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, strlen(json), GetDatabaseEncoding(), true);
#else
	return makeJsonLexContextCstringLen(json, (int) strlen(json), GetDatabaseEncoding(), true);
#endif
}

/*
 * Tells whether a setting's value can be given to the parser.  PostgreSQL does not check the
 * encoding of settings that come with a connection.  Before 16 the parser raises an error where
 * an escape names a character that the database's encoding lacks.
 */
static bool
is_readable(const char *json)
{
	if (json == NULL || json[0] == '\0' || !pg_verifymbstr(json, (int) strlen(json), true))
		return false;
#if PG_VERSION_NUM < 160000
	if (GetDatabaseEncoding() != PG_UTF8 && strstr(json, "\\u") != NULL)
		return false;
#endif
	return true;
}

/* Does what request_read() or request_read_claims() says. */
static void
read_setting(const char *setting, Search search)
{
	const char *json = GetConfigOption(setting, true, false);
	JsonSemAction actions = {
		.semstate = &search,
		.object_start = go_in,
		.object_end = go_out,
		.array_start = go_in,
		.array_end = go_out,
		.object_field_start = see_field,
		.scalar = see_scalar,
	};

	memset(search.values, 0, search.count * sizeof(char *));
	if (!is_readable(json))
		return;
	if (pg_parse_json(start_parser(pstrdup(json)), &actions) != JSON_SUCCESS)
		memset(search.values, 0, search.count * sizeof(char *));
}

/*
 * Finds strings by name in the object that one of PostgREST's settings holds; a value is NULL
 * where there is none.
 */
void
request_read(const char *setting, const char *const *names, char **values, int count)
{
	read_setting(setting,
				 (Search){.names = names, .values = values, .count = count, .current = -1});
}

/* Finds strings and numbers, as they are written, in the claims of the JWT. */
void
request_read_claims(const char *const *names, char **values, int count)
{
	read_setting(
		REQUEST_CLAIMS,
		(Search){
			.names = names, .values = values, .count = count, .numbers = true, .current = -1});
}
