// As much of Stripe's API as examples/worker uses: items of subscriptions, updates of their quantities, and idempotency keys
// as https://docs.stripe.com/api/idempotent_requests describes them.
import { createServer } from 'node:http';

// The quantities by items are what Stripe has. Updates go to requests; answer(request, response) can be replaced. The clock
// stands still at server.now.
export const startStripe = async (quantities) => {
  const saved = new Map();
  const server = { requests: [], quantities, executed: 0, now: new Date() };
  const send = (response, [status, body], headers) => response
    .writeHead(status, { 'Content-Type': 'application/json', Date: server.now.toUTCString(), ...headers }).end(JSON.stringify(body));
  const error = (status, type, code) => [status, { error: { type, code, message: 'Not with sk_test_1' } }];
  // The first answer to a key is repeated, whatever it was.
  const answering = (make) => (request, response) => {
    const isKnown = saved.has(request.key);
    if (!isKnown) saved.set(request.key, make(request));
    send(response, saved.get(request.key), isKnown ? { 'Idempotent-Replayed': 'true' } : {});
  };
  server.accept = answering(({ id, items }) => {
    server.executed += 1;
    for (const each of items) server.quantities[each.id] = each.quantity;
    return [200, { id, object: 'subscription' }];
  });
  server.refuse = (status, code) => answering(() => error(status, status === 402 ? 'card_error' : 'api_error', code));
  server.answer = server.accept;
  const read = (id) => (id in server.quantities ? [200, { id, object: 'subscription_item', quantity: server.quantities[id] }]
    : error(404, 'invalid_request_error', 'resource_missing'));

  const http = createServer(async (message, response) => {
    const id = message.url.split('/').at(-1);
    if (message.method === 'GET' && message.url === `/v1/subscription_items/${id}`) {
      send(response, read(id));
      return;
    }
    const form = new URLSearchParams(Buffer.concat(await message.toArray()).toString());
    const items = [];
    for (let i = 0; form.has(`items[${i}][id]`); i += 1) {
      items.push({ id: form.get(`items[${i}][id]`), quantity: Number(form.get(`items[${i}][quantity]`)) });
    }
    const request = { path: `${message.method} ${message.url}`, id, items,
      behavior: form.get('payment_behavior'), key: message.headers['idempotency-key'], authorization: message.headers.authorization };
    server.requests.push(request);
    const first = server.requests.find(({ key }) => key === request.key);
    if (JSON.stringify(first.items) === JSON.stringify(items)) await server.answer(request, response);
    else send(response, error(400, 'idempotency_error'));
  });
  await new Promise((resolve) => { http.listen(0, '127.0.0.1', resolve); });
  server.url = `http://127.0.0.1:${http.address().port}`;
  server.stop = () => {
    http.closeAllConnections();
    http.close();
  };
  return server;
};
