// The text as the model read it: each word coloured by what it contributed, and marked where it was not used.

import { make } from "./elements.js";
import { percent, signed } from "./numbers.js";

const TURNING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const CHUNK = 200;
const STATUSES = {
  rare: "known, but too rare to mean anything to the model",
  unknown: "unknown: the model skipped it",
  unused: "not read: it lies outside what the model reads",
};

/** The words, selected by pointer and by arrow keys. */
export function showWords(reading, nameOf) {
  const spans = reading.words.map((word) => make("span", { class: classOf(reading, word), "data-place": word.place }, word.fresh));
  const node = make(
    "div",
    {
      class: "words",
      tabindex: "0",
      role: "group",
      "aria-label": `The text, word by word, coloured by what each says about ${nameOf(reading.label)}. Arrow keys go from word to word.`,
    },
    weave(reading, spans),
  );
  node.dir = "auto"; // once all is in it: a browser looks at it anew with each child
  const over = ({ target }) => {
    const place = target.dataset?.place;
    if (place !== undefined) reading.select(Number(place), "words");
  };
  node.addEventListener("pointerover", over);
  node.addEventListener("pointerdown", over);
  node.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && reading.select(null));
  node.addEventListener("keydown", (event) => steer(event, reading));
  reading.watch((place, before, from) => mark(node, spans, place, before, from));
  return node;
}

/** Left and right go a word, up and down ten, Home and End to either end, Escape to none. */
export function steer(event, reading) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -Infinity, End: Infinity };
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in steps) reading.move(steps[event.key], "keys");
  else if (event.key === "Escape") reading.select(null);
  else return;
  event.preventDefault();
}

/** What there is to say about a word, in a sentence or two. */
export function describeWord(reading, place, nameOf) {
  const word = reading.words[place];
  const label = nameOf(reading.label);
  const said = [];
  if (word.status !== "known") said.push(`${STATUSES[word.status] ?? word.status}.`);
  if (word.contribution != null) {
    const strength = reading.strength(word);
    const side = strength === 0 ? "makes little difference to" : strength > 0 ? "speaks for" : "speaks against";
    const without = word.without == null ? "" : `; without it ${percent(word.without)}, with it ${percent(reading.answer.confidence)}`;
    said.push(`${side} ${label} (${signed(word.contribution)})${without}.`);
  } else if (word.status === "known" || word.status === "rare") {
    said.push("what it contributes was not computed, as the text is long.");
  }
  return said.join(" ");
}

export function showLegend(reading, nameOf) {
  const label = nameOf(reading.label);
  const seen = new Set(reading.words.map(({ status }) => status));
  const swatches = (side) => [1, 3, 5].map((step) => make("span", { class: `word ${side}-${step}` }, "abc"));
  return make(
    "ul",
    { class: "legend" },
    make("li", {}, make("span", { class: "swatches", "aria-hidden": "true" }, swatches("for")), `for ${label}`),
    make("li", {}, make("span", { class: "swatches", "aria-hidden": "true" }, swatches("against")), `against ${label}`),
    seen.has("unknown") && make("li", {}, make("span", { class: "word unknown", "aria-hidden": "true" }, "abc"), "unknown, skipped"),
    seen.has("rare") && make("li", {}, make("span", { class: "word rare", "aria-hidden": "true" }, "abc"), "too rare to tell"),
    seen.has("unused") && make("li", {}, make("span", { class: "word unused", "aria-hidden": "true" }, "abc"), "not read"),
  );
}

/** The same as a table, a part at a time. */
export function showTable(reading, nameOf) {
  const label = nameOf(reading.label);
  const body = make("tbody");
  const more = make("button", { type: "button", class: "quiet", click: () => add() }, `Show ${CHUNK} more`);
  const titles = ["Word", "Status", `For ${label}, log-odds`, `${label} without it`, `${label} after it`];
  const add = () => {
    const from = body.children.length;
    body.append(...reading.words.slice(from, from + CHUNK).map((word) => row(reading, word)));
    more.hidden = body.children.length >= reading.words.length;
  };
  const details = make(
    "details",
    {},
    make("summary", {}, "The words as a table"),
    make(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": "The words as a table" },
      make("table", {}, make("thead", {}, make("tr", {}, titles.map((title, place) => make("th", { scope: "col", class: place > 1 ? "number" : "" }, title)))), body),
    ),
    more,
  );
  details.addEventListener("toggle", () => details.open && !body.children.length && add());
  return details;
}

function row(reading, word) {
  const after = reading.after(word.place);
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("bdi", {}, word.shown)),
    make("td", {}, word.status),
    make("td", { class: "number" }, word.contribution == null ? "" : signed(word.contribution)),
    make("td", { class: "number" }, word.without == null ? "" : percent(word.without)),
    make("td", { class: "number" }, after?.place === word.place ? percent(after.score) : ""),
  );
}

function classOf(reading, word) {
  const strength = reading.strength(word);
  const side = strength > 0 ? ` for-${strength}` : strength < 0 ? ` against-${-strength}` : "";
  return `word ${word.status}${side}`;
}

/** The spans with what stands between them. A mark that turns the direction of writing turns nothing but itself. */
function weave(reading, spans) {
  const { text, words } = reading;
  const woven = [];
  let end = 0;
  const gap = (from, to) => {
    if (from >= to) return;
    const between = text.slice(from, to);
    woven.push(TURNING.test(between) ? make("bdi", {}, between) : between);
  };
  words.forEach((word, place) => {
    gap(end, word.start);
    woven.push(spans[place]);
    end = Math.max(end, word.end);
  });
  gap(end, text.length);
  return woven;
}

/** What comes after the selected word fades: the model does not know of it yet. */
function mark(node, spans, place, before, from) {
  if (before !== null) spans[before].classList.remove("selected");
  const was = before === null ? spans.length : before;
  const is = place === null ? spans.length : place;
  for (let later = Math.min(was, is) + 1; later <= Math.max(was, is) && later < spans.length; later += 1) {
    spans[later].classList.toggle("later", later > is);
  }
  node.classList.toggle("partly", place !== null);
  if (place === null) return;
  spans[place].classList.add("selected");
  if (from !== "words") reveal(node, spans[place]);
}

/** Scrolls the text, not the page. */
function reveal(node, span) {
  const top = span.offsetTop - node.offsetTop;
  if (top < node.scrollTop) node.scrollTop = top - 8;
  else if (top + span.offsetHeight > node.scrollTop + node.clientHeight) {
    node.scrollTop = top + span.offsetHeight - node.clientHeight + 8;
  }
}
