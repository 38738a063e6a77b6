/** Swagger UI that signs, as its users have it: the real server, a real browser, and nothing else. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { after, before, describe, test } from 'node:test';

import { makeCertificate } from './support/certificate.js';
import {
  binary, converted, ed25519, encrypted, fingerprint, PASSPHRASE, pkcs8, publicHalf, rsa, sec1, version2,
  withoutPublicHalf,
} from './support/keys.js';
import { curlArguments, decoded, INSECURE_HOST, LAPTOP, launchBrowser, PHONE, withPage } from './support/page.js';
import { startProxy, startServer } from './support/server.js';

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
  + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** One account with one key, under its fingerprint. */
const ONE_KEY = { keys: [{ account: 'acme' }] };

/** Each test has a page of its own, and a page waits for its server and its browser. */
const AT_ONCE = { concurrency: availableParallelism() + 1 };

const certificate = makeCertificate(INSECURE_HOST);
let browser;
before(async () => { browser = await launchBrowser(certificate.publicKeyHash); });
after(() => browser.close());
after(() => certificate.remove());

/** A server for one test, which ends with it. */
async function serve(t, setup) {
  const server = await startServer(setup);
  t.after(() => server.stop());
  return server;
}

const open = (server, use, expected) => withPage(browser, `${server.url}swagger-ui/`, use, expected);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const customer = (firstName) => JSON.stringify({
  FullName: { FirstName: firstName, LastName: 'Muster' },
  DateOfBirth: '1990-01-31',
  Identities: [],
  PrimaryResidence: { Street: "O'Connell Street 1", City: 'Zürich ☕', PostCode: '1', State: 'ZH', Country: 'CH' },
}, null, 1);

describe('Without a key', AT_ONCE, () => {
  test('a sandbox says that it is one, and takes the example as it stands', async (t) => {
    const server = await serve(t, { options: ['--sandbox'] });
    await open(server, async (ui) => {
      const notice = ui.page.locator('.signing-notice');
      assert.match(await notice.textContent(), /This is a sandbox\. Signatures are optional/);
      await ui.screenshot('sandbox');

      const put = await ui.send('putCustomer');

      assert.equal(put.status, 201);
      assert.equal(put.signature, undefined);
      assert.equal(put.url, `${server.url}customers/c-1001`);
    });
  });

  test('a server that demands signatures says where to get a key, and refuses', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      const notice = ui.page.locator('.signing-notice');
      assert.match(await notice.textContent(), /must be signed.*customers-api keys generate --account NAME --out/);

      const put = await ui.send('putCustomer', { body: customer('Mia') });

      assert.equal(put.status, 401);
    }, { refusals: [401] });
  });

  test('a signature typed by hand is sent as it is', async (t) => {
    const server = await serve(t, ONE_KEY);
    const typed = server.sign('GET', '/customers/c-1', '--key', server.keys[0].file);
    await open(server, async (ui) => {
      const fields = { 'CustomerID': 'c-1', 'Api-Signature': typed, 'If-None-Match': '' };
      const get = await ui.send('getCustomer', { fields });

      assert.equal(get.signature, typed);
      assert.ok(get.curl.includes(typed));
      assert.equal(get.status, 404, 'the server verified it: there is only no such customer');
    }, { refusals: [404] });
  });
});

