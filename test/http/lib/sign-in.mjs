// docs/sign-in.md has what is between the marks, in parts.
// docs:begin
import { createHmac, randomInt } from 'node:crypto';

// Opens a session for a customer: only the application can say that it is who asks.
export const openSession = async (pool, customer) => {
  const { rows: [opened] } = await pool.query(`
    SELECT o.customer_session_token AS token
    FROM members AS m, seats.open_session(m.seat_id) AS o WHERE m.customer_id = $1`, [customer]);
  return opened?.token;
};

const hash = (email, code) => createHmac('sha256', process.env.SIGN_IN_KEY)
  .update(`${email.toLowerCase()} ${code}`).digest();

// Mails a code to the customer with an address, if there is one and the last code is a minute old.
export const sendCode = async (pool, organization, email, mail) => {
  const code = String(randomInt(1e8)).padStart(8, '0');
  const { rows: [sent] } = await pool.query(`
    INSERT INTO sign_in_codes AS c (customer_id, code_hash, tries_left, expires_at)
    SELECT id, $3, 5, clock_timestamp() + interval '10 minutes' FROM seats.customers
    WHERE organization_id = $1 AND lower(email COLLATE "C") = lower($2::text COLLATE "C")
    ON CONFLICT (customer_id) DO UPDATE
    SET code_hash = excluded.code_hash, tries_left = 5, expires_at = excluded.expires_at
    WHERE c.expires_at < clock_timestamp() + interval '9 minutes'
    RETURNING (SELECT p.email FROM seats.customers AS p WHERE p.id = c.customer_id)`,
  [organization, email, hash(email, code)]);
  if (sent) await mail(sent.email, code);
};

// Returns the id of the customer with an address if the code is right, else undefined. Every call
// is a try; the right code leaves none.
export const checkCode = async (pool, organization, email, code) => {
  const { rows: [tried] } = await pool.query(`
    UPDATE sign_in_codes AS c
    SET tries_left = CASE WHEN c.code_hash = $3 THEN 0 ELSE c.tries_left - 1 END
    FROM seats.customers AS p
    WHERE p.organization_id = $1 AND lower(p.email COLLATE "C") = lower($2::text COLLATE "C")
      AND c.customer_id = p.id AND c.tries_left > 0 AND c.expires_at > clock_timestamp()
    RETURNING c.customer_id, c.code_hash = $3 AS is_right`,
  [organization, email, hash(email, code)]);
  return tried?.is_right ? tried.customer_id : undefined;
};

export const addRoutes = (app, { pool, organization, mail, report }) => {
  const signIn = async (customer, response) => {
    try {
      const token = customer && await openSession(pool, customer);
      if (!token) return response.sendStatus(401);
      response.cookie('__Host-session', token,
        { httpOnly: true, secure: true, sameSite: 'lax', path: '/' }).redirect(303, '/');
    } catch ({ code, detail }) {
      if (!/^PT/.test(code)) return response.sendStatus(500);
      response.status(403).json({ reason: detail }); // such as seat_suspended
    }
  };

  // The answer leaves before the address is looked up, so it cannot tell whether it is known.
  app.post('/sign-in/code', ({ body: { email } }, response) => {
    response.sendStatus(202);
    sendCode(pool, organization, `${email}`, mail).catch(report);
  });
  app.post('/sign-in', async ({ body: { email, code } }, response) =>
    signIn(await checkCode(pool, organization, `${email}`, `${code}`), response));
};
// docs:end
