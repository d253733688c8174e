/*
 * suspend.h
 *		Suspending the seats of a purchase, and resuming them.
 */
#ifndef SEATS_SUSPEND_H
#define SEATS_SUSPEND_H

#include "purchase.h"

extern void suspend_as_purchase(PurchaseId purchase);

#endif
