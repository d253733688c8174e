/*
 * customer.c
 *		Finding the customers whom seats are for, and making those of unknown e-mail addresses.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"

#include "array.h"
#include "customer.h"
#include "errors.h"
#include "kept_plan.h"
#include "row.h"

/* KEY SHARE keeps a customer from being deleted until the seat refers to it. */
#define FIND_CUSTOMER(condition) \
	"SELECT id, email FROM seats.customers " \
	"WHERE organization_id" EQ "$1 AND " condition EQ "$2 FOR KEY SHARE"

static KeptPlan find_customer[CUSTOMER_IDENTIFIER_KINDS] = {
	[CUSTOMER_BY_EXTERNAL_ID] = {.sql = FIND_CUSTOMER("external_id"),
								 .nargs = 2,
								 .argtypes = {UUIDOID, TEXTOID}},
	[CUSTOMER_BY_ID] = {.sql = FIND_CUSTOMER("id"),
						.nargs = 2,
						.argtypes = {UUIDOID, UUIDOID}},
};

/*
 * Two addresses are the same if they differ in the case of ASCII letters alone, whatever the
 * database's locale or the column's collation.  The index customers_email_key has this expression.
 */
#define LOWER(email) "pg_catalog.lower(" email " COLLATE pg_catalog.\"C\")"
#define LOWER_OF_CUSTOMER LOWER("c.email")
#define LOWER_OF_ADDRESS LOWER("a.email")
#define LOWER_OF_INDEX LOWER("email")

/* Addresses that are the same come one after the other.  Each is looked up, and then locked. */
static KeptPlan find_customers = {
	.sql = "SELECT c.id, c.email, a.position::pg_catalog.int4 "
		   "FROM (SELECT a.email, a.position "
		   "FROM pg_catalog.unnest($2) WITH ORDINALITY AS a (email, position) "
		   "ORDER BY " LOWER_OF_ADDRESS ", a.position) AS a "
		   "CROSS JOIN LATERAL (SELECT c.id, c.email FROM seats.customers AS c "
		   "WHERE c.organization_id" EQ "$1 "
		   "AND " LOWER_OF_CUSTOMER EQ LOWER_OF_ADDRESS " FOR KEY SHARE) AS c",
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTARRAYOID},
};

/*
 * Somebody else may have made one meanwhile.  That is locked then and there, in its turn: if it
 * were left for later and gone by then, it would have to be made out of turn.
 */
static KeptPlan make_customers = {
	.sql = "INSERT INTO seats.customers AS c (organization_id, email) "
		   "SELECT DISTINCT ON (" LOWER_OF_ADDRESS ") $1, a.email "
		   "FROM pg_catalog.unnest($2) AS a (email) ORDER BY " LOWER_OF_ADDRESS " "
		   "ON CONFLICT (organization_id, " LOWER_OF_INDEX ") "
		   "DO UPDATE SET email = c.email WHERE false",
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTARRAYOID},
};

/*
 * Returns the customer of an organization that a caller names; raises customer_not_found where
 * there is none.  Inside SPI_connect() and SPI_finish(), where the address lives.
 *
 * Locks: the customer's row, FOR KEY SHARE.
 */
Customer
customer_find(const pg_uuid_t *organization_id, CustomerIdentifierKind kind, Datum identifier)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(organization_id), false},
		{identifier, false},
	};
	Customer customer = {0};

	if (kept_plan_execute(&find_customer[kind], arguments) == 0)
		raise_error(CUSTOMER_NOT_FOUND);
	customer.id = *DatumGetUUIDP(row_required(1));
	customer.email = row_value(2);
	return customer;
}

/*
 * Reads the customers that find_customers gave into their places; returns how many it found.
 */
static int
read_customers(const NullableDatum *arguments, Customer *customers, bool *found)
{
	int count = (int) kept_plan_execute(&find_customers, arguments);
	const pg_uuid_t *last = NULL;

	for (int i = 0; i < count; i++)
	{
		int position = DatumGetInt32(rows_value(i, 3).value) - 1;
		Customer *customer = &customers[position];

		customer->id = *DatumGetUUIDP(rows_required(i, 1));
		customer->email = rows_value(i, 2);
		customer->repeated = last != NULL && memcmp(&customer->id, last, UUID_LEN) == 0;
		found[position] = true;
		last = &customer->id;
	}
	return count;
}

/* Returns those addresses of an array that were not found, an array too. */
static NullableDatum
missing_addresses(Datum emails, int count, const bool *found)
{
	NullableDatum *missing = palloc0(count * sizeof(NullableDatum));
	int missing_count = 0;
	Datum *elements;

	deconstruct_array(DatumGetArrayTypeP(emails), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (!found[i])
			missing[missing_count++].value = elements[i];
	}
	return datum_array(missing, missing_count, TEXTOID);
}

/*
 * Returns the customers of an organization that have these addresses, whatever their case, in the
 * order given; unknown addresses make one each.  Inside SPI_connect() and SPI_finish(), where the
 * result lives.  Raises 09000 where a trigger that somebody added prevents a customer from being
 * made.
 *
 * Locks: the customers' rows, FOR KEY SHARE; then makes those that are missing, which waits for
 * other transactions that are making one with the same address, or locks what they made FOR NO
 * KEY UPDATE.  Both in the order of lower(email).  Calls wait for each other only where they
 * make customers, and one that waits for an address has made none that comes after it.
 */
Customer *
customers_by_email(const pg_uuid_t *organization_id, Datum emails, int count)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(organization_id), false},
		{emails, false},
	};
	Customer *customers = palloc(count * sizeof(Customer));
	bool *found = palloc0(count * sizeof(bool));

	if (read_customers(arguments, customers, found) == count)
		return customers;
	arguments[1] = missing_addresses(emails, count, found);
	kept_plan_execute(&make_customers, arguments);
	arguments[1].value = emails;
	if (read_customers(arguments, customers, found) != count)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a customer with the given address was made and is not there"),
				 errhint("Look for a trigger on seats.customers that changes addresses.")));
	return customers;
}
