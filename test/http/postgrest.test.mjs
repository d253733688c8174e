// nginx in front of PostgREST itself, where there is one.
import { test } from 'node:test';
import { describeLayer } from './lib/layers.mjs';
import { postgrestProgram, startJwtLayer } from './lib/postgrest-layer.mjs';

const program = postgrestProgram();
if (program) {
  describeLayer(`nginx and ${program}`, 'http_postgrest', startJwtLayer(program));
} else {
  test('nginx and PostgREST itself', { skip: 'no postgrest on the PATH, and POSTGREST names none' }, () => {});
}
