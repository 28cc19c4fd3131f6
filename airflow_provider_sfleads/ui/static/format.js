// Numbers and times as the page shows them: in English, and in UTC, as the data intervals are.
const whole = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (value === null || value === undefined ? "" : whole.format(value));
export const compact = (value) => short.format(value);

export function share(part, all) {
  if (!all) return "0 %";
  const percent = (100 * part) / all;
  return `${percent && percent < 0.1 ? "< 0.1" : percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

export const rate = (read, seconds) => (seconds ? Math.round(read / seconds) : null);

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

export const day = (iso) => (iso ? new Date(iso).toISOString().slice(0, 10) : "");
export const minute = (iso) => (iso ? new Date(iso).toISOString().slice(0, 16).replace("T", " ") : "");

// A day's interval is said by its day.
export function interval(start, end) {
  if (!start) return "";
  const [from, to] = [new Date(start), new Date(end ?? start)];
  const isDay = to - from === 86400000 && from.toISOString().endsWith("T00:00:00.000Z");
  return isDay ? day(start) : `${minute(start)} to ${minute(end)}`;
}
