/*
 * join_link.c
 *		Join links: making, listing and revoking them, and whether one can be used.
 *
 * Whoever has a join link may ask for an invitation to a seat of one purchase; see join.c.  A link
 * is locked after its purchase, and before customers and seats.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "errors.h"
#include "input.h"
#include "join_link.h"
#include "statement.h"
#include "token.h"

PG_FUNCTION_INFO_V1(seats_create_join_link);
PG_FUNCTION_INFO_V1(seats_list_join_links);
PG_FUNCTION_INFO_V1(seats_revoke_join_link);

/* The fields of the type seats.join_link, of a row called l. */
#define LINK_FIELDS \
	"l.id, l.created_at, l.subscription_id, l.order_id, l.email_domains, l.max_uses, l.uses, " \
	"l.expires_at, l.revoked_at"
#define LINK_FIELD_COUNT 9

/* ---- One link ---- */

#define FIND_LINK(lock) \
	{ \
		.sql = "SELECT l.id, l.subscription_id, l.order_id, l.email_domains, l.max_uses, " \
			   "l.uses, l.expires_at, l.revoked_at IS NOT NULL " \
			   "FROM seats.join_links AS l WHERE l.token_hash = $1" lock, \
		.nargs = 1, .argtypes = { \
			BYTEAOID \
		} \
	}

static Statement find_link = FIND_LINK("");
static Statement lock_link = FIND_LINK(" FOR NO KEY UPDATE");

static Statement use_link = {
	.sql = "UPDATE seats.join_links AS l SET uses = $2 WHERE l.id = $1 "
		   "RETURNING " LINK_FIELDS ", l.uses = $2",
	.nargs = 2,
	.argtypes = {UUIDOID, INT4OID},
	.table = "join_links",
};

/* $1 to $9 are the fields of a link as it was written, $10 is the hash of its token if known. */
static Statement confirm_link = {
	.sql = "SELECT ROW(" LINK_FIELDS ") IS NOT DISTINCT FROM "
		   "ROW($1, $2, $3, $4, $5, $6, $7, $8, $9) "
		   "AND l.token_hash = coalesce($10, l.token_hash) "
		   "FROM seats.join_links AS l WHERE l.id = $1",
	.nargs = LINK_FIELD_COUNT + 1,
	.argtypes = {UUIDOID, TIMESTAMPTZOID, UUIDOID, UUIDOID, TEXTARRAYOID, INT4OID, INT4OID,
				 TIMESTAMPTZOID, TIMESTAMPTZOID, BYTEAOID},
	.table = "join_links",
};

/*
 * Executes a statement that writes one link and returns its fields; returns them.  Raises 09000 if
 * a trigger of the owner prevents that, or has altered the link when the statement is done.
 */
static Rows
write_link(Statement *statement, const NullableDatum *arguments, NullableDatum hash)
{
	Rows rows = statement_change(statement, arguments, 1);
	NullableDatum written[LINK_FIELD_COUNT + 1];

	if (!owner_has_triggers_on("join_links"))
		return rows;
	for (int i = 0; i < LINK_FIELD_COUNT; i++)
		written[i] = rows_value(&rows, 0, i + 1);
	written[LINK_FIELD_COUNT] = hash;
	(void) statement_confirm(&confirm_link, written, 1);
	return rows;
}

/*
 * Finds the link with a token; returns false if there is none.  Between SPI_connect() and
 * SPI_finish().
 *
 * Locks: the link's row, FOR NO KEY UPDATE, if that is wanted.
 */
