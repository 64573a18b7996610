// The confusion matrix: right labels down, answers across, the most frequent first. Cells are told by pointer and arrow keys.

import { draw, fill, make } from "./elements.js";
import { table } from "./curves.js";
import { count, counted, percent } from "./numbers.js";

const MOST_LABELS = 150;
const MOST_PAIRS = 25;
const LEAST_CELL = 13; // px
const WIDTH = 860; // px, of all cells on a large screen
const LARGEST_CELL = 72;

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

function grid(matrix, names, readout) {
  const order = names.map((_, place) => place).sort((one, other) => sum(matrix[other]) - sum(matrix[one]));
  const rows = order.map((right) => order.map((answered) => matrix[right][answered]));
  const shown = order.map((place) => names[place]);
  const small = innerWidth < 700;
  const size = Math.max(LEAST_CELL, Math.min(LARGEST_CELL, Math.floor((small ? 0 : WIDTH) / names.length)));
  const turned = names.length > 8;
  const clip = (name) => shorten(name, small ? 16 : 24);
  const top = turned ? (small ? 110 : 160) : 28;
  const height = top + size * names.length + 4;
  const middle = (place) => (place + 0.5) * size;
  const side = draw("svg", { class: "confusion side", width: small ? 110 : 160, height, "aria-hidden": "true" });
  const svg = draw("svg", {
    class: "confusion",
    role: "application",
    "aria-label": `Confusion matrix of ${counted(names.length, "label")}. Arrow keys go from cell to cell.`,
    tabindex: "0",
    width: size * names.length + 4,
    height,
  });
  fill(side, shown.map((name, place) => draw("text", { x: small ? 104 : 152, y: top + middle(place) + 4, "text-anchor": "end" }, clip(name))));
  const heads = shown.map((name, place) => heading(clip(name), middle(place), top - 8, turned));
  const frame = draw("rect", { class: "chosen", width: size, height: size, visibility: "hidden" });
  fill(
    svg,
    heads,
    draw("rect", { class: "field", y: top, width: size * names.length, height: size * names.length }),
    rows.map((row, down) => cells(row, down, size, top)),
    frame,
  );
  steer(svg, (down, across) => {
    frame.setAttribute("x", across * size);
    frame.setAttribute("y", top + down * size);
    frame.setAttribute("visibility", "visible");
    [...side.children].forEach((name, place) => name.classList.toggle("named", place === down));
    heads.forEach((name, place) => name.classList.toggle("named", place === across));
    fill(readout, describe(rows, shown, down, across));
  }, { size, top, last: rows.length - 1 });
  return make("div", { class: "matrix", tabindex: "-1" }, side, svg);
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
    if (size < 40) return cell;
    const strong = number / texts > 0.4 ? "number strong" : "number";
    return [cell, draw("text", { class: strong, x: x + size / 2, y: y + size / 2 + 4, "text-anchor": "middle" }, count(number))];
  });
}

function heading(name, across, down, turned) {
  const turn = turned ? { transform: `translate(${across + 4} ${down}) rotate(-90)` } : { x: across, y: down, "text-anchor": "middle" };
  return draw("text", turn, name);
}

/** `show(down, across)` is called with the cell that is pointed at. */
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
    show(down, across);
  });
}

function shorten(name, most) {
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
