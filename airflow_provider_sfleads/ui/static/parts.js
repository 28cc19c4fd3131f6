// Small parts that several views use. All text goes through React, which never takes it for HTML.
import { addressWith, go, loginPage } from "./address.js";
import { number, plain } from "./words.js";

const { createElement: h } = globalThis.React;

/** A link to another state of this page. */
export function Go({ to, children, ...more }) {
  const follow = (event) => {
    // Other clicks are the browser's: a new tab, a new window, a download.
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return h("a", { ...more, href: addressWith(to), onClick: follow }, children);
}

/** A task's state in words; the colour, Airflow's own, only repeats it. */
export function State({ state }) {
  const name = /^[a-z_]+$/.test(state ?? "") ? state : "none";
  const style = { "--state": `var(--chakra-colors-${name}-solid, #71717a)` };
  return h(
    "span",
    { className: "state", style },
    h("span", { className: "dot", "aria-hidden": true }),
    plain(state ?? "no state"),
  );
}

/** A code of the kind A_LONG_ONE, which may break after each of its underscores. */
export function Code({ children }) {
  const pieces = String(children).split(/(?<=_)/);
  return h(
    "span",
    { className: "code" },
    pieces.flatMap((piece, i) => (i ? [h("wbr", { key: i }), piece] : [piece])),
  );
}

export function Field({ label, children, className = "" }) {
  return h("label", { className: `field ${className}` }, h("span", { className: "label" }, label), children);
}

export function Select({ label, options, onChange, className, ...more }) {
  const choices = options.map(([value, text]) => h("option", { key: value, value }, text));
  return h(
    Field,
    { label, className },
    h("select", { ...more, onChange: (event) => onChange(event.target.value) }, choices),
  );
}

/** What went wrong, and what can be done about it here. */
export function Trouble({ error, onRetry }) {
  const over = error.status === 401;
  return h(
    "div",
    { className: error.status === 404 ? "notice" : "notice trouble", role: "alert", "data-testid": "error" },
    h("p", null, error.message),
    over && h("a", { className: "button", href: loginPage() }, "Sign in"),
    !over && error.status !== 403 && h("button", { type: "button", onClick: onRetry }, "Try again"),
  );
}

export function Loading({ what }) {
  return h(
    "p",
    { className: "loading", role: "status" },
    h("span", { className: "spinner", "aria-hidden": true }),
    `Loading ${what} …`,
  );
}

/** Pages of a table; `onPage` gets the number of the first entry of the page asked for. */
export function Pager({ from, size, total, what, onPage }) {
  if (total <= size && from === 0) return null;
  const last = Math.min(from + size, total);
  const end = Math.floor(Math.max(total - 1, 0) / size) * size;
  const button = (text, to, off) =>
    h("button", { type: "button", key: text, disabled: off, onClick: () => onPage(Math.max(to, 0)) }, text);
  return h(
    "nav",
    { className: "pager", "aria-label": `Pages of ${what}` },
    button("First", 0, from <= 0),
    button("Previous", from - size, from <= 0),
    h("span", { "aria-live": "polite" }, `${number(Math.min(from + 1, total))} to ${number(last)} of ${number(total)}`),
    button("Next", from + size, last >= total),
    button("Last", end, last >= total),
  );
}

export function Tile({ label, value, note, alarm }) {
  return h(
    "div",
    { className: alarm ? "tile alarm" : "tile" },
    h("dt", null, label),
    h("dd", null, h("span", { className: "value" }, value), note && h("span", { className: "note" }, note)),
  );
}
