/*
 * claim.c
 *		Claiming a seat with an invitation token, and describing the invitation.
 *
 * Nearly every claim is of a pending seat that nobody else is using, and claim_directly() does it
 * without the executor.  The seat is not locked first, which saves a WAL record: it is read,
 * checked and updated, unless another transaction is using it; the update is the lock.  In most
 * other cases (the seat is suspended, locked or being changed, its table is not as the extension
 * made it, the isolation level is stricter) nothing is done there, and claim_by_statements() does
 * the work.  It locks the row first, and waits.
 *
 * In both, expiry and organization are checked while the row is locked, because another transaction
 * may have held the lock before.  A seat that is claimed, revoked or expired, and that nobody is
 * changing, needs no lock to say so.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "claim.h"
#include "compat.h"
#include "direct_seat.h"
#include "errors.h"
#include "event.h"
#include "input.h"
#include "purchase.h"
#include "request.h"
#include "seats.h"
#include "session.h"
#include "statement.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_claim_seat);
PG_FUNCTION_INFO_V1(seats_claim_info);

/* One call of claim_seat(). */
typedef struct Claim
{
	/* The arguments. */
	bytea *hash;		   /* of the invitation token */
	bytea *key_hash;	   /* of the idempotency key, or NULL */
	Oid seat_type;		   /* of the result */
	MemoryContext context; /* of the result */
	/* Set by the claim. */
	SeatEvent seat;	 /* its composite value is part of the result */
	TimestampTz now; /* when the seat was claimed, or the claim answered again */
} Claim;

/* ---- Without the executor ---- */

/* Returns when the invitation to a seat with these values expires; the value must not be null. */
static TimestampTz
expiry_of(const NullableDatum *values)
{
	return DatumGetTimestampTz(values[SEAT_INVITATION_TOKEN_EXPIRES_AT].value);
}

/* Tells whether a seat with these values can be claimed now, as far as its row says. */
static bool
is_claimable(const NullableDatum *values, TimestampTz now)
{
	return DatumGetObjectId(values[SEAT_STATUS].value) == direct_seat_status("pending") &&
		values[SEAT_SUSPENDED_AT].isnull && !values[SEAT_ID].isnull &&
		!values[SEAT_ORGANIZATION_ID].isnull && !values[SEAT_CUSTOMER_ID].isnull &&
		!values[SEAT_INVITATION_TOKEN_EXPIRES_AT].isnull && expiry_of(values) > now;
}

/*
 * Raises the error of a claim that cannot succeed, if the seat's row, which nobody is changing,
 * says so.  That needs no lock: the claim failed at a moment before any other change.
 */
static void
refuse_by_row(const Claim *claim, const NullableDatum *values)
{
	Oid status = DatumGetObjectId(values[SEAT_STATUS].value);

	if (status == direct_seat_status("revoked"))
		raise_error(SEAT_REVOKED);
	/* With an idempotency key, it may have to be answered again. */
	if (status == direct_seat_status("claimed") && claim->key_hash == NULL)
		raise_error(SEAT_ALREADY_CLAIMED);
	if (status == direct_seat_status("pending") &&
		!values[SEAT_INVITATION_TOKEN_EXPIRES_AT].isnull && expiry_of(values) <= claim->now)
		raise_error(INVITATION_EXPIRED);
}

/*
 * Claims a seat that was found, or raises the error if it cannot be claimed; returns false, with
 * nothing done, if that needs statements.
 */
