/*
 * customer.c
 *		Customers: finding and making those who get seats, their addresses, and erasing them.
 *
 * A seat has the address of its customer.  Whoever assigns a seat locks the customer FOR SHARE
 * until the seat is there, and an UPDATE of the address changes the customer's seats in the same
 * statement.  So each waits for the other, and no seat gets an address that is out of date.  An
 * UPDATE of many customers locks them in any order, so whoever assigns many seats must not wait
 * for one customer while holding the lock on another.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "customer.h"
#include "direct.h"
#include "errors.h"
#include "input.h"
#include "purchase.h"
#include "revoke.h"
#include "statement.h"
#include "subtransaction.h"

PG_FUNCTION_INFO_V1(seats_erase_customer);

#define LOWER_EMAIL LOWER("email")

/* ---- One customer ---- */

#define FIND_CUSTOMER(column, type) \
	{ \
		.sql = "SELECT id, email FROM seats.customers " \
			   "WHERE organization_id = $1 AND " column " = $2 FOR SHARE", \
		.nargs = 2, .argtypes = { \
			UUIDOID, \
			type \
		} \
	}

static Statement find_customer[] = {
	[CUSTOMER_BY_EXTERNAL_ID] = FIND_CUSTOMER("external_id", TEXTOID),
	[CUSTOMER_BY_ID] = FIND_CUSTOMER("id", UUIDOID),
};

static Statement find_customer_by_address = {
	.sql = "SELECT id, email FROM seats.customers "
		   "WHERE organization_id = $1 AND " LOWER_EMAIL " = " LOWER("$2") " FOR SHARE",
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

/* Another transaction may have made it meanwhile. */
static Statement make_customer = {
	.sql = "INSERT INTO seats.customers AS c (organization_id, email) VALUES ($1, $2) "
		   "ON CONFLICT (organization_id, " LOWER_EMAIL ") DO NOTHING RETURNING c.id, c.email",
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

/* Returns the customer in the first row of a statement that finds or makes one. */
static Customer
read_customer(const Rows *rows)
{
	Customer customer = {0};

	customer.id = *DatumGetUUIDP(rows_required(rows, 0, 1));
	customer.email = rows_value(rows, 0, 2);
	return customer;
}

static Statement find_by_id = {
	.sql = "SELECT FROM seats.customers WHERE id = $1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* Tells whether there is a customer with an id.  Locks nothing. */
bool
customer_exists(const pg_uuid_t *id)
{
	static const int column = CUSTOMER_ID;
	NullableDatum key = {UUIDPGetDatum(id), false};
	NullableDatum value;
	DirectResult result = direct_read_newest(&direct_customers, FIRST_KEY, key, &column,
											 &value, 1);
	bool exists = result == DIRECT_FOUND;

	if (result == DIRECT_NOT_POSSIBLE)
	{
		SPI_connect();
		exists = statement_execute(&find_by_id, &key).count > 0;
		SPI_finish();
	}
	return exists;
}

/*
 * Returns the customer of an organization that has an identifier; raises customer_not_found if
 * there is none.  The address lives until SPI_finish().
 *
 * Locks: the customer's row, FOR SHARE.
 */
Customer
customer_by_identifier(const pg_uuid_t *organization_id, CustomerIdentifierKind kind,
					   Datum identifier)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(organization_id), false},
		{identifier, false},
	};
	Rows rows = statement_execute(&find_customer[kind], arguments);

	if (rows.count == 0)
		raise_error(CUSTOMER_NOT_FOUND);
	return read_customer(&rows);
}

/* Raises 09000: a customer that was made is not there, and a trigger of the owner may be why. */
void
customer_refuse_missing(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("customer with the given address is missing after it was inserted"),
			 errhint("Look for a trigger on seats.customers that changes addresses.")));
}

/*
 * Locks an organization without the executor, so that customers can refer to it.
 *
 * Locks: its row, FOR KEY SHARE, as the foreign key does.
 */
static bool
lock_organization(NullableDatum id)
{
	DirectRow organization;

	if (direct_lock(&direct_organizations, FIRST_KEY, &id, LockTupleKeyShare, &organization) !=
		DIRECT_FOUND)
		return false;
	direct_row_close(&organization);
	return true;
}

