/** The package by itself. */

import assert from 'node:assert/strict';

import { Signer, signingFetch } from 'customers-signing';

const { CUSTOMERS_URL: server = '', LOSSY_URL: lossy = '', NOBODY_URL: nobody = '' } = process.env;
const body = JSON.stringify({
  FullName: { FirstName: 'Zoë', LastName: 'Muster' }, DateOfBirth: '1990-01-31', Identities: [],
  PrimaryResidence: { Street: 'Musterstrasse 1', City: 'Musterstadt', PostCode: '1', State: 'Berlin', Country: 'DE' },
});

async function expect(send: typeof fetch, status: number, method: string, url: string, headers: Record<string, string> = {}) {
  const init = method === 'PUT' ? { method, body, headers: { 'Content-Type': 'application/json', ...headers } } : { method, headers };
  const answer = await send(url, init);
  const text = await answer.text();
  assert.equal(answer.status, status, `${method} ${url}: ${text}`);
  return text;
}

const send = signingFetch();
let one = `${server}/customers/typescript%20+%26%25%2FZo%C3%AB%3F`;
await expect(send, 201, 'PUT', one);
assert.match(await expect(send, 200, 'GET', one), /Zoë/);
await expect(send, 200, 'GET', `${server}/customers?PageSize=%31&SortDirection=%41SC`);
await expect(send, 400, 'GET', `${server}/customers?Name=a+b%20c%2Bd%26e%3Df%25%22&Name=M%C3%BCller%0A&Empty=&%E2%82%AC+=%F0%9F%99%82`);
await expect(send, 204, 'DELETE', one);
await expect(send, 404, 'GET', one);
assert.equal((await send(new Request(one, { method: 'HEAD' }))).status, 404);

one = `${lossy}/customers/typescript-lost`;
await expect(send, 201, 'PUT', one);
await expect(send, 204, 'DELETE', one);

const theirs = signingFetch();
one = `${server}/customers/typescript-versions`;
await expect(send, 201, 'PUT', one);
await expect(send, 204, 'PUT', one);
await expect(theirs, 204, 'PUT', one);
await expect(send, 412, 'PUT', one);
await expect(send, 412, 'DELETE', one);
await expect(send, 204, 'PUT', one, { 'If-Match': '*' });
await expect(theirs, 200, 'GET', one);
await expect(theirs, 204, 'DELETE', one);
await expect(theirs, 201, 'PUT', one, { 'If-None-Match': '*' });
await expect(signingFetch({ ifMatch: false }), 204, 'PUT', one);

await assert.rejects(signingFetch({ attempts: 2 })(nobody), /fetch failed/);
const given = new AbortController();
const ended = signingFetch()(nobody, { signal: given.signal });
given.abort();
await assert.rejects(ended, { name: 'AbortError' });

const file = process.env.CUSTOMERS_KEY;
const set = (more: NodeJS.ProcessEnv) => Signer.fromEnvironment({ CUSTOMERS_KEY: file, ...more });
const refusal = (signer: Signer) => expect(signingFetch({ signer }), 401, 'GET', `${server}/customers`);
assert.match(await refusal(set({ CUSTOMERS_AUDIENCE: 'another' })), /aud is wrong/);
assert.match(await refusal(set({ CUSTOMERS_KEY_ID: 'nobody' })), /kid is not/);
assert.throws(() => set({ CUSTOMERS_KEY: '' }), /CUSTOMERS_KEY/);
assert.throws(() => set({ CUSTOMERS_KEY: '/no/such/file' }), /no such file/);
