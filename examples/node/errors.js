// Errors as the HTTP contract's service answers them, with a status and a body.
export const failure = (status, answer, headers) => Object.assign(new Error(), { status, answer, headers });
export const invalid = (...detail) => failure(422, { detail });
export const notJson = { loc: ['body'], msg: 'JSON decode error', type: 'json_invalid' };
// The service's names for the database's errors: by reason, else by message, else by SQLSTATE. A claim of a suspended
// seat has the message of all claims that fail.
const names = { PT400: 'InvalidInvitationToken', PT403: 'FeatureNotEnabled', PT404: 'ResourceNotFound',
  no_available_seats: 'SeatNotAvailable', subscription_not_active: 'SeatNotAvailable',
  order_not_paid: 'SeatNotAvailable', seat_already_assigned: 'SeatAlreadyAssigned',
  seat_not_pending: 'SeatNotPending', customer_not_found: 'CustomerNotFound', 'Seat suspended': 'SeatNotAvailable' };
export const refusal = ({ code = 'none', message: detail, detail: reason }, place) => {
  const error = names[reason] ?? names[detail] ?? names[code];
  if (code in names) return failure(+code.slice(2), { error, detail, reason });
  const placed = ({ loc, msg, type }) => ({ loc: [place, ...loc.slice(1)], msg, type });
  if (code === 'PT422') return invalid(...JSON.parse(reason).map(placed));
  if (code.startsWith('22')) return invalid(notJson); // what PostgreSQL cannot store, such as \u0000
  // Lost connections, deadlocks and serialization failures, no resources, lock and other time-outs.
  return /^(08|40|53|55P03|57|E|none)/.test(code) ? failure(503, undefined, { 'Retry-After': '1' }) : failure(500);
};
