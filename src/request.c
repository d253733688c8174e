/*
 * request.c
 *		The headers and JWT claims of the HTTP request for which PostgREST executes a statement.
 *
 * PostgREST passes them in settings, as JSON objects.  Without PostgREST the settings are absent or
 * empty, and any role may set them to anything.  A value that is not a JSON object is ignored.  No
 * function here raises an error, because it would quote the value, and headers contain secrets.
 *
 * PostgreSQL's lexer reads the tokens, but the grammar is implemented here: PostgreSQL's parser is
 * recursive, so it raises an error (54001) if objects and arrays are nested too deeply.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/guc.h"

#include "compat.h"
#include "request.h"

/* The settings, both JSON objects. */
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

/* What to look for, and how far the object has been read. */
typedef struct Search
{
	bool (*is_same_name)(const char *name, const char *wanted);
	const char *const *names;
	char **values;
	int count;
	bool numbers; /* are returned as well as strings */

	JsonLexContext *lexer;
	Expected expected;
	StringInfoData open; /* a bracket for each object or array around the next token */
	int current;		 /* the wanted field that the outermost object named last, or -1 */
} Search;

/* Compares the name of a header with one in lower case, ignoring the case of ASCII letters. */
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
 * Handles the name of a field.  If it is wanted, discards the value of an earlier field of this
 * name, because the last field counts.
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

/* Enters an object or array. */
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

/* Reads the next token; returns false if it is not valid. */
static bool
next_token(JsonLexContext *lexer)
{
	return json_lex(lexer) == JSON_SUCCESS;
}

/* Reads the setting; tells whether it consists of one JSON object. */
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
 * Tells whether a setting's value can be passed to the lexer.  PostgreSQL does not check the
 * encoding of settings in a connection's startup packet.  Before 16 the lexer raises an error for
 * an escape that the database's encoding lacks.
 */
static bool
is_readable(const char *json)
{
	if (json == NULL || json[0] == '\0' || !pg_verifymbstr(json, (int) strlen(json), true))
		return false;
	return !JSON_ESCAPES_MAY_RAISE || GetDatabaseEncoding() == PG_UTF8 ||
		strstr(json, "\\u") == NULL;
}

/*
 * Tells whether a setting may have a field of a wanted name.  Without a backslash there are no
 * escapes, and then a name is in it as it is, after a quote.  That is found out much faster than by
 * the lexer.
 */
static bool
may_have_field(const Search *search, const char *json)
{
	if (strchr(json, '\\') != NULL)
		return true;
	for (const char *quote = strchr(json, '"'); quote != NULL; quote = strchr(quote + 1, '"'))
	{
		for (int i = 0; i < search->count; i++)
		{
			if (pg_strncasecmp(quote + 1, search->names[i], strlen(search->names[i])) == 0)
				return true;
		}
	}
	return false;
}

/* Reads a setting; see request_read_headers() and request_read_jwt_claims(). */
static void
read_setting(const char *setting, Search search)
{
	const char *json = GetConfigOption(setting, true, false);

	memset(search.values, 0, search.count * sizeof(char *));
	if (!is_readable(json) || !may_have_field(&search, json))
		return;
	search.lexer = json_lexer_compat(json, strlen(json));
	initStringInfo(&search.open);
	if (!read_object(&search))
		memset(search.values, 0, search.count * sizeof(char *));
}

/*
 * Returns headers of the request, given their names in lower case.  A value is NULL if there is no
 * such header, or if the last one of that name, in upper or lower case, is not a string.
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
 * Returns JWT claims, given their exact names: strings, and numbers as they are written.  A value
 * is NULL if there is no such JWT claim, or if the last one of that name is neither.
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
