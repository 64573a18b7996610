// The confusion matrix: right labels down, answers across, the most frequent first. Cells are told by pointer and arrow keys.

import { draw, fill, make } from "./elements.js";
import { table } from "./curves.js";
import { count, counted, percent } from "./numbers.js";

const MOST_LABELS = 150;
const MOST_PAIRS = 25;
const LEAST_CELL = 19; // px
const LARGEST_CELL = 72;
const LARGEST_NUMBER = 13;
const LEAST_NUMBER = 9;
const DIGIT = 0.6; // of a number's font size
const LONGEST_NAME = 260; // px; what is longer is told when its row or column is pointed at
const MOST_BESIDE = 0.55; // of the width, for names beside many cells
const GAP = 8;

/** `names`: the labels' display names, in the matrix's order. */
export function showConfusion(matrix, names) {
  const pairs = table("The most frequent confusions as a table", ["Right", "Answered", "Texts", "Of the right ones"], confusions(matrix, names));
  if (names.length > MOST_LABELS) return [make("p", { class: "aside" }, `${count(names.length)} labels are too many to draw.`), pairs];
  const readout = make("p", { class: "readout", "aria-live": "polite" }, "Point at a cell, or reach the chart with Tab and use the arrow keys.");
  return [grid(matrix, names, readout), readout, pairs];
}

function confusions(matrix, names) {
  const found = [];
  matrix.forEach((row, right) => {
    const texts = sum(row);
    row.forEach((number, answered) => number > 0 && right !== answered && found.push([names[right], names[answered], number, number / texts]));
  });
  found.sort((one, other) => other[2] - one[2]);
  return found.slice(0, MOST_PAIRS).map(([right, answered, number, share]) => [right, answered, count(number), percent(share)]);
}

/** Drawn for the width that there is, and anew for another one. */
function grid(matrix, names, readout) {
  const order = names.map((_, place) => place).sort((one, other) => sum(matrix[other]) - sum(matrix[one]));
  const rows = order.map((right) => order.map((answered) => matrix[right][answered]));
  const shown = order.map((place) => names[place]);
  const node = make("div", { class: "matrix", tabindex: "-1" });
  let width = 0;
  new ResizeObserver(([{ contentRect }]) => {
    const wide = Math.floor(contentRect.width);
    if (!wide || wide === width) return;
    width = wide;
    paint(node, rows, shown, width, readout);
  }).observe(node);
  return node;
}

function paint(node, rows, names, width, readout) {
  const { size, left, top, turned, heads: titles, sides } = arrange(node, rows, names, width);
  const height = top + size * names.length + 4;
  const middle = (place) => (place + 0.5) * size;
  const side = draw("svg", { class: "confusion side", width: left, height, "aria-hidden": "true" });
  const svg = draw("svg", {
    class: "confusion",
    role: "application",
    "aria-label": `Confusion matrix of ${counted(names.length, "label")}. Arrow keys go from cell to cell.`,
    tabindex: "0",
    width: size * names.length + 4,
    height,
  });
  fill(side, sides.map((name, place) => draw("text", { x: left - GAP, y: top + middle(place) + 4, "text-anchor": "end" }, name)));
  const heads = titles.map((name, place) => heading(name, middle(place), top - GAP, turned));
  const frame = draw("rect", { class: "chosen", width: size, height: size, visibility: "hidden" });
  fill(
    svg,
    heads,
    draw("rect", { class: "field", y: top, width: size * names.length, height: size * names.length }),
    rows.map((row, down) => cells(row, down, size, top)),
    frame,
  );
  fill(node, side, svg);
  steer(svg, (down, across, byKey) => {
    frame.setAttribute("x", across * size);
    frame.setAttribute("y", top + down * size);
    frame.setAttribute("visibility", "visible");
    [...side.children].forEach((name, place) => name.classList.toggle("named", place === down));
    heads.forEach((name, place) => name.classList.toggle("named", place === across));
    fill(readout, describe(rows, names, down, across));
    if (byKey) node.scrollLeft = Math.min(across * size, Math.max(node.scrollLeft, (across + 1) * size + 4 - (width - left)));
  }, { size, top, last: rows.length - 1 });
}

