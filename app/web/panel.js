// One model's place on the page: what it says of the text, and why. It asks, and shows what comes back.

import { ask } from "./api.js";
import { showAnswer } from "./answer.js";
import { fill, make } from "./elements.js";
import { showExplanation } from "./explanation.js";
import { offerFeedback } from "./feedback.js";
import { Notice } from "./notices.js";
import { Reading } from "./reading.js";
import { labelNamer, title } from "./service.js";
import { share } from "./sharing.js";

const MOST_LABELS = 50;
const LONG = 2_000; // characters: beyond, an explanation takes so long that the answer comes first, without one

export class Panel {
  /** `chosen`: a function that gives what the page's address says. */
  constructor(service, task, model, chosen) {
    Object.assign(this, { service, task, model, chosen, nameOf: labelNamer(task), answer: null, reading: null });
    this.answerPlace = make("div", { class: "shown" });
    this.reasonPlace = make("div", { class: "shown" });
    const trouble = make("div");
    this.notice = new Notice(trouble);
    const id = `answer-${model.name}`;
    this.answerNode = make("section", { class: "card answer", "aria-labelledby": id });
    fill(this.answerNode, make("h2", { id }, "Answer of ", make("span", { class: "model" }, title(model.name))), trouble, this.answerPlace);
    this.reasonNode = make("section", { class: "card reasons", "aria-label": `Why ${title(model.name)} says so`, hidden: true });
    fill(this.reasonNode, make("h2", {}, "Word by word"), this.reasonPlace);
    this.node = make("div", { class: "panel" }, this.answerNode, this.reasonNode);
    this.clear();
  }

  clear() {
    this.answer = this.reading = null;
    this.notice.clear();
    this.reasonNode.hidden = true;
    fill(this.answerPlace, make("p", { class: "empty" }, "Write a text, and the answer stands here."));
  }

  /** The answer, or null if none came; then the panel says why, and `again` may mend it. */
  async classify(text, signal, again) {
    const { task, model } = this;
    const request = { text, model: model.name, top_k: Math.min(MOST_LABELS, task.labels.length) };
    const explains = this.service.explains(task.name);
    const send = (json) => ask(`predict/${task.name}`, { method: "POST", json, signal });
    this.#setBusy(true);
    try {
      if (!explains || text.length > LONG) this.#show(await send(request), text, request);
      if (explains) this.#show(await send({ ...request, explain: true }), text, request);
    } catch (failure) {
      if (failure.name === "AbortError") return null;
      this.#fail(failure, again);
    }
    this.#setBusy(false);
    return this.answer;
  }

  #fail(failure, again) {
    if (!failure.sentence) console.error(failure);
    this.answer = this.reading = null;
    fill(this.answerPlace);
    this.reasonNode.hidden = true;
    this.notice.tell(failure.sentence ? failure : { sentence: "The page could not show the answer. Load it anew." }, again);
  }

  #show(answer, text, request) {
    const { task, model, nameOf } = this;
    this.notice.clear();
    this.answer = answer;
    const { text: _, ...rest } = request;
    const button = make("button", { type: "button" }, "As link, curl, Python");
    button.addEventListener("click", () =>
      share(this.chosen(), `predict/${task.name}`, { text, ...rest }, this.service.explains(task.name)),
    );
    fill(
      this.answerPlace,
      showAnswer(answer, model, nameOf),
      make("div", { class: "buttons" }, button, this.service.takesFeedback && offerFeedback(task, answer, text, nameOf)),
    );
    this.reading = answer.explanation ? new Reading(text, answer, answer.explanation) : null;
    this.reasonNode.hidden = !this.reading;
    if (this.reading) fill(this.reasonPlace, showExplanation(this.reading, model, nameOf));
  }

  #setBusy(busy) {
    for (const node of [this.answerNode, this.reasonNode]) node.setAttribute("aria-busy", busy);
  }
}