/*
 * Makes a customer with an address in a locked organization without the executor; returns false,
 * with nothing done, if that needs a statement, also if another customer has the address.
 */
static bool
make_directly(NullableDatum organization_id, NullableDatum email, Customer *customer)
{
	static const bool given[CUSTOMER_COLUMNS] = {
		[CUSTOMER_ORGANIZATION_ID] = true, [CUSTOMER_EMAIL] = true};
	NullableDatum values[CUSTOMER_COLUMNS];

	values[CUSTOMER_ORGANIZATION_ID] = organization_id;
	values[CUSTOMER_EMAIL] = email;
	if (!direct_insert_unless_found(&direct_customers, values, given))
		return false;
	if (values[CUSTOMER_ID].isnull)
		refuse_null_column("id");
	customer->id = *DatumGetUUIDP(values[CUSTOMER_ID].value);
	customer->email = email;
	return true;
}

/*
 * Makes the customer of an organization that has an address, unless another transaction has made it
 * meanwhile; returns whether the customer was made, and nothing of the owner's can have altered it.
 * Raises 09000 if a trigger of the owner prevents it.
 */
static bool
make_one(const NullableDatum *arguments, Customer *customer)
{
	Rows rows;

	if (lock_organization(arguments[0]) && make_directly(arguments[0], arguments[1], customer))
		return true;
	rows = statement_execute(&make_customer, arguments);
	if (owner_has_triggers())
	{
		if (statement_execute(&find_customer_by_address, arguments).count == 0)
			customer_refuse_missing();
		return false;
	}
	if (rows.count > 0)
		*customer = read_customer(&rows);
	return rows.count > 0;
}

/*
 * Returns the customer of an organization that has an address, whatever its case; an unknown
 * address makes a customer.  The address lives until SPI_finish().  Raises 09000 if a trigger of
 * the owner prevents a customer from being made.
 *
 * Locks: the customer's row, FOR SHARE, unless this transaction made it.  Making it waits for other
 * transactions that are making one with the same address, or giving the address to another.
 */
Customer
customer_by_email(const pg_uuid_t *organization_id, NullableDatum email)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(organization_id), false}, email};
	Rows rows = statement_execute(&find_customer_by_address, arguments);
	Customer customer = {0};

	while (rows.count == 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (make_one(arguments, &customer))
			return customer;
		rows = statement_execute(&find_customer_by_address, arguments);
	}
	return read_customer(&rows);
}

/* ---- Customers by addresses ---- */

/* Equal addresses follow each other.  Each is looked up, and then locked. */
#define FIND_CUSTOMERS(lock) \
	{ \
		.sql = "SELECT c.id, c.email, a.position::pg_catalog.int4 " \
			   "FROM (SELECT a.email, a.position " \
			   "FROM pg_catalog.unnest($2) WITH ORDINALITY AS a (email, position) " \
			   "ORDER BY " LOWER_GIVEN ", a.position) AS a " \
			   "CROSS JOIN LATERAL (SELECT c.id, c.email FROM seats.customers AS c " \
			   "WHERE c.organization_id = $1 AND " LOWER_STORED " = " LOWER_GIVEN " " lock \
			   ") AS c", \
		.nargs = 2, .argtypes = { \
			UUIDOID, \
			TEXTARRAYOID \
		} \
	}

static Statement find_customers = FIND_CUSTOMERS("FOR SHARE");
static Statement find_unlocked_customers = FIND_CUSTOMERS("FOR SHARE SKIP LOCKED");
static Statement look_for_customers = FIND_CUSTOMERS("LIMIT 1");

/* The addresses of which customers are made, in this order. */
static Statement sort_addresses = {
	.sql = "SELECT DISTINCT ON (" LOWER_GIVEN ") a.email "
		   "FROM pg_catalog.unnest($2) AS a (email) ORDER BY " LOWER_GIVEN,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTARRAYOID},
};

