// From an invitation or a join link on the team page through the worker's mail to the claim page, and back: over both examples that
// have the routes, with opaque sessions and with JWTs.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { Windows, shows as showsBy, skip, startBrowser } from './lib/browser.mjs';
import { startNode } from './lib/node-layer.mjs';
import { postgrestProgram, startJwtLayer } from './lib/postgrest-layer.mjs';
import { Shop } from './lib/shop.mjs';
import { startSite } from './lib/site.mjs';
import { button, buy, linkAt, send, shows } from './lib/team-page.mjs';
import { startMailServer, startWorker, until } from './lib/worker-layer.mjs';

const postgrest = postgrestProgram();

// The Node server has no pages; an application serves them.
const startNodeAndPages = async (shop) => {
  const layer = await startNode(shop);
  const site = await startSite(layer, 'team', 'claim');
  return { ...layer, url: site.url, stop: async () => {
    site.stop();
    await layer.stop();
  } };
};
const layers = {
  node: ['examples/node', startNodeAndPages],
  postgrest: [`nginx and ${postgrest ?? 'a stand-in for PostgREST'}`, startJwtLayer(postgrest)],
};

for (const [key, [name, start]] of Object.entries(layers)) {
  describe(`Invited on the team page, by mail, over ${name}`, { skip }, () => {
    let shop, layer, browser, windows, mailServer, worker;
    before(async () => {
      shop = await Shop.open(`http_team_mail_${key}`);
      layer = await start(shop);
      browser = await startBrowser();
      windows = new Windows(browser, layer.url);
      mailServer = await startMailServer();
      worker = await startWorker(shop, { SMTP_URL: mailServer.url, CLAIM_URL: `${layer.url}/claim` });
    });
    after(async () => {
      await browser?.close();
      await worker?.stop();
      await mailServer?.stop();
      await layer?.stop();
      await shop?.close();
    });
    afterEach(async () => assert.deepEqual(await windows.close(), []));

    // A team page on which somebody was invited: the page, the buyer, the address, and the seat.
    const invite = async () => {
      const bought = await buy(shop, 3);
      const page = await windows.open({ width: 900, height: 1000 });
      await page.goto(linkAt(layer.url, bought));
      await shows(page, { busy: 'false', numbers: '3 1 2' });
      const email = `${randomUUID()}@example.com`;
      await send(page, email);
      await shows(page, { sent: `The invitation to ${email} is on its way.`, numbers: '3 2 1' });
      return { page, bought, email, seat: await page.$eval('#invited li', ({ id }) => id) };
    };
    // The link in the n-th mail to an address, once it is there.
    const mailed = async (email, n = 1) => {
      const mail = await until(() => mailServer.mails.filter(({ recipients: [recipient] }) => recipient === email)[n - 1]);
      return /http:\S+/.exec(mail.text)[0];
    };
    // What the claim page says of a link that is opened on another machine.
    const claimPageSays = (page, heading) => showsBy(page, (claimPage) => claimPage.evaluate(() => ({
      heading: document.getElementById('heading').innerText, details: document.getElementById('details').innerText,
      busy: document.getElementById('content').ariaBusy })), { heading, busy: 'false' });
    const open = async (link, heading) => {
      const page = await windows.open();
      await page.goto(link);
      const { details } = await claimPageSays(page, heading);
      return { details, claim: async () => {
        await page.click('#button');
        await claimPageSays(page, 'The seat is yours');
      } };
    };

    test('the link in the mail claims the seat, and the claimer is a member then', async () => {
      const { page, bought, email } = await invite();
      const { details, claim } = await open(await mailed(email), 'You’re invited to Editor');
      assert.ok(details.includes(email), details);
      await claim();
      await page.reload();
      const { memberRows } = await shows(page, { members: '2 members', invited: '0 invited', numbers: '3 2 1' });
      assert.match(memberRows[0], new RegExp(`^Maya Okafor Owner ${bought.email} Since`));
      assert.match(memberRows[1], new RegExp(`^${email} Since`));
    });

    test('sent again: the first link is dead, and the second one works', async () => {
      const { page, email, seat } = await invite();
      const first = await mailed(email);
      await page.click(button('resend', { seat }));
      await shows(page, { status: `${email}: The invitation is on its way.` });
      const second = await mailed(email, 2);
      await open(first, 'This invitation is not valid');
      await (await open(second, 'You’re invited to Editor')).claim();
      await page.reload();
      await shows(page, { members: '2 members', invited: '0 invited' });
    });

    test('revoked: the claim page says so', async () => {
      const { page, email, seat } = await invite();
      const link = await mailed(email);
      await page.click(button('revoke', { seat }));
      await shows(page, { question: 'Revoke this invitation?' });
      await page.click('#revoke');
      await shows(page, { numbers: '3 1 2', invited: '0 invited' });
      await open(link, 'This invitation was withdrawn');
      assert.equal(mailServer.mails.filter(({ recipients }) => recipients.includes(email)).length, 1);
    });

    test('a join link: whoever joins by it gets a mail, and a second one once the invitation has expired', async () => {
      const bought = await buy(shop, 3);
      const page = await windows.open({ width: 900, height: 1000 });
      await page.goto(linkAt(layer.url, bought));
      await shows(page, { busy: 'false', numbers: '3 1 2' });
      await page.click('summary');
      await page.click('#make');
      await shows(page, { copy: 'Copy', make: 'Make a link' });
      const link = await page.$eval('#link', ({ value }) => value);

      const email = `${randomUUID()}@example.com`;
      const joiner = await windows.open();
      const join = async (address) => {
        await joiner.goto('about:blank');
        await joiner.goto(link);
        await claimPageSays(joiner, 'You’re invited to Editor');
        await joiner.type('#field', address);
        await joiner.keyboard.press('Enter');
        await claimPageSays(joiner, 'Look into your mail');
      };
      await join(email);
      const first = await mailed(email);
      assert.match(first, new RegExp(`^${layer.url}/claim#seats_inv_`));
      // Neither who has a seat gets a mail, nor who has an invitation that is still open.
      await join(bought.email);
      await join(email);
      await shop.query(`UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 s'
        WHERE customer_email = $1`, [email]);
      await join(email);
      const second = await mailed(email, 2);
      assert.notEqual(first, second);
      await (await open(second, 'You’re invited to Editor')).claim();
      assert.deepEqual(mailServer.mails.map(({ recipients }) => recipients[0]).filter((to) => [email, bought.email].includes(to)), [email, email]);

      await page.reload();
      const { memberRows } = await shows(page, { members: '2 members', invited: '0 invited', numbers: '3 2 1' });
      assert.match(memberRows[1], new RegExp(`^${email} Since`));
      await page.click('summary');
      assert.match((await shows(page, { make: 'Make a link' })).linkRows[0], /^1 joined until/);
      await page.click('#link-list button');
      await page.click('#revoke');
      await shows(page, { linkRows: [] });
      await joiner.goto('about:blank');
      await joiner.goto(link);
      await claimPageSays(joiner, 'This link is not valid');
    });

    test('no token is in any log', async () => {
      assert.match(worker.output, /"target":"mail"/);
      for (const text of [worker.output, await layer.logs(), await shop.log()]) {
        assert.doesNotMatch(text, /seats_(inv|cst|jnl)_[0-9A-Za-z]{40}|eyJ[\w-]+\.eyJ/);
      }
    });
  });
}
