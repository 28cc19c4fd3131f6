// Small plots that share the bars of the large one.
import { box } from "./plot.js";
import { dateTicks, ticks, useWidth } from "./axis.js";

const { createElement: h, useMemo } = globalThis.React;

const HEIGHT = 92;
const TOP = 6;
const BASE = HEIGHT - 18;

/** One value of each bar; `write` makes it text, `summary` says what several syncs of a bar come to. */
export function Small({ title, bars, value, write, summary, limit, hot, onHot }) {
  const [ref, width] = useWidth();
  const values = useMemo(() => bars.map(value), [bars, value]);
  const known = values.filter((v) => v !== null);
  const { slot, left } = box(width, bars.length);
  const top = limit ?? ticks(Math.max(0, ...known), 2).at(-1);
  const y = (v) => BASE - (v / (top || 1)) * (BASE - TOP);
  const dates = useMemo(() => dateTicks(bars, slot, 90), [bars, slot]);
  const thick = Math.min(slot > 4 ? slot * 0.8 : slot, 48);
  // One path, not a node a bar: four of these plots stand below the large one.
  const path = useMemo(
    () =>
      values
        .map((v, i) =>
          v === null
            ? ""
            : `M${left + (i + 0.5) * slot - thick / 2} ${BASE}V${Math.min(y(v), BASE - 1)}h${thick}V${BASE}z`,
        )
        .join(""),
    [values, slot, left, top],
  );
  const point = (event) => {
    const i = Math.floor((event.nativeEvent.offsetX - left) / slot);
    onHot(i >= 0 && i < bars.length ? i : null);
  };
  const newest = values.findLast((v) => v !== null);
  const shown = hot === null ? newest : values[hot];
  const most = known.length ? Math.max(...known) : null;
  const words = known.length
    ? `${title}${summary ? `, ${summary}` : ""}: last ${write(newest)}, highest ${write(most)}, lowest ${write(Math.min(...known))}.`
    : `${title}: not known.`;
  return h(
    "figure",
    { className: "small" },
    h(
      "figcaption",
      null,
      h("span", { className: "name" }, title, summary && h("span", { className: "note" }, ` ${summary}`)),
    ),
    h(
      "p",
      { className: "reading" },
      h("b", null, shown === null || shown === undefined ? "–" : write(shown)),
      h("span", { className: "note" }, hot === null ? " last" : ` ${bars[hot].title}`),
    ),
    h(
      "div",
      { ref },
      width > 0 &&
        h(
          "svg",
          {
            width,
            height: HEIGHT,
            role: "img",
            "aria-label": words,
            onMouseMove: point,
            onMouseLeave: () => onHot(null),
          },
          [0, top].map((v) => [
            h("line", { key: `l${v}`, className: v ? "grid" : "grid base", x1: left, x2: width, y1: y(v), y2: y(v) }),
            h("text", { key: `t${v}`, className: "tick", x: left - 8, y: y(v) + 4, textAnchor: "end" }, write(v, true)),
          ]),
          dates.map(({ i, text }) =>
            h(
              "text",
              {
                key: i,
                className: "tick",
                x: Math.min(left + (i + 0.5) * slot, width - 18),
                y: HEIGHT - 3,
                textAnchor: "middle",
              },
              text,
            ),
          ),
          h("path", { className: "measure", d: path }),
          hot !== null &&
            h("rect", { className: "hot", x: left + hot * slot, y: TOP, width: slot, height: BASE - TOP }),
        ),
    ),
  );
}
