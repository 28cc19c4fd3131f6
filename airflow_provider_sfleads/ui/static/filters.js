// What is looked at: which Dag, what time, live or dry.
import { h } from "./react.js";

const DAY = 86400000;
const QUICK = [7, 30, 90];
const USUAL = 30;
const iso = (time) => new Date(time).toISOString().slice(0, 10);
const isDate = (text) => /^\d{4}-\d{2}-\d{2}$/.test(text ?? "");

// The last day that is chosen is included; the route's bound is not.
export function rangeOf(query) {
  const since = isDate(query.since) ? query.since : isDate(query.until) ? "" : iso(Date.now() - (USUAL - 1) * DAY);
  return { since, until: isDate(query.until) ? iso(Date.parse(query.until) + DAY) : "" };
}

export function Filters({ fixed, query, change, by, mode, dags }) {
  const range = rangeOf(query);
  const set = (name, usual) => (event) => change({ [name]: event.target.value === usual ? "" : event.target.value, page: "" });
  const names = query.dag && !dags.includes(query.dag) ? [query.dag, ...dags] : dags;
  return h(
    "form",
    { className: "ls-filters", onSubmit: (event) => event.preventDefault(), "aria-label": "What is shown" },
    !fixed.dag_id && field("Dag", h("select", { value: query.dag ?? "", onChange: set("dag", ""), "data-testid": "filter-dag" }, option("", "all Dags"), names.map((name) => option(name, name)))),
    !fixed.run_id && field("From", h("input", { type: "date", value: range.since, max: query.until || undefined, onChange: set("since"), "data-testid": "filter-since" })),
    !fixed.run_id && field("To", h("input", { type: "date", value: query.until ?? "", min: range.since || undefined, onChange: set("until"), "data-testid": "filter-until" })),
    !fixed.run_id && h(
      "div",
      { className: "ls-quick", role: "group", "aria-label": "Last days" },
      QUICK.map((days) => {
        const since = iso(Date.now() - (days - 1) * DAY);
        return h("button", { key: days, type: "button", "aria-pressed": range.since === since && !range.until, onClick: () => change({ since, until: "", page: "" }) }, `${days} days`);
      }),
    ),
    !fixed.run_id && field("Time of", h("select", { value: by, onChange: set("by", "ran"), "data-testid": "filter-by" }, option("ran", "the run"), option("interval", "the data interval"))),
    field("Runs", h("select", { value: mode, onChange: set("mode", "live"), "data-testid": "filter-mode" }, option("live", "live"), option("dry", "dry"), option("all", "live and dry"))),
  );
}

const field = (label, control) => h("label", { className: "ls-field" }, h("span", null, label), control);
const option = (value, label) => h("option", { key: value, value }, label);
