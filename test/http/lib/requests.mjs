// What a layer answers to requests that no client would send, or whose answers clients don't show as they are.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { UNKNOWN } from './answers.mjs';

export const FIELDS = ['created_at', 'modified_at', 'id', 'subscription_id', 'order_id', 'status', 'customer_id',
  'member_id', 'member', 'email', 'customer_email', 'invitation_token_expires_at', 'claimed_at', 'revoked_at', 'seat_metadata'];

// suite has a shop and a layer, once its tests run.
export const describeRequests = (suite) => describe('plain requests', () => {
  let shop, layer;
  before(() => { ({ shop, layer } = suite); });
  const changesNothing = (action) => shop.changesNothing(action);
  const send = (method, path, { body, headers, accessToken = layer.accessToken } = {}) =>
    fetch(layer.url + path, {
      method,
      body,
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${accessToken}`, ...headers },
    });

  describe('assign', () => {
    test('the body has the fields of a seat in order, and the token beside them', async () => {
      const subscription = await shop.sell('subscriptions', 1);
      const response = await send('POST', '/v1/customer-seats',
        { body: JSON.stringify({ subscription_id: subscription, email: 'order@example.com', unknown: 1 }) });
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type'), /^application\/json/);
      assert.deepEqual(Object.keys(await response.json()), [...FIELDS, 'invitation_token']);
    });

    test('wrong types and wrong values: one 422 names all of them', async () => {
      const subscription = await shop.sell('subscriptions', 1);
      const response = await send('POST', '/v1/customer-seats', { body: JSON.stringify(
        { subscription_id: subscription, checkout_id: 'x', email: 5, metadata: [], immediate_claim: {} }) });
      assert.equal(response.status, 422);
      const { detail } = await response.json();
      assert.deepEqual(detail.map(({ loc, msg, type }) => [loc, msg, type]), [
        [['body', 'checkout_id'], 'Value error, checkout_id is not supported, give subscription_id or order_id', 'value_error'],
        [['body', 'email'], 'Input should be a valid string', 'string_type'],
        [['body', 'metadata'], 'Input should be a valid dictionary', 'dict_type'],
        [['body', 'immediate_claim'], 'Input should be a valid boolean', 'bool_type'],
      ]);
    });
  });

  describe('claim info', () => {
    test('HEAD has the status of GET', async () => {
      const { token } = await shop.assign(await shop.sell('subscriptions', 1));
      const path = '/v1/customer-seats/claim/';
      await changesNothing(async () => {
        assert.equal((await send('HEAD', path + token)).status, 200);
        assert.equal((await send('HEAD', path + UNKNOWN)).status, 400);
      });
    });
  });

  describe('claim', () => {
    test('needs no key, and a wrong one does no harm', async () => {
      const subscription = await shop.sell('subscriptions', 3);
      for (const accessToken of ['', 'stale', 'undefined']) {
        const { token } = await shop.assign(subscription);
        assert.equal((await send('GET', `/v1/customer-seats/claim/${token}`, { accessToken })).status, 200);
        const response = await send('POST', '/v1/customer-seats/claim',
          { body: JSON.stringify({ invitation_token: token, unknown: 1 }), accessToken });
        assert.equal(response.status, 200);
        assert.equal(response.headers.get('cache-control'), 'no-store');
        const claim = await response.json();
        assert.deepEqual(Object.keys(claim), ['seat', 'customer_session_token']);
        assert.deepEqual(Object.keys(claim.seat), FIELDS);
      }
    });

    test('a token of a wrong type: 422', async () => {
      for (const token of [5, null, ['a'], { a: 1 }]) {
        const response = await send('POST', '/v1/customer-seats/claim',
          { body: JSON.stringify({ invitation_token: token }) });
        assert.equal(response.status, 422);
        assert.deepEqual(await response.json(), { detail: [
          { loc: ['body', 'invitation_token'], msg: 'Input should be a valid string', type: 'string_type' }] });
      }
    });

    test('what is no JSON: 422', async () => {
      const unstorable = '{"invitation_token": "\\u0000"}';
      const notUtf8 = Buffer.from('{"invitation_token": "\xff"}', 'latin1');
      for (const body of ['{', 'token', '{"a": 1}}', unstorable, notUtf8]) {
        const response = await send('POST', '/v1/customer-seats/claim', { body });
        assert.equal(response.status, 422);
        assert.deepEqual(await response.json(),
          { detail: [{ loc: ['body'], msg: 'JSON decode error', type: 'json_invalid' }] });
      }
    });

    test('what is JSON but no object, or nothing: 422', async () => {
      for (const body of ['', 'null', '[]', '"token"', '5']) {
        const response = await send('POST', '/v1/customer-seats/claim', { body });
        assert.equal(response.status, 422, body);
        for (const fault of (await response.json()).detail) {
          assert.deepEqual(Object.keys(fault), ['loc', 'msg', 'type']);
        }
      }
    });

    test('by many at once: one has it, the others are told', async () => {
      const { token } = await shop.assign(await shop.sell('subscriptions', 1));
      const body = JSON.stringify({ invitation_token: token });
      const responses = await Promise.all(
        Array.from({ length: 8 }, () => send('POST', '/v1/customer-seats/claim', { body })));
      const statuses = responses.map(({ status }) => status).sort();
      assert.deepEqual(statuses, [200, 400, 400, 400, 400, 400, 400, 400]);
      for (const response of responses.filter(({ status }) => status === 400)) {
        assert.equal((await response.json()).reason, 'seat_already_claimed');
      }
    });
  });

  describe('list', () => {
    test('by an id whose query is written otherwise', async () => {
      const subscription = await shop.sell('subscriptions', 2);
      const list = async (query) => {
        const response = await send('GET', `/v1/customer-seats?${query}`);
        const { total_seats: seats, detail } = await response.json();
        return [response.status, seats ?? detail.map(({ loc, type }) => [loc.join('.'), type])];
      };
      const fault = (name) => [422, [[`query.${name}`, 'uuid_parsing']]];
      for (const dash of ['%2d', '%2D']) {
        assert.deepEqual(await list(`subscription_id=${subscription.replaceAll('-', dash)}`), [200, 2]);
        assert.deepEqual(await list(`a=1&subscription_id=${subscription.toUpperCase().replaceAll('-', dash)}&b`), [200, 2]);
      }
      // An empty parameter beside a good one, or the same twice, is one fault.
      assert.deepEqual(await list(`subscription_id=${subscription}&order_id=`), fault('order_id'));
      assert.deepEqual(await list(`subscription_id=${subscription}&order_id`), fault('order_id'));
      assert.deepEqual(await list(`order_id=&subscription_id=${subscription}`), fault('order_id'));
      assert.deepEqual(await list(`subscription_id=${subscription}&subscription_id=x`), fault('subscription_id'));
      assert.deepEqual(await list(`subscription_id=x&order_id=y`), [422, [['query.subscription_id', 'uuid_parsing'],
        ['query.order_id', 'uuid_parsing']]]);
    });
  });

  describe('whatever is called', () => {
    test('other methods are refused with those there are, and change nothing', async () => {
      const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
      const routes = [
        ['/customer-seats/claim', 'POST'],
        [`/customer-seats/claim/${token}`, 'GET, HEAD'],
        ['/customer-seats/join', 'POST'],
        [`/customer-seats/join/${token}`, 'GET, HEAD'],
        ...['/customer-seats', '/customer-portal/seats'].flatMap((path) => [
          [path, 'GET, HEAD, POST'],
          [`${path}/join-links`, 'GET, HEAD, POST'],
          [`${path}/join-links/${seat}`, 'DELETE'],
          [`${path}/${seat}`, 'DELETE'],
          [`${path}/${seat}/resend`, 'POST'],
        ]),
      ];
      const body = JSON.stringify({ invitation_token: token });
      await changesNothing(async () => {
        for (const [path, allowed] of routes) {
          for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
            if (allowed.split(', ').includes(method)) continue;
            const response = await send(method, `/v1${path}`,
              { body: /GET|HEAD/.test(method) ? undefined : body });
            assert.equal(response.status, 405, `${method} ${path}`);
            assert.equal(response.headers.get('allow'), allowed);
            if (method !== 'HEAD') {
              assert.deepEqual(await response.json(), { error: 'MethodNotAllowed', detail: 'Method Not Allowed' });
            }
          }
        }
      });
    });

    test('other paths are not found', async () => {
      for (const path of ['/', '/v1', '/v1/customer-seatsx', '/v1/customer-seats/a/b', '/v1/customer-portal',
        '/v1/customer-portal/seatsx', '/v1/customer-portal/seats/a/b', '/rpc/claim_seat']) {
        const response = await send('POST', path, { body: '{}' });
        assert.equal(response.status, 404, path);
        assert.deepEqual(await response.json(), { error: 'NotFound', detail: 'Not Found' });
      }
    });

    test('no key, or a wrong one: 401 says what is wanted', async () => {
      for (const headers of [{}, { Authorization: '' }, { Authorization: 'Bearer' }, { Authorization: 'Bearer undefined' },
        { Authorization: 'Basic eDp5' }]) {
        for (const path of ['/v1/customer-seats', '/v1/customer-seats/join-links', '/v1/customer-portal/seats',
          '/v1/customer-portal/seats/join-links']) {
          const response = await fetch(`${layer.url}${path}?order_id=${UNKNOWN}`, { headers });
          assert.equal(response.status, 401);
          assert.match(response.headers.get('www-authenticate'), /^Bearer/);
          assert.deepEqual(await response.json(), { error: 'Unauthorized', detail: 'Unauthorized' });
        }
      }
    });

    test('a body that is too large is refused', async () => {
      for (const path of ['/v1/customer-seats/claim', '/v1/customer-seats/join', '/v1/customer-seats', '/v1/customer-portal/seats',
        '/v1/customer-portal/seats/join-links']) {
        const response = await send('POST', path, { body: JSON.stringify({ padding: 'x'.repeat(16 * 1024) }) });
        assert.equal(response.status, 413);
        assert.match(response.headers.get('content-type'), /^application\/json/);
        assert.equal((await response.json()).error, 'PayloadTooLarge');
      }
    });
  });
});