describe('The first screen', AT_ONCE, () => {
  const setups = [
    { name: 'a sandbox', setup: { options: ['--sandbox'] }, title: /^Customers API [0-9.]+ \(sandbox\)$/, stamp: 'sandbox' },
    { name: 'a server that demands signatures', setup: ONE_KEY, title: /^Customers API [0-9.]+$/, stamp: 'signatures required' },
  ];
  for (const { name, setup, title, stamp } of setups) {
    test(`says that it is ${name}, of which version, and how requests are signed`, async (t) => {
      const server = await serve(t, setup);
      await open(server, async (ui) => {
        const { Version: version } = await (await fetch(`${server.url}swagger-ui/config.json`)).json();
        assert.match(await ui.page.title(), title);
        assert.ok((await ui.page.title()).includes(version));
        const heading = await ui.page.locator('.info .title').innerText();
        assert.ok(heading.includes(version) && heading.includes(stamp), heading);

        const link = ui.page.getByRole('link', { name: 'How requests are signed' });
        await link.waitFor();
        assert.equal(await link.getAttribute('target'), '_blank', 'a page that is left forgets its key');
        const guide = await fetch(await link.evaluate(({ href }) => href));
        assert.match(await guide.text(), /^# .*\n[^]*bodyHash/);
      });
    });
  }
});

describe('The examples', AT_ONCE, () => {
  for (const [name, setup] of [['in a sandbox', { options: ['--sandbox'] }], ['with a key', ONE_KEY]]) {
    test(`succeed on all operations without editing, ${name}`, async (t) => {
      const server = await serve(t, setup);
      await open(server, async (ui) => {
        if (server.keys.length > 0) await ui.load(server.keys[0].text);

        const answers = {};
        for (const id of ['putCustomer', 'getCustomer', 'headCustomer', 'listCustomers', 'deleteCustomer']) {
          answers[id] = (await ui.send(id)).status;
        }

        const good = { putCustomer: 201, getCustomer: 200, headCustomer: 200, listCustomers: 200, deleteCustomer: 204 };
        assert.deepEqual(answers, good);
      });
    });
  }

  test('name the last customer that was put, but keep what was typed', async (t) => {
    const server = await serve(t, { options: ['--sandbox'] });
    await open(server, async (ui) => {
      const customerId = (operation) => operation.locator('tr[data-param-name="CustomerID"] input').inputValue();
      const open = await ui.prepare('getCustomer');
      assert.equal(await customerId(open), 'c-1001');
      await ui.prepare('headCustomer', { fields: { CustomerID: 'typed' } });

      for (const id of ['first', 'Käthe & 1/2 %?']) {
        assert.equal((await ui.send('putCustomer', { fields: { CustomerID: id } })).status, 201);
        assert.equal(await customerId(open), id);
      }

      const get = await ui.send('getCustomer');
      assert.deepEqual([get.status, get.json.CustomerID], [200, 'Käthe & 1/2 %?']);
      assert.equal(await customerId(ui.operation('headCustomer')), 'typed');
      assert.equal((await ui.send('deleteCustomer')).status, 204, 'an operation that was closed offers it, too');
      const again = await ui.send('getCustomer');
      assert.equal(again.status, 404);
      assert.match(again.json.Detail, /PUT creates one/);
    }, { refusals: [404] });
  });
});

describe('The webhook', AT_ONCE, () => {
  test('is shown with its headers, its body and its answers, and cannot be sent', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      assert.equal(await ui.page.locator('.webhooks h2').textContent(), 'Webhooks');
      const webhook = ui.page.locator('#operations-webhooks-receiveCustomerEvent');
      await webhook.locator('.opblock-summary-control').click();
      for (const header of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
        await webhook.locator(`tr[data-param-name="${header}"]`).waitFor();
      }
      const body = webhook.locator('.opblock-section-request-body');
      await body.getByText('CustomerCreated').first().waitFor();
      for (const status of ['204', '410', '429', '503']) {
        const shown = { hasText: new RegExp(`^\\s*${status}\\s*$`) };
        await webhook.locator('.responses-table .response-col_status', shown).waitFor();
      }
      assert.equal(await webhook.getByRole('button', { name: 'Try it out' }).count(), 0);
    });
  });
});

