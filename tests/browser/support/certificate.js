/** A certificate that the browser of the tests trusts: for this machine, and for another name of it. */

import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @param {string} host the other name */
export function makeCertificate(host) {
  const directory = mkdtempSync(join(tmpdir(), 'customers-api-certificate-'));
  const [certificate, key] = ['server.crt', 'server.key'].map((name) => join(directory, name));
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '1', '-subj', `/CN=${host}`,
    '-addext', `subjectAltName=DNS:${host},IP:127.0.0.1`, '-keyout', key, '-out', certificate,
  ], { stdio: 'ignore' });
  const publicKey = new X509Certificate(readFileSync(certificate)).publicKey.export({ type: 'spki', format: 'der' });
  return {
    options: ['--tls-cert', certificate, '--tls-key', key],
    /** The hash of its public key, by which the browser knows it. */
    publicKeyHash: createHash('sha256').update(publicKey).digest('base64'),
    remove: () => rmSync(directory, { recursive: true }),
  };
}