static bool
claim_row(Claim *claim, DirectRow *seat)
{
	Oid claimed = direct_seat_status("claimed");
	NullableDatum values[SEAT_COLUMNS];
	bool claimable;

	/* Together they cost less than one by one. */
	slot_getallattrs(seat->slot);
	for (int i = 0; i < SEAT_COLUMNS; i++)
		values[i] = direct_row_value(seat, i);
	claim->now = GetCurrentTimestamp();
	claimable = OidIsValid(claimed) && is_claimable(values, claim->now);
	if (!claimable && direct_is_free(seat))
		refuse_by_row(claim, values);
	if (!claimable ||
		!purchase_of_seat(values[SEAT_SUBSCRIPTION_ID], values[SEAT_ORDER_ID],
						  &claim->seat.purchase))
		return false;
	claim->seat.ids.id = *DatumGetUUIDP(values[SEAT_ID].value);
	claim->seat.ids.organization_id = *DatumGetUUIDP(values[SEAT_ORGANIZATION_ID].value);
	claim->seat.ids.customer_id = *DatumGetUUIDP(values[SEAT_CUSTOMER_ID].value);

	values[SEAT_STATUS].value = ObjectIdGetDatum(claimed);
	values[SEAT_CLAIMED_AT] = (NullableDatum){TimestampTzGetDatum(claim->now), false};
	values[SEAT_MODIFIED_AT] = values[SEAT_CLAIMED_AT];
	values[SEAT_CLAIM_KEY_HASH].value = PointerGetDatum(claim->key_hash);
	values[SEAT_CLAIM_KEY_HASH].isnull = claim->key_hash == NULL;
	if (!direct_update(seat, values))
		return false;
	if (expiry_of(values) <= GetCurrentTimestamp())
		raise_error(INVITATION_EXPIRED);
	claim->seat.seat = direct_seat_form(values, claim->seat_type, claim->context);
	return true;
}

/*
 * Finds the seat in the active snapshot and claims it; returns false, with nothing done, if that
 * needs statements.  Raises invitation_invalid if there is no seat.
 */
