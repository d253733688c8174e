/*
 * claim_directly.c
 *		The claim of a seat that is there to be claimed and in nobody else's use, past the executor.
 *
 * This is what nearly every claim is.  Whatever else may be (the seat is claimed already, expired,
 * locked or just being changed, its table is not as the extension made it, the transaction is of
 * a stricter isolation level) is left, with nothing done, to the SQL statements in claim.c.  They
 * lock the row first, and wait.
 *
 * The seat is not locked first here, which spares a WAL record: it is read, looked at, and updated
 * if nobody else has it in use.  The update is the lock.  As everywhere, expiry and organization
 * are checked, too, when the lock is held: somebody may have come in between, and been waited for.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "claim.h"
#include "direct_access.h"
#include "errors.h"
#include "event.h"
#include "organization.h"
#include "row.h"

/* The columns that make a value of the type seats.customer_seat, in its order. */
static const SeatColumn result_columns[SEAT_COLUMN_COUNT] = {
	SEAT_CREATED_AT,	  SEAT_MODIFIED_AT,	   SEAT_ID,
	SEAT_SUBSCRIPTION_ID, SEAT_ORDER_ID,	   SEAT_STATUS,
	SEAT_CUSTOMER_ID,	  SEAT_CUSTOMER_EMAIL, SEAT_INVITATION_TOKEN_EXPIRES_AT,
	SEAT_CLAIMED_AT,	  SEAT_REVOKED_AT,	   SEAT_METADATA,
};

/* Returns the seat as a composite value, in the memory context of the result. */
static Datum
make_result(const Claim *claim, const DirectRow *seat, const NullableDatum *values)
{
	NullableDatum fields[SEAT_COLUMN_COUNT];
	Oid types[SEAT_COLUMN_COUNT];

	for (int i = 0; i < SEAT_COLUMN_COUNT; i++)
	{
		fields[i] = values[result_columns[i]];
		types[i] = direct_row_type(seat, result_columns[i]);
	}
	return composite(claim->seat_type, fields, types, SEAT_COLUMN_COUNT, claim->context);
}

/* Returns when the invitation to a seat with these values expires; it must not be null. */
static TimestampTz
expiry(const NullableDatum *values)
{
	return DatumGetTimestampTz(values[SEAT_INVITATION_TOKEN_EXPIRES_AT].value);
}

/* Tells whether a seat with these values is one to claim now, by what its row says. */
static bool
is_claimable(const NullableDatum *values, TimestampTz now)
{
	return DatumGetObjectId(values[SEAT_STATUS].value) == direct_seat_status("pending") &&
		!values[SEAT_ORGANIZATION_ID].isnull && !values[SEAT_CUSTOMER_ID].isnull &&
		!values[SEAT_INVITATION_TOKEN_EXPIRES_AT].isnull && expiry(values) > now;
}

/* Claims a seat that was found; false, with nothing done, where that needs SQL statements. */
static bool
claim_row(Claim *claim, DirectRow *seat)
{
	Oid claimed = direct_seat_status("claimed");
	NullableDatum values[SEAT_TABLE_COLUMNS];

	for (int i = 0; i < SEAT_TABLE_COLUMNS; i++)
		values[i] = direct_row_value(seat, i);
	claim->now = GetCurrentTimestamp();
	if (!OidIsValid(claimed) || !is_claimable(values, claim->now))
		return false;
	claim->seat.id = *DatumGetUUIDP(values[SEAT_ID].value);
	claim->seat.organization_id = *DatumGetUUIDP(values[SEAT_ORGANIZATION_ID].value);
	claim->seat.customer_id = *DatumGetUUIDP(values[SEAT_CUSTOMER_ID].value);

	values[SEAT_STATUS].value = ObjectIdGetDatum(claimed);
	values[SEAT_CLAIMED_AT] = (NullableDatum){TimestampTzGetDatum(claim->now), false};
	values[SEAT_MODIFIED_AT] = values[SEAT_CLAIMED_AT];
	values[SEAT_CLAIM_KEY_HASH].value = PointerGetDatum(claim->key_hash);
	values[SEAT_CLAIM_KEY_HASH].isnull = claim->key_hash == NULL;
	if (!direct_update(seat, values))
		return false;
	if (expiry(values) <= GetCurrentTimestamp())
		raise_error(INVITATION_EXPIRED);
	claim->result = make_result(claim, seat, values);
	return true;
}

/* Finds the seat in the active snapshot and claims it; raises invitation_invalid if there is none. */
static bool
find_and_claim(Claim *claim)
{
	DirectRow seat;
	bool done;

	switch (direct_find(&direct_seats, PointerGetDatum(claim->hash), RowExclusiveLock, &seat))
	{
		case DIRECT_FOUND:
			break;
		case DIRECT_NOT_FOUND:
			raise_error(INVITATION_INVALID);
		default:
			return false;
	}
	done = claim_row(claim, &seat);
	direct_row_close(&seat);
	return done;
}

/* Raises PT403 unless the organization may use seats, as is committed now. */
static void
check_organization(const pg_uuid_t *id)
{
	bool allowed;

	PushActiveSnapshot(GetTransactionSnapshot());
	allowed = organization_is_allowed_directly(id);
	PopActiveSnapshot();
	if (!allowed)
		(void) organization_allowed(id);
}

/*
 * Claims the seat and records the event, or returns false with nothing done; raises
 * invitation_invalid where no seat has the token, invitation_expired and PT403.  It sees all that
 * is committed, and what this transaction has done.  Inside SPI_connect() and SPI_finish().
 *
 * Locks: the seat's row.
 */
bool
claim_directly(Claim *claim)
{
	bool done;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	done = find_and_claim(claim);
	PopActiveSnapshot();
	if (!done)
		return false;
	check_organization(&claim->seat.organization_id);
	event_record(EVENT_CLAIMED, &claim->seat, claim->now);
	return true;
}
