// Takes the events of seats and delivers them: invitations by mail, and webhooks. The README says what to set.
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { attempt, codes } from './jobs.js';
import { mailer } from './mail.js';
import { findOverlooked, teller } from './quantity.js';
import { sender } from './webhook.js';

const { SEATS_WORKER_URL, SMTP_URL, WEBHOOK_URL, STRIPE_SECRET_KEY } = process.env;
const isSet = SEATS_WORKER_URL && (SMTP_URL || WEBHOOK_URL || STRIPE_SECRET_KEY);
if (!isSet) throw new Error('set SEATS_WORKER_URL, and SMTP_URL, WEBHOOK_URL or STRIPE_SECRET_KEY');
const number = (name, usual) => {
  const value = Number(process.env[name] || usual);
  if (!(value > 0)) throw new Error(`${name} is not a number over 0`);
  return value;
};
const [atOnce, poll, timeout] = [number('DELIVERIES_AT_ONCE', 4), number('POLL_SECONDS', 1), number('TIMEOUT_SECONDS', 10)];
const retries = [number('ATTEMPTS', 24), number('RETRY_SECONDS', 5), number('RETRY_SECONDS_MAX', 4 * 3600)];
const usualTypes = 'customer_seat.assigned customer_seat.claimed customer_seat.revoked'; // those of the service
const types = WEBHOOK_URL ? (process.env.WEBHOOK_TYPES || usualTypes).split(' ') : [];
const log = (entry) => console.log(JSON.stringify({ time: new Date(), ...entry }));

// A delivery takes two connections: one has its job locked, the other reads what it is about, and commits what must be
// committed before. If the machine vanishes, the server unlocks the job once the transaction has been idle for long.
const pool = new pg.Pool({ connectionString: SEATS_WORKER_URL, max: 6 * atOnce + 1,
  connectionTimeoutMillis: timeout * 1000, statement_timeout: timeout * 1000, idle_in_transaction_session_timeout: timeout * 10_000 });
pool.on('connect', (client) => client.on('error', ({ code }) => log({ lost_connection: code })));
pool.on('error', () => {}); // logged already

const stopping = new AbortController();
setMaxListeners(0, stopping.signal);
const stop = (signal) => { // when what is being delivered is
  log({ stopping: signal });
  stopping.abort();
};
process.once('SIGTERM', stop).once('SIGINT', stop);

// Does some work again and again, and rests for some seconds while there is none. Asking each second costs a few small
// queries; NOTIFY would need a trigger on seats.events, which every claim would pay for.
const repeat = async (work, rest = poll) => {
  while (!stopping.signal.aborted) {
    const found = await work().catch((error) => log({ error: codes(error) }));
    if (!found) await sleep(rest * 1000, undefined, { signal: stopping.signal }).catch(() => {});
  }
};
const takeEvents = async () => {
  const { rows: [{ number: taken }] } = await pool.query(
    'SELECT seats_worker.take_events($1, $2, $3, 100) AS number', [Boolean(SMTP_URL), types, Boolean(STRIPE_SECRET_KEY)]);
  return taken > 0;
};
const deliver = async (target, send) => {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const outcome = await attempt(client, target, send, retries);
    await client.query('COMMIT');
    client.release();
    if (outcome) log(outcome);
    return outcome;
  } catch (error) {
    client.release(error); // closes the connection
    throw error;
  }
};
// Each target has its own loops, so that a receiver that hangs does not stop mails.
const targets = [
  ...SMTP_URL ? [['mail', mailer(process.env, pool, timeout)]] : [],
  ...WEBHOOK_URL ? [['webhook', sender(process.env, pool, timeout)]] : [],
  ...STRIPE_SECRET_KEY ? [['quantity', teller(process.env, pool, timeout)]] : [],
];
const loops = targets.flatMap((target) => Array.from({ length: atOnce }, () => repeat(() => deliver(...target))));
if (STRIPE_SECRET_KEY) loops.push(repeat(() => findOverlooked(pool), 60 * poll));
await Promise.all([repeat(takeEvents), ...loops]);
await pool.end();
process.exit(); // SMTP_URL may ask for connections that stay open
