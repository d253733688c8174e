// The routes of the HTTP contract over the functions of the schema seats_http. The README says what to set.
// No address, body or message of an error is logged: tokens and other input may be in them.
import { createHash, timingSafeEqual } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import express from 'express';
import pg from 'pg';

const { SEATS_ANONYMOUS_URL, SEATS_BACKEND_URL, SEATS_CUSTOMER_URL, SEATS_API_KEY } = process.env;
const { HOST = '127.0.0.1', PORT = 3001 } = process.env;
const isSet = SEATS_ANONYMOUS_URL && SEATS_BACKEND_URL && SEATS_API_KEY;
if (!isSet) throw new Error('set SEATS_ANONYMOUS_URL, SEATS_BACKEND_URL and SEATS_API_KEY');
const log = (entry) => console.log(JSON.stringify({ time: new Date(), ...entry }));
const [anonymous, backend, customer] = [SEATS_ANONYMOUS_URL, SEATS_BACKEND_URL, SEATS_CUSTOMER_URL].map((url) =>
  url && new pg.Pool({ connectionString: url, max: 10, connectionTimeoutMillis: 2000, statement_timeout: 5000 })
    .on('error', (error) => log({ lost_connection: error.code })));

// For each route: the pool, the function, the types of its arguments, and their values in a request.
const body = (request) => [request.body ?? Buffer.alloc(0)];
const token = ({ params }) => [params.token];
const purchase = ({ query }) => [query.subscription_id, query.order_id];
const id = ({ params }) => [params.id];
const routes = {
  '/customer-seats/claim': { post: [anonymous, 'claim_seat', ['bytea'], body] },
  '/customer-seats/claim/:token': { get: [anonymous, 'get_claim_info', ['text'], token] },
  '/customer-seats/join': { post: [anonymous, 'join_seat', ['bytea'], body] },
  '/customer-seats/join/:token': { get: [anonymous, 'join_info', ['text'], token] },
};
for (const [path, pool, prefix] of [['/customer-seats', backend, ''], ['/customer-portal/seats', customer, 'portal_']]) {
  if (!pool) continue;
  routes[path] = {
    get: [pool, `${prefix}list_seats`, ['text', 'text'], purchase],
    post: [pool, `${prefix}assign_seat`, ['bytea'], body],
  };
  routes[`${path}/join-links`] = {
    get: [pool, `${prefix}list_join_links`, ['text', 'text'], purchase],
    post: [pool, `${prefix}create_join_link`, ['bytea'], body],
  };
  routes[`${path}/join-links/:id`] = { delete: [pool, `${prefix}revoke_join_link`, ['text'], id] };
  routes[`${path}/:id`] = { delete: [pool, `${prefix}revoke_seat`, ['text'], id] };
  routes[`${path}/:id/resend`] = { post: [pool, `${prefix}resend_invitation`, ['text'], id] };
}

// One statement for a request. What it sets ends with it, as the status does that the function sets. Its FROM sets
// all of that before the function is called, and OFFSET 0 has the function called before the status is read.
const requestSet = "set_config('request.headers', $1, true) AS headers";
const customerSet = `${requestSet}, seats.authenticate($2) AS session, set_config('request.jwt.claims',
  json_build_object('sub', session.customer_id, 'role', current_user)::text, true) AS claims`;
const statementOf = (pool, name, types) => {
  const first = pool === customer ? 3 : 2;
  const values = types.map((type, i) => `$${first + i}::${type}`);
  return `SELECT body, current_setting('response.status', true) AS status
    FROM (SELECT seats_http.${name}(${values})::text AS body
      FROM ${pool === customer ? customerSet : requestSet} OFFSET 0) AS answer`;
};

const failure = (status, { code, headers } = {}) => Object.assign(new Error(), { status, code, headers });
const statusOf = ({ code = 'none' }) => {
  if (code === 'PT401' || code === 'PT422') return 401; // no session, says authenticate(); the other functions answer
  if (code === '22021' || code === '22P05') return 400; // text that PostgreSQL cannot store
  // Lost connections, deadlocks and serialization failures, no resources, lock and other time-outs.
  return /^(08|40|53|55P03|57|E|none)/.test(code) ? 503 : 500;
};
const headersOf = { 401: { 'WWW-Authenticate': 'Bearer' }, 503: { 'Retry-After': '1' } };
const send = (response, status, text, headers) =>
  response.status(status).set({ 'Cache-Control': 'no-store', ...headersOf[status], ...headers }).type('json').send(text);

const digest = (text) => createHash('sha256').update(text).digest();
const bearerOf = (request) => /^Bearer (.+)$/i.exec(request.get('Authorization') ?? '')?.[1] ?? '';
// What the statement is given of whoever asks: a customer's session. The backend's key is checked here.
const credentialsOf = (pool, request) => {
  const bearer = pool === anonymous ? '' : bearerOf(request);
  if (pool === customer && !bearer) throw failure(401);
  if (pool === backend && !timingSafeEqual(digest(bearer), digest(SEATS_API_KEY))) throw failure(401);
  return pool === customer ? [bearer] : [];
};
const headersFor = (request) => JSON.stringify({ 'x-forwarded-for': request.ip,
  'user-agent': request.get('User-Agent'), 'idempotency-key': request.get('Idempotency-Key') });

const app = express().disable('x-powered-by').use(express.raw({ type: () => true, limit: '16kb' }));
for (const [path, methods] of Object.entries(routes)) {
  const route = app.route(`/v1${path}`);
  for (const [method, [pool, name, types, valuesOf]] of Object.entries(methods)) {
    const statement = statementOf(pool, name, types);
    route[method](async (request, response) => {
      const values = [headersFor(request), ...credentialsOf(pool, request), ...valuesOf(request)];
      const { rows: [answer] } = await pool.query(statement, values)
        .catch((error) => { throw failure(statusOf(error), error); });
      send(response, Number(answer.status || 200), answer.body);
    });
  }
  const Allow = Object.keys(methods).join(', ').toUpperCase().replace('GET', 'GET, HEAD');
  route.all(() => { throw failure(405, { headers: { Allow } }); });
}
app.use(() => { throw failure(404); });
app.use(({ status = 500, code, headers }, request, response, next) => {
  if (status >= 500) log({ method: request.method, route: request.route?.path, status, code });
  const detail = STATUS_CODES[status];
  send(response, status, JSON.stringify({ error: detail.replaceAll(' ', ''), detail }), headers);
});

const server = app.listen(+PORT, HOST, () => log({ listening: server.address() }));
const stop = () => { // when what was asked is answered
  server.keepAliveTimeout = 1;
  server.close(() => Promise.all([anonymous, backend, customer].map((pool) => pool?.end())));
  server.closeIdleConnections();
};
process.once('SIGTERM', stop).once('SIGINT', stop);
