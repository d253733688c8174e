/*
 * has_seat.c
 *		Whether a customer may use a product.
 *
 * Applications ask this on each request, and policies for each row, so it costs no more than it
 * must: a look at the customer's seats by their index, and at the purchase of each.  It changes and
 * locks nothing, so it works on a standby.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/uuid.h"

#include "catalog.h"
#include "compat.h"
#include "direct_seat.h"
#include "list.h"
#include "purchase.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(seats_has_seat);

#define BOUGHT(table, purchase) \
	"EXISTS (SELECT FROM seats." table " AS p WHERE p.id = s." purchase \
	" AND p.product_id = $2)"

static Statement find_seat = {
	.sql = "SELECT FROM seats.customer_seats AS s WHERE s.customer_id = $1 "
		   "AND s.status = 'claimed' AND s.suspended_at IS NULL "
		   "AND (" BOUGHT("subscriptions",
						  "subscription_id") " OR " BOUGHT("orders", "order_id") ") LIMIT 1",
	.nargs = 2,
	.argtypes = {UUIDOID, UUIDOID},
};

/* Tells whether the product of a seat's purchase is the wanted one. */
static DirectResult
is_of_product(const DirectRow *seat, const pg_uuid_t *product_id)
{
	static const int column = PURCHASE_PRODUCT_ID;
	NullableDatum subscription_id = direct_row_value(seat, SEAT_SUBSCRIPTION_ID);
	bool order = subscription_id.isnull;
	NullableDatum id = order ? direct_row_value(seat, SEAT_ORDER_ID) : subscription_id;
	NullableDatum product;
	DirectResult result = direct_read(order ? &direct_orders : &direct_subscriptions,
									  FIRST_KEY, id, &column, &product, 1);

	if (result != DIRECT_FOUND)
		return result;
	return !product.isnull && memcmp(DatumGetUUIDP(product.value), product_id, UUID_LEN) == 0
		? DIRECT_FOUND
		: DIRECT_NOT_FOUND;
}

/* Tells whether the seat in a row can be used. */
static bool
is_usable(const DirectRow *seat)
{
	NullableDatum status = direct_row_value(seat, SEAT_STATUS);

	return !status.isnull && DatumGetObjectId(status.value) == direct_seat_status("claimed") &&
		direct_row_value(seat, SEAT_SUSPENDED_AT).isnull;
}

/* Looks for the customer's seat of a product without the executor, if possible. */
static DirectResult
find_directly(const pg_uuid_t *product_id, const pg_uuid_t *customer_id)
{
	Datum key = UUIDPGetDatum(customer_id);
	DirectResult result = DIRECT_NOT_FOUND;
	DirectScan scan;

	if (!direct_scan_begin(&direct_seats, SEAT_BY_CUSTOMER, &key, &scan))
		return DIRECT_NOT_POSSIBLE;
	while (result == DIRECT_NOT_FOUND && direct_scan_next(&scan))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_usable(&scan.row))
			result = is_of_product(&scan.row, product_id);
	}
	direct_scan_end(&scan);
	return result;
}

/* Looks for it by a statement. */
static bool
find_by_statement(const pg_uuid_t *product_id, const pg_uuid_t *customer_id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(customer_id), false},
								 {UUIDPGetDatum(product_id), false}};
	bool found;

	SPI_connect();
	found = statement_read(&find_seat, arguments).count > 0;
	SPI_finish();
	return found;
}

/* Reads the customer's argument, or else the JWT of the request; returns false if there is none. */
static bool
read_customer(FunctionCallInfo fcinfo, pg_uuid_t *customer_id)
{
	if (PG_NARGS() == 1)
		return current_customer(customer_id);
	if (PG_ARGISNULL(1))
		return false;
	*customer_id = *PG_GETARG_UUID_P(1);
	return true;
}

/*
 * has_seat(product_id uuid), has_seat(product_id uuid, customer_id uuid): whether a customer, or
 * the one who is the subject of the JWT of PostgREST's request, holds a claimed seat of a product
 * that is not suspended, as the calling statement sees it.  Null and unknown ids give false.  It
 * does not look at whether the organization may use seats.
 *
 * Locks: nothing.
 */
Datum
seats_has_seat(PG_FUNCTION_ARGS)
{
	pg_uuid_t customer_id;
	const pg_uuid_t *product_id;

	if (PG_ARGISNULL(0) || !read_customer(fcinfo, &customer_id))
		PG_RETURN_BOOL(false);
	product_id = PG_GETARG_UUID_P(0);
	switch (find_directly(product_id, &customer_id))
	{
		case DIRECT_FOUND:
			PG_RETURN_BOOL(true);
		case DIRECT_NOT_FOUND:
			PG_RETURN_BOOL(false);
		default:
			PG_RETURN_BOOL(find_by_statement(product_id, &customer_id));
	}
}
