// One job on the page: how far it is, what came of it, and what can be done with it.

import { ask, send } from "./api.js";
import { fill, find, make } from "./elements.js";
import { showMix } from "./mix.js";
import { Notice } from "./notices.js";
import { count, counted, duration } from "./numbers.js";
import { findErrors } from "./results.js";
import { save } from "./saving.js";
import { labelNamer, title } from "./service.js";
import { FORMATS } from "./sniffing.js";

const ENDINGS = { csv: "csv", jsonl: "jsonl", parquet: "parquet", lines: "txt" };
const COUNTED = {
  csv: "Rows are counted without the header and without empty lines; a row of several lines counts once.",
  jsonl: "Rows are counted without empty lines.",
};
const MOST_ERRORS = 100;
const SURE_MS = 5_000;
const ACTIVE = new Set(["waiting", "running"]);

/** All of one's own, the newest first. */
export async function listJobs() {
  const found = [];
  for (let query = ""; ; ) {
    const { jobs, next } = await ask(`jobs${query}`);
    found.push(...jobs);
    if (!next) return found;
    query = `?before=${encodeURIComponent(next)}`;
  }
}

export class JobCard {
  #shown = null;

  /** `name`: the file's, if it is known here; `gone()` is called once the job is deleted. */
  constructor(job, task, name, gone) {
    Object.assign(this, { job, gone, name: name ?? `A file (${job.format})`, stem: (name ?? `job-${job.id.slice(0, 8)}`).replace(/\.[^.]*$/, "") });
    this.nameOf = task ? labelNamer(task) : (label) => label;
    const heading = `name-${job.id}`;
    this.node = make("li", { class: "card job", tabindex: "-1", "aria-labelledby": heading });
    this.state = make("p", { class: "state-line" });
    this.progress = make("progress", { "aria-label": "Rows done", max: "1" });
    this.mix = make("div");
    this.errors = make("div", { class: "errors" });
    this.buttons = make("div", { class: "buttons" });
    const trouble = make("div");
    this.notice = new Notice(trouble);
    fill(this.node, this.#head(heading), this.state, this.progress, trouble, this.mix, this.errors, this.buttons);
    this.#show();
  }

  get isActive() {
    return ACTIVE.has(this.job.status);
  }

  update(job) {
    this.job = job;
    this.#show();
  }

  #head(id) {
    const { task, model, created } = this.job;
    return make(
      "div",
      { class: "bar" },
      make("h3", { id }, make("bdi", {}, this.name)),
      make("span", { class: "aside" }, `${title(task)} / ${title(model)}, ${new Date(created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`),
    );
  }

