/*
 * direct_seat.h
 *		Rows of seats without the executor.
 */
#ifndef SEATS_DIRECT_SEAT_H
#define SEATS_DIRECT_SEAT_H

#include "direct.h"
#include "purchase.h"

extern DirectResult direct_seat_lock(const pg_uuid_t *id, NullableDatum *values);
extern bool direct_seat_open(const pg_uuid_t *id, const ItemPointerData *place, DirectRow *row,
							 NullableDatum *values);
extern bool direct_seat_update(const pg_uuid_t *id, const NullableDatum *values);
extern DirectResult direct_seat_find(PurchaseId purchase, NullableDatum customer_id,
									 NullableDatum *values);
extern Datum direct_seat_form(const NullableDatum *values, Oid type, MemoryContext context);
extern Datum seat_form(const NullableDatum *values, Oid type, MemoryContext context);
extern Datum seat_required(const NullableDatum *values, SeatColumn column);

#endif
