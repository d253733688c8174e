// examples/team-page in Chromium, over examples/node.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { Windows, assertAccessible, nodes, setPatience, skip, startBrowser } from './lib/browser.mjs';
import { startNode } from './lib/node-layer.mjs';
import { Shop } from './lib/shop.mjs';
import { startSite, teamPage } from './lib/site.mjs';
import { button, buy as buyFor, fill, linkAt, send, shows, state } from './lib/team-page.mjs';

// What the page says in each case: a heading, and a part of the text.
const endings = {
  incomplete: ['This link is not complete', 'open this page from there again.'],
  signed_out: ['You are signed out', 'Sign in again to go on.'],
  subscription_not_found: ['There are no seats to manage here', 'The subscription does not exist any more, or another account pays'],
  order_not_found: ['There are no seats to manage here', 'The order does not exist any more, or another account paid'],
  forbidden: ['You cannot manage seats here', 'Your account has no right to do so.'],
  seat_based_pricing_not_enabled: ['Seats are not available', 'The seller does not offer seats at present.'],
};
const refusals = {
  no_available_seats: 'No seat is free. Revoke one or buy more, then send again.',
  subscription_not_active: 'Nobody can be invited while the subscription is paused, unpaid or ended. Check its payment first.',
  order_not_paid: 'Nobody can be invited, because the order is not paid or was refunded.',
  seat_suspended: 'The subscription is paused or unpaid, and the seats with it. Invitations can be sent again once it is active.',
  seat_not_pending: 'There is no open invitation any more: it was accepted or revoked in the meantime.',
};
const hitches = {
  busy: 'Too many requests just now. Wait a minute, then try again.',
  unexpected: 'Something went wrong. Try again, and if it stays so, tell whoever sold you the seats.',
  unreachable: 'No connection. Check that you are online, then try again.',
  timeout: 'No answer came in time.',
  unavailable: 'The service has a problem just now. It is not your fault: try again in a few minutes.',
};
const again = {
  load: 'Trying again is safe.',
  invite: 'Trying again is safe: nobody is invited twice.',
  resend: 'If you try again, a second e-mail may arrive; only the link in the latest one works.',
  revoke: 'Trying again is safe: a seat is revoked only once.',
  make: 'If a link was made, it is in the list, but nobody has its address: revoke it, and make another one.',
  revokeLink: 'Trying again is safe: a link is revoked only once.',
};
const markup = '<script>alert(1)</script><h1>Internal</h1>';
const answer = (status, body) => (request, response) => response.status(status).send(body);
// What else can be answered, by nginx or anything between: bodies are never shown.
const answers = {
  '429 in HTML': [answer(429, markup), 'busy', false],
  500: [answer(500, { error: markup, reason: 'no_available_seats' }), 'unavailable', true],
  '502 in HTML': [answer(502, markup), 'unavailable', true],
  '404 without a reason': [answer(404, { error: 'NotFound', detail: markup }), 'unexpected', false],
  '400 with a reason that is none': [answer(400, { detail: markup, reason: 'constructor' }), 'unexpected', false],
  '200 with no JSON': [answer(200, markup), 'unexpected', false],
  'a lost connection': [(request) => request.socket.destroy(), 'unreachable', true],
  'no answer': [() => {}, 'timeout', true],
};

