// Files of the service, to be kept: a plain link, or where a key is needed, fetched first, since links carry none.

import { address, send } from "./api.js";
import { make } from "./elements.js";
import { currentKey } from "./keys.js";

/** A link of a `kind`, named `shown`, that saves what is at `path` as `name`; `notice` tells what goes wrong. */
export function save(path, name, shown, notice, kind = "") {
  const fetchIt = async (event) => {
    if (currentKey() === null) return;
    event.preventDefault();
    try {
      const response = await send(path);
      const blob = URL.createObjectURL(await response.blob());
      make("a", { href: blob, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(blob), 60_000);
    } catch (failure) {
      notice.tell(failure.sentence ? failure : { sentence: "The file could not be fetched. Try again." }, null);
    }
  };
  return make("a", { href: address(path), download: name, click: fetchIt, class: kind }, shown);
}
