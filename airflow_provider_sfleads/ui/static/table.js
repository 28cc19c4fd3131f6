// One line a sync, newest first; those that left no report are in it, too.
import { runUrl, taskUrl } from "./api.js";
import { count, duration, interval, minute, rate } from "./format.js";
import { h } from "./react.js";
import { isFailure } from "./series.js";

const PAGE = 50;

const NUMBERS = [
  ["Read", (sync) => sync.read],
  ["Created", (sync) => (sync.dry_run ? sync.would_create : sync.created)],
  ["Updated", (sync) => (sync.dry_run ? sync.would_update : sync.updated)],
  ["Unchanged", (sync) => sync.unchanged],
  ["Filtered", (sync) => sync.filtered],
  ["Duplicate keys", (sync) => sync.duplicate_keys],
  ["Rejected", (sync) => sync.rejected],
  ["Not sent", (sync) => sync.not_sent],
  ["API calls", (sync) => sync.api_calls],
];
const FIRST = ["State", "Ran at", "Dag and task", "Rows"];
const AFTER = ["Interval", "Mode", "Run"];

export function Syncs({ syncs, reason, page, onPage, onOpen }) {
  const pages = Math.max(1, Math.ceil(syncs.length / PAGE));
  const current = Math.min(Math.max(page, 1), pages);
  const shown = syncs.slice((current - 1) * PAGE, current * PAGE);
  const title = reason ? `${count(syncs.length)} syncs with ${reason}` : `${count(syncs.length)} syncs`;
  return h(
    "section",
    { className: "ls-card" },
    h(
      "div",
      { className: "ls-scroll", tabIndex: 0, role: "region", "aria-label": "Table of syncs" },
      h(
        "table",
        { "data-testid": "syncs-table" },
        h("caption", null, title),
        h("thead", null, h("tr", null, FIRST.map(heading()), NUMBERS.map(([name]) => name).concat("Time", "Rows/s").map(heading("ls-number")), AFTER.map(heading()))),
        h("tbody", null, shown.map((sync) => h(Sync, { key: `${sync.dag_id} ${sync.run_id} ${sync.task_id} ${sync.map_index}`, sync, onOpen }))),
      ),
    ),
    h(Pager, { current, pages, onPage }),
  );
}

const heading = (className) => (name) => h("th", { key: name, scope: "col", className }, name);

function Sync({ sync, onOpen }) {
  const isReported = sync.read !== undefined;
  const mapped = sync.map_index >= 0 ? ` [${sync.map_index}]` : "";
  return h(
    "tr",
    { "data-testid": "sync-row" },
    h("td", null, h("span", { className: `ls-state ${isFailure(sync) ? "ls-bad" : ""}` }, sync.state)),
    h("td", null, minute(sync.ran_at)),
    h("th", { scope: "row" }, h("a", { href: taskUrl(sync) }, `${sync.dag_id}.${sync.task_id}${mapped}`)),
    h("td", { className: "ls-links" }, h(Links, { sync, isReported, onOpen })),
    isReported
      ? NUMBERS.map(([name, of]) => h("td", { key: name, className: `ls-number ${(name === "Rejected" || name === "Not sent") && of(sync) ? "ls-stands-out" : ""}` }, count(of(sync))))
      : h("td", { colSpan: NUMBERS.length, className: "ls-soft" }, "no report: ", h("a", { href: taskUrl(sync) }, "see the task")),
    h("td", { className: "ls-number" }, isReported ? duration(sync.seconds) : ""),
    h("td", { className: "ls-number" }, isReported ? count(rate(sync.read, sync.seconds)) : ""),
    h("td", null, interval(sync.interval_start, sync.interval_end)),
    h("td", null, isReported ? (sync.dry_run ? "dry" : "live") : ""),
    h("td", { className: "ls-id", title: sync.run_id }, h("a", { href: runUrl(sync) }, sync.run_id)),
  );
}

function Links({ sync, isReported, onOpen }) {
  if (sync.may_read_rows === false) return h("span", { className: "ls-soft", title: "Rows are for those who may read the Dag's XComs." }, "not yours to read");
  const link = (action, words) => h("button", { type: "button", className: "ls-link", onClick: () => onOpen(sync, { action }) }, words);
  if (!isReported) return link("", "Results");
  return [h("span", { key: "all" }, link("all", "Results")), sync.rejected > 0 && h("span", { key: "rejects" }, " ", link("rejected", "Rejects"))];
}

export function Pager({ current, pages, onPage }) {
  if (pages <= 1) return null;
  const step = (to, words) => h("button", { type: "button", disabled: to < 1 || to > pages, onClick: () => onPage(to) }, words);
  return h("nav", { className: "ls-pager", "aria-label": "Pages" }, step(current - 1, "Previous"), h("span", { role: "status" }, `Page ${count(current)} of ${count(pages)}`), step(current + 1, "Next"));
}
