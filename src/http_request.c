/*
 * http_request.c
 *		Reading the bodies and arguments of the functions of the schema seats_http.
 *
 * What is accepted, and the messages and types of faults, are those of FastAPI and pydantic, which
 * the HTTP contract's service uses; but no fault quotes the caller.  Unknown fields are ignored.
 * An optional field may also be JSON's null, which means the same as no field.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "compat.h"
#include "http_request.h"
#include "statement.h"
#include "subtransaction.h"

/* A body and the result of parsing it. */
typedef struct Parse
{
	const bytea *body;
	Jsonb *json;
} Parse;

/* Parses a body; raises one of the errors that is_no_json() expects if it is not JSON. */
static void
parse(void *state)
{
	Parse *parse = state;
	char *string = text_to_cstring((const text *) parse->body);
	int length = (int) VARSIZE_ANY_EXHDR(parse->body);

	/* Pass the length, so that a zero byte is not taken for the end. */
	string = pg_any_to_server(string, length, PG_UTF8);
	parse->json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(string)));
}

/* Tells whether an error says that a body is not JSON, or is JSON that jsonb cannot hold. */
static bool
is_no_json(const ErrorData *error)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_CHARACTER_NOT_IN_REPERTOIRE: /* not UTF-8 */
		case ERRCODE_INVALID_TEXT_REPRESENTATION: /* not JSON */
		case ERRCODE_UNTRANSLATABLE_CHARACTER:	  /* \u0000, or not in the encoding */
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
 * Returns a body as JSON, or NULL if it is not JSON.  It is parsed in a subtransaction, because the
 * parser raises errors that quote the body, and these must not reach the log.
 */
Jsonb *
parse_body(const bytea *body)
{
	Parse state = {.body = body};

	if (subtransaction_run(parse, &state, is_no_json) != NULL)
		return NULL;
	return state.json;
}

/* Tells whether a JSON value is null. */
static bool
is_null(const Jsonb *json)
{
	JsonbValue value;

	return JB_ROOT_IS_SCALAR(json) &&
		JsonbExtractScalar((JsonbContainer *) &json->root, &value) && value.type == jbvNull;
}

/*
 * Tells whether a body is an object; adds a fault if it is not.  A body that is not JSON is NULL.
 */
bool
check_body(const Jsonb *body, Faults *faults)
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

/* Returns a field of an object, or NULL if there is none. */
static const JsonbValue *
find_field(const Jsonb *body, const char *name)
{
	return getKeyJsonValueFromContainer((JsonbContainer *) &body->root, name,
										(int) strlen(name), NULL);
}

/* Returns a field of an object, or NULL if there is none or it is null. */
static const JsonbValue *
find_value(const Jsonb *body, const char *name)
{
	const JsonbValue *value = find_field(body, name);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* Returns a JSON string as text; adds a fault if the value is not a string. */
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

/*
 * Returns a field that must be a token; adds a fault if it is missing, not a string, empty or too
 * long.
 */
const text *
token_field(const Jsonb *body, const char *name, Faults *faults)
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

/* Returns an optional string field; adds a fault if it is anything else. */
NullableDatum
text_field(const Jsonb *body, const char *name, Faults *faults)
{
	const JsonbValue *value = find_value(body, name);

	if (value == NULL)
		return (NullableDatum){.isnull = true};
	return read_string(value, name, faults);
}

/*
 * Returns the uuid in a string, with hyphens in the usual places or without any; adds a fault if it
 * is not a uuid.
 */
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

/* Returns an optional uuid field; adds a fault if it is anything else. */
NullableDatum
uuid_field(const Jsonb *body, const char *name, Faults *faults)
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

/* Returns an optional field that is an object; adds a fault if it is anything else. */
NullableDatum
object_field(const Jsonb *body, const char *name, Faults *faults)
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

/* Returns an optional field that is a whole number; adds a fault if it is anything else. */
NullableDatum
int_field(const Jsonb *body, const char *name, Faults *faults)
{
	const JsonbValue *value = find_value(body, name);
	NullableDatum result = {.isnull = true};
	bool error = false;
	int32 number;

	if (value == NULL)
		return result;
	if (value->type != jbvNumeric)
	{
		fault_add(faults, name, "Input should be a valid integer", "int_type");
		return result;
	}
	number = numeric_int4_opt_error(value->val.numeric, &error);
	if (error ||
		DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(value->val.numeric),
										  NumericGetDatum(int64_to_numeric(number)))) != 0)
		fault_add(faults, name, "Input should be a valid integer", "int_parsing");
	else
		result = (NullableDatum){Int32GetDatum(number), false};
	return result;
}

