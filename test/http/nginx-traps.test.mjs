// What a proxy in front of PostgREST can do wrong, and examples/postgrest/nginx.conf does not.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { backendToken, claimPage, prepareNginx, startLayer, startNginx } from './lib/postgrest-layer.mjs';
import { freePort } from './lib/processes.mjs';
import { Shop } from './lib/shop.mjs';

describe('nginx, by examples/postgrest/nginx.conf', () => {
  let shop, layer;
  before(async () => {
    shop = await Shop.open('http_nginx_traps');
    await shop.query(`ALTER DATABASE ${shop.database} SET lock_timeout = '200ms'`);
    layer = await startLayer()(shop);
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
  const newSeat = async () => shop.assign(await shop.sell('subscriptions', 1));

  test('nginx accepts the file as it is', () => {
    const { command, args } = prepareNginx();
    const { status, stderr } = spawnSync(command, [...args, '-t'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /warn/);
  });

  test('the claim page is at the origin of the API, and only to be read', async () => {
    const page = await fetch(`${layer.url}/claim`);
    assert.equal(page.status, 200);
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.equal(page.headers.get('content-security-policy'), "frame-ancestors 'none'");
    assert.equal(await page.text(), readFileSync(claimPage, 'utf8'));
    const post = await fetch(`${layer.url}/claim`, { method: 'POST', body: '{}' });
    assert.equal(post.status, 405);
    assert.equal(post.headers.get('allow'), 'GET, HEAD');
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
      const response = await send('DELETE', `/${encodeURIComponent(id)}`);
      assert.ok([400, 404, 422].includes(response.status), `${JSON.stringify(id)}: ${response.status}`);
      const text = await response.text();
      if (response.status === 422) assert.equal(JSON.parse(text).detail[0].type, 'uuid_parsing');
    }
    for (const token of ['"', '\\', '"}', 'x\ny', '{"a":1}']) {
      const { status } = await send('GET', `/claim/${encodeURIComponent(token)}`);
      assert.ok([400, 404].includes(status), `${token}: ${status}`);
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
    assert.equal((await send('DELETE', `/${seat}`, { headers: { Authorization } })).status, 403);
    assert.deepEqual(await shop.contents(), contents);
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

  test('claims and questions from one address are limited, and nothing else', async () => {
    const limited = await startNginx(layer.postgrest.port, { limit: null });
    const { url } = limited;
    const { seat, token } = await newSeat();
    const statuses = async (ask) => {
      const responses = await Promise.all(Array.from({ length: 40 }, ask));
      return responses.map(({ status }) => status);
    };
    const asked = await statuses(() => send('GET', `/claim/${token}`, { url }));
    assert.ok(asked.filter((status) => status === 200).length >= 20, `${asked}`);
    assert.ok(asked.includes(429), `${asked}`);
    assert.ok((await statuses(() => claim('x', { url }))).includes(429));
    const response = (await Promise.all(Array.from({ length: 40 }, () => claim(token, { url })))).find(({ status }) => status === 429);
    assert.match(response.headers.get('content-type'), /^application\/json/);
    assert.equal(response.headers.get('retry-after'), '1');
    assert.deepEqual(await response.json(), { error: 'TooManyRequests', detail: 'Too Many Requests' });
    assert.ok((await statuses(() => send('DELETE', `/${seat}`, { url }))).every((status) => status === 200));
    assert.doesNotMatch(await limited.logs(), /seats_inv_/);
    await limited.stop();
  });

  test('what went wrong is in the access log, and no token is in any log', async () => {
    const nowhere = await freePort();
    const lost = await startNginx(nowhere);
    const { url } = lost;
    const { seat, token } = await newSeat();
    const headers = { Referer: `https://shop.example/claim?token=${token}`, 'User-Agent': `x ${token}` };
    for (const [method, path, body] of [['POST', '/claim', JSON.stringify({ invitation_token: token })],
      ['GET', `/claim/${token}`], ['POST', '', '{}'], ['GET', `?order_id=${token}`], ['DELETE', `/${token}`],
      ['POST', `/${seat}/resend`]]) {
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
      'DELETE revoke_seat 502', 'POST resend_invitation 502', 'POST none 413', 'PUT get_claim_info 405']) {
      assert.ok(routes.includes(line), `${line} in\n${routes.join('\n')}`);
    }
    for (const text of [await lost.logs(), await layer.logs()]) {
      assert.doesNotMatch(text, /seats_(inv|cst)_[0-9A-Za-z]{40}/);
    }
  });

  test('only what is routed is reached', async () => {
    for (const path of ['/rpc/revoke_seat', '/customer_seats', '/my_seats', '/assign_seat', '/list_seats', '/error']) {
      for (const method of ['GET', 'POST']) {
        const response = await fetch(layer.url + path,
          { method, headers: { Authorization: `Bearer ${layer.accessToken}` } });
        assert.equal(response.status, 404, `${method} ${path}`);
      }
    }
  });
});
