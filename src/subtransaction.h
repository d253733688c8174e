/*
 * subtransaction.h
 *		Running code whose errors are returned instead of raised.
 */
#ifndef SEATS_SUBTRANSACTION_H
#define SEATS_SUBTRANSACTION_H

extern ErrorData *subtransaction_run(void (*work)(void *state), void *state,
									 bool (*is_expected)(const ErrorData *error));

#endif
