/*
 * token.h
 *		Tokens and routes: reading a caller's token, issuing a new one.
 */
#ifndef SEATS_TOKEN_H
#define SEATS_TOKEN_H

#include "errors.h"
#include "token_format.h"
#include "utils/uuid.h"

extern _Noreturn void token_refuse(SeatsError error, const text *token);
extern bool token_read(const text *token, TokenKind kind, uint32 *route, bytea **hash);
extern bytea *token_hash_with(const text *token, const text *key);
extern text *token_issue(TokenKind kind, uint32 route, MemoryContext context, bytea **hash);
extern uint32 organization_route(const pg_uuid_t *organization_id);

#endif
