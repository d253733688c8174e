/*
 * interference.h
 *		What triggers and rules that the owner adds may do to what the extension writes.
 */
#ifndef SEATS_INTERFERENCE_H
#define SEATS_INTERFERENCE_H

extern bool table_has_interference(const char *table);
extern bool owner_has_triggers(void);
extern _Noreturn void refuse_trigger_on(const char *table);
extern void refuse_altered_row(const char *table);

#endif
