// The SDKs, unmodified, behind one interface. An operation takes one object and returns one, with the names of the HTTP
// contract, and throws Refused where the SDK throws what it has for that answer.
import assert from 'node:assert/strict';
import { claimWithKey } from './claim-with-key.mjs';
import { connectBy } from './older-sdk.mjs';

export class Refused extends Error {
  constructor(status, body) {
    super(`${status} ${JSON.stringify(body)}`);
    Object.assign(this, { status, body });
  }
}

const OPERATIONS = ['listSeats', 'assignSeat', 'revokeSeat', 'resendInvitation', 'getClaimInfo', 'claimSeat'];
// The operations by call(name, request, key), whose errors refusalOf(error, name) translates.
const operationsBy = (call, refusalOf) => Object.fromEntries(OPERATIONS.map((name) => [name, async (request, key) => {
  try {
    return await call(name, request, key);
  } catch (error) {
    throw refusalOf(error, name);
  }
}]));

const camel = (name) => name.replace(/_(\w)/g, (match, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
// Renames all keys of an answer but those of metadata, which are the application's.
const inSnakeCase = (value, name) => {
  if (Array.isArray(value)) return value.map((element) => inSnakeCase(element));
  if (value?.constructor !== Object || name === 'seatMetadata') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [snake(key), inSnakeCase(inner, key)]));
};
const inCamelCase = (request) =>
  Object.fromEntries(Object.entries(request).map(([key, value]) => [camel(key), value]));

// Before 1.0: names in camelCase, dates, and one class for the errors but 422.
const older = async (alias, version) => {
  const modules = await Promise.all(['', '/lib/http.js', '/models/errors/httpvalidationerror.js',
    '/models/errors/sdkerror.js'].map((path) => import(alias + path)));
  const { Polar, HTTPClient, HTTPValidationError, SDKError } = Object.assign({}, ...modules);
  const refusalOf = (error) => {
    if (error instanceof HTTPValidationError) return new Refused(error.statusCode, { detail: error.detail });
    if (!(error instanceof SDKError)) return error;
    assert.match(error.headers.get('content-type'), /^application\/json/);
    return new Refused(error.statusCode, JSON.parse(error.body));
  };
  const connect = (url, accessToken) => {
    const { polar, invitations } = connectBy({ Polar, HTTPClient })(url, accessToken);
    const answerOf = async (promise) => {
      const answer = inSnakeCase(await promise);
      const token = invitations.get(answer.id);
      invitations.delete(answer.id);
      return token ? { ...answer, invitation_token: token } : answer;
    };
    return {
      seats: operationsBy((name, request, key) => answerOf(polar.customerSeats[name](inCamelCase(request),
        { headers: key ? { 'Idempotency-Key': key } : {} })), refusalOf),
      portal: (customerSession) => operationsBy((name, request) =>
        answerOf(polar.customerPortal.seats[name]({ customerSession }, inCamelCase(request))), refusalOf),
    };
  };
  return { name: `the SDK ${version}`, dropsMembers: version < '0.49', connect };
};

// From 1.0 on: the names of the contract, and a class for each operation and status, for each version of the API.
const PLAIN = ['revokeSeat', 'resendInvitation', 'getClaimInfo']; // these take a string
const today = async (api) => {
  const { createPolar, errors } = await import(`@polar-sh/sdk/${api}`);
  const refusalsOf = (service) => (error, name) => {
    const operation = `${service}${name[0].toUpperCase()}${name.slice(1)}${error.statusCode}Error`;
    const expected = error.statusCode === 422 ? errors.HTTPValidationError : errors[operation];
    return expected && error instanceof expected ? new Refused(error.statusCode, error.error) : error;
  };
  const callOf = (service) => (name, request) =>
    service[name](PLAIN.includes(name) ? Object.values(request)[0] : request);
  const connect = (baseUrl, accessToken) => {
    const call = callOf(createPolar({ baseUrl, accessToken }).customerSeats);
    return {
      seats: operationsBy((name, request, key) => (key ? claimWithKey(baseUrl, key, request) : call(name, request)),
        refusalsOf('CustomerSeats')),
      portal: (session) => operationsBy(callOf(createPolar({ baseUrl, accessToken: session }).customerPortal.seats),
        refusalsOf('CustomerPortalSeats')),
    };
  };
  return { name: `the SDK 1.0.1, ${api}`, connect };
};

export const clients = [await older('polar-0.40', '0.40.3'), await older('polar-0.49', '0.49.0'), await today('2026-10')];
export const siblings = [await today('2026-04'), await today('2027-01')];
