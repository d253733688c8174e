// examples/worker, as it is, and what it delivers to: a mail server and a receiver of webhooks.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startServer } from './processes.mjs';

export const workerExample = fileURLToPath(new URL('../../../examples/worker', import.meta.url));
export const requireOfWorker = createRequire(`${workerExample}/`);
const { SMTPServer } = requireOfWorker('smtp-server');
const PostalMime = requireOfWorker('postal-mime');

// Starts a worker that loses no time: it polls and tries again at once.
export const startWorker = (shop, environment) => startServer(process.execPath, ['worker.js'], {
  cwd: workerExample,
  env: {
    ...process.env,
    SEATS_WORKER_URL: shop.url('seats_worker'),
    MAIL_FROM: 'Seats <seats@example.com>',
    CLAIM_URL: 'https://acme.example/claim',
    WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    POLL_SECONDS: '0.02',
    RETRY_SECONDS: '0.01',
    RETRY_SECONDS_MAX: '0.05',
    ATTEMPTS: '1000000',
    ...environment,
  },
});

// Waits until something is so, and returns it.
export const until = async (isSo) => {
  for (let tries = 0; tries < 3000; tries += 1) {
    const result = await isSo();
    if (result) return result;
    await sleep(20);
  }
  throw new Error(`not in a minute: ${isSo}`);
};

// A mail server that keeps the mails it took. at(step, address) is called at the steps of each, and whatever it throws is
// the answer.
export const startMailServer = async () => {
  const server = { mails: [], at: async () => {} };
  const step = (name) => (argument, ...others) => {
    const next = others.at(-1);
    server.at(name, argument.address).then(() => next(), next);
  };
  const take = async (stream, { envelope }) => {
    const mail = await PostalMime.parse(Buffer.concat(await stream.toArray()));
    await server.at('data', mail.to[0].address);
    server.mails.push({ ...mail, recipients: envelope.rcptTo.map(({ address }) => address) });
  };
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onConnect: step('connect'),
    onRcptTo: step('recipient'),
    onData: (stream, session, next) => {
      take(stream, session).then(() => next(), next).then(() => server.at('answered'));
    },
  });
  smtp.on('error', () => {}); // a client that is killed
  await new Promise((resolve) => { smtp.listen(0, '127.0.0.1', resolve); });
  server.url = `smtp://127.0.0.1:${smtp.server.address().port}`;
  server.stop = () => new Promise((resolve) => { smtp.close(resolve); });
  return server;
};

// A receiver of webhooks that keeps what it gets. answer(delivery, response) can be replaced.
export const startReceiver = async () => {
  const accept = async (delivery, response) => { response.writeHead(204).end(); };
  const receiver = { deliveries: [], accept, answer: accept };
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const delivery = { id: request.headers['webhook-id'], headers: request.headers, body, ...JSON.parse(body) };
    receiver.deliveries.push(delivery);
    await receiver.answer(delivery, response);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  receiver.url = `http://127.0.0.1:${server.address().port}/webhooks`;
  receiver.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return receiver;
};
