// What a proxy in front of PostgREST can do wrong, and examples/postgrest/nginx.conf does not.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { backendToken, examples, postgrestProgram, prepareNginx, startLayer, startNginx,
  startPostgrest } from './lib/postgrest-layer.mjs';
import { freePort } from './lib/processes.mjs';
import { Shop } from './lib/shop.mjs';

// PostgREST itself where there is one.
const program = postgrestProgram();
const [claimPage, teamPage, errorPage] = ['claim-page/index.html', 'team-page/index.html', 'claim-page/error.html']
  .map((name) => readFileSync(join(examples, name), 'utf8'));
const errors = {
  400: { error: 'BadRequest', detail: 'Bad Request' },
  401: { error: 'Unauthorized', detail: 'Unauthorized' },
  403: { error: 'Forbidden', detail: 'Forbidden' },
  404: { error: 'NotFound', detail: 'Not Found' },
  405: { error: 'MethodNotAllowed', detail: 'Method Not Allowed' },
  414: { error: 'URITooLong', detail: 'URI Too Long' },
  431: { error: 'RequestHeaderFieldsTooLarge', detail: 'Request Header Fields Too Large' },
  500: { error: 'InternalServerError', detail: 'Internal Server Error' },
  504: { error: 'GatewayTimeout', detail: 'Gateway Timeout' },
};

