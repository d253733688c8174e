// Webhooks as https://www.standardwebhooks.com specifies them.
import { Webhook } from 'standardwebhooks';

// The body of the webhook of a job: the seat as the event left it, and what is known of its people now. A customer who
// has been erased since is left out, and a payer whose purchase is deleted.
const payload = `
  SELECT json_build_object('type', j.type, 'timestamp', j.occurred_at, 'data', to_json(d))::text AS body
  FROM seats_worker.jobs AS j, LATERAL (
    SELECT s.created_at, s.modified_at, s.id, s.subscription_id, s.order_id, s.status, s.customer_id,
      s.customer_id AS member_id, to_json(m) AS member, c.email, c.email AS customer_email,
      s.invitation_token_expires_at, s.claimed_at, s.revoked_at, (n.seat).seat_metadata
    FROM (SELECT (j.seat).*) AS s
    LEFT JOIN seats.customers AS c ON c.id = s.customer_id
    LEFT JOIN seats_worker.purchases AS p ON p.id = coalesce(s.subscription_id, s.order_id)
    LEFT JOIN seats_worker.seats AS n ON n.id = s.id
    LEFT JOIN LATERAL (
      SELECT c.id, c.created_at, c.modified_at, p.customer_id, coalesce(c.email, '') AS email, c.name, c.external_id,
        CASE WHEN c.id = p.customer_id THEN 'owner' ELSE 'member' END AS role
      WHERE c.id IS NOT NULL AND p.id IS NOT NULL) AS m ON true
  ) AS d
  WHERE j.target = 'webhook' AND j.seat_id = $1 AND j.event_id = $2`;

export const sender = ({ WEBHOOK_URL, WEBHOOK_SECRET }, pool, timeout) => {
  if (!WEBHOOK_SECRET) throw new Error('set WEBHOOK_SECRET');
  const url = new URL(WEBHOOK_URL);
  // In the specification, the key is what follows whsec_, decoded. @polar-sh/sdk takes the whole secret for the key, so
  // such a secret signs twice.
  const signers = WEBHOOK_SECRET.split(' ').flatMap((secret) =>
    [new Webhook(Buffer.from(secret), { format: 'raw' }), ...secret.startsWith('whsec_') ? [new Webhook(secret)] : []]);

  return async ({ seat_id, event_id }) => {
    const { rows: [{ body }] } = await pool.query(payload, [seat_id, event_id]);
    const [id, now] = [`${seat_id}_${event_id}`, new Date()];
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual', // one that moves is a failure, so that nothing is sent to another address
      signal: AbortSignal.timeout(timeout * 1000),
      headers: {
        'Content-Type': 'application/json',
        'Webhook-Id': id,
        'Webhook-Timestamp': String(Math.floor(now / 1000)),
        'Webhook-Signature': signers.map((signer) => signer.sign(id, now, body)).join(' '),
      },
      body,
    });
    await response.body?.cancel();
    if (!response.ok) throw Object.assign(new Error(), { code: `HTTP ${response.status}` });
  };
};
