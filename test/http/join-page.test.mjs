// examples/claim-page in Chromium for those who join by a link, over examples/node. What it has in common with claiming is
// tested there: claim-page.test.mjs.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { Windows, assertAccessible, nodes, setPatience, shows as showsBy, skip, startBrowser } from './lib/browser.mjs';
import { startNode } from './lib/node-layer.mjs';
import { Shop } from './lib/shop.mjs';
import { startSite } from './lib/site.mjs';

const invited = 'You’re invited to Editor';
const done = 'Look into your mail';
const doneText = (email) => `If ${email} has no seat of Editor yet, an invitation is on its way there, or came earlier. `
  + 'Open its link to claim the seat. If you have claimed it already, sign in as usual.';
const endings = {
  join_link_invalid: ['This link is not valid', 'it was withdrawn'],
  join_link_expired: ['This link has expired', 'for a new one'],
  join_link_exhausted: ['This link is used up', 'for a new one'],
  no_available_seats: ['No seat is free', 'All seats are taken at present'],
  subscription_not_active: ['Nobody can join at present', 'is paused or has ended'],
  order_not_paid: ['Nobody can join at present', 'is not paid or was refunded'],
  link_closed: ['Nobody can join by this link now', 'It may have expired or be used up, or no seat is free.'],
};
const faults = {
  no_address: 'Type your e-mail address first.',
  malformed: 'That is not a valid e-mail address. Check the spelling.',
  email_domain_not_allowed: 'This link is not for that address. Use one at a domain that is named above.',
};
const newEmail = () => `${randomUUID()}@example.com`;

