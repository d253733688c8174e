/*
 * array.h
 *		Arrays that statements take as arguments.
 */
#ifndef SEATS_ARRAY_H
#define SEATS_ARRAY_H

#include "utils/uuid.h"

extern NullableDatum uuid_array(const pg_uuid_t *first, size_t stride, int count);
extern NullableDatum datum_array(const NullableDatum *values, int count, Oid type);

#endif
