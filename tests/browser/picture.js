#!/usr/bin/env node
/**
 * Makes docs/swagger-ui.png: a signed request that was carried out, as Swagger UI shows it.
 *
 *     npm --prefix tests/browser run picture
 */

import assert from 'node:assert/strict';

import { launchBrowser, withPage } from './support/page.js';
import { startServer } from './support/server.js';

const PICTURE = new URL('../../docs/swagger-ui.png', import.meta.url).pathname;
const VIEWPORT = { width: 1000, height: 1900 };

const server = await startServer({ keys: [{ account: 'acme' }] });
const browser = await launchBrowser('');
try {
  await withPage(browser, `${server.url}swagger-ui/`, async (ui) => {
    await ui.load(server.keys[0].text);
    const put = await ui.send('putCustomer');
    assert.equal(put.status, 201);
    const operation = ui.operation('putCustomer');
    await operation.locator('.signing-sent summary').click();
    await ui.page.mouse.move(0, 0);

    // From the request to the headers of its answer.
    const clip = await operation.evaluate((element) => {
      const rectangle = (selector) => element.querySelector(selector).getBoundingClientRect();
      const { left: x, width } = rectangle('.responses-wrapper');
      const headers = [...element.querySelectorAll('.live-responses-table h5')]
        .find((heading) => heading.textContent === 'Response headers').parentElement.getBoundingClientRect();
      const y = rectangle('.curl-command').top - 14;
      return { x, y: y + scrollY, width, height: headers.bottom + 4 - y };
    });
    await ui.page.screenshot({ path: PICTURE, clip, fullPage: true, animations: 'disabled' });
  }, { viewport: VIEWPORT });
} finally {
  await browser.close();
  await server.stop();
}
