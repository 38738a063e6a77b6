/**
 * Starts Swagger UI with a "Signing key" control in the style of its own "Authorize".
 *
 * The control is a Swagger UI plugin: each part of it is shown and removed together with the part of the page that it
 * belongs to. The cryptography is in `signing.js`.
 */

import { deepLink, keepAccessible } from './accessible.js';
import { canSign, claimsOf, decoded, InvalidKey, PEM_BYTES_MAX, SigningKey } from './signing.js';

const SIGNATURE_HEADER = 'Api-Signature';
const CUSTOMER_PATH = '/customers/{CustomerID}';

/** The page is at `<root>swagger-ui/`. A reverse proxy may have moved the root. */
const root = new URL('..', new URL('.', document.location.href));

/* The key. */

/** The loaded key. Code outside this file cannot reach it, and it is gone when the page is closed. */
const loaded = observable({ key: null, keyId: '' });

function observable(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(changes) {
      value = { ...value, ...changes };
      listeners.forEach((listener) => listener());
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

async function load(pem) {
  loaded.set({ key: await SigningKey.fromPem(pem) });
}

function forget() {
  loaded.set({ key: null, keyId: '' });
}

async function readFile(file) {
  if (file.size > PEM_BYTES_MAX) throw new InvalidKey('This file is too large for a private key.');
  return file.text();
}

/** The last step before `fetch`. Without a key, a signature that was typed by hand is sent unchanged. */
async function sign(request, server) {
  const { key, keyId } = loaded.get();
  if (!key || request.loadSpec) return request;
  const claims = await claimsOf(request, server, Math.floor(Date.now() / 1000));
  request.headers[SIGNATURE_HEADER] = await key.sign(claims, keyId || key.fingerprint);
  return request;
}

/* The examples. */

/** The customer that the fields `CustomerID` offer: the last one that was put. */
let offered;

/** After a PUT, the other operations offer the same customer, except where somebody typed another one. */
function offerCustomer({ specActions, specSelectors }, response) {
  const customerId = decodeURIComponent(new URL(response.url).pathname.split('/').at(-1));
  for (const method of ['get', 'head', 'delete']) {
    const operation = [CUSTOMER_PATH, method];
    const parameters = specSelectors.specJsonWithResolvedSubtrees().getIn(['paths', ...operation, 'parameters']);
    const parameter = parameters?.find((candidate) => candidate.get('name') === 'CustomerID');
    if (!parameter) continue;
    const value = specSelectors.parameterWithMetaByIdentity(operation, parameter).get('value');
    const isTyped = ![undefined, '', parameter.get('example'), offered].includes(value);
    if (isTyped) continue;
    specActions.changeParam(operation, 'CustomerID', 'path', customerId); // Read when the operation is opened.
    specActions.changeParamByIdentity(operation, parameter, customerId);
  }
  offered = customerId;
}

/** Swagger UI keeps a response with this action. */
const setResponse = (original, swaggerUi) => (path, method, response) => {
  const result = original(path, method, response);
  if (path === CUSTOMER_PATH && method === 'put' && [201, 204].includes(response.status)) {
    offerCustomer(swaggerUi, response);
  }
  return result;
};

/** The document names the path below which the service is; a reverse proxy may have moved it to where this page is. */
const updateJsonSpec = (original) => (document) => {
  const [server] = document.servers ?? [];
  const servers = [{ ...server, url: root.pathname.replace(/(.)\/$/, '$1') }];
  return original({ ...document, servers });
};

/* The page around it, in the React that Swagger UI brings along and hands to its plugins. */

let system;

const h = (...args) => system.React.createElement(...args);
const code = (text) => h('code', null, text);
const useLoaded = () => system.React.useSyncExternalStore(loaded.subscribe, loaded.get);

const titleOf = ({ version, isSandbox }) => `Customers API ${version}${isSandbox ? ' (sandbox)' : ''}`;

/** Beside the version in the title. */
function Stamp({ isSandbox }) {
  return h('small', { className: isSandbox ? 'signing-stamp sandbox' : 'signing-stamp' },
    h('pre', { className: 'version' }, isSandbox ? 'sandbox' : 'signatures required'));
}

/** It opens beside the page, because a page that is left forgets its key. */
function Guide() {
  return h('p', { className: 'signing-guide' },
    h('a', { href: 'signing.md', target: '_blank', rel: 'noopener', className: 'link' }, 'How requests are signed'));
}

function Notice({ isSandbox }) {
  const { key } = useLoaded();
  if (isSandbox) {
    return h('aside', { className: 'signing-notice sandbox' }, h(SandboxNotice), !canSign && h(InsecureNotice));
  }
  if (!canSign) return h('aside', { className: 'signing-notice refused' }, h(InsecureNotice));
  return key ? null : h('aside', { className: 'signing-notice' }, h(KeyNotice));
}

function SandboxNotice() {
  return h('p', null,
    h('b', null, 'This is a sandbox. '),
    'Signatures are optional: a request without a signature is carried out as the account ', code('sandbox'),
    '. A signature that is sent is verified.');
}

function InsecureNotice() {
  return h('p', null,
    h('b', null, 'This page cannot sign here. '),
    'Browsers offer cryptography only over HTTPS and on localhost. Open the page there, or type a signature that ',
    code('customers-api sign'), ' made into ', code(SIGNATURE_HEADER), '.');
}

function KeyNotice() {
  return h('p', null,
    h('b', null, 'Every request must be signed. '),
    'Load your private key with “Signing key”, and this page signs what it sends. ',
    'No key yet? The operator of the server creates and registers one:',
    h(Command, null, 'customers-api keys generate --account NAME --out private.pem'));
}

function Command({ children }) {
  return h('kbd', { className: 'signing-command' }, children);
}

/** The counterpart of "Authorize" in Swagger UI: a button with a lock, and its dialog. */
function Control() {
  const { key, keyId } = useLoaded();
  const dialog = system.React.useRef(null);
  const button = system.React.useRef(null);
  const open = () => {
    dialog.current.showModal();
    focusStart(dialog.current);
  };
  const forgetHere = () => {
    forget();
    button.current.focus(); // The button with the focus was removed.
  };
  const icon = system.getComponent(key ? 'LockAuthIcon' : 'UnlockAuthIcon', true);
  const className = `btn authorize ${key ? 'locked' : 'unlocked'}`;
  return h('div', { className: 'auth-wrapper signing-control' },
    key && h('span', { className: 'signing-summary' }, `${key.algorithm} · ${keyId || key.fingerprint}`),
    key && h('button', { type: 'button', className: 'btn', onClick: forgetHere }, 'Forget key'),
    h('button', { ref: button, type: 'button', className, disabled: !canSign, onClick: open },
      h('span', null, 'Signing key'), h(icon)),
    h(Dialog, { dialog }));
}

/** Focuses the text of the key or, if a key is loaded, the button that closes the dialog. */
function focusStart(dialog) {
  dialog.querySelector('textarea, .btn-done').focus();
}

/** The markup of Swagger UI's dialog in a native one, which keeps the focus inside and closes on Esc. */
function Dialog({ dialog }) {
  const [opened, setOpened] = system.React.useState(0);
  const close = () => dialog.current.close();
  // A closed dialog is built again, so that no private key stays in its fields.
  const onClose = () => setOpened(opened + 1);
  const labelledBy = { 'aria-labelledby': 'signing-title' };
  return h('dialog', { ref: dialog, className: 'dialog-ux signing-dialog', onClose, ...labelledBy },
    h('div', { className: 'modal-ux' },
      h('div', { className: 'modal-ux-header' },
        h('h3', { id: 'signing-title' }, 'Signing key'),
        h('button', { type: 'button', className: 'close-modal', 'aria-label': 'Close', onClick: close },
          h(system.getComponent('CloseIcon')))),
      h('div', { className: 'modal-ux-content' },
        h('div', { className: 'auth-container' }, h(DialogBody, { key: opened, dialog, close })))));
}

function DialogBody({ dialog, close }) {
  const { key } = useLoaded();
  system.React.useEffect(() => {
    if (dialog.current.open) focusStart(dialog.current); // The element with the focus was replaced.
  }, [dialog, key]);
  return h(system.React.Fragment, null, key ? h(Facts) : h(Form), h(KeyId), h(Buttons, { close }));
}

function Form() {
  const [error, setError] = system.React.useState(null);
  const attempt = (reading) => reading.then(load).catch(setError);
  const onSubmit = (event) => {
    event.preventDefault();
    attempt(Promise.resolve(new FormData(event.target).get('pem')));
  };
  const onChange = ({ target }) => {
    if (target.files.length > 0) attempt(readFile(target.files[0]));
    target.value = ''; // The same file can be chosen again after it was converted.
  };
  // A spell checker may send the text to another host, and autocompletion may store it.
  const keptHere = { spellCheck: false, autoComplete: 'off', autoCapitalize: 'off' };
  return h('form', { id: 'signing-form', onSubmit },
    h('p', null, 'A private key on P-384 or P-256, as PKCS#8 PEM. It stays in the memory of this page: ',
      'it is never stored and never sent, and it is gone when the page is closed.'),
    h('label', { htmlFor: 'signing-file' }, 'Choose the file:'),
    h('input', { id: 'signing-file', type: 'file', accept: '.pem,.key,.p8,.txt', onChange }),
    h('label', { htmlFor: 'signing-pem' }, 'Or paste its text:'),
    h('textarea', {
      id: 'signing-pem', name: 'pem', rows: 6, required: true, placeholder: '-----BEGIN PRIVATE KEY-----', ...keptHere,
    }),
    error && h('div', { className: 'errors', role: 'alert' },
      error.message, error.command && h(Command, null, error.command)));
}

function Facts() {
  const { key, keyId } = useLoaded();
  return h('div', { role: 'status' },
    h('h4', null, 'Loaded'),
    h('p', null, 'Every “Try it out” is signed with this key when it is sent. ',
      `The value of the field ${SIGNATURE_HEADER} is not used.`),
    h('dl', { className: 'signing-facts' },
      h('dt', null, 'Algorithm'), h('dd', null, code(key.algorithm)),
      h('dt', null, 'Key id'), h('dd', null, code(keyId || key.fingerprint)),
      h('dt', null, 'Fingerprint'), h('dd', null, code(key.fingerprint))));
}

function KeyId() {
  const { key, keyId } = useLoaded();
  const set = (text) => loaded.set({ keyId: text.trim() });
  return h('div', { className: 'signing-key-id' },
    h('label', { htmlFor: 'signing-key-id' }, 'Key id (optional):'),
    h('div', null,
      h('input', {
        id: 'signing-key-id', type: 'text', value: keyId, placeholder: key?.fingerprint, spellCheck: false,
        autoComplete: 'off', 'aria-describedby': 'signing-key-id-help', onChange: ({ target }) => set(target.value),
      })),
    h('p', { id: 'signing-key-id-help' },
      'The id under which the key is registered. It is the fingerprint, unless another id was chosen, ',
      'and so the fingerprint is sent if this is empty.'));
}

function Buttons({ close }) {
  const { key } = useLoaded();
  return h('div', { className: 'auth-btn-wrapper' },
    key
      ? h('button', { type: 'button', className: 'btn modal-btn auth', onClick: forget }, 'Forget key')
      : h('button', { type: 'submit', form: 'signing-form', className: 'btn modal-btn auth authorize' }, 'Load key'),
    h('button', { type: 'button', className: 'btn modal-btn auth btn-done', onClick: close }, 'Close'));
}

/** While a key is loaded, a typed signature would not be sent, so the field is disabled. */
function SignatureRow({ original, props }) {
  const { key } = useLoaded();
  return h(system.React.Fragment, null,
    h(original, { ...props, isExecute: props.isExecute && !key }),
    key && props.isExecute && h('tr', { className: 'signing-row' },
      h('td'),
      h('td', null, `Signed with the loaded ${key.algorithm} key when it is sent. `,
        'To type a signature by hand, forget the key.')));
}

/** The header and the claims of the signature that was sent, below the request. */
function Sent({ request }) {
  const signature = decoded(request.getIn(['headers', SIGNATURE_HEADER]));
  if (!signature) return null;
  const part = (name, value) => h(system.React.Fragment, null,
    h('h5', null, name), h('pre', null, JSON.stringify(value, null, 2)));
  return h('details', { className: 'signing-sent' },
    h('summary', null, 'Signed header and claims'),
    part('Header', signature.header), part('Claims', signature.claims));
}

function isSignature(parameter) {
  return parameter.get('in') === 'header' && parameter.get('name') === SIGNATURE_HEADER;
}

/** Puts each part beside the part of Swagger UI that it belongs to. */
function signingPlugin({ isSandbox }) {
  const withNext = (...nexts) => (Original) => (props) =>
    h(system.React.Fragment, null, h(Original, props), ...nexts.map((next) => h(next, { ...props, isSandbox })));
  const parameterRow = (Original) => (props) =>
    isSignature(props.rawParam) ? h(SignatureRow, { original: Original, props }) : h(Original, props);
  return (swaggerUi) => {
    system = swaggerUi;
    return {
      wrapComponents: {
        curl: withNext(Sent),
        DeepLink: deepLink(h),
        InfoContainer: withNext(Guide, Notice),
        ServersContainer: withNext(Control),
        VersionStamp: withNext(Stamp),
        parameterRow,
      },
      statePlugins: { spec: { wrapActions: { setResponse, updateJsonSpec } } },
    };
  };
}

async function start() {
  const response = await fetch('config.json');
  if (!response.ok) throw new Error(`config.json: ${response.status}`);
  const { Audience: audience, BasePath: basePath, Sandbox: isSandbox, Version: version } = await response.json();
  const server = { audience, basePath, root };
  document.title = titleOf({ version, isSandbox });
  window.SwaggerUIBundle({
    url: '../openapi.yaml',
    dom_id: '#swagger-ui',
    deepLinking: true,
    displayRequestDuration: true,
    validatorUrl: null, // The default is a foreign host, to which some layouts send the document.
    presets: [window.SwaggerUIBundle.presets.apis],
    plugins: [signingPlugin({ isSandbox })],
    requestInterceptor: (request) => sign(request, server),
  });
}

// In Swagger UI this is part of the top bar, which is not used here: it loads other documents.
document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches);

keepAccessible(document.getElementById('swagger-ui'));

start().catch((error) => {
  document.getElementById('swagger-ui').textContent = `This page could not start. ${error.message}`;
});
