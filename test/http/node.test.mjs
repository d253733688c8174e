// examples/node, directly.
import { describeLayer } from './lib/layers.mjs';
import { startNode } from './lib/node-layer.mjs';

describeLayer('Node', 'http_node', startNode);
