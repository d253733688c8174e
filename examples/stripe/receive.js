// Receives Stripe's webhooks, and keeps Stripe's objects in the schema stripe.
import { createServer } from 'node:http';
import { StripeSync } from '@supabase/stripe-sync-engine';

const { DATABASE_URL, STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, HOST = '127.0.0.1', PORT = 8082 } = process.env;
if (!DATABASE_URL || !STRIPE_SECRET_KEY || !STRIPE_WEBHOOK_SECRET) {
  throw new Error('set DATABASE_URL, STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET');
}
const sync = new StripeSync({
  poolConfig: { connectionString: DATABASE_URL },
  stripeSecretKey: STRIPE_SECRET_KEY,
  stripeWebhookSecret: STRIPE_WEBHOOK_SECRET,
  autoExpandLists: true,
});

// Stripe sends again what is not answered with 2xx. That makes no sense for a type that the engine does not know.
const statusOf = ({ type, message }) => {
  if (message === 'Unhandled webhook event') return 200;
  return type === 'StripeSignatureVerificationError' ? 400 : 500;
};
createServer(async (request, response) => {
  let status = 200;
  try {
    await sync.processWebhook(Buffer.concat(await request.toArray()), request.headers['stripe-signature']);
  } catch (error) {
    status = statusOf(error);
    console.error(JSON.stringify({ time: new Date(), status, error: error.code ?? error.type ?? error.name }));
  }
  response.writeHead(status).end();
}).listen(+PORT, HOST);
