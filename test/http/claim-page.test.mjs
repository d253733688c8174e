// examples/claim-page in Chromium, over examples/node.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { Windows, assertAccessible, nodes, setPatience, shows as showsBy, skip, startBrowser } from './lib/browser.mjs';
import { startNode } from './lib/node-layer.mjs';
import { Shop } from './lib/shop.mjs';
import { claimPage, startSite } from './lib/site.mjs';

// What the page says in each case: a heading, and a part of the text or of the alert.
const endings = {
  incomplete: ['This link is not complete', 'Open it again where you found it, such as in the invitation e-mail.'],
  invitation_invalid: ['This invitation is not valid', 'Open the link in the latest e-mail'],
  invitation_expired: ['This invitation has expired', 'Ask whoever invited you to send it again.'],
  seat_already_claimed: ['This seat is already claimed', 'If that was you, sign in as usual.'],
  seat_revoked: ['This invitation was withdrawn', 'The seat is no longer reserved for you.'],
  seat_suspended: ['This seat is paused at the moment', 'The subscription that it belongs to is paused.'],
  seat_based_pricing_not_enabled: ['Seats are not available', 'The organization does not offer seats at present.'],
  closed: ['This invitation is used, paused or has expired', 'If you have claimed the seat already, sign in as usual.'],
};
const hitches = {
  unreachable: 'No connection. Check that you are online, then try again.',
  timeout: 'No answer came in time. Trying again is safe: nobody gets two seats.',
  busy: 'Too many requests just now. Wait a minute, then try again.',
  unavailable: 'The service has a problem just now. It is not your fault: try again in a few minutes.',
  unexpected: 'Something went wrong. Try again, and if it stays so, tell whoever invited you.',
};
const invited = 'You’re invited to Editor';
const done = 'The seat is yours';
const remembered = 'You have claimed this seat';
const markup = '<script>alert(1)</script><h1>Internal</h1>';

