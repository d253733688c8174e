// The queue: which job is next, and what becomes of it.

const next = `
  SELECT seat_id, event_id, attempts, EXISTS (
    SELECT FROM seats_worker.jobs AS later
    WHERE later.target = j.target AND later.seat_id = j.seat_id AND later.event_id > j.event_id
      AND later.dead_since IS NULL) AS is_followed
  FROM seats_worker.jobs AS j
  WHERE target = $1 AND dead_since IS NULL AND due_at <= now() AND NOT EXISTS (
    SELECT FROM seats_worker.jobs AS earlier
    WHERE earlier.target = j.target AND earlier.seat_id = j.seat_id AND earlier.event_id < j.event_id
      AND earlier.dead_since IS NULL)
  ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED`;
const remove = 'DELETE FROM seats_worker.jobs WHERE target = $1 AND seat_id = $2 AND event_id = $3';
const note = `
  UPDATE seats_worker.jobs
  SET attempts = $4, last_error = $5, dead_since = CASE WHEN $6 THEN clock_timestamp() END
  WHERE target = $1 AND seat_id = $2 AND event_id = $3`;
// The seat's later jobs wait as well, so that nobody looks at them in vain.
const wait = `
  UPDATE seats_worker.jobs SET due_at = clock_timestamp() + make_interval(secs => $3)
  WHERE target = $1 AND seat_id = $2 AND dead_since IS NULL`;

// What is kept of an error. Messages are not: they may repeat what was sent, a link with a token included.
export const codes = ({ code, name, cause, responseCode, detail }) => [
  cause?.code ?? (typeof code === 'string' ? code : name), // the code of a time-out is a number that says nothing
  responseCode, // a mail server's
  /^PT4/.test(code) ? detail : undefined, // the extension's reason
].filter(Boolean).join(' ');

// Up to half of the wait is left to chance, so that what failed together is not tried again together.
const delay = (attempts, first, most) => Math.min(first * 2 ** attempts, most) * (1 - Math.random() / 2);

// Tries the job that has been due longest, in a transaction that keeps it locked meanwhile. Returns what to log, or
// nothing if no job is due.
export const attempt = async (client, target, send, [attemptsMax, first, most]) => {
  const { rows: [job] } = await client.query(next, [target]);
  if (!job) return undefined;
  const { seat_id, event_id } = job;
  const error = await send(job).then(() => undefined, (reason) => reason);
  if (!error) {
    await client.query(remove, [target, seat_id, event_id]);
    return { target, event_id };
  }
  // A suspended seat is no failure: it will be resumed or revoked some day.
  const isSuspended = error.detail === 'seat_suspended';
  const attempts = isSuspended ? job.attempts : job.attempts + 1;
  const isDead = error.isFinal || attempts >= attemptsMax;
  await client.query(note, [target, seat_id, event_id, attempts, codes(error), isDead]);
  const seconds = isSuspended ? most : delay(job.attempts, first, most);
  if (!isDead) await client.query(wait, [target, seat_id, seconds]);
  return { target, event_id, attempts, error: codes(error), is_dead: isDead };
};
