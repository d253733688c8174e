/*
 * http_operations.c
 *		The functions of the schema seats_http, which answer as the HTTP contract's service does.
 *
 * Each reads the request and finds all faults in it, before anything is done; what is then done
 * is what the function of the schema seats does.  Those that change something refuse a read-only
 * transaction before they look at the request: PostgREST runs GET and HEAD so, and answers 405.
 *
 * A body is one argument, of type jsonb, or of type bytea where it is to be parsed here.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "export.h"
#include "http.h"
#include "http_body.h"
#include "operations.h"
#include "row.h"

PG_FUNCTION_INFO_V1(seats_http_claim_seat);
PG_FUNCTION_INFO_V1(seats_http_claim_seat_bytes);
PG_FUNCTION_INFO_V1(seats_http_get_claim_info);
PG_FUNCTION_INFO_V1(seats_http_assign_seat);
PG_FUNCTION_INFO_V1(seats_http_assign_seat_bytes);
PG_FUNCTION_INFO_V1(seats_http_list_seats);
PG_FUNCTION_INFO_V1(seats_http_revoke_seat);
PG_FUNCTION_INFO_V1(seats_http_resend_invitation);

/* What is asked of claim_seat(). */
typedef struct ClaimRequest
{
	const text *token;
	const text *key; /* or NULL */
} ClaimRequest;

/* Returns the body that is a function's one argument of type jsonb, or NULL. */
static const Jsonb *
json_argument(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
}

/* Returns the body that is a function's one argument of type bytea, or NULL where it is no JSON. */
static const Jsonb *
bytes_argument(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? NULL : http_parse_body(PG_GETARG_BYTEA_PP(0));
}

/* Claims a seat; returns the body of the answer. */
static text *
run_claim(const void *request)
{
	const ClaimRequest *claim = request;

	return http_json(
		claim_operation(named_type("customer_seat_claim_response"), claim->token, claim->key));
}

/* Answers the request to claim a seat, by its body. */
static Datum
answer_claim(const Jsonb *body)
{
	ClaimRequest request = {0};
	Faults faults;

	faults_start(&faults);
	if (http_check_body(body, &faults))
		request.token = http_token_field(body, "invitation_token", &faults);
	request.key = claim_key_of_request();
	faults.place = "header";
	if (request.key != NULL)
		check_length(&faults, request.key, "idempotency-key");
	return http_answer(&faults, run_claim, &request);
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

/* claim_seat(bytea): the same, with a body that is not parsed yet. */
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
	return http_json(claim_info_operation(named_type("seat_claim_info"), token));
}

/*
 * get_claim_info(invitation_token text): GET /v1/customer-seats/claim/{invitation_token}.  Answers
 * 200 with what the invitation is for, 400, 403 or 422.  Locks nothing.
 */
Datum
seats_http_get_claim_info(PG_FUNCTION_ARGS)
{
	const text *token = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	Faults faults;

	faults_start(&faults);
	faults.place = "path";
	http_check_missing(fcinfo, 0, "invitation_token", &faults);
	if (token != NULL)
		check_token_text(&faults, token, "invitation_token");
	return http_answer(&faults, run_claim_info, token);
}

/* Assigns a seat; returns the body of the answer. */
static text *
run_assign(const void *assignment)
{
	return http_json_with_token(assign_operation(named_type("seat_invitation"), assignment));
}

/*
 * Reads which purchase a seat is of.  There are no checkouts here, by which the service can find a
 * purchase too; to ignore one could give a seat of another purchase than is meant.  How many ids
 * there are is only looked at where each is one: an empty one beside a good one is one fault.
 */
static PurchaseId
read_purchase(const Jsonb *body, Faults *faults)
{
	int before = faults->list.len;
	NullableDatum subscription = http_uuid_field(body, "subscription_id", faults);
	NullableDatum order = http_uuid_field(body, "order_id", faults);
	bool are_ids = faults->list.len == before;

	if (http_has_field(body, "checkout_id"))
		fault_add(
			faults, "checkout_id",
			"Value error, checkout_id is not supported, give subscription_id or order_id",
			"value_error");
	if (are_ids)
		check_one_purchase(faults, !subscription.isnull, !order.isnull);
	return named_purchase(subscription, order);
}

