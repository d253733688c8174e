/*
 * http.h
 *		Answers as the HTTP contract's service gives them: a status and a JSON body.
 */
#ifndef SEATS_HTTP_H
#define SEATS_HTTP_H

#include "fmgr.h"

#include "arguments.h"

extern text *http_json(Datum composite);
extern text *http_json_with_token(Datum composite);
extern Datum http_answer(const Faults *faults, text *(*operation)(const void *request),
						 const void *request);

#endif
