/**
 * Reads a private key and makes the `Api-Signature` of requests with it.
 *
 * This file does not depend on the page. The key is a non-extractable CryptoKey in a private field: no code can read it
 * back, and it is never stored or sent.
 */

const LIFETIME_SECONDS = 300;

/** A key file has a few hundred bytes. A much larger file was chosen by mistake. */
export const PEM_BYTES_MAX = 64 * 1024;

const CURVES = [
  { oid: '2b81040022', curve: 'P-384', algorithm: 'ES384', hash: 'SHA-384', coordinateBytes: 48 },
  { oid: '2a8648ce3d030107', curve: 'P-256', algorithm: 'ES256', hash: 'SHA-256', coordinateBytes: 32 },
];
const ELLIPTIC_CURVE_OID = '2a8648ce3d0201';

/** The names of keys that cannot be used, for the message. */
const OTHER_CURVES = { '2b81040021': 'P-224', '2b81040023': 'P-521', '2b8104000a': 'secp256k1' };
const OTHER_KINDS = { '2a864886f70d010101': 'an RSA', '2b6570': 'an Ed25519', '2b6571': 'an Ed448' };

const COMMANDS = {
  der: 'openssl pkcs8 -topk8 -nocrypt -inform DER -in key.der -out private.pem',
  sec1: 'openssl pkcs8 -topk8 -nocrypt -in key.pem -out private.pem',
  encrypted: 'openssl pkcs8 -in key.pem -out private.pem',
  unusual: 'openssl ec -in key.pem -param_enc named_curve -conv_form uncompressed'
    + ' | openssl pkcs8 -topk8 -nocrypt -out private.pem',
  create: 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out private.pem',
};

/** Why a text is not a key that can sign, and a command that helps, if there is one. */
export class InvalidKey extends Error {
  /**
   * @param {string} message
   * @param {string} [command]
   */
  constructor(message, command) {
    super(message);
    this.name = 'InvalidKey';
    this.command = command;
  }
}

/** Browsers offer WebCrypto only in secure contexts: HTTPS, and HTTP on localhost. */
export const canSign = globalThis.crypto?.subtle !== undefined;

/**
 * @param {string} [token]
 * @returns {{header: object, claims: object} | undefined} what a token says; `undefined` if it is not a token
 */
export function decoded(token = '') {
  const read = (part) => {
    const binary = atob(part.replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (byte) => byte.charCodeAt(0))));
  };
  try {
    const [header, claims] = token.split('.').slice(0, 2).map(read);
    return claims && { header, claims };
  } catch {
    return undefined;
  }
}

/** A private key, and the facts about it that may be shown. */
export class SigningKey {
  #key;
  #curve;

  constructor(key, curve, fingerprint) {
    this.#key = key;
    this.#curve = curve;
    this.fingerprint = fingerprint;
  }

  /**
   * @param {string} text PKCS#8 PEM
   * @returns {Promise<SigningKey>}
   * @throws {InvalidKey}
   */
  static async fromPem(text) {
    const { der, curve, point } = wellFormed(() => readPkcs8(privateKeyDer(text)));
    const key = await importKey(der, curve);
    return new SigningKey(key, curve, await thumbprint(curve, point));
  }

  /** The `alg` of RFC 7518. */
  get algorithm() {
    return this.#curve.algorithm;
  }

