/*
 * catalog.h
 *		What the system catalogs say about this extension: its version, its tables and their
 *		columns, triggers and rules that the owner added, and when any of this changes.
 */
#ifndef SEATS_CATALOG_H
#define SEATS_CATALOG_H

#include "access/attnum.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

/* The version of this library. */
#define SEATS_VERSION "1.1"

/* A row of pg_extension. */
typedef struct Extension
{
	Oid id;
	Oid schema;
	const char *version;
	ItemPointerData place; /* of the row */
} Extension;

extern bool extension_find(const char *name, Extension *extension);
extern void extension_check_version(void);

/*
 * Counts catalog changes that may concern its owner: changes of one relation and its indexes, and
 * of all roles, schemas and functions.  It lives as long as the session.
 */
typedef struct CatalogWatch
{
	Oid relation; /* or InvalidOid */
	uint64 changes;
	struct CatalogWatch *next;
} CatalogWatch;

extern void catalog_watch(CatalogWatch *watch);

/* The extension's tables. */
typedef enum TableNumber
{
	TABLE_ORGANIZATIONS,
	TABLE_PRODUCTS,
	TABLE_CUSTOMERS,
	TABLE_SUBSCRIPTIONS,
	TABLE_ORDERS,
	TABLE_CUSTOMER_SEATS,
	TABLE_CUSTOMER_SESSIONS,
	TABLE_EVENTS,
	TABLE_JWT_KEYS,
	TABLE_JOIN_LINKS
} TableNumber;

/*
 * Their columns, in an order of ours.  In the tables they may stand in another one: an update from
 * 1.0 leaves the columns of seats where they are.
 */
typedef enum OrganizationColumn
{
	ORGANIZATION_ID,
	ORGANIZATION_CREATED_AT,
	ORGANIZATION_MODIFIED_AT,
	ORGANIZATION_NAME,
	ORGANIZATION_SLUG,
	ORGANIZATION_PRICING_ENABLED,
	ORGANIZATION_INVITATION_TTL,
	ORGANIZATION_COLUMNS
} OrganizationColumn;

typedef enum ProductColumn
{
	PRODUCT_ID,
	PRODUCT_CREATED_AT,
	PRODUCT_MODIFIED_AT,
	PRODUCT_ORGANIZATION_ID,
	PRODUCT_NAME,
	PRODUCT_EXTERNAL_ID,
	PRODUCT_COLUMNS
} ProductColumn;

typedef enum CustomerColumn
{
	CUSTOMER_ID,
	CUSTOMER_CREATED_AT,
	CUSTOMER_MODIFIED_AT,
	CUSTOMER_ORGANIZATION_ID,
	CUSTOMER_EMAIL,
	CUSTOMER_EXTERNAL_ID,
	CUSTOMER_NAME,
	CUSTOMER_COLUMNS
} CustomerColumn;

/* Of subscriptions and of orders; then those that only subscriptions have. */
typedef enum PurchaseColumn
{
	PURCHASE_ID,
	PURCHASE_CREATED_AT,
	PURCHASE_MODIFIED_AT,
	PURCHASE_ORGANIZATION_ID,
	PURCHASE_PRODUCT_ID,
	PURCHASE_CUSTOMER_ID,
	PURCHASE_SEATS,
	PURCHASE_STATUS,
	PURCHASE_ASSIGNED_SEATS,
	PURCHASE_EXTERNAL_ID,
	ORDER_COLUMNS,
	SUBSCRIPTION_SEATS_NEXT = ORDER_COLUMNS,
	SUBSCRIPTION_SEATS_LIMIT,
	SUBSCRIPTION_COLUMNS
} PurchaseColumn;

typedef enum SeatColumn
{
	SEAT_ID,
	SEAT_ORGANIZATION_ID,
	SEAT_CREATED_AT,
	SEAT_STATUS,
	SEAT_EXPIRY_WATCHED,
	SEAT_MODIFIED_AT,
	SEAT_SUBSCRIPTION_ID,
	SEAT_ORDER_ID,
	SEAT_CUSTOMER_ID,
	SEAT_CUSTOMER_EMAIL,
	SEAT_INVITATION_TOKEN_HASH,
	SEAT_INVITATION_TOKEN_EXPIRES_AT,
	SEAT_CLAIMED_AT,
	SEAT_REVOKED_AT,
	SEAT_METADATA,
	SEAT_CLAIM_KEY_HASH,
	SEAT_SUSPENDED_AT,
	SEAT_COLUMNS
} SeatColumn;

