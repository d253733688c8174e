/*
 * jwt_key.c
 *		The keys with which the JWTs of customer sessions are signed: seats.jwt_keys.
 *
 * The newest one signs.  Older ones stay as long as a session that was signed with one may live.
 * A key is never given to SQL, not even as a parameter, since PostgreSQL and its modules log those:
 * the table draws it itself, by the default of its column.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "export.h"
#include "jwt_key.h"
#include "kept_plan.h"
#include "row.h"
#include "settings.h"

PG_FUNCTION_INFO_V1(seats_postgrest_config);
PG_FUNCTION_INFO_V1(seats_rotate_jwt_key);

static KeptPlan read_keys = {
	.sql = "SELECT kid::pg_catalog.text, secret::pg_catalog.bytea "
		   "FROM seats.jwt_keys ORDER BY created_at DESC",
};

/* A clock that was set back does not make the new key an old one. */
static KeptPlan insert_key = {
	.sql =
		"INSERT INTO seats.jwt_keys (created_at) "
		"SELECT GREATEST($1, max(created_at) OPERATOR(pg_catalog.+) '1 microsecond') "
		"FROM seats.jwt_keys RETURNING kid::pg_catalog.uuid, created_at OPERATOR(pg_catalog.>=) $1",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
	.table = "jwt_keys",
};

static KeptPlan find_oldest_session = {
	.sql = "SELECT min(created_at) FROM seats.customer_sessions "
		   "WHERE expires_at OPERATOR(pg_catalog.>) $1",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

static KeptPlan delete_keys = {
	.sql = "DELETE FROM seats.jwt_keys WHERE created_at OPERATOR(pg_catalog.<) "
		   "(SELECT max(created_at) FROM seats.jwt_keys WHERE created_at" LE "$1)",
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

static KeptPlan set_postgrest_keys = {
	.sql = "SELECT set_config('pgrst.jwt_secret', json_build_object('keys', "
		   "COALESCE(json_agg(json_build_object('kty', 'oct', 'alg', 'HS256', 'use', 'sig', "
		   "'kid', kid, 'k', rtrim(translate(encode(secret, 'base64'), E'+/\n', '-_'), '=')) "
		   "ORDER BY created_at DESC), '[]'))::text, true) "
		   "FROM seats.jwt_keys",
};

/* Returns the keys in the rows that a statement gave, as JwtKeys. */
static List *
make_keys(uint64 count)
{
	List *keys = NIL;

	for (uint64 i = 0; i < count; i++)
	{
		JwtKey *key = palloc(sizeof(JwtKey));

		key->id = TextDatumGetCString(rows_required(i, 1));
		key->secret = DatumGetByteaPP(rows_required(i, 2));
		keys = lappend(keys, key);
	}
	return keys;
}

/*
 * Returns all keys that there are now, of which the first is the one to sign with; raises 55000
 * where there is none.  Inside SPI_connect() and SPI_finish(), where they live.
 */
List *
jwt_keys_to_sign(void)
{
	List *keys = make_keys(kept_plan_execute(&read_keys, NULL));

	if (keys == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no key to sign a customer session's JWT with"),
				 errhint("Call seats.rotate_jwt_key() to make one."),
				 errhidestmt(true)));
	return keys;
}

/*
 * Returns all keys that the calling statement sees, newest first.  Inside SPI_connect() and
 * SPI_finish(), where they live.
 */
List *
jwt_keys_to_verify(void)
{
	return make_keys(kept_plan_read(&read_keys, NULL));
}

/*
 * Removes keys that no session can need.  The last one that signed before a key was made is needed
 * until all sessions of that time are over: those that are in the table, and those of claims that
 * had read the key and have not committed yet, which live no longer than the setting says.
 */
static void
remove_old_keys(TimestampTz now)
{
	NullableDatum moment = {TimestampTzGetDatum(now), false};
	NullableDatum oldest;

	kept_plan_execute(&find_oldest_session, &moment);
	oldest = row_value(1);
	if (!oldest.isnull)
		now = Min(now, DatumGetTimestampTz(oldest.value));
	moment.value = TimestampTzGetDatum(settings_session_start(now));
	kept_plan_execute(&delete_keys, &moment);
}

/*
 * postgrest_config(): gives PostgREST the keys of customer sessions as pgrst.jwt_secret, a JWK set,
 * for this transaction.  Locks nothing.
 */
Datum
seats_postgrest_config(PG_FUNCTION_ARGS pg_attribute_unused())
{
	SPI_connect();
	kept_plan_execute(&set_postgrest_keys, NULL);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * rotate_jwt_key(): makes a new key, with which sessions are signed from the commit on, removes
 * those that no session can need any more, and has PostgREST read the keys anew; returns the new
 * key's id.  Raises 25006 in a read-only transaction.
 *
 * Locks: the table of keys against other rotations and changes, not against being read.
 */
Datum
seats_rotate_jwt_key(PG_FUNCTION_ARGS pg_attribute_unused())
{
	NullableDatum now;
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

	PreventCommandIfReadOnly("rotate_jwt_key()");
	SPI_connect();
	SPI_execute("LOCK TABLE seats.jwt_keys IN SHARE ROW EXCLUSIVE MODE", false, 0);
	now = (NullableDatum){TimestampTzGetDatum(GetCurrentTimestamp()), false};
	kept_plan_change(&insert_key, &now, 1);
	*id = *DatumGetUUIDP(row_required(1));
	remove_old_keys(DatumGetTimestampTz(now.value));
	SPI_finish();
	Async_Notify("pgrst", "reload config");
	PG_RETURN_UUID_P(id);
}
