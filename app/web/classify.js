// The page at /: a text, a task, one model or two, and what they say while it is written.

import { readAddress, writeAddress } from "./address.js";
import { toSentence } from "./answer.js";
import { offer } from "./choices.js";
import { countPoints, sendable } from "./codepoints.js";
import { compareAnswers } from "./comparison.js";
import { awaitFiles } from "./drops.js";
import { fill, find, make } from "./elements.js";
import { findExamples } from "./examples.js";
import { Notice } from "./notices.js";
import { count, size } from "./numbers.js";
import { Panel } from "./panel.js";
import { describe, title } from "./service.js";

const PAUSE_MS = 350;
const LARGEST_FILE = 2_000_000; // bytes: more than any text that may be sent
const TABLES = /\.(csv|tsv|jsonl|ndjson|parquet)$/i;

const field = find("text");
const notice = new Notice(find("notice"));
let service = null;
let task = null;
let model = null;
let other = null; // the model beside it, if two are compared
let panels = [];
let asking = new AbortController();
let timer = null;
let early = null; // a file that was dropped before the page was ready

async function begin() {
  notice.clear();
  try {
    service = await describe();
  } catch (failure) {
    notice.tell(failure, begin);
    return;
  }
  follow();
  find("page").hidden = false;
  addEventListener("hashchange", () => location.hash.includes("=") && follow());
  if (early) readFile(early);
}

/** Takes from the address what it says; the rest as the service has it first. */
function follow() {
  const said = readAddress();
  task = service.find(said.get("task"));
  model = task.models.find(({ name }) => name === said.get("model")) ?? task.models[0];
  other = task.models.find(({ name }) => name === said.get("beside") && name !== model.name) ?? null;
  if (said.has("text")) field.value = said.get("text");
  settle(said.get("text") === field.value ? field.value : null);
}

/** Shows what was chosen, and asks anew. */
function settle(text = null) {
  writeAddress({ ...chosen(), text });
  offer(find("task"), "Task", service.tasks.map(({ name }) => [name, title(name)]), task.name, chooseTask);
  offer(find("model"), "Model", task.models.map(({ name }) => [name, title(name)]), model.name, chooseModel);
  offerOther();
  offerExamples();
  panels = [model, other].filter(Boolean).map((one) => new Panel(service, task, one, chosen));
  fill(find("panels"), panels.map(({ node }) => node));
  find("work").classList.toggle("beside", panels.length > 1);
  classify();
}

function chosen() {
  return { task: task.name, model: model.name, beside: other?.name ?? null };
}

function chooseTask(name) {
  task = service.find(name);
  model = task.models.find((one) => one.name === model.name) ?? task.models[0];
  other = other && (task.models.find((one) => one.name === other.name && one !== model) ?? null);
  settle();
}

function chooseModel(name) {
  const before = model;
  model = task.models.find((one) => one.name === name);
  if (other === model) other = before;
  settle();
}

function offerOther() {
  const others = task.models.filter((one) => one !== model);
  find("beside").hidden = !others.length;
  const box = find("beside-box");
  box.checked = other !== null;
  box.onchange = () => {
    other = box.checked ? others[0] : null;
    settle();
  };
  fill(find("beside-name"), other || others.length > 1 ? "Side by side" : `Side by side with ${title(others[0]?.name ?? "")}`);
  const list = find("beside-model");
  list.hidden = !other || others.length < 2;
  fill(list, others.map(({ name }) => make("option", { value: name, selected: name === other?.name }, title(name))));
  list.onchange = () => {
    other = others.find(({ name }) => name === list.value);
    settle();
  };
}

function offerExamples() {
  const examples = findExamples(task, service);
  const buttons = examples.map(([name, text]) =>
    make("button", { type: "button", class: "chip", click: () => write(text) }, name),
  );
  fill(find("examples"), buttons.length > 0 && make("span", { id: "examples-title" }, "Try"), buttons);
}

function write(text) {
  field.value = text;
  writeAddress(chosen());
  classify();
}

/** Asks at once; whatever was asked before no longer counts. */
async function classify() {
  clearTimeout(timer);
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  measure();
  const text = sendable(field.value);
  fill(find("agreement"));
  if (!/[^ \t\r\n]/.test(text)) {
    for (const panel of panels) panel.clear();
    fill(find("heard"));
    return;
  }
  const answers = await Promise.all(panels.map((panel) => panel.classify(text, signal, classify)));
  if (signal.aborted) return;
  tell(answers);
}

function tell(answers) {
  const { nameOf } = panels[0];
  const there = answers.filter(Boolean);
  const compared = there.length === 2 ? compareAnswers(there, nameOf) : null;
  fill(find("agreement"), compared && make("p", { class: there[0].label === there[1].label ? "agree" : "differ" }, compared));
  if (compared && panels.every(({ reading }) => reading)) panels[0].reading.accompany(panels[1].reading);
  fill(find("heard"), compared ?? there.map((answer) => toSentence(answer, nameOf)).join(". "));
}

function measure() {
  const points = countPoints(field.value);
  const most = task.limits.max_text_chars;
  fill(find("length"), `${count(points)} of ${count(most)} characters`);
  find("length").classList.toggle("over", points > most);
  find("clear").hidden = !field.value;
}

async function readFile(file) {
  early = service ? null : file;
  if (!service) return;
  notice.clear();
  if (TABLES.test(file.name)) {
    refuse(`${file.name} looks like many texts in one file. Drop it on the `, make("a", { href: "bulk" }, "bulk page"), ".");
    return;
  }
  if (file.size > LARGEST_FILE) {
    refuse(`${file.name} has ${size(file.size)}; a text may have ${count(task.limits.max_text_chars)} characters.`);
    return;
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (text.includes("\0")) throw new TypeError("a text has no zero bytes");
    write(text);
  } catch {
    refuse(`${file.name} is no text in UTF-8. Save it as plain text, and try again.`);
  }
}

function refuse(...sentence) {
  fill(find("notice"), make("div", { class: "notice", role: "alert" }, make("p", {}, sentence)));
}

field.addEventListener("input", () => {
  notice.clear();
  measure();
  if (readAddress().has("text")) writeAddress(chosen());
  clearTimeout(timer);
  timer = setTimeout(classify, PAUSE_MS);
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  classify();
});
find("classify").addEventListener("click", classify);
find("clear").addEventListener("click", () => {
  write("");
  field.focus();
});
find("open").addEventListener("click", () => find("file").click());
awaitFiles(find("file"), readFile);
begin();
