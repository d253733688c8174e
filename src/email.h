/*
 * email.h
 *		The form of e-mail addresses.  No function here needs a running server.
 */
#ifndef SEATS_EMAIL_H
#define SEATS_EMAIL_H

extern bool email_has_form(const char *string, size_t length, bool unicode);

#endif
