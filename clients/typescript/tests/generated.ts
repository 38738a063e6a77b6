/** The package below a client of openapi-fetch, with the types of openapi-typescript: as a `fetch`, and as a middleware. */

import assert from 'node:assert/strict';

import { signing, signingFetch } from 'customers-signing';
import createClient from 'openapi-fetch';

import type { components, paths } from './schema.js';

const { CUSTOMERS_URL: server = '', LOSSY_URL: lossy = '' } = process.env;
const body: components['schemas']['CustomerInput'] = {
  FullName: { FirstName: 'Zoë', LastName: 'Muster' }, DateOfBirth: '1990-01-31', Identities: [],
  PrimaryResidence: { Street: 'Musterstrasse 1', City: 'Musterstadt', PostCode: '1', State: 'Berlin', Country: 'DE' },
};

function withMiddleware(baseUrl: string) {
  const client = createClient<paths>({ baseUrl });
  client.use(signing());
  return client;
}
const withFetch = (baseUrl: string) => createClient<paths>({ baseUrl, fetch: signingFetch() });

for (const [name, make] of Object.entries({ withMiddleware, withFetch })) {
  const [mine, theirs] = [make(server), make(server)];
  const params = { path: { CustomerID: `${name} +&%/Zoë?` } };
  const put = async (client: typeof mine) => (await client.PUT('/customers/{CustomerID}', { params, body })).response.status;
  assert.equal(await put(mine), 201);
  const { data } = await theirs.GET('/customers/{CustomerID}', { params });
  assert.deepEqual([data?.CustomerID, data?.FullName.FirstName], [params.path.CustomerID, 'Zoë']);
  assert.equal(await put(theirs), 204);
  assert.equal(await put(mine), 412);
  const query = { PageSize: 100, SortDirection: 'ASC' } as const;
  const page = await mine.GET('/customers', { params: { query } });
  assert.ok(page.data?.Items.some(({ CustomerID }) => CustomerID === params.path.CustomerID));
  const { error } = await mine.GET('/customers/{CustomerID}', { params: { path: { CustomerID: 'nobody' } } });
  assert.equal(error?.Type, 'ResourceNotFound');
  assert.equal((await theirs.DELETE('/customers/{CustomerID}', { params })).response.status, 204);

  const lost = { path: { CustomerID: `${name}-lost` } };
  const unlucky = make(lossy);
  assert.equal((await unlucky.PUT('/customers/{CustomerID}', { params: lost, body })).response.status, 201);
  assert.equal((await unlucky.DELETE('/customers/{CustomerID}', { params: lost })).response.status, 204);
}