  /**
   * @param {object} claims
   * @param {string} keyId
   * @returns {Promise<string>} a JWS in compact form
   */
  async sign(claims, keyId) {
    const header = { alg: this.algorithm, typ: 'JWT', kid: keyId };
    const message = `${base64UrlJson(header)}.${base64UrlJson(claims)}`;
    // WebCrypto returns r and s one after the other, which is the form of JWS.
    const algorithm = { name: 'ECDSA', hash: this.#curve.hash };
    const signature = await crypto.subtle.sign(algorithm, this.#key, utf8(message));
    return `${message}.${base64Url(signature)}`;
  }
}

/**
 * The claims that the server compares with the request.
 *
 * @param {{method: string, url: string, body?: string}} request as it will be sent
 * @param {{audience: string, basePath: string, root: URL}} server `root` is where the browser sees `basePath`: they
 *   differ behind a reverse proxy that strips a prefix.
 * @param {number} now Unix time in seconds
 */
export async function claimsOf(request, server, now) {
  const url = new URL(request.url, server.root);
  const claims = {
    aud: server.audience,
    iat: now,
    exp: now + LIFETIME_SECONDS,
    // Two requests with equal claims are one to the server.
    jti: crypto.randomUUID(),
    method: request.method.toUpperCase(),
    path: serverPath(url, server),
  };
  const queryParams = decodedQuery(url.searchParams);
  if (queryParams) claims.queryParams = queryParams;
  if (request.body) claims.bodyHash = hex(await sha256(utf8(bodyText(request.body))));
  return claims;
}

/** The path as the server sees it, percent-encoded as the browser sends it. */
function serverPath(url, { basePath, root }) {
  if (url.origin !== root.origin || !url.pathname.startsWith(root.pathname)) {
    throw new Error(`Not signed, not sent: ${url.href} is not on the server of this page.`);
  }
  return basePath.replace(/\/+$/, '') + '/' + url.pathname.slice(root.pathname.length);
}

/** A name that occurs several times has a list of values, in order. */
function decodedQuery(searchParams) {
  const names = [...new Set(searchParams.keys())];
  const values = (name) => {
    const all = searchParams.getAll(name);
    return all.length === 1 ? all[0] : all;
  };
  return names.length > 0 ? Object.fromEntries(names.map((name) => [name, values(name)])) : undefined;
}

/** For a form or a file, the browser chooses some bytes (boundaries) after the signature was made. */
function bodyText(body) {
  if (typeof body === 'string') return body;
  throw new Error('Not signed, not sent: only a text can be signed over its exact bytes.');
}

/** The private key in a PEM text, which may contain other blocks and other text. */
function privateKeyDer(text) {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g)];
  const labels = blocks.map(([, label]) => label);
  const pkcs8 = blocks.find(([, label]) => label === 'PRIVATE KEY');
  if (pkcs8) return base64Decoded(pkcs8[2]);
  if (labels.includes('ENCRYPTED PRIVATE KEY')) {
    throw new InvalidKey('The key is encrypted with a passphrase, and this page reads plain keys only. Decrypt it:',
      COMMANDS.encrypted);
  }
  if (labels.includes('EC PRIVATE KEY')) {
    throw new InvalidKey('The key is in the older SEC1 format (EC PRIVATE KEY). Convert it to PKCS#8:', COMMANDS.sec1);
  }
  if (labels.includes('PUBLIC KEY')) {
    throw new InvalidKey('This is the public half of a key. Signing needs the private one: the file that begins with '
      + '-----BEGIN PRIVATE KEY-----.');
  }
  if (labels.length > 0) throw wrongKind(`This is PEM, but not a key that can sign here (${labels.join(', ')}).`);
  if (text.includes('-----BEGIN ')) throw damaged('its last line, -----END PRIVATE KEY-----, is missing');
  throw new InvalidKey('This is not PEM: there is no line -----BEGIN PRIVATE KEY-----. If the file is binary (DER), '
    + 'convert it:', COMMANDS.der);
}

/**
 * PKCS#8 (RFC 5958): a version, the kind of key with its curve, and the key itself (RFC 5915). Version 2 may also hold
 * the public half. Not every browser reads it, so that it becomes version 1.
 */
function readPkcs8(der) {
  const [version, kind, privateKey, ...options] = children(readElement(der));
  const [kindOid, parameters] = children(kind);
  if (hex(kindOid.content) !== ELLIPTIC_CURVE_OID) {
    const name = OTHER_KINDS[hex(kindOid.content)] ?? 'another kind of';
    throw wrongKind(`This is ${name} key, but requests are signed with ECDSA.`);
  }
  if (parameters.tag === TAG.sequence) throw unusual('spells its curve out instead of naming it');
  const curveOid = hex(parameters.content);
  const curve = CURVES.find(({ oid }) => oid === curveOid);
  if (!curve) throw wrongKind(`The key is on ${OTHER_CURVES[curveOid] ?? 'another curve'}, not on P-384 or P-256.`);
  const outside = options.find(({ tag }) => tag === TAG.publicBits || tag === TAG.publicKey);
  const point = publicPoint(readElement(privateKey.content), outside, curve);
  const isVersion2 = version.content[0] === 1;
  return { der: isVersion2 ? sequence(VERSION_1, kind.whole, privateKey.whole) : der, curve, point };
}

