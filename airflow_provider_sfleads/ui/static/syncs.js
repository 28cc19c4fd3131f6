// The table of syncs, newest first.
import { change, runPage, taskPage, toRows } from "./address.js";
import { hasFailed } from "./figures.js";
import { Go, Pager, State } from "./parts.js";
import { decimal, interval, NONE, number, parts, plain, plural, SUMMED, taskName, time } from "./words.js";

const { createElement: h, memo, useMemo } = globalThis.React;

const PAGE = 50;

const COLUMNS = [
  ["State"],
  ["Dag, task"],
  ["Run, data interval (UTC)"],
  ["Mode"],
  // What matters first: on a narrow screen the rest is scrolled to.
  ["Read", 1],
  ["Created", 1],
  ["Updated", 1],
  ["Rejected", 1],
  ["Not sent", 1],
  ["Unchanged", 1],
  ["Filtered", 1],
  ["Duplicates", 1],
  ["API"],
  ["Seconds", 1],
  ["Rows/s", 1],
  ["Rows"],
];

const count = (n, alarm, note) =>
  h(
    "td",
    { className: n > 0 && alarm ? "n alarm" : n === 0 ? "n zero" : "n" },
    number(n),
    note && h("div", { className: "note" }, note),
  );

/** Of a dry run, what it would have done; of one that was cleared, what its executions did together. */
function done(entry, did, would) {
  if (!entry.dry_run) return count(entry[did], false, parts(entry, did));
  return h(
    "td",
    { className: entry[would] ? "n" : "n zero", title: "A dry run: nothing was sent" },
    number(entry[would]),
    h("div", { className: "note" }, plain(would)),
  );
}

function links(entry) {
  if (!entry.may_read_rows) {
    return h(
      "span",
      { className: "note", title: "You may see the counts, not the rows: they hold what the warehouse exports." },
      "not yours to read",
    );
  }
  return [
    h(Go, { key: "all", to: toRows(entry, "all") }, "Results"),
    entry.rejected > 0 && h("div", { key: "rejects" }, h(Go, { to: toRows(entry, "rejected") }, "Rejects")),
  ];
}

function numbers(entry) {
  const { seconds, read } = entry;
  return [
    count(read),
    done(entry, "created", "would_create"),
    done(entry, "updated", "would_update"),
    count(entry.rejected, true),
    count(entry.not_sent, true),
    count(entry.unchanged),
    count(entry.filtered),
    count(entry.duplicate_keys),
    h(
      "td",
      { className: "nowrap", title: entry.api_reason || undefined },
      entry.api,
      h("div", { className: "note" }, plural(entry.api_calls, "call")),
    ),
    h("td", { className: "n" }, decimal(seconds)),
    h("td", { className: "n" }, seconds > 0 ? decimal(read / seconds) : NONE),
    h("td", { className: "links" }, links(entry)),
  ];
}

const keyOf = ({ dag_id, run_id, task_id, map_index, dry_run }) =>
  JSON.stringify([dag_id, run_id, task_id, map_index, dry_run]);

function Sync({ entry }) {
  const task = h("a", { href: taskPage(entry), title: "The task instance" }, taskName(entry));
  const head = [
    h(
      "td",
      { className: "nowrap" },
      h(State, { state: entry.state }),
      entry.try_number > 1 && h("div", { className: "note" }, `try ${entry.try_number}`),
      entry.again && h("div", { className: "note", "data-testid": "again", title: SUMMED }, entry.again),
    ),
    h("th", { scope: "row", className: "nowrap" }, entry.dag_id, h("div", { className: "note" }, task)),
    h(
      "td",
      { className: "when" },
      h("a", { href: runPage(entry), title: `Dag run ${entry.run_id}` }, time(entry.ran_at)),
      h("div", { className: "note" }, interval(entry)),
    ),
  ];
  const look = hasFailed(entry) ? "failed" : undefined;
  if (entry.unreported) {
    const rest = h(
      "td",
      { colSpan: COLUMNS.length - head.length, className: "none" },
      entry.earlier
        ? `no report of this execution; before it: ${number(entry.created)} created, ${number(entry.updated)} updated. `
        : "no report ",
      h("a", { href: taskPage(entry) }, "Open the task instance"),
    );
    return h("tr", { "data-testid": "sync-row", className: look }, ...head, rest);
  }
  return h(
    "tr",
    { "data-testid": "sync-row", className: look },
    ...head,
    h("td", null, entry.dry_run ? "dry" : "live"),
    ...numbers(entry),
  );
}

/** `code`: only the syncs that rejected rows with it; `from`: the number of the first one to show. */
export const Syncs = memo(function Syncs({ entries, code, from }) {
  const fitting = useMemo(
    () => (code ? entries.filter((entry) => entry.reject_reasons?.[code] > 0) : entries),
    [entries, code],
  );
  const start = from < fitting.length ? Math.floor(from / PAGE) * PAGE : 0;
  const page = fitting.slice(start, start + PAGE);
  const title = plural(fitting.length, "sync") + (code ? ` with ${code}` : "");
  const without = entries.filter((entry) => entry.unreported && hasFailed(entry)).length;
  return h(
    "section",
    { className: "card table" },
    h(
      "div",
      { className: "line" },
      h("h3", null, "Syncs", h("span", { className: "note" }, ` ${plural(fitting.length, "sync")}, newest first`)),
      code &&
        h(
          "button",
          { type: "button", className: "chip", onClick: () => change({ reject: null, from: null }) },
          `with ${code} `,
          h("span", { "aria-hidden": true }, "✕"),
          h("span", { className: "unseen" }, "show all"),
        ),
      !code && without > 0 && h("span", { className: "flag" }, `${without} failed without a report`),
    ),
    h(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of syncs" },
      h(
        "table",
        { "data-testid": "syncs-table" },
        h("caption", { className: "unseen" }, title),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            COLUMNS.map(([name, n]) =>
              h("th", { key: name, scope: "col", className: n ? "n" : name === "Rows" ? "links" : undefined }, name),
            ),
          ),
        ),
        h(
          "tbody",
          null,
          page.map((entry) =>
            h(Sync, { key: keyOf(entry), entry }),
          ),
        ),
      ),
    ),
    h(Pager, {
      from: start,
      size: PAGE,
      total: fitting.length,
      what: "syncs",
      onPage: (n) => change({ from: n || null }),
    }),
  );
});
