/*
 * errors.c
 *		The errors that callers see.
 *
 * Each error is counted when it is raised.  SQLSTATE is "PT" and the HTTP status.  MESSAGE becomes
 * the HTTP status line, so it is a constant of printable ASCII and contains nothing from the
 * caller.  DETAIL is the reason word that programs compare, or the list of all faults in the
 * arguments.  HINT tells a person what to do.  PostgreSQL logs the statement with an error, but a
 * token may be written in the statement, so it is left out of the log.
 */
#include "postgres.h"

#include "counters.h"
#include "errors.h"

#define STATUS(hundreds, tens, ones) MAKE_SQLSTATE('P', 'T', hundreds, tens, ones)
#define BAD_REQUEST STATUS('4', '0', '0')
#define UNAUTHORIZED STATUS('4', '0', '1')
#define FORBIDDEN STATUS('4', '0', '3')
#define MISSING STATUS('4', '0', '4')
#define UNPROCESSABLE STATUS('4', '2', '2')

/* One message for all, so that a caller who guesses tokens learns no more from the status line. */
#define CANNOT_CLAIM "Invalid, expired, or already claimed token"

/* Names that the HTTP contract's service has for several errors. */
#define INVALID_TOKEN "InvalidInvitationToken"
#define NOT_AVAILABLE "SeatNotAvailable"
#define NOT_FOUND "ResourceNotFound"

static const struct
{
	int sqlstate;
	const char *message;
	const char *reason;
	const char *hint;
	const char *service_name; /* in the HTTP contract's service, or NULL if it has none */
} errors[] = {
	[INVITATION_INVALID] = {BAD_REQUEST, CANNOT_CLAIM, "invitation_invalid",
							"Copy the whole token from the latest invitation, or ask for a "
							"new invitation.",
							INVALID_TOKEN},
	[INVITATION_EXPIRED] = {BAD_REQUEST, CANNOT_CLAIM, "invitation_expired",
							"Ask whoever invited you to send the invitation again.",
							INVALID_TOKEN},
	[SEAT_ALREADY_CLAIMED] = {BAD_REQUEST, CANNOT_CLAIM, "seat_already_claimed",
							  "Sign in. This invitation has already been used to claim the "
							  "seat.",
							  INVALID_TOKEN},
	[SEAT_REVOKED] = {BAD_REQUEST, CANNOT_CLAIM, "seat_revoked",
					  "Ask whoever invited you for a new seat.", INVALID_TOKEN},
	[NO_AVAILABLE_SEATS] = {BAD_REQUEST, "No available seats", "no_available_seats",
							"Buy more seats, or revoke a seat first.", NOT_AVAILABLE},
	[SEAT_ALREADY_ASSIGNED] = {BAD_REQUEST, "Seat already assigned to this customer",
							   "seat_already_assigned",
							   "The customer already has a seat of this subscription or "
							   "order.",
							   "SeatAlreadyAssigned"},
	[SEAT_NOT_PENDING] =
		{BAD_REQUEST, "Seat not pending", "seat_not_pending",
		 "A claimed seat needs no invitation. To replace a revoked seat, assign "
		 "a new one.",
		 "SeatNotPending"},
	[SUBSCRIPTION_NOT_ACTIVE] =
		{BAD_REQUEST, "Subscription not active", "subscription_not_active",
		 "Renew the subscription first. Seats can be assigned while it is "
		 "trialing, active or past_due.",
		 NOT_AVAILABLE},
	[ORDER_NOT_PAID] = {BAD_REQUEST, "Order not paid", "order_not_paid",
						"Have the order paid first. Seats can be assigned while it is paid or "
						"partially_refunded.",
						NOT_AVAILABLE},
	/* A claim raises it with the message of all claims, and the service names it as all of them. */
	[SEAT_SUSPENDED] =
		{BAD_REQUEST, "Seat suspended", "seat_suspended",
		 "The subscription is paused or unpaid. The seat can be used again once the "
		 "subscription is active.",
		 NOT_AVAILABLE},
	[SEAT_NOT_CLAIMED] = {BAD_REQUEST, "Seat not claimed", "seat_not_claimed",
						  "Only the holder of a claimed seat can sign in. Have the "
						  "invitation claimed first.",
						  NULL},
	[JOIN_LINK_INVALID] = {BAD_REQUEST, "Invalid join link", "join_link_invalid",
						   "Copy the whole link, or ask whoever sent it for a new one.",
						   INVALID_TOKEN},
	[JOIN_LINK_EXPIRED] = {BAD_REQUEST, "Join link expired", "join_link_expired",
						   "Ask whoever sent the link for a new one.", INVALID_TOKEN},
	[JOIN_LINK_EXHAUSTED] =
		{BAD_REQUEST, "Join link exhausted", "join_link_exhausted",
		 "The link was used as often as it may be. Ask whoever sent it for "
		 "a new one.",
		 NOT_AVAILABLE},
	[EMAIL_DOMAIN_NOT_ALLOWED] = {BAD_REQUEST, "E-mail domain not allowed",
								  "email_domain_not_allowed",
								  "Use an e-mail address of one of the link's domains.",
								  NOT_AVAILABLE},
	[SESSION_INVALID] = {UNAUTHORIZED, "Invalid or expired session token", "session_invalid",
						 "Sign in again.", NULL},
	[SESSION_EXPIRED] = {UNAUTHORIZED, "Invalid or expired session token", "session_expired",
						 "Sign in again.", NULL},
	[SEAT_BASED_PRICING_NOT_ENABLED] =
		{FORBIDDEN, "Seat-based pricing not enabled for organization",
		 "seat_based_pricing_not_enabled",
		 "Set the organization's seat_based_pricing_enabled to true.", "FeatureNotEnabled"},
	[SUBSCRIPTION_NOT_FOUND] = {MISSING, "Subscription not found", "subscription_not_found",
								"Check the id of the subscription. Pass the id of an order "
								"as order_id.",
								NOT_FOUND},
	[ORDER_NOT_FOUND] = {MISSING, "Order not found", "order_not_found",
						 "Check the id of the order. Pass the id of a subscription as "
						 "subscription_id.",
						 NOT_FOUND},
	[CUSTOMER_NOT_FOUND] = {MISSING, "Customer not found", "customer_not_found",
							"Pass a customer of the organization that sells the seats, or an "
							"e-mail address to create one.",
							"CustomerNotFound"},
	[SEAT_NOT_FOUND] = {MISSING, "Seat not found", "seat_not_found",
						"Check the id of the seat. list_seats() returns the seats of a "
						"subscription or order.",
						NOT_FOUND},
	[JOIN_LINK_NOT_FOUND] = {MISSING, "Join link not found", "join_link_not_found",
							 "Check the id of the link. list_join_links() returns the links "
							 "of a subscription or order.",
							 NOT_FOUND},
	[VALIDATION_ERROR] = {UNPROCESSABLE, "Validation Error", "validation_error",
						  "Correct the arguments that the detail names.", NULL},
};