bool
join_link_find(const bytea *hash, bool lock, JoinLink *link)
{
	NullableDatum arguments[] = {{PointerGetDatum(hash), false}};
	Rows rows = statement_execute(lock ? &lock_link : &find_link, arguments);

	if (rows.count == 0)
		return false;
	link->id = *DatumGetUUIDP(rows_required(&rows, 0, 1));
	if (!purchase_of_seat(rows_value(&rows, 0, 2), rows_value(&rows, 0, 3), &link->purchase))
		return false;
	link->email_domains = rows_value(&rows, 0, 4);
	link->max_uses = rows_value(&rows, 0, 5);
	link->uses = DatumGetInt32(rows_required(&rows, 0, 6));
	link->expires_at = DatumGetTimestampTz(rows_required(&rows, 0, 7));
	link->revoked = DatumGetBool(rows_required(&rows, 0, 8));
	return true;
}

/* Tells whether a link may be used once more. */
bool
join_link_has_uses(const JoinLink *link)
{
	return link->max_uses.isnull || link->uses < DatumGetInt32(link->max_uses.value);
}

/* Tells whether two strings are the same but for the case of ASCII letters. */
static bool
is_same_domain(const char *a, size_t length, const text *b)
{
	const char *other = VARDATA_ANY(b);

	if (VARSIZE_ANY_EXHDR(b) != length)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (pg_ascii_tolower((unsigned char) a[i]) !=
			pg_ascii_tolower((unsigned char) other[i]))
			return false;
	}
	return true;
}

/* Tells whether an address is of one of some domains, a text[]; null allows all. */
static bool
is_of_domains(const text *email, NullableDatum domains)
{
	const char *start = VARDATA_ANY(email);
	const char *end = start + VARSIZE_ANY_EXHDR(email);
	const char *at = memchr(start, '@', end - start);
	Datum *elements;
	int count;

	if (domains.isnull)
		return true;
	if (at == NULL)
		return false;
	deconstruct_array(DatumGetArrayTypeP(domains.value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (is_same_domain(at + 1, end - at - 1, DatumGetTextPP(elements[i])))
			return true;
	}
	return false;
}

/*
 * Raises join_link_invalid, join_link_expired or email_domain_not_allowed if a link cannot be used
 * with an address, by the clock.  None of these faults ever goes away.
 */
void
join_link_check(const JoinLink *link, const text *email)
{
	if (link->revoked)
		raise_error(JOIN_LINK_INVALID);
	if (link->expires_at <= GetCurrentTimestamp())
		raise_error(JOIN_LINK_EXPIRED);
	if (!is_of_domains(email, link->email_domains))
		raise_error(EMAIL_DOMAIN_NOT_ALLOWED);
}

/* Counts a use of a locked link.  Raises 09000 if a trigger of the owner prevents that. */
void
join_link_use(const JoinLink *link)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&link->id), false},
								 {Int32GetDatum(link->uses + 1), false}};

	(void) write_link(&use_link, arguments, (NullableDatum){.isnull = true});
}

/* ---- create_join_link() ---- */

/* The arguments of create_join_link() after those that name the purchase, in its order. */
enum
{
	MAX_USES_ARGUMENT = 2,
	EXPIRES_IN_ARGUMENT,
	EMAIL_DOMAINS_ARGUMENT
};

static Statement insert_link = {
	.sql =
		"INSERT INTO seats.join_links AS l (organization_id, subscription_id, order_id, "
		"email_domains, max_uses, uses, created_at, expires_at, token_hash) "
		"VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8) RETURNING " LINK_FIELDS ", "
		"l.organization_id = $1 AND l.subscription_id IS NOT DISTINCT FROM $2 "
		"AND l.order_id IS NOT DISTINCT FROM $3 AND l.email_domains IS NOT DISTINCT FROM $4 "
		"AND l.max_uses IS NOT DISTINCT FROM $5 AND l.expires_at = $7 "
		"AND l.token_hash = $8 AND l.uses = 0 AND l.revoked_at IS NULL",
	.nargs = 8,
	.argtypes = {UUIDOID, UUIDOID, UUIDOID, TEXTARRAYOID, INT4OID, TIMESTAMPTZOID,
				 TIMESTAMPTZOID, BYTEAOID},
	.table = "join_links",
};

