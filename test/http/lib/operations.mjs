// The HTTP contract's six operations and their errors, through an SDK that knows nothing of us.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { HTTPValidationError } from '@polar-sh/sdk/models/errors/httpvalidationerror.js';
import { SDKError } from '@polar-sh/sdk/models/errors/sdkerror.js';
import { connect } from './invitations.mjs';
import { Shop } from './shop.mjs';

const INVITATION = /^seats_inv_[0-9A-Za-z]{55}$/;
const SESSION = /^seats_cst_[0-9A-Za-z]{55}$/;
// Of the right shape, but not with the right checksum.
const UNKNOWN = `seats_inv_${'0'.repeat(55)}`;

const MESSAGES = {
  InvalidInvitationToken: 'Invalid, expired, or already claimed token',
  FeatureNotEnabled: 'Seat-based pricing not enabled for organization',
};

// Refused with this status and exactly this body; the SDK has no class of its own for these.
const refused = (promise, statusCode, error, reason, detail = MESSAGES[error]) =>
  assert.rejects(promise, (thrown) => {
    assert.ok(thrown instanceof SDKError, `${thrown}`);
    assert.equal(thrown.statusCode, statusCode);
    assert.match(thrown.headers.get('content-type'), /^application\/json/);
    assert.deepEqual(JSON.parse(thrown.body), { error, detail, reason });
    return true;
  });

// Refused with 422 for these faults, each a place and a type.
const invalid = (promise, ...faults) =>
  assert.rejects(promise, (thrown) => {
    assert.ok(thrown instanceof HTTPValidationError, `${thrown}`);
    assert.equal(thrown.statusCode, 422);
    assert.deepEqual(thrown.detail.map(({ loc, type }) => [loc.join('.'), type]), faults);
    for (const { msg } of thrown.detail) assert.match(msg, /^\w+ /);
    return true;
  });

