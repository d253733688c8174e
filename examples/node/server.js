// The routes of the HTTP contract over the functions of the schema seats. The README says what to set.
// No address, body or message of an error is logged: tokens and other input may be in them.
import { isUtf8 } from 'node:buffer';
import { createHash, timingSafeEqual } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import express from 'express';
import pg from 'pg';
import { failure, invalid, notJson, refusal } from './errors.js';
import { valuesOf } from './values.js';

const { SEATS_ANONYMOUS_URL, SEATS_BACKEND_URL, SEATS_API_KEY, HOST = '127.0.0.1', PORT = 3001 } = process.env;
const isSet = SEATS_ANONYMOUS_URL && SEATS_BACKEND_URL && SEATS_API_KEY;
if (!isSet) throw new Error('set SEATS_ANONYMOUS_URL, SEATS_BACKEND_URL and SEATS_API_KEY');
const log = (entry) => console.log(JSON.stringify({ time: new Date(), ...entry }));
const [anonymous, backend] = [SEATS_ANONYMOUS_URL, SEATS_BACKEND_URL].map((connectionString) =>
  new pg.Pool({ connectionString, max: 10, connectionTimeoutMillis: 2000, statement_timeout: 5000 })
    .on('error', (error) => log({ lost_connection: error.code })));

// For each route: the pool, the function, where the arguments are, and their names and types in order.
const invitation = (call) => `(SELECT (seat).*, invitation_token FROM ${call})`;
const [token, seat] = [{ invitation_token: 'string' }, { seat_id: 'UUID' }];
const purchase = { subscription_id: 'UUID', order_id: 'UUID' };
const customer = { email: 'string', external_customer_id: 'string', customer_id: 'UUID' };
const routes = {
  '/claim': { post: [anonymous, 'seats.claim_seat($1, $2)', 'body', { ...token, idempotency_key: 'string' }] },
  '/claim/:invitation_token': { get: [anonymous, 'seats.claim_info($1)', 'path', token] },
  '': {
    get: [backend, 'seats.list_seats($1, $2)', 'query', purchase],
    post: [backend, invitation('seats.assign_seat($1, $2, $3, $4, $5, $6, coalesce($7, false))'), 'body',
      { ...purchase, ...customer, metadata: 'dictionary', immediate_claim: 'boolean' }],
  },
  '/:seat_id': { delete: [backend, 'seats.revoke_seat($1)', 'path', seat] },
  '/:seat_id/resend': { post: [backend, invitation('seats.resend_invitation($1)'), 'path', seat] },
};

const digest = (text) => createHash('sha256').update(text).digest();
const authorize = (header = '') => {
  const isRight = timingSafeEqual(digest(header), digest(`Bearer ${SEATS_API_KEY}`));
  if (!isRight) throw failure(401, undefined, { 'WWW-Authenticate': 'Bearer' });
};

const verify = (request, response, bytes) => { if (!isUtf8(bytes)) throw new Error(); };
const app = express().disable('x-powered-by').use(express.json({ type: () => true, limit: '16kb', verify }));
for (const [path, methods] of Object.entries(routes)) {
  const route = app.route(`/v1/customer-seats${path}`);
  for (const [method, [role, call, place, expected]] of Object.entries(methods)) {
    route[method](async (request, response) => {
      if (role === backend) authorize(request.get('Authorization'));
      const body = { ...request.body, idempotency_key: request.get('Idempotency-Key') };
      const values = valuesOf({ body, path: request.params, query: request.query }[place], place, expected);
      const { rows } = await role.query(`SELECT to_json(answer)::text AS body FROM ${call} AS answer`, values)
        .catch((error) => { throw Object.assign(refusal(error, place), { code: error.code }); });
      response.set('Cache-Control', 'no-store').type('json').send(rows[0].body);
    });
  }
  const Allow = Object.keys(methods).join(', ').toUpperCase().replace('GET', 'GET, HEAD');
  route.all(() => { throw failure(405, undefined, { Allow }); });
}
app.use(() => { throw failure(404); });
app.use((error, request, response, next) => {
  const { status = 500, headers, answer } = /^entity\.(parse|verify)/.test(error.type) ? invalid(notJson) : error;
  if (status >= 500) log({ method: request.method, route: request.route?.path, status, code: error.code });
  const standard = { error: STATUS_CODES[status].replaceAll(' ', ''), detail: STATUS_CODES[status] };
  response.status(status).set({ 'Cache-Control': 'no-store', ...headers }).json(answer ?? standard);
});

const server = app.listen(+PORT, HOST, () => log({ listening: server.address() }));
const stop = () => { // when what was asked is answered
  server.keepAliveTimeout = 1;
  server.close(() => Promise.all([anonymous.end(), backend.end()]));
  server.closeIdleConnections();
};
process.once('SIGTERM', stop).once('SIGINT', stop);
