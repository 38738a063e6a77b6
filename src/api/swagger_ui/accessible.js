/** Gives names to the controls of Swagger UI that have none for a screen reader, whenever it shows one. */

const parameter = (control) => control.closest('tr[data-param-name]').dataset.paramName;

/** Which controls, and the name of each. */
const NAMES = [
  ['#servers', () => 'Server'],
  ['.copy-to-clipboard button', () => 'Copy'],
  ['textarea.body-param__text', () => 'Request body'],
  ['select.examples-select-element', () => 'Example'],
  ['.content-type-wrapper select, .response-control-media-type select', () => 'Media type'],
  ['tr[data-param-name] .parameters-col_description :is(input, select, textarea)', parameter],
];

/** Names what is in this part of the page. Long code can be scrolled with the keyboard. */
function name(page) {
  for (const [selector, nameOf] of NAMES) {
    for (const control of page.querySelectorAll(`:is(${selector}):not([aria-label])`)) {
      control.setAttribute('aria-label', nameOf(control));
    }
  }
  for (const code of page.querySelectorAll('pre.microlight:not([tabindex])')) code.tabIndex = 0;
}

export function keepAccessible(page) {
  new MutationObserver(() => name(page)).observe(page, { childList: true, subtree: true });
}

/** A link inside of a button cannot be reached (WCAG 2.2, 4.1.2). Opening the operation shows its address all the same. */
export const deepLink = (h) => (Original) => (props) =>
  props.path?.includes('/') ? h('span', null, props.text) : h(Original, props);
