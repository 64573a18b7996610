// A choice of one among a few: radio buttons that look like one control, or a list where there are many.

import { fill, make } from "./elements.js";

const MANY = 5;

/** Puts the choice into `fieldset`, under its legend; it has the focus if the one before it had. `options`: value and name of each. */
export function offer(fieldset, legend, options, chosen, choose) {
  const name = `${fieldset.id}-choice`;
  const control =
    options.length > MANY
      ? make(
          "select",
          { "aria-label": legend, change: ({ target }) => choose(target.value) },
          options.map(([value, shown]) => make("option", { value, selected: value === chosen }, shown)),
        )
      : make(
          "div",
          { class: "segments" },
          options.map(([value, shown]) =>
            make(
              "label",
              {},
              make("input", { type: "radio", name, value, checked: value === chosen, change: () => choose(value) }),
              make("span", {}, shown),
            ),
          ),
        );
  const focused = fieldset.contains(document.activeElement);
  fill(fieldset, make("legend", {}, legend), control);
  if (focused) fieldset.querySelector(":checked, select")?.focus();
}
