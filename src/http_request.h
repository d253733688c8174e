/*
 * http_request.h
 *		Reading the bodies and arguments of the functions of the schema seats_http.
 */
#ifndef SEATS_HTTP_REQUEST_H
#define SEATS_HTTP_REQUEST_H

#include "fmgr.h"
#include "utils/jsonb.h"

#include "input.h"

extern Jsonb *parse_body(const bytea *body);
extern bool check_body(const Jsonb *body, Faults *faults);
extern const text *token_field(const Jsonb *body, const char *name, Faults *faults);
extern NullableDatum text_field(const Jsonb *body, const char *name, Faults *faults);
extern NullableDatum uuid_field(const Jsonb *body, const char *name, Faults *faults);
extern NullableDatum object_field(const Jsonb *body, const char *name, Faults *faults);
extern NullableDatum int_field(const Jsonb *body, const char *name, Faults *faults);
extern NullableDatum strings_field(const Jsonb *body, const char *name, Faults *faults);
extern PurchaseId purchase_field(const Jsonb *body, Faults *faults);
extern bool bool_field(const Jsonb *body, const char *name, Faults *faults);
extern void check_missing(FunctionCallInfo fcinfo, int argno, const char *name,
						  Faults *faults);
extern PurchaseId purchase_of_query(FunctionCallInfo fcinfo, Faults *faults);
extern NullableDatum uuid_argument(FunctionCallInfo fcinfo, int argno, const char *name,
								   Faults *faults);

#endif
