/*
 * import.c
 *		Giving claimed seats to those who were members before.
 *
 * A member has an e-mail address, an external id, or both.  Whoever has the external id is the
 * customer; otherwise whoever has the address, who is given the external id; otherwise a new one.
 *
 * Two calls may name the same customers in different ways, so no order would keep them from waiting
 * for each other.  They take turns: each takes a lock for its organization.  Other sessions may
 * update customers in any order meanwhile.  So a call works in a subtransaction.  It makes new
 * customers first, since that may wait for others; only then it locks those that exist, without
 * waiting for any.  If one is locked, the subtransaction is rolled back, and the call waits for
 * that one alone.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "allocate.h"
#include "catalog.h"
#include "compat.h"
#include "customer.h"
#include "errors.h"
#include "input.h"
#include "statement.h"
#include "subtransaction.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_import_seats);

/* The arguments of import_seats() after those that name the purchase, in its order. */
enum
{
	EMAILS_ARGUMENT = 2,
	EXTERNAL_IDS_ARGUMENT,
	CLAIMED_AT_ARGUMENT
};

#define EMAILS "emails"
#define EXTERNAL_IDS "external_customer_ids"
#define CLAIMED_AT "claimed_at"

/* The members that the arguments name.  An array is NULL if it was not given. */
typedef struct Members
{
	int count;
	NullableDatum *emails;
	NullableDatum *external_ids;
	NullableDatum *claimed_at;
} Members;

/* Who the customer of a member is. */
typedef enum Finding
{
	NOBODY,	 /* one has to be made */
	TO_TAKE, /* the one with the address, who has no external id yet */
	WAITS,	 /* nobody yet: another member's customer is to take the external id */
	FOUND
} Finding;

/* The search for the customers of some members. */
typedef struct Search
{
	const pg_uuid_t *organization_id;
	const Members *members;
	NullableDatum emails;		/* text[] of all */
	NullableDatum external_ids; /* text[] of all */
	Customer *customers;		/* in the order of the members, unless there is nobody */
	Finding *findings;
	NullableDatum busy; /* id of a customer who is locked by another transaction, or null */
	bool taking;		/* customers are being given external ids */
	int failures;		/* attempts that failed although nothing was locked */
} Search;

/* ---- Arguments ---- */

/* Returns an element of an array, or null if the array was not given. */
static NullableDatum
element(const NullableDatum *array, int position)
{
	static const NullableDatum null = {.isnull = true};

	return array == NULL ? null : array[position];
}

/* Returns the name of the argument that tells best which member is at a position. */
static const char *
naming_argument(const Members *members, int position)
{
	return members->emails == NULL ||
			(members->emails[position].isnull && members->external_ids != NULL)
		? EXTERNAL_IDS
		: EMAILS;
}

/* Adds the faults of the member at a position. */
static void
check_member(const Members *members, int position, TimestampTz now, Faults *faults)
{
	NullableDatum email = element(members->emails, position);
	NullableDatum external_id = element(members->external_ids, position);
	NullableDatum claimed_at = element(members->claimed_at, position);

	if (email.isnull && external_id.isnull)
		fault_add_at(faults, naming_argument(members, position), position,
					 "Input should be a valid string", "string_type");
	if (!email.isnull)
		check_email_at(faults, DatumGetTextPP(email.value), EMAILS, position);
	if (!external_id.isnull && VARSIZE_ANY_EXHDR(DatumGetTextPP(external_id.value)) == 0)
		fault_add_at(faults, EXTERNAL_IDS, position, "String should have at least 1 character",
					 "string_too_short");
	if (!claimed_at.isnull &&
		(TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(claimed_at.value)) ||
		 DatumGetTimestampTz(claimed_at.value) > now))
		fault_add_at(faults, CLAIMED_AT, position, "Input should be in the past",
					 "datetime_past");
}

/* Tells whether an array has as many elements as there are members; adds a fault if not. */
static bool
check_elements(const NullableDatum *array, int elements, const char *name, int count,
			   Faults *faults)
{
	if (array == NULL || elements == count)
		return true;
	fault_add(faults, name, "Value error, all lists should have the same length",
			  "value_error");
	return false;
}

