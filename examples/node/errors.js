// What goes wrong, as the HTTP contract's service tells it: an error that has a status and a body.
export const failure = (status, answer, headers) => Object.assign(new Error(), { status, answer, headers });
export const invalid = (...detail) => failure(422, { detail });
export const notJson = { loc: ['body'], msg: 'JSON decode error', type: 'json_invalid' };
// The database's refusals: by their reasons, the SQLSTATE of each and what the service calls it. An error that has not
// both is not the extension's: a trigger that somebody added may raise any.
const refusals = Object.fromEntries(Object.entries({
  'PT400 InvalidInvitationToken': ['invitation_invalid', 'invitation_expired', 'seat_already_claimed', 'seat_revoked'],
  'PT400 SeatNotAvailable': ['no_available_seats', 'subscription_not_active', 'order_not_paid'],
  'PT400 SeatAlreadyAssigned': ['seat_already_assigned'],
  'PT400 SeatNotPending': ['seat_not_pending'],
  'PT403 FeatureNotEnabled': ['seat_based_pricing_not_enabled'],
  'PT404 ResourceNotFound': ['subscription_not_found', 'order_not_found', 'seat_not_found'],
  'PT404 CustomerNotFound': ['customer_not_found'],
}).flatMap(([name, reasons]) => reasons.map((reason) => [reason, name.split(' ')])));
const faultsOf = (reason) => {
  try {
    const faults = JSON.parse(reason);
    return faults.length > 0 && faults.every(({ loc, msg, type }) => Array.isArray(loc) && msg && type) ? faults : null;
  } catch {
    return null;
  }
};
export const refusal = ({ code = 'none', message: detail, detail: reason = '' }, place) => {
  const [state, error] = Object.hasOwn(refusals, reason) ? refusals[reason] : [];
  if (state === code) return failure(+code.slice(2), { error, detail, reason });
  const faults = code === 'PT422' && faultsOf(reason);
  if (faults) return invalid(...faults.map(({ loc, msg, type }) => ({ loc: [place, ...loc.slice(1)], msg, type })));
  // Lost connections, deadlocks and serialization failures, no resources, lock and other time-outs.
  return /^(08|40|53|55P03|57|E|none)/.test(code) ? failure(503, undefined, { 'Retry-After': '1' }) : failure(500);
};
