// A mail server for trying the worker: prints each mail that it gets, and sends none on.
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';

const { HOST = '127.0.0.1', PORT = 2525 } = process.env;
const print = async (stream) => {
  const chunks = await stream.toArray();
  const { to, subject, text } = await PostalMime.parse(Buffer.concat(chunks));
  const [link] = /https?:\S+/.exec(text) ?? [];
  console.log(`Mail to ${to.map(({ address }) => address).join(', ')}: ${subject}\n  ${link}\n`);
};
new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  onData: (stream, session, answer) => { print(stream).then(() => answer(), answer); },
}).listen(+PORT, HOST);
