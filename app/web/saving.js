// Files of the service, to be kept. They are asked for first, so that a refusal can be told: a browser tells none.

import { address, send } from "./api.js";
import { make } from "./elements.js";
import { currentKey } from "./keys.js";

/** A link of a `kind`, named `shown`, that saves what is at `path` as `name`; `notice` tells what goes wrong. */
export function save(path, name, shown, notice, kind = "") {
  const load = (href) => make("a", { href, download: name }).click();
  const fetchIt = async (event) => {
    event.preventDefault();
    notice.clear();
    try {
      const response = await send(path);
      if (currentKey() === null) {
        await response.body.cancel();
        load(address(path)); // then it goes to the disk as it comes, however large it is
        return;
      }
      const blob = URL.createObjectURL(await response.blob()); // a link carries no key
      load(blob);
      setTimeout(() => URL.revokeObjectURL(blob), 60_000);
    } catch (failure) {
      notice.tell(failure.sentence ? failure : { sentence: "The file could not be fetched. Try again." }, null);
    }
  };
  return make("a", { href: address(path), download: name, click: fetchIt, class: kind }, shown);
}
