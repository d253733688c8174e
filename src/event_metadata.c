/*
 * event_metadata.c
 *		Who caused an event, and from where: the PostgreSQL role, and over PostgREST the address
 *		and the user agent that the request came with.
 *
 * Both are headers, so whoever sends the request may write into them what he likes, a token too.
 * Of an address only what can be one is kept, and a user agent that may have a secret in it is
 * left out.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "event_metadata.h"
#include "request.h"
#include "token_format.h"

#define MAX_ADDRESS_LENGTH 45 /* INET6_ADDRSTRLEN without its terminator */
#define MAX_USER_AGENT_CHARACTERS 255

/*
 * Returns the address of the client, the first of X-Forwarded-For, or NULL where it can be none.
 * Proxies add their clients' at the end; what a client writes itself comes first, unless the
 * first proxy replaces it.
 */
static char *
client_address(char *forwarded_for)
{
	size_t length;

	if (forwarded_for == NULL)
		return NULL;
	forwarded_for += strspn(forwarded_for, " \t");
	length = strcspn(forwarded_for, ", \t");
	if (length == 0 || length > MAX_ADDRESS_LENGTH ||
		strspn(forwarded_for, "0123456789abcdefABCDEF.:") < length)
		return NULL;
	return pnstrdup(forwarded_for, length);
}

/*
 * Tells whether a string has as many digits of base62 or base64url without a break as the secret
 * of a token has, whatever is around them.
 */
static bool
may_hold_secret(const char *string)
{
	size_t run = 0;

	for (; *string != '\0' && run < TOKEN_SECRET_LENGTH; string++)
	{
		if (isalnum((unsigned char) *string) || *string == '-' || *string == '_')
			run++;
		else
			run = 0;
	}
	return run >= TOKEN_SECRET_LENGTH;
}

/* Returns the user agent, shortened if need be, or NULL where it may have a secret in it. */
static char *
clean_user_agent(char *user_agent)
{
	int length;

	if (user_agent == NULL || user_agent[0] == '\0' || may_hold_secret(user_agent))
		return NULL;
	length = (int) strlen(user_agent);
	return pnstrdup(user_agent,
					pg_mbcharcliplen(user_agent, length, MAX_USER_AGENT_CHARACTERS));
}

/* JSON that is being made. 19 has this type, and its pushJsonbValue() leaves the result there. */
#if PG_VERSION_NUM < 190000
typedef struct JsonbInState
{
	JsonbValue *result;
	JsonbParseState *parseState;
} JsonbInState;
#endif

/* Adds a part to JSON that is being made. */
static void
push(JsonbInState *json, JsonbIteratorToken token, JsonbValue *value)
{
#if PG_VERSION_NUM >= 190000
	pushJsonbValue(json, token, value);
#else
	json->result = pushJsonbValue(&json->parseState, token, value);
#endif
}

/* Adds a field to an object, unless its value is NULL. */
static void
add_field(JsonbInState *object, char *name, char *value)
{
	JsonbValue json = {.type = jbvString};

	if (value == NULL)
		return;
	json.val.string.val = name;
	json.val.string.len = (int) strlen(name);
	push(object, WJB_KEY, &json);
	json.val.string.val = value;
	json.val.string.len = (int) strlen(value);
	push(object, WJB_VALUE, &json);
}

/* Returns what events of the statement being executed say of their circumstances. */
Jsonb *
event_metadata(void)
{
	static const char *const headers[] = {"x-forwarded-for", "user-agent"};
	char *values[lengthof(headers)];
	JsonbInState object = {0};

	request_read_headers(headers, values, lengthof(headers));
	push(&object, WJB_BEGIN_OBJECT, NULL);
	/* The role that called, whatever function with another's rights it came through. */
	add_field(&object, "role", GetUserNameFromId(GetOuterUserId(), true));
	add_field(&object, "address", client_address(values[0]));
	add_field(&object, "user_agent", clean_user_agent(values[1]));
	push(&object, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(object.result);
}