describe('The words of the documentation', () => {
  /** What the documentation page says of each member; `null` where it says nothing. */
  const words = {
    FirstName: ["user's first name"],
    LastName: ["user's last name (family name)"],
    MiddleName: ["user's middle name"],
    DateOfBirth: [null, '2024-04-16'],
    IssuingCountry: ['ISO 3166-1 alpha-2 country code.', 'US'],
    IssuedDate: [null, '2024-04-16'],
    ExpiryDate: [null, '2024-04-16'],
    IDType: ['Type of identification document:', 'Passport'],
    Street: ["Street: the primary name of an address's street."],
    Street2: ["Street2: the secondary name of an address's street."],
    City: ["City: name of an address's city or town."],
    PostCode: ["PostCode: the address's postcode"],
    State: ["State: the address's state / province / county. For USA and Canada, state code in ISO 3166-2 code (e.g. "
      + 'CA) is required.'],
    Country: ['ISO 3166-1 alpha-2 country code.', 'US'],
  };

  test('are shown for the operation and for every member, also where it refers to a schema', async (t) => {
    const server = await serve(t, { options: ['--sandbox'] });
    await open(server, async (ui) => {
      const operation = ui.operation('putCustomer');
      assert.equal(await operation.locator('.opblock-summary-description').textContent(), 'Put Customer');
      await operation.locator('.opblock-summary-control').click();
      const body = operation.locator('.opblock-section-request-body');
      await body.getByRole('tab', { name: 'Schema' }).click();
      const closed = body.getByRole('button', { name: 'Expand all' });
      while (await closed.count() > 0) await closed.first().click();

      const shown = await body.locator('.json-schema-2020-12').evaluateAll((schemas) => schemas.map((schema) => {
        const isOwn = (element) => element.closest('.json-schema-2020-12') === schema;
        const text = (part) => [...schema.querySelectorAll(`.json-schema-2020-12${part}`)].find(isOwn)?.innerText ?? '';
        return [text('__title'), text('-keyword--description').replace(/\s+/g, ' '), text('-keyword--examples')];
      }));
      for (const [member, [description, example]] of Object.entries(words)) {
        const isSaid = ([title, says, examples]) => title === member
          && says.startsWith(description ?? '') && examples.includes(example ? `"${example}"` : '');
        assert.ok(shown.some(isSaid), `${member}: ${JSON.stringify(shown.filter(([title]) => title === member))}`);
      }
    });
  });
});

