/*
 * http.h
 *		Answering the requests that the functions of the schema seats_http get.
 */
#ifndef SEATS_HTTP_H
#define SEATS_HTTP_H

#include "fmgr.h"
#include "utils/jsonb.h"

#include "input.h"

/* The arguments of a list. */
typedef struct ListRequest
{
	PurchaseId purchase;
	const pg_uuid_t *payer; /* or NULL for the application */
} ListRequest;

/* The arguments of a request whose path has an id. */
typedef struct IdRequest
{
	const pg_uuid_t *id;
	const pg_uuid_t *payer; /* or NULL for the application */
} IdRequest;

extern const Jsonb *json_argument(FunctionCallInfo fcinfo);
extern const Jsonb *bytes_argument(FunctionCallInfo fcinfo);
extern bool find_payer(pg_uuid_t *payer);
extern Datum answer_request(const Faults *faults, text *(*operation)(const void *request),
							const void *request);
extern Datum answer_list(FunctionCallInfo fcinfo, const pg_uuid_t *payer,
						 text *(*operation)(const void *request));
extern Datum answer_id(FunctionCallInfo fcinfo, const char *name, const pg_uuid_t *payer,
					   text *(*operation)(const void *request));
extern Datum answer_unauthorized(void);

#endif