  #show() {
    const { job } = this;
    const said = describe(job);
    if (this.state.textContent !== said) fill(this.state, said);
    this.progress.hidden = !this.isActive;
    const share = estimateShare(job);
    if (share === null) this.progress.removeAttribute("value");
    else this.progress.value = share;
    const mix = JSON.stringify(job.labels);
    if (this.mixed !== mix) fill(this.mix, showMix(job.labels, this.nameOf));
    this.mixed = mix;
    if (this.#shown === job.status) return;
    if (this.#shown) fill(find("told"), `${this.name}: ${said}`);
    this.#shown = job.status;
    this.node.dataset.status = job.status;
    const focused = this.buttons.contains(document.activeElement);
    fill(this.buttons, this.#choices());
    if (focused) this.buttons.querySelector("a, button").focus();
  }

  #choices() {
    const { status, done, failed } = this.job;
    const ended = status === "done" || (status === "failed" && done > 0);
    return [
      ended && this.#download(),
      ended && failed > 0 && make("button", { type: "button", click: ({ target }) => this.#showErrors(target) }, `Show ${counted(failed, "failed row")}`),
      this.#remover(this.isActive ? "Cancel" : "Delete"),
    ];
  }

  /** A link, and the format that it gives. */
  #download() {
    const { id, format, status, task, model } = this.job;
    const place = make("span");
    const offer = (chosen) => {
      const name = `${this.stem}-${task}-${model}.${ENDINGS[chosen]}`;
      fill(place, save(this.#result(chosen, { named: "false" }), name, status === "done" ? "Download the result" : "Download the rows before that", this.notice, "button primary"));
    };
    offer(format);
    const select = make("select", { id: `as-${id}`, change: ({ target }) => offer(target.value) }, FORMATS.map(([value, shown]) => make("option", { value, selected: value === format }, shown)));
    return [place, make("span", { class: "option" }, make("label", { for: `as-${id}` }, "as"), select)];
  }

  #result(format, more = {}) {
    const query = new URLSearchParams({ ...more, ...(format !== this.job.format && { format }), ...(this.job.status === "failed" && { partial: "true" }) });
    return `jobs/${this.job.id}/result${query.size ? `?${query}` : ""}`;
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
    try {
      await ask(`jobs/${this.job.id}`, { method: "DELETE" });
      this.gone();
    } catch (failure) {
      if (failure.status === 404) this.gone();
      else this.notice.tell(failure.sentence ? failure : { sentence: "It could not be deleted." }, () => this.#remove());
    }
  }

  /** As JSON lines, which the service makes of any format. */
  async #showErrors(button) {
    const said = button.textContent;
    button.disabled = true;
    button.textContent = "Reading the result …";
    this.notice.clear();
    try {
      const response = await send(this.#result("jsonl"));
      const errors = await findErrors(response, Math.min(MOST_ERRORS, this.job.failed));
      fill(this.errors, list(errors, this.job));
      button.remove();
      this.errors.querySelector("ul").focus();
    } catch (failure) {
      button.disabled = false;
      button.textContent = said;
      this.notice.tell(failure.sentence ? failure : { sentence: "The result could not be read here. Download it." }, null);
    }
  }
}

/** Rows are counted as the result has them. Only of plain lines these are the lines of the file. */
function list(errors, { failed, format }) {
  const unit = format === "lines" ? "Line" : "Row";
  return [
    make("h4", {}, "Rows that failed"),
    COUNTED[format] && make("p", { class: "aside" }, COUNTED[format]),
    make("ul", { tabindex: "0", "aria-label": "Rows that failed" }, errors.map(({ number, error }) => make("li", {}, make("b", {}, `${unit} ${count(number)}`), ": ", make("bdi", {}, error)))),
    errors.length < failed && make("p", { class: "aside" }, `${count(failed - errors.length)} more are in the result, in its last column.`),
  ];
}

/** How much is done, from 0 to 1; null where there is no telling. How many rows a table has is known at its end only. */
function estimateShare({ rows, done, rows_per_s: speed, seconds_left: left }) {
  if (rows) return done / rows;
  return speed && left !== null ? done / (done + speed * left) : null;
}

/** In a sentence. */
function describe({ status, rows, done, failed, rows_per_s: speed, seconds_left: left, error }) {
  const bad = failed ? `, ${count(failed)} of them failed` : "";
  switch (status) {
    case "waiting":
      return done ? `Waiting for its turn again, after ${counted(done, "row")}.` : "Waiting for its turn.";
    case "running": {
      if (!done) return "It has begun.";
      const pace = speed ? `, ${count(speed)} rows a second` : "";
      const rest = left === null ? "" : `, ${duration(left)} left`;
      return `${rows ? `${count(done)} of ${counted(rows, "row")}` : counted(done, "row")}${bad}${pace}${rest}.`;
    }
    case "done":
      return `Done: ${counted(done, "row")}${bad}.`;
    default:
      return `${done ? `Broke off after ${counted(done, "row")}${bad}` : "Failed"}. ${toSentence(error?.detail ?? "The service's log says why")}`;
  }
}

function toSentence(reason) {
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? "" : "."}`;
}