describe('With a key', AT_ONCE, () => {
  for (const algorithm of ['ES384', 'ES256']) {
    test(`every operation is signed with ${algorithm}`, async (t) => {
      const server = await serve(t, { keys: [{ account: 'acme', options: ['--algorithm', algorithm] }] });
      await open(server, async (ui) => {
        await ui.load(server.keys[0].text);
        await useEveryOperation(ui, algorithm);
      }, { refusals: [404] });
    });
  }

  test('the claims are those of the design, over the bytes that are sent', async (t) => {
    const server = await serve(t, { ...ONE_KEY, options: ['--audience', 'somebody-else'] });
    await open(server, async (ui) => {
      await ui.load(server.keys[0].text, '');
      const before = Math.floor(Date.now() / 1000);

      const fields = { 'CustomerID': 'Käthe & 1/2 %?', 'If-Match': '' };
      const put = await ui.send('putCustomer', { fields, body: customer('Käthe') });

      assert.equal(put.status, 201);
      const { header, claims } = decoded(put.signature);
      assert.deepEqual(header, { alg: 'ES384', typ: 'JWT', kid: fingerprint(server.keys[0].text) });
      const { iat, exp, jti, ...rest } = claims;
      assert.ok(iat >= before && iat <= Date.now() / 1000 && exp === iat + 300);
      assert.match(jti, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.deepEqual(rest, {
        aud: 'somebody-else',
        method: 'PUT',
        path: '/customers/K%C3%A4the%20%26%201%2F2%20%25%3F',
        bodyHash: sha256(put.body),
      });
    });
  });

  test('the curl command that is shown sends the same bytes with the same signature', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      await ui.load(server.keys[0].text);

      const body = customer('Zoë \\ "$HOME" `id` !');
      const put = await ui.send('putCustomer', { fields: { 'If-Match': '' }, body });

      assert.equal(put.status, 201);
      const args = curlArguments(put.curl);
      assert.ok(args.includes(`Api-Signature: ${put.signature}`));
      assert.equal(sha256(args.at(args.indexOf('-d') + 1)), decoded(put.signature).claims.bodyHash);
    });
  });

  test('the header and the claims that were sent are shown, of every request', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      const sent = ui.operation('listCustomers').locator('.signing-sent');
      const shown = async () => (await sent.locator('pre').allTextContents()).map((text) => JSON.parse(text));
      await ui.send('listCustomers');
      assert.equal(await sent.count(), 0, 'nothing was signed');
      await ui.load(server.keys[0].text, 'Schlüssel ☕');

      const list = await ui.send('listCustomers', { fields: { PageSize: '7' } });

      const { header, claims } = decoded(list.signature);
      assert.equal(await sent.locator('pre').first().isVisible(), false, 'they are shown if they are asked for');
      await sent.locator('summary').click();
      await sent.locator('pre').first().waitFor();
      assert.deepEqual(await shown(), [header, claims]);
      assert.equal(header.kid, 'Schlüssel ☕');

      const next = await ui.send('listCustomers', { fields: { PageSize: '8' } });
      await sent.getByText(decoded(next.signature).claims.jti).waitFor();
      assert.deepEqual(await shown(), [header, decoded(next.signature).claims]);
    }, { refusals: [401] });
  });

  test('each request gets a signature of its own', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      await ui.load(server.keys[0].text);
      const fields = { 'If-Match': '' };

      const created = await ui.send('putCustomer', { fields, body: customer('Mia') });
      const updated = await ui.send('putCustomer', { fields, body: customer('Ada') });

      assert.deepEqual([created.status, updated.status], [201, 204]);
      assert.notEqual(created.signature, updated.signature);
    });
  });

  test('the field for a signature by hand is closed, and open again once the key is forgotten', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      const operation = await ui.prepare('getCustomer', { fields: { 'Api-Signature': 'typed.before.loading' } });
      const field = operation.locator('tr[data-param-name="Api-Signature"] input');
      await ui.load(server.keys[0].text);
      assert.ok(await field.isDisabled());
      assert.match(await operation.locator('.signing-row').textContent(), /Signed with the loaded ES384 key/);

      const signed = await ui.send('getCustomer', { fields: { 'If-None-Match': '' } });
      await ui.page.getByRole('button', { name: 'Forget key' }).click();
      const byHand = await ui.send('getCustomer');

      assert.equal(signed.status, 404, 'the loaded key signs');
      assert.ok(await field.isEnabled());
      assert.equal(byHand.signature, 'typed.before.loading');
      assert.equal(byHand.status, 401);
    }, { refusals: [401, 404] });
  });

  test('a key is chosen as a file, shown, and forgotten with one click', async (t) => {
    const server = await serve(t, ONE_KEY);
    const [{ text }] = server.keys;
    await open(server, async (ui) => {
      await ui.openDialog();
      await ui.choose('private.pem', text);
      const facts = { 'Algorithm': 'ES384', 'Key id': fingerprint(text), 'Fingerprint': fingerprint(text) };
      assert.deepEqual(await ui.facts(), facts);
      await ui.closeDialog();
      assert.equal(await ui.page.locator('.signing-summary').textContent(), `ES384 · ${fingerprint(text)}`);

      await ui.page.getByRole('button', { name: 'Forget key' }).click();

      await ui.page.locator('.signing-summary').waitFor({ state: 'detached' });
      const get = await ui.send('getCustomer', { fields: { 'If-None-Match': '' } });
      assert.equal(get.signature, undefined);
      assert.equal(get.status, 401);
    }, { refusals: [401] });
  });

  test('a reload forgets it', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      await ui.load(server.keys[0].text, 'some-id');
      await ui.page.reload();
      await ui.openDialog();
      const fields = await ui.dialog.locator('input, textarea').evaluateAll((all) => all.map(({ value }) => value));
      assert.deepEqual(fields, ['', '', '']);
    });
  });

  test('a closed dialog keeps nothing that was pasted', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      await ui.openDialog();
      await ui.paste(sec1(pkcs8()));
      await ui.refusal.waitFor();
      await ui.page.keyboard.press('Escape');
      await ui.dialog.waitFor({ state: 'hidden' });
      await ui.openDialog();
      assert.equal(await ui.dialog.locator('textarea').inputValue(), '');
      assert.equal(await ui.refusal.count(), 0);
    });
  });
});

