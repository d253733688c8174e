/*
 * session.h
 *		Customer sessions.
 */
#ifndef SEATS_SESSION_H
#define SEATS_SESSION_H

#include "event.h"

extern text *session_open(const SeatIds *seat, uint32 route, TimestampTz now, bool of_claim,
						  MemoryContext context, bytea **hash);
extern void session_of_claim_end(const pg_uuid_t *seat_id);
extern void sessions_end(Datum seat_ids);
extern void sessions_end_unclaimed(Datum seat_ids);

#endif
