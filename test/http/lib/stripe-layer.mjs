// examples/stripe, as it is: a shop whose database has Stripe's objects too, the unmodified engine that writes them, and
// signed events to send it.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Shop } from './shop.mjs';

export const stripeExample = fileURLToPath(new URL('../../../examples/stripe', import.meta.url));
const requireOfExample = createRequire(`${stripeExample}/`);
const { StripeSync } = requireOfExample('@supabase/stripe-sync-engine');
const Stripe = requireOfExample('stripe');
const keys = { stripeSecretKey: 'sk_test_1', stripeWebhookSecret: 'whsec_1' };
const { webhooks } = new Stripe(keys.stripeSecretKey);

// What the README says to run: the block of SQL that contains a text.
export const shown = async (text) => {
  const readme = await readFile(`${stripeExample}/README.md`, 'utf8');
  return [...readme.matchAll(/^```sql\n(.*?)^```/gms)].map(([, block]) => block).find((block) => block.includes(text));
};

export class Mirror extends Shop {
  static async open(name) {
    const shop = await super.open(name);
    const mirror = Object.setPrototypeOf(shop, Mirror.prototype);
    mirror.environment = { ...process.env, DATABASE_URL: mirror.url('postgres'),
      STRIPE_SECRET_KEY: keys.stripeSecretKey, STRIPE_WEBHOOK_SECRET: keys.stripeWebhookSecret };
    await promisify(execFile)(process.execPath, ['migrate.cjs'], { cwd: stripeExample, env: mirror.environment });
    await mirror.query(await readFile(`${stripeExample}/schema.sql`, 'utf8'));
    await mirror.query(await shown('INSERT INTO seats_stripe.settings'));
    await mirror.query(await shown('TO seats_worker'));
    mirror.sync = new StripeSync({ ...keys, poolConfig: { connectionString: mirror.url('postgres') } });
    return mirror;
  }

  async close() {
    await this.sync.close();
    await super.close();
  }

  // As before the first webhook.
  async reset() {
    const tables = ['stripe.products', 'stripe.prices', 'stripe.customers', 'stripe.subscriptions', 'stripe.subscription_items',
      'stripe.subscription_schedules', 'seats_stripe.kept', 'seats_stripe.quantities', 'seats.subscriptions', 'seats.customers',
      'seats.products', 'seats.events', 'seats_worker.jobs'];
    await this.query(tables.map((table) => `DELETE FROM ${table};`).join(' '));
    await this.query("UPDATE seats_stripe.settings SET surplus = 'keep' WHERE surplus <> 'keep'");
  }

  async send(...events) {
    for (const event of events) await this.sync.processWebhook(...await signed(event));
  }

  // What Stripe's objects have become, by Stripe's ids, and what is stuck. A customer who is deleted before anything else
  // is known never gets a name and an address.
  async carried() {
    const [{ state }] = await this.query(`
      SELECT jsonb_build_object(
        'products', (SELECT jsonb_agg(jsonb_build_array(external_id, name) ORDER BY external_id) FROM seats.products),
        'customers', (
          SELECT jsonb_agg(jsonb_build_array(c.external_id,
            CASE WHEN NOT coalesce(b.deleted, false) THEN jsonb_build_array(c.name, c.email) END) ORDER BY c.external_id)
          FROM seats.customers AS c LEFT JOIN stripe.customers AS b ON b.id = c.external_id),
        'subscriptions', (
          SELECT jsonb_agg(jsonb_build_array(s.external_id, p.external_id, c.external_id, s.seats, s.seats_next, s.status)
            ORDER BY s.external_id)
          FROM seats.subscriptions AS s
          JOIN seats.products AS p ON p.id = s.product_id JOIN seats.customers AS c ON c.id = s.customer_id),
        'stuck', (SELECT jsonb_agg(jsonb_build_array(kind, id, reason) ORDER BY kind, id) FROM seats_stripe.stuck)) AS state`);
    return state;
  }

  async subscription(id = 'sub_1') {
    return (await this.query('SELECT * FROM seats.subscriptions WHERE external_id = $1', [id]))[0];
  }

  async stuck() {
    return (await this.query('SELECT kind, id, reason FROM seats_stripe.stuck ORDER BY kind, id')).map(Object.values);
  }
}

// The body and the signature of a webhook.
export const signed = async (event) => {
  const payload = JSON.stringify(event);
  return [Buffer.from(payload),
    await webhooks.generateTestHeaderStringAsync({ payload, secret: keys.stripeWebhookSecret })];
};

// An event of some second. The engine takes the later of two, and of two in the same second the first that it gets.
const start = Math.floor(Date.now() / 1000) - 10_000;
export const timeOf = (second) => new Date((start + second) * 1000);
export const eventOf = (second, type, object) =>
  ({ id: `evt_${second}_${object.id}`, object: 'event', type, created: start + second, data: { object } });

export const product = (second, id, name, metadata = {}, type = 'product.updated') =>
  eventOf(second, type, { id, object: 'product', active: true, name, metadata });
export const price = (second, id, ofProduct) =>
  eventOf(second, 'price.created', { id, object: 'price', active: true, product: ofProduct, metadata: {} });
export const customer = (second, id, email, rest = {}) => eventOf(second, 'customer.updated',
  { id, object: 'customer', email, name: `Name of ${id}`, metadata: {}, ...rest });
export const customerDeleted = (second, id) =>
  eventOf(second, 'customer.deleted', { id, object: 'customer', email: null, name: null, metadata: {} });
// An item: price_x is a price of prod_x.
export const item = (id, ofPrice, quantity) => ({ id, object: 'subscription_item', quantity,
  price: { id: ofPrice, object: 'price', product: ofPrice.replace('price', 'prod') } });
export const subscription = (second, id, ofCustomer, status, items, rest = {}) =>
  eventOf(second, 'customer.subscription.updated', { id, object: 'subscription', customer: ofCustomer, status, schedule: null,
    items: { object: 'list', data: items.map((each) => ({ ...each, subscription: id })), has_more: false }, ...rest });
// A schedule whose phases last a hundred seconds each, now in one of them.
export const schedule = (second, id, ofSubscription, status, phases, current = 0) => {
  const spans = phases.map((items, i) => ({ start_date: start + 100 * i, end_date: start + 100 * (i + 1) }));
  return eventOf(second, 'subscription_schedule.updated', { id, object: 'subscription_schedule', customer: 'cus_1', created: start,
    livemode: false, metadata: {}, status, subscription: ofSubscription, current_phase: status === 'active' ? spans[current] : null,
    phases: phases.map((items, i) => ({ ...spans[i], items: items.map(([ofPrice, quantity]) => ({ price: ofPrice, quantity })) })) });
};
