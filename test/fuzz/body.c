/*
 * body.c
 *		Fuzzes the functions of the schema seats_http: the bodies and arguments of requests.
 *
 * The first byte of an input selects the function, which gets the rest.  A function either answers
 * with faults or calls its operation.  The operations here check that only arguments reach them
 * that the contract allows.
 */
#include "postgres.h"

#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "assign.h"
#include "claim.h"
#include "counters.h"
#include "customer.h"
#include "errors.h"
#include "join.h"
#include "join_link.h"
#include "jsonb.h"
#include "jwt.h"
#include "list.h"
#include "revoke.h"
#include "seat_json.h"
#include "stand_ins.h"
#include "statement.h"
#include "subtransaction.h"

volatile sig_atomic_t InterruptPending;

/* How often an operation was called for the input. */
static int operations;

/* Whether the input may contain an id of zeros. */
static bool names_zeros;

/* Functions of the server that do nothing here. */

void
PreventCommandIfReadOnly(const char *command pg_attribute_unused())
{
}

void
ProcessInterrupts(void)
{
}

TupleDesc
named_type(const char *name pg_attribute_unused())
{
	static TupleDescData type;

	return &type;
}

void
counters_prepare(void)
{
}

/* Functions that only the schema seats needs. */

void
raise_validation_error(const char *faults pg_attribute_unused(),
					   bool has_email pg_attribute_unused())
{
	check_failed("faults are answered", __FILE__, __LINE__);
}

bool
jwt_looks_like_one(const char *token pg_attribute_unused(),
				   size_t length pg_attribute_unused())
{
	check_failed("no session token", __FILE__, __LINE__);
}

void
deconstruct_array(ArrayType *array pg_attribute_unused(), Oid type pg_attribute_unused(),
				  int length pg_attribute_unused(), bool by_value pg_attribute_unused(),
				  char align pg_attribute_unused(), Datum **elements pg_attribute_unused(),
				  bool **nulls pg_attribute_unused(), int *count pg_attribute_unused())
{
	check_failed("no array", __FILE__, __LINE__);
}

/* No value is compressed or stored elsewhere. */

struct varlena *
pg_detoast_datum(struct varlena *value)
{
	return value;
}

struct varlena *
pg_detoast_datum_packed(struct varlena *value)
{
	return value;
}

text *
cstring_to_text_with_len(const char *string, int length)
{
	text *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), string, length);
	return result;
}

char *
text_to_cstring(const text *value)
{
	size_t length = VARSIZE_ANY_EXHDR(value);
	char *string = palloc(length + 1);

	memcpy(string, VARDATA_ANY(value), length);
	string[length] = '\0';
	return string;
}

Datum
DirectFunctionCall2Coll(PGFunction function, Oid collation, Datum a, Datum b)
{
	LOCAL_FCINFO(fcinfo, 2);

	InitFunctionCallInfoData(*fcinfo, NULL, 2, collation, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){a, false};
	fcinfo->args[1] = (NullableDatum){b, false};
	return function(fcinfo);
}

/* The database's encoding is UTF-8. */

char *
pg_any_to_server(const char *string, int length, int encoding)
{
	CHECK(encoding == PG_UTF8);
	if (!is_utf8(string, length))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("invalid byte sequence")));
	return (char *) string;
}

Oid
FindDefaultConversionProc(int32 from pg_attribute_unused(), int32 to pg_attribute_unused())
{
	check_failed("needs no conversion", __FILE__, __LINE__);
}

int
pg_do_encoding_conversion_buf(Oid procedure pg_attribute_unused(),
							  int from pg_attribute_unused(), int to pg_attribute_unused(),
							  unsigned char *string pg_attribute_unused(),
							  int length pg_attribute_unused(),
							  unsigned char *result pg_attribute_unused(),
							  int room pg_attribute_unused(),
							  bool no_error pg_attribute_unused())
{
	check_failed("needs no conversion", __FILE__, __LINE__);
}

int
pg_mblen(const char *string)
{
	return pg_utf_mblen((const unsigned char *) string);
}

int
pg_mbstrlen_with_len(const char *string, int length)
{
	int count = 0;

	for (int i = 0; i < length; i += pg_utf_mblen((const unsigned char *) string + i))
		count++;
	return count;
}

