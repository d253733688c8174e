/*
 * claim.h
 *		One call of claim_seat().
 */
#ifndef SEATS_CLAIM_H
#define SEATS_CLAIM_H

#include "datatype/timestamp.h"

#include "seat.h"

typedef struct Claim
{
	/* What is asked for. */
	bytea *hash;		   /* of the invitation token */
	bytea *key_hash;	   /* of the idempotency key, or NULL */
	Oid seat_type;		   /* of the result */
	MemoryContext context; /* where the result goes */
	/* What was done. */
	SeatIds seat;
	TimestampTz now; /* when the seat was claimed, or the claim answered again */
	Datum result;	 /* the seat as a composite value */
} Claim;

extern bool claim_directly(Claim *claim);

#endif
