// examples/team-page in a browser: what it shows, what can be done there, and purchases to open it for.
import { randomUUID } from 'node:crypto';
import { shows as showsBy } from './browser.mjs';

// A purchase of a customer who has a seat of it, and so a session: kind, id, session, the payer's seat and address.
export const buy = async (shop, seats, { kind = 'subscription', organization = shop.organization } = {}) => {
  const id = await shop.sell(`${kind}s`, seats, { organization });
  const email = `maya.${randomUUID()}@example.com`;
  const [{ customer }] = await shop.query(`UPDATE seats.customers AS c SET name = 'Maya Okafor', email = $2
    FROM seats.${kind}s AS p WHERE p.id = $1 AND c.id = p.customer_id RETURNING c.id AS customer`, [id, email]);
  const [{ seat, session }] = await shop.query(`SELECT (c.seat).id AS seat, c.customer_session_token AS session
    FROM seats.assign_seat(${kind}_id => $1, customer_id => $2) AS a, seats.claim_seat(a.invitation_token) AS c`, [id, customer]);
  return { kind, id, session, seat, email, customer, organization };
};
export const linkAt = (url, { kind, id, session }) => `${url}/team#${kind}=${id}&session=${session}`;

export const state = (page) => page.evaluate(async () => {
  // A row in view gets its text in the frame after it came.
  const isDue = (row) => row.checkVisibility() && !row.firstElementChild.checkVisibility({ contentVisibilityAuto: true })
    && row.getBoundingClientRect().top < innerHeight && row.getBoundingClientRect().bottom > 0;
  while ([...document.querySelectorAll('#people li')].some(isDue)) await new Promise(requestAnimationFrame);
  const text = (id) => {
    const element = document.getElementById(id);
    return element.checkVisibility() ? element.innerText.trim().replace(/\s+/g, ' ') : '';
  };
  const rows = (id) => [...document.querySelectorAll(`#${id} li`)].filter((row) => row.checkVisibility())
    .map((row) => row.innerText.trim().replace(/\s+/g, ' '));
  const focused = document.activeElement;
  return { title: document.title, heading: text('heading'), text: text('text'), alert: text('alert'), status: text('status'),
    numbers: ['total', 'used', 'free'].map(text).join(' ').trim(), members: text('members-number'), invited: text('invited-number'),
    again: text('again'), signIn: text('sign-in'), busy: document.getElementById('content').ariaBusy,
    sent: text('sent'), unsent: text('unsent'), faults: rows('faults'), field: document.getElementById('field').value,
    hint: text('hint'), send: text('send'), stop: text('stop'), none: text('none'),
    linksSaid: text('links-said'), make: text('make'), copy: text('copy'), linkRows: rows('link-list'),
    invitedRows: rows('invited'), memberRows: rows('members'), question: text('question'), whose: text('whose'),
    consequence: text('consequence'), focus: focused.ariaLabel ?? (focused.id || focused.localName) };
});
export const shows = (page, expected) => showsBy(page, state, expected);

// The button of a seat's row.
export const button = (name, { seat }) => `[id="${seat}"] [name=${name}]`;
export const fill = (page, text) => page.evaluate((value) => {
  const field = document.getElementById('field');
  field.value = value;
  field.dispatchEvent(new Event('input'));
}, text);
export const send = async (page, text) => {
  await fill(page, text);
  await page.click('#send');
};
