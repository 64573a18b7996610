// Ranked labels as bars: a list whose entries say the same in words.

import { fill, make } from "./elements.js";
import { percent } from "./numbers.js";

const FEW = 5;

/** `threshold`: under it an answer is uncertain; it is drawn into the first bar. */
export function showScores(scores, nameOf, threshold) {
  const list = make("ol", { class: "bars" });
  const few = scores.slice(0, FEW);
  const all = scores.map((entry, place) => bar(entry, nameOf, place === 0 ? threshold : null));
  fill(list, all.slice(0, few.length));
  if (scores.length === few.length) return list;

  const toggle = make("button", { type: "button", class: "quiet", "aria-expanded": "false" }, `All ${scores.length} labels`);
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-expanded") === "false";
    toggle.setAttribute("aria-expanded", open);
    toggle.textContent = open ? `The first ${FEW}` : `All ${scores.length} labels`;
    fill(list, open ? all : all.slice(0, FEW));
  });
  return make("div", {}, list, toggle);
}

function bar({ label, score }, nameOf, threshold) {
  const fillings = make("span", { class: "filling" });
  fillings.style.width = `${Math.min(1, Math.max(0, score)) * 100}%`;
  const mark = threshold != null && make("span", { class: "threshold" });
  if (mark) mark.style.left = `${threshold * 100}%`;
  return make(
    "li",
    {},
    make("span", { class: "name", dir: "auto" }, nameOf(label)),
    make("span", { class: "share" }, percent(score)),
    make("span", { class: "track", "aria-hidden": "true" }, fillings, mark),
  );
}
