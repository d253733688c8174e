/*
 * input.c
 *		Checks of arguments, which raise PT422 with a JSON array of all faults as DETAIL.
 *
 * Neither the error nor, as in errors.c, the log contains a value that the caller passed; only the
 * names of arguments are reported.  Messages and types are those of pydantic, which the HTTP
 * contract's service uses.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "counters.h"
#include "email.h"
#include "errors.h"
#include "input.h"
#include "jwt.h"
#include "token.h"

#define MAX_CHARACTERS 255		 /* of an opaque token or an idempotency key */
#define MAX_EMAIL_CHARACTERS 320 /* 64 of local part, "@", 255 of domain: RFC 5321 */
#define MAX_METADATA_KEYS 10
#define MAX_METADATA_BYTES 1024 /* as text */

/*
 * Starts an empty list of faults, in the body of the request unless the caller sets another place.
 * Prepares the counters, because errors may be raised from here on.
 */
void
faults_start(Faults *faults)
{
	counters_prepare();
	faults->place = "body";
	faults->has_email = false;
	initStringInfo(&faults->list);
}

/*
 * Adds a ValidationError for an argument, or for all of them if the argument is NULL.  If the index
 * is not negative, it is for that element of the argument, counted from 0 as in JSON.  The strings
 * need no escapes in JSON.
 */
void
fault_add_at(Faults *faults, const char *argument, int index, const char *message,
			 const char *type)
{
	if (faults->list.len > 0)
		appendStringInfoString(&faults->list, ", ");
	appendStringInfo(&faults->list, "{\"loc\": [\"%s\"", faults->place);
	if (argument != NULL)
		appendStringInfo(&faults->list, ", \"%s\"", argument);
	if (index >= 0)
		appendStringInfo(&faults->list, ", %d", index);
	appendStringInfo(&faults->list, "], \"msg\": \"%s\", \"type\": \"%s\"}", message, type);
}

/* Adds a ValidationError for an argument, or for all of them if it is NULL. */
void
fault_add(Faults *faults, const char *argument, const char *message, const char *type)
{
	fault_add_at(faults, argument, -1, message, type);
}

/* Raises PT422 if there are any faults. */
void
faults_raise(const Faults *faults)
{
	if (faults->list.len == 0)
		return;
	raise_validation_error(psprintf("[%s]", faults->list.data), faults->has_email);
}

/* Returns the number of characters in a text, in the database's encoding. */
static int
text_characters(const text *value)
{
	return pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

/* Adds a fault if a text has more characters than a limit. */
static void
check_characters(Faults *faults, const text *value, const char *name, int most)
{
	/* A text has no more characters than bytes, and the number of bytes is known. */
	if (VARSIZE_ANY_EXHDR(value) > (size_t) most && text_characters(value) > most)
		fault_add(faults, name, psprintf("String should have at most %d characters", most),
				  "string_too_long");
}

/* Adds a fault if a token or key is too long. */
void
check_length(Faults *faults, const text *value, const char *name)
{
	check_characters(faults, value, name, MAX_CHARACTERS);
}

/* Tells whether a string is a uuid in its usual form, so that uuid_in() raises no error. */
bool
is_uuid(const char *string)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < lengthof(form) - 1; i++)
	{
		if (form[i] == '-' ? string[i] != '-' : !isxdigit((unsigned char) string[i]))
			return false;
	}
	return string[lengthof(form) - 1] == '\0';
}

/* Adds a fault if a token is empty or has more characters than a limit. */
static void
check_token_length(Faults *faults, const text *token, const char *name, int limit)
{
	if (VARSIZE_ANY_EXHDR(token) == 0)
		fault_add(faults, name, "String should have at least 1 character", "string_too_short");
	check_characters(faults, token, name, limit);
}

/* Adds a fault if a token is empty or too long.  Its form is checked later. */
void
check_token_text(Faults *faults, const text *token, const char *name)
{
	check_token_length(faults, token, name, MAX_CHARACTERS);
}

/* Returns a token argument; adds a fault if it is null. */
static const text *
check_given(FunctionCallInfo fcinfo, int argno, Faults *faults, const char *name)
{
	if (!PG_ARGISNULL(argno))
		return PG_GETARG_TEXT_PP(argno);
	fault_add(faults, name, "Input should be a valid string", "string_type");
	return NULL;
}

