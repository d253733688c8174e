// A database of its own with an organization that sells seats, and ways to change what is in it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';

// What the layers are told of PostgreSQL: the socket that ci/test-http has set.
const { PGHOST: socket } = process.env;

export class Shop {
  // Makes the database from the template that ci/test-http has made.
  static async open(name) {
    const shop = new Shop();
    const server = new pg.Client({ database: 'postgres' });
    await server.connect();
    await server.query(`CREATE DATABASE ${name} TEMPLATE http_template`);
    await server.end();
    shop.database = name;
    shop.reconnect();
    shop.organization = await shop.insert('organizations',
      { name: 'Acme', slug: 'acme', seat_based_pricing_enabled: true });
    return shop;
  }

  // Connections that know what was set for the database meanwhile.
  reconnect() {
    this.pool = new pg.Pool({ database: this.database, max: 2 });
  }

  async close() {
    await this.pool.end();
  }

  // A connection string for a role.
  url(role) {
    return `postgresql://${role}@/${this.database}?host=${encodeURIComponent(socket)}`;
  }

  // What PostgreSQL has logged so far, for all databases.
  async log() {
    return readFile(join(socket, 'server.log'), 'utf8');
  }

  async query(text, values) {
    return (await this.pool.query(text, values)).rows;
  }

  // What use(client) does in a transaction, which is rolled back.
  async transaction(use) {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      return await use(client);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  }

  // Inserts a row into a table of the application; returns its id.
  async insert(table, row) {
    const columns = Object.keys(row);
    const places = columns.map((column, i) => `$${i + 1}`);
    const [{ id }] = await this.query(
      `INSERT INTO seats.${table} (${columns}) VALUES (${places}) RETURNING id`, Object.values(row));
    return id;
  }

  // Sells seats as a subscription or an order, to a customer of its own and of a product of its own.
  async sell(table, seats, { status = table === 'orders' ? 'paid' : 'active', organization = this.organization } = {}) {
    const product = await this.insert('products', { organization_id: organization, name: 'Editor' });
    const customer = await this.insert('customers', { organization_id: organization, name: 'Payer' });
    return this.insert(table,
      { organization_id: organization, product_id: product, customer_id: customer, seats, status });
  }

  // An organization whose pricing is turned off when it has a seat that is pending.
  async sellThenDisable() {
    const organization = await this.insert('organizations',
      { name: 'Late', slug: randomUUID(), seat_based_pricing_enabled: true });
    const subscription = await this.sell('subscriptions', 3, { organization });
    const { seat, token } = await this.assign(subscription);
    await this.query('UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = $1', [organization]);
    return { subscription, seat, token };
  }

  // Assigns a seat of a subscription, past every layer.
  async assign(subscription, email = `${randomUUID()}@example.com`) {
    const [{ id, token }] = await this.query(
      'SELECT (seat).id, invitation_token AS token FROM seats.assign_seat($1, email => $2)', [subscription, email]);
    return { subscription, seat: id, token, email };
  }

  async setStatus(subscription, status) {
    await this.query('UPDATE seats.subscriptions SET status = $2 WHERE id = $1', [subscription, status]);
  }

  async expire(seat) {
    await this.query(`UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 s'
      WHERE id = $1`, [seat]);
  }

  // The SQLSTATE by which a session token is refused, or the customer it is for.
  async whoIs(token) {
    try {
      return (await this.query('SELECT customer_id FROM seats.authenticate($1)', [token]))[0].customer_id;
    } catch (error) {
      return error.code;
    }
  }

  // Sets something for the database, and for the connections from now on.
  async set(name, value) {
    await this.query(`ALTER DATABASE ${this.database} SET ${name} = '${value}'`);
    await this.pool.end();
    this.reconnect();
  }

  // Nothing in the database is other than before.
  async changesNothing(action) {
    const contents = await this.contents();
    await action();
    assert.deepEqual(await this.contents(), contents);
  }

  // All that requests could change.
  async contents() {
    const tables = ['customers', 'subscriptions', 'orders', 'customer_seats', 'customer_sessions', 'join_links', 'events'];
    return this.query(tables
      .map((table) => `SELECT '${table}' AS of, to_jsonb(t)::text AS row FROM seats.${table} AS t`)
      .join(' UNION ALL ') + ' ORDER BY 1, 2');
  }
}
