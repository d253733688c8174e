/*
 * customer.h
 *		Finding the customers whom seats are for.
 */
#ifndef SEATS_CUSTOMER_H
#define SEATS_CUSTOMER_H

#include "utils/uuid.h"

/* How callers name one customer, other than by e-mail address. */
typedef enum CustomerIdentifierKind
{
	CUSTOMER_BY_EXTERNAL_ID,
	CUSTOMER_BY_ID
} CustomerIdentifierKind;

#define CUSTOMER_IDENTIFIER_KINDS 2

typedef struct Customer
{
	pg_uuid_t id;
	NullableDatum email; /* as the customer has it, which may differ in case */
	bool repeated;		 /* among several: an earlier one is the same */
} Customer;

extern Customer customer_find(const pg_uuid_t *organization_id, CustomerIdentifierKind kind,
							  Datum identifier);
extern Customer *customers_by_email(const pg_uuid_t *organization_id, Datum emails, int count);

#endif
