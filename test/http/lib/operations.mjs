// The six operations of the HTTP contract and their errors, through a client that knows nothing of us.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { invalid, refused, time, UNKNOWN, unauthorized } from './answers.mjs';

const INVITATION = /^seats_inv_[0-9A-Za-z]{55}$/;

// suite has a shop and a layer, once its tests run.
export const describeOperations = (client, suite) => describe(client.name, () => {
  let shop, layer, seats;
  before(() => {
    ({ shop, layer } = suite);
    ({ seats } = client.connect(layer.url, layer.accessToken));
  });
  const changesNothing = (action) => shop.changesNothing(action);

  describe('assign', () => {
    test('a seat of a subscription to an address: pending, with a token for the mail', async () => {
      const subscription_id = await shop.sell('subscriptions', 1);
      const seat = await seats.assignSeat({ subscription_id, email: 'ada@example.com' });
      assert.equal(seat.status, 'pending');
      assert.equal(seat.subscription_id, subscription_id);
      assert.equal(seat.order_id, null);
      assert.equal(seat.customer_email, 'ada@example.com');
      assert.equal(seat.seat_metadata, null);
      assert.equal(seat.claimed_at, null);
      assert.ok(Math.abs(time(seat.created_at) - Date.now()) < 60_000);
      assert.equal(time(seat.invitation_token_expires_at) - time(seat.created_at), 24 * 60 * 60 * 1000);
      assert.match(seat.invitation_token, INVITATION);
    });

    test('a seat of an order to a customer, with metadata', async () => {
      const order_id = await shop.sell('orders', 1);
      const customer_id = await shop.insert('customers', { organization_id: shop.organization, name: 'Grace' });
      const metadata = { role: 'admin', level: 2, nested: { list: [1, 'é', null] } };
      const seat = await seats.assignSeat({ order_id, customer_id, metadata });
      assert.equal(seat.order_id, order_id);
      assert.equal(seat.subscription_id, null);
      assert.equal(seat.customer_id, customer_id);
      assert.deepEqual(seat.seat_metadata, metadata);
    });

    test('at once, to a customer of the application: claimed, and no token', async () => {
      const subscription_id = await shop.sell('subscriptions', 1);
      const external_customer_id = randomUUID();
      await shop.insert('customers', { organization_id: shop.organization, external_id: external_customer_id });
      const seat = await seats.assignSeat({ subscription_id, external_customer_id, immediate_claim: true });
      assert.equal(seat.status, 'claimed');
      assert.ok(time(seat.claimed_at) > 0);
      assert.equal(seat.invitation_token_expires_at, null);
      assert.equal(seat.invitation_token ?? null, null);
    });

    if (!client.dropsMembers) test('its member: who holds it, of whom, as what; nobody once it is revoked', async () => {
      const subscription_id = await shop.sell('subscriptions', 2);
      const [{ payer }] = await shop.query('SELECT customer_id AS payer FROM seats.subscriptions WHERE id = $1', [subscription_id]);
      const grace = await shop.insert('customers', { organization_id: shop.organization, name: 'Grace', external_id: randomUUID(),
        email: `${randomUUID()}@example.com` });
      for (const [customer_id, role] of [[grace, 'member'], [payer, 'owner']]) {
        const seat = await seats.assignSeat({ subscription_id, customer_id });
        const [{ email, name, external_id, created_at }] = await shop.query('SELECT * FROM seats.customers WHERE id = $1', [customer_id]);
        assert.deepEqual([seat.member_id, seat.email, seat.customer_email], [customer_id, email, email]);
        assert.deepEqual({ ...seat.member, created_at: time(seat.member.created_at) }, { id: customer_id,
          created_at: created_at.getTime(), modified_at: null, customer_id: payer, email: email ?? '', name, external_id, role });
        const revoked = await seats.revokeSeat({ seat_id: seat.id });
        assert.deepEqual([revoked.member_id, revoked.member, revoked.email], [null, null, null]);
      }
    });

    test('no seat is left', async () => {
      const subscription_id = await shop.sell('subscriptions', 1);
      await shop.assign(subscription_id);
      await changesNothing(() => refused(seats.assignSeat({ subscription_id, email: 'late@example.com' }),
        400, 'SeatNotAvailable', 'no_available_seats', 'No available seats'));
    });

    test('a subscription that is not active', async () => {
      const subscription_id = await shop.sell('subscriptions', 1, { status: 'incomplete' });
      await refused(seats.assignSeat({ subscription_id, email: 'early@example.com' }),
        400, 'SeatNotAvailable', 'subscription_not_active', 'Subscription not active');
    });

    test('an order that is not paid', async () => {
      const order_id = await shop.sell('orders', 1, { status: 'pending' });
      await refused(seats.assignSeat({ order_id, email: 'early@example.com' }),
        400, 'SeatNotAvailable', 'order_not_paid', 'Order not paid');
    });

    test('the same customer again', async () => {
      const subscription_id = await shop.sell('subscriptions', 2);
      const { email } = await shop.assign(subscription_id);
      await refused(seats.assignSeat({ subscription_id, email: email.toUpperCase() }),
        400, 'SeatAlreadyAssigned', 'seat_already_assigned', 'Seat already assigned to this customer');
    });

    test('an organization without seat-based pricing', async () => {
      const { subscription } = await shop.sellThenDisable();
      await refused(seats.assignSeat({ subscription_id: subscription, email: 'x@example.com' }),
        403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
    });

    test('a subscription, order or customer that is not there', async () => {
      const subscription_id = await shop.sell('subscriptions', 1);
      await refused(seats.assignSeat({ subscription_id: randomUUID(), email: 'x@example.com' }),
        404, 'ResourceNotFound', 'subscription_not_found', 'Subscription not found');
      await refused(seats.assignSeat({ order_id: randomUUID(), email: 'x@example.com' }),
        404, 'ResourceNotFound', 'order_not_found', 'Order not found');
      await refused(seats.assignSeat({ subscription_id, customer_id: randomUUID() }),
        404, 'CustomerNotFound', 'customer_not_found', 'Customer not found');
      await refused(seats.assignSeat({ subscription_id, external_customer_id: 'nobody' }),
        404, 'CustomerNotFound', 'customer_not_found', 'Customer not found');
    });

    test('faults of the request: 422 names them', async () => {
      const subscription_id = await shop.sell('subscriptions', 1);
      await changesNothing(async () => {
        await invalid(seats.assignSeat({ subscription_id, email: 'no address' }), ['body.email', 'value_error']);
        await invalid(seats.assignSeat({ subscription_id: 'x', customer_id: 'y' }),
          ['body.subscription_id', 'uuid_parsing'], ['body.customer_id', 'uuid_parsing']);
        await invalid(seats.assignSeat({ subscription_id, email: 'a@example.com', metadata: { big: 'x'.repeat(1025) } }),
          ['body.metadata', 'value_error']);
      });
    });
  });

  describe('claim info', () => {
    test('of a pending, a claimed and an expired invitation', async () => {
      const subscription = await shop.sell('subscriptions', 2);
      const { token, email } = await shop.assign(subscription);
      const info = await seats.getClaimInfo({ invitation_token: token });
      const [{ id: product_id }] = await shop.query(
        'SELECT product_id AS id FROM seats.subscriptions WHERE id = $1', [subscription]);
      assert.deepEqual(info, { product_name: 'Editor', product_id, organization_name: 'Acme',
        organization_slug: 'acme', customer_email: email, can_claim: true });
      await seats.claimSeat({ invitation_token: token });
      assert.equal((await seats.getClaimInfo({ invitation_token: token })).can_claim, false);
      const expired = await shop.assign(subscription);
      await shop.expire(expired.seat);
      assert.equal((await seats.getClaimInfo({ invitation_token: expired.token })).can_claim, false);
      const suspended = await shop.assign(await shop.sell('subscriptions', 1));
      assert.equal((await seats.getClaimInfo({ invitation_token: suspended.token })).can_claim, true);
      await shop.setStatus(suspended.subscription, 'unpaid');
      assert.equal((await seats.getClaimInfo({ invitation_token: suspended.token })).can_claim, false);
    });

    test('changes nothing, however often it is fetched', async () => {
      const { token } = await shop.assign(await shop.sell('subscriptions', 1));
      await changesNothing(async () => {
        for (let i = 0; i < 3; i += 1) await seats.getClaimInfo({ invitation_token: token });
      });
    });

    test('of no invitation, or a revoked one', async () => {
      for (const invitation_token of [UNKNOWN, 'nonsense', 'a b', 'ä/%', '"}']) {
        await refused(seats.getClaimInfo({ invitation_token }), 400, 'InvalidInvitationToken', 'invitation_invalid');
      }
      const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
      await seats.revokeSeat({ seat_id: seat });
      await refused(seats.getClaimInfo({ invitation_token: token }), 400, 'InvalidInvitationToken', 'seat_revoked');
    });

    test('of an organization without seat-based pricing', async () => {
      const { token } = await shop.sellThenDisable();
      await refused(seats.getClaimInfo({ invitation_token: token }),
        403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
    });

    test('with a token that is too long: 422', async () => {
      await invalid(seats.getClaimInfo({ invitation_token: 'x'.repeat(256) }),
        ['path.invitation_token', 'string_too_long']);
    });
  });

  describe('claim', () => {
    test('a pending seat: the seat, and a session for its customer', async () => {
      const { seat, token, email } = await shop.assign(await shop.sell('subscriptions', 1));
      const claim = await seats.claimSeat({ invitation_token: token });
      assert.equal(claim.seat.id, seat);
      assert.equal(claim.seat.status, 'claimed');
      assert.equal(claim.seat.customer_email, email);
      assert.ok(Math.abs(time(claim.seat.claimed_at) - Date.now()) < 60_000);
      assert.match(claim.customer_session_token, layer.session);
      assert.equal(await shop.whoIs(claim.customer_session_token), claim.seat.customer_id);
    });

    test('of no invitation, or an expired, claimed or revoked one', async () => {
      const subscription = await shop.sell('subscriptions', 3);
      const claim = (invitation_token) => seats.claimSeat({ invitation_token });
      await refused(claim(UNKNOWN), 400, 'InvalidInvitationToken', 'invitation_invalid');
      await refused(claim('nonsense'), 400, 'InvalidInvitationToken', 'invitation_invalid');
      const expired = await shop.assign(subscription);
      await shop.expire(expired.seat);
      await changesNothing(() =>
        refused(claim(expired.token), 400, 'InvalidInvitationToken', 'invitation_expired'));
      const claimed = await shop.assign(subscription);
      await claim(claimed.token);
      await changesNothing(() =>
        refused(claim(claimed.token), 400, 'InvalidInvitationToken', 'seat_already_claimed'));
      const revoked = await shop.assign(subscription);
      await seats.revokeSeat({ seat_id: revoked.seat });
      await refused(claim(revoked.token), 400, 'InvalidInvitationToken', 'seat_revoked');
    });

    test('of a seat that is suspended, until it is resumed', async () => {
      const { subscription, seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
      await shop.setStatus(subscription, 'paused');
      await changesNothing(() => refused(seats.claimSeat({ invitation_token: token }),
        400, 'InvalidInvitationToken', 'seat_suspended'));
      await shop.setStatus(subscription, 'active');
      assert.equal((await seats.claimSeat({ invitation_token: token })).seat.id, seat);
    });

    test('again with its idempotency key, of a seat that is suspended', async () => {
      const { subscription, token } = await shop.assign(await shop.sell('subscriptions', 1));
      const claim = () => seats.claimSeat({ invitation_token: token }, 'key');
      const { customer_session_token } = await claim();
      await shop.setStatus(subscription, 'unpaid');
      assert.equal(await shop.whoIs(customer_session_token), 'PT401');
      await changesNothing(() => refused(claim(), 400, 'InvalidInvitationToken', 'seat_suspended'));
    });

    test('of an organization without seat-based pricing', async () => {
      const { token } = await shop.sellThenDisable();
      await refused(seats.claimSeat({ invitation_token: token }),
        403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
    });

    test('faults of the token: 422', async () => {
      await invalid(seats.claimSeat({ invitation_token: '' }), ['body.invitation_token', 'string_too_short']);
      await invalid(seats.claimSeat({ invitation_token: 'x'.repeat(256) }),
        ['body.invitation_token', 'string_too_long']);
    });

    test('again with its idempotency key: the same seat, a new session for the old one', async () => {
      const { token } = await shop.assign(await shop.sell('subscriptions', 1));
      const claim = (key) => seats.claimSeat({ invitation_token: token }, key);
      const first = await claim('key of the client');
      const second = await claim('key of the client');
      assert.deepEqual(second.seat, first.seat);
      assert.equal(await shop.whoIs(first.customer_session_token), 'PT401');
      assert.equal(await shop.whoIs(second.customer_session_token), second.seat.customer_id);
      await refused(claim('another'), 400, 'InvalidInvitationToken', 'seat_already_claimed');
      await refused(seats.claimSeat({ invitation_token: token }), 400, 'InvalidInvitationToken', 'seat_already_claimed');
      const events = await shop.query(
        "SELECT FROM seats.events WHERE seat_id = $1 AND type = 'customer_seat.claimed'", [first.seat.id]);
      assert.equal(events.length, 1);
    });
  });

  describe('list', () => {
    test('the seats of a subscription, revoked ones too', async () => {
      const subscription_id = await shop.sell('subscriptions', 3);
      const ids = [];
      for (let i = 0; i < 3; i += 1) ids.push((await shop.assign(subscription_id)).seat);
      await seats.revokeSeat({ seat_id: ids[1] });
      const list = await seats.listSeats({ subscription_id });
      assert.deepEqual(list.seats.map(({ id }) => id), ids);
      assert.deepEqual(list.seats.map(({ status }) => status), ['pending', 'revoked', 'pending']);
      assert.equal(list.available_seats, 1);
      assert.equal(list.total_seats, 3);
    });

    test('the seats of an order that has none: empty', async () => {
      const order_id = await shop.sell('orders', 2);
      assert.deepEqual(await seats.listSeats({ order_id }), { seats: [], available_seats: 2, total_seats: 2 });
    });

    test('of what is not there, or of an organization without seat-based pricing', async () => {
      await refused(seats.listSeats({ subscription_id: randomUUID() }),
        404, 'ResourceNotFound', 'subscription_not_found', 'Subscription not found');
      await refused(seats.listSeats({ order_id: randomUUID() }),
        404, 'ResourceNotFound', 'order_not_found', 'Order not found');
      const { subscription } = await shop.sellThenDisable();
      await refused(seats.listSeats({ subscription_id: subscription }),
        403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
    });

    test('of both, neither, or no id: 422', async () => {
      await assert.rejects(seats.listSeats({}), ({ status, body }) => status === 422 && body.detail[0].loc[0] === 'query');
      const id = randomUUID();
      await assert.rejects(seats.listSeats({ subscription_id: id, order_id: id }), { status: 422 });
      await invalid(seats.listSeats({ subscription_id: 'x' }), ['query.subscription_id', 'uuid_parsing']);
      await invalid(seats.listSeats({ order_id: `eq.${id}` }), ['query.order_id', 'uuid_parsing']);
      await invalid(seats.listSeats({ order_id: '' }), ['query.order_id', 'uuid_parsing']);
    });
  });

  describe('resend', () => {
    test('an expired invitation: a new token and a new time; the old token is dead', async () => {
      const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
      await shop.expire(seat);
      const sent = await seats.resendInvitation({ seat_id: seat });
      assert.equal(sent.status, 'pending');
      assert.ok(time(sent.invitation_token_expires_at) > Date.now());
      const renewed = sent.invitation_token;
      assert.match(renewed, INVITATION);
      assert.notEqual(renewed, token);
      await refused(seats.claimSeat({ invitation_token: token }), 400, 'InvalidInvitationToken', 'invitation_invalid');
      assert.equal((await seats.claimSeat({ invitation_token: renewed })).seat.id, seat);
    });

    test('of a seat that is claimed', async () => {
      const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
      await seats.claimSeat({ invitation_token: token });
      await changesNothing(() => refused(seats.resendInvitation({ seat_id: seat }),
        400, 'SeatNotPending', 'seat_not_pending', 'Seat not pending'));
    });

    test('of a seat that is suspended', async () => {
      const { subscription, seat } = await shop.assign(await shop.sell('subscriptions', 1));
      await shop.setStatus(subscription, 'paused');
      await changesNothing(() => refused(seats.resendInvitation({ seat_id: seat }),
        400, 'SeatNotAvailable', 'seat_suspended', 'Seat suspended'));
    });

    test('of no seat, no id, or an organization without seat-based pricing', async () => {
      await refused(seats.resendInvitation({ seat_id: randomUUID() }),
        404, 'ResourceNotFound', 'seat_not_found', 'Seat not found');
      await invalid(seats.resendInvitation({ seat_id: 'x"}' }), ['path.seat_id', 'uuid_parsing']);
      const { seat } = await shop.sellThenDisable();
      await refused(seats.resendInvitation({ seat_id: seat }),
        403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
    });
  });

  describe('revoke', () => {
    test('a seat that is suspended; another customer gets another id', async () => {
      const { subscription, seat } = await shop.assign(await shop.sell('subscriptions', 1));
      await shop.setStatus(subscription, 'paused');
      assert.equal((await seats.revokeSeat({ seat_id: seat })).status, 'revoked');
      await shop.setStatus(subscription, 'active');
      const next = await shop.assign(subscription);
      assert.notEqual(next.seat, seat);
      await changesNothing(() => refused(seats.revokeSeat({ seat_id: seat }),
        404, 'ResourceNotFound', 'seat_not_found', 'Seat not found'));
    });

    test('a claimed seat, and its session with it; again is the same', async () => {
      const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
      const { customer_session_token } = await seats.claimSeat({ invitation_token: token });
      const revoked = await seats.revokeSeat({ seat_id: seat });
      assert.equal(revoked.id, seat);
      assert.equal(revoked.status, 'revoked');
      assert.ok(time(revoked.revoked_at) > 0);
      assert.equal(revoked.customer_id, null);
      assert.equal(revoked.customer_email, null);
      assert.equal(await shop.whoIs(customer_session_token), 'PT401');
      await changesNothing(async () => assert.deepEqual(await seats.revokeSeat({ seat_id: seat }), revoked));
    });

    test('of no seat, no id, or an organization without seat-based pricing', async () => {
      await refused(seats.revokeSeat({ seat_id: randomUUID() }),
        404, 'ResourceNotFound', 'seat_not_found', 'Seat not found');
      await invalid(seats.revokeSeat({ seat_id: 'eq.x' }), ['path.seat_id', 'uuid_parsing']);
      const { seat } = await shop.sellThenDisable();
      await refused(seats.revokeSeat({ seat_id: seat }),
        403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
    });
  });

  test('a backend must show who it is', async () => {
    const subscription_id = await shop.sell('subscriptions', 2);
    const { seat } = await shop.assign(subscription_id);
    await changesNothing(async () => {
      for (const accessToken of [undefined, 'wrong', `${layer.accessToken}x`]) {
        const wrong = client.connect(layer.url, accessToken).seats;
        for (const call of [
          () => wrong.assignSeat({ subscription_id, email: 'x@example.com' }),
          () => wrong.listSeats({ subscription_id }),
          () => wrong.resendInvitation({ seat_id: seat }),
          () => wrong.revokeSeat({ seat_id: seat }),
        ]) await unauthorized(call());
      }
    });
  });
});

// What each version of the API can do, all of it.
export const testLife = (client, suite) => test(`a seat's whole life, by ${client.name}`, async () => {
  const { shop, layer } = suite;
  const { seats } = client.connect(layer.url, layer.accessToken);
  const anybody = client.connect(layer.url);
  const subscription_id = await shop.sell('subscriptions', 1);
  const email = `${randomUUID()}@example.com`;
  const assigned = await seats.assignSeat({ subscription_id, email });
  const { invitation_token } = await seats.resendInvitation({ seat_id: assigned.id });
  await refused(anybody.seats.claimSeat({ invitation_token: assigned.invitation_token }),
    400, 'InvalidInvitationToken', 'invitation_invalid');
  const info = await anybody.seats.getClaimInfo({ invitation_token });
  assert.deepEqual([info.customer_email, info.can_claim], [email, true]);
  const claim = await anybody.seats.claimSeat({ invitation_token });
  assert.deepEqual([claim.seat.id, claim.seat.status], [assigned.id, 'claimed']);
  assert.equal((await seats.listSeats({ subscription_id })).seats[0].status, 'claimed');
  // Who holds a seat is not therefore the customer who pays for it.
  await refused(anybody.portal(claim.customer_session_token).listSeats({ subscription_id }),
    404, 'ResourceNotFound', 'subscription_not_found', 'Subscription not found');
  assert.equal((await seats.revokeSeat({ seat_id: assigned.id })).status, 'revoked');
  await unauthorized(anybody.portal(claim.customer_session_token).listSeats({ subscription_id }));
});
