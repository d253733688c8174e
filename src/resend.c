/*
 * resend.c
 *		Sending an invitation again: a new token takes the place of the old one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "errors.h"
#include "event.h"
#include "export.h"
#include "interference.h"
#include "kept_plan.h"
#include "operations.h"
#include "organization.h"
#include "row.h"
#include "seat.h"
#include "settings.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_resend_invitation);

/* The seat to be invited to, once it is locked. */
typedef struct Invitee
{
	SeatIds seat;
	NullableDatum invitation_ttl; /* its organization's own interval, or null */
} Invitee;

static KeptPlan lock_invitee = {
	.sql = "SELECT s.organization_id, s.customer_id, s.status" EQ "'pending' AS status "
		   "FROM seats.customer_seats AS s WHERE s.id" EQ "$1 FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static KeptPlan set_invited = {
	.sql =
		"UPDATE seats.customer_seats AS s "
		"SET invitation_token_hash = $2, invitation_token_expires_at = $3, modified_at = $4 "
		"WHERE s.id" EQ "$1 RETURNING " SEAT_COLUMNS ", "
		"s.id" EQ "$1 AND s.status" EQ "'pending' AND s.invitation_token_hash" EQ "$2 "
		"AND s.invitation_token_expires_at" EQ "$3 AND s.modified_at" EQ "$4 "
		"AND s.organization_id" EQ "$5 AND s.customer_id" EQ "$6",
	.nargs = 6,
	.argtypes = {UUIDOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/* The seat as it is in the end, and whether the new token opens it. */
static KeptPlan check_invited = {
	.sql = "SELECT " SEAT_COLUMNS ", s.status" EQ "'pending' "
		   "AND s.invitation_token_hash" EQ "$2 AND s.customer_id" EQ "$3 "
		   "FROM seats.customer_seats AS s WHERE s.id" EQ "$1",
	.nargs = 3,
	.argtypes = {UUIDOID, BYTEAOID, UUIDOID},
	.table = "customer_seats",
};

/*
 * Locks a pending seat; raises the error where it is not there, not allowed or not pending.
 *
 * Locks: the seat's row, FOR NO KEY UPDATE.
 */
static Invitee
lock_pending_seat(const pg_uuid_t *seat_id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(seat_id), false}};
	Invitee invitee = {0};
	bool pending;

	if (kept_plan_execute(&lock_invitee, arguments) == 0)
		raise_error(SEAT_NOT_FOUND);
	invitee.seat.id = *seat_id;
	invitee.seat.organization_id = *DatumGetUUIDP(row_required(1));
	pending = DatumGetBool(row_required(3));
	if (pending)
		invitee.seat.customer_id = *DatumGetUUIDP(row_required(2));
	invitee.invitation_ttl = organization_allowed(&invitee.seat.organization_id);
	if (!pending)
		raise_error(SEAT_NOT_PENDING);
	return invitee;
}

/*
 * Gives a pending seat a new token, and records the event; see resend_invitation().  Raises
 * PT400, PT403 and PT404.
 */
Datum
resend_operation(TupleDesc type, const pg_uuid_t *seat_id)
{
	MemoryContext caller = CurrentMemoryContext;
	Invitee invitee;
	TimestampTz now;
	bytea *hash;
	text *token;
	NullableDatum arguments[6] = {0};
	Datum seat;

	SPI_connect();
	invitee = lock_pending_seat(seat_id);
	now = GetCurrentTimestamp();
	token = token_issue(TOKEN_INVITATION, organization_route(&invitee.seat.organization_id),
						caller, &hash);
	arguments[0].value = UUIDPGetDatum(seat_id);
	arguments[1].value = PointerGetDatum(hash);
	arguments[2].value = TimestampTzGetDatum(
		settings_invitation_expiry(now, invitee.invitation_ttl));
	arguments[3].value = TimestampTzGetDatum(now);
	arguments[4].value = UUIDPGetDatum(&invitee.seat.organization_id);
	arguments[5].value = UUIDPGetDatum(&invitee.seat.customer_id);
	kept_plan_change(&set_invited, arguments, 1);
	seat = row_composite(TupleDescAttr(type, 0)->atttypid, SEAT_COLUMN_COUNT, caller);
	event_record(EVENT_INVITATION_RESENT, &invitee.seat, now);
	if (owner_has_triggers())
	{
		NullableDatum outcome[] = {arguments[0], arguments[1], arguments[5]};

		kept_plan_confirm(&check_invited, outcome, 1);
		seat = row_composite(TupleDescAttr(type, 0)->atttypid, SEAT_COLUMN_COUNT, caller);
	}
	SPI_finish();
	return result_with_seat(type, seat, token);
}

/*
 * resend_invitation(seat_id uuid): gives a pending seat, whether its invitation expired or not, a
 * new token with a full new lifetime, and records the event; returns the seat and the token,
 * once.  The old token is unknown from then on.  Raises PT400, PT403, PT404 and PT422, and 25006
 * in a read-only transaction.
 *
 * Locks: the seat's row and nothing else.  The clock is read when the lock is held.
 */
Datum
seats_resend_invitation(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *seat_id;

	PreventCommandIfReadOnly("resend_invitation()");
	seat_id = id_argument(fcinfo, 0, "seat_id");
	return resend_operation(result_type(fcinfo), seat_id);
}