/* Reads whom a seat is for; counts who is named only where each is of its type, as read_purchase(). */
static void
read_customer(const Jsonb *body, Assignment *assignment, Faults *faults)
{
	int before = faults->list.len;
	bool are_typed;

	assignment->email = http_text_field(body, "email", faults);
	are_typed = faults->list.len == before;
	if (!assignment->email.isnull)
		check_email(faults, DatumGetTextPP(assignment->email.value), "email");
	before = faults->list.len;
	assignment->external_customer_id = http_text_field(body, "external_customer_id", faults);
	assignment->customer_id = http_uuid_field(body, "customer_id", faults);
	if (are_typed && faults->list.len == before)
		check_one_customer(faults,
						   !assignment->email.isnull +
							   !assignment->external_customer_id.isnull +
							   !assignment->customer_id.isnull);
}

/* Reads the whole body of a request to assign a seat. */
static void
read_assignment(const Jsonb *body, Assignment *assignment, Faults *faults)
{
	assignment->purchase = read_purchase(body, faults);
	read_customer(body, assignment, faults);
	assignment->metadata = http_object_field(body, "metadata", faults);
	if (!assignment->metadata.isnull)
		check_metadata(faults, DatumGetJsonbP(assignment->metadata.value), "metadata");
	assignment->immediate_claim = http_bool_field(body, "immediate_claim", faults);
}

/* Answers the request to assign a seat, by its body. */
static Datum
answer_assign(const Jsonb *body)
{
	Assignment assignment = {0};
	Faults faults;

	faults_start(&faults);
	if (http_check_body(body, &faults))
		read_assignment(body, &assignment, &faults);
	return http_answer(&faults, run_assign, &assignment);
}

/*
 * assign_seat(jsonb): POST /v1/customer-seats.  Answers 200 with the seat and the invitation token
 * beside its fields, 400, 403, 404 or 422; raises 25006 in a read-only transaction.  Locks as
 * seats.assign_seat().
 */
Datum
seats_http_assign_seat(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("assign_seat()");
	return answer_assign(json_argument(fcinfo));
}

/* assign_seat(bytea): the same, with a body that is not parsed yet. */
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
	return http_json(list_operation(named_type("seats_list"), *(const PurchaseId *) purchase));
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
	subscription = http_uuid_argument(fcinfo, 0, "subscription_id", &faults);
	order = http_uuid_argument(fcinfo, 1, "order_id", &faults);
	if (faults.list.len == 0)
		check_one_purchase(&faults, !subscription.isnull, !order.isnull);
	purchase = named_purchase(subscription, order);
	return http_answer(&faults, run_list, &purchase);
}

/* Answers a request whose path names a seat. */
static Datum
answer_seat(FunctionCallInfo fcinfo, text *(*operation)(const void *seat_id))
{
	NullableDatum seat_id;
	Faults faults;

	faults_start(&faults);
	faults.place = "path";
	http_check_missing(fcinfo, 0, "seat_id", &faults);
	seat_id = http_uuid_argument(fcinfo, 0, "seat_id", &faults);
	return http_answer(&faults, operation,
					   seat_id.isnull ? NULL : DatumGetUUIDP(seat_id.value));
}

/* Revokes a seat; returns the body of the answer. */
static text *
run_revoke(const void *seat_id)
{
	return http_json(revoke_operation(named_type("customer_seat"), seat_id));
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
	return http_json_with_token(resend_operation(named_type("seat_invitation"), seat_id));
}

/*
 * resend_invitation(seat_id text): POST /v1/customer-seats/{seat_id}/resend.  Answers 200 with the
 * seat and the new token beside its fields, 400, 403, 404 or 422; raises 25006 in a read-only
 * transaction.  Locks as seats.resend_invitation().
 */
Datum
seats_http_resend_invitation(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("resend_invitation()");
	return answer_seat(fcinfo, run_resend);
}