static bool
find_and_claim(Claim *claim)
{
	NullableDatum key = {PointerGetDatum(claim->hash), false};
	DirectRow seat;
	bool done;

	switch (direct_find(&direct_seats, SEAT_BY_TOKEN, &key, DIRECT_UPDATE, &seat))
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

/*
 * Tells whether the organization may use seats, as is committed now; false also if it is unknown.
 */
static bool
is_allowed_directly(const pg_uuid_t *organization_id)
{
	static const int column = ORGANIZATION_PRICING_ENABLED;
	NullableDatum key = {UUIDPGetDatum(organization_id), false};
	NullableDatum enabled;
	DirectResult result = direct_read_newest(&direct_organizations, FIRST_KEY, key, &column,
											 &enabled, 1);

	return result == DIRECT_FOUND && !enabled.isnull && DatumGetBool(enabled.value);
}

/*
 * Claims the seat and records the event; returns false, with nothing done, if that needs
 * statements.  It sees all committed rows and the changes of this transaction.  Raises
 * invitation_invalid if no seat has the token, invitation_expired and PT403.  Between SPI_connect()
 * and SPI_finish().
 *
 * Locks: the seat's row.
 */
static bool
claim_directly(Claim *claim)
{
	bool done;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	done = find_and_claim(claim);
	PopActiveSnapshot();
	if (!done)
		return false;
	if (!is_allowed_directly(&claim->seat.ids.organization_id))
		(void) organization_allowed(&claim->seat.ids.organization_id);
	event_record((EventKind){.type = EVENT_CLAIMED, .occurred_at = claim->now}, &claim->seat,
				 1);
	return true;
}

/* ---- By statements ---- */

/* The seat of an invitation, as it is once it is locked. */
typedef struct Invitation
{
	SeatEvent seat; /* its customer is set unless it is revoked */
	char *status;
	bool suspended;
	TimestampTz expires_at; /* of a pending seat */
	TimestampTz claimed_at; /* of a claimed seat */
	bytea *key_hash;		/* of the idempotency key of its claim, or NULL */
} Invitation;

static Statement lock_invitation = {
	.sql = "SELECT s.id, s.organization_id, s.customer_id, s.status::pg_catalog.text, "
		   "s.invitation_token_expires_at, s.claimed_at, s.claim_key_hash, "
		   "s.subscription_id, s.order_id, s.suspended_at IS NOT NULL AS suspended_at "
		   "FROM seats.customer_seats AS s "
		   "WHERE s.invitation_token_hash = $1 FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static Statement set_claimed = {
	.sql = "UPDATE seats.customer_seats AS s "
		   "SET status = 'claimed', claimed_at = $2, modified_at = $2, claim_key_hash = $3 "
		   "WHERE s.id = $1 RETURNING " SEAT_FIELDS ", "
		   "s.id = $1 AND s.status = 'claimed' AND s.claimed_at = $2 "
		   "AND s.modified_at = $2 AND s.claim_key_hash IS NOT DISTINCT FROM $3 "
		   "AND s.organization_id = $4 AND s.customer_id = $5",
	.nargs = 5,
	.argtypes = {UUIDOID, TIMESTAMPTZOID, BYTEAOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/*
 * Changes nothing, but makes a new version of the row: a transaction of a stricter isolation level
 * that began before cannot see the new session, so it must not be able to end the sessions.
 */
static Statement touch_claimed = {
	.sql = "UPDATE seats.customer_seats AS s SET claim_key_hash = s.claim_key_hash "
		   "WHERE s.id = $1 RETURNING " SEAT_FIELDS ", "
		   "s.id = $1 AND s.status = 'claimed' "
		   "AND s.organization_id = $2 AND s.customer_id = $3",
	.nargs = 3,
	.argtypes = {UUIDOID, UUIDOID, UUIDOID},
	.table = "customer_seats",
};

/* The seat as it is in the end, and whether it and the session are as the result says. */
static Statement confirm_claimed = {
	.sql = "SELECT " SEAT_FIELDS ", s.status = 'claimed' AND s.suspended_at IS NULL "
		   "AND s.organization_id = $2 AND s.customer_id = $3 "
		   "AND EXISTS (SELECT FROM seats.customer_sessions AS x "
		   "WHERE x.token_hash = $4 AND x.seat_id = $1 AND x.customer_id = $3) "
		   "FROM seats.customer_seats AS s WHERE s.id = $1",
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, UUIDOID, BYTEAOID},
	.table = "customer_seats",
};

/*
 * Locks the seat of a token; raises invitation_invalid if there is none.  A claim that waits here
 * for another sees what the other left: PostgreSQL rechecks a row that changed while it waited, and
 * raises 40001 at the stricter isolation levels.
 *
 * Locks: the seat's row, FOR NO KEY UPDATE.
 */
static Invitation
lock_seat_of(const bytea *hash)
{
	NullableDatum arguments[] = {{PointerGetDatum(hash), false}};
	Rows rows = statement_execute(&lock_invitation, arguments);
	Invitation invitation = {0};
	NullableDatum key_hash;

	if (rows.count == 0)
		raise_error(INVITATION_INVALID);
	invitation.seat.ids.id = *DatumGetUUIDP(rows_required(&rows, 0, 1));
	invitation.seat.ids.organization_id = *DatumGetUUIDP(rows_required(&rows, 0, 2));
	invitation.status = TextDatumGetCString(rows_required(&rows, 0, 4));
	if (strcmp(invitation.status, "revoked") != 0)
		invitation.seat.ids.customer_id = *DatumGetUUIDP(rows_required(&rows, 0, 3));
	if (strcmp(invitation.status, "pending") == 0)
		invitation.expires_at = DatumGetTimestampTz(rows_required(&rows, 0, 5));
	if (strcmp(invitation.status, "claimed") == 0)
		invitation.claimed_at = DatumGetTimestampTz(rows_required(&rows, 0, 6));
	key_hash = rows_value(&rows, 0, 7);
	if (!key_hash.isnull)
		invitation.key_hash = DatumGetByteaPP(key_hash.value);
	(void) purchase_of_seat(rows_value(&rows, 0, 8), rows_value(&rows, 0, 9),
							&invitation.seat.purchase);
	invitation.suspended = DatumGetBool(rows_required(&rows, 0, 10));
	return invitation;
}

/*
 * Tells whether a call repeats the claim that succeeded: the seat is claimed, with the same
 * idempotency key, and not long before "now".
 */
static bool
is_retry(const Invitation *invitation, const bytea *key_hash, TimestampTz now)
{
	return strcmp(invitation->status, "claimed") == 0 && key_hash != NULL &&
		invitation->key_hash != NULL &&
		DatumGetBool(DirectFunctionCall2(byteaeq, PointerGetDatum(key_hash),
										 PointerGetDatum(invitation->key_hash))) &&
		now < invitation->claimed_at + setting_claim_retry_window * USECS_PER_SEC;
}

/* Raises the error that keeps a seat from being claimed at "now", if there is one. */
static void
check_claimable(const Invitation *invitation, bool retry, TimestampTz now)
{
	if (strcmp(invitation->status, "revoked") == 0)
		raise_error(SEAT_REVOKED);
	if (strcmp(invitation->status, "claimed") == 0 && !retry)
		raise_error(SEAT_ALREADY_CLAIMED);
	if (strcmp(invitation->status, "pending") == 0 && invitation->expires_at <= now)
		raise_error(INVITATION_EXPIRED);
	if (invitation->suspended)
		raise_suspended_claim();
	(void) organization_allowed(&invitation->seat.ids.organization_id);
}

/* Takes the seat that a statement returned as the result. */
static void
take_result(Claim *claim, Rows rows)
{
	claim->seat.seat = rows_composite(&rows, 0, claim->seat_type, SEAT_FIELD_COUNT,
									  claim->context);
}

/* Claims the locked seat, and records the event. */
static void
claim_first(Claim *claim)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&claim->seat.ids.id), false},
		{TimestampTzGetDatum(claim->now), false},
		{PointerGetDatum(claim->key_hash), claim->key_hash == NULL},
		{UUIDPGetDatum(&claim->seat.ids.organization_id), false},
		{UUIDPGetDatum(&claim->seat.ids.customer_id), false},
	};

	take_result(claim, statement_change(&set_claimed, arguments, 1));
	event_record((EventKind){.type = EVENT_CLAIMED, .occurred_at = claim->now}, &claim->seat,
				 1);
}

