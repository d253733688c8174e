/*
 * customer.c
 *		Finding the customers whom seats are for, and making those of unknown e-mail addresses.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"

#include "customer.h"
#include "errors.h"
#include "kept_plan.h"
#include "row.h"

/*
 * How often customers are made who are not there afterwards, since somebody deletes them or a
 * trigger prevents it, before we give up.
 */
#define MAX_TRIES 5

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

/* Looked up for each address, whatever the planner thinks of it. */
#define CUSTOMER_OF_ADDRESS \
	"FROM seats.customers AS c " \
	"WHERE c.organization_id" EQ "$1 AND pg_catalog.lower(c.email)" EQ \
	"pg_catalog.lower(a.email) OFFSET 0"

/*
 * The order is that in which two calls wait for each other's new customers, whichever addresses
 * they have in common.  Somebody else may make one meanwhile, and then it stays theirs.
 */
static KeptPlan make_customers = {
	.sql = "INSERT INTO seats.customers (organization_id, email) "
		   "SELECT $1, a.email FROM pg_catalog.unnest($2) AS a (email) "
		   "WHERE NOT EXISTS (SELECT " CUSTOMER_OF_ADDRESS ") "
		   "ORDER BY pg_catalog.lower(a.email) "
		   "ON CONFLICT (organization_id, pg_catalog.lower(email)) DO NOTHING",
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTARRAYOID},
};

/* Addresses that are the same come one after the other. */
static KeptPlan find_customers = {
	.sql = "SELECT c.id, c.email, a.position::pg_catalog.int4 "
		   "FROM (SELECT u.email, u.position "
		   "FROM pg_catalog.unnest($2) WITH ORDINALITY AS u (email, position) "
		   "ORDER BY pg_catalog.lower(u.email), u.position) AS a "
		   "CROSS JOIN LATERAL (SELECT c.id, c.email " CUSTOMER_OF_ADDRESS
		   " FOR KEY SHARE) AS c",
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
	Customer customer;

	if (kept_plan_execute(&find_customer[kind], arguments) == 0)
		raise_error(CUSTOMER_NOT_FOUND);
	customer.id = *DatumGetUUIDP(row_value(1).value);
	customer.email = row_value(2);
	return customer;
}

/*
 * Reads what find_customers gave; returns the customers in the order of their addresses.
 * Sets "repeated" to the first position whose customer has an earlier one too, or to -1.
 */
static Customer *
read_customers(int count, int *repeated)
{
	Customer *customers = palloc(count * sizeof(Customer));
	pg_uuid_t last = {0};

	*repeated = -1;
	for (int i = 0; i < count; i++)
	{
		int position = DatumGetInt32(rows_value(i, 3).value) - 1;
		Customer *customer = &customers[position];

		customer->id = *DatumGetUUIDP(rows_value(i, 1).value);
		customer->email = rows_value(i, 2);
		if (i > 0 && memcmp(&customer->id, &last, sizeof(last)) == 0 &&
			(*repeated < 0 || position < *repeated))
			*repeated = position;
		last = customer->id;
	}
	return customers;
}

/*
 * Returns the customers of an organization that have these addresses, whatever their case, in the
 * order given; unknown addresses make one each.  Sets "repeated" to the position of the first
 * address that stands there for the second time, or to -1.  Inside SPI_connect() and
 * SPI_finish(), where the result lives.  Raises 09000 where a trigger that somebody added
 * prevents a customer from being made.
 *
 * Locks: the customers' rows, FOR KEY SHARE; waits for other transactions that are making
 * customers with the same addresses.  Both in the order of lower(email).
 */
Customer *
customers_by_email(const pg_uuid_t *organization_id, Datum emails, int count, int *repeated)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(organization_id), false},
		{emails, false},
	};

	for (int i = 0; i < MAX_TRIES; i++)
	{
		CHECK_FOR_INTERRUPTS();
		kept_plan_execute(&make_customers, arguments);
		if (kept_plan_execute(&find_customers, arguments) == (uint64) count)
			return read_customers(count, repeated);
	}
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a customer with the given address was made and is not there"),
			 errhint("Look for a trigger on seats.customers that changes addresses.")));
}
