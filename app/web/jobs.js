// One job on the page: how far it is, what came of it, and what can be done with it.

import { ask, send } from "./api.js";
import { fill, make } from "./elements.js";
import { showMix } from "./mix.js";
import { Notice } from "./notices.js";
import { count, counted, duration } from "./numbers.js";
import { findErrors } from "./results.js";
import { save } from "./saving.js";
import { labelNamer, title } from "./service.js";

const ENDINGS = { csv: "csv", jsonl: "jsonl", parquet: "parquet", lines: "txt" };
const MOST_ERRORS = 100;
const PAUSE_MS = 1_000;
const SLOWEST_MS = 15_000;
const SURE_MS = 5_000;
const ACTIVE = new Set(["waiting", "running"]);

export class JobCard {
  #timer = null;
  #pause = PAUSE_MS;

  /** `name`: the file's, if it is known here; `gone(id)` is called once the job is deleted. */
  constructor(job, task, name, gone) {
    Object.assign(this, { job, gone, name, nameOf: task ? labelNamer(task) : (label) => label });
    this.node = make("li", { class: "card job", id: `job-${job.id}` });
    this.status = make("p", { class: "state-line", role: "status" });
    this.progress = make("progress", { "aria-label": "Rows done", max: "1" });
    this.mix = make("div");
    this.errors = make("div", { class: "errors" });
    this.buttons = make("div", { class: "buttons" });
    const trouble = make("div");
    this.notice = new Notice(trouble);
    fill(this.node, this.#head(), this.status, this.progress, trouble, this.mix, this.errors, this.buttons);
    this.#show();
    this.#watch();
  }

  #head() {
    const { task, model, format, created } = this.job;
    return make(
      "div",
      { class: "bar" },
      make("h3", {}, make("bdi", {}, this.name ?? `A file (${format})`)),
      make("span", { class: "aside" }, `${title(task)} / ${title(model)}, ${new Date(created).toLocaleString()}`),
    );
  }

  #watch() {
    if (!ACTIVE.has(this.job.status)) return;
    this.#timer = setTimeout(() => this.#look(), this.#pause);
  }

  async #look() {
    try {
      if (!document.hidden) this.job = await ask(`jobs/${this.job.id}`);
      this.notice.clear();
      this.#pause = PAUSE_MS;
      this.#show();
    } catch (failure) {
      if (failure.status === 404) {
        this.#leave();
        return;
      }
      this.#pause = Math.min(SLOWEST_MS, this.#pause * 2);
      this.notice.tell(failure.sentence ? failure : { sentence: "The page could not read how far this is." }, null);
    }
    this.#watch();
  }

  #show() {
    const { job } = this;
    const active = ACTIVE.has(job.status);
    const said = describe(job);
    if (this.status.textContent !== said) fill(this.status, said);
    this.node.dataset.status = job.status;
    this.progress.hidden = !active;
    if (job.rows) this.progress.value = job.done / job.rows;
    else this.progress.removeAttribute("value");
    fill(this.mix, showMix(job.labels ?? {}, this.nameOf));
    if (this.shown === job.status) return;
    this.shown = job.status;
    fill(this.buttons, this.#choices());
  }

  #choices() {
    const { id, status, failed, task, model, format } = this.job;
    const name = `${(this.name ?? `job-${id}`).replace(/\.[^.]*$/, "")}-${task}-${model}.${ENDINGS[format] ?? format}`;
    return [
      status === "done" && save(`jobs/${id}/result`, name, "Download the result", this.notice, "button primary"),
      status === "done" && failed > 0 && make("button", { type: "button", click: ({ target }) => this.#showErrors(target) }, `Show ${counted(failed, "failed row")}`),
      this.#remover(ACTIVE.has(status) ? "Cancel" : "Delete"),
    ];
  }

  /** Asks once more: what is deleted is gone. */
  #remover(name) {
    let sure = false;
    const button = make("button", { type: "button", class: "quiet" }, name);
    button.addEventListener("click", async () => {
      if (sure) {
        await this.#remove();
        return;
      }
      sure = true;
      button.textContent = name === "Cancel" ? "Really cancel and delete?" : "Really delete?";
      setTimeout(() => {
        sure = false;
        button.textContent = name;
      }, SURE_MS);
    });
    return button;
  }

  async #remove() {
    clearTimeout(this.#timer);
    try {
      await ask(`jobs/${this.job.id}`, { method: "DELETE" });
      this.#leave();
    } catch (failure) {
      if (failure.status === 404) this.#leave();
      else this.notice.tell(failure.sentence ? failure : { sentence: "It could not be deleted." }, () => this.#remove());
    }
  }

  #leave() {
    clearTimeout(this.#timer);
    this.node.remove();
    this.gone(this.job.id);
  }

  async #showErrors(button) {
    button.disabled = true;
    try {
      const response = await send(`jobs/${this.job.id}/result`);
      const errors = await findErrors(response, this.job.format, Math.min(MOST_ERRORS, this.job.failed));
      button.remove();
      fill(this.errors, list(errors, this.job.failed));
    } catch (failure) {
      button.disabled = false;
      this.notice.tell(failure.sentence ? failure : { sentence: "The result could not be read here. Download it." }, null);
    }
  }
}

function list(errors, failed) {
  if (!errors) return make("p", { class: "aside" }, "This format cannot be read here: the result's last column, error, says why.");
  return [
    make("h4", {}, "Rows that failed"),
    make("ul", {}, errors.map(({ number, error }) => make("li", {}, make("b", {}, `Row ${count(number)}`), ": ", make("bdi", {}, error)))),
    errors.length < failed && make("p", { class: "aside" }, `${count(failed - errors.length)} more are in the result, in its last column.`),
  ];
}

/** In a sentence. */
function describe({ status, rows, done, failed, rows_per_s: speed, seconds_left: left, error }) {
  const bad = failed ? `, ${count(failed)} of them failed` : "";
  switch (status) {
    case "waiting":
      return "Waiting for its turn.";
    case "running": {
      const pace = speed ? `, ${count(speed)} rows a second` : "";
      const rest = typeof left === "number" ? `, ${duration(left)} left` : "";
      return `${count(done)}${rows ? ` of ${count(rows)}` : ""} rows${bad}${pace}${rest}.`;
    }
    case "done":
      return `Done: ${counted(done, "row")}${bad}.`;
    case "cancelled":
      return `Cancelled after ${counted(done, "row")}.`;
    default:
      return `Failed after ${counted(done, "row")}: ${typeof error?.detail === "string" ? error.detail : "the service's log says why."}`;
  }
}
