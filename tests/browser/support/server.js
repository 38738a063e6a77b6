/** The real server, each time with an empty database of its own, and a reverse proxy in front of it. */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const BUILT = new URL('../../../target/release/customers-api', import.meta.url).pathname;
const BINARY = process.env.CUSTOMERS_API_BIN ?? BUILT;
const READY_MS_MAX = 30_000;

/** Settings of whoever runs the tests are not to reach the server. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('CUSTOMERS_') && name !== 'DATABASE_URL'),
);

/**
 * @param {{options?: string[], keys?: {account: string, options?: string[]}[]}} setup how to serve, and who may sign
 */
export async function startServer({ options = [], keys = [] } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'customers-api-browser-'));
  const database = ['--database-url', `sqlite:${join(directory, 'customers.db')}`];
  const run = (...args) => execFileSync(BINARY, args, { cwd: directory, env: ENVIRONMENT, encoding: 'utf8' });

  const pems = keys.map(({ account, options: more = [] }, index) => {
    const file = join(directory, `${index}.pem`);
    run('keys', 'generate', '--account', account, '--out', file, ...more, ...database);
    return { file, text: readFileSync(file, 'utf8') };
  });
  const server = spawn(BINARY, ['serve', '--listen', '127.0.0.1:0', ...database, ...options], {
    cwd: directory, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'],
  });
  return {
    url: await readyUrl(server),
    keys: pems,
    sign: (...args) => run('sign', ...args).trim(),
    async stop() {
      if (server.exitCode === null) {
        server.kill('SIGTERM');
        await once(server, 'exit');
      }
      rmSync(directory, { recursive: true });
    },
  };
}

/** The address in the line that the server prints when it is ready, base path included, with `/` at its end. */
async function readyUrl(server) {
  let said = '';
  server.stderr.on('data', (chunk) => { said += chunk; });
  const lines = createInterface({ input: server.stdout });
  const timer = setTimeout(() => server.kill('SIGKILL'), READY_MS_MAX);
  try {
    for await (const line of lines) {
      said += `${line}\n`;
      const [url] = line.match(/https?:\/\/127\.0\.0\.1:\d+[^\s"',()]*/) ?? [];
      if (url) return url.replace(/\/*$/, '/');
    }
  } finally {
    clearTimeout(timer);
    server.stdout.resume(); // A full pipe would stop the server.
  }
  throw new Error(`the server ended before it was ready:\n${said}`);
}

/** What is below `prefix` goes to the target, without the prefix; there is nothing else. */
export async function startProxy(prefix, target) {
  const proxy = http.createServer((request, response) => {
    if (!request.url.startsWith(prefix)) return response.writeHead(404).end();
    const url = target + request.url.slice(prefix.length);
    const forwarded = http.request(url, { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    // The path must arrive as it was sent, which a URL object would not promise.
    forwarded.path = new URL(target).pathname + request.url.slice(prefix.length);
    forwarded.on('error', () => response.destroy());
    request.pipe(forwarded);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${proxy.address().port}${prefix}`,
    stop() {
      proxy.closeAllConnections();
      return new Promise((resolve) => { proxy.close(resolve); });
    },
  };
}
