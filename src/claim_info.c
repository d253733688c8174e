/*
 * claim_info.c
 *		Telling what an invitation is for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "direct_access.h"
#include "errors.h"
#include "export.h"
#include "kept_plan.h"
#include "operations.h"
#include "row.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_claim_info);

static KeptPlan describe_invitation = {
	.sql = "SELECT p.name, p.id, o.name, o.slug, COALESCE(s.customer_email, ''), "
		   "s.status" EQ "'pending' "
		   "AND s.invitation_token_expires_at OPERATOR(pg_catalog.>) $2, "
		   "s.status" EQ "'revoked' AS status, o.seat_based_pricing_enabled "
		   "FROM seats.customer_seats AS s "
		   "JOIN seats.organizations AS o ON o.id" EQ "s.organization_id "
		   "LEFT JOIN seats.subscriptions AS b ON b.id" EQ "s.subscription_id "
		   "LEFT JOIN seats.orders AS r ON r.id" EQ "s.order_id "
		   "JOIN seats.products AS p ON p.id" EQ "COALESCE(b.product_id, r.product_id) "
		   "WHERE s.invitation_token_hash" EQ "$1",
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
	INFO_FIELDS
};

static const Oid field_types[INFO_FIELDS] = {
	[INFO_PRODUCT_NAME] = TEXTOID,		[INFO_PRODUCT_ID] = UUIDOID,
	[INFO_ORGANIZATION_NAME] = TEXTOID, [INFO_ORGANIZATION_SLUG] = TEXTOID,
	[INFO_CUSTOMER_EMAIL] = TEXTOID,	[INFO_CAN_CLAIM] = BOOLOID,
};

/* What an invitation is for; describe_invitation gives the same in this order. */
typedef struct ClaimInfo
{
	NullableDatum fields[INFO_FIELDS];
	bool revoked;
	bool pricing_enabled;
} ClaimInfo;

/* What a seat itself tells of its invitation, and where the rest is told. */
enum
{
	OF_STATUS,
	OF_EXPIRY,
	OF_EMAIL,
	OF_ORGANIZATION,
	OF_SUBSCRIPTION,
	OF_ORDER,
	OF_COLUMNS
};

static const int seat_columns[OF_COLUMNS] = {
	[OF_STATUS] = SEAT_STATUS,
	[OF_EXPIRY] = SEAT_INVITATION_TOKEN_EXPIRES_AT,
	[OF_EMAIL] = SEAT_CUSTOMER_EMAIL,
	[OF_ORGANIZATION] = SEAT_ORGANIZATION_ID,
	[OF_SUBSCRIPTION] = SEAT_SUBSCRIPTION_ID,
	[OF_ORDER] = SEAT_ORDER_ID,
};

/* Describes what the seat itself tells. */
static void
describe_seat(const NullableDatum *seat, TimestampTz now, ClaimInfo *info)
{
	Oid status = DatumGetObjectId(seat[OF_STATUS].value);
	bool pending = status == direct_seat_status("pending");
	NullableDatum expiry = seat[OF_EXPIRY];

	info->revoked = status == direct_seat_status("revoked");
	info->fields[INFO_CAN_CLAIM].isnull = pending && expiry.isnull;
	info->fields[INFO_CAN_CLAIM].value = BoolGetDatum(pending &&
													  DatumGetTimestampTz(expiry.value) > now);
	info->fields[INFO_CUSTOMER_EMAIL].value = seat[OF_EMAIL].isnull ? CStringGetTextDatum("")
																	: seat[OF_EMAIL].value;
}

/* Reads the product that was bought. */
static DirectResult
read_product(NullableDatum subscription_id, NullableDatum order_id, ClaimInfo *info)
{
	static const int product_id = PURCHASE_PRODUCT_ID;
	static const int name = PRODUCT_NAME;
	bool order = subscription_id.isnull;
	NullableDatum purchase_id = order ? order_id : subscription_id;
	NullableDatum *product = &info->fields[INFO_PRODUCT_ID];
	DirectResult result;

	/* The statement needs to read both tables, so we take no less. */
	if (!direct_table_is_readable(order ? &direct_subscriptions : &direct_orders))
		return DIRECT_NOT_POSSIBLE;
	result = direct_read(order ? &direct_orders : &direct_subscriptions, purchase_id,
						 &product_id, product, 1);
	if (result != DIRECT_FOUND)
		return result;
	return direct_read(&direct_products, *product, &name, &info->fields[INFO_PRODUCT_NAME], 1);
}

/* Reads what is told of the organization. */
static DirectResult
read_organization(NullableDatum id, ClaimInfo *info)
{
	static const int columns[] = {ORGANIZATION_NAME, ORGANIZATION_SLUG,
								  ORGANIZATION_PRICING_ENABLED};
	NullableDatum values[lengthof(columns)];
	DirectResult result = direct_read(&direct_organizations, id, columns, values,
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

/* Describes an invitation past the executor, where that is possible. */
static DirectResult
describe_directly(bytea *hash, TimestampTz now, ClaimInfo *info)
{
	NullableDatum key = {PointerGetDatum(hash), false};
	NullableDatum seat[OF_COLUMNS];
	DirectResult result = direct_read(&direct_seats, key, seat_columns, seat, OF_COLUMNS);

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

/* Describes an invitation by a statement; false where no seat has the token. */
static bool
describe_by_statement(const bytea *hash, TimestampTz now, ClaimInfo *info)
{
	NullableDatum arguments[] = {{PointerGetDatum(hash), false},
								 {TimestampTzGetDatum(now), false}};

	if (kept_plan_read(&describe_invitation, arguments) == 0)
		return false;
	row_fields(info->fields, field_types, INFO_FIELDS);
	info->revoked = DatumGetBool(row_required(INFO_FIELDS + 1));
	info->pricing_enabled = DatumGetBool(row_required(INFO_FIELDS + 2));
	return true;
}

/*
 * Tells what an invitation is for; see claim_info().  Raises PT400 and PT403.
 */
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
	result = composite(type->tdtypeid, info.fields, field_types, INFO_FIELDS, caller);
	SPI_finish();
	return result;
}

/*
 * claim_info(invitation_token text): what the invitation is for, and whether claim_seat() would
 * accept it.  Changes and locks nothing, so that a mail scanner may fetch it.  Raises PT400 where
 * the token is unknown or its seat revoked, PT403 and PT422.
 */
Datum
seats_claim_info(PG_FUNCTION_ARGS)
{
	const text *token = token_argument(fcinfo, "invitation_token");

	return claim_info_operation(result_type(fcinfo), token);
}
