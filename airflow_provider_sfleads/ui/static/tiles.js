// The answers at a glance, above the plots.
import { count, minute, share } from "./format.js";
import { h } from "./react.js";
import { isFailure, momentOf } from "./series.js";

const LATELY = 7;
const total = (syncs, name) => syncs.reduce((sum, sync) => sum + sync[name], 0);

export function Tiles({ syncs, unreported, by }) {
  const all = [...syncs, ...unreported].sort((a, b) => (momentOf(a, by) < momentOf(b, by) ? 1 : -1));
  const failed = all.filter(isFailure).length;
  const isDry = syncs.length > 0 && syncs.every((sync) => sync.dry_run);
  const [created, updated] = isDry ? ["would_create", "would_update"] : ["created", "updated"];
  return h(
    "div",
    { className: "ls-tiles" },
    h(Latest, { sync: all[0] }),
    tile(isDry ? "Would be created" : "Created", count(total(syncs, created)), `of ${count(total(syncs, "read"))} rows read`),
    tile(isDry ? "Would be updated" : "Updated", count(total(syncs, updated)), `${count(total(syncs, "unchanged"))} unchanged`),
    tile("Rejected", count(total(syncs, "rejected")), trend(syncs, by), total(syncs, "rejected") > 0 ? "warn" : ""),
    tile("Not sent", count(total(syncs, "not_sent")), "a retry sends them", total(syncs, "not_sent") > 0 ? "bad" : ""),
    tile("Failed", count(failed), `of ${count(all.length)} syncs`, failed ? "bad" : ""),
  );
}

function tile(title, value, note, tone = "") {
  return h("div", { className: `ls-tile ${tone && `ls-${tone}`}` }, h("h3", null, title), h("div", { className: "ls-value" }, value), h("div", { className: "ls-soft" }, note));
}

function Latest({ sync }) {
  const tone = isFailure(sync) ? "ls-bad" : "";
  const news = ["created", "updated", "would_create", "would_update", "rejected", "not_sent"]
    .filter((name) => sync[name])
    .map((name) => `${count(sync[name])} ${name.replace("_", " ")}`);
  const words = sync.read === undefined ? "no report" : news.join(", ") || "nothing to write";
  return h(
    "div",
    { className: `ls-tile ls-latest ${tone}` },
    h("h3", null, "Latest"),
    h("div", { className: "ls-value" }, sync.state),
    h("div", null, words),
    h("div", { className: "ls-soft" }, `${minute(sync.ran_at)} · ${sync.dag_id}`),
  );
}

// Whether it is getting worse: the last few syncs against those before them.
function trend(syncs, by) {
  const sorted = [...syncs].sort((a, b) => (momentOf(a, by) < momentOf(b, by) ? 1 : -1));
  const of = (some) => share(total(some, "rejected"), total(some, "read"));
  if (sorted.length <= LATELY) return `${of(sorted)} of the rows`;
  return `${of(sorted.slice(0, LATELY))} in the last ${LATELY} syncs, ${of(sorted.slice(LATELY))} before`;
}
