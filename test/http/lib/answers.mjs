// What clients say that an answer was, compared with what it should have been.
import assert from 'node:assert/strict';
import { Refused } from './clients.mjs';

// Of the right shape, but not with the right checksum.
export const UNKNOWN = `seats_inv_${'0'.repeat(55)}`;
// Clients return dates or strings.
export const time = (value) => new Date(value).getTime();

const MESSAGES = {
  InvalidInvitationToken: 'Invalid, expired, or already claimed token',
  FeatureNotEnabled: 'Seat-based pricing not enabled for organization',
};

const rejects = (promise, status, check) =>
  assert.rejects(promise, (thrown) => {
    assert.ok(thrown instanceof Refused, thrown.stack);
    assert.equal(thrown.status, status);
    check(thrown.body);
    return true;
  });

// Refused with this status and exactly this body.
export const refused = (promise, status, error, reason, detail = MESSAGES[error]) =>
  rejects(promise, status, (body) => assert.deepEqual(body, { error, detail, reason }));

// Refused with 422 for these faults, each a place and a type.
export const invalid = (promise, ...faults) =>
  rejects(promise, 422, ({ detail }) => {
    assert.deepEqual(detail.map(({ loc, type }) => [loc.join('.'), type]), faults);
    for (const { msg } of detail) assert.match(msg, /^\w+ /);
  });

export const unauthorized = (promise) =>
  rejects(promise, 401, (body) => assert.deepEqual(body, { error: 'Unauthorized', detail: 'Unauthorized' }));
