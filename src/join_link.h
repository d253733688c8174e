/*
 * join_link.h
 *		Join links: what they are for, and whether they can be used.
 */
#ifndef SEATS_JOIN_LINK_H
#define SEATS_JOIN_LINK_H

#include "access/tupdesc.h"

#include "input.h"
#include "purchase.h"

/* The arguments of create_join_link(), checked. */
typedef struct JoinLinkTerms
{
	PurchaseId purchase;
	NullableDatum max_uses;		 /* integer, or null */
	Datum expires_in;			 /* interval */
	NullableDatum email_domains; /* text[], or null */
	const pg_uuid_t *payer; /* who must pay for the purchase, or NULL for the application */
} JoinLinkTerms;

/* A join link that was found by its token. */
typedef struct JoinLink
{
	pg_uuid_t id;
	PurchaseId purchase;
	NullableDatum email_domains; /* text[], or null */
	NullableDatum max_uses;		 /* integer, or null */
	int32 uses;
	TimestampTz expires_at;
	bool revoked;
} JoinLink;

extern bool join_link_find(const bytea *hash, bool lock, JoinLink *link);
extern bool join_link_has_uses(const JoinLink *link);
extern void join_link_check(const JoinLink *link, const text *email);
extern void join_link_use(const JoinLink *link);

extern void join_link_check_terms(NullableDatum max_uses, NullableDatum expires_in,
								  NullableDatum email_domains, Faults *faults);
extern Datum create_join_link_operation(TupleDesc type, const JoinLinkTerms *terms);
extern int list_join_links_operation(PurchaseId purchase, const pg_uuid_t *payer, Oid type,
									 Datum **links);
extern Datum revoke_join_link_operation(TupleDesc type, const pg_uuid_t *id,
										const pg_uuid_t *payer);

#endif
