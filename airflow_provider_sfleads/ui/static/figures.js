// What is counted: sums, the bars of the plots, reasons, the latest sync of each task.
import { DAY, isoDay, number, plain, plural, share, taskName, time } from "./words.js";

const COUNTS = [
  "read",
  "filtered",
  "duplicate_keys",
  "unchanged",
  "created",
  "updated",
  "rejected",
  "not_sent",
  "would_create",
  "would_update",
  "api_calls",
];

/** The parts of a bar from the base line upwards: what has to be compared stands on the line. */
export const SERIES = [
  { id: "rejected", label: "rejected" },
  { id: "not_sent", label: "not sent" },
  { id: "created", label: "created" },
  { id: "would_create", label: "would create", dry: true },
  { id: "updated", label: "updated" },
  { id: "would_update", label: "would update", dry: true },
  { id: "unchanged", label: "unchanged" },
];

/** More bars than this are too thin to be told apart: they are summed by day, then week, then month. */
const MOST_SINGLE = 60;
const MOST_SUMMED = 200;

export function sum(entries) {
  const total = Object.fromEntries(COUNTS.map((name) => [name, 0]));
  for (const entry of entries) for (const name of COUNTS) total[name] += entry[name] ?? 0;
  return total;
}

/** Whether there are numbers: of a report, or of what came before one that is missing. */
export const hasCounts = ({ unreported, earlier }) => !unreported || Boolean(earlier);

/** Syncs and task instances that have left no report, newest first. */
export function entriesOf({ syncs, unreported }, mode) {
  const fits = (sync) => mode === "all" || sync.dry_run === (mode === "dry");
  // What earlier executions did is done, whatever becomes of the one that has not reported; dry ones did nothing.
  const before = (entry) => (mode === "dry" ? null : entry.earlier);
  const without = unreported.map((entry) => ({ ...entry, ...before(entry), earlier: before(entry), unreported: true }));
  const dated = [...syncs.filter(fits), ...without].map((entry) => [Date.parse(entry.ran_at), entry]);
  return dated.sort((a, b) => b[0] - a[0]).map(([, entry]) => entry);
}

const FAILED = new Set(["failed", "upstream_failed"]);
const DONE = new Set(["success", "skipped", "removed"]);
export const hasFailed = ({ state }) => FAILED.has(state);
const isUnder = ({ state }) => !FAILED.has(state) && !DONE.has(state);

/** The state to show for several: the worst. */
export function worst(entries) {
  return (entries.find(hasFailed) ?? entries.find(isUnder) ?? entries[0]).state;
}

/** The latest run's entries of each task, newest first. */
export function latest(entries) {
  const tasks = new Map();
  for (const entry of entries) {
    const key = JSON.stringify([entry.dag_id, entry.task_id]);
    const group = tasks.get(key);
    if (!group) tasks.set(key, [entry]);
    else if (group[0].run_id === entry.run_id) group.push(entry);
  }
  return [...tasks.values()];
}

/** How often each code was the reason to reject, most frequent first; the reports name but their 20 most frequent. */
export function reasons(entries) {
  const codes = new Map();
  for (const entry of entries) {
    for (const [code, n] of Object.entries(entry.reject_reasons ?? {})) codes.set(code, (codes.get(code) ?? 0) + n);
  }
  return [...codes].sort((a, b) => b[1] - a[1]);
}

function dateOf(entry, by) {
  const start = by === "interval" ? Date.parse(entry.interval_start ?? "") : NaN;
  return Number.isNaN(start) ? Date.parse(entry.ran_at) : start;
}

function bar(entries, more) {
  const reported = entries.filter((entry) => !entry.unreported);
  const counted = entries.filter(hasCounts);
  const timed = reported.filter((entry) => entry.seconds > 0);
  const used = reported.filter((entry) => entry.api_usage?.max > 0).map(({ api_usage: { used, max } }) => used / max);
  const total = (name, list) => list.reduce((all, entry) => all + entry[name], 0);
  return {
    ...more,
    entries,
    sums: sum(counted),
    counted: counted.length,
    reported: reported.length,
    failed: entries.filter(hasFailed).length,
    under: entries.filter(isUnder).length,
    calls: counted.length ? total("api_calls", counted) : null,
    usage: used.length ? Math.max(...used) : null,
    seconds: timed.length ? Math.max(...timed.map((entry) => entry.seconds)) : null,
    rate: timed.length ? total("read", timed) / total("seconds", timed) : null,
  };
}

const single = (entry, by) => {
  const ms = dateOf(entry, by);
  const name = `${entry.dag_id}, ${taskName(entry)}`;
  return bar([entry], { key: `${entry.run_id}/${name}`, ms, title: time(new Date(ms).toISOString()), subtitle: name });
};

const STEPS = {
  day: { start: (ms) => ms - (ms % DAY), next: (ms) => ms + DAY },
  // The first of January 1970 was a Thursday.
  week: { start: (ms) => ms - ((ms + 3 * DAY) % (7 * DAY)), next: (ms) => ms + 7 * DAY },
  month: {
    start: (ms) => Date.UTC(new Date(ms).getUTCFullYear(), new Date(ms).getUTCMonth()),
    next: (ms) => Date.UTC(new Date(ms).getUTCFullYear(), new Date(ms).getUTCMonth() + 1),
  },
};

function summed(entries, by, first, last) {
  const days = (last - first) / DAY;
  const unit = days <= MOST_SUMMED ? "day" : days <= 7 * MOST_SUMMED ? "week" : "month";
  const { start, next } = STEPS[unit];
  const groups = new Map();
  for (let ms = start(first); ms <= last; ms = next(ms)) groups.set(ms, []);
  for (const entry of entries) groups.get(start(dateOf(entry, by)))?.push(entry);
  return [...groups].map(([ms, group]) => {
    const title = unit === "day" ? isoDay(ms) : `${isoDay(ms)} to ${isoDay(next(ms) - DAY)}`;
    const range = { since: isoDay(ms), until: isoDay(next(ms) - DAY) };
    return bar(group, { key: `${unit}${ms}`, ms, title, subtitle: plural(group.length, "sync"), unit, range });
  });
}

/** The bars, oldest first: one a sync where they are few, else one a day, week or month (UTC), also where nothing ran. */
export function barsOf(entries, by) {
  if (entries.length <= MOST_SINGLE) {
    const bars = entries.map((entry) => single(entry, by));
    return bars.sort((a, b) => a.ms - b.ms);
  }
  let [first, last] = [Infinity, -Infinity];
  for (const entry of entries) {
    const ms = dateOf(entry, by);
    first = Math.min(first, ms);
    last = Math.max(last, ms);
  }
  return summed(entries, by, first, last);
}

/** What is to be said of the states in a bar: nothing where all went well. */
export function troubles({ entries, failed, under }) {
  if (entries.length === 1) return failed || under ? [plain(entries[0].state ?? "no state")] : [];
  return [failed ? `${number(failed)} failed` : "", under ? `${number(under)} not finished` : ""].filter(Boolean);
}

/** One bar in words. */
export function barText(bar, shown) {
  const { title, subtitle, sums, counted } = bar;
  const counts = shown.map(({ id, label }) => `${number(sums[id])} ${label}`);
  const said = [
    ...troubles(bar),
    ...(counted ? [...counts, `${share(sums.rejected, sums.read)} of the rows read rejected`] : []),
    ...(counted || bar.entries.length > 1 ? [subtitle] : []),
  ];
  return `${title}: ${said.join(", ") || "no report"}`;
}