/* Returns a token argument; adds a fault if it is null, empty or too long. */
const text *
check_token(FunctionCallInfo fcinfo, int argno, Faults *faults, const char *name)
{
	const text *token = check_given(fcinfo, argno, faults, name);

	if (token != NULL)
		check_token_text(faults, token, name);
	return token;
}

/*
 * Returns how many characters a session token may have.  A token that looks like a JWT may have
 * more, even with a space or bracket pasted in front of it.
 */
static int
session_token_limit(const text *token)
{
	const char *start = VARDATA_ANY(token);
	const char *end = start + VARSIZE_ANY_EXHDR(token);

	while (start < end && !token_may_have(*start))
		start++;
	return jwt_looks_like_one(start, end - start) ? JWT_MAX_LENGTH : MAX_CHARACTERS;
}

/*
 * Returns the one argument of a function, a customer session's token in either format; raises PT422
 * if it is null, empty or too long.  A JWT may be longer than an opaque token.
 */
const text *
session_token_argument(FunctionCallInfo fcinfo)
{
	static const char name[] = "customer_session_token";
	const text *token;
	Faults faults;

	faults_start(&faults);
	token = check_given(fcinfo, 0, &faults, name);
	if (token != NULL)
		check_token_length(&faults, token, name, session_token_limit(token));
	faults_raise(&faults);
	return token;
}

/*
 * Returns the one argument of a function, a token; raises PT422 if it is null, empty or too long.
 */
const text *
token_argument(FunctionCallInfo fcinfo, const char *name)
{
	const text *token;
	Faults faults;

	faults_start(&faults);
	token = check_token(fcinfo, 0, &faults, name);
	faults_raise(&faults);
	return token;
}

/* Returns an id argument; raises PT422 if it is null. */
const pg_uuid_t *
id_argument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	counters_prepare();
	if (PG_ARGISNULL(argno))
	{
		Faults faults;

		faults_start(&faults);
		fault_add(&faults, name, "UUID input should be a string, bytes or UUID object",
				  "uuid_type");
		faults_raise(&faults);
	}
	return PG_GETARG_UUID_P(argno);
}

/* Returns the purchase that is named by two ids, one of which is null. */
PurchaseId
named_purchase(NullableDatum subscription_id, NullableDatum order_id)
{
	bool order = subscription_id.isnull;
	NullableDatum id = order ? order_id : subscription_id;
	PurchaseId purchase = {.kind = order ? PURCHASE_ORDER : PURCHASE_SUBSCRIPTION};

	if (!id.isnull)
		purchase.id = *DatumGetUUIDP(id.value);
	return purchase;
}

/* Adds a fault unless exactly one of subscription and order is named. */
void
check_one_purchase(Faults *faults, bool subscription, bool order)
{
	if (subscription == order)
		fault_add(faults, "subscription_id",
				  "Value error, exactly one of subscription_id and order_id is required",
				  "value_error");
}

/*
 * Returns the purchase that the first two arguments name, the ids of a subscription and an order;
 * adds a fault unless exactly one of them is given.
 */
PurchaseId
purchase_argument(FunctionCallInfo fcinfo, Faults *faults)
{
	check_one_purchase(faults, !PG_ARGISNULL(0), !PG_ARGISNULL(1));
	return named_purchase(fcinfo->args[0], fcinfo->args[1]);
}

/* Adds a fault unless there is exactly one identifier of a customer. */
void
check_one_customer(Faults *faults, int identifiers)
{
	if (identifiers != 1)
		fault_add(faults, "email",
				  "Value error, exactly one of email, external_customer_id and customer_id "
				  "is required",
				  "value_error");
}

/*
 * Converts a string to UTF-8 by a conversion from the database's encoding.  A character that
 * Unicode lacks becomes a question mark, which is allowed in an address.
 */
static char *
convert_to_utf8(Oid conversion, char *string)
{
	int length = (int) strlen(string);
	int room = (length + 1) * MAX_CONVERSION_GROWTH + 1;
	char *result = palloc(room);
	char *end = result;

	while (length > 0)
	{
		int converted = pg_do_encoding_conversion_buf(
			conversion, GetDatabaseEncoding(), PG_UTF8, (unsigned char *) string, length,
			(unsigned char *) end, room - (int) (end - result), true);

		end += strlen(end);
		string += converted;
		length -= converted;
		if (length > 0)
		{
			int width = pg_mblen(string);

			*end++ = '?';
			string += width;
			length -= width;
		}
	}
	*end = '\0';
	return result;
}

