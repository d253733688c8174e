/*
 * assign.h
 *		Assigning a seat to a customer, and sending an invitation again.
 *
 * Both return a value of the composite type that they are given, in the caller's memory context.
 * If a payer is given, the event says that the invitation was not sent, and the caller must not
 * hand out the token.
 */
#ifndef SEATS_ASSIGN_H
#define SEATS_ASSIGN_H

#include "access/tupdesc.h"

#include "purchase.h"

/* The arguments of assign_seat(), checked. */
typedef struct Assignment
{
	PurchaseId purchase;
	/* The customer: exactly one of these is not null. */
	NullableDatum email;
	NullableDatum external_customer_id;
	NullableDatum customer_id;
	NullableDatum metadata; /* jsonb, or null */
	bool immediate_claim;
	const pg_uuid_t *payer; /* who must pay for the purchase, or NULL for the application */
} Assignment;

extern Datum assign_operation(TupleDesc type, const Assignment *assignment);
extern bool renew_invitation(const pg_uuid_t *seat_id, const pg_uuid_t *join_link_id);
extern Datum resend_operation(TupleDesc type, const pg_uuid_t *seat_id,
							  const pg_uuid_t *payer);

#endif
