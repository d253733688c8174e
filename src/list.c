/*
 * list.c
 *		Reading seats: one, all of a subscription or order, or one's own.
 *
 * Nothing here changes or locks anything, so it works on a standby.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "catalog.h"
#include "compat.h"
#include "direct_seat.h"
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
#define LIST_STATEMENT(table, purchase, most) \
	{ \
		.sql = "SELECT COALESCE((SELECT pg_catalog.array_agg(" \
			   "ROW(" SEAT_FIELDS ")::seats.customer_seat ORDER BY s.created_at, s.id) " \
			   "FROM seats.customer_seats AS s WHERE s." purchase " = p.id), '{}'), " most \
			   " - p.assigned_seats, p.seats, o.seat_based_pricing_enabled " \
			   "FROM seats." table " AS p " \
			   "JOIN seats.organizations AS o ON o.id = p.organization_id " \
			   "WHERE p.id = $1", \
		.nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

/* The fields of the type seats.seats_list. */
enum
{
	LIST_SEATS,
	LIST_AVAILABLE,
	LIST_TOTAL,
	LIST_COUNT
};

static Statement list_seats[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LIST_STATEMENT("subscriptions", "subscription_id",
											 "LEAST(p.seats, p.seats_next)"),
	[PURCHASE_ORDER] = LIST_STATEMENT("orders", "order_id", "p.seats"),
};