describe('With several keys', AT_ONCE, () => {
  const TWO_KEYS = { keys: [{ account: 'acme' }, { account: 'other', options: ['--key-id', 'other-2026'] }] };

  test('the fingerprint is sent, under which keys generate registers a key', async (t) => {
    const server = await serve(t, TWO_KEYS);
    const [{ text }] = server.keys;
    await open(server, async (ui) => {
      await ui.load(text);

      const put = await ui.send('putCustomer', { fields: { 'If-Match': '' }, body: customer('Mia') });

      assert.equal(put.status, 201);
      assert.equal(decoded(put.signature).header.kid, fingerprint(text));
    });
  });

  test('a key that is registered under another id is told which one', async (t) => {
    const server = await serve(t, TWO_KEYS);
    await open(server, async (ui) => {
      await ui.load(server.keys[1].text);
      const without = await ui.send('listCustomers');
      assert.equal(without.status, 401);
      assert.match(without.json.Detail, /registered under another id: send other-2026 as kid/);

      await ui.openDialog();
      await ui.setKeyId('other-2026');
      assert.equal((await ui.facts())['Key id'], 'other-2026');
      await ui.closeDialog();
      const list = await ui.send('listCustomers');

      assert.equal(list.status, 200);
    }, { refusals: [401] });
  });

  test('a key id that was chosen is sent', async (t) => {
    const server = await serve(t, TWO_KEYS);
    await open(server, async (ui) => {
      await ui.load(server.keys[1].text, ' other-2026 ');

      const list = await ui.send('listCustomers');

      assert.equal(list.status, 200);
      assert.equal(decoded(list.signature).header.kid, 'other-2026');
    });
  });

  test('a key that the server does not know is refused with the reason', async (t) => {
    const server = await serve(t, ONE_KEY);
    await open(server, async (ui) => {
      await ui.load(pkcs8());

      const get = await ui.send('getCustomer', { fields: { 'If-None-Match': '' } });

      assert.equal(get.status, 401);
      const shown = await ui.operation('getCustomer').locator('.live-responses-table .response').textContent();
      assert.ok(shown.includes(get.json.Detail));
    }, { refusals: [401] });
  });
});

describe('A key in version 2 of PKCS#8', AT_ONCE, () => {
  for (const inside of [true, false]) {
    test(`signs ${inside ? 'with' : 'without'} its public half inside of the private one`, async (t) => {
      const server = await serve(t, ONE_KEY);
      const [{ text }] = server.keys;
      await open(server, async (ui) => {
        await ui.load(version2(inside ? text : withoutPublicHalf(text), text), '', text);
        const list = await ui.send('listCustomers');
        assert.equal(list.status, 200);
        assert.equal(decoded(list.signature).header.kid, fingerprint(text));
      });
    });
  }
});

