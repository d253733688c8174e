/*
 * compat.h
 *		Differences between the supported versions of PostgreSQL, 15 to 19.
 *
 * All of them are here, so that this is the one file to look at when a version is added or dropped.
 * The rest of the code is written for the newest version.
 */
#ifndef SEATS_COMPAT_H
#define SEATS_COMPAT_H

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/pg_namespace.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "optimizer/planner.h"
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#else
#include "storage/lwlock.h"
#include "storage/shmem.h"
#endif
#include "utils/acl.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * Exported symbols.  The build hides all symbols, because a visible one is replaced by a symbol of
 * the same name in a library that was loaded earlier.  PostgreSQL's macros mark the ones that it
 * looks up since 16; on 15 they do so here.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))

#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	extern PGDLLEXPORT const Pg_finfo_record *CppConcat(pg_finfo_, name)(void); \
	const Pg_finfo_record *CppConcat(pg_finfo_, name)(void) \
	{ \
		static const Pg_finfo_record info = {1}; \
		return &info; \
	} \
	extern int no_such_variable
#endif

/* The parameters of the planner and of its hook: 19 has one more. */
#if PG_VERSION_NUM >= 190000
#define PLANNER_PARAMETERS \
	Query *query, const char *sql, int cursor_options, ParamListInfo parameters, \
		ExplainState *explain
#define PLANNER_ARGUMENTS query, sql, cursor_options, parameters, explain
#else
#define PLANNER_PARAMETERS \
	Query *query, const char *sql, int cursor_options, ParamListInfo parameters
#define PLANNER_ARGUMENTS query, sql, cursor_options, parameters
#endif

/* Which file contains a table. */
#if PG_VERSION_NUM >= 160000
typedef RelFileLocator FileLocator;
#define file_locator_compat(table) ((table)->rd_locator)
#else
typedef RelFileNode FileLocator;
#define file_locator_compat(table) ((table)->rd_node)
#endif

/* Tells whether a role may use a schema. */
static inline bool
schema_is_usable_compat(Oid schema, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK;
#else
	return pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

/* Returns the sequence of an identity column, or InvalidOid. */
static inline Oid
identity_sequence_compat(Relation table, AttrNumber column)
{
#if PG_VERSION_NUM >= 170000
	return getIdentitySequence(table, column, true);
#else
	return getIdentitySequence(RelationGetRelid(table), column, true);
#endif
}

/*
 * Tells whether PostgreSQL enforces a CHECK constraint: since 18 a constraint may be NOT ENFORCED.
 */
static inline bool
check_is_enforced_compat(const ConstrCheck *check pg_attribute_unused())
{
#if PG_VERSION_NUM >= 180000
	return check->ccenforced;
#else
	return true;
#endif
}

/* Begins an index scan that returns rows of the table. */
static inline IndexScanDesc
index_beginscan_compat(Relation table, Relation index, Snapshot snapshot, int keys)
{
#if PG_VERSION_NUM >= 190000
	return index_beginscan(table, index, snapshot, NULL, keys, 0, 0);
#elif PG_VERSION_NUM >= 180000
	return index_beginscan(table, index, snapshot, NULL, keys, 0);
#else
	return index_beginscan(table, index, snapshot, keys, 0);
#endif
}

/* Which indexes need an entry for a new version of a row: 15 knows only all of them or none. */
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes UpdatedIndexes;
#define NO_INDEXES TU_None
#define ALL_INDEXES TU_All
#else
typedef bool UpdatedIndexes;
#define NO_INDEXES false
#define ALL_INDEXES true
#endif

/* Writes a new version of a row, as table_tuple_update() does. */
static inline TM_Result
table_tuple_update_compat(Relation table, ItemPointer row, TupleTableSlot *slot,
						  CommandId command, Snapshot snapshot, UpdatedIndexes *indexes)
{
	TM_FailureData failure;
	LockTupleMode lock;

#if PG_VERSION_NUM >= 190000
	return table_tuple_update(table, row, slot, command, 0, snapshot, InvalidSnapshot, true,
							  &failure, &lock, indexes);
#else
	return table_tuple_update(table, row, slot, command, snapshot, InvalidSnapshot, true,
							  &failure, &lock, indexes);
#endif
}

/*
 * Adds entries for a new version of a row to the indexes that need one.  If another row conflicts,
 * tells so if "conflict" is not NULL, and raises an error otherwise.
 */
static inline void
insert_index_tuples_compat(ResultRelInfo *table, TupleTableSlot *slot, EState *state,
						   UpdatedIndexes which pg_attribute_unused(), bool *conflict)
{
#if PG_VERSION_NUM >= 190000
	ExecInsertIndexTuples(table, state,
						  (which == TU_Summarizing ? EIIT_ONLY_SUMMARIZING : 0) |
							  (conflict != NULL ? EIIT_NO_DUPE_ERROR : 0),
						  slot, NIL, conflict);
#elif PG_VERSION_NUM >= 160000
	ExecInsertIndexTuples(table, slot, state, false, conflict != NULL, conflict, NIL,
						  which == TU_Summarizing);
#else
	ExecInsertIndexTuples(table, slot, state, false, conflict != NULL, conflict, NIL);
#endif
}

/* Before 16 the JSON lexer raises an error for an escape that the database's encoding lacks. */
#define JSON_ESCAPES_MAY_RAISE (PG_VERSION_NUM < 160000)

/* Returns a lexer for JSON in the database's encoding; it does not change the string. */
static inline JsonLexContext *
json_lexer_compat(const char *json, size_t length)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, length, GetDatabaseEncoding(), true);
#else
	return makeJsonLexContextCstringLen(unconstify(char *, json), (int) length,
										GetDatabaseEncoding(), true);
#endif
}

/* The state in which pushJsonbValue() builds a value: 19 brings the type. */
#if PG_VERSION_NUM < 190000
typedef struct JsonbInState
{
	JsonbValue *result;
	JsonbParseState *parseState;
} JsonbInState;
#endif

/* Adds a part to a jsonb value that is being built. */
static inline void
push_jsonb_compat(JsonbInState *state, JsonbIteratorToken token, JsonbValue *value)
{
#if PG_VERSION_NUM >= 190000
	pushJsonbValue(state, token, value);
#else
	state->result = pushJsonbValue(&state->parseState, token, value);
#endif
}

#if PG_VERSION_NUM >= 190000
/* Calls a function that fills shared memory, in the form that 19 takes. */
static inline void
fill_memory_compat(void *memory, void *fill)
{
	((void (*)(void *)) fill)(memory);
}
#endif

/*
 * Returns shared memory by its name.  The first caller has it allocated and filled by a function,
 * while others wait.  Raises errors of class 53 if there is no room for it.
 *
 * From 17 on PostgreSQL has a registry of named segments.  Before 17 the memory is taken from the
 * spare part of the server's main shared memory, under AddinShmemInitLock, as contrib's pg_prewarm
 * does.
 */
static inline void *
named_memory_compat(const char *name, size_t size, void (*fill)(void *memory))
{
	bool found;
#if PG_VERSION_NUM >= 190000
	return GetNamedDSMSegment(name, size, fill_memory_compat, &found, (void *) fill);
#elif PG_VERSION_NUM >= 170000
	return GetNamedDSMSegment(name, size, fill, &found);
#else
	void *memory;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct(name, size, &found);
	if (!found)
		fill(memory);
	LWLockRelease(AddinShmemInitLock);
	return memory;
#endif
}

#endif
