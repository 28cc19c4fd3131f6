// Scales, ticks and the room a drawing has.
import { isoDay, shortDay } from "./words.js";

const { useEffect, useRef, useState } = globalThis.React;

/** The width of an element, as it changes. */
export function useWidth() {
  const ref = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!ref.current) return undefined;
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
}

/** Round values from 0 up to at least `most`, about `n` of them. */
export function ticks(most, n, least = 0) {
  const raw = Math.max(most, least || 1e-9) / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max([1, 2, 5, 10].find((factor) => factor * power >= raw) * power, least);
  const values = [];
  for (let i = 0; i === 0 || values[i - 1] < most; i += 1) values.push(i * step);
  return values;
}

/** Which bars get a date below them: about one each `room` pixels, the first of each day only. */
export function dateTicks(bars, slot, room) {
  const fresh = bars.map((bar, i) => i).filter((i) => i === 0 || isoDay(bars[i].ms) !== isoDay(bars[i - 1].ms));
  const shown = [];
  for (const i of fresh) {
    const text = shortDay(bars[i].ms);
    if (!shown.length || (i - shown.at(-1).i) * slot >= room) shown.push({ i, text });
  }
  return shown;
}
