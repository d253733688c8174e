/*
 * session_jwt.h
 *		Customer sessions whose token is a JWT.
 */
#ifndef SEATS_SESSION_JWT_H
#define SEATS_SESSION_JWT_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "seat.h"

extern text *session_jwt_issue(const SeatIds *seat, TimestampTz opened, TimestampTz expiry,
							   MemoryContext context, bytea **hash);
extern bool session_jwt_read(const text *token, bytea **hash);
extern bool session_jwt_route(const text *token, uint32 *route);
extern bool session_jwts_of_request(List **hashes);

#endif