/* In the same order.  Another transaction may have made some meanwhile. */
static Statement make_customers = {
	.sql = "INSERT INTO seats.customers AS c (organization_id, email) "
		   "SELECT DISTINCT ON (" LOWER_GIVEN ") $1, a.email "
		   "FROM pg_catalog.unnest($2) AS a (email) ORDER BY " LOWER_GIVEN
		   " ON CONFLICT (organization_id, " LOWER_EMAIL ") DO NOTHING",
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTARRAYOID},
};

/* A search for the customers that have some addresses. */
typedef struct Search
{
	const pg_uuid_t *organization_id;
	Datum emails; /* text[] */
	int count;
	Customer *customers; /* in the order of the addresses, as far as they were found */
	bool *found;
	NullableDatum missing; /* text[] of the addresses that were not found, or null */
} Search;

/* Executes a statement about customers of the search's organization that have these addresses. */
static Rows
execute(Statement *statement, const Search *search, Datum emails)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(search->organization_id), false},
		{emails, false},
	};

	return statement_execute(statement, arguments);
}

/* Returns the first element of a text[]. */
static NullableDatum
first_element(Datum array)
{
	Datum *values;
	bool *nulls;
	int count;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values,
					  &nulls, &count);
	return (NullableDatum){values[0], nulls[0]};
}

/* Returns an array of the addresses that were not found. */
static NullableDatum
missing_addresses(const Search *search)
{
	NullableDatum *missing = palloc0(search->count * sizeof(NullableDatum));
	int missing_count = 0;
	int count;
	Datum *elements;

	deconstruct_array(DatumGetArrayTypeP(search->emails), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (!search->found[i])
			missing[missing_count++].value = elements[i];
	}
	return datum_array(missing, missing_count, TEXTOID);
}

/* Finds customers by a statement; sets the addresses that are missing. */
static void
find(Search *search, Statement *statement)
{
	Rows rows = execute(statement, search, search->emails);
	const pg_uuid_t *last = NULL;

	memset(search->found, 0, search->count * sizeof(bool));
	for (uint64 i = 0; i < rows.count; i++)
	{
		int position = DatumGetInt32(rows_value(&rows, i, 3).value) - 1;
		Customer *customer = &search->customers[position];

		customer->id = *DatumGetUUIDP(rows_required(&rows, i, 1));
		customer->email = rows_value(&rows, i, 2);
		customer->argument = "emails";
		customer->repeated = last != NULL && memcmp(&customer->id, last, UUID_LEN) == 0;
		search->found[position] = true;
		last = &customer->id;
	}
	search->missing.isnull = rows.count == (uint64) search->count;
	if (!search->missing.isnull)
		search->missing = missing_addresses(search);
}

/* Makes the missing customers without the executor; returns false if that needs a statement. */
static bool
make_all_directly(const Search *search)
{
	NullableDatum organization_id = {UUIDPGetDatum(search->organization_id), false};
	Rows rows = execute(&sort_addresses, search, search->missing.value);
	Customer customer;

	if (!lock_organization(organization_id))
		return false;
	for (uint64 i = 0; i < rows.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!make_directly(organization_id, rows_value(&rows, i, 1), &customer))
			return false;
	}
	return true;
}

/*
 * Makes the missing customers; raises 09000 if one is not there afterwards and a trigger or rule of
 * the owner may be why.
 */
static void
make(Search *search)
{
	if (!make_all_directly(search))
		(void) execute(&make_customers, search, search->missing.value);
	if (!owner_has_triggers())
		return;
	find(search, &look_for_customers);
	if (!search->missing.isnull)
		customer_refuse_missing();
}

/*
 * Makes the customers that do not exist, then locks all; returns false if one is missing: it is
 * locked, or another transaction has deleted it or changed its address since.
 */
static bool
make_and_lock(void *state)
{
	Search *search = state;

	find(search, &look_for_customers);
	if (!search->missing.isnull)
		make(search);
	find(search, &find_unlocked_customers);
	return search->missing.isnull;
}

/*
 * Waits until the first of the missing customers that exist is no longer locked; returns false, so
 * that the lock is released again.
 */
static bool
wait_for_one(void *state)
{
	Search *search = state;
	Rows rows = execute(&look_for_customers, search, search->missing.value);
	NullableDatum first;

	if (rows.count == 0)
		return false;
	first = rows_value(&rows, 0, 2);
	(void) execute(&find_customers, search, datum_array(&first, 1, TEXTOID).value);
	return false;
}

