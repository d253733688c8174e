/*
 * http_body.c
 *		Reading what an HTTP request says, and finding all that is wrong with it.
 *
 * What is accepted, and the messages and types of faults, are FastAPI's and pydantic's, which the
 * HTTP contract's service uses; but no fault repeats what the caller wrote.  Fields that we do not
 * know are ignored.  A field is JSON's null where it may be left out: that is the same.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "http_body.h"
#include "subtransaction.h"

/* A body that is parsed, and what came of it. */
typedef struct Parse
{
	const bytea *body;
	Jsonb *json;
} Parse;

/* Parses a body, or raises one of the errors that is_no_json() expects. */
static void
parse(void *state)
{
	Parse *parse = state;
	char *string = text_to_cstring((const text *) parse->body);
	int length = (int) VARSIZE_ANY_EXHDR(parse->body);

	/* By the length, so that a zero byte does not pass for the end. */
	string = pg_any_to_server(string, length, PG_UTF8);
	parse->json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(string)));
}

/* Tells whether an error says that some bytes are no JSON, or none that jsonb can hold. */
static bool
is_no_json(const ErrorData *error)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_CHARACTER_NOT_IN_REPERTOIRE: /* not UTF-8 */
		case ERRCODE_INVALID_TEXT_REPRESENTATION: /* not JSON */
		case ERRCODE_UNTRANSLATABLE_CHARACTER:	  /* zero, or one that the database lacks */
		case ERRCODE_FEATURE_NOT_SUPPORTED:		  /* an escape, in SQL_ASCII */
		case ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED: /* too long */
		case ERRCODE_STATEMENT_TOO_COMPLEX:	 /* nested too deeply */
			return true;
		default:
			return false;
	}
}

/*
 * Returns the JSON that the bytes of a body are, or NULL where they are none.  That is found out in
 * a subtransaction: the parser raises errors, which quote the body, and they must not get into
 * the log.
 */
Jsonb *
http_parse_body(const bytea *body)
{
	Parse state = {.body = body};

	if (subtransaction_run(parse, &state, is_no_json) != NULL)
		return NULL;
	return state.json;
}

/* Tells whether JSON is null, as a whole. */
static bool
is_null(const Jsonb *json)
{
	JsonbValue value;

	return JB_ROOT_IS_SCALAR(json) &&
		JsonbExtractScalar((JsonbContainer *) &json->root, &value) && value.type == jbvNull;
}

/* Tells whether a body is an object; adds a fault where it is something else, or none at all. */
bool
http_check_body(const Jsonb *body, Faults *faults)
{
	if (body == NULL)
		fault_add(faults, NULL, "JSON decode error", "json_invalid");
	else if (is_null(body))
		fault_add(faults, NULL, "Field required", "missing");
	else if (!JB_ROOT_IS_OBJECT(body))
		fault_add(faults, NULL,
				  "Input should be a valid dictionary or object to extract fields from",
				  "model_attributes_type");
	else
		return true;
	return false;
}

/* Returns a field of an object, or NULL where it has none. */
static const JsonbValue *
find_field(const Jsonb *body, const char *name)
{
	return getKeyJsonValueFromContainer((JsonbContainer *) &body->root, name,
										(int) strlen(name), NULL);
}

