// Mails invitations. The words are at the end.
import { createTransport } from 'nodemailer';

// Draws a token, and says what the mail is about. The answer is the only place that has the token.
const draw = `
  SELECT i.invitation_token AS token, (i.seat).customer_email AS address,
    (i.seat).invitation_token_expires_at AS expires_at,
    organization.name AS organization, product.name AS product, coalesce(payer.name, payer.email) AS payer
  FROM seats.resend_invitation($1) AS i
  JOIN seats_worker.purchases AS p ON p.id = coalesce((i.seat).subscription_id, (i.seat).order_id)
  JOIN seats.organizations AS organization ON organization.id = p.organization_id
  JOIN seats.products AS product ON product.id = p.product_id
  JOIN seats.customers AS payer ON payer.id = p.customer_id`;
// The seat has been claimed or revoked meanwhile.
const isOver = ({ detail }) => detail === 'seat_not_pending' || detail === 'seat_not_found';

export const mailer = ({ SMTP_URL, MAIL_FROM, CLAIM_URL }, pool, timeout) => {
  if (!MAIL_FROM || !CLAIM_URL) throw new Error('set MAIL_FROM and CLAIM_URL');
  const url = new URL(SMTP_URL);
  for (const wait of ['dns', 'connection', 'greeting', 'socket']) url.searchParams.set(`${wait}Timeout`, timeout * 1000);
  const transport = createTransport(url.href, { from: MAIL_FROM, headers: { 'Auto-Submitted': 'auto-generated' } });
  const claimPage = new URL(CLAIM_URL);

  return async ({ seat_id, is_followed }) => {
    if (is_followed) return; // by another mail, whose token replaces this one's
    // This is committed before the mail leaves: its link works when it arrives.
    const { rows: [invitation] } = await pool.query(draw, [seat_id])
      .catch((error) => (isOver(error) ? { rows: [] } : Promise.reject(error)));
    if (!invitation) return;
    // Browsers send what is after # to no server.
    const link = Object.assign(new URL(claimPage), { hash: invitation.token }).href;
    await transport.sendMail({ to: { name: '', address: invitation.address }, ...letter(invitation, link) });
  };
};

// Names are other people's words. They stay on one line, in their direction, and are text in HTML.
const inline = (text) => text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ').trim();
const html = (strings, ...values) => String.raw({ raw: strings },
  ...values.map((value) => value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt()};`)));
const time = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });

const letter = ({ organization, product, payer, expires_at }, link) => {
  const what = `${inline(product)} by ${inline(organization)}`;
  const invited = payer ? `${inline(payer)} invited you to use ${what}.` : `You are invited to use ${what}.`;
  const until = `The link works once, until ${time.format(expires_at)} UTC.`;
  const ignore = 'If you did not expect this invitation, you can ignore this mail.';
  return {
    subject: `Your invitation to ${what}`,
    text: `${invited}\n\nAccept the invitation:\n${link}\n\n${until} ${ignore}\n`,
    html: html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Your invitation</title></head>
<body style="margin: 0 auto; padding: 24px; max-width: 32em; font: 16px/1.5 system-ui, sans-serif">
<p>${invited}</p>
<p><a href="${link}" style="display: inline-block; padding: 8px 20px; border-radius: 6px; background: #1d4ed8;
  color: #fff; text-decoration: none">Accept the invitation</a></p>
<p>${until} ${ignore}</p>
</body>
</html>
`,
  };
};
