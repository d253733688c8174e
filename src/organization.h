/*
 * organization.h
 *		What an organization may do.
 */
#ifndef SEATS_ORGANIZATION_H
#define SEATS_ORGANIZATION_H

#include "utils/uuid.h"

extern bool organization_is_allowed_directly(const pg_uuid_t *id);
extern NullableDatum organization_allowed(const pg_uuid_t *id);

#endif
