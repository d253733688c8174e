// nginx in front of PostgREST itself, where there is one.
import { test } from 'node:test';
import { describeOperations } from './lib/operations.mjs';
import { postgrestProgram, startLayer } from './lib/postgrest-layer.mjs';

const program = postgrestProgram();
if (program) {
  describeOperations(`nginx and ${program}`, 'http_postgrest', startLayer(program));
} else {
  test('nginx and PostgREST itself', { skip: 'no postgrest on the PATH, and POSTGREST names none' }, () => {});
}
