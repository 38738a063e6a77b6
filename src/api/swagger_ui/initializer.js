/**
 * Starts Swagger UI, and gives it a "Signing key" control in the style of its own "Authorize".
 *
 * The controls are a Swagger UI plugin, so that they live and die with the parts of the page that they belong to.
 * Nothing here knows cryptography: that is `signing.js`.
 */

import { canSign, claimsOf, InvalidKey, PEM_BYTES_MAX, SigningKey } from './signing.js';

const SIGNATURE_HEADER = 'Api-Signature';

/** The page is at `<root>swagger-ui/`, wherever a reverse proxy may have put the root. */
const root = new URL('..', new URL('.', document.location.href));

/** What is loaded. It is gone with the page, and it is reachable from this file alone. */
const loaded = holder({ key: null, keyId: '' });

function holder(value) {
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

function forget() {
  loaded.set({ key: null, keyId: '' });
}

async function load(pem) {
  loaded.set({ key: await SigningKey.fromPem(pem) });
}

/** Signs at the last moment: what comes after this is `fetch`. Without a key, a signature typed by hand goes as it is. */
async function sign(request, server) {
  const { key, keyId } = loaded.get();
  if (!key || request.loadSpec) return request;
  const claims = await claimsOf(request, server, Math.floor(Date.now() / 1000));
  request.headers[SIGNATURE_HEADER] = await key.sign(claims, keyId);
  return request;
}

/** The controls, with the React that Swagger UI brings along. */
function signingPlugin({ isSandbox }) {
  return ({ React, getComponent }) => {
    const h = React.createElement;
    const useLoaded = () => React.useSyncExternalStore(loaded.subscribe, loaded.get);
    const code = (text) => h('code', null, text);

    function Notice() {
      const { key } = useLoaded();
      if (isSandbox) {
        return h('aside', { className: 'signing-notice sandbox' },
          h('b', null, 'This is a sandbox. '),
          'Signatures are optional: a request without one is carried out as the account ', code('sandbox'),
          '. One that is sent is verified nevertheless.', !canSign && h(Insecure));
      }
      if (!canSign) return h('aside', { className: 'signing-notice refused' }, h(Insecure));
      if (key) return null;
      return h('aside', { className: 'signing-notice' },
        h('b', null, 'Every request must be signed. '),
        'Load your private key with “Signing key”, and this page signs what it sends. ',
        'No key yet? Whoever runs the server makes and registers one:',
        h(Command, null, 'customers-api keys generate --account NAME --out private.pem'));
    }

    function Insecure() {
      return h('p', null,
        h('b', null, 'This page cannot sign here. '),
        'Browsers offer cryptography only over HTTPS and on localhost. Open the page there, or type a signature that ',
        code('customers-api sign'), ' made into ', code(SIGNATURE_HEADER), '.');
    }

    function Command({ children }) {
      return h('pre', { className: 'signing-command', tabIndex: 0 }, children);
    }

    function Control() {
      const { key, keyId } = useLoaded();
      const dialog = React.useRef(null);
      const button = React.useRef(null);
      const open = () => {
        dialog.current.showModal();
        focusStart(dialog.current);
      };
      const forgetAndStay = () => {
        forget();
        button.current.focus(); // The button that had the focus is gone.
      };
      const icon = getComponent(key ? 'LockAuthIcon' : 'UnlockAuthIcon', true);
      return h('div', { className: 'auth-wrapper signing-control' },
        key && h('span', { className: 'signing-summary' }, `${key.algorithm} · ${keyId || key.fingerprint}`),
        key && h('button', { type: 'button', className: 'btn', onClick: forgetAndStay }, 'Forget key'),
        h('button', {
          ref: button,
          type: 'button',
          className: `btn authorize ${key ? 'locked' : 'unlocked'}`,
          disabled: !canSign,
          onClick: open,
        }, h('span', null, 'Signing key'), h(icon)),
        h(Dialog, { dialog }));
    }

    /** The markup of Swagger UI's own dialog in a native one, which keeps the focus inside and closes on Esc. */
    function Dialog({ dialog }) {
      const closeIcon = getComponent('CloseIcon');
      const [opened, setOpened] = React.useState(0);
      const close = () => dialog.current.close();
      // A closed dialog starts anew, so that no private key stays behind in its fields.
      const onClose = () => setOpened(opened + 1);
      return h('dialog', { ref: dialog, className: 'dialog-ux signing-dialog', 'aria-labelledby': 'signing-title', onClose },
        h('div', { className: 'modal-ux' },
          h('div', { className: 'modal-ux-header' },
            h('h3', { id: 'signing-title' }, 'Signing key'),
            h('button', { type: 'button', className: 'close-modal', 'aria-label': 'Close', onClick: close }, h(closeIcon))),
          h('div', { className: 'modal-ux-content' },
            h('div', { className: 'auth-container' }, h(DialogBody, { key: opened, dialog })))));
    }

    function DialogBody({ dialog }) {
      const { key } = useLoaded();
      const close = () => dialog.current.close();
      React.useEffect(() => {
        if (dialog.current.open) focusStart(dialog.current);
      }, [dialog, key]);
      return h(React.Fragment, null, key ? h(Loaded, { signingKey: key }) : h(Form), h(KeyId), h(Buttons, { close }));
    }

    function Form() {
      const [error, setError] = React.useState(null);
      const attempt = (reading) => reading.then(load).catch(setError);
      const onSubmit = (event) => {
        event.preventDefault();
        attempt(Promise.resolve(new FormData(event.target).get('pem')));
      };
      const onChoose = ({ target }) => {
        if (target.files.length > 0) attempt(readFile(target.files[0]));
        target.value = ''; // The same file can be chosen again, after it was converted.
      };
      return h('form', { id: 'signing-form', onSubmit },
        h('p', null, 'A private key on P-384 or P-256, as PKCS#8 PEM. It stays in the memory of this page: ',
          'it is never stored and never sent, and it is gone when the page is closed.'),
        h('label', { htmlFor: 'signing-file' }, 'Choose the file:'),
        h('input', { id: 'signing-file', type: 'file', accept: '.pem,.key,.p8,.txt,application/x-pem-file', onChange: onChoose }),
        h('label', { htmlFor: 'signing-pem' }, 'Or paste its text:'),
        // A spell checker may send the text elsewhere, and autocompletion may keep it.
        h('textarea', {
          id: 'signing-pem', name: 'pem', rows: 6, required: true, spellCheck: false, autoComplete: 'off', autoCapitalize: 'off',
          placeholder: '-----BEGIN PRIVATE KEY-----',
        }),
        error && h(Refusal, { error }));
    }

    function Refusal({ error }) {
      return h('div', { className: 'errors signing-refusal', role: 'alert' },
        error.message, error.command && h(Command, null, error.command));
    }

    function Loaded({ signingKey }) {
      const { keyId } = useLoaded();
      return h('div', { role: 'status' },
        h('h4', null, 'Loaded'),
        h('p', null, `Every “Try it out” is signed with this key at the moment it is sent. The field ${SIGNATURE_HEADER} is not used.`),
        h('dl', { className: 'signing-facts' },
          h('dt', null, 'Algorithm'), h('dd', null, code(signingKey.algorithm)),
          h('dt', null, 'Key id'), h('dd', null, keyId ? code(keyId) : 'none is sent'),
          h('dt', null, 'Fingerprint'), h('dd', null, code(signingKey.fingerprint))));
    }

    function KeyId() {
      const { key, keyId } = useLoaded();
      const set = (text) => loaded.set({ keyId: text.trim() });
      return h('div', { className: 'signing-key-id' },
        h('label', { htmlFor: 'signing-key-id' }, 'Key id (optional):'),
        h('div', null,
          h('input', {
            id: 'signing-key-id', type: 'text', value: keyId, placeholder: key?.fingerprint, spellCheck: false, autoComplete: 'off',
            'aria-describedby': 'signing-key-id-help', onChange: ({ target }) => set(target.value),
          }),
          key && h('button', { type: 'button', className: 'btn', onClick: () => set(key.fingerprint) }, 'Use the fingerprint')),
        h('p', { id: 'signing-key-id-help' },
          'Needed as soon as the server knows several keys; left empty, none is sent. ',
          'A key is registered under its fingerprint, unless another id was chosen.'));
    }

    function Buttons({ close }) {
      const { key } = useLoaded();
      const action = key
        ? h('button', { type: 'button', className: 'btn modal-btn auth', onClick: forget }, 'Forget key')
        : h('button', { type: 'submit', form: 'signing-form', className: 'btn modal-btn auth authorize' }, 'Load key');
      return h('div', { className: 'auth-btn-wrapper' },
        action,
        h('button', { type: 'button', className: 'btn modal-btn auth btn-done', onClick: close }, 'Close'));
    }

    /** With a key loaded, what is typed into the field would not be sent, so nothing can be typed. */
    function SignatureRow({ original, props }) {
      const { key } = useLoaded();
      return h(React.Fragment, null,
        h(original, { ...props, isExecute: props.isExecute && !key }),
        key && props.isExecute && h('tr', { className: 'signing-row' }, h('td'),
          h('td', null, `Signed with the loaded ${key.algorithm} key at the moment it is sent. To type a signature by hand, forget the key.`)));
    }

    const isSignature = (parameter) => parameter.get('in') === 'header' && parameter.get('name') === SIGNATURE_HEADER;

    return {
      wrapComponents: {
        InfoContainer: (Original) => (props) => h(React.Fragment, null, h(Original, props), h(Notice)),
        ServersContainer: (Original) => (props) => h(React.Fragment, null, h(Original, props), h(Control)),
        parameterRow: (Original) => (props) =>
          isSignature(props.rawParam) ? h(SignatureRow, { original: Original, props }) : h(Original, props),
      },
    };
  };
}

/** Where to go on: at the text of the key, or, with a key loaded, at the way out. */
function focusStart(dialog) {
  dialog.querySelector('textarea, .btn-done').focus();
}

async function readFile(file) {
  if (file.size > PEM_BYTES_MAX) throw new InvalidKey('This file is too large for a private key.');
  return file.text();
}

async function start() {
  const response = await fetch('config.json');
  if (!response.ok) throw new Error(`config.json: ${response.status}`);
  const { Audience: audience, BasePath: basePath, Sandbox: isSandbox } = await response.json();
  const server = { audience, basePath, root };
  window.SwaggerUIBundle({
    url: '../openapi.yaml',
    dom_id: '#swagger-ui',
    deepLinking: true,
    displayRequestDuration: true,
    validatorUrl: null, // The default shows the document to a foreign host.
    presets: [window.SwaggerUIBundle.presets.apis],
    plugins: [signingPlugin({ isSandbox })],
    requestInterceptor: (request) => sign(request, server),
  });
}

// Swagger UI leaves this to the top bar, which is not shown, since there is only one document.
document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches);

start().catch((error) => {
  document.getElementById('swagger-ui').textContent = `This page could not start. ${error.message}`;
});