typedef enum SessionColumn
{
	SESSION_TOKEN_HASH,
	SESSION_SEAT_ID,
	SESSION_CUSTOMER_ID,
	SESSION_ORGANIZATION_ID,
	SESSION_CREATED_AT,
	SESSION_EXPIRES_AT,
	SESSION_OF_CLAIM,
	SESSION_COLUMNS
} SessionColumn;

typedef enum EventColumn
{
	EVENT_ID,
	EVENT_TYPE,
	EVENT_SEAT_ID,
	EVENT_ORGANIZATION_ID,
	EVENT_CUSTOMER_ID,
	EVENT_OCCURRED_AT,
	EVENT_METADATA,
	EVENT_SEAT,
	EVENT_COLUMNS
} EventColumn;

typedef enum JwtKeyColumn
{
	JWT_KEY_ID,
	JWT_KEY_SECRET,
	JWT_KEY_CREATED_AT,
	JWT_KEY_COLUMNS
} JwtKeyColumn;

typedef enum JoinLinkColumn
{
	JOIN_LINK_ID,
	JOIN_LINK_CREATED_AT,
	JOIN_LINK_ORGANIZATION_ID,
	JOIN_LINK_SUBSCRIPTION_ID,
	JOIN_LINK_ORDER_ID,
	JOIN_LINK_EMAIL_DOMAINS,
	JOIN_LINK_MAX_USES,
	JOIN_LINK_USES,
	JOIN_LINK_EXPIRES_AT,
	JOIN_LINK_REVOKED_AT,
	JOIN_LINK_TOKEN_HASH,
	JOIN_LINK_COLUMNS
} JoinLinkColumn;

/*
 * The fields of the type seats.customer_seat, in its order: as SQL writes them, of a row called s,
 * and as columns of the table.
 */
#define SEAT_FIELDS \
	"s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status, " \
	"s.customer_id, s.customer_email, s.invitation_token_expires_at, s.claimed_at, " \
	"s.revoked_at, s.seat_metadata"
#define SEAT_FIELD_COUNT 12

extern const SeatColumn seat_fields[SEAT_FIELD_COUNT];

/* Numbers of some of them, counted from 1 as in the rows of a statement. */
#define SEAT_FIELD_ID 3
#define SEAT_FIELD_SUBSCRIPTION_ID 4
#define SEAT_FIELD_ORDER_ID 5
#define SEAT_FIELD_CUSTOMER_ID 7
#define SEAT_FIELD_CUSTOMER_EMAIL 8
#define SEAT_FIELD_CLAIMED_AT 10

/* No table has more columns. */
#define MAX_COLUMNS SEAT_COLUMNS

typedef struct KnownColumn
{
	const char *name;
	Oid type;
} KnownColumn;

/* A table as the extension made it. */
typedef struct KnownTable
{
	const char *name;
	int column_count;
	KnownColumn columns[MAX_COLUMNS];
} KnownTable;

extern const KnownTable known_tables[];

extern bool table_is_known(const char *name);
extern Oid seats_table_id(const char *name);
extern Oid column_type(const KnownTable *table, int column);
extern Oid seat_type(void);
extern Oid seat_array_type(void);
extern Oid seat_status_type(void);
extern Oid seat_status_value(Oid type, const char *name);
extern AttrNumber column_number(Relation relation, const char *name);
extern void check_statement_columns(const char *sql);
extern _Noreturn void refuse_null_column(const char *column);
extern _Noreturn void refuse_generated_column(const char *table, const char *column);
extern _Noreturn void refuse_repeated_ids(void);
extern void refuse_distributed_table(Oid table);

extern bool table_has_interference(const char *table);
extern bool owner_has_triggers_on(const char *name);
extern bool owner_has_triggers(void);
extern _Noreturn void refuse_trigger_on(const char *table);
extern void refuse_altered_row(const char *table);

#endif
