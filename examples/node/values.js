// The arguments of a request, and what is wrong with their types.
import { invalid } from './errors.js';

// What arguments can be, and what type of fault it is when one is something else.
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const kinds = {
  string: ['string_type', (value) => typeof value === 'string'],
  UUID: ['uuid_parsing', (value) => typeof value === 'string' && uuid.test(value)],
  dictionary: ['dict_type', (value) => value?.constructor === Object],
  boolean: ['bool_type', (value) => typeof value === 'boolean'],
};
// Tells whether a value is a string that PostgreSQL cannot store: with a zero, or half of a surrogate pair.
export const isUnstorable = (value) => typeof value === 'string' && /[\0\p{Surrogate}]/u.test(value);

// The arguments' values, null where there is none. All faults are told at once.
export const valuesOf = (given, place, expected) => {
  const faults = Object.entries(expected)
    .filter(([name, kind]) => given[name] != null && !kinds[kind][1](given[name]))
    .map(([name, kind]) => ({ loc: [place, name], msg: `Input should be a valid ${kind}`, type: kinds[kind][0] }));
  if (faults.length > 0) throw invalid(...faults);
  // Of what a path can say, that is no token: neither is what the database gets in its place.
  return Object.keys(expected).map((name) => (isUnstorable(given[name]) ? 'malformed' : given[name] ?? null));
};
