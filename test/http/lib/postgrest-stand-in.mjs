// A stand-in for PostgREST, a test double: what nginx.conf and postgrest.conf rely on, so that they can be
// tested where there is no PostgREST. It is not PostgREST, and not meant to serve anybody.
//
// It follows version 14.17, of which it knows: calls of functions by POST, GET and HEAD, and reading views;
// the schema by Content-Profile or Accept-Profile, else the first one; one unnamed argument of type json,
// jsonb or bytea by the content type, else named ones from an object, from the first object of an array, or
// from the query; roles by JWTs of HS256; db-pre-config, db-pre-request, the settings of a role (ALTER ROLE)
// and of a request; GET and HEAD, and functions that are not volatile, in READ ONLY; response.status and
// response.headers; errors and their statuses, PTnnn and PGRST too; the header Proxy-Status, which it has
// from version 13 on; NOTIFY pgrst. HEAD selects no body, so that PostgreSQL never calls a function that has
// a scalar result and is not volatile. It tries 40001 and 40P01 again, without limit and on the same
// connection, as all versions before 16 do; version 16 does not, and STAND_IN_VERSION=16 neither.
//
// What is left out answers with an error where PostgREST would do something: filters, media types other
// than JSON, preferences other than the time zone. So a proxy that lets them pass is found out.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import * as jose from 'jose';
import pg from 'pg';

const fromFile = Object.fromEntries([...readFileSync(process.argv[2], 'utf8').matchAll(/^([a-z-]+) *= *"?([^"\n]*)"?$/gm)]
  .map(([, key, value]) => [key, value]));
