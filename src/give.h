/*
 * give.h
 *		Giving free seats of a purchase to customers.
 */
#ifndef SEATS_GIVE_H
#define SEATS_GIVE_H

#include "customer.h"
#include "purchase.h"

/* Who is given seats of what, with what. */
typedef struct Gift
{
	Purchase purchase;			  /* locked */
	NullableDatum invitation_ttl; /* its organization's own interval, or null */
	Customer *customers;
	int count;
	NullableDatum metadata;
	bool claimed; /* claimed at once, without an invitation */
} Gift;

/* A seat that was given, and the invitation to it. */
typedef struct GivenSeat
{
	Datum seat;	 /* of the type seats.customer_seat */
	text *token; /* in clear, or NULL for a seat claimed at once */
} GivenSeat;

extern GivenSeat *give_seats(const Gift *gift, Oid seat_type, MemoryContext context);

#endif