/* Adds a fault if a number of uses is less than 1. */
static void
check_max_uses(NullableDatum max_uses, Faults *faults)
{
	if (!max_uses.isnull && DatumGetInt32(max_uses.value) < 1)
		fault_add(faults, "max_uses", "Input should be greater than or equal to 1",
				  "greater_than_equal");
}

/* Adds a fault if an interval is null or not positive. */
static void
check_expires_in(NullableDatum expires_in, Faults *faults)
{
	Interval zero = {0};

	if (expires_in.isnull)
		fault_add(faults, "expires_in", "Input should be a valid timedelta",
				  "time_delta_type");
	else if (!DatumGetBool(
				 DirectFunctionCall2(interval_gt, expires_in.value, IntervalPGetDatum(&zero))))
		fault_add(faults, "expires_in", "Input should be greater than 0 seconds",
				  "greater_than");
}

/*
 * Adds a fault for each domain that is null or cannot stand in an address, or a single one if the
 * array is empty or has several dimensions.
 */
static void
check_domains(NullableDatum domains, Faults *faults)
{
	static const char name[] = "email_domains";
	NullableDatum *elements;
	int count = 0;

	if (domains.isnull)
		return;
	elements = array_elements(domains, name, TEXTOID, &count, faults);
	if (elements != NULL && count == 0)
		fault_add(faults, name, "List should have at least 1 item", "too_short");
	for (int i = 0; i < count; i++)
	{
		if (elements[i].isnull)
			fault_add_at(faults, name, i, "Input should be a valid string", "string_type");
		else if (!is_domain(DatumGetTextPP(elements[i].value)))
			fault_add_at(faults, name, i, "value is not a valid domain", "value_error");
	}
}

/* Adds a fault for each of the terms that is malformed. */
void
join_link_check_terms(NullableDatum max_uses, NullableDatum expires_in,
					  NullableDatum email_domains, Faults *faults)
{
	check_max_uses(max_uses, faults);
	check_expires_in(expires_in, faults);
	check_domains(email_domains, faults);
}

/*
 * Returns when a link expires.  By the calendar an interval that is positive may end before it
 * begins ('1 month -29 days'); then the link expires at once.
 */
static TimestampTz
expiry(TimestampTz now, Datum expires_in)
{
	return DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now), expires_in));
}

/* Stores a link; returns its row in the type seats.join_link, in a memory context. */
static Datum
store(const JoinLinkTerms *terms, const Purchase *purchase, const bytea *hash, Oid type,
	  MemoryContext context)
{
	bool order = terms->purchase.kind == PURCHASE_ORDER;
	TimestampTz now = GetCurrentTimestamp();
	Datum id = UUIDPGetDatum(&terms->purchase.id);
	NullableDatum arguments[] = {
		{UUIDPGetDatum(&purchase->organization_id), false},
		{id, order},
		{id, !order},
		terms->email_domains,
		terms->max_uses,
		{TimestampTzGetDatum(now), false},
		{TimestampTzGetDatum(expiry(now, terms->expires_in)), false},
		{PointerGetDatum(hash), false},
	};
	Rows rows = write_link(&insert_link, arguments, arguments[7]);

	return rows_composite(&rows, 0, type, LINK_FIELD_COUNT, context);
}

/*
 * Makes a join link; see create_join_link().  If a payer is given who does not pay for the
 * purchase, there is no such purchase.  Raises PT403 and PT404.
 */
Datum
create_join_link_operation(TupleDesc type, const JoinLinkTerms *terms)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid link_type = TupleDescAttr(type, 0)->atttypid;
	Purchase purchase;
	bytea *hash;
	text *token;
	Datum link;

	SPI_connect();
	if (!purchase_lock_for(terms->purchase, terms->payer, &purchase))
		purchase_raise_not_found(terms->purchase);
	(void) organization_allowed(&purchase.organization_id);
	token = token_issue(TOKEN_JOIN_LINK, organization_route(&purchase.organization_id), caller,
						&hash);
	link = store(terms, &purchase, hash, link_type, caller);
	SPI_finish();
	return result_with_token(type, link, token);
}

