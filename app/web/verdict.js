// The running verdict: how sure of the final label the model would be if the text ended after each word.

import { draw } from "./elements.js";
import { percent } from "./numbers.js";
import { line, plot } from "./plots.js";
import { steer } from "./words.js";

const HEIGHT = 170;
const SURE = "sure from here up";

/** `threshold`: from there on the model is sure. Pointers and arrow keys select the place in the text. */
export function showVerdict(reading, nameOf, threshold) {
  const label = nameOf(reading.label);
  const last = Math.max(1, reading.words.length - 1);
  let frame = null;
  const cursor = draw("g", { class: "cursor" });

  const node = plot({
    label: `Running verdict: ${label}, after each of the words`,
    role: "slider",
    height: HEIGHT,
    margin: { top: 20 },
    x: { from: 0, to: last, ticks: ticks(reading.words.length), show: (place) => `${place + 1}`, title: "" },
    y: { from: 0, to: 1, ticks: [0, 0.5, 1], show: (share) => `${share * 100}%`, title: `${label}, if the text ended there` },
    paint(fresh) {
      frame = fresh;
      const points = reading.points.map(({ place, score }) => [frame.x(place), frame.y(score)]);
      const level = frame.y(threshold);
      return [
        draw("line", { class: "level", x1: frame.left, x2: frame.right, y1: level, y2: level }),
        area(points, frame),
        line(points, { class: "verdict" }),
        draw("text", { class: "level-name", ...findRoom(frame, level, points) }, SURE),
        points.length === 1 && draw("circle", { class: "dot", cx: points[0][0], cy: points[0][1], r: 4 }),
        cursor,
      ];
    },
  });
  const svg = node.firstChild;
  const follow = () => {
    const point = reading.selected === null ? null : reading.after(reading.selected);
    cursor.replaceChildren(...(point && frame ? pointer(frame, reading.selected, point.score) : []));
    svg.setAttribute("aria-valuenow", (reading.selected ?? reading.words.length - 1) + 1);
    svg.setAttribute("aria-valuetext", valueText(reading, label));
  };
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("aria-valuemin", 1);
  svg.setAttribute("aria-valuemax", reading.words.length);
  svg.addEventListener("keydown", (event) => steer(event, reading));
  const point = (event) => select(event, svg, frame, reading);
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && reading.select(null));
  reading.watch(follow);
  follow();
  return node;
}

/** The verdict at a word, in words. */
export function describeVerdict(reading, place, nameOf) {
  const point = reading.after(place);
  return point ? `${nameOf(reading.label)} ${percent(point.score)} so far` : "";
}

function select(event, svg, frame, reading) {
  if (!frame) return;
  const across = event.clientX - svg.getBoundingClientRect().left;
  const share = (across - frame.left) / (frame.right - frame.left);
  const place = Math.round(share * (reading.words.length - 1));
  reading.select(Math.max(0, Math.min(reading.words.length - 1, place)), "verdict");
}

function pointer(frame, place, score) {
  const across = frame.x(place);
  return [
    draw("line", { x1: across, x2: across, y1: frame.top, y2: frame.bottom }),
    draw("circle", { cx: across, cy: frame.y(score), r: 5 }),
  ];
}

/** Where the level can be told: at its left or right end, above or below, so that the verdict passes it by if it can. */
function findRoom(frame, level, points) {
  const width = frame.measure(SURE);
  const places = [frame.left + 6, frame.right - width - 6].flatMap((x) => [level - 4, level + 13].map((y) => ({ x, y })));
  const inside = places.filter(({ y }) => y - 12 >= frame.top && y <= frame.bottom);
  const course = points.flatMap(([x, y], place) => {
    const [nextX, nextY] = points[place + 1] ?? [x, y];
    return [0, 0.25, 0.5, 0.75].map((share) => [x + (nextX - x) * share, y + (nextY - y) * share]);
  });
  const met = ({ x, y }) => course.filter(([across, down]) => across > x - 4 && across < x + width + 4 && down > y - 14 && down < y + 5).length;
  return inside.toSorted((one, other) => met(one) - met(other))[0];
}

function area(points, frame) {
  if (points.length < 2) return null;
  const [first, last] = [points[0], points[points.length - 1]];
  return line([[first[0], frame.bottom], ...points, [last[0], frame.bottom]], { class: "under" });
}

function ticks(words) {
  if (words < 2) return [0];
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000].find((size) => words / size <= 8) ?? words;
  const found = [0];
  for (let number = step; number <= words; number += step) if (number > 1) found.push(number - 1);
  return found;
}

function valueText(reading, label) {
  const place = reading.selected ?? reading.words.length - 1;
  const point = reading.after(place);
  if (!point) return "no verdict yet";
  return `after “${reading.words[place].shown}”, word ${place + 1}: ${label} ${percent(point.score)}`;
}
