/** Keeps an exact copy of all customers of an account, as JSON in a file: node follow.js FILE. It follows until it is ended. */

import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { SignJWT, calculateJwkThumbprint } from 'jose';

type Customer = { CustomerID: string };
type Page<Item> = { Items: Item[]; PageToken?: string };

const { CUSTOMERS_URL = '', CUSTOMERS_KEY = '', CUSTOMERS_KEY_ID } = process.env;
const key = createPrivateKey(readFileSync(CUSTOMERS_KEY));
const alg = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'ES384' : 'ES256';
const kid = CUSTOMERS_KEY_ID ?? await calculateJwkThumbprint(createPublicKey(key).export({ format: 'jwk' }));

async function sign(url: URL): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const claims: Record<string, unknown> = { aud: 'customers-api', iat: now, exp: now + 300, jti: randomUUID() };
  Object.assign(claims, { method: 'GET', path: url.pathname });
  if (url.search) claims.queryParams = Object.fromEntries(url.searchParams);
  return new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(key);
}

/** The body of an answer; null for 404 and 410. What may pass is tried again. */
async function get<Body>(path: string, parameters: Record<string, string> = {}): Promise<Body | null> {
  const url = new URL(CUSTOMERS_URL.replace(/\/$/, '') + path);
  url.search = new URLSearchParams(parameters).toString();
  for (;;) {
    try {
      const headers = { 'Api-Signature': await sign(url) };
      const answer = await fetch(url, { headers, signal: AbortSignal.timeout(30_000) });
      if (answer.ok) return await answer.json() as Body;
      if ([404, 410].includes(answer.status)) return null;
      console.error(answer.status, await answer.text());
    } catch (error) {
      console.error(String(error));
    }
    await setTimeout(1000);
  }
}

const [file = 'copy.json'] = process.argv.slice(2);
for (;;) { // Begin anew.
  let events = await get<Page<Customer>>('/events', { From: 'Newest' });
  const copy = new Map<string, Customer>();
  for (let start: Record<string, string> | null = { SortDirection: 'ASC' }; start;) {
    const page: Page<Customer> | null = await get('/customers', { PageSize: '100', ...start });
    for (const customer of page?.Items ?? []) copy.set(customer.CustomerID, customer);
    start = page?.PageToken ? { PageToken: page.PageToken } : null;
  }
  while (events?.PageToken) {
    for (const id of new Set(events.Items.map((event) => event.CustomerID))) {
      const customer = await get<Customer>(`/customers/${encodeURIComponent(id)}`);
      if (customer) copy.set(id, customer); else copy.delete(id);
    }
    writeFileSync(`${file}.new`, JSON.stringify({ PageToken: events.PageToken, Customers: Object.fromEntries(copy) }));
    renameSync(`${file}.new`, file);
    events = await get<Page<Customer>>('/events', { PageToken: events.PageToken, PageSize: '100', Wait: '10' });
  }
}
