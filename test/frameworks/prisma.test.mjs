// What docs/frameworks.md says of Prisma. Its client is generated from the page's schema.
import { spawnSync } from 'node:child_process';
import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { check, checkMilliseconds, examples, openShop, serverLog } from './lib/page.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);

// Generating needs none of the engines, which are no npm packages. Told of one, it looks for no other.
const generate = async (schema) => {
  const directory = await mkdtemp(join(here, 'prisma-'));
  const generator = 'generator client {\n  provider = "prisma-client-js"\n  output = "./client"\n}\n\n';
  await writeFile(join(directory, 'schema.prisma'), generator + schema);
  const { status, stdout, stderr } = spawnSync(process.execPath,
    [join(here, 'node_modules/prisma/build/index.js'), 'generate', '--schema', join(directory, 'schema.prisma'), '--no-hints'],
    { cwd: here, encoding: 'utf8', env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1' } });
  assert.equal(status, 0, stdout + stderr);
  return createRequire(import.meta.url)(join(directory, 'client'));
};

// After the example: a webhook writes, then the application saves a column, and the whole row that it has in memory.
const saving = `
  const save = (data) => prisma.subscription.update({ where: { id: subscription.id }, data });
  await prisma.$executeRaw\`UPDATE seats.subscriptions SET seats = 5\`;
  const part = await save({ status: 'past_due' });
  const whole = await save({ ...subscription, assignedSeats: 7 });
  const message = await prisma.$queryRaw\`SELECT FROM seats.claim_seat(\${invitation.invitation_token})\`
    .catch((error) => error.message);
  await prisma.$disconnect();
  return { invitation, refused: [refused.code, refused.detail], claim, list, allowed, message,
    part: [part.status, part.seats], whole: [whole.status, whole.assignedSeats] };`;

test('Prisma', { skip: (major < 20 || (major === 20 && minor < 19)) && 'Prisma 7 needs Node 20.19' }, async () => {
  const { blocks: [schema, ...code] } = await examples('Prisma', 'prisma');
  const { PrismaPg } = await import('@prisma/adapter-pg');
  const { PrismaClient } = await generate(schema);
  const shop = await openShop('prisma');
  try {
    const variables = { PrismaClient, PrismaPg, ...shop.ids, connectionString: shop.connectionString };
    const answer = await new (async () => {}).constructor(...Object.keys(variables), code.join('') + saving)(
      ...Object.values(variables));
    await check(shop, answer);
    await checkMilliseconds(shop);
    for (const text of [answer.message, await serverLog()]) {
      assert.ok(!text.includes(answer.invitation.invitation_token), 'no log has parameters');
    }
  } finally {
    await shop.close();
  }
});
