// As much of Stripe's API as examples/worker uses: updates of a subscription's quantities, and idempotency keys as
// https://docs.stripe.com/api/idempotent_requests describes them.
import { createServer } from 'node:http';

// What is asked goes to requests; answer(request, response) can be replaced. The clock stands still at server.now.
export const startStripe = async () => {
  const saved = new Map();
  const server = { requests: [], quantities: {}, executed: 0, now: new Date() };
  server.send = (response, status, body) => response
    .writeHead(status, { 'Content-Type': 'application/json', Date: server.now.toUTCString() }).end(JSON.stringify(body));
  const execute = ({ id, items }) => {
    server.executed += 1;
    for (const each of items) server.quantities[each.id] = each.quantity;
    return [200, { id, object: 'subscription' }];
  };
  server.refuse = (status, code) => ({ key }, response) => {
    const answer = [status, { error: { type: status === 402 ? 'card_error' : 'api_error', code, message: 'Not with sk_test_1' } }];
    saved.set(key, answer);
    server.send(response, ...answer);
  };
  server.accept = (request, response) => {
    if (!saved.has(request.key)) saved.set(request.key, execute(request));
    server.send(response, ...saved.get(request.key));
  };
  server.answer = server.accept;

  const http = createServer(async (message, response) => {
    const form = new URLSearchParams(Buffer.concat(await message.toArray()).toString());
    const items = [];
    for (let i = 0; form.has(`items[${i}][id]`); i += 1) {
      items.push({ id: form.get(`items[${i}][id]`), quantity: Number(form.get(`items[${i}][quantity]`)) });
    }
    const request = { path: `${message.method} ${message.url}`, id: message.url.split('/').at(-1), items,
      behavior: form.get('payment_behavior'), key: message.headers['idempotency-key'], authorization: message.headers.authorization };
    server.requests.push(request);
    const first = server.requests.find(({ key }) => key === request.key);
    if (JSON.stringify(first.items) === JSON.stringify(items)) await server.answer(request, response);
    else server.send(response, 400, { error: { type: 'idempotency_error', message: 'other parameters' } });
  });
  await new Promise((resolve) => { http.listen(0, '127.0.0.1', resolve); });
  server.url = `http://127.0.0.1:${http.address().port}`;
  server.stop = () => {
    http.closeAllConnections();
    http.close();
  };
  return server;
};
