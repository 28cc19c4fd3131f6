// The rows of one sync.
import { change, NO_SYNC, partsOf, routeTo, runPage, taskPage } from "./address.js";
import { useJson } from "./api.js";
import { Executions } from "./executions.js";
import { Field, Go, Loading, Pager, Select, Tile, Trouble } from "./parts.js";
import { RowTable } from "./rowtable.js";
import { interval, number, plain, plural, seconds, share, SUMMED, taskName, time } from "./words.js";

const { createElement: h, useEffect, useState } = globalThis.React;

const PAGE = 100;
const TYPING = 300;
const ALL = "all";

/** `summed`: whether the counts are of several executions together. */
function Counts({ report, dry, summed }) {
  const ended =
    report.finished_at && report.started_at
      ? (Date.parse(report.finished_at) - Date.parse(report.started_at)) / 1000
      : null;
  const tile = (label, name, more) => h(Tile, { key: name, label, value: number(report[name]), ...more });
  return h(
    "dl",
    { className: "tiles" },
    tile("Read", "read"),
    dry ? tile("Would create", "would_create") : tile("Created", "created"),
    dry ? tile("Would update", "would_update") : tile("Updated", "updated"),
    tile("Unchanged", "unchanged"),
    tile("Filtered", "filtered"),
    tile("Duplicates", "duplicate_keys"),
    tile("Rejected", "rejected", {
      alarm: report.rejected > 0,
      note: report.rejected > 0 ? `${share(report.rejected, report.read)} of read` : null,
    }),
    tile("Not sent", "not_sent", { alarm: report.not_sent > 0 }),
    summed
      ? tile("API calls", "api_calls")
      : h(Tile, {
          label: "Took",
          value: seconds(ended),
          note: `${report.api}, ${plural(report.api_calls ?? 0, "call")}`,
        }),
  );
}

function About({ sync, data }) {
  const { report, folder } = data;
  const item = (name, value) => value && h("span", { key: name }, h("span", { className: "note" }, `${name} `), value);
  return h(
    "p",
    { className: "about" },
    item("Dag run", h("a", { href: runPage(sync) }, sync.run_id)),
    item("Task", h("a", { href: taskPage(sync) }, taskName(sync))),
    report && item("Data interval", interval(report)),
    report && item("Started", `${time(report.started_at)} UTC`),
    report && item("Salesforce", report.host),
    item("Results at", h("code", null, folder)),
  );
}

function Search({ value, onSearch }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => onSearch(text), TYPING);
    return () => clearTimeout(timer);
  }, [text, value]);
  const type = (event) => setText(event.target.value);
  return h(
    Field,
    { label: "Search", className: "wide" },
    h("input", {
      type: "search",
      value: text,
      placeholder: "key, message, id …",
      "data-testid": "rows-search",
      onChange: type,
    }),
  );
}

function RowFilters({ data, action, code, search, onSearch }) {
  const counted = (names, chosen) => {
    const entries = Object.entries(names).sort((a, b) => b[1] - a[1]);
    if (chosen && !(chosen in names)) entries.push([chosen, 0]);
    return entries;
  };
  const total = Object.values(data.actions).reduce((all, n) => all + n, 0);
  const actions = counted(data.actions, action === ALL ? "" : action).map(([name, n]) => [
    name,
    `${plain(name)} (${number(n)})`,
  ]);
  const codes = counted(data.codes, code).map(([name, n]) => [name, `${name} (${number(n)})`]);
  return h(
    "form",
    { className: "filters", "aria-label": "Which rows", onSubmit: (event) => event.preventDefault() },
    h(Select, {
      label: "Action",
      value: action,
      "data-testid": "rows-action",
      options: [[ALL, `all (${number(total)})`], ...actions],
      onChange: (value) => change({ action: value, code: null, offset: null }),
    }),
    h(Select, {
      label: "Code",
      value: code,
      className: "wide",
      "data-testid": "rows-code",
      options: [["", "all"], ...codes],
      onChange: (value) => change({ code: value, offset: null }),
    }),
    h(Search, { value: search, onSearch }),
    data.executions.length > 1 &&
      h(Select, {
        label: "Execution",
        value: data.execution,
        "data-testid": "rows-execution",
        options: data.executions.map((name, i) => [name, i ? name : `${name} (newest)`]),
        onChange: (name) => change({ execution: name === data.executions[0] ? null : name, offset: null, code: null }),
      }),
  );
}

