/*
 * extension.h
 *		What pg_extension says of this extension and of others.
 */
#ifndef SEATS_EXTENSION_H
#define SEATS_EXTENSION_H

#include "storage/itemptr.h"

/* The version of this library. */
#define SEATS_VERSION "1.1"

typedef struct Extension
{
	Oid id;
	Oid schema;
	const char *version;
	ItemPointerData place; /* of its row */
} Extension;

extern bool extension_find(const char *name, Extension *extension);
extern void extension_check_version(void);

#endif
