/*
 * http.c
 *		Answers as the HTTP contract's service gives them: a status and a JSON body.
 *
 * PostgREST takes the status from the setting response.status, which we leave alone where it is
 * 200.  An answer that says what went wrong is an answer nevertheless, and PostgREST commits.  So
 * the operation runs in a subtransaction, and what it did is undone before the status is set.
 * Only the extension's own errors become answers.  Others pass, and PostgREST reports them: a
 * failure to serialize or a deadlock, which the caller may try again, a time-out, anything that a
 * trigger raises.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "counters.h"
#include "errors.h"
#include "http.h"
#include "subtransaction.h"

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

/* Sets the status of PostgREST's answer, until the transaction ends. */
static void
set_status(const char *status)
{
	(void) set_config_option("response.status", status, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Answers 422, with all faults, which count as the error that they would be elsewhere. */
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

/* Answers 400, 403 or 404, by an error that the extension raised. */
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

/* Tells whether an error is the extension's own, for which there is an answer. */
static bool
is_answerable(const ErrorData *error)
{
	return error_service_name(error) != NULL;
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
 * extension's error that it raises.
 */
Datum
http_answer(const Faults *faults, text *(*operation)(const void *request), const void *request)
{
	Run run = {.operation = operation, .request = request};
	const ErrorData *error;

	if (faults->list.len > 0)
		PG_RETURN_TEXT_P(answer_faults(faults));
	error = subtransaction_run(run_operation, &run, is_answerable);
	PG_RETURN_TEXT_P(error == NULL ? run.body : answer_error(error));
}
