/*
 * allocate.h
 *		Allocating seats of a purchase to customers.
 */
#ifndef SEATS_ALLOCATE_H
#define SEATS_ALLOCATE_H

#include "customer.h"
#include "event.h"
#include "purchase.h"

/* A seat that was allocated, and the invitation to it. */
typedef struct AllocatedSeat
{
	Datum seat;	 /* of the type seats.customer_seat */
	text *token; /* in clear, or NULL for a seat that is claimed immediately */
} AllocatedSeat;

/* The allocation of seats of one purchase to customers. */
typedef struct Allocation
{
	Purchase purchase;			  /* locked */
	NullableDatum invitation_ttl; /* its organization's own interval, or null */
	Customer *customers;
	int count;
	NullableDatum metadata;			 /* jsonb, or null */
	bool claimed;					 /* immediately, without an invitation */
	bool imported;					 /* the customers were members before */
	const NullableDatum *claimed_at; /* of each, null for now; NULL if all are */
	const pg_uuid_t *payer;			 /* or NULL; see Assignment */
	const pg_uuid_t *join_link_id;	 /* by which the customer asks for the seat, or NULL */
	Oid seat_type;					 /* of the result */
	MemoryContext context;			 /* of the result */
	uint64 before;					 /* statements_writing() when the call began */
	/* Set by the allocation. */
	int32 raised;  /* the purchase's seats, if it raised them; otherwise 0 */
	bool all_used; /* no revoked seat is left; none is added while the purchase is locked */
	TimestampTz now;
	NullableDatum *hashes; /* of the tokens; null for seats that are claimed immediately */
	AllocatedSeat *seats;  /* the result, in the order of the customers */
	SeatEvent *events;	   /* of the seats */
} Allocation;

extern void allocation_lock(PurchaseId id, Allocation *allocation);
extern void allocation_check_status(Allocation *allocation);
extern bool allocation_has_room(const Allocation *allocation);
extern void allocation_check_one(const Allocation *allocation);
extern void allocation_check_all(const Allocation *allocation);
extern void allocate(Allocation *allocation);
extern TimestampTz invitation_expiry(TimestampTz now, NullableDatum own_ttl);

#endif
