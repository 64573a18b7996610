// "Was this wrong?": says to the service which label would have been right.

import { ask } from "./api.js";
import { fill, make } from "./elements.js";

/** `text` goes along only if the person says so. */
export function offerFeedback(task, answer, text, nameOf) {
  const node = make("div", { class: "feedback" });
  const open = make("button", { type: "button", class: "quiet", click: () => showForm() }, "Was this wrong?");
  fill(node, open);

  function leave() {
    fill(node, open);
    open.focus();
  }

  function showForm() {
    const id = `right-${answer.id}`;
    const options = task.labels.map(({ name }) => make("option", { value: name, selected: name === answer.label }, nameOf(name)));
    const right = make("select", { id }, options);
    const along = make("input", { type: "checkbox", id: `${id}-text` });
    const outcome = make("p", { role: "status" });
    const submit = async (event) => {
      event.preventDefault();
      const said = { id: answer.id, task: task.name, label: right.value, ...(along.checked && { text }) };
      try {
        await ask("feedback", { method: "POST", json: said });
        showThanks(nameOf(right.value));
      } catch (failure) {
        fill(outcome, failure.sentence ?? String(failure));
      }
    };
    fill(
      node,
      make(
        "form",
        { submit },
        make("label", { for: id }, "It should be"),
        right,
        make("span", { class: "option" }, along, make("label", { for: `${id}-text` }, "send the text too; the service keeps it")),
        make("button", {}, "Send"),
        make("button", { type: "button", class: "quiet", click: leave }, "Never mind"),
        outcome,
      ),
    );
    right.focus();
  }

  function showThanks(label) {
    const outcome = make("p", { role: "status" }, `Thank you. Noted: ${label}.`);
    const takeBack = async () => {
      try {
        await ask(`feedback/${answer.id}`, { method: "DELETE" });
        fill(node, open, make("p", { role: "status" }, "It is taken back, and gone from the service."));
        open.focus();
      } catch (failure) {
        fill(outcome, failure.sentence ?? String(failure));
      }
    };
    const button = make("button", { type: "button", class: "quiet", click: takeBack }, "Take it back");
    fill(node, outcome, button);
    button.focus();
  }
  return node;
}
