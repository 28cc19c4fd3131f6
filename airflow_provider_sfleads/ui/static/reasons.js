// Why rows were rejected, most frequent reason first.
import { change } from "./address.js";
import { reasons, sum } from "./figures.js";
import { Code } from "./parts.js";
import { number, plural, share } from "./words.js";

const { createElement: h, memo, useMemo, useState } = globalThis.React;

/** So many stand beside the plot without making it longer. */
const FEW = 8;

function Reason({ code, n, most, rejected, before, chosen }) {
  const was = before ? `${number(before.get(code) ?? 0)} before` : "";
  return h(
    "li",
    null,
    h(
      "button",
      {
        type: "button",
        "aria-pressed": chosen,
        title: chosen ? "Show all syncs again" : `Show only syncs that rejected rows with ${code}`,
        onClick: () => change({ reject: chosen ? null : code, from: null }),
      },
      h(
        "span",
        { className: "line" },
        h(Code, null, code),
        h("span", { className: "push" }, h("b", null, number(n)), ` ${share(n, rejected)}`),
      ),
      h("span", { className: "track", "aria-hidden": true }, h("span", { style: { width: `${(100 * n) / most}%` } })),
      was && h("span", { className: "note" }, was),
    ),
  );
}

export const Reasons = memo(function Reasons({ entries, before, chosen }) {
  const [all, setAll] = useState(false);
  const codes = useMemo(() => reasons(entries), [entries]);
  const earlier = useMemo(() => (before?.length ? new Map(reasons(before)) : null), [before]);
  const { rejected } = useMemo(() => sum(entries), [entries]);
  const shown = all ? codes : codes.slice(0, FEW);
  const others = rejected - codes.reduce((total, [, n]) => total + n, 0);
  const most = codes[0]?.[1] ?? 1;
  return h(
    "section",
    { className: "card reasons", "data-testid": "reject-reasons", "aria-label": "Reasons to reject" },
    h(
      "h3",
      null,
      "Why rows were rejected",
      h("span", { className: "note" }, rejected ? ` ${plural(rejected, "row")}` : ""),
    ),
    rejected === 0 && h("p", { className: "note" }, "No row was rejected in this range."),
    h(
      "ul",
      null,
      shown.map(([code, n]) =>
        h(Reason, { key: code, code, n, most, rejected, before: earlier, chosen: code === chosen }),
      ),
    ),
    codes.length > FEW &&
      h(
        "button",
        { type: "button", className: "plain", onClick: () => setAll(!all), "aria-expanded": all },
        all ? "Show fewer" : `Show all ${codes.length} codes`,
      ),
    others > 0 &&
      h("p", { className: "note" }, `others: ${number(others)} (a report names its 20 most frequent codes)`),
  );
});
