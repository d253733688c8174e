// A site as an application would have it: the pages and the API at one origin, and somewhere to go on to.
// It notes each request, and can answer for the API.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { nodeExample } from './node-layer.mjs';

const express = createRequire(`${nodeExample}/`)('express');
const read = (name) => readFileSync(new URL(`../../../examples/${name}/index.html`, import.meta.url), 'utf8');
export const [claimPage, teamPage] = ['claim-page', 'team-page'].map(read);
const places = { claim: [/^\/(claim|join)(?![0-9A-Za-z_])/, claimPage], team: ['/team', teamPage] };

// A page with attributes of its first element set, each of which it has once.
const configured = (page, attributes) =>
  Object.entries(attributes).reduce((text, [name, value]) => {
    const parts = text.split(new RegExp(`(?<=<html [^>]*data-${name}=")[^"]*`));
    if (parts.length !== 2) throw new Error(`the page has no data-${name}`);
    return parts.join(value);
  }, page);

// The first of the pages that are named is the one that is tested.
export const startSite = async (layer, name, ...others) => {
  const app = express().disable('x-powered-by');
  const site = {};
  // What the next test finds: nothing noted, the page with these attributes, the API as it is.
  site.reset = (attributes = {}) => {
    site.requests = [];
    site.page = configured(places[name][1], attributes);
    site.instead = undefined;
  };
  site.reset();
  // Holds requests to the API until the function that this returns is called: all, or some.
  site.hold = (isHeld = () => true) => {
    let goOn;
    const hasSeenEnough = new Promise((resolve) => { goOn = resolve; });
    site.instead = async (request, response, forward) => {
      if (isHeld()) await hasSeenEnough;
      await forward();
    };
    return goOn;
  };
  const forward = async ({ method, originalUrl, body, headers }, response) => {
    const { authorization = '', 'idempotency-key': key = '' } = headers;
    const answer = await fetch(layer.url + originalUrl, {
      method,
      body: method === 'POST' && body.length > 0 ? body : undefined,
      headers: { Authorization: authorization, 'Idempotency-Key': key },
    });
    response.status(answer.status).type('json').send(Buffer.from(await answer.arrayBuffer()));
  };

  app.use((request, response, next) => {
    const { method, originalUrl: url, headers } = request;
    site.requests.push({ method, url, headers });
    next();
  });
  app.use('/v1', express.raw({ type: () => true }), async (request, response) =>
    (site.instead ?? forward)(request, response, (to = response) => forward(request, to)));
  const serve = (path, page) => app.get(path, (request, response) => {
    response.set('Content-Security-Policy', "frame-ancestors 'none'").set('Cache-Control', 'no-cache').send(page());
  });
  serve(places[name][0], () => site.page);
  for (const other of others) serve(places[other][0], () => places[other][1]);
  app.get('/', (request, response) => response.send('<!doctype html><title>Welcome</title>'));
  // docs:begin
  app.post('/welcome', express.urlencoded({ extended: false, limit: '4kb' }), (request, response) => {
    if (request.get('Sec-Fetch-Site') !== 'same-origin') return response.sendStatus(403);
    response.cookie('__Host-session', request.body.customer_session_token,
      { httpOnly: true, secure: true, sameSite: 'lax', path: '/' });
    response.redirect(303, '/');
  });
  // docs:end

  const server = await new Promise((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  site.url = `http://127.0.0.1:${server.address().port}`;
  site.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return site;
};
