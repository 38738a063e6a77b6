/** Key files of every kind, made at run time: a private key in a repository would be a bad example. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PKCS8 = { type: 'pkcs8', format: 'pem' };
export const PASSPHRASE = 'a passphrase';

/** A private key on a curve, as PKCS#8 PEM. */
export function pkcs8(namedCurve = 'P-384', options = {}) {
  return generateKeyPairSync('ec', { namedCurve, ...options }).privateKey.export(PKCS8);
}

/** The same key in SEC1, as `openssl ecparam -genkey` writes it. */
export function sec1(pem) {
  return createPrivateKey(pem).export({ type: 'sec1', format: 'pem' });
}

export function encrypted(pem) {
  return createPrivateKey(pem).export({ ...PKCS8, cipher: 'aes-256-cbc', passphrase: PASSPHRASE });
}

export function publicHalf(pem) {
  return createPublicKey(pem).export({ type: 'spki', format: 'pem' });
}

export function binary(pem) {
  return createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
}

export function rsa() {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(PKCS8);
}

export function ed25519() {
  return generateKeyPairSync('ed25519').privateKey.export(PKCS8);
}

/** The same P-384 key without its public half, as some programs write it. */
export function withoutPublicHalf(pem) {
  const secret = Buffer.from(createPrivateKey(pem).export({ format: 'jwk' }).d, 'base64url');
  const element = (tag, ...parts) => {
    const content = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([tag, content.length]), content]);
  };
  const version = (number) => element(0x02, Buffer.from([number]));
  const oid = (hex) => element(0x06, Buffer.from(hex, 'hex'));
  const algorithm = element(0x30, oid('2a8648ce3d0201'), oid('2b81040022'));
  const key = element(0x04, element(0x30, version(1), element(0x04, secret)));
  return toPem('PRIVATE KEY', element(0x30, version(0), algorithm, key));
}

/** The key in version 2 of PKCS#8, with the public half of the other, which is the same key. */
export function version2(pem, other) {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const start = der[1] < 0x80 ? 2 : der[1] - 0x80 + 2;
  const { x, y } = createPublicKey(other).export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from([0x81, 98, 0, 4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  const content = Buffer.concat([Buffer.from([0x02, 0x01, 0x01]), der.subarray(start + 3), point]);
  const { length } = content;
  const head = Buffer.from(length < 0x100 ? [0x30, 0x81, length] : [0x30, 0x82, length >> 8, length & 0xff]);
  return toPem('PRIVATE KEY', Buffer.concat([head, content]));
}

function toPem(label, der) {
  const lines = der.toString('base64').match(/.{1,64}/g).join('\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** RFC 7638. */
export function fingerprint(pem) {
  const { crv, kty, x, y } = createPublicKey(pem).export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** Every text of 20 characters from which a part of the private key could be told, in whatever encoding it went out. */
export function secrets(pem) {
  const { d } = createPrivateKey(pem).export({ format: 'jwk' });
  const secret = Buffer.from(d, 'base64url');
  const body = pem.replace(/-----[^-]+-----|\s/g, '');
  const ofBody = [body, body.replaceAll('+', '-').replaceAll('/', '_'), encodeURIComponent(body)];
  const ofSecret = [d, secret.toString('base64'), secret.toString('hex')];
  // How DER of this kind begins is no secret, and every key has it.
  const beginnings = new Set(windows(pkcs8().replace(/-----[^-]+-----|\s/g, '').slice(0, 32)));
  return [...ofBody, ...ofSecret].flatMap(windows).filter((text) => !beginnings.has(text));
}

function windows(text) {
  return Array.from({ length: Math.max(0, text.length - 19) }, (_, start) => text.slice(start, start + 20));
}

/** Runs a command that the page shows on a key file, and answers with the file that it makes. */
export function converted(command, key) {
  const directory = mkdtempSync(join(tmpdir(), 'customers-api-key-'));
  try {
    for (const name of ['key.pem', 'key.der']) writeFileSync(join(directory, name), key, { mode: 0o600 });
    execFileSync('sh', ['-c', command], { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
    return readFileSync(join(directory, 'private.pem'), 'utf8');
  } finally {
    rmSync(directory, { recursive: true });
  }
}
