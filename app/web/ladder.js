// The way from a simple model to the one that is served: what each rung added, and its accuracy on the same test texts.

import { make } from "./elements.js";
import { percent } from "./numbers.js";

/** The shipped models' own, by their data's SHA-256: of other data these figures would say nothing. From docs/quality.md (a test holds them to it). */
export const WAYS = {
  "9853b28ff6ea51e597bb8083cb32d1e0952abd53f94d3ca2b2519a3a5ca1887e": [
    { name: "Tutorial: stacked LSTM 8 + 8", what: "500 words, the last 100 of a review", accuracy: 0.8011 },
    { name: "Tutorial: LSTM 32", what: "5,000 words, 500 of a review", accuracy: 0.8569 },
    { name: "Version 1", what: "20,000 words, vectors from the training texts", gru: 0.8799, lstm: 0.8776 },
    { name: "Linear SVM", what: "tf-idf of words and pairs of words: no network", accuracy: 0.9092 },
    { name: "Version 3", what: "networks teach too: no gain", gru: 0.9118 },
    { name: "Version 2", what: "reviews without a label, and a linear teacher", gru: 0.9125 },
    { name: "Logistic regression, naive Bayes", what: "words and pairs of words: no network", accuracy: 0.9155 },
    { name: "Version 4", what: "128 units; it reads all reviews before it learns", gru: 0.9197, lstm: 0.9176 },
  ],
  "71981c339b7d02a987217e51e06e96fb0dd11fd01d08ec8343ed98dfd6857614": [
    { name: "Tutorial: LSTM", what: "1,000 words", accuracy: 0.7156 },
    { name: "Logistic regression, naive Bayes", what: "words and pairs of words: no network", accuracy: 0.8179 },
    { name: "Version 1", what: "20,000 words, vectors from the training texts", gru: 0.8188, lstm: 0.7996 },
    { name: "Linear SVM", what: "tf-idf of words and pairs of words: no network", accuracy: 0.8259 },
    { name: "Version 3", what: "it reads all newswires before it learns; a linear teacher", gru: 0.8379 },
    { name: "Version 5", what: "both networks teach, with the linear model", gru: 0.8464, lstm: 0.8357 },
  ],
};

/** `rungs`: name, what, accuracy, and low and high where they are known; `own` marks the model that is looked at. */
export function showLadder(rungs) {
  const values = rungs.flatMap(({ accuracy, low, high }) => [low ?? accuracy, high ?? accuracy]);
  const from = Math.max(0, Math.floor(Math.min(...values) * 20 - 0.4) / 20);
  const to = Math.min(1, Math.ceil(Math.max(...values) * 20 + 0.4) / 20);
  const place = (value) => `${((value - from) / (to - from)) * 100}%`;
  return [
    make("ol", { class: "ladder" }, rungs.map((rung) => show(rung, place))),
    make("p", { class: "ends aside", "aria-hidden": "true" }, make("span", {}, percent(from, 0)), make("span", {}, percent(to, 0))),
  ];
}

/** What the page can tell of a model's way: the known rungs, those that its bundle knows, and the task's other models. */
export function findRungs(own, others, dataSha, rivals) {
  const kind = own.name.toLowerCase();
  const known = (WAYS[dataSha] ?? [])
    .map(({ name, what, accuracy, ...kinds }) => ({ name, what, accuracy: accuracy ?? kinds[kind] }))
    .filter(({ accuracy }) => accuracy !== undefined);
  const simple = rivals.map(({ name, accuracy, low, high }) => ({ name, what: "measured with this bundle", accuracy, low, high }));
  return [...simple, ...known, ...others.map((model) => served(model, false)), served(own, true)].filter(({ accuracy }) => typeof accuracy === "number");
}

function served(model, own) {
  const { test_accuracy: accuracy, test_accuracy_low: low, test_accuracy_high: high } = model.metrics ?? {};
  return { name: model.title, what: own ? `this model, ${model.recipe}` : `served too, ${model.recipe}`, accuracy, low, high, own };
}

function show({ name, what, accuracy, low, high, own }, place) {
  const dot = make("span", { class: "dot" });
  dot.style.left = place(accuracy);
  const range = low != null && high != null && make("span", { class: "range" });
  if (range) {
    range.style.left = place(low);
    range.style.right = `calc(100% - ${place(high)})`;
  }
  return make(
    "li",
    { class: own ? "own" : "" },
    make("span", { class: "name" }, make("b", {}, name), make("span", { class: "aside" }, ` ${what}`)),
    make("span", { class: "share" }, percent(accuracy, 2)),
    make("span", { class: "track", "aria-hidden": "true" }, range, dot),
  );
}