/* Returns the members that the arguments name; adds a fault for each that is malformed. */
static Members
members_arguments(FunctionCallInfo fcinfo, Faults *faults)
{
	int emails = 0;
	int external_ids = 0;
	int claims = 0;
	TimestampTz now = GetCurrentTimestamp();
	Members members = {
		.emails = array_elements(fcinfo->args[EMAILS_ARGUMENT], EMAILS, TEXTOID, &emails,
								 faults),
		.external_ids = array_elements(fcinfo->args[EXTERNAL_IDS_ARGUMENT], EXTERNAL_IDS,
									   TEXTOID, &external_ids, faults),
		.claimed_at = array_elements(fcinfo->args[CLAIMED_AT_ARGUMENT], CLAIMED_AT,
									 TIMESTAMPTZOID, &claims, faults),
	};

	members.count = members.emails != NULL ? emails : external_ids;
	if (PG_ARGISNULL(EMAILS_ARGUMENT) && PG_ARGISNULL(EXTERNAL_IDS_ARGUMENT))
		fault_add(faults, EMAILS, "Value error, emails or external_customer_ids is required",
				  "value_error");
	if (!check_elements(members.external_ids, external_ids, EXTERNAL_IDS, members.count,
						faults) ||
		!check_elements(members.claimed_at, claims, CLAIMED_AT, members.count, faults))
		return members;
	for (int i = 0; i < members.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_member(&members, i, now, faults);
	}
	return members;
}

/* ---- Finding customers ---- */

/* The customer with the external id, and if there is none, the one with the address. */
static Statement find_members = {
	.sql =
		"SELECT a.position::pg_catalog.int4, x.id, x.email, e.id, e.email, e.external_id "
		"FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY "
		"AS a (email, external_id, position) "
		"LEFT JOIN LATERAL (SELECT c.id, c.email FROM seats.customers AS c "
		"WHERE c.organization_id = $1 AND c.external_id = a.external_id LIMIT 1) AS x ON true "
		"LEFT JOIN LATERAL (SELECT c.id, c.email, c.external_id FROM seats.customers AS c "
		"WHERE x.id IS NULL AND c.organization_id = $1 "
		"AND " LOWER_STORED " = " LOWER_GIVEN " LIMIT 1) AS e ON true",
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTARRAYOID, TEXTARRAYOID},
};

/* Customers ($1) get external ids ($3), unless they no longer have the addresses ($2). */
static Statement take_customers = {
	.sql = "UPDATE seats.customers AS c SET external_id = a.external_id "
		   "FROM (SELECT DISTINCT ON (a.external_id) a.id, a.external_id "
		   "FROM (SELECT DISTINCT ON (t.id) t.* FROM ROWS FROM (pg_catalog.unnest($1), "
		   "pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY "
		   "AS t (id, email, external_id, position) ORDER BY t.id, t.position) AS a "
		   "CROSS JOIN LATERAL (SELECT FROM seats.customers AS c WHERE c.id = a.id "
		   "AND c.external_id IS NULL AND " LOWER_STORED " = " LOWER_GIVEN " "
		   "FOR UPDATE SKIP LOCKED) AS l ORDER BY a.external_id, a.position) AS a "
		   "WHERE c.id = a.id RETURNING c.external_id IS NOT DISTINCT FROM a.external_id",
	.nargs = 3,
	.argtypes = {UUIDARRAYOID, TEXTARRAYOID, TEXTARRAYOID},
	.table = "customers",
};

/* Another transaction may have made some meanwhile, and members may be repeated. */
static Statement make_customers = {
	.sql = "INSERT INTO seats.customers AS c (organization_id, email, external_id) "
		   "SELECT $1, a.email, a.external_id "
		   "FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY "
		   "AS a (email, external_id, position) ORDER BY " LOWER_GIVEN ", "
		   "CASE WHEN a.email IS NULL THEN a.external_id END, a.position "
		   "ON CONFLICT DO NOTHING",
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTARRAYOID, TEXTARRAYOID},
};

