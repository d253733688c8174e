/*
 * seats.h
 *		The extension's settings.
 */
#ifndef SEATS_SEATS_H
#define SEATS_SEATS_H

#include "datatype/timestamp.h"

/* Where events are recorded. */
typedef enum EventSink
{
	EVENT_SINK_TABLE,	/* rows of seats.events */
	EVENT_SINK_LOGICAL, /* messages for logical decoding */
	EVENT_SINK_NONE
} EventSink;

/* The format of a customer session's token. */
typedef enum SessionTokenFormat
{
	SESSION_TOKEN_OPAQUE,
	SESSION_TOKEN_JWT
} SessionTokenFormat;

extern int setting_event_sink;
extern int setting_session_token_format;
extern char *setting_jwt_role;
extern bool setting_direct_access;

extern TimestampTz settings_invitation_expiry(TimestampTz from, NullableDatum own_ttl);
extern TimestampTz settings_session_expiry(TimestampTz from);
extern TimestampTz settings_session_start(TimestampTz expiry);
extern bool settings_claim_retry_is_open(TimestampTz claimed_at, TimestampTz now);

#endif
