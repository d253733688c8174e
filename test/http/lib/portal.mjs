// The routes of the customer who pays: through clients, whose session is a claim's or one that was opened, and whoever
// else asks.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { invalid, refused, time, unauthorized } from './answers.mjs';

const ROUTE = '/v1/customer-portal/seats';

// A subscription of some seats, of which its payer has claimed one through the layer.
export const newPayer = async ({ shop, layer }, seats) => {
  const subscription_id = await shop.sell('subscriptions', seats);
  const [payer] = await shop.query(`UPDATE seats.customers SET email = id || '@example.com'
    WHERE id = (SELECT customer_id FROM seats.subscriptions WHERE id = $1) RETURNING id, email`, [subscription_id]);
  return { subscription_id, payer, ...await newHolder({ shop, layer }, subscription_id, payer.email) };
};

// Whoever has claimed a seat through the layer: the seat and the session.
const newHolder = async ({ shop, layer }, subscription, email) => {
  const { seat, token } = await shop.assign(subscription, email);
  const response = await fetch(`${layer.url}/v1/customer-seats/claim`,
    { method: 'POST', body: JSON.stringify({ invitation_token: token }) });
  const { customer_session_token: session } = await response.json();
  assert.match(session, layer.session);
  return { seat, session };
};

const lastEvent = async (shop, seat) =>
  (await shop.query('SELECT type, metadata FROM seats.events WHERE seat_id = $1 ORDER BY id DESC LIMIT 1', [seat]))[0];

// suite has a shop and a layer, once its tests run.
export const describePortal = (client, suite) => describe(`the customer who pays, by ${client.name}`, () => {
  let shop, portal;
  before(() => {
    ({ shop } = suite);
    const { portal: portalOf } = client.connect(suite.layer.url);
    portal = portalOf;
  });

  test("a seat's life, with the session of a claim: invited, sent again, revoked; no token for anybody", async () => {
    const { subscription_id, seat: own, payer, session } = await newPayer(suite, 3);
    const seats = portal(session);
    const email = `${randomUUID()}@example.com`;
    const invited = await seats.assignSeat({ subscription_id, email, metadata: { team: 'red' } });
    assert.deepEqual([invited.status, invited.customer_email, invited.seat_metadata], ['pending', email, { team: 'red' }]);
    assert.equal('invitation_token' in invited, false);
    const event = await lastEvent(shop, invited.id);
    assert.deepEqual([event.type, event.metadata.invitation], ['customer_seat.assigned', 'unsent']);

    const list = await seats.listSeats({ subscription_id });
    assert.deepEqual([list.available_seats, list.total_seats], [1, 3]);
    assert.deepEqual(list.seats.map(({ id }) => id), [own, invited.id]);
    if (!client.dropsMembers) {
      assert.deepEqual(list.seats.map(({ member }) => [member.customer_id, member.role]),
        [[payer.id, 'owner'], [payer.id, 'member']]);
    }

    // The application mails it, and then the payer has it mailed again: that token is dead.
    const [{ token }] = await shop.query('SELECT invitation_token AS token FROM seats.resend_invitation($1)', [invited.id]);
    assert.equal((await lastEvent(shop, invited.id)).metadata.invitation, undefined);
    const resent = await seats.resendInvitation({ seat_id: invited.id });
    assert.equal('invitation_token' in resent, false);
    assert.ok(time(resent.modified_at) >= time(invited.created_at));
    const again = await lastEvent(shop, invited.id);
    assert.deepEqual([again.type, again.metadata.invitation], ['customer_seat.invitation_resent', 'unsent']);
    await assert.rejects(shop.query('SELECT seats.claim_seat($1)', [token]), { detail: 'invitation_invalid' });

    const revoked = await seats.revokeSeat({ seat_id: invited.id });
    assert.deepEqual([revoked.id, revoked.status, revoked.customer_id], [invited.id, 'revoked', null]);
    assert.deepEqual(await seats.revokeSeat({ seat_id: invited.id }), revoked);
  });

  test('with a session that was opened: refusals with their reasons', async () => {
    const { subscription_id, seat } = await newPayer(suite, 1);
    const [{ session }] = await shop.query('SELECT customer_session_token AS session FROM seats.open_session($1)', [seat]);
    const seats = portal(session);
    await shop.changesNothing(async () => {
      await refused(seats.assignSeat({ subscription_id, email: 'late@example.com' }),
        400, 'SeatNotAvailable', 'no_available_seats', 'No available seats');
      await refused(seats.resendInvitation({ seat_id: seat }), 400, 'SeatNotPending', 'seat_not_pending', 'Seat not pending');
      await refused(seats.assignSeat({ order_id: randomUUID(), email: 'x@example.com' }),
        404, 'ResourceNotFound', 'order_not_found', 'Order not found');
      await refused(seats.revokeSeat({ seat_id: randomUUID() }), 404, 'ResourceNotFound', 'seat_not_found', 'Seat not found');
      await invalid(seats.assignSeat({ subscription_id, email: 'no address', immediate_claim: true }),
        ['body.email', 'value_error'], ['body.immediate_claim', 'value_error']);
      await invalid(seats.listSeats({ subscription_id: 'x' }), ['query.subscription_id', 'uuid_parsing']);
      await invalid(seats.revokeSeat({ seat_id: 'eq.x' }), ['path.seat_id', 'uuid_parsing']);
      await invalid(seats.resendInvitation({ seat_id: 'x"}' }), ['path.seat_id', 'uuid_parsing']);
    });
  });

  test('without a session, or with one that has ended: 401', async () => {
    const { subscription_id, seat, session } = await newPayer(suite, 2);
    await shop.query('SELECT seats.end_session($1)', [session]);
    await shop.changesNothing(async () => {
      for (const token of [undefined, 'undefined', session, suite.layer.session.source]) {
        const seats = portal(token);
        for (const call of [
          () => seats.listSeats({ subscription_id }),
          () => seats.assignSeat({ subscription_id, email: 'x@example.com' }),
          () => seats.resendInvitation({ seat_id: seat }),
          () => seats.revokeSeat({ seat_id: seat }),
        ]) await unauthorized(call());
      }
    });
  });
});

