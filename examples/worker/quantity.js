// Tells Stripe the number of seats that a subscription has grown to. examples/stripe has what is read and called here.
import Stripe from 'stripe';

const outstanding = 'SELECT id, item, quantity, seats, answers FROM seats_stripe.outstanding WHERE subscription_id = $1';
// These say that the same request will be refused again: malformed, cannot be paid, no such subscription.
const FINAL = [400, 402, 404];

export const teller = ({ STRIPE_SECRET_KEY, STRIPE_URL }, pool, timeout) => {
  const { protocol, hostname, port } = new URL(STRIPE_URL || 'https://api.stripe.com');
  const stripe = new Stripe(STRIPE_SECRET_KEY, { protocol: protocol.slice(0, -1), host: hostname, port: port || undefined,
    timeout: timeout * 1000, maxNetworkRetries: 0, telemetry: false });

  // seat_id is the subscription here. What is told is the number as it is now, so the jobs of later events find nothing to do.
  return async ({ seat_id, event_id }) => {
    const { rows: [growth] } = await pool.query(outstanding, [seat_id]);
    if (!growth) return;
    const { id, item, quantity, seats, answers } = growth;
    try {
      const { lastResponse: { headers } } = await stripe.subscriptions.update(id,
        // Stripe then refuses what cannot be paid, instead of leaving the subscription past_due.
        { items: [{ id: item, quantity }], payment_behavior: 'error_if_incomplete' },
        // A request whose answer was lost has the same key. Once it is answered, Stripe would repeat that answer, an error too.
        { idempotencyKey: `seats-${event_id}-${answers}-${quantity}` });
      await pool.query('SELECT seats_stripe.told($1, $2, $3)', [id, seats, new Date(headers.date)]);
    } catch (error) {
      if (!error.statusCode) throw Object.assign(new Error(), { code: error.detail?.code ?? error.code ?? error.type ?? error.name });
      const code = [`HTTP ${error.statusCode}`, error.code].filter(Boolean).join(' ');
      await pool.query('SELECT seats_stripe.refused($1, $2)', [id, code]);
      throw Object.assign(new Error(), { code, isFinal: FINAL.includes(error.statusCode) });
    }
  };
};
