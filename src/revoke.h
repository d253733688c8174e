/*
 * revoke.h
 *		Revoking seats that are locked.
 */
#ifndef SEATS_REVOKE_H
#define SEATS_REVOKE_H

#include "fmgr.h"

#include "kept_plan.h"

/* What a statement that locks seats to be revoked gives: the ids of each. */
#define REVOCABLE_COLUMNS "s.id, s.organization_id, s.customer_id"

extern int revoke_found(KeptPlan *lock, const NullableDatum *arguments);

#endif
