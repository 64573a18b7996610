// The page at /models: each model with its measured figures, drawn, and its card.

import { readAddress, writeAddress } from "./address.js";
import { send } from "./api.js";
import { showCard } from "./card.js";
import { showConfusion } from "./confusion.js";
import { showCoverage, showLearning, showReliability, table } from "./curves.js";
import { fill, find, make } from "./elements.js";
import { number, readFigures, text } from "./figures.js";
import { findRungs, showLadder } from "./ladder.js";
import { Notice } from "./notices.js";
import { count, percent, size } from "./numbers.js";
import { save } from "./saving.js";
import { describe, labelNamer, title } from "./service.js";

const READS = {
  cover: (model) => `the whole text, in windows of ${count(model.maxlen)} words`,
  first: (model) => `the first ${count(model.maxlen - 1)} words that it has an entry for`,
  last: (model) => `the last ${count(model.maxlen)} words that it has an entry for`,
};

const notice = new Notice(find("notice"));
let service = null;
let round = 0;

async function begin() {
  notice.clear();
  try {
    service = await describe();
  } catch (failure) {
    notice.tell(failure, begin);
    return;
  }
  addEventListener("hashchange", () => location.hash.includes("=") && follow());
  follow();
}

function follow() {
  const said = readAddress();
  const task = service.find(said.get("task"));
  choose(task, task.models.find(({ name }) => name === said.get("model")) ?? task.models[0]);
}

async function choose(task, model) {
  writeAddress({ task: task.name, model: model.name });
  offerModels(task, model);
  round += 1;
  const mine = round;
  try {
    const papers = await readPapers(task, model);
    if (mine !== round) return;
    notice.clear();
    show(task, model, papers);
  } catch (failure) {
    if (!failure.sentence) console.error(failure);
    if (mine === round) notice.tell(failure.sentence ? failure : { sentence: "The page could not show this model." }, () => choose(task, model));
  }
}

/** Its manifest, figures and card; null for what it lacks, or what cannot be read. */
async function readPapers(task, model) {
  const read = async (name, parse) => {
    if (!model.papers.includes(name)) return null;
    const response = await send(paperPath(task, model, name));
    try {
      return await parse(response);
    } catch {
      return null; // it may be anything
    }
  };
  const json = (response) => response.json();
  const [manifest, figures, card] = await Promise.all([read("bundle.json", json), read("metrics.json", json), read("CARD.md", (response) => response.text())]);
  return { manifest, figures: readFigures(figures, task.labels), card };
}

function paperPath(task, model, name) {
  return `tasks/${task.name}/${model.name}/${name}`;
}

function offerModels(task, model) {
  const cards = service.tasks.map((each) =>
    make(
      "li",
      {},
      make("h2", {}, title(each.name)),
      make("p", { class: "aside" }, `${count(each.labels.length)} labels`),
      make(
        "ul",
        {},
        each.models.map((one) =>
          make(
            "li",
            {},
            make(
              "a",
              { href: `#task=${each.name}&model=${one.name}`, "aria-current": each === task && one === model && "true" },
              make("b", {}, title(one.name)),
              typeof one.metrics.test_accuracy === "number" && make("span", {}, `${percent(one.metrics.test_accuracy, 2)} right`),
              one.default && make("span", { class: "aside" }, "answers unless another is named"),
            ),
          ),
        ),
      ),
    ),
  );
  fill(find("models"), cards);
}

function show(task, model, { manifest, figures, card }) {
  const nameOf = labelNamer(task);
  const names = task.labels.map(({ name }) => nameOf(name));
  document.title = `${title(task.name)} / ${title(model.name)} · Sentopic`;
  fill(
    find("shown"),
    summary(task, model, manifest),
    section("ladder", "The ladder", ladderText(figures.perLabel), showLadder(ladder(task, model, manifest, figures))),
    make(
      "div",
      { class: "pair" },
      section("learning", "Learning", "Loss and accuracy after each pass over the training texts. The dotted line is the pass whose model was kept.", figures.history && showLearning(figures.history, number(manifest, "recipe", "epoch"))),
      section("reliability", "Reliability", "Of the answers with confidence 0.9, nine in ten should be right: points on the dotted line. Upright lines are 95% intervals.", (figures.heldOutBins || figures.testBins) && showReliability(figures.heldOutBins, figures.testBins)),
      section("coverage", "Risk and coverage", "Whoever wants fewer mistakes answers fewer texts, the surest ones.", figures.targets && showCoverage(figures.targets, asServed(model))),
      section("labels", "By label", "On the test texts. Precision: of the answers with this label so many are right. Recall: of its texts so many are found.", figures.perLabel && showLabels(task, figures.perLabel, nameOf)),
    ),
    section("confusion", "Confusion matrix", "Right labels down, answers across. A cell's colour is the stronger, the more of its row's texts it has.", figures.confusion && showConfusion(figures.confusion, names)),
    section("card", "The card", "What its makers say of it: data, recipe, figures, weaknesses, and what it must not be used for.", card && make("details", {}, make("summary", {}, "Read it"), make("div", { class: "markdown" }, showCard(card)))),
    section("papers", "Files", "As they were sealed with the model.", files(task, model, manifest)),
  );
}

