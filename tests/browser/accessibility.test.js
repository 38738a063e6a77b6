/** The page can be read and used by everybody: WCAG 2.2, levels A and AA, in both colour schemes. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { after, before, describe, test } from 'node:test';

import { makeCertificate } from './support/certificate.js';
import { INSECURE_HOST, launchBrowser, withPage } from './support/page.js';
import { startServer } from './support/server.js';

const AXE = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const LEVELS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

const certificate = makeCertificate(INSECURE_HOST);
const servers = {};
let browser;
before(async () => {
  browser = await launchBrowser(certificate.publicKeyHash);
  servers.signed = await startServer({ keys: [{ account: 'acme' }] });
  servers.sandbox = await startServer({ options: ['--sandbox'] });
});
after(async () => {
  await browser.close();
  await Promise.all(Object.values(servers).map((server) => server.stop()));
  certificate.remove();
});

/** What axe finds, each with the rule, the place and the reason. */
async function violations(ui) {
  await ui.page.evaluate(AXE);
  return ui.page.evaluate(async (levels) => {
    const { passes, violations: found } = await globalThis.axe.run(document, { runOnly: levels });
    if (!passes.some(({ id }) => id === 'color-contrast')) return ['no contrast was checked'];
    return found.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`));
  }, LEVELS);
}

/** Inline code whose background is over the text of another line. */
const covered = (ui) => ui.page.evaluate(() => {
  const isInline = (code) => !code.closest('pre') && code.checkVisibility() && getComputedStyle(code).display === 'inline';
  const codes = [...document.querySelectorAll('.swagger-ui .renderedMarkdown code')].filter(isInline);
  if (codes.length < 10) return ['there is hardly any inline code'];
  return codes.filter((code) => {
    const texts = document.createTreeWalker(code.closest('.renderedMarkdown'), NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    while (texts.nextNode()) {
      if (code.contains(texts.currentNode)) continue;
      range.selectNode(texts.currentNode);
      for (const text of range.getClientRects()) {
        for (const box of code.getClientRects()) {
          const across = Math.min(text.right, box.right) - Math.max(text.left, box.left);
          const down = Math.min(text.bottom, box.bottom) - Math.max(text.top, box.top);
          if (across > 1 && down > 1) return true;
        }
      }
    }
    return false;
  }).map((code) => code.parentElement.textContent);
});

async function openAll(ui) {
  for (const operation of await ui.page.locator('.opblock').all()) {
    await operation.locator('.opblock-summary-control').click();
    // The webhook cannot be tried out: the service sends it.
    const id = await operation.getAttribute('id');
    if (id.startsWith('operations-webhooks-')) continue;
    await operation.getByRole('button', { name: 'Try it out' }).click();
  }
  // Each that is expanded is not the first any more.
  for (let some = 0; some < 5; some += 1) await ui.page.getByRole('button', { name: 'Expand all' }).first().click();
}

/** Sends each operation as it is, one after the other. */
async function sendAll(ui) {
  const statuses = [];
  for (const id of ['putCustomer', 'getCustomer', 'headCustomer', 'listCustomers', 'headCustomers', 'deleteCustomer']) {
    statuses.push((await ui.send(id)).status);
  }
  return statuses;
}

for (const colorScheme of ['light', 'dark']) {
  describe(`In ${colorScheme} mode`, { concurrency: availableParallelism() }, () => {
    test('the page with a key, with all operations opened and answered', () => withPage(
      browser,
      `${servers.signed.url}swagger-ui/`,
      async (ui) => {
        await ui.load(servers.signed.keys[0].text);
        await openAll(ui);
        assert.deepEqual(await sendAll(ui), [201, 200, 200, 200, 200, 204]);
        for (const summary of await ui.page.locator('.signing-sent summary').all()) await summary.click();
        assert.deepEqual(await violations(ui), []);
        assert.deepEqual(await covered(ui), [], 'inline code covers other lines');
        await ui.screenshot(`accessible-${colorScheme}`);
      },
      { colorScheme },
    ));

    test('the page without a key, and the dialog of the key in each of its states', () => withPage(
      browser,
      `${servers.signed.url}swagger-ui/`,
      async (ui) => {
        assert.deepEqual(await violations(ui), [], 'the first screen');
        await ui.openDialog();
        await ui.paste('nonsense');
        await ui.refusal.waitFor();
        assert.deepEqual(await violations(ui), [], 'the dialog that refused a key');
        await ui.closeDialog();
        await ui.load(servers.signed.keys[0].text);
        await ui.openDialog();
        assert.deepEqual(await violations(ui), [], 'the dialog with a key');
      },
      { colorScheme },
    ));

    test('the sandbox, and a browser that cannot sign', async () => {
      await withPage(browser, `${servers.sandbox.url}swagger-ui/`, async (ui) => {
        await ui.prepare('putCustomer');
        assert.deepEqual(await violations(ui), []);
      }, { colorScheme });
      const url = servers.signed.url.replace('127.0.0.1', INSECURE_HOST);
      await withPage(browser, `${url}swagger-ui/`, async (ui) => {
        assert.deepEqual(await violations(ui), []);
      }, { colorScheme });
    });
  });
}
