// One model's answer in words: the label, how sure it is, and why it may be uncertain.

import { make } from "./elements.js";
import { count, counted, percent } from "./numbers.js";
import { showScores } from "./scores.js";

const REASONS = new Set(["no_known_words", "mostly_unknown_words", "numeric_overflow"]);

export function showAnswer(answer, model, nameOf) {
  return [
    make(
      "p",
      { class: "outcome" },
      make("strong", { class: "label", dir: "auto" }, nameOf(answer.label)),
      make("span", { class: "confidence" }, percent(answer.confidence), make("small", {}, " calibrated confidence")),
    ),
    make("div", { class: answer.uncertain ? "state unsure" : "state sure" }, state(answer, model)),
    cut(answer),
    make("h3", {}, "Ranked labels"),
    showScores(answer.scores, nameOf, model.uncertain_below),
    make("p", { class: "aside" }, legend(model), " ", readings(answer)),
  ];
}

/** For those who hear the page. */
export function toSentence(answer, nameOf) {
  const doubt = answer.uncertain ? ", uncertain" : "";
  return `${nameOf(answer.label)}, ${percent(answer.confidence)}${doubt}`;
}

function state(answer, model) {
  if (!answer.uncertain) {
    return make("p", {}, make("b", {}, "Sure enough."), " ", kept(model) ?? "Its confidence is above the level that this model needs.");
  }
  const ofWords = answer.warnings.filter(({ code }) => REASONS.has(code));
  const low = answer.confidence < model.uncertain_below;
  return [
    make("p", {}, make("b", {}, "Uncertain: do not rely on it.")),
    make(
      "ul",
      {},
      ofWords.map(({ detail }) => make("li", {}, detail)),
      low &&
        make(
          "li",
          {},
          `Its confidence is under ${percent(model.uncertain_below)}, the level from which this model's answers count as sure.`,
        ),
    ),
  ];
}

function kept(model) {
  const share = model.metrics?.test_answered_accuracy;
  return typeof share === "number" ? `Of the test texts answered like this, ${percent(share)} were answered right.` : null;
}

function cut(answer) {
  const others = answer.warnings.filter(({ code }) => !REASONS.has(code));
  return others.map(({ detail }) => make("p", { class: "remark" }, detail));
}

function legend(model) {
  return [make("span", { class: "threshold key", "aria-hidden": "true" }), ` sure from ${percent(model.uncertain_below)}.`];
}

function readings({ tokens }) {
  const windows = tokens.windows > 1 ? ` in ${counted(tokens.windows, "window")}` : "";
  return `${counted(tokens.total, "word")} read${windows}, ${count(tokens.known)} known.`;
}