/*
 * Answers a claim again: ends the session that the first answer opened, and leaves the seat as it
 * is.  The first claim recorded the event.
 *
 * Locks: the session.
 */
static void
claim_again(Claim *claim)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&claim->seat.ids.id), false},
		{UUIDPGetDatum(&claim->seat.ids.organization_id), false},
		{UUIDPGetDatum(&claim->seat.ids.customer_id), false},
	};

	session_of_claim_end(&claim->seat.ids.id);
	take_result(claim, statement_change(&touch_claimed, arguments, 1));
}

/*
 * Claims the seat by SQL statements, waiting for other transactions that change it, or raises the
 * error that keeps it from being claimed.
 *
 * Locks: the seat's row; if the claim is answered again, also the session that it ends.
 */
static void
claim_by_statements(Claim *claim)
{
	Invitation invitation = lock_seat_of(claim->hash);
	bool retry;

	claim->seat = invitation.seat;
	claim->now = GetCurrentTimestamp();
	retry = is_retry(&invitation, claim->key_hash, claim->now);
	check_claimable(&invitation, retry, claim->now);
	if (retry)
		claim_again(claim);
	else
		claim_first(claim);
}

/* ---- Claims ---- */

/*
 * Returns the idempotency key in the header of PostgREST's request, or NULL for none; an empty one
 * is none.
 */
const text *
claim_key_of_request(void)
{
	static const char *const headers[] = {"idempotency-key"};
	char *header;

	request_read_headers(headers, &header, lengthof(headers));
	if (header == NULL || header[0] == '\0')
		return NULL;
	return cstring_to_text(header);
}

/*
 * Returns the idempotency key of a claim, or NULL for none: the argument, or else that of the
 * request.  An empty one is none.  Adds a fault if it is too long.
 */