describe('The team page', { skip }, () => {
  let shop, layer, site, browser, windows;
  before(async () => {
    shop = await Shop.open('http_team_page');
    layer = await startNode(shop);
    site = await startSite(layer, 'team');
    browser = await startBrowser();
    windows = new Windows(browser, site.url);
  });
  after(async () => {
    await browser?.close();
    site?.stop();
    await layer?.stop();
    await shop?.close();
  });
  beforeEach(() => site.reset({ 'sign-in': '/sign-in' }));
  afterEach(async () => assert.deepEqual(await windows.close(), []));

  const buy = (seats, options) => buyFor(shop, seats, options);
  // Invites an address, or several, past the page.
  const assign = async ({ kind, id }, email = `${randomUUID()}@example.com`) => {
    const [{ seat, token }] = await shop.query(
      `SELECT (seat).id AS seat, invitation_token AS token FROM seats.assign_seat(${kind}_id => $1, email => $2)`, [id, email]);
    return { seat, token, email };
  };
  const claim = ({ token }) => shop.query('SELECT seats.claim_seat($1)', [token]);
  const revoke = ({ seat }) => shop.query('SELECT seats.revoke_seat($1)', [seat]);
  const seatsOf = ({ kind, id }) => shop.query(`SELECT customer_email AS email, status FROM seats.customer_seats
    WHERE ${kind}_id = $1 AND status <> 'revoked' ORDER BY created_at, id`, [id]);
  const eventsOf = ({ seat }, type) => shop.query(
    'SELECT metadata FROM seats.events WHERE seat_id = $1 AND type = $2', [seat, `customer_seat.${type}`]);
  const askedFor = (method) => site.requests.filter((request) => request.method === method && request.url.startsWith('/v1'));

  const linkTo = (bought) => linkAt(site.url, bought);
  const visit = async (link, options) => {
    const page = await windows.open({ width: 900, height: 1000, ...options });
    await page.goto(link);
    return page;
  };
  // The page of a purchase, once its list is there.
  const visitTeam = async (bought, options) => {
    const page = await visit(linkTo(bought), options);
    await shows(page, { busy: 'false', heading: 'Your team', text: `The seats of your ${bought.kind}` });
    return page;
  };
  const said = (page, { seat }) => page.evaluate((id) => document.getElementById(id)?.querySelector('.said').textContent, seat);
  // What another tab leaves behind: the page reads its list again.
  const comeBack = async (page) => {
    await Promise.all([page.waitForResponse(() => true),
      page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))]);
    await page.waitForNetworkIdle({ idleTime: 100 });
  };

  test('shows the seats, who has them, and whose invitation is open or expired', async () => {
    const bought = await buy(10);
    const [ada, open, late, gone] = [await assign(bought, `ada.${randomUUID()}@example.com`), await assign(bought),
      await assign(bought), await assign(bought)];
    await claim(ada);
    await shop.query("UPDATE seats.customers SET name = 'Ada Lovelace' WHERE email = $1", [ada.email]);
    await shop.expire(late.seat);
    await revoke(gone);
    const contents = await shop.contents();
    const page = await visitTeam(bought);
    const seen = await state(page);
    assert.deepEqual([seen.numbers, seen.members, seen.invited], ['10 4 6', '2 members', '2 invited, 1 of them expired']);
    assert.equal(seen.status, '10 bought, 4 used, 6 free.');
    assert.equal(seen.invitedRows.length, 2);
    assert.match(seen.invitedRows[0], new RegExp(`^${late.email} Expired \\w{3} \\d+, \\d{4}, \\d+:\\d\\d [AP]M Send again Revoke$`));
    assert.match(seen.invitedRows[1], new RegExp(`^${open.email} Invited until \\w{3} \\d+, \\d{4}, \\d+:\\d\\d [AP]M Send again Revoke$`));
    assert.equal(seen.memberRows.length, 2);
    assert.match(seen.memberRows[0], new RegExp(`^Maya Okafor Owner ${bought.email} Since \\w{3} \\d+, \\d{4} Revoke$`));
    assert.match(seen.memberRows[1], new RegExp(`^Ada Lovelace ${ada.email} Since`));
    assert.deepEqual(await page.$$eval('.owner', (tags) => tags.map((tag) => tag.checkVisibility())), [false, false, true, false]);
    const [{ end }] = await shop.query('SELECT invitation_token_expires_at AS end FROM seats.customer_seats WHERE id = $1', [open.seat]);
    assert.equal(Date.parse(await page.$eval(`[id="${open.seat}"] time`, ({ dateTime }) => dateTime)), end.getTime());
    assert.deepEqual(await shop.contents(), contents);
  });

  test('the session leaves the address bar, is in no address or storage, and a reload still works', async () => {
    const bought = await buy(3, { kind: 'order' });
    const page = await visitTeam(bought);
    assert.equal(page.url(), `${site.url}/team`);
    await page.reload();
    await shows(page, { heading: 'Your team', numbers: '3 1 2' });
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.doesNotMatch(kept, /seats_cst_/);
    for (const { url, headers } of site.requests) {
      assert.doesNotMatch(url, /seats_cst_/);
      assert.equal(headers.referer, undefined);
      if (url.startsWith('/v1')) assert.equal(headers.authorization, `Bearer ${bought.session}`);
    }
  });

  test('another link in the same tab, and back', async () => {
    const [first, second] = [await buy(2), await buy(5)];
    const page = await visitTeam(first);
    await page.goto(linkTo(second));
    await shows(page, { numbers: '5 1 4' });
    assert.equal(page.url(), `${site.url}/team`);
    await page.goBack();
    await shows(page, { numbers: '2 1 1' });
  });

  // Each of these is so when the link is opened.
  const uuid = randomUUID();
  const links = {
    'nothing after #': [() => '', 'incomplete'],
    'no session': [({ id }) => `#subscription=${id}`, 'incomplete'],
    'an empty session': [({ id }) => `#subscription=${id}&session=`, 'incomplete'],
    'a session that no header can hold': [({ id }) => `#subscription=${id}&session=a%0Ab`, 'incomplete'],
    'no purchase': [({ session }) => `#session=${session}`, 'incomplete'],
    'a purchase that is no UUID': [({ session }) => `#subscription=1&session=${session}`, 'incomplete'],
    'an unknown subscription': [({ session }) => `#subscription=${uuid}&session=${session}`, 'subscription_not_found'],
    'an unknown order': [({ session }) => `#order=${uuid}&session=${session}`, 'order_not_found'],
    "another's subscription": [async ({ session }) => `#subscription=${(await buy(1)).id}&session=${session}`, 'subscription_not_found'],
    'a session that has ended': [async ({ id, session }) => {
      await shop.query('SELECT seats.end_session($1)', [session]);
      return `#subscription=${id}&session=${session}`;
    }, 'signed_out'],
    'a session of nobody': [({ id }) => `#subscription=${id}&session=seats_cst_x`, 'signed_out'],
  };
  for (const [what, [prepare, name]] of Object.entries(links)) {
    test(`a link that cannot be used: ${what}`, async () => {
      const page = await visit(`${site.url}/team${await prepare(await buy(1))}`);
      const [heading, words] = endings[name];
      const { text, title, focus, status, numbers, send: button1, signIn } = await shows(page, { heading });
      assert.ok(text.includes(words), text);
      assert.deepEqual({ title, focus, status, numbers, button1, signIn },
        { title: heading, focus: 'body', status: `${heading}. ${text}`, numbers: '', button1: '', signIn: 'Sign in' });
      assert.equal(await page.$eval('#sign-in', ({ href }) => href), `${site.url}/sign-in`);
      if (name === 'incomplete') assert.deepEqual(askedFor('GET'), []);
    });
  }

  test('no link to sign in where data-sign-in names none, or where that does not help', async () => {
    site.reset();
    assert.equal((await shows(await visit(`${site.url}/team`), { heading: endings.incomplete[0] })).signIn, '');
    site.reset({ 'sign-in': '/sign-in' });
    const organization = await shop.insert('organizations', { name: 'Late', slug: randomUUID(), seat_based_pricing_enabled: true });
    const bought = await buy(2, { organization });
    await shop.query('UPDATE seats.organizations SET seat_based_pricing_enabled = false WHERE id = $1', [organization]);
    const page = await visit(linkTo(bought));
    assert.equal((await shows(page, { heading: endings.seat_based_pricing_not_enabled[0] })).signIn, '');
  });

  test('invites one person, whose mail is left to the application: no token comes here', async () => {
    const bought = await buy(3);
    const page = await visitTeam(bought);
    const answered = page.waitForResponse((response) => response.request().method() === 'POST');
    await send(page, 'ada@example.com');
    const seen = await shows(page, { sent: 'The invitation to ada@example.com is on its way.', send: 'Send invitation' });
    assert.deepEqual([seen.unsent, seen.field, seen.focus, seen.numbers, seen.invited],
      ['', '', 'What became of it', '3 2 1', '1 invited']);
    assert.match(seen.invitedRows[0], /^ada@example.com Invited until/);
    assert.deepEqual((await seatsOf(bought)).map(({ status }) => status), ['claimed', 'pending']);
    const seat = await page.$eval('#invited li', ({ id }) => id);
    assert.equal((await eventsOf({ seat }, 'assigned'))[0].metadata.invitation, 'unsent');
    const invitation = await (await answered).text();
    assert.equal(JSON.parse(invitation).id, seat);
    assert.doesNotMatch(invitation, /seats_inv_/);
  });

  test('reads a list as people paste it', async () => {
    const page = await visitTeam(await buy(1));
    const lists = {
      'a@x.example': ['a@x.example'],
      'a@x.example, b@x.example;c@x.example\nd@x.example\r\n\n;;': ['a', 'b', 'c', 'd'].map((name) => `${name}@x.example`),
      'Ada <a@x.example>, "Hopper, Grace" <b@x.example>; Turing, Alan <c@x.example>; <d@x.example>':
        ['a', 'b', 'c', 'd'].map((name) => `${name}@x.example`),
      'a@x.example b@x.example\tc@x.example': ['a@x.example', 'b@x.example', 'c@x.example'],
      'Ada Lovelace\ta@x.example': ['a@x.example'],
      'a@x.example, A@X.example': ['a@x.example'],
      '"a@x.example","b@x.example"': ['a@x.example', 'b@x.example'],
      'mailto:a@x.example\n<mailto:b@x.example>': ['a@x.example', 'b@x.example'],
      '\u202aa@x.example\u202c, \u200bb@x.example\u00a0': ['a@x.example', 'b@x.example'],
      'nonsense, Ada <a@x.example>, b@x.example': ['nonsense', 'a@x.example', 'b@x.example'],
      'ax.example, Ada <a@x.example>': ['ax.example', 'a@x.example'],
      'a @ x.example; a@; <>': ['a @ x.example', 'a@', '<>'],
      ' ,\n': [],
    };
    for (const [text, addresses] of Object.entries(lists)) {
      assert.deepEqual(await page.evaluate((list) => parse(list), text), addresses, text);
    }
    await fill(page, 'a@x.example, b@x.example');
    const { hint, send: label } = await state(page);
    assert.deepEqual([hint, label], ['2 addresses, 0 free seats.', 'Send 2 invitations']);
    // A long text without a separator takes no longer than reading it.
    assert.equal(await page.evaluate(() => parse('a'.repeat(200000)).length), 1);
  });

  test('a list is sent in order; what fails is explained, stays in the field, and is sent next time', async () => {
    const bought = await buy(10);
    const known = await assign(bought);
    const page = await visitTeam(bought);
    await send(page, `one@example.com, ${known.email}; nonsense\nTwo <two@example.com>, bad@(x), three@example.com`);
    const seen = await shows(page, { sent: '3 invitations are on their way.' });
    assert.deepEqual([seen.unsent, seen.faults, seen.field, seen.focus], ['3 addresses were not invited:', [
      `${known.email} has a seat or an invitation already, see below.`,
      'nonsense is not a valid e-mail address. Check the spelling.',
      'bad@(x) is not a valid e-mail address. Check the spelling.',
    ], `${known.email}\nnonsense\nbad@(x)`, 'What became of it']);
    assert.equal(await page.$eval('#field', ({ ariaInvalid }) => ariaInvalid), 'true');
    assert.deepEqual((await seatsOf(bought)).slice(2).map(({ email }) => email), ['one@example.com', 'two@example.com', 'three@example.com']);
    assert.equal(askedFor('POST').length, 5);
    await send(page, 'bad@example.com');
    await shows(page, { sent: 'The invitation to bad@example.com is on its way.', unsent: '', faults: [], field: '', numbers: '10 6 4' });
  });

  test('a list longer than the seats: the rest stays in the field', async () => {
    const bought = await buy(3);
    const page = await visitTeam(bought);
    await fill(page, 'a@example.com, b@example.com, c@example.com, d@example.com');
    assert.equal((await state(page)).hint, '4 addresses, 2 free seats. They are invited in this order. If no seat is left, the rest stay in the field.');
    await page.click('#send');
    const seen = await shows(page, { sent: '2 invitations are on their way.', numbers: '3 3 0' });
    assert.deepEqual([seen.unsent, seen.field], [`${refusals.no_available_seats} 2 addresses are still in the field.`,
      'c@example.com\nd@example.com']);
    assert.equal(askedFor('POST').length, 3);
  });

  test('a list longer than the free seats, whose number grows', async () => {
    const bought = await buy(3);
    await shop.query('UPDATE seats.subscriptions SET seats_limit = 4 WHERE id = $1', [bought.id]);
    const page = await visitTeam(bought);
    await send(page, 'a@example.com, b@example.com, c@example.com, d@example.com');
    const seen = await shows(page, { sent: '3 invitations are on their way.', numbers: '4 4 0' });
    assert.deepEqual([seen.unsent, seen.field], [`${refusals.no_available_seats} 1 address is still in the field.`, 'd@example.com']);
  });

  test('fewer seats are planned for the next period: no more than those are free, and the page says why', async () => {
    const bought = await buy(8);
    const invited = [await assign(bought), await assign(bought), await assign(bought)];
    await shop.query('UPDATE seats.subscriptions SET seats_next = 4, seats_limit = 10 WHERE id = $1', [bought.id]);
    const page = await visitTeam(bought);
    const why = '4 seats cannot be assigned any more, because you pay for fewer from the next period on.';
    await shows(page, { numbers: '8 4 0',
      hint: `Paste as many as you like, separated by commas, semicolons or line breaks. ${why}` });
    await send(page, 'ada@example.com');
    await shows(page, { unsent: `${refusals.no_available_seats} 1 address is still in the field.`, numbers: '8 4 0',
      hint: `1 address, 0 free seats. ${why}`, field: 'ada@example.com' });
    assert.equal((await seatsOf(bought)).length, 4);
    await revoke(invited[0]);
    await comeBack(page);
    await shows(page, { numbers: '8 3 1', hint: `1 address, 1 free seat. ${why}` });
    await page.click('#send');
    await shows(page, { sent: 'The invitation to ada@example.com is on its way.', numbers: '8 4 0' });
  });

  test('an empty field', async () => {
    const page = await visitTeam(await buy(2));
    await page.click('#send');
    const { focus } = await shows(page, { unsent: 'Type or paste an address first.' });
    assert.equal(focus, 'field');
    assert.deepEqual(askedFor('POST'), []);
  });

  // Each of these happens between the look and the click.
  const changes = {
    no_available_seats: ['subscription', (bought) => assign(bought)],
    subscription_not_active: ['subscription', ({ id }) => shop.setStatus(id, 'paused')],
    order_not_paid: ['order', ({ id }) => shop.query("UPDATE seats.orders SET status = 'pending' WHERE id = $1", [id])],
  };
  for (const [reason, [kind, change]] of Object.entries(changes)) {
    test(`an invitation that is refused: ${reason}`, async () => {
      const bought = await buy(2, { kind });
      // Pausing ends the session of a seat of the same subscription.
      const page = await visitTeam({ ...bought, session: await otherSession(bought) });
      await change(bought);
      await send(page, 'ada@example.com');
      const seen = await shows(page, { unsent: `${refusals[reason]} 1 address is still in the field.` });
      assert.deepEqual([seen.sent, seen.faults, seen.field, seen.focus], ['', [], 'ada@example.com', 'What became of it']);
    });
  }
  // A session of the same payer, by a seat of another purchase.
  const otherSession = async ({ customer }) => {
    const id = await shop.insert('subscriptions', { organization_id: shop.organization, customer_id: customer, seats: 1, status: 'active',
      product_id: await shop.insert('products', { organization_id: shop.organization, name: 'Editor' }) });
    const [{ session }] = await shop.query(`SELECT c.customer_session_token AS session
      FROM seats.assign_seat($1, customer_id => $2) AS a, seats.claim_seat(a.invitation_token) AS c`, [id, customer]);
    return session;
  };

  test('progress, and a stop after what is being sent', async () => {
    const bought = await buy(10);
    const page = await visitTeam(bought);
    const goOn = site.hold(() => askedFor('POST').length === 2);
    await send(page, 'a@example.com, b@example.com, c@example.com');
    await shows(page, { send: 'Sending 2 of 3…', stop: 'Stop', status: 'Sending…' });
    assert.equal(await page.$eval('#field', ({ readOnly }) => readOnly), true);
    await page.click('#stop');
    goOn();
    const seen = await shows(page, { sent: '2 invitations are on their way.', stop: '' });
    assert.deepEqual([seen.unsent, seen.field, seen.focus],
      ['Stopped. 1 address is still in the field.', 'c@example.com', 'What became of it']);
    assert.equal((await seatsOf(bought)).length, 3);
  });

  test('however often it is clicked, it asks once', async () => {
    const bought = await buy(5);
    const pending = await assign(bought);
    const page = await visitTeam(bought);
    const goOn = site.hold();
    await fill(page, 'ada@example.com');
    const press = (selector) => page.evaluate((element) => {
      for (let n = 0; n < 5; n += 1) document.querySelector(element).click();
    }, selector);
    await press('#send');
    await press(button('resend', pending));
    goOn();
    await shows(page, { sent: 'The invitation to ada@example.com is on its way.' });
    await page.waitForFunction((id) => document.getElementById(id).querySelector('.said').textContent, {}, pending.seat);
    assert.equal(askedFor('POST').length, 2);
  });

  test('sends again, which ends the old link', async () => {
    const bought = await buy(3);
    const late = await assign(bought);
    await shop.expire(late.seat);
    const page = await visitTeam(bought);
    await page.click(button('resend', late));
    const seen = await shows(page, { status: `${late.email}: The invitation is on its way.`, invited: '1 invited' });
    assert.equal(await said(page, late), 'The invitation is on its way.');
    assert.equal(seen.focus, `Send again to ${late.email}`);
    assert.match(seen.invitedRows[0], / Invited until /);
    assert.equal((await eventsOf(late, 'invitation_resent'))[0].metadata.invitation, 'unsent');
    await assert.rejects(claim(late), /Invalid, expired, or already claimed token/);
  });

  test('sending again is refused: the subscription is paused', async () => {
    const bought = await buy(3);
    const pending = await assign(bought);
    const page = await visitTeam({ ...bought, session: await otherSession(bought) });
    await shop.setStatus(bought.id, 'paused');
    await page.click(button('resend', pending));
    await shows(page, { status: `${pending.email}: ${refusals.seat_suspended}`, focus: `Send again to ${pending.email}` });
    assert.equal(await said(page, pending), refusals.seat_suspended);
  });

  test('sending again is refused: the seat was claimed in the meantime, and is among the members then', async () => {
    const bought = await buy(3);
    const pending = await assign(bought);
    const page = await visitTeam(bought);
    await claim(pending);
    await page.click(button('resend', pending));
    const { focus, memberRows } = await shows(page, { members: '2 members', invited: '0 invited' });
    assert.equal(focus, `Revoke the seat of ${pending.email}`);
    assert.equal(memberRows.length, 2);
    assert.equal(await said(page, pending), refusals.seat_not_pending);
  });

  test('a seat that is gone leaves the list, and the focus goes on', async () => {
    const bought = await buy(3);
    const [first, second] = [await assign(bought), await assign(bought)];
    const page = await visitTeam(bought);
    await revoke(second);
    await shop.query('DELETE FROM seats.customer_seats WHERE id = $1', [second.seat]);
    await page.click(button('resend', second));
    const { focus, status } = await shows(page, { invited: '1 invited' });
    assert.equal(focus, `Revoke the seat of ${first.email}`);
    assert.match(status, /This seat does not exist any more/);
  });

  test('revokes after a second look', async () => {
    const bought = await buy(5);
    const [ada, pending] = [await assign(bought), await assign(bought)];
    await claim(ada);
    const page = await visitTeam(bought);
    await page.click(button('revoke', ada));
    const asked = await shows(page, { question: 'Revoke this seat?' });
    assert.deepEqual([asked.whose, asked.consequence, asked.focus], [ada.email, 'They lose access at once, on all their devices. '
      + 'The seat is free for somebody else then. To give it back, you have to invite them again.', 'keep']);
    await page.keyboard.press('Escape');
    assert.equal((await shows(page, { question: '' })).focus, `Revoke the seat of ${ada.email}`);
    await page.click(button('revoke', ada));
    await page.click('#keep');
    await shows(page, { question: '', focus: `Revoke the seat of ${ada.email}` });
    assert.deepEqual(askedFor('DELETE'), []);

    await page.click(button('revoke', pending));
    await shows(page, { question: 'Revoke this invitation?' });
    await page.keyboard.press('Escape');
    await shows(page, { question: '' });
    await page.click(button('revoke', ada));
    await page.click('#revoke');
    const seen = await shows(page, { numbers: '5 2 3', question: '' });
    assert.deepEqual([seen.status, seen.focus, seen.memberRows.length],
      [`${ada.email}: The seat is free again.`, 'Revoke the seat of Maya Okafor, ' + bought.email, 1]);
    assert.deepEqual((await seatsOf(bought)).map(({ email }) => email), [bought.email, pending.email]);
  });

  test("one's own seat: a warning, and then one is signed out", async () => {
    const bought = await buy(2);
    const page = await visitTeam(bought);
    await page.click(button('revoke', bought));
    assert.match((await shows(page, { question: 'Revoke this seat?' })).consequence, /This is your own seat: you may be signed out here, too\./);
    await page.click('#revoke');
    const seen = await shows(page, { numbers: '2 0 2', none: 'Nobody has a seat yet. Invite the first person above.' });
    assert.equal(seen.focus, 'people-heading');
    await send(page, 'ada@example.com');
    const { focus, signIn } = await shows(page, { heading: endings.signed_out[0] });
    assert.deepEqual([focus, signIn], ['heading', 'Sign in']);
    // After signing in, in the same tab, what was not sent is there again.
    const next = { ...bought, session: await otherSession(bought) };
    await page.goto(linkTo(next));
    await shows(page, { heading: 'Your team', field: 'ada@example.com', hint: '1 address, 2 free seats.' });
  });

  test('what was not sent outlives a reload, in the middle of a list, too', async () => {
    const bought = await buy(5);
    const page = await visitTeam(bought);
    site.instead = (request, response, forward) => (askedFor('POST').length < 3 ? forward() : undefined);
    await send(page, 'a@example.com, nonsense, b@example.com, c@example.com, d@example.com');
    await shows(page, { send: 'Sending 4 of 5…' });
    site.instead = undefined;
    await page.reload();
    await shows(page, { numbers: '5 3 2', field: 'nonsense\nc@example.com\nd@example.com' });
  });

  test('coming back to the tab shows what others have done, and touches nothing else', async () => {
    const bought = await buy(5);
    const [pending, other] = [await assign(bought), await assign(bought)];
    const page = await visitTeam(bought);
    await page.focus(button('resend', pending));
    await claim(pending);
    await comeBack(page);
    const { focus } = await shows(page, { members: '2 members', invited: '1 invited' });
    assert.equal(focus, `Revoke the seat of ${pending.email}`);
    assert.equal((await state(page)).invitedRows.length, 1);
    await page.focus(button('revoke', other));
    site.instead = answer(503, {});
    await comeBack(page);
    assert.deepEqual([(await state(page)).alert, (await state(page)).focus], ['', `Revoke the seat of ${other.email}`]);
  });

  for (const [what, [instead, name, isSaid]] of Object.entries(answers)) {
    test(`told, and another try possible: ${what}`, async () => {
      const patience = name === 'timeout' ? 0.3 : 60;
      site.reset({ timeout: patience });
      const words = (action) => (isSaid ? `${hitches[name]} ${again[action]}` : hitches[name]);
      const bought = await buy(5);
      const pending = await assign(bought);
      site.instead = instead;
      const page = await visit(linkTo(bought));
      const first = await shows(page, { alert: words('load') });
      assert.deepEqual([first.heading, first.text, first.again, first.numbers, first.busy], ['Your team', '', 'Try again', '', 'false']);
      site.instead = undefined;
      await setPatience(page, 60);
      await page.click('#again');
      const found = await shows(page, { numbers: '5 2 3', again: '' });
      assert.deepEqual([found.alert, found.focus], ['', 'heading']);

      site.instead = instead;
      await setPatience(page, patience);
      await send(page, 'ada@example.com, grace@example.com');
      const invited = await shows(page, { unsent: `${words('invite')} 2 addresses are still in the field.`, focus: 'What became of it' });
      assert.deepEqual([invited.sent, invited.field], ['', 'ada@example.com\ngrace@example.com']);
      await page.click(button('resend', pending));
      await shows(page, { status: `${pending.email}: ${words('resend')}`, focus: `Send again to ${pending.email}` });
      await page.click(button('revoke', pending));
      await page.click('#revoke');
      await shows(page, { status: `${pending.email}: ${words('revoke')}`, focus: `Revoke the seat of ${pending.email}` });
      assert.equal(await said(page, pending), words('revoke'));
      assert.doesNotMatch(await page.evaluate(() => document.querySelector('main').textContent), /Internal|NotFound/);
      assert.equal((await seatsOf(bought)).length, 2);

      site.instead = undefined;
      await setPatience(page, 60);
      await page.click('#send');
      await shows(page, { sent: '2 invitations are on their way.', unsent: '', numbers: '5 4 1' });
      await page.click(button('revoke', pending));
      await page.click('#revoke');
      await shows(page, { numbers: '5 3 2' });
    });
  }

  test('403 for another reason', async () => {
    const page = await visitTeam(await buy(2));
    site.instead = answer(403, { error: 'Forbidden', detail: markup });
    await send(page, 'ada@example.com');
    const { text, focus } = await shows(page, { heading: endings.forbidden[0] });
    assert.ok(text.includes(endings.forbidden[1]), text);
    assert.equal(focus, 'heading');
  });

  test('answers that get lost after the change was made', async () => {
    const bought = await buy(5);
    const [pending, other] = [await assign(bought), await assign(bought)];
    const page = await visitTeam(bought);
    let isLost = true;
    site.instead = async (request, response, forward) => {
      if (request.method === 'GET' || !isLost) return forward();
      // Half an answer: where there is none at all, Chromium itself asks again.
      const half = () => response.writeHead(200, { 'Content-Length': 1000 }).write('{', () => request.socket.end());
      const lost = { status: () => lost, type: () => lost, send: half };
      isLost = false;
      await forward(lost);
    };
    await send(page, 'ada@example.com, grace@example.com');
    await shows(page, { sent: '2 invitations are on their way.', unsent: '', numbers: '5 5 0' });
    assert.equal((await seatsOf(bought)).filter(({ email }) => email === 'ada@example.com').length, 1);

    isLost = true;
    await page.click(button('revoke', pending));
    await page.click('#revoke');
    await shows(page, { numbers: '5 4 1' });
    isLost = true;
    await page.click(button('resend', other));
    await shows(page, { status: `${other.email}: ${hitches.unreachable} ${again.resend}` });
    assert.equal((await eventsOf(other, 'invitation_resent')).length, 1);
  });

  test('where the browser itself asks again, nobody is told that somebody else has invited them', async () => {
    const bought = await buy(5);
    const page = await visitTeam(bought);
    site.instead = async (request, response, forward) => {
      if (askedFor('POST').length !== 1) return forward();
      await assign(bought, 'ada@example.com');
      return request.socket.destroy();
    };
    await send(page, 'ada@example.com');
    await shows(page, { sent: 'The invitation to ada@example.com is on its way.', unsent: '', numbers: '5 2 3' });
  });

  test('offline, then online', async () => {
    const bought = await buy(3);
    const page = await visitTeam(bought);
    await page.setOfflineMode(true);
    await send(page, 'ada@example.com');
    await shows(page, { unsent: `${hitches.unreachable} ${again.invite} 1 address is still in the field.` });
    await page.setOfflineMode(false);
    await page.click('#send');
    await shows(page, { sent: 'The invitation to ada@example.com is on its way.' });
  });

  test('keyboard alone', async () => {
    const bought = await buy(3);
    const pending = await assign(bought);
    const page = await visitTeam(bought);
    const press = async (key, focus) => {
      await page.keyboard.press(key);
      await shows(page, { focus });
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
    };
    await press('Tab', 'field');
    await page.keyboard.type('ada@example.com');
    await page.keyboard.down('Control');
    await page.keyboard.press('Enter');
    await page.keyboard.up('Control');
    await shows(page, { sent: 'The invitation to ada@example.com is on its way.', field: '', focus: 'field' });
    await press('Tab', 'send');
    await press('Tab', 'links-heading');
    await press('Enter', 'links-heading');
    for (const focus of ['uses', 'days', 'domains', 'make']) await press('Tab', focus);
    await press('Enter', 'copy');
    await shows(page, { make: 'Make a link', copy: 'Copy' });
    await page.keyboard.down('Shift');
    for (const focus of ['Join link', 'links-heading']) await press('Tab', focus);
    await page.keyboard.up('Shift');
    await press('Enter', 'links-heading');
    await press('Tab', 'Send again to ada@example.com');
    await press('Tab', 'Revoke the seat of ada@example.com');
    await press('Tab', `Send again to ${pending.email}`);
    await press('Enter', `Send again to ${pending.email}`);
    await shows(page, { status: `${pending.email}: The invitation is on its way.` });
    await press('Tab', `Revoke the seat of ${pending.email}`);
    await press('Enter', 'keep');
    await press('Tab', 'revoke');
    await page.keyboard.press('Enter');
    await shows(page, { numbers: '3 2 1', focus: `Revoke the seat of Maya Okafor, ${bought.email}` });
  });

  const linksOf = ({ kind, id }) => shop.query(`SELECT id, max_uses, uses, email_domains, revoked_at IS NOT NULL AS revoked,
    extract(epoch FROM expires_at - created_at)::int AS seconds FROM seats.join_links WHERE ${kind}_id = $1 ORDER BY created_at, id`, [id]);
  // Makes a link past the page.
  const newLink = async ({ kind, id }, uses = null, domains = null) => (await shop.query(`SELECT (link).id, join_token AS token
    FROM seats.create_join_link(${kind}_id => $1, max_uses => $2, email_domains => $3)`, [id, uses, domains]))[0];
  const visitLinks = async (bought, options) => {
    const page = await visitTeam(bought, options);
    await page.click('summary');
    await shows(page, { make: 'Make a link' });
    return page;
  };
  const set = (page, values) => page.evaluate((fields) => {
    for (const [id, value] of Object.entries(fields)) document.getElementById(id).value = value;
  }, values);
  const until = /until \w{3} \d+, \d{4}, \d+:\d\d [AP]M/.source;
  const revokeLink = ({ id }) => `[id="${id}"] [name=revoke]`;

  test('makes a join link, which is shown once, and copies it', async () => {
    const bought = await buy(5, { kind: 'order' });
    const page = await visitLinks(bought);
    await set(page, { uses: '3', days: '30', domains: ' @example.com, acme.example;' });
    await page.click('#make');
    const made = 'The link is made. Copy it now: it is shown only here, and only once.';
    const { linkRows, focus, make, status } = await shows(page, { linksSaid: made, make: 'Make a link' });
    assert.deepEqual([focus, make, status], ['copy', 'Make a link', made]);
    assert.equal(linkRows.length, 1);
    assert.match(linkRows[0], new RegExp(`^0 of 3 joined ${until} only at example.com, acme.example Revoke$`));
    const [link] = await linksOf(bought);
    assert.deepEqual(link, { id: link.id, uses: 0, max_uses: 3, email_domains: ['example.com', 'acme.example'], revoked: false, seconds: 30 * 24 * 3600 });
    const address = await page.$eval('#link', ({ value }) => value);
    assert.match(address, new RegExp(`^${site.url}/join#seats_jnl_[0-9A-Za-z]{55}$`));
    await page.browserContext().overridePermissions(site.url, ['clipboard-read', 'clipboard-write', 'clipboard-sanitized-write']);
    await page.keyboard.press('Enter');
    await shows(page, { copy: 'Copied', status: 'Copied' });
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), address);
    // As without HTTPS.
    await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    await page.click('#copy');
    await shows(page, { linksSaid: 'It is selected: copy it with your keyboard.' });
    assert.equal(await page.evaluate(() => getSelection().toString()), address);
    // Somebody joins by it; after a reload nobody can see its address.
    await shop.query('SELECT seats.join_seat($1, $2)', [new URL(address).hash.slice(1), 'ada@example.com']);
    await page.reload();
    await shows(page, { numbers: '5 2 3', copy: '' });
    await page.click('summary');
    assert.match((await shows(page, { make: 'Make a link' })).linkRows[0], /^1 of 3 joined /);
    assert.doesNotMatch(await page.evaluate(() => document.documentElement.outerHTML + document.getElementById('link').value
      + JSON.stringify([history.state, { ...sessionStorage }, { ...localStorage }])), /seats_jnl_\w/);
    for (const { url } of site.requests) assert.doesNotMatch(url, /seats_jnl_/);
  });

  test('lists the links that are not revoked, the latest first', async () => {
    const bought = await buy(5);
    const [late, used, open, gone] = [await newLink(bought), await newLink(bought, 1, ['example.com']), await newLink(bought), await newLink(bought)];
    await shop.query("UPDATE seats.join_links SET expires_at = now() - interval '1 s' WHERE id = $1", [late.id]);
    await shop.query('SELECT seats.join_seat($1, $2)', [used.token, 'grace@example.com']);
    await shop.query('SELECT seats.revoke_join_link($1)', [gone.id]);
    const page = await visitLinks(bought);
    const { linkRows } = await state(page);
    assert.equal(linkRows.length, 3);
    assert.match(linkRows[0], new RegExp(`^0 joined ${until} Revoke$`));
    assert.match(linkRows[1], new RegExp(`^1 of 1 joined Used up ${until} only at example.com Revoke$`));
    assert.match(linkRows[2], new RegExp(`^0 joined Expired ${until} Revoke$`));
    assert.deepEqual(await page.$$eval('#link-list li', (rows) => rows.map(({ id }) => id)), [open.id, used.id, late.id]);
  });

  test('revokes a link after a second look; the focus is not lost', async () => {
    const bought = await buy(5);
    const [first, second] = [await newLink(bought), await newLink(bought, 2)];
    const page = await visitLinks(bought);
    await page.click(revokeLink(second));
    const asked = await shows(page, { question: 'Revoke this link?' });
    assert.match(asked.whose, new RegExp(`^0 of 2 joined, ${until}$`));
    assert.equal(asked.consequence, 'Nobody can join by it from then on. Those who have joined keep their seats and invitations.');
    await page.click('#keep');
    const { focus } = await shows(page, { question: '' });
    assert.match(focus, /^Revoke the link: 0 of 2 joined, until /);
    assert.deepEqual(askedFor('DELETE'), []);
    await page.click(revokeLink(second));
    await page.click('#revoke');
    const seen = await shows(page, { linksSaid: 'Nobody can join by this link any more.', status: 'Nobody can join by this link any more.' });
    assert.equal((await shows(page, { focus: 'links-heading' })).linkRows.length, 1, seen.focus);
    assert.deepEqual((await linksOf(bought)).map(({ id, revoked }) => [id, revoked]), [[first.id, false], [second.id, true]]);
  });

  test('a join link is refused: what to write instead', async () => {
    const bought = await buy(2);
    const page = await visitLinks(bought);
    await set(page, { domains: 'example.com, (x)' });
    await page.click('#make');
    await shows(page, { linksSaid: 'Write domains like example.com, with commas between them.', make: 'Make a link' });
    await set(page, { domains: '', uses: '0' });
    await page.click('#make'); // the browser itself says what is wrong with the number
    assert.deepEqual([askedFor('POST').length, (await state(page)).focus], [1, 'uses']);
    assert.deepEqual(await linksOf(bought), []);
  });

  test('the answer to a new link is lost: it says so, and the list has the link', async () => {
    const bought = await buy(2);
    const page = await visitLinks(bought);
    site.instead = async (request, response, forward) => {
      if (request.method !== 'POST') return forward();
      const lost = { status: () => lost, type: () => lost, send: () => response.status(502).send('') };
      return forward(lost);
    };
    await page.click('#make');
    const seen = await shows(page, { linksSaid: `${hitches.unavailable} ${again.make}`, make: 'Make a link' });
    assert.deepEqual([seen.linkRows.length, seen.copy], [1, '']);
    const [link] = await linksOf(bought);
    site.instead = (request, response, forward) => (request.method === 'DELETE' ? answer(503, {})(request, response) : forward());
    await page.click(revokeLink(link));
    await page.click('#revoke');
    await shows(page, { linksSaid: `${hitches.unavailable} ${again.revokeLink}` });
    await page.waitForFunction((button) => document.querySelector(button).textContent === 'Revoke', {}, revokeLink(link));
    site.instead = undefined;
    await page.click(revokeLink(link));
    await page.click('#revoke');
    await shows(page, { linksSaid: 'Nobody can join by this link any more.', linkRows: [] });
  });

  test('what a screen reader gets of join links', async () => {
    const bought = await buy(3);
    const page = await visitTeam(bought);
    assert.deepEqual((await nodes(page))('combobox'), []);
    await page.click('summary');
    await shows(page, { make: 'Make a link' });
    const all = await nodes(page);
    assert.deepEqual(all('heading').slice(0, 3).map(({ name }) => name), ['Your team', 'Invite people', 'Join links']);
    assert.deepEqual(all('spinbutton').map(({ name }) => name), ['For how many people']);
    assert.deepEqual(all('combobox').map(({ name, value }) => [name, value]), [['For how long', '7 days']]);
    assert.equal(all('textbox').at(-1).name, 'Only for addresses at');
    await page.click('#make');
    await shows(page, { copy: 'Copy', make: 'Make a link' });
    const made = await nodes(page);
    assert.ok(made('group').some(({ name }) => name === 'The new link'));
    assert.deepEqual(made('textbox').filter(({ readonly }) => readonly).map(({ name }) => name), ['Join link']);
    assert.equal(made('heading')[2].name, 'Join links (1)');
    assert.ok(made('button').some(({ name }) => /^Revoke the link: 0 joined, until /.test(name)));
  });

  test('what a screen reader gets', async () => {
    const bought = await buy(3);
    const pending = await assign(bought);
    const page = await visitTeam(bought);
    let all = await nodes(page);
    assert.deepEqual(all('RootWebArea').map(({ name }) => name), ['Your team']);
    assert.equal(all('main').length, 1);
    assert.deepEqual(all('heading').map(({ name, level }) => [name, level]),
      [['Your team', 1], ['Invite people', 2], ['Join links', 2], ['Who has a seat', 2], ['Invited (1)', 3], ['Members (1)', 3]]);
    assert.deepEqual(all('button').map(({ name }) => name), ['Send invitation', `Send again to ${pending.email}`,
      `Revoke the seat of ${pending.email}`, `Revoke the seat of Maya Okafor, ${bought.email}`]);
    assert.deepEqual(all('textbox').map(({ name, description }) => [name, description]),
      [['E-mail addresses', 'Paste as many as you like, separated by commas, semicolons or line breaks.'],
      ]);
    assert.equal(all('list').length, 2);
    assert.equal(all('listitem').length, 2);
    assert.equal(all('term').length, 3);
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
    // The live regions are not in what is busy, or nothing would be read.
    assert.equal(await page.evaluate(() => document.querySelectorAll('[aria-busy] [role]').length), 0);
    await page.click(button('revoke', pending));
    await shows(page, { question: 'Revoke this invitation?' });
    all = await nodes(page);
    assert.deepEqual(all('dialog').map(({ name, modal }) => [name, modal]), [['Revoke this invitation?', true]]);
    await page.click('#keep');
    site.instead = () => {};
    await page.click(button('resend', pending));
    await shows(page, { status: 'Sending…' });
    assert.deepEqual((await nodes(page))('button').filter(({ focused }) => focused).map(({ name, disabled }) => [name, disabled]),
      [[`Send again to ${pending.email}`, true]]);
  });

  test('names with markup are text', async () => {
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;{{1}}';
    const bought = await buy(2);
    await shop.query('UPDATE seats.customers SET name = $2 WHERE id = $1', [bought.customer, hostile]);
    const page = await visitTeam(bought);
    assert.ok((await state(page)).memberRows[0].startsWith(hostile));
    await page.click(button('revoke', bought));
    const { whose, title } = await shows(page, { question: 'Revoke this seat?' });
    assert.equal(whose, `${hostile}, ${bought.email}`);
    await page.keyboard.press('Escape');
    await send(page, '<img src=x onerror=alert(1)>, ada@example.com');
    await shows(page, { sent: 'The invitation to ada@example.com is on its way.' });
    assert.equal(title, 'Your team');
    assert.equal(await page.evaluate(() => document.querySelectorAll('img, main script').length), 0);
  });

  test('its policy allows its own style and script and no other', async () => {
    const hash = (element) => createHash('sha256').update(
      new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(teamPage)[1]).digest('base64');
    const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(teamPage);
    assert.deepEqual(policy.split(';').map((directive) => directive.trim()), ["default-src 'none'",
      `style-src 'sha256-${hash('style')}'`, `script-src 'sha256-${hash('script')}'`, "connect-src 'self'",
      "form-action 'none'", 'img-src data:', "base-uri 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"]);
    assert.doesNotMatch(teamPage, / style=| on[a-z]+=|<link rel="stylesheet|<script src/);
    const page = await visitTeam(await buy(1));
    await page.evaluate(() => {
      const script = document.createElement('script');
      try { script.text = 'document.title = 1'; } catch { /* a trusted type is required */ }
      document.body.append(script);
      return fetch('https://elsewhere.example/').catch(() => {});
    });
    assert.equal((await state(page)).title, 'Your team');
    const faults = await windows.close();
    assert.ok(faults.length > 0 && faults.every((fault) => /Content Security Policy|TrustedScript|Fetch API/.test(fault)), `${faults}`);
  });

  test('without JavaScript it says that it needs it', async () => {
    const page = await windows.open();
    await page.setJavaScriptEnabled(false);
    await page.goto(linkTo(await buy(1)));
    const all = await nodes(page);
    assert.match(all('StaticText').map(({ name }) => name).join(' '), /^Your team This page needs JavaScript .*\.$/);
    assert.equal(all('button').length, 0);
    assert.deepEqual(site.requests.map(({ url }) => url), ['/team']);
  });

  // A purchase with many members and invitations.
  const buyMany = async (invited, members) => {
    const bought = await buy(invited + members + 1);
    await shop.query(`SELECT seats.claim_seat(a.invitation_token) FROM seats.assign_seats($1, NULL,
      ARRAY(SELECT 'member' || n || '@example.com' FROM generate_series(1, $2::int) AS n)) AS a`, [bought.id, members]);
    await shop.query(`SELECT FROM seats.assign_seats($1, NULL,
      ARRAY(SELECT 'invited' || n || '@example.com' FROM generate_series(1, $2::int) AS n))`, [bought.id, invited]);
    return bought;
  };

  test('1,000 seats: only what is in view is laid out, and only what changes is touched', async () => {
    const bought = await buyMany(99, 900);
    const page = await visitTeam(bought);
    assert.equal((await state(page)).numbers, '1,000 1,000 0');
    // Rows that were laid out, in a window in which some ten find room.
    const laidOut = () => page.$$eval('#people li', (rows) =>
      rows.filter(({ firstElementChild }) => firstElementChild.checkVisibility({ contentVisibilityAuto: true })).length);
    assert.ok(await laidOut() < 100, `${await laidOut()} rows were laid out`);
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight / 2));
    await page.waitForFunction(() => [...document.querySelectorAll('#people li')].some((row) =>
      row.firstElementChild.checkVisibility({ contentVisibilityAuto: true }) && row.getBoundingClientRect().top > 0));
    assert.ok(await laidOut() < 100, `${await laidOut()} rows were laid out`);

    // How many changes of the document something makes.
    const touched = async (work) => {
      await page.evaluate(() => {
        globalThis.touched = 0;
        globalThis.observer = new MutationObserver((records) => { globalThis.touched += records.length; });
        globalThis.observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
      });
      await work();
      return page.evaluate(() => {
        globalThis.observer.disconnect();
        return globalThis.touched;
      });
    };
    const type = (text) => page.evaluate((words) => {
      const filter = document.getElementById('filter');
      filter.value = words;
      filter.dispatchEvent(new Event('input'));
    }, text);
    // Not by the mouse: rows that come into view change their heights under it.
    const press = (selector) => page.$eval(selector, (element) => element.click());
    const someone = await page.$eval('#invited li', ({ id }) => id);
    const few = {
      'sending again': async () => {
        await press(button('resend', { seat: someone }));
        await page.waitForFunction((id) => document.getElementById(id).querySelector('.said').textContent, {}, someone);
      },
      'coming back': () => comeBack(page),
      revoking: async () => {
        await press(button('revoke', { seat: someone }));
        await press('#revoke');
        await shows(page, { numbers: '1,000 999 1' });
      },
      inviting: async () => {
        await fill(page, 'ada@example.com');
        await press('#send');
        await shows(page, { sent: 'The invitation to ada@example.com is on its way.' });
      },
    };
    for (const [what, work] of Object.entries(few)) {
      const number = await touched(work);
      assert.ok(number < 60, `${what}: ${number} changes`);
    }
    // The filter shows and hides rows, each at most once.
    assert.ok(await touched(() => type('member77')) <= 1000 + 10);
    assert.equal((await state(page)).none, '11 of 1,000 people');
    assert.ok(await touched(() => type('member777')) <= 10 + 5);
    assert.equal((await state(page)).memberRows.length, 1);
    await type('nobody');
    assert.equal((await state(page)).none, 'Nobody matches “nobody”.');
    await type('OWNER');
    assert.equal((await state(page)).memberRows.length, 1);
    await type('');
    assert.deepEqual([(await state(page)).none, (await state(page)).memberRows.length], ['', 901]);
  });

  // Each way that the page can look, and how it gets there.
  const look = (expected) => (page) => shows(page, expected);
  const looks = {
    'looking up': { instead: () => {}, reach: look({ busy: 'true' }) },
    team: { reach: look({ numbers: '4 4 0' }) },
    nobody: { seats: 0, reach: look({ none: 'Nobody has a seat yet. Invite the first person above.' }) },
    'signed out': { instead: answer(401, {}), reach: look({ heading: endings.signed_out[0] }) },
    hitch: { instead: answer(503, {}), reach: look({ again: 'Try again' }) },
    dialog: { reach: async (page, { pending }) => {
      await shows(page, { numbers: '4 4 0' });
      await page.click(button('revoke', pending));
      await shows(page, { question: 'Revoke this invitation?' });
    } },
    'a new link': { reach: async (page) => {
      await shows(page, { numbers: '4 4 0' });
      await page.click('summary');
      await set(page, { domains: `${'domain'.repeat(8)}.example, example.com` });
      await page.click('#make');
      await shows(page, { copy: 'Copy', make: 'Make a link' });
    } },
    'sending a list': { reach: async (page) => {
      await shows(page, { numbers: '4 4 0' });
      site.instead = () => {};
      await send(page, 'a@example.com, b@example.com');
      await shows(page, { stop: 'Stop' });
    } },
    'what became of a list': { reach: async (page, { late }) => {
      await shows(page, { numbers: '4 4 0' });
      await page.click(button('resend', late));
      await shows(page, { status: `${late.email}: The invitation is on its way.` });
      await send(page, `${late.email}, nonsense, b@example.com`);
      await shows(page, { focus: 'What became of it' });
    } },
  };
  for (const [name, { seats = 4, instead, reach }] of Object.entries(looks)) {
    test(`accessible in light and dark, and fits a phone: ${name}`, async () => {
      const backgrounds = [];
      for (const scheme of ['light', 'dark']) {
        site.instead = instead;
        const bought = await buy(Math.max(seats, 1));
        const team = {};
        if (seats > 0) {
          for (const role of ['pending', 'late', 'ada']) team[role] = await assign(bought, `${'long'.repeat(12)}.${randomUUID()}@example.com`);
          await shop.expire(team.late.seat);
          await claim(team.ada);
        } else {
          bought.session = await otherSession(bought);
          await revoke(bought);
        }
        const page = await visit(linkTo(bought), { scheme, width: 320, height: 568, isMobile: true, 'prefers-reduced-motion': 'reduce' });
        await reach(page, team);
        backgrounds.push(await page.evaluate(() => getComputedStyle(document.querySelector('main > section')).backgroundColor));
        await assertAccessible(page);
        site.instead = undefined;
      }
      assert.notEqual(backgrounds[0], backgrounds[1]);
    });
  }

  test('pictures for the README', { skip: !process.env.SCREENSHOTS && 'SCREENSHOTS names no directory' }, async () => {
    const bought = await buy(12);
    await shop.query("UPDATE seats.customers SET email = 'maya@northwind.example' WHERE id = $1", [bought.customer]);
    for (const [email, name] of [['ada', 'Ada Lovelace'], ['grace', 'Grace Hopper']]) {
      await claim(await assign(bought, `${email}@northwind.example`));
      await shop.query('UPDATE seats.customers SET name = $2 WHERE email = $1', [`${email}@northwind.example`, name]);
    }
    await shop.expire((await assign(bought, 'tim@northwind.example')).seat);
    await assign(bought, 'radia@northwind.example');
    await newLink(bought);
    const height = 1200;
    const pictures = [];
    for (const [scheme, width] of [['light', 760], ['dark', 390]]) {
      const page = await visitTeam(bought, { scheme, width, height });
      pictures.push([width, await page.screenshot({ encoding: 'base64' })]);
    }
    const page = await windows.open({ width: 1150, height });
    await page.setContent(`<body style="margin: 0; display: flex">${pictures.map(([width, picture]) =>
      `<img width="${width}" src="data:image/png;base64,${picture}">`).join('')}`);
    writeFileSync(join(process.env.SCREENSHOTS, 'team-page.png'), await page.screenshot());
  });
});
