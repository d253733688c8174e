/*
 * list.c
 *		Reading seats: one, all of a subscription or order, or one's own.
 *
 * Nothing here changes or locks anything, so it works on a standby.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/fmgrprotos.h"
#include "utils/uuid.h"

#include "catalog.h"
#include "compat.h"
#include "errors.h"
#include "input.h"
#include "list.h"
#include "request.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(seats_get_seat);
PG_FUNCTION_INFO_V1(seats_list_seats);
PG_FUNCTION_INFO_V1(seats_current_customer_id);

/*
 * One statement, so that the list and the numbers beside it are of the same snapshot: the fields of
 * the type seats.seats_list, and then whether the organization may use seats.
 */
#define LIST_SEATS(table, purchase) \
	{ \
		.sql = "SELECT COALESCE((SELECT pg_catalog.array_agg(" \
			   "ROW(" SEAT_FIELDS ")::seats.customer_seat ORDER BY s.created_at, s.id) " \
			   "FROM seats.customer_seats AS s WHERE s." purchase " = p.id), '{}'), " \
			   "p.seats - p.assigned_seats, p.seats, o.seat_based_pricing_enabled " \
			   "FROM seats." table " AS p " \
			   "JOIN seats.organizations AS o ON o.id = p.organization_id " \
			   "WHERE p.id = $1", \
		.nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

#define SEATS_LIST_FIELD_COUNT 3

static Statement list_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LIST_SEATS("subscriptions", "subscription_id"),
	[PURCHASE_ORDER] = LIST_SEATS("orders", "order_id"),
};

static Statement get_seat = {
	.sql = "SELECT " SEAT_FIELDS ", o.seat_based_pricing_enabled "
		   "FROM seats.customer_seats AS s "
		   "JOIN seats.organizations AS o ON o.id = s.organization_id "
		   "WHERE s.id = $1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* Lists the seats of a purchase; see list_seats().  Raises PT403 and PT404. */
Datum
list_operation(TupleDesc type, PurchaseId purchase)
{
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false}};
	Rows rows;
	Datum list;

	SPI_connect();
	rows = statement_read(&list_seats[purchase.kind], arguments);
	if (rows.count == 0)
		purchase_raise_not_found(purchase);
	if (!DatumGetBool(rows_required(&rows, 0, SEATS_LIST_FIELD_COUNT + 1)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	list = rows_composite(&rows, 0, type->tdtypeid, SEATS_LIST_FIELD_COUNT, caller);
	SPI_finish();
	return list;
}

/*
 * list_seats(subscription_id uuid, order_id uuid): all seats of a subscription or order, revoked
 * ones too, by (created_at, id); how many more can be assigned; and how many were bought.  Raises
 * PT403, PT404 and PT422.
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

/* get_seat(seat_id uuid): one seat, whatever its status.  Raises PT403, PT404 and PT422. */
Datum
seats_get_seat(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc type = result_type(fcinfo);
	NullableDatum arguments[1] = {0};
	Rows rows;
	Datum seat;

	arguments[0].value = UUIDPGetDatum(id_argument(fcinfo, 0, "seat_id"));
	SPI_connect();
	rows = statement_read(&get_seat, arguments);
	if (rows.count == 0)
		raise_error(SEAT_NOT_FOUND);
	if (!DatumGetBool(rows_required(&rows, 0, SEAT_FIELD_COUNT + 1)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	seat = rows_composite(&rows, 0, type->tdtypeid, SEAT_FIELD_COUNT, caller);
	SPI_finish();
	PG_RETURN_DATUM(seat);
}

/*
 * current_customer_id(): the customer that is the subject of the JWT of PostgREST's request, or
 * null if there is none; for row security and the view seats.my_seats.  Reads no table, and raises
 * no error, which would quote the JWT claim.
 */
Datum
seats_current_customer_id(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"sub"};
	char *subject;

	request_read_jwt_claims(names, &subject, lengthof(names));
	if (subject == NULL || !is_uuid(subject))
		PG_RETURN_NULL();
	return DirectFunctionCall1(uuid_in, CStringGetDatum(subject));
}