/* Returns a field of an object, or NULL where it has none or that is null. */
static const JsonbValue *
find_value(const Jsonb *body, const char *name)
{
	const JsonbValue *value = find_field(body, name);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* Tells whether an object has a field that is not null, whatever it is. */
bool
http_has_field(const Jsonb *body, const char *name)
{
	return find_value(body, name) != NULL;
}

/* Returns a string of JSON as text; adds a fault where the value is none. */
static NullableDatum
read_string(const JsonbValue *value, const char *name, Faults *faults)
{
	NullableDatum result = {.isnull = true};

	if (value->type != jbvString)
	{
		fault_add(faults, name, "Input should be a valid string", "string_type");
		return result;
	}
	result.value = PointerGetDatum(
		cstring_to_text_with_len(value->val.string.val, value->val.string.len));
	result.isnull = false;
	return result;
}

/* Returns a field that is a token; adds a fault where it is missing, no string, empty, over-long. */
const text *
http_token_field(const Jsonb *body, const char *name, Faults *faults)
{
	const JsonbValue *value = find_field(body, name);
	NullableDatum token;

	if (value == NULL)
	{
		fault_add(faults, name, "Field required", "missing");
		return NULL;
	}
	token = read_string(value, name, faults);
	if (token.isnull)
		return NULL;
	check_token_text(faults, DatumGetTextPP(token.value), name);
	return DatumGetTextPP(token.value);
}

/* Returns a field that is a string or may be left out; adds a fault where it is something else. */
NullableDatum
http_text_field(const Jsonb *body, const char *name, Faults *faults)
{
	const JsonbValue *value = find_value(body, name);

	if (value == NULL)
		return (NullableDatum){.isnull = true};
	return read_string(value, name, faults);
}

/* Returns the uuid that a string is, with hyphens in their places or none; adds a fault else. */
static NullableDatum
read_uuid(const char *string, const char *name, Faults *faults)
{
	NullableDatum result = {.isnull = true};
	size_t length = strlen(string);

	if (!is_uuid(string) &&
		!(length == 2 * UUID_LEN && strspn(string, "0123456789abcdefABCDEF") == length))
	{
		fault_add(faults, name, "Input should be a valid UUID", "uuid_parsing");
		return result;
	}
	result.value = DirectFunctionCall1(uuid_in, CStringGetDatum(string));
	result.isnull = false;
	return result;
}

/* Returns a field that is a uuid or may be left out; adds a fault where it is something else. */
NullableDatum
http_uuid_field(const Jsonb *body, const char *name, Faults *faults)
{
	const JsonbValue *value = find_value(body, name);

	if (value == NULL)
		return (NullableDatum){.isnull = true};
	if (value->type != jbvString)
	{
		fault_add(faults, name, "UUID input should be a string, bytes or UUID object",
				  "uuid_type");
		return (NullableDatum){.isnull = true};
	}
	return read_uuid(pnstrdup(value->val.string.val, value->val.string.len), name, faults);
}

/* Returns a field that is an object or may be left out; adds a fault where it is something else. */
NullableDatum
http_object_field(const Jsonb *body, const char *name, Faults *faults)
{
	const JsonbValue *value = find_value(body, name);
	NullableDatum result = {.isnull = true};

	if (value == NULL)
		return result;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
	{
		fault_add(faults, name, "Input should be a valid dictionary", "dict_type");
		return result;
	}
	result.value = JsonbPGetDatum(JsonbValueToJsonb((JsonbValue *) value));
	result.isnull = false;
	return result;
}

/* Tells whether a word says yes or no, and which; pydantic's words, whatever their case. */
static bool
parse_word(const char *string, bool *answer)
{
	static const char *const words[][2] = {{"false", "true"}, {"0", "1"},	 {"off", "on"},
										   {"f", "t"},		  {"no", "yes"}, {"n", "y"}};

	for (size_t i = 0; i < lengthof(words); i++)
	{
		*answer = pg_strcasecmp(string, words[i][1]) == 0;
		if (*answer || pg_strcasecmp(string, words[i][0]) == 0)
			return true;
	}
	return false;
}

/* Tells whether a number is 1 or 0, and which. */
static bool
parse_number(Numeric number, bool *answer)
{
	Datum one = NumericGetDatum(int64_to_numeric(1));
	Datum zero = NumericGetDatum(int64_to_numeric(0));

	*answer = DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(number), one));
	return *answer ||
		DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(number), zero));
}

/*
 * Returns a field that is a boolean, false where it is left out; adds a fault where it is null or
 * says neither yes nor no.
 */
bool
http_bool_field(const Jsonb *body, const char *name, Faults *faults)
{
	const JsonbValue *value = find_field(body, name);
	bool answer = false;
	bool parsed = false;

	if (value == NULL)
		return false;
	switch (value->type)
	{
		case jbvBool:
			return value->val.boolean;
		case jbvString:
			parsed = parse_word(pnstrdup(value->val.string.val, value->val.string.len),
								&answer);
			break;
		case jbvNumeric:
			parsed = parse_number(value->val.numeric, &answer);
			break;
		default:
			fault_add(faults, name, "Input should be a valid boolean", "bool_type");
			return false;
	}
	if (!parsed)
		fault_add(faults, name, "Input should be a valid boolean, unable to interpret input",
				  "bool_parsing");
	return answer;
}

/* Adds a fault where an argument, which the path of the request has, is null. */
void
http_check_missing(FunctionCallInfo fcinfo, int argno, const char *name, Faults *faults)
{
	if (PG_ARGISNULL(argno))
		fault_add(faults, name, "Field required", "missing");
}

/* Returns the uuid that an argument of type text is, or null; adds a fault where it is none. */
NullableDatum
http_uuid_argument(FunctionCallInfo fcinfo, int argno, const char *name, Faults *faults)
{
	if (PG_ARGISNULL(argno))
		return (NullableDatum){.isnull = true};
	return read_uuid(text_to_cstring(PG_GETARG_TEXT_PP(argno)), name, faults);
}
