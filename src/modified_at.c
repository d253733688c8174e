/*
 * modified_at.c
 *		Keeps modified_at of the rows that the application writes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "modified_at.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_keep_modified_at);

/* Tells whether two versions of a row hold the same, byte for byte. */
static bool
is_same_row(HeapTuple old, HeapTuple new)
{
	return old->t_len == new->t_len &&
		old->t_data->t_hoff == new->t_data->t_hoff &&HeapTupleHeaderGetNatts(old->t_data) ==
		HeapTupleHeaderGetNatts(new->t_data) &&
		memcmp((char *) old->t_data + SizeofHeapTupleHeader,
			   (char *) new->t_data + SizeofHeapTupleHeader,
			   old->t_len - SizeofHeapTupleHeader) == 0;
}

/*
 * Returns the new row of an UPDATE with modified_at set to the clock, or as it is where the
 * update changes nothing.
 */
HeapTuple
set_modified_at(const TriggerData *trigger)
{
	TupleDesc columns = RelationGetDescr(trigger->tg_relation);
	int number = SPI_fnumber(columns, "modified_at");
	Datum now = TimestampTzGetDatum(GetCurrentTimestamp());
	bool isnull = false;

	if (is_same_row(trigger->tg_trigtuple, trigger->tg_newtuple))
		return trigger->tg_newtuple;
	return heap_modify_tuple_by_cols(trigger->tg_newtuple, columns, 1, &number, &now, &isnull);
}

/*
 * Trigger before UPDATE of a row that the application keeps: sets modified_at.  Locks nothing.
 */
Datum
seats_keep_modified_at(PG_FUNCTION_ARGS)
{
	return PointerGetDatum(set_modified_at(trigger_data(fcinfo)));
}
