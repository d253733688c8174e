/*
 * request.h
 *		What PostgREST tells of the HTTP request that a statement comes from.
 */
#ifndef SEATS_REQUEST_H
#define SEATS_REQUEST_H

/* The settings in which it does, JSON objects both. */
#define REQUEST_HEADERS "request.headers"
#define REQUEST_CLAIMS "request.jwt.claims"

extern void request_read(const char *setting, const char *const *names, char **values,
						 int count);
extern void request_read_claims(const char *const *names, char **values, int count);

#endif