/*
 * Returns the customers of an organization that have these addresses, whatever their case, in the
 * order given; an unknown address makes a customer.  The result lives until SPI_finish().  Raises
 * 09000 if a trigger of the owner prevents a customer from being made.
 *
 * Locks: it makes the missing customers in the order of lower(email), which waits for other
 * transactions that are making one with the same address, or giving the address to another.  Then
 * it locks all FOR SHARE.  If there are several and one is locked, it undoes that, waits without
 * holding any of them, and begins again.
 */
Customer *
customers_by_email(const pg_uuid_t *organization_id, Datum emails, int count)
{
	Search search = {
		.organization_id = organization_id,
		.emails = emails,
		.count = count,
		.customers = palloc(count * sizeof(Customer)),
		.found = palloc(count * sizeof(bool)),
	};

	if (count == 1)
	{
		*search.customers = customer_by_email(organization_id, first_element(emails));
		search.customers->argument = "emails";
		return search.customers;
	}
	while (!subtransaction_try(make_and_lock, &search, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		(void) subtransaction_try(wait_for_one, &search, NULL);
	}
	return search.customers;
}

/* ---- Addresses of seats ---- */

static Statement set_addresses = {
	.sql = "UPDATE seats.customer_seats AS s SET customer_email = c.email, modified_at = $2 "
		   "FROM seats.customers AS c WHERE c.id = s.customer_id AND s.id = ANY (ARRAY("
		   "SELECT t.id FROM seats.customer_seats AS t WHERE t.customer_id = ANY ($1) "
		   "ORDER BY t.id FOR NO KEY UPDATE))",
	.nargs = 2,
	.argtypes = {UUIDARRAYOID, TIMESTAMPTZOID},
};

/* A seat that has another address than its customer, byte for byte. */
static Statement find_other_address = {
	.sql = "SELECT FROM seats.customer_seats AS s "
		   "JOIN seats.customers AS c ON c.id = s.customer_id "
		   "WHERE s.customer_id = ANY ($1) AND s.customer_email "
		   "IS DISTINCT FROM c.email COLLATE pg_catalog.\"C\" LIMIT 1",
	.nargs = 1,
	.argtypes = {UUIDARRAYOID},
};

/*
 * Gives the pending and claimed seats of some customers, an array of ids, the addresses that the
 * customers have by now.  Between SPI_connect() and SPI_finish(), with the customers locked.
 * Raises 09000 if a trigger of the owner prevents that, and 40001 if a seat is newer than the
 * transaction's snapshot.
 *
 * Locks: the seats, in the order of their ids.
 */
void
customers_update_seats(Datum ids)
{
	NullableDatum arguments[] = {
		{ids, false},
		{TimestampTzGetDatum(GetCurrentTimestamp()), false},
	};

	(void) statement_execute_newest(&set_addresses, arguments);
	if (owner_has_triggers() && statement_execute(&find_other_address, arguments).count > 0)
		refuse_trigger_on("customer_seats");
}

/* ---- erase_customer() ---- */

/* Locks the customer against everything, new references to it too. */
static Statement lock_customer = {
	.sql = "SELECT FROM seats.customers WHERE id = $1 FOR UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* The purchases of the customer's seats, in the order in which they are locked. */
static Statement find_purchases = {
	.sql = "SELECT DISTINCT s.subscription_id, s.order_id FROM seats.customer_seats AS s "
		   "WHERE s.customer_id = $1 ORDER BY s.subscription_id, s.order_id",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static Statement find_seat = {
	.sql = "SELECT FROM seats.customer_seats WHERE customer_id = $1 LIMIT 1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static Statement find_paid_for = {
	.sql = "SELECT FROM (SELECT FROM seats.subscriptions AS b WHERE b.customer_id = $1 "
		   "UNION ALL SELECT FROM seats.orders AS o WHERE o.customer_id = $1) AS p LIMIT 1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static Statement delete_customer = {
	.sql = "DELETE FROM seats.customers WHERE id = $1 RETURNING true",
	.nargs = 1,
	.argtypes = {UUIDOID},
	.table = "customers",
};

static Statement clear_customer = {
	.sql = "UPDATE seats.customers AS c SET email = NULL, external_id = NULL, name = NULL "
		   "WHERE c.id = $1 RETURNING c.id = $1 AND c.email IS NULL AND c.external_id IS NULL "
		   "AND c.name IS NULL",
	.nargs = 1,
	.argtypes = {UUIDOID},
	.table = "customers",
};

/* Whether the customer is gone, or has none of its data, after all triggers. */
static Statement find_uncleared = {
	.sql = "SELECT FROM seats.customers AS c WHERE c.id = $1 AND (NOT $2 "
		   "OR c.email IS NOT NULL OR c.external_id IS NOT NULL OR c.name IS NOT NULL)",
	.nargs = 2,
	.argtypes = {UUIDOID, BOOLOID},
};

/*
 * Events are found by reading all of them, in batches by number: an index by customer would cost
 * every claim more than this costs the few erasures.
 */
#define MAX_EVENTS "10000"

static Statement find_events = {
	.sql = "SELECT pg_catalog.max(d.id), pg_catalog.array_agg(d.id ORDER BY d.id) "
		   "FILTER (WHERE d.customer_id = $1) "
		   "FROM (SELECT e.id, e.customer_id FROM seats.events AS e WHERE e.id > $2 "
		   "ORDER BY e.id LIMIT " MAX_EVENTS ") AS d",
	.nargs = 2,
	.argtypes = {UUIDOID, INT8OID},
};

/* An event that has data of a person. */
#define HAS_DATA \
	"(e.metadata ?| '{address,user_agent}' OR (e.seat).customer_email IS NOT NULL " \
	"OR (e.seat).seat_metadata IS NOT NULL)"

static Statement clear_events = {
	.sql = "UPDATE seats.events AS e "
		   "SET metadata = e.metadata - '{address,user_agent}'::pg_catalog.text[], "
		   "seat = CASE WHEN e.seat IS NOT DISTINCT FROM NULL THEN NULL ELSE "
		   "ROW((e.seat).created_at, (e.seat).modified_at, (e.seat).id, "
		   "(e.seat).subscription_id, (e.seat).order_id, (e.seat).status, "
		   "(e.seat).customer_id, NULL, (e.seat).invitation_token_expires_at, "
		   "(e.seat).claimed_at, (e.seat).revoked_at, NULL)::seats.customer_seat END "
		   "WHERE e.id = ANY ($1) AND " HAS_DATA,
	.nargs = 1,
	.argtypes = {INT8ARRAYOID},
};

static Statement find_uncleared_event = {
	.sql = "SELECT FROM seats.events AS e WHERE e.id = ANY ($1) AND " HAS_DATA " LIMIT 1",
	.nargs = 1,
	.argtypes = {INT8ARRAYOID},
};

/* An erasure of a customer. */
typedef struct Erasure
{
	const pg_uuid_t *customer_id;
	bool found;
} Erasure;

/* Tells whether a statement about a customer returns a row that is committed by now. */
static bool
returns_row(Statement *statement, const pg_uuid_t *customer_id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(customer_id), false}};

	return statement_execute_newest(statement, arguments).count > 0;
}

/* Returns the purchases of a customer's seats. */
static Rows
purchases_of(const pg_uuid_t *customer_id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(customer_id), false}};

	return statement_execute(&find_purchases, arguments);
}

