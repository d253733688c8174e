/*
 * list.c
 *		Reading seats: one, or all of a subscription or order.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "arguments.h"
#include "errors.h"
#include "export.h"
#include "kept_plan.h"
#include "operations.h"
#include "row.h"
#include "seat.h"

PG_FUNCTION_INFO_V1(seats_get_seat);
PG_FUNCTION_INFO_V1(seats_list_seats);

/* One snapshot for the list and the numbers beside it. */
#define LIST_SEATS(table, purchase) \
	"SELECT COALESCE((SELECT pg_catalog.array_agg(" \
	"ROW(" SEAT_COLUMNS ")::seats.customer_seat ORDER BY s.created_at, s.id) " \
	"FROM seats.customer_seats AS s WHERE s." purchase EQ "p.id), '{}'), " \
	"p.seats OPERATOR(pg_catalog.-) p.assigned_seats, p.seats, o.seat_based_pricing_enabled " \
	"FROM seats." table " AS p " \
	"JOIN seats.organizations AS o ON o.id" EQ "p.organization_id " \
	"WHERE p.id" EQ "$1"

static KeptPlan list_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = {.sql = LIST_SEATS("subscriptions", "subscription_id"),
							   .nargs = 1,
							   .argtypes = {UUIDOID}},
	[PURCHASE_ORDER] = {.sql = LIST_SEATS("orders", "order_id"),
						.nargs = 1,
						.argtypes = {UUIDOID}},
};

/* list_seats gives the fields of the type seats.seats_list, and then whether it is allowed. */
#define SEATS_LIST_COLUMN_COUNT 3

static KeptPlan get_seat = {
	.sql = "SELECT " SEAT_COLUMNS ", o.seat_based_pricing_enabled "
		   "FROM seats.customer_seats AS s "
		   "JOIN seats.organizations AS o ON o.id" EQ "s.organization_id "
		   "WHERE s.id" EQ "$1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* Lists the seats of a purchase; see list_seats().  Raises PT403 and PT404. */
Datum
list_operation(TupleDesc type, PurchaseId purchase)
{
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum arguments[1] = {0};
	Datum list;

	SPI_connect();
	arguments[0].value = UUIDPGetDatum(&purchase.id);
	if (kept_plan_read(&list_seats[purchase.kind], arguments) == 0)
		purchase_raise_not_found(purchase);
	if (!DatumGetBool(row_required(SEATS_LIST_COLUMN_COUNT + 1)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	list = row_composite(type->tdtypeid, SEATS_LIST_COLUMN_COUNT, caller);
	SPI_finish();
	return list;
}

/*
 * list_seats(subscription_id uuid, order_id uuid): all seats of a subscription or order, revoked
 * ones too, by (created_at, id), how many more can be assigned, and how many were bought.  Raises
 * PT403, PT404 and PT422.  Changes and locks nothing, so that it works on a standby.
 */
Datum
seats_list_seats(PG_FUNCTION_ARGS)
{
	PurchaseId purchase;
	Faults faults;

	faults_start(&faults);
	purchase = purchase_argument(fcinfo, &faults);
	faults_raise(&faults);
	return list_operation(result_type(fcinfo), purchase);
}

/*
 * get_seat(seat_id uuid): one seat, in whichever state.  Raises PT403, PT404 and PT422.  Changes
 * and locks nothing, so that it works on a standby.
 */
Datum
seats_get_seat(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc type = result_type(fcinfo);
	NullableDatum arguments[1] = {0};
	Datum seat;

	arguments[0].value = UUIDPGetDatum(id_argument(fcinfo, 0, "seat_id"));
	SPI_connect();
	if (kept_plan_read(&get_seat, arguments) == 0)
		raise_error(SEAT_NOT_FOUND);
	if (!DatumGetBool(row_required(SEAT_COLUMN_COUNT + 1)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	seat = row_composite(type->tdtypeid, SEAT_COLUMN_COUNT, caller);
	SPI_finish();
	PG_RETURN_DATUM(seat);
}
