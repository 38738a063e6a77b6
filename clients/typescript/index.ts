/** Signs requests to the Customers API: a `fetch`, and a middleware of openapi-fetch. */

import {
  createHash, createPrivateKey, createPublicKey, randomUUID, sign as signBytes, type KeyObject,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LIFETIME_SECONDS = 300;
const ATTEMPT_MS_MAX = 30_000;
const WAIT_SECONDS_MAX = 30;
const REMEMBERED_MAX = 1000;
/** The request may have been carried out, or not: a repeat of the same signature is safe, and tells. */
const SENT_AGAIN = [500, 502, 503, 504];

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data);
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs with one private key. */
export class Signer {
  readonly keyId: string;
  readonly #key: KeyObject;
  readonly #algorithm: [name: string, hash: string];

  /** @param pem the private key. By default its id is its RFC 7638 thumbprint. */
  constructor(pem: string | Buffer, keyId?: string, readonly audience = 'customers-api') {
    this.#key = createPrivateKey(pem);
    const { crv, kty, x, y } = createPublicKey(this.#key).export({ format: 'jwk' });
    if (crv !== 'P-384' && crv !== 'P-256') throw new Error('the key must be an EC key on P-384 or P-256');
    this.#algorithm = crv === 'P-384' ? ['ES384', 'sha384'] : ['ES256', 'sha256'];
    this.keyId = keyId || sha256(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  }

  /** With the variables of `customers-api sign`: CUSTOMERS_KEY (a file), CUSTOMERS_KEY_ID, CUSTOMERS_AUDIENCE. */
  static fromEnvironment(environment: NodeJS.ProcessEnv = process.env): Signer {
    const { CUSTOMERS_KEY: file, CUSTOMERS_KEY_ID: keyId, CUSTOMERS_AUDIENCE: audience } = environment;
    if (!file) throw new Error('CUSTOMERS_KEY is not set: it must name the file with the private key');
    return new Signer(readFileSync(file), keyId, audience || undefined);
  }

  /** The Api-Signature of a request. */
  sign(method: string, url: URL, body: Uint8Array = new Uint8Array()): string {
    const now = Math.floor(Date.now() / 1000);
    const claims: Record<string, unknown> = {
      aud: this.audience, iat: now, exp: now + LIFETIME_SECONDS, jti: randomUUID(), method, path: url.pathname,
    };
    const names = [...new Set(url.searchParams.keys())];
    if (names.length > 0) {
      claims.queryParams = Object.fromEntries(names.map((name) => {
        const values = url.searchParams.getAll(name);
        return [name, values.length === 1 ? values[0] : values];
      }));
    }
    if (body.length > 0) claims.bodyHash = sha256(body).digest('hex');
    const [alg, hash] = this.#algorithm;
    const message = `${part({ alg, typ: 'JWT', kid: this.keyId })}.${part(claims)}`;
    const signature = signBytes(hash, Buffer.from(message), { key: this.#key, dsaEncoding: 'ieee-p1363' });
    return `${message}.${signature.toString('base64url')}`;
  }
}

export interface Options {
  /** By default from the environment. */
  signer?: Signer;
  /** How often a request is sent, if its answer is lost or says so. */
  attempts?: number;
  /**
   * The entity tag of what was read or written last goes as If-Match with the next change of it that has no precondition
   * of its own, so that no update is lost. If somebody else changed it meanwhile, the answer is 412: read it again.
   */
  ifMatch?: boolean;
  fetch?: typeof fetch;
}

/** A `fetch` that signs, and sends the same signed request again if its answer is lost. */
export function signingFetch(options: Options = {}): typeof fetch {
  const { signer = Signer.fromEnvironment(), attempts = 5, ifMatch = true, fetch: send = globalThis.fetch } = options;
  const tags = new Map<string, string>();

  const note = (method: string, resource: string, { status, headers }: Response) => {
    const tag = headers.get('ETag');
    if (tag && ifMatch) {
      tags.delete(resource);
      tags.set(resource, tag);
      for (const oldest of tags.keys()) {
        if (tags.size <= REMEMBERED_MAX) break;
        tags.delete(oldest);
      }
    } else if (status === 404 || (method === 'DELETE' && status === 204)) tags.delete(resource);
  };

  return async (input, init) => {
    const request = new Request(input, init);
    const { method, signal } = request;
    const url = new URL(request.url);
    const resource = url.origin + url.pathname;
    const headers = new Headers(request.headers);
    const tag = tags.get(resource);
    const isChange = method === 'PUT' || method === 'DELETE';
    if (tag && isChange && !headers.has('If-Match') && !headers.has('If-None-Match')) headers.set('If-Match', tag);
    const body = new Uint8Array(await request.arrayBuffer());
    headers.set('Api-Signature', signer.sign(method, url, body));
    for (let attempt = 1; ; attempt += 1) {
      let seconds = attempt;
      try {
        const until = AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS_MAX)]);
        const response = await send(url, { method, headers, signal: until, ...(body.length > 0 && { body }) });
        await response.clone().arrayBuffer(); // It is read here, so that one that breaks off is lost, too.
        if (attempt >= attempts || !SENT_AGAIN.includes(response.status)) {
          note(method, resource, response);
          return response;
        }
        const after = response.headers.get('Retry-After') ?? '';
        if (/^\d+$/.test(after)) seconds = Number(after);
      } catch (error) {
        if (attempt >= attempts || signal.aborted) throw error;
      }
      await sleep(Math.min(seconds, WAIT_SECONDS_MAX) * 1000, undefined, { signal });
    }
  };
}

/** A middleware of openapi-fetch: `client.use(signing())`. The last one, because it sends the request. */
export function signing(options: Options = {}): { onRequest(it: { request: Request }): Promise<Response> } {
  const send = signingFetch(options);
  return { onRequest: ({ request }) => send(request) };
}
