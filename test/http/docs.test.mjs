// What docs/http.md shows of code is what the tests use.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

const read = (path) => readFile(new URL(path, import.meta.url), 'utf8');

test('docs/http.md has the hook that the suite uses', async () => {
  const source = await read('lib/invitations.mjs');
  const imports = source.match(/^import .*$/gm).join('\n');
  const [, code] = /\/\/ docs:begin\n(.*)\/\/ docs:end/s.exec(source);
  assert.ok((await read('../../docs/http.md')).includes(`\`\`\`js\n${imports}\n\n${code}\`\`\``));
});
