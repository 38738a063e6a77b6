/** Sends one signed request: METHOD PATH [QUERY] [BODY-FILE], path and query percent-encoded. */

import { createHash, createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { SignJWT, calculateJwkThumbprint } from 'jose';

const { CUSTOMERS_URL = '', CUSTOMERS_KEY = '', CUSTOMERS_KEY_ID } = process.env;

async function sign(method: string, path: string, query: string, body: Uint8Array<ArrayBuffer>): Promise<string> {
  const key = createPrivateKey(readFileSync(CUSTOMERS_KEY));
  const now = Math.floor(Date.now() / 1000);
  const claims: Record<string, unknown> = {
    aud: 'customers-api', iat: now, exp: now + 300, jti: randomUUID(), method, path,
  };
  if (query) {
    const params = new URLSearchParams(query);
    claims.queryParams = Object.fromEntries([...new Set(params.keys())].map((name) => {
      const values = params.getAll(name);
      return [name, values.length === 1 ? values[0] : values];
    }));
  }
  if (body.length > 0) claims.bodyHash = createHash('sha256').update(body).digest('hex');
  const alg = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'ES384' : 'ES256';
  const kid = CUSTOMERS_KEY_ID ?? await calculateJwkThumbprint(createPublicKey(key).export({ format: 'jwk' }));
  return new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(key);
}

/** Sends the same signed request again after 500, 503 or a lost answer: the service carries it out at most once. */
async function send(method: string, path: string, query: string, body: Uint8Array<ArrayBuffer>) {
  const url = new URL(CUSTOMERS_URL.replace(/\/$/, '') + path);
  url.search = query;
  const headers: Record<string, string> = {
    'Api-Signature': await sign(method, url.pathname, url.search.slice(1), body),
  };
  if (body.length > 0) headers['Content-Type'] = 'application/json';
  for (let attempt = 1; ; attempt += 1) {
    try {
      const signal = AbortSignal.timeout(30_000);
      const answer = await fetch(url, { method, headers, signal, body: body.length > 0 ? body : null });
      const text = await answer.text();
      if (attempt === 5 || ![500, 503].includes(answer.status)) return { status: answer.status, ok: answer.ok, text };
    } catch (error) {
      if (attempt === 5) throw error;
    }
    await setTimeout(attempt * 1000);
  }
}

const [method = '', path = '', query = '', file] = process.argv.slice(2);
const { status, ok, text } = await send(method, path, query, file ? readFileSync(file) : new Uint8Array());
console.log(`${status}\n${text}`);
process.exitCode = ok ? 0 : 1;
