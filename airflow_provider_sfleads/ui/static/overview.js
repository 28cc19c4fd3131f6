// All syncs of some time: what last night did, whether it is getting worse, what is refused and why.
import { getSyncs } from "./api.js";
import { Filters, rangeOf } from "./filters.js";
import { count } from "./format.js";
import { Legend, StackedPlot } from "./plot.js";
import { useAnswer } from "./query.js";
import { h, useMemo } from "./react.js";
import { barsOf, momentOf, reasonsOf } from "./series.js";
import { SmallPlots } from "./small.js";
import { Syncs } from "./table.js";
import { Tiles } from "./tiles.js";

const chosenMode = { live: (sync) => !sync.dry_run, dry: (sync) => sync.dry_run, all: () => true };

export function Overview({ fixed, query, change, onOpen }) {
  const by = query.by === "interval" ? "interval" : "ran";
  const mode = query.mode in chosenMode ? query.mode : "live";
  // A run has its own time.
  const range = fixed.run_id ? {} : rangeOf(query);
  const question = { dag_id: fixed.dag_id ?? query.dag, run_id: fixed.run_id, since: range.since, until: range.until, by };
  const { answer, error, loading } = useAnswer(() => getSyncs(question), JSON.stringify(question));
  const hidden = useMemo(() => new Set((query.hide ?? "").split(",").filter(Boolean)), [query.hide]);
  const seen = useMemo(() => {
    if (!answer) return null;
    const ofMode = answer.syncs.filter(chosenMode[mode]);
    return { ofMode, ...reasonsOf(ofMode), ...barsOf(ofMode, answer.unreported, by) };
  }, [answer, mode, by]);
  const toggle = (name) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    change({ hide: [...next].join(",") });
  };
  const openBar = (bar) => {
    if (bar.until) change({ since: bar.at.slice(0, 10), until: new Date(Date.parse(bar.until) - 1).toISOString().slice(0, 10), page: "" }, true);
    else if (bar.syncs[0].may_read_rows !== false) onOpen(bar.syncs[0], {});
  };
  return h(
    "div",
    { "aria-busy": loading },
    h("header", { className: "ls-head" }, h("h2", null, "Lead syncs"), h("span", { className: "ls-soft", role: "status" }, loading ? "Loading ..." : "Times are UTC.")),
    h(Filters, { fixed, query, change, by, mode, dags: answer?.dags ?? [] }),
    error && h("p", { className: "ls-error", role: "alert", "data-testid": "error" }, error.message),
    seen && !error && (seen.ofMode.length || answer.unreported.length
      ? h(Found, { answer, seen, query, change, hidden, toggle, by, openBar, onOpen })
      : h(Nothing, { mode, isFiltered: Boolean(query.dag) })),
  );
}

function Found({ answer, seen, query, change, hidden, toggle, by, openBar, onOpen }) {
  const { bars, unit, ofMode } = seen;
  const reason = seen.reasons.some(([code]) => code === query.reason) ? query.reason : "";
  const inTable = useMemo(() => {
    const syncs = reason ? ofMode.filter((sync) => sync.reject_reasons[reason]) : [...ofMode, ...answer.unreported];
    return syncs.sort((a, b) => (momentOf(a, by) < momentOf(b, by) ? 1 : -1));
  }, [ofMode, answer, reason, by]);
  return h(
    "div",
    null,
    answer.truncated && h("p", { className: "ls-note" }, `There are more syncs in this time than are shown: these are the newest ${count(answer.limit)}.`),
    h(Tiles, { syncs: ofMode, unreported: answer.unreported, by }),
    bars.length > 0 && h(
      "section",
      { className: "ls-card" },
      h("h3", null, `Rows by ${unit}`),
      h(Legend, { bars, hidden, onToggle: toggle }),
      h(StackedPlot, { bars, unit, hidden, onOpen: openBar }),
      h(SmallPlots, { bars, unit }),
    ),
    h(Reasons, { seen, reason, onChoose: (code) => change({ reason: code === reason ? "" : code, page: "" }) }),
    h(Syncs, { syncs: inTable, reason, page: Number(query.page) || 1, onPage: (page) => change({ page: page > 1 ? page : "" }), onOpen }),
  );
}

function Reasons({ seen, reason, onChoose }) {
  const { reasons, others, rejected } = seen;
  const most = Math.max(1, ...reasons.map(([, n]) => n), others);
  const bar = (n) => h("span", { className: "ls-measure", "aria-hidden": true }, h("span", { className: "ls-key-rejected", style: { width: `${(100 * n) / most}%` } }));
  return h(
    "section",
    { className: "ls-card", "data-testid": "reject-reasons" },
    h("h3", null, "Why rows were rejected"),
    rejected === 0
      ? h("p", { className: "ls-soft" }, "No row was rejected in this time.")
      : h(
          "ul",
          { className: "ls-reasons" },
          reasons.map(([code, n]) =>
            h("li", { key: code }, h("button", { type: "button", "aria-pressed": code === reason, onClick: () => onChoose(code), title: "Show only syncs with this reason" }, code), bar(n), h("span", { className: "ls-number" }, count(n))),
          ),
          others > 0 && h("li", null, h("span", { className: "ls-soft" }, "other reasons"), bar(others), h("span", { className: "ls-number" }, count(others))),
        ),
  );
}

const Nothing = ({ mode, isFiltered }) =>
  h(
    "div",
    { className: "ls-card ls-nothing", "data-testid": "empty" },
    h("h3", null, "No syncs in this time"),
    h(
      "p",
      null,
      mode === "all" && !isFiltered
        ? "Each run of a SalesforceCreateLeadsOperator or a SalesforceUpdateLeadStageOperator is shown here, as soon as it begins, to those who may read its Dag."
        : "There are none that match the filters above. Choose a longer time, all Dags, or live and dry.",
    ),
  );
