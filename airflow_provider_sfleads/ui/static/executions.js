// The executions of one task instance: a task that is cleared runs once more as a new one.
import { Go } from "./parts.js";
import { number, plain } from "./words.js";

const { createElement: h } = globalThis.React;

const SUMS = new Set(["created", "updated", "api_calls"]);

const heading = (name) => (name === "api_calls" ? "API calls" : name[0].toUpperCase() + plain(name).slice(1));
/** An execution is named after its beginning. */
const beginning = (name) =>
  name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\..*$/, (_, y, mo, d, hh, mi, s) => `${y}-${mo}-${d} ${hh}:${mi}:${s}`);
const WOULD = { created: "would_create", updated: "would_update" };
const countOf = (name, { dry_run }) => (dry_run ? (WOULD[name] ?? name) : name);
const HISTORY = ["read", "created", "updated", "unchanged", "rejected", "not_sent", "api_calls"];

/** The executions of the task instance one below another, newest first, and what the live ones come to. */
export function Executions({ data }) {
  const { execution } = data;
  const told = new Map(data.history.map((one) => [one.execution, one]));
  const there = new Set(data.executions);
  const names = [...new Set([...data.executions, ...told.keys()])].sort().reverse();
  const cell = (value, name) => h("td", { key: name, className: value ? "n" : "n zero" }, number(value));
  const open = (name) => {
    const to = { execution: name === data.executions[0] ? null : name, offset: null, code: null, action: null };
    return there.has(name) ? h(Go, { to }, beginning(name)) : beginning(name);
  };
  const row = (name) =>
    h(
      "tr",
      { key: name, "data-testid": "execution", className: name === execution ? "chosen" : undefined },
      h("th", { scope: "row", className: "nowrap" }, open(name), name === execution && " (below)"),
      h("td", null, name.endsWith("-dry-run") ? "dry" : "live"),
      told.has(name)
        ? HISTORY.map((count) => cell(told.get(name)[countOf(count, told.get(name))], count))
        : h("td", { colSpan: HISTORY.length, className: "none" }, "no report"),
    );
  const total = (count) => (SUMS.has(count) ? cell(data.counts[count], count) : h("td", { key: count }));
  return h(
    "section",
    { className: "card table", "aria-label": "Executions" },
    h("h3", null, "Executions", h("span", { className: "note" }, data.again ? ` ${data.again}` : "")),
    h(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of executions" },
      h(
        "table",
        { "data-testid": "executions" },
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            h("th", { scope: "col" }, "Began (UTC)"),
            h("th", { scope: "col" }, "Mode"),
            HISTORY.map((name) => h("th", { key: name, scope: "col", className: "n" }, heading(name))),
          ),
        ),
        h(
          "tbody",
          null,
          names.map(row),
          data.counts &&
            h(
              "tr",
              { "data-testid": "executions-total" },
              h("th", { scope: "row" }, h("b", null, "live, in all")),
              h("td", null),
              HISTORY.map(total),
            ),
        ),
      ),
    ),
  );
}
