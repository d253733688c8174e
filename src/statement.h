/*
 * statement.h
 *		SQL statements that are prepared once in a session, and the rows that they return.
 */
#ifndef SEATS_STATEMENT_H
#define SEATS_STATEMENT_H

#include "access/tupdesc.h"
#include "executor/spi.h"
#include "nodes/execnodes.h"
#include "utils/uuid.h"

#define STATEMENT_MAX_ARGUMENTS 12

/*
 * In the list of a statement's argument types: seats.customer_seat and an array of it, whose ids
 * differ from database to database.
 */
#define STATEMENT_SEAT_TYPE ((Oid) 1)
#define STATEMENT_SEAT_ARRAY_TYPE ((Oid) 2)

/*
 * A statement and, once it was used, its plan.  Keep it in a static variable beside the code that
 * uses it.  All names in it are schema-qualified.  Operators are not: every function of the
 * extension runs with search_path set to pg_catalog and pg_temp, and PostgreSQL finds no operator
 * in pg_temp.
 */
typedef struct Statement
{
	const char *sql;
	int nargs;
	Oid argtypes[STATEMENT_MAX_ARGUMENTS];
	const char *table; /* that it writes or confirms */
	SPIPlanPtr plan;
	Oid seat_type; /* seats.customer_seat when it was prepared, if an argument is of that type */
} Statement;

/* The rows that a statement returned.  They live until SPI_finish(), or until rows_free(). */
typedef struct Rows
{
	uint64 count; /* of rows returned, or else of rows changed */
	SPITupleTable *table;
} Rows;

extern void statement_define(void);
extern uint64 statements_writing(void);
extern Rows statement_execute(Statement *statement, const NullableDatum *arguments);
extern Rows statement_execute_newest(Statement *statement, const NullableDatum *arguments);
extern Rows statement_read(Statement *statement, const NullableDatum *arguments);
extern Rows statement_change(Statement *statement, const NullableDatum *arguments,
							 uint64 count);
extern Rows statement_confirm(Statement *statement, const NullableDatum *arguments,
							  uint64 count);
extern Rows statement_insert(Statement *statement, Statement *returning,
							 const NullableDatum *arguments, uint64 count);
extern Portal statement_open(Statement *statement, const NullableDatum *arguments);

extern NullableDatum uuid_array(const pg_uuid_t *first, size_t stride, int count);
extern NullableDatum datum_array(const NullableDatum *values, int count, Oid type);

extern Rows rows_fetch(Portal cursor, long count);
extern void rows_free(Rows *rows);
extern NullableDatum rows_value(const Rows *rows, uint64 row, int column);
extern Datum rows_required(const Rows *rows, uint64 row, int column);
extern void rows_fields(const Rows *rows, NullableDatum *fields, const Oid *types, int count);
extern Datum rows_composite(const Rows *rows, uint64 row, Oid type, int count,
							MemoryContext context);

extern _Noreturn void refuse_altered_type(void);
extern Datum form_composite(Oid type, const NullableDatum *fields, const Oid *field_types,
							int count, MemoryContext context);
extern TupleDesc named_type(const char *name);
extern TupleDesc result_type(FunctionCallInfo fcinfo);
extern Oid result_type_id(FunctionCallInfo fcinfo);
extern Datum result_with_token(TupleDesc type, Datum value, const text *token);
extern void result_set_add(const ReturnSetInfo *set, Datum row);

#endif
