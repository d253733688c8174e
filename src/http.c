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
 * failure, a deadlock, a timeout, or an error that a trigger raised.
 *
 * A proxy sees statuses and headers only, and PostgREST reports errors with 400, 403 and 404, too.
 * So an answer that reports an error is also in the header Seats-Answer.  A proxy replaces whatever
 * lacks it, which may quote PostgreSQL's messages.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"

#include "assign.h"
#include "claim.h"
#include "compat.h"
#include "counters.h"
#include "customer.h"
#include "errors.h"
#include "http.h"
#include "http_request.h"
#include "list.h"
#include "revoke.h"
#include "seat_json.h"
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
PG_FUNCTION_INFO_V1(seats_http_portal_list_seats);
PG_FUNCTION_INFO_V1(seats_http_portal_assign_seat);
PG_FUNCTION_INFO_V1(seats_http_portal_assign_seat_bytes);
PG_FUNCTION_INFO_V1(seats_http_portal_revoke_seat);
PG_FUNCTION_INFO_V1(seats_http_portal_resend_invitation);

/* ---- Answering ---- */

/*
 * PostgREST before version 16 runs a transaction again, without limit and on the same connection,
 * after 40001 and 40P01.  The last of this many in a row is raised as 40000, after which it gives
 * up.
 */
#define MAX_LOST_RACES 10

/* How many calls in a row have failed so in this backend. */
static int lost_races = 0;

/* An operation to run, its argument and its result. */
typedef struct Run
{
	text *(*operation)(const void *request);
	const void *request;
	text *body;
} Run;

/* Sets one of the settings that PostgREST answers by, until the end of the transaction. */
static void
set_response(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true,
							 0, false);
}

/*
 * Returns the elements of a JSON array of headers, with its closing bracket, but without the header
 * Seats-Answer of an earlier call, which comes first.  Anything but an array has no elements.
 */
static const char *
other_headers(const char *headers)
{
	static const char own[] = "{\"Seats-Answer\": \"";
	const char *rest = headers == NULL ? NULL : strchr(headers, '[');

	if (rest == NULL)
		return "]";
	rest += 1 + strspn(rest + 1, " \t\r\n");
	if (strncmp(rest, own, strlen(own)) != 0)
		return rest;
	for (rest += strlen(own); *rest != '"' && *rest != '\0'; rest++)
	{
		if (rest[0] == '\\' && rest[1] != '\0')
			rest++;
	}
	return rest + strspn(rest, "\"}, ");
}

/* Puts the header Seats-Answer before those that a db-pre-request function may have set. */
static void
add_header(const char *body)
{
	const char *others = other_headers(GetConfigOption("response.headers", true, false));
	StringInfoData headers;

	initStringInfo(&headers);
	appendStringInfoString(&headers, "[{\"Seats-Answer\": ");
	escape_json(&headers, body);
	appendStringInfo(&headers, "}%s%s", *others == ']' ? "" : ", ", others);
	set_response("response.headers", headers.data);
}

/* Answers with a status other than 200, and a body that says what is wrong. */
static text *
answer_with(const char *status, const char *body)
{
	set_response("response.status", status);
	add_header(body);
	return cstring_to_text(body);
}

/* Answers 422 with all faults, and counts them as one validation error. */
static text *
answer_faults(const Faults *faults)
{
	counters_add_error(VALIDATION_ERROR);
	return answer_with("422", psprintf("{\"detail\": [%s]}", faults->list.data));
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

	initStringInfo(&json);
	add_field(&json, "error", error_service_name(error));
	add_field(&json, "detail", error->message);
	add_field(&json, "reason", error->detail);
	appendStringInfoChar(&json, '}');
	/* SQLSTATE is "PT" and the status. */
	return answer_with(unpack_sql_state(error->sqlerrcode) + 2, json.data);
}

