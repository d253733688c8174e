/*
 * seat.h
 *		The columns of a seat that callers see.
 */
#ifndef SEATS_SEAT_H
#define SEATS_SEAT_H

/* The fields of the type seats.customer_seat, in its order, of a row called s. */
#define SEAT_COLUMNS \
	"s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status, " \
	"s.customer_id, s.customer_email, s.invitation_token_expires_at, s.claimed_at, " \
	"s.revoked_at, s.seat_metadata"

/* How many they are, and numbers of columns among them. */
#define SEAT_COLUMN_COUNT 12
#define SEAT_ID_COLUMN 3
#define SEAT_CUSTOMER_ID_COLUMN 7

#endif