static const text *
check_idempotency_key(FunctionCallInfo fcinfo, int argno, Faults *faults)
{
	const text *key = PG_ARGISNULL(argno) ? NULL : PG_GETARG_TEXT_PP(argno);

	if (key == NULL || VARSIZE_ANY_EXHDR(key) == 0)
		key = claim_key_of_request();
	if (key != NULL)
		check_length(faults, key, "idempotency_key");
	return key;
}

/*
 * Takes the seat as it is after all triggers as the result; raises 09000 if it or the session is
 * not as it was written.
 */
static void
confirm(Claim *claim, const bytea *session_hash)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&claim->seat.ids.id), false},
		{UUIDPGetDatum(&claim->seat.ids.organization_id), false},
		{UUIDPGetDatum(&claim->seat.ids.customer_id), false},
		{PointerGetDatum(session_hash), false},
	};

	take_result(claim, statement_confirm(&confirm_claimed, arguments, 1));
}

/*
 * Claims the seat of a token, opens a session and records the event; see claim_seat().  Raises
 * PT400 and PT403, and 09000 if a trigger of the owner interferes.
 */
Datum
claim_operation(TupleDesc type, const text *token, const text *key)
{
	Claim claim = {.context = CurrentMemoryContext};
	uint64 before = statements_writing();
	bytea *session_hash;
	uint32 route;
	text *session_token;

	if (!token_read(token, TOKEN_INVITATION, &route, &claim.hash))
		token_refuse(INVITATION_INVALID, token);
	claim.key_hash = key == NULL ? NULL : token_hash_with(token, key);
	claim.seat_type = TupleDescAttr(type, 0)->atttypid;

	SPI_connect();
	if (!claim_directly(&claim))
		claim_by_statements(&claim);
	session_token = session_open(&claim.seat.ids, route, claim.now, true, claim.context,
								 &session_hash);
	/* No trigger runs without the executor. */
	if (statements_writing() != before && owner_has_triggers())
		confirm(&claim, session_hash);
	SPI_finish();
	return result_with_token(type, claim.seat.seat, session_token);
}

/*
 * claim_seat(invitation_token text, idempotency_key text): claims the seat, opens a session,
 * records the event; returns the seat and the session token.  Of any number of simultaneous claims
 * with one token exactly one succeeds.  A call that repeats it soon enough with the same
 * idempotency key is answered again, with a new session in place of the first.  Raises PT400, PT403
 * and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the seat's row and nothing else, so a claim blocks only others that want this seat; if it
 * is answered again, also the session that it ends.  The clock is read while the lock is held: an
 * invitation may expire during the wait for it.
 */
Datum
seats_claim_seat(PG_FUNCTION_ARGS)
{
	Faults faults;
	const text *token;
	const text *key;

	PreventCommandIfReadOnly("claim_seat()");
	faults_start(&faults);
	token = check_token(fcinfo, 0, &faults, "invitation_token");
	key = check_idempotency_key(fcinfo, 1, &faults);
	faults_raise(&faults);
	return claim_operation(result_type(fcinfo), token, key);
}

/* ---- The description of an invitation ---- */

static Statement describe_invitation = {
	.sql = "SELECT p.name, p.id, o.name, o.slug, COALESCE(s.customer_email, ''), "
		   "s.status = 'pending' AND s.invitation_token_expires_at > $2 "
		   "AND s.suspended_at IS NULL, "
		   "s.status = 'revoked' AS status, o.seat_based_pricing_enabled "
		   "FROM seats.customer_seats AS s "
		   "JOIN seats.organizations AS o ON o.id = s.organization_id "
		   "LEFT JOIN seats.subscriptions AS b ON b.id = s.subscription_id "
		   "LEFT JOIN seats.orders AS r ON r.id = s.order_id "
		   "JOIN seats.products AS p ON p.id = COALESCE(b.product_id, r.product_id) "
		   "WHERE s.invitation_token_hash = $1",
	.nargs = 2,
	.argtypes = {BYTEAOID, TIMESTAMPTZOID},
};

