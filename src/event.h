/*
 * event.h
 *		Events: the record of what happened to seats.
 */
#ifndef SEATS_EVENT_H
#define SEATS_EVENT_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"
#include "utils/uuid.h"

#include "purchase.h"

typedef enum EventType
{
	EVENT_ASSIGNED,
	EVENT_CLAIMED,
	EVENT_REVOKED,
	EVENT_INVITATION_RESENT,
	EVENT_SUSPENDED,
	EVENT_RESUMED
} EventType;

/* A seat, the organization that sold it, and the customer who has it. */
typedef struct SeatIds
{
	pg_uuid_t id;
	pg_uuid_t organization_id;
	pg_uuid_t customer_id;
} SeatIds;

/* Why a seat was revoked. */
typedef enum RevokeReason
{
	NO_REASON, /* another event */
	REASON_REVOKED,
	REASON_RELEASED, /* its invitation had expired */
	REASON_ENDED,	 /* its purchase has ended */
	REASON_DELETED,	 /* its purchase was deleted */
	REASON_ERASED,	 /* its customer was erased */
	REASON_SURPLUS	 /* there are fewer seats now */
} RevokeReason;

/* What happened to some seats at once. */
typedef struct EventKind
{
	EventType type;
	RevokeReason reason;
	TimestampTz occurred_at;
	int32 seats;				   /* of the purchase, if the call raised them; otherwise 0 */
	bool imported;				   /* a claim by who was a member before */
	const pg_uuid_t *join_link_id; /* by which the customer asked for the seat, or NULL */
	bool unsent; /* an invitation whose token nobody knows; whoever sends it draws a new one */
} EventKind;

/* A seat that something happened to. */
typedef struct SeatEvent
{
	SeatIds ids; /* with the customer who had the seat */
	PurchaseId purchase;
	ItemPointerData place; /* of its row while it is locked; may be invalid */
	Datum seat;			   /* as it was left, of the type seats.customer_seat */
} SeatEvent;

extern void event_record(EventKind kind, const SeatEvent *events, int count);

#endif
