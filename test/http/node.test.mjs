// examples/node, directly.
import { describeOperations } from './lib/operations.mjs';
import { startNode } from './lib/node-layer.mjs';

describeOperations('Node', 'http_node', startNode);
