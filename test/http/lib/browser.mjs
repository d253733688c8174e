// Chromium, as Debian has it or as Google names it, driven by puppeteer-core, which downloads none.
import puppeteer from 'puppeteer-core';
import { find } from './postgrest-layer.mjs';

export const browserProgram = () =>
  ['chromium', 'google-chrome', 'google-chrome-stable'].map((name) => find(name, process.env.CHROMIUM)).find(Boolean);

// Without its sandbox, which needs rights that a container does not give: it sees our own page only. A
// /dev/shm may be small there, too. A proxy of the environment is none of the tests'.
export const startBrowser = (executablePath) => puppeteer.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-proxy-server', '--force-color-profile=srgb'],
});