/* Tells whether a text has the form of an e-mail address. */
static bool
is_email(const text *email)
{
	int encoding = GetDatabaseEncoding();
	bool unicode = encoding == PG_UTF8;
	char *string = text_to_cstring(email);

	if (!unicode)
	{
		Oid conversion = FindDefaultConversionProc(encoding, PG_UTF8);

		/* SQL_ASCII and MULE_INTERNAL have none. */
		unicode = OidIsValid(conversion);
		if (unicode)
			string = convert_to_utf8(conversion, string);
	}
	return email_has_form(string, strlen(string), unicode);
}

/* Tells whether a text can be the domain of an e-mail address. */
bool
is_domain(const text *domain)
{
	char *string = text_to_cstring(domain);
	text *email = cstring_to_text(psprintf("x@%s", string));

	return text_characters(email) <= MAX_EMAIL_CHARACTERS && is_email(email);
}

/*
 * Adds a fault if an e-mail address, or this element of an array of them, is malformed or too long.
 */
void
check_email_at(Faults *faults, const text *email, const char *name, int index)
{
	if (text_characters(email) <= MAX_EMAIL_CHARACTERS && is_email(email))
		return;
	fault_add_at(faults, name, index, "value is not a valid email address", "value_error");
	faults->has_email = true;
}

/* Adds a fault if an e-mail address is malformed or too long. */
void
check_email(Faults *faults, const text *email, const char *name)
{
	check_email_at(faults, email, name, -1);
}

/*
 * Returns the elements of an array, and how many there are; NULL if it is null, or if it has
 * several dimensions, which is a fault.
 */
NullableDatum *
array_elements(NullableDatum array, const char *name, Oid type, int *count, Faults *faults)
{
	int16 length;
	bool by_value;
	char alignment;
	Datum *elements;
	bool *nulls;
	NullableDatum *result;

	if (array.isnull)
		return NULL;
	if (ARR_NDIM(DatumGetArrayTypeP(array.value)) > 1)
	{
		fault_add(faults, name, "Input should be a valid list", "list_type");
		return NULL;
	}
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	deconstruct_array(DatumGetArrayTypeP(array.value), type, length, by_value, alignment,
					  &elements, &nulls, count);
	result = palloc(*count * sizeof(NullableDatum));
	for (int i = 0; i < *count; i++)
		result[i] = (NullableDatum){elements[i], nulls[i]};
	return result;
}

/*
 * Returns the number of addresses in an argument of type text[].  Adds a fault for each address
 * that is null, malformed or too long, or a single one if the argument is null or has several
 * dimensions.
 */
int
check_emails(Faults *faults, NullableDatum emails, const char *name)
{
	int count = 0;
	NullableDatum *elements = array_elements(emails, name, TEXTOID, &count, faults);

	if (emails.isnull)
		fault_add(faults, name, "Input should be a valid list", "list_type");
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (elements[i].isnull)
			fault_add_at(faults, name, i, "Input should be a valid string", "string_type");
		else
			check_email_at(faults, DatumGetTextPP(elements[i].value), name, i);
	}
	return count;
}

/*
 * Adds a fault if metadata is not an object, has more than 10 keys or is longer than 1 KB as text.
 */
void
check_metadata(Faults *faults, Jsonb *metadata, const char *name)
{
	if (!JB_ROOT_IS_OBJECT(metadata))
		fault_add(faults, name, "Input should be a valid dictionary", "dict_type");
	else if (JB_ROOT_COUNT(metadata) > MAX_METADATA_KEYS)
		fault_add(faults, name, "Dictionary should have at most 10 items", "too_long");
	else
	{
		char *json = JsonbToCString(NULL, &metadata->root, VARSIZE(metadata));

		if (strlen(json) > MAX_METADATA_BYTES)
			fault_add(faults, name, "Value error, metadata should have at most 1 KB",
					  "value_error");
		pfree(json);
	}
}