function Downloads({ sync, data, execution }) {
  if (!data.actions.rejected) return null;
  const href = (more) => routeTo(partsOf(sync, "rejects.csv"), { map_index: sync.map_index, execution, ...more });
  const link = (text, id, more, title) =>
    h("a", { className: "button", key: id, href: href(more), download: "", title, "data-testid": id }, text);
  return h(
    "div",
    { className: "downloads" },
    link(
      "Download rejects",
      "download-rejects",
      {},
      "All rejected rows of this execution as CSV, as they were exported: mend them and feed the file back.",
    ),
    link(
      "Download for a spreadsheet",
      "download-spreadsheet",
      { for: "spreadsheet" },
      "The same, with cells made harmless that a spreadsheet would run as formulas. Do not feed this one back: such cells are changed.",
    ),
  );
}

function Problems({ problems }) {
  if (!problems.length) return null;
  return h(
    "div",
    { className: "notice trouble", role: "alert", "data-testid": "problems" },
    h("p", null, "Some files of this sync cannot be read. What they hold is neither shown nor counted here."),
    h(
      "ul",
      null,
      problems.map((problem) => h("li", { key: problem }, problem)),
    ),
  );
}

function Found({ sync, data, execution, action, code, search, onSearch, offset }) {
  const again = data.dry_run ? "" : data.again;
  // Of several executions the numbers are those of all, whichever is opened.
  const counts = again ? { ...data.report, ...data.counts } : data.report;
  const names = new Set([...data.executions, ...data.history.map((one) => one.execution)]).size;
  return [
    h(About, { key: "about", sync, data }),
    counts && h(Counts, { key: "counts", report: counts, dry: data.dry_run, summed: Boolean(again) }),
    again && h("p", { key: "again", className: "note", "data-testid": "again" }, `${again[0].toUpperCase()}${again.slice(1)}. ${SUMMED}`),
    names > 1 && h(Executions, { key: "executions", data }),
    h(Problems, { key: "problems", problems: data.problems }),
    h(
      "section",
      { key: "rows", className: "card table", "aria-label": "Rows" },
      h(
        "div",
        { className: "line" },
        h(
          "h3",
          null,
          "Rows",
          h(
            "span",
            { className: "note", role: "status" },
            ` ${number(data.total)} ${action === ALL ? "" : plain(action)}${code || search ? " that match" : ""}`,
          ),
        ),
        h(Downloads, { sync, data, execution: execution || data.execution }),
      ),
      h(RowFilters, { data, action, code, search, onSearch }),
      data.rows.length
        ? h(RowTable, { rows: data.rows, total: data.total })
        : h(
            "p",
            { className: "notice", "data-testid": "empty" },
            code || search || action !== ALL ? "No row matches." : "The sync read no row.",
          ),
      h(Pager, {
        from: offset,
        size: PAGE,
        total: data.total,
        what: "rows",
        onPage: (n) => change({ offset: n || null }),
      }),
    ),
  ];
}

/** `sync`: the task instance; `alone`: on its own tab, so that there is no overview to go back to. */
export function Rows({ sync, query, alone }) {
  const [execution, code] = ["execution", "code"].map((name) => query.get(name) ?? "");
  // Not in the address, which browsers keep and servers log.
  const [search, setSearch] = useState("");
  const onSearch = (text) => {
    setSearch(text);
    change({ offset: null });
  };
  const offset = Math.max(Number(query.get("offset")) || 0, 0);
  const named = query.get("action");
  const [none, setNone] = useState(false);
  // What was rejected first; where nothing was, everything.
  const action = named ?? (none ? ALL : "rejected");
  const { data, error, loading, reload } = useJson(
    routeTo(partsOf(sync, "rows"), {
      map_index: sync.map_index,
      execution,
      action: action === ALL ? "" : action,
      code,
      offset,
      limit: PAGE,
    }),
    search,
  );
  useEffect(() => {
    if (data && !loading) setNone(!data.actions.rejected);
  }, [data, loading]);
  const settled = data && (named !== null || none === !data.actions.rejected);
  return h(
    "div",
    { className: loading && data ? "view waiting" : "view", "aria-busy": loading },
    !alone && h("p", null, h(Go, { to: NO_SYNC, className: "back", "data-testid": "back" }, "← All syncs")),
    h(
      "h2",
      { tabIndex: -1 },
      alone ? "Lead sync" : `${sync.dag_id}, ${taskName(sync)}`,
      data?.dry_run && h("span", { className: "flag calm" }, "dry run: nothing was sent"),
    ),
    error && h(Trouble, { error, onRetry: reload }),
    !settled && !error && h(Loading, { what: "the rows" }),
    settled && h(Found, { sync, data, execution, action, code, search, onSearch, offset }),
  );
}
