// make demo-web: what its links lead to, and that Ctrl-C ends all of it.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startServer } from './lib/processes.mjs';

const script = fileURLToPath(new URL('../../scripts/demo-web', import.meta.url));

test('make demo-web: pages, mails and webhooks, until Ctrl-C', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'demo-'));
  await chmod(directory, 0o755); // for the server's account
  const cache = { npm_config_cache: join(process.env.HOME, '.npm'), npm_config_prefer_offline: 'true' };
  const demo = await startServer(script, [], { env: { ...process.env, ...cache, TMPDIR: directory } });
  let hasEnded = false;
  demo.ended.then(() => { hasEnded = true; });
  // What it prints, once it does.
  const printed = async (pattern) => {
    for (;;) {
      const found = pattern.exec(demo.output);
      if (found) return found;
      assert.ok(!hasEnded, demo.output);
      await sleep(100);
    }
  };
  try {
    await printed(/Ctrl-C/);
    const [invited, expired, join, team] = demo.output.match(/http:\S+/g).map((link) => new URL(link));
    for (const [{ href }, title] of [[invited, 'Your invitation'], [expired, 'Your invitation'], [join, 'Your invitation'], [team, 'Your team']]) {
      const response = await fetch(href);
      assert.equal(response.status, 200);
      assert.ok((await response.text()).includes(`<title>${title}</title>`));
      assert.equal(new URL(href).hostname, '127.0.0.1');
    }

    // What the pages ask of the API.
    const seats = `${team.origin}/v1/customer-seats/claim`;
    const info = async ({ hash }) => (await fetch(`${seats}/${hash.slice(1)}`)).json();
    assert.equal((await info(invited)).can_claim, true);
    assert.equal((await info(expired)).can_claim, false);
    const { subscription, session } = Object.fromEntries(new URLSearchParams(team.hash.slice(1)));
    const portal = `${team.origin}/v1/customer-portal/seats`;
    const headers = { Authorization: `Bearer ${session}` };
    const list = async () => (await fetch(`${portal}?subscription_id=${subscription}`, { headers })).json();
    assert.deepEqual((({ available_seats: free, total_seats: all }) => [free, all])(await list()), [6, 12]);

    // Who is invited on the team page gets a mail, and claims by its link.
    const body = JSON.stringify({ subscription_id: subscription, email: 'new@example.com' });
    assert.equal((await fetch(portal, { method: 'POST', headers, body })).status, 200);
    const [, link] = await printed(/^Mail to new@example\.com: .*\n +(\S+)$/m);
    const token = new URL(link).hash.slice(1);
    assert.equal((await fetch(seats, { method: 'POST', body: JSON.stringify({ invitation_token: token }) })).status, 200);
    await printed(/^Webhook: customer_seat\.claimed of new@example\.com$/m);
    // Who joins by the link gets one, too.
    const joining = JSON.stringify({ join_token: join.hash.slice(1), email: 'joined@example.com' });
    assert.equal((await fetch(`${team.origin}/v1/customer-seats/join`, { method: 'POST', body: joining })).status, 200);
    await printed(/^Mail to joined@example\.com: .*\n +\S+\/claim#seats_inv_/m);
    assert.ok((await list()).seats.some(({ email, status }) => email === 'new@example.com' && status === 'claimed'));

    assert.equal(await demo.stop('SIGINT'), 130);
    await assert.rejects(fetch(team.origin));
    assert.deepEqual(await readdir(directory), []);
    const folders = await Promise.all((await readdir('/proc')).map((process) => readlink(`/proc/${process}/cwd`).catch(() => '')));
    assert.deepEqual(folders.filter((folder) => folder.startsWith(directory)), []);
  } finally {
    await demo.stop('SIGTERM');
    await rm(directory, { recursive: true, force: true });
  }
});
