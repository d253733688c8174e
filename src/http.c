/*
 * http.c
 *		The functions of the schema seats_http, which answer as the HTTP contract's service does:
 *		with a status and a JSON body.
 *
 * Each function reads the request and finds everything that is wrong with it before it does
 * anything; then it does what the function of the schema seats does.  Functions that write reject a
 * read-only transaction before they read the request: PostgREST runs GET and HEAD in one, and
 * answers 405.
 *
 * PostgREST takes the status from the setting response.status, which is left alone for 200.  An
 * answer that reports an error is an answer nevertheless, and PostgREST commits.  So the operation
 * runs in a subtransaction, which is rolled back before the status is set.  Only the extension's
 * own errors become answers.  Others are raised, and PostgREST reports them: a serialization
 * failure or a deadlock, after which the caller may retry, a timeout, or an error that a trigger
 * raised.
 *
 * What is accepted, and the messages and types of faults, are those of FastAPI and pydantic, which
 * the HTTP contract's service uses; but no fault quotes the caller.  Unknown fields are ignored.
 * An optional field may also be JSON's null, which means the same as no field.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "assign.h"
#include "claim.h"
#include "compat.h"
#include "counters.h"
#include "errors.h"
#include "input.h"
#include "list.h"
#include "revoke.h"
#include "statement.h"
#include "subtransaction.h"

PG_FUNCTION_INFO_V1(seats_http_claim_seat);
PG_FUNCTION_INFO_V1(seats_http_claim_seat_bytes);
PG_FUNCTION_INFO_V1(seats_http_get_claim_info);
PG_FUNCTION_INFO_V1(seats_http_assign_seat);
PG_FUNCTION_INFO_V1(seats_http_assign_seat_bytes);
PG_FUNCTION_INFO_V1(seats_http_list_seats);
PG_FUNCTION_INFO_V1(seats_http_revoke_seat);
PG_FUNCTION_INFO_V1(seats_http_resend_invitation);

/* ---- Reading a request ---- */

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
static Jsonb *
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
static bool
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