// Whoever does not pay for a purchase gets the same answer as for one that does not exist.
export const describePayers = (suite) => test('the customer who pays, another who has a seat, a stranger and nobody', async () => {
  const { shop, layer } = suite;
  const [ada, bob] = [await newPayer(suite, 4), await newPayer(suite, 4)];
  const member = await newHolder(suite, ada.subscription_id);
  for (const purchase of [ada, bob]) purchase.pending = (await shop.assign(purchase.subscription_id)).seat;
  const unknown = { subscription_id: randomUUID(), pending: randomUUID() };

  const send = async (session, method, path, body) => {
    const response = await fetch(layer.url + ROUTE + path, { method, body: body && JSON.stringify(body),
      headers: session ? { Authorization: `Bearer ${session}` } : {} });
    assert.match(response.headers.get('content-type'), /^application\/json/);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    if (response.status === 401) assert.match(response.headers.get('www-authenticate'), /^Bearer/);
    return [response.status, await response.json()];
  };
  const operations = {
    list: (session, { subscription_id }) => send(session, 'GET', `?subscription_id=${subscription_id}`),
    assign: (session, { subscription_id }) => send(session, 'POST', '', { subscription_id, email: `${randomUUID()}@example.com` }),
    resend: (session, { pending }) => send(session, 'POST', `/${pending}/resend`),
    revoke: (session, { pending }) => send(session, 'DELETE', `/${pending}`),
  };
  const callers = { ada, member, bob, nobody: {} };
  const cells = Object.keys(operations).flatMap((operation) => Object.entries(callers).flatMap(([name, caller]) =>
    Object.entries({ ada, bob, unknown }).map(([of, purchase]) => ({ operation, name, caller, of, purchase }))));
  const isRefused = ({ caller, purchase }) => caller !== purchase;
  assert.equal(cells.filter(isRefused).length, 40);

  await shop.changesNothing(async () => {
    for (const { operation, name, caller, of, purchase } of cells.filter(isRefused)) {
      const notFound = { error: 'ResourceNotFound', ...(/list|assign/.test(operation)
        ? { detail: 'Subscription not found', reason: 'subscription_not_found' } : { detail: 'Seat not found', reason: 'seat_not_found' }) };
      const expected = caller.session ? [404, notFound] : [401, { error: 'Unauthorized', detail: 'Unauthorized' }];
      assert.deepEqual(await operations[operation](caller.session, purchase), expected, `${name} ${operation} ${of}`);
    }
  });
  for (const { operation, name, caller, purchase } of cells.filter((cell) => !isRefused(cell))) {
    const [status, body] = await operations[operation](caller.session, purchase);
    assert.equal(status, 200, `${name} ${operation}: ${JSON.stringify(body)}`);
  }
  // The backend's key is no customer's session.
  const [status] = await operations.list(layer.accessToken, ada);
  assert.ok([401, 403].includes(status), `${status}`);
});
