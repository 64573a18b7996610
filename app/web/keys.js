// The key that a service may ask for. It is kept for this tab alone, and goes into no address and no snippet.

import { fill, make } from "./elements.js";

const NAME = "sentopic-key";
let memory = null;
let asking = null;

export function currentKey() {
  try {
    return sessionStorage.getItem(NAME) ?? memory;
  } catch {
    return memory;
  }
}

export function forgetKey() {
  keep(null);
}

/** Asks the person, once for all who wait; null if they would rather not. `refused`: the key that was not accepted. */
export function requestKey(refused) {
  asking ??= show(refused).finally(() => {
    asking = null;
  });
  return asking;
}

function keep(key) {
  memory = key;
  try {
    if (key) sessionStorage.setItem(NAME, key);
    else sessionStorage.removeItem(NAME);
  } catch {
    // the memory has it
  }
}

function show(refused) {
  return new Promise((settle) => {
    const field = make("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true });
    const remark = refused ? "That key was not accepted." : "This service answers those who have a key.";
    const dialog = make("dialog", { "aria-labelledby": "key-title", class: "small" });
    const submit = (event) => {
      event.preventDefault();
      keep(field.value.trim());
      dialog.close("sent");
    };
    fill(
      dialog,
      make(
        "form",
        { submit },
        make("h2", { id: "key-title" }, "A key, please"),
        make("p", { class: refused ? "wrong" : "" }, remark, " Whoever runs it can make one: sentopic keys create."),
        make("label", { for: "key" }, "Key"),
        field,
        make("p", { class: "aside" }, "It is kept until you close this tab."),
        make(
          "div",
          { class: "buttons" },
          make("button", { class: "primary" }, "Use it"),
          make("button", { type: "button", click: () => dialog.close() }, "Not now"),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      settle(dialog.returnValue === "sent" ? currentKey() : null);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
