// The jobs on the page, the newest first: all of them are asked for at once, as long as one is not at its end.

import { find } from "./elements.js";
import { JobCard, listJobs } from "./jobs.js";
import { Notice } from "./notices.js";

const PAUSE_MS = 1_000;
const PAUSE_MS_PER_JOB = 20; // a thousand of them are asked for every 20 s
const SLOWEST_MS = 15_000;

export class Board {
  #cards = new Map();
  #gone = new Set();
  #timer = null;
  #failures = 0;
  #service;
  #nameOf;
  #notice = new Notice(find("trouble"));

  /** `jobs`: as the service lists them. `nameOf(id)`: what the job's file is called, if that is known here. */
  constructor(service, jobs, nameOf) {
    this.#service = service;
    this.#nameOf = nameOf;
    this.#show(jobs, new Set());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#look());
    this.#wait();
  }

  /** A job that has just been handed in. Returns its card. */
  add(job) {
    this.#put(job);
    this.#settle();
    this.#wait();
    return this.#cards.get(job.id);
  }

  #wait() {
    clearTimeout(this.#timer);
    if (![...this.#cards.values()].some((card) => card.isActive)) return;
    const pause = Math.max(PAUSE_MS, PAUSE_MS_PER_JOB * this.#cards.size);
    this.#timer = setTimeout(() => this.#look(), Math.max(pause, Math.min(SLOWEST_MS, pause * 2 ** this.#failures)));
  }

  async #look() {
    clearTimeout(this.#timer);
    if (document.hidden) return; // until it is seen again
    const known = new Set(this.#cards.keys()); // one that comes meanwhile may not be in the list yet
    try {
      const jobs = await listJobs();
      this.#failures = 0;
      this.#notice.clear();
      this.#show(jobs, known);
    } catch (failure) {
      this.#failures += 1;
      this.#notice.tell(failure.sentence ? { sentence: failure.sentence } : { sentence: "The page could not read how far the jobs are." }, () => this.#look());
    }
    this.#wait();
  }

  #show(jobs, known) {
    for (const job of jobs.toReversed()) this.#put(job);
    const listed = new Set(jobs.map(({ id }) => id));
    for (const id of known) if (!listed.has(id)) this.#drop(id);
    this.#settle();
  }

  #put(job) {
    if (this.#gone.has(job.id)) return; // a list that was on its way while it was deleted
    const card = this.#cards.get(job.id);
    if (card) {
      card.update(job);
      return;
    }
    const task = this.#service.tasks.find(({ name }) => name === job.task);
    const made = new JobCard(job, task, this.#nameOf(job.id), () => this.#forget(job.id));
    this.#cards.set(job.id, made);
    find("jobs").prepend(made.node);
  }

  /** It was deleted here: whoever did that goes on at the next one. */
  #forget(id) {
    const { node } = this.#cards.get(id);
    const focused = node.contains(document.activeElement) || document.activeElement === document.body;
    const next = node.nextElementSibling ?? node.previousElementSibling ?? find("jobs-title");
    this.#gone.add(id);
    this.#drop(id);
    this.#settle();
    if (focused) next.focus();
  }

  #drop(id) {
    this.#cards.get(id)?.node.remove();
    this.#cards.delete(id);
  }

  #settle() {
    find("none").hidden = this.#cards.size > 0;
  }
}
