/*
 * session.h
 *		Customer sessions.
 */
#ifndef SEATS_SESSION_H
#define SEATS_SESSION_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

extern text *session_open(const pg_uuid_t *seat_id, const pg_uuid_t *customer_id,
						  const pg_uuid_t *organization_id, uint32 route, TimestampTz now,
						  MemoryContext context);

#endif
