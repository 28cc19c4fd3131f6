// The plots over time, one below the other, with one bar pointed at in all of them.
import { change } from "./address.js";
import { useWidth } from "./axis.js";
import { barsOf, SERIES, troubles } from "./figures.js";
import { box, leadsTo, Plot } from "./plot.js";
import { Small } from "./small.js";
import { compact, decimal, number, seconds, share } from "./words.js";

const { createElement: h, useEffect, useMemo, useState } = globalThis.React;

/** Off until asked for where it dwarfs the rest: it would press all else flat. */
const DWARF = "unchanged";
const DWARFS_BY = 4;
const NONE_OFF = "none";

const callsOf = (bar) => bar.calls;
const usageOf = (bar) => bar.usage;
const secondsOf = (bar) => bar.seconds;
const rateOf = (bar) => bar.rate;

function offIn(query, total) {
  const rest = SERIES.reduce((all, { id }) => all + (id === DWARF ? 0 : total[id]), 0);
  const text = query.get("hide") ?? (rest > 0 && total[DWARF] > DWARFS_BY * rest ? DWARF : NONE_OFF);
  return new Set(text === NONE_OFF ? [] : text.split(","));
}

function Legend({ series, off, total }) {
  const flip = (id) => {
    const next = new Set(off);
    if (!next.delete(id)) next.add(id);
    const text = SERIES.filter((one) => next.has(one.id))
      .map((one) => one.id)
      .join(",");
    change({ hide: text || NONE_OFF });
  };
  const hidden = off.has(DWARF) && total[DWARF] > 0;
  return h(
    "div",
    { className: "legend", role: "group", "aria-label": "What the bars show" },
    series.map(({ id, label, dry }) =>
      h(
        "button",
        {
          type: "button",
          key: id,
          "aria-pressed": !off.has(id),
          onClick: () => flip(id),
          title: off.has(id) ? `Show ${label}` : `Hide ${label}`,
        },
        h("span", { className: `key back-${id}${dry ? " hatched" : ""}`, "aria-hidden": true }),
        label,
        h("span", { className: "note" }, ` ${compact(total[id])}`),
      ),
    ),
    hidden && h("span", { className: "note" }, "unchanged is off; click it to show it"),
  );
}

function Tip({ bar, series, index, width, n }) {
  const { left, slot } = box(width, n);
  const x = left + (index + 0.5) * slot;
  const right = x > width / 2;
  const row = (id, label, text, mark) =>
    h("tr", { key: id }, h("th", { scope: "row" }, mark, label), h("td", null, text));
  const { sums, counted, reported } = bar;
  return h(
    "div",
    {
      className: "tip",
      "aria-hidden": true,
      style: right ? { right: width - x + slot / 2 + 6 } : { left: x + slot / 2 + 6 },
    },
    h("b", null, bar.title),
    h("div", { className: "note" }, bar.subtitle),
    bar.entries.length === 1 && bar.entries[0].again && h("div", { className: "note" }, bar.entries[0].again),
    troubles(bar).map((text) =>
      h(
        "div",
        { key: text, className: bar.failed ? "alarm" : "" },
        `${bar.failed ? "✕" : "…"} ${text}${reported ? "" : ", no report"}`,
      ),
    ),
    counted > 0 &&
      h(
        "table",
        null,
        h(
          "tbody",
          null,
          series.map(({ id, label, dry }) =>
            row(id, label, number(sums[id]), h("span", { className: `key back-${id}${dry ? " hatched" : ""}` })),
          ),
          row("share", "share rejected", share(sums.rejected, sums.read)),
          row("seconds", "duration", seconds(bar.seconds)),
        ),
      ),
    bar.entries.length > 0 && h("div", { className: "note" }, `Click or Enter: ${leadsTo(bar)}`),
  );
}

export function Charts({ entries, by, query }) {
  const bars = useMemo(() => barsOf(entries, by), [entries, by]);
  const total = useMemo(() => {
    const all = Object.fromEntries(SERIES.map(({ id }) => [id, 0]));
    for (const { sums } of bars) for (const { id } of SERIES) all[id] += sums[id];
    return all;
  }, [bars]);
  const series = useMemo(() => SERIES.filter(({ id, dry }) => !dry || total[id] > 0), [total]);
  const off = useMemo(() => offIn(query, total), [query, total]);
  const shown = useMemo(() => series.filter(({ id }) => !off.has(id)), [series, off]);
  const [ref, width] = useWidth();
  const [hot, setHot] = useState(null);
  useEffect(() => setHot(null), [bars]);
  const unit = bars[0]?.unit;
  const now = hot !== null && hot < bars.length ? hot : null;
  const what = unit ? `Rows by ${unit} (UTC)` : "Rows by sync";
  const several = (word) => (unit ? word : null);
  const small = (title, value, write, more) =>
    h(Small, { key: title, title, bars, value, write, hot: now, onHot: setHot, ...more });
  return [
    h(
      "section",
      { className: "card over-time", key: "plot", "aria-label": what },
      h(
        "h3",
        null,
        what,
        h(
          "span",
          { className: "note" },
          unit ? ` each bar sums a ${unit}` : " one bar a sync",
          "; ✕ failed, … not finished",
        ),
      ),
      h(Legend, { series, off, total }),
      h(
        "div",
        { className: "drawing", ref },
        width > 0 &&
          h(Plot, {
            bars,
            shown,
            width,
            hot: now,
            onHot: setHot,
            label: `${what}: use the arrow keys to go from bar to bar`,
          }),
        now !== null && h(Tip, { bar: bars[now], series, index: now, width, n: bars.length }),
      ),
    ),
    h(
      "section",
      { className: "card smalls", key: "smalls", "aria-label": "Calls, duration and speed" },
      small("API calls", callsOf, (v, axis) => (axis ? compact(v) : number(v)), { summary: several("sum") }),
      small("Share of the daily API limit", usageOf, (v) => share(v, 1), { limit: 1, summary: several("highest") }),
      small("Duration", secondsOf, (v, axis) => (axis ? `${compact(v)} s` : seconds(v)), {
        summary: several("longest"),
      }),
      small("Rows a second", rateOf, (v, axis) => (axis ? compact(v) : decimal(v)), { summary: several("mean") }),
    ),
  ];
}
