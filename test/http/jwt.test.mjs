// Customer sessions that are JWTs, checked by jose, an implementation that knows nothing of ours; and what
// PostgREST, or its stand-in, makes of them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as jose from 'jose';
import { postgrestProgram, startPostgrest } from './lib/postgrest-layer.mjs';
import { Shop } from './lib/shop.mjs';

const program = postgrestProgram();

describe(`sessions that are JWTs: jose, and ${program ?? 'a stand-in for PostgREST (not PostgREST itself)'}`, () => {
  let shop, postgrest;
  before(async () => {
    shop = await Shop.open('http_jwt');
    await shop.set('seats.session_token_format', 'jwt');
    postgrest = await startPostgrest(shop, program);
  });
  after(async () => {
    await postgrest?.stop();
    await shop?.close();
  });

  // The set of keys that PostgREST is given.
  const keySet = () => shop.transaction(async (client) => {
    await client.query('SELECT seats.postgrest_config()');
    return JSON.parse((await client.query("SELECT current_setting('pgrst.jwt_secret') AS set")).rows[0].set);
  });
  const newSession = async (subscription) => {
    const { token } = await shop.assign(subscription ?? await shop.sell('subscriptions', 1));
    const [{ answer }] = await shop.query('SELECT to_json(seats.claim_seat($1)) AS answer', [token]);
    return { seat: answer.seat, jwt: answer.customer_session_token };
  };
  // jose finds a key in a set only if it is public; so by its id.
  const verify = async (jwt, options) => {
    const { keys } = await keySet();
    const { kid } = jose.decodeProtectedHeader(jwt);
    return jose.jwtVerify(jwt, await jose.importJWK(keys.find((jwk) => jwk.kid === kid)), options);
  };
  const mySeats = (jwt) =>
    fetch(`${postgrest.url}/my_seats`, { headers: jwt ? { Authorization: `Bearer ${jwt}` } : {} });
  const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

  test('jose verifies a token with the set of keys, and finds the claims in it', async () => {
    const { seat, jwt } = await newSession();
    const { payload, protectedHeader } = await verify(jwt, { algorithms: ['HS256'] });
    const { keys: [key] } = await keySet();
    assert.deepEqual(protectedHeader, { alg: 'HS256', kid: key.kid, typ: 'JWT' });
    assert.deepEqual(Object.keys(payload).sort(), ['exp', 'iat', 'jti', 'org', 'role', 'seat', 'sub']);
    assert.equal(payload.sub, seat.customer_id);
    assert.equal(payload.seat, seat.id);
    assert.equal(payload.org, shop.organization);
    assert.equal(payload.role, 'customer');
    assert.equal(payload.exp - payload.iat, 3600);
    assert.ok(Math.abs(payload.iat - Date.now() / 1000) < 60);
    assert.equal(await shop.whoIs(jwt), seat.customer_id);
  });

  test('the signature is that of jose for the same header, claims and key', async () => {
    const { jwt } = await newSession();
    const [header, payload, signature] = jwt.split('.');
    const { keys: [key] } = await keySet();
    const signed = await new jose.CompactSign(Buffer.from(payload, 'base64url'))
      .setProtectedHeader(JSON.parse(Buffer.from(header, 'base64url'))).sign(await jose.importJWK(key));
    assert.equal(signed.split('.')[2], signature);
  });

  test('what is not signed so is refused: by authenticate, and by PostgREST', async () => {
    const { jwt } = await newSession();
    const [header, payload, signature] = jwt.split('.');
    const claims = jose.decodeJwt(jwt);
    const { kid } = jose.decodeProtectedHeader(jwt);
    const { keys: [key] } = await keySet();
    const right = await jose.importJWK(key);
    const wrong = Buffer.alloc(32, 1);
    const sign = (alg, secret, payload_ = claims) =>
      new jose.SignJWT(payload_).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(secret);
    const other = await newSession();
    const forgeries = {
      'alg none': new jose.UnsecuredJWT(claims).encode(),
      'alg none, with the key id': `${encode({ alg: 'none', kid, typ: 'JWT' })}.${payload}.`,
      'alg none, with the signature': `${encode({ alg: 'none', kid, typ: 'JWT' })}.${payload}.${signature}`,
      'another algorithm, the same key': await sign('HS512', Buffer.concat([Buffer.from(key.k, 'base64url'), Buffer.alloc(32)])),
      'another algorithm in the header': `${encode({ alg: 'HS512', kid, typ: 'JWT' })}.${payload}.${signature}`,
      'a wrong key': await sign('HS256', wrong),
      'changed claims': `${header}.${encode({ ...claims, sub: other.seat.customer_id })}.${signature}`,
      'changed role': `${header}.${encode({ ...claims, role: 'backend' })}.${signature}`,
      'a later expiry': `${header}.${encode({ ...claims, exp: claims.exp + 3600 })}.${signature}`,
      "another session's signature": `${header}.${payload}.${other.jwt.split('.')[2]}`,
      'no signature': `${header}.${payload}.`,
      'two parts': `${header}.${payload}`,
    };
    for (const [what, forgery] of Object.entries(forgeries)) {
      assert.equal(await shop.whoIs(forgery), 'PT401', what);
      assert.equal((await mySeats(forgery)).status, 401, what);
    }
    // Signed rightly, by whoever got hold of the key, but of no session.
    for (const change of [{ jti: encode('x'.repeat(32)) }, { exp: claims.exp + 1 }, { sub: other.seat.customer_id }]) {
      const stolen = await sign('HS256', right, { ...claims, ...change });
      await verify(stolen);
      assert.equal(await shop.whoIs(stolen), 'PT401', JSON.stringify(change));
      assert.equal((await mySeats(stolen)).status, 401, JSON.stringify(change));
    }
  });

  test('a claimer reads its own seats at once, and nobody else', async () => {
    const subscription = await shop.sell('subscriptions', 2);
    const { seat, jwt } = await newSession(subscription);
    const { jwt: other } = await newSession(subscription);
    const response = await mySeats(jwt);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), [seat]);
    assert.notDeepEqual(await (await mySeats(other)).json(), [seat]);
    assert.equal((await mySeats()).status, 401);
  });

  test('a session that was ended is refused, and so is that of a seat that was revoked', async () => {
    const { jwt } = await newSession();
    await shop.query('SELECT seats.end_session($1)', [jwt]);
    const { seat, jwt: revoked } = await newSession();
    await shop.query('SELECT seats.revoke_seat($1)', [seat.id]);
    for (const token of [jwt, revoked]) {
      await verify(token);
      assert.equal(await shop.whoIs(token), 'PT401');
      const response = await mySeats(token);
      assert.equal(response.status, 401);
      assert.equal((await response.json()).code, 'PT401');
    }
  });

  test('a session that expired is refused at once, though PostgREST waits 30 seconds', async () => {
    await shop.set('seats.customer_session_ttl', '1s');
    const { jwt } = await newSession();
    await new Promise((resolve) => { setTimeout(resolve, 2100); });
    await assert.rejects(verify(jwt), jose.errors.JWTExpired);
    await verify(jwt, { clockTolerance: 30 });
    assert.equal(await shop.whoIs(jwt), 'PT401');
    const response = await mySeats(jwt);
    assert.equal(response.status, 401);
    assert.equal((await response.json()).details, 'session_expired');
    await shop.set('seats.customer_session_ttl', '1h');
  });

  test('after a rotation both keys are good, and PostgREST is told', async () => {
    const before = await newSession();
    const [{ kid }] = await shop.query('SELECT seats.rotate_jwt_key() AS kid');
    const now = await newSession();
    assert.equal(jose.decodeProtectedHeader(now.jwt).kid, kid);
    assert.notEqual(jose.decodeProtectedHeader(before.jwt).kid, kid);
    for (const { jwt, seat } of [before, now]) {
      await verify(jwt);
      assert.equal(await shop.whoIs(jwt), seat.customer_id);
      for (let tries = 0; (await mySeats(jwt)).status !== 200; tries += 1) {
        assert.ok(tries < 500, 'PostgREST does not take the new key');
        await new Promise((resolve) => { setTimeout(resolve, 100); });
      }
    }
  });
});