/** All other errors of the reader mean the same to the owner of the file. */
function wellFormed(read) {
  try {
    return read();
  } catch (error) {
    throw error instanceof InvalidKey ? error : damaged('it is not well-formed PKCS#8');
  }
}

/**
 * The public half, read from the file: WebCrypto does not export it from a non-extractable key, and there must not be an
 * extractable copy.
 */
function publicPoint(privateKey, outside, { coordinateBytes }) {
  const point = children(privateKey).find(({ tag }) => tag === TAG.publicKey) ?? outside;
  // A BIT STRING begins with the number of its unused bits, and an uncompressed point with 4.
  const bits = point?.tag === TAG.publicKey ? readElement(point.content).content : point?.content;
  if (bits?.length !== 2 + 2 * coordinateBytes || bits[1] !== 4) throw unusual('does not hold its public half in full');
  return { x: bits.slice(2, 2 + coordinateBytes), y: bits.slice(2 + coordinateBytes) };
}

async function importKey(der, { curve }) {
  const extractable = false;
  try {
    return await crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: curve }, extractable, ['sign']);
  } catch {
    throw damaged(`the browser finds no valid key on ${curve} in it`);
  }
}

/** The thumbprint of RFC 7638, which is the key id under which `keys generate` registers a key. */
async function thumbprint({ curve }, { x, y }) {
  const jwk = JSON.stringify({ crv: curve, kty: 'EC', x: base64Url(x), y: base64Url(y) });
  return base64Url(await sha256(utf8(jwk)));
}

function damaged(reason) {
  return new InvalidKey(`The key is damaged: ${reason}. Copy the whole file, from its first line to its last.`);
}

function unusual(reason) {
  return new InvalidKey(`The key ${reason}. Convert it:`, COMMANDS.unusual);
}

function wrongKind(reason) {
  return new InvalidKey(`${reason} It cannot be converted. Make a new key, and have its public half registered with `
    + '“customers-api keys add”:', COMMANDS.create);
}

/* DER, as much of it as a key has: tags of one byte, definite lengths. */

const TAG = { sequence: 0x30, publicKey: 0xa1, publicBits: 0x81 };

const VERSION_1 = [0x02, 0x01, 0x00];

function sequence(...parts) {
  const content = parts.flatMap((part) => [...part]);
  const { length } = content;
  const start = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([TAG.sequence, ...start, ...content]);
}

/** The elements of a constructed one. */
function children({ content }) {
  const elements = [];
  for (let rest = content; rest.length > 0;) {
    const element = readElement(rest);
    elements.push(element);
    rest = rest.subarray(element.end);
  }
  return elements;
}

function readElement(bytes) {
  const [tag, first] = bytes;
  // From 0x80 on, the first byte of the length says how many more there are.
  const start = first < 0x80 ? 2 : 2 + first - 0x80;
  const length = first < 0x80 ? first : bytes.subarray(2, start).reduce((sum, byte) => sum * 256 + byte, 0);
  const end = start + length;
  if (!(end <= bytes.length)) throw new RangeError('an element is longer than what holds it');
  return { tag, content: bytes.subarray(start, end), whole: bytes.subarray(0, end), end };
}

/* Bytes and texts. */

function utf8(text) {
  return new TextEncoder().encode(text);
}

function sha256(bytes) {
  return crypto.subtle.digest('SHA-256', bytes);
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function base64Url(buffer) {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function base64UrlJson(value) {
  return base64Url(utf8(JSON.stringify(value)));
}

function base64Decoded(text) {
  try {
    return Uint8Array.from(atob(text.replace(/\s/g, '')), (character) => character.charCodeAt(0));
  } catch {
    throw damaged('it is not valid Base64');
  }
}
