// The examples of docs/frameworks.md, what they run on, and what each of them must have done in the end.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);

const read = (path) => readFile(new URL(`../${path}`, import.meta.url), 'utf8');

// The code in the section of one framework: its models, and its calls. It names the version of a package that is tested.
export const examples = async (framework, dependency) => {
  const [, section] = new RegExp(`^## ${framework}\n(.*?)(?=^## |$(?![^]))`, 'ms').exec(await read('../../docs/frameworks.md'));
  if (dependency) assert.ok(section.includes(JSON.parse(await read('package.json')).dependencies[dependency]), dependency);
  return { blocks: [...section.matchAll(/^```\w+\n(.*?)^```/gms)].map(([, code]) => code) };
};

// A database of its own: the ids that the examples name, and the connection of a backend.
export const openShop = async (name) => {
  const server = new pg.Client({ database: 'postgres' });
  await server.connect();
  await server.query(`CREATE DATABASE ${name} TEMPLATE frameworks_template`);
  await server.end();
  const pool = new pg.Pool({ database: name, max: 1 });
  const query = async (text) => (await pool.query(text)).rows;
  const [ids] = await query(`SELECT o.id AS acme, p.id AS editor, c.id AS ada
    FROM seats.organizations AS o, seats.products AS p, seats.customers AS c`);
  return {
    ids, query, name, connectionString: `postgresql://backend@/${name}?host=${encodeURIComponent(process.env.PGHOST)}`,
    close: () => pool.end(),
  };
};

// What the server has logged so far.
export const serverLog = async () => readFile(join(process.env.PGHOST, 'server.log'), 'utf8');

// Writes files into a directory of their own and runs a command there. Its last line is JSON.
export const runProgram = async (files, command, args, environment) => {
  const directory = await mkdtemp(join(tmpdir(), 'framework-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
  const { stdout } = await run(command, args, { cwd: directory, env: { ...process.env, ...environment } });
  return JSON.parse(stdout.trim().split('\n').at(-1));
};

// What the examples show is so, and saving a row that was read earlier harms nothing that the extension keeps.
export const check = async (shop, { invitation, refused, claim, list, allowed, part, whole }) => {
  assert.match(invitation.invitation_token, /^seats_inv_/);
  assert.equal(invitation.seat.status, 'pending');
  assert.deepEqual(refused, ['PT400', 'no_available_seats']);
  assert.equal(claim.seat.id, invitation.seat.id);
  assert.match(claim.customer_session_token, /^seats_cst_/);
  assert.deepEqual([list.total_seats, list.available_seats, list.seats.map(({ status }) => status)], [2, 1, ['claimed']]);
  assert.equal(allowed, true);
  assert.deepEqual(part, ['past_due', 5], 'saving a column leaves the others as they are');
  assert.deepEqual(whole, ['active', 1], 'saving all writes them back, except what the extension keeps');
  const [row] = await shop.query(`SELECT external_id, organization_id AS acme, product_id AS editor, customer_id AS ada,
    modified_at > created_at AS modified FROM seats.subscriptions`);
  assert.deepEqual(row, { external_id: 'team-1', ...shop.ids, modified: true });
  assert.equal((await shop.query('SELECT FROM seats.customer_seats')).length, 1);
};

// A row that JavaScript has saved whole has lost its microseconds.
export const checkMilliseconds = async (shop) => {
  const [{ lost }] = await shop.query(
    "SELECT created_at = date_trunc('milliseconds', created_at) AS lost FROM seats.subscriptions");
  assert.ok(lost);
};