/* The customers in $1 that still have the external ids, or else the addresses, of the members. */
static Statement lock_customers = {
	.sql = "SELECT a.position::pg_catalog.int4, c.email "
		   "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
		   "pg_catalog.unnest($3)) WITH ORDINALITY AS a (id, email, external_id, position) "
		   "CROSS JOIN LATERAL (SELECT c.email FROM seats.customers AS c WHERE c.id = a.id "
		   "AND CASE WHEN a.external_id IS NULL THEN " LOWER_STORED " = " LOWER_GIVEN " "
		   "ELSE c.external_id = a.external_id END FOR SHARE SKIP LOCKED) AS c",
	.nargs = 3,
	.argtypes = {UUIDARRAYOID, TEXTARRAYOID, TEXTARRAYOID},
};

/* One customer.  If there is a conflict after all, the error says of what. */
static Statement make_customer = {
	.sql = "INSERT INTO seats.customers AS c (organization_id, email, external_id) "
		   "VALUES ($1, $2, $3) RETURNING c.organization_id = $1 "
		   "AND c.email IS NOT DISTINCT FROM $2 AND c.external_id IS NOT DISTINCT FROM $3",
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
	.table = "customers",
};

static Statement find_unlocked = {
	.sql = "SELECT FROM seats.customers WHERE id = $1 FOR UPDATE SKIP LOCKED",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static Statement wait_for_customer = {
	.sql = "SELECT FROM seats.customers WHERE id = $1 FOR UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/*
 * Finds the customers of the members; returns how many were not found.  Raises PT422 if the
 * customer with a member's address has another external id than the member.
 */
static int
find(Search *search)
{
	NullableDatum arguments[] = {
		{UUIDPGetDatum(search->organization_id), false}, search->emails, search->external_ids};
	Rows rows = statement_execute(&find_members, arguments);
	int missing = 0;
	Faults faults;

	faults_start(&faults);
	for (uint64 i = 0; i < rows.count; i++)
	{
		int position = DatumGetInt32(rows_required(&rows, i, 1)) - 1;
		bool by_id = !rows_value(&rows, i, 2).isnull;
		NullableDatum id = rows_value(&rows, i, by_id ? 2 : 4);
		bool named = !element(search->members->external_ids, position).isnull;
		Customer *customer = &search->customers[position];
		Finding *finding = &search->findings[position];

		*finding = id.isnull ? NOBODY : by_id || !named ? FOUND : TO_TAKE;
		missing += *finding == FOUND ? 0 : 1;
		if (*finding == NOBODY)
			continue;
		customer->id = *DatumGetUUIDP(id.value);
		customer->email = rows_value(&rows, i, by_id ? 3 : 5);
		if (*finding == TO_TAKE && !rows_value(&rows, i, 6).isnull)
			fault_add_at(&faults, EXTERNAL_IDS, position,
						 "Value error, the customer with this address has another external id",
						 "value_error");
	}
	faults_raise(&faults);
	return missing;
}

/* Orders external ids by their bytes, which is enough to find one again. */
static int
compare_external_ids(const void *a, const void *b)
{
	const text *left = *(const text *const *) a;
	const text *right = *(const text *const *) b;
	int left_size = (int) VARSIZE_ANY_EXHDR(left);
	int right_size = (int) VARSIZE_ANY_EXHDR(right);
	int order = memcmp(VARDATA_ANY(left), VARDATA_ANY(right), Min(left_size, right_size));

	return order != 0 ? order : left_size - right_size;
}

/*
 * Marks the members who have nobody, but whose external id is to be taken by the customer of
 * another member: nobody must be made for them, since they name that customer.
 */
static void
mark_waiting(const Search *search)
{
	const NullableDatum *external_ids = search->members->external_ids;
	int count = search->members->count;
	const text **taken;
	int taken_count = 0;

	if (external_ids == NULL)
		return;
	taken = palloc(count * sizeof(text *));
	for (int i = 0; i < count; i++)
	{
		if (search->findings[i] == TO_TAKE)
			taken[taken_count++] = DatumGetTextPP(external_ids[i].value);
	}
	qsort(taken, taken_count, sizeof(text *), compare_external_ids);
	for (int i = 0; i < count; i++)
	{
		const text *external_id;

		if (search->findings[i] != NOBODY || external_ids[i].isnull)
			continue;
		external_id = DatumGetTextPP(external_ids[i].value);
		if (bsearch(&external_id, taken, taken_count, sizeof(text *), compare_external_ids) !=
			NULL)
			search->findings[i] = WAITS;
	}
	pfree(taken);
}

/* Some of the members, as arguments of statements. */
typedef struct Selection
{
	int count;
	NullableDatum ids;
	NullableDatum emails;
	NullableDatum external_ids;
} Selection;

/* Returns the members of whom the search has found this. */
static Selection
select_members(const Search *search, Finding finding)
{
	const Members *members = search->members;
	NullableDatum *ids = palloc(members->count * sizeof(NullableDatum));
	NullableDatum *emails = palloc(members->count * sizeof(NullableDatum));
	NullableDatum *external_ids = palloc(members->count * sizeof(NullableDatum));
	int count = 0;

	for (int i = 0; i < members->count; i++)
	{
		if (search->findings[i] != finding)
			continue;
		ids[count] = (NullableDatum){UUIDPGetDatum(&search->customers[i].id), false};
		emails[count] = element(members->emails, i);
		external_ids[count] = element(members->external_ids, i);
		count++;
	}
	return (Selection){count, datum_array(ids, count, UUIDOID),
					   datum_array(emails, count, TEXTOID),
					   datum_array(external_ids, count, TEXTOID)};
}

/* ---- Taking and making customers ---- */

/*
 * Gives the external ids of the members to the customers with their addresses, as far as they are
 * not locked.  Raises 09000 if a trigger of the owner prevents that, and 23505 if another
 * transaction has given one of the external ids to a customer.
 *
 * It has no subtransaction of its own: once that has ended, whoever waits for one of these
 * customers waits for the whole transaction, even if the attempt is rolled back.
 */
static void
take(Search *search)
{
	Selection taken = select_members(search, TO_TAKE);
	NullableDatum arguments[] = {taken.ids, taken.emails, taken.external_ids};
	Rows rows;

	if (taken.count == 0)
		return;
	search->taking = true;
	rows = statement_execute(&take_customers, arguments);
	search->taking = false;
	for (uint64 i = 0; i < rows.count; i++)
	{
		if (!DatumGetBool(rows_required(&rows, i, 1)))
			refuse_altered_row("customers");
	}
}

/* Tells whether an error says that another customer has one of the external ids already. */
static bool
is_given(const ErrorData *error, const void *state)
{
	const Search *search = state;

	return search->taking && error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION &&
		error->constraint_name != NULL &&
		strcmp(error->constraint_name, "customers_external_id_key") == 0;
}

/* Makes the customers of the members of whom there is nobody. */
static void
make(const Search *search)
{
	Selection missing = select_members(search, NOBODY);
	NullableDatum arguments[] = {
		{UUIDPGetDatum(search->organization_id), false}, missing.emails, missing.external_ids};

	if (missing.count > 0)
		(void) statement_execute(&make_customers, arguments);
}

/*
 * Makes the customer of one member; raises 23505 if another customer is in the way whom the search
 * does not find, and 09000 if a trigger or rule of the owner prevents it.
 */
static void
make_one(const Search *search, int position)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(search->organization_id), false},
								 element(search->members->emails, position),
								 element(search->members->external_ids, position)};

	(void) statement_change(&make_customer, arguments, 1);
}

