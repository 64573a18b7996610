// Charts as SVG: a frame with axes that is drawn anew whenever its width changes. What is drawn into it is others' business.

import { draw, fill, make } from "./elements.js";

const GAP = 8; // between a label and what stands beside it
const LINE = 14;
const MARGIN = { top: 12, right: 14, bottom: 34, left: 50 };

/**
 * A chart. `x` and `y` are axes: `from`, `to`, `ticks` (values), `show` (value to text), `title`.
 * `paint(frame)` gives the SVG elements inside; frame.x and frame.y turn values into places.
 */
export function plot({ label, height = 240, margin = {}, x, y, paint, role = "img" }) {
  const space = { ...MARGIN, ...margin };
  const node = make("div", { class: "plot" });
  const svg = draw("svg", { role, "aria-label": label, height });
  node.append(svg);
  let width = 0;
  const probe = draw("text", {});
  const measure = (text) => {
    probe.textContent = text;
    return probe.getComputedTextLength();
  };
  const paintAll = () => {
    svg.setAttribute("width", width);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    fill(svg, probe);
    const frame = new Frame(width, height, space, x, y, measure);
    const painted = [frame.axes(), paint(frame)];
    fill(svg, painted);
  };
  new ResizeObserver(([{ contentRect }]) => {
    const wide = Math.floor(contentRect.width);
    if (!wide || wide === width) return;
    width = wide;
    paintAll();
  }).observe(node);
  return node;
}

/** A line through points, given as pairs of places. */
export function line(points, attributes) {
  const path = points.map(([across, down], number) => `${number ? "L" : "M"}${across.toFixed(1)} ${down.toFixed(1)}`).join("");
  return draw("path", { d: path, ...attributes });
}

class Frame {
  /** `measure(text)` gives its width. Whatever the margins are, all of the axes' text has room. */
  constructor(width, height, margin, x, y, measure) {
    Object.assign(this, { width, height, margin, measure, axis: { x, y } });
    this.left = Math.max(margin.left, ...y.ticks.map((tick) => measure(y.show(tick)) + GAP));
    this.right = width - margin.right;
    this.titles = this.#wrap(y.title ?? "");
    this.top = margin.top + LINE * (this.titles.length - 1);
    this.bottom = height - margin.bottom;
  }

  x(value) {
    const { from, to } = this.axis.x;
    return this.left + ((value - from) / (to - from || 1)) * (this.right - this.left);
  }

  y(value) {
    const { from, to } = this.axis.y;
    return this.bottom - ((value - from) / (to - from || 1)) * (this.bottom - this.top);
  }

  axes() {
    const { x, y } = this.axis;
    return draw(
      "g",
      { class: "axes", "aria-hidden": "true" },
      y.ticks.map((tick) => [
        draw("line", { x1: this.left, x2: this.right, y1: this.y(tick), y2: this.y(tick) }),
        draw("text", { x: this.left - 8, y: this.y(tick) + 4, "text-anchor": "end" }, y.show(tick)),
      ]),
      this.#readable(x).map(({ tick, shown, anchor }) => draw("text", { x: this.x(tick), y: this.bottom + 18, "text-anchor": anchor }, shown)),
      x.title && draw("text", { x: this.right, y: this.height - 2, "text-anchor": "end", class: "title" }, x.title),
      this.titles.map((part, number) => draw("text", { x: 0, y: 10 + LINE * number, class: "title" }, part)),
    );
  }

  /** The axis' labels, or every second, third ... of them, so that none runs into the next. The last one is always there. */
  #readable({ ticks, show }) {
    const labels = ticks.map((tick, number) => {
      const [shown, middle] = [show(tick), this.x(tick)];
      const width = this.measure(shown);
      const isLast = number === ticks.length - 1 && ticks.length > 1 && this.margin.right < 20; // it must not stick out
      const start = middle - (isLast ? width : width / 2);
      return { tick, shown, anchor: isLast ? "end" : "middle", start, end: start + width };
    });
    for (let step = 1; ; step += 1) {
      const kept = labels.filter((_, number) => (labels.length - 1 - number) % step === 0);
      if (kept.every(({ start }, number) => !number || start - kept[number - 1].end >= GAP)) return kept;
    }
  }

  /** A text in lines that are no wider than the chart. */
  #wrap(text) {
    const lines = [];
    for (const word of text.split(" ")) {
      const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
      if (!lines.length || this.measure(longer) > this.width) lines.push(word);
      else lines[lines.length - 1] = longer;
    }
    return lines;
  }
}
