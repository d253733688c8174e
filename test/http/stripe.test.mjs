// examples/stripe: whatever comes in whatever order, seats have what Stripe has in the end, and Stripe what seats have grown to.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import pg from 'pg';
import { freePort, startServer } from './lib/processes.mjs';
import { customer, customerDeleted, eventOf, item, Mirror, price, product, schedule, signed, stripeExample, subscription }
  from './lib/stripe-layer.mjs';
import { until } from './lib/worker-layer.mjs';

describe('from Stripe to seats', () => {
  let mirror;
  before(async () => { mirror = await Mirror.open('http_stripe'); });
  after(() => mirror?.close());
  beforeEach(() => mirror.reset());

  const connect = async () => {
    const client = new pg.Client({ database: mirror.database });
    await client.connect();
    return client;
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
    const permutations = (events) => (events.length < 2 ? [events] : events.flatMap((first) =>
      permutations(events.filter((other) => other !== first)).map((rest) => [first, ...rest])));
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

    test(`random orders of all, each twice, seed ${seed}`, async () => {
      for (let i = 0; i < 150; i += 1) {
        const events = shuffled([...dozen, ...dozen]);
        await mirror.reset();
        await mirror.send(...events);
        await assertResult(events, expected);
      }
    });

    test('with losses: what a later one replaces', async () => {
      for (let i = 0; i < 100; i += 1) {
        const events = shuffled(withLosses(dozen));
        await mirror.reset();
        await mirror.send(...events);
        await assertResult(events, expected);
      }
    });

    test('all at once, by ten connections', async () => {
      for (let i = 0; i < 50; i += 1) {
        const events = shuffled([...dozen, ...dozen]);
        await mirror.reset();
        await Promise.all(events.map((event) => mirror.send(event)));
        await assertResult(events, expected);
      }
    });
  });
});
