// Which syncs: the Dag, the time, live or dry.
import { change } from "./address.js";
import { Field, Select } from "./parts.js";
import { DAY, isoDay } from "./words.js";

const { createElement: h, useEffect, useState } = globalThis.React;

const QUICK = [7, 30, 90];
const USUAL_DAYS = 30;
const isDate = (text) => /^[2-9]\d{3}-\d\d-\d\d$/.test(text ?? "") && !Number.isNaN(Date.parse(text));

function daysOf(query) {
  const days = Number(query.get("days"));
  return Number.isInteger(days) && days > 0 && days <= 3650 ? days : USUAL_DAYS;
}

function rangeOf(query) {
  const [since, until] = [query.get("since"), query.get("until")];
  const days = daysOf(query);
  const today = isoDay(Date.now());
  const before = (day) => isoDay(Date.parse(day) - (days - 1) * DAY);
  if (!isDate(since) && !isDate(until)) return { days, since: before(today), until: today };
  const last = isDate(until) ? until : today;
  const first = isDate(since) ? since : before(last);
  // As they are, also where the first is the later one: whoever types them is not at the end yet.
  return { since: first, until: last };
}

/**
 * What the address says about which syncs to show.
 *
 * `since` and `until` are the first and the last day; on the tab of a run there is no range, and dry runs show, too.
 */
export function filterOf(query, fixed) {
  const oneOf = (name, values) => (values.includes(query.get(name)) ? query.get(name) : values[0]);
  const modes = fixed.run_id ? ["all", "live", "dry"] : ["live", "dry", "all"];
  return {
    dag_id: fixed.dag_id ?? query.get("dag") ?? "",
    run_id: fixed.run_id ?? "",
    mode: oneOf("mode", modes),
    by: oneOf("by", ["ran", "interval"]),
    ...(fixed.run_id ? {} : rangeOf(query)),
  };
}

/** The same in the routes' words; `back` asks for as many days before. */
export function asked({ dag_id, run_id, by, since, until }, back = false) {
  if (run_id) return { dag_id, run_id };
  const [from, end] = [Date.parse(since), Date.parse(until) + DAY];
  const length = back ? end - from : 0;
  return { dag_id, by, since: isoDay(from - length), until: isoDay(end - length) };
}

const set = (changes) => change({ from: null, reject: null, ...changes });

/** A day; what is typed stays in the field until it is one. */
function Day({ label, name, value, onDay }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const type = (event) => {
    setText(event.target.value);
    if (isDate(event.target.value)) onDay(event.target.value);
  };
  return h(
    Field,
    { label },
    h("input", { type: "date", value: text, "data-testid": `filter-${name}`, onChange: type }),
  );
}

function Range({ filter }) {
  const { since, until, days } = filter;
  const pick = (changes) => {
    const range = { since, until, ...changes };
    set({ ...range, days: null });
  };
  const quick = (n) =>
    h(
      "button",
      {
        type: "button",
        key: n,
        "aria-pressed": days === n,
        onClick: () => set({ days: n === USUAL_DAYS ? null : n, since: null, until: null }),
      },
      `${n} days`,
    );
  const day = (label, name) =>
    h(Day, { label, value: filter[name], name, key: name, onDay: (text) => pick({ [name]: text }) });
  return [
    day("From", "since"),
    day("To", "until"),
    h("div", { className: "quick", role: "group", "aria-label": "The last days", key: "quick" }, QUICK.map(quick)),
  ];
}

/** The bar of filters; `dags` null where the Dag is fixed. */
export function Filters({ filter, dags, loading, at, onReload }) {
  const names = dags && [...new Set([...dags, ...(filter.dag_id ? [filter.dag_id] : [])])].sort();
  const dagChoice =
    names &&
    h(Select, {
      label: "Dag",
      className: "wide",
      value: filter.dag_id,
      "data-testid": "filter-dag",
      options: [["", "all Dags"], ...names.map((name) => [name, name])],
      onChange: (dag) => set({ dag }),
    });
  const mode = h(Select, {
    label: "Runs",
    value: filter.mode,
    "data-testid": "filter-mode",
    options: [
      ["live", "live"],
      ["dry", "dry"],
      ["all", "live and dry"],
    ],
    onChange: (value) => set({ mode: value }),
  });
  const by = h(Select, {
    label: "Time",
    value: filter.by,
    "data-testid": "filter-by",
    options: [
      ["ran", "of the run"],
      ["interval", "of the data interval"],
    ],
    onChange: (value) => set({ by: value === "ran" ? null : value }),
  });
  return h(
    "form",
    { className: "filters", "aria-label": "Which syncs", onSubmit: (event) => event.preventDefault() },
    dagChoice,
    !filter.run_id && h(Range, { filter }),
    mode,
    !filter.run_id && by,
    h(
      "div",
      { className: "refresh" },
      h("button", { type: "button", onClick: onReload, disabled: loading }, "Refresh"),
      h(
        "span",
        { className: "note", role: "status" },
        loading ? "Loading …" : at ? `as of ${new Date(at).toISOString().slice(11, 16)} UTC` : "",
      ),
    ),
  );
}
