// Charts as SVG: a frame with axes that is drawn anew whenever its width changes. What is drawn into it is others' business.

import { draw, fill, make } from "./elements.js";

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
  const paintAll = () => {
    const frame = new Frame(width, height, space, x, y);
    svg.setAttribute("width", width);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    fill(svg, frame.axes(), paint(frame));
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
  constructor(width, height, margin, x, y) {
    Object.assign(this, { width, height, margin, axis: { x, y } });
    this.left = margin.left;
    this.right = width - margin.right;
    this.top = margin.top;
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
      x.ticks.map((tick, number) =>
        draw("text", { x: this.x(tick), y: this.bottom + 18, "text-anchor": this.#anchor(number, x.ticks.length) }, x.show(tick)),
      ),
      x.title && draw("text", { x: this.right, y: this.height - 2, "text-anchor": "end", class: "title" }, x.title),
      y.title && draw("text", { x: 0, y: 9, class: "title" }, y.title),
    );
  }

  /** The last one must not stick out. */
  #anchor(number, ticks) {
    return number === ticks - 1 && ticks > 1 && this.margin.right < 20 ? "end" : "middle";
  }
}
