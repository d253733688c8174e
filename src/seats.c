/*
 * seats.c
 *		The library's entry point, and the extension's settings.
 *
 * All settings are PGC_SUSET: a caller must not be able to lengthen its own session or invitation,
 * so only a superuser, or a role that was granted SET on the parameter, can change them.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/guc.h"

#include "catalog.h"
#include "compat.h"
#include "counters.h"
#include "seats.h"
#include "statement.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "seats", .version = SEATS_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);

#define SECONDS_PER_YEAR (365 * SECS_PER_DAY)

/*
 * How long an invitation lives, in seconds, unless its organization has a lifetime of its own.
 * Zero is rejected, because every invitation would expire immediately.
 */
int setting_invitation_ttl;

/* How long a customer session is valid, in seconds; it is never extended. */
int setting_customer_session_ttl;

/*
 * How long after a claim the same call with the same idempotency key is answered again, in seconds;
 * never if zero.
 */
int setting_claim_retry_window;

/* Where events are recorded, an EventSink. */
int setting_event_sink;

/*
 * Whether rows of tables that are as the extension made them are read and written without
 * PostgreSQL's executor, which is faster and has the same effect.  It can be turned off for tests,
 * or if the effect is in doubt.
 */
bool setting_direct_access;

/*
 * The format of new customer sessions' tokens, a SessionTokenFormat.  Existing tokens stay valid.
 */
int setting_session_token_format;

/*
 * The role that PostgREST switches to for a session's JWT.  It is written into the JWT as it is, so
 * it must need no escapes in JSON.  PostgREST reports an error if there is no such role.
 */
char *setting_jwt_role;

static const struct config_enum_entry session_token_formats[] = {
	{"opaque", SESSION_TOKEN_OPAQUE, false},
	{"jwt", SESSION_TOKEN_JWT, false},
	{NULL, 0, false},
};

static const struct config_enum_entry event_sinks[] = {
	{"table", EVENT_SINK_TABLE, false},
	{"logical", EVENT_SINK_LOGICAL, false},
	{"none", EVENT_SINK_NONE, false},
	{NULL, 0, false},
};

/* Tells whether a string is a valid value of seats.jwt_role. */
static bool
check_jwt_role(char **value, void **extra pg_attribute_unused(),
			   GucSource source pg_attribute_unused())
{
	size_t length = strlen(*value);

	for (const char *at = *value; *at != '\0'; at++)
	{
		if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\')
			length = 0;
	}
	if (length > 0 && length < NAMEDATALEN)
		return true;
	GUC_check_errdetail(
		"The value must be a role name of printable ASCII characters other than double quotes and "
		"backslashes.");
	return false;
}

/* Declares the settings and reserves their prefix, so that a mistyped name is an error. */
static void
define_settings(void)
{
	DefineCustomIntVariable("seats.invitation_ttl",
							"Sets how long an invitation can be claimed.",
							"An organization's own invitation_ttl takes precedence.",
							&setting_invitation_ttl,
							SECS_PER_DAY, 1, 10 * SECONDS_PER_YEAR,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("seats.customer_session_ttl",
							"Sets how long a customer session is valid.",
							NULL,
							&setting_customer_session_ttl,
							SECS_PER_HOUR, 1, SECONDS_PER_YEAR,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("seats.claim_retry_window",
							"Sets how long a claim can be retried with its idempotency key.",
							"Zero turns this off.",
							&setting_claim_retry_window,
							10 * SECS_PER_MINUTE, 0, SECS_PER_DAY,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomEnumVariable("seats.event_sink",
							 "Sets where events are recorded.",
							 "In a table, as messages for logical decoding, or nowhere.",
							 &setting_event_sink,
							 EVENT_SINK_TABLE, event_sinks,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
	DefineCustomEnumVariable("seats.session_token_format",
							 "Sets the format of the tokens of new customer sessions.",
							 "Opaque, or JWTs that PostgREST accepts.",
							 &setting_session_token_format,
							 SESSION_TOKEN_OPAQUE, session_token_formats,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("seats.jwt_role",
							   "Sets the role that PostgREST uses for a customer session's JWT.",
							   NULL,
							   &setting_jwt_role,
							   "customer",
							   PGC_SUSET, 0,
							   check_jwt_role, NULL, NULL);
	DefineCustomBoolVariable("seats.direct_access",
							 "Reads and writes rows without the executor if the effect "
							 "is the same.",
							 "If off, the executor handles every row.",
							 &setting_direct_access,
							 true,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
	MarkGUCPrefixReserved("seats");
}

/* Called when the library is loaded. */
void
_PG_init(void)
{
	define_settings();
	counters_define();
	statement_define();
}
