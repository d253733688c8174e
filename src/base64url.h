/*
 * base64url.h
 *		Base64url without padding (RFC 4648, section 5), as JWTs have it.
 */
#ifndef SEATS_BASE64URL_H
#define SEATS_BASE64URL_H

#include "lib/stringinfo.h"

extern void base64url_append(StringInfo to, const void *bytes, size_t length);
extern bool base64url_has_only_digits(const char *digits, size_t length);
extern bool base64url_read_groups(void *bytes, const char *digits, size_t count);

#endif
