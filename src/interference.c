/*
 * interference.c
 *		What triggers and rules that the owner adds may do to what the extension writes.
 *
 * The owner may add triggers to any table.  What a function wrote must be what it meant to write,
 * and what it answers must be so when it returns; otherwise it raises 09000 and nothing has
 * changed.  A trigger before a change shows in what the statement returns.  One after it may
 * change the row again, or another one, so the rows are read once more before the function ends.
 * That costs a statement, and is done only where somebody has added a trigger.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

#include "interference.h"

/* The tables that functions write, or that a trigger may write from. */
static const char *const tables[] = {
	"customer_seats", "customer_sessions", "events", "subscriptions", "orders", "customers"};

/* Opens one of the extension's tables, or returns NULL where it is not there. */
static Relation
open_table(const char *name)
{
	Oid id = get_relname_relid(name, get_namespace_oid("seats", true));

	return OidIsValid(id) ? table_open(id, AccessShareLock) : NULL;
}

/*
 * Tells whether a trigger or rule that somebody added may change what a statement writes to a
 * table, or keep it from being written.
 */
bool
table_has_interference(const char *name)
{
	Relation table = open_table(name);
	const TriggerDesc *triggers;
	bool result;

	if (table == NULL)
		return false;
	triggers = table->trigdesc;
	result = table->rd_rules != NULL ||
		(triggers != NULL &&
		 (triggers->trig_insert_before_row || triggers->trig_update_before_row ||
		  triggers->trig_delete_before_row));
	table_close(table, NoLock);
	return result;
}

/* Tells whether a table has a rule, or a trigger that is neither the extension's nor PostgreSQL's. */
static bool
has_owners_trigger(Relation table)
{
	const TriggerDesc *triggers = table->trigdesc;
	bool found = table->rd_rules != NULL;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers && !found; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		found = !trigger->tgisinternal &&
			get_func_namespace(trigger->tgfoid) != RelationGetNamespace(table);
	}
	return found;
}

/* Tells whether somebody has added a trigger or rule to one of the tables. */
bool
owner_has_triggers(void)
{
	bool found = false;

	for (size_t i = 0; i < lengthof(tables) && !found; i++)
	{
		Relation table = open_table(tables[i]);

		if (table == NULL)
			continue;
		found = has_owners_trigger(table);
		table_close(table, NoLock);
	}
	return found;
}

/* Raises 09000: a trigger that somebody added does not let a row be written as it must be. */
void
refuse_trigger_on(const char *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a trigger or rule on seats.%s prevented a change or altered it", table),
			 errhint("Look for a trigger that returns null or changes the extension's columns, "
					 "or for a rule.")));
}

/*
 * Raises 09000 where a trigger or rule may be why a row is not as it was meant.  Without one it is
 * the column's own doing, which may store a moment in whole seconds.
 */
void
refuse_altered_row(const char *table)
{
	if (table_has_interference(table))
		refuse_trigger_on(table);
}
