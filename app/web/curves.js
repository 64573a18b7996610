// A bundle's measured curves: learning, reliability, coverage. Each is a chart and a table that says the same.

import { draw, make } from "./elements.js";
import { count, percent } from "./numbers.js";
import { line, plot } from "./plots.js";

const share = (value) => `${Math.round(value * 100)}%`;
const TENTHS = [0, 0.25, 0.5, 0.75, 1];

/** Loss and accuracy by epoch; `kept`: the epoch whose model was kept, if one was. */
export function showLearning(history, kept) {
  return [
    learning(history, kept, "Loss", "loss", "val_loss", (value) => value.toFixed(2)),
    history.every(({ accuracy }) => typeof accuracy === "number") &&
      learning(history, kept, "Accuracy", "accuracy", "val_accuracy", percent),
    key([["training texts, as it learns", "one"], ["held-out texts", "two"]]),
    table(
      "The epochs as a table",
      ["Epoch", "Loss", "held out", "Accuracy", "held out"],
      history.map((row) => [row.epoch, ...["loss", "val_loss"].map((name) => digits(row[name], 4)), ...["accuracy", "val_accuracy"].map((name) => digits(row[name], 4))]),
    ),
  ];
}

/** Confidence against the share that is right: on the diagonal it can be believed. */
export function showReliability(heldOut, test) {
  const series = [heldOut && [heldOut, "one"], test && [test, "two"]].filter(Boolean);
  const least = Math.min(...series.flatMap(([bins]) => bins.map(({ confidence, low }) => Math.min(confidence, low))));
  const from = Math.min(0.9, Math.floor(least * 10) / 10);
  const step = from < 0.3 ? 0.2 : 0.1;
  const ticks = [...Array(Math.floor((1.001 - from) / step) + 1).keys()].map((place) => 1 - place * step).reverse();
  const axis = { from, to: 1, ticks, show: share };
  const chart = plot({
    label: "Confidence against accuracy, in bins with as many texts each",
    height: 300,
    margin: { top: 22 },
    x: { ...axis, title: "confidence" },
    y: { ...axis, title: "right" },
    paint: (frame) => [
      line([[frame.x(from), frame.y(from)], [frame.x(1), frame.y(1)]], { class: "ideal" }),
      series.map(([bins, kind]) => bins.map((bin) => whiskers(frame, bin, kind))),
      series.map(([bins, kind]) => line(bins.map((bin) => [frame.x(bin.confidence), frame.y(bin.accuracy)]), { class: `series ${kind}` })),
      series.map(([bins, kind]) => bins.map((bin) => spot(frame.x(bin.confidence), frame.y(bin.accuracy), kind))),
    ],
  });
  const names = [heldOut && ["held-out texts", "one"], test && ["test texts", "two"]].filter(Boolean);
  const cells = series.flatMap(([bins], place) =>
    bins.map((bin) => [names[place][0], count(bin.texts ?? 0), percent(bin.confidence), percent(bin.accuracy), `${percent(bin.low)} to ${percent(bin.high)}`]),
  );
  return [chart, key(names), table("The bins as a table", ["Of the", "Texts", "Confidence", "Right", "95% interval"], cells)];
}

