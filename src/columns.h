/*
 * columns.h
 *		The columns of the extension's tables, and whether they are still as the extension made them.
 */
#ifndef SEATS_COLUMNS_H
#define SEATS_COLUMNS_H

#include "access/attnum.h"
#include "utils/relcache.h"

extern bool column_table_is_known(const char *table);
extern Oid column_type(const char *table, const char *column);
extern AttrNumber column_number(Relation table, const char *column);
extern void columns_check_statement(const char *sql);
extern void refuse_distributed_table(Oid table);
extern _Noreturn void refuse_null_column(const char *column);
extern _Noreturn void refuse_generated(const char *table, const char *column);
extern _Noreturn void refuse_repeated_ids(void);

#endif