describe('A key that cannot be loaded', AT_ONCE, () => {
  const good = pkcs8();
  const refusals = [
    { name: 'SEC1', key: sec1(good), says: /SEC1/, sameKey: true },
    { name: 'encrypted', key: encrypted(good), says: /encrypted/, sameKey: true, passphrase: PASSPHRASE },
    { name: 'binary', key: binary(good), says: /not PEM.*binary \(DER\)/, sameKey: true },
    { name: 'without its public half', key: withoutPublicHalf(good), says: /public half/, sameKey: true },
    { name: 'on a spelt-out curve', key: pkcs8('P-384', { paramEncoding: 'explicit' }), says: /spells its curve out/ },
    { name: 'on P-521', key: pkcs8('P-521'), says: /on P-521, not on P-384 or P-256/ },
    { name: 'on secp256k1', key: pkcs8('secp256k1'), says: /on secp256k1, not on P-384 or P-256/ },
    { name: 'on another curve', key: pkcs8('brainpoolP384r1'), says: /on another curve, not on P-384 or P-256/ },
    { name: 'RSA', key: rsa(), says: /an RSA key/ },
    { name: 'Ed25519', key: ed25519(), says: /an Ed25519 key/ },
    { name: 'of SSH', key: good.replaceAll('PRIVATE KEY', 'OPENSSH PRIVATE KEY'), says: /OPENSSH PRIVATE KEY/ },
    { name: 'public', key: publicHalf(good), says: /public half/, command: false },
    { name: 'cut off', key: good.slice(0, 120), says: /END PRIVATE KEY.*missing/, command: false },
    { name: 'cut short', key: good.replace(/\n.*\n-----END/, '\n-----END'), says: /not well-formed/, command: false },
    { name: 'not Base64', key: good.replace(/\n.{8}/, '\n********'), says: /not valid Base64/, command: false },
    { name: 'not DER', key: good.replace(/\n.{8}/, '\nAAAAAAAA'), says: /not well-formed/, command: false },
    { name: 'of two halves', key: withPublicHalfOf(good, pkcs8()), says: /no valid key on P-384/, command: false },
    { name: 'huge', key: 'x'.repeat(100_000), says: /too large/, command: false },
  ];

  /** A test without a page of its own: eighteen pages would take a minute. */
  const isTold = async (ui, { key, says, command = true, sameKey = false, passphrase }) => {
    await ui.openDialog();
    try {
      await ui.choose('key.pem', key);
      await ui.refusal.waitFor();
      assert.match(await ui.refusal.textContent(), says);
      assert.equal(await ui.refusal.locator('.signing-command').count(), command ? 1 : 0);
      if (!command) return;

      const shown = await ui.refusal.locator('.signing-command').textContent();
      await ui.choose('private.pem', converted(passphrase ? `${shown} -passin 'pass:${passphrase}'` : shown, key));

      const facts = await ui.facts();
      assert.equal(facts.Algorithm, 'ES384');
      if (sameKey) assert.equal(facts.Fingerprint, fingerprint(good));
      await ui.dialog.getByRole('button', { name: 'Forget key' }).click();
    } finally {
      await ui.closeDialog();
    }
  };

  test('is told so', async (t) => {
    const server = await serve(t, { options: ['--sandbox'] });
    await open(server, async (ui) => {
      for (const refusal of refusals) {
        const remedy = refusal.command === false ? '' : ', with the command that helps';
        await t.test(`${refusal.name}${remedy}`, () => isTold(ui, refusal));
      }
    });
  });

  test('is told so when it is pasted, too, and the next one loads', async (t) => {
    const server = await serve(t, { options: ['--sandbox'] });
    await open(server, async (ui) => {
      await ui.openDialog();
      await ui.paste('not a key');
      await ui.refusal.waitFor();
      await ui.paste(`  Bag Attributes\r\n  ${good.replaceAll('\n', '\r\n  ')}`);
      assert.equal((await ui.facts()).Fingerprint, fingerprint(good));
    });
  });

  test('an insecure page says that browsers do not sign there', async (t) => {
    const server = await serve(t, { keys: [{ account: 'acme' }] });
    const elsewhere = { url: server.url.replace('127.0.0.1', INSECURE_HOST) };
    await open(elsewhere, async (ui) => {
      assert.match(await ui.page.locator('.signing-notice').textContent(), /cannot sign here.*HTTPS.*localhost/);
      assert.ok(await ui.button.isDisabled());
      const query = ['--query', 'PageSize=20', '--query', 'SortDirection=DESC'];
      const typed = server.sign('GET', '/customers', ...query, '--key', server.keys[0].file);
      const list = await ui.send('listCustomers', { fields: { 'Api-Signature': typed } });
      assert.equal(list.status, 200, 'a signature typed by hand works all the same');
    });
  });
});

