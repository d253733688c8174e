// Tells Stripe the number of seats that a subscription has grown to. examples/stripe has what is read and called here.
import Stripe from 'stripe';

const outstanding = 'SELECT id, item, quantity, seats, answers FROM seats_stripe.outstanding WHERE subscription_id = $1';
// These say that the same request will be refused again: malformed, cannot be paid. A missing item may have been replaced.
const FINAL = [400, 402];
// A repeated answer says nothing of now: the number has been set back since, or the database restored.
const isRepeated = (headers) => headers['idempotent-replayed'] === 'true';

export const teller = ({ STRIPE_SECRET_KEY, STRIPE_URL }, pool, timeout) => {
  const { protocol, hostname, port } = new URL(STRIPE_URL || 'https://api.stripe.com');
  const stripe = new Stripe(STRIPE_SECRET_KEY, { protocol: protocol.slice(0, -1), host: hostname, port: port || undefined,
    timeout: timeout * 1000, maxNetworkRetries: 0, telemetry: false });

  // seat_id is the subscription here. What is told is the number as it is now, so the jobs of later events find nothing to do.
  return async ({ seat_id, event_id }) => {
    const { rows: [growth] } = await pool.query(outstanding, [seat_id]);
    if (!growth) return;
    const { id, item, quantity, seats, answers } = growth;
    const told = (number, { headers: { date } }) => pool.query('SELECT seats_stripe.told($1, $2, $3)', [id, number, new Date(date)]);
    const refused = (reason) => pool.query('SELECT seats_stripe.refused($1, $2)', [id, reason]);
    try {
      // It has that many already if the customer bought some meanwhile, or an answer was lost.
      const { quantity: there, lastResponse: state } = await stripe.subscriptionItems.retrieve(item);
      if (there >= quantity) {
        await told(seats - quantity + there, state);
        return;
      }
      const { lastResponse: answer } = await stripe.subscriptions.update(id,
        // Stripe then refuses what it invoices at once and nobody pays, instead of leaving the subscription past_due.
        { items: [{ id: item, quantity }], payment_behavior: 'error_if_incomplete' },
        // A request that was lost has the same key. Once it is answered, Stripe would repeat that answer, an error too.
        { idempotencyKey: `seats-${item}-${event_id}-${answers}-${there}-${quantity}` });
      if (isRepeated(answer.headers)) {
        await refused(null);
        throw Object.assign(new Error(), { code: 'idempotent-replayed' });
      }
      await told(seats, answer);
    } catch (error) {
      if (!error.statusCode) throw Object.assign(new Error(), { code: error.detail?.code ?? error.code ?? error.type ?? error.name });
      const code = [`HTTP ${error.statusCode}`, error.code].filter(Boolean).join(' ');
      await refused(code);
      throw Object.assign(new Error(), { code, isFinal: FINAL.includes(error.statusCode) && !isRepeated(error.headers) });
    }
  };
};

// Growth without an event or a job: a worker without the key took its event, or its job was done before Stripe could be told.
const overlooked = `
  INSERT INTO seats_worker.jobs (target, seat_id, event_id, organization_id, occurred_at)
  SELECT 'quantity', o.subscription_id, 0, o.organization_id, now()
  FROM seats_stripe.outstanding AS o
  WHERE o.refusal IS NULL
    AND NOT EXISTS (SELECT FROM seats.events AS e WHERE e.metadata ->> 'subscription_id' = o.subscription_id::text)
    AND NOT EXISTS (SELECT FROM seats_worker.jobs AS j WHERE j.target = 'quantity' AND j.seat_id = o.subscription_id)
  ON CONFLICT DO NOTHING`;
export const findOverlooked = async (pool) => { await pool.query(overlooked); };
