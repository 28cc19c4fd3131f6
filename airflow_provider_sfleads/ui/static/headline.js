// What the last sync did, and the sums of the range against those of the range before.
import { runPage, toRows } from "./address.js";
import { hasCounts, hasFailed, latest, sum, worst } from "./figures.js";
import { Go, State, Tile } from "./parts.js";
import { ago, NONE, number, plural, seconds, share, SUMMED, time } from "./words.js";

const { createElement: h, memo, useMemo } = globalThis.React;

/** The latest of so many tasks are shown; the table has all. */
const MOST_TASKS = 5;

function outcome(entries) {
  const reported = entries.filter(hasCounts);
  if (!reported.length) return h("span", { className: "none" }, "no report");
  const { created, updated, would_create, would_update, rejected, not_sent, unchanged } = sum(reported);
  const dry = would_create + would_update > 0;
  const part = (n, word, alarm) =>
    h("span", { className: alarm && n ? "part alarm" : "part" }, h("b", null, number(n)), ` ${word}`);
  return h(
    "span",
    { className: "outcome" },
    dry && [part(would_create, "would create"), part(would_update, "would update")],
    (!dry || created + updated > 0) && [part(created, "created"), part(updated, "updated")],
    part(rejected, "rejected", true),
    part(not_sent, "not sent", true),
    part(unchanged, "unchanged"),
  );
}

/** Of several syncs, how many of them were cleared, or tried again when they had ended. */
function againOf(entries) {
  const n = entries.filter((entry) => entry.again).length;
  return n > 0 && `${number(n)} run again`;
}

function Latest({ entries }) {
  const [first] = entries;
  const { dag_id, task_id, run_id, ran_at } = first;
  const again = entries.length > 1 ? againOf(entries) : first.again;
  const spent = Math.max(...entries.map((entry) => entry.seconds ?? -1));
  const only = entries.length === 1 && !first.unreported && first.may_read_rows ? first : null;
  return h(
    "li",
    null,
    h(
      "div",
      { className: "line" },
      h(State, { state: worst(entries) }),
      h("a", { href: runPage({ dag_id, run_id }), title: `Dag run ${run_id}` }, h("b", null, dag_id)),
      h("span", { className: "note" }, entries.length > 1 ? `${task_id}, ${entries.length} mapped` : task_id),
      again && h("span", { className: "flag calm", title: SUMMED }, again),
      h("span", { className: "note push", title: `${time(ran_at)} UTC` }, ago(ran_at)),
    ),
    h(
      "div",
      { className: "line" },
      outcome(entries),
      h(
        "span",
        { className: "note push" },
        spent >= 0 ? seconds(spent) : "",
        only && " · ",
        only && h(Go, { to: toRows(only, only.rejected ? null : "all") }, only.rejected ? "Rejects" : "Results"),
      ),
    ),
  );
}

function LatestSyncs({ entries }) {
  const groups = latest(entries);
  const trouble = groups.filter((group) => hasFailed({ state: worst(group) })).length;
  const title = groups.length === 1 ? "Last sync" : "Last sync of each task";
  return h(
    "section",
    { className: groups.length === 1 ? "card latest only" : "card latest", "aria-label": title },
    h("h3", null, title, trouble > 0 && h("span", { className: "flag" }, `${trouble} failed`)),
    h(
      "ul",
      null,
      groups
        .slice(0, MOST_TASKS)
        .map((group) => h(Latest, { key: `${group[0].dag_id}/${group[0].task_id}`, entries: group })),
    ),
    groups.length > MOST_TASKS &&
      h("p", { className: "note" }, `and ${plural(groups.length - MOST_TASKS, "task")} more in the table below`),
  );
}

/** The tiles; `before` holds the entries of the range before, null where it is not known. */
export const Headline = memo(function Headline({ entries, before, span }) {
  const now = useMemo(() => sum(entries), [entries]);
  const then = useMemo(() => before && before.length > 0 && sum(before), [before]);
  const failed = entries.filter(hasFailed).length;
  const failedBefore = then && before.filter(hasFailed).length;
  const dry = now.would_create + now.would_update > 0;
  const count = (name) => ({ value: number(now[name]), note: then ? `${number(then[name])} before` : null });
  const tile = (label, more) => h(Tile, { key: label, label, ...more });
  const worse = then && then.read > 0 && now.read > 0 && now.rejected / now.read > then.rejected / then.read;
  const known = now.read > 0;
  const again = entries.filter((entry) => entry.again).length;
  return h(
    "div",
    { className: "headline" },
    h(LatestSyncs, { entries }),
    h(
      "div",
      null,
      h(
        "dl",
        { className: "tiles" },
        tile("Syncs", { value: number(entries.length), note: then ? `${number(before.length)} before` : null }),
        tile("Failed", {
          value: number(failed),
          alarm: failed > 0,
          note: then ? `${number(failedBefore)} before` : null,
        }),
        tile("Rejected", { ...count("rejected"), alarm: worse }),
        tile("Share rejected", {
          value: known ? share(now.rejected, now.read) : NONE,
          alarm: worse,
          note: then ? `${share(then.rejected, then.read)} before${worse ? ": worse" : ""}` : null,
        }),
        tile("Not sent", { ...count("not_sent"), alarm: now.not_sent > 0 }),
        tile("Rows read", count("read")),
        dry && tile("Would create", count("would_create")),
        dry && tile("Would update", count("would_update")),
        (!dry || now.created + now.updated > 0) && tile("Created", count("created")),
        (!dry || now.created + now.updated > 0) && tile("Updated", count("updated")),
      ),
      then && h("p", { className: "note" }, `“before”: the ${plural(span, "day")} before`),
      again > 0 && h("p", { className: "note" }, `${plural(again, "sync")} cleared or tried again. ${SUMMED}`),
    ),
  );
});