describe('The claim page, for those who join by a link', { skip }, () => {
  let shop, layer, site, browser, windows;
  before(async () => {
    shop = await Shop.open('http_join_page');
    layer = await startNode(shop);
    site = await startSite(layer, 'claim');
    browser = await startBrowser();
    windows = new Windows(browser, site.url);
  });
  after(async () => {
    await browser?.close();
    site?.stop();
    await layer?.stop();
    await shop?.close();
  });
  beforeEach(() => site.reset());
  afterEach(async () => assert.deepEqual(await windows.close(), []));

  const state = (page) => page.evaluate(() => {
    const text = (id) => {
      const element = document.getElementById(id);
      return element.checkVisibility() ? element.innerText.trim().replace(/\s+/g, ' ') : '';
    };
    const field = document.getElementById('field');
    return { title: document.title, heading: text('heading'), text: text('text'), alert: text('alert'), status: text('status'),
      details: text('details'), button: text('button'), hasField: field.checkVisibility(), invalid: field.ariaInvalid,
      focus: document.activeElement.id, busy: document.getElementById('content').ariaBusy };
  });
  const shows = (page, expected) => showsBy(page, state, expected);
  const newLink = async (seats = 3, limits = {}, kind = 'subscription') => {
    const purchase = await shop.sell(`${kind}s`, seats);
    const [{ id, token }] = await shop.query(`SELECT (link).id, join_token AS token FROM seats.create_join_link(${kind}_id => $1,
      max_uses => $2, email_domains => $3)`, [purchase, limits.uses, limits.domains]);
    return { purchase, id, token };
  };
  const visit = async (token, options) => {
    const page = await windows.open(options);
    await page.goto(`${site.url}/join#${token}`);
    return page;
  };
  const visitInvited = async (token, options) => {
    const page = await visit(token, options);
    await shows(page, { heading: invited, busy: 'false' });
    return page;
  };
  const join = async (page, email) => {
    await page.$eval('#field', (field) => { field.value = ''; });
    await page.type('#field', email);
    await page.click('#button');
  };
  const posts = () => site.requests.filter(({ method }) => method === 'POST');
  const seatsOf = async ({ purchase }) => (await shop.query(`SELECT customer_email AS email FROM seats.customer_seats
    WHERE $1 IN (subscription_id, order_id) AND status <> 'revoked' ORDER BY created_at, id`, [purchase])).map(({ email }) => email);
  const answer = (status, body) => (request, response) => response.status(status).send(body);

  test('shows what the link is for, and changes nothing by that', async () => {
    const { token } = await newLink(3, { domains: ['example.com', 'acme.example'] });
    const contents = await shop.contents();
    const page = await visitInvited(token);
    await page.waitForNetworkIdle({ idleTime: 300 });
    const { title, text, details, button, alert, hasField, focus } = await state(page);
    assert.deepEqual({ title, text, details, button, alert, hasField, focus }, { title: invited,
      text: 'Acme sends an invitation to your e-mail address. Its link gives you a seat.',
      details: 'Product Editor Offered by Acme For addresses at example.com, acme.example',
      button: 'Send me an invitation', alert: '', hasField: true, focus: '' });
    assert.deepEqual(posts(), []);
    assert.deepEqual(await shop.contents(), contents);
  });

  test('says the same to an address without a seat and to those that have one', async () => {
    const link = await newLink(5);
    const [pending, claimed] = [await shop.assign(link.purchase), await shop.assign(link.purchase)];
    await shop.query('SELECT seats.claim_seat($1)', [claimed.token]);
    const page = await visitInvited(link.token);
    const email = newEmail();
    for (const address of [email, email, pending.email, claimed.email]) {
      await join(page, address);
      const { text, details, alert, status, focus, hasField, button } = await shows(page, { heading: done });
      assert.deepEqual({ text, details, alert, status, focus, hasField, button }, { text: doneText(address),
        details: 'Product Editor Offered by Acme', alert: '', status: '', focus: 'heading', hasField: false, button: 'Use another address' });
      await page.click('#button');
      await shows(page, { heading: invited, button: 'Send me an invitation', focus: 'field' });
    }
    assert.deepEqual((await seatsOf(link)).toSorted(), [pending.email, claimed.email, email].toSorted());
  });

  test('keyboard alone, and however often Enter is pressed, it asks once', async () => {
    const link = await newLink();
    const page = await visitInvited(link.token);
    await page.keyboard.press('Tab');
    await shows(page, { focus: 'field' });
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
    const email = newEmail();
    await page.keyboard.type(email);
    const goOn = site.hold();
    for (let n = 0; n < 3; n += 1) await page.keyboard.press('Enter');
    const waiting = await shows(page, { button: 'Sending…' });
    assert.deepEqual([waiting.status, waiting.busy, waiting.focus], ['Sending…', 'true', 'field']);
    goOn();
    await shows(page, { heading: done, focus: 'heading' });
    assert.equal(posts().length, 1);
    assert.deepEqual(await seatsOf(link), [email]);
  });

  test('what a screen reader gets', async () => {
    const { token } = await newLink();
    const page = await visitInvited(token);
    const fields = async () => (await nodes(page))('textbox').map(({ name, description, invalid }) => [name, description, invalid]);
    assert.deepEqual(await fields(), [['Your e-mail address', undefined, undefined]]);
    assert.equal((await state(page)).status, `${invited}. Acme sends an invitation to your e-mail address. Its link gives you a seat.`);
    await page.click('#button');
    await shows(page, { alert: faults.no_address, focus: 'field' });
    assert.deepEqual(await fields(), [['Your e-mail address', faults.no_address, 'true']]);
    // The live regions are not in what is busy, or nothing would be read.
    assert.equal(await page.evaluate(() => document.querySelectorAll('[aria-busy] [role]').length), 0);
  });

  test('an address that is not taken: why, and another one is', async () => {
    const link = await newLink(3, { domains: ['example.com'] });
    const page = await visitInvited(link.token);
    for (const [address, name] of [['', 'no_address'], ['  ', 'no_address'], ['ada', 'malformed'], ['a@(x)', 'malformed'],
      ['ada@other.example', 'email_domain_not_allowed']]) {
      await join(page, address);
      const { heading, button, focus, invalid, status } = await shows(page, { alert: faults[name], busy: 'false' });
      assert.deepEqual({ heading, button, focus, invalid }, { heading: invited, button: 'Send me an invitation', focus: 'field', invalid: 'true' });
      assert.notEqual(status, 'Sending…');
    }
    assert.equal(posts().length, 2);
    await join(page, ' ada@EXAMPLE.com ');
    assert.equal((await shows(page, { heading: done })).text, doneText('ada@EXAMPLE.com'));
    assert.deepEqual(await seatsOf(link), ['ada@EXAMPLE.com']);
  });

  // Each of these happens before the link is opened, or between the look and the click.
  const expire = ({ id }) => shop.query("UPDATE seats.join_links SET expires_at = now() - interval '1 s' WHERE id = $1", [id]);
  const changes = {
    join_link_invalid: ({ id }) => shop.query('SELECT seats.revoke_join_link($1)', [id]),
    join_link_expired: expire,
    join_link_exhausted: ({ token }) => shop.query('SELECT seats.join_seat($1, $2)', [token, newEmail()]),
    no_available_seats: async ({ purchase }) => { for (let n = 0; n < 2; n += 1) await shop.assign(purchase); },
    subscription_not_active: ({ purchase }) => shop.setStatus(purchase, 'paused'),
    order_not_paid: ({ purchase }) => shop.query("UPDATE seats.orders SET status = 'pending' WHERE id = $1", [purchase]),
  };
  for (const [reason, change] of Object.entries(changes)) {
    test(`a link that cannot be used, before and after the look: ${reason}`, async () => {
      const link = await newLink(2, { uses: 1 }, reason === 'order_not_paid' ? 'order' : 'subscription');
      const page = await visitInvited(link.token);
      await change(link);
      const contents = await shop.contents();
      await join(page, newEmail());
      const ends = async (on, name, expected) => {
        const [heading, words] = endings[name];
        const { title, text, hasField, button, details, alert, focus } = await shows(on, { heading });
        assert.ok(text.includes(words), text);
        assert.deepEqual({ title, hasField, button, details, alert, focus },
          { title: heading, hasField: false, button: '', details: '', alert: '', ...expected });
      };
      await ends(page, reason, { focus: 'heading' });
      await ends(await visit(link.token), reason === 'join_link_invalid' ? reason : 'link_closed', { focus: '' });
      assert.deepEqual(await shop.contents(), contents);
    });
  }

  test('a lost answer: trying again is safe, and costs no second use', async () => {
    const link = await newLink(5, { uses: 5 });
    const email = newEmail();
    const page = await visitInvited(link.token);
    for (const [instead, alert] of [
      [answer(429, {}), 'Too many requests just now. Wait a minute, then try again.'],
      [async (request, response, forward) => {
        const lost = { status: () => lost, type: () => lost, send: () => response.status(503).send('') };
        await forward(lost);
      }, 'The service has a problem just now. It is not your fault: try again in a few minutes.'],
      [() => {}, 'No answer came in time. Trying again is safe: nobody gets two seats.'],
    ]) {
      site.instead = instead;
      await setPatience(page, alert.startsWith('No answer') ? 0.3 : 60);
      await join(page, email);
      const { heading, button, hasField } = await shows(page, { alert, busy: 'false' });
      assert.deepEqual([heading, button, hasField], [invited, 'Try again', true]);
    }
    site.instead = undefined;
    await setPatience(page, 60);
    await page.click('#button');
    await shows(page, { heading: done, text: doneText(email) });
    assert.deepEqual(await seatsOf(link), [email]);
    const [{ uses }] = await shop.query('SELECT uses FROM seats.join_links WHERE id = $1', [link.id]);
    assert.equal(uses, 1);
  });

  test('the token leaves the address bar, is in no referrer or storage, and a reload still works', async () => {
    const { token } = await newLink();
    for (const address of [`/join#${token}`, `/join%23${token}`, `/join/${token}).`, `/claim#${token}`]) {
      site.reset();
      const page = await windows.open();
      await page.goto(site.url + address);
      await shows(page, { heading: invited, busy: 'false' });
      assert.equal(page.url(), `${site.url}/${address.slice(1, 5)}${address.startsWith('/claim') ? 'm' : ''}`);
      await page.reload();
      await shows(page, { heading: invited, busy: 'false' });
      for (const { url, headers } of site.requests.slice(1)) {
        assert.equal(headers.referer, undefined);
        if (!url.startsWith('/v1/customer-seats/join/')) assert.doesNotMatch(url, /seats_jnl_/);
      }
      assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, '']);
    }
  });

  test('without JavaScript it says that it needs it, and shows no field', async () => {
    const page = await windows.open();
    await page.setJavaScriptEnabled(false);
    await page.goto(`${site.url}/join#${(await newLink()).token}`);
    const all = await nodes(page);
    assert.match(all('StaticText').map(({ name }) => name).join(' '), /^Your invitation This page needs JavaScript .*\.$/);
    assert.deepEqual([all('button').length, all('textbox').length], [0, 0]);
    assert.deepEqual(site.requests.map(({ url }) => url), ['/join']);
  });

  // Each way that the page looks only here.
  const looks = {
    invited: () => {},
    fault: async (page) => {
      await join(page, 'ada@other.example');
      await shows(page, { alert: faults.email_domain_not_allowed });
    },
    done: async (page) => {
      await join(page, `${'long'.repeat(12)}@${'domain'.repeat(5)}.example`);
      await shows(page, { heading: done });
    },
  };
  for (const [name, reach] of Object.entries(looks)) {
    test(`accessible in light and dark, and fits a phone: ${name}`, async () => {
      const { token } = await newLink(3, { domains: [`${'domain'.repeat(5)}.example`] });
      for (const scheme of ['light', 'dark']) {
        const page = await visitInvited(token, { scheme, width: 320, height: 568, isMobile: true, 'prefers-reduced-motion': 'reduce' });
        await reach(page);
        await assertAccessible(page);
      }
    });
  }
});
