/*
 * customer.h
 *		Customers: finding and making those who get seats, their addresses, and erasing them.
 */
#ifndef SEATS_CUSTOMER_H
#define SEATS_CUSTOMER_H

#include "utils/uuid.h"

/*
 * Two addresses are the same if they differ only in the case of ASCII letters, whatever the
 * database's locale or the column's collation.  The index customers_email_key has the expression.
 */
#define LOWER(email) "pg_catalog.lower(" email " COLLATE pg_catalog.\"C\")"

/* Of a row called a that was given, and of a customer called c. */
#define LOWER_GIVEN LOWER("a.email")
#define LOWER_STORED LOWER("c.email")

/* A customer who gets a seat. */
typedef struct Customer
{
	pg_uuid_t id;
	NullableDatum email;  /* as in the customer's row, which may differ in case */
	bool repeated;		  /* an earlier one of several is the same */
	const char *argument; /* that named it, if there are several */
} Customer;

/* How callers identify one customer, other than by e-mail address. */
typedef enum CustomerIdentifierKind
{
	CUSTOMER_BY_EXTERNAL_ID,
	CUSTOMER_BY_ID
} CustomerIdentifierKind;

extern _Noreturn void customer_refuse_missing(void);
extern bool customer_exists(const pg_uuid_t *id);
extern Customer customer_by_identifier(const pg_uuid_t *organization_id,
									   CustomerIdentifierKind kind, Datum identifier);
extern Customer customer_by_email(const pg_uuid_t *organization_id, NullableDatum email);
extern Customer *customers_by_email(const pg_uuid_t *organization_id, Datum emails, int count);
extern void customers_update_seats(Datum ids);

#endif
