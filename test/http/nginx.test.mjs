// nginx in front of a stand-in for PostgREST: lib/postgrest-stand-in.mjs says what that is.
import { describeLayer } from './lib/layers.mjs';
import { startJwtLayer } from './lib/postgrest-layer.mjs';

describeLayer('nginx and a stand-in for PostgREST (not PostgREST itself)', 'http_nginx', startJwtLayer());