/* ---- Locking customers ---- */

/*
 * How often an attempt may fail although no customer is locked.  Other sessions may change
 * customers at any moment, but hardly as often as this.
 */
#define MAX_FAILURES 100

/* Counts a failure that no lock explains; raises 09000 if there are too many. */
static void
count_failure(Search *search)
{
	if (++search->failures > MAX_FAILURES)
		customer_refuse_missing();
}

/* Tells whether the customer at a position is locked; if so, remembers it. */
static bool
check_busy(Search *search, int position)
{
	NullableDatum id = {UUIDPGetDatum(&search->customers[position].id), false};

	if (statement_execute(&find_unlocked, &id).count > 0)
		return false;
	search->busy = id;
	return true;
}

/* Returns the position of the first member of whom the search has found this, or -1. */
static int
first_member(const Search *search, Finding finding)
{
	for (int i = 0; i < search->members->count; i++)
	{
		if (search->findings[i] == finding)
			return i;
	}
	return -1;
}

/*
 * Makes customers of the members of whom there is nobody, or one of them if earlier passes made
 * none; returns false if customers were taken already, since this may wait for another transaction.
 * Raises 09000 if it fails too often, and the errors of make_one().
 */
static bool
make_missing(Search *search, int first, bool taken, bool stuck)
{
	if (taken)
		return false;
	if (!stuck)
	{
		make(search);
		return true;
	}
	count_failure(search);
	make_one(search, first);
	return true;
}

