/*
 * seat_json.c
 *		Seats as JSON, with the fields that the HTTP contract's service has.
 *
 * These are the twelve of the type seats.customer_seat, and three about who holds the seat:
 * member_id, member and email, which are null once it is revoked.  The service keeps members in a
 * table.  Here the holder is a customer like any other, so the values are those of the row in
 * seats.customers; member.customer_id is the customer who pays for the subscription or order.
 *
 * PostgreSQL's row_to_json() looks up the type of each value anew.  The types are known here, so
 * writing them costs a fraction of that.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "catalog.h"
#include "direct.h"
#include "jwt.h"
#include "purchase.h"
#include "seat_json.h"
#include "statement.h"

/* The columns of a holder that are fields of "member", in its order. */
static const struct
{
	CustomerColumn column;
	const char *name;
} member_fields[] = {
	{CUSTOMER_CREATED_AT, "created_at"},
	{CUSTOMER_MODIFIED_AT, "modified_at"},
	{CUSTOMER_EMAIL, "email"},
	{CUSTOMER_NAME, "name"},
	{CUSTOMER_EXTERNAL_ID, "external_id"},
};

/* Places in this list: of the address, and of the field before "customer_id". */
#define MEMBER_EMAIL 2
#define MEMBER_MODIFIED_AT 1

/* A seat, and the customer who holds it. */
typedef struct HeldSeat
{
	NullableDatum fields[SEAT_FIELD_COUNT];
	bool known; /* the holder was found */
	NullableDatum holder[lengthof(member_fields)];
} HeldSeat;

/* The seats to be written. */
typedef struct HeldSeats
{
	HeldSeat *seats;
	int count;
	/* The purchase of the seat that was written last, and who pays for it. */
	PurchaseId purchase;
	pg_uuid_t payer;
	bool has_payer;
} HeldSeats;

static Statement find_holders = {
	.sql = "SELECT a.position::pg_catalog.int4, c.created_at, c.modified_at, c.email, c.name, "
		   "c.external_id FROM pg_catalog.unnest($1) WITH ORDINALITY AS a (id, position) "
		   "JOIN seats.customers AS c ON c.id = a.id",
	.nargs = 1,
	.argtypes = {UUIDARRAYOID},
};

/* Returns a field of a seat by its number, counted from 1. */
static NullableDatum
seat_field(const HeldSeat *seat, int number)
{
	return seat->fields[number - 1];
}

/* ---- Reading who holds the seats ---- */

/* Returns the fields of a composite value of the type seats.customer_seat. */
static void
read_fields(Datum seat, HeldSeat *held)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(seat);
	TupleDesc type = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};
	Datum values[SEAT_FIELD_COUNT];
	bool nulls[SEAT_FIELD_COUNT];

	if (type->natts != SEAT_FIELD_COUNT)
		refuse_altered_type();
	heap_deform_tuple(&tuple, type, values, nulls);
	ReleaseTupleDesc(type);
	for (int i = 0; i < SEAT_FIELD_COUNT; i++)
		held->fields[i] = (NullableDatum){values[i], nulls[i]};
}

/*
 * Reads the holders of seats without the executor, as far as possible; returns how many seats are
 * done.
 */
static int
read_holders_directly(HeldSeats *held)
{
	int columns[lengthof(member_fields)];
	int done = 0;

	for (size_t i = 0; i < lengthof(member_fields); i++)
		columns[i] = member_fields[i].column;
	for (; done < held->count; done++)
	{
		HeldSeat *seat = &held->seats[done];
		DirectResult result = direct_read(&direct_customers, FIRST_KEY,
										  seat_field(seat, SEAT_FIELD_CUSTOMER_ID), columns,
										  seat->holder, lengthof(member_fields));

		CHECK_FOR_INTERRUPTS();
		if (result == DIRECT_NOT_POSSIBLE)
			break;
		seat->known = result == DIRECT_FOUND;
	}
	return done;
}

/* Reads the holders of seats by a statement. */
static void
read_holders_by_statement(HeldSeat *seats, int count)
{
	NullableDatum *ids = palloc(count * sizeof(NullableDatum));
	NullableDatum argument;
	Rows rows;

	for (int i = 0; i < count; i++)
		ids[i] = seat_field(&seats[i], SEAT_FIELD_CUSTOMER_ID);
	argument = datum_array(ids, count, UUIDOID);
	rows = statement_read(&find_holders, &argument);
	for (uint64 row = 0; row < rows.count; row++)
	{
		HeldSeat *seat = &seats[DatumGetInt32(rows_required(&rows, row, 1)) - 1];

		seat->known = true;
		for (size_t i = 0; i < lengthof(member_fields); i++)
			seat->holder[i] = rows_value(&rows, row, (int) i + 2);
	}
}

