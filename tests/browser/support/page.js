/** The page as its user knows it, under watch: whatever the browser complains about fails the test. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

import { secrets } from './keys.js';

export const LAPTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };
/** Another name of this machine, to which browsers give no WebCrypto without TLS. */
export const INSECURE_HOST = 'customers.example';

const SCREENSHOTS = process.env.SCREENSHOTS ?? new URL('../screenshots', import.meta.url).pathname;
const WAIT_MS_MAX = 30_000;

/** @param {string} trusted the hash of the public key of the only certificate that the browser trusts */
export function launchBrowser(trusted) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? onPath('chromium'),
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', `--ignore-certificate-errors-spki-list=${trusted}`,
      // The page has to work offline, so there is no name to find.
      `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
    ],
  });
}

function onPath(program) {
  return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
}

/**
 * Opens the page, does something with it, and checks that it behaved.
 *
 * @param {(ui: SwaggerUi) => Promise<void>} use
 * @param {{viewport?: object, colorScheme?: string, refusals?: number[]}} [expected] `refusals` are the statuses of
 *   400 and above that the test provokes: the browser logs each of them as an error.
 */
export async function withPage(browser, url, use, { refusals = [], ...look } = {}) {
  const context = await browser.newContext({ viewport: LAPTOP, ...look });
  try {
    const ui = new SwaggerUi(context, await context.newPage(), url);
    await ui.watch();
    await ui.page.goto(url);
    await ui.page.locator('.opblock').first().waitFor();
    await use(ui);
    await ui.assertGoodBehaviour(refusals);
  } finally {
    await context.close();
  }
}

class SwaggerUi {
  #complaints = [];
  #requests = [];
  #addresses = [];
  #loaded = [];

  constructor(context, page, url) {
    this.context = context;
    this.page = page;
    this.url = url;
    this.button = page.getByRole('button', { name: 'Signing key' });
    this.dialog = page.getByRole('dialog', { name: 'Signing key' });
    this.refusal = this.dialog.getByRole('alert');
    context.setDefaultTimeout(WAIT_MS_MAX);
  }

  async watch() {
    this.page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.#complaints.push(message.text());
    });
    this.page.on('pageerror', (error) => this.#complaints.push(`uncaught: ${error.message}`));
    this.page.on('requestfailed', (request) => this.#complaints.push(`failed: ${request.url()}`));
    this.page.on('framenavigated', (frame) => this.#addresses.push(frame.url()));
    this.context.on('request', (request) => this.#requests.push(request));
    await this.page.exposeFunction('complain', (complaint) => this.#complaints.push(complaint));
    await this.page.addInitScript(watchInside);
  }

  /* The signing key. */

  async openDialog() {
    await this.button.click();
    await this.dialog.waitFor();
  }

  async closeDialog() {
    await this.dialog.locator('.btn-done').click();
    await this.dialog.waitFor({ state: 'hidden' });
  }

  async paste(text) {
    await this.dialog.getByLabel('Or paste its text:').fill(text);
    await this.dialog.getByRole('button', { name: 'Load key' }).click();
  }

  async choose(name, contents) {
    const buffer = Buffer.from(contents);
    const file = { name, mimeType: 'application/x-pem-file', buffer };
    await this.dialog.getByLabel('Choose the file:').setInputFiles(file);
  }

  async setKeyId(keyId) {
    await this.dialog.getByLabel('Key id').fill(keyId);
  }

  /** Loads a key as most will: pastes it, and closes the dialog. `readable` is the same key in a form that Node reads. */
  async load(pem, keyId = '', readable = pem) {
    await this.openDialog();
    await this.paste(pem);
    await this.facts();
    await this.setKeyId(keyId);
    await this.closeDialog();
    this.#loaded.push(readable);
  }

  /** What the dialog says of the loaded key. */
  async facts() {
    const facts = this.dialog.locator('.signing-facts');
    await facts.waitFor();
    const texts = (selector) => facts.locator(selector).allTextContents();
    const [names, values] = [await texts('dt'), await texts('dd')];
    return Object.fromEntries(names.map((name, index) => [name, values[index]]));
  }

  /* "Try it out". */

  operation(id) {
    return this.page.locator(`#operations-Customers-${id}`);
  }

  /** Opens an operation once, and fills its fields in. */
  async prepare(id, { fields = {}, body } = {}) {
    const operation = this.operation(id);
    if (!(await operation.locator('.opblock-body').isVisible())) {
      await operation.locator('.opblock-summary-control').click();
      await operation.getByRole('button', { name: 'Try it out' }).click();
    }
    for (const [name, value] of Object.entries(fields)) await fill(operation, name, value);
    if (body !== undefined) await operation.locator('textarea.body-param__text').fill(body);
    return operation;
  }

  /** @returns what was sent, what was answered, and what the page shows of both */
  async send(id, input = {}) {
    const operation = await this.prepare(id, input);
    const [response] = await Promise.all([
      this.page.waitForResponse((candidate) => new URL(candidate.url()).pathname.includes('/customers')),
      operation.getByRole('button', { name: 'Execute' }).click(),
    ]);
    const request = response.request();
    const shownStatus = operation.locator('.live-responses-table .response .response-col_status');
    await shownStatus.getByText(String(response.status())).waitFor();
    const headers = await request.allHeaders();
    const curl = operation.locator('.curl-command code');
    await curl.getByText(headers['api-signature'] ?? 'curl').first().waitFor();
    return {
      status: response.status(),
      json: await response.json().catch(() => undefined),
      signature: headers['api-signature'],
      location: response.headers().location,
      url: request.url(),
      body: request.postDataBuffer(),
      curl: await curl.textContent(),
    };
  }

  /* Looks. */

  async screenshot(name, locator = this.page) {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await locator.screenshot({ path: join(SCREENSHOTS, `${name}.png`), animations: 'disabled' });
  }

  async assertFitsTheScreen() {
    const [content, screen] = await this.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= screen, `the page is ${content} pixels wide on a screen of ${screen}`);
  }

  /* Behaviour. */

  async assertGoodBehaviour(refusals) {
    const provoked = refusals.map((status) => `responded with a status of ${status}`);
    const isProvoked = (complaint) => provoked.some((text) => complaint.includes(text));
    assert.deepEqual(this.#complaints.filter((complaint) => !isProvoked(complaint)), [], 'the browser complains');

    const origins = new Set(this.#requests.map((request) => new URL(request.url()).origin));
    assert.deepEqual([...origins], [new URL(this.url).origin], 'a request went to another origin');

    const kept = await this.#kept();
    assert.deepEqual(kept.places, [], 'the page stores something');
    const told = JSON.stringify([kept, this.#addresses, await this.#sent()]);
    const leaked = this.#loaded.flatMap(secrets).filter((secret) => told.includes(secret));
    assert.deepEqual(leaked, [], 'the private key was stored, sent or left on the page');
  }

  /** Every request, byte for byte: address, headers, body. */
  async #sent() {
    return Promise.all(this.#requests.map(async (request) => [
      request.url(), await request.allHeaders(), request.postDataBuffer()?.toString('latin1'),
    ]));
  }

  /** Wherever a page can keep something, and what it shows. */
  async #kept() {
    const { cookies, origins } = await this.context.storageState({ indexedDB: true });
    const inside = await this.page.evaluate(async () => ({
      session: { ...sessionStorage },
      databases: await indexedDB.databases(),
      caches: globalThis.caches ? await caches.keys() : [],
      workers: navigator.serviceWorker ? (await navigator.serviceWorker.getRegistrations()).length : 0,
      history: history.state,
      name: window.name,
      html: document.documentElement.outerHTML,
      fields: [...document.querySelectorAll('input, textarea')].map(({ value }) => value),
    }));
    const places = [
      ...cookies, ...origins, ...Object.keys(inside.session), ...inside.databases, ...inside.caches,
      ...Array(inside.workers).fill('service worker'),
    ];
    return { places, ...inside };
  }
}

