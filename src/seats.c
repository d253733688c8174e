/*
 * seats.c
 *		The library's entry point.
 */
#include "postgres.h"

#include "counters.h"
#include "export.h"
#include "extension.h"
#include "planner.h"
#include "settings.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "seats", .version = SEATS_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);

/* Declares the settings, and begins to count and to plan, when the library is loaded. */
void
_PG_init(void)
{
	settings_define();
	counters_define();
	planner_define();
}
