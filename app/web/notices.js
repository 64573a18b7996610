// What went wrong, in one sentence, with a button that may mend it.

import { fill, make } from "./elements.js";
import { counted } from "./numbers.js";

const TRIES = 3;

/** Tells of a Failure in `place`, and where it may help, tries again by itself a few times. */
export class Notice {
  #place;
  #timer = null;
  #tries = 0;

  constructor(place) {
    this.#place = place;
  }

  clear() {
    this.#tries = 0;
    this.#stop();
    fill(this.#place);
  }

  tell(failure, again) {
    this.#stop();
    const wait = failure.retryAfter && this.#tries < TRIES ? failure.retryAfter : null;
    const countdown = make("span", { "aria-hidden": "true" });
    fill(
      this.#place,
      make(
        "div",
        { class: "notice", role: "alert" },
        make("p", {}, failure.sentence),
        again && make("button", { type: "button", click: () => this.#retry(again) }, "Try again"),
        countdown,
      ),
    );
    if (again && wait) this.#countDown(wait, countdown, again);
  }

  #retry(again) {
    this.#stop();
    again();
  }

  #countDown(seconds, countdown, again) {
    let left = seconds;
    const step = () => {
      if (left <= 0) {
        this.#tries += 1;
        this.#retry(again);
        return;
      }
      fill(countdown, `by itself in ${counted(left, "second")}`);
      left -= 1;
      this.#timer = setTimeout(step, 1000);
    };
    step();
  }

  #stop() {
    clearTimeout(this.#timer);
  }
}