async function fill(operation, name, value) {
  const field = operation.locator(`tr[data-param-name="${name}"]`).locator('input, select');
  const isChoice = await field.evaluate((element) => element instanceof HTMLSelectElement);
  if (isChoice) await field.selectOption(value);
  else await field.fill(value);
}

/** Runs in the page before its scripts: what a page could do unseen is told. */
function watchInside() {
  document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI, sourceFile, lineNumber }) => {
    globalThis.complain(`policy: ${effectiveDirective} blocked ${blockedURI} (${sourceFile}:${lineNumber})`);
  });
  const { importKey, sign } = globalThis.SubtleCrypto?.prototype ?? {};
  if (!importKey) return;
  SubtleCrypto.prototype.importKey = function (format, data, algorithm, extractable, usages) {
    if (extractable) globalThis.complain('a key was imported as extractable');
    return importKey.call(this, format, data, algorithm, extractable, usages);
  };
  SubtleCrypto.prototype.sign = function (algorithm, key, data) {
    if (key.extractable) globalThis.complain('an extractable key signed');
    return sign.call(this, algorithm, key, data);
  };
}

/** The arguments that a shell would give to curl. */
export function curlArguments(command) {
  const script = `curl() { printf '%s\\0' "$@"; }\n${command}`;
  return execFileSync('bash', ['-c', script]).toString().split('\0').slice(0, -1);
}

/** The header and the claims of a signature. */
export function decoded(signature) {
  const [header, claims] = signature.split('.').map((part) => Buffer.from(part, 'base64url').toString());
  return { header: JSON.parse(header), claims: JSON.parse(claims) };
}
