/*
 * seats.h
 *		The extension's settings.
 */
#ifndef SEATS_SEATS_H
#define SEATS_SEATS_H

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

/* Lifetimes, in seconds. */
extern int setting_invitation_ttl;
extern int setting_customer_session_ttl;
extern int setting_claim_retry_window;

extern int setting_event_sink;
extern int setting_session_token_format;
extern char *setting_jwt_role;
extern bool setting_direct_access;

#endif
