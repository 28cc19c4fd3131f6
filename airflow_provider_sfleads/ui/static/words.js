// How numbers, times and names are written.
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
// British "m" for million reads as "milli" beside a number.
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const dayMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
export const NONE = "–";
export const DAY = 86_400_000;
export const SUMMED = "Created, updated and API calls are summed over the executions; all else is of the newest.";
const MOST_PARTS = 3;

const given = (value) => value !== null && value !== undefined && !Number.isNaN(value);

export const number = (value) => (given(value) ? whole.format(value) : NONE);
export const decimal = (value) => (given(value) ? (Math.abs(value) < 100 ? tenth : whole).format(value) : NONE);
export const compact = (value) => (given(value) ? short.format(value) : NONE);

/** A share in per cent, never rounded to none or to all where there are some or others. */
export function share(part, all) {
  if (!all || !given(part)) return NONE;
  const percent = (100 * part) / all;
  if (part > 0 && percent < 0.1) return "<0.1%";
  if (part < all && percent > 99.9) return ">99.9%";
  return `${tenth.format(percent)}%`;
}

export function seconds(value) {
  if (!given(value)) return NONE;
  if (value < 120) return `${decimal(value)} s`;
  if (value < 7200) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
}

/** A time, in UTC, to the minute. */
export function time(iso) {
  // A report may have been edited by hand.
  return Number.isNaN(Date.parse(iso ?? "")) ? NONE : new Date(iso).toISOString().slice(0, 16).replace("T", " ");
}
export const isoDay = (ms) => new Date(ms).toISOString().slice(0, 10);
export const shortDay = (ms) => dayMonth.format(ms);

/** An interval, of its end only what differs. */
export function interval({ interval_start: start, interval_end: end }) {
  if (!start && !end) return NONE;
  const [from, to] = [time(start), time(end)];
  const same = [10, 4].find((length) => from.slice(0, length) === to.slice(0, length));
  return `${from} → ${same ? to.slice(same + 1) : to}`;
}

export function ago(iso) {
  const minutes = Math.round((Date.now() - new Date(iso).getTime()) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h ago`;
  return `${Math.round(minutes / 1440)} days ago`;
}

/** A word of the machine as people read it: "not_sent" is "not sent". */
export const plain = (word) => String(word).replaceAll("_", " ");
/** Of a task instance that was cleared, what each live execution did, oldest first, such as "4,095 + 40". */
export function parts({ executions = [], again }, name) {
  const live = executions.filter((one) => !one.dry_run);
  if (!again || live.length < 2 || !live.some((one) => one[name])) return null;
  if (live.length > MOST_PARTS) return `${number(live.at(-1)[name])} of it in the last`;
  return live.map((one) => number(one[name])).join(" + ");
}

export const plural = (n, one, more = `${one}s`) => `${number(n)} ${n === 1 ? one : more}`;

export const taskName = ({ task_id, map_index }) => (map_index >= 0 ? `${task_id} [${map_index}]` : task_id);
