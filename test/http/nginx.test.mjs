// nginx in front of a stand-in for PostgREST: lib/postgrest-stand-in.mjs says what that is.
import { describeOperations } from './lib/operations.mjs';
import { startLayer } from './lib/postgrest-layer.mjs';

describeOperations('nginx and a stand-in for PostgREST (not PostgREST itself)', 'http_nginx', startLayer());
