// Why an answer is what it is: the words, the running verdict under them, and what is to say of the selected place.

import { fill, make } from "./elements.js";
import { describeVerdict, showVerdict } from "./verdict.js";
import { describeWord, showLegend, showTable, showWords } from "./words.js";

const HINT = "Point at a word or at the line, or reach them with Tab and go along with the arrow keys.";

export function showExplanation(reading, model, nameOf) {
  if (!reading.words.length) return [make("p", { class: "aside" }, "There is no word in this text.")];
  const readout = make("p", { class: "readout", "aria-live": "polite" }, HINT);
  reading.watch((place) => fill(readout, place === null ? HINT : describe(reading, place, nameOf)));
  const verdict = reading.points.length > 0 && showVerdict(reading, nameOf, model.uncertain_below);
  return [showWords(reading, nameOf), verdict, readout, showLegend(reading, nameOf), showTable(reading, nameOf)];
}

function describe(reading, place, nameOf) {
  const verdict = describeVerdict(reading, place, nameOf);
  return [
    make("b", {}, make("bdi", {}, reading.words[place].shown)),
    ` (word ${place + 1} of ${reading.words.length}): `,
    describeWord(reading, place, nameOf),
    verdict && ` After it: ${verdict}.`,
  ];
}
