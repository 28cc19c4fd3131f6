// The runs over time: one stacked bar each, reachable by keyboard.
import { addressWith, go, runPage, taskPage, toRows } from "./address.js";
import { dateTicks, ticks } from "./axis.js";
import { barText } from "./figures.js";
import { compact } from "./words.js";

const { createElement: h, memo, useMemo, useRef, useState } = globalThis.React;

const HEIGHT = 260;
const LEFT = 48;
const TOP = 10;
const BELOW = 38;
const BASE = HEIGHT - BELOW;
const FLOOR = 1;

export const box = (width, n) => ({ left: LEFT, slot: n ? (width - LEFT - 4) / n : 0 });

/** Hatched: what a dry run would have done. */
function Hatches() {
  const hatch = (id) =>
    h(
      "pattern",
      {
        id: `lead-syncs-${id}`,
        key: id,
        width: 6,
        height: 6,
        patternUnits: "userSpaceOnUse",
        patternTransform: "rotate(45)",
      },
      h("rect", { width: 6, height: 6, className: `fill-${id} faint` }),
      h("rect", { width: 3, height: 6, className: `fill-${id}` }),
    );
  return h("defs", null, hatch("would_create"), hatch("would_update"));
}

function stackOf(bar, shown, scale) {
  let y = BASE;
  const parts = [];
  for (const { id, dry } of shown) {
    const n = bar.sums[id];
    if (!n) continue;
    // One row of 50,000 is to be seen, too.
    const height = Math.max(n * scale, FLOOR);
    y -= height;
    parts.push({ id, y, height, fill: dry ? `url(#lead-syncs-${id})` : undefined });
  }
  return parts;
}

function marks({ failed, under }, middle) {
  if (!failed && !under) return null;
  return h("text", { className: failed ? "mark failed" : "mark", x: middle, y: BASE + 15 }, failed ? "✕" : "…");
}

const Bars = memo(function Bars({ bars, shown, slot, scale, stop }) {
  const gap = slot > 6 ? Math.min(slot * 0.2, 8) : slot > 2 ? 1 : 0;
  const width = Math.max(Math.min(slot - gap, 48), 1);
  return bars.map((bar, i) => {
    if (!bar.entries.length) return null;
    const [left, middle] = [LEFT + i * slot, LEFT + (i + 0.5) * slot];
    const pieces = stackOf(bar, shown, scale).map(({ id, y, height, fill }) =>
      h("rect", {
        key: id,
        className: slot > 8 ? `fill-${id} piece` : `fill-${id}`,
        x: middle - width / 2,
        y,
        width,
        height,
        ...(fill && { style: { fill } }),
      }),
    );
    return h(
      "a",
      {
        key: bar.key,
        className: "bar",
        href: addressOf(bar),
        tabIndex: i === stop ? 0 : -1,
        "data-index": i,
        "data-testid": "plot-bar",
        "aria-label": barText(bar, shown),
      },
      h("rect", { className: "slot", x: left, y: TOP, width: slot, height: BASE - TOP + 20 }),
      pieces,
      marks(bar, middle),
    );
  });
});

/** Where a bar leads: the changes of this page's address, or an address of Airflow's. */
function target({ entries, range }) {
  const [entry, other] = entries;
  if (other) return { to: { ...range, days: null, from: null } };
  if (entry.unreported) return { href: taskPage(entry) };
  return entry.may_read_rows ? { to: toRows(entry, null) } : { href: runPage(entry) };
}

function addressOf(bar) {
  const { to, href } = target(bar);
  return href ?? addressWith(to);
}

/** The same in words. */
export function leadsTo({ entries, unit }) {
  if (entries.length > 1) return `this ${unit} only`;
  return entries[0].unreported ? "the task" : entries[0].may_read_rows ? "its rows" : "the Dag run";
}

function Axes({ width, lines, y, dates, slot, unit }) {
  return h(
    "g",
    { "aria-hidden": true },
    lines.map((value) => [
      h("line", {
        key: `l${value}`,
        className: value ? "grid" : "grid base",
        x1: LEFT,
        x2: width,
        y1: y(value),
        y2: y(value),
      }),
      h(
        "text",
        { key: `t${value}`, className: "tick", x: LEFT - 8, y: y(value) + 4, textAnchor: "end" },
        compact(value),
      ),
    ]),
    dates.map(({ i, text }) => {
      const x = LEFT + (i + 0.5) * slot;
      return [
        h("line", { key: `d${i}`, className: "grid base", x1: x, x2: x, y1: BASE, y2: BASE + 4 }),
        h(
          "text",
          { key: `e${i}`, className: "tick", x: Math.min(x, width - 20), y: HEIGHT - 6, textAnchor: "middle" },
          text,
        ),
      ];
    }),
  );
}

const STEP = { ArrowLeft: -1, ArrowRight: 1 };

/** `hot` is the index of the bar that is pointed at or focused, null for none. */
export function Plot({ bars, shown, width, hot, onHot, label }) {
  const svg = useRef(null);
  const full = useMemo(() => bars.map((bar, i) => (bar.entries.length ? i : -1)).filter((i) => i >= 0), [bars]);
  const [wanted, setWanted] = useState(null);
  const stop = full.includes(wanted) ? wanted : full.at(-1);
  const { slot } = box(width, bars.length);
  const most = useMemo(
    () => Math.max(...bars.map(({ sums }) => shown.reduce((all, { id }) => all + sums[id], 0))),
    [bars, shown],
  );
  const lines = ticks(most, 5, 1);
  const scale = (BASE - TOP) / lines.at(-1);
  const dates = useMemo(() => dateTicks(bars, slot, 64), [bars, slot]);

  const barAt = (event) => {
    const i = event.target.closest?.("[data-index]")?.dataset.index;
    return i === undefined ? null : Number(i);
  };
  const move = (event) => {
    const place = full.indexOf(stop);
    const to = { Home: 0, End: full.length - 1 }[event.key] ?? place + (STEP[event.key] ?? NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    const i = full[Math.max(0, Math.min(to, full.length - 1))];
    setWanted(i);
    svg.current.querySelector(`[data-index="${i}"]`)?.focus();
  };
  const click = (event) => {
    const i = barAt(event);
    if (i === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { to } = target(bars[i]);
    if (!to) return;
    event.preventDefault();
    go(to);
  };
  const point = (event) => onHot(barAt(event));
  return h(
    "svg",
    {
      ref: svg,
      width,
      height: HEIGHT,
      className: "plot",
      role: "group",
      "aria-label": label,
      "data-testid": "plot",
      onKeyDown: move,
      onClick: click,
      onMouseOver: point,
      onMouseLeave: () => onHot(null),
      onBlur: () => onHot(null),
      onFocus: (event) => {
        setWanted(barAt(event));
        point(event);
      },
    },
    h(Hatches),
    h(Axes, { width, lines, y: (value) => BASE - value * scale, dates, slot }),
    h(Bars, { bars, shown, slot, scale, stop }),
    hot !== null && h("rect", { className: "hot", x: LEFT + hot * slot, y: TOP, width: slot, height: BASE - TOP + 20 }),
  );
}
