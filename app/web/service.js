// What this service has: its tasks and models, and which of its routes the pages may use.

import { ask } from "./api.js";

export async function describe() {
  const [{ tasks }, document] = await Promise.all([ask("tasks"), ask("openapi.json")]);
  return new Service(tasks, document);
}

class Service {
  constructor(tasks, document) {
    this.tasks = tasks;
    this.paths = document.paths ?? {};
    this.schemas = document.components?.schemas ?? {};
  }

  find(task) {
    return this.tasks.find(({ name }) => name === task) ?? this.tasks[0];
  }

  get takesFiles() {
    return "/jobs" in this.paths;
  }

  get takesFeedback() {
    return "/feedback" in this.paths;
  }

  explains(task) {
    const schema = this.#body(task).schema ?? {};
    const named = this.schemas[schema.$ref?.split("/").pop()] ?? schema;
    return "explain" in (named.properties ?? {});
  }

  /** Texts that the task's own description shows: those with which its bundles were sealed. */
  texts(task) {
    const examples = Object.values(this.#body(task).examples ?? {});
    return examples.map(({ value }) => value?.text).filter((text) => typeof text === "string");
  }

  #body(task) {
    return this.paths[`/predict/${task}`]?.post?.requestBody?.content?.["application/json"] ?? {};
  }
}

/** What to call a label. */
export function labelNamer(task) {
  const names = new Map(task.labels.map(({ name, display_name: shown }) => [name, shown]));
  return (label) => names.get(label) ?? label;
}

/** What to call a task or a model: "LSTM", "Sentiment". */
export function title(name) {
  return /^(lstm|gru|rnn|cnn)$/.test(name) ? name.toUpperCase() : name.charAt(0).toUpperCase() + name.slice(1);
}
