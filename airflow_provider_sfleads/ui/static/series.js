// Syncs put together for the plots: one bar a sync while there are few, else one a day or a week.
export const SERIES = [
  { name: "created", label: "created" },
  { name: "updated", label: "updated" },
  { name: "would_create", label: "would create (dry)" },
  { name: "would_update", label: "would update (dry)" },
  { name: "rejected", label: "rejected" },
  { name: "not_sent", label: "not sent" },
  { name: "unchanged", label: "unchanged" },
];
const FEW = 60;
const MANY_DAYS = 120;
const DAY = 86400000;

export const momentOf = (sync, by) => (by === "interval" && sync.interval_start) || sync.ran_at;
// A run that is under way has not gone wrong.
const UNDER_WAY = new Set(["running", "deferred", "restarting"]);
export const isFailure = (sync) => sync.state === "failed" || sync.state === "upstream_failed" || sync.state === "up_for_retry";

export function barsOf(syncs, unreported, by) {
  const told = [...syncs, ...unreported.filter((each) => !UNDER_WAY.has(each.state))];
  if (!told.length) return { bars: [], unit: "run" };
  const timed = told.map((sync) => ({ sync, at: Date.parse(momentOf(sync, by)) })).sort((a, b) => a.at - b.at);
  if (timed.length <= FEW) {
    return { bars: timed.map(({ sync, at }) => bar(new Date(at).toISOString(), [sync])), unit: "run" };
  }
  const first = Math.floor(timed[0].at / DAY);
  const days = Math.floor(timed[timed.length - 1].at / DAY) - first + 1;
  const step = days > MANY_DAYS ? 7 : 1;
  // Days without a sync have a place, too: a gap is news.
  const groups = Array.from({ length: Math.ceil(days / step) }, () => []);
  for (const { sync, at } of timed) groups[Math.floor((Math.floor(at / DAY) - first) / step)].push(sync);
  const bars = groups.map((group, n) => bar(new Date((first + n * step) * DAY).toISOString(), group, step));
  return { bars, unit: step === 1 ? "day" : "week" };
}

function bar(at, syncs, days = 0) {
  const total = (name) => syncs.reduce((sum, sync) => sum + (sync[name] ?? 0), 0);
  const values = Object.fromEntries(SERIES.map(({ name }) => [name, total(name)]));
  const reported = syncs.filter((sync) => sync.read !== undefined);
  const seconds = total("seconds");
  const shares = syncs.filter((sync) => sync.api_usage?.max).map((sync) => sync.api_usage.used / sync.api_usage.max);
  return {
    at,
    until: days ? new Date(Date.parse(at) + days * DAY).toISOString() : null,
    syncs,
    values,
    failures: syncs.filter(isFailure).length,
    calls: reported.length ? total("api_calls") : null,
    share: shares.length ? Math.max(...shares) : null,
    seconds: reported.length ? seconds : null,
    rate: seconds ? total("read") / seconds : null,
  };
}

export function reasonsOf(syncs) {
  const found = new Map();
  let rejected = 0;
  for (const sync of syncs) {
    rejected += sync.rejected;
    for (const [code, n] of Object.entries(sync.reject_reasons)) found.set(code, (found.get(code) ?? 0) + n);
  }
  const named = [...found].sort((a, b) => b[1] - a[1]);
  const shown = named.slice(0, 10);
  const others = rejected - shown.reduce((sum, [, n]) => sum + n, 0);
  return { reasons: shown, others: Math.max(others, 0), rejected };
}