describe('Wherever it is', AT_ONCE, () => {
  const places = [
    { name: 'with a base path', basePath: '/api' },
    { name: 'with a base path of two segments', basePath: '/api/v1' },
    { name: 'behind a proxy under a prefix', prefix: '/shop/' },
    { name: 'behind a proxy under a prefix, with a base path', prefix: '/shop/customers/', basePath: '/api' },
    { name: 'behind a proxy whose prefix is the base path', prefix: '/api/', basePath: '/api' },
  ];

  for (const { name, basePath = '', prefix } of places) {
    test(`the page works ${name}`, async (t) => {
      const server = await serve(t, { ...ONE_KEY, options: ['--base-path', basePath || '/'] });
      const place = prefix ? await startProxy(prefix, server.url) : server;
      if (prefix) t.after(() => place.stop());
      await open(place, async (ui) => {
        await ui.load(server.keys[0].text);

        const fields = { 'CustomerID': 'c 1', 'If-Match': '' };
        const put = await ui.send('putCustomer', { fields, body: customer('Mia') });
        const list = await ui.send('listCustomers');

        assert.deepEqual([put.status, list.status], [201, 200]);
        assert.equal(put.url, `${place.url}customers/c%201`);
        assert.equal(new URL(put.location, put.url).href, put.url, 'Location leads to the customer');
        assert.equal(decoded(put.signature).claims.path, `${basePath}/customers/c%201`);
        assert.equal(decoded(list.signature).claims.path, `${basePath}/customers`);
      });
    });
  }

  test('the page signs over TLS, also under a name that is insecure without it', async (t) => {
    const server = await serve(t, { ...ONE_KEY, options: certificate.options });
    assert.match(server.url, /^https:/);
    for (const place of [server, { url: server.url.replace('127.0.0.1', INSECURE_HOST) }]) {
      await open(place, async (ui) => {
        const [{ nextHopProtocol }] = await ui.page.evaluate(() => performance.getEntriesByType('navigation'));
        assert.equal(nextHopProtocol, 'h2');
        await ui.load(server.keys[0].text);

        const put = await ui.send('putCustomer', { fields: { 'If-Match': '' }, body: customer('Zoë') });
        const get = await ui.send('getCustomer', { fields: { 'If-None-Match': '' } });

        assert.ok([201, 204].includes(put.status), `${put.status}`);
        assert.deepEqual([get.status, get.json.FullName.FirstName], [200, 'Zoë']);
        assert.ok(put.url.startsWith(place.url), put.url);
      });
    }
  });

  test('the page works as index.html, and the root leads to it', async (t) => {
    const server = await serve(t, { ...ONE_KEY, options: ['--base-path', '/api'] });
    for (const address of ['swagger-ui/index.html', 'swagger-ui', '']) {
      await withPage(browser, server.url + address, async (ui) => {
        await ui.load(server.keys[0].text);
        const list = await ui.send('listCustomers');
        assert.equal(list.status, 200, address);
      });
    }
  });

  test('every file has a strict policy, and the type that it is', async (t) => {
    const server = await serve(t, { options: ['--sandbox'] });
    const types = {
      '': 'text/html', 'index.html': 'text/html', 'initializer.js': 'text/javascript', 'signing.js': 'text/javascript',
      'accessible.js': 'text/javascript', 'accessible.css': 'text/css', 'signing.css': 'text/css',
      'config.json': 'application/json', 'swagger-ui.css': 'text/css',
      'swagger-ui-bundle.js': 'text/javascript', 'favicon-32x32.png': 'image/png',
    };
    for (const [file, type] of Object.entries(types)) {
      const { status, headers } = await fetch(`${server.url}swagger-ui/${file}`);
      assert.equal(status, 200, file);
      assert.equal(headers.get('content-type').split(';')[0], type, file);
      assert.equal(headers.get('content-security-policy'), POLICY, file);
      assert.equal(headers.get('x-content-type-options'), 'nosniff', file);
      assert.equal(headers.get('referrer-policy'), 'no-referrer', file);
    }
  });
});

