/*
 * input.h
 *		Checks of arguments, and the error that lists all faults in them.
 */
#ifndef SEATS_INPUT_H
#define SEATS_INPUT_H

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "purchase.h"

/* The faults found so far in the arguments of one call. */
typedef struct Faults
{
	const char *place;	 /* of the arguments: the first word of each "loc" */
	StringInfoData list; /* ValidationError objects, separated by commas; may be empty */
	bool has_email;		 /* one of them is a malformed e-mail address */
} Faults;

extern void faults_start(Faults *faults);
extern void fault_add(Faults *faults, const char *argument, const char *message,
					  const char *type);
extern void fault_add_at(Faults *faults, const char *argument, int index, const char *message,
						 const char *type);
extern void faults_raise(const Faults *faults);

extern bool is_uuid(const char *string);
extern const text *check_token(FunctionCallInfo fcinfo, int argno, Faults *faults,
							   const char *name);
extern void check_token_text(Faults *faults, const text *token, const char *name);
extern const text *token_argument(FunctionCallInfo fcinfo, const char *name);
extern const text *session_token_argument(FunctionCallInfo fcinfo);
extern const pg_uuid_t *id_argument(FunctionCallInfo fcinfo, int argno, const char *name);
extern PurchaseId purchase_argument(FunctionCallInfo fcinfo, Faults *faults);
extern PurchaseId named_purchase(NullableDatum subscription_id, NullableDatum order_id);
extern void check_one_purchase(Faults *faults, bool subscription, bool order);
extern void check_one_customer(Faults *faults, int identifiers);
extern void check_length(Faults *faults, const text *value, const char *name);
extern void check_email(Faults *faults, const text *email, const char *name);
extern void check_email_at(Faults *faults, const text *email, const char *name, int index);
extern int check_emails(Faults *faults, NullableDatum emails, const char *name);
extern NullableDatum *array_elements(NullableDatum array, const char *name, Oid type,
									 int *count, Faults *faults);
extern bool is_domain(const text *domain);
extern void check_metadata(Faults *faults, Jsonb *metadata, const char *name);

#endif
