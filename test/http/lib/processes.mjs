// Servers that a test starts, each a process of its own that must end with the test.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

// A port that nobody listens on just now.
export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

// Whatever a test that failed has left must not keep its file from ending, and ends with it.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

// Starts a program, collects what it prints, and waits until it answers requests at its address, if it has one.
export const startServer = async (command, args, { url, ...options }) => {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const server = { output: '', ended: new Promise((resolve) => child.once('close', resolve)) };
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', (error) => { server.output += error; });
  child.unref();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => { server.output += text; }).unref();
  }
  server.stop = async (signal = 'SIGTERM') => {
    child.ref();
    child.kill(signal);
    return server.ended;
  };
  for (let tries = 0; ; tries += 1) {
    // PostgREST answers 503 while it still reads the database's catalog.
    if (!url || await fetch(url).then(({ status }) => status !== 503, () => false)) return server;
    if (tries === 600 || child.exitCode !== null) {
      await server.stop('SIGKILL');
      throw new Error(`${command} does not answer:\n${server.output}`);
    }
    await sleep(100);
  }
};
