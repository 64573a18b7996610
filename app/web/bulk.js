// The page at /bulk: a file of texts goes to the service, and its answers come back as a file.

import { readAddress, writeAddress } from "./address.js";
import { Board } from "./board.js";
import { offer } from "./choices.js";
import { awaitFiles } from "./drops.js";
import { fill, find, make } from "./elements.js";
import { listJobs } from "./jobs.js";
import { Notice } from "./notices.js";
import { percent, size } from "./numbers.js";
import { describe, title } from "./service.js";
import { FORMATS, findObstacle, guessColumn, guessFormat, peek } from "./sniffing.js";
import { upload } from "./uploads.js";

const NAMES = "sentopic-job-names";

const notice = new Notice(find("notice"));
let service = null;
let board = null;
let task = null;
let model = null;
let file = null;
let format = null;
let sending = null;
let early = null; // what was dropped before the page was ready

async function begin() {
  notice.clear();
  try {
    service = await describe();
    if (!service.takesFiles) {
      find("unable").hidden = false;
      return;
    }
    board = new Board(service, await listJobs(), (id) => names()[id]);
  } catch (failure) {
    notice.tell(failure.sentence ? failure : { sentence: "The page could not be shown. Load it anew." }, begin);
    return;
  }
  task = service.find(readAddress().get("task"));
  model = task.models.find(({ name }) => name === readAddress().get("model")) ?? task.models[0];
  offerTasks();
  find("page").hidden = false;
  if (early) take(...early);
}

function offerTasks() {
  writeAddress({ task: task.name, model: model.name });
  offer(find("task"), "Task", service.tasks.map(({ name }) => [name, title(name)]), task.name, (name) => {
    task = service.find(name);
    model = task.models.find((one) => one.name === model.name) ?? task.models[0];
    offerTasks();
  });
  offer(find("model"), "Model", task.models.map(({ name }) => [name, title(name)]), model.name, (name) => {
    model = task.models.find((one) => one.name === name);
    writeAddress({ task: task.name, model: model.name });
  });
}

async function take(chosen, others = 0) {
  early = task ? null : [chosen, others];
  if (!task) return;
  if (sending) {
    notice.tell({ sentence: `${file.name} is still being sent. Wait until it is, or stop it.` }, null);
    return;
  }
  notice.clear();
  if (others) notice.tell({ sentence: `One file at a time: ${chosen.name} was taken, the others were not.` }, null);
  const obstacle = await findObstacle(chosen).catch(() => null); // a file that is gone by now is told of when it is looked at
  if (obstacle) {
    notice.tell({ sentence: `${chosen.name} ${obstacle}` }, null);
    return;
  }
  file = chosen;
  format = await guessFormat(file);
  find("chosen").hidden = false;
  fill(find("name"), make("bdi", {}, file.name), make("span", { class: "aside" }, ` ${size(file.size)}`));
  const select = make("select", { id: "format", change: ({ target }) => { format = target.value; look(); } }, FORMATS.map(([value, shown]) => make("option", { value, selected: value === format }, shown)));
  fill(find("format-place"), make("label", { for: "format" }, "Read it as"), select);
  await look();
  find("start").focus();
}

/** Offers the columns, and shows the first texts of the one that is chosen. */
async function look() {
  const place = find("column-place");
  fill(find("preview"));
  let seen;
  try {
    seen = await peek(file, format);
  } catch {
    notice.tell({ sentence: "The file cannot be read. It may have been moved or changed; choose it anew." }, null);
    return;
  }
  const show = (column) => {
    const texts = seen.preview(column);
    fill(find("preview"), texts.length > 0 && make("p", { class: "aside" }, "It begins with"), texts.map((text) => make("p", { class: "text", dir: "auto" }, text.slice(0, 200) || "(nothing)")));
  };
  if (format === "lines") {
    fill(place);
    show(null);
  } else if (seen.columns?.length) {
    const column = guessColumn(seen.columns);
    const select = make("select", { id: "column", change: ({ target }) => show(target.value) }, seen.columns.map((name) => make("option", { value: name, selected: name === column }, name)));
    fill(place, make("label", { for: "column" }, "The texts are in"), select);
    show(column);
  } else {
    fill(place, make("label", { for: "column" }, "The texts are in"), make("input", { id: "column", type: "text", placeholder: "text, or the only one", spellcheck: "false" }));
  }
}

async function start() {
  if (!file || sending) return;
  notice.clear();
  sending = new AbortController();
  const query = new URLSearchParams({ task: task.name, model: model.name, format });
  const column = find("column")?.value;
  if (format !== "lines" && column) query.set("text", column);
  setSending(true);
  try {
    const job = await upload(`jobs?${query}`, file, tell, sending.signal);
    remember(job.id, file.name);
    notice.clear();
    const card = board.add(job);
    find("chosen").hidden = true;
    file = null;
    card.node.focus();
  } catch (failure) {
    if (failure.name !== "AbortError") notice.tell(failure.sentence ? failure : { sentence: "The file could not be sent. Try again." }, start);
  }
  sending = null;
  setSending(false);
}

function tell(share) {
  find("sent").value = share;
  fill(find("sent-told"), share < 1 ? `${percent(share, 0)} sent` : "All of it is sent; the service looks at it.");
}

function setSending(on) {
  find("sending").hidden = !on;
  find("start").disabled = find("other").disabled = on;
  if (on) tell(0);
}

/** The service does not know what files were called; this tab does. */
function names() {
  try {
    return JSON.parse(sessionStorage.getItem(NAMES)) ?? {};
  } catch {
    return {};
  }
}

function remember(id, name) {
  try {
    sessionStorage.setItem(NAMES, JSON.stringify({ ...names(), [id]: name }));
  } catch {
    // then it goes by its format
  }
}

find("open").addEventListener("click", () => find("file").click());
find("start").addEventListener("click", start);
find("stop").addEventListener("click", () => sending?.abort());
find("other").addEventListener("click", () => find("file").click());
addEventListener("beforeunload", (event) => sending && event.preventDefault());
awaitFiles(find("file"), take);
begin();
