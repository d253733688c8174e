/*
 * revoke.h
 *		Revoking seats.
 */
#ifndef SEATS_REVOKE_H
#define SEATS_REVOKE_H

#include "access/tupdesc.h"

#include "purchase.h"

extern int revoke_all(PurchaseId purchase);
extern Datum revoke_operation(TupleDesc type, const pg_uuid_t *seat_id);

#endif
