/*
 * pgcrypto.h
 *		Hashes, HMAC and random bytes from the extension pgcrypto.
 */
#ifndef SEATS_PGCRYPTO_H
#define SEATS_PGCRYPTO_H

extern bytea *pgcrypto_sha256(const void *data, size_t length);
extern void pgcrypto_random(uint8 *bytes, size_t count);
extern bytea *pgcrypto_hmac_sha256(const void *data, size_t length, const bytea *key);

#endif
