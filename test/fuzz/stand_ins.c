/*
 * stand_ins.c
 *		Memory management and errors, for programs without a server.
 *
 * Each allocation is one of malloc()'s, so that the address sanitizer knows its end.  As in a
 * memory context, all that is left is freed when an input has been processed.  An error goes to the
 * nearest PG_TRY().  An error of the extension's parsers must be caught, so without a PG_TRY() it
 * is a failure.  The other functions that the parsers use are PostgreSQL's own, from its library
 * for programs.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "stand_ins.h"

void
check_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

/* The current allocations. */
static void **blocks;
static size_t block_count;
static size_t block_room;

/* The context is only compared and set. */
MemoryContext CurrentMemoryContext;

/* Remembers an allocation. */
static void *
keep(void *block)
{
	CHECK(block != NULL);
	if (block_count == block_room)
	{
		block_room = block_room * 2 + 64;
		blocks = realloc(blocks, block_room * sizeof(void *));
		CHECK(blocks != NULL);
	}
	return blocks[block_count++] = block;
}

/* Returns where an allocation is remembered.  The last ones are looked up most often. */
static void **
find(const void *block)
{
	for (size_t i = block_count; i > 0; i--)
	{
		if (blocks[i - 1] == block)
			return &blocks[i - 1];
	}
	check_failed("is allocated", __FILE__, __LINE__);
}

/* Frees all that an input has left allocated. */
void
free_all(void)
{
	for (size_t i = 0; i < block_count; i++)
		free(blocks[i]);
	block_count = 0;
}

void *
palloc(Size size)
{
	CHECK(AllocSizeIsValid(size));
	return keep(malloc(size));
}

void *
palloc0(Size size)
{
	CHECK(AllocSizeIsValid(size));
	return keep(calloc(1, size));
}

void *
repalloc(void *pointer, Size size)
{
	void **block = find(pointer);

	CHECK(AllocSizeIsValid(size));
	*block = realloc(pointer, size);
	CHECK(*block != NULL);
	return *block;
}

void
pfree(void *pointer)
{
	void **block = find(pointer);

	free(pointer);
	*block = blocks[--block_count];
}

char *
pnstrdup(const char *string, Size length)
{
	size_t copied = strnlen(string, length);
	char *copy = palloc(copied + 1);

	memcpy(copy, string, copied);
	copy[copied] = '\0';
	return copy;
}

char *
pstrdup(const char *string)
{
	return pnstrdup(string, strlen(string));
}

/* The error that is being raised, or was raised last. */
static ErrorData error;

sigjmp_buf *PG_exception_stack;
ErrorContextCallback *error_context_stack;

bool
errstart(int level, const char *domain pg_attribute_unused())
{
	CHECK(level == ERROR);
	error = (ErrorData){.elevel = level, .sqlerrcode = ERRCODE_INTERNAL_ERROR};
	return true;
}

bool
errstart_cold(int level, const char *domain)
{
	return errstart(level, domain);
}

int
errcode(int sqlstate)
{
	error.sqlerrcode = sqlstate;
	return 0;
}

/* Formats one of the texts of an error. */
static char *
format(const char *form, va_list arguments)
{
	char *text = palloc(8192);

	vsnprintf(text, 8192, form, arguments);
	return text;
}

#define ERROR_TEXT(function, field) \
	int function(const char *form, ...) \
	{ \
		va_list arguments; \
		va_start(arguments, form); \
		error.field = format(form, arguments); \
		va_end(arguments); \
		return 0; \
	}

ERROR_TEXT(errmsg, message)
ERROR_TEXT(errmsg_internal, message)
ERROR_TEXT(errdetail_internal, detail)
ERROR_TEXT(errhint, hint)

int
errhidestmt(bool hide)
{
	error.hide_stmt = hide;
	return 0;
}

void
errfinish(const char *file, int line, const char *function pg_attribute_unused())
{
	if (PG_exception_stack == NULL)
	{
		fprintf(stderr, "%s:%d: %s\n", file, line, error.message);
		check_failed("no error is raised", __FILE__, __LINE__);
	}
	siglongjmp(*PG_exception_stack, 1);
}

void
pg_re_throw(void)
{
	CHECK(PG_exception_stack != NULL);
	siglongjmp(*PG_exception_stack, 1);
}

ErrorData *
CopyErrorData(void)
{
	ErrorData *copy = palloc(sizeof(ErrorData));

	*copy = error;
	return copy;
}

/* Called if an assertion does not hold. */
#if PG_VERSION_NUM >= 160000
void
ExceptionalCondition(const char *condition, const char *file, int line)
#else
void
ExceptionalCondition(const char *condition, const char *type pg_attribute_unused(),
					 const char *file, int line)
#endif
{
	check_failed(condition, file, line);
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

Datum
DirectFunctionCall1Coll(PGFunction function, Oid collation, Datum argument)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, NULL, 1, collation, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){argument, false};
	return function(fcinfo);
}

/*
 * Reads a uuid.  The caller has checked that it is one, with hyphens in the usual places or without
 * any.
 */
Datum
uuid_in(PG_FUNCTION_ARGS)
{
	const char *string = PG_GETARG_CSTRING(0);
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));
	bool hyphens = strlen(string) == 36;

	for (int i = 0; i < UUID_LEN; i++, string += 2)
	{
		if (hyphens && (i == 4 || i == 6 || i == 8 || i == 10))
			CHECK(*string++ == '-');
		CHECK(strspn(string, "0123456789abcdefABCDEF") >= 2);
		CHECK(sscanf(string, "%2hhx", &id->data[i]) == 1);
	}
	CHECK(*string == '\0');
	return UUIDPGetDatum(id);
}
