/*
 * direct_table.h
 *		The extension's tables as direct access sees them.
 */
#ifndef SEATS_DIRECT_TABLE_H
#define SEATS_DIRECT_TABLE_H

#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

#include "catalog.h"

/* An index that gets an entry for each new row. */
typedef struct DirectIndex
{
	Oid id;
	bool unique;
	IndexInfo *info;
	ExprState *predicate; /* of a partial index, or NULL */
} DirectIndex;

/* Columns that rows are found by, and the index for it. */
typedef struct DirectKey
{
	int column_count;
	int columns[2];
	bool many; /* rows may have the same values; a search is only for all of them */
	/* Set by the examination. */
	Oid index; /* unique unless "many" is set, or InvalidOid if there is none */
	RegProcedure equal[2];
} DirectKey;

#define MAX_DIRECT_KEYS 5

/* The keys of most tables: the first of a table is always there if the table is readable. */
#define FIRST_KEY 0

/* The keys of seats. */
enum
{
	SEAT_BY_TOKEN = FIRST_KEY,
	SEAT_BY_ID,
	SEAT_BY_HOLDER, /* of a seat of a subscription, and next of an order */
	SEAT_BY_CUSTOMER = SEAT_BY_HOLDER + 2
};

/* What is done with a table. */
typedef enum DirectUse
{
	DIRECT_READ,
	DIRECT_LOCK,
	DIRECT_UPDATE,
	DIRECT_INSERT
} DirectUse;

/* One of the tables: its required form, and the result of its last examination. */
typedef struct DirectTable
{
	const KnownTable *known;
	DirectKey keys[MAX_DIRECT_KEYS]; /* those that there are */
	bool numbered;					 /* the first column is an identity */
	AclMode needed;					 /* privileges without which it is not accessed */
	AclMode written;				 /* ACL_INSERT, ACL_UPDATE, or zero if it is only read */
	bool fast; /* its rows are only inserted, and each claim inserts one */

	CatalogWatch watch;
	uint64 examined_at; /* watch.changes then, or zero */
	Oid user;			/* whose privileges were examined */
	bool readable;
	bool lockable;
	bool updatable;
	bool insertable;
	bool kept;						 /* the extension's triggers are there and enabled */
	AttrNumber numbers[MAX_COLUMNS]; /* of the columns */
	Oid types[MAX_COLUMNS];			 /* of the columns */
	Oid sequence;					 /* of a numbered table */
	MemoryContext context;			 /* holds what follows */
	List *checks;					 /* ExprStates of CHECK constraints */
	ExprContext *check_context;
	ExprState *defaults[MAX_COLUMNS]; /* of columns, or NULL */
	List *indexes; /* DirectIndexes; none if the executor must maintain them */
	Bitmapset
		*guarded; /* numbers, as in the relation cache, of columns left to the executor */
} DirectTable;

extern DirectTable direct_seats;
extern DirectTable direct_sessions;
extern DirectTable direct_events;
extern DirectTable direct_organizations;
extern DirectTable direct_customers;
extern DirectTable direct_products;
extern DirectTable direct_subscriptions;
extern DirectTable direct_orders;
extern DirectTable direct_jwt_keys;

extern Oid direct_seat_status(const char *name);
extern bool direct_table_is_readable(DirectTable *table);
extern Relation direct_table_open(DirectTable *table, DirectUse use);
extern LOCKMODE direct_lock_mode(DirectUse use);
extern bool direct_is_kept(const DirectTable *table);

#endif
