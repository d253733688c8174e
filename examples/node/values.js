// Reads the arguments of a request, and finds those of a wrong type.
import { invalid } from './errors.js';

// The types that arguments can have, and the fault of a value that has another.
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const kinds = {
  string: ['string_type', (value) => typeof value === 'string'],
  UUID: ['uuid_parsing', (value) => typeof value === 'string' && uuid.test(value)],
  dictionary: ['dict_type', (value) => value?.constructor === Object],
  boolean: ['bool_type', (value) => typeof value === 'boolean'],
};
// Returns the values of the arguments, null for a missing one. Reports all faults at once.
export const valuesOf = (given, place, expected) => {
  const faults = Object.entries(expected)
    .filter(([name, kind]) => given[name] != null && !kinds[kind][1](given[name]))
    .map(([name, kind]) => ({ loc: [place, name], msg: `Input should be a valid ${kind}`, type: kinds[kind][0] }));
  if (faults.length > 0) throw invalid(...faults);
  return Object.keys(expected).map((name) => given[name] ?? null);
};
