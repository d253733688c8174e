/*
 * http.c
 *		Answers as the HTTP contract's service gives them: a status and a JSON body.
 *
 * PostgREST takes the status from the setting response.status, which we leave alone where it is
 * 200.  An answer that says what went wrong is an answer nevertheless, and PostgREST commits.  So
 * the operation runs in a subtransaction, and what it did is undone before the status is set.
 * Only the extension's own errors become answers.  Others pass, and PostgREST reports them: a
 * failure to serialize or a deadlock, a time-out, anything that a trigger raises.
 *
 * A proxy that must tell the extension's answers from PostgREST's reports sees statuses and
 * headers only, and both use 400, 403 and 404.  So an answer that says what went wrong is in the
 * header Seats-Answer too: what has none is a report, which is nobody's business.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "counters.h"
#include "errors.h"
#include "http.h"
#include "subtransaction.h"

/*
 * PostgREST up to version 14 runs a transaction again, without limit and on the same connection,
 * when it fails with 40001 or 40P01.  The last of this many in a row is raised as 40000, after
 * which it does not.
 */
#define MAX_LOST_RACES 10

/* How many calls in a row have failed so in this backend. */
static int lost_races = 0;

/* An operation that is to be done, and what came of it. */
typedef struct Run
{
	text *(*operation)(const void *request);
	const void *request;
	text *body;
} Run;

/* Returns a composite value as a JSON object of its fields. */
text *
http_json(Datum composite)
{
	return DatumGetTextPP(DirectFunctionCall1(row_to_json, composite));
}

/* Returns the fields of a seat, and beside them the token of a value of type seat_invitation. */
text *
http_json_with_token(Datum composite)
{
	HeapTupleHeader invitation = DatumGetHeapTupleHeader(composite);
	bool isnull;
	Datum seat = GetAttributeByName(invitation, "seat", &isnull);
	Datum token = GetAttributeByName(invitation, "invitation_token", &isnull);
	const text *object = http_json(seat);
	StringInfoData json;

	initStringInfo(&json);
	/* All but the brace that closes it. */
	appendBinaryStringInfo(&json, VARDATA_ANY(object), VARSIZE_ANY_EXHDR(object) - 1);
	appendStringInfoString(&json, ",\"invitation_token\":");
	if (isnull)
		appendStringInfoString(&json, "null");
	else
		escape_json(&json, TextDatumGetCString(token));
	appendStringInfoChar(&json, '}');
	return cstring_to_text_with_len(json.data, json.len);
}

/* Sets one of the settings by which PostgREST makes its answer, until the transaction ends. */
static void
set_response(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true,
							 0, false);
}

/* Returns JSON as a value of type jsonb. */
static Datum
jsonb_from_cstring(const char *json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

/*
 * Adds the header Seats-Answer to those that a db-pre-request function may have set, in the place
 * of an earlier one; raises an error where these are no JSON, as PostgREST would.
 */
static void
add_header(const char *body)
{
	const char *setting = GetConfigOption("response.headers", true, false);
	bool is_set = setting != NULL && setting[0] != '\0';
	Datum others = jsonb_from_cstring(is_set ? setting : "[]");
	Datum path = DirectFunctionCall1(jsonpath_in,
									 CStringGetDatum("$[*] ? (!exists(@.\"Seats-Answer\"))"));
	StringInfoData header;
	Jsonb *headers;

	initStringInfo(&header);
	appendStringInfoString(&header, "[{\"Seats-Answer\": ");
	escape_json(&header, body);
	appendStringInfoString(&header, "}]");
	others = DirectFunctionCall4(jsonb_path_query_array, others, path,
								 jsonb_from_cstring("{}"), BoolGetDatum(false));
	headers = DatumGetJsonbP(
		DirectFunctionCall2(jsonb_concat, others, jsonb_from_cstring(header.data)));
	set_response("response.headers",
				 JsonbToCString(NULL, &headers->root, (int) VARSIZE(headers)));
}

/* Answers with a status other than 200, and a body that says what went wrong. */
static text *
answer_with(const char *status, const char *body)
{
	set_response("response.status", status);
	add_header(body);
	return cstring_to_text(body);
}

/* Answers 422, with all faults, which count as the error that they would be elsewhere. */
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

/* Answers 400, 403 or 404, by an error that the extension raised. */
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
 * Tells whether PostgREST would report an SQLSTATE with a status that what a trigger raises cannot
 * mean: one that the trigger chooses (PT and PGRST), and be it 200, or one about the caller's
 * rights, which were checked before.
 */
static bool
misleads(const char *sqlstate)
{
	static const char *const prefixes[] = {"PT", "PGRST", "42501", "28", "0L", "0P"};

	for (size_t i = 0; i < lengthof(prefixes); i++)
	{
		if (strncmp(sqlstate, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

/* Tells that an error is expected: whatever it is, http_answer() decides what becomes of it. */
static bool
is_any(const ErrorData *error pg_attribute_unused())
{
	return true;
}

/*
 * Raises an error again that is not the extension's own; with an SQLSTATE that PostgREST reports as
 * 500, where it would else mislead, or be tried once too often.
 */
static _Noreturn void
pass_on(ErrorData *error)
{
	lost_races = is_lost_race(error) ? lost_races + 1 : 0;
	if (misleads(unpack_sql_state(error->sqlerrcode)))
		error->sqlerrcode = ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
	else if (lost_races >= MAX_LOST_RACES)
	{
		error->sqlerrcode = ERRCODE_TRANSACTION_ROLLBACK;
		lost_races = 0;
	}
	ReThrowError(error);
}

/* Does the operation. */
static void
run_operation(void *state)
{
	Run *run = state;

	run->body = run->operation(run->request);
}

/*
 * Returns the body of the answer to a request, and sets its status unless that is 200.  Where
 * there is any fault, the answer is 422 and nothing is done; else the operation makes it, or the
 * extension's error that it raises.  Raises any other error that it raises.
 */
Datum
http_answer(const Faults *faults, text *(*operation)(const void *request), const void *request)
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
