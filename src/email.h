/*
 * email.h
 *		The form of an e-mail address.  Nothing here needs a running server.
 */
#ifndef SEATS_EMAIL_H
#define SEATS_EMAIL_H

extern bool email_has_form(const char *string, size_t length, bool unicode);

#endif
