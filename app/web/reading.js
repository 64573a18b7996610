// How a model read a text: its words with what each contributed, and the verdict after each. Knows nothing of the page.

import { unitPlaces } from "./codepoints.js";

const LEAST_SCALE = 0.5;
const STEPS = 5;
const NOTHING = 0.04;

export class Reading {
  #watchers = [];

  /** `explanation`: as the service gives it; `text`: as it was sent; `answer`: what it explains. */
  constructor(text, answer, explanation) {
    const at = unitPlaces(text);
    this.text = text;
    this.answer = answer;
    this.label = explanation.label;
    this.words = explanation.words.map((word, place) => this.#place(word, place, at));
    this.#share();
    const sizes = this.words.map(({ contribution }) => Math.abs(contribution ?? 0));
    this.scale = sizes.reduce((most, size) => Math.max(most, size), LEAST_SCALE);
    this.points = this.#locate(explanation.verdict);
    this.selected = null;
  }

  /** How strongly a word speaks, from -5 (against the label) to 5 (for it). */
  strength({ contribution }) {
    if (contribution == null) return 0;
    const share = Math.min(1, Math.abs(contribution) / this.scale);
    return share < NOTHING ? 0 : Math.sign(contribution) * Math.max(1, Math.ceil(share * STEPS));
  }

  /** The verdict after the word at `place`: what it was at the last point up to there; null before the first. */
  after(place) {
    let low = 0;
    let high = this.points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.points[middle].place <= place) low = middle + 1;
      else high = middle;
    }
    return low ? this.points[low - 1] : null;
  }

  watch(watcher) {
    this.#watchers.push(watcher);
  }

  /** `place` of a word, or null for none. `from`: who selected it, so that a view need not follow itself. */
  select(place, from = null) {
    if (place === this.selected) return;
    const before = this.selected;
    this.selected = place;
    for (const watcher of this.#watchers) watcher(place, before, from);
  }

  /** To the word `step` further on, from the selected one. */
  move(step, from = null) {
    const start = this.selected ?? (step > 0 ? -1 : this.words.length);
    this.select(Math.max(0, Math.min(this.words.length - 1, start + step)), from);
  }

  /** Whatever is selected here is selected there too, and the other way round, if both have read the same words. */
  accompany(other) {
    if (this.words.length !== other.words.length) return;
    this.watch((place) => other.select(place));
    other.watch((place) => this.select(place));
  }

  #place(word, place, at) {
    const start = at(word.start);
    const end = at(word.end);
    return { ...word, place, start, end, pointEnd: word.end, shown: this.text.slice(start, end) };
  }

  /** `fresh`: what no word before stands on. Two may have grown together, as Korean ones do (했: 하, 었). */
  #share() {
    let covered = 0;
    for (const word of this.words) {
      word.fresh = this.text.slice(Math.max(word.start, covered), word.end);
      covered = Math.max(covered, word.end);
    }
  }

  /** Each verdict with the place of the last word that it knows of. */
  #locate(verdict) {
    const points = [];
    let place = -1;
    for (const { end, score } of verdict) {
      while (place + 1 < this.words.length && this.words[place + 1].pointEnd <= end) place += 1;
      if (place >= 0) points.push({ place, score });
    }
    return points;
  }
}
