/*
 * jwt_key.h
 *		The keys with which the JWTs of customer sessions are signed.
 */
#ifndef SEATS_JWT_KEY_H
#define SEATS_JWT_KEY_H

#include "nodes/pg_list.h"

#include "jwt.h"

extern List *jwt_keys_to_sign(void);
extern List *jwt_keys_to_verify(void);

#endif
