/*
 * request.h
 *		The headers and JWT claims of the HTTP request for which PostgREST executes a statement.
 */
#ifndef SEATS_REQUEST_H
#define SEATS_REQUEST_H

extern void request_read_headers(const char *const *names, char **values, int count);
extern void request_read_jwt_claims(const char *const *names, char **values, int count);

#endif