/*
 * Returns an optional field that is an array as text[], whose elements are null where they are not
 * strings; adds a fault if it is anything else.
 */
NullableDatum
strings_field(const Jsonb *body, const char *name, Faults *faults)
{
	const JsonbValue *value = find_value(body, name);
	NullableDatum *elements;
	int count;

	if (value == NULL)
		return (NullableDatum){.isnull = true};
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerIsScalar(value->val.binary.data))
	{
		fault_add(faults, name, "Input should be a valid list", "list_type");
		return (NullableDatum){.isnull = true};
	}
	count = (int) JsonContainerSize(value->val.binary.data);
	elements = palloc(count * sizeof(NullableDatum));
	for (int i = 0; i < count; i++)
	{
		const JsonbValue *element = getIthJsonbValueFromContainer(value->val.binary.data, i);
		bool string = element->type == jbvString;

		elements[i].isnull = !string;
		if (string)
			elements[i].value = PointerGetDatum(
				cstring_to_text_with_len(element->val.string.val, element->val.string.len));
	}
	return datum_array(elements, count, TEXTOID);
}

/*
 * Returns the purchase that the fields subscription_id and order_id name.  The service also finds
 * it by a checkout, but there are no checkouts here.  If checkout_id were ignored, a seat of
 * another purchase might be assigned.  An id that is not a uuid is a fault of its own, and does not
 * count.
 */
PurchaseId
purchase_field(const Jsonb *body, Faults *faults)
{
	int before = faults->list.len;
	NullableDatum subscription = uuid_field(body, "subscription_id", faults);
	NullableDatum order = uuid_field(body, "order_id", faults);
	bool are_ids = faults->list.len == before;

	if (find_value(body, "checkout_id") != NULL)
		fault_add(
			faults, "checkout_id",
			"Value error, checkout_id is not supported, give subscription_id or order_id",
			"value_error");
	if (are_ids)
		check_one_purchase(faults, !subscription.isnull, !order.isnull);
	return named_purchase(subscription, order);
}

/*
 * Tells whether a word means yes or no, and sets the answer.  The words are pydantic's, in upper or
 * lower case.
 */
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

/* Tells whether a number is 1 or 0, and sets the answer. */
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
 * Returns a boolean field, or false if it is missing; adds a fault if it is null or means neither
 * yes nor no.
 */
bool
bool_field(const Jsonb *body, const char *name, Faults *faults)
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

/* Adds a fault if an argument that comes from the path of the request is null. */
void
check_missing(FunctionCallInfo fcinfo, int argno, const char *name, Faults *faults)
{
	if (PG_ARGISNULL(argno))
		fault_add(faults, name, "Field required", "missing");
}

/* Returns the uuid in an argument of type text, or null; adds a fault if it is not a uuid. */
NullableDatum
uuid_argument(FunctionCallInfo fcinfo, int argno, const char *name, Faults *faults)
{
	if (PG_ARGISNULL(argno))
		return (NullableDatum){.isnull = true};
	return read_uuid(text_to_cstring(PG_GETARG_TEXT_PP(argno)), name, faults);
}

/*
 * Returns the purchase that the first two arguments name, which come from the query of the request.
 */
PurchaseId
purchase_of_query(FunctionCallInfo fcinfo, Faults *faults)
{
	NullableDatum subscription;
	NullableDatum order;

	faults->place = "query";
	subscription = uuid_argument(fcinfo, 0, "subscription_id", faults);
	order = uuid_argument(fcinfo, 1, "order_id", faults);
	if (faults->list.len == 0)
		check_one_purchase(faults, !subscription.isnull, !order.isnull);
	return named_purchase(subscription, order);
}