/*
 * create_join_link(subscription_id uuid, order_id uuid, max_uses integer, expires_in interval,
 * email_domains text[]): makes a link that many may use to ask for an invitation to a seat; returns
 * it and its token, once.  Raises PT403, PT404 and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the subscription or order.
 */
Datum
seats_create_join_link(PG_FUNCTION_ARGS)
{
	JoinLinkTerms terms = {
		.max_uses = fcinfo->args[MAX_USES_ARGUMENT],
		.expires_in = fcinfo->args[EXPIRES_IN_ARGUMENT].value,
		.email_domains = fcinfo->args[EMAIL_DOMAINS_ARGUMENT],
	};
	Faults faults;

	PreventCommandIfReadOnly("create_join_link()");
	faults_start(&faults);
	terms.purchase = purchase_argument(fcinfo, &faults);
	join_link_check_terms(terms.max_uses, fcinfo->args[EXPIRES_IN_ARGUMENT],
						  terms.email_domains, &faults);
	faults_raise(&faults);
	return create_join_link_operation(result_type(fcinfo), &terms);
}

/* ---- list_join_links() ---- */

#define LIST_LINKS(purchase) \
	{ \
		.sql = "SELECT " LINK_FIELDS " FROM seats.join_links AS l WHERE l." purchase \
			   " = $1 ORDER BY l.created_at, l.id", \
		.nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

static Statement list_links[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = LIST_LINKS("subscription_id"),
	[PURCHASE_ORDER] = LIST_LINKS("order_id"),
};

#define READ_ORGANIZATION(table) \
	{ \
		.sql = "SELECT o.seat_based_pricing_enabled FROM seats." table " AS p " \
			   "JOIN seats.organizations AS o ON o.id = p.organization_id WHERE p.id = $1", \
		.nargs = 1, .argtypes = { \
			UUIDOID \
		} \
	}

static Statement read_organization[PURCHASE_KINDS] = {
	[PURCHASE_SUBSCRIPTION] = READ_ORGANIZATION("subscriptions"),
	[PURCHASE_ORDER] = READ_ORGANIZATION("orders"),
};

/* Raises PT404 or PT403 if there is no such purchase, or its organization may not use seats. */
static void
check_listable(PurchaseId purchase, const pg_uuid_t *payer)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false}};
	Rows rows = statement_read(&read_organization[purchase.kind], arguments);

	if (rows.count == 0 || !purchase_is_paid_by(purchase, payer))
		purchase_raise_not_found(purchase);
	if (!DatumGetBool(rows_required(&rows, 0, 1)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
}

/*
 * Lists the join links of a purchase as values of the type seats.join_link; returns how many.  If a
 * payer is given who does not pay for it, there is no such purchase.  Raises PT403 and PT404.
 */
int
list_join_links_operation(PurchaseId purchase, const pg_uuid_t *payer, Oid type, Datum **links)
{
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum arguments[] = {{UUIDPGetDatum(&purchase.id), false}};
	Rows rows;

	SPI_connect();
	check_listable(purchase, payer);
	rows = statement_read(&list_links[purchase.kind], arguments);
	*links = MemoryContextAlloc(caller, rows.count * sizeof(Datum));
	for (uint64 i = 0; i < rows.count; i++)
		(*links)[i] = rows_composite(&rows, i, type, LINK_FIELD_COUNT, caller);
	SPI_finish();
	return (int) rows.count;
}

/*
 * list_join_links(subscription_id uuid, order_id uuid): the join links of a subscription or order,
 * revoked ones too, by (created_at, id).  Raises PT403, PT404 and PT422.  Locks nothing.
 */
Datum
seats_list_join_links(PG_FUNCTION_ARGS)
{
	const ReturnSetInfo *set = (const ReturnSetInfo *) fcinfo->resultinfo;
	PurchaseId purchase;
	Faults faults;
	Datum *links;
	int count;

	InitMaterializedSRF(fcinfo, MAT_SRF_BLESS);
	faults_start(&faults);
	purchase = purchase_argument(fcinfo, &faults);
	faults_raise(&faults);
	count = list_join_links_operation(purchase, NULL, set->setDesc->tdtypeid, &links);
	for (int i = 0; i < count; i++)
		result_set_add(set, links[i]);
	return (Datum) 0;
}

/* ---- revoke_join_link() ---- */

static Statement find_link_by_id = {
	.sql = "SELECT l.organization_id, l.subscription_id, l.order_id "
		   "FROM seats.join_links AS l WHERE l.id = $1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static Statement lock_link_by_id = {
	.sql = "SELECT " LINK_FIELDS " FROM seats.join_links AS l WHERE l.id = $1 "
		   "FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static Statement revoke_link = {
	.sql = "UPDATE seats.join_links AS l SET revoked_at = $2 WHERE l.id = $1 "
		   "RETURNING " LINK_FIELDS ", l.id = $1 AND l.revoked_at = $2",
	.nargs = 2,
	.argtypes = {UUIDOID, TIMESTAMPTZOID},
	.table = "join_links",
};

/* Finds the purchase and the organization of a link; raises PT404 if there is none for a payer. */
static PurchaseId
find_purchase(const pg_uuid_t *id, const pg_uuid_t *payer, pg_uuid_t *organization_id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(id), false}};
	Rows rows = statement_execute(&find_link_by_id, arguments);
	PurchaseId purchase;

	if (rows.count == 0)
		raise_error(JOIN_LINK_NOT_FOUND);
	*organization_id = *DatumGetUUIDP(rows_required(&rows, 0, 1));
	if (!purchase_of_seat(rows_value(&rows, 0, 2), rows_value(&rows, 0, 3), &purchase) ||
		!purchase_is_paid_by(purchase, payer))
		raise_error(JOIN_LINK_NOT_FOUND);
	return purchase;
}

