/*
 * request.c
 *		What PostgREST tells of the HTTP request that a statement comes from.
 *
 * PostgREST puts the headers and the JWT claims into settings, as JSON objects.  Without
 * it the settings are absent or empty, and any role may set them to anything.  A value that is
 * not an object in JSON says nothing.  It never raises an error, which would quote it, and
 * headers hold secrets.
 *
 * PostgreSQL's lexer reads the tokens, and the grammar is here: PostgreSQL's parser calls itself
 * for each object and array, so it raises an error (54001) when they are nested too deeply.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/guc.h"

#include "compat.h"
#include "request.h"

/* The settings, JSON objects both. */
#define HEADERS "request.headers"
#define JWT_CLAIMS "request.jwt.claims"

/* What may come next in the JSON. */
typedef enum Expected
{
	A_NAME,
	A_NAME_OR_END,
	A_COLON,
	A_VALUE,
	A_VALUE_OR_END,
	A_COMMA_OR_END
} Expected;

/* What is looked for, and how far the object has been read. */
typedef struct Search
{
	bool (*is_same_name)(const char *name, const char *wanted);
	const char *const *names;
	char **values;
	int count;
	bool numbers; /* are wanted as well as strings */

	JsonLexContext *lexer;
	Expected expected;
	StringInfoData open; /* a bracket for each object and array around what comes next */
	int current;		 /* the field of the outermost object that was named last, or -1 */
} Search;

/* Compares the name of a header with one in lower case; only the case of ASCII is ignored. */
static bool
is_same_header(const char *name, const char *wanted)
{
	while (*name != '\0' && (char) pg_ascii_tolower((unsigned char) *name) == *wanted)
	{
		name++;
		wanted++;
	}
	return *name == *wanted;
}

/* Compares the names of JWT claims. */
static bool
is_same_jwt_claim(const char *name, const char *wanted)
{
	return strcmp(name, wanted) == 0;
}

/*
 * Handles the name of a field.  If it is wanted, the value that an earlier field of this name had
 * is forgotten, whatever comes now: the last field counts.
 */
static void
see_name(Search *search)
{
	if (search->open.len > 1)
		return;
	search->current = -1;
	for (int i = 0; i < search->count; i++)
	{
		if (!search->is_same_name(search->lexer->strval->data, search->names[i]))
			continue;
		search->current = i;
		search->values[i] = NULL;
	}
}

/* Handles a value that is not an object or array: keeps it if it is wanted. */
static void
see_scalar(Search *search, JsonTokenType token)
{
	JsonLexContext *lexer = search->lexer;

	if (search->open.len > 1 || search->current < 0)
		return;
	if (token == JSON_TOKEN_STRING)
		search->values[search->current] = pstrdup(lexer->strval->data);
	else if (token == JSON_TOKEN_NUMBER && search->numbers)
		search->values[search->current] = pnstrdup(
			lexer->token_start, lexer->token_terminator - lexer->token_start);
}

/* Goes into an object or array. */
static bool
go_in(Search *search, char bracket, Expected expected)
{
	appendStringInfoChar(&search->open, bracket);
	search->expected = expected;
	return true;
}

/* Leaves the innermost object or array; returns false if the token does not end it. */
static bool
go_out(Search *search, JsonTokenType token)
{
	char bracket = search->open.data[--search->open.len];

	search->expected = A_COMMA_OR_END;
	return token == (bracket == '{' ? JSON_TOKEN_OBJECT_END : JSON_TOKEN_ARRAY_END);
}

/* Handles the first token of a value; returns false if no value begins with it. */
static bool
take_value(Search *search, JsonTokenType token)
{
	switch (token)
	{
		case JSON_TOKEN_OBJECT_START:
			return go_in(search, '{', A_NAME_OR_END);
		case JSON_TOKEN_ARRAY_START:
			return go_in(search, '[', A_VALUE_OR_END);
		case JSON_TOKEN_STRING:
		case JSON_TOKEN_NUMBER:
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
		case JSON_TOKEN_NULL:
			see_scalar(search, token);
			search->expected = A_COMMA_OR_END;
			return true;
		default:
			return false;
	}
}

