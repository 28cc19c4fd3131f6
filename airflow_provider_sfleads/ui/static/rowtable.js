// The rows themselves.
import { Code } from "./parts.js";
import { NONE, plain, plural } from "./words.js";

const { createElement: h } = globalThis.React;

const COLUMNS = ["Key", "Action", "Reason", "Code", "Message", "Fields", "Salesforce id", "Stage", "Attempt"];

/** Only addresses of the web: another scheme would be run by the browser. */
const isWeb = (url) => /^https?:\/\//i.test(url ?? "");

function lead({ salesforce_id: id, lead_url: url }) {
  if (!isWeb(url)) return id || NONE;
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, id || "open");
}

function stage({ old_stage: from, new_stage: to }) {
  if (from && to && from !== to) return `${from} → ${to}`;
  return to || from || NONE;
}

function Row({ row }) {
  const text = (value) => h("td", null, value || NONE);
  return h(
    "tr",
    {
      "data-testid": "row",
      title: row.finished_at ? `${row.finished_at}${row.batch ? `, ${row.api} ${row.batch}` : ""}` : undefined,
    },
    h("th", { scope: "row", className: "key-cell" }, row.key || h("span", { className: "note" }, "empty")),
    h(
      "td",
      { className: row.action === "rejected" || row.action === "not_sent" ? "alarm nowrap" : "nowrap" },
      plain(row.action),
    ),
    text(row.reason && plain(row.reason)),
    h("td", null, row.error_code ? h(Code, null, row.error_code) : NONE),
    h("td", { className: "message" }, row.error_message || NONE),
    text((row.error_fields ?? []).join(", ")),
    h("td", { className: "code nowrap" }, lead(row)),
    h("td", { className: "nowrap" }, stage(row)),
    h("td", { className: "n" }, row.attempt ?? NONE),
  );
}

export function RowTable({ rows, total }) {
  return h(
    "div",
    { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of rows" },
    h(
      "table",
      { "data-testid": "rows-table" },
      h("caption", { className: "unseen" }, plural(total, "row")),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          COLUMNS.map((name) =>
            h("th", { key: name, scope: "col", className: name === "Attempt" ? "n" : undefined }, name),
          ),
        ),
      ),
      // A key may stand in several rows (a duplicate), so the place names the row.
      h(
        "tbody",
        null,
        rows.map((row, i) => h(Row, { key: i, row })),
      ),
    ),
  );
}
