/*
 * kept_plan.h
 *		SQL statements that are prepared once in a session.
 */
#ifndef SEATS_KEPT_PLAN_H
#define SEATS_KEPT_PLAN_H

#include "executor/spi.h"

#define KEPT_PLAN_MAX_ARGUMENTS 12

/* A statement and, once used, its plan.  Keep it in a static variable beside what uses it. */
typedef struct KeptPlan
{
	const char *sql; /* every name and operator qualified */
	int nargs;
	Oid argtypes[KEPT_PLAN_MAX_ARGUMENTS];
	const char *table; /* that it changes, for kept_plan_change() */
	SPIPlanPtr plan;
} KeptPlan;

/* Operators as these statements write them, so that a search path cannot change them. */
#define EQ " OPERATOR(pg_catalog.=) "
#define LE " OPERATOR(pg_catalog.<=) "
#define GT " OPERATOR(pg_catalog.>) "

extern uint64 kept_plan_count(void);
extern uint64 kept_plan_execute(KeptPlan *statement, const NullableDatum *arguments);
extern void kept_plan_change(KeptPlan *statement, const NullableDatum *arguments,
							 uint64 count);
extern void kept_plan_confirm(KeptPlan *statement, const NullableDatum *arguments,
							  uint64 count);
extern bool kept_plan_insert(KeptPlan *statement, KeptPlan *returning,
							 const NullableDatum *arguments, uint64 count);
extern uint64 kept_plan_read(KeptPlan *statement, const NullableDatum *arguments);
extern Portal kept_plan_open(KeptPlan *statement, const NullableDatum *arguments);

#endif
