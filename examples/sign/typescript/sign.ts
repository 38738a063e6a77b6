/** Sends one signed request: METHOD PATH [QUERY] [BODY-FILE], path and query percent-encoded. */

import { readFileSync } from 'node:fs';

import { signingFetch } from 'customers-signing';

const [method = '', path = '', query = '', file] = process.argv.slice(2);
const server = (process.env.CUSTOMERS_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '');
const content = file && { body: readFileSync(file), headers: { 'Content-Type': 'application/json' } };
const answer = await signingFetch()(server + path + (query && `?${query}`), { method, ...content });
console.log(`${answer.status}\n${await answer.text()}`);
process.exitCode = answer.ok ? 0 : 1;
