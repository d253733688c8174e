/*
 * http_join.c
 *		The functions of the schema seats_http for join links.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "http.h"
#include "http_request.h"
#include "input.h"
#include "join.h"
#include "join_link.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(seats_http_join_info);
PG_FUNCTION_INFO_V1(seats_http_join_seat);
PG_FUNCTION_INFO_V1(seats_http_join_seat_bytes);
PG_FUNCTION_INFO_V1(seats_http_create_join_link);
PG_FUNCTION_INFO_V1(seats_http_create_join_link_bytes);
PG_FUNCTION_INFO_V1(seats_http_list_join_links);
PG_FUNCTION_INFO_V1(seats_http_revoke_join_link);
PG_FUNCTION_INFO_V1(seats_http_portal_create_join_link);
PG_FUNCTION_INFO_V1(seats_http_portal_create_join_link_bytes);
PG_FUNCTION_INFO_V1(seats_http_portal_list_join_links);
PG_FUNCTION_INFO_V1(seats_http_portal_revoke_join_link);

/* How long a link is valid, in seconds, if the request does not say. */
#define DEFAULT_EXPIRES_IN (7 * SECS_PER_DAY)

/* ---- Joining ---- */

/* Returns a composite value as JSON. */
static text *
composite_json(Datum value)
{
	return DatumGetTextPP(DirectFunctionCall1(row_to_json, value));
}

/* Describes a join link; returns the body of the answer. */
static text *
run_join_info(const void *token)
{
	return composite_json(join_info_operation(named_type("join_info"), token));
}

/*
 * join_info(join_token text): GET /v1/customer-seats/join/{join_token}.  Answers 200 with what the
 * link is for, 400, 403 or 422.  Locks nothing.
 */
Datum
seats_http_join_info(PG_FUNCTION_ARGS)
{
	const text *token = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	Faults faults;

	faults_start(&faults);
	faults.place = "path";
	check_missing(fcinfo, 0, "join_token", &faults);
	if (token != NULL)
		check_token_text(&faults, token, "join_token");
	return answer_request(&faults, run_join_info, token);
}

/* The arguments of a join. */
typedef struct JoinRequest
{
	const text *token;
	NullableDatum email;
} JoinRequest;

/* Joins; returns the body of the answer, which says nothing about whether a seat was given. */
static text *
run_join(const void *request)
{
	const JoinRequest *join = request;

	join_operation(join->token, DatumGetTextPP(join->email.value));
	return cstring_to_text("{}");
}

/* Reads the address of a request to join. */
static NullableDatum
read_email(const Jsonb *body, Faults *faults)
{
	int before = faults->list.len;
	NullableDatum email = text_field(body, "email", faults);

	if (!email.isnull)
		check_email(faults, DatumGetTextPP(email.value), "email");
	else if (faults->list.len == before)
		fault_add(faults, "email", "Field required", "missing");
	return email;
}

/* Answers a request to join. */
static Datum
answer_join(const Jsonb *body)
{
	JoinRequest request = {0};
	Faults faults;

	faults_start(&faults);
	if (check_body(body, &faults))
	{
		request.token = token_field(body, "join_token", &faults);
		request.email = read_email(body, &faults);
	}
	return answer_request(&faults, run_join, &request);
}

/*
 * join_seat(jsonb): POST /v1/customer-seats/join.  Answers 200, whether the address got a seat or
 * held one before, 400, 403 or 422; raises 25006 in a read-only transaction.  Locks as
 * seats.join_seat().
 */
Datum
seats_http_join_seat(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("join_seat()");
	return answer_join(json_argument(fcinfo));
}

/* join_seat(bytea): the same, with an unparsed body. */
Datum
seats_http_join_seat_bytes(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("join_seat()");
	return answer_join(bytes_argument(fcinfo));
}

/* ---- Links ---- */

/* Makes a link; returns the body of the answer. */
static text *
run_create(const void *terms)
{
	return composite_json(create_join_link_operation(named_type("created_join_link"), terms));
}

/* Returns how long a link is to be valid, an interval: the field says it in seconds. */
static NullableDatum
read_expires_in(const Jsonb *body, Faults *faults)
{
	NullableDatum seconds = int_field(body, "expires_in", faults);
	Interval *interval = palloc0(sizeof(Interval));

	interval->time = (seconds.isnull ? DEFAULT_EXPIRES_IN : DatumGetInt32(seconds.value)) *
		USECS_PER_SEC;
	return (NullableDatum){IntervalPGetDatum(interval), false};
}