/* The fields of the type seats.seat_claim_info. */
enum
{
	INFO_PRODUCT_NAME,
	INFO_PRODUCT_ID,
	INFO_ORGANIZATION_NAME,
	INFO_ORGANIZATION_SLUG,
	INFO_CUSTOMER_EMAIL,
	INFO_CAN_CLAIM,
	INFO_COUNT
};

static const Oid info_types[INFO_COUNT] = {
	[INFO_PRODUCT_NAME] = TEXTOID,		[INFO_PRODUCT_ID] = UUIDOID,
	[INFO_ORGANIZATION_NAME] = TEXTOID, [INFO_ORGANIZATION_SLUG] = TEXTOID,
	[INFO_CUSTOMER_EMAIL] = TEXTOID,	[INFO_CAN_CLAIM] = BOOLOID,
};

/* The description of an invitation; describe_invitation returns it in this order. */
typedef struct ClaimInfo
{
	NullableDatum fields[INFO_COUNT];
	bool revoked;
	bool pricing_enabled;
} ClaimInfo;

/* The columns of a seat that describe its invitation or lead to the rest of the description. */
enum
{
	OF_STATUS,
	OF_EXPIRY,
	OF_SUSPENSION,
	OF_EMAIL,
	OF_ORGANIZATION,
	OF_SUBSCRIPTION,
	OF_ORDER,
	OF_COUNT
};

static const int info_columns[OF_COUNT] = {
	[OF_STATUS] = SEAT_STATUS,
	[OF_EXPIRY] = SEAT_INVITATION_TOKEN_EXPIRES_AT,
	[OF_SUSPENSION] = SEAT_SUSPENDED_AT,
	[OF_EMAIL] = SEAT_CUSTOMER_EMAIL,
	[OF_ORGANIZATION] = SEAT_ORGANIZATION_ID,
	[OF_SUBSCRIPTION] = SEAT_SUBSCRIPTION_ID,
	[OF_ORDER] = SEAT_ORDER_ID,
};

/* Fills in what the seat itself contains. */
static void
describe_seat(const NullableDatum *seat, TimestampTz now, ClaimInfo *info)
{
	Oid status = DatumGetObjectId(seat[OF_STATUS].value);
	bool pending = status == direct_seat_status("pending");
	NullableDatum expiry = seat[OF_EXPIRY];

	info->revoked = status == direct_seat_status("revoked");
	info->fields[INFO_CAN_CLAIM].isnull = pending && expiry.isnull;
	info->fields[INFO_CAN_CLAIM].value = BoolGetDatum(pending && seat[OF_SUSPENSION].isnull &&
													  DatumGetTimestampTz(expiry.value) > now);
	info->fields[INFO_CUSTOMER_EMAIL].value = seat[OF_EMAIL].isnull ? CStringGetTextDatum("")
																	: seat[OF_EMAIL].value;
}

/* Reads the id and the name of the product that was bought. */
static DirectResult
read_product(NullableDatum subscription_id, NullableDatum order_id, ClaimInfo *info)
{
	static const int product_id = PURCHASE_PRODUCT_ID;
	static const int name = PRODUCT_NAME;
	bool order = subscription_id.isnull;
	NullableDatum purchase_id = order ? order_id : subscription_id;
	NullableDatum *product = &info->fields[INFO_PRODUCT_ID];
	DirectResult result;

	/* The statement needs both tables, so direct access requires both, too. */
	if (!direct_table_is_readable(order ? &direct_subscriptions : &direct_orders))
		return DIRECT_NOT_POSSIBLE;
	result = direct_read(order ? &direct_orders : &direct_subscriptions, FIRST_KEY,
						 purchase_id, &product_id, product, 1);
	if (result != DIRECT_FOUND)
		return result;
	return direct_read(&direct_products, FIRST_KEY, *product, &name,
					   &info->fields[INFO_PRODUCT_NAME], 1);
}