/* Runs a function and catches its errors.  There is nothing to roll back. */
ErrorData *
subtransaction_run(void (*work)(void *state), void *state,
				   bool (*is_expected)(const ErrorData *error))
{
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		work(state);
	}
	PG_CATCH();
	{
		error = CopyErrorData();
		CHECK(is_expected(error));
	}
	PG_END_TRY();
	return error;
}

/* Tells whether a text is an e-mail address by the contract, checking ASCII only. */
static bool
is_address(const text *value)
{
	const char *string = text_to_cstring(value);
	const char *at = strchr(string, '@');

	for (const char *c = string; *c != '\0'; c++)
	{
		if ((unsigned char) *c <= ' ' || *c == 0x7F || strchr("<>()[]\\,;:\"", *c) != NULL)
			return false;
	}
	return at != NULL && at != string && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
		pg_mbstrlen_with_len(string, (int) strlen(string)) <= 320;
}

/* An array as datum_array() makes it here. */
typedef struct Array
{
	const NullableDatum *elements;
	int count;
} Array;

NullableDatum
datum_array(const NullableDatum *values, int count, Oid type)
{
	Array *array = palloc(sizeof(Array));

	CHECK(type == TEXTOID);
	*array = (Array){values, count};
	return (NullableDatum){PointerGetDatum(array), false};
}

/* Tells whether a token has from 1 to 255 characters. */
static bool
is_short(const text *token)
{
	int length = pg_mbstrlen_with_len(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token));

	return length >= 1 && length <= 255;
}

Datum
claim_operation(TupleDesc type pg_attribute_unused(), const text *token, const text *key)
{
	operations++;
	CHECK(token != NULL && is_short(token) && key == NULL);
	return (Datum) 0;
}

const text *
claim_key_of_request(void)
{
	return NULL;
}

Datum
claim_info_operation(TupleDesc type pg_attribute_unused(), const text *token)
{
	operations++;
	CHECK(token != NULL && is_short(token));
	return (Datum) 0;
}

Datum
assign_operation(TupleDesc type pg_attribute_unused(), const Assignment *assignment)
{
	pg_uuid_t none = {0};

	operations++;
	CHECK(assignment->purchase.kind == PURCHASE_SUBSCRIPTION ||
		  assignment->purchase.kind == PURCHASE_ORDER);
	/* An id was given, or one of zeros was. */
	CHECK(memcmp(&assignment->purchase.id, &none, sizeof(none)) != 0 || names_zeros);
	CHECK(assignment->email.isnull + assignment->external_customer_id.isnull +
			  assignment->customer_id.isnull ==
		  2);
	CHECK(assignment->payer == NULL || !assignment->immediate_claim);
	CHECK(assignment->email.isnull || is_address(DatumGetTextPP(assignment->email.value)));
	if (!assignment->metadata.isnull)
	{
		Jsonb *metadata = DatumGetJsonbP(assignment->metadata.value);

		CHECK(JB_ROOT_IS_OBJECT(metadata) && JB_ROOT_COUNT(metadata) <= 10);
		CHECK(strlen(JsonbToCString(NULL, &metadata->root, 0)) <= 1024);
	}
	return (Datum) 0;
}

Datum
list_operation(TupleDesc type pg_attribute_unused(), PurchaseId purchase pg_attribute_unused(),
			   const pg_uuid_t *payer pg_attribute_unused())
{
	operations++;
	return (Datum) 0;
}

Datum
revoke_operation(TupleDesc type pg_attribute_unused(), const pg_uuid_t *seat_id,
				 const pg_uuid_t *payer pg_attribute_unused())
{
	operations++;
	CHECK(seat_id != NULL);
	return (Datum) 0;
}

Datum
resend_operation(TupleDesc type pg_attribute_unused(), const pg_uuid_t *seat_id,
				 const pg_uuid_t *payer pg_attribute_unused())
{
	operations++;
	CHECK(seat_id != NULL);
	return (Datum) 0;
}

Datum
join_info_operation(TupleDesc type pg_attribute_unused(), const text *token)
{
	operations++;
	CHECK(token != NULL && is_short(token));
	return (Datum) 0;
}

void
join_operation(const text *token, const text *email)
{
	operations++;
	CHECK(token != NULL && is_short(token) && is_address(email));
}

