/*
 * housekeeping.c
 *		What has to be done now and then: seats whose invitation expired are released, and old
 *		sessions and events deleted.
 *
 * Each call does a bounded amount of work, finds it by an index, and passes over rows that
 * somebody else has locked.  So it never waits, and what it holds up, it does not for long.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "export.h"
#include "kept_plan.h"
#include "revoke.h"

PG_FUNCTION_INFO_V1(seats_release_expired_seats);
PG_FUNCTION_INFO_V1(seats_purge_expired_sessions);
PG_FUNCTION_INFO_V1(seats_purge_events);

/* The bounds of one call: rows deleted, or looked at; and seats of each kind of purchase revoked. */
#define MAX_ROWS "10000"
#define MAX_REVOKED "1000"

/*
 * The seats whose invitation expired first.  An index has all that were pending when somebody
 * looked last; a claim leaves its seat there, since changing the index would cost it much.
 */
#define DUE_SEATS \
	"(SELECT e.id, e.status FROM seats.customer_seats AS e " \
	"WHERE e.expiry_watched AND e.invitation_token_expires_at" LE "$1 " \
	"ORDER BY e.invitation_token_expires_at LIMIT " MAX_ROWS ") AS d "

/*
 * Claimed seats need not be looked at again.  Here as below a condition stands twice: on what was
 * found, to lock no more than need be, and on the row once it is locked.
 */
static KeptPlan stop_watching = {
	.sql = "UPDATE seats.customer_seats AS s SET expiry_watched = false "
		   "WHERE s.id" EQ "ANY (ARRAY("
		   "SELECT c.id FROM " DUE_SEATS "CROSS JOIN LATERAL ("
		   "SELECT t.id FROM seats.customer_seats AS t "
		   "WHERE t.id" EQ "d.id AND t.status" EQ "'claimed' "
		   "FOR NO KEY UPDATE SKIP LOCKED) AS c WHERE d.status" EQ "'claimed'))",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

/* Purchase before seat, as everywhere. */
#define LOCK_EXPIRED(table, purchase) \
	"SELECT c.* FROM " DUE_SEATS "CROSS JOIN LATERAL (" \
	"SELECT " REVOCABLE_COLUMNS " FROM seats.customer_seats AS s " \
	"JOIN seats." table " AS p ON p.id" EQ "s." purchase " " \
	"WHERE s.id" EQ "d.id AND s.status" EQ "'pending' " \
	"AND s.invitation_token_expires_at" LE "$1 " \
	"FOR NO KEY UPDATE OF p, s SKIP LOCKED) AS c " \
	"WHERE d.status" EQ "'pending' LIMIT " MAX_REVOKED

static KeptPlan lock_expired[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = LOCK_EXPIRED("subscriptions", "subscription_id"),
							   .nargs = 1,
							   .argtypes = {TIMESTAMPTZOID}},
	[PURCHASE_ORDER] = {.sql = LOCK_EXPIRED("orders", "order_id"),
						.nargs = 1,
						.argtypes = {TIMESTAMPTZOID}},
};

static KeptPlan delete_sessions = {
	.sql = "DELETE FROM seats.customer_sessions WHERE token_hash" EQ "ANY (ARRAY("
		   "SELECT x.token_hash FROM seats.customer_sessions AS x "
		   "WHERE x.expires_at" LE "$1 ORDER BY x.expires_at LIMIT " MAX_ROWS
		   " FOR UPDATE SKIP LOCKED))",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

/*
 * Events are numbered as they are recorded, so the oldest have the lowest numbers, and events
 * need no index by time, which every claim would pay for.
 */
static KeptPlan delete_events = {
	.sql = "DELETE FROM seats.events WHERE id" EQ "ANY (ARRAY("
		   "SELECT c.id FROM (SELECT e.id, e.occurred_at FROM seats.events AS e "
		   "ORDER BY e.id LIMIT " MAX_ROWS ") AS d "
		   "CROSS JOIN LATERAL (SELECT t.id FROM seats.events AS t "
		   "WHERE t.id" EQ "d.id AND t.occurred_at" LE "$1 "
		   "FOR UPDATE SKIP LOCKED) AS c WHERE d.occurred_at" LE "$1))",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

/*
 * Returns the moment that was as long ago as an argument says; raises PT422 for none such.  By the
 * calendar '1 day -24 hours' can lie in the future, and then it is now.
 */
static TimestampTz
older_than_argument(FunctionCallInfo fcinfo, int argno)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz moment;
	Interval zero = {0};
	Faults faults;

	faults_start(&faults);
	if (PG_ARGISNULL(argno))
		fault_add(&faults, "older_than", "Input should be a valid timedelta",
				  "time_delta_type");
	else if (DatumGetBool(DirectFunctionCall2(interval_lt, PG_GETARG_DATUM(argno),
											  IntervalPGetDatum(&zero))))
		fault_add(&faults, "older_than", "Input should be greater than or equal to 0 seconds",
				  "greater_than_equal");
	faults_raise(&faults);
	moment = DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_mi_interval, TimestampTzGetDatum(now), PG_GETARG_DATUM(argno)));
	return Min(moment, now);
}

/* Deletes what a statement finds that is not younger than a moment; returns how many rows. */
static Datum
purge(KeptPlan *statement, TimestampTz moment)
{
	NullableDatum arguments[] = {{TimestampTzGetDatum(moment), false}};
	uint64 count;

	SPI_connect();
	count = kept_plan_execute(statement, arguments);
	SPI_finish();
	return Int32GetDatum((int32) count);
}

/*
 * release_expired_seats(older_than interval): revokes pending seats whose invitation expired at
 * least so long ago, and records the events; returns how many.  Looks at no more than 10,000
 * seats and revokes at most 1,000 of subscriptions and 1,000 of orders, those first that expired
 * first.  Raises PT422, and 25006 in a read-only transaction.
 *
 * Locks: purchases and their seats, and claimed seats that are looked at for the last time, all
 * but those that are locked already.
 */
Datum
seats_release_expired_seats(PG_FUNCTION_ARGS)
{
	NullableDatum arguments[1] = {0};
	int count = 0;

	PreventCommandIfReadOnly("release_expired_seats()");
	arguments[0].value = TimestampTzGetDatum(older_than_argument(fcinfo, 0));

	SPI_connect();
	kept_plan_execute(&stop_watching, arguments);
	for (int kind = 0; kind < PURCHASE_KINDS; kind++)
		count += revoke_found(&lock_expired[kind], arguments);
	SPI_finish();
	PG_RETURN_INT32(count);
}

/*
 * purge_expired_sessions(): deletes at most 10,000 sessions that expired, those first that
 * expired first; returns how many.  Raises 25006 in a read-only transaction.
 *
 * Locks: the sessions, but those that are locked already.
 */
Datum
seats_purge_expired_sessions(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PreventCommandIfReadOnly("purge_expired_sessions()");
	return purge(&delete_sessions, GetCurrentTimestamp());
}

/*
 * purge_events(older_than interval): of the 10,000 first events deletes those that happened at
 * least so long ago; returns how many.  Raises PT422, and 25006 in a read-only transaction.
 *
 * Locks: the events, but those that are locked already.
 */
Datum
seats_purge_events(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("purge_events()");
	return purge(&delete_events, older_than_argument(fcinfo, 0));
}