/* Tells whether an object has a field that is not null. */
static bool
has_field(const Jsonb *body, const char *name)
{
	return find_value(body, name) != NULL;
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
static const text *
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
static NullableDatum
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
static NullableDatum
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
static NullableDatum
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
static bool
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
static void
check_missing(FunctionCallInfo fcinfo, int argno, const char *name, Faults *faults)
{
	if (PG_ARGISNULL(argno))
		fault_add(faults, name, "Field required", "missing");
}

/* Returns the uuid in an argument of type text, or null; adds a fault if it is not a uuid. */
static NullableDatum
uuid_argument(FunctionCallInfo fcinfo, int argno, const char *name, Faults *faults)
{
	if (PG_ARGISNULL(argno))
		return (NullableDatum){.isnull = true};
	return read_uuid(text_to_cstring(PG_GETARG_TEXT_PP(argno)), name, faults);
}

/* ---- Answering ---- */

/* An operation to run, its argument and its result. */
typedef struct Run
{
	text *(*operation)(const void *request);
	const void *request;
	text *body;
} Run;

/* Returns a composite value as a JSON object. */
static text *
json_of(Datum composite)
{
	return DatumGetTextPP(DirectFunctionCall1(row_to_json, composite));
}

/*
 * Returns a value of type seats.seat_invitation as one JSON object: the fields of the seat, and the
 * token.
 */
static text *
json_with_token(Datum composite)
{
	HeapTupleHeader invitation = DatumGetHeapTupleHeader(composite);
	bool isnull;
	Datum seat = GetAttributeByName(invitation, "seat", &isnull);
	Datum token = GetAttributeByName(invitation, "invitation_token", &isnull);
	const text *object = json_of(seat);
	StringInfoData json;

	initStringInfo(&json);
	/* All but the closing brace. */
	appendBinaryStringInfo(&json, VARDATA_ANY(object), VARSIZE_ANY_EXHDR(object) - 1);
	appendStringInfoString(&json, ",\"invitation_token\":");
	if (isnull)
		appendStringInfoString(&json, "null");
	else
		escape_json(&json, TextDatumGetCString(token));
	appendStringInfoChar(&json, '}');
	return cstring_to_text_with_len(json.data, json.len);
}

/* Sets the status of PostgREST's answer, until the end of the transaction. */
static void
set_status(const char *status)
{
	(void) set_config_option("response.status", status, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Answers 422 with all faults, and counts them as one validation error. */
static text *
answer_faults(const Faults *faults)
{
	counters_add_error(VALIDATION_ERROR);
	set_status("422");
	return cstring_to_text(psprintf("{\"detail\": [%s]}", faults->list.data));
}

/* Adds a field to a JSON object that is being written. */
static void
add_field(StringInfo json, const char *name, const char *value)
{
	appendStringInfo(json, "%s\"%s\": ", json->len == 0 ? "{" : ", ", name);
	escape_json(json, value);
}

/* Answers 400, 403 or 404 with an error that the extension raised. */
static text *
answer_error(const ErrorData *error)
{
	StringInfoData json;

	/* SQLSTATE is "PT" and the status. */
	set_status(unpack_sql_state(error->sqlerrcode) + 2);
	initStringInfo(&json);
	add_field(&json, "error", error_service_name(error));
	add_field(&json, "detail", error->message);
	add_field(&json, "reason", error->detail);
	appendStringInfoChar(&json, '}');
	return cstring_to_text_with_len(json.data, json.len);
}

/* Tells whether an error is one of the extension's own that becomes an answer. */
static bool
is_answerable(const ErrorData *error)
{
	return error_service_name(error) != NULL;
}

/* Runs the operation. */
static void
run_operation(void *state)
{
	Run *run = state;

	run->body = run->operation(run->request);
}

/*
 * Returns the body of the answer to a request, and sets its status unless that is 200.  If there
 * are faults, the answer is 422 and nothing is done.  Otherwise the answer is the result of the
 * operation, or the extension's error that it raised.
 */
static Datum
answer_request(const Faults *faults, text *(*operation)(const void *request),
			   const void *request)
{
	Run run = {.operation = operation, .request = request};
	const ErrorData *error;

	if (faults->list.len > 0)
		PG_RETURN_TEXT_P(answer_faults(faults));
	error = subtransaction_run(run_operation, &run, is_answerable);
	PG_RETURN_TEXT_P(error == NULL ? run.body : answer_error(error));
}

/* ---- The functions ---- */

/* The arguments of a claim. */
typedef struct ClaimRequest
{
	const text *token;
	const text *key; /* or NULL */
} ClaimRequest;

/* Returns the body, which is a function's one argument of type jsonb, or NULL if it is null. */
static const Jsonb *
json_argument(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
}

/*
 * Returns the body, which is a function's one argument of type bytea, or NULL if it is null or not
 * JSON.
 */
static const Jsonb *
bytes_argument(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? NULL : parse_body(PG_GETARG_BYTEA_PP(0));
}

/* Claims a seat; returns the body of the answer. */
static text *
run_claim(const void *request)
{
	const ClaimRequest *claim = request;

	return json_of(
		claim_operation(named_type("customer_seat_claim_response"), claim->token, claim->key));
}

/* Answers a request to claim a seat. */
static Datum
answer_claim(const Jsonb *body)
{
	ClaimRequest request = {0};
	Faults faults;

	faults_start(&faults);
	if (check_body(body, &faults))
		request.token = token_field(body, "invitation_token", &faults);
	request.key = claim_key_of_request();
	faults.place = "header";
	if (request.key != NULL)
		check_length(&faults, request.key, "idempotency-key");
	return answer_request(&faults, run_claim, &request);
}

/*
 * claim_seat(jsonb): POST /v1/customer-seats/claim.  Answers 200 with the seat and a session token,
 * 400, 403 or 422; raises 25006 in a read-only transaction.  Locks as seats.claim_seat().
 */
Datum
seats_http_claim_seat(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("claim_seat()");
	return answer_claim(json_argument(fcinfo));
}

/* claim_seat(bytea): the same, with an unparsed body. */
Datum
seats_http_claim_seat_bytes(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("claim_seat()");
	return answer_claim(bytes_argument(fcinfo));
}

/* Describes an invitation; returns the body of the answer. */
static text *
run_claim_info(const void *token)
{
	return json_of(claim_info_operation(named_type("seat_claim_info"), token));
}

/*
 * get_claim_info(invitation_token text): GET /v1/customer-seats/claim/{invitation_token}.  Answers
 * 200 with a description of the invitation, 400, 403 or 422.  Locks nothing.
 */
Datum
seats_http_get_claim_info(PG_FUNCTION_ARGS)
{
	const text *token = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	Faults faults;

	faults_start(&faults);
	faults.place = "path";
	check_missing(fcinfo, 0, "invitation_token", &faults);
	if (token != NULL)
		check_token_text(&faults, token, "invitation_token");
	return answer_request(&faults, run_claim_info, token);
}

/* Assigns a seat; returns the body of the answer. */
static text *
run_assign(const void *assignment)
{
	return json_with_token(assign_operation(named_type("seat_invitation"), assignment));
}

/*
 * Reads the purchase that the seat belongs to.  The service also finds it by a checkout, but there
 * are no checkouts here.  If checkout_id were ignored, a seat of another purchase might be
 * assigned.
 */
static PurchaseId
read_purchase(const Jsonb *body, Faults *faults)
{
	NullableDatum subscription = uuid_field(body, "subscription_id", faults);
	NullableDatum order = uuid_field(body, "order_id", faults);

	if (has_field(body, "checkout_id"))
		fault_add(
			faults, "checkout_id",
			"Value error, checkout_id is not supported, give subscription_id or order_id",
			"value_error");
	check_one_purchase(faults, has_field(body, "subscription_id"),
					   has_field(body, "order_id"));
	return named_purchase(subscription, order);
}

/* Reads the customer that the seat is for. */
static void
read_customer(const Jsonb *body, Assignment *assignment, Faults *faults)
{
	assignment->email = text_field(body, "email", faults);
	if (!assignment->email.isnull)
		check_email(faults, DatumGetTextPP(assignment->email.value), "email");
	assignment->external_customer_id = text_field(body, "external_customer_id", faults);
	assignment->customer_id = uuid_field(body, "customer_id", faults);
	check_one_customer(faults,
					   has_field(body, "email") + has_field(body, "external_customer_id") +
						   has_field(body, "customer_id"));
}

/* Reads the body of a request to assign a seat. */
static void
read_assignment(const Jsonb *body, Assignment *assignment, Faults *faults)
{
	assignment->purchase = read_purchase(body, faults);
	read_customer(body, assignment, faults);
	assignment->metadata = object_field(body, "metadata", faults);
	if (!assignment->metadata.isnull)
		check_metadata(faults, DatumGetJsonbP(assignment->metadata.value), "metadata");
	assignment->immediate_claim = bool_field(body, "immediate_claim", faults);
}

/* Answers a request to assign a seat. */
static Datum
answer_assign(const Jsonb *body)
{
	Assignment assignment = {0};
	Faults faults;

	faults_start(&faults);
	if (check_body(body, &faults))
		read_assignment(body, &assignment, &faults);
	return answer_request(&faults, run_assign, &assignment);
}

/*
 * assign_seat(jsonb): POST /v1/customer-seats.  Answers 200 with the fields of the seat and the
 * invitation token, 400, 403, 404 or 422; raises 25006 in a read-only transaction.  Locks as
 * seats.assign_seat().
 */
Datum
seats_http_assign_seat(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("assign_seat()");
	return answer_assign(json_argument(fcinfo));
}

/* assign_seat(bytea): the same, with an unparsed body. */
Datum
seats_http_assign_seat_bytes(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("assign_seat()");
	return answer_assign(bytes_argument(fcinfo));
}

/* Lists the seats of a purchase; returns the body of the answer. */
static text *
run_list(const void *purchase)
{
	return json_of(list_operation(named_type("seats_list"), *(const PurchaseId *) purchase));
}

/*
 * list_seats(subscription_id text, order_id text): GET /v1/customer-seats.  Answers 200 with the
 * seats, 403, 404 or 422.  Locks nothing.
 */
Datum
seats_http_list_seats(PG_FUNCTION_ARGS)
{
	NullableDatum subscription;
	NullableDatum order;
	PurchaseId purchase;
	Faults faults;

	faults_start(&faults);
	faults.place = "query";
	subscription = uuid_argument(fcinfo, 0, "subscription_id", &faults);
	order = uuid_argument(fcinfo, 1, "order_id", &faults);
	check_one_purchase(&faults, !PG_ARGISNULL(0), !PG_ARGISNULL(1));
	purchase = named_purchase(subscription, order);
	return answer_request(&faults, run_list, &purchase);
}

/* Answers a request whose path names a seat. */
static Datum
answer_seat(FunctionCallInfo fcinfo, text *(*operation)(const void *seat_id))
{
	NullableDatum seat_id;
	Faults faults;

	faults_start(&faults);
	faults.place = "path";
	check_missing(fcinfo, 0, "seat_id", &faults);
	seat_id = uuid_argument(fcinfo, 0, "seat_id", &faults);
	return answer_request(&faults, operation,
						  seat_id.isnull ? NULL : DatumGetUUIDP(seat_id.value));
}

/* Revokes a seat; returns the body of the answer. */
static text *
run_revoke(const void *seat_id)
{
	return json_of(revoke_operation(named_type("customer_seat"), seat_id));
}

/*
 * revoke_seat(seat_id text): DELETE /v1/customer-seats/{seat_id}.  Answers 200 with the seat, 403,
 * 404 or 422; raises 25006 in a read-only transaction.  Locks as seats.revoke_seat().
 */
Datum
seats_http_revoke_seat(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("revoke_seat()");
	return answer_seat(fcinfo, run_revoke);
}

/* Sends an invitation again; returns the body of the answer. */
static text *
run_resend(const void *seat_id)
{
	return json_with_token(resend_operation(named_type("seat_invitation"), seat_id));
}

/*
 * resend_invitation(seat_id text): POST /v1/customer-seats/{seat_id}/resend.  Answers 200 with the
 * fields of the seat and the new token, 400, 403, 404 or 422; raises 25006 in a read-only
 * transaction.  Locks as seats.resend_invitation().
 */
Datum
seats_http_resend_invitation(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("resend_invitation()");
	return answer_seat(fcinfo, run_resend);
}