describe('Whoever uses it', AT_ONCE, () => {
  test('by keyboard: Enter opens the dialog, which holds the focus, and Esc gives it back', async (t) => {
    const server = await serve(t, { options: ['--sandbox'] });
    await open(server, async (ui) => {
      const isFocused = (selector) => document.activeElement?.matches(selector);
      const focused = (selector) => ui.page.waitForFunction(isFocused, selector);
      await ui.button.focus();
      await ui.page.keyboard.press('Enter');
      await focused('#signing-pem');
      for (let step = 0; step < 12; step += 1) {
        await ui.page.keyboard.press('Tab');
        assert.ok(await ui.page.evaluate(isFocused, 'dialog *, body'), `Tab ${step} left the dialog`);
      }
      await ui.paste(pkcs8());
      await focused('.btn-done');
      await ui.page.keyboard.press('Escape');
      await ui.dialog.waitFor({ state: 'hidden' });
      await focused('.btn.authorize');
      await ui.page.getByRole('button', { name: 'Forget key' }).press('Enter');
      await focused('.btn.authorize');
    });
  });

  const looks = [
    { name: 'laptop', viewport: LAPTOP },
    { name: 'phone', viewport: PHONE },
    { name: 'laptop-dark', viewport: LAPTOP, colorScheme: 'dark' },
  ];
  for (const { name, ...look } of looks) {
    test(`on a ${name}: everything fits the screen`, async (t) => {
      const server = await serve(t, { keys: [{ account: 'acme' }] });
      await open(server, async (ui) => {
        const look = async (what) => {
          await ui.assertFitsTheScreen();
          await ui.screenshot(`${name}-${what}`);
        };
        await look('1-start');
        await ui.openDialog();
        await look('2-dialog');
        await ui.paste(sec1(pkcs8()));
        await ui.refusal.waitFor();
        await look('3-sec1');
        await ui.paste(server.keys[0].text);
        await ui.facts();
        await look('4-loaded');
        await ui.closeDialog();
        await look('5-ready');
        const put = await ui.send('putCustomer', { fields: { 'If-Match': '' } });
        assert.equal(put.status, 201);
        const operation = ui.operation('putCustomer');
        await operation.locator('.parameters-container').scrollIntoViewIfNeeded();
        await look('6-request');
        await operation.locator('.curl-command').evaluate((element) => element.scrollIntoView());
        await look('7-signed');
        await operation.locator('.signing-sent summary').click();
        await operation.locator('.signing-sent').evaluate((element) => element.scrollIntoView());
        await look('8-claims');
      }, look);
    });
  }
});

/** Puts, reads, lists in pages and deletes, against a server that demands signatures. */
async function useEveryOperation(ui, algorithm) {
  const claimed = ({ signature }) => decoded(signature).claims;

  for (const [id, name] of [['c-1', 'Mia'], ['c 2', 'Ada']]) {
    const put = await ui.send('putCustomer', { fields: { 'CustomerID': id, 'If-Match': '' }, body: customer(name) });
    assert.equal(put.status, 201);
    assert.equal(decoded(put.signature).header.alg, algorithm);
    assert.equal(claimed(put).path, `/customers/${encodeURIComponent(id)}`);
  }

  const get = await ui.send('getCustomer', { fields: { 'CustomerID': 'c 2', 'If-None-Match': '' } });
  assert.equal(get.status, 200);
  assert.equal(get.json.FullName.FirstName, 'Ada');
  assert.equal(claimed(get).bodyHash, undefined);
  assert.equal(claimed(get).queryParams, undefined);

  const head = await ui.send('headCustomer', { fields: { 'CustomerID': 'c 2', 'If-None-Match': '' } });
  assert.deepEqual([head.status, head.json], [200, undefined]);
  assert.equal(claimed(head).method, 'HEAD');

  const query = { PageSize: '1', SortDirection: 'ASC' };
  const first = await ui.send('listCustomers', { fields: query });
  assert.equal(first.status, 200);
  assert.deepEqual(claimed(first).queryParams, query);
  assert.equal(claimed(first).path, '/customers');
  const next = { ...query, PageToken: first.json.PageToken };
  const second = await ui.send('listCustomers', { fields: next });
  assert.deepEqual(claimed(second).queryParams, next);
  assert.deepEqual([...first.json.Items, ...second.json.Items].map(({ CustomerID }) => CustomerID), ['c-1', 'c 2']);

  const input = { fields: { 'CustomerID': 'c-1', 'If-Match': '' } };
  const deleted = await ui.send('deleteCustomer', input);
  const again = await ui.send('deleteCustomer', input);
  assert.deepEqual([deleted.status, again.status], [204, 404]);
  assert.equal(claimed(deleted).method, 'DELETE');
}

/** The first key's file with the second's public half in it: both are 97 bytes at the end. */
function withPublicHalfOf(pem, other) {
  const [der, otherDer] = [binary(pem), binary(other)];
  otherDer.copy(der, der.length - 97, otherDer.length - 97);
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`;
}
