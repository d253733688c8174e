// nginx, by examples/postgrest/nginx.conf, in front of PostgREST or its stand-in, by postgrest.conf.
import { accessSync, constants, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as jose from 'jose';
import { freePort, startServer } from './processes.mjs';

export const examples = fileURLToPath(new URL('../../../examples', import.meta.url));
const example = (name) => join(examples, 'postgrest', name);
const STAND_IN = [process.execPath, fileURLToPath(new URL('postgrest-stand-in.mjs', import.meta.url))];

// A program's path: the one given, else the first on the PATH, else undefined.
export const find = (name, given) =>
  [given, ...`${process.env.PATH}:/usr/sbin`.split(delimiter).map((directory) => join(directory, name))]
    .find((path) => {
      try {
        return path && accessSync(path, constants.X_OK) === undefined;
      } catch {
        return false;
      }
    });
export const postgrestProgram = () => find('postgrest', process.env.POSTGREST);

// What nginx needs around a file of conf.d, to run as nobody in a directory of its own.
const mainConfiguration = (directory) => `
  pid nginx.pid;
  error_log error.log info;
  worker_processes 1;
  events {}
  http {
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    access_log main-access.log;
    include seats.conf;
  }`;

// The example with what must be replaced here, each of which it has once.
const configuration = (replacements) =>
  Object.entries(replacements).reduce((text, [from, to]) => {
    if (text.split(from).length !== 2) throw new Error(`nginx.conf does not have once: ${from}`);
    return text.replace(from, to);
  }, readFileSync(example('nginx.conf'), 'utf8'));

// Writes the files that nginx reads into a new directory; returns that and nginx's arguments.
export const prepareNginx = (replacements = {}) => {
  const directory = mkdtempSync(join(tmpdir(), 'nginx.'));
  writeFileSync(join(directory, 'nginx.conf'), mainConfiguration(directory));
  writeFileSync(join(directory, 'seats.conf'), configuration({
    '/var/log/nginx/': '', '/usr/share/seats': examples, ...replacements }));
  return { directory, command: find('nginx'),
    args: ['-p', directory, '-c', join(directory, 'nginx.conf'), '-g', 'daemon off;'] };
};

// Starts nginx in front of a port, with the example's limit of claims or one that no test reaches.
export const startNginx = async (upstreamPort, { limit = 'rate=10000r/s', replacements = {} } = {}) => {
  const port = await freePort();
  const { directory, command, args } = prepareNginx({
    '127.0.0.1:8080': `127.0.0.1:${port}`,
    '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`,
    ...(limit && { 'rate=5r/s': limit }),
    ...replacements,
  });
  const url = `http://127.0.0.1:${port}`;
  const server = await startServer(command, args, { url });
  const logs = async () => {
    const files = (await readdir(directory)).filter((name) => name.endsWith('.log'));
    const texts = await Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')));
    return [server.output, ...texts].join('\n');
  };
  const accessLog = async () =>
    (await readFile(join(directory, 'seats.log'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
  return { url, logs, accessLog, stop: () => server.stop('SIGQUIT') };
};

// Starts PostgREST, or its stand-in, by the example's configuration.
export const startPostgrest = async (shop, program, environment = {}) => {
  const port = await freePort();
  const [command, ...args] = program ? [program] : STAND_IN;
  const url = `http://127.0.0.1:${port}`;
  const server = await startServer(command, [...args, example('postgrest.conf')], {
    url,
    env: { ...process.env, PGRST_DB_URI: shop.url('authenticator'), PGRST_SERVER_PORT: String(port), ...environment },
  });
  return { url, port, logs: async () => server.output, stop: () => server.stop() };
};

// A JWT of the backend, signed with the key that roles.sql has made.
export const backendToken = async (shop, claims = { role: 'backend' }, expiry = '1h') => {
  const [{ jwk }] = await shop.query('SELECT jwk FROM gateway.backend_key');
  return new jose.SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: jwk.kid }).setExpirationTime(expiry)
    .sign(await jose.importJWK(jwk, 'HS256'));
};

// Both, as one layer.
export const startLayer = (program, options) => async (shop) => {
  const postgrest = await startPostgrest(shop, program);
  const nginx = await startNginx(postgrest.port, options);
  return {
    url: nginx.url,
    accessToken: await backendToken(shop),
    postgrest,
    accessLog: nginx.accessLog,
    logs: async () => (await nginx.logs()) + (await postgrest.logs()),
    stop: async () => {
      await nginx.stop();
      await postgrest.stop();
    },
  };
};

// The same, with sessions that are JWTs, which PostgREST accepts.
export const startJwtLayer = (program) => async (shop) => {
  await shop.set('seats.session_token_format', 'jwt');
  return { ...await startLayer(program)(shop), session: /^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+$/ };
};
