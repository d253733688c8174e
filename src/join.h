/*
 * join.h
 *		Joining by a join link, and describing one.
 */
#ifndef SEATS_JOIN_H
#define SEATS_JOIN_H

#include "access/tupdesc.h"

extern Datum join_info_operation(TupleDesc type, const text *token);
extern void join_operation(const text *token, const text *email);

#endif