/** How large a cell is, where the cells begin, and what there is room for of the names above and beside them. */
function arrange(node, rows, names, width) {
  const probe = draw("text", { class: "named" });
  fill(node, draw("svg", { class: "confusion", width: 1, height: 1 }, probe));
  const measure = (text) => {
    probe.textContent = text;
    return probe.getComputedTextLength();
  };
  const longest = Math.max(...names.map(measure));
  const digits = Math.max(...rows.flat().map((number) => count(number).length));
  const least = Math.max(LEAST_CELL, Math.ceil(digits * LEAST_NUMBER * DIGIT) + 2);
  const room = Math.min(LONGEST_NAME, Math.max(MOST_BESIDE * width, width - least * names.length)) - GAP - 4;
  const sides = names.map((name) => shorten(name, room, measure));
  const left = Math.ceil(Math.max(...sides.map(measure))) + GAP + 4;
  const size = Math.max(least, Math.min(LARGEST_CELL, Math.floor((width - left - 4) / names.length)));
  const turned = longest + GAP > size;
  const heads = turned ? names.map((name) => shorten(name, LONGEST_NAME, measure)) : names;
  return { size, left, turned, heads, sides, top: turned ? Math.ceil(Math.max(...heads.map(measure))) + 2 * GAP : 28 };
}

function describe(rows, shown, down, across) {
  const texts = sum(rows[down]);
  const number = rows[down][across];
  const of = `${count(number)} of ${counted(texts, "text")}${texts ? ` (${percent(number / texts)})` : ""}`;
  if (down === across) return [make("b", {}, shown[down]), `: ${of} answered right.`];
  return [make("b", {}, shown[down]), " answered as ", make("b", {}, shown[across]), `: ${of}.`];
}

function cells(row, down, size, top) {
  const texts = sum(row) || 1;
  return row.map((number, across) => {
    if (!number) return null;
    const x = across * size;
    const y = top + down * size;
    const cell = draw("rect", { class: down === across ? "hit" : "miss", x: x + 0.5, y: y + 0.5, width: size - 1, height: size - 1 });
    cell.style.fillOpacity = 0.12 + 0.88 * Math.sqrt(number / texts);
    const strong = number / texts > 0.4 ? "number strong" : "number";
    const told = draw("text", { class: strong, x: x + size / 2, y: y + size / 2 + 4, "text-anchor": "middle" }, count(number));
    told.style.fontSize = `${Math.min(LARGEST_NUMBER, (size - 2) / (DIGIT * count(number).length))}px`;
    return [cell, told];
  });
}

function heading(name, across, down, turned) {
  const turn = turned ? { transform: `translate(${across + 4} ${down}) rotate(-90)` } : { x: across, y: down, "text-anchor": "middle" };
  return draw("text", turn, name);
}

/** `show(down, across, byKey)` is called with the cell that is pointed at. */
function steer(svg, show, { size, top, last }) {
  let [down, across] = [0, 0];
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const [x, y] = [Math.floor((event.clientX - box.left) / size), Math.floor((event.clientY - box.top - top) / size)];
    if (x < 0 || y < 0 || x > last || y > last) return;
    [down, across] = [y, x];
    show(down, across);
  });
  svg.addEventListener("focus", () => show(down, across));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    down = Math.max(0, Math.min(last, down + step[0]));
    across = Math.max(0, Math.min(last, across + step[1]));
    show(down, across, true);
  });
}

/** As much of a name as `room` px hold. */
function shorten(name, room, measure) {
  if (measure(name) <= room) return name;
  const signs = [...name];
  while (signs.length > 1 && measure(`${signs.join("")}…`) > room) signs.pop();
  return `${signs.join("")}…`;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
