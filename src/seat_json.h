/*
 * seat_json.h
 *		Seats as JSON, with the fields that the HTTP contract's service has.
 */
#ifndef SEATS_SEAT_JSON_H
#define SEATS_SEAT_JSON_H

extern text *seat_json(Datum seat);
extern text *invitation_json(Datum invitation);
extern text *invited_seat_json(Datum invitation);
extern text *claim_json(Datum response);
extern text *list_json(Datum list);

#endif