describe(`nginx, by examples/postgrest/nginx.conf, and ${program ?? 'a stand-in for PostgREST'}`, () => {
  let shop, layer;
  before(async () => {
    shop = await Shop.open('http_nginx_traps');
    await shop.query(`ALTER DATABASE ${shop.database} SET lock_timeout = '200ms'`);
    layer = await startLayer(program)(shop);
  });
  after(async () => {
    await layer?.stop();
    await shop?.close();
  });

  const send = (method, path, { body, headers, url = layer.url } = {}) =>
    fetch(`${url}/v1/customer-seats${path}`,
      { method, body, headers: { Authorization: `Bearer ${layer.accessToken}`, ...headers } });
  const claim = (token, options = {}) =>
    send('POST', '/claim', { body: JSON.stringify({ invitation_token: token }), ...options });
  const fails = async (response, status, what) => {
    assert.equal(response.status, status, what);
    assert.equal(response.headers.get('content-type'), 'application/json', what);
    assert.deepEqual(await response.json(), errors[status], what);
  };
  const newSeat = async () => shop.assign(await shop.sell('subscriptions', 1));

  test('nginx accepts the file as it is', () => {
    const { command, args } = prepareNginx();
    const { status, stderr } = spawnSync(command, [...args, '-t'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /warn/);
  });

  test('the pages are at the origin of the API, and only to be read', async () => {
    for (const [path, text] of [['/claim', claimPage], ['/join', claimPage], ['/team', teamPage], ['/team/', teamPage]]) {
      const page = await fetch(layer.url + path);
      assert.equal(page.status, 200);
      assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
      assert.equal(page.headers.get('content-security-policy'), "frame-ancestors 'none'");
      assert.equal(page.headers.get('cache-control'), 'no-cache');
      assert.equal(await page.text(), text);
      const post = await fetch(layer.url + path, { method: 'POST', body: '{}' });
      assert.equal(post.status, 405);
      assert.equal(post.headers.get('allow'), 'GET, HEAD');
      assert.equal(await post.text(), errorPage);
    }
  });

  test('people get the claim page wherever a mail gateway has put the token, and no log has it', async () => {
    const { token } = await newSeat();
    const link = token.replace('inv', 'jnl');
    for (const path of ['/claim/', `/claim%23${token}`, `/claim%2523${token}`, `/claim/%23${token}`, `/claim?token=${token}`,
      `/claim/${token}`, `/claim%3Ftoken=${token}`, '/claim%3E', '/claim).', '/claim%0A', '/claim;x',
      `/join%23${link}`, `/join/${link}`, `/join?token=${link}`]) {
      for (const headers of [{}, { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }]) {
        const page = await fetch(layer.url + path, { headers });
        assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8'], path);
        assert.equal(page.headers.get('content-security-policy'), "frame-ancestors 'none'");
        assert.equal(await page.text(), claimPage, path);
      }
    }
    const log = await layer.accessLog();
    assert.ok(log.filter(({ route }) => route === 'claim_page').length >= 22);
    assert.equal(log.filter(({ route }) => route === 'join_page').length, 6 + 2);
    assert.doesNotMatch(await layer.logs(), /seats_(inv|jnl)_/);
  });

  test('at other addresses people get a page, and programs JSON', async () => {
    const headers = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
    for (const path of ['/', '/claims', '/joins', '/teams', '/favicon.ico', '/rpc/claim_seat', '/post', '/get', '/error', '/error_page', '/index.html',
      '/node/server.js']) {
      await fails(await fetch(layer.url + path), 404, path);
      if (path.startsWith('/error')) continue;
      const page = await fetch(layer.url + path, { headers });
      assert.deepEqual([page.status, page.headers.get('content-type')], [404, 'text/html; charset=utf-8'], path);
      assert.equal(await page.text(), errorPage, path);
    }
    // The API has no pages.
    await fails(await fetch(`${layer.url}/v1/customer-seats`, { headers }), 401);
    await fails(await fetch(`${layer.url}/v1/other`, { headers }), 404);
    await fails(await send('PUT', '', { headers }), 405);
  });

  test('what nginx itself refuses is told in JSON', async () => {
    const { token } = await newSeat();
    for (const path of ['/post', '/get']) await fails(await fetch(layer.url + path), 404, path);
    for (const path of ['/claim/%00', '/claim/%zz', `/claim/${token}%2`]) await fails(await send('GET', path), 400, path);
    await fails(await send('GET', `/claim/${'x'.repeat(9000)}`), 414);
    await fails(await send('GET', '', { headers: { 'X-Large': 'x'.repeat(20_000) } }), 431);
    const routes = (path) => [[path, 'GET, HEAD, POST'], [`${path}/join-links`, 'GET, HEAD, POST'],
      [`${path}/join-links/${token}`, 'DELETE'], [`${path}/${token}`, 'DELETE'], [`${path}/${token}/resend`, 'POST']];
    for (const [path, allow] of [['/customer-seats/claim', 'POST'], [`/customer-seats/claim/${token}`, 'GET, HEAD'],
      ['/customer-seats/join', 'POST'], [`/customer-seats/join/${token}`, 'GET, HEAD'],
      ...routes('/customer-seats'), ...routes('/customer-portal/seats')]) {
      const { statusCode, headers, body } = await new Promise((resolve, reject) => {
        httpRequest(`${layer.url}/v1${path}`, { method: 'TRACE' }, async (response) => {
          resolve({ ...response, statusCode: response.statusCode, headers: response.headers, body: (await response.toArray()).join('') });
        }).on('error', reject).end();
      });
      assert.deepEqual([statusCode, headers['content-type'], headers.allow], [405, 'application/json', allow]);
      assert.deepEqual(JSON.parse(body), errors[405]);
    }
  });

  test("the client's query does not reach PostgREST", async () => {
    const { seat, token } = await newSeat();
    const other = await newSeat();
    for (const query of ['select=id', 'seat_id=eq.x', 'columns=x', `seat_id=${other.seat}`, 'limit=0']) {
      assert.equal((await send('POST', `/${seat}/resend?${query}`)).status, 200, query);
      assert.equal((await send('GET', `/claim/${other.token}?${query}`)).status, 200, query);
    }
    const subscription = await shop.sell('subscriptions', 1);
    assert.equal((await send('GET', `?select=x&subscription_id=${subscription}&order=x`)).status, 200);
    const { status } = await (await send('DELETE', `/${seat}?seat_id=${other.seat}&seat_id=eq.x`)).json();
    assert.equal(status, 'revoked');
    assert.equal((await claim(token)).status, 400);
    assert.equal((await send('POST', `/claim?invitation_token=eq.x&select=x`,
      { body: JSON.stringify({ invitation_token: other.token }) })).status, 200);
  });

  test('what is no UUID or token passes into no request, however it is written', async () => {
    const { seat } = await newSeat();
    const contents = await shop.contents();
    const seats = [`x","seat_id":"${seat}`, `${seat}"}`, `${seat}\n`, `${seat} `, `eq.${seat}`, `{${seat}}`, '$seat_id', '\0'];
    for (const id of seats) {
      for (const path of ['', '/join-links']) {
        const response = await send('DELETE', `${path}/${encodeURIComponent(id)}`);
        assert.ok([400, 404, 422].includes(response.status), `${JSON.stringify(id)}: ${response.status}`);
        const text = await response.text();
        if (response.status === 422) assert.equal(JSON.parse(text).detail[0].type, 'uuid_parsing');
      }
    }
    for (const token of ['"', '\\', '"}', 'x\ny', '{"a":1}']) {
      for (const path of ['/claim', '/join']) {
        const { status } = await send('GET', `${path}/${encodeURIComponent(token)}`);
        assert.ok([400, 404].includes(status), `${path} ${token}: ${status}`);
      }
    }
    assert.deepEqual(await shop.contents(), contents);
  });

  test('headers that would change what PostgREST does are not passed on', async () => {
    const subscription = await shop.sell('subscriptions', 1);
    await shop.assign(subscription);
    const { seat } = await newSeat();
    const plain = await (await send('GET', `?subscription_id=${subscription}`)).text();
    for (const headers of [{ Accept: 'text/csv' }, { Accept: 'image/png' }, { Prefer: 'handling=strict, no=1' },
      { Prefer: 'timezone=Asia/Tokyo' }, { Range: '5-9', 'Range-Unit': 'items' }, { 'Accept-Profile': 'seats' },
      { 'Content-Profile': 'seats' }, { 'Content-Profile': 'gateway' }, { 'Content-Type': 'text/csv' },
      { Cookie: 'a=b' }, { Origin: 'https://evil.example' }, { 'X-HTTP-Method-Override': 'DELETE' }]) {
      const response = await send('GET', `?subscription_id=${subscription}`, { headers });
      assert.equal(response.status, 200, JSON.stringify(headers));
      assert.equal(await response.text(), plain);
      assert.equal(response.headers.get('access-control-allow-origin'), null);
      assert.equal((await send('POST', `/${seat}/resend`, { headers })).status, 200, JSON.stringify(headers));
    }
  });

  test('a claim needs a body of JSON, whatever it is called', async () => {
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'text/csv', '']) {
      const { token } = await newSeat();
      assert.equal((await claim(token, { headers: { 'Content-Type': type } })).status, 200, type);
    }
  });

  test('a JWT that is expired or of somebody else does not keep anybody from claiming', async () => {
    const expired = await backendToken(shop, { role: 'backend' }, Math.floor(Date.now() / 1000) - 3600);
    for (const Authorization of [`Bearer ${expired}`, 'Bearer x', 'Basic eDp5', 'Bearer ']) {
      const { token } = await newSeat();
      assert.equal((await send('GET', `/claim/${token}`, { headers: { Authorization } })).status, 200);
      assert.equal((await claim(token, { headers: { Authorization } })).status, 200);
    }
    const response = await send('GET', '', { headers: { Authorization: `Bearer ${expired}` } });
    assert.equal(response.status, 401);
  });

  test("a customer's JWT is none of the backend's", async () => {
    const { seat } = await newSeat();
    const contents = await shop.contents();
    const Authorization = `Bearer ${await backendToken(shop, { role: 'customer' })}`;
    await fails(await send('DELETE', `/${seat}`, { headers: { Authorization } }), 403);
    assert.deepEqual(await shop.contents(), contents);
  });

  test('what PostgREST says of a JWT and its role is told to nobody', async () => {
    const list = async (Authorization) => send('GET', `?order_id=${await shop.sell('orders', 1)}`, { headers: { Authorization } });
    const portal = (Authorization) =>
      fetch(`${layer.url}/v1/customer-portal/seats?order_id=${randomUUID()}`, { headers: { Authorization } });
    for (const [ask, role, status] of [[list, 'customer', 403], [list, 'postgres', 403], [list, 'nobody at all', 401],
      [list, 'anonymous', 401], [portal, 'backend', 403], [portal, 'postgres', 403], [portal, 'anonymous', 401],
      // A customer that does not exist, and a JWT that names none: the function's own answers.
      [portal, 'customer', 401]]) {
      for (const sub of role === 'customer' ? [undefined, randomUUID(), 'x', 5] : [undefined]) {
        const response = await ask(`Bearer ${await backendToken(shop, { role, sub })}`);
        if (status === 401) assert.match(response.headers.get('www-authenticate'), /^Bearer/);
        await fails(response, status, role);
      }
    }
    for (const ask of [list, portal]) await fails(await ask('Bearer x'), 401);
  });

  // A function for triggers that raises what their arguments say.
  const withTrigger = async (table, use) => {
    await shop.query(`CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF TG_ARGV[3] <> '' AND nextval('public.attempts') > TG_ARGV[3]::int THEN RETURN NEW; END IF;
      RAISE EXCEPTION USING ERRCODE = TG_ARGV[0], MESSAGE = TG_ARGV[1], DETAIL = TG_ARGV[2]; END $$`);
    await shop.query('CREATE SEQUENCE attempts; GRANT USAGE ON SEQUENCE attempts TO PUBLIC');
    const raise = async (kind, code, { message = 'secret message', detail = 'Key (secret)=(1) exists.', times = '' } = {}) => {
      await shop.query(`DROP TRIGGER IF EXISTS interfere ON ${table}`);
      await shop.query('ALTER SEQUENCE attempts RESTART');
      await shop.query(`CREATE ${kind === 'deferred' ? 'CONSTRAINT' : ''} TRIGGER interfere AFTER INSERT ON ${table}
        ${kind === 'deferred' ? 'DEFERRABLE INITIALLY DEFERRED' : ''} FOR EACH ROW
        EXECUTE FUNCTION interfere('${code}', '${message}', '${detail}', '${times}')`);
    };
    try {
      await use(raise);
    } finally {
      await shop.query('DROP FUNCTION interfere CASCADE');
      await shop.query('DROP SEQUENCE attempts');
    }
  };
  const attempts = async () => Number((await shop.query('SELECT last_value FROM attempts'))[0].last_value);

  test('an error of a trigger is 500 without a word of it, whatever it is and whenever it is raised', async () => {
    const subscription = await shop.sell('subscriptions', 50);
    let number = 0;
    const assign = () => send('POST', '', { body: JSON.stringify({ subscription_id: subscription, email: `${number += 1}@example.com` }) });
    const response = (status) => ({ message: '{"code": "secret", "message": "secret", "hint": null, "details": null}',
      detail: `{"status": ${status}, "headers": {"X-Secret": "secret"}}` });
    const codes = ['23505', '23503', '23514', '22P02', '22023', 'P0001', '42883', '42P01', '25006', 'PT400', 'PT403', 'PT404', 'PT406', 'PT409',
      'PT418', 'PT422', 'PT302'];
    await withTrigger('seats.customers', async (raise) => {
      for (const code of codes) {
        for (const kind of ['plain', ...(code === 'PT403' ? [] : ['deferred'])]) {
          await raise(kind, code);
          await fails(await assign(), 500, `${kind} ${code}`);
        }
      }
      // These would be about the caller's rights, or a success.
      for (const code of ['42501', '28000', '0P000', 'PT401', 'PT200', 'PT204']) {
        await raise('plain', code);
        await fails(await assign(), 500, code);
      }
      for (const status of [200, 404, 418]) {
        await raise('plain', 'PGRST', response(status));
        await fails(await assign(), 500, `PGRST ${status}`);
      }
      await raise('deferred', 'PGRST', response(418));
      await fails(await assign(), 500);
    });
    assert.equal((await assign()).status, 200);
    assert.equal((await (await send('GET', `?subscription_id=${subscription}`)).json()).seats.length, 1);
  });

  test('a lost race is tried again, but not for ever', async () => {
    await withTrigger('seats.customer_sessions', async (raise) => {
      for (const code of ['40001', '40P01']) {
        const { token } = await newSeat();
        await raise('plain', code, { times: 3 });
        assert.equal((await claim(token)).status, 200, code);
        assert.equal(await attempts(), 4);
        const other = await newSeat();
        await raise('plain', code, { times: 1000 });
        await fails(await claim(other.token), 500, code);
        assert.equal(await attempts(), 10);
      }
      // Where it fails when it commits, PostgREST 14 goes on, and nginx does not wait.
      const impatient = await startNginx(layer.postgrest.port, { replacements: { 'proxy_read_timeout 10s': 'proxy_read_timeout 1s' } });
      const { token } = await newSeat();
      await raise('deferred', '40001', { times: 1_000_000_000 });
      const response = await claim(token, { url: impatient.url });
      await fails(response, 504);
      assert.equal(response.headers.get('retry-after'), '1');
      await shop.query('DROP TRIGGER interfere ON seats.customer_sessions');
      await impatient.stop();
    });
  });

  test('a version of PostgREST that does not try again: 500 at once', { skip: program && 'only the stand-in can be another version' }, async () => {
    const newer = await startPostgrest(shop, undefined, { STAND_IN_VERSION: '16' });
    const nginx = await startNginx(newer.port);
    await withTrigger('seats.customer_sessions', async (raise) => {
      const { token } = await newSeat();
      await raise('plain', '40001', { times: 1 });
      await fails(await claim(token, { url: nginx.url }), 500);
      assert.equal(await attempts(), 1);
      assert.equal((await claim(token, { url: nginx.url })).status, 200);
    });
    await nginx.stop();
    await newer.stop();
  });

  test('the roles have a time-out of their own, below that of nginx', async () => {
    const rows = await shop.query(`SELECT rolname, s FROM pg_roles, unnest(rolconfig) AS s
      WHERE rolname IN ('anonymous', 'backend', 'customer') ORDER BY 1`);
    assert.deepEqual(rows.map(({ rolname, s }) => [rolname, s]), ['anonymous', 'backend', 'customer'].map((name) => [name, 'statement_timeout=5s']));
    const { token } = await newSeat();
    await shop.query(`CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$`);
    await shop.query('CREATE TRIGGER linger BEFORE INSERT ON seats.customer_sessions FOR EACH ROW EXECUTE FUNCTION linger()');
    await fails(await claim(token), 500);
    await shop.query('DROP FUNCTION linger CASCADE');
    assert.equal((await claim(token)).status, 200);
  });

  test('a setting of the database counts once PostgREST has reloaded the schema', async () => {
    const format = async () => (await (await claim((await newSeat()).token)).json()).customer_session_token.slice(0, 10);
    assert.equal(await format(), 'seats_cst_');
    await shop.query(`ALTER DATABASE ${shop.database} SET seats.session_token_format = 'jwt'`);
    await shop.query("NOTIFY pgrst, 'reload config'");
    await sleep(500);
    assert.equal(await format(), 'seats_cst_');
    await shop.query("NOTIFY pgrst, 'reload schema'");
    for (let tries = 0; tries < 50 && (await format()).startsWith('seats_cst_'); tries += 1) await sleep(100);
    assert.match(await format(), /^eyJ/);
    await shop.query(`ALTER DATABASE ${shop.database} RESET seats.session_token_format`);
    await shop.query("NOTIFY pgrst, 'reload schema'");
  });

  test("an event has the client's address as nginx sees it, and its user agent", async () => {
    const { seat, token } = await newSeat();
    const agent = 'claim-page/1.0';
    await claim(token, { headers: { 'X-Forwarded-For': '192.0.2.1', 'User-Agent': agent } });
    const [{ metadata }] = await shop.query(
      "SELECT metadata FROM seats.events WHERE seat_id = $1 AND type = 'customer_seat.claimed'", [seat]);
    assert.equal(metadata.address, '127.0.0.1');
    assert.equal(metadata.user_agent, agent);
  });

  test('an error of PostgreSQL itself is told without what it says', async () => {
    const { seat, token } = await newSeat();
    const holder = await shop.pool.connect();
    try {
      await holder.query('BEGIN');
      await holder.query('SELECT FROM seats.customer_seats WHERE id = $1 FOR UPDATE', [seat]);
      const response = await claim(token);
      assert.equal(response.status, 500);
      assert.deepEqual(await response.json(), { error: 'InternalServerError', detail: 'Internal Server Error' });
    } finally {
      await holder.query('ROLLBACK');
      holder.release();
    }
    assert.equal((await claim(token)).status, 200);
  });

  test('claims, joins and questions from one address are limited, and nothing else', async () => {
    const limited = await startNginx(layer.postgrest.port, { limit: null });
    const { url } = limited;
    const { token } = await newSeat();
    const statuses = async (ask) => {
      const responses = await Promise.all(Array.from({ length: 40 }, ask));
      return responses.map(({ status }) => status);
    };
    const asked = await statuses(() => send('GET', `/claim/${token}`, { url }));
    assert.ok(asked.filter((status) => status === 200).length >= 20, `${asked}`);
    assert.ok(asked.includes(429), `${asked}`);
    assert.ok((await statuses(() => claim('x', { url }))).includes(429));
    assert.ok((await statuses(() => send('GET', '/join/x', { url }))).includes(429));
    assert.ok((await statuses(() => send('POST', '/join', { body: '{}', url }))).includes(429));
    const response = (await Promise.all(Array.from({ length: 40 }, () => claim(token, { url })))).find(({ status }) => status === 429);
    assert.match(response.headers.get('content-type'), /^application\/json/);
    assert.equal(response.headers.get('retry-after'), '1');
    assert.deepEqual(await response.json(), { error: 'TooManyRequests', detail: 'Too Many Requests' });
    const list = `?subscription_id=${await shop.sell('subscriptions', 1)}`;
    assert.ok((await statuses(() => send('GET', list, { url }))).every((status) => status === 200));
    assert.doesNotMatch(await limited.logs(), /seats_inv_/);
    await limited.stop();
  });

  test('what went wrong is in the access log, and no token is in any log', async () => {
    const nowhere = await freePort();
    const lost = await startNginx(nowhere);
    const { url } = lost;
    const { seat, token } = await newSeat();
    const link = token.replace('inv', 'jnl');
    const headers = { Referer: `https://shop.example/claim?token=${token}`, 'User-Agent': `x ${token} ${link}` };
    for (const [method, path, body] of [['POST', '/claim', JSON.stringify({ invitation_token: token })],
      ['GET', `/claim/${token}`], ['POST', '', '{}'], ['GET', `?order_id=${token}`], ['DELETE', `/${token}`],
      ['POST', `/${seat}/resend`], ['POST', '/join', JSON.stringify({ join_token: link })], ['GET', `/join/${link}`],
      ['POST', '/join-links', '{}'], ['GET', `/join-links?order_id=${link}`], ['DELETE', `/join-links/${link}`]]) {
      const response = await send(method, path, { body, headers, url });
      assert.equal(response.status, 502, `${method} ${path}`);
      assert.deepEqual(await response.json(), { error: 'BadGateway', detail: 'Bad Gateway' });
    }
    // Refused by nginx itself: methods, sizes, addresses; tokens are in all of them.
    const large = JSON.stringify({ invitation_token: token, padding: 'x'.repeat(20_000) });
    assert.equal((await send('POST', '/claim', { body: large, headers, url })).status, 413);
    assert.equal((await send('PUT', `/claim/${token}`, { headers, url })).status, 405);
    assert.equal((await send('GET', `/claim/${token}/${'x'.repeat(20_000)}`, { headers, url })).status, 414);
    assert.equal((await fetch(`${url}/${token}`, { headers })).status, 404);
    await lost.stop();
    const routes = (await lost.accessLog()).map(({ method, route, status }) => `${method} ${route} ${status}`);
    for (const line of ['POST claim_seat 502', 'GET get_claim_info 502', 'POST assign_seat 502', 'GET list_seats 502',
      'DELETE revoke_seat 502', 'POST resend_invitation 502', 'POST join_seat 502', 'GET join_info 502', 'POST create_join_link 502',
      'GET list_join_links 502', 'DELETE revoke_join_link 502', 'POST none 413', 'PUT get_claim_info 405']) {
      assert.ok(routes.includes(line), `${line} in\n${routes.join('\n')}`);
    }
    for (const text of [await lost.logs(), await layer.logs()]) {
      assert.doesNotMatch(text, /seats_(inv|cst|jnl)_[0-9A-Za-z]{40}/);
    }
  });

  test('only what is routed is reached', async () => {
    for (const path of ['/rpc/revoke_seat', '/customer_seats', '/my_seats', '/post', '/get', '/error']) {
      for (const method of ['GET', 'POST']) {
        const response = await fetch(layer.url + path,
          { method, headers: { Authorization: `Bearer ${layer.accessToken}` } });
        await fails(response, 404, `${method} ${path}`);
      }
    }
  });
});
