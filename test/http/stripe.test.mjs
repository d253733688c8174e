// examples/stripe: whatever comes in whatever order, seats have what Stripe has in the end, and Stripe what seats have grown to.
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startStripe } from './lib/fake-stripe.mjs';
import { freePort, startServer } from './lib/processes.mjs';
import { customer, customerDeleted, eventOf, item, Mirror, price, product, schedule, shown, signed, stripeExample, subscription,
  timeOf } from './lib/stripe-layer.mjs';
import { Shop } from './lib/shop.mjs';
import { startWorker, until } from './lib/worker-layer.mjs';

describe('from Stripe to seats', () => {
  let mirror;
  before(async () => { mirror = await Mirror.open('http_stripe'); });
  after(() => mirror?.close());
  beforeEach(() => mirror.reset());

  // What use(...clients) does with so many connections, which are closed whatever happens.
  const withClients = async (number, use) => {
    const clients = Array.from({ length: number }, () => new pg.Client({ database: mirror.database }));
    for (const client of clients) await client.connect();
    try {
      return await use(...clients);
    } finally {
      for (const client of clients) await client.end();
    }
  };
  // Until so many sessions wait for another.
  const waiting = (number) => until(async () => (await mirror.query(`SELECT count(*)::int AS number FROM pg_stat_activity
    WHERE datname = $1 AND wait_event_type = 'Lock'`, [mirror.database]))[0].number === number);
  const assign = async (number, id = 'sub_1') => {
    for (let i = 0; i < number; i += 1) await mirror.assign((await mirror.subscription(id)).id);
  };
  // A product, a customer and a subscription of so many seats.
  const sold = (seats) => [product(1, 'prod_1', 'Editor'), customer(2, 'cus_1', 'ada@example.com'),
    subscription(3, 'sub_1', 'cus_1', 'active', [item('si_1', 'price_1', seats)])];

  const permutations = (events) => (events.length < 2 ? [events] : events.flatMap((first) =>
    permutations(events.filter((other) => other !== first)).map((rest) => [first, ...rest])));

  describe('in any order', () => {
    // Each depends on others.
    const core = [
      product(1, 'prod_1', 'Editor'),
      price(2, 'price_1', 'prod_1'),
      customer(3, 'cus_1', 'ada@example.com'),
      subscription(4, 'sub_1', 'cus_1', 'active', [item('si_1', 'price_1', 8)], { schedule: 'sub_sched_1' }),
      schedule(5, 'sub_sched_1', 'sub_1', 'active', [[['price_1', 8]], [['price_1', 3]]]),
    ];
    // Those, and what Stripe sends before and after.
    const editor = (quantity) => [item('si_1', 'price_1', quantity), item('si_2', 'price_2', 1)];
    const dozen = [
      product(1, 'prod_1', 'Edit'),
      product(2, 'prod_1', 'Editor'),
      product(3, 'prod_2', 'Support'),
      product(4, 'prod_2', 'Support', { seats: 'no' }),
      price(5, 'price_1', 'prod_1'),
      price(5, 'price_2', 'prod_2'),
      customer(6, 'cus_1', 'ada@example.com'),
      customer(7, 'cus_1', 'ada.lovelace@example.com'),
      subscription(8, 'sub_1', 'cus_1', 'incomplete', editor(5)),
      subscription(9, 'sub_1', 'cus_1', 'active', editor(5)),
      subscription(10, 'sub_1', 'cus_1', 'active', editor(8), { schedule: 'sub_sched_1' }),
      schedule(10, 'sub_sched_1', 'sub_1', 'active', [[['price_1', 5]], [['price_1', 3], ['price_2', 1]]]),
      customer(11, 'cus_2', 'ada@example.com'), // who gets the address that the first has left
      subscription(12, 'sub_2', 'cus_2', 'active', [item('si_3', 'price_1', 2)]),
      subscription(12, 'sub_3', 'cus_3', 'trialing', [item('si_4', 'price_1', 4)]),
      customer(12, 'cus_3', 'bob@example.com'),
      customerDeleted(13, 'cus_3'), // which ends the subscription, though no webhook of that comes
    ];
    const expectedCore = {
      products: [['prod_1', 'Editor']],
      customers: [['cus_1', ['Name of cus_1', 'ada@example.com']]],
      subscriptions: [['sub_1', 'prod_1', 'cus_1', 8, 3, 'active']],
      stuck: null,
    };
    const expected = {
      products: [['prod_1', 'Editor'], ['prod_2', 'Support']],
      customers: [['cus_1', ['Name of cus_1', 'ada.lovelace@example.com']], ['cus_2', ['Name of cus_2', 'ada@example.com']],
        ['cus_3', null]],
      subscriptions: [['sub_1', 'prod_1', 'cus_1', 8, 3, 'active'], ['sub_2', 'prod_1', 'cus_2', 2, null, 'active'],
        ['sub_3', 'prod_1', 'cus_3', 4, null, 'canceled']],
      stuck: null,
    };

    // The same orders again, by SEED in the environment.
    const seed = Number(process.env.SEED || randomInt(2 ** 32));
    let state = seed;
    const random = (below) => { // mulberry32
      state = (state + 0x6D2B79F5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
    };
    const shuffled = (events) => {
      const left = [...events];
      return events.map(() => left.splice(random(left.length), 1)[0]);
    };
    // Without some of those that a later one of the same object replaces.
    const withLosses = (events) => events.filter(({ created, data: { object: { id } } }) => random(2)
      || !events.some((other) => other.data.object.id === id && other.created > created));
    const assertResult = async (events, result) => assert.deepEqual(await mirror.carried(), result,
      `seed ${seed}: ${events.map(({ id }) => id)}`);

    test('the right one', async () => {
      await mirror.send(...core);
      await assertResult(core, expectedCore);
      await mirror.reset();
      await mirror.send(...dozen);
      await assertResult(dozen, expected);
    });

    test('every order of five that depend on each other, each twice', async () => {
      for (const events of permutations(core)) {
        await mirror.reset();
        for (const event of events) await mirror.send(event, event);
        await assertResult(events, expectedCore);
      }
    });

    test('every order: a product that only the next phase has, and that is no seat', async () => {
      const first = [product(1, 'prod_1', 'Editor'), price(1, 'price_1', 'prod_1'), customer(1, 'cus_1', 'ada@example.com')];
      const rest = [product(2, 'prod_2', 'Support'), product(3, 'prod_2', 'Support', { seats: 'no' }), price(4, 'price_2', 'prod_2'),
        subscription(5, 'sub_1', 'cus_1', 'active', [item('si_1', 'price_1', 8)], { schedule: 'sub_sched_1' }),
        schedule(6, 'sub_sched_1', 'sub_1', 'active', [[['price_1', 8]], [['price_1', 3], ['price_2', 1]]])];
      for (const events of permutations(rest)) {
        await mirror.reset();
        await mirror.send(...first, ...events);
        await assertResult(events, { ...expectedCore, products: [['prod_1', 'Editor'], ['prod_2', 'Support']] });
      }
    });

    test(`random orders of all, each twice, seed ${seed}`, async () => {
      for (let i = 0; i < 80; i += 1) {
        const events = shuffled([...dozen, ...dozen]);
        await mirror.reset();
        await mirror.send(...events);
        await assertResult(events, expected);
      }
    });

    test('with losses: what a later one replaces', async () => {
      for (let i = 0; i < 80; i += 1) {
        const events = shuffled(withLosses(dozen));
        await mirror.reset();
        await mirror.send(...events);
        await assertResult(events, expected);
      }
    });

    test('all at once, by ten connections', async () => {
      for (let i = 0; i < 40; i += 1) {
        const events = shuffled([...dozen, ...dozen]);
        await mirror.reset();
        await Promise.all(events.map((event) => mirror.send(event)));
        await assertResult(events, expected);
      }
    });
  });

  describe('two sessions at once', () => {
    const insertProduct = "INSERT INTO stripe.products (id, name) VALUES ('prod_1', 'Editor')";
    const insertCustomer = "INSERT INTO stripe.customers (id, email) VALUES ('cus_1', 'ada@example.com')";
    const insertSubscription = `INSERT INTO stripe.subscriptions (id, customer, status, items) VALUES ('sub_1', 'cus_1', 'active',
      '{"data": [{"id": "si_1", "quantity": 5, "price": {"id": "price_1", "product": "prod_1"}}]}')`;

    // One that has not committed is not seen by the other, which must find what the first left all the same.
    for (const [what, statements] of Object.entries({
      'a product while its subscription comes': [insertCustomer, insertSubscription, insertProduct],
      'a customer while its subscription comes': [insertProduct, insertSubscription, insertCustomer],
      'a subscription while its product comes': [insertCustomer, insertProduct, insertSubscription],
      'a subscription while its customer comes': [insertProduct, insertCustomer, insertSubscription],
    })) {
      test(what, () => withClients(2, async (one, other) => {
        const [before, first, second] = statements;
        await one.query(before);
        await one.query('BEGIN');
        await one.query(first);
        const later = other.query(second);
        await waiting(1);
        await one.query('COMMIT');
        await later;
        assert.equal((await mirror.subscription()).seats, 5);
        assert.deepEqual(await mirror.stuck(), []);
      }));
    }

    test('a transaction of several statements waits before it locks a row, so nobody deadlocks', () => withClients(2, async (one, other) => {
      await mirror.send(...sold(1));
      await one.query('BEGIN');
      await one.query("UPDATE stripe.products SET name = 'Editor Pro'");
      const later = other.query("UPDATE stripe.customers SET name = 'Ada'");
      await waiting(1);
      await one.query("UPDATE stripe.customers SET name = 'Ada Lovelace'");
      await one.query('COMMIT');
      await later;
      assert.deepEqual((await mirror.carried()).customers, [['cus_1', ['Ada', 'ada@example.com']]]);
    }));

    test('seats are assigned, claimed and revoked meanwhile: nobody deadlocks', async () => {
      await mirror.send(...sold(5));
      const { id } = await mirror.subscription();
      let isOver = false;
      // The payer has a seat, too, so that both sides want the same customer.
      const use = (who) => withClients(1, async (client) => {
        let rounds = 0;
        while (!isOver) {
          const { rows: [{ seat }] } = await client.query(
            'SELECT (seat).id AS seat FROM seats.assign_seat($1, email => $2, immediate_claim => true)', [id, `${who}@example.com`]);
          await client.query('SELECT FROM seats.revoke_seat($1)', [seat]);
          rounds += 1;
        }
        return rounds;
      });
      const users = ['ada', 'bob', 'eve'].map(use);
      for (let i = 0; i < 100; i += 1) {
        await Promise.all([
          mirror.send(customer(10 + i, 'cus_1', `${['ada', 'ada.lovelace'][i % 2]}@example.com`)),
          mirror.send(subscription(10 + i, 'sub_1', 'cus_1', ['active', 'past_due'][i % 2], [item('si_1', 'price_1', 5 + i)])),
        ]);
      }
      isOver = true;
      for (const rounds of await Promise.all(users)) assert.ok(rounds > 0);
      assert.equal((await mirror.subscription()).seats, 104);
      assert.deepEqual((await mirror.stuck()).filter(([, , reason]) => !/address/.test(reason)), []);
    });
  });

  describe('fewer seats than are assigned', () => {
    const fewer = (second, quantity) => subscription(second, 'sub_1', 'cus_1', 'past_due', [item('si_1', 'price_1', quantity)]);

    test('they are kept and shown; no more are given, and what else has changed is carried over', async () => {
      await mirror.send(...sold(8));
      await assign(4);
      await mirror.send(fewer(4, 2));
      const { id, seats, status } = await mirror.subscription();
      assert.deepEqual([seats, status], [4, 'past_due']);
      assert.deepEqual(await mirror.stuck(), [['subscription', 'sub_1', '4 seats are assigned, and 2 paid for']]);
      await assert.rejects(mirror.assign(id), { code: 'PT400' });

      await mirror.query('SELECT seats.revoke_seat(id) FROM seats.customer_seats LIMIT 1');
      assert.deepEqual(await mirror.query('SELECT seats_stripe.retry()::int AS kept'), [{ kept: 1 }]);
      assert.equal((await mirror.subscription()).seats, 3);
      await mirror.query('SELECT seats.revoke_seats(id) FROM seats.subscriptions');
      assert.deepEqual(await mirror.query('SELECT seats_stripe.retry()::int AS kept'), [{ kept: 0 }]);
      assert.equal((await mirror.subscription()).seats, 2);
    });

    test('they are revoked, where that is the setting', async () => {
      await mirror.query("UPDATE seats_stripe.settings SET surplus = 'revoke'");
      await mirror.send(...sold(8));
      await assign(4);
      await mirror.send(fewer(4, 2));
      const { seats, assigned_seats: assigned, status } = await mirror.subscription();
      assert.deepEqual([seats, assigned, status], [2, 2, 'past_due']);
      assert.deepEqual(await mirror.stuck(), []);
      assert.deepEqual(await mirror.query(`SELECT metadata ->> 'reason' AS reason FROM seats.events
        WHERE type = 'customer_seat.revoked'`), [{ reason: 'surplus' }, { reason: 'surplus' }]);
    });

    test('the subscription ends in the same webhook', async () => {
      await mirror.send(...sold(8));
      await assign(4);
      await mirror.send(subscription(4, 'sub_1', 'cus_1', 'canceled', [item('si_1', 'price_1', 2)]));
      const { seats, assigned_seats: assigned, status } = await mirror.subscription();
      assert.deepEqual([seats, assigned, status], [2, 0, 'canceled']);
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('fewer from the next phase on: none is given until then', async () => {
      await mirror.send(...sold(8), price(1, 'price_1', 'prod_1'));
      await assign(4);
      await mirror.send(schedule(4, 'sub_sched_1', 'sub_1', 'active', [[['price_1', 8]], [['price_1', 2]]]));
      const { id, seats, seats_next: next } = await mirror.subscription();
      assert.deepEqual([seats, next], [8, 4]);
      assert.deepEqual(await mirror.stuck(), [['subscription', 'sub_1', '4 seats are assigned, and 2 will be paid for']]);
      await assert.rejects(mirror.assign(id), { code: 'PT400' });
      await mirror.query('SELECT seats.revoke_seats(id) FROM seats.subscriptions');
      await mirror.query('SELECT seats_stripe.retry()');
      assert.equal((await mirror.subscription()).seats_next, 2);
      assert.deepEqual(await mirror.stuck(), []);
    });
  });

  describe('schedules', () => {
    const phases = [[['price_1', 8]], [['price_1', 3]], [['price_1', 5]]];
    beforeEach(() => mirror.send(...sold(8), price(1, 'price_1', 'prod_1')));

    const number = async () => {
      const { seats, seats_next: next } = await mirror.subscription();
      return [seats, next];
    };
    // The webhook by which the subscription has the quantity of a phase.
    const begun = (second, quantity) =>
      subscription(second, 'sub_1', 'cus_1', 'active', [item('si_1', 'price_1', quantity)], { schedule: 'sub_sched_1' });

    test('the next phase counts, whichever that is', async () => {
      await mirror.send(schedule(4, 'sub_sched_1', 'sub_1', 'active', phases));
      assert.deepEqual(await number(), [8, 3]);
      await mirror.send(begun(100, 3), schedule(100, 'sub_sched_1', 'sub_1', 'active', phases, 1));
      assert.deepEqual(await number(), [3, 5]);
      await mirror.send(begun(200, 5), schedule(200, 'sub_sched_1', 'sub_1', 'active', phases, 2));
      assert.deepEqual(await number(), [5, null]);
    });

    test('a phase begins, and the webhook of the subscription comes first', async () => {
      await mirror.send(schedule(4, 'sub_sched_1', 'sub_1', 'active', phases), begun(100, 3));
      assert.deepEqual(await number(), [3, null]);
    });

    test('a phase begins, and the webhook of the schedule comes first: no seat is given that will not be paid for', async () => {
      await mirror.send(schedule(4, 'sub_sched_1', 'sub_1', 'active', phases));
      await mirror.send(schedule(101, 'sub_sched_1', 'sub_1', 'active', phases, 1));
      assert.deepEqual(await number(), [8, 3]);
      await assign(3);
      await assert.rejects(assign(1), { code: 'PT400', detail: 'no_available_seats' });
      await mirror.send(begun(100, 3));
      assert.deepEqual(await number(), [3, 5]);
    });

    test('it is released, by either webhook', async () => {
      await mirror.send(schedule(4, 'sub_sched_1', 'sub_1', 'active', phases));
      await mirror.send(schedule(5, 'sub_sched_1', null, 'released', phases));
      assert.deepEqual(await number(), [8, null]);
      await mirror.send(schedule(6, 'sub_sched_2', 'sub_1', 'active', phases));
      assert.deepEqual(await number(), [8, 3]);
      await mirror.send(subscription(7, 'sub_1', 'cus_1', 'active', [item('si_1', 'price_1', 8)]));
      assert.deepEqual(await number(), [8, null]);
    });
  });

  describe('subscriptions', () => {
    test('every status of Stripe is one of seats', async () => {
      await mirror.send(...sold(8));
      const statuses = ['incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'canceled', 'incomplete_expired'];
      const [{ all }] = await mirror.query('SELECT enum_range(NULL::stripe.subscription_status)::text[] AS all');
      assert.deepEqual([...statuses].sort(), all.sort());
      for (const [i, status] of statuses.entries()) {
        await mirror.send(subscription(4 + i, 'sub_1', 'cus_1', status, [item('si_1', 'price_1', 8)]));
        assert.equal((await mirror.subscription()).status, status);
      }
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('items: those of one product are added, and metered ones are none', async () => {
      await mirror.send(...sold(8), subscription(4, 'sub_1', 'cus_1', 'active',
        [item('si_1', 'price_1', 8), item('si_2', 'price_1', 2), item('si_3', 'price_1', undefined)]));
      assert.equal((await mirror.subscription()).seats, 10);
      await mirror.send(subscription(5, 'sub_1', 'cus_1', 'active', [item('si_3', 'price_1', undefined)]));
      assert.equal((await mirror.subscription()).seats, 0);
    });

    test('items of two products: stuck, until one is marked as no seats', async () => {
      await mirror.send(...sold(8), product(4, 'prod_2', 'Support'));
      await mirror.send(
        subscription(5, 'sub_1', 'cus_1', 'past_due', [item('si_1', 'price_1', 9), item('si_2', 'price_2', 1)]));
      const { seats, status } = await mirror.subscription();
      assert.deepEqual([seats, status], [8, 'past_due']);
      assert.deepEqual(await mirror.stuck(), [['subscription', 'sub_1', 'it has seats of several products']]);
      await mirror.send(product(6, 'prod_2', 'Support', { seats: 'no' }));
      assert.equal((await mirror.subscription()).seats, 9);
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('another product', async () => {
      await mirror.send(...sold(8), subscription(4, 'sub_1', 'cus_1', 'active', [item('si_2', 'price_2', 6)]));
      assert.equal((await mirror.subscription()).seats, 8);
      assert.deepEqual(await mirror.stuck(), [['subscription', 'sub_1', 'it waits for product prod_2']]);
      await mirror.send(product(5, 'prod_2', 'Editor Pro'));
      assert.deepEqual((await mirror.carried()).subscriptions, [['sub_1', 'prod_2', 'cus_1', 6, null, 'active']]);
    });

    test('one that waits for its new product is canceled all the same', async () => {
      await mirror.send(...sold(8), subscription(4, 'sub_1', 'cus_1', 'canceled', [item('si_2', 'price_2', 6)]));
      assert.equal((await mirror.subscription()).status, 'canceled');
    });

    test('an error never keeps a row from Stripe\'s tables; it is shown, and tried again', async () => {
      await mirror.send(...sold(8));
      await mirror.query(`ALTER TABLE seats.subscriptions ADD CONSTRAINT few CHECK (seats < 10)`);
      await mirror.send(subscription(4, 'sub_1', 'cus_1', 'active', [item('si_1', 'price_1', 12)]));
      const [{ quantity }] = await mirror.query("SELECT items #>> '{data,0,quantity}' AS quantity FROM stripe.subscriptions");
      assert.equal(quantity, '12');
      assert.equal((await mirror.subscription()).seats, 8);
      const [[, , reason]] = await mirror.stuck();
      assert.match(reason, /^23514: .*"few"/);
      await mirror.query('ALTER TABLE seats.subscriptions DROP CONSTRAINT few');
      await mirror.query('SELECT seats_stripe.retry()');
      assert.equal((await mirror.subscription()).seats, 12);
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('what Stripe had before, all at once', async () => {
      const settings = await mirror.query('DELETE FROM seats_stripe.settings RETURNING organization_id AS id');
      await mirror.send(...sold(8));
      assert.equal(await mirror.subscription(), undefined);
      await mirror.query('INSERT INTO seats_stripe.settings (organization_id) VALUES ($1)', [settings[0].id]);
      assert.deepEqual(await mirror.query('SELECT seats_stripe.apply_all()::int AS kept'), [{ kept: 0 }]);
      assert.equal((await mirror.subscription()).seats, 8);
    });
  });

  describe('customers', () => {
    const people = () => mirror.query('SELECT external_id AS id, email, name FROM seats.customers ORDER BY id, email');

    // Whoever pays could have typed any address, and changes it at will.
    test('somebody who was invited before stays another customer, whatever the address at Stripe becomes', async () => {
      await mirror.send(...sold(1));
      const { seat } = await mirror.assign((await mirror.subscription()).id, 'Bob@example.com');
      const bob = () => mirror.query(`SELECT c.id, c.external_id, c.email, s.customer_email, s.status
        FROM seats.customer_seats AS s JOIN seats.customers AS c ON c.id = s.customer_id WHERE s.id = $1`, [seat]);
      const before = await bob();
      await mirror.send(customer(4, 'cus_2', 'bob@example.com'),
        subscription(5, 'sub_2', 'cus_2', 'active', [item('si_2', 'price_1', 3)]));
      assert.deepEqual(await mirror.stuck(), [['customer', 'cus_2', 'another customer has its address']]);
      assert.deepEqual((await mirror.carried()).subscriptions[1], ['sub_2', 'prod_1', 'cus_2', 3, null, 'active']);
      assert.deepEqual(await bob(), before);
      await mirror.send(customer(6, 'cus_2', 'mallory@example.com'));
      assert.deepEqual(await mirror.stuck(), []);
      assert.deepEqual(await bob(), before);
    });

    test('the application knows that both are one, and says so', async () => {
      await mirror.send(...sold(1));
      await mirror.assign((await mirror.subscription()).id, 'Bob@example.com');
      const [{ id }] = await mirror.query("SELECT id FROM seats.customers WHERE email = 'Bob@example.com'");
      await mirror.send(customer(4, 'cus_2', 'bob@example.com'),
        subscription(5, 'sub_2', 'cus_2', 'active', [item('si_2', 'price_1', 3)]));
      await mirror.query(await shown('SET external_id = NULL'));
      assert.equal((await mirror.subscription('sub_2')).customer_id, id);
      assert.deepEqual((await people()).map((each) => [each.id, each.email]),
        [['cus_1', 'ada@example.com'], ['cus_2', 'bob@example.com'], [null, null]]);
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('an address that another has, or that is none: the customer pays without it', async () => {
      await mirror.send(...sold(1), customer(4, 'cus_2', 'ADA@example.com'), customer(5, 'cus_3', 'no address'));
      await mirror.send(subscription(6, 'sub_2', 'cus_2', 'active', [item('si_2', 'price_1', 1)]));
      assert.equal((await mirror.subscription('sub_2')).seats, 1);
      assert.deepEqual(await mirror.stuck(), [
        ['customer', 'cus_2', 'another customer has its address'],
        ['customer', 'cus_3', 'its address is not one that seats takes'],
      ]);
      await mirror.send(customer(7, 'cus_1', null), customer(7, 'cus_3', 'eve@example.com'));
      assert.deepEqual((await people()).map(({ email }) => email), [null, 'ADA@example.com', 'eve@example.com']);
      assert.deepEqual(await mirror.stuck(), []);
    });

    test("the application's own id, by metadata: its name and address are left alone", async () => {
      const id = await mirror.insert('customers', { organization_id: mirror.organization, external_id: 'user-7',
        email: 'grace@example.com', name: 'Grace' });
      await mirror.send(...sold(1), customer(4, 'cus_1', 'billing@example.com', { metadata: { external_id: 'user-7' } }));
      assert.equal((await mirror.subscription()).customer_id, id);
      assert.deepEqual((await people()).at(-1), { id: 'user-7', email: 'grace@example.com', name: 'Grace' });
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('the metadata gets that id later: the same customer, in every order and with a loss', async () => {
      const [made, ...others] = [customer(2, 'cus_1', 'ada@example.com'), product(1, 'prod_1', 'Editor'),
        subscription(3, 'sub_1', 'cus_1', 'active', [item('si_1', 'price_1', 8)]),
        customer(4, 'cus_1', 'ada@example.com', { metadata: { external_id: 'user-7' } })];
      for (const events of [...permutations([made, ...others]), ...permutations(others)]) {
        await mirror.reset();
        await mirror.send(...events);
        assert.deepEqual((await people()).map(({ id }) => id), ['user-7']);
        assert.deepEqual((await mirror.carried()).subscriptions, [['sub_1', 'prod_1', 'user-7', 8, null, 'active']]);
        assert.deepEqual(await mirror.stuck(), []);
      }
    });

    test('deleted: the subscriptions end, and the person is left to the application', async () => {
      await mirror.send(...sold(1));
      await assign(1);
      await mirror.send(customerDeleted(4, 'cus_1'));
      const { status, assigned_seats: assigned } = await mirror.subscription();
      assert.deepEqual([status, assigned], ['canceled', 0]);
      assert.equal((await people())[0].email, 'ada@example.com');
    });
  });

  test('over HTTP: receive.js', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/`;
    const server = await startServer(process.execPath, ['receive.js'],
      { url, cwd: stripeExample, env: { ...mirror.environment, PORT: port } });
    const post = async (body, signature) => (await fetch(url,
      { method: 'POST', headers: { 'Stripe-Signature': signature }, body })).status;
    for (const event of sold(3)) assert.equal(await post(...await signed(event)), 200);
    assert.equal((await mirror.subscription()).seats, 3);
    const [body, signature] = await signed(subscription(4, 'sub_1', 'cus_1', 'active', [item('si_1', 'price_1', 9)]));
    assert.equal(await post(Buffer.concat([body, Buffer.from(' ')]), signature), 400);
    assert.equal((await mirror.subscription()).seats, 3);
    assert.equal(await post(...await signed(eventOf(5, 'of.another.kind', { id: 'x' }))), 200);
    await mirror.query('ALTER TABLE stripe.subscriptions RENAME TO gone');
    assert.equal(await post(body, signature), 500);
    await mirror.query('ALTER TABLE stripe.gone RENAME TO subscriptions');
    assert.equal(await post(body, signature), 200);
    assert.equal((await mirror.subscription()).seats, 9);
    assert.doesNotMatch(server.output, /whsec_|sk_test_|ada@/);
    await server.stop();
  });
});

test('the five statements of docs/payment-providers.md, each twice', async () => {
  const page = await readFile(new URL('../../docs/payment-providers.md', import.meta.url), 'utf8');
  const statements = [...page.matchAll(/^```sql\n(.*?)^```/gms)].map(([, statement]) => statement);
  assert.equal(statements.length, 5);
  const shop = await Shop.open('http_providers');
  // Each returns how many rows it wrote, or found, the first time and the second.
  const [product, customer, subscribe, setStatus, setSeats] = statements.map((statement) => async (...values) => {
    const counts = [];
    for (let i = 0; i < 2; i += 1) counts.push((await shop.pool.query(statement, [shop.organization, ...values])).rowCount);
    return counts;
  });
  const subscription = async () => (await shop.query(`SELECT p.name AS product, c.name AS customer, seats, status
    FROM seats.subscriptions AS s JOIN seats.products AS p ON p.id = s.product_id JOIN seats.customers AS c ON c.id = s.customer_id
    WHERE s.external_id = 'sub_1'`))[0];
  assert.deepEqual(await product('pro_1', 'Editor'), [1, 1]);
  assert.deepEqual(await subscribe('sub_1', 'pro_1', 'ctm_1', 5, 'trialing'), [0, 0]); // its customer has not come
  assert.deepEqual(await setStatus('sub_1', 'active'), [0, 0]);
  assert.deepEqual(await customer('ctm_1', 'ada@example.com', 'Ada'), [1, 1]);
  assert.deepEqual(await subscribe('sub_1', 'pro_1', 'ctm_1', 5, 'trialing'), [1, 1]);
  assert.deepEqual(await shop.query('SELECT modified_at FROM seats.subscriptions'), [{ modified_at: null }]);
  assert.deepEqual(await setStatus('sub_1', 'active'), [1, 1]);
  assert.deepEqual(await setSeats('sub_1', 8), [1, 0]);
  assert.deepEqual(await subscription(), { product: 'Editor', customer: 'Ada', seats: 8, status: 'active' });
  // Another product, with what was sold first, or with what is sold now: the number and the status come by the last two.
  assert.deepEqual(await subscribe('sub_1', 'pro_2', 'ctm_1', 5, 'trialing'), [0, 0]);
  assert.deepEqual(await product('pro_2', 'Viewer'), [1, 1]);
  assert.deepEqual(await subscribe('sub_1', 'pro_2', 'ctm_1', 5, 'trialing'), [1, 1]);
  assert.deepEqual(await subscription(), { product: 'Viewer', customer: 'Ada', seats: 8, status: 'active' });
  await shop.assign((await shop.query('SELECT id FROM seats.subscriptions'))[0].id);
  await assert.rejects(setSeats('sub_1', 0), { code: '23514' });
  assert.deepEqual(await setStatus('sub_1', 'canceled'), [1, 1]);
  assert.deepEqual(await setSeats('sub_1', 0), [1, 0]);
  assert.deepEqual(await subscription(), { product: 'Viewer', customer: 'Ada', seats: 0, status: 'canceled' });
  await shop.close();
});

describe('from seats to Stripe', () => {
  let mirror, stripe, workers;
  before(async () => { mirror = await Mirror.open('http_stripe_back'); });
  after(() => mirror?.close());
  // Two seats are paid for, and there may be twenty.
  beforeEach(async () => {
    workers = [];
    stripe = await startStripe({ si_1: 2 });
    stripe.now = timeOf(100);
    await mirror.reset();
    await mirror.send(product(1, 'prod_1', 'Editor'), customer(2, 'cus_1', 'ada@example.com'), update(3, 2));
    await mirror.query('UPDATE seats.subscriptions SET seats_limit = 20');
  });
  // No key is in what a worker printed.
  afterEach(async () => {
    for (const worker of workers) await worker.stop('SIGKILL');
    stripe.stop();
    for (const { output } of workers) assert.doesNotMatch(output, /sk_test_/);
  });

  const update = (second, quantity, status = 'active') =>
    subscription(second, 'sub_1', 'cus_1', status, [item('si_1', 'price_1', quantity)]);
  const start = async () => {
    const worker = await startWorker(mirror, { STRIPE_SECRET_KEY: 'sk_test_1', STRIPE_URL: stripe.url });
    workers.push(worker);
    return worker;
  };
  const idle = () => until(async () => (await mirror.query(`SELECT FROM seats.events
    UNION ALL SELECT FROM seats_worker.jobs WHERE dead_since IS NULL`)).length === 0);
  const assign = async (number) => mirror.query('SELECT seats.assign_seats($1, emails => $2)', [(await mirror.subscription()).id,
    Array.from({ length: number }, () => `${randomUUID()}@example.com`)]);
  const seats = async () => (await mirror.subscription()).seats;
  const told = () => stripe.requests.map(({ items }) => items[0].quantity);
  const keys = () => new Set(stripe.requests.map(({ key }) => key)).size;
  const outstanding = () => mirror.query('SELECT * FROM seats_stripe.outstanding');
  // Runs the statements of the README that contain a text.
  const asShown = async (text) => mirror.query(await shown(text));

  test('the number that many events came to, once', async () => {
    await assign(3);
    await assign(2);
    const [{ taken }] = await mirror.query("SELECT seats_worker.take_events(false, '{}', true, 100) AS taken");
    assert.deepEqual([taken, (await mirror.query('SELECT FROM seats_worker.jobs')).length], [5, 1]);
    await start();
    await idle();
    const [{ path, items, behavior, key, authorization }] = stripe.requests;
    assert.deepEqual([path, items, behavior, authorization],
      ['POST /v1/subscriptions/sub_1', [{ id: 'si_1', quantity: 5 }], 'error_if_incomplete', 'Bearer sk_test_1']);
    assert.match(key, /^seats-si_1-\d+-0-2-5$/);
    assert.equal(stripe.requests.length, 1);
    assert.deepEqual(await outstanding(), []);
  });

  test('no echo: webhooks of before and of the change itself change nothing, and those of later do', async () => {
    await mirror.query("UPDATE seats_stripe.settings SET surplus = 'revoke'"); // which would show
    await assign(5);
    await mirror.send(update(50, 2, 'past_due')); // before Stripe is told
    const { seats: number, status } = await mirror.subscription();
    assert.deepEqual([number, status], [5, 'past_due']);
    await start();
    await idle();
    await mirror.send(update(99, 2)); // late: Stripe has been told at 100
    assert.equal(await seats(), 5);
    await assign(2); // while that is on its way
    await mirror.send(update(100, 5));
    assert.equal(await seats(), 7);
    await idle();
    assert.deepEqual(told(), [5, 7]);
    await mirror.send(update(101, 9));
    assert.equal(await seats(), 9);
    await mirror.send(update(102, 8));
    assert.equal(await seats(), 8);
    await idle();
    assert.deepEqual(told(), [5, 7]);
    assert.deepEqual(await mirror.stuck(), []);
  });

  for (const surplus of ['keep', 'revoke']) {
    test(`it grows while Stripe is being told; surplus: ${surplus}`, async () => {
      await mirror.query('UPDATE seats_stripe.settings SET surplus = $1', [surplus]);
      await assign(5);
      stripe.answer = async (request, response) => {
        stripe.answer = stripe.accept;
        await assign(2);
        await mirror.send(update(50, 2)); // sent before
        await mirror.send(update(100, 5)); // that of the change itself, which is faster than the answer
        stripe.accept(request, response);
      };
      await start();
      await idle();
      assert.deepEqual(told(), [5, 7]);
      assert.equal(await seats(), 7);
      assert.deepEqual(stripe.quantities, { si_1: 7 });
      assert.deepEqual(await mirror.stuck(), []);
    });
  }

  test('somebody buys more at Stripe, but fewer than it has grown to', async () => {
    await mirror.query("UPDATE seats_stripe.settings SET surplus = 'revoke'"); // which would show
    await assign(5);
    await mirror.send(update(50, 3));
    assert.equal(await seats(), 5);
    await start();
    await idle();
    assert.deepEqual(told(), [5]);
    assert.equal(await seats(), 5);
  });

  test('while fewer are paid for than are assigned, it does not grow', async () => {
    await assign(5);
    await start();
    await idle();
    stripe.quantities.si_1 = 3;
    await mirror.send(update(101, 3));
    await assert.rejects(assign(1), { code: 'PT400', detail: 'no_available_seats' });
    assert.equal(await seats(), 5);
    await mirror.query('SELECT seats.revoke_seat(id) FROM seats.customer_seats LIMIT 2');
    await mirror.query('SELECT seats_stripe.retry()');
    assert.equal(await seats(), 3);
    await assign(1);
    await idle();
    assert.deepEqual(told(), [5, 4]);
    assert.equal(await seats(), 4);
  });

  test('Stripe is told of growth alone: not of what the application sets, nor when fewer are paid for than assigned', async () => {
    await mirror.query('UPDATE seats.subscriptions SET seats_limit = NULL, seats = 4');
    assert.deepEqual(await outstanding(), []);
    await mirror.query('UPDATE seats.subscriptions SET seats_limit = 20');
    await assign(5);
    await mirror.send(update(50, 1)); // somebody has lowered it at Stripe
    assert.equal((await mirror.stuck())[0][2], '5 seats are assigned, and 1 paid for');
    await start();
    await idle();
    assert.deepEqual(told(), []);
  });

  test('of several items of the product, one gets what the others lack', async () => {
    await mirror.send(subscription(10, 'sub_1', 'cus_1', 'active', [item('si_2', 'price_1', 3), item('si_1', 'price_1', 2)]));
    stripe.quantities.si_2 = 3;
    await assign(9);
    await start();
    await idle();
    assert.deepEqual(stripe.quantities, { si_1: 6, si_2: 3 });
    assert.equal(await seats(), 9);
    stripe.quantities.si_1 = 10;
    await assign(1);
    await idle();
    assert.deepEqual(told(), [6]);
    assert.equal(await seats(), 13);
  });

  test('the customer has bought more than that, and the webhook is on its way: nothing is told', async () => {
    await assign(5);
    stripe.quantities.si_1 = 9;
    await start();
    await idle();
    assert.deepEqual([told(), await seats()], [[], 9]);
    await mirror.send(update(99, 9));
    assert.deepEqual([stripe.quantities.si_1, await seats()], [9, 9]);
    assert.deepEqual(await outstanding(), []);
  });

  test('the item has been replaced, and the webhook is on its way: told when that has come', async () => {
    await assign(5);
    stripe.quantities = { si_2: 2 };
    await start();
    await until(async () => (await mirror.stuck()).length === 1);
    assert.deepEqual(await mirror.stuck(), [['quantity', 'sub_1', 'Stripe refused 5 seats: HTTP 404 resource_missing']]);
    await mirror.send(subscription(50, 'sub_1', 'cus_1', 'active', [item('si_2', 'price_1', 2)]));
    await idle();
    assert.deepEqual([told(), stripe.quantities], [[5], { si_2: 5 }]);
    assert.deepEqual(await mirror.stuck(), []);
  });

  describe('growth that no event is left of', () => {
    const nothingOutstanding = () => until(async () => (await outstanding()).length === 0);

    test('it grew before the worker had the key', async () => {
      await assign(5);
      await mirror.query("SELECT seats_worker.take_events(false, '{}', false, 100)");
      await start();
      await nothingOutstanding();
      assert.deepEqual([told(), stripe.quantities], [[5], { si_1: 5 }]);
    });

    test('its product has not come yet', async () => {
      stripe.quantities = { si_2: 2 };
      await mirror.send(subscription(10, 'sub_1', 'cus_1', 'active', [item('si_2', 'price_2', 2)]));
      await assign(5);
      await start();
      await idle();
      assert.deepEqual(told(), []);
      await mirror.send(product(11, 'prod_2', 'Editor Pro'));
      assert.equal((await outstanding()).length, 1);
      await nothingOutstanding();
      assert.deepEqual([told(), stripe.quantities], [[5], { si_2: 5 }]);
    });

    test('Stripe has refused it: it is not asked again', async () => {
      stripe.answer = stripe.refuse(402, 'card_declined');
      await assign(5);
      await start();
      await idle();
      await mirror.query('DELETE FROM seats_worker.dead_letters');
      await sleep(3000); // some looks for such growth
      assert.deepEqual(told(), [5]);
    });
  });

  describe('when Stripe does not answer as wanted', () => {
    test('an error is tried again with another key, since Stripe would repeat the answer', async () => {
      await assign(5);
      let tries = 0;
      stripe.answer = (request, response) => {
        tries += 1;
        if (tries > 2) stripe.answer = stripe.accept;
        stripe.refuse(tries > 1 ? 429 : 500)(request, response);
      };
      await start();
      await idle();
      assert.deepEqual([told(), keys()], [[5, 5, 5, 5], 4]);
      assert.deepEqual(await mirror.stuck(), []);
    });

    // For an answer that does not arrive. The library itself then asks again at once.
    const lost = (response) => ({ writeHead: () => ({ end: () => response.destroy() }) });
    const lose = (request, response) => stripe.accept(request, lost(response));

    test('a lost request is repeated with the same key', async () => {
      await assign(5);
      stripe.answer = (request, response) => {
        if (stripe.requests.length === 2) stripe.answer = stripe.accept;
        response.destroy();
      };
      const worker = await start();
      await idle();
      assert.deepEqual([told(), keys(), stripe.executed], [[5, 5, 5], 1, 1]);
      assert.match(worker.output, /ECONNRESET/);
    });

    test('a lost answer: Stripe has the number, and is not told again', async () => {
      await assign(5);
      stripe.answer = lose;
      await start();
      await idle();
      assert.deepEqual([told(), keys(), stripe.executed, await seats()], [[5, 5], 1, 1, 5]);
    });

    test('a lost answer, and the number is set back: another key, since Stripe repeats its answer', async () => {
      await assign(5);
      stripe.answer = (request, response) => {
        lose(request, response);
        if (stripe.requests.length < 2) return;
        stripe.quantities.si_1 = 2;
        stripe.answer = stripe.accept;
      };
      const worker = await start();
      await idle();
      assert.deepEqual([told(), keys(), stripe.quantities, await seats()], [[5, 5, 5, 5], 2, { si_1: 5 }, 5]);
      assert.match(worker.output, /idempotent-replayed/);
      assert.deepEqual(await mirror.stuck(), []);
    });

    // Stripe has 5 at 100, 3 at 101, and what it is told at 102. The webhooks of some come before it is told again.
    for (const [early, late] of [[[], [5, 3]], [[], [3, 5]], [[5], [3]], [[3], [5]], [[5, 3], []], [[3, 5], []]]) {
      test(`a lost answer, then it is lowered at Stripe; early webhooks: ${early}; late ones: ${late}`, async () => {
        await mirror.query("UPDATE seats_stripe.settings SET surplus = 'revoke'");
        const webhooks = { 5: update(100, 5), 3: update(101, 3) };
        const send = (numbers) => mirror.send(...numbers.map((number) => webhooks[number]));
        await assign(5);
        stripe.answer = async (request, response) => {
          if (stripe.requests.length === 2) {
            stripe.answer = stripe.accept;
            stripe.quantities.si_1 = 3;
            stripe.now = timeOf(102);
            await send(early);
          }
          lose(request, response);
        };
        await start();
        await idle();
        await send(late);
        if (stripe.executed === 2) await mirror.send(update(102, stripe.quantities.si_1));
        assert.equal(await seats(), stripe.quantities.si_1);
        assert.deepEqual(await mirror.stuck(), []);
      });
    }

    // What Stripe does for a worker that is killed meanwhile.
    const kill = async () => {
      const worker = await start();
      await new Promise((resolve) => {
        stripe.answer = async (request, response) => {
          stripe.answer = stripe.accept;
          await worker.stop('SIGKILL');
          stripe.accept(request, response);
          resolve();
        };
      });
    };

    test('killed when Stripe has done it: done once', async () => {
      await assign(5);
      await kill();
      await start();
      await idle();
      assert.deepEqual([told(), stripe.executed, await seats()], [[5], 1, 5]);
    });

    test('killed when Stripe has done it, and the webhook comes when it has grown further: told the rest', async () => {
      await mirror.query("UPDATE seats_stripe.settings SET surplus = 'revoke'"); // which would show
      await assign(5);
      await kill();
      await assign(2);
      await mirror.send(update(100, 5));
      assert.equal(await seats(), 7);
      await start();
      await idle();
      assert.deepEqual([told(), stripe.quantities, await seats()], [[5, 7], { si_1: 7 }, 7]);
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('a lost request, and it has grown since: another key, since the request is another', async () => {
      await assign(5);
      stripe.answer = async (request, response) => {
        if (stripe.requests.length === 2) {
          stripe.answer = stripe.accept;
          // Without an event, so that the same job is tried again.
          await mirror.query(`SELECT seats.assign_seat(id, email => 'eve@example.com') FROM seats.subscriptions;
            DELETE FROM seats.events`);
        }
        response.destroy();
      };
      await start();
      await idle();
      assert.deepEqual([told(), keys()], [[5, 5, 6], 2]);
      assert.deepEqual(await mirror.query('SELECT FROM seats_worker.dead_letters'), []);
    });

    const decline = async () => {
      stripe.answer = stripe.refuse(402, 'card_declined');
      await assign(5);
      await start();
      await idle();
      stripe.answer = stripe.accept;
    };

    test('a card is declined: asked once, shown, seats stay; told once it can be paid', async () => {
      await decline();
      assert.deepEqual(told(), [5]);
      assert.equal(await seats(), 5);
      assert.deepEqual(await mirror.query('SELECT target, last_error FROM seats_worker.dead_letters'),
        [{ target: 'quantity', last_error: 'HTTP 402 card_declined' }]);
      assert.deepEqual(await mirror.stuck(), [['quantity', 'sub_1', 'Stripe refused 5 seats: HTTP 402 card_declined']]);
      await mirror.send(update(50, 2, 'past_due'));
      assert.equal(await seats(), 5);
      await asShown('dead_since = NULL');
      await idle();
      assert.deepEqual([told(), keys()], [[5, 5], 2]);
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('a card is declined, and the answer is lost: a repeated one is not final', async () => {
      const refuse = stripe.refuse(402, 'card_declined');
      stripe.answer = (request, response) => {
        refuse(request, stripe.requests.length > 2 ? response : lost(response));
      };
      await assign(5);
      await start();
      await idle();
      assert.deepEqual([told(), keys()], [[5, 5, 5, 5], 2]);
      assert.deepEqual(await mirror.stuck(), [['quantity', 'sub_1', 'Stripe refused 5 seats: HTTP 402 card_declined']]);
    });

    test('a card is declined, and the next seat is told again', async () => {
      await decline();
      await assign(1);
      await idle();
      assert.deepEqual(told(), [5, 6]);
      assert.deepEqual(await mirror.stuck(), []);
    });

    test('a card is declined, and the application takes the seats back', async () => {
      await decline();
      await asShown("surplus => 'revoke'");
      const { seats: number, assigned_seats: assigned } = await mirror.subscription();
      assert.deepEqual([number, assigned], [2, 2]);
      assert.deepEqual(await mirror.stuck(), []);
      await asShown('dead_since = NULL');
      await idle();
      assert.deepEqual(told(), [5]);
    });
  });
});
