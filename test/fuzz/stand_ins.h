/*
 * stand_ins.h
 *		What the parsers need of a server, for programs without one.
 */
#ifndef SEATS_STAND_INS_H
#define SEATS_STAND_INS_H

#include <stdint.h>

/* Prints the condition if it does not hold, and aborts, so that libFuzzer keeps the input. */
#define CHECK(condition) \
	((condition) ? (void) 0 : check_failed(#condition, __FILE__, __LINE__))

extern _Noreturn void check_failed(const char *condition, const char *file, int line);
extern void free_all(void);

/* Called by libFuzzer. */
extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