/** What is gained in accuracy by answering fewer texts. `served`: the share and accuracy as it is served, if known. */
export function showCoverage(targets, served) {
  const points = targets.map(({ test }) => ({ answered: test.answered, accuracy: test.answered_accuracy }));
  const all = served ? [...points, served] : points;
  const least = Math.min(...all.map(({ accuracy }) => accuracy));
  const from = Math.max(0, Math.floor(least * 20 - 0.5) / 20);
  const sorted = points.toSorted((one, other) => one.answered - other.answered);
  const chart = plot({
    label: "Share of the test texts that are answered, against how many of these answers are right",
    height: 300,
    margin: { top: 22 },
    x: { from: 0, to: 1, ticks: TENTHS, show: share, title: "answered" },
    y: { from, to: 1, ticks: [from, (1 + from) / 2, 1], show: (value) => percent(value, 1), title: "of these right" },
    paint: (frame) => [
      line(sorted.map(({ answered, accuracy }) => [frame.x(answered), frame.y(accuracy)]), { class: "series two" }),
      sorted.map(({ answered, accuracy }) => spot(frame.x(answered), frame.y(accuracy), "two")),
      served && draw("circle", { class: "served", cx: frame.x(served.answered), cy: frame.y(served.accuracy), r: 7 }),
    ],
  });
  const cells = targets.map(({ accuracy, threshold, test }) => [percent(accuracy ?? 0, 0), percent(threshold), percent(test.answered), percent(test.answered_accuracy)]);
  return [
    chart,
    served && key([[`as served: ${percent(served.answered)} answered, of these ${percent(served.accuracy)} right`, "ring"]]),
    table("The thresholds as a table", ["Aimed at", "Sure from", "Answered", "Of these right"], cells),
  ];
}

/** A table behind its title. Columns of numbers stand to the right, by what their first cell is. */
export function table(title, heads, cells) {
  const kind = (place) => (place && /^[<>+−\d]/.test(`${cells[0]?.[place] ?? ""}`) ? "number" : "");
  return make(
    "details",
    {},
    make("summary", {}, title),
    make(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": title },
      make(
        "table",
        {},
        make("thead", {}, make("tr", {}, heads.map((head, place) => make("th", { scope: "col", class: kind(place) }, head)))),
        make("tbody", {}, cells.map((row) => make("tr", {}, row.map((cell, place) => (place ? make("td", { class: kind(place) }, `${cell}`) : make("th", { scope: "row" }, `${cell}`)))))),
      ),
    ),
  );
}

function learning(history, kept, title, trained, held, show) {
  const names = [trained, held].filter((name) => history.every((row) => typeof row[name] === "number"));
  const values = history.flatMap((row) => names.map((name) => row[name]));
  const pad = (Math.max(...values) - Math.min(...values)) * 0.1 || 0.05;
  const [low, high] = [Math.min(...values) - pad, Math.max(...values) + pad];
  const epochs = history.map(({ epoch }) => epoch);
  return plot({
    label: `${title} by epoch, of the training and the held-out texts`,
    height: 190,
    margin: { top: 22 },
    x: { from: Math.min(...epochs), to: Math.max(...epochs), ticks: thin(epochs), show: (epoch) => `${epoch}`, title: title === "Loss" ? "" : "epoch" },
    y: { from: low, to: high, ticks: [low + pad, (low + high) / 2, high - pad], show, title },
    paint: (frame) => [
      kept !== null && epochs.includes(kept) && draw("line", { class: "level", x1: frame.x(kept), x2: frame.x(kept), y1: frame.top, y2: frame.bottom }),
      names.map((name) => {
        const kind = name === trained ? "one" : "two";
        const points = history.map((row) => [frame.x(row.epoch), frame.y(row[name])]);
        return [line(points, { class: `series ${kind}` }), points.map(([across, down]) => spot(across, down, kind))];
      }),
    ],
  });
}

/** Series differ in shape as well as in colour. */
function spot(across, down, kind) {
  return kind === "one"
    ? draw("rect", { class: "spot one", x: across - 3.5, y: down - 3.5, width: 7, height: 7 })
    : draw("circle", { class: "spot two", cx: across, cy: down, r: 4 });
}

function whiskers(frame, { confidence, low, high }, kind) {
  return draw("line", { class: `whisker ${kind}`, x1: frame.x(confidence), x2: frame.x(confidence), y1: frame.y(low), y2: frame.y(high) });
}

function key(entries) {
  return make(
    "ul",
    { class: "legend" },
    entries.map(([name, kind]) => make("li", {}, make("span", { class: `mark ${kind}`, "aria-hidden": "true" }), name)),
  );
}

function thin(epochs) {
  const step = Math.ceil(epochs.length / 10);
  return epochs.filter((_, place) => place % step === 0);
}

function digits(value, places) {
  return typeof value === "number" ? value.toFixed(places) : "";
}
