// examples/node, as it is.
import { fileURLToPath } from 'node:url';
import { freePort, startServer } from './processes.mjs';

export const nodeExample = fileURLToPath(new URL('../../../examples/node', import.meta.url));

export const startNode = async (shop, environment = {}) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const accessToken = 'the-key-of-the-test';
  const server = await startServer(process.execPath, ['server.js'], {
    url,
    cwd: nodeExample,
    env: {
      ...process.env,
      SEATS_ANONYMOUS_URL: shop.url('seats_web_anonymous'),
      SEATS_BACKEND_URL: shop.url('seats_web_backend'),
      SEATS_CUSTOMER_URL: shop.url('seats_web_customer'),
      SEATS_API_KEY: accessToken,
      PORT: String(port),
      ...environment,
    },
  });
  const session = /^seats_cst_[0-9A-Za-z]{55}$/;
  return { url, accessToken, session, logs: async () => server.output, stop: (signal) => server.stop(signal) };
};