/* Returns the purchase in a row of find_purchases. */
static PurchaseId
read_purchase(const Rows *rows, uint64 row)
{
	PurchaseId purchase;

	(void) purchase_of_seat(rows_value(rows, row, 1), rows_value(rows, row, 2), &purchase);
	return purchase;
}

/* Tells whether all purchases in some rows are also in others; both are in the same order. */
static bool
are_among(const Rows *rows, const Rows *others)
{
	uint64 other = 0;

	for (uint64 i = 0; i < rows->count; i++)
	{
		PurchaseId purchase = read_purchase(rows, i);
		PurchaseId next;

		do
		{
			if (other == others->count)
				return false;
			next = read_purchase(others, other++);
		} while (purchase_compare(&next, &purchase) != 0);
	}
	return true;
}

/*
 * Locks the purchases of the customer's seats, then the customer; returns false if the customer has
 * got a seat of another purchase meanwhile.
 */
static bool
lock_for_erasure(void *state)
{
	Erasure *erasure = state;
	NullableDatum arguments[] = {{UUIDPGetDatum(erasure->customer_id), false}};
	Rows locked = purchases_of(erasure->customer_id);
	Rows now;

	for (uint64 i = 0; i < locked.count; i++)
	{
		Purchase purchase;

		CHECK_FOR_INTERRUPTS();
		(void) purchase_lock(read_purchase(&locked, i), &purchase);
	}
	erasure->found = statement_execute(&lock_customer, arguments).count > 0;
	now = purchases_of(erasure->customer_id);
	return are_among(&now, &locked);
}