/* Checks that the terms of a join link have their types.  Whether they make sense needs a server. */
void
join_link_check_terms(NullableDatum max_uses pg_attribute_unused(), NullableDatum expires_in,
					  NullableDatum email_domains, Faults *faults pg_attribute_unused())
{
	const Interval *interval = DatumGetIntervalP(expires_in.value);
	const Array *domains = (const Array *) DatumGetPointer(email_domains.value);

	CHECK(!expires_in.isnull && interval->month == 0 && interval->day == 0);
	CHECK(interval->time % USECS_PER_SEC == 0);
	CHECK(interval->time / USECS_PER_SEC == (int32) (interval->time / USECS_PER_SEC));
	for (int i = 0; !email_domains.isnull && i < domains->count; i++)
	{
		if (!domains->elements[i].isnull)
			(void) text_to_cstring(DatumGetTextPP(domains->elements[i].value));
	}
}

Datum
create_join_link_operation(TupleDesc type pg_attribute_unused(), const JoinLinkTerms *terms)
{
	pg_uuid_t none = {0};

	operations++;
	CHECK(terms->purchase.kind == PURCHASE_SUBSCRIPTION ||
		  terms->purchase.kind == PURCHASE_ORDER);
	CHECK(memcmp(&terms->purchase.id, &none, sizeof(none)) != 0 || names_zeros);
	join_link_check_terms(terms->max_uses, (NullableDatum){terms->expires_in, false},
						  terms->email_domains, NULL);
	return (Datum) 0;
}

int
list_join_links_operation(PurchaseId purchase pg_attribute_unused(),
						  const pg_uuid_t *payer pg_attribute_unused(),
						  Oid type pg_attribute_unused(), Datum **links)
{
	operations++;
	*links = palloc0(2 * sizeof(Datum));
	return 2;
}

Datum
revoke_join_link_operation(TupleDesc type pg_attribute_unused(), const pg_uuid_t *id,
						   const pg_uuid_t *payer pg_attribute_unused())
{
	operations++;
	CHECK(id != NULL);
	return (Datum) 0;
}

/* The customer who pays is known. */

bool
current_customer(pg_uuid_t *id)
{
	memset(id, 1, sizeof(*id));
	return true;
}

bool
customer_exists(const pg_uuid_t *id pg_attribute_unused())
{
	return true;
}

/* The result of an operation, always the same here. */

static text *
result(void)
{
	return cstring_to_text_with_len("{\"id\":1}", 8);
}

Datum
row_to_json(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	return PointerGetDatum(result());
}

text *
seat_json(Datum seat pg_attribute_unused())
{
	return result();
}

text *
invitation_json(Datum invitation pg_attribute_unused())
{
	return result();
}

text *
invited_seat_json(Datum invitation pg_attribute_unused())
{
	return result();
}

text *
claim_json(Datum response pg_attribute_unused())
{
	return result();
}

text *
list_json(Datum list pg_attribute_unused())
{
	return result();
}

void
escape_json(StringInfo json, const char *string)
{
	appendStringInfo(json, "\"%s\"", string);
}

/* Faults are counted, and set the status and a header of the answer. */

void
counters_add_error(int error)
{
	CHECK(error == VALIDATION_ERROR);
}

int
set_config_option(const char *name, const char *value,
				  GucContext context pg_attribute_unused(),
				  GucSource source pg_attribute_unused(), GucAction action,
				  bool change pg_attribute_unused(), int level pg_attribute_unused(),
				  bool is_reload pg_attribute_unused())
{
	if (strcmp(name, "response.status") == 0)
		CHECK(strcmp(value, "422") == 0);
	else
		CHECK(strcmp(name, "response.headers") == 0 && value[0] == '[');
	CHECK(action == GUC_ACTION_LOCAL);
	return 1;
}

const char *
GetConfigOption(const char *name, bool missing_ok, bool restrict_privileged)
{
	CHECK(strcmp(name, "response.headers") == 0 && missing_ok && !restrict_privileged);
	return NULL;
}

text *
cstring_to_text(const char *string)
{
	return cstring_to_text_with_len(string, (int) strlen(string));
}

