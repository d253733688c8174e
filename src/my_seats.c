/*
 * my_seats.c
 *		Which customer a request comes from, for row security and the view seats.my_seats.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"
#include "utils/uuid.h"

#include "arguments.h"
#include "export.h"
#include "request.h"

PG_FUNCTION_INFO_V1(seats_current_customer_id);

/*
 * current_customer_id(): the customer that the JWT of PostgREST's request names as its subject,
 * or null where there is none.  Reads no table, and raises no error, which would quote the claim.
 */
Datum
seats_current_customer_id(PG_FUNCTION_ARGS)
{
	static const char *const claims[] = {"sub"};
	char *subject;

	request_read_claims(claims, &subject, lengthof(claims));
	if (subject == NULL || !is_uuid(subject))
		PG_RETURN_NULL();
	return DirectFunctionCall1(uuid_in, CStringGetDatum(subject));
}
