// What make demo-web shows: the pages and the API at one origin, as an application serves them, with the worker, and
// the mail server of its example. Mails and webhooks are printed. scripts/demo-web starts this and ends it.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const folder = (name) => fileURLToPath(new URL(name, import.meta.url));
const express = createRequire(folder('node/'))('express');
const { Webhook } = createRequire(folder('worker/'))('standardwebhooks');
const { INVITATION, EXPIRED, JOIN, TEAM, DATABASE } = process.env; // by scripts/demo-web

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
};
// Any part that ends takes all others with it.
const start = (name, file, settings) => spawn(process.execPath, [file], {
  cwd: folder(name), env: { ...process.env, ...settings }, stdio: ['ignore', settings.output ?? 'ignore', 'inherit'],
}).once('exit', () => process.exit(1));
const url = (role) => `postgresql://${role}@/${DATABASE}`;

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const [api, mails] = [await freePort(), await freePort()];
const app = express().disable('x-powered-by');
app.use('/v1', express.raw({ type: () => true }), async ({ method, originalUrl, body, headers }, response) => {
  const passed = ['authorization', 'idempotency-key'].filter((name) => headers[name]);
  const answer = await fetch(`http://127.0.0.1:${api}${originalUrl}`, {
    method, body: body?.length > 0 ? body : undefined, headers: Object.fromEntries(passed.map((name) => [name, headers[name]])),
  });
  response.status(answer.status).type('json').set('Cache-Control', 'no-store').send(Buffer.from(await answer.arrayBuffer()));
});
for (const [path, name] of [['/claim', 'claim'], ['/join', 'claim'], ['/team', 'team']]) {
  app.get(path, (request, response) => response.set({ 'Content-Security-Policy': "frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-cache' }).sendFile(folder(`${name}-page/index.html`)));
}
app.post('/webhooks', express.text({ type: () => true }), ({ body, headers }, response) => {
  const { type, data } = new Webhook(secret).verify(body, headers);
  console.log(`Webhook: ${type} of ${data.email ?? data.id}\n`);
  response.sendStatus(204);
});
const site = app.listen(0, '127.0.0.1');
await once(site, 'listening');
const origin = `http://127.0.0.1:${site.address().port}`;

start('worker', 'sink.js', { PORT: mails, output: 'inherit' });
start('node', 'server.js', { PORT: api, SEATS_API_KEY: 'the key of the demo', SEATS_ANONYMOUS_URL: url('seats_web_anonymous'),
  SEATS_BACKEND_URL: url('seats_web_backend'), SEATS_CUSTOMER_URL: url('seats_web_customer') });
start('worker', 'worker.js', { SEATS_WORKER_URL: url('seats_worker'), SMTP_URL: `smtp://127.0.0.1:${mails}`,
  MAIL_FROM: 'Acme Inc. <seats@example.com>', CLAIM_URL: `${origin}/claim`, WEBHOOK_URL: `${origin}/webhooks`,
  WEBHOOK_SECRET: secret });
while (!await fetch(`http://127.0.0.1:${api}/`).catch(() => undefined)) await new Promise((next) => { setTimeout(next, 100); });

console.log(`
Open these in a browser:

  Barbara is invited:         ${origin}/claim#${INVITATION}
  Niklaus came too late:      ${origin}/claim#${EXPIRED}
  Colleagues join by a link:  ${origin}/join#${JOIN}
  Ada, who pays, sees all:    ${origin}/team#${TEAM}

Invite somebody on Ada's page, or join: the mail is printed here, and its link works. Ctrl-C ends it all.
`);
