/*
 * stats.c
 *		Statistics to monitor: how often things happened, and how much there is.
 *
 * A call costs the same however many seats there are.  Counters are read from shared memory.  Rows
 * are counted by an index, up to a limit.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "optimizer/plancat.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "counters.h"
#include "errors.h"
#include "event.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(seats_stats);

/* The fields of the type seats.seat_stats. */
enum
{
	COUNTED_SINCE,
	ASSIGNED,
	CLAIMED,
	REVOKED,
	RESENT,
	FAILURES,
	OPEN_SESSIONS,
	EXPIRED_SESSIONS,
	EXPIRED_INVITATIONS,
	OLDEST_EVENT,
	SUSPENDED,
	RESUMED,
	STATS_FIELDS
};

static const Oid field_types[STATS_FIELDS] = {
	[COUNTED_SINCE] = TIMESTAMPTZOID,
	[ASSIGNED] = INT8OID,
	[CLAIMED] = INT8OID,
	[REVOKED] = INT8OID,
	[RESENT] = INT8OID,
	[FAILURES] = JSONBOID,
	[OPEN_SESSIONS] = INT8OID,
	[EXPIRED_SESSIONS] = INT8OID,
	[EXPIRED_INVITATIONS] = INT8OID,
	[OLDEST_EVENT] = TIMESTAMPTZOID,
	[SUSPENDED] = INT8OID,
	[RESUMED] = INT8OID,
};

/* Rows are counted up to this limit, which is as many as one house-keeping call handles. */
#define MAX_COUNTED 10000

#define OPEN "seats.customer_sessions AS x WHERE x.expires_at > $1"
#define EXPIRED "seats.customer_sessions AS x WHERE x.expires_at <= $1"
#define DUE \
	"seats.customer_seats AS s " \
	"WHERE s.expiry_watched AND s.invitation_token_expires_at <= $1"

#define COUNT(rows) \
	"(SELECT pg_catalog.count(*) " \
	"FROM (SELECT FROM " rows " LIMIT $2) AS c), "
#define OLDEST_ONE "(SELECT e.occurred_at FROM seats.events AS e ORDER BY e.id LIMIT 1)"

static Statement count_rows = {
	.sql = "SELECT " COUNT(OPEN) COUNT(EXPIRED) COUNT(DUE) OLDEST_ONE,
	.nargs = 2,
	.argtypes = {TIMESTAMPTZOID, INT8OID},
};

/*
 * Returns the planner's estimate of the number of sessions, from the size of the table and from how
 * full its pages were when it was last vacuumed or analyzed.
 */
static int64
estimate_sessions(void)
{
	Relation sessions = table_openrv(makeRangeVar("seats", "customer_sessions", -1),
									 AccessShareLock);
	BlockNumber pages;
	double rows;
	double visible;

	estimate_rel_size(sessions, NULL, &pages, &rows, &visible);
	table_close(sessions, AccessShareLock);
	return (int64) rows;
}

/* Returns how many sessions are open; an estimate if as many were counted as the limit allows. */
static int64
open_sessions(int64 counted, int64 expired)
{
	if (counted < MAX_COUNTED)
		return counted;
	return Max(counted, estimate_sessions() - expired);
}

/* Fills the fields that come from tables.  Between SPI_connect() and SPI_finish(). */
static void
fill_rows(NullableDatum *fields)
{
	NullableDatum arguments[] = {
		{TimestampTzGetDatum(GetCurrentTimestamp()), false},
		{Int64GetDatum(MAX_COUNTED), false},
	};
	Rows rows;
	int64 open;

	rows = statement_execute(&count_rows, arguments);
	rows_fields(&rows, &fields[OPEN_SESSIONS], &field_types[OPEN_SESSIONS],
				OLDEST_EVENT - OPEN_SESSIONS + 1);
	open = open_sessions(DatumGetInt64(fields[OPEN_SESSIONS].value),
						 DatumGetInt64(fields[EXPIRED_SESSIONS].value));
	fields[OPEN_SESSIONS].value = Int64GetDatum(open);
}

/* Returns how often each error was raised, as a JSON object.  Reason words need no escapes. */
static Datum
failures(const CounterValues *counts)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int error = 0; error < COUNTED_ERRORS; error++)
		appendStringInfo(&json, "%c\"%s\": " UINT64_FORMAT, error == 0 ? '{' : ',',
						 error_reason(error), counts->errors[error]);
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* Fills a field with a number of events. */
static void
fill_count(NullableDatum *field, uint64 count)
{
	*field = (NullableDatum){Int64GetDatum((int64) count), false};
}

/* Fills the fields that come from counters; they are null if there are no counters. */
static void
fill_counts(NullableDatum *fields)
{
	CounterValues counts;

	for (int i = COUNTED_SINCE; i <= FAILURES; i++)
		fields[i].isnull = true;
	fields[SUSPENDED].isnull = true;
	fields[RESUMED].isnull = true;
	if (!counters_read(&counts))
		return;
	fields[COUNTED_SINCE] = (NullableDatum){TimestampTzGetDatum(counts.since), false};
	fill_count(&fields[ASSIGNED], counts.events[EVENT_ASSIGNED]);
	fill_count(&fields[CLAIMED], counts.events[EVENT_CLAIMED]);
	fill_count(&fields[REVOKED], counts.events[EVENT_REVOKED]);
	fill_count(&fields[RESENT], counts.events[EVENT_INVITATION_RESENT]);
	fill_count(&fields[SUSPENDED], counts.events[EVENT_SUSPENDED]);
	fill_count(&fields[RESUMED], counts.events[EVENT_RESUMED]);
	fields[FAILURES] = (NullableDatum){failures(&counts), false};
}

/*
 * stats(): how often things happened in this database since its counters were started, and how much
 * there is now.  Changes nothing and locks no rows, so it works on a standby, and reads a limited
 * number of rows.
 */
Datum
seats_stats(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc type = result_type(fcinfo);
	NullableDatum fields[STATS_FIELDS] = {0};
	Datum stats;

	fill_counts(fields);
	SPI_connect();
	fill_rows(fields);
	stats = form_composite(type->tdtypeid, fields, field_types, STATS_FIELDS, caller);
	SPI_finish();
	PG_RETURN_DATUM(stats);
}
