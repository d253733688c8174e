/*
 * claim.h
 *		Claiming a seat with an invitation token, and describing the invitation.
 *
 * Both functions return a value of the composite type that they are given, in the caller's memory
 * context.
 */
#ifndef SEATS_CLAIM_H
#define SEATS_CLAIM_H

#include "access/tupdesc.h"

extern Datum claim_operation(TupleDesc type, const text *token, const text *key);
extern Datum claim_info_operation(TupleDesc type, const text *token);
extern const text *claim_key_of_request(void);

#endif
