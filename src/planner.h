/*
 * planner.h
 *		The plans of the extension's own statements.
 */
#ifndef SEATS_PLANNER_H
#define SEATS_PLANNER_H

extern void planner_define(void);
extern const char *planner_expect(const char *sql);

#endif
