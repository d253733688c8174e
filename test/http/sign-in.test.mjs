// The code of docs/sign-in.md: the two ways to open a further session.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, beforeEach, describe, test } from 'node:test';
import pg from 'pg';
import { nodeExample } from './lib/node-layer.mjs';
import { Shop } from './lib/shop.mjs';
import { addRoutes, checkCode, openSession, sendCode } from './lib/sign-in.mjs';

const express = createRequire(`${nodeExample}/`)('express');
const read = (path) => readFile(new URL(path, import.meta.url), 'utf8');
process.env.SIGN_IN_KEY = 'the key of the test';

describe('signing in', () => {
  let shop, pool, server, url, subscription, ada;
  let mails = [];
  const mail = async (to, code) => { mails.push({ to, code }); };

  before(async () => {
    shop = await Shop.open('http_sign_in');
    const documentation = await read('../../docs/sign-in.md');
    for (const [, sql] of documentation.matchAll(/^```sql\n(.*?)^```/gms)) await shop.query(sql);
    await shop.query('GRANT SELECT, INSERT, UPDATE, DELETE ON members, sign_in_codes TO seats_web_backend');
    pool = new pg.Pool({ connectionString: shop.url('seats_web_backend'), max: 8 });
    const app = express().use(express.json());
    addRoutes(app, { pool, organization: shop.organization, mail, report: () => {} });
    await new Promise((resolve) => { server = app.listen(0, '127.0.0.1', resolve); });
    url = `http://127.0.0.1:${server.address().port}`;
  });
  after(async () => {
    server?.closeAllConnections();
    server?.close();
    await pool?.end();
    await shop?.close();
  });

  // A member who has claimed a seat of a subscription.
  const newMember = async (of, email) => {
    const { token } = await shop.assign(of, email);
    const [{ customer, seat }] = await shop.query(
      'SELECT (seat).customer_id AS customer, (seat).id AS seat FROM seats.claim_seat($1)', [token]);
    await shop.query('INSERT INTO members (customer_id, seat_id) VALUES ($1, $2)', [customer, seat]);
    return { customer, seat, email };
  };
  beforeEach(async () => {
    subscription = await shop.sell('subscriptions', 2);
    ada = await newMember(subscription, `Ada.${subscription}@example.com`);
    mails = [];
  });

  const codeFor = async (email) => {
    const before = mails.length;
    await sendCode(pool, shop.organization, email, mail);
    return mails.slice(before).find(({ to }) => to === email)?.code;
  };
  const check = (email, code) => checkCode(pool, shop.organization, email, code);
  const wrong = (code) => code.replace(/.$/, (digit) => String((+digit + 1) % 10));
  const post = (path, body) => fetch(url + path, { method: 'POST', redirect: 'manual',
    headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  const age = (minutes) => shop.query(
    'UPDATE sign_in_codes SET expires_at = expires_at - make_interval(mins => $1)', [minutes]);

  test('docs/sign-in.md has the code that is tested here', async () => {
    let [, code] = /\/\/ docs:begin\n(.*)\/\/ docs:end/s.exec(await read('lib/sign-in.mjs'));
    for (const [, block] of (await read('../../docs/sign-in.md')).matchAll(/^```js\n(.*?)^```/gms)) {
      for (const part of block.split(/(?<=^import .*;\n)/m)) {
        assert.ok(code.includes(part), part);
        code = code.replace(part, '');
      }
    }
    assert.equal(code.trim(), '');
  });

  test("the application's own login: a further session, beside the first", async () => {
    const [first, second] = [await openSession(pool, ada.customer), await openSession(pool, ada.customer)];
    assert.notEqual(first, second);
    for (const token of [first, second]) assert.equal(await shop.whoIs(token), ada.customer);
    assert.equal(await openSession(pool, shop.organization), undefined);
  });

  test('a code by mail signs in once', async () => {
    assert.equal((await post('/sign-in/code', { email: ada.email.toUpperCase() })).status, 202);
    for (let tries = 0; mails.length === 0 && tries < 1000; tries += 1) await new Promise((next) => { setTimeout(next, 10); });
    const [{ to, code }] = mails;
    assert.equal(to, ada.email);
    assert.match(code, /^\d{8}$/);
    const response = await post('/sign-in', { email: ada.email, code });
    assert.deepEqual([response.status, response.headers.get('location')], [303, '/']);
    const [, token] = /^__Host-session=(seats_cst_\w+); Path=\/; HttpOnly; Secure; SameSite=Lax$/.exec(
      response.headers.get('set-cookie'));
    assert.equal(await shop.whoIs(token), ada.customer);
    assert.equal((await post('/sign-in', { email: ada.email, code })).status, 401);
  });

  test('of many who give the right code at once, one signs in', async () => {
    const code = await codeFor(ada.email);
    const given = await Promise.all(Array.from({ length: 8 }, () => check(ada.email, code)));
    assert.deepEqual(given.filter(Boolean), [ada.customer]);
  });

  test('five tries, also at once', async () => {
    let code = await codeFor(ada.email);
    for (let tries = 0; tries < 4; tries += 1) assert.equal(await check(ada.email, wrong(code)), undefined);
    assert.equal(await check(ada.email, code), ada.customer);
    await age(2);
    code = await codeFor(ada.email);
    await Promise.all(Array.from({ length: 8 }, () => check(ada.email, wrong(code))));
    const [{ left }] = await shop.query('SELECT tries_left AS left FROM sign_in_codes WHERE customer_id = $1', [ada.customer]);
    assert.equal(left, 0);
    assert.equal(await check(ada.email, code), undefined);
  });

  test('ten minutes, and one mail a minute', async () => {
    const code = await codeFor(ada.email);
    assert.equal(await codeFor(ada.email), undefined);
    await age(2);
    const newer = await codeFor(ada.email);
    assert.equal(await check(ada.email, code), undefined);
    await age(11);
    assert.equal(await check(ada.email, newer), undefined);
  });

  test('an unknown address, or one of another organization, gets the same answer and no mail', async () => {
    const organization = await shop.insert('organizations',
      { name: 'Other', slug: `other-${subscription}`, seat_based_pricing_enabled: true });
    const other = await newMember(await shop.sell('subscriptions', 1, { organization }), `bob.${subscription}@example.com`);
    const answers = async (path, bodies) => new Set(await Promise.all(bodies.map(async (body) => {
      const response = await post(path, body);
      const headers = [...response.headers].filter(([name]) => name !== 'date');
      return JSON.stringify([response.status, headers, await response.text()]);
    })));
    const emails = [ada.email, 'nobody@example.com', other.email];
    assert.equal((await answers('/sign-in/code', [...emails, undefined, '\u0000'].map((email) => ({ email })))).size, 1);
    assert.equal((await answers('/sign-in', emails.map((email) => ({ email, code: 'x' })))).size, 1);
    assert.equal(await codeFor('nobody@example.com'), undefined);
    assert.equal(await codeFor(other.email), undefined);
    assert.equal(await check('nobody@example.com', '00000000'), undefined);
    assert.equal((await post('/sign-in', {})).status, 401);
    assert.ok(mails.every(({ to }) => to === ada.email));
  });

  test('a code that was mailed to an old address is worth nothing with the new one', async () => {
    const code = await codeFor(ada.email);
    const renamed = `new.${ada.email}`;
    await shop.query('UPDATE seats.customers SET email = $2 WHERE id = $1', [ada.customer, renamed]);
    assert.equal(await check(ada.email, code), undefined);
    assert.equal(await check(renamed, code), undefined);
  });

  test('a seat that is suspended or gone: refused with the reason', async () => {
    await shop.query("UPDATE seats.subscriptions SET status = 'paused' WHERE id = $1", [subscription]);
    let response = await post('/sign-in', { email: ada.email, code: await codeFor(ada.email) });
    assert.deepEqual([response.status, await response.json()], [403, { reason: 'seat_suspended' }]);
    await shop.query("UPDATE seats.subscriptions SET status = 'active' WHERE id = $1", [subscription]);
    await shop.query('SELECT seats.revoke_seat($1)', [ada.seat]);
    await age(2);
    response = await post('/sign-in', { email: ada.email, code: await codeFor(ada.email) });
    assert.deepEqual([response.status, await response.json()], [403, { reason: 'seat_not_claimed' }]);
  });

  test('no code is in the database in clear', async () => {
    const code = await codeFor(ada.email);
    const [{ found }] = await shop.query(
      "SELECT count(*)::int AS found FROM sign_in_codes AS c WHERE c::text LIKE '%' || $1 || '%' OR encode(code_hash, 'escape') LIKE '%' || $1 || '%'", [code]);
    assert.equal(found, 0);
  });
});
