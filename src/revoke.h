/*
 * revoke.h
 *		Revoking seats, and changing many seats at once.
 */
#ifndef SEATS_REVOKE_H
#define SEATS_REVOKE_H

#include "access/tupdesc.h"

#include "event.h"
#include "statement.h"

/* What a statement that locks seats for change_seats() returns. */
#define CHANGED_SEAT_COLUMNS \
	"s.id, s.organization_id, s.customer_id, s.subscription_id, s.order_id, s.ctid"

/*
 * A statement for change_seats(): sets columns of the seats in an array of ids ($1), with the clock
 * in $2, and returns each seat, its place in the array, and whether it is as it was meant.
 */
#define CHANGE_SEATS(columns, as_meant) \
	{ \
		.sql = "UPDATE seats.customer_seats AS s SET " columns " " \
			   "FROM pg_catalog.unnest($1) WITH ORDINALITY AS a (id, position) " \
			   "WHERE s.id = a.id RETURNING " SEAT_FIELDS ", " \
			   "a.position::pg_catalog.int4, " as_meant, \
		.nargs = 2, .argtypes = {UUIDARRAYOID, TIMESTAMPTZOID}, .table = "customer_seats", \
	}

/* A change of seats, and its event. */
typedef struct SeatChange
{
	EventType event;
	Statement statement; /* by CHANGE_SEATS */
	/* Does the same to the values of a seat's columns. */
	void (*set)(NullableDatum *values, TimestampTz now);
} SeatChange;

extern int change_seats(Statement *lock, const NullableDatum *arguments, SeatChange *change,
						RevokeReason reason);
extern int revoke_all(PurchaseId purchase, RevokeReason reason);
extern int revoke_surplus(PurchaseId purchase, int64 surplus);
extern int revoke_seats_of_customer(const pg_uuid_t *customer_id, RevokeReason reason);
extern Datum revoke_operation(TupleDesc type, const pg_uuid_t *seat_id,
							  const pg_uuid_t *payer);

#endif
