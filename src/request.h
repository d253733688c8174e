/*
 * request.h
 *		What PostgREST tells of the HTTP request that a statement comes from.
 */
#ifndef SEATS_REQUEST_H
#define SEATS_REQUEST_H

extern void request_read_headers(const char *const *names, char **values, int count);
extern void request_read_jwt_claims(const char *const *names, char **values, int count);

#endif