/* Raises the error for a seat that the customer still has: 40001 or 09000. */
static void
refuse_seat_left(void)
{
	if (IsolationUsesXactSnapshot())
		raise_serialization_failure();
	refuse_trigger_on("customer_seats");
}

/*
 * Deletes a customer, or clears its data if it must be kept.  Raises 09000 if a trigger of the
 * owner prevents it.
 */
static void
erase_row(const pg_uuid_t *customer_id)
{
	bool kept = returns_row(&find_paid_for, customer_id);
	NullableDatum arguments[] = {
		{UUIDPGetDatum(customer_id), false},
		{BoolGetDatum(kept), false},
	};

	(void) statement_change(kept ? &clear_customer : &delete_customer, arguments, 1);
	if (owner_has_triggers() && statement_execute(&find_uncleared, arguments).count > 0)
		refuse_trigger_on("customers");
}

/* Clears some events, an array of ids; raises 09000 if a trigger of the owner prevents that. */
static void
clear_batch(NullableDatum ids)
{
	if (ids.isnull)
		return;
	(void) statement_execute_newest(&clear_events, &ids);
	if (owner_has_triggers() && statement_execute(&find_uncleared_event, &ids).count > 0)
		refuse_trigger_on("events");
}

/*
 * Clears the data of a person from the customer's events.
 *
 * Locks: those events, in the order of their ids.
 */
static void
erase_events(const pg_uuid_t *customer_id)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(customer_id), false},
		{Int64GetDatum(PG_INT64_MIN), false},
	};
	Rows rows;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		rows = statement_execute_newest(&find_events, arguments);
		arguments[1] = rows_value(&rows, 0, 1);
		if (arguments[1].isnull)
			break;
		clear_batch(rows_value(&rows, 0, 2));
		rows_free(&rows);
	}
}

/*
 * erase_customer(customer_id uuid): revokes the seats of a customer and removes the person's data
 * from all tables; returns how many seats were revoked.  The customer's row is deleted, or kept
 * without the data if a subscription or order refers to it.  It works also if the organization may
 * no longer use seats.  Raises PT404 and PT422, 25006 in a read-only transaction, 09000 if a
 * trigger of the owner prevents it, and 23503 if a table of the owner refers to the customer.
 *
 * Locks: the subscriptions and orders of the customer's seats, in the order of their ids, then the
 * customer FOR UPDATE, then the seats in the order of their ids, their sessions, and the customer's
 * events.
 */
Datum
seats_erase_customer(PG_FUNCTION_ARGS)
{
	Erasure erasure = {0};
	int count;

	PreventCommandIfReadOnly("erase_customer()");
	erasure.customer_id = id_argument(fcinfo, 0, "customer_id");

	SPI_connect();
	while (!subtransaction_try(lock_for_erasure, &erasure, NULL))
		CHECK_FOR_INTERRUPTS();
	if (!erasure.found)
		raise_error(CUSTOMER_NOT_FOUND);
	count = revoke_seats_of_customer(erasure.customer_id, REASON_ERASED);
	if (returns_row(&find_seat, erasure.customer_id))
		refuse_seat_left();
	erase_row(erasure.customer_id);
	erase_events(erasure.customer_id);
	SPI_finish();
	PG_RETURN_INT32(count);
}
