/*
 * list.h
 *		Reading the seats of a purchase.
 */
#ifndef SEATS_LIST_H
#define SEATS_LIST_H

#include "access/tupdesc.h"

#include "purchase.h"

extern Datum list_operation(TupleDesc type, PurchaseId purchase, const pg_uuid_t *payer);
extern bool current_customer(pg_uuid_t *id);

#endif
