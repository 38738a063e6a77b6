// Puts, reads, lists and deletes customers through the generated TypeScript client, signed by clients/typescript.
//
// Usage: node client.js BASE_URL KEY

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

import {
  Configuration, CountryCode, CustomersApi, ErrorType, IDType, ModelErrorFromJSON, ResponseError, SortDirection,
  type CustomerInput, type ModelError,
} from "./customers-client/index.js";
import { Signer, signingFetch } from "./customers-signing.js";

/** The error answer of a call that must be refused. */
async function refused(status: number, call: Promise<unknown>): Promise<ModelError> {
  const error: unknown = await call.then(() => assert.fail(`accepted, instead of ${status}`), (error) => error);
  assert(error instanceof ResponseError, String(error));
  assert.equal(error.response.status, status);
  return ModelErrorFromJSON(status === 304 ? null : await error.response.json());
}

const [basePath = "", key = ""] = process.argv.slice(2);
const unsigned = new CustomersApi(new Configuration({ basePath }));
const signer = new Signer(readFileSync(key), basename(key, ".pem"));
const client = new CustomersApi(new Configuration({ basePath, fetchApi: signingFetch({ signer }) }));

const sam: CustomerInput = {
  fullName: { firstName: "Sam", lastName: "Sämple", middleName: "Quinn" },
  dateOfBirth: new Date("1985-11-05"),
  identities: [
    { issuingCountry: CountryCode.De, iDNumber: "X1", iDType: IDType.Passport, issuedDate: new Date("2024-04-16") },
  ],
  primaryResidence: {
    street: "100 Example Avenue", city: "Sampleville", postCode: "90001", state: "CA", country: CountryCode.Us,
  },
};
const [first, second] = ["typescript 1/ü+%", "typescript-2"];

const created = (await client.putCustomerRaw({ customerID: first, customerInput: sam, ifNoneMatch: "*" })).raw;
assert.equal(created.status, 201);
const location = new URL(created.headers.get("Location") ?? "", `${basePath}/customers/${encodeURIComponent(first)}`);
assert.match(location.pathname, /^\/customers\/typescript%201/);
assert.equal((await client.putCustomerRaw({ customerID: second, customerInput: sam })).raw.status, 201);
const again = await refused(412, client.putCustomer({ customerID: first, customerInput: sam, ifNoneMatch: "*" }));
assert.equal(again.type, ErrorType.PreconditionFailed);
delete sam.fullName.middleName;
const ifMatch = created.headers.get("ETag") ?? "";
const updated = (await client.putCustomerRaw({ customerID: first, customerInput: sam, ifMatch })).raw;
assert.equal(updated.status, 204);

const { customerID, created: moment, ...customer } = await client.getCustomer({ customerID: first });
assert.equal(customerID, first);
assert(moment <= new Date());
assert.deepEqual(JSON.parse(JSON.stringify(customer)), JSON.parse(JSON.stringify(sam)));
await refused(304, client.getCustomer({ customerID: first, ifNoneMatch: updated.headers.get("ETag") ?? "" }));
const head = (await client.headCustomerRaw({ customerID: first })).raw;
assert.deepEqual([head.status, head.headers.get("ETag")], [200, updated.headers.get("ETag")]);
await client.headCustomers();

const ascending = { pageSize: 1, sortDirection: SortDirection.Asc };
const page = await client.listCustomers(ascending);
const rest = await client.listCustomers({ ...ascending, pageToken: page.pageToken });
assert.deepEqual([...page.items, ...rest.items].map((item) => item.customerID), [first, second]);
assert.equal(rest.pageToken, undefined);

sam.primaryResidence.state = "California";
const invalid = await refused(400, client.putCustomer({ customerID: first, customerInput: sam }));
assert.equal(invalid.action, "putCustomer");
assert.equal(invalid.requestExtension?.body?.[0]?.field, "PrimaryResidence.State");
const anonymous = await refused(401, unsigned.getCustomer({ customerID: first }));
assert.equal(anonymous.type, ErrorType.Unauthorized);

for (const customerID of [first, second]) {
  assert.equal((await client.deleteCustomerRaw({ customerID })).raw.status, 204);
}
const gone = await refused(404, client.getCustomer({ customerID: first }));
assert.equal(gone.type, ErrorType.ResourceNotFound);
assert.deepEqual((await client.listCustomers()).items, []);