/* PG_FUNCTION_INFO_V1 declares these elsewhere. */
extern Datum seats_http_claim_seat_bytes(PG_FUNCTION_ARGS);
extern Datum seats_http_assign_seat_bytes(PG_FUNCTION_ARGS);
extern Datum seats_http_get_claim_info(PG_FUNCTION_ARGS);
extern Datum seats_http_list_seats(PG_FUNCTION_ARGS);
extern Datum seats_http_revoke_seat(PG_FUNCTION_ARGS);
extern Datum seats_http_resend_invitation(PG_FUNCTION_ARGS);
extern Datum seats_http_portal_assign_seat_bytes(PG_FUNCTION_ARGS);
extern Datum seats_http_join_info(PG_FUNCTION_ARGS);
extern Datum seats_http_join_seat_bytes(PG_FUNCTION_ARGS);
extern Datum seats_http_create_join_link_bytes(PG_FUNCTION_ARGS);
extern Datum seats_http_list_join_links(PG_FUNCTION_ARGS);
extern Datum seats_http_revoke_join_link(PG_FUNCTION_ARGS);
extern Datum seats_http_portal_create_join_link_bytes(PG_FUNCTION_ARGS);

/*
 * Calls a function with one or two values; the second may be NULL.  Checks that the answer is JSON
 * in printable ASCII.
 */
static void
call(PGFunction function, const text *first, const text *second)
{
	LOCAL_FCINFO(fcinfo, 2);
	char *answer;

	InitFunctionCallInfoData(*fcinfo, NULL, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){PointerGetDatum(first), first == NULL};
	fcinfo->args[1] = (NullableDatum){PointerGetDatum(second), second == NULL};
	answer = text_to_cstring(DatumGetTextPP(function(fcinfo)));
	CHECK(is_json(answer, strlen(answer)));
	for (const char *c = answer; *c != '\0'; c++)
		CHECK(*c >= ' ' && *c <= '~');
}

/* Calls a function that takes text, unless the server would have rejected the argument. */
static void
call_with_text(PGFunction function, const char *string, size_t length)
{
	const text *value = cstring_to_text_with_len(string, (int) length);

	if (is_utf8(string, length))
		call(function, value, NULL);
}

/* Calls a function with an input split at the first comma; an empty part is null. */
static void
call_list(PGFunction function, const char *string, size_t length)
{
	const char *comma = memchr(string, ',', length);
	size_t first = comma == NULL ? length : (size_t) (comma - string);
	size_t rest = comma == NULL ? 0 : length - first - 1;

	if (!is_utf8(string, length))
		return;
	call(function, first == 0 ? NULL : cstring_to_text_with_len(string, (int) first),
		 rest == 0 ? NULL : cstring_to_text_with_len(comma + 1, (int) rest));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *string = (const char *) data + 1;
	size_t length = size - 1;

	if (size == 0)
		return 0;
	operations = 0;
	names_zeros = memmem(string, length, "00000", 5) != NULL ||
		memmem(string, length, "\\u", 2) != NULL;
	switch (data[0])
	{
		case 'a':
			call(seats_http_assign_seat_bytes, cstring_to_text_with_len(string, (int) length),
				 NULL);
			break;
		case 'p':
			call(seats_http_portal_assign_seat_bytes,
				 cstring_to_text_with_len(string, (int) length), NULL);
			break;
		case 'c':
			call(seats_http_claim_seat_bytes, cstring_to_text_with_len(string, (int) length),
				 NULL);
			break;
		case 'i':
			call_with_text(seats_http_get_claim_info, string, length);
			break;
		case 'l':
			call_list(seats_http_list_seats, string, length);
			break;
		case 'r':
			call_with_text(seats_http_revoke_seat, string, length);
			break;
		case 's':
			call_with_text(seats_http_resend_invitation, string, length);
			break;
		case 'j':
			call(seats_http_join_seat_bytes, cstring_to_text_with_len(string, (int) length),
				 NULL);
			break;
		case 'n':
			call(seats_http_create_join_link_bytes,
				 cstring_to_text_with_len(string, (int) length), NULL);
			break;
		case 'q':
			call(seats_http_portal_create_join_link_bytes,
				 cstring_to_text_with_len(string, (int) length), NULL);
			break;
		case 'k':
			call_with_text(seats_http_join_info, string, length);
			break;
		case 'm':
			call_list(seats_http_list_join_links, string, length);
			break;
		case 'd':
			call_with_text(seats_http_revoke_join_link, string, length);
			break;
		default:
			break;
	}
	CHECK(operations <= 1);
	/* Only a body that is JSON reaches the operation. */
	if (strchr("acpjnq", data[0]) != NULL && operations == 1)
		CHECK(is_json(string, length));
	free_all();
	return 0;
}
