/*
 * event_metadata.h
 *		Who caused an event, and from where.
 */
#ifndef SEATS_EVENT_METADATA_H
#define SEATS_EVENT_METADATA_H

#include "utils/jsonb.h"

extern Jsonb *event_metadata(void);

#endif
