// The stacked plot of what came of the rows, by pointer and by keyboard alike.
import { compact, count, day, minute } from "./format.js";
import { h, useLayoutEffect, useRef, useState } from "./react.js";
import { SERIES } from "./series.js";

const HEIGHT = 230;
const EDGE = { left: 52, right: 8, top: 16, bottom: 26 };

export function useWidth() {
  const ref = useRef(null);
  const [width, set] = useState(800);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => set(Math.max(entry.contentRect.width, 240)));
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
}

export function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 6, 8, 10].find((step) => step * power >= value);
}

export const nameOf = (bar, unit) => (unit === "run" ? minute(bar.at) : unit === "week" ? `week from ${day(bar.at)}` : day(bar.at));

function wordsOf(bar) {
  const parts = SERIES.filter(({ name }) => bar.values[name]).map(({ name, label }) => `${count(bar.values[name])} ${label}`);
  if (bar.failures) parts.unshift(bar.syncs.length === 1 ? bar.syncs[0].state : `${bar.failures} failed`);
  return parts.length ? parts : [bar.syncs.length ? "nothing to write" : "no sync"];
}

export function StackedPlot({ bars, unit, hidden, onOpen }) {
  const [ref, width] = useWidth();
  const [active, setActive] = useState(null);
  const [stop, setStop] = useState(bars.length - 1);
  const place = useRef(null);
  const shown = SERIES.filter(({ name }) => !hidden.has(name));
  const top = niceTop(Math.max(...bars.map((bar) => shown.reduce((sum, { name }) => sum + bar.values[name], 0))));
  const step = (width - EDGE.left - EDGE.right) / bars.length;
  const wide = Math.max(Math.min(step * 0.78, 36), 1);
  const x = (n) => EDGE.left + step * (n + 0.5) - wide / 2;
  const y = (value) => EDGE.top + (HEIGHT - EDGE.top - EDGE.bottom) * (1 - value / top);
  const tabStop = Math.min(Math.max(stop, 0), bars.length - 1);
  const move = (event, n) => {
    const to = { ArrowLeft: n - 1, ArrowRight: n + 1, Home: 0, End: bars.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") onOpen(bars[n]);
    else if (to === undefined) return;
    else {
      const next = Math.min(Math.max(to, 0), bars.length - 1);
      setStop(next);
      place.current.querySelectorAll("[data-bar]")[next]?.focus();
    }
    event.preventDefault();
  };
  const every = Math.max(1, Math.ceil(84 / step));
  return h(
    "div",
    { ref, className: "ls-plot", "data-testid": "plot", onMouseLeave: () => setActive(null) },
    h(
      "svg",
      { width, height: HEIGHT, role: "group", "aria-label": `Rows by ${unit}, ${bars.length} bars; arrow keys move, Enter opens`, ref: place },
      h("defs", null, h("pattern", { id: "ls-hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, h("rect", { width: 2.5, height: 6, className: "ls-hatch" }))),
      [0, 0.25, 0.5, 0.75, 1].map((part) =>
        h("g", { key: part, "aria-hidden": true }, h("line", { className: "ls-grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(top * part), y2: y(top * part) }), h("text", { className: "ls-tick", x: EDGE.left - 8, y: y(top * part) + 4, textAnchor: "end" }, compact(top * part))),
      ),
      bars.map((bar, n) => {
        let base = 0;
        return h(
          "g",
          {
            key: n, "data-bar": n, "data-testid": "plot-bar", tabIndex: n === tabStop ? 0 : -1, role: "button", className: "ls-bar",
            "aria-label": `${nameOf(bar, unit)}: ${wordsOf(bar).join(", ")}`,
            onClick: () => onOpen(bar), onKeyDown: (event) => move(event, n),
            onFocus: () => { setStop(n); setActive(n); }, onBlur: () => setActive(null), onMouseEnter: () => setActive(n),
          },
          h("rect", { className: "ls-hit", x: EDGE.left + step * n, y: EDGE.top, width: step, height: HEIGHT - EDGE.top - EDGE.bottom }),
          shown.map(({ name }) => {
            const value = bar.values[name];
            if (!value) return null;
            base += value;
            const box = { x: x(n), y: y(base), width: wide, height: Math.max(y(base - value) - y(base), 1) };
            return h("g", { key: name }, h("rect", { ...box, className: `ls-fill-${name}` }), name.startsWith("would") && h("rect", { ...box, fill: "url(#ls-hatch)" }));
          }),
          bar.failures > 0 && h("text", { className: "ls-failure", x: x(n) + wide / 2, y: y(base) - 4, textAnchor: "middle" }, "×"),
          n % every === 0 && h("text", { className: "ls-tick", x: x(n) + wide / 2, y: HEIGHT - 8, textAnchor: "middle", "aria-hidden": true }, day(bar.at).slice(5)),
        );
      }),
    ),
    active !== null && bars[active] && h(Tip, { bar: bars[active], unit, left: x(active) + wide / 2, width }),
  );
}

function Tip({ bar, unit, left, width }) {
  const side = left > width / 2 ? { right: width - left + 12 } : { left: left + 12 };
  const names = [...new Set(bar.syncs.map((sync) => `${sync.dag_id}.${sync.task_id}`))];
  return h(
    "div",
    { className: "ls-tip", style: side, "aria-hidden": true },
    h("strong", null, nameOf(bar, unit)),
    names.slice(0, 3).map((name) => h("div", { key: name, className: "ls-soft" }, name)),
    names.length > 3 && h("div", { className: "ls-soft" }, `and ${names.length - 3} more`),
    wordsOf(bar).map((words) => h("div", { key: words }, words)),
    bar.syncs.length > 0 && h("div", { className: "ls-soft" }, unit === "run" ? "Enter or click: its rows" : "Enter or click: only this time"),
  );
}

export function Legend({ bars, hidden, onToggle }) {
  const used = SERIES.filter(({ name }) => bars.some((bar) => bar.values[name]));
  return h(
    "div",
    { className: "ls-legend", role: "group", "aria-label": "Series; switch them off and on" },
    used.map(({ name, label }) =>
      h("button", { key: name, type: "button", "aria-pressed": !hidden.has(name), onClick: () => onToggle(name), title: "Click to switch off or on" }, h("span", { className: `ls-key ls-key-${name}`, "aria-hidden": true }), label),
    ),
    bars.some((bar) => bar.failures) && h("span", { className: "ls-soft" }, h("span", { className: "ls-failure-key", "aria-hidden": true }, "×"), " a run that failed"),
  );
}
