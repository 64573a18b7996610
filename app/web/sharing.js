// A dialog with the request as a link, as curl and as Python, each to be copied.

import { address } from "./api.js";
import { linkTo } from "./address.js";
import { fill, make } from "./elements.js";
import { currentKey } from "./keys.js";
import { toCurl, toPython } from "./snippets.js";

/** `chosen`: what the address says of the page; `request`: what was sent to `path`. */
export function share(chosen, path, request, explains) {
  const keyed = currentKey() !== null;
  const withText = make("input", { type: "checkbox", id: "with-text" });
  const withReasons = make("input", { type: "checkbox", id: "with-reasons" });
  const link = snippet("Link", () => linkTo({ ...chosen, text: withText.checked ? request.text : null }));
  const body = () => (withReasons.checked ? { ...request, explain: true } : request);
  const curl = snippet("curl", () => toCurl(address(path), body(), keyed));
  const python = snippet("Python", () => toPython(address(path), body(), keyed));
  withText.addEventListener("change", link.update);
  withReasons.addEventListener("change", () => [curl, python].forEach(({ update }) => update()));

  const dialog = make("dialog", { "aria-labelledby": "share-title", close: ({ target }) => target.remove() });
  fill(
    dialog,
    make(
      "div",
      { class: "bar" },
      make("h2", { id: "share-title" }, "This request, elsewhere"),
      make("button", { type: "button", class: "quiet", click: () => dialog.close() }, "Close"),
    ),
    link.node,
    make("p", { class: "option" }, withText, make("label", { for: "with-text" }, "with the text in it, for whoever has the link to read")),
    curl.node,
    python.node,
    explains && make("p", { class: "option" }, withReasons, make("label", { for: "with-reasons" }, "ask for the words' contributions too")),
    keyed && make("p", { class: "aside" }, "Put your key into the variable SENTOPIC_KEY: export SENTOPIC_KEY=..."),
  );
  document.body.append(dialog);
  dialog.showModal();
}

function snippet(name, write) {
  const code = make("code");
  const update = () => fill(code, write());
  const copied = make("span", { role: "status", class: "copied" });
  const shown = make("pre", { tabindex: "0", role: "group", "aria-label": name }, code);
  const copy = async () => {
    fill(copied, (await toClipboard(code)) ? "Copied." : "Selected: copy it with Ctrl+C.");
  };
  update();
  const node = make(
    "section",
    { class: "snippet" },
    make(
      "div",
      { class: "bar" },
      make("h3", {}, name),
      copied,
      make("button", { type: "button", "aria-label": `Copy ${name}`, click: copy }, "Copy"),
    ),
    shown,
  );
  return { node, update };
}

/** Browsers hand out their clipboard over HTTPS and on this machine only; else the text is selected. */
async function toClipboard(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}
