// The overview: what ran, what it did, what was rejected and why.
import { change, routeTo } from "./address.js";
import { useJson } from "./api.js";
import { Charts } from "./charts.js";
import { entriesOf } from "./figures.js";
import { asked, filterOf, Filters } from "./filters.js";
import { Headline } from "./headline.js";
import { Loading, Trouble } from "./parts.js";
import { Reasons } from "./reasons.js";
import { Syncs } from "./syncs.js";
import { DAY, isoDay, number, plural } from "./words.js";

const { createElement: h, useMemo } = globalThis.React;

/** Of longer ranges the range before is not asked for: it would cost more than it tells. */
const MOST_COMPARED = 100;

function emptiness({ run_id, since, until }) {
  if (run_id) return "This run has left no sync.";
  return since > until ? "From is after To." : "No sync in this range.";
}

function Empty({ filter, all }) {
  const other = filter.mode === "all" ? 0 : all;
  return h(
    "div",
    { className: "notice", "data-testid": "empty" },
    h("p", null, h("b", null, emptiness(filter))),
    other > 0 &&
      h(
        "p",
        null,
        `${plural(other, "sync")} ${filter.mode === "live" ? "ran dry" : "ran live"}. `,
        h("button", { type: "button", onClick: () => change({ mode: "all" }) }, "Show live and dry"),
      ),
    h(
      "p",
      null,
      "Syncs get here by themselves: each task with a SalesforceCreateLeadsOperator or a SalesforceUpdateLeadStageOperator leaves a report when it ends. ",
      !filter.run_id && "Widen the dates or choose another Dag to see earlier ones.",
    ),
  );
}

function Found({ data, filter, query, before, span }) {
  const entries = useMemo(() => entriesOf(data, filter.mode), [data, filter.mode]);
  const earlier = useMemo(
    () => (before && !before.truncated ? entriesOf(before, filter.mode) : null),
    [before, filter.mode],
  );
  const code = query.get("reject") ?? "";
  if (!entries.length) return h(Empty, { filter, all: data.syncs.length });
  return [
    data.truncated &&
      h(
        "p",
        { className: "notice", key: "truncated" },
        `There are more than ${number(data.limit)} syncs in this range: the newest ${number(data.limit)} are shown. Choose fewer days, or one Dag, to see all.`,
      ),
    h(Headline, { key: "headline", entries, before: earlier, span }),
    h(
      "div",
      // One sync is no course of things: its reasons alone stand there.
      { className: filter.run_id && entries.length === 1 ? "middle single" : "middle", key: "middle" },
      !(filter.run_id && entries.length === 1) && h(Charts, { entries, by: filter.by, query }),
      h(Reasons, { entries, before: earlier, chosen: code }),
    ),
    h(Syncs, { key: "syncs", entries, code, from: Number(query.get("from")) || 0 }),
  ];
}

/** `fixed`: the Dag and the run whose tab the page is on, where it is. */
export function Overview({ fixed, query }) {
  // A page that stays open over night asks for the new day when it is refreshed.
  const today = isoDay(Date.now());
  const filter = useMemo(() => filterOf(query, fixed), [query, fixed.dag_id, fixed.run_id, today]);
  const now = useJson(routeTo(["syncs"], asked(filter)));
  const span = filter.run_id ? 0 : (Date.parse(filter.until) - Date.parse(filter.since)) / DAY + 1;
  const comparable = span > 0 && span <= MOST_COMPARED && now.data && !now.data.truncated;
  const before = useJson(comparable ? routeTo(["syncs"], asked(filter, true)) : null);
  const reload = () => {
    now.reload();
    before.reload();
  };
  const dags = fixed.dag_id ? null : (now.data?.dags ?? []);
  return h(
    "div",
    { className: now.loading && now.data ? "view waiting" : "view", "aria-busy": now.loading },
    h(Filters, { filter, dags, loading: now.loading, at: now.at, onReload: reload }),
    now.error && h(Trouble, { error: now.error, onRetry: reload }),
    !now.data && !now.error && h(Loading, { what: "the syncs" }),
    now.data &&
      h(Found, { data: now.data, filter, query, before: comparable && !before.loading ? before.data : null, span }),
  );
}
