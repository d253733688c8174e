/*
 * errors.h
 *		The errors that callers see.
 */
#ifndef SEATS_ERRORS_H
#define SEATS_ERRORS_H

typedef enum SeatsError
{
	INVITATION_INVALID,
	INVITATION_EXPIRED,
	SEAT_ALREADY_CLAIMED,
	SEAT_REVOKED,
	NO_AVAILABLE_SEATS,
	SEAT_ALREADY_ASSIGNED,
	SEAT_NOT_PENDING,
	SUBSCRIPTION_NOT_ACTIVE,
	ORDER_NOT_PAID,
	SEAT_SUSPENDED,
	SEAT_NOT_CLAIMED,
	JOIN_LINK_INVALID,
	JOIN_LINK_EXPIRED,
	JOIN_LINK_EXHAUSTED,
	EMAIL_DOMAIN_NOT_ALLOWED,
	SESSION_INVALID,
	SESSION_EXPIRED,
	SEAT_BASED_PRICING_NOT_ENABLED,
	SUBSCRIPTION_NOT_FOUND,
	ORDER_NOT_FOUND,
	CUSTOMER_NOT_FOUND,
	SEAT_NOT_FOUND,
	JOIN_LINK_NOT_FOUND,
	VALIDATION_ERROR /* faults in arguments; see input.c */
} SeatsError;

extern _Noreturn void raise_error(SeatsError error);
extern _Noreturn void raise_suspended_claim(void);
extern const char *error_service_name(const ErrorData *error);
extern _Noreturn void raise_error_with_hint(SeatsError error, const char *hint);
extern _Noreturn void raise_validation_error(const char *faults, bool has_email);
extern _Noreturn void raise_serialization_failure(void);
extern const char *error_reason(SeatsError error);

#endif
