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
} DirectIndex;

/* One of the tables: its required form, and the result of its last examination. */
typedef struct DirectTable
{
	const KnownTable *known;
	int key;		 /* the column that rows are found by */
	bool numbered;	 /* the first column is an identity */
	AclMode written; /* ACL_INSERT or ACL_UPDATE, or zero if it is only read */

	CatalogWatch watch;
	uint64 examined_at; /* watch.changes then, or zero */
	Oid user;			/* whose privileges were examined */
	bool readable;
	bool writable;
	AttrNumber numbers[MAX_COLUMNS]; /* of the columns */
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
extern DirectTable direct_jwt_keys;

extern Oid direct_seat_status(const char *name);
extern bool direct_table_is_readable(DirectTable *table);
extern Relation direct_table_open(DirectTable *table, LOCKMODE mode);

#endif
