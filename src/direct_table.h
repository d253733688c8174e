/*
 * direct_table.h
 *		The extension's tables as direct_access.c knows them.
 */
#ifndef SEATS_DIRECT_TABLE_H
#define SEATS_DIRECT_TABLE_H

#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* Columns that direct access uses; of the first three tables these are all, in the table's order. */

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
	SEAT_TABLE_COLUMNS
} SeatColumn;

typedef enum SessionColumn
{
	SESSION_TOKEN_HASH,
	SESSION_SEAT_ID,
	SESSION_CUSTOMER_ID,
	SESSION_ORGANIZATION_ID,
	SESSION_CREATED_AT,
	SESSION_EXPIRES_AT,
	SESSION_TABLE_COLUMNS
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
	EVENT_TABLE_COLUMNS
} EventColumn;

typedef enum OrganizationColumn
{
	ORGANIZATION_ID,
	ORGANIZATION_NAME,
	ORGANIZATION_SLUG,
	ORGANIZATION_PRICING_ENABLED,
	ORGANIZATION_TABLE_COLUMNS
} OrganizationColumn;

typedef enum CustomerColumn
{
	CUSTOMER_ID,
	CUSTOMER_EMAIL,
	CUSTOMER_TABLE_COLUMNS
} CustomerColumn;

typedef enum ProductColumn
{
	PRODUCT_ID,
	PRODUCT_NAME,
	PRODUCT_TABLE_COLUMNS
} ProductColumn;

typedef enum PurchaseColumn
{
	PURCHASE_ID,
	PURCHASE_PRODUCT_ID,
	PURCHASE_TABLE_COLUMNS
} PurchaseColumn;

/* No table has more columns that direct access uses. */
#define DIRECT_MAX_COLUMNS SEAT_TABLE_COLUMNS

/* An index that gets an entry for each new row. */
typedef struct DirectIndex
{
	Oid id;
	bool unique;
	IndexInfo *info;
} DirectIndex;

/* One of the tables: what it must be, and what was found when it was last looked at. */
typedef struct DirectTable
{
	const char *name;
	const char *const *columns; /* their names; columns.c has the types */
	int column_count;
	int key;		 /* the column that rows are found by */
	bool numbered;	 /* the first column is an identity */
	AclMode written; /* ACL_INSERT or ACL_UPDATE, or zero if it is only read */

	bool current;  /* what follows still holds */
	bool complete; /* and no error kept us from looking at all of it */
	Oid id;
	Oid user; /* whose rights were looked at */
	bool readable;
	bool writable;
	AttrNumber numbers[DIRECT_MAX_COLUMNS]; /* of the columns */
	Oid key_index;
	RegProcedure key_equal;
	Oid status_type;	   /* seats.seat_status, in the table of seats */
	Oid sequence;		   /* of a numbered table */
	MemoryContext context; /* holds what follows */
	List *checks;		   /* ExprStates of CHECK constraints */
	ExprContext *check_context;
	List *indexes; /* DirectIndexes, of a table that rows are inserted into */
} DirectTable;

extern DirectTable direct_seats;
extern DirectTable direct_sessions;
extern DirectTable direct_events;
extern DirectTable direct_organizations;
extern DirectTable direct_customers;
extern DirectTable direct_products;
extern DirectTable direct_subscriptions;
extern DirectTable direct_orders;

extern Oid direct_seat_status(const char *name);
extern bool direct_table_is_readable(DirectTable *table);
extern Relation direct_table_open(DirectTable *table, LOCKMODE mode);

#endif
