/*
 * settings.h
 *		The extension's settings.
 */
#ifndef SEATS_SETTINGS_H
#define SEATS_SETTINGS_H

#include "datatype/timestamp.h"

/* Where events go. */
typedef enum EventSink
{
	EVENT_SINK_TABLE
} EventSink;

extern int setting_event_sink;

extern void settings_define(void);
extern TimestampTz settings_invitation_expiry(TimestampTz from);
extern TimestampTz settings_session_expiry(TimestampTz from);

#endif
