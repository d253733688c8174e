/*
 * customer.c
 *		Finding the customer whom a seat is for, and making one for an unknown e-mail address.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"

#include "customer.h"
#include "errors.h"
#include "kept_plan.h"
#include "row.h"

/* KEY SHARE keeps the customer from being deleted until the seat refers to it. */
#define FIND_CUSTOMER(condition) \
	"SELECT id, email FROM seats.customers " \
	"WHERE organization_id" EQ "$1 AND " condition " FOR KEY SHARE"

static KeptPlan find_customer[CUSTOMER_IDENTIFIER_KINDS] = {
	[CUSTOMER_BY_EMAIL] = {.sql = FIND_CUSTOMER("pg_catalog.lower(email)" EQ
												"pg_catalog.lower($2)"),
						   .nargs = 2,
						   .argtypes = {UUIDOID, TEXTOID}},
	[CUSTOMER_BY_EXTERNAL_ID] = {.sql = FIND_CUSTOMER("external_id" EQ "$2"),
								 .nargs = 2,
								 .argtypes = {UUIDOID, TEXTOID}},
	[CUSTOMER_BY_ID] = {.sql = FIND_CUSTOMER("id" EQ "$2"),
						.nargs = 2,
						.argtypes = {UUIDOID, UUIDOID}},
};

/* Somebody else may have made the customer meanwhile, and then it gives no row. */
static KeptPlan insert_customer = {
	.sql =
		"INSERT INTO seats.customers (organization_id, email) VALUES ($1, $2) "
		"ON CONFLICT (organization_id, pg_catalog.lower(email)) DO NOTHING RETURNING id, email",
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

/*
 * Returns the customer of an organization that a caller names; an unknown e-mail address makes
 * one, any other raises customer_not_found.  Inside SPI_connect() and SPI_finish().
 *
 * Locks: the customer's row, FOR KEY SHARE; waits for another transaction that is making a
 * customer with the same address.
 */
Customer
customer_find(const pg_uuid_t *organization_id, CustomerIdentifier identifier)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(organization_id), false},
		{identifier.value, false},
	};
	Customer customer;

	while (kept_plan_execute(&find_customer[identifier.kind], arguments) == 0)
	{
		if (identifier.kind != CUSTOMER_BY_EMAIL)
			raise_error(CUSTOMER_NOT_FOUND);
		if (kept_plan_execute(&insert_customer, arguments) > 0)
			break;
		CHECK_FOR_INTERRUPTS();
	}
	customer.id = *DatumGetUUIDP(row_value(1).value);
	customer.email = row_value(2);
	return customer;
}
