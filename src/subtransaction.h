/*
 * subtransaction.h
 *		Running code that may be rolled back.
 */
#ifndef SEATS_SUBTRANSACTION_H
#define SEATS_SUBTRANSACTION_H

extern bool subtransaction_try(bool (*work)(void *state), void *state,
							   bool (*is_expected)(const ErrorData *error, const void *state));
extern ErrorData *subtransaction_run(void (*work)(void *state), void *state,
									 bool (*is_expected)(const ErrorData *error));

#endif