// start(shop) gives a layer: its url, the accessToken of a backend, logs() and stop().
export const describeOperations = (name, database, start) =>
  describe(name, () => {
    let shop, layer, polar, seats, invitations;

    before(async () => {
      shop = await Shop.open(database);
      layer = await start(shop);
      ({ polar, invitations } = connect(layer.url, layer.accessToken));
      seats = polar.customerSeats;
    });
    after(async () => {
      await layer?.stop();
      await shop?.close();
    });

    // Assigns through the layer; returns the seat and its token.
    const assign = async (request) => {
      const seat = await seats.assignSeat(request);
      return { seat, token: invitations.get(seat.id) };
    };
    const send = (method, path, { body, headers, accessToken = layer.accessToken } = {}) =>
      fetch(layer.url + path, {
        method,
        body,
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${accessToken}`, ...headers },
      });
    // Nothing in the database is other than before.
    const changesNothing = async (action) => {
      const contents = await shop.contents();
      await action();
      assert.deepEqual(await shop.contents(), contents);
    };

    describe('assign', () => {
      test('a seat of a subscription to an address: pending, with a token for the mail', async () => {
        const subscriptionId = await shop.sell('subscriptions', 1);
        const { seat, token } = await assign({ subscriptionId, email: 'ada@example.com' });
        assert.equal(seat.status, 'pending');
        assert.equal(seat.subscriptionId, subscriptionId);
        assert.equal(seat.orderId, null);
        assert.equal(seat.customerEmail, 'ada@example.com');
        assert.equal(seat.seatMetadata, null);
        assert.equal(seat.claimedAt, null);
        assert.ok(Math.abs(seat.createdAt - Date.now()) < 60_000);
        assert.ok(seat.invitationTokenExpiresAt - seat.createdAt === 24 * 60 * 60 * 1000);
        assert.match(token, INVITATION);
      });

      test('a seat of an order to a customer, with metadata', async () => {
        const orderId = await shop.sell('orders', 1);
        const customerId = await shop.insert('customers', { organization_id: shop.organization, name: 'Grace' });
        const metadata = { role: 'admin', level: 2, nested: { list: [1, 'é', null] } };
        const { seat } = await assign({ orderId, customerId, metadata });
        assert.equal(seat.orderId, orderId);
        assert.equal(seat.subscriptionId, null);
        assert.equal(seat.customerId, customerId);
        assert.deepEqual(seat.seatMetadata, metadata);
      });

      test('at once, to a customer of the application: claimed, and no token', async () => {
        const subscriptionId = await shop.sell('subscriptions', 1);
        const externalCustomerId = randomUUID();
        await shop.insert('customers', { organization_id: shop.organization, external_id: externalCustomerId });
        const { seat, token } = await assign({ subscriptionId, externalCustomerId, immediateClaim: true });
        assert.equal(seat.status, 'claimed');
        assert.ok(seat.claimedAt instanceof Date);
        assert.equal(seat.invitationTokenExpiresAt, null);
        assert.equal(token, undefined);
      });

      test('the body has the fields of a seat in order, and the token beside them', async () => {
        const subscription = await shop.sell('subscriptions', 1);
        const response = await send('POST', '/v1/customer-seats',
          { body: JSON.stringify({ subscription_id: subscription, email: 'order@example.com', unknown: 1 }) });
        assert.equal(response.status, 200);
        assert.match(response.headers.get('content-type'), /^application\/json/);
        const fields = ['created_at', 'modified_at', 'id', 'subscription_id', 'order_id', 'status', 'customer_id',
          'customer_email', 'invitation_token_expires_at', 'claimed_at', 'revoked_at', 'seat_metadata', 'invitation_token'];
        assert.deepEqual(Object.keys(await response.json()), fields);
      });

      test('no seat is left', async () => {
        const subscriptionId = await shop.sell('subscriptions', 1);
        await shop.assign(subscriptionId);
        await changesNothing(() => refused(assign({ subscriptionId, email: 'late@example.com' }),
          400, 'SeatNotAvailable', 'no_available_seats', 'No available seats'));
      });

      test('a subscription that is not active', async () => {
        const subscriptionId = await shop.sell('subscriptions', 1, { status: 'incomplete' });
        await refused(assign({ subscriptionId, email: 'early@example.com' }),
          400, 'SeatNotAvailable', 'subscription_not_active', 'Subscription not active');
      });

      test('an order that is not paid', async () => {
        const orderId = await shop.sell('orders', 1, { status: 'pending' });
        await refused(assign({ orderId, email: 'early@example.com' }),
          400, 'SeatNotAvailable', 'order_not_paid', 'Order not paid');
      });

      test('the same customer again', async () => {
        const subscriptionId = await shop.sell('subscriptions', 2);
        const { email } = await shop.assign(subscriptionId);
        await refused(assign({ subscriptionId, email: email.toUpperCase() }),
          400, 'SeatAlreadyAssigned', 'seat_already_assigned', 'Seat already assigned to this customer');
      });

      test('an organization without seat-based pricing', async () => {
        const { subscription } = await shop.sellThenDisable();
        await refused(assign({ subscriptionId: subscription, email: 'x@example.com' }),
          403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
      });

      test('a subscription, order or customer that is not there', async () => {
        const subscriptionId = await shop.sell('subscriptions', 1);
        await refused(assign({ subscriptionId: randomUUID(), email: 'x@example.com' }),
          404, 'ResourceNotFound', 'subscription_not_found', 'Subscription not found');
        await refused(assign({ orderId: randomUUID(), email: 'x@example.com' }),
          404, 'ResourceNotFound', 'order_not_found', 'Order not found');
        await refused(assign({ subscriptionId, customerId: randomUUID() }),
          404, 'CustomerNotFound', 'customer_not_found', 'Customer not found');
        await refused(assign({ subscriptionId, externalCustomerId: 'nobody' }),
          404, 'CustomerNotFound', 'customer_not_found', 'Customer not found');
      });

      test('faults of the request: 422 names them', async () => {
        const subscriptionId = await shop.sell('subscriptions', 1);
        await changesNothing(async () => {
          await invalid(assign({ subscriptionId, email: 'no address' }), ['body.email', 'value_error']);
          await invalid(assign({ subscriptionId: 'x', customerId: 'y' }),
            ['body.subscription_id', 'uuid_parsing'], ['body.customer_id', 'uuid_parsing']);
          await invalid(assign({ subscriptionId, email: 'a@example.com', metadata: { big: 'x'.repeat(1025) } }),
            ['body.metadata', 'value_error']);
        });
      });

      test('wrong types: 422 names all of them', async () => {
        const subscription = await shop.sell('subscriptions', 1);
        const response = await send('POST', '/v1/customer-seats', { body: JSON.stringify(
          { subscription_id: subscription, email: 5, metadata: [], immediate_claim: {} }) });
        assert.equal(response.status, 422);
        const { detail } = await response.json();
        assert.deepEqual(detail.map(({ loc, msg, type }) => [loc, msg, type]), [
          [['body', 'email'], 'Input should be a valid string', 'string_type'],
          [['body', 'metadata'], 'Input should be a valid dictionary', 'dict_type'],
          [['body', 'immediate_claim'], 'Input should be a valid boolean', 'bool_type'],
        ]);
      });
    });

    describe('claim info', () => {
      test('of a pending, a claimed and an expired invitation', async () => {
        const subscription = await shop.sell('subscriptions', 2);
        const { token, email } = await shop.assign(subscription);
        const info = await seats.getClaimInfo({ invitationToken: token });
        const [{ id: productId }] = await shop.query(
          'SELECT product_id AS id FROM seats.subscriptions WHERE id = $1', [subscription]);
        assert.deepEqual(info, { productName: 'Editor', productId, organizationName: 'Acme',
          organizationSlug: 'acme', customerEmail: email, canClaim: true });
        await seats.claimSeat({ invitationToken: token });
        assert.equal((await seats.getClaimInfo({ invitationToken: token })).canClaim, false);
        const expired = await shop.assign(subscription);
        await shop.expire(expired.seat);
        assert.equal((await seats.getClaimInfo({ invitationToken: expired.token })).canClaim, false);
        const suspended = await shop.assign(await shop.sell('subscriptions', 1));
        assert.equal((await seats.getClaimInfo({ invitationToken: suspended.token })).canClaim, true);
        await shop.setStatus(suspended.subscription, 'unpaid');
        assert.equal((await seats.getClaimInfo({ invitationToken: suspended.token })).canClaim, false);
      });

      test('changes nothing, however often it is fetched', async () => {
        const { token } = await shop.assign(await shop.sell('subscriptions', 1));
        await changesNothing(async () => {
          for (let i = 0; i < 3; i += 1) await seats.getClaimInfo({ invitationToken: token });
        });
      });

      test('of no invitation, or a revoked one', async () => {
        for (const invitationToken of [UNKNOWN, 'nonsense', 'a b', 'ä/%', '"}']) {
          await refused(seats.getClaimInfo({ invitationToken }), 400, 'InvalidInvitationToken', 'invitation_invalid');
        }
        const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
        await seats.revokeSeat({ seatId: seat });
        await refused(seats.getClaimInfo({ invitationToken: token }), 400, 'InvalidInvitationToken', 'seat_revoked');
      });

      test('of an organization without seat-based pricing', async () => {
        const { token } = await shop.sellThenDisable();
        await refused(seats.getClaimInfo({ invitationToken: token }),
          403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
      });

      test('with a token that is too long: 422', async () => {
        await invalid(seats.getClaimInfo({ invitationToken: 'x'.repeat(256) }),
          ['path.invitation_token', 'string_too_long']);
      });

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
      test('a pending seat: the seat, and a session for its customer', async () => {
        const { seat, token, email } = await shop.assign(await shop.sell('subscriptions', 1));
        const claim = await seats.claimSeat({ invitationToken: token });
        assert.equal(claim.seat.id, seat);
        assert.equal(claim.seat.status, 'claimed');
        assert.equal(claim.seat.customerEmail, email);
        assert.ok(Math.abs(claim.seat.claimedAt - Date.now()) < 60_000);
        assert.match(claim.customerSessionToken, SESSION);
        assert.equal(await shop.whoIs(claim.customerSessionToken), claim.seat.customerId);
      });

      test('needs no key, and a wrong one does no harm', async () => {
        const subscription = await shop.sell('subscriptions', 2);
        for (const accessToken of ['', 'stale']) {
          const { token } = await shop.assign(subscription);
          const response = await send('POST', '/v1/customer-seats/claim',
            { body: JSON.stringify({ invitation_token: token, unknown: 1 }), accessToken });
          assert.equal(response.status, 200);
          assert.equal(response.headers.get('cache-control'), 'no-store');
          const claim = await response.json();
          assert.deepEqual(Object.keys(claim), ['seat', 'customer_session_token']);
          assert.equal(Object.keys(claim.seat).length, 12);
        }
      });

      test('of no invitation, or an expired, claimed or revoked one', async () => {
        const subscription = await shop.sell('subscriptions', 3);
        const claim = (invitationToken) => seats.claimSeat({ invitationToken });
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
        await seats.revokeSeat({ seatId: revoked.seat });
        await refused(claim(revoked.token), 400, 'InvalidInvitationToken', 'seat_revoked');
      });

      test('of a seat that is suspended, until it is resumed', async () => {
        const { subscription, seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
        await shop.setStatus(subscription, 'paused');
        await changesNothing(() => refused(seats.claimSeat({ invitationToken: token }),
          400, 'InvalidInvitationToken', 'seat_suspended'));
        await shop.setStatus(subscription, 'active');
        assert.equal((await seats.claimSeat({ invitationToken: token })).seat.id, seat);
      });

      test('again with its idempotency key, of a seat that is suspended', async () => {
        const { subscription, token } = await shop.assign(await shop.sell('subscriptions', 1));
        const claim = () => seats.claimSeat({ invitationToken: token }, { headers: { 'Idempotency-Key': 'key' } });
        const { customerSessionToken } = await claim();
        await shop.setStatus(subscription, 'unpaid');
        assert.equal(await shop.whoIs(customerSessionToken), 'PT401');
        await changesNothing(() => refused(claim(), 400, 'InvalidInvitationToken', 'seat_suspended'));
      });

      test('of an organization without seat-based pricing', async () => {
        const { token } = await shop.sellThenDisable();
        await refused(seats.claimSeat({ invitationToken: token }),
          403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
      });

      test('faults of the token: 422', async () => {
        await invalid(seats.claimSeat({ invitationToken: '' }), ['body.invitation_token', 'string_too_short']);
        await invalid(seats.claimSeat({ invitationToken: 'x'.repeat(256) }),
          ['body.invitation_token', 'string_too_long']);
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

      test('again with its idempotency key: the same seat, a new session for the old one', async () => {
        const { token } = await shop.assign(await shop.sell('subscriptions', 1));
        const claim = (key) =>
          seats.claimSeat({ invitationToken: token }, { headers: { 'Idempotency-Key': key } });
        const first = await claim('key of the client');
        const second = await claim('key of the client');
        assert.deepEqual(second.seat, first.seat);
        assert.equal(await shop.whoIs(first.customerSessionToken), 'PT401');
        assert.equal(await shop.whoIs(second.customerSessionToken), second.seat.customerId);
        await refused(claim('another'), 400, 'InvalidInvitationToken', 'seat_already_claimed');
        await refused(seats.claimSeat({ invitationToken: token }), 400, 'InvalidInvitationToken', 'seat_already_claimed');
        const events = await shop.query(
          "SELECT FROM seats.events WHERE seat_id = $1 AND type = 'customer_seat.claimed'", [first.seat.id]);
        assert.equal(events.length, 1);
      });
    });

    describe('list', () => {
      test('the seats of a subscription, revoked ones too', async () => {
        const subscriptionId = await shop.sell('subscriptions', 3);
        const ids = [];
        for (let i = 0; i < 3; i += 1) ids.push((await shop.assign(subscriptionId)).seat);
        await seats.revokeSeat({ seatId: ids[1] });
        const list = await seats.listSeats({ subscriptionId });
        assert.deepEqual(list.seats.map(({ id }) => id), ids);
        assert.deepEqual(list.seats.map(({ status }) => status), ['pending', 'revoked', 'pending']);
        assert.equal(list.availableSeats, 1);
        assert.equal(list.totalSeats, 3);
      });

      test('the seats of an order that has none: empty', async () => {
        const orderId = await shop.sell('orders', 2);
        assert.deepEqual(await seats.listSeats({ orderId }), { seats: [], availableSeats: 2, totalSeats: 2 });
      });

      test('of what is not there, or of an organization without seat-based pricing', async () => {
        await refused(seats.listSeats({ subscriptionId: randomUUID() }),
          404, 'ResourceNotFound', 'subscription_not_found', 'Subscription not found');
        await refused(seats.listSeats({ orderId: randomUUID() }),
          404, 'ResourceNotFound', 'order_not_found', 'Order not found');
        const { subscription } = await shop.sellThenDisable();
        await refused(seats.listSeats({ subscriptionId: subscription }),
          403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
      });

      test('of both, neither, or no id: 422', async () => {
        const response = await send('GET', '/v1/customer-seats');
        assert.equal(response.status, 422);
        assert.equal((await response.json()).detail[0].loc[0], 'query');
        const id = randomUUID();
        await assert.rejects(seats.listSeats({ subscriptionId: id, orderId: id }), HTTPValidationError);
        await invalid(seats.listSeats({ subscriptionId: 'x' }), ['query.subscription_id', 'uuid_parsing']);
        await invalid(seats.listSeats({ orderId: `eq.${id}` }), ['query.order_id', 'uuid_parsing']);
        await invalid(seats.listSeats({ orderId: '' }), ['query.order_id', 'uuid_parsing']);
      });
    });

    describe('resend', () => {
      test('an expired invitation: a new token and a new time; the old token is dead', async () => {
        const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
        await shop.expire(seat);
        const sent = await seats.resendInvitation({ seatId: seat });
        assert.equal(sent.status, 'pending');
        assert.ok(sent.invitationTokenExpiresAt > new Date());
        const renewed = invitations.get(seat);
        assert.match(renewed, INVITATION);
        assert.notEqual(renewed, token);
        await refused(seats.claimSeat({ invitationToken: token }), 400, 'InvalidInvitationToken', 'invitation_invalid');
        assert.equal((await seats.claimSeat({ invitationToken: renewed })).seat.id, seat);
      });

      test('of a seat that is claimed', async () => {
        const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
        await seats.claimSeat({ invitationToken: token });
        await changesNothing(() => refused(seats.resendInvitation({ seatId: seat }),
          400, 'SeatNotPending', 'seat_not_pending', 'Seat not pending'));
      });

      test('of a seat that is suspended', async () => {
        const { subscription, seat } = await shop.assign(await shop.sell('subscriptions', 1));
        await shop.setStatus(subscription, 'paused');
        await changesNothing(() => refused(seats.resendInvitation({ seatId: seat }),
          400, 'SeatNotAvailable', 'seat_suspended', 'Seat suspended'));
      });

      test('of no seat, no id, or an organization without seat-based pricing', async () => {
        await refused(seats.resendInvitation({ seatId: randomUUID() }),
          404, 'ResourceNotFound', 'seat_not_found', 'Seat not found');
        await invalid(seats.resendInvitation({ seatId: 'x"}' }), ['path.seat_id', 'uuid_parsing']);
        const { seat } = await shop.sellThenDisable();
        await refused(seats.resendInvitation({ seatId: seat }),
          403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
      });
    });

    describe('revoke', () => {
      test('a seat that is suspended; another customer gets another id', async () => {
        const { subscription, seat } = await shop.assign(await shop.sell('subscriptions', 1));
        await shop.setStatus(subscription, 'paused');
        assert.equal((await seats.revokeSeat({ seatId: seat })).status, 'revoked');
        await shop.setStatus(subscription, 'active');
        const next = await shop.assign(subscription);
        assert.notEqual(next.seat, seat);
        await changesNothing(() => refused(seats.revokeSeat({ seatId: seat }),
          404, 'ResourceNotFound', 'seat_not_found', 'Seat not found'));
      });

      test('a claimed seat, and its session with it; again is the same', async () => {
        const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
        const { customerSessionToken } = await seats.claimSeat({ invitationToken: token });
        const revoked = await seats.revokeSeat({ seatId: seat });
        assert.equal(revoked.id, seat);
        assert.equal(revoked.status, 'revoked');
        assert.ok(revoked.revokedAt instanceof Date);
        assert.equal(revoked.customerId, null);
        assert.equal(revoked.customerEmail, null);
        assert.equal(await shop.whoIs(customerSessionToken), 'PT401');
        await changesNothing(async () => assert.deepEqual(await seats.revokeSeat({ seatId: seat }), revoked));
      });

      test('of no seat, no id, or an organization without seat-based pricing', async () => {
        await refused(seats.revokeSeat({ seatId: randomUUID() }),
          404, 'ResourceNotFound', 'seat_not_found', 'Seat not found');
        await invalid(seats.revokeSeat({ seatId: 'eq.x' }), ['path.seat_id', 'uuid_parsing']);
        const { seat } = await shop.sellThenDisable();
        await refused(seats.revokeSeat({ seatId: seat }),
          403, 'FeatureNotEnabled', 'seat_based_pricing_not_enabled');
      });
    });

    describe('whatever is called', () => {
      test('a backend must show who it is', async () => {
        const subscriptionId = await shop.sell('subscriptions', 2);
        const { seat } = await shop.assign(subscriptionId);
        await changesNothing(async () => {
          for (const accessToken of [undefined, 'wrong', `${layer.accessToken}x`]) {
            const { customerSeats } = connect(layer.url, accessToken).polar;
            for (const call of [
              () => customerSeats.assignSeat({ subscriptionId, email: 'x@example.com' }),
              () => customerSeats.listSeats({ subscriptionId }),
              () => customerSeats.resendInvitation({ seatId: seat }),
              () => customerSeats.revokeSeat({ seatId: seat }),
            ]) {
              await assert.rejects(call, (error) => {
                assert.ok(error instanceof SDKError);
                assert.equal(error.statusCode, 401);
                assert.match(error.headers.get('www-authenticate'), /^Bearer/);
                assert.deepEqual(JSON.parse(error.body), { error: 'Unauthorized', detail: 'Unauthorized' });
                return true;
              });
            }
          }
        });
      });

      test('other methods are refused with those there are, and change nothing', async () => {
        const { seat, token } = await shop.assign(await shop.sell('subscriptions', 1));
        const routes = [
          ['/claim', 'POST'],
          [`/claim/${token}`, 'GET, HEAD'],
          ['', 'GET, HEAD, POST'],
          [`/${seat}`, 'DELETE'],
          [`/${seat}/resend`, 'POST'],
        ];
        const body = JSON.stringify({ invitation_token: token });
        await changesNothing(async () => {
          for (const [path, allowed] of routes) {
            for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
              if (allowed.split(', ').includes(method)) continue;
              const response = await send(method, `/v1/customer-seats${path}`,
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
        for (const path of ['/', '/v1', '/v1/customer-seatsx', '/v1/customer-seats/a/b', '/rpc/claim_seat']) {
          const response = await send('POST', path, { body: '{}' });
          assert.equal(response.status, 404, path);
          assert.deepEqual(await response.json(), { error: 'NotFound', detail: 'Not Found' });
        }
      });

      test('a body that is too large is refused', async () => {
        for (const path of ['/v1/customer-seats/claim', '/v1/customer-seats']) {
          const response = await send('POST', path, { body: JSON.stringify({ padding: 'x'.repeat(16 * 1024) }) });
          assert.equal(response.status, 413);
          assert.match(response.headers.get('content-type'), /^application\/json/);
          assert.equal((await response.json()).error, 'PayloadTooLarge');
        }
      });
    });

    test('no token is in any log, here or in PostgreSQL', async () => {
      const { token } = await shop.assign(await shop.sell('subscriptions', 1));
      await seats.claimSeat({ invitationToken: token });
      const log = await shop.log();
      assert.match(log, /execute .*claim_seat/);
      for (const text of [log, await layer.logs()]) {
        assert.doesNotMatch(text, /seats_(inv|cst)_[0-9A-Za-z]{40}/);
      }
    });
  });
