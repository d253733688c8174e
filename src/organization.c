/*
 * organization.c
 *		What an organization may do, as it is once the caller has locked what it wants to change.
 *
 * This takes a statement of its own.  Where the one that locks a row waits, PostgreSQL looks again
 * at that row alone, and would have an organization joined to it as it was before the wait.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "direct_access.h"
#include "errors.h"
#include "kept_plan.h"
#include "organization.h"
#include "row.h"

static KeptPlan read_organization = {
	.sql = "SELECT seat_based_pricing_enabled, invitation_ttl "
		   "FROM seats.organizations WHERE id" EQ "$1",
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/*
 * Tells whether the organization may use seats, as the active snapshot shows it; false also
 * where this cannot be told past the executor.  Locks nothing.
 */
bool
organization_is_allowed_directly(const pg_uuid_t *id)
{
	static const int column = ORGANIZATION_PRICING_ENABLED;
	NullableDatum key = {UUIDPGetDatum(id), false};
	NullableDatum enabled;

	return direct_read(&direct_organizations, key, &column, &enabled, 1) == DIRECT_FOUND &&
		!enabled.isnull && DatumGetBool(enabled.value);
}

/*
 * Raises PT403 unless the organization may use seats.  Returns how long its own invitations live,
 * null where the setting says it.  Inside SPI_connect() and SPI_finish(), where the result lives.
 * Locks nothing.
 */
NullableDatum
organization_allowed(const pg_uuid_t *id)
{
	NullableDatum arguments[] = {{UUIDPGetDatum(id), false}};

	if (kept_plan_execute(&read_organization, arguments) == 0 ||
		!DatumGetBool(row_required(1)))
		raise_error(SEAT_BASED_PRICING_NOT_ENABLED);
	return row_value(2);
}