describe('The claim page', { skip }, () => {
  let shop, layer, site, browser, windows;
  before(async () => {
    shop = await Shop.open('http_claim_page');
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
      return element.checkVisibility() ? element.innerText.trim() : '';
    };
    return { title: document.title, heading: text('heading'), text: text('text'), alert: text('alert'),
      status: text('status'), details: text('details'), button: text('button'), note: text('note'), form: text('form'),
      focus: document.activeElement.id, busy: document.getElementById('content').ariaBusy,
      disabled: document.getElementById('button').ariaDisabled };
  });
  const shows = (page, expected) => showsBy(page, state, expected);
  const visit = async (token, options) => {
    const page = await windows.open(options);
    await page.goto(`${site.url}/claim${token === undefined ? '' : `#${token}`}`);
    return page;
  };
  const visitInvited = async (token, options) => {
    const page = await visit(token, options);
    await shows(page, { heading: invited, busy: 'false' });
    return page;
  };
  const newSeat = async (email) => shop.assign(await shop.sell('subscriptions', 1), email);
  const posts = () => site.requests.filter(({ method }) => method === 'POST');
  const statusOf = async (seat) =>
    (await shop.query('SELECT status FROM seats.customer_seats WHERE id = $1', [seat]))[0].status;
  const claimsOf = async (seat) => (await shop.query(
    "SELECT FROM seats.events WHERE seat_id = $1 AND type = 'customer_seat.claimed'", [seat])).length;
  const answer = (status, body) => (request, response) => response.status(status).send(body);

  test('shows what the invitation is for, and claims nothing by that', async () => {
    const { token, email } = await newSeat();
    const contents = await shop.contents();
    const page = await visitInvited(token);
    await page.waitForNetworkIdle({ idleTime: 300 });
    const { title, text, details, button, alert } = await state(page);
    assert.equal(title, invited);
    assert.equal(text, 'Acme has a seat for you.');
    assert.equal(details.replace(/\s+/g, ' '), `Product Editor Offered by Acme Reserved for ${email}`);
    assert.deepEqual([button, alert], ['Claim your seat', '']);
    assert.deepEqual(posts(), []);
    assert.deepEqual(await shop.contents(), contents);
  });

  test('a click claims the seat', async () => {
    const { seat, token } = await newSeat();
    const page = await visitInvited(token);
    await page.click('#button');
    const { title, text, button, note, form, details, focus } = await shows(page, { heading: done });
    assert.deepEqual({ title, text, button, note, form, focus }, { title: done,
      text: 'Sign in to Acme to use Editor. You can close this page.', button: '', note: '', form: '', focus: 'heading' });
    assert.match(details, /Editor/);
    assert.doesNotMatch(await page.evaluate(() => document.body.innerHTML + form.elements[0].value), /seats_cst_/);
    assert.equal(await statusOf(seat), 'claimed');
    const [{ headers }] = posts();
    assert.match(headers['idempotency-key'], /^\d+(-\d+){3}$/);
  });

  test('however often it is clicked, it claims once', async () => {
    const { seat, token } = await newSeat();
    const page = await visitInvited(token);
    const goOn = site.hold();
    await page.click('#button', { count: 2 });
    await page.evaluate(() => { for (let n = 0; n < 5; n += 1) document.getElementById('button').click(); });
    await page.keyboard.press('Enter');
    goOn();
    await shows(page, { heading: done });
    assert.equal(posts().length, 1);
    assert.equal(await claimsOf(seat), 1);
  });

  test('keyboard alone: Tab leads to the button, which keeps the focus while it waits, then to the heading', async () => {
    site.reset({ continue: '/welcome' });
    const { seat, token } = await newSeat();
    const page = await visitInvited(token);
    await page.keyboard.press('Tab');
    await shows(page, { focus: 'button' });
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
    const goOn = site.hold();
    await page.keyboard.press('Enter');
    const waiting = await shows(page, { button: 'Claiming your seat…' });
    assert.deepEqual([waiting.focus, waiting.disabled, waiting.busy, waiting.status],
      ['button', 'true', 'true', 'Claiming your seat…']);
    goOn();
    const { focus, busy } = await shows(page, { heading: done });
    assert.deepEqual([focus, busy], ['heading', 'false']);
    assert.equal(await statusOf(seat), 'claimed');
    await page.keyboard.press('Tab');
    await page.waitForFunction(() => document.activeElement.textContent === 'Continue');
  });

  test('what a screen reader gets', async () => {
    const { token, email } = await newSeat();
    const page = await visitInvited(token);
    let all = await nodes(page);
    assert.deepEqual(all('RootWebArea').map(({ name }) => name), [invited]);
    assert.equal(all('main').length, 1);
    assert.deepEqual(all('heading').map(({ name, level, description }) => [name, level, description]),
      [[invited, 1, 'Acme has a seat for you.']]);
    assert.deepEqual(all('button').map(({ name, disabled }) => [name, disabled ?? false]), [['Claim your seat', false]]);
    assert.equal(all('term').length, 3);
    assert.equal(all('definition').length, 3);
    assert.ok(all('StaticText').some(({ name }) => name === email));
    assert.deepEqual([all('status').length, all('alert').length], [1, 1]);
    assert.equal((await state(page)).status, `${invited}. Acme has a seat for you.`);
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
    // The live regions are not in what is busy, or nothing would be read.
    assert.equal(await page.evaluate(() => document.querySelectorAll('[aria-busy] [role]').length), 0);
    site.instead = () => {};
    await page.click('#button');
    await shows(page, { status: 'Claiming your seat…' });
    all = await nodes(page);
    assert.deepEqual(all('button').map(({ name, disabled, focused }) => [name, disabled, focused]),
      [['Claiming your seat…', true, true]]);
  });

  // Each of these happens between the look and the click.
  const changes = {
    invitation_invalid: ({ seat }) => shop.query('SELECT seats.resend_invitation($1)', [seat]),
    invitation_expired: ({ seat }) => shop.expire(seat),
    seat_already_claimed: ({ token }) => shop.query('SELECT seats.claim_seat($1)', [token]),
    seat_revoked: ({ seat }) => shop.query('SELECT seats.revoke_seat($1)', [seat]),
    seat_suspended: ({ subscription }) => shop.setStatus(subscription, 'paused'),
    seat_based_pricing_not_enabled: ({ organization }) => shop.query(
      'UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = $1', [organization]),
  };
  for (const [reason, change] of Object.entries(changes)) {
    test(`a claim that is refused: ${reason}`, async () => {
      const organization = await shop.insert('organizations',
        { name: 'Changing', slug: randomUUID(), seat_based_pricing_enabled: true });
      const seat = await shop.assign(await shop.sell('subscriptions', 1, { organization }));
      const page = await visitInvited(seat.token);
      await change({ ...seat, organization });
      const contents = await shop.contents();
      await page.click('#button');
      const [heading, words] = endings[reason];
      const { title, text, button, details, note, focus, alert, status } = await shows(page, { heading });
      assert.ok(text.startsWith(words) || text.includes(words), text);
      assert.deepEqual({ title, button, details, note, focus, alert, status },
        { title: heading, button: '', details: '', note: '', focus: 'heading', alert: '', status: '' });
      assert.deepEqual(await shop.contents(), contents);
    });
  }

  // Each of these is so when the link is opened.
  const links = {
    'no token': [() => undefined, 'incomplete'],
    'a fragment of something else': [() => 'top', 'incomplete'],
    'a token that is too long': [() => `seats_inv_${'x'.repeat(300)}`, 'incomplete'],
    'a token with a wrong letter': [({ token }) => token.slice(0, -1) + (token.endsWith('x') ? 'y' : 'x'), 'invitation_invalid'],
    'an invitation that expired': [async ({ seat, token }) => (await shop.expire(seat), token), 'closed'],
    'a seat that is claimed': [async ({ token }) => (await shop.query('SELECT seats.claim_seat($1)', [token]), token), 'closed'],
    'a seat that is revoked': [async ({ seat, token }) => (await shop.query('SELECT seats.revoke_seat($1)', [seat]), token),
      'seat_revoked'],
    'a seat that is suspended': [async ({ subscription, token }) => (await shop.setStatus(subscription, 'unpaid'), token), 'closed'],
    'pricing that is turned off': [async () => (await shop.sellThenDisable()).token, 'seat_based_pricing_not_enabled'],
  };
  for (const [what, [prepare, name]] of Object.entries(links)) {
    test(`a link that cannot be claimed: ${what}`, async () => {
      const page = await visit(await prepare(await newSeat()));
      const [heading, words] = endings[name];
      const { text, button, details, status, focus } = await shows(page, { heading });
      assert.ok(text.includes(words), text);
      assert.deepEqual({ button, details, focus, status }, { button: '', details: '', focus: '', status: `${heading}. ${text}` });
      assert.deepEqual(posts(), []);
      if (what === 'no token') assert.deepEqual(site.requests.filter(({ url }) => url.startsWith('/v1')), []);
    });
  }

  // What else can be answered, by nginx or anything between: bodies are never shown.
  const answers = {
    429: [answer(429, { error: 'TooManyRequests', detail: markup }), 'busy'],
    500: [answer(500, { error: markup, reason: 'seat_revoked' }), 'unavailable'],
    '502 in HTML': [answer(502, markup), 'unavailable'],
    503: [answer(503, { error: 'ServiceUnavailable', detail: markup }), 'unavailable'],
    404: [answer(404, { error: 'NotFound', detail: markup }), 'unexpected'],
    '400 with a reason that is none': [answer(400, { detail: markup, reason: 'constructor' }), 'unexpected'],
    '200 with no JSON': [answer(200, markup), 'unexpected'],
    'a lost connection': [(request) => request.socket.destroy(), 'unreachable'],
    'half an answer': [(request, response) => {
      response.writeHead(200, { 'Content-Length': 1000 }).write('{');
      setTimeout(() => request.socket.destroy(), 50);
    }, 'unreachable'],
    'no answer': [() => {}, 'timeout'],
  };
  for (const [what, [instead, name]] of Object.entries(answers)) {
    test(`told, and another try possible: ${what}`, async () => {
      const patience = name === 'timeout' ? 0.3 : 60;
      site.reset({ timeout: patience });
      const { seat, token } = await newSeat();
      site.instead = instead;
      const page = await visit(token);
      const first = await shows(page, { alert: hitches[name] });
      assert.deepEqual([first.heading, first.text, first.button, first.details, first.busy],
        ['Your invitation', '', 'Try again', '', 'false']);
      site.instead = undefined;
      await setPatience(page, 60);
      await page.click('#button');
      const found = await shows(page, { heading: invited, button: 'Claim your seat' });
      assert.deepEqual([found.alert, found.focus], ['', 'button']);

      site.instead = instead;
      await setPatience(page, patience);
      await page.click('#button');
      const second = await shows(page, { alert: hitches[name], button: 'Try again' });
      assert.deepEqual([second.heading, second.focus, second.status], [invited, 'button', '']);
      assert.match(second.details, /Editor/);
      const words = await page.evaluate(() => document.querySelector('main').textContent);
      assert.doesNotMatch(words, /Internal|TooMany|Unavailable/);
      site.instead = undefined;
      await setPatience(page, 60);
      await page.click('#button');
      assert.equal((await shows(page, { heading: done })).alert, '');
      assert.equal(await claimsOf(seat), 1);
      assert.equal(new Set(posts().map(({ headers }) => headers['idempotency-key'])).size, 1);
      // Chromium itself sends a request once more where a connection that it used before is closed.
      assert.ok(posts().length === 2 || name === 'unreachable', `${posts().length}`);
    });
  }

  test('offline, then online', async () => {
    const { seat, token } = await newSeat();
    const page = await visitInvited(token);
    await page.setOfflineMode(true);
    await page.click('#button');
    await shows(page, { alert: hitches.unreachable, button: 'Try again' });
    assert.equal(await statusOf(seat), 'pending');
    await page.setOfflineMode(false);
    await page.keyboard.press('Enter');
    await shows(page, { heading: done });
    assert.equal(await statusOf(seat), 'claimed');
  });

  test('an answer that is lost is had again, at once or after a reload, and the seat claimed once', async () => {
    for (const reload of [false, true]) {
      site.reset();
      const { seat, token } = await newSeat();
      const page = await visitInvited(token);
      site.instead = async (request, response) => {
        await fetch(layer.url + request.originalUrl, { method: 'POST', body: request.body,
          headers: { 'Idempotency-Key': request.get('Idempotency-Key') } });
        request.socket.destroy();
      };
      await page.click('#button');
      await shows(page, { alert: hitches.unreachable });
      assert.equal(await statusOf(seat), 'claimed');
      site.instead = undefined;
      if (reload) {
        await page.reload();
        await shows(page, { heading: invited, button: 'Claim your seat' });
      }
      await page.click('#button');
      await shows(page, { heading: done });
      assert.equal(await claimsOf(seat), 1);
      const keys = posts().map(({ headers }) => headers['idempotency-key']);
      assert.ok(keys.length >= 2 && keys.every((key) => key === keys[0]), `${keys}`);
      // Once it is answered, a reload tells of it.
      await page.reload();
      await shows(page, { heading: remembered });
    }
  });

  test('each page that is opened has a key of its own', async () => {
    const { token } = await newSeat();
    for (let n = 0; n < 2; n += 1) {
      const page = await visitInvited(token);
      site.instead = answer(503, {});
      await page.click('#button');
      await shows(page, { alert: hitches.unavailable });
      site.instead = undefined;
    }
    assert.equal(new Set(posts().map(({ headers }) => headers['idempotency-key'])).size, 2);
  });

  test('the token leaves the address bar, is in no referrer, and a reload still works', async () => {
    const { token } = await newSeat();
    const page = await visitInvited(`${token}).`);
    assert.equal(page.url(), `${site.url}/claim`);
    await page.reload();
    await shows(page, { heading: invited });
    await page.click('#button');
    await shows(page, { heading: done });
    assert.equal(site.requests[0].url, '/claim');
    for (const { url, headers } of site.requests) {
      assert.equal(headers.referer, undefined);
      if (!url.startsWith('/v1/customer-seats/claim/')) assert.doesNotMatch(url, /seats_inv_/);
      assert.doesNotMatch(JSON.stringify({ ...headers }), /seats_inv_/);
    }
    assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, '']);
  });

  // What mail gateways and mail programs make of a link to /claim#TOKEN, and the path that is left of it.
  const halves = (token) => [token.slice(0, 30), token.slice(30)];
  const forms = {
    'Safe Links: %23': [(token) => `/claim%23${token}`],
    'encoded twice': [(token) => `/claim%2523${token}`],
    'encoded three times, with a slash': [(token) => `/claim/%252523${token}`],
    'all of the token encoded': [(token) => `/claim%23${token.replace(/./g, (letter) => `%${letter.charCodeAt(0).toString(16)}`)}`],
    'a path': [(token) => `/claim/${token}`],
    'a query': [(token) => `/claim?token=${token}`],
    'a query among others': [(token) => `/claim/?utm_source=mail&t=${token}&x=1#top`, '/claim/'],
    'a query that is encoded': [(token) => `/claim%3Ftoken%3D${token}`],
    'a fragment behind a query': [(token) => `/claim?fbclid=1#${token}`],
    'a fragment that is encoded': [(token) => `/claim#%23token%3D${token}%26x`],
    'brackets around it': [(token) => `/claim#%3C${token}%3E`],
    'the end of a sentence': [(token) => `/claim%23${token}).%22`],
    'a blank and a line break in it': [(token) => `/claim#${halves(token).join('%20%0D%0A')}`],
    'a line break of quoted-printable in it': [(token) => `/claim%23${halves(token).join('=%0D%0A')}`],
    'the = of quoted-printable in it': [(token) => `/claim?token=3D${halves(token).join('=')}`],
    'characters that nobody sees': [(token) => `/claim#\u2060${halves(token).join('\u00ad\u200b')}\ufeff`],
  };
  for (const [what, [form, path = '/claim']] of Object.entries(forms)) {
    test(`the token is found, and leaves the address: ${what}`, async () => {
      const { seat, token } = await newSeat();
      const page = await windows.open();
      await page.goto(site.url + form(token));
      await shows(page, { heading: invited, busy: 'false' });
      assert.equal(page.url(), site.url + path);
      await page.reload();
      await shows(page, { heading: invited, busy: 'false' });
      await page.click('#button');
      await shows(page, { heading: done });
      assert.equal(await statusOf(seat), 'claimed');
      // What the first request had, none after it has, but those to the API.
      for (const { url, headers } of site.requests.slice(1).filter((request) => !request.url.startsWith('/v1/'))) {
        assert.doesNotMatch(url + JSON.stringify(headers), /seats_inv_|%73%65/);
      }
      assert.deepEqual(site.requests.filter(({ headers }) => headers.referer !== undefined), []);
    });
  }

  test('after a claim, a reload, Back and Back to it from elsewhere tell that the seat was claimed, and keep no token', async () => {
    for (const where of [null, '/welcome']) {
      site.reset(where ? { continue: where } : {});
      const { token } = await newSeat();
      const page = await visitInvited(token);
      await page.click('#button');
      await shows(page, { heading: done });
      const recalls = async () => {
        const { title, text, details, button, note, form, alert, status } = await shows(page, { heading: remembered });
        assert.equal(text, 'To use Editor, sign in to Acme if you are not signed in yet.');
        assert.deepEqual({ title, details, button, note, form, alert, status }, { title: remembered, details: '', button: '',
          note: '', form: '', alert: '', status: `${remembered}. ${text}` });
        assert.equal(await page.evaluate(() => document.querySelector('main').dataset.tone), 'good');
        assert.deepEqual(await page.evaluate(() => history.state), { claimed: { product: 'Editor', organization: 'Acme' } });
        assert.doesNotMatch(await page.evaluate(() => document.querySelector('main').innerHTML + form.elements[0].value),
          /seats_(inv|cst)_|@/);
      };
      const asked = site.requests.filter(({ url }) => url.startsWith('/v1')).length;
      await page.reload();
      await recalls();
      if (where) {
        site.reset({ continue: where });
        const other = await newSeat();
        await page.goto(`${site.url}/claim#${other.token}`);
        await shows(page, { heading: invited, busy: 'false' });
        await page.click('#button');
        await shows(page, { heading: done });
        await Promise.all([page.waitForNavigation(), page.click('#form button')]);
        await page.goBack();
        await recalls();
      } else {
        await page.goto(`${site.url}/`);
        await page.goBack();
        await recalls();
        // It asks nobody for that.
        assert.equal(site.requests.filter(({ url }) => url.startsWith('/v1')).length, asked);
        // The link itself, opened again, cannot tell who claimed; and says so without alarm.
        await page.goto(`${site.url}/claim#${token}`);
        await shows(page, { heading: endings.closed[0] });
        assert.equal(await page.evaluate(() => document.querySelector('main').dataset.tone), 'open');
      }
    }
  });

  test('another link in the same tab, and back', async () => {
    const [first, second] = [await newSeat(), await newSeat()];
    const page = await visitInvited(first.token);
    await page.goto(`${site.url}/claim#${second.token}`);
    const has = (email) => shows(page, { heading: invited, details: `Product\nEditor\nOffered by\nAcme\nReserved for\n${email}` });
    await has(second.email);
    assert.equal(page.url(), `${site.url}/claim`);
    await page.goBack();
    await has(first.email);
  });

  test('names with markup are text', async () => {
    const subscription = await shop.sell('subscriptions', 1);
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;{{1}}';
    await shop.query(`UPDATE seats.products AS p SET name = $2 FROM seats.subscriptions AS s
      WHERE s.id = $1 AND s.product_id = p.id`, [subscription, hostile]);
    await shop.query('UPDATE seats.organizations SET name = $2 WHERE id = $1', [shop.organization, hostile]);
    const { token } = await shop.assign(subscription);
    try {
      const page = await visit(token);
      const { details, text, title } = await shows(page, { heading: `You’re invited to ${hostile}` });
      assert.equal(details.split(hostile).length, 3);
      assert.equal(text, `${hostile} has a seat for you.`);
      assert.equal(title, `You’re invited to ${hostile}`);
      await page.click('#button');
      await shows(page, { text: `Sign in to ${hostile} to use ${hostile}. You can close this page.` });
      assert.equal(await page.evaluate(() => document.querySelectorAll('img, main script').length), 0);
    } finally {
      await shop.query("UPDATE seats.organizations SET name = 'Acme' WHERE id = $1", [shop.organization]);
    }
  });

  test('no row for an address where there is none', async () => {
    const subscription = await shop.sell('subscriptions', 1);
    const customer = await shop.insert('customers', { organization_id: shop.organization, external_id: randomUUID() });
    const [{ token }] = await shop.query(
      'SELECT invitation_token AS token FROM seats.assign_seat($1, customer_id => $2)', [subscription, customer]);
    const page = await visitInvited(token);
    assert.equal((await state(page)).details, 'Product\nEditor\nOffered by\nAcme');
  });

  test('its policy allows its own style and script and no other', async () => {
    const hash = (element) => createHash('sha256').update(
      new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(claimPage)[1]).digest('base64');
    const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(claimPage);
    assert.deepEqual(policy.split(';').map((directive) => directive.trim()), ["default-src 'none'",
      `style-src 'sha256-${hash('style')}'`, `script-src 'sha256-${hash('script')}'`, "connect-src 'self'",
      "form-action 'self'", 'img-src data:', "base-uri 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"]);
    assert.doesNotMatch(claimPage, / style=| on[a-z]+=|<link rel="stylesheet|<script src/);
    const page = await visitInvited((await newSeat()).token);
    await page.evaluate(() => {
      const script = document.createElement('script');
      try { script.text = 'document.title = 1'; } catch { /* a trusted type is required */ }
      document.body.append(script);
      return fetch('https://elsewhere.example/').catch(() => {});
    });
    assert.equal((await state(page)).title, invited);
    const faults = await windows.close();
    assert.ok(faults.length > 0 && faults.every((fault) => /Content Security Policy|TrustedScript|Fetch API/.test(fault)), `${faults}`);
  });

  test('where data-continue is set: the session token goes there in a body, and a cookie keeps it', async () => {
    site.reset({ continue: '/welcome' });
    const { token } = await newSeat();
    const page = await visitInvited(token);
    assert.equal((await state(page)).form, '');
    await page.click('#button');
    const { text, form } = await shows(page, { heading: done });
    assert.deepEqual([text, form], ['You can use Editor now.', 'Continue']);
    await Promise.all([page.waitForNavigation(), page.click('#form button')]);
    assert.equal(page.url(), `${site.url}/`);
    const [cookie] = await page.browserContext().cookies();
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite], ['__Host-session', true, true, 'Lax']);
    assert.match(await shop.whoIs(cookie.value), /^[0-9a-f-]{36}$/);
    for (const { url } of site.requests) assert.doesNotMatch(url, /seats_cst_/);
    // Another site's form signs nobody in.
    const response = await fetch(`${site.url}/welcome`, { method: 'POST', headers: { 'Sec-Fetch-Site': 'cross-site' } });
    assert.equal(response.status, 403);
    const readme = readFileSync(new URL('../../examples/claim-page/README.md', import.meta.url), 'utf8');
    const source = readFileSync(new URL('lib/site.mjs', import.meta.url), 'utf8');
    const [, code] = /docs:begin\n(.*?)\n *\/\/ docs:end/s.exec(source);
    assert.ok(readme.includes(code.replace(/^ {2}/gm, '')), 'README.md has this code otherwise');
  });

  test('without JavaScript it says that it needs it', async () => {
    const page = await windows.open();
    await page.setJavaScriptEnabled(false);
    await page.goto(`${site.url}/claim#${(await newSeat()).token}`);
    const all = await nodes(page);
    assert.match(all('StaticText').map(({ name }) => name).join(' '), /^Your invitation This page needs JavaScript .*\.$/);
    assert.equal(all('button').length, 0);
    assert.deepEqual(site.requests.map(({ url }) => url), ['/claim']);
  });

  // Each way that the page can look, and how it gets there from a token that can be claimed.
  const press = (heading) => async (page) => {
    await page.click('#button');
    await shows(page, { heading });
  };
  const looks = {
    'looking up': { instead: () => {}, reach: (page) => shows(page, { busy: 'true' }) },
    invited: { reach: (page) => shows(page, { heading: invited }) },
    claiming: { reach: async (page) => {
      await shows(page, { heading: invited });
      site.instead = () => {};
      await page.click('#button');
      await shows(page, { busy: 'true' });
    } },
    done: { reach: async (page) => {
      await shows(page, { heading: invited });
      await press(done)(page);
    } },
    recalled: { reach: async (page) => {
      await shows(page, { heading: invited });
      await press(done)(page);
      await page.reload();
      await shows(page, { heading: remembered });
    } },
    // The other endings differ in words only.
    ...Object.fromEntries(['closed', 'seat_based_pricing_not_enabled'].map((name) => [name, {
      instead: answer(400, { reason: name }),
      reach: (page) => shows(page, { heading: endings[name][0] }),
    }])),
    hitch: { instead: answer(503, {}), reach: (page) => shows(page, { alert: hitches.unavailable }) },
    'hitch after a click': { reach: async (page) => {
      await shows(page, { heading: invited });
      site.instead = answer(429, {});
      await page.click('#button');
      await shows(page, { alert: hitches.busy });
    } },
  };
  for (const [name, { instead, reach }] of Object.entries(looks)) {
    test(`accessible in light and dark, and fits a phone: ${name}`, async () => {
      site.reset({ continue: '/welcome' });
      const backgrounds = [];
      for (const scheme of ['light', 'dark']) {
        site.instead = instead;
        const { token } = await newSeat(`${'long'.repeat(12)}.${randomUUID()}@example.com`);
        const page = await visit(token, { scheme, width: 320, height: 568, isMobile: true, 'prefers-reduced-motion': 'reduce' });
        await reach(page);
        backgrounds.push(await page.evaluate(() => getComputedStyle(document.querySelector('main')).backgroundColor));
        await assertAccessible(page);
        site.instead = undefined;
      }
      assert.notEqual(backgrounds[0], backgrounds[1]);
    });
  }

  test('pictures for the README', { skip: !process.env.SCREENSHOTS && 'SCREENSHOTS names no directory' }, async () => {
    site.reset({ continue: '/welcome' });
    const pictures = [];
    for (const [scheme, click] of [['light', false], ['dark', true]]) {
      const { token } = await newSeat(click ? 'grace@example.com' : 'ada@example.com');
      const page = await visitInvited(token, { scheme, width: 440, height: 540, scale: 1.5 });
      if (click) await press(done)(page);
      pictures.push(await page.screenshot({ encoding: 'base64' }));
    }
    const page = await windows.open({ width: 880, height: 540, scale: 1.5 });
    await page.setContent(`<body style="margin: 0; display: flex">${pictures.map((picture) =>
      `<img width="440" src="data:image/png;base64,${picture}">`).join('')}`);
    writeFileSync(join(process.env.SCREENSHOTS, 'claim-page.png'), await page.screenshot());
  });
});
