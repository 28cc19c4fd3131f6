// Small plots of one number each, over the same bars as the large one.
import { compact, duration } from "./format.js";
import { niceTop, nameOf, useWidth } from "./plot.js";
import { h } from "./react.js";

const HEIGHT = 74;

const NUMBERS = [
  { title: "API calls", of: (bar) => bar.calls, say: compact },
  { title: "Daily API limit in use", of: (bar) => bar.share && 100 * bar.share, say: (value) => `${value < 1 ? value.toFixed(2) : value.toFixed(1)} %` },
  { title: "Duration", of: (bar) => bar.seconds, say: duration },
  { title: "Rows a second", of: (bar) => bar.rate, say: compact },
];

export const SmallPlots = ({ bars, unit }) =>
  h("div", { className: "ls-small" }, NUMBERS.map((number) => h(SmallPlot, { key: number.title, bars, unit, ...number })));

function SmallPlot({ bars, unit, title, of, say }) {
  const [ref, width] = useWidth();
  const values = bars.map(of);
  const known = values.filter((value) => value !== null && value !== undefined);
  const last = known.at(-1);
  const highest = Math.max(0, ...known);
  const top = niceTop(highest);
  const step = width / bars.length;
  const words = known.length ? `latest ${say(last)}, highest ${say(highest)}` : "not known";
  return h(
    "figure",
    { ref },
    h("figcaption", null, h("strong", null, title), " ", h("span", { className: "ls-soft" }, words)),
    h(
      "svg",
      { width, height: HEIGHT, role: "img", "aria-label": `${title} by ${unit}: ${words}` },
      values.map((value, n) => {
        const tall = value ? Math.max(((HEIGHT - 6) * value) / top, 1) : 0;
        return tall ? h("rect", { key: n, className: "ls-fill-plain", x: step * n + step * 0.1, y: HEIGHT - tall, width: Math.max(Math.min(step * 0.8, 24), 1), height: tall }, h("title", null, `${nameOf(bars[n], unit)}: ${say(value)}`)) : null;
      }),
      h("line", { className: "ls-grid", x1: 0, x2: width, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
    ),
  );
}
