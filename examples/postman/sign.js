// Signs each request of the collection, in Postman and in Bruno (developer mode): see docs/signing.md.
// Without the variable privateKey a request is sent unsigned, as a sandbox takes it.
// Values are typed as they are meant. They are percent-encoded here, so that what is signed is what is sent.

const inBruno = typeof bru !== 'undefined';
const resolve = (text) => (inBruno ? bru.interpolate(String(text)) : pm.variables.replaceIn(String(text)));

// The request as the program has it: the URL without its query, the path variables, the query and the body.
function read() {
  if (inBruno) {
    const url = new URL(resolve(req.getUrl()));
    const variables = (req.pathParams ?? []).map(({ name, value }) => [name, value]);
    return { method: req.getMethod(), url: url.origin + url.pathname, variables, query: [...url.searchParams], body: req.getBody({ raw: true }) };
  }
  const { method, url, body } = pm.request;
  return {
    method,
    url: resolve((url.protocol ? `${url.protocol}://` : '') + url.getRemote() + url.getPath({ unresolved: true })),
    variables: url.variables.all().map(({ key, value }) => [key, value]),
    query: url.query.all().filter(({ disabled }) => !disabled).map(({ key, value }) => [key, value ?? '']),
    body: body?.raw,
  };
}

function write(url, body, signature) {
  if (inBruno) {
    // Else Bruno 4 encodes the URL once more after it was signed.
    if (req.req?.settings) req.req.settings.encodeUrl = false;
    req.setUrl(url);
    if (body) req.setBody(body, { raw: true });
    if (signature) req.setHeader('Api-Signature', signature);
    return;
  }
  pm.request.url.update(url);
  if (body) pm.request.body.update({ ...pm.request.body.toJSON(), raw: body });
  if (signature) pm.request.headers.upsert({ key: 'Api-Signature', value: signature });
}

const bytes = (text) => new TextEncoder().encode(text);
const base64url = (octets) => btoa(String.fromCharCode(...new Uint8Array(octets)))
  .replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
const sha256 = (text) => crypto.subtle.digest('SHA-256', bytes(text));
const encode = (text) => encodeURIComponent(text)
  .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

async function importKey(pem) {
  const der = Uint8Array.from(atob(pem.replace(/-----[A-Z ]+-----|\s/g, '')), (sign) => sign.charCodeAt(0));
  for (const [namedCurve, alg, hash] of [['P-384', 'ES384', 'SHA-384'], ['P-256', 'ES256', 'SHA-256']]) {
    try {
      return { alg, hash, key: await crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve }, true, ['sign']) };
    } catch {
      // The key is on the other curve.
    }
  }
  throw new Error('privateKey must be a key on P-384 or P-256 in PKCS#8 PEM, as `customers-api keys generate` makes it');
}

async function sign(pem, method, path, query, body) {
  const { alg, hash, key } = await importKey(pem);
  const { crv, kty, x, y } = await crypto.subtle.exportKey('jwk', key);
  const kid = resolve('{{keyId}}') || base64url(await sha256(JSON.stringify({ crv, kty, x, y })));
  const now = Math.floor(Date.now() / 1000);
  const claims = { aud: resolve('{{audience}}'), iat: now, exp: now + 300, jti: crypto.randomUUID(), method, path };
  if (query.length > 0) {
    claims.queryParams = Object.fromEntries(query.map(([name]) => {
      const values = query.filter(([other]) => other === name).map(([, value]) => value);
      return [name, values.length === 1 ? values[0] : values];
    }));
  }
  if (body) {
    claims.bodyHash = [...new Uint8Array(await sha256(body))].map((octet) => octet.toString(16).padStart(2, '0')).join('');
  }
  const message = [{ alg, typ: 'JWT', kid }, claims].map((part) => base64url(bytes(JSON.stringify(part)))).join('.');
  return `${message}.${base64url(await crypto.subtle.sign({ name: 'ECDSA', hash }, key, bytes(message)))}`;
}

const pem = resolve('{{privateKey}}');
if (pem && (typeof crypto === 'undefined' || !crypto.subtle)) {
  throw new Error('to sign needs Web Crypto: Postman of 2025 or newer, or Bruno in developer mode; newman 6 has none');
}

async function main() {
  const typed = read();
  const variables = new Map(typed.variables.map(([name, value]) => [`:${name}`, encode(resolve(value))]));
  const [, origin, template] = typed.url.match(/^(\w+:\/\/[^/]+)(.*)$/);
  const path = template.split('/').map((segment) => variables.get(segment) ?? segment).join('/');
  const query = typed.query.map((pair) => pair.map(resolve));
  const search = query.map((pair) => pair.map(encode).join('=')).join('&');
  const body = typed.body ? resolve(typed.body) : '';
  write(origin + path + (search && `?${search}`), body, pem && await sign(pem, typed.method, path, query, body));
}

// Bruno and Postman wait for what a script returns, and newman for its timers.
const timer = setTimeout(() => {}, 10000);
return main().finally(() => clearTimeout(timer));
