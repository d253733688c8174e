/*
 * purchase.h
 *		Purchases, that is subscriptions and orders, and the organizations that sell them.
 */
#ifndef SEATS_PURCHASE_H
#define SEATS_PURCHASE_H

#include "utils/uuid.h"

typedef enum PurchaseKind
{
	PURCHASE_SUBSCRIPTION,
	PURCHASE_ORDER
} PurchaseKind;

#define PURCHASE_KINDS 2

/* Identifies a purchase. */
typedef struct PurchaseId
{
	PurchaseKind kind;
	pg_uuid_t id;
} PurchaseId;

/* By how much the number of a purchase's pending and claimed seats changes. */
typedef struct CountChange
{
	PurchaseId purchase;
	int32 change;
	int32 suspended; /* the same of those that are suspended */
} CountChange;

/* A purchase that this transaction has locked. */
typedef struct Purchase
{
	PurchaseId id;
	pg_uuid_t organization_id;
	bool assignable; /* its status allows that seats are assigned */
	bool suspended;	 /* its status suspends its seats */
	bool ended;		 /* its status revokes its seats */
	int32 seats;	 /* bought */
	int32 most;		 /* that may be assigned: fewer than bought if a decrease is planned */
	int32 limit;	 /* up to which an assignment raises seats; 0 if it does not */
	int32 assigned_seats; /* pending and claimed */
} Purchase;

extern int purchase_compare(const PurchaseId *a, const PurchaseId *b);
extern const char *purchase_table(PurchaseKind kind);
extern const char *purchase_column(PurchaseKind kind);
extern bool purchase_of_seat(NullableDatum subscription_id, NullableDatum order_id,
							 PurchaseId *purchase);
extern PurchaseId purchase_of_seat_id(const pg_uuid_t *seat_id);
extern bool purchase_status_is_assignable(const char *status);
extern bool purchase_status_is_ended(const char *status);
extern bool purchase_status_is_suspended(const char *status);

extern int32 purchase_most(NullableDatum seats, NullableDatum seats_next);
extern bool purchase_lock(PurchaseId id, Purchase *purchase);
extern void purchase_raise_seats(PurchaseId id, int32 seats);
extern bool purchase_has_live_seat(PurchaseId id);
extern bool purchase_has_seat(PurchaseId id);
extern bool purchase_exists(PurchaseId id);
extern bool purchase_payer(PurchaseId id, pg_uuid_t *payer);
extern bool purchase_is_paid_by(PurchaseId id, const pg_uuid_t *payer);
extern bool purchase_lock_for(PurchaseId id, const pg_uuid_t *payer, Purchase *purchase);
extern _Noreturn void purchase_raise_not_found(PurchaseId id);

extern void purchase_count(CountChange change);
extern int32 purchase_take_change(PurchaseId purchase);
extern void purchase_check_change(PurchaseId purchase, int32 difference, bool suspended);
extern void purchase_while_suspending(PurchaseId purchase, void (*work)(PurchaseId purchase));

extern NullableDatum organization_allowed(const pg_uuid_t *id);

#endif
