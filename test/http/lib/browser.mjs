// Chromium, as Debian has it or as Google names it, driven by puppeteer-core, which downloads none. Its headless shell
// draws no window around a page, which is most of the work otherwise.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import axe from 'axe-core';
import puppeteer from 'puppeteer-core';
import { find } from './postgrest-layer.mjs';

const program = ['chromium-headless-shell', 'chromium', 'google-chrome', 'google-chrome-stable']
  .map((name) => find(name, process.env.CHROMIUM)).find(Boolean);
export const skip = program ? false : 'no chromium or google-chrome on the PATH, and CHROMIUM names none';

// Without its sandbox, which needs rights that a container does not give: it sees our own page only. A
// /dev/shm may be small there, too. A proxy of the environment is none of the tests'.
export const startBrowser = () => puppeteer.launch({
  executablePath: program,
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-proxy-server', '--force-color-profile=srgb'],
});

// Windows in which nothing was visited before. Whatever a page asks another server for, or complains about, is a fault.
export class Windows {
  constructor(browser, url) {
    Object.assign(this, { browser, url, contexts: [], faults: [] });
  }

  // With a size, a colour scheme and a size of text.
  async open({ scheme = 'light', width = 480, height = 720, scale = 1, isMobile = false, ...features } = {}) {
    const context = await this.browser.createBrowserContext();
    this.contexts.push(context);
    const page = await context.newPage();
    await page.setViewport({ width, height, deviceScaleFactor: scale, isMobile });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme },
      ...Object.entries(features).map(([name, value]) => ({ name, value }))]);
    page.on('console', (message) => {
      // Statuses from 400 on are told in the console, whatever a page makes of them.
      if (!message.text().startsWith('Failed to load resource')) this.faults.push(message.text());
    });
    page.on('pageerror', (error) => this.faults.push(String(error)));
    page.on('request', (request) => {
      if (!/^(data|about):/.test(request.url()) && !request.url().startsWith(`${this.url}/`)) this.faults.push(request.url());
    });
    return page;
  }

  // Returns the faults there were.
  async close() {
    await Promise.all(this.contexts.map((context) => context.close()));
    const { faults } = this;
    Object.assign(this, { contexts: [], faults: [] });
    return faults;
  }
}

// A function that gives the nodes of a page's accessibility tree that have a role.
export const nodes = async (page) => {
  const list = [];
  const walk = ({ children = [], ...node }) => {
    list.push(node);
    children.forEach(walk);
  };
  walk(await page.accessibility.snapshot({ interestingOnly: false }));
  return (role) => list.filter((node) => node.role === role);
};

// What a page says of itself, once a part of it is as expected; fails if it does not get so.
export const shows = async (page, state, expected) => {
  let seen;
  for (let tries = 0; tries < 1000; tries += 1) {
    seen = await state(page).catch(() => ({}));
    if (Object.entries(expected).every(([part, value]) => isDeepStrictEqual(seen[part], value))) return seen;
    await sleep(30);
  }
  return assert.deepEqual(seen, { ...seen, ...expected });
};

// Sets how long a page waits for an answer. It is short only where none comes: a slow machine must not end other requests.
export const setPatience = (page, seconds) =>
  page.evaluate((value) => { document.documentElement.dataset.timeout = value; }, seconds);

// Asserts that a page 320 pixels wide breaks no rule of axe-core, stands still, and fits, with text at twice its size, too.
export const assertAccessible = async (page) => {
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document));
  assert.deepEqual(violations.map(({ id, nodes: places }) => [id, ...places.map(({ html }) => html)]), []);
  assert.ok(passes.some(({ id }) => id === 'color-contrast'));
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  for (const size of ['100%', '200%']) {
    const fit = await page.evaluate((percent) => {
      document.documentElement.style.setProperty('font-size', percent);
      const { scrollWidth, clientWidth } = document.documentElement;
      const outside = [...document.querySelectorAll('main *, dialog *')].filter((element) => element.id !== 'status'
        && element.getBoundingClientRect().right > clientWidth);
      const targets = [...document.querySelectorAll('button, input, textarea')].filter((element) => element.offsetParent);
      return { width: [clientWidth, scrollWidth], outside: outside.map(({ outerHTML }) => outerHTML),
        small: targets.filter((target) => target.offsetHeight < 44 || target.offsetWidth < 44).length };
    }, size);
    assert.deepEqual({ size, ...fit }, { size, width: [320, 320], outside: [], small: 0 });
  }
};
