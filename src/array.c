/*
 * array.c
 *		Arrays that statements take as arguments.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "array.h"

/*
 * Returns a uuid[] of ids that are members of structs in an array: the first one's, and how many
 * bytes it is from one to the next.
 */
NullableDatum
uuid_array(const pg_uuid_t *first, size_t stride, int count)
{
	Datum *ids = palloc(count * sizeof(Datum));
	NullableDatum result = {0};

	for (int i = 0; i < count; i++)
		ids[i] = UUIDPGetDatum((const pg_uuid_t *) ((const char *) first + i * stride));
	result.value = PointerGetDatum(
		construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	pfree(ids);
	return result;
}

/* Returns an array of values, some of which may be null, of a type of varying length. */
NullableDatum
datum_array(const NullableDatum *values, int count, Oid type)
{
	ArrayBuildState *array = initArrayResult(type, CurrentMemoryContext, false);
	NullableDatum result = {0};

	for (int i = 0; i < count; i++)
		accumArrayResult(array, values[i].value, values[i].isnull, type, CurrentMemoryContext);
	result.value = makeArrayResult(array, CurrentMemoryContext);
	return result;
}
