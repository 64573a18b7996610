// How many rows got which label, as bars: a list that says the same in words.

import { make } from "./elements.js";
import { count, percent } from "./numbers.js";

const MOST = 8;

/** `labels`: how often each was answered. */
export function showMix(labels, nameOf) {
  const sorted = Object.entries(labels).filter(([, number]) => number > 0).sort((one, other) => other[1] - one[1]);
  const whole = sorted.reduce((sum, [, number]) => sum + number, 0);
  if (!whole) return null;
  const shown = sorted.slice(0, MOST).map(([label, number]) => [nameOf(label), number]);
  const others = sorted.slice(MOST);
  if (others.length) shown.push([`${others.length} others`, others.reduce((sum, [, number]) => sum + number, 0)]);
  const list = make("ol", { class: "bars", "aria-label": "Answers by label" }, shown.map(([name, number]) => bar(name, number, whole)));
  return make("figure", { class: "mix" }, make("figcaption", { class: "aside", "aria-hidden": "true" }, "Answers by label"), list);
}

function bar(name, number, whole) {
  const filling = make("span", { class: "filling" });
  filling.style.width = `${(number / whole) * 100}%`;
  return make(
    "li",
    {},
    make("span", { class: "name", dir: "auto" }, name),
    make("span", { class: "share" }, `${count(number)} (${percent(number / whole)})`),
    make("span", { class: "track", "aria-hidden": "true" }, filling),
  );
}
