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
  const claim = (layer, token, headers) => fetch(`${layer.url}/v1/customer-seats/claim`,
    { method: 'POST', headers, body: JSON.stringify({ invitation_token: token }) });
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
      const link = `seats_jnl_${token.slice(10)}`;
      const join = { method: 'POST', body: JSON.stringify({ join_token: link, email: 'ada@example.com' }) };
      await answers(await fetch(`${layer.url}/v1/customer-seats/join`, join), 503, unavailable);
      await answers(await fetch(`${layer.url}/v1/customer-seats/join/${link}`), 503, unavailable);
      await layer.stop(); // what it logged last is there then
      const log = await layer.logs();
      assert.match(log, /"route":"\/v1\/customer-seats\/claim\/:token","status":503,"code":"ECONNREFUSED"/);
      assert.match(log, /customer-seats\/join\/:token"/);
      assert.doesNotMatch(log, /seats_(inv|jnl)_|ada@/);
    }, { SEATS_ANONYMOUS_URL: nowhere });
  });

  test("what a trigger raises is 500, without a word of it, and only the extension's own errors are answers", async () => {
    await shop.query(`CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION USING ERRCODE = TG_ARGV[0], MESSAGE = 'secret message', DETAIL = TG_ARGV[1], HINT = 'secret hint'; END $$`);
    const raised = [['22P02', 'x'], ['23505', 'Key (secret)=(1) exists.'], ['P0001', ''], ['PT400', 'x'], ['PT400', 'seat_not_found'],
      ['PT401', 'session_invalid'], ['PT404', 'constructor'], ['PT418', 'seat_revoked'], ['PT200', 'x'], ['PT422', '[]'], ['PGRST', '{}'],
      ['42501', 'x']];
    try {
      await withNode(async (layer) => {
        const token = await newToken();
        for (const [code, detail] of raised) {
          await shop.query(`CREATE OR REPLACE TRIGGER interfere BEFORE INSERT ON seats.customer_sessions
            FOR EACH ROW EXECUTE FUNCTION interfere('${code}', '${detail}')`);
          await answers(await claim(layer, token), 500, { error: 'InternalServerError', detail: 'Internal Server Error' });
        }
        await shop.query('DROP TRIGGER interfere ON seats.customer_sessions');
        assert.equal((await claim(layer, token)).status, 200);
        assert.doesNotMatch(await layer.logs(), /secret/);
      });
    } finally {
      await shop.query('DROP FUNCTION interfere CASCADE');
    }
  });

  test('what PostgreSQL cannot store: 422 in a body, 400 in an address', async () => {
    await withNode(async (layer) => {
      const Authorization = `Bearer ${layer.accessToken}`;
      const subscription = await shop.sell('subscriptions', 1);
      const assign = (fields) => fetch(`${layer.url}/v1/customer-seats`, { method: 'POST', headers: { Authorization },
        body: JSON.stringify({ subscription_id: subscription, email: 'a@example.com', ...fields }) });
      for (const fields of [{ metadata: { a: ['\0'] } }, { metadata: { '\0': 1 } }, { metadata: { a: '\ud83e' } }, { unknown: '\0' }]) {
        await answers(await assign(fields), 422,
          { detail: [{ loc: ['body'], msg: 'JSON decode error', type: 'json_invalid' }] });
      }
      const response = await assign({ metadata: { a: '🪑', big: 1, toString: 1 } });
      assert.deepEqual((await response.json()).seat_metadata, { a: '🪑', big: 1, toString: 1 });
      for (const path of ['/claim/x%00', '/claim/%zz', '?order_id=%00']) {
        await answers(await fetch(`${layer.url}/v1/customer-seats${path}`, { headers: { Authorization } }), 400,
          { error: 'BadRequest', detail: 'Bad Request' });
      }
    });
  });

  test('numbers in metadata keep all their digits', async () => {
    await withNode(async (layer) => {
      const response = await fetch(`${layer.url}/v1/customer-seats`, { method: 'POST',
        headers: { Authorization: `Bearer ${layer.accessToken}` },
        body: `{"order_id": "${await shop.sell('orders', 1)}", "email": "a@example.com", "metadata": {"n": 9007199254740993}}` });
      assert.match(await response.text(), /"seat_metadata": *\{"n": 9007199254740993\}/);
    });
  });

  test("an event has the client's address as Express sees it, and its user agent", async () => {
    await withNode(async (layer) => {
      const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
      await claim(layer, token, { 'X-Forwarded-For': '192.0.2.1', 'User-Agent': 'claim-page/1.0' });
      const [{ metadata }] = await shop.query(
        "SELECT metadata FROM seats.events WHERE seat_id = $1 AND type = 'customer_seat.claimed'", [seat]);
      assert.deepEqual([metadata.address, metadata.user_agent], ['127.0.0.1', 'claim-page/1.0']);
    });
  });

  // The connection and the settings that a function sees of a request take the place of its answer. Its own status is 418
  // if it is told so.
  const tellSettings = (name) => shop.query(`CREATE OR REPLACE FUNCTION seats_http.${name}
    RETURNS json LANGUAGE plpgsql AS $$
    DECLARE
      status text := current_setting('response.status', true);
      headers json := current_setting('request.headers', true);
    BEGIN
      IF headers ->> 'user-agent' = 'teapot' THEN PERFORM set_config('response.status', '418', true); END IF;
      RETURN json_build_object('connection', pg_backend_pid(), 'status', status, 'headers', headers,
        'claims', nullif(current_setting('request.jwt.claims', true), '')::json);
    END $$`);
  const asks = async (url, headers) => {
    const response = await fetch(url, { headers });
    return { answered: response.status, ...await response.json() };
  };

  test('on one connection, nothing of a request is left for the next', async () => {
    const [ada, bob] = await Promise.all([newToken(), newToken()].map(async (token) => (await shop.query(
      'SELECT (seat).customer_id AS id, customer_session_token AS session FROM seats.claim_seat($1)', [await token]))[0]));
    await tellSettings('get_claim_info(invitation_token text DEFAULT NULL)');
    await tellSettings('portal_list_seats(subscription_id text DEFAULT NULL, order_id text DEFAULT NULL)');
    await withNode(async ({ url }) => {
      const info = `${url}/v1/customer-seats/claim/x`;
      const list = `${url}/v1/customer-portal/seats`;
      const headers = (agent, key) => ({ 'x-forwarded-for': '127.0.0.1', 'user-agent': agent, ...(key && { 'idempotency-key': key }) });
      const first = await asks(info, { 'User-Agent': 'teapot', 'Idempotency-Key': 'a key', Authorization: `Bearer ${ada.session}` });
      assert.deepEqual(first, { answered: 418, connection: first.connection, status: first.status, headers: headers('teapot', 'a key'), claims: null });
      const next = await asks(info, { 'User-Agent': 'next' });
      assert.deepEqual(next, { answered: 200, connection: first.connection, status: '', headers: headers('next'), claims: null });

      const customers = [[ada, 'teapot', 418], [bob, 'next', 200]];
      const told = [];
      for (const [{ session }, agent] of customers) told.push(await asks(list, { 'User-Agent': agent, Authorization: `bearer ${session}` }));
      assert.equal(told[0].connection, told[1].connection);
      for (const [i, [{ id }, agent, status]] of customers.entries()) {
        assert.deepEqual([told[i].answered, told[i].headers, told[i].claims],
          [status, headers(agent), { sub: id, role: 'seats_web_customer' }]);
      }
      // With no session the database is not asked, and with a wrong one the function is not called.
      for (const Authorization of ['', 'Bearer', `Bearer ${'x'.repeat(300)}`, `Bearer ${bob.session}x`]) {
        assert.deepEqual(await asks(list, { Authorization }), { answered: 401, error: 'Unauthorized', detail: 'Unauthorized' });
      }
    });
  });

  test('without SEATS_CUSTOMER_URL the routes of the customer who pays are not there', async () => {
    await withNode(async (layer) => {
      await answers(await fetch(`${layer.url}/v1/customer-portal/seats`), 404, { error: 'NotFound', detail: 'Not Found' });
      assert.equal((await claim(layer, await newToken())).status, 200);
    }, { SEATS_CUSTOMER_URL: '' });
  });
});