static Statement get_seat = {
	.sql = "SELECT " SEAT_FIELDS ", o.seat_based_pricing_enabled "
		   "FROM seats.customer_seats AS s "
		   "JOIN seats.organizations AS o ON o.id = s.organization_id "
		   "WHERE s.id = $1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* ---- Listing without the executor ---- */

/* A seat of a list, and what the list is ordered by. */
typedef struct ListedSeat
{
	TimestampTz created_at;
	pg_uuid_t id;
	Datum seat;
} ListedSeat;

/* The seats of a list. */
typedef struct SeatList
{
	TupleDesc type; /* seats.customer_seat */
	ListedSeat *seats;
	int count;
	int room;
} SeatList;

/* Finds out without the executor whether an organization may use seats. */
static DirectResult
is_enabled(NullableDatum organization_id, bool *enabled)
{
	static const int column = ORGANIZATION_PRICING_ENABLED;
	NullableDatum value;
	DirectResult result = direct_read(&direct_organizations, FIRST_KEY, organization_id,
									  &column, &value, 1);

	if (result != DIRECT_FOUND)
		return result;
	*enabled = DatumGetBool(value.value);
	return value.isnull ? DIRECT_NOT_POSSIBLE : DIRECT_FOUND;
}

/*
 * Tells whether seats.customer_seat has as many fields as the extension made; raises 42804 if one
 * has another type than the table's column.
 */
static bool
check_seat_type(TupleDesc type)
{
	if (type->natts != SEAT_FIELD_COUNT)
		return false;
	for (int i = 0; i < SEAT_FIELD_COUNT; i++)
	{
		Form_pg_attribute field = TupleDescAttr(type, i);

		if (field->attisdropped)
			return false;
		if (field->atttypid != direct_seats.types[seat_fields[i]])
			refuse_altered_type();
	}
	return true;
}

/*
 * Adds a seat to a list, with the fields in their order; returns false if a column is null that the
 * list is ordered by.
 */
static bool
add_seat(SeatList *list, const DirectRow *row)
{
	const TupleTableSlot *slot = row->slot;
	int created_at = row->table->numbers[SEAT_CREATED_AT] - 1;
	int id = row->table->numbers[SEAT_ID] - 1;
	Datum values[SEAT_FIELD_COUNT];
	bool nulls[SEAT_FIELD_COUNT];
	ListedSeat *seat;

	slot_getallattrs(row->slot);
	if (slot->tts_isnull[created_at] || slot->tts_isnull[id])
		return false;
	for (int i = 0; i < SEAT_FIELD_COUNT; i++)
	{
		int column = row->table->numbers[seat_fields[i]] - 1;

		values[i] = slot->tts_values[column];
		nulls[i] = slot->tts_isnull[column];
	}
	if (list->count == list->room)
	{
		list->room *= 2;
		list->seats = repalloc_huge(list->seats, list->room * sizeof(ListedSeat));
	}
	seat = &list->seats[list->count++];
	seat->created_at = DatumGetTimestampTz(slot->tts_values[created_at]);
	seat->id = *DatumGetUUIDP(slot->tts_values[id]);
	seat->seat = HeapTupleGetDatum(heap_form_tuple(list->type, values, nulls));
	return true;
}

/* Compares seats by (created_at, id). */
static int
compare_seats(const ListedSeat *left, const ListedSeat *right)
{
	if (left->created_at != right->created_at)
		return left->created_at < right->created_at ? -1 : 1;
	return memcmp(&left->id, &right->id, UUID_LEN);
}

/* Defines sort_seats(). */
#define ST_SORT sort_seats
#define ST_ELEMENT_TYPE ListedSeat
#define ST_COMPARE(left, right) compare_seats(left, right)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Reads the seats of a purchase; returns false if that is not possible.  Raises 42804. */
static bool
read_seats(SeatList *list, const PurchaseId *purchase)
{
	Datum id = UUIDPGetDatum(&purchase->id);
	DirectScan scan;
	bool possible;

	if (!direct_scan_begin(&direct_seats, SEAT_BY_HOLDER + purchase->kind, &id, &scan))
		return false;
	possible = check_seat_type(list->type);
	while (possible && direct_scan_next(&scan))
	{
		CHECK_FOR_INTERRUPTS();
		possible = add_seat(list, &scan.row);
	}
	direct_scan_end(&scan);
	return possible;
}

/* Sorts the seats of a list and returns them as an array. */
static Datum
make_array(SeatList *list)
{
	Datum *seats = palloc_extended(list->count * sizeof(Datum), MCXT_ALLOC_HUGE);

	sort_seats(list->seats, list->count);
	for (int i = 0; i < list->count; i++)
		seats[i] = list->seats[i].seat;
	return PointerGetDatum(
		construct_array(seats, list->count, list->type->tdtypeid, -1, false, TYPALIGN_DOUBLE));
}

/* Reads the seats of a purchase as an array; returns false if that is not possible. */
static bool
array_of_seats(const PurchaseId *purchase, NullableDatum *array)
{
	SeatList list = {.room = 64};
	Oid type = seat_type();
	bool possible;

	if (!OidIsValid(type))
		return false;
	list.type = lookup_rowtype_tupdesc(type, -1);
	list.seats = palloc(list.room * sizeof(ListedSeat));
	possible = read_seats(&list, purchase);
	if (possible)
		*array = (NullableDatum){make_array(&list), false};
	ReleaseTupleDesc(list.type);
	return possible;
}

/*
 * Reads the numbers of a list, and whether the organization may use seats, without the executor.
 */
static DirectResult
read_numbers(const PurchaseId *purchase, NullableDatum *fields, bool *enabled)
{
	static const int columns[] = {PURCHASE_ORGANIZATION_ID, PURCHASE_SEATS,
								  PURCHASE_ASSIGNED_SEATS, SUBSCRIPTION_SEATS_NEXT};
	bool order = purchase->kind == PURCHASE_ORDER;
	int count = order ? lengthof(columns) - 1 : lengthof(columns);
	NullableDatum id = {UUIDPGetDatum(&purchase->id), false};
	NullableDatum values[lengthof(columns)] = {[3] = {.isnull = true}};
	int32 available;
	DirectResult result = direct_read(order ? &direct_orders : &direct_subscriptions,
									  FIRST_KEY, id, columns, values, count);

	if (result != DIRECT_FOUND)
		return result;
	if (values[1].isnull || values[2].isnull ||
		pg_sub_s32_overflow(purchase_most(values[1], values[3]),
							DatumGetInt32(values[2].value), &available))
		return DIRECT_NOT_POSSIBLE;
	fields[LIST_AVAILABLE] = (NullableDatum){Int32GetDatum(available), false};
	fields[LIST_TOTAL] = values[1];
	return is_enabled(values[0], enabled);
}

/*
 * Lists the seats of a purchase without the executor, if possible: fills the fields of the list.
 */
static DirectResult
list_directly(const PurchaseId *purchase, NullableDatum *fields)
{
	bool enabled;
	DirectResult result = read_numbers(purchase, fields, &enabled);

	if (result != DIRECT_FOUND)
		return result;
	if (!enabled)
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	return array_of_seats(purchase, &fields[LIST_SEATS]) ? DIRECT_FOUND : DIRECT_NOT_POSSIBLE;
}

/* Gets a seat without the executor, if possible, as a composite value in a memory context. */
static DirectResult
get_directly(const pg_uuid_t *id, Oid type, MemoryContext context, Datum *seat)
{
	NullableDatum key = {UUIDPGetDatum(id), false};
	NullableDatum values[SEAT_COLUMNS];
	DirectRow row;
	bool enabled;
	DirectResult result = direct_find(&direct_seats, SEAT_BY_ID, &key, DIRECT_READ, &row);

	if (result != DIRECT_FOUND)
		return result;
	for (int i = 0; i < SEAT_COLUMNS; i++)
		values[i] = direct_row_value(&row, i);
	result = is_enabled(values[SEAT_ORGANIZATION_ID], &enabled);
	if (result == DIRECT_FOUND && !enabled)
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	if (result == DIRECT_FOUND)
		*seat = direct_seat_form(values, type, context);
	direct_row_close(&row);
	return result;
}

/* ---- The functions ---- */

/* Lists the seats of a purchase by a statement. */
static Datum
list_by_statement(TupleDesc type, PurchaseId purchase, MemoryContext context)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false}};
	Rows rows = statement_read(&list_seats[purchase.kind], arguments);

	if (rows.count == 0)
		purchase_raise_not_found(purchase);
	if (!DatumGetBool(rows_required(&rows, 0, LIST_COUNT + 1)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	return rows_composite(&rows, 0, type->tdtypeid, LIST_COUNT, context);
}

/*
 * Lists the seats of a purchase; see list_seats().  If a payer is given who does not pay for it,
 * there is no such purchase.  Raises PT403 and PT404.
 */
Datum
list_operation(TupleDesc type, PurchaseId purchase, const pg_uuid_t *payer)
{
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum fields[LIST_COUNT];
	Datum list;

	SPI_connect();
	if (!purchase_is_paid_by(purchase, payer))
		purchase_raise_not_found(purchase);
	switch (list_directly(&purchase, fields))
	{
		case DIRECT_FOUND:
			list = form_composite(type->tdtypeid, fields,
								  (Oid[]){seat_array_type(), INT4OID, INT4OID}, LIST_COUNT,
								  caller);
			break;
		case DIRECT_NOT_FOUND:
			purchase_raise_not_found(purchase);
		default:
			list = list_by_statement(type, purchase, caller);
	}
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
	return list_operation(result_type(fcinfo), purchase, NULL);
}

/* Gets a seat by a statement, as a composite value in a memory context. */
static Datum
get_by_statement(const pg_uuid_t *id, Oid type, MemoryContext context)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(id), false}};
	Rows rows = statement_read(&get_seat, arguments);

	if (rows.count == 0)
		raise_error(SEAT_NOT_FOUND);
	if (!DatumGetBool(rows_required(&rows, 0, SEAT_FIELD_COUNT + 1)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	return rows_composite(&rows, 0, type, SEAT_FIELD_COUNT, context);
}

/* get_seat(seat_id uuid): one seat, whatever its status.  Raises PT403, PT404 and PT422. */
Datum
seats_get_seat(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid type = result_type_id(fcinfo);
	const pg_uuid_t *id = id_argument(fcinfo, 0, "seat_id");
	Datum seat;

	switch (get_directly(id, type, caller, &seat))
	{
		case DIRECT_FOUND:
			break;
		case DIRECT_NOT_FOUND:
			raise_error(SEAT_NOT_FOUND);
		default:
			SPI_connect();
			seat = get_by_statement(id, type, caller);
			SPI_finish();
	}
	PG_RETURN_DATUM(seat);
}

/*
 * Finds the customer who is the subject of the JWT of PostgREST's request; returns false if there
 * is none.  Reads no table, and raises no error, which would quote the JWT claim.
 */
bool
current_customer(pg_uuid_t *id)
{
	static const char *const names[] = {"sub"};
	char *subject;

	request_read_jwt_claims(names, &subject, lengthof(names));
	if (subject == NULL || !is_uuid(subject))
		return false;
	*id = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(subject)));
	return true;
}

/*
 * current_customer_id(): the customer that is the subject of the JWT of PostgREST's request, or
 * null if there is none; for row security and the view seats.my_seats.
 */
Datum
seats_current_customer_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

	if (!current_customer(id))
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(id);
}
