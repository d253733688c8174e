/*
 * settings.c
 *		The extension's settings: what they are, their bounds, and who may change them.
 *
 * All are PGC_SUSET: a caller must not be able to lengthen its own session or invitation, so
 * only a superuser, or a role granted SET on the parameter, changes one.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "settings.h"

#define SECONDS_PER_YEAR (365 * SECS_PER_DAY)

/*
 * How long an invitation lives, in seconds, where its organization sets nothing else.  Zero
 * would make every invitation expired at birth and is refused.
 */
static int setting_invitation_ttl;

/* How long a customer session lives, in seconds; it is never extended. */
static int setting_customer_session_ttl;

/*
 * How long after a claim the same call with the same idempotency key is answered again, in
 * seconds; zero: never.
 */
static int setting_claim_retry_window;

/* Where events go, an EventSink. */
int setting_event_sink;

/*
 * Whether rows of tables that are as the extension made them are read and written past
 * PostgreSQL's executor, which is faster and gives the same; off, for doubt and for tests.
 */
bool setting_direct_access;

static const struct config_enum_entry event_sinks[] = {
	{"table", EVENT_SINK_TABLE, false},
	{"logical", EVENT_SINK_LOGICAL, false},
	{"none", EVENT_SINK_NONE, false},
	{NULL, 0, false},
};

/*
 * Declares the settings and reserves their prefix, so that a mistyped one is an error.
 */
void
settings_define(void)
{
	DefineCustomIntVariable("seats.invitation_ttl",
							"How long an invitation can be claimed.",
							"An organization's own invitation_ttl comes first.",
							&setting_invitation_ttl,
							SECS_PER_DAY, 1, 10 * SECONDS_PER_YEAR,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("seats.customer_session_ttl",
							"How long a customer session lives.",
							NULL,
							&setting_customer_session_ttl,
							SECS_PER_HOUR, 1, SECONDS_PER_YEAR,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("seats.claim_retry_window",
							"How long after a claim its answer can be asked for again.",
							"It takes the idempotency key of the claim. Zero turns it off.",
							&setting_claim_retry_window,
							10 * SECS_PER_MINUTE, 0, SECS_PER_DAY,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomEnumVariable("seats.event_sink",
							 "Where events are recorded.",
							 "A table, messages for logical decoding, or nowhere.",
							 &setting_event_sink,
							 EVENT_SINK_TABLE, event_sinks,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("seats.direct_access",
							 "Reads and writes rows past the executor where that gives the same.",
							 "Off, every row goes through the executor.",
							 &setting_direct_access,
							 true,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
	MarkGUCPrefixReserved("seats");
}

/*
 * Returns when an invitation given at "from" expires: by its organization's own lifetime, or by
 * the setting where that is null.
 */
TimestampTz
settings_invitation_expiry(TimestampTz from, NullableDatum own_ttl)
{
	if (own_ttl.isnull)
		return from + setting_invitation_ttl * USECS_PER_SEC;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(from), own_ttl.value));
}

/* Returns when a session opened at "from" expires. */
TimestampTz
settings_session_expiry(TimestampTz from)
{
	return from + setting_customer_session_ttl * USECS_PER_SEC;
}

/* Tells whether a claim made at "claimed_at" can be retried at "now". */
bool
settings_claim_retry_is_open(TimestampTz claimed_at, TimestampTz now)
{
	return now < claimed_at + setting_claim_retry_window * USECS_PER_SEC;
}
