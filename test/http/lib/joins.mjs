// The routes of join links, which the service of the contract doesn't have, so there is no client for them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { before, describe, test } from 'node:test';
import { newPayer } from './portal.mjs';

const LINK = ['id', 'created_at', 'subscription_id', 'order_id', 'email_domains', 'max_uses', 'uses', 'expires_at', 'revoked_at'];
// Of the right shape, but not with the right checksum.
const UNKNOWN = `seats_jnl_${'0'.repeat(55)}`;

// suite has a shop and a layer, once its tests run.
export const describeJoins = (suite) => describe('join links', () => {
  let shop, layer;
  before(() => { ({ shop, layer } = suite); });
  const send = async (method, path, { body, session = layer.accessToken } = {}) => {
    const response = await fetch(`${layer.url}/v1${path}`, { method, body: body && JSON.stringify(body),
      headers: session ? { Authorization: `Bearer ${session}` } : {} });
    assert.match(response.headers.get('content-type'), /^application\/json/);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    return [response.status, method === 'HEAD' ? '' : await response.json()];
  };
  const create = async (body, route = '/customer-seats', session = undefined) => {
    const [status, { link, join_token: token }] = await send('POST', `${route}/join-links`, { body, session });
    assert.equal(status, 200);
    assert.match(token, /^seats_jnl_[0-9A-Za-z]{55}$/);
    return { link, token };
  };
  const newLink = async (seats, limits) => {
    const subscription_id = await shop.sell('subscriptions', seats);
    return { subscription_id, ...await create({ subscription_id, ...limits }) };
  };
  // Nobody needs a key to join.
  const join = (token, email = `${randomUUID()}@example.com`) =>
    send('POST', '/customer-seats/join', { body: { join_token: token, email }, session: '' });
  const info = (token) => send('GET', `/customer-seats/join/${token}`, { session: '' });
  const seatsOf = (subscription) => shop.query(`SELECT id, status, customer_email AS email FROM seats.customer_seats
    WHERE subscription_id = $1 AND status <> 'revoked' ORDER BY created_at, id`, [subscription]);
  const list = async (subscription) => (await send('GET', `/customer-seats/join-links?subscription_id=${subscription}`))[1];
  const refused = ([status, { reason }], expectedStatus, expectedReason) =>
    assert.deepEqual([status, reason], [expectedStatus, expectedReason]);

  test('a link is made, described, joined by, listed and revoked', async () => {
    const { subscription_id, link, token } = await newLink(3, { max_uses: 2, expires_in: 3600, email_domains: ['example.com'] });
    assert.deepEqual(Object.keys(link), LINK);
    assert.deepEqual([link.subscription_id, link.order_id, link.email_domains, link.max_uses, link.uses, link.revoked_at],
      [subscription_id, null, ['example.com'], 2, 0, null]);
    assert.ok(Math.abs(Date.parse(link.expires_at) - Date.parse(link.created_at) - 3_600_000) < 1000);

    const contents = await shop.contents();
    const described = { product_name: 'Editor', organization_name: 'Acme', organization_slug: 'acme', email_domains: ['example.com'] };
    assert.deepEqual(await info(token), [200, { ...described, can_join: true }]);
    assert.deepEqual(await send('HEAD', `/customer-seats/join/${token}`, { session: '' }), [200, '']);
    assert.deepEqual(await shop.contents(), contents);

    assert.deepEqual(await join(token, 'ada@example.com'), [200, {}]);
    const [{ id, status, email }] = await seatsOf(subscription_id);
    assert.deepEqual([status, email], ['pending', 'ada@example.com']);
    const [event] = await shop.query('SELECT type, metadata FROM seats.events WHERE seat_id = $1', [id]);
    assert.deepEqual([event.type, event.metadata.invitation, event.metadata.join_link_id], ['customer_seat.assigned', 'unsent', link.id]);

    assert.deepEqual(await list(subscription_id), [{ ...link, uses: 1 }]);
    const [, revoked] = await send('DELETE', `/customer-seats/join-links/${link.id}`);
    assert.ok(revoked.revoked_at);
    assert.deepEqual(revoked, { ...link, uses: 1, revoked_at: revoked.revoked_at });
    assert.deepEqual(await send('DELETE', `/customer-seats/join-links/${link.id}`), [200, revoked]);
    assert.deepEqual(await list(subscription_id), [revoked]);
    refused(await info(token), 400, 'join_link_invalid');
    refused(await join(token), 400, 'join_link_invalid');
  });

  test('an order, without limits: 7 days, for everybody', async () => {
    const order_id = await shop.sell('orders', 1);
    const { link, token } = await create({ order_id });
    assert.deepEqual([link.order_id, link.email_domains, link.max_uses], [order_id, null, null]);
    assert.ok(Math.abs(Date.parse(link.expires_at) - Date.parse(link.created_at) - 7 * 24 * 3_600_000) < 1000);
    assert.deepEqual(await join(token), [200, {}]);
    assert.equal((await info(token))[1].can_join, false);
    assert.deepEqual((await send('GET', `/customer-seats/join-links?order_id=${order_id}`))[1].map(({ uses }) => uses), [1]);
  });

  // All that a client gets, but for the time.
  const raw = (token, email) => new Promise((resolve, reject) => {
    httpRequest(`${layer.url}/v1/customer-seats/join`, { method: 'POST', agent: false }, async (response) => {
      const { statusCode, statusMessage, rawHeaders } = response;
      const headers = rawHeaders.filter((value, i) => rawHeaders[i - i % 2] !== 'Date');
      resolve({ statusCode, statusMessage, headers, body: Buffer.concat(await response.toArray()).toString() });
    }).on('error', reject).end(JSON.stringify({ join_token: token, email }));
  });
  test('an address that has a seat is answered like one that has none, byte for byte', async () => {
    const { subscription_id, link, token } = await newLink(5);
    const [pending, expired, claimed] = [await shop.assign(subscription_id), await shop.assign(subscription_id),
      await shop.assign(subscription_id)];
    await shop.expire(expired.seat);
    await shop.query('SELECT seats.claim_seat($1)', [claimed.token]);
    const fresh = await raw(token, `${randomUUID()}@example.com`);
    assert.deepEqual([fresh.statusCode, fresh.body], [200, '{}']);
    assert.ok(fresh.headers.length > 4);
    for (const { email } of [pending, expired, claimed]) assert.deepEqual(await raw(token, email), fresh);
    assert.equal((await seatsOf(subscription_id)).length, 4);
    assert.equal((await list(subscription_id))[0].uses, 1, link.id);
    const events = async ({ seat }) => (await shop.query(
      `SELECT type, metadata ->> 'invitation' AS invitation FROM seats.events WHERE seat_id = $1 ORDER BY id`, [seat])).slice(1);
    assert.deepEqual(await events(pending), []);
    assert.deepEqual(await events(expired), [{ type: 'customer_seat.invitation_resent', invitation: 'unsent' }]);
    assert.deepEqual((await events(claimed)).map(({ type }) => type), ['customer_seat.claimed']);
  });

  test('refusals with their reasons', async () => {
    refused(await info(UNKNOWN), 400, 'join_link_invalid');
    refused(await join(UNKNOWN), 400, 'join_link_invalid');
    const cases = {
      join_link_expired: ({ link }) => shop.query(`UPDATE seats.join_links SET expires_at = now() - interval '1 s' WHERE id = $1`, [link.id]),
      join_link_exhausted: ({ token }) => join(token),
      no_available_seats: async ({ subscription_id }) => { for (let n = 0; n < 2; n += 1) await shop.assign(subscription_id); },
      subscription_not_active: ({ subscription_id }) => shop.setStatus(subscription_id, 'paused'),
    };
    for (const [reason, change] of Object.entries(cases)) {
      const made = await newLink(2, { max_uses: 1 });
      await change(made);
      await shop.changesNothing(async () => {
        refused(await join(made.token), 400, reason);
        assert.deepEqual([(await info(made.token))[0], (await info(made.token))[1].can_join], [200, false], reason);
      });
    }
    const { token } = await newLink(1, { email_domains: ['other.example'] });
    refused(await join(token), 400, 'email_domain_not_allowed');
    refused(await send('DELETE', `/customer-seats/join-links/${randomUUID()}`), 404, 'join_link_not_found');
    refused(await send('POST', '/customer-seats/join-links', { body: { order_id: randomUUID() } }), 404, 'order_not_found');
  });

  test('malformed requests: 422, with the places', async () => {
    const { subscription_id, token } = await newLink(1);
    const places = ([status, { detail }]) => {
      assert.equal(status, 422);
      return detail.map(({ loc }) => loc.join('.'));
    };
    await shop.changesNothing(async () => {
      assert.deepEqual(places(await join(token, 'no address')), ['body.email']);
      assert.deepEqual(places(await join(5, 5)), ['body.join_token', 'body.email']);
      assert.deepEqual(places(await info('x'.repeat(300))), ['path.join_token']);
      assert.deepEqual(places(await send('POST', '/customer-seats/join-links', { body: { subscription_id, max_uses: 0, expires_in: 0,
        email_domains: [] } })), ['body.max_uses', 'body.expires_in', 'body.email_domains']);
      assert.deepEqual(places(await send('DELETE', '/customer-seats/join-links/eq.x')), ['path.link_id']);
      assert.deepEqual(places(await send('GET', '/customer-seats/join-links?order_id=x')), ['query.order_id']);
      for (const path of ['/join', '/join-links']) {
        const response = await fetch(`${layer.url}/v1/customer-seats${path}`, { method: 'POST', body: '{',
          headers: { Authorization: `Bearer ${layer.accessToken}` } });
        assert.deepEqual(places([response.status, await response.json()]), ['body']);
      }
    });
  });

  test('many at once: as many as the link is for', async () => {
    const { subscription_id, token } = await newLink(8, { max_uses: 3 });
    const statuses = (await Promise.all(Array.from({ length: 8 }, () => join(token)))).map(([status]) => status).sort();
    assert.deepEqual(statuses, [200, 200, 200, 400, 400, 400, 400, 400]);
    assert.equal((await seatsOf(subscription_id)).length, 3);
  });

  test("the customer who pays makes, lists and revokes links; another's do not exist", async () => {
    const route = '/customer-portal/seats';
    const [ada, bob] = [await newPayer(suite, 3), await newPayer(suite, 3)];
    const { subscription_id } = ada;
    const { link, token } = await create({ subscription_id, max_uses: 1 }, route, ada.session);
    const query = `${route}/join-links?subscription_id=${subscription_id}`;
    assert.deepEqual(await send('GET', query, { session: ada.session }), [200, [link]]);
    const asks = (session) => [send('GET', query, { session }), send('POST', `${route}/join-links`, { body: { subscription_id }, session }),
      send('DELETE', `${route}/join-links/${link.id}`, { session })];
    await shop.changesNothing(async () => {
      const [listed, made, revoked] = await Promise.all(asks(bob.session));
      for (const answer of [listed, made]) refused(answer, 404, 'subscription_not_found');
      refused(revoked, 404, 'join_link_not_found');
      for (const [status] of await Promise.all(asks(''))) assert.equal(status, 401);
    });
    assert.deepEqual(await join(token), [200, {}]);
    const [status, { uses, revoked_at: end }] = await send('DELETE', `${route}/join-links/${link.id}`, { session: ada.session });
    assert.deepEqual([status, uses, typeof end], [200, 1, 'string']);
    refused(await join(token), 400, 'join_link_invalid');
  });
});
