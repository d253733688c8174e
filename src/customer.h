/*
 * customer.h
 *		Finding the customer whom a seat is for.
 */
#ifndef SEATS_CUSTOMER_H
#define SEATS_CUSTOMER_H

#include "utils/uuid.h"

/* How callers name a customer. */
typedef enum CustomerIdentifierKind
{
	CUSTOMER_BY_EMAIL,
	CUSTOMER_BY_EXTERNAL_ID,
	CUSTOMER_BY_ID
} CustomerIdentifierKind;

#define CUSTOMER_IDENTIFIER_KINDS 3

typedef struct CustomerIdentifier
{
	CustomerIdentifierKind kind;
	Datum value; /* text, text or uuid */
} CustomerIdentifier;

typedef struct Customer
{
	pg_uuid_t id;
	NullableDatum email; /* as the customer has it, which may differ in case */
} Customer;

extern Customer customer_find(const pg_uuid_t *organization_id, CustomerIdentifier identifier);

#endif
