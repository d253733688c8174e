/*
 * direct_seat.c
 *		Rows of seats without the executor.
 *
 * A seat is an array of the values of its columns, in the order of SeatColumn.  If a function here
 * returns false or DIRECT_NOT_POSSIBLE it has done nothing, and the caller executes a statement.
 *
 * The triggers on seats do not run.  Whoever changes a seat here has locked the rows that it refers
 * to, counts it by purchase_count() and ends its sessions; see seats_changed() in triggers.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "direct_seat.h"
#include "statement.h"

/*
 * Copies all values of a seat that was looked for into the current memory context, if it was found,
 * and closes its row; returns the outcome of the search.
 */
static DirectResult
copy_found(DirectResult outcome, DirectRow *row, NullableDatum *values)
{
	if (outcome != DIRECT_FOUND)
		return outcome;
	for (int column = 0; column < SEAT_COLUMNS; column++)
		direct_row_copy(row, &column, &values[column], 1);
	direct_row_close(row);
	return DIRECT_FOUND;
}

/*
 * Locks a seat and copies its values, as they are then.
 *
 * Locks: the seat's row, FOR NO KEY UPDATE.
 */
DirectResult
direct_seat_lock(const pg_uuid_t *id, NullableDatum *values)
{
	NullableDatum key = {UUIDPGetDatum(id), false};
	DirectRow row;
	DirectResult result = direct_lock(&direct_seats, SEAT_BY_ID, &key, LockTupleNoKeyExclusive,
									  &row);

	return copy_found(result, &row, values);
}

/*
 * Opens the row of a locked seat so that it can be updated, and reads its values, which are valid
 * until direct_row_close().  The row is found by its place if that is given, or else by its id.
 *
 * Locks: no row.
 */
bool
direct_seat_open(const pg_uuid_t *id, const ItemPointerData *place, DirectRow *row,
				 NullableDatum *values)
{
	NullableDatum key = {UUIDPGetDatum(id), false};
	DirectResult result = ItemPointerIsValid(place)
		? direct_fetch(&direct_seats, place, DIRECT_UPDATE, row)
		: direct_find_newest(&direct_seats, SEAT_BY_ID, &key, DIRECT_UPDATE, row);

	if (result != DIRECT_FOUND)
		return false;
	for (int i = 0; i < SEAT_COLUMNS; i++)
		values[i] = direct_row_value(row, i);
	if (direct_is_kept(&direct_seats))
		return true;
	direct_row_close(row);
	return false;
}

/*
 * Updates the seat that has this id to these values.
 *
 * Locks: the seat's row, as an UPDATE does.
 */
bool
direct_seat_update(const pg_uuid_t *id, const NullableDatum *values)
{
	NullableDatum old[SEAT_COLUMNS];
	DirectRow row;
	bool done;

	if (!direct_seat_open(id, NULL, &row, old))
		return false;
	done = direct_update(&row, values);
	direct_row_close(&row);
	return done;
}

/*
 * Finds the seat of a purchase that a customer has, or a revoked one if the customer is null, and
 * copies its values; sees all committed rows and the changes of this transaction.  Locks no row.
 */
DirectResult
direct_seat_find(PurchaseId purchase, NullableDatum customer_id, NullableDatum *values)
{
	NullableDatum key[] = {{UUIDPGetDatum(&purchase.id), false}, customer_id};
	DirectRow row;
	DirectResult result = direct_find_newest(&direct_seats, SEAT_BY_HOLDER + purchase.kind,
											 key, DIRECT_READ, &row);

	return copy_found(result, &row, values);
}

/* Returns a seat whose status has this type as a composite value. */
static Datum
form(const NullableDatum *values, Oid status_type, Oid type, MemoryContext context)
{
	NullableDatum fields[SEAT_FIELD_COUNT];
	Oid types[SEAT_FIELD_COUNT];

	for (int i = 0; i < SEAT_FIELD_COUNT; i++)
	{
		fields[i] = values[seat_fields[i]];
		types[i] = seat_fields[i] == SEAT_STATUS
			? status_type
			: direct_seats.known->columns[seat_fields[i]].type;
	}
	return form_composite(type, fields, types, SEAT_FIELD_COUNT, context);
}

/*
 * Returns a seat as a composite value of the type seats.customer_seat, given by its id, in a memory
 * context.  Of the columns only the fields of that type are needed.  Raises 42804 if the type is
 * not as the extension made it.
 */
Datum
seat_form(const NullableDatum *values, Oid type, MemoryContext context)
{
	return form(values, seat_status_type(), type, context);
}

/* Returns a seat whose row is or was open as seat_form() does, and looks up one type less. */
Datum
direct_seat_form(const NullableDatum *values, Oid type, MemoryContext context)
{
	return form(values, direct_seats.types[SEAT_STATUS], type, context);
}

/* Returns a value that must not be null; raises 42804 if it is. */
Datum
seat_required(const NullableDatum *values, SeatColumn column)
{
	if (values[column].isnull)
		refuse_null_column(known_tables[TABLE_CUSTOMER_SEATS].columns[column].name);
	return values[column].value;
}