/*
 * Takes the customers with the addresses of the members; returns false if earlier passes took none
 * because one is locked.  Raises 09000 if it fails too often, and the errors of take().
 */
static bool
take_missing(Search *search, bool stuck)
{
	if (stuck)
	{
		for (int i = 0; i < search->members->count; i++)
		{
			if (search->findings[i] == TO_TAKE && check_busy(search, i))
				return false;
		}
		count_failure(search);
	}
	take(search);
	return true;
}

/* Locks the customers that were found; returns false if one is locked or has changed since. */
static bool
lock_found(Search *search)
{
	Selection found = select_members(search, FOUND);
	NullableDatum arguments[] = {found.ids, found.emails, found.external_ids};
	Rows rows = statement_execute(&lock_customers, arguments);
	bool *locked = palloc0(found.count * sizeof(bool));

	for (uint64 i = 0; i < rows.count; i++)
	{
		int position = DatumGetInt32(rows_required(&rows, i, 1)) - 1;

		locked[position] = true;
		search->customers[position].email = rows_value(&rows, i, 2);
	}
	for (int i = 0; i < found.count; i++)
	{
		if (locked[i])
			continue;
		(void) check_busy(search, i);
		return false;
	}
	return true;
}

/*
 * Finds the customers of the members, makes those that do not exist, and locks all; returns false
 * if one is locked or has changed since.  Members that name one customer in two ways need more than
 * one pass: the second is found once the first has made the customer.
 */
static bool
find_and_lock(void *state)
{
	Search *search = state;
	int missing;
	int before = INT_MAX;
	int idle = 0; /* passes in a row after which no more were found */
	bool taken = false;

	search->busy.isnull = true;
	search->taking = false;
	while ((missing = find(search)) > 0)
	{
		int nobody;
		bool done;

		CHECK_FOR_INTERRUPTS();
		mark_waiting(search);
		nobody = first_member(search, NOBODY);
		idle = missing < before ? 0 : idle + 1;
		before = missing;
		if (nobody >= 0)
			done = make_missing(search, nobody, taken, idle > 1);
		else
		{
			done = take_missing(search, idle > 1);
			taken = true;
		}
		if (!done)
			return false;
	}
	return lock_found(search);
}

/*
 * Waits until the busy customer is no longer locked; returns false, so that the lock is released.
 */
static bool
wait_for_busy(void *state)
{
	Search *search = state;

	if (statement_execute(&wait_for_customer, &search->busy).count == 0)
		count_failure(search);
	return false;
}

/* Orders pointers to customers by their ids, and those of one customer as they are in memory. */
static int
compare_customers(const void *a, const void *b)
{
	const Customer *left = *(Customer *const *) a;
	const Customer *right = *(Customer *const *) b;
	int order = memcmp(&left->id, &right->id, UUID_LEN);

	return order != 0 ? order : (left > right) - (left < right);
}

