/*
 * seat.h
 *		A seat: what identifies it, and its columns that callers see.
 */
#ifndef SEATS_SEAT_H
#define SEATS_SEAT_H

#include "utils/uuid.h"

/* Which seat, of whom it was bought, and whose it is. */
typedef struct SeatIds
{
	pg_uuid_t id;
	pg_uuid_t organization_id;
	pg_uuid_t customer_id;
} SeatIds;

/* The fields of the type seats.customer_seat, in its order, of a row called s. */
#define SEAT_COLUMNS \
	"s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status, " \
	"s.customer_id, s.customer_email, s.invitation_token_expires_at, s.claimed_at, " \
	"s.revoked_at, s.seat_metadata"

/* How many they are, and numbers of columns among them. */
#define SEAT_COLUMN_COUNT 12
#define SEAT_ID_COLUMN 3
#define SEAT_CUSTOMER_ID_COLUMN 7
#define SEAT_CUSTOMER_EMAIL_COLUMN 8

#endif
