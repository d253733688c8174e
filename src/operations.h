/*
 * operations.h
 *		What the functions of the schemas seats and seats_http do once their arguments are checked.
 *
 * Each returns a value of the composite type that it is given, in the caller's memory context.
 * Those that change something are called in a transaction that may.
 */
#ifndef SEATS_OPERATIONS_H
#define SEATS_OPERATIONS_H

#include "access/tupdesc.h"
#include "utils/uuid.h"

#include "purchase.h"

/* To whom a seat of what is assigned, and with what. */
typedef struct Assignment
{
	PurchaseId purchase;
	/* The customer: exactly one of these is not null. */
	NullableDatum email;
	NullableDatum external_customer_id;
	NullableDatum customer_id;
	NullableDatum metadata; /* jsonb, or null */
	bool immediate_claim;
} Assignment;

extern Datum claim_operation(TupleDesc type, const text *token, const text *key);
extern Datum claim_info_operation(TupleDesc type, const text *token);
extern Datum assign_operation(TupleDesc type, const Assignment *assignment);
extern Datum list_operation(TupleDesc type, PurchaseId purchase);
extern Datum revoke_operation(TupleDesc type, const pg_uuid_t *seat_id);
extern Datum resend_operation(TupleDesc type, const pg_uuid_t *seat_id);

/* The idempotency key that a claim comes with over PostgREST, or NULL for none. */
extern const text *claim_key_of_request(void);

#endif
