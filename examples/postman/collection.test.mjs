/**
 * Runs the collection in what Postman runs it in (postman-runtime), in Bruno and in newman, against a real server.
 *
 *   TOOLS           the folder with node_modules
 *   CUSTOMERS_URL   a server that demands signatures; the keys ES384_KEY and ES256_KEY are registered
 *   SANDBOX_URL     a sandbox with a base path
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const { TOOLS, CUSTOMERS_URL, SANDBOX_URL, ES384_KEY, ES256_KEY } = process.env;
const tools = createRequire(`${TOOLS}/package.json`);
const written = JSON.parse(readFileSync(new URL('customers-api.postman_collection.json', import.meta.url)));

const ODD = `ë /+&%?#=:;'"~`;

/** A request of the collection, with what somebody types into it. */
function filledIn(name, { id, query = [], body } = {}) {
  const item = structuredClone(written.item.find((candidate) => candidate.name === name));
  const { request } = item;
  if (id) request.url.variable.find(({ key }) => key === 'CustomerID').value = id;
  for (const [key, value] of query) {
    const known = request.url.query.find((field) => field.key === key && field.disabled);
    if (known) Object.assign(known, { value, disabled: false });
    else request.url.query.push({ key, value });
  }
  if (body) request.body.raw = body;
  return item;
}

/** The collection with these requests and these values of its variables. */
function collection(items, set) {
  const variable = written.variable.map((one) => ({ ...one, value: set[one.key] ?? one.value }));
  return { ...written, item: items, variable: [...variable, { key: 'who', value: 'Zoë' }] };
}

async function inPostman(items, set, runtime = 'postman-runtime') {
  const beside = createRequire(tools.resolve(`${runtime}/package.json`));
  const { Collection } = beside('postman-collection');
  const { Runner } = tools(runtime);
  const [answers, errors] = [[], []];
  await new Promise((resolve, reject) => {
    new Runner().run(new Collection(collection(items, set)), {}, (refused, run) => (refused ? reject(refused) : run.start({
      exception: (_, error) => errors.push(error.message),
      response: (error, _, response) => answers.push(error ?? { status: response.code, text: response.text() }),
      done: (error) => (error ? reject(error) : resolve()),
    })));
  });
  return { answers, errors };
}

/** newman has a postman-runtime of its own. */
const inNewman = (items, set) => inPostman(items, set, 'newman/node_modules/postman-runtime');

/** Imports the collection as Bruno does, and runs it with its command line. */
async function inBruno(items, set) {
  const folder = mkdtempSync(join(tmpdir(), 'customers-api-bruno-'));
  try {
    const typed = items.map((item) => ({ ...item, request: { ...item.request, url: asTyped(item.request.url) } }));
    const { collection: imported } = await tools('@usebruno/converters').postmanToBruno(collection(typed, set));
    const cli = dirname(tools.resolve('@usebruno/cli/package.json'));
    const { createCollectionFromBrunoObject } = tools(join(cli, 'src/utils/collection.js'));
    await createCollectionFromBrunoObject(imported, folder);
    const report = join(folder, 'report.json');
    const options = ['run', '-r', '--sandbox', 'developer', '--reporter-json', report];
    const run = await promisify(execFile)(process.execPath, [join(cli, 'bin/bru.js'), ...options], { cwd: folder })
      .catch((failed) => failed);
    let results;
    try {
      ([{ results }] = JSON.parse(readFileSync(report)));
    } catch {
      throw new Error(`Bruno made no report: ${run.stdout} ${run.stderr}`);
    }
    const text = (data) => (typeof data === 'string' ? data : JSON.stringify(data));
    const answers = results.map(({ response }) => ({ status: response.status, text: text(response.data) }));
    return { answers, errors: results.map(({ error }) => error).filter(Boolean) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Bruno keeps the query in the URL, as somebody typed it there. */
function asTyped(url) {
  const encode = (text) => encodeURIComponent(text).replace(/%20/g, '+');
  const query = (url.query ?? []).filter(({ disabled }) => !disabled)
    .map(({ key, value }) => ({ key: encode(key), value: value.startsWith('{{') ? value : encode(value) }));
  const search = query.map(({ key, value }) => `${key}=${value}`).join('&');
  return { ...url, raw: search ? `${url.raw}?${search}` : url.raw, query };
}

const pem = (file) => readFileSync(file, 'utf8');
const cases = {
  ES384: { baseUrl: CUSTOMERS_URL, privateKey: pem(ES384_KEY) },
  'ES256, pasted into one line': { baseUrl: CUSTOMERS_URL, privateKey: pem(ES256_KEY).replaceAll('\n', ' ') },
  'unsigned, with a base path': { baseUrl: SANDBOX_URL },
};

for (const program of [inPostman, inBruno, inNewman]) {
  for (const [name, set] of Object.entries(cases)) {
    // What newman 6 runs scripts in has no Web Crypto.
    if (program === inNewman && set.privateKey) continue;
    test(`${program.name}: ${name}`, { concurrency: true }, async () => {
      const id = `${program.name.slice(2)} ${name.slice(0, 5)} ${ODD}`;
      const raw = written.item.find((item) => item.name === 'Put Customer').request.body.raw.replace('"Mia"', '"{{who}}"');
      const { answers, errors } = await program([
        filledIn('Put Customer', { id, body: raw }),
        filledIn('Get Customer', { id }),
        filledIn('Put Customer', { id }),
        filledIn('List Customers', { query: [['PageSize', '1'], ['SortDirection', 'ASC']] }),
        filledIn('List Customers', { query: [['Name', ODD], [ODD, ''], ['Name', '{{who}}']] }),
        filledIn('Delete Customer', { id }),
        filledIn('Get Customer', { id }),
      ], set);
      assert.deepEqual(errors, []);
      assert.deepEqual(answers.map(({ status }) => status), [201, 200, 204, 200, 400, 204, 404], JSON.stringify(answers));
      const [, customer, , page, odd, , missing] = answers.map(({ text }) => text && JSON.parse(text));
      assert.deepEqual([customer.CustomerID, customer.FullName.FirstName], [id, 'Zoë']);
      assert.equal(page.Items.length, 1);
      assert.equal(odd.RequestExtension.Query.length, 3);
      assert.equal(missing.Type, 'ResourceNotFound');
    });
  }
}

for (const program of [inPostman, inBruno]) {
  test(`${program.name}: the collection as it is, in its order`, async () => {
    const { answers, errors } = await program(written.item, cases.ES384);
    assert.deepEqual(errors, []);
    assert.ok(answers.every(({ status }) => status >= 200 && status < 300), JSON.stringify(answers));
    assert.equal(answers.length, written.item.length);
  });

  test(`${program.name}: a key that is none is named`, async () => {
    const { errors } = await program([filledIn('Get Customer')], { ...cases.ES384, privateKey: 'AAAA' });
    assert.match(errors.join(), /privateKey must be a key/);
  });
}

test('newman says why it cannot sign', async () => {
  const { errors } = await inNewman([filledIn('Get Customer')], cases.ES384);
  assert.match(errors.join(), /newman 6 has none/);
});
