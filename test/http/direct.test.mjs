// PostgREST with schema seats itself, without a proxy: its own envelope of errors. Run against PostgREST
// where there is one, else against the stand-in.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { backendToken, postgrestProgram, startPostgrest } from './lib/postgrest-layer.mjs';
import { Shop } from './lib/shop.mjs';

const program = postgrestProgram();

describe(`${program ?? 'a stand-in for PostgREST (not PostgREST itself)'}, schema seats`, () => {
  let shop, postgrest, backend;
  before(async () => {
    shop = await Shop.open('http_direct');
    postgrest = await startPostgrest(shop, program);
    backend = await backendToken(shop);
  });
  after(async () => {
    await postgrest?.stop();
    await shop?.close();
  });

  const call = async (name, body, { method = 'POST', query = '', ...headers } = {}) => {
    const response = await fetch(`${postgrest.url}/rpc/${name}${query}`,
      { method, body: body && JSON.stringify(body), headers: { 'Content-Type': 'application/json', ...headers } });
    const text = await response.text();
    return { status: response.status, body: text && JSON.parse(text) };
  };
  const newSeat = async () => shop.assign(await shop.sell('subscriptions', 1));
  const message = 'Invalid, expired, or already claimed token';

  test('a claim: 200 and the body of the contract', async () => {
    const { seat, token, email } = await newSeat();
    const { status, body } = await call('claim_seat', { invitation_token: token });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['seat', 'customer_session_token']);
    assert.deepEqual(Object.keys(body.seat), ['created_at', 'modified_at', 'id', 'subscription_id', 'order_id', 'status',
      'customer_id', 'customer_email', 'invitation_token_expires_at', 'claimed_at', 'revoked_at', 'seat_metadata']);
    assert.equal(body.seat.id, seat);
    assert.equal(body.seat.status, 'claimed');
    assert.equal(body.seat.customer_email, email);
    assert.equal(await shop.whoIs(body.customer_session_token), body.seat.customer_id);
  });

  test('refused: 400 and 403 with reason, message and hint', async () => {
    const { token } = await newSeat();
    await call('claim_seat', { invitation_token: token });
    assert.deepEqual(await call('claim_seat', { invitation_token: token }), { status: 400, body: {
      code: 'PT400', message, details: 'seat_already_claimed',
      hint: 'Sign in. This invitation has already been used to claim the seat.' } });
    const { status, body } = await call('claim_seat', { invitation_token: (await shop.sellThenDisable()).token });
    assert.equal(status, 403);
    assert.equal(body.code, 'PT403');
    assert.equal(body.details, 'seat_based_pricing_not_enabled');
  });

  test('422: details is a string that holds the list of faults', async () => {
    const { status, body } = await call('claim_seat', { invitation_token: '' });
    assert.equal(status, 422);
    assert.equal(body.code, 'PT422');
    assert.deepEqual(JSON.parse(body.details), [{ loc: ['body', 'invitation_token'],
      msg: 'String should have at least 1 character', type: 'string_too_short' }]);
  });

  test('404 where an argument is missing, or one is unknown', async () => {
    for (const body of [{}, { invitation_token: 'x', more: 1 }, { token: 'x' }]) {
      const { status, body: { code } } = await call('claim_seat', body);
      assert.deepEqual([status, code], [404, 'PGRST202']);
    }
  });

  test('of an array, the first element counts', async () => {
    const [first, second] = [await newSeat(), await newSeat()];
    const { body } = await call('claim_seat', [{ invitation_token: first.token }, { invitation_token: second.token }]);
    assert.equal(body.seat.id, first.seat);
    assert.equal((await call('claim_seat', { invitation_token: second.token })).status, 200);
  });

  test('GET and HEAD of what writes: 405, for a wrong token too, and nothing changes', async () => {
    const { token } = await newSeat();
    const contents = await shop.contents();
    for (const method of ['GET', 'HEAD']) {
      for (const given of [token, 'x']) {
        // HEAD selects no body, but PostgreSQL calls a function that is volatile nevertheless.
        const { status, body } = await call('claim_seat', undefined, { method, query: `?invitation_token=${given}` });
        assert.equal(status, 405, `${method} ${given}`);
        if (method === 'GET') assert.equal(body.code, '25006');
      }
    }
    assert.deepEqual(await shop.contents(), contents);
  });

  test('GET of claim_info: what the invitation is for', async () => {
    const { token, email } = await newSeat();
    const { status, body } = await call('claim_info', undefined, { method: 'GET', query: `?invitation_token=${token}` });
    assert.equal(status, 200);
    assert.equal(body.customer_email, email);
    assert.equal(body.can_claim, true);
  });

  test('HEAD of claim_info runs it: a token that is none is refused', async () => {
    const { token } = await newSeat();
    const head = async (given) => (await call('claim_info', undefined, { method: 'HEAD', query: `?invitation_token=${given}` })).status;
    assert.deepEqual([await head(token), await head('x')], [200, 400]);
  });

  test('Idempotency-Key: the answer again', async () => {
    const { token } = await newSeat();
    const headers = { 'Idempotency-Key': 'a key' };
    const [first, second] = [await call('claim_seat', { invitation_token: token }, headers),
      await call('claim_seat', { invitation_token: token }, headers)];
    assert.equal(second.status, 200);
    assert.deepEqual(second.body.seat, first.body.seat);
  });

  test('who may not call: 401, or 403 for a role that is known', async () => {
    const { seat } = await newSeat();
    assert.equal((await call('revoke_seat', { seat_id: seat })).status, 401);
    const Authorization = `Bearer ${await backendToken(shop, { role: 'customer' })}`;
    assert.equal((await call('revoke_seat', { seat_id: seat }, { Authorization })).status, 403);
    const revoked = await call('revoke_seat', { seat_id: seat }, { Authorization: `Bearer ${backend}` });
    assert.deepEqual([revoked.status, revoked.body.status], [200, 'revoked']);
  });

  test('the role that PostgREST connects as can do nothing by itself but read the keys', async () => {
    const client = new pg.Client({ connectionString: shop.url('authenticator') });
    await client.connect();
    try {
      for (const statement of ["SELECT seats.claim_seat('x')", "SELECT seats.claim_info('x')", 'SELECT seats.list_seats()',
        'SELECT FROM seats.my_seats', 'SELECT FROM seats.orders', 'SELECT FROM gateway.backend_key',
        'SELECT seats.postgrest_config()', 'SET ROLE postgres', 'SET ROLE seats_web_backend']) {
        await assert.rejects(client.query(statement), { code: '42501' }, statement);
      }
      await client.query('SELECT gateway.configure()');
    } finally {
      await client.end();
    }
  });

  test('nobody reaches the other schemas', async () => {
    const response = await call('configure', {}, { 'Content-Profile': 'gateway', Authorization: `Bearer ${backend}` });
    assert.deepEqual([response.status, response.body.code], [406, 'PGRST106']);
  });
});