/*
 * Revokes a join link; see revoke_join_link().  If a payer is given who does not pay for its
 * purchase, there is no such link.  Raises PT403 and PT404.
 */
Datum
revoke_join_link_operation(TupleDesc type, const pg_uuid_t *id, const pg_uuid_t *payer)
{
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum arguments[] = {{UUIDPGetDatum(id), false}, {TimestampTzGetDatum(0), false}};
	pg_uuid_t organization_id;
	PurchaseId purchase;
	Rows rows;
	Datum link;

	SPI_connect();
	purchase = find_purchase(id, payer, &organization_id);
	rows = statement_execute(&lock_link_by_id, arguments);
	if (rows.count == 0 || !purchase_is_paid_by(purchase, payer))
		raise_error(JOIN_LINK_NOT_FOUND);
	(void) organization_allowed(&organization_id);
	if (rows_value(&rows, 0, LINK_FIELD_COUNT).isnull)
	{
		arguments[1].value = TimestampTzGetDatum(GetCurrentTimestamp());
		rows = write_link(&revoke_link, arguments, (NullableDatum){.isnull = true});
	}
	link = rows_composite(&rows, 0, type->tdtypeid, LINK_FIELD_COUNT, caller);
	SPI_finish();
	return link;
}

/*
 * revoke_join_link(link_id uuid): ends a join link, so that nobody can use it any more; returns it.
 * A link that is revoked already is returned as it is.  Seats that were given by it stay.  Raises
 * PT403, PT404 and PT422, and 25006 in a read-only transaction.
 *
 * Locks: the link.
 */
Datum
seats_revoke_join_link(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *id;

	PreventCommandIfReadOnly("revoke_join_link()");
	id = id_argument(fcinfo, 0, "link_id");
	return revoke_join_link_operation(result_type(fcinfo), id, NULL);
}