/* Reads the name and slug of the organization, and whether it may use seats. */
static DirectResult
read_organization(NullableDatum id, ClaimInfo *info)
{
	static const int columns[] = {ORGANIZATION_NAME, ORGANIZATION_SLUG,
								  ORGANIZATION_PRICING_ENABLED};
	NullableDatum values[lengthof(columns)];
	DirectResult result = direct_read(&direct_organizations, FIRST_KEY, id, columns, values,
									  lengthof(columns));

	if (result != DIRECT_FOUND)
		return result;
	if (values[2].isnull)
		return DIRECT_NOT_POSSIBLE;
	info->fields[INFO_ORGANIZATION_NAME] = values[0];
	info->fields[INFO_ORGANIZATION_SLUG] = values[1];
	info->pricing_enabled = DatumGetBool(values[2].value);
	return DIRECT_FOUND;
}

/* Describes an invitation without the executor, if possible. */
static DirectResult
describe_directly(bytea *hash, TimestampTz now, ClaimInfo *info)
{
	NullableDatum key = {PointerGetDatum(hash), false};
	NullableDatum seat[OF_COUNT];
	DirectResult result = direct_read(&direct_seats, SEAT_BY_TOKEN, key, info_columns, seat,
									  OF_COUNT);

	if (result != DIRECT_FOUND)
		return result;
	if (seat[OF_STATUS].isnull)
		return DIRECT_NOT_POSSIBLE;
	describe_seat(seat, now, info);
	result = read_product(seat[OF_SUBSCRIPTION], seat[OF_ORDER], info);
	if (result != DIRECT_FOUND)
		return result;
	return read_organization(seat[OF_ORGANIZATION], info);
}

/* Describes an invitation by a statement; returns false if no seat has the token. */
static bool
describe_by_statement(const bytea *hash, TimestampTz now, ClaimInfo *info)
{
	NullableDatum arguments[] = {{PointerGetDatum(hash), false},
								 {TimestampTzGetDatum(now), false}};
	Rows rows;

	rows = statement_read(&describe_invitation, arguments);
	if (rows.count == 0)
		return false;
	rows_fields(&rows, info->fields, info_types, INFO_COUNT);
	info->revoked = DatumGetBool(rows_required(&rows, 0, INFO_COUNT + 1));
	info->pricing_enabled = DatumGetBool(rows_required(&rows, 0, INFO_COUNT + 2));
	return true;
}

/* Describes an invitation; see claim_info().  Raises PT400 and PT403. */
Datum
claim_info_operation(TupleDesc type, const text *token)
{
	MemoryContext caller = CurrentMemoryContext;
	ClaimInfo info = {0};
	DirectResult found;
	TimestampTz now;
	uint32 route;
	bytea *hash;
	Datum result;

	if (!token_read(token, TOKEN_INVITATION, &route, &hash))
		token_refuse(INVITATION_INVALID, token);

	SPI_connect();
	now = GetCurrentTimestamp();
	found = describe_directly(hash, now, &info);
	if (found == DIRECT_NOT_FOUND ||
		(found == DIRECT_NOT_POSSIBLE && !describe_by_statement(hash, now, &info)))
		raise_error(INVITATION_INVALID);
	if (info.revoked)
		raise_error(SEAT_REVOKED);
	if (!info.pricing_enabled)
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	result = form_composite(type->tdtypeid, info.fields, info_types, INFO_COUNT, caller);
	SPI_finish();
	return result;
}

/*
 * claim_info(invitation_token text): describes the invitation, and tells whether claim_seat() would
 * accept it.  Changes and locks nothing, so a mail scanner may fetch it.  Raises PT400 if the token
 * is unknown or its seat is revoked, PT403 and PT422.
 */
Datum
seats_claim_info(PG_FUNCTION_ARGS)
{
	const text *token = token_argument(fcinfo, "invitation_token");

	return claim_info_operation(result_type(fcinfo), token);
}