/* Handles a token within the object; returns false if it may not come here. */
static bool
take_token(Search *search, JsonTokenType token)
{
	char innermost = search->open.data[search->open.len - 1];

	switch (search->expected)
	{
		case A_NAME_OR_END:
			if (token == JSON_TOKEN_OBJECT_END)
				return go_out(search, token);
			/* FALLTHROUGH */
		case A_NAME:
			if (token != JSON_TOKEN_STRING)
				return false;
			see_name(search);
			search->expected = A_COLON;
			return true;
		case A_COLON:
			search->expected = A_VALUE;
			return token == JSON_TOKEN_COLON;
		case A_VALUE_OR_END:
			if (token == JSON_TOKEN_ARRAY_END)
				return go_out(search, token);
			/* FALLTHROUGH */
		case A_VALUE:
			return take_value(search, token);
		case A_COMMA_OR_END:
			if (token != JSON_TOKEN_COMMA)
				return go_out(search, token);
			search->expected = innermost == '{' ? A_NAME : A_VALUE;
			return true;
	}
	return false;
}

/* Reads the next token; returns false if there is none in the JSON. */
static bool
next_token(JsonLexContext *lexer)
{
	return json_lex(lexer) == JSON_SUCCESS;
}

/* Reads a string; returns whether it is an object in JSON, and nothing else. */
static bool
read_object(Search *search)
{
	if (!next_token(search->lexer) || search->lexer->token_type != JSON_TOKEN_OBJECT_START)
		return false;
	go_in(search, '{', A_NAME_OR_END);
	while (search->open.len > 0)
	{
		if (!next_token(search->lexer) || !take_token(search, search->lexer->token_type))
			return false;
	}
	return next_token(search->lexer) && search->lexer->token_type == JSON_TOKEN_END;
}

/*
 * Tells whether a setting's value can be given to the lexer.  PostgreSQL does not check the
 * encoding of settings that come with a connection.  Before 16 the lexer raises an error where
 * an escape names a character that the database's encoding lacks.
 */
static bool
is_readable(const char *json)
{
	if (json == NULL || json[0] == '\0' || !pg_verifymbstr(json, (int) strlen(json), true))
		return false;
	return !JSON_ESCAPES_MAY_RAISE || GetDatabaseEncoding() == PG_UTF8 ||
		strstr(json, "\\u") == NULL;
}

/* Does what request_read_headers() or request_read_jwt_claims() says. */
static void
read_setting(const char *setting, Search search)
{
	const char *json = GetConfigOption(setting, true, false);

	memset(search.values, 0, search.count * sizeof(char *));
	if (!is_readable(json))
		return;
	search.lexer = json_lexer_compat(json, strlen(json));
	initStringInfo(&search.open);
	if (!read_object(&search))
		memset(search.values, 0, search.count * sizeof(char *));
}

/*
 * Finds headers of the request by their names in lower case.  A value is NULL where there is no
 * such header, or where the last one of the name, whatever its case, is not a string.
 */
void
request_read_headers(const char *const *names, char **values, int count)
{
	read_setting(HEADERS,
				 (Search){.is_same_name = is_same_header,
						  .names = names,
						  .values = values,
						  .count = count,
						  .current = -1});
}

/*
 * Finds JWT claims by their exact names: strings, and numbers as they are written.  A value
 * is NULL where there is no such JWT claim, or where the last one of the name is neither.
 */
void
request_read_jwt_claims(const char *const *names, char **values, int count)
{
	read_setting(JWT_CLAIMS,
				 (Search){.is_same_name = is_same_jwt_claim,
						  .names = names,
						  .values = values,
						  .count = count,
						  .numbers = true,
						  .current = -1});
}