/* Marks the customers that are the same as an earlier one. */
static void
mark_repeated(Customer *customers, int count)
{
	Customer **sorted = palloc(count * sizeof(Customer *));

	for (int i = 0; i < count; i++)
		sorted[i] = &customers[i];
	qsort(sorted, count, sizeof(Customer *), compare_customers);
	for (int i = 1; i < count; i++)
		sorted[i]->repeated = memcmp(&sorted[i]->id, &sorted[i - 1]->id, UUID_LEN) == 0;
}

/* Returns an array of type text[]: one that was given, or one of nulls. */
static NullableDatum
text_array(const NullableDatum *array, int count)
{
	NullableDatum *elements = palloc(count * sizeof(NullableDatum));

	for (int i = 0; i < count; i++)
		elements[i] = element(array, i);
	return datum_array(elements, count, TEXTOID);
}

/*
 * Returns the customers of some members of an organization, made if need be.  They live until
 * SPI_finish().  Raises PT422 if a customer with a member's address has another external id, and
 * 09000 if a trigger of the owner prevents a change of customers.
 *
 * Raises 23505 if another customer is in the way whom the search does not find.
 *
 * Locks: a lock of the organization, which only other imports take; new customers, in the order of
 * lower(email), which waits for transactions that are giving one the same address or external id;
 * then the customers FOR SHARE, those that get an external id FOR UPDATE.  Giving one waits for
 * transactions that are giving the same.  If a customer is locked, it undoes all that, waits
 * without holding any customer, and begins again; also if another transaction has given an external
 * id, which raises 40001 if this one cannot see it.
 */
static Customer *
customers_of(const Members *members, const pg_uuid_t *organization_id)
{
	int count = members->count;
	Search search = {
		.organization_id = organization_id,
		.members = members,
		.emails = text_array(members->emails, count),
		.external_ids = text_array(members->external_ids, count),
		.customers = palloc0(count * sizeof(Customer)),
		.findings = palloc(count * sizeof(Finding)),
	};

	(void) DirectFunctionCall2(pg_advisory_xact_lock_int4,
							   ObjectIdGetDatum(seats_table_id("customers")),
							   UInt32GetDatum(organization_route(organization_id)));
	while (!subtransaction_try(find_and_lock, &search, is_given))
	{
		CHECK_FOR_INTERRUPTS();
		if (!search.busy.isnull)
			(void) subtransaction_try(wait_for_busy, &search, NULL);
		else if (search.taking && IsolationUsesXactSnapshot())
			raise_serialization_failure();
		else
			count_failure(&search);
	}
	mark_repeated(search.customers, count);
	for (int i = 0; i < count; i++)
		search.customers[i].argument = naming_argument(members, i);
	return search.customers;
}

/*
 * import_seats(subscription_id uuid, order_id uuid, emails text[], external_customer_ids text[],
 * claimed_at timestamptz[]): gives claimed seats to members, all or none, without invitations and
 * sessions, and records the events; returns how many.  Raises PT400, PT403, PT404 and PT422, 25006
 * in a read-only transaction, 09000 if a trigger of the owner prevents it, and 23505 if an index of
 * the owner's does.
 *
 * Locks: the subscription or order; then the customers, as customers_of() says; then revoked seats
 * to use again, in the order of their ids.
 */
Datum
seats_import_seats(PG_FUNCTION_ARGS)
{
	Allocation allocation = {.claimed = true,
							 .imported = true,
							 .metadata = {.isnull = true},
							 .context = CurrentMemoryContext,
							 .before = statements_writing()};
	PurchaseId purchase;
	Members members;
	Faults faults;

	PreventCommandIfReadOnly("import_seats()");
	faults_start(&faults);
	purchase = purchase_argument(fcinfo, &faults);
	members = members_arguments(fcinfo, &faults);
	faults_raise(&faults);

	SPI_connect();
	allocation_lock(purchase, &allocation);
	allocation.count = members.count;
	allocation.claimed_at = members.claimed_at;
	allocation.seat_type = seat_type();
	if (members.count > 0)
	{
		allocation.customers = customers_of(&members, &allocation.purchase.organization_id);
		allocation_check_all(&allocation);
		allocate(&allocation);
	}
	SPI_finish();
	PG_RETURN_INT32(members.count);
}
