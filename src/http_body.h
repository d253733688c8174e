/*
 * http_body.h
 *		Reading what an HTTP request says, and finding all that is wrong with it.
 */
#ifndef SEATS_HTTP_BODY_H
#define SEATS_HTTP_BODY_H

#include "arguments.h"

extern Jsonb *http_parse_body(const bytea *body);
extern bool http_check_body(const Jsonb *body, Faults *faults);
extern bool http_has_field(const Jsonb *body, const char *name);
extern const text *http_token_field(const Jsonb *body, const char *name, Faults *faults);
extern NullableDatum http_text_field(const Jsonb *body, const char *name, Faults *faults);
extern NullableDatum http_uuid_field(const Jsonb *body, const char *name, Faults *faults);
extern NullableDatum http_object_field(const Jsonb *body, const char *name, Faults *faults);
extern bool http_bool_field(const Jsonb *body, const char *name, Faults *faults);
extern void http_check_missing(FunctionCallInfo fcinfo, int argno, const char *name,
							   Faults *faults);
extern NullableDatum http_uuid_argument(FunctionCallInfo fcinfo, int argno, const char *name,
										Faults *faults);

#endif
