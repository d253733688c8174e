/*
 * list.h
 *		Reading the seats of a purchase.
 */
#ifndef SEATS_LIST_H
#define SEATS_LIST_H

#include "access/tupdesc.h"

#include "purchase.h"

extern Datum list_operation(TupleDesc type, PurchaseId purchase);

#endif
