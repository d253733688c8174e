/*
 * http.h
 *		Answering the requests that the functions of the schema seats_http get.
 */
#ifndef SEATS_HTTP_H
#define SEATS_HTTP_H

#include "fmgr.h"
#include "utils/jsonb.h"

#include "input.h"

extern const Jsonb *json_argument(FunctionCallInfo fcinfo);
extern const Jsonb *bytes_argument(FunctionCallInfo fcinfo);
extern bool find_payer(pg_uuid_t *payer);
extern Datum answer_request(const Faults *faults, text *(*operation)(const void *request),
							const void *request);
extern Datum answer_unauthorized(void);

#endif
