// What docs/frameworks.md says of Drizzle.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgSchema, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { check, checkMilliseconds, examples, openShop, serverLog } from './lib/page.mjs';

const given = { eq, sql, drizzle, integer, pgSchema, text, timestamp, uuid };

// After the example: a webhook writes, then the application saves a column, and the whole row that it has in memory.
const saving = `
  const save = (values) => db.update(subscriptions).set(values).where(eq(subscriptions.id, subscription.id)).returning();
  await db.execute(sql\`UPDATE seats.subscriptions SET seats = 5\`);
  const [part] = await save({ status: 'past_due' });
  const [whole] = await save({ ...subscription, assignedSeats: 7 });
  const message = await call(sql\`seats.claim_seat(\${invitation.invitation_token})\`).catch((error) => error.message);
  await db.$client.end();
  return { invitation, refused: [refused.code, refused.detail], claim, list, allowed, message,
    part: [part.status, part.seats], whole: [whole.status, whole.assignedSeats] };`;

test('Drizzle', async () => {
  const { blocks } = await examples('Drizzle', 'drizzle-orm');
  const shop = await openShop('drizzle');
  try {
    const variables = { ...given, ...shop.ids, connectionString: shop.connectionString };
    const answer = await new (async () => {}).constructor(...Object.keys(variables), blocks.join('') + saving)(
      ...Object.values(variables));
    await check(shop, answer);
    await checkMilliseconds(shop);
    assert.ok(answer.message.includes(answer.invitation.invitation_token), 'messages have parameters');
    assert.ok(!(await serverLog()).includes(answer.invitation.invitation_token), 'the server logs none');
  } finally {
    await shop.close();
  }
});
