// All that is tested of a layer: each client's operations, and requests that no client sends.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clients, siblings } from './clients.mjs';
import { describeJoins } from './joins.mjs';
import { describeOperations, testLife } from './operations.mjs';
import { describePayers, describePortal } from './portal.mjs';
import { describeRequests } from './requests.mjs';
import { Shop } from './shop.mjs';

// start(shop) gives a layer: its url, the accessToken of a backend, what a session looks like, logs() and stop().
export const describeLayer = (name, database, start) => describe(name, () => {
  const suite = {};
  before(async () => {
    suite.shop = await Shop.open(database);
    suite.layer = await start(suite.shop);
  });
  after(async () => {
    await suite.layer?.stop();
    await suite.shop?.close();
  });

  for (const client of clients) {
    describeOperations(client, suite);
    describePortal(client, suite);
  }
  for (const client of siblings) testLife(client, suite);
  describeRequests(suite);
  describePayers(suite);
  describeJoins(suite);

  test('no token is in any log, here or in PostgreSQL', async () => {
    const log = await suite.shop.log();
    assert.match(log, /seats_http"?\."?claim_seat/);
    for (const text of [log, await suite.layer.logs()]) {
      assert.doesNotMatch(text, /seats_(inv|cst|jnl)_[0-9A-Za-z]{40}|eyJ[\w-]+\.eyJ/);
    }
  });
});