/* Tells whether an error says that another transaction was in the way. */
static bool
is_lost_race(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/*
 * Tells whether PostgREST would report an SQLSTATE with a status that the error of a trigger must
 * not have: one that the trigger chooses (PT and PGRST), even 200, or one about the caller's
 * rights, which were checked before.
 */
static bool
is_misleading(const char *sqlstate)
{
	static const char *const prefixes[] = {"PT", "PGRST", "42501", "28", "0L", "0P"};

	for (size_t i = 0; i < lengthof(prefixes); i++)
	{
		if (strncmp(sqlstate, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

/* Expects any error: answer_request() decides what becomes of it. */
static bool
is_any(const ErrorData *error pg_attribute_unused())
{
	return true;
}

/*
 * Raises an error again that is not the extension's own.  PostgREST reports it with 500, or after a
 * lost race runs the transaction again, but not without limit.
 */
static _Noreturn void
pass_on(ErrorData *error)
{
	lost_races = is_lost_race(error) ? lost_races + 1 : 0;
	if (is_misleading(unpack_sql_state(error->sqlerrcode)))
		error->sqlerrcode = ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
	else if (lost_races >= MAX_LOST_RACES)
	{
		error->sqlerrcode = ERRCODE_TRANSACTION_ROLLBACK;
		lost_races = 0;
	}
	ReThrowError(error);
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
 * operation, or the extension's error that it raised.  Any other error is raised.
 */
Datum
answer_request(const Faults *faults, text *(*operation)(const void *request),
			   const void *request)
{
	Run run = {.operation = operation, .request = request};
	ErrorData *error;

	if (faults->list.len > 0)
		PG_RETURN_TEXT_P(answer_faults(faults));
	error = subtransaction_run(run_operation, &run, is_any);
	if (error != NULL && error_service_name(error) == NULL)
		pass_on(error);
	lost_races = 0;
	PG_RETURN_TEXT_P(error == NULL ? run.body : answer_error(error));
}

/*
 * Answers a request whose query names a purchase, to list what belongs to it, of the application or
 * of the customer who pays.  The operation takes a ListRequest.
 */
Datum
answer_list(FunctionCallInfo fcinfo, const pg_uuid_t *payer,
			text *(*operation)(const void *request))
{
	ListRequest request = {.payer = payer};
	Faults faults;

	faults_start(&faults);
	request.purchase = purchase_of_query(fcinfo, &faults);
	return answer_request(&faults, operation, &request);
}

/*
 * Answers a request whose path has an id by this name, of the application or of the customer who
 * pays.  The operation takes an IdRequest.
 */
Datum
answer_id(FunctionCallInfo fcinfo, const char *name, const pg_uuid_t *payer,
		  text *(*operation)(const void *request))
{
	IdRequest request = {.payer = payer};
	NullableDatum id;
	Faults faults;

	faults_start(&faults);
	faults.place = "path";
	check_missing(fcinfo, 0, name, &faults);
	id = uuid_argument(fcinfo, 0, name, &faults);
	if (!id.isnull)
		request.id = DatumGetUUIDP(id.value);
	return answer_request(&faults, operation, &request);
}

/* ---- The functions ---- */

/* The arguments of a claim. */
typedef struct ClaimRequest
{
	const text *token;
	const text *key; /* or NULL */
} ClaimRequest;

/* Returns the body, which is a function's one argument of type jsonb, or NULL if it is null. */
const Jsonb *
json_argument(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
}

/*
 * Returns the body, which is a function's one argument of type bytea, or NULL if it is null or not
 * JSON.
 */
const Jsonb *
bytes_argument(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? NULL : parse_body(PG_GETARG_BYTEA_PP(0));
}

/* Claims a seat; returns the body of the answer. */
static text *
run_claim(const void *request)
{
	const ClaimRequest *claim = request;

	return claim_json(
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
	return DatumGetTextPP(DirectFunctionCall1(
		row_to_json, claim_info_operation(named_type("seat_claim_info"), token)));
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

/* Assigns a seat; returns the body of the answer, with the token unless a payer assigns it. */
static text *
run_assign(const void *request)
{
	const Assignment *assignment = request;
	Datum invitation = assign_operation(named_type("seat_invitation"), assignment);

	return assignment->payer == NULL ? invitation_json(invitation)
									 : invited_seat_json(invitation);
}

/* Reads the customer that the seat is for.  An identifier of a wrong type does not count. */
static void
read_customer(const Jsonb *body, Assignment *assignment, Faults *faults)
{
	int before = faults->list.len;
	bool are_typed;

	assignment->email = text_field(body, "email", faults);
	are_typed = faults->list.len == before;
	if (!assignment->email.isnull)
		check_email(faults, DatumGetTextPP(assignment->email.value), "email");
	before = faults->list.len;
	assignment->external_customer_id = text_field(body, "external_customer_id", faults);
	assignment->customer_id = uuid_field(body, "customer_id", faults);
	if (are_typed && faults->list.len == before)
		check_one_customer(faults,
						   !assignment->email.isnull +
							   !assignment->external_customer_id.isnull +
							   !assignment->customer_id.isnull);
}

/* Reads the body of a request to assign a seat. */
static void
read_assignment(const Jsonb *body, Assignment *assignment, Faults *faults)
{
	assignment->purchase = purchase_field(body, faults);
	read_customer(body, assignment, faults);
	assignment->metadata = object_field(body, "metadata", faults);
	if (!assignment->metadata.isnull)
		check_metadata(faults, DatumGetJsonbP(assignment->metadata.value), "metadata");
	assignment->immediate_claim = bool_field(body, "immediate_claim", faults);
	if (assignment->immediate_claim && assignment->payer != NULL)
		fault_add(faults, "immediate_claim",
				  "Value error, immediate_claim is not available to customers", "value_error");
}

/* Answers a request to assign a seat, of the application or of the customer who pays. */
static Datum
answer_assign(const Jsonb *body, const pg_uuid_t *payer)
{
	Assignment assignment = {.payer = payer};
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
	return answer_assign(json_argument(fcinfo), NULL);
}

/* assign_seat(bytea): the same, with an unparsed body. */
Datum
seats_http_assign_seat_bytes(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("assign_seat()");
	return answer_assign(bytes_argument(fcinfo), NULL);
}

/* Lists the seats of a purchase; returns the body of the answer. */
static text *
run_list(const void *request)
{
	const ListRequest *list = request;

	return list_json(list_operation(named_type("seats_list"), list->purchase, list->payer));
}

/*
 * list_seats(subscription_id text, order_id text): GET /v1/customer-seats.  Answers 200 with the
 * seats, 403, 404 or 422.  Locks nothing.
 */
Datum
seats_http_list_seats(PG_FUNCTION_ARGS)
{
	return answer_list(fcinfo, NULL, run_list);
}

/* Revokes a seat; returns the body of the answer. */
static text *
run_revoke(const void *request)
{
	const IdRequest *revoke = request;

	return seat_json(revoke_operation(named_type("customer_seat"), revoke->id, revoke->payer));
}

/*
 * revoke_seat(seat_id text): DELETE /v1/customer-seats/{seat_id}.  Answers 200 with the seat, 403,
 * 404 or 422; raises 25006 in a read-only transaction.  Locks as seats.revoke_seat().
 */
Datum
seats_http_revoke_seat(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("revoke_seat()");
	return answer_id(fcinfo, "seat_id", NULL, run_revoke);
}

/*
 * Sends an invitation again; returns the body of the answer, with the token unless a payer asks for
 * it.
 */
static text *
run_resend(const void *request)
{
	const IdRequest *resend = request;
	Datum invitation = resend_operation(named_type("seat_invitation"), resend->id,
										resend->payer);

	return resend->payer == NULL ? invitation_json(invitation) : invited_seat_json(invitation);
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
	return answer_id(fcinfo, "seat_id", NULL, run_resend);
}

/* ---- The functions for the customer who pays ---- */

/*
 * Finds the customer that the request's JWT names; returns false if there is none.  Whether the
 * customer pays for a purchase is found out by the operation, which says nothing else to one who
 * does not than that the purchase does not exist.
 */
bool
find_payer(pg_uuid_t *payer)
{
	return current_customer(payer) && customer_exists(payer);
}

/* Answers 401: no customer asks. */
Datum
answer_unauthorized(void)
{
	counters_add_error(SESSION_INVALID);
	PG_RETURN_TEXT_P(
		answer_with("401", "{\"error\": \"Unauthorized\", \"detail\": \"Unauthorized\"}"));
}

/*
 * portal_list_seats(subscription_id text, order_id text): GET /v1/customer-portal/seats.  Answers
 * 200 with the seats, 401, 403, 404 or 422.  Locks nothing.
 */
Datum
seats_http_portal_list_seats(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	return find_payer(&payer) ? answer_list(fcinfo, &payer, run_list) : answer_unauthorized();
}

/*
 * portal_assign_seat(jsonb): POST /v1/customer-portal/seats.  Answers 200 with the seat, 400, 401,
 * 403, 404 or 422; raises 25006 in a read-only transaction.  Locks as seats.assign_seat().
 */
Datum
seats_http_portal_assign_seat(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	PreventCommandIfReadOnly("portal_assign_seat()");
	return find_payer(&payer) ? answer_assign(json_argument(fcinfo), &payer)
							  : answer_unauthorized();
}

/* portal_assign_seat(bytea): the same, with an unparsed body. */
Datum
seats_http_portal_assign_seat_bytes(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	PreventCommandIfReadOnly("portal_assign_seat()");
	return find_payer(&payer) ? answer_assign(bytes_argument(fcinfo), &payer)
							  : answer_unauthorized();
}

/*
 * portal_revoke_seat(seat_id text): DELETE /v1/customer-portal/seats/{seat_id}.  Answers 200 with
 * the seat, 401, 403, 404 or 422; raises 25006 in a read-only transaction.  Locks as
 * seats.revoke_seat().
 */
Datum
seats_http_portal_revoke_seat(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	PreventCommandIfReadOnly("portal_revoke_seat()");
	return find_payer(&payer) ? answer_id(fcinfo, "seat_id", &payer, run_revoke)
							  : answer_unauthorized();
}

/*
 * portal_resend_invitation(seat_id text): POST /v1/customer-portal/seats/{seat_id}/resend.  Answers
 * 200 with the seat, 400, 401, 403, 404 or 422; raises 25006 in a read-only transaction.  Locks as
 * seats.resend_invitation().
 */
Datum
seats_http_portal_resend_invitation(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	PreventCommandIfReadOnly("portal_resend_invitation()");
	return find_payer(&payer) ? answer_id(fcinfo, "seat_id", &payer, run_resend)
							  : answer_unauthorized();
}
