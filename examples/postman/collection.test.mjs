/** Runs the collection's script as Postman and Bruno do, and sends what it made of each request to a real server. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, test } from 'node:test';

import { startServer } from '../../tests/browser/support/server.js';

const collection = JSON.parse(readFileSync(new URL('customers-api.postman_collection.json', import.meta.url)));
const script = collection.event.find(({ listen }) => listen === 'prerequest').script.exec.join('\n');
const run = Object.getPrototypeOf(async () => {}).constructor;

const ODD = `ë /+&%?#=:;'"~`;

/** A request of the collection, with what somebody types into it. */
function filledIn(name, { id, query = [], body } = {}) {
  const { request } = structuredClone(collection.item.find((item) => item.name === name));
  if (id) request.url.variable.find(({ key }) => key === 'CustomerID').value = id;
  for (const [key, value] of query) {
    const known = request.url.query.find((field) => field.key === key && field.disabled);
    if (known) Object.assign(known, { value, disabled: false });
    else request.url.query.push({ key, value });
  }
  if (body) request.body.raw = body;
  return request;
}

const replace = (variables) => (text) => text.replace(/{{(.*?)}}/g, (whole, name) => variables[name] ?? whole);

const sentHeaders = (request) => Object.fromEntries(
  request.header.filter(({ disabled }) => !disabled).map(({ key, value }) => [key, value]),
);

async function inPostman(request, variables) {
  const sent = { method: request.method, headers: sentHeaders(request), body: request.body?.raw };
  const list = (fields = []) => ({ all: () => fields });
  await run('pm', script)({
    variables: { replaceIn: replace(variables) },
    request: {
      method: request.method,
      url: {
        getRemote: () => request.url.host.join('.'),
        getPath: ({ unresolved }) => unresolved && `/${request.url.path.join('/')}`,
        variables: list(request.url.variable),
        query: list(request.url.query),
        update(url) { sent.url = url; },
      },
      headers: { upsert({ key, value }) { sent.headers[key] = value; } },
      body: request.body && { ...request.body, toJSON: () => request.body, update({ raw }) { sent.body = raw; } },
    },
  });
  return sent;
}

/** Bruno keeps the query in the URL, as somebody typed it there. */
async function inBruno(request, variables) {
  const sent = { method: request.method, headers: sentHeaders(request), body: request.body?.raw };
  const typed = (text) => encodeURIComponent(text).replace(/%20/g, '+');
  const search = (request.url.query ?? []).filter(({ disabled }) => !disabled)
    .map(({ key, value }) => `${typed(key)}=${typed(value)}`);
  await run('bru', 'req', script)({ interpolate: replace(variables) }, {
    pathParams: request.url.variable?.map(({ key, value }) => ({ name: key, value, type: 'path' })),
    getUrl: () => request.url.raw + (search.length > 0 ? `?${search.join('&')}` : ''),
    getMethod: () => request.method,
    getBody: () => request.body?.raw,
    setUrl(url) { sent.url = url; },
    setBody(text) { sent.body = text; },
    setHeader(name, value) { sent.headers[name] = value; },
  });
  return sent;
}

/** Sends the URL exactly as it is. */
function send({ method, url, headers, body }) {
  const [, host, port, path] = url.match(/^http:\/\/([^:/]+):(\d+)(.*)$/);
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, path, method, headers }, async (answer) => {
      const chunks = await answer.toArray();
      const text = Buffer.concat(chunks).toString();
      resolve({ status: answer.statusCode, headers: answer.headers, json: text && JSON.parse(text) });
    });
    request.on('error', reject);
    request.end(body);
  });
}

let signed;
let sandbox;

before(async () => {
  signed = await startServer({ keys: [{ account: 'p384' }, { account: 'p256', options: ['--algorithm', 'ES256'] }] });
  sandbox = await startServer({ options: ['--sandbox', '--base-path', '/api/v1'] });
});

after(() => Promise.all([signed.stop(), sandbox.stop()]));

/** The values of the collection, and those that somebody sets. */
const variables = (set) => ({
  ...Object.fromEntries(collection.variable.map(({ key, value }) => [key, value])), ...set,
});

for (const program of [inPostman, inBruno]) {
  const cases = [
    ['ES384', () => ({ baseUrl: signed.url.slice(0, -1), privateKey: signed.keys[0].text })],
    ['ES256, pasted into one line', () => ({
      baseUrl: signed.url.slice(0, -1), privateKey: signed.keys[1].text.replaceAll('\n', ' '),
    })],
    ['unsigned, with a base path', () => ({ baseUrl: sandbox.url.slice(0, -1) })],
  ];
  for (const [name, set] of cases) {
    test(`${program.name}: ${name}`, async () => {
      const id = `${program.name} ${ODD}`;
      const expect = async (status, ...request) => {
        const answer = await send(await program(filledIn(...request), variables({ ...set(), who: 'Zoë' })));
        assert.equal(answer.status, status, JSON.stringify([request, answer.json]));
        return answer.json;
      };
      const { request } = collection.item.find((item) => item.name === 'Put Customer');
      await expect(201, 'Put Customer', { id, body: request.body.raw.replace('"Mia"', '"{{who}}"') });
      const customer = await expect(200, 'Get Customer', { id });
      assert.deepEqual([customer.CustomerID, customer.FullName.FirstName], [id, 'Zoë']);
      await expect(204, 'Put Customer', { id });
      const page = await expect(200, 'List Customers', { query: [['PageSize', '1'], ['SortDirection', 'ASC']] });
      assert.equal(page.Items.length, 1);
      const odd = await expect(400, 'List Customers', { query: [['Name', ODD], [ODD, ''], ['Name', '{{who}}']] });
      assert.equal(odd.RequestExtension.Query.length, 3);
      await expect(204, 'Delete Customer', { id });
      const error = await expect(404, 'Get Customer', { id });
      assert.equal(error.Type, 'ResourceNotFound');
    });
  }
}

test('each request of the collection works as it is, in its order', async () => {
  const set = variables({ baseUrl: signed.url.slice(0, -1), privateKey: signed.keys[0].text });
  const statuses = [];
  for (const { name } of collection.item) {
    statuses.push((await send(await inPostman(filledIn(name), set))).status);
  }
  assert.deepEqual(statuses, [201, 200, 204, 200]);
});

test('a key that is none is named', async () => {
  const set = variables({ baseUrl: signed.url.slice(0, -1), privateKey: 'AAAA' });
  await assert.rejects(inPostman(filledIn('Get Customer'), set), /privateKey must be a key/);
});
