// What became of every row of one sync.
import { getRows, rejectsUrl, runUrl, taskUrl } from "./api.js";
import { count, duration, interval, minute } from "./format.js";
import { useAnswer } from "./query.js";
import { h, useEffect, useState } from "./react.js";
import { Pager } from "./table.js";

const PAGE = 100;
const COLUMNS = ["Key", "Action", "Reason", "Code", "Message", "Fields", "Salesforce id", "Stage", "Sent by", "Try", "Finished at"];
const ALL = "all";

export function Rows({ task, query, change, onLeave }) {
  const page = Math.max(Number(query.page) || 1, 1);
  const [text, setText] = useState(query.search ?? "");
  // Without a choice, rejects are what people come for, where there are any.
  const wanted = query.action === ALL ? "" : (query.action ?? "rejected");
  const asked = { execution: query.execution, action: wanted, code: query.code, search: query.search, offset: (page - 1) * PAGE, limit: PAGE };
  const { answer, error, loading } = useAnswer(() => getRows(task, asked), JSON.stringify([task, asked]));
  const hasRejects = Boolean(answer?.actions.rejected);
  useEffect(() => {
    if (answer && !query.action && !hasRejects) change({ action: ALL });
  }, [answer, query.action, hasRejects]);
  useEffect(() => {
    if (text === (query.search ?? "")) return undefined;
    const timer = setTimeout(() => change({ search: text, page: "" }), 300);
    return () => clearTimeout(timer);
  }, [text]);
  return h(
    "div",
    { "aria-busy": loading },
    h(
      "header",
      { className: "ls-head" },
      onLeave && h("button", { type: "button", onClick: onLeave, "data-testid": "back" }, "← All syncs"),
      h("h2", null, `${task.dag_id}.${task.task_id}${task.map_index >= 0 ? ` [${task.map_index}]` : ""}`),
      h("a", { href: runUrl(task) }, task.run_id),
      onLeave && h("a", { href: taskUrl(task) }, "the task and its log"),
      h("span", { className: "ls-soft", role: "status" }, loading ? "Loading ..." : ""),
    ),
    error && h("p", { className: "ls-error", role: "alert", "data-testid": "error" }, error.message),
    answer && !error && h(Found, { task, answer, query, change, page, text, setText, wanted }),
  );
}

function Found({ task, answer, query, change, page, text, setText, wanted }) {
  const { actions, codes, rows, total, report } = answer;
  const choose = (name) => (event) => change({ [name]: event.target.value, page: "" });
  const pages = Math.max(1, Math.ceil(total / PAGE));
  return h(
    "div",
    null,
    h(Account, { report, answer }),
    h(
      "form",
      { className: "ls-filters", onSubmit: (event) => event.preventDefault(), "aria-label": "Which rows" },
      field("Action", h("select", { value: wanted || ALL, onChange: choose("action"), "data-testid": "rows-action" }, h("option", { value: ALL }, `all (${count(Object.values(actions).reduce((a, b) => a + b, 0))})`), options(actions, wanted))),
      Object.keys(codes).length > 0 && field("Code", h("select", { value: query.code ?? "", onChange: choose("code"), "data-testid": "rows-code" }, h("option", { value: "" }, "all codes"), options(codes, query.code ?? ""))),
      field("Search", h("input", { type: "search", value: text, placeholder: "key, message, id ...", onChange: (event) => setText(event.target.value), "data-testid": "rows-search" })),
      answer.executions.length > 1 && field("Execution", h("select", { value: answer.execution, onChange: choose("execution"), "data-testid": "rows-execution" }, answer.executions.map((name) => h("option", { key: name, value: name }, name)))),
      actions.rejected > 0 && h(
        "div",
        { className: "ls-downloads" },
        h("a", { className: "ls-button", href: rejectsUrl(task, answer.execution), download: "", "data-testid": "download-rejects", title: "rejects.csv as it is: mend it and feed it back as a FileExport" }, "Download rejects"),
        h("a", { className: "ls-button", href: rejectsUrl(task, answer.execution, "spreadsheet"), download: "", "data-testid": "download-spreadsheet", title: "For looking only: what a spreadsheet would run as a formula has an apostrophe before it" }, "For a spreadsheet"),
      ),
    ),
    h(
      "section",
      { className: "ls-card" },
      h(
        "div",
        { className: "ls-scroll", tabIndex: 0, role: "region", "aria-label": "Table of rows" },
        h(
          "table",
          { "data-testid": "rows-table" },
          h("caption", null, total === 1 ? "1 row" : `${count(total)} rows`),
          h("thead", null, h("tr", null, COLUMNS.map((name) => h("th", { key: name, scope: "col" }, name)))),
          h("tbody", null, rows.map((row, n) => h(Row, { key: `${page}-${n}`, row }))),
        ),
      ),
      h(Pager, { current: Math.min(page, pages), pages, onPage: (to) => change({ page: to > 1 ? to : "" }) }),
    ),
  );
}

function Account({ report, answer }) {
  if (!report) {
    return h("p", { className: "ls-note" }, "This execution has left no report: it is under way, or its worker was killed. What it has recorded by now is below.");
  }
  const counts = ["read", "created", "updated", "would_create", "would_update", "unchanged", "filtered", "duplicate_keys", "rejected", "not_sent"];
  const facts = counts.filter((name) => report[name] || name === "read").map((name) => [name.replace("_", " "), count(report[name])]);
  facts.push(["API calls", `${count(report.api_calls)} (${report.api})`]);
  if (report.interval_start) facts.push(["interval", interval(report.interval_start, report.interval_end)]);
  facts.push(["time", duration((Date.parse(report.finished_at) - Date.parse(report.started_at)) / 1000)], ["mode", answer.dry_run ? "dry" : "live"]);
  return h("dl", { className: "ls-account" }, facts.map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", null, value))));
}

function Row({ row }) {
  const stage = row.new_stage || row.old_stage ? `${row.old_stage ?? "(no stage)"}${row.new_stage ? ` → ${row.new_stage}` : ""}` : "";
  return h(
    "tr",
    { "data-testid": "row" },
    h("th", { scope: "row", className: "ls-text" }, row.key),
    h("td", null, row.action),
    h("td", null, row.reason),
    h("td", null, row.error_code),
    h("td", { className: "ls-text ls-wide" }, row.error_message),
    h("td", null, (row.error_fields ?? []).join(", ")),
    h("td", null, h(Lead, { row })),
    h("td", null, stage),
    h("td", { className: "ls-id" }, [row.api, row.batch].filter(Boolean).join(" ")),
    h("td", { className: "ls-number" }, row.attempt),
    h("td", null, minute(row.finished_at)),
  );
}

// An address out of a file is only followed where it is one of the web's.
function Lead({ row }) {
  const id = row.salesforce_id ?? row.contact_id ?? "";
  return /^https?:\/\//.test(row.lead_url ?? "") ? h("a", { href: row.lead_url, target: "_blank", rel: "noopener noreferrer" }, id || "lead") : id;
}

const field = (label, control) => h("label", { className: "ls-field" }, h("span", null, label), control);

function options(counts, chosen) {
  const named = chosen && !(chosen in counts) ? { ...counts, [chosen]: 0 } : counts;
  return Object.entries(named).map(([name, n]) => h("option", { key: name, value: name }, `${name} (${count(n)})`));
}
