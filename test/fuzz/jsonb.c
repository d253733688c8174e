/*
 * jsonb.c
 *		A substitute for jsonb, as far as the reading of bodies needs it: one object, its fields, and
 *		the elements of fields that are arrays.  What is nested more deeply is not read.
 *
 * PostgreSQL's own parser reads the text.  The result is not packed into one piece, as jsonb is:
 * each part is an allocation of its own, and strings have exactly their length and no terminator,
 * so that the address sanitizer sees any access beyond them.
 */
#include "postgres.h"

#include <math.h>

#include "common/jsonapi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "jsonb.h"
#include "stand_ins.h"

#define MAX_FIELDS 256

typedef struct Field
{
	const char *name;
	JsonbValue value;
} Field;

/* An object, array or scalar.  The last two members are the beginning of a Jsonb. */
typedef struct Container
{
	Field fields[MAX_FIELDS]; /* of an object; a scalar uses the first */
	int count;
	JsonbValue *elements; /* of an array in the object */
	const char *text;	  /* its text in the JSON */
	const char *end;
	int32 length;
	uint32 header;
} Container;

#if PG_VERSION_NUM >= 160000
#define CALLBACK_RESULT JsonParseErrorType
#define CALLBACK_RETURN return JSON_SUCCESS
#else
#define CALLBACK_RESULT void
#define CALLBACK_RETURN return
#endif

/* The objects and arrays that the parser is in; only the first two levels are kept. */
typedef struct Reader
{
	JsonLexContext *lexer;
	Container *open[2];
	int depth;
	JsonbValue *place; /* of the next field's value */
} Reader;

static Container *
container_of(const JsonbContainer *root)
{
	return (Container *) ((char *) root - offsetof(Container, header));
}

/* Returns where the value of a field goes.  If a name occurs twice, the last field counts. */
static JsonbValue *
place_of(Container *container, const char *name)
{
	for (int i = 0; i < container->count; i++)
	{
		if (strcmp(container->fields[i].name, name) == 0)
			return &container->fields[i].value;
	}
	CHECK(container->count < MAX_FIELDS);
	container->fields[container->count].name = name;
	return &container->fields[container->count++].value;
}

/* Adds a value to an array. */
static void
add_element(Container *array, JsonbValue value)
{
	size_t size = (array->count + 1) * sizeof(JsonbValue);

	array->elements = array->elements == NULL ? palloc(size) : repalloc(array->elements, size);
	array->elements[array->count++] = value;
	array->header = JB_FARRAY | array->count;
}

/*
 * Stores a value if it is the whole JSON, a field of the outermost object, or an element of an
 * array in it.
 */
static void
put(Reader *reader, JsonbValue value)
{
	if (reader->open[0] == NULL)
	{
		reader->open[0] = palloc0(sizeof(Container));
		reader->open[0]->header = JB_FSCALAR | JB_FARRAY | 1;
		reader->open[0]->fields[0].value = value;
	}
	else if (reader->depth == 1 && reader->open[0]->header & JB_FOBJECT)
		*reader->place = value;
	else if (reader->depth == 2 && reader->open[1]->header & JB_FARRAY)
		add_element(reader->open[1], value);
}

/* Callback: an object or array begins. */
static void
go_in(Reader *reader, uint32 header)
{
	Container *container = palloc0(sizeof(Container));

	container->header = header;
	container->text = reader->lexer->token_start;
	if (reader->depth > 0)
		put(reader,
			(JsonbValue){.type = jbvBinary,
						 .val.binary.data = (JsonbContainer *) &container->header});
	if (reader->depth < 2)
		reader->open[reader->depth] = container;
	reader->depth++;
}

static CALLBACK_RESULT
start_object(void *state)
{
	go_in(state, JB_FOBJECT);
	CALLBACK_RETURN;
}

static CALLBACK_RESULT
start_array(void *state)
{
	go_in(state, JB_FARRAY);
	CALLBACK_RETURN;
}

/* Callback: an object or array ends. */
static CALLBACK_RESULT
go_out(void *state)
{
	Reader *reader = state;

	reader->depth--;
	if (reader->depth < 2)
		reader->open[reader->depth]->end = reader->lexer->prev_token_terminator;
	CALLBACK_RETURN;
}

/* Callback: a field begins.  Counts it; its value comes next. */
static CALLBACK_RESULT
start_field(void *state, char *name, bool isnull pg_attribute_unused())
{
	Reader *reader = state;

	if (reader->depth <= 2)
	{
		Container *container = reader->open[reader->depth - 1];

		reader->place = place_of(container, name);
		container->header = JB_FOBJECT | container->count;
	}
	CALLBACK_RETURN;
}

