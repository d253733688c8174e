// What examples/node does besides the operations: its rights, and how it bears faults and ends.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { nodeExample, startNode } from './lib/node-layer.mjs';
import { Shop } from './lib/shop.mjs';

describe('Node, the server', () => {
  let shop;
  before(async () => { shop = await Shop.open('http_node_server'); });
  after(() => shop.close());

  const withNode = async (use, environment) => {
    const layer = await startNode(shop, environment);
    try {
      await use(layer);
    } finally {
      await layer.stop();
    }
  };
  const claim = (layer, token) =>
    fetch(`${layer.url}/v1/customer-seats/claim`, { method: 'POST', body: JSON.stringify({ invitation_token: token }) });
  const answers = async (response, status, body) => {
    assert.equal(response.status, status);
    assert.deepEqual(await response.json(), body);
  };
  const unavailable = { error: 'ServiceUnavailable', detail: 'Service Unavailable' };
  const newToken = async () => (await shop.assign(await shop.sell('subscriptions', 1))).token;

  // Holds the lock on the seat of a token while something else happens.
  const whileLocked = async (token, use) => {
    const client = new pg.Client({ database: shop.database });
    await client.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM seats.customer_seats WHERE invitation_token_hash = sha256($1) FOR UPDATE',
      [Buffer.from(token)]);
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  };
  // Until some statement of the layer waits for a lock.
  const isWaiting = async () => {
    for (let tries = 0; tries < 1000; tries += 1) {
      const [{ waiting }] = await shop.query(`SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = $1 AND usename = 'seats_web_anonymous' AND wait_event_type = 'Lock'`, [shop.database]);
      if (waiting > 0) return;
      await sleep(50);
    }
    assert.fail('nobody waits');
  };

  test('does not start without its settings', () => {
    const { status, stderr } = spawnSync(process.execPath, ['server.js'],
      { cwd: nodeExample, encoding: 'utf8', env: { ...process.env, SEATS_API_KEY: '' } });
    assert.equal(status, 1);
    assert.match(stderr, /set SEATS_ANONYMOUS_URL, SEATS_BACKEND_URL and SEATS_API_KEY/);
  });

  test('the role for claims can claim and no more', async () => {
    await withNode(async (layer) => {
      const headers = { Authorization: `Bearer ${layer.accessToken}` };
      const list = `${layer.url}/v1/customer-seats?subscription_id=${await shop.sell('subscriptions', 1)}`;
      await answers(await fetch(list, { headers }), 500,
        { error: 'InternalServerError', detail: 'Internal Server Error' });
      assert.equal((await claim(layer, await newToken())).status, 200);
      // The log says what happened, and nothing that a request or an error said.
      const [line] = (await layer.logs()).split('\n').filter((entry) => entry.includes('42501'));
      assert.deepEqual({ ...JSON.parse(line), time: undefined },
        { time: undefined, method: 'GET', route: '/v1/customer-seats', status: 500, code: '42501' });
    }, { SEATS_BACKEND_URL: shop.url('seats_web_anonymous') });
  });

  test('ends on SIGTERM or SIGINT once it has answered what it was asked', async () => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const layer = await startNode(shop);
      const token = await newToken();
      const response = await whileLocked(token, async (holder) => {
        const asked = claim(layer, token);
        await isWaiting();
        const ended = layer.stop(signal);
        for (let tries = 0; await fetch(layer.url).then(() => true, () => false); tries += 1) {
          assert.ok(tries < 1000, 'it still takes requests');
          await sleep(50);
        }
        await holder.query('ROLLBACK');
        assert.equal(await ended, 0);
        return asked;
      });
      assert.equal(response.status, 200);
    }
  });

  test('a statement that takes too long: 503, and the seat can be claimed afterwards', async () => {
    await withNode(async (layer) => {
      const token = await newToken();
      await whileLocked(token, async () => {
        const response = await claim(layer, token);
        assert.equal(response.headers.get('retry-after'), '1');
        await answers(response, 503, unavailable);
      });
      assert.equal((await claim(layer, token)).status, 200);
    });
  });

  test('the loser of a race in REPEATABLE READ: 503', async () => {
    const setting = `ALTER ROLE seats_web_anonymous IN DATABASE ${shop.database}`;
    await shop.query(`${setting} SET default_transaction_isolation = 'repeatable read'`);
    await withNode(async (layer) => {
      const token = await newToken();
      const response = await whileLocked(token, async (winner) => {
        const asked = claim(layer, token);
        await isWaiting();
        await winner.query('SELECT seats.claim_seat($1)', [token]);
        await winner.query('COMMIT');
        return asked;
      });
      await answers(response, 503, unavailable);
      assert.equal((await (await claim(layer, token)).json()).reason, 'seat_already_claimed');
    });
    await shop.query(`${setting} RESET default_transaction_isolation`);
  });

  test('connections that are lost are replaced', async () => {
    await withNode(async (layer) => {
      assert.equal((await claim(layer, await newToken())).status, 200);
      const token = await newToken();
      await whileLocked(token, async () => {
        const asked = claim(layer, token);
        await isWaiting();
        await shop.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'seats_web_%'");
        await answers(await asked, 503, unavailable);
      });
      assert.equal((await claim(layer, token)).status, 200);
    });
  });

  test('no database: 503, and no token in the log', async () => {
    const nowhere = 'postgresql://seats_web_anonymous@127.0.0.1:1/nowhere';
    await withNode(async (layer) => {
      const token = await newToken();
      await answers(await claim(layer, token), 503, unavailable);
      await answers(await fetch(`${layer.url}/v1/customer-seats/claim/${token}`), 503, unavailable);
      await layer.stop(); // what it logged last is there then
      const log = await layer.logs();
      assert.match(log, /"route":"\/v1\/customer-seats\/claim\/:invitation_token","status":503,"code":"ECONNREFUSED"/);
      assert.doesNotMatch(log, /seats_inv_/);
    }, { SEATS_ANONYMOUS_URL: nowhere });
  });
});