/* Reads seats and their holders, as the active snapshot shows these. */
static HeldSeats
read_seats(const Datum *seats, int count)
{
	HeldSeats held = {.count = count};
	int done;

	held.seats = palloc_extended(Max(count, 1) * sizeof(HeldSeat),
								 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < count; i++)
		read_fields(seats[i], &held.seats[i]);
	done = read_holders_directly(&held);
	if (done < count)
		read_holders_by_statement(held.seats + done, count - done);
	return held;
}

/* Finds out who pays for the purchase of a seat; all seats of a list have the same. */
static void
read_payer(HeldSeats *held, const HeldSeat *seat)
{
	PurchaseId purchase;

	if (!purchase_of_seat(seat_field(seat, SEAT_FIELD_SUBSCRIPTION_ID),
						  seat_field(seat, SEAT_FIELD_ORDER_ID), &purchase))
		return;
	if (held->has_payer && purchase_compare(&held->purchase, &purchase) == 0)
		return;
	held->purchase = purchase;
	held->has_payer = purchase_payer(purchase, &held->payer);
}

/* ---- Writing ---- */

/* Adds the name of a field, after a comma unless it is the first of an object. */
static void
add_name(StringInfo json, const char *name)
{
	appendStringInfoString(json, json->data[json->len - 1] == '{' ? "\"" : ",\"");
	appendStringInfoString(json, name);
	appendStringInfoString(json, "\":");
}

/* Adds a string that needs no escapes. */
static void
add_plain(StringInfo json, const char *string)
{
	appendStringInfoChar(json, '"');
	appendStringInfoString(json, string);
	appendStringInfoChar(json, '"');
}

/* Adds a value as row_to_json() would; one of a type that no case names is an enum. */
static void
add_value(StringInfo json, Oid type, NullableDatum value)
{
	char moment[MAXDATELEN + 1];
	Oid output;
	bool varying;

	if (value.isnull)
	{
		appendStringInfoString(json, "null");
		return;
	}
	switch (type)
	{
		case UUIDOID:
			add_plain(json, uuid_string(DatumGetUUIDP(value.value)));
			break;
		case TIMESTAMPTZOID:
			add_plain(json, JsonEncodeDateTime(moment, value.value, type, NULL));
			break;
		case TEXTOID:
			escape_json(json, TextDatumGetCString(value.value));
			break;
		case JSONBOID:
			(void) JsonbToCString(json, &DatumGetJsonbP(value.value)->root, 0);
			break;
		default:
			getTypeOutputInfo(seat_status_type(), &output, &varying);
			escape_json(json, OidOutputFunctionCall(output, value.value));
	}
}

/* Adds a field. */
static void
add_field(StringInfo json, const char *name, Oid type, NullableDatum value)
{
	add_name(json, name);
	add_value(json, type, value);
}

/*
 * Adds the object "member".  Clients of the service expect that a member has an address, so it is
 * empty if the holder has none.
 */
static void
add_member(StringInfo json, const HeldSeats *held, const HeldSeat *seat)
{
	const KnownTable *customers = &known_tables[TABLE_CUSTOMERS];
	NullableDatum id = seat_field(seat, SEAT_FIELD_CUSTOMER_ID);
	NullableDatum payer = {UUIDPGetDatum(&held->payer), !held->has_payer};
	bool owner = held->has_payer &&
		memcmp(DatumGetUUIDP(id.value), &held->payer, UUID_LEN) == 0;

	appendStringInfoChar(json, '{');
	add_field(json, "id", UUIDOID, id);
	for (size_t i = 0; i < lengthof(member_fields); i++)
	{
		NullableDatum value = seat->holder[i];

		if (i == MEMBER_EMAIL && value.isnull)
			value = (NullableDatum){CStringGetTextDatum(""), false};
		add_field(json, member_fields[i].name,
				  customers->columns[member_fields[i].column].type, value);
		if (i == MEMBER_MODIFIED_AT)
			add_field(json, "customer_id", UUIDOID, payer);
	}
	add_name(json, "role");
	add_plain(json, owner ? "owner" : "member");
	appendStringInfoChar(json, '}');
}