function section(id, name, about, content) {
  return make(
    "section",
    { class: "card", id, "aria-labelledby": `${id}-title` },
    make("h2", { id: `${id}-title` }, name),
    make("p", { class: "aside" }, about),
    content || make("p", { class: "empty" }, "This bundle does not tell."),
  );
}

function summary(task, model, manifest) {
  const { metrics } = model;
  const bytes = number(manifest, "files", "model.keras", "size");
  const facts = [
    ["Test accuracy", metrics.test_accuracy, (value) => percent(value, 2), interval(metrics, "test_accuracy")],
    ["Answered as sure", metrics.test_answered, (value) => percent(value), metrics.test_answered_accuracy !== undefined && `of these right: ${percent(metrics.test_answered_accuracy)}`],
    ["Macro-F1", metrics.test_macro_f1, (value) => value.toFixed(3), interval(metrics, "test_macro_f1", (value) => value.toFixed(3))],
    ["Calibration error", metrics.test_calibration_error, (value) => percent(value), "expected, over bins of equal mass"],
    ["Sure from", model.uncertain_below, (value) => percent(value), "less confident answers are uncertain"],
    ["Parameters", model.parameters, count, bytes && `${size(bytes)} on the disk`],
  ];
  const data = text(manifest, "data", "name");
  const trained = number(manifest, "data", "refit") ?? number(manifest, "data", "training");
  return make(
    "section",
    { class: "card summary", "aria-labelledby": "summary-title" },
    make("div", { class: "bar" }, make("h2", { id: "summary-title" }, `${title(task.name)} / ${title(model.name)}`), make("a", { href: `./#task=${task.name}&model=${model.name}` }, "Try it")),
    make("dl", { class: "facts" }, facts.filter(([, value]) => typeof value === "number").map(([name, value, write, more]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("b", {}, write(value)), more && make("small", {}, more))))),
    make("p", { class: "aside" }, [
      `Reads ${READS[model.windows](model)}; the ${count(model.num_words)} most frequent have a meaning of their own. Recipe ${model.recipe}`,
      data && `, data ${data}`,
      trained && `, ${count(trained)} texts to learn from`,
      `. Runs on the ${model.engine} engine with ${model.precision}. Its seal: `,
      make("code", {}, model.sha256.slice(0, 16)),
      "…",
    ]),
  );
}

function interval(metrics, name, write = (value) => percent(value, 2)) {
  const [low, high] = [metrics[`${name}_low`], metrics[`${name}_high`]];
  return typeof low === "number" && typeof high === "number" && `95%: ${write(low)} to ${write(high)}`;
}

function asServed({ metrics }) {
  const { test_answered: answered, test_answered_accuracy: accuracy } = metrics;
  return typeof answered === "number" && typeof accuracy === "number" ? { answered, accuracy } : null;
}

function ladder(task, model, manifest, figures) {
  const titled = (one) => ({ ...one, title: title(one.name) });
  const others = task.models.filter((one) => one !== model).map(titled);
  return findRungs(titled(model), others, text(manifest, "data", "sha256"), figures.rivals);
}

function ladderText(perLabel) {
  const about = "From simple models to this one, all on the same test texts; of those that are served the bar is the 95% interval.";
  if (!perLabel) return about;
  const supports = Object.values(perLabel).map(({ support }) => support);
  const share = Math.max(...supports) / supports.reduce((sum, support) => sum + support, 0);
  return `${about} Who always answers the most frequent label is right in ${percent(share)}.`;
}

function showLabels(task, perLabel, nameOf) {
  const rows = task.labels
    .map(({ name }) => ({ name, ...perLabel[name] }))
    .toSorted((one, other) => other.support - one.support)
    .map(({ name, support, precision, recall, f1 }) => [nameOf(name), count(support), precision.toFixed(3), recall.toFixed(3), f1.toFixed(3)]);
  const shown = table("Labels", ["Label", "Test texts", "Precision", "Recall", "F1"], rows);
  shown.open = true;
  return shown;
}

/** Without a key they are links; with one, the page fetches them, as a link cannot carry it. */
function files(task, model, manifest) {
  return make(
    "ul",
    { class: "files" },
    model.papers.map((name) => {
      const bytes = number(manifest, "files", name, "size");
      const path = paperPath(task, model, name);
      return make("li", {}, save(path, `${task.name}-${model.name}-${name}`, name, notice), bytes !== null && make("span", { class: "aside" }, ` ${size(bytes)}`));
    }),
  );
}

begin();
