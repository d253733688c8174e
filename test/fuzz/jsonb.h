/*
 * jsonb.h
 *		A substitute for jsonb, as far as the reading of bodies needs it.
 */
#ifndef SEATS_FUZZ_JSONB_H
#define SEATS_FUZZ_JSONB_H

#include "utils/jsonb.h"

extern bool is_utf8(const char *string, size_t length);
extern bool is_json(const char *string, size_t length);

#endif