/* Adds the three fields about who holds a seat. */
static void
add_holder(StringInfo json, HeldSeats *held, const HeldSeat *seat)
{
	NullableDatum email = {.isnull = true};

	add_field(json, "member_id", UUIDOID, seat_field(seat, SEAT_FIELD_CUSTOMER_ID));
	add_name(json, "member");
	if (seat->known)
	{
		read_payer(held, seat);
		add_member(json, held, seat);
		email = seat->holder[MEMBER_EMAIL];
	}
	else
		appendStringInfoString(json, "null");
	add_field(json, "email", TEXTOID, email);
}

/* Adds a seat, but for the closing brace. */
static void
add_open_seat(StringInfo json, HeldSeats *held, const HeldSeat *seat)
{
	const KnownTable *table = &known_tables[TABLE_CUSTOMER_SEATS];

	appendStringInfoChar(json, '{');
	for (int i = 0; i < SEAT_FIELD_COUNT; i++)
	{
		const KnownColumn *column = &table->columns[seat_fields[i]];

		add_field(json, column->name, column->type, seat->fields[i]);
		if (i + 1 == SEAT_FIELD_CUSTOMER_ID)
			add_holder(json, held, seat);
	}
}

/*
 * Adds a seat that this transaction may just have written, but for the closing brace.  Its holder
 * is read with the changes of this transaction.
 */
static void
add_one_open(StringInfo json, Datum seat)
{
	HeldSeats held;

	SPI_connect();
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	held = read_seats(&seat, 1);
	add_open_seat(json, &held, held.seats);
	PopActiveSnapshot();
	SPI_finish();
}

/* Returns a field of a composite value. */
static NullableDatum
field_of(Datum composite, const char *name)
{
	NullableDatum field;

	field.value = GetAttributeByName(DatumGetHeapTupleHeader(composite), name, &field.isnull);
	return field;
}

/* Returns what was written as text. */
static text *
finish(StringInfo json)
{
	return cstring_to_text_with_len(json->data, json->len);
}

/* Returns a seat as JSON. */
text *
seat_json(Datum seat)
{
	StringInfoData json;

	initStringInfo(&json);
	add_one_open(&json, seat);
	appendStringInfoChar(&json, '}');
	return finish(&json);
}

/*
 * Returns a value of the type seats.seat_invitation as one JSON object: the fields of the seat, and
 * the token.
 */
text *
invitation_json(Datum invitation)
{
	StringInfoData json;

	initStringInfo(&json);
	add_one_open(&json, field_of(invitation, "seat").value);
	add_field(&json, "invitation_token", TEXTOID, field_of(invitation, "invitation_token"));
	appendStringInfoChar(&json, '}');
	return finish(&json);
}

/* Returns the seat of a value of the type seats.seat_invitation as JSON, without the token. */
text *
invited_seat_json(Datum invitation)
{
	return seat_json(field_of(invitation, "seat").value);
}

/* Returns a value of the type seats.customer_seat_claim_response as JSON. */
text *
claim_json(Datum response)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"seat\":");
	add_one_open(&json, field_of(response, "seat").value);
	appendStringInfoChar(&json, '}');
	add_field(&json, "customer_session_token", TEXTOID,
			  field_of(response, "customer_session_token"));
	appendStringInfoChar(&json, '}');
	return finish(&json);
}

/* Adds the seats in an array, as the active snapshot shows their holders. */
static void
add_seats(StringInfo json, Datum array)
{
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "seat to be written",
											   ALLOCSET_DEFAULT_SIZES);
	Datum *seats;
	int count;
	HeldSeats held;

	deconstruct_array(DatumGetArrayTypeP(array), seat_type(), -1, false, TYPALIGN_DOUBLE,
					  &seats, NULL, &count);
	SPI_connect();
	held = read_seats(seats, count);
	MemoryContextSwitchTo(each);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		appendStringInfoChar(json, i == 0 ? '[' : ',');
		add_open_seat(json, &held, &held.seats[i]);
		appendStringInfoChar(json, '}');
		MemoryContextReset(each);
	}
	appendStringInfoString(json, count == 0 ? "[]" : "]");
	SPI_finish();
	MemoryContextDelete(each);
}

/* Returns a value of the type seats.seats_list as JSON. */
text *
list_json(Datum list)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"seats\":");
	add_seats(&json, field_of(list, "seats").value);
	appendStringInfo(&json, ",\"available_seats\":%d,\"total_seats\":%d}",
					 DatumGetInt32(field_of(list, "available_seats").value),
					 DatumGetInt32(field_of(list, "total_seats").value));
	return finish(&json);
}