/* Returns a string of exactly its length, without a terminator. */
static JsonbValue
string_value(const char *string)
{
	size_t length = strlen(string);
	char *copy = palloc(length);

	memcpy(copy, string, length);
	return (JsonbValue){.type = jbvString, .val.string = {.len = (int) length, .val = copy}};
}

/* Callback: a value that is not an object or array. */
static CALLBACK_RESULT
see_scalar(void *state, char *token, JsonTokenType type)
{
	JsonbValue value = {.type = jbvNull};

	switch (type)
	{
		case JSON_TOKEN_STRING:
			value = string_value(token);
			break;
		case JSON_TOKEN_NUMBER:
			value = (JsonbValue){.type = jbvNumeric, .val.numeric = (Numeric) token};
			break;
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
			value = (JsonbValue){.type = jbvBool, .val.boolean = type == JSON_TOKEN_TRUE};
			break;
		default:
			CHECK(type == JSON_TOKEN_NULL);
	}
	put(state, value);
	CALLBACK_RETURN;
}

/* Tells whether a string is UTF-8 without zero bytes. */
bool
is_utf8(const char *string, size_t length)
{
	return pg_encoding_verifymbstr(PG_UTF8, string, (int) length) == (int) length;
}

/* Returns a lexer for JSON. */
static JsonLexContext *
start_lexer(const char *json, size_t length)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, length, PG_UTF8, true);
#else
	return makeJsonLexContextCstringLen((char *) json, (int) length, PG_UTF8, true);
#endif
}

/* Tells whether a string is JSON. */
bool
is_json(const char *string, size_t length)
{
	return is_utf8(string, length) &&
		pg_parse_json(start_lexer(string, length), &nullSemAction) == JSON_SUCCESS;
}

/* Reads JSON; raises 22P02 if it is not JSON, as the server does. */
Datum
jsonb_in(PG_FUNCTION_ARGS)
{
	const char *string = PG_GETARG_CSTRING(0);
	Reader reader = {.lexer = start_lexer(string, strlen(string))};
	JsonSemAction actions = {
		.semstate = &reader,
		.object_start = start_object,
		.object_end = go_out,
		.array_start = start_array,
		.array_end = go_out,
		.object_field_start = start_field,
		.scalar = see_scalar,
	};

	if (pg_parse_json(reader.lexer, &actions) != JSON_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "json")));
	PG_RETURN_POINTER(&reader.open[0]->length);
}

bool
JsonbExtractScalar(JsonbContainer *root, JsonbValue *result)
{
	CHECK(JsonContainerIsScalar(root));
	*result = container_of(root)->fields[0].value;
	return true;
}

JsonbValue *
getKeyJsonValueFromContainer(JsonbContainer *root, const char *name, int length,
							 JsonbValue *result)
{
	Container *container = container_of(root);

	CHECK(JsonContainerIsObject(root) && result == NULL);
	for (int i = 0; i < container->count; i++)
	{
		if ((int) strlen(container->fields[i].name) == length &&
			memcmp(container->fields[i].name, name, length) == 0)
			return &container->fields[i].value;
	}
	return NULL;
}

JsonbValue *
getIthJsonbValueFromContainer(JsonbContainer *array, uint32 i)
{
	CHECK(JsonContainerIsArray(array) && i < JsonContainerSize(array));
	return &container_of(array)->elements[i];
}

Jsonb *
JsonbValueToJsonb(JsonbValue *value)
{
	CHECK(value->type == jbvBinary);
	return (Jsonb *) &container_of(value->val.binary.data)->length;
}

char *
JsonbToCString(StringInfo to, JsonbContainer *root, int estimated pg_attribute_unused())
{
	Container *container = container_of(root);

	CHECK(to == NULL);
	return pnstrdup(container->text, container->end - container->text);
}

/* Numbers are kept as they are written. */
Numeric
int64_to_numeric(int64 number)
{
	return (Numeric) psprintf(INT64_FORMAT, number);
}

Datum
numeric_eq(PG_FUNCTION_ARGS)
{
	const char *a = (const char *) PG_GETARG_POINTER(0);
	const char *b = (const char *) PG_GETARG_POINTER(1);

	PG_RETURN_BOOL(strtod(a, NULL) == strtod(b, NULL));
}

Datum
numeric_cmp(PG_FUNCTION_ARGS)
{
	double a = strtod((const char *) PG_GETARG_POINTER(0), NULL);
	double b = strtod((const char *) PG_GETARG_POINTER(1), NULL);

	PG_RETURN_INT32(a < b ? -1 : a > b);
}

int32
numeric_int4_opt_error(Numeric number, bool *error)
{
	double rounded = rint(strtod((const char *) number, NULL));

	*error = rounded < PG_INT32_MIN || rounded > PG_INT32_MAX;
	return *error ? 0 : (int32) rounded;
}
