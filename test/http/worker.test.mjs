// examples/worker: mails of invitations and webhooks, whatever fails on the way.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID, webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { webhooks as today } from '@polar-sh/sdk/2026-10';
import pg from 'pg';
import { validateEvent as validateOlder } from 'polar-0.49/webhooks';
import { Shop } from './lib/shop.mjs';
import { requireOfWorker, startMailServer, startReceiver, startWorker, until, workerExample } from './lib/worker-layer.mjs';

const { Webhook } = requireOfWorker('standardwebhooks');
globalThis.crypto ??= webcrypto; // which today's SDK needs, and Node 18 has under that name only

describe('the worker', () => {
  let shop, mailServer, receiver, workers;
  before(async () => { shop = await Shop.open('http_worker'); });
  after(() => shop?.close());
  beforeEach(async () => {
    await shop.query('DELETE FROM seats.events');
    await shop.query('DELETE FROM seats_worker.jobs');
    mailServer = await startMailServer();
    receiver = await startReceiver();
    workers = [];
  });
  // Whatever a test did, no token is in what a worker printed or in its tables.
  afterEach(async () => {
    const jobs = await shop.query('SELECT to_jsonb(j)::text AS text FROM seats_worker.jobs AS j');
    for (const worker of workers) await worker.stop('SIGKILL');
    receiver.stop();
    await mailServer.stop();
    for (const text of [...jobs.map((job) => job.text), ...workers.map(({ output }) => output)]) {
      assert.doesNotMatch(text, /seats_(inv|jnl)_/);
    }
  });
  after(async () => assert.doesNotMatch(await shop.log(), /seats_(inv|jnl)_[0-9A-Za-z]{55}/));

  const start = async (environment) => {
    const worker = await startWorker(shop, environment);
    workers.push(worker);
    return worker;
  };
  const startWebhooks = (environment) => start({ WEBHOOK_URL: receiver.url, ...environment });
  const startMails = (environment) => start({ SMTP_URL: mailServer.url, ...environment });
  const count = async (table, condition = 'true') =>
    (await shop.query(`SELECT count(*)::int AS number FROM ${table} WHERE ${condition}`))[0].number;
  const idle = () => until(async () =>
    await count('seats.events') === 0 && await count('seats_worker.jobs', 'dead_since IS NULL') === 0);

  // What use(client) does in a transaction that is committed.
  const inTransaction = async (use) => {
    const client = new pg.Client({ database: shop.database });
    await client.connect();
    try {
      await client.query('BEGIN');
      const result = await use(client);
      await client.query('COMMIT');
      return result;
    } finally {
      await client.end();
    }
  };
  // What a function of the portal answers the customer who pays for a subscription.
  const asPayer = (subscription, call, value) => inTransaction(async (client) => {
    await client.query(`SELECT set_config('request.jwt.claims', json_build_object('sub', customer_id)::text, true)
      FROM seats.subscriptions WHERE id = $1`, [subscription]);
    return (await client.query(`SELECT seats_http.${call} AS answer`, [value])).rows[0].answer;
  });
  const invite = async (subscription, whom = { email: `${randomUUID()}@example.com` }) =>
    (await asPayer(subscription, 'portal_assign_seat($1::jsonb)', { subscription_id: subscription, ...whom })).id;
  const inviteAgain = (subscription, seat) => asPayer(subscription, 'portal_resend_invitation($1)', seat);
  const linkOf = ({ text }) => /https:\S+/.exec(text)[0];
  const tokenOf = (mail) => new URL(linkOf(mail)).hash.slice(1);
  const claim = async (mail) => (await shop.query(
    'SELECT (seat).id, (seat).customer_email AS email FROM seats.claim_seat($1)', [tokenOf(mail)]))[0];
  const sell = (seats) => shop.sell('subscriptions', seats);
  // A seat that was assigned, claimed, suspended, resumed and revoked.
  const live = async (subscription, email, revoke = true) => {
    const { seat, token } = await shop.assign(subscription, email);
    await shop.query('SELECT seats.claim_seat($1)', [token]);
    await shop.setStatus(subscription, 'paused');
    await shop.setStatus(subscription, 'active');
    if (revoke) await shop.query('SELECT seats.revoke_seat($1)', [seat]);
    return seat;
  };
  const job = async (columns) => (await shop.query(`SELECT ${columns} FROM seats_worker.jobs`))[0];

  test('does not start without its settings, or with wrong ones', () => {
    const run = (environment) => spawnSync(process.execPath, ['worker.js'],
      { cwd: workerExample, encoding: 'utf8', env: { PATH: process.env.PATH, SEATS_WORKER_URL: 'x', ...environment } });
    for (const [environment, message] of [
      [{}, /set SEATS_WORKER_URL, and SMTP_URL, WEBHOOK_URL or STRIPE_SECRET_KEY/],
      [{ SMTP_URL: 'smtp://localhost' }, /set MAIL_FROM and CLAIM_URL/],
      [{ WEBHOOK_URL: 'http://localhost' }, /set WEBHOOK_SECRET/],
      [{ WEBHOOK_URL: 'http://localhost', WEBHOOK_SECRET: 'x', ATTEMPTS: 'many' }, /ATTEMPTS is not a number over 0/],
    ]) {
      const { status, stderr } = run(environment);
      assert.equal(status, 1);
      assert.match(stderr, message);
    }
  });

  test('its role can renew an invitation, and no more', async () => {
    const { seat } = await shop.assign(await sell(1));
    await shop.transaction(async (client) => {
      await client.query('SET ROLE seats_worker');
      await client.query('SELECT FROM seats.resend_invitation($1)', [seat]);
      for (const statement of ['SELECT seats.revoke_seat($1)', 'SELECT seats.assign_seat($1)', 'SELECT seats.claim_seat($1)',
        'SELECT invitation_token_hash FROM seats.customer_seats WHERE id = $1', 'DELETE FROM seats.customers WHERE id = $1',
        'UPDATE seats.events SET seat_id = $1']) {
        await client.query('SAVEPOINT before');
        await assert.rejects(client.query(statement, [seat]), { code: '42501' });
        await client.query('ROLLBACK TO before');
      }
    });
  });

  describe('mails', () => {
    test('joining by a link: a mail to whoever has no seat, none to a holder, one more once the invitation has expired', async () => {
      const subscription = await sell(3);
      const [{ link }] = await shop.query('SELECT join_token AS link FROM seats.create_join_link($1)', [subscription]);
      const email = `${randomUUID()}@example.com`;
      await live(subscription, 'holder@example.com', false);
      const join = async (address, mails) => {
        await shop.query('SELECT seats.join_seat($1, $2)', [link, address]);
        await idle();
        assert.equal(mailServer.mails.length, mails, address);
      };
      await startMails();
      await join(email, 1);
      await join(email, 1);
      await join('holder@example.com', 1);
      const [{ seat }] = await shop.query('SELECT id AS seat FROM seats.customer_seats WHERE customer_email = $1', [email]);
      await shop.expire(seat);
      await join(email, 2);
      assert.deepEqual(mailServer.mails.map(({ recipients }) => recipients), [[email], [email]]);
      assert.deepEqual(await claim(mailServer.mails[1]), { id: seat, email });
    });

    test('an invitation that is not sent yet, as text and HTML; its link claims the seat', async () => {
      const subscription = await sell(3);
      const seat = await invite(subscription, { email: 'grace@example.com' });
      await shop.assign(subscription, 'sent@example.com'); // by the application
      await startMails();
      await idle();
      assert.equal(mailServer.mails.length, 1);
      const [mail] = mailServer.mails;
      const [{ expires_at: expires }] = await shop.query(
        'SELECT invitation_token_expires_at AS expires_at FROM seats.customer_seats WHERE id = $1', [seat]);
      assert.deepEqual(mail.recipients, ['grace@example.com']);
      assert.equal(mail.from.address, 'seats@example.com');
      assert.equal(mail.subject, 'Your invitation to Editor by Acme');
      assert.ok(mail.headers.some(({ key, value }) => key === 'auto-submitted' && value === 'auto-generated'));
      for (const text of [mail.text, mail.html]) {
        assert.match(text, /Payer invited you to use Editor by Acme\./);
        assert.match(text, /Accept the invitation/);
        const minutes = `${expires.getUTCHours()}`.padStart(2, '0') + ':' + `${expires.getUTCMinutes()}`.padStart(2, '0');
        assert.match(text, new RegExp(`until ${expires.getUTCDate()} \\w+ ${expires.getUTCFullYear()}\\D+${minutes} UTC`));
      }
      assert.match(linkOf(mail), /^https:\/\/acme\.example\/claim#seats_inv_/);
      assert.ok(mail.html.includes(`href="${linkOf(mail)}"`));
      assert.deepEqual(await claim(mail), { id: seat, email: 'grace@example.com' });
    });

    test('names of other people are text, and stay in their place', async () => {
      const organization = await shop.insert('organizations', {
        name: 'Evil\r\nBcc: victim@example.com\r\n\r\nCorp', slug: 'evil', seat_based_pricing_enabled: true });
      const product = await shop.insert('products', { organization_id: organization, name: '<script>alert("1")</script>' });
      const payer = await shop.insert('customers', { organization_id: organization, name: '\u202E\u2028<b>Ada</b> & \'co\'' });
      const subscription = await shop.insert('subscriptions',
        { organization_id: organization, product_id: product, customer_id: payer, seats: 1, status: 'active' });
      const seat = await invite(subscription, { email: 'grace@example.com' });
      await startMails();
      await idle();
      const [mail] = mailServer.mails;
      const what = '<script>alert("1")</script> by Evil Bcc: victim@example.com Corp';
      assert.equal(mail.subject, `Your invitation to ${what}`);
      assert.deepEqual(mail.recipients, ['grace@example.com']);
      assert.ok(mail.headers.every(({ key }) => key !== 'bcc'));
      assert.ok(mail.text.startsWith(`<b>Ada</b> & 'co' invited you to use ${what}.\n`));
      assert.ok(mail.html.includes('<p>&#60;b&#62;Ada&#60;/b&#62; &#38; &#39;co&#39; invited you to use &#60;script&#62;'));
      assert.doesNotMatch(mail.html, /<script|<b>/);
      assert.equal((await claim(mail)).id, seat);
    });

    test('nothing to send: claimed, revoked or gone meanwhile', async () => {
      const [subscription, deleted] = [await sell(2), await sell(1)];
      const [claimed, revoked] = [await invite(subscription), await invite(subscription)];
      await invite(deleted);
      await shop.query('SELECT seats.claim_seat((seats.resend_invitation($1)).invitation_token)', [claimed]);
      await shop.query('SELECT seats.revoke_seat($1)', [revoked]);
      await shop.query('DELETE FROM seats.subscriptions WHERE id = $1', [deleted]);
      await startMails();
      await idle();
      assert.deepEqual(mailServer.mails, []);
    });

    test('one mail for several that are unsent', async () => {
      const subscription = await sell(1);
      const seat = await invite(subscription);
      await inviteAgain(subscription, seat);
      await inviteAgain(subscription, seat);
      await startMails();
      await idle();
      assert.equal(mailServer.mails.length, 1);
      assert.equal((await claim(mailServer.mails[0])).id, seat);
    });

    test('a suspended seat gets its mail once it is resumed, however long that takes', async () => {
      const subscription = await sell(1);
      const seat = await invite(subscription, { email: 'grace@example.com' });
      await shop.setStatus(subscription, 'paused');
      const worker = await startMails({ ATTEMPTS: '1' });
      await until(() => worker.output.split('seat_suspended').length > 5);
      assert.deepEqual(await job('attempts, last_error, dead_since'),
        { attempts: 0, last_error: 'PT400 seat_suspended', dead_since: null });
      await shop.setStatus(subscription, 'active');
      await idle();
      assert.equal((await claim(mailServer.mails[0])).id, seat);
    });

    test('a customer without an address: a dead letter, which says so', async () => {
      const subscription = await sell(1);
      const customer = await shop.insert('customers', { organization_id: shop.organization, external_id: 'user-1' });
      await invite(subscription, { customer_id: customer });
      await startMails({ ATTEMPTS: '2' });
      await until(() => count('seats_worker.dead_letters'));
      assert.equal((await job('last_error')).last_error, 'EENVELOPE');
    });

    test('what a mail server answers is not kept, only its codes', async () => {
      await invite(await sell(1));
      mailServer.at = async (step) => {
        if (step === 'data') throw Object.assign(new Error('Spam: https://acme.example/#seats_inv_'), { responseCode: 451 });
      };
      await startMails();
      await until(async () => (await job('last_error'))?.last_error);
      assert.equal((await job('last_error')).last_error, 'EMESSAGE 451');
      mailServer.at = async () => {};
      await idle();
      assert.equal(mailServer.mails.length, 1);
    });
  });

  describe('webhooks', () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const fields = ['created_at', 'modified_at', 'id', 'subscription_id', 'order_id', 'status', 'customer_id', 'member_id', 'member',
      'email', 'customer_email', 'invitation_token_expires_at', 'claimed_at', 'revoked_at', 'seat_metadata'];
    const short = ({ type }) => type.replace('customer_seat.', '');

    test("the service's three types, which its clients accept", async () => {
      const subscription = await sell(1);
      const { seat, token } = await shop.assign(subscription, 'grace@example.com');
      await shop.query('SELECT seats.claim_seat($1)', [token]);
      const [{ customer }] = await shop.query('SELECT customer_id AS customer FROM seats.customer_seats WHERE id = $1', [seat]);
      const [{ payer }] = await shop.query('SELECT customer_id AS payer FROM seats.subscriptions WHERE id = $1', [subscription]);
      await startWebhooks();
      await until(() => receiver.deliveries.length === 2);
      const { seats: [listed] } = await asPayer(subscription, 'portal_list_seats($1)', subscription);
      assert.deepEqual(receiver.deliveries[1].data, listed);
      await shop.query('SELECT seats.revoke_seat($1)', [seat]);
      await idle();
      assert.deepEqual(receiver.deliveries.map(short), ['assigned', 'claimed', 'revoked']);
      assert.equal(new Set(receiver.deliveries.map(({ id }) => id)).size, 3);
      for (const { headers, body, type, timestamp, data } of receiver.deliveries) {
        const older = validateOlder(body, headers, secret);
        const todays = await today.validateEvent(body, headers, secret);
        assert.deepEqual([older.type, todays.type], [type, type]);
        assert.equal(older.data.id, seat);
        assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body));
        assert.deepEqual(Object.keys(JSON.parse(body)), ['type', 'timestamp', 'data']);
        assert.deepEqual(Object.keys(data), fields);
        assert.equal(timestamp, { assigned: data.created_at, claimed: data.claimed_at, revoked: data.revoked_at }[short({ type })]);
        assert.equal(data.status, type.replace('customer_seat.assigned', 'pending').replace('customer_seat.', ''));
        assert.equal(headers['content-type'], 'application/json');
        if (short({ type }) === 'revoked') {
          const { member_id, member, email, customer_email } = data;
          assert.deepEqual({ member_id, member, email, customer_email },
            { member_id: null, member: null, email: null, customer_email: null });
        } else {
          assert.deepEqual([data.customer_id, data.member_id, data.email, data.customer_email],
            [customer, customer, 'grace@example.com', 'grace@example.com']);
          const { created_at, modified_at, ...member } = data.member;
          assert.deepEqual(member, { id: customer, customer_id: payer, email: 'grace@example.com', name: null, external_id: null,
            role: 'member' });
        }
      }
    });

    test('the payer is the owner; an order; metadata; no address', async () => {
      const order = await shop.sell('orders', 1);
      const [{ payer }] = await shop.query('SELECT customer_id AS payer FROM seats.orders WHERE id = $1', [order]);
      await shop.query(`SELECT seats.assign_seat(order_id => $1, customer_id => $2, immediate_claim => true,
        metadata => '{"big": 12345678901234567890}')`, [order, payer]);
      await startWebhooks();
      await idle();
      const [{ headers, body, data }] = receiver.deliveries;
      assert.equal(validateOlder(body, headers, secret).data.orderId, order);
      assert.deepEqual([data.member.role, data.member.email, data.member.name, data.email], ['owner', '', 'Payer', null]);
      assert.match(body, /"seat_metadata":\{"big": 12345678901234567890\}/);
    });

    test('further types, by a setting', async () => {
      const seat = await live(await sell(1));
      await startWebhooks({ WEBHOOK_TYPES: 'customer_seat.suspended customer_seat.resumed' });
      await idle();
      assert.deepEqual(receiver.deliveries.map(({ type, data }) => [type, data.id]),
        [['customer_seat.suspended', seat], ['customer_seat.resumed', seat]]);
    });

    test('a secret that is any text; two while it changes', async () => {
      await shop.assign(await sell(1));
      await startWebhooks({ WEBHOOK_SECRET: `geheim-ä ${secret}` });
      await idle();
      const [{ headers, body }] = receiver.deliveries;
      for (const either of ['geheim-ä', secret]) {
        validateOlder(body, headers, either);
        await today.validateEvent(body, headers, either);
      }
      assert.throws(() => validateOlder(body, headers, 'another'));
    });

    test('nothing about a person is kept, or sent once the person is erased', async () => {
      const subscription = await sell(1);
      const seat = await live(subscription, 'erased@example.com', false);
      const [{ customer }] = await shop.query('SELECT customer_id AS customer FROM seats.customer_seats WHERE id = $1', [seat]);
      await shop.query("UPDATE seats.customers SET name = 'Grace', external_id = 'user-7' WHERE id = $1", [customer]);
      receiver.answer = async (delivery, response) => { response.writeHead(503).end(); };
      await startWebhooks();
      await until(() => receiver.deliveries.length > 1);
      assert.match(receiver.deliveries[0].body, /"name":"Grace","external_id":"user-7"/);
      const kept = await shop.query('SELECT to_jsonb(j)::text AS text FROM seats_worker.jobs AS j');
      for (const { text } of kept) assert.doesNotMatch(text, /erased@|grace|user-7/i);
      await shop.query('SELECT seats.erase_customer($1)', [customer]);
      const before = receiver.deliveries.length + 1; // one may be on its way
      receiver.answer = receiver.accept;
      await idle();
      const later = receiver.deliveries.slice(before);
      assert.deepEqual(later.map(short).filter((type) => type !== 'assigned'), ['claimed', 'revoked']);
      for (const { headers, body, data } of later) {
        validateOlder(body, headers, secret);
        assert.doesNotMatch(body, /erased@|grace|user-7/i);
        assert.deepEqual([data.member, data.email], [null, null]);
      }
    });

    test('the purchase is gone: its seat is told without who paid', async () => {
      const subscription = await sell(1);
      await shop.assign(subscription, 'ada@example.com');
      await shop.query('DELETE FROM seats.subscriptions WHERE id = $1', [subscription]);
      await startWebhooks();
      await idle();
      assert.deepEqual(receiver.deliveries.map(short), ['assigned', 'revoked']);
      for (const { headers, body } of receiver.deliveries) validateOlder(body, headers, secret);
      const [{ data }] = receiver.deliveries;
      assert.deepEqual([data.member, data.email], [null, 'ada@example.com']);
    });

    test('an event of 1.0 tells the seat as it is now, if it still is', async () => {
      const subscription = await sell(2);
      const { seat } = await shop.assign(subscription, 'alan@example.com');
      const { seat: gone } = await shop.assign(await sell(1));
      await shop.query('UPDATE seats.events SET seat = NULL');
      await shop.query('DELETE FROM seats.subscriptions WHERE id = (SELECT subscription_id FROM seats.customer_seats WHERE id = $1)', [gone]);
      await shop.query('UPDATE seats.events SET seat = NULL');
      await startWebhooks();
      await idle();
      assert.deepEqual(receiver.deliveries.map(({ data }) => [data.id, data.email]), [[seat, 'alan@example.com']]);
      const [{ headers, body }] = receiver.deliveries;
      validateOlder(body, headers, secret);
    });

    test('every answer but 2xx is a failure, which is tried again with the same id', async () => {
      const { seat } = await shop.assign(await sell(1));
      const answers = [
        ['HTTP 302', (response) => response.writeHead(302, { Location: `${receiver.url}/elsewhere` }).end()],
        ['HTTP 410', (response) => response.writeHead(410).end('seats_inv_')],
        ['HTTP 500', (response) => response.writeHead(500).write('an answer that has no end')],
        ['UND_ERR_SOCKET', (response) => response.destroy()],
        ['TimeoutError', () => {}],
      ];
      const seen = [];
      receiver.answer = async (delivery, response) => {
        const { last_error: error } = await job('last_error');
        seen.push(error);
        const [, give] = answers[seen.length - 1] ?? [];
        if (give) give(response);
        else response.writeHead(201).end('seats_inv_');
      };
      const worker = await startWebhooks({ TIMEOUT_SECONDS: '3' });
      await idle();
      assert.deepEqual(seen, [null, ...answers.map(([error]) => error)]);
      assert.equal(new Set(receiver.deliveries.map(({ id }) => id)).size, 1);
      assert.ok(receiver.deliveries.every(({ headers }) => headers['webhook-id'].startsWith(seat)));
      await worker.stop();
    });

    test('nobody listens: tried again, by code', async () => {
      await shop.assign(await sell(1));
      receiver.stop();
      const worker = await startWebhooks();
      await until(async () => (await job('attempts'))?.attempts > 3);
      assert.equal((await job('last_error')).last_error, 'ECONNREFUSED');
      await worker.stop();
    });
  });

  describe('whatever happens', () => {
    const types = ['assigned', 'claimed', 'suspended', 'resumed', 'revoked'].map((name) => `customer_seat.${name}`);
    const WEBHOOK_TYPES = types.join(' ');
    const tell = async (seats) => {
      for (let i = 0; i < seats; i += 1) await live(await sell(1));
    };
    // Each seat's events came in their order; an event came again only before the next one.
    const assertOrder = (seats) => {
      const bySeat = new Map();
      for (const { type, data: { id } } of receiver.deliveries) bySeat.set(id, [...bySeat.get(id) ?? [], types.indexOf(type)]);
      assert.equal(bySeat.size, seats);
      for (const order of bySeat.values()) {
        assert.deepEqual(order, [...order].sort());
        assert.deepEqual([...new Set(order)], [0, 1, 2, 3, 4]);
      }
    };
    const isWaiting = (query) => until(() => count('pg_stat_activity',
      `datname = '${shop.database}' AND usename = 'seats_worker' AND wait_event_type = 'Lock' AND query LIKE '${query}%'`));
    // Numbers from 0 to 1, the same in each run.
    const random = (seed) => () => {
      seed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
      return (seed >>> 0) / 2 ** 32;
    };

    test('two workers, and a receiver that fails at random: in order for each seat', async () => {
      const draw = random(20);
      receiver.answer = async (delivery, response) => {
        const number = draw();
        if (number < 0.2) response.writeHead(500).end();
        else if (number < 0.3) response.destroy();
        else receiver.accept(delivery, response);
      };
      const names = ['first', 'second'];
      for (const PGAPPNAME of names) await startWebhooks({ WEBHOOK_TYPES, PGAPPNAME });
      for (const name of names) await until(() => count('pg_stat_activity', `application_name = '${name}'`));
      await tell(20);
      await idle();
      assertOrder(20);
      assert.ok(receiver.deliveries.length > 100); // some failed
      assert.ok(workers.every(({ output }) => /"target"/.test(output))); // both had work
    });

    test('a receiver that is down gets everything once it is back, in order', async () => {
      receiver.answer = async (delivery, response) => { response.writeHead(503).end(); };
      await startWebhooks({ WEBHOOK_TYPES });
      await tell(10);
      await until(() => receiver.deliveries.length > 300);
      assert.ok(receiver.deliveries.every(({ type }) => type === 'customer_seat.assigned')); // the others wait
      receiver.answer = receiver.accept;
      await idle();
      assertOrder(10);
    });

    test('the wait doubles up to a limit, half of it at random, and later events of the seat wait as well', async () => {
      const { seat, token } = await shop.assign(await sell(1));
      await shop.query('SELECT seats.claim_seat($1)', [token]);
      receiver.answer = async (delivery, response) => { response.writeHead(503).end(); };
      await startWebhooks({ RETRY_SECONDS: '10000', RETRY_SECONDS_MAX: '35000' });
      for (const [index, wait] of [10000, 20000, 35000, 35000].entries()) {
        await until(() => count('seats_worker.jobs', `attempts = ${index + 1}`));
        const waits = await shop.query(
          'SELECT extract(epoch FROM due_at - clock_timestamp())::int AS seconds FROM seats_worker.jobs WHERE seat_id = $1', [seat]);
        assert.equal(waits.length, 2);
        for (const { seconds } of waits) assert.ok(seconds <= wait && seconds > wait / 2 - 600, `${seconds} of ${wait}`);
        await shop.query('UPDATE seats_worker.jobs SET due_at = now()');
      }
    });

    test('a dead letter is seen, holds nobody up, and can be sent again', async () => {
      receiver.answer = async (delivery, response) => {
        if (delivery.type === 'customer_seat.assigned') response.writeHead(500).end();
        else receiver.accept(delivery, response);
      };
      await startWebhooks({ WEBHOOK_TYPES, ATTEMPTS: '3' });
      await tell(2);
      await idle();
      assert.deepEqual(await shop.query('SELECT type, attempts, last_error FROM seats_worker.dead_letters'),
        Array.from({ length: 2 }, () => ({ type: 'customer_seat.assigned', attempts: 3, last_error: 'HTTP 500' })));
      assert.equal(receiver.deliveries.length, 2 * (3 + 4));
      receiver.answer = receiver.accept;
      const readme = await readFile(`${workerExample}/README.md`, 'utf8');
      await shop.query(/^UPDATE seats_worker\.dead_letters.*?;$/ms.exec(readme)[0]);
      await idle();
      assert.deepEqual(receiver.deliveries.slice(-2).map(({ type }) => type), ['customer_seat.assigned', 'customer_seat.assigned']);
      assert.equal(await count('seats_worker.dead_letters'), 0);
    });

    test('a receiver that hangs takes its few connections, and mails go on', async () => {
      const open = [];
      receiver.answer = async (delivery, response) => { open.push(response); };
      await start({ WEBHOOK_URL: receiver.url, SMTP_URL: mailServer.url, TIMEOUT_SECONDS: '600', DELIVERIES_AT_ONCE: '3' });
      const subscription = await sell(6);
      for (let i = 0; i < 5; i += 1) await shop.assign(subscription);
      await until(() => open.length === 3);
      await invite(subscription);
      await until(() => mailServer.mails.length === 1);
      assert.equal(open.length, 3);
      receiver.answer = receiver.accept;
      for (const response of open) response.end();
      await idle();
    });

    test('SIGTERM and SIGINT: it ends once what it is at is done', async () => {
      for (const signal of ['SIGTERM', 'SIGINT']) {
        const subscription = await sell(2);
        await shop.assign(subscription);
        await shop.assign(subscription);
        const answering = new Promise((resolve) => {
          receiver.answer = async (delivery, response) => { resolve(() => receiver.accept(delivery, response)); };
        });
        const worker = await startWebhooks({ DELIVERIES_AT_ONCE: '1' });
        const answer = await answering;
        const ended = worker.stop(signal);
        await until(() => worker.output.includes(`"stopping":"${signal}"`));
        answer();
        assert.equal(await ended, 0);
        assert.equal(await count('seats_worker.jobs'), 1);
        await shop.query('DELETE FROM seats_worker.jobs');
      }
    });

    test('an event that is locked is not overtaken', async () => {
      const { seat, token } = await shop.assign(await sell(1));
      await shop.query('SELECT seats.claim_seat($1)', [token]);
      const take = async () => (await shop.query('SELECT seats_worker.take_events(true, $1, false, 100) AS number', [types]))[0].number;
      await inTransaction(async (client) => {
        await client.query("SELECT FROM seats.events WHERE seat_id = $1 AND type = 'customer_seat.assigned' FOR UPDATE", [seat]);
        assert.equal(await take(), 0);
        assert.equal(await count('seats.events'), 2);
      });
      assert.equal(await take(), 2);
    });

    test('connections that are lost are replaced', async () => {
      const lose = () => shop.query(`SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
        WHERE datname = current_database() AND usename = 'seats_worker'`);
      let tries = 0;
      receiver.answer = async (delivery, response) => {
        tries += 1;
        if (tries <= 3) await lose();
        receiver.accept(delivery, response);
      };
      const worker = await startWebhooks();
      const { seat } = await shop.assign(await sell(1));
      await idle();
      assert.ok(tries >= 4); // a job that is unlocked may be sent again before its first answer
      assert.ok(receiver.deliveries.every(({ data: { id } }) => id === seat));
      assert.match(worker.output, /57P01/);
    });

    test('killed while it takes events: none is lost', async () => {
      let worker;
      await inTransaction(async (client) => {
        await client.query('LOCK TABLE seats_worker.jobs IN SHARE MODE');
        worker = await startWebhooks({ WEBHOOK_TYPES });
        await tell(1);
        await isWaiting('SELECT seats_worker.take_events');
        await worker.stop('SIGKILL');
      });
      await startWebhooks({ WEBHOOK_TYPES });
      await idle();
      assertOrder(1);
    });

    test('killed when it has delivered, but not noted it: delivered again, with the same id', async () => {
      await shop.assign(await sell(1));
      const worker = await startWebhooks();
      await inTransaction((client) => new Promise((resolve, reject) => {
        receiver.answer = async (delivery, response) => {
          receiver.answer = receiver.accept;
          await client.query('LOCK TABLE seats_worker.jobs IN SHARE MODE');
          receiver.accept(delivery, response);
          isWaiting('DELETE FROM seats_worker.jobs').then(() => worker.stop('SIGKILL')).then(resolve, reject);
        };
      }));
      await startWebhooks();
      await idle();
      assert.equal(receiver.deliveries.length, 2);
      assert.equal(new Set(receiver.deliveries.map(({ id, body }) => id + body)).size, 1);
    });

    test('killed again and again, at every step of a webhook: none is lost', async () => {
      const moments = [
        async (response) => { await kill(); response.end(); },                       // before the answer
        async (response) => { response.writeHead(200).write('half'); await kill(); }, // during it
        async (response) => { response.end(); await kill(); },                       // after it
      ];
      let worker, turn = 0;
      const kill = () => worker.stop('SIGKILL');
      receiver.answer = async (delivery, response) => {
        turn += 1;
        if (turn % 4 === 0) await moments[(turn / 4) % 3](response);
        else receiver.accept(delivery, response);
      };
      await tell(6);
      while (turn < 30) {
        worker = await startWebhooks({ WEBHOOK_TYPES });
        await worker.ended;
      }
      receiver.answer = receiver.accept;
      await startWebhooks({ WEBHOOK_TYPES });
      await idle();
      assertOrder(6);
    });

    test('killed at every step of a mail: it is sent again, and its link works', async () => {
      for (const moment of ['connect', 'recipient', 'data', 'answered']) {
        const seat = await invite(await sell(1));
        let worker;
        mailServer.at = async (step) => { if (step === moment) await worker.stop('SIGKILL'); };
        worker = await startMails();
        await worker.ended;
        mailServer.at = async () => {};
        await startMails();
        await idle();
        assert.equal((await claim(mailServer.mails.at(-1))).id, seat, moment);
      }
    });
  });
});
