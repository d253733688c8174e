// What docs/http.md shows of code is what the tests use, or runs here.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { createPolar } from '@polar-sh/sdk/2026-10';
import { startNode } from './lib/node-layer.mjs';
import { Shop } from './lib/shop.mjs';

const read = (path) => readFile(new URL(path, import.meta.url), 'utf8');
const documentation = await read('../../docs/http.md');
const blocks = [...documentation.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);

test('docs/http.md names the versions of the SDK that are tested, and imports the one of today', async () => {
  const { dependencies } = JSON.parse(await read('package.json'));
  const versions = Object.values(dependencies).filter((version, i) => /polar/.test(Object.keys(dependencies)[i]));
  assert.equal(versions.length, 3);
  for (const version of versions) assert.ok(documentation.includes(version.split('@').at(-1)), version);
  assert.ok(blocks[0].startsWith("import { createPolar } from '@polar-sh/sdk/2026-10';\n"));
});

test("what it shows of today's SDK runs: the customer who pays claims a seat, and lists it", async () => {
  const shop = await Shop.open('http_docs');
  const layer = await startNode(shop);
  try {
    const subscription_id = await shop.sell('subscriptions', 1);
    const email = 'ada@example.com';
    await shop.query(`UPDATE seats.customers SET email = $2
      WHERE id = (SELECT customer_id FROM seats.subscriptions WHERE id = $1)`, [subscription_id, email]);
    const mails = [];
    const given = { createPolar, baseUrl: layer.url, key: layer.accessToken, subscription_id, email,
      mail: async (...what) => { mails.push(what); } };
    const code = blocks.slice(0, 2).join('').replace(/^import .*$/m, '').replace("'http://127.0.0.1:8080'", 'baseUrl');
    const run = new (async () => {}).constructor(...Object.keys(given), `${code} return seats;`);
    const seats = await run(...Object.values(given));
    assert.deepEqual(seats.map(({ status, customer_email, member }) => [status, customer_email, member.role]),
      [['claimed', email, 'owner']]);
    assert.match(mails[0][1], /^seats_inv_/);
    assert.equal(mails[0][0], email);
  } finally {
    await layer.stop();
    await shop.close();
  }
});

test('the rest of it is what the suite uses', async () => {
  for (const file of ['claim-with-key', 'older-sdk']) {
    const source = await read(`lib/${file}.mjs`);
    const [, indent, code] = /^( *)\/\/ docs:begin\n(.*?)^ *\/\/ docs:end/ms.exec(source);
    const shown = code.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    assert.ok(blocks.some((block) => block.includes(shown)), file);
  }
});