/* Reads the body of a request to make a link. */
static void
read_terms(const Jsonb *body, JoinLinkTerms *terms, Faults *faults)
{
	NullableDatum expires_in;

	terms->purchase = purchase_field(body, faults);
	terms->max_uses = int_field(body, "max_uses", faults);
	expires_in = read_expires_in(body, faults);
	terms->expires_in = expires_in.value;
	terms->email_domains = strings_field(body, "email_domains", faults);
	join_link_check_terms(terms->max_uses, expires_in, terms->email_domains, faults);
}

/* Answers a request to make a link, of the application or of the customer who pays. */
static Datum
answer_create(const Jsonb *body, const pg_uuid_t *payer)
{
	JoinLinkTerms terms = {.payer = payer};
	Faults faults;

	faults_start(&faults);
	if (check_body(body, &faults))
		read_terms(body, &terms, &faults);
	return answer_request(&faults, run_create, &terms);
}

/*
 * create_join_link(jsonb): POST /v1/customer-seats/join-links.  Answers 200 with the link and its
 * token, 403, 404 or 422; raises 25006 in a read-only transaction.  Locks as
 * seats.create_join_link().
 */
Datum
seats_http_create_join_link(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("create_join_link()");
	return answer_create(json_argument(fcinfo), NULL);
}

/* create_join_link(bytea): the same, with an unparsed body. */
Datum
seats_http_create_join_link_bytes(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("create_join_link()");
	return answer_create(bytes_argument(fcinfo), NULL);
}

/* Lists links; returns the body of the answer, an array. */
static text *
run_list(const void *request)
{
	const ListRequest *list = request;
	StringInfoData json;
	Datum *links;
	int count = list_join_links_operation(list->purchase, list->payer,
										  named_type("join_link")->tdtypeid, &links);

	initStringInfo(&json);
	for (int i = 0; i < count; i++)
		appendStringInfo(&json, "%s%s", i == 0 ? "" : ", ",
						 text_to_cstring(composite_json(links[i])));
	return cstring_to_text(psprintf("[%s]", json.data));
}

/*
 * list_join_links(subscription_id text, order_id text): GET /v1/customer-seats/join-links.  Answers
 * 200 with an array of the links, 403, 404 or 422.  Locks nothing.
 */
Datum
seats_http_list_join_links(PG_FUNCTION_ARGS)
{
	return answer_list(fcinfo, NULL, run_list);
}

/* Revokes a link; returns the body of the answer. */
static text *
run_revoke(const void *request)
{
	const IdRequest *revoke = request;

	return composite_json(
		revoke_join_link_operation(named_type("join_link"), revoke->id, revoke->payer));
}

/*
 * revoke_join_link(link_id text): DELETE /v1/customer-seats/join-links/{link_id}.  Answers 200 with
 * the link, 403, 404 or 422; raises 25006 in a read-only transaction.  Locks as
 * seats.revoke_join_link().
 */
Datum
seats_http_revoke_join_link(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("revoke_join_link()");
	return answer_id(fcinfo, "link_id", NULL, run_revoke);
}

/* ---- Links of the customer who pays ---- */

/*
 * portal_create_join_link(jsonb): POST /v1/customer-portal/seats/join-links.  Answers 200 with the
 * link and its token, 401, 403, 404 or 422; raises 25006 in a read-only transaction.  Locks as
 * seats.create_join_link().
 */
Datum
seats_http_portal_create_join_link(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	PreventCommandIfReadOnly("portal_create_join_link()");
	return find_payer(&payer) ? answer_create(json_argument(fcinfo), &payer)
							  : answer_unauthorized();
}

/* portal_create_join_link(bytea): the same, with an unparsed body. */
Datum
seats_http_portal_create_join_link_bytes(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	PreventCommandIfReadOnly("portal_create_join_link()");
	return find_payer(&payer) ? answer_create(bytes_argument(fcinfo), &payer)
							  : answer_unauthorized();
}

/*
 * portal_list_join_links(subscription_id text, order_id text):
 * GET /v1/customer-portal/seats/join-links.  Answers 200 with an array of the links, 401, 403, 404
 * or 422.  Locks nothing.
 */
Datum
seats_http_portal_list_join_links(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	return find_payer(&payer) ? answer_list(fcinfo, &payer, run_list) : answer_unauthorized();
}

/*
 * portal_revoke_join_link(link_id text): DELETE /v1/customer-portal/seats/join-links/{link_id}.
 * Answers 200 with the link, 401, 403, 404 or 422; raises 25006 in a read-only transaction.  Locks
 * as seats.revoke_join_link().
 */
Datum
seats_http_portal_revoke_join_link(PG_FUNCTION_ARGS)
{
	pg_uuid_t payer;

	PreventCommandIfReadOnly("portal_revoke_join_link()");
	return find_payer(&payer) ? answer_id(fcinfo, "link_id", &payer, run_revoke)
							  : answer_unauthorized();
}