const setting = (key) => process.env[`PGRST_${key.toUpperCase().replaceAll('-', '_')}`] ?? fromFile[key];
const schemas = setting('db-schemas').split(/, */);
const newPool = () => new pg.Pool({ connectionString: setting('db-uri') });
let pool = newPool();
const quote = pg.escapeIdentifier;
const log = (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`);

class Failure extends Error {
  constructor(status, code, message, { details = null, hint = null, headers = {} } = {}) {
    super(message);
    Object.assign(this, { status, headers, body: { code, details, hint, message } });
  }
}

// Error.hs: pgErrorStatus. The order matters.
const STATUSES = [[/^08/, 503], [/^0[LP]/, 403], [/^09/, 500], [/^2350[35]/, 409], [/^25006/, 405], [/^21000/, 500],
  [/^(25|2D|38|39|3B|40)/, 500], [/^28/, 403], [/^53400/, 500], [/^53/, 503], [/^5[45]/, 500], [/^57P01/, 503],
  [/^5[78]/, 500], [/^(F0|HV)/, 500], [/^P0001/, 400], [/^P0/, 500], [/^XX/, 500], [/^(42883|42P01)/, 404],
  [/^42P17/, 500]];
const failureOf = ({ code, message, detail: details, hint }, authenticated) => {
  if (code === 'PGRST') return raisedResponse(message, details);
  const raised = /^PT(.*)$/.exec(code ?? '');
  const status = raised ? (/^\d+$/.test(raised[1]) ? Number(raised[1]) : 500)
    : code === '42501' ? (authenticated ? 403 : 401)
      : code === '22023' && /^role.*does not exist$/s.test(message) ? 401
        : STATUSES.find(([pattern]) => pattern.test(code ?? '08'))?.[1] ?? 400;
  const headers = status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
  return new Failure(status, code ?? 'PGRST000', message, { details, hint, headers });
};

// Error.hs: parseRaisePGRST. The message has the body, and the detail the status and headers.
const raisedResponse = (message, detail) => {
  try {
    const [{ code, message: text, details, hint }, { status, headers }] = [message, detail].map((json) => JSON.parse(json));
    return new Failure(status, code, text, { details, hint, headers });
  } catch {
    return new Failure(500, 'PGRST121', 'Could not parse JSON in the "RAISE SQLSTATE \'PGRST\'" error', { details: message });
  }
};

// What PostgREST knows of the database: read at the start, and when it is notified. Config/Database.hs and
// AppState.hs: keys and the settings of roles with the configuration, and functions with the schema, for
// which the pool gets new connections.
let keys = [];
let routines = [];
let roleSettings = {};
const load = async () => {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const configure = setting('db-pre-config');
    if (configure) await client.query(`SELECT ${configure}()`);
    const { rows: [{ set }] } = await client.query("SELECT current_setting('pgrst.jwt_secret', true) AS set");
    keys = set ? JSON.parse(set).keys : [];
    ({ rows: routines } = await client.query(`
      SELECT n.nspname AS schema, p.proname AS name, p.provolatile = 'v' AS volatile, t.typtype <> 'c' AS scalar,
        p.pronargs - p.pronargdefaults AS required, coalesce(p.proargnames, '{}') AS names,
        ARRAY(SELECT format_type(a, NULL) FROM unnest(p.proargtypes) AS a) AS types
      FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_type AS t ON t.oid = p.prorettype
      WHERE n.nspname = ANY ($1) AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype`, [schemas]));
    const { rows } = await client.query(`SELECT r.rolname AS role, split_part(s, '=', 1) AS name, substr(s, strpos(s, '=') + 1) AS value
      FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.roleid, unnest(r.rolconfig) AS s
      JOIN pg_settings AS g ON g.name = split_part(s, '=', 1) AND g.context = 'user' WHERE m.member = current_user::regrole`);
    roleSettings = {};
    for (const { role, name, value } of rows) (roleSettings[role] ??= {})[name] = value;
    await client.query('COMMIT');
  } finally {
    client.release();
  }
};
const reload = async ({ payload }) => {
  if (!['', 'reload schema', 'reload config'].includes(payload)) return;
  const [old, known] = [pool, [keys, roleSettings, routines]];
  if (payload !== 'reload config') pool = newPool();
  await load();
  if (payload === 'reload config') [, , routines] = known;
  else [keys, roleSettings] = known;
  if (pool !== old) await old.end();
};

// Auth/Jwt.hs: who calls, with 30 seconds of tolerance.
const authenticate = async (header) => {
  const anonymous = setting('db-anon-role');
  const [, token] = /^bearer (.*)$/i.exec(header ?? '') ?? [];
  if (token === undefined) return { role: anonymous, claims: { role: anonymous } };
  const refuse = (code, message) => new Failure(401, code, message,
    { headers: { 'WWW-Authenticate': `Bearer error="invalid_token", error_description="${message}"` } });
  if (token.split('.').length !== 3) throw refuse('PGRST301', 'Expected 3 parts in JWT');
  for (const jwk of keys) {
    try {
      const { payload } = await jose.jwtVerify(token, await jose.importJWK(jwk, 'HS256'),
        { algorithms: ['HS256'], clockTolerance: 30 });
      const role = payload.role ?? anonymous;
      return { role, claims: { ...payload, role } };
    } catch (error) {
      if (error instanceof jose.errors.JWTExpired) throw refuse('PGRST303', 'JWT expired');
    }
  }
  throw refuse('PGRST301', 'No suitable key or wrong key type');
};

// Plan.hs: findProc. Named arguments come before one unnamed argument.
const UNNAMED = { 'application/json': ['json', 'jsonb'], 'application/octet-stream': ['bytea'] };
const findRoutine = (schema, name, given, type) => {
  const overloads = routines.filter((routine) => routine.schema === schema && routine.name === name);
  const named = overloads.filter(({ names, types, required }) =>
    names.length >= types.length && names.slice(0, required).every((argument) => given.includes(argument)) &&
    given.every((argument) => names.slice(0, types.length).includes(argument)));
  const unnamed = overloads.filter(({ names, types }) =>
    names.length === 0 && types.length === 1 && UNNAMED[type]?.includes(types[0]));
  const found = named.length > 0 ? named : unnamed;
  if (found.length > 1) throw new Failure(300, 'PGRST203', 'Could not choose the best candidate function');
  if (found.length === 1) return { ...found[0], positional: found === unnamed };
  throw new Failure(404, 'PGRST202', `Could not find the function ${schema}.${name} in the schema cache`);
};

// ApiRequest/QueryParams.hs: a value that begins with an operator is a filter, and not an argument.
const OPERATOR = /^(not\.)?(eq|neq|gte?|lte?|like|ilike|match|imatch|in|is|isdistinct|cs|cd|fts|ov)[.(]/;
const readQuery = (query, isRead) => {
  const given = [...query].filter(([key]) => !['select', 'order', 'limit', 'offset', 'columns'].includes(key));
  if (given.length < [...query].length) throw new Failure(400, 'PGRST100', 'not known to the stand-in');
  for (const [key, value] of given) {
    if (OPERATOR.test(value)) throw new Failure(400, '42703', `column ${key} does not exist`);
    if (!isRead) throw new Failure(400, 'PGRST100', `"failed to parse filter (${value})"`);
  }
  return Object.fromEntries(given);
};

// ApiRequest/Payload.hs: the names of the arguments that a body gives.
const readBody = (bytes, type) => {
  if (type === 'application/octet-stream') return [];
  if (type !== 'application/json') throw new Failure(400, 'PGRST102', `Content-Type not acceptable: ${type}`);
  let json;
  try {
    json = bytes.length === 0 ? {} : JSON.parse(bytes);
  } catch {
    throw new Failure(400, 'PGRST102', 'Empty or invalid json');
  }
  return Object.keys((Array.isArray(json) ? json[0] : json) ?? {});
};

// Query/QueryBuilder.hs: callPlanToQuery.
const callQuery = (routine, given, { query, bytes }) => {
  const qualified = `${quote(routine.schema)}.${quote(routine.name)}`;
  const call = (values) => (routine.scalar ? `(SELECT ${qualified}(${values}) pgrst_scalar) pgrst_call`
    : `${qualified}(${values}) pgrst_call`);
  const source = (from) => `SELECT ${routine.scalar ? 'pgrst_call.pgrst_scalar' : 'pgrst_call.*'} FROM ${from}`;
  const typeOf = (name) => routine.types[routine.names.indexOf(name)];
  if (routine.positional) {
    return [source(call(`$1::${routine.types[0]}`)), [routine.types[0] === 'bytea' ? bytes : bytes.toString()]];
  }
  if (query) {
    const values = given.map((name, i) => `${quote(name)} := $${i + 1}::${typeOf(name)}`);
    return [source(call(values)), given.map((name) => query[name])];
  }
  if (given.length === 0) return [source(call('')), []];
  const rows = bytes.toString().trimStart().startsWith('[') ? 'json_to_recordset' : 'json_to_record';
  const columns = given.map((name) => `${quote(name)} ${typeOf(name)}`);
  const values = given.map((name) => `${quote(name)} := pgrst_body.${quote(name)}`);
  return [source(`(SELECT $1::json AS json_data) pgrst_payload,
    LATERAL (SELECT * FROM ${rows}(json_data) AS _(${columns}) LIMIT 1) pgrst_body, LATERAL ${call(values)}`),
  [bytes.toString()]];
};

// MainTx.hs and Query/PreQuery.hs: one transaction for a request, on one connection, until it fails otherwise
// than by 40001 or 40P01 (Hasql/Transaction/Private/Sessions.hs).
const triesAgain = (process.env.STAND_IN_VERSION ?? '14') < '16';
const run = async (...request) => {
  const client = await pool.connect();
  try {
    for (;;) {
      try {
        return await attempt(client, ...request);
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {});
        if (!triesAgain || !['40001', '40P01'].includes(error.code)) throw error;
      }
    }
  } finally {
    client.release();
  }
};
const attempt = async (client, { role, claims }, request, path, schema, readOnly, main) => {
  await client.query(`BEGIN ISOLATION LEVEL READ COMMITTED ${readOnly ? 'READ ONLY' : 'READ WRITE'}`);
  const { cookie, ...headers } = request.headers;
  const timezone = /timezone=(\S+)/.exec(headers.prefer ?? '')?.[1];
  const settings = { search_path: quote(schema), ...roleSettings[role], role, 'request.jwt.claims': JSON.stringify(claims),
    'request.method': request.method, 'request.path': path, 'request.headers': JSON.stringify(headers),
    'request.cookies': '{}', ...(timezone && { timezone }) };
  const calls = Object.keys(settings).map((name, i) => `set_config('${name}', $${i + 1}, true)`);
  await client.query(`SELECT ${calls}`, Object.values(settings));
  const check = setting('db-pre-request');
  if (check) await client.query(`SELECT ${check}()`);
  const { rows: [answer] } = await client.query(...main);
  await client.query('COMMIT');
  return answer;
};

// Query/Statements.hs: mainCall and mainRead.
const mainQuery = (source, body) => `WITH pgrst_source AS (${source}) SELECT ${body} AS body,
  nullif(current_setting('response.status', true), '') AS status,
  nullif(current_setting('response.headers', true), '') AS headers
  FROM (SELECT * FROM pgrst_source) _postgrest_t`;

// Response/GucHeader.hs: an array of objects, each with one key and a string.
const gucHeaders = (json) => {
  const headers = {};
  try {
    for (const object of JSON.parse(json ?? '[]')) {
      const [[name, value], ...more] = Object.entries(object);
      if (more.length > 0 || typeof value !== 'string') throw new Error();
      (headers[name] ??= []).push(Buffer.from(value).toString('latin1'));
    }
  } catch {
    throw new Failure(500, 'PGRST111', 'response.headers guc must be a JSON array composed of objects with a single key and a string value');
  }
  return headers;
};

const answerTo = async (request, bytes) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const { method, headers } = request;
  const who = await authenticate(headers.authorization);
  const [, rpc, name] = /^\/(rpc\/)?(\w+)$/.exec(pathname) ?? [];
  if (!name) throw new Failure(404, 'PGRST125', 'Invalid path specified in request URL');
  if (!['GET', 'HEAD', ...(rpc ? ['POST'] : [])].includes(method)) throw new Failure(405, 'PGRST101', 'Cannot use that method');
  const isRead = method !== 'POST';
  const schema = headers[isRead ? 'accept-profile' : 'content-profile'] ?? schemas[0];
  if (!schemas.includes(schema)) throw new Failure(406, 'PGRST106', `Invalid schema: ${schema}`);
  if (!/(^|[ ,])(application\/json|\*\/\*)/.test(headers.accept ?? '*/*')) {
    throw new Failure(406, 'PGRST107', 'None of these media types are available');
  }
  if (method === 'GET' && headers.range) throw new Failure(416, 'PGRST103', 'Requested range not satisfiable');
  if (/handling=strict/.test(headers.prefer ?? '')) throw new Failure(400, 'PGRST122', 'Invalid preferences');

  const query = readQuery(searchParams, isRead && rpc);
  const type = (headers['content-type'] ?? 'application/json').split(';')[0];
  let source, values, body, readOnly = true;
  if (rpc) {
    const given = isRead ? Object.keys(query) : readBody(bytes, type);
    const routine = findRoutine(schema, name, given, isRead ? undefined : type);
    [source, values] = callQuery(routine, given, { query: isRead && query, bytes });
    body = `coalesce(json_agg(_postgrest_t${routine.scalar ? '.pgrst_scalar' : ''})->0, 'null')::text`;
    readOnly = isRead || !routine.volatile;
  } else {
    [source, values] = [`SELECT * FROM ${quote(schema)}.${quote(name)}`, []];
    body = "coalesce(json_agg(_postgrest_t), '[]')::text";
  }
  if (method === 'HEAD') body = "''::text";
  const answer = await run(who, request, pathname, schema, readOnly, [mainQuery(source, body), values])
    .catch((error) => { throw failureOf(error, who.role !== setting('db-anon-role')); });
  return { status: Number(answer?.status ?? 200), text: answer?.body ?? '',
    headers: { 'Content-Range': '0-0/*', ...gucHeaders(answer?.headers) } };
};

const server = createServer(async (request, response) => {
  let answer;
  try {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    answer = await answerTo(request, Buffer.concat(chunks));
  } catch (error) {
    const failure = error instanceof Failure ? error : new Failure(500, 'stand-in', `${error.stack}`);
    const proxyStatus = { 'Proxy-Status': `PostgREST; error=${failure.body.code}` };
    answer = { status: failure.status, text: JSON.stringify(failure.body), headers: { ...failure.headers, ...proxyStatus } };
  }
  // As PostgREST at the level error: the request's line, with its address.
  if (answer.status >= 500) log(`${request.method} ${request.url} ${answer.status} ${answer.text}`);
  response.writeHead(answer.status, { 'Content-Type': 'application/json; charset=utf-8', ...answer.headers });
  response.end(request.method === 'HEAD' ? undefined : answer.text);
});

await load();
const listener = new pg.Client({ connectionString: setting('db-uri') });
await listener.connect();
listener.on('notification', reload);
await listener.query('LISTEN pgrst');
server.listen(Number(setting('server-port')), setting('server-host'),
  () => log('this is a stand-in for PostgREST, for tests'));
process.once('SIGTERM', () => process.exit(0));
