/*
 * export.h
 *		Which symbols of the library others can see: those that PostgreSQL looks up.
 *
 * The build hides all others.  A symbol that is not hidden is replaced by one of the same name in
 * a library that the process loaded first, and replaces one in a library that it loads later.
 * PostgreSQL's macros mark what it looks up since 16; here they do so in 15 too.
 */
#ifndef SEATS_EXPORT_H
#define SEATS_EXPORT_H

#include "fmgr.h"

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

#endif
