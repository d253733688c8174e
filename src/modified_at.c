/*
 * modified_at.c
 *		Keeps modified_at of the rows that the application writes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/timestamp.h"

#include "export.h"
#include "modified_at.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(seats_keep_modified_at);

/* Tells whether two versions of a row hold the same, byte for byte. */
static bool
is_same_row(HeapTuple old, HeapTuple new)
{
	HeapTupleHeader before = old->t_data;
	HeapTupleHeader after = new->t_data;

	if (old->t_len != new->t_len || before->t_hoff != after->t_hoff)
		return false;
	if (HeapTupleHeaderGetNatts(before) != HeapTupleHeaderGetNatts(after))
		return false;
	return memcmp((char *) before + SizeofHeapTupleHeader,
				  (char *) after + SizeofHeapTupleHeader,
				  old->t_len - SizeofHeapTupleHeader) == 0;
}

/*
 * Returns the new row of an UPDATE with modified_at set to the clock, or as it is where the
 * update changes nothing.
 */
HeapTuple
set_modified_at(const TriggerData *trigger)
{
	if (is_same_row(trigger->tg_trigtuple, trigger->tg_newtuple))
		return trigger->tg_newtuple;
	return row_with(trigger->tg_relation, trigger->tg_newtuple, "modified_at",
					TimestampTzGetDatum(GetCurrentTimestamp()));
}

/*
 * Trigger before UPDATE of a row that the application keeps: sets modified_at.  Locks nothing.
 */
Datum
seats_keep_modified_at(PG_FUNCTION_ARGS)
{
	return PointerGetDatum(set_modified_at(row_trigger_data(fcinfo, false)));
}