StaticAssertDecl(lengthof(errors) == COUNTED_ERRORS,
				 "counters.h has a counter for each error");

/* Counts an error and raises it with this message, detail and hint; does not return. */
static _Noreturn void
count_and_raise(SeatsError error, const char *message, const char *detail, const char *hint)
{
	counters_add_error(error);
	ereport(ERROR,
			(errcode(errors[error].sqlstate),
			 errmsg_internal("%s", message),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint),
			 errhidestmt(true)));
}

/* Raises an error with a hint of the caller's choice; does not return. */
void
raise_error_with_hint(SeatsError error, const char *hint)
{
	count_and_raise(error, errors[error].message, errors[error].reason, hint);
}

/* Raises seat_suspended for a claim; does not return. */
void
raise_suspended_claim(void)
{
	count_and_raise(SEAT_SUSPENDED, CANNOT_CLAIM, errors[SEAT_SUSPENDED].reason,
					errors[SEAT_SUSPENDED].hint);
}

/*
 * Raises PT422 with faults, a JSON array; does not return.  A malformed e-mail address may look
 * right, so the hint says what to look for in one.
 */
void
raise_validation_error(const char *faults, bool has_email)
{
	count_and_raise(
		VALIDATION_ERROR, errors[VALIDATION_ERROR].message, faults,
		has_email ? "Correct the arguments that the detail names. An e-mail address must "
					"not contain spaces, invisible characters, quotes or brackets."
				  : errors[VALIDATION_ERROR].hint);
}

/* Returns the reason word of an error, which programs compare. */
const char *
error_reason(SeatsError error)
{
	return errors[error].reason;
}

/* Raises an error; does not return. */
void
raise_error(SeatsError error)
{
	raise_error_with_hint(error, errors[error].hint);
}

/* Raises 40001, as PostgreSQL does for a row that the transaction cannot see; does not return. */
void
raise_serialization_failure(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update")));
}

/*
 * Returns the name that the HTTP contract's service has for an error that was caught, or NULL if it
 * has none or raise_error() did not raise the error.  The SQLSTATE does not suffice, because a
 * trigger of the owner may raise any.
 */
const char *
error_service_name(const ErrorData *error)
{
	for (size_t i = 0; i < lengthof(errors) && error->detail != NULL; i++)
	{
		if (error->sqlerrcode != errors[i].sqlstate ||
			strcmp(error->detail, errors[i].reason) != 0)
			continue;
		return strcmp(error->message, CANNOT_CLAIM) == 0 ? INVALID_TOKEN
														 : errors[i].service_name;
	}
	return NULL;
}
